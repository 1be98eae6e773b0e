/* testpki.c - see testpki.h. Keys are made anew for each certificate: nothing here is worth keeping. */
#include "support/testpki.h"

#include <fcntl.h>
#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pki/pki_internal.h"

#define DAY_S ((time_t)24 * 3600)

#define MUST(condition) \
	do { \
		if (!(condition)) \
			give_up(#condition, __LINE__); \
	} while (0)

static void give_up(const char *what, int line)
{
	fprintf(stderr, "testpki.c:%d: %s failed\n", line, what);
	ERR_print_errors_fp(stderr);
	abort();
}

static EVP_PKEY *make_rsa(const char *type, unsigned bits)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;

	MUST(context != NULL && EVP_PKEY_keygen_init(context) == 1);
	MUST(EVP_PKEY_CTX_set_rsa_keygen_bits(context, (int)bits) == 1 && EVP_PKEY_keygen(context, &pkey) == 1);
	EVP_PKEY_CTX_free(context);
	return pkey;
}

static EVP_PKEY *make_key(enum testpki_key_type type)
{
	switch (type) {
	case TESTPKI_P256:
		return EVP_EC_gen("P-256");
	case TESTPKI_P384:
		return EVP_EC_gen("P-384");
	case TESTPKI_P521:
		return EVP_EC_gen("P-521");
	case TESTPKI_BRAINPOOL:
		return EVP_EC_gen("brainpoolP256r1");
	case TESTPKI_RSA2048:
		return make_rsa("RSA", 2048);
	case TESTPKI_RSA3072:
		return make_rsa("RSA", 3072);
	case TESTPKI_RSA1024:
		return make_rsa("RSA", 1024);
	case TESTPKI_RSA_PSS:
		return make_rsa("RSA-PSS", 2048);
	case TESTPKI_ED25519:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	}
	return NULL;
}

static void add_name_part(X509_NAME *name, const char *type, const char *text)
{
	if (text != NULL && text[0] != '\0')
		MUST(X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8, (const unsigned char *)text, -1, -1,
						0) == 1);
}

static void set_names(X509 *x509, const struct testpki *issuer, const struct testpki_spec *spec)
{
	X509_NAME *name = X509_NAME_new();

	MUST(name != NULL);
	add_name_part(name, "O", spec->organisation == NULL ? "Test" : spec->organisation);
	add_name_part(name, "CN", spec->cn == NULL ? "Test" : spec->cn);
	add_name_part(name, "emailAddress", spec->dn_email);
	MUST(X509_set_subject_name(x509, name) == 1);
	MUST(X509_set_issuer_name(x509, issuer == NULL ? name : X509_get_subject_name(issuer->x509)) == 1);
	X509_NAME_free(name);
}

static void set_serial(X509 *x509, long serial)
{
	BIGNUM *number = BN_new();

	MUST(number != NULL);
	MUST(serial != 0 ? BN_set_word(number, (BN_ULONG)labs(serial)) == 1 :
			   BN_rand(number, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1);
	BN_set_negative(number, serial < 0);
	MUST(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)) != NULL);
	BN_free(number);
}

