/* sign.h - a signed message from a message (RFC 8551 3.5): clear (multipart/signed) or opaque (application/pkcs7-mime).
 *
 * The result's body is lazy: content flows through, the signature is computed when the reader gets to it (clear) or with
 * the content (opaque, BER in base64 lines). Output is 7-bit, CRLF, lines of at most 76 characters of base64. Signed
 * attributes: contentType, messageDigest, signingTime, signingCertificateV2, and with `announce` SMIMECapabilities and
 * SMIMEEncryptionKeyPreference; never another's. The signer is named by issuer and serial. Every reader of the body
 * gets the same bytes (unless the content differs from reading to reading). CHAIN_NONE still includes the signer's own
 * certificate.
 */
#ifndef SMIME_SIGN_H
#define SMIME_SIGN_H

#include <time.h>

#include "mail/canon.h"
#include "pki/capability.h"
#include "pki/key.h"

enum digest { DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 };
extern const char *const digest_names[];	/* "sha256" … NULL */
enum sign_format { SIGN_CLEAR, SIGN_OPAQUE };
enum sign_padding { SIGN_PKCS1, SIGN_PSS };
enum include_chain { CHAIN_INCLUDE, CHAIN_NONE, CHAIN_AND_ROOT };

struct sign_options {
	const struct key *key;
	enum digest digest;
	enum sign_format format;
	enum sign_padding padding;	/* RSA keys; an RSASSA-PSS key always uses pss */
	enum include_chain include_chain;
	const struct cert *encryption_cert;	/* announced: included, and named as key preference; NULL: no announcement */
	time_t now;			/* signingTime */
};

/* The first listed digest that fits the key (P-384: sha384 or longer, P-521: sha512); the shortest that fits if none. */
enum digest sign_choose_digest(const struct key *key, const enum digest *listed, size_t n);

/* canon: what canon_make made of the message (canon->seven_bit false forces SIGN_OPAQUE). out: the outside fields
 * (MIME-Version added when it is missing), new Content-* fields at the end, lazy body. What options point to must live
 * as long as the arena. Everything that can fail early does (ERR_POLICY: the key cannot sign so). 0 or -1. */
int sign_message(struct arena *arena, const struct canon *canon, const struct sign_options *options,
		 struct message *out, struct err *err);

#endif
