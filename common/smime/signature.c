/* signature.c - the CMS object of a signature (RFC 5652 5): signer, signed attributes (RFC 8551 2.5, RFC 5035),
 * certificates. It is made from the content's digest; content and MIME are sign.c's. Thread-safe.
 *
 * Attributes are written one by one, since OpenSSL's defaults announce ciphers that nobody should use, and take the
 * time from the system. */
#include "smime/smime_internal.h"

#include <openssl/asn1.h>
#include <openssl/cms.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>

#include "pki/pki_internal.h"
#include "smime/der.h"

#define OID(text) { .p = (text), .n = sizeof(text) - 1 }

static const struct digest_row digests[] = {
	[DIGEST_SHA256] = { EVP_sha256, "sha-256", OID("\x60\x86\x48\x01\x65\x03\x04\x02\x01") },
	[DIGEST_SHA384] = { EVP_sha384, "sha-384", OID("\x60\x86\x48\x01\x65\x03\x04\x02\x02") },
	[DIGEST_SHA512] = { EVP_sha512, "sha-512", OID("\x60\x86\x48\x01\x65\x03\x04\x02\x03") },
};

/* In the order in which we like to receive: what every reader's peer can write comes first. */
static const int capability_nids[] = { NID_aes_256_cbc, NID_aes_128_cbc, NID_aes_256_gcm, NID_aes_128_gcm };

const struct digest_row *digest_row(enum digest digest)
{
	return &digests[digest];
}

static const char *subject_of(const struct key *key)
{
	return cert_info(key_cert(key))->subject;
}

/* The salt is as long as the digest: other readers refuse OpenSSL's default, the longest possible one. */
static int set_padding(CMS_SignerInfo *signer, const struct sign_options *options)
{
	enum key_kind kind = cert_info(key_cert(options->key))->key_kind;
	EVP_PKEY_CTX *ctx = CMS_SignerInfo_get0_pkey_ctx(signer);

	if (kind != KEY_RSA_PSS && (kind != KEY_RSA || options->padding != SIGN_PSS))
		return 0;
	if (ctx == NULL || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, digests[options->digest].md()) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) <= 0)
		return -1;
	return 0;
}

/* The object with its signer, named by issuer and serial, and signingCertificateV2 as its first attribute. */
static CMS_ContentInfo *object_new(const struct sign_options *options, CMS_SignerInfo **signer)
{
	const unsigned flags = CMS_PARTIAL | CMS_DETACHED | CMS_BINARY | CMS_NOCERTS | CMS_NOSMIMECAP;
	CMS_ContentInfo *object = NULL;

	ERR_clear_error();
	object = CMS_sign(NULL, NULL, NULL, NULL, flags);
	if (object == NULL)
		return NULL;
	*signer = CMS_add1_signer(object, cert_x509(key_cert(options->key)), key_pkey(options->key),
				  digests[options->digest].md(), flags | CMS_CADES | CMS_KEY_PARAM);
	if (*signer != NULL && set_padding(*signer, options) == 0)
		return object;
	CMS_ContentInfo_free(object);
	return NULL;
}

/* Not every key that signs certificates signs messages: OpenSSL 3.0 has no Ed25519 in CMS. */
static int check_kind(const struct key *key, struct err *err)
{
	switch (cert_info(key_cert(key))->key_kind) {
	case KEY_RSA: case KEY_RSA_PSS: case KEY_EC_P256: case KEY_EC_P384: case KEY_EC_P521: case KEY_EC_OTHER:
		return 0;
	case KEY_ED25519:
		return err_set(err, ERR_POLICY, "an Ed25519 key cannot sign S/MIME messages here (%s)",
			       subject_of(key));
	case KEY_OTHER:
		break;
	}
	return err_set(err, ERR_POLICY, "a key of this kind cannot sign S/MIME messages (%s)", subject_of(key));
}

