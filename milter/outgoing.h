/* outgoing.h - a message ready to be sent: drained once, so that what can go wrong has gone wrong, and its bytes are
 * settled. A step's body is not (an encrypted one differs each time it is read); this one may be read again and
 * again, and its size, its digest and whether it is 7-bit are known before the first byte is sent. RFC 5321 2.3.8.
 */
#ifndef MILTER_OUTGOING_H
#define MILTER_OUTGOING_H

#include <stdbool.h>

#include "base/crypt.h"
#include "mail/message.h"

struct outgoing {
	struct slice header;		/* all fields and the empty line */
	const struct body *body;
	uint64_t size_bytes;		/* of both */
	bool eight_bit;			/* the body has bytes above 127 */
	unsigned char body_sha256[CRYPT_SHA256_BYTES];
};

struct outgoing_room {			/* where it is kept: as spool_new's */
	const char *directory;		/* must outlive the arena */
	size_t memory_bytes;
	uint64_t limit_bytes;		/* of the body; 0: none */
};

/* Reads the body to its end into a spool, encrypted beyond memory_bytes. Lines come out ending with CRLF: a lone LF
 * becomes one, and so does the end of a body whose last line has none; a lone CR stays. All else stays as it is. -1:
 * the body's own error, or the spool's. */
int outgoing_make(struct arena *arena, const struct outgoing_room *room, const struct message *message,
		  struct outgoing *outgoing, struct err *err);

/* The digest that outgoing_make would give this body; keeps nothing. 0 or -1. */
int outgoing_digest(const struct body *body, unsigned char digest[CRYPT_SHA256_BYTES], struct err *err);

/* The same for several who ask, of whom the first has the body read. Starts with body set and the rest zero. */
struct outgoing_digest {
	const struct body *body;
	bool made;
	unsigned char sha256[CRYPT_SHA256_BYTES];
};
/* Lives as long as the struct. NULL: *err. */
const unsigned char *outgoing_digest_once(struct outgoing_digest *digest, struct err *err);

#endif
