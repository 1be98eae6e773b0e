/* algorithm.h - which digests, signature algorithms, content ciphers and ways of a content key are known, and how
 * strong they are (RFC 8551 2.1 to 2.3, 2.7, 4.3; RFC 4056; RFC 5754). Verification of one signature value. Internal
 * to smime/: used by verify_object.c, signer.c and the prescans.
 */
#ifndef SMIME_ALGORITHM_H
#define SMIME_ALGORITHM_H

#include <openssl/evp.h>

#include "base/body.h"
#include "pki/cert.h"
#include "smime/prescan.h"
#include "smime/verify.h"

struct digest_algorithm {
	int nid;
	const char *name;		/* as in the field digest= */
	bool weak;
};

/* NULL: unknown. */
const struct digest_algorithm *digest_algorithm_find(const struct prescan_algorithm *algorithm);

/* The digest of a content by one algorithm. */
struct content_digest {
	const struct digest_algorithm *algorithm;
	unsigned char value[EVP_MAX_MD_SIZE];
	unsigned n;			/* 0: this library cannot compute it */
};

/* All of them in one reading of content, which is not kept. 0, or -1 as the stream's error. */
int content_digest_all(const struct body *content, struct content_digest *digests, size_t count, struct err *err);

enum signature_kind { SIGNATURE_UNKNOWN, SIGNATURE_RSA_PKCS1, SIGNATURE_RSA_PSS, SIGNATURE_ECDSA, SIGNATURE_DSA };

struct signature_algorithm {
	enum signature_kind kind;
	const char *name;		/* as in the field signature=; NULL: unknown */
	int salt_bytes;			/* RSA-PSS */
	const char *fault;		/* why it cannot be used with this digest; NULL: it can */
};

/* digest: the signer's digestAlgorithm, NULL when unknown. */
void signature_algorithm_find(const struct prescan_algorithm *algorithm, const struct digest_algorithm *digest,
			      struct signature_algorithm *found);

/* Is the certificate's key strong enough for a signature? How it was issued is path.h's business. */
enum algorithm algorithm_of_cert(const struct cert *cert);

enum signature_check { SIGNATURE_GOOD, SIGNATURE_BAD, SIGNATURE_CANNOT };

/* value over the DER SET OF attributes with the certificate's key. CANNOT: the key, or the key with this
 * digest, is of no use to this library. 0, or -1: memory. */
int signature_verify(const struct cert *cert, const struct signature_algorithm *algorithm,
		     const struct digest_algorithm *digest, const struct prescan_signer *signer,
		     enum signature_check *check, struct err *err);

enum cipher_use { CIPHER_NOT_READ, CIPHER_LEGACY, CIPHER_READ };

struct content_cipher {
	int nid;
	const char *name;		/* as in the field cipher=: "aes256-cbc" … */
	enum cipher_use use;		/* NOT_READ: nothing of what follows is known */
	bool aead;			/* AES-GCM */
	size_t block_bytes;		/* of CBC, and of its IV; 0: AEAD */
};

/* oid: the whole item. NULL: unknown. */
const struct content_cipher *content_cipher_find(struct slice oid);

struct gcm_parameters {
	size_t nonce_bytes, tag_bytes;
};

/* RFC 5084 3.2: shape alone, with ICVlen's default. 0, or -1: malformed. */
int gcm_parameters(struct slice parameters, struct gcm_parameters *gcm);

/* Why a content key that came this way cannot be had: "RULE: text"; NULL: it can, as far as the algorithm goes.
 * *malformed: by nobody, since the algorithm's rule is broken. */
const char *key_transport_fault(const struct prescan_algorithm *algorithm, bool *malformed);
const char *key_agreement_fault(const struct prescan_algorithm *algorithm, bool *malformed);

#endif
