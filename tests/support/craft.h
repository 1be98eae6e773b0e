/* craft.h - signed mails for tests, right ones and wrong ones, made with OpenSSL's CMS functions. Anything that fails
 * here ends the test program with a message.
 */
#ifndef CRAFT_H
#define CRAFT_H

#include <openssl/cms.h>

#include "base/buf.h"
#include "testpki.h"

enum craft_ess { CRAFT_ESS_NO_SERIAL, CRAFT_ESS_SERIAL, CRAFT_ESS_WRONG_SERIAL };

enum craft_preference { CRAFT_PREFERS_SERIAL, CRAFT_PREFERS_KEY_ID, CRAFT_PREFERS_ALT_KEY_ID, CRAFT_PREFERS_OUTLOOK,
			CRAFT_PREFERS_JUNK };

struct craft_signer {
	const struct testpki *pki;
	const EVP_MD *md;		/* NULL: SHA-256 */
	unsigned flags;			/* CMS_NOATTR, CMS_USE_KEYID, CMS_CADES, CMS_NOCERTS */
	bool pss;
	int salt_bytes;			/* 0: the digest's length */
	const struct testpki *ess;	/* signingCertificateV2 names this one; NULL: no such attribute of ours */
	enum craft_ess ess_serial;	/* its IssuerSerial */
	const struct testpki *prefers;	/* SMIMEEncryptionKeyPreference names this one; NULL: no such attribute */
	enum craft_preference preference;	/* how; OUTLOOK: in Outlook's own attribute */
	bool gcm;			/* SMIMECapabilities has AES-256-GCM and AES-256-CBC; else what OpenSSL says */
	time_t signed_at;		/* 0: now */
};

struct craft {
	struct craft_signer signers[4];	/* the first without pki ends them */
	const struct testpki *extra[8];	/* further certificates in the message */
	const char *crl_file;		/* PEM, whose CRLs the message brings along; NULL: none */
	int content_type;		/* NID of eContentType; 0: id-data */
	bool detached;
	const char *other_content;	/* put into the object in place of what was signed */
};

/* The CMS object, DER, over content. Appends. */
void craft_cms(const struct craft *craft, struct slice content, struct buf *der);
/* An EnvelopedData (CBC) or AuthEnvelopedData (GCM) of content for the certificate, DER. Appends. */
void craft_envelope(const struct testpki *recipient, const EVP_CIPHER *cipher, struct slice content, struct buf *der);
/* The same for n of them, whom RecipientInfos name by key_id where that is wanted. */
void craft_envelope_for(const struct testpki *const *recipients, size_t n, bool key_id, const EVP_CIPHER *cipher,
			struct slice content, struct buf *der);

/* Appends in base64 lines with CRLF. */
void craft_base64(struct slice bytes, struct buf *out);
/* A multipart/signed entity: header (lines with CRLF, without Content-Type) is put in front. */
void craft_clear(const char *header, struct slice entity, struct slice der, struct buf *out);
/* An application/pkcs7-mime entity likewise. */
void craft_opaque(const char *header, const char *smime_type, struct slice der, struct buf *out);

#endif