static void add_extension(X509 *x509, X509V3_CTX *context, int nid, const char *value)
{
	X509_EXTENSION *extension = NULL;

	if (value == NULL || value[0] == '\0')
		return;
	extension = X509V3_EXT_nconf_nid(NULL, context, nid, value);
	MUST(extension != NULL && X509_add_ext(x509, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

static void add_extra(X509 *x509, X509V3_CTX *context, const struct testpki_spec *spec)
{
	X509_EXTENSION *extension = NULL;

	if (spec->extra_oid == NULL)
		return;
	extension = X509V3_EXT_nconf(NULL, context, spec->extra_oid, spec->extra_value);
	MUST(extension != NULL && X509_add_ext(x509, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

/* SAN with an SmtpUTF8Mailbox behind what spec->san says. */
static void add_utf8_mailbox(X509 *x509, const char *mailbox)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_UTF8STRING *text = ASN1_UTF8STRING_new();
	ASN1_TYPE *value = ASN1_TYPE_new();

	if (names == NULL)
		names = GENERAL_NAMES_new();
	MUST(names != NULL && name != NULL && text != NULL && value != NULL);
	MUST(ASN1_STRING_set(text, mailbox, -1) == 1);
	ASN1_TYPE_set(value, V_ASN1_UTF8STRING, text);
	MUST(GENERAL_NAME_set0_othername(name, OBJ_nid2obj(NID_id_on_SmtpUTF8Mailbox), value) == 1);
	MUST(sk_GENERAL_NAME_push(names, name) > 0);
	MUST(X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE) == 1);
	GENERAL_NAMES_free(names);
}

static const char *or_default(const char *value, bool ca, const char *preset)
{
	return value != NULL ? value : ca ? preset : "";
}

static void add_extensions(X509 *x509, const struct testpki *issuer, const struct testpki_spec *spec)
{
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer == NULL ? x509 : issuer->x509, x509, NULL, NULL, 0);
	X509V3_set_ctx_nodb(&context);
	add_extension(x509, &context, NID_basic_constraints, or_default(spec->basic, spec->ca, "critical,CA:TRUE"));
	add_extension(x509, &context, NID_key_usage, or_default(spec->usage, spec->ca, "critical,keyCertSign,cRLSign"));
	add_extension(x509, &context, NID_ext_key_usage, spec->eku);
	add_extension(x509, &context, NID_subject_alt_name, spec->san);
	if (spec->utf8_mailbox != NULL)
		add_utf8_mailbox(x509, spec->utf8_mailbox);
	add_extension(x509, &context, NID_name_constraints, spec->name_constraints);
	add_extra(x509, &context, spec);
	if (spec->no_key_ids)
		return;
	add_extension(x509, &context, NID_subject_key_identifier, "hash");
	add_extension(x509, &context, NID_authority_key_identifier, issuer == NULL ? "" : "keyid");
}

static const EVP_MD *digest_for(const EVP_PKEY *pkey, const EVP_MD *wanted)
{
	if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_ED25519)
		return NULL;
	return wanted == NULL ? EVP_sha256() : wanted;
}

struct testpki *testpki_make(const struct testpki *issuer, const struct testpki_spec *spec)
{
	struct testpki *pki = calloc(1, sizeof(*pki));
	time_t now = time(NULL);
	EVP_PKEY *signer;

	MUST(pki != NULL);
	pki->issuer = issuer;
	pki->pkey = spec->pkey != NULL ? spec->pkey : make_key(spec->key);
	MUST(pki->pkey != NULL);
	if (spec->pkey != NULL)
		EVP_PKEY_up_ref(spec->pkey);
	pki->x509 = X509_new();
	MUST(pki->x509 != NULL && X509_set_version(pki->x509, X509_VERSION_3) == 1);
	set_names(pki->x509, issuer, spec);
	set_serial(pki->x509, spec->serial);
	MUST(ASN1_TIME_set(X509_getm_notBefore(pki->x509), spec->not_before != 0 ? spec->not_before : now - DAY_S));
	MUST(ASN1_TIME_set(X509_getm_notAfter(pki->x509), spec->not_after != 0 ? spec->not_after : now + 365 * DAY_S));
	MUST(X509_set_pubkey(pki->x509, pki->pkey) == 1);
	add_extensions(pki->x509, issuer, spec);
	signer = issuer == NULL ? pki->pkey : issuer->pkey;
	MUST(X509_sign(pki->x509, signer, digest_for(signer, spec->digest)) > 0);
	return pki;
}

struct testpki *testpki_root(const char *cn)
{
	return testpki_make(NULL, &(struct testpki_spec){ .cn = cn, .ca = true });
}

struct testpki *testpki_sub(const struct testpki *issuer, const char *cn)
{
	return testpki_make(issuer, &(struct testpki_spec){ .cn = cn, .ca = true });
}

static struct testpki *make_leaf(const struct testpki *issuer, const char *address, enum testpki_key_type key,
				 const char *usage)
{
	char san[512];

	snprintf(san, sizeof(san), "email:%s", address);
	return testpki_make(issuer, &(struct testpki_spec){ .cn = address, .key = key, .usage = usage,
							    .eku = "emailProtection", .san = san });
}

struct testpki *testpki_leaf(const struct testpki *issuer, const char *address)
{
	return make_leaf(issuer, address, TESTPKI_P256, "critical,digitalSignature,keyAgreement");
}

struct testpki *testpki_leaf_rsa(const struct testpki *issuer, const char *address)
{
	return make_leaf(issuer, address, TESTPKI_RSA2048, "critical,digitalSignature,keyEncipherment");
}

void testpki_free(struct testpki *pki)
{
	if (pki == NULL)
		return;
	X509_free(pki->x509);
	EVP_PKEY_free(pki->pkey);
	free(pki);
}

struct cert *testpki_cert(const struct testpki *pki)
{
	struct buf der;
	struct cert *cert;

	buf_init(&der, 0);
	testpki_der(pki, &der);
	cert = cert_from_der(buf_slice(&der), NULL);
	MUST(cert != NULL);
	buf_clear(&der);
	return cert;
}

struct key *testpki_key(const struct testpki *pki)
{
	struct cert *cert = testpki_cert(pki), *above;
	struct cert_list chain = { 0 };
	struct key *key;

	for (const struct testpki *up = pki->issuer; up != NULL; up = up->issuer) {
		above = testpki_cert(up);
		MUST(cert_list_add(&chain, above) == 0);
		cert_free(above);
	}
	key = key_new(cert, pki->pkey, &chain, "testpki", NULL);
	MUST(key != NULL);
	cert_list_clear(&chain);
	cert_free(cert);
	return key;
}

static void take_bio(BIO *bio, struct buf *out)
{
	char *bytes = NULL;
	long n = BIO_get_mem_data(bio, &bytes);

	MUST(n >= 0 && buf_append(out, bytes, (size_t)n) == 0);
	BIO_free(bio);
}

static X509_EXTENSION *make_extension(const char *oid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_nconf(NULL, NULL, oid, value);

	MUST(extension != NULL);
	return extension;
}

static void add_entry_issuer(X509_REVOKED *revoked, const struct testpki *issuer)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();

	MUST(names != NULL && name != NULL);
	GENERAL_NAME_set0_value(name, GEN_DIRNAME, X509_NAME_dup(X509_get_subject_name(issuer->x509)));
	MUST(sk_GENERAL_NAME_push(names, name) > 0);
	MUST(X509_REVOKED_add1_ext_i2d(revoked, NID_certificate_issuer, names, 1, X509V3_ADD_DEFAULT) == 1);
	GENERAL_NAMES_free(names);
}

static void add_entry_extensions(X509_REVOKED *revoked, const struct testpki_crl *spec)
{
	ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();
	X509_EXTENSION *extra;

	MUST(reason != NULL && ASN1_ENUMERATED_set(reason, spec->reason) == 1);
	if (spec->reason != 0)
		MUST(X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, reason, 0, X509V3_ADD_DEFAULT) == 1);
	ASN1_ENUMERATED_free(reason);
	if (spec->of != NULL)
		add_entry_issuer(revoked, spec->of);
	if (spec->entry_oid == NULL)
		return;
	extra = make_extension(spec->entry_oid, "critical,DER:05:00");
	MUST(X509_REVOKED_add_ext(revoked, extra, -1) == 1);
	X509_EXTENSION_free(extra);
}

