/* canon.h - the entity that is signed or encrypted: 7-bit, short lines, CRLF, made before signing (RFC 8551 3.1).
 *
 * All Content-* fields of the message move inside, byte for byte, unless a leaf must be re-encoded: then its
 * Content-Transfer-Encoding alone changes (and the containers' that said 8bit or binary). Re-encoded is a leaf with a
 * trait that does not survive transport (8-bit, NUL, bare CR or LF, long line) and, for clear signing, one with
 * trailing blanks or "From " lines; text as quoted-printable, everything else as base64. A message without Content-Type
 * gets text/plain; charset=us-ascii (8-bit without a declared charset: charset=unknown-8bit, RFC 1428). The top-level
 * multipart's preamble and epilogue are left out; so are a nested one's, and its delimiter lines written anew, where
 * their bytes do not survive. For clear signing 8bit and binary are declared 7bit where that is true. Nothing below a
 * nested multipart/signed or multipart/encrypted is ever changed.
 */
#ifndef MAIL_CANON_H
#define MAIL_CANON_H

#include "mail/mime.h"

struct canon {
	struct header outside;		/* the message's other fields, MIME-Version too, unchanged and in order */
	const struct body *entity;	/* Content-* fields, empty line, content: computed when read */
	/* false: something does not survive transport and had to be left alone (a nested protected part, header fields
	 * inside with 8-bit or very long lines, an unknown transfer encoding): sign it opaque only */
	bool seven_bit;
};

/* ERR_MESSAGE: duplicate Content-Type or Content-Transfer-Encoding at top level, which no reader resolves alike. */
int canon_make(struct arena *arena, const struct message *message, const struct mime *mime, bool for_clear_signing,
	       struct canon *canon, struct err *err);

/* The same split for a message that a step of ours made, whose content is 7-bit already: nothing is parsed, nothing
 * re-encoded, the body is not read. 0, or -1: arena exhausted. */
int canon_split(struct arena *arena, const struct message *message, struct canon *canon, struct err *err);

#endif
