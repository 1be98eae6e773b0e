/* demo_ca.c - keys and certificates for a demonstration, with OpenSSL's X509 and EVP calls. Reads and writes no file.
 * One thread a CA.
 */
#include "pki/demo_ca.h"

#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/crypt.h"
#include "pki/pki_internal.h"

#define ROOT_DAYS 3650
#define SERIAL_BYTES 16
#define HOUR_SECONDS 3600L
#define DAY_SECONDS 86400L

struct demo_ca {
	EVP_PKEY *pkey;
	struct cert *cert;
};

struct extension {
	int nid;
	const char *value;
};

static const struct extension root_extensions[] = {
	{ NID_basic_constraints, "critical,CA:TRUE" },
	{ NID_key_usage, "critical,keyCertSign,cRLSign" },
	{ NID_subject_key_identifier, "hash" },
	{ NID_undef, NULL }
};

/* keyEncipherment is for RSA, keyAgreement for elliptic curves (RFC 8550 4.4.2). */
static const struct extension user_extensions[] = {
	{ NID_basic_constraints, "critical,CA:FALSE" },
	{ NID_ext_key_usage, "emailProtection" },
	{ NID_subject_key_identifier, "hash" },
	{ NID_authority_key_identifier, "keyid:always" },
	{ NID_undef, NULL }
};

static const char *const key_usages[] = {
	[DEMO_RSA_2048] = "critical,digitalSignature,keyEncipherment",
	[DEMO_EC_P256] = "critical,digitalSignature,keyAgreement",
};

static int failed(struct err *err, const char *what)
{
	char reason[120];

	return err_set(err, ERR_TEMP, "demo-ca: %s: %s", what, openssl_reason(reason, sizeof(reason)));
}

static EVP_PKEY *make_key(enum demo_key kind)
{
	if (kind == DEMO_RSA_2048)
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

/* Positive and of full length: the first byte's two high bits are 01. */
static int set_serial(X509 *x509)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *number = NULL;
	int rc = -1;

	if (crypt_random(bytes, sizeof(bytes), NULL) != 0)
		return -1;
	bytes[0] = (unsigned char)((bytes[0] & 0x3f) | 0x40);
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	if (number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)) != NULL)
		rc = 0;
	BN_free(number);
	return rc;
}

static int set_names(X509 *x509, const char *name, const X509 *issuer)
{
	X509_NAME *subject = X509_NAME_new();
	int rc = -1;

	if (subject != NULL &&
	    X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const unsigned char *)"smime-milter demo", -1,
				       -1, 0) == 1 &&
	    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) == 1 &&
	    X509_set_subject_name(x509, subject) == 1 &&
	    X509_set_issuer_name(x509, issuer != NULL ? X509_get_subject_name(issuer) : subject) == 1)
		rc = 0;
	X509_NAME_free(subject);
	return rc;
}

static int add_extension(X509 *x509, X509V3_CTX *context, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, value);
	int rc = extension != NULL && X509_add_ext(x509, extension, -1) == 1 ? 0 : -1;

	X509_EXTENSION_free(extension);
	return rc;
}

static int add_extensions(X509 *x509, X509V3_CTX *context, const struct extension *list)
{
	for (; list->value != NULL; list++)
		if (add_extension(x509, context, list->nid, list->value) != 0)
			return -1;
	return 0;
}

/* All but extensions and signature. days negative: over that long ago. */
static X509 *make_cert(const char *name, const X509 *issuer, EVP_PKEY *pkey, int days)
{
	const long end = (long)days * DAY_SECONDS, start = days < 0 ? end - DAY_SECONDS : -HOUR_SECONDS;
	X509 *x509 = X509_new();

	if (x509 != NULL && X509_set_version(x509, X509_VERSION_3) == 1 && set_serial(x509) == 0 &&
	    set_names(x509, name, issuer) == 0 && X509_set_pubkey(x509, pkey) == 1 &&
	    X509_gmtime_adj(X509_getm_notBefore(x509), start) != NULL &&
	    X509_gmtime_adj(X509_getm_notAfter(x509), end) != NULL)
		return x509;
	X509_free(x509);
	return NULL;
}

