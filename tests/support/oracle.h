/* oracle.h - a second opinion on what the gateway made: signatures verified, envelopes opened and transfer encodings
 * decoded with OpenSSL's CMS functions and a few plain string searches; no code of the gateway takes part but its
 * buffers. Works on whole entities: header, empty line, body, all lines ended by CRLF. Each function that may fail says
 * why in a static text, NULL: good.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include "base/buf.h"
#include "support/testpki.h"

/* Where the header ends and the body begins. */
void oracle_split(struct slice entity, struct slice *header, struct slice *body);
/* The index-th field of that name, unfolded and trimmed; free it. NULL: there is none. */
char *oracle_field(struct slice entity, const char *name, size_t index);
/* A parameter of a field's value, unquoted; free it. NULL: there is none. */
char *oracle_parameter(const char *value, const char *name);

struct oracle_signature {
	char digest[32];		/* "sha256" */
	char signature[32];		/* "rsa-pkcs1" "rsa-pss" "ecdsa" */
	unsigned signers, certs;
	bool with_root;			/* a self-signed certificate came along */
	bool capabilities, preference;	/* signed attributes */
};

/* The outermost layer of entity is a clear or opaque signature by the address, good and leading to root: inner gets
 * (appended) what was signed. For a clear one micalg, protocol and the number of parts are checked too. */
const char *oracle_verify(struct slice entity, const struct testpki *root, const char *address, struct buf *inner,
			  struct oracle_signature *signature);
struct oracle_envelope {
	char cipher[32];		/* "aes256-cbc" */
	unsigned recipients;
	unsigned key_ids;		/* of them, named by key identifier */
};

/* The outermost layer is an envelope that who can open: inner (appended) gets the content. */
const char *oracle_decrypt(struct slice entity, const struct testpki *who, struct buf *inner,
			   struct oracle_envelope *envelope);
/* The entity's body, its transfer encoding taken off (appended). */
const char *oracle_decode(struct slice entity, struct buf *out);

#endif