int signature_check(const struct sign_options *options, struct err *err)
{
	CMS_SignerInfo *signer = NULL;
	CMS_ContentInfo *object = NULL;

	if (check_kind(options->key, err) != 0)
		return -1;
	object = object_new(options, &signer);
	if (object == NULL)
		return wrap_openssl_error(err, ERR_POLICY, "this key cannot sign so", subject_of(options->key));
	CMS_ContentInfo_free(object);
	return 0;
}

/* contentType and messageDigest are added when the content is there. */
static int add_time(CMS_SignerInfo *signer, time_t now)
{
	ASN1_TIME *at = ASN1_TIME_set(NULL, now);	/* UTCTime up to 2049, as RFC 8551 2.5.1 wants it */
	int rc = -1;

	if (at != NULL && CMS_signed_add1_attr_by_NID(signer, NID_pkcs9_signingTime, ASN1_STRING_type(at), at, -1))
		rc = 0;
	ASN1_TIME_free(at);
	return rc;
}

static int add_capabilities(CMS_SignerInfo *signer)
{
	STACK_OF(X509_ALGOR) *list = NULL;
	int rc = -1;

	for (size_t i = 0; i < sizeof(capability_nids) / sizeof(capability_nids[0]); i++)
		if (!CMS_add_simple_smimecap(&list, capability_nids[i], -1))
			goto out;
	if (CMS_add_smimecap(signer, list))
		rc = 0;
out:
	sk_X509_ALGOR_pop_free(list, X509_ALGOR_free);
	return rc;
}

/* IssuerAndSerialNumber's content. */
static int write_issuer_and_serial(const struct cert *cert, struct buf *out)
{
	X509 *x509 = cert_x509(cert);
	unsigned char *issuer = NULL, *serial = NULL;
	int issuer_bytes = i2d_X509_NAME(X509_get_issuer_name(x509), &issuer);
	int serial_bytes = i2d_ASN1_INTEGER(X509_get0_serialNumber(x509), &serial);
	int rc = -1;

	if (issuer_bytes > 0 && serial_bytes > 0 && buf_append(out, issuer, (size_t)issuer_bytes) == 0 &&
	    buf_append(out, serial, (size_t)serial_bytes) == 0)
		rc = 0;
	OPENSSL_free(issuer);
	OPENSSL_free(serial);
	return rc;
}

/* Writes "tag length content" with content's bytes, over content. */
static int enclose(struct buf *content, unsigned tag)
{
	struct buf outer;

	buf_init(&outer, 0);
	if (der_write(&outer, tag, buf_slice(content)) != 0) {
		buf_clear(&outer);
		return -1;
	}
	buf_clear(content);
	*content = outer;
	return 0;
}

/* OpenSSL cannot make an attribute whose value has a context tag, but it can read one. */
static int add_attribute(CMS_SignerInfo *signer, struct slice der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	X509_ATTRIBUTE *attribute = d2i_X509_ATTRIBUTE(NULL, &p, (long)der.n);
	int rc = attribute != NULL && CMS_signed_add1_attr(signer, attribute) ? 0 : -1;

	X509_ATTRIBUTE_free(attribute);
	return rc;
}

/* SMIMEEncryptionKeyPreference, issuerAndSerialNumber [0] (RFC 8551 2.5.3; its module has implicit tags). */
static int add_key_preference(CMS_SignerInfo *signer, const struct cert *cert)
{
	static const struct slice oid = OID("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x0b");
	struct buf value, attribute;
	int rc = -1;

	buf_init(&value, 0);
	buf_init(&attribute, 0);
	if (write_issuer_and_serial(cert, &value) == 0 && enclose(&value, DER_CONTEXT_CONSTRUCTED(0)) == 0 &&
	    enclose(&value, DER_SET) == 0 && der_write(&attribute, DER_OID, oid) == 0 &&
	    buf_append_slice(&attribute, buf_slice(&value)) == 0 && enclose(&attribute, DER_SEQUENCE) == 0)
		rc = add_attribute(signer, buf_slice(&attribute));
	buf_clear(&value);
	buf_clear(&attribute);
	return rc;
}