/* The root is its own issuer: its extensions speak of itself. */
static X509 *make_root(const char *name, EVP_PKEY *pkey)
{
	X509 *x509 = make_cert(name, NULL, pkey, ROOT_DAYS);
	X509V3_CTX context;

	if (x509 == NULL)
		return NULL;
	X509V3_set_ctx(&context, x509, x509, NULL, NULL, 0);
	if (add_extensions(x509, &context, root_extensions) == 0 && X509_sign(x509, pkey, EVP_sha256()) > 0)
		return x509;
	X509_free(x509);
	return NULL;
}

struct demo_ca *demo_ca_new(const char *name, struct err *err)
{
	struct demo_ca *ca = calloc(1, sizeof(*ca));
	X509 *x509 = NULL;

	if (ca == NULL) {
		err_memory(err);
		return NULL;
	}
	ca->pkey = make_key(DEMO_EC_P256);
	x509 = ca->pkey != NULL ? make_root(name, ca->pkey) : NULL;
	if (x509 == NULL)
		failed(err, "root");
	else
		ca->cert = cert_from_x509(x509, err);
	X509_free(x509);
	if (ca->cert != NULL)
		return ca;
	demo_ca_free(ca);
	return NULL;
}

void demo_ca_free(struct demo_ca *ca)
{
	if (ca == NULL)
		return;
	EVP_PKEY_free(ca->pkey);
	cert_free(ca->cert);
	free(ca);
}

struct cert *demo_ca_cert(const struct demo_ca *ca)
{
	return ca->cert;
}

/* What was written into bio goes to pem; written: whether that went well. Takes bio. */
static int take_bio(BIO *bio, bool written, struct buf *pem, struct err *err)
{
	char *p = NULL;
	long n = bio != NULL ? BIO_get_mem_data(bio, &p) : 0;
	int rc = -1;

	if (!written || n <= 0)
		failed(err, "PEM");
	else
		rc = buf_append(pem, p, (size_t)n) == 0 ? 0 : err_memory(err);
	BIO_free(bio);
	return rc;
}

static int key_pem_append(const EVP_PKEY *pkey, struct buf *pem, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	bool written = bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) == 1;

	return take_bio(bio, written, pem, err);
}

static int x509_pem_append(X509 *x509, struct buf *pem, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	bool written = bio != NULL && PEM_write_bio_X509(bio, x509) == 1;

	return take_bio(bio, written, pem, err);
}

int demo_ca_key(const struct demo_ca *ca, struct buf *pem, struct err *err)
{
	return key_pem_append(ca->pkey, pem, err);
}

int demo_cert_pem(const struct cert *cert, struct buf *pem, struct err *err)
{
	return x509_pem_append(cert_x509(cert), pem, err);
}

static int add_address(X509 *x509, X509V3_CTX *context, const char *address)
{
	char value[320];
	int n = snprintf(value, sizeof(value), "email:%s", address);

	if (n < 0 || (size_t)n >= sizeof(value))
		return -1;
	return add_extension(x509, context, NID_subject_alt_name, value);
}

static X509 *make_user(const struct demo_ca *ca, const struct demo_user *user, EVP_PKEY *pkey)
{
	X509 *root = cert_x509(ca->cert), *x509 = make_cert(user->name, root, pkey, user->days);
	X509V3_CTX context;

	if (x509 == NULL)
		return NULL;
	X509V3_set_ctx(&context, root, x509, NULL, NULL, 0);
	if (add_extensions(x509, &context, user_extensions) == 0 &&
	    add_extension(x509, &context, NID_key_usage, key_usages[user->key]) == 0 &&
	    add_address(x509, &context, user->address) == 0 && X509_sign(x509, ca->pkey, EVP_sha256()) > 0)
		return x509;
	X509_free(x509);
	return NULL;
}

int demo_ca_issue(const struct demo_ca *ca, const struct demo_user *user, struct buf *cert_pem, struct buf *key_pem,
		  struct err *err)
{
	EVP_PKEY *pkey = make_key(user->key);
	X509 *x509 = pkey != NULL ? make_user(ca, user, pkey) : NULL;
	int rc = -1;

	if (x509 == NULL) {
		failed(err, user->address);
		goto out;
	}
	if (x509_pem_append(x509, cert_pem, err) != 0 || key_pem_append(pkey, key_pem, err) != 0 ||
	    x509_pem_append(x509, key_pem, err) != 0 || x509_pem_append(cert_x509(ca->cert), key_pem, err) != 0)
		goto out;
	rc = 0;
out:
	X509_free(x509);
	EVP_PKEY_free(pkey);
	return rc;
}