static void add_revoked(X509_CRL *crl, const X509 *x509, time_t at, const struct testpki_crl *spec)
{
	X509_REVOKED *revoked = X509_REVOKED_new();
	ASN1_TIME *when = ASN1_TIME_set(NULL, at);

	MUST(revoked != NULL && when != NULL);
	MUST(X509_REVOKED_set_serialNumber(revoked, (ASN1_INTEGER *)X509_get0_serialNumber(x509)) == 1);
	MUST(X509_REVOKED_set_revocationDate(revoked, when) == 1);
	add_entry_extensions(revoked, spec);
	MUST(X509_CRL_add0_revoked(crl, revoked) == 1);
	ASN1_TIME_free(when);
}

static void set_crl_times(X509_CRL *crl, time_t this_update, time_t next_update)
{
	ASN1_TIME *this = ASN1_TIME_set(NULL, this_update), *next = ASN1_TIME_set(NULL, next_update);

	MUST(this != NULL && next != NULL);
	MUST(X509_CRL_set1_lastUpdate(crl, this) == 1);
	MUST(next_update == -1 || X509_CRL_set1_nextUpdate(crl, next) == 1);
	ASN1_TIME_free(this);
	ASN1_TIME_free(next);
}

/* RFC 5280 5.2.1, where the CA has a key identifier. */
static void add_crl_key_id(X509_CRL *crl, const struct testpki *ca)
{
	X509_EXTENSION *extension = NULL;
	X509V3_CTX context;

	if (X509_get0_subject_key_id(ca->x509) == NULL)
		return;
	X509V3_set_ctx(&context, ca->x509, NULL, NULL, crl, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, NID_authority_key_identifier, "keyid");
	MUST(extension != NULL && X509_CRL_add_ext(crl, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

static void add_number(X509_CRL *crl, int nid, long number)
{
	ASN1_INTEGER *value = ASN1_INTEGER_new();

	MUST(value != NULL && ASN1_INTEGER_set(value, number) == 1);
	if (number != 0)
		MUST(X509_CRL_add1_ext_i2d(crl, nid, value, nid == NID_delta_crl, X509V3_ADD_DEFAULT) == 1);
	ASN1_INTEGER_free(value);
}

/* "URI:…" is one full name of the distribution point; "onlyuser", "onlyCA", "onlyattr", "indirect" are its flags;
 * "reasons" leaves keyCompromise alone; several with commas between them. */
static void add_idp(X509_CRL *crl, const char *text)
{
	ISSUING_DIST_POINT *idp = ISSUING_DIST_POINT_new();
	const char *uri = strstr(text, "URI:");
	GENERAL_NAME *name = NULL;

	MUST(idp != NULL);
	idp->onlyuser = strstr(text, "onlyuser") != NULL ? 0xff : 0;
	idp->onlyCA = strstr(text, "onlyCA") != NULL ? 0xff : 0;
	idp->onlyattr = strstr(text, "onlyattr") != NULL ? 0xff : 0;
	idp->indirectCRL = strstr(text, "indirect") != NULL ? 0xff : 0;
	if (strstr(text, "reasons") != NULL) {
		idp->onlysomereasons = ASN1_BIT_STRING_new();
		MUST(idp->onlysomereasons != NULL && ASN1_BIT_STRING_set_bit(idp->onlysomereasons, 1, 1) == 1);
	}
	if (uri != NULL) {
		idp->distpoint = DIST_POINT_NAME_new();
		name = a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_URI, uri + 4, 0);
		MUST(idp->distpoint != NULL && name != NULL);
		idp->distpoint->type = 0;
		idp->distpoint->name.fullname = GENERAL_NAMES_new();
		MUST(sk_GENERAL_NAME_push(idp->distpoint->name.fullname, name) > 0);
	}
	MUST(X509_CRL_add1_ext_i2d(crl, NID_issuing_distribution_point, idp, 1, X509V3_ADD_DEFAULT) == 1);
	ISSUING_DIST_POINT_free(idp);
}

static void add_crl_extensions(X509_CRL *crl, const struct testpki_crl *spec)
{
	X509_EXTENSION *extra;

	add_number(crl, NID_crl_number, spec->number);
	add_number(crl, NID_delta_crl, spec->base);
	if (spec->idp != NULL)
		add_idp(crl, spec->idp);
	if (!spec->no_key_id)
		add_crl_key_id(crl, spec->ca);
	if (spec->extra_oid == NULL)
		return;
	extra = make_extension(spec->extra_oid, "critical,DER:05:00");
	MUST(X509_CRL_add_ext(crl, extra, -1) == 1);
	X509_EXTENSION_free(extra);
}

static X509_CRL *make_crl(const struct testpki_crl *spec)
{
	const struct testpki *name = spec->name == NULL ? spec->ca : spec->name;
	time_t now = time(NULL), this = spec->this_update != 0 ? spec->this_update : now - 3600;
	X509_CRL *crl = X509_CRL_new();

	MUST(crl != NULL && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1);
	MUST(X509_CRL_set_issuer_name(crl, X509_get_subject_name(name->x509)) == 1);
	set_crl_times(crl, this, spec->next_update != 0 ? spec->next_update : now + 7 * DAY_S);
	for (size_t i = 0; i < spec->n; i++)
		add_revoked(crl, spec->revoked[i]->x509, this, spec);
	add_crl_extensions(crl, spec);
	MUST(X509_CRL_sort(crl) == 1 && X509_CRL_sign(crl, spec->ca->pkey, digest_for(spec->ca->pkey, NULL)) > 0);
	return crl;
}

void testpki_crl_make(const struct testpki_crl *spec, struct buf *out)
{
	X509_CRL *crl = make_crl(spec);
	BIO *bio = BIO_new(BIO_s_mem());

	MUST(bio != NULL && i2d_X509_CRL_bio(bio, crl) == 1);
	take_bio(bio, out);
	X509_CRL_free(crl);
}

void testpki_crl(const struct testpki *ca, const struct testpki *const *revoked, size_t n, time_t this_update,
		 time_t next_update, bool pem, struct buf *out)
{
	X509_CRL *crl = make_crl(&(struct testpki_crl){ .ca = ca, .revoked = revoked, .n = n,
							.this_update = this_update, .next_update = next_update });
	BIO *bio = BIO_new(BIO_s_mem());

	MUST(bio != NULL && (pem ? PEM_write_bio_X509_CRL(bio, crl) : i2d_X509_CRL_bio(bio, crl)) == 1);
	take_bio(bio, out);
	X509_CRL_free(crl);
}

static OCSP_BASICRESP *make_basic(const struct testpki_ocsp *spec)
{
	const struct testpki *signer = spec->signer != NULL ? spec->signer : spec->issuer;
	time_t now = time(NULL);
	ASN1_TIME *this = ASN1_TIME_set(NULL, spec->this_update != 0 ? spec->this_update : now - 3600);
	ASN1_TIME *next = ASN1_TIME_set(NULL, spec->next_update != 0 ? spec->next_update : now + 7 * DAY_S);
	OCSP_CERTID *id = OCSP_cert_to_id(spec->sha256 ? EVP_sha256() : EVP_sha1(), spec->cert->x509,
					  spec->issuer->x509);
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	unsigned long flags = (spec->no_cert ? OCSP_NOCERTS : 0) | (spec->by_key ? OCSP_RESPID_KEY : 0);

	MUST(this != NULL && next != NULL && id != NULL && basic != NULL);
	MUST(OCSP_basic_add1_status(basic, id, spec->status, 0, this, this, spec->next_update == -1 ? NULL : next) !=
	     NULL);
	MUST(OCSP_basic_sign(basic, signer->x509, signer->pkey, digest_for(signer->pkey, NULL), NULL, flags) == 1);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(this);
	ASN1_TIME_free(next);
	return basic;
}

void testpki_ocsp_make(const struct testpki_ocsp *spec, struct buf *out)
{
	OCSP_BASICRESP *basic = make_basic(spec);
	OCSP_RESPONSE *response = OCSP_response_create(spec->response_status,
						       spec->response_status == 0 ? basic : NULL);
	BIO *bio = BIO_new(BIO_s_mem());

	MUST(response != NULL && bio != NULL && ASN1_item_i2d_bio(ASN1_ITEM_rptr(OCSP_RESPONSE), bio, response) == 1);
	take_bio(bio, out);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
}

void testpki_pem(const struct testpki *pki, unsigned what, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());

	MUST(bio != NULL);
	if ((what & TESTPKI_KEY) != 0)
		MUST(PEM_write_bio_PKCS8PrivateKey(bio, pki->pkey, NULL, NULL, 0, NULL, NULL) == 1);
	if ((what & TESTPKI_ENCRYPTED_KEY) != 0)
		MUST(PEM_write_bio_PKCS8PrivateKey(bio, pki->pkey, EVP_aes_256_cbc(), "secret", 6, NULL, NULL) == 1);
	if ((what & TESTPKI_CERT) != 0)
		MUST(PEM_write_bio_X509(bio, pki->x509) == 1);
	for (const struct testpki *up = pki->issuer; (what & TESTPKI_CHAIN) != 0 && up != NULL; up = up->issuer)
		MUST(PEM_write_bio_X509(bio, up->x509) == 1);
	take_bio(bio, out);
}

void testpki_der(const struct testpki *pki, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());

	MUST(bio != NULL && i2d_X509_bio(bio, pki->x509) == 1);
	take_bio(bio, out);
}