static int add_attributes(CMS_SignerInfo *signer, const struct sign_options *options)
{
	if (add_time(signer, options->now) != 0)
		return -1;
	if (options->encryption_cert == NULL)
		return 0;
	if (add_capabilities(signer) != 0)
		return -1;
	return add_key_preference(signer, options->encryption_cert);
}

/* Which certificates go along; each once. A reference is taken: the list is only to be read, but it counts. */
static int collect(const struct sign_options *options, struct cert_list *list)
{
	const struct cert_list *chain = key_chain(options->key);

	if (cert_list_add(list, (struct cert *)key_cert(options->key)) != 0)
		return -1;
	if (options->encryption_cert != NULL && cert_list_add(list, (struct cert *)options->encryption_cert) != 0)
		return -1;
	if (options->include_chain == CHAIN_NONE)
		return 0;
	for (size_t i = 0; i < chain->n; i++) {
		if (options->include_chain != CHAIN_AND_ROOT && cert_info(chain->items[i])->self_signed)
			continue;
		if (cert_list_add(list, chain->items[i]) != 0)
			return -1;
	}
	return 0;
}

static int add_certificates(CMS_ContentInfo *object, const struct sign_options *options)
{
	struct cert_list list = { .n = 0 };
	int rc = collect(options, &list);

	for (size_t i = 0; rc == 0 && i < list.n; i++)
		if (!CMS_add1_cert(object, cert_x509(list.items[i])))
			rc = -1;
	cert_list_clear(&list);
	return rc;
}

static int encode(CMS_ContentInfo *object, struct buf *der)
{
	unsigned char *p = NULL;
	int n = i2d_CMS_ContentInfo(object, &p);
	int rc = n > 0 ? buf_append(der, p, (size_t)n) : -1;

	OPENSSL_free(p);
	return rc;
}

/* The private operation. OpenSSL looks for the content's digest in a chain of BIOs that the content went through: so it
 * gets one that took over the state of ours. */
static int finish(CMS_ContentInfo *object, const EVP_MD_CTX *content)
{
	BIO *chain = BIO_new(BIO_f_md());
	EVP_MD_CTX *state = NULL;
	int rc = -1;

	if (chain != NULL && BIO_set_md(chain, EVP_MD_CTX_get0_md(content)) > 0 &&
	    BIO_get_md_ctx(chain, &state) > 0 && EVP_MD_CTX_copy_ex(state, content) == 1 &&
	    CMS_dataFinal(object, chain) == 1)
		rc = 0;
	BIO_free(chain);
	return rc;
}

int signature_make(const struct sign_options *options, const EVP_MD_CTX *content, struct buf *der, struct err *err)
{
	CMS_SignerInfo *signer = NULL;
	CMS_ContentInfo *object = object_new(options, &signer);
	int rc = -1;

	if (object != NULL && add_certificates(object, options) == 0 && add_attributes(signer, options) == 0 &&
	    finish(object, content) == 0 && encode(object, der) == 0)
		rc = 0;
	else
		wrap_openssl_error(err, ERR_TEMP, "signing failed", subject_of(options->key));
	CMS_ContentInfo_free(object);
	return rc;
}

int signature_tail(struct slice bytes, struct slice *tail, struct err *err)
{
	struct der der = der_whole(bytes);
	struct der_item item;

	if (der_take(&der, DER_SEQUENCE, &item) != 1)
		goto bug;
	der = der_inside(&item);
	if (der_take(&der, DER_OID, &item) != 1 || der_take(&der, DER_CONTEXT_CONSTRUCTED(0), &item) != 1)
		goto bug;
	der = der_inside(&item);
	if (der_take(&der, DER_SEQUENCE, &item) != 1)
		goto bug;
	der = der_inside(&item);
	if (der_take(&der, DER_INTEGER, &item) != 1 || der_take(&der, DER_SET, &item) != 1 ||
	    der_take(&der, DER_SEQUENCE, &item) != 1)
		goto bug;
	*tail = der.rest;
	return 0;
bug:
	return err_set(err, ERR_BUG, "our own SignedData cannot be read");
}
