/* sealed.h - an envelope that came, from the outside: is it one, by which cipher, and who can open it (RFC 5652 6).
 * Called by kind.c, and by the gate for mail that is to be encrypted and is already.
 */
#ifndef SMIME_SEALED_H
#define SMIME_SEALED_H

#include "mail/mime.h"
#include "pki/cert.h"

/* Are the part's bytes an envelope and nothing else, read as strictly as can be, which a cipher closes that hides its
 * content? Whatever is wrong with it, and be it a limit, speaks against it: then it is encrypted once more, or not
 * taken for protected. Who could open it, and whether we could, is no matter here. 1, 0, or -1: a stream or memory
 * failed. */
int sealed_is(const struct message *message, const struct mime_part *part, struct err *err);

struct sealed_name {			/* of a RecipientInfo, or an entry of a KeyAgreeRecipientInfo */
	struct slice issuer, serial;	/* DER; n == 0: by key_id */
	struct slice key_id;
};

struct sealed {
	const char *cipher;		/* "aes256-cbc" … as in layers */
	struct sealed_name *names;	/* recipients that are no certificate's are left out */
	size_t n;
};

/* The same part, once sealed_is has said 1; all in the arena. -1 as above. */
int sealed_read(struct arena *arena, const struct message *message, const struct mime_part *part, struct sealed *sealed,
		struct err *err);
/* Is the holder of this certificate's key among those who can open it? Whether the wrapped key is any good shows to him
 * alone. */
bool sealed_is_for(const struct sealed *sealed, const struct cert *cert);

#endif