void testpki_p7b(const struct testpki *const *pkis, size_t n, bool pem, struct buf *out)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	CMS_ContentInfo *cms = NULL;
	BIO *bio = BIO_new(BIO_s_mem());
	unsigned char *der = NULL;
	int der_n = 0;

	MUST(certs != NULL && bio != NULL);
	for (size_t i = 0; i < n; i++)
		MUST(sk_X509_push(certs, pkis[i]->x509) > 0);
	cms = CMS_sign(NULL, NULL, certs, NULL, CMS_DETACHED | CMS_PARTIAL);
	MUST(cms != NULL && (der_n = i2d_CMS_ContentInfo(cms, &der)) > 0);
	MUST(pem ? PEM_write_bio(bio, "PKCS7", "", der, der_n) > 0 : BIO_write(bio, der, der_n) == der_n);
	take_bio(bio, out);
	OPENSSL_free(der);
	CMS_ContentInfo_free(cms);
	sk_X509_free(certs);
}

void testpki_p12(const struct testpki *pki, const char *passphrase, struct buf *out)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	BIO *bio = BIO_new(BIO_s_mem());
	PKCS12 *p12 = NULL;

	MUST(chain != NULL && bio != NULL);
	for (const struct testpki *up = pki->issuer; up != NULL; up = up->issuer)
		MUST(sk_X509_push(chain, up->x509) > 0);
	p12 = PKCS12_create(passphrase, "test", pki->pkey, pki->x509, chain, 0, 0, 2048, 2048, 0);
	MUST(p12 != NULL && i2d_PKCS12_bio(bio, p12) == 1);
	take_bio(bio, out);
	PKCS12_free(p12);
	sk_X509_free(chain);
}

void testpki_write(const char *path, const struct buf *bytes, unsigned mode)
{
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	MUST(fd >= 0 && write(fd, bytes->p, bytes->n) == (ssize_t)bytes->n && fchmod(fd, mode) == 0);
	close(fd);
}

void testpki_write_pem(const char *path, const struct testpki *pki, unsigned what)
{
	struct buf bytes;

	buf_init(&bytes, 0);
	testpki_pem(pki, what, &bytes);
	testpki_write(path, &bytes, (what & (TESTPKI_KEY | TESTPKI_ENCRYPTED_KEY)) != 0 ? 0600 : 0644);
	buf_clear(&bytes);
}
