/* prescan_envelope.h - a strict look at an EnvelopedData (RFC 5652 6) or AuthEnvelopedData (RFC 5083) before any other
 * code sees it, from a stream: memory does not depend on the size of the content. Nothing is opened, and whether the
 * encrypted content is what it should be only a key can tell. Internal to smime/: used by verify.c and sealed.c.
 */
#ifndef SMIME_PRESCAN_ENVELOPE_H
#define SMIME_PRESCAN_ENVELOPE_H

#include "base/stream.h"
#include "smime/prescan.h"

struct envelope_limits {
	size_t recipients, certificates, crls;
	bool legacy_ciphers;	/* 3DES may be read */
	bool line_end;		/* a CRLF behind the object is the transport's */
};

enum recipient_kind { RECIPIENT_TRANSPORT, RECIPIENT_AGREEMENT, RECIPIENT_OTHER };

struct envelope_recipient {		/* who can open it: a RecipientInfo, or an entry of a KeyAgreeRecipientInfo */
	enum recipient_kind kind;
	struct slice issuer, serial;	/* whole items; n == 0: named by key_id, or OTHER */
	struct slice key_id;		/* subject key identifier */
	struct prescan_algorithm algorithm;
	struct slice encrypted_key;
	struct slice info;		/* the whole RecipientInfo */
	const char *unsupported;	/* why its key cannot be had here; NULL: it can */
};

struct envelope {			/* slices are copies in the arena */
	bool authenticated;		/* AuthEnvelopedData */
	struct envelope_recipient *recipients;
	size_t recipient_count, recipient_capacity;
	struct prescan_algorithm cipher;
	const char *cipher_name;	/* "aes256-cbc" …; NULL: unknown */
	uint64_t content_bytes;		/* encrypted */
	struct slice mac;
	/* The cipher hides the content, though it be one that is read no more or the recipients are others'. */
	bool sealed;
	const char *unsupported;	/* well formed, but why it cannot be opened here whoever asks; NULL: it can */
};

/* Reads the stream to its end, unless something is wrong. ERR_MESSAGE names the rule that is broken, ERR_LIMIT the
 * limit; an error of the stream's keeps its class. Does not close it. 0 or -1. */
int prescan_envelope(struct arena *arena, struct stream *stream, const struct envelope_limits *limits,
		     struct envelope *envelope, struct err *err);

#endif
