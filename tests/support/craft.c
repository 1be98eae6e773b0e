/* craft.c - see craft.h. */
#include "craft.h"

#include <openssl/err.h>
#include <openssl/ess.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "craft: %s failed\n", what);
	ERR_print_errors_fp(stderr);
	exit(99);
}

/* SigningCertificateV2 with one ESSCertIDv2: a SHA-256, and an IssuerSerial where that is wished. */
static void add_ess(CMS_SignerInfo *info, const struct craft_signer *signer)
{
	ESS_SIGNING_CERT_V2 *value = OSSL_ESS_signing_cert_v2_new_init(EVP_sha256(), signer->ess->x509, NULL,
								       signer->ess_serial != CRAFT_ESS_NO_SERIAL);
	ASN1_STRING *sequence = ASN1_STRING_type_new(V_ASN1_SEQUENCE);
	unsigned char *der = NULL;
	int n = value == NULL ? -1 : i2d_ESS_SIGNING_CERT_V2(value, &der);

	need(n > 0 && sequence != NULL, "ESS certificate");
	if (signer->ess_serial == CRAFT_ESS_WRONG_SERIAL)	/* the number stands last */
		der[n - 1] ^= 1;
	ASN1_STRING_set0(sequence, der, n);
	need(CMS_signed_add1_attr_by_NID(info, NID_id_smime_aa_signingCertificateV2, V_ASN1_SEQUENCE, sequence,
		-1) == 1,
	     "CMS_signed_add1_attr_by_NID");
	ASN1_STRING_free(sequence);
	ESS_SIGNING_CERT_V2_free(value);
}

/* tag and length in front of it. */
static void enclose(struct buf *content, int constructed, int tag, int class)
{
	unsigned char *der = malloc((size_t)ASN1_object_size(constructed, (int)content->n, tag)), *p = der;
	struct buf whole;

	buf_init(&whole, 0);
	need(der != NULL, "memory");
	ASN1_put_object(&p, constructed, (int)content->n, tag, class);
	need(buf_append(&whole, der, (size_t)(p - der)) == 0 && buf_append_slice(&whole, buf_slice(content)) == 0, "memory");
	free(der);
	buf_clear(content);
	*content = whole;
}

static void write_serial(const X509 *x509, struct buf *out)
{
	unsigned char *name = NULL, *serial = NULL;
	int n = i2d_X509_NAME(X509_get_issuer_name(x509), &name);
	int m = i2d_ASN1_INTEGER(X509_get0_serialNumber(x509), &serial);

	need(n > 0 && m > 0 && buf_append(out, name, (size_t)n) == 0 && buf_append(out, serial, (size_t)m) == 0, "serial");
	OPENSSL_free(name);
	OPENSSL_free(serial);
}

static void write_preference(const struct craft_signer *signer, struct buf *out)
{
	X509 *x509 = signer->prefers->x509;
	const ASN1_OCTET_STRING *key_id = X509_get0_subject_key_id(x509);
	const bool by_id = signer->preference == CRAFT_PREFERS_KEY_ID || signer->preference == CRAFT_PREFERS_ALT_KEY_ID;

	if (by_id)
		need(buf_append(out, ASN1_STRING_get0_data(key_id), (size_t)ASN1_STRING_length(key_id)) == 0, "memory");
	else
		write_serial(x509, out);
	if (signer->preference == CRAFT_PREFERS_KEY_ID) {
		enclose(out, 0, V_ASN1_OCTET_STRING, V_ASN1_UNIVERSAL);
		enclose(out, 1, 1, V_ASN1_CONTEXT_SPECIFIC);
	} else if (signer->preference == CRAFT_PREFERS_ALT_KEY_ID) {
		enclose(out, 0, 2, V_ASN1_CONTEXT_SPECIFIC);
	} else if (signer->preference == CRAFT_PREFERS_OUTLOOK) {
		enclose(out, 1, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	} else {
		enclose(out, 1, signer->preference == CRAFT_PREFERS_JUNK ? 7 : 0, V_ASN1_CONTEXT_SPECIFIC);
	}
}

/* OpenSSL makes no attribute whose value has a context tag, but reads one. */
static void add_preference(CMS_SignerInfo *info, const struct craft_signer *signer)
{
	const char *name = signer->preference == CRAFT_PREFERS_OUTLOOK ? "1.3.6.1.4.1.311.16.4" :
			   "1.2.840.113549.1.9.16.2.11";
	ASN1_OBJECT *object = OBJ_txt2obj(name, 1);
	unsigned char *oid = NULL;
	int n = i2d_ASN1_OBJECT(object, &oid);
	const unsigned char *p = NULL;
	X509_ATTRIBUTE *attribute;
	struct buf der, value;

	buf_init(&der, 0);
	buf_init(&value, 0);
	write_preference(signer, &value);
	enclose(&value, 1, V_ASN1_SET, V_ASN1_UNIVERSAL);
	need(n > 0 && buf_append(&der, oid, (size_t)n) == 0 && buf_append_slice(&der, buf_slice(&value)) == 0, "memory");
	enclose(&der, 1, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	p = der.p;
	attribute = d2i_X509_ATTRIBUTE(NULL, &p, (long)der.n);
	need(attribute != NULL && CMS_signed_add1_attr(info, attribute) == 1, "key preference");
	X509_ATTRIBUTE_free(attribute);
	OPENSSL_free(oid);
	ASN1_OBJECT_free(object);
	buf_clear(&der);
	buf_clear(&value);
}

static void add_gcm(CMS_SignerInfo *info)
{
	STACK_OF(X509_ALGOR) *list = NULL;

	need(CMS_add_simple_smimecap(&list, NID_aes_256_gcm, -1) == 1 &&
	     CMS_add_simple_smimecap(&list, NID_aes_256_cbc, -1) == 1 && CMS_add_smimecap(info, list) == 1, "capabilities");
	sk_X509_ALGOR_pop_free(list, X509_ALGOR_free);
}

static void add_time(CMS_SignerInfo *info, time_t at)
{
	ASN1_TIME *time = X509_time_adj(NULL, 0, &at);

	need(time != NULL && CMS_signed_add1_attr_by_NID(info, NID_pkcs9_signingTime, time->type, time, -1) == 1,
	     "signing time");
	ASN1_TIME_free(time);
}

static void add_signer(CMS_ContentInfo *cms, const struct craft_signer *signer)
{
	const EVP_MD *md = signer->md == NULL ? EVP_sha256() : signer->md;
	unsigned flags = signer->flags | (signer->pss ? CMS_KEY_PARAM : 0) | (signer->gcm ? CMS_NOSMIMECAP : 0);
	CMS_SignerInfo *info = CMS_add1_signer(cms, signer->pki->x509, signer->pki->pkey, md, flags);
	EVP_PKEY_CTX *context;

	need(info != NULL, "CMS_add1_signer");
	if (signer->ess != NULL)
		add_ess(info, signer);
	if (signer->prefers != NULL)
		add_preference(info, signer);
	if (signer->gcm)
		add_gcm(info);
	if (signer->signed_at != 0)
		add_time(info, signer->signed_at);
	if (!signer->pss)
		return;
	context = CMS_SignerInfo_get0_pkey_ctx(info);
	need(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
	     EVP_PKEY_CTX_set_rsa_pss_saltlen(context, signer->salt_bytes == 0 ? RSA_PSS_SALTLEN_DIGEST :
					      signer->salt_bytes) == 1, "PSS parameters");
}

static void write_der(CMS_ContentInfo *cms, struct buf *der)
{
	unsigned char *bytes = NULL;
	int n = i2d_CMS_ContentInfo(cms, &bytes);

	need(n > 0 && buf_append(der, bytes, (size_t)n) == 0, "i2d_CMS_ContentInfo");
	OPENSSL_free(bytes);
}

static void set_content(CMS_ContentInfo *cms, struct slice bytes)
{
	ASN1_OCTET_STRING **content = CMS_get0_content(cms);

	ASN1_OCTET_STRING_free(*content);	/* a new one: the old may be marked as to be streamed */
	*content = ASN1_OCTET_STRING_new();
	need(ASN1_STRING_set(*content, bytes.p, (int)bytes.n) == 1, "content");
}

static void finish_unsigned(CMS_ContentInfo *cms, struct slice content, bool detached)
{
	ASN1_OCTET_STRING **inside = CMS_get0_content(cms);

	if (!detached) {
		set_content(cms, content);
		return;
	}
	ASN1_OCTET_STRING_free(*inside);
	*inside = NULL;
}

static void add_crls(CMS_ContentInfo *cms, const char *file)
{
	BIO *bio = BIO_new_file(file, "r");
	X509_CRL *crl;

	need(bio != NULL, file);
	while ((crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL)
		need(CMS_add0_crl(cms, crl) == 1, "CMS_add0_crl");
	ERR_clear_error();
	BIO_free(bio);
}

void craft_cms(const struct craft *craft, struct slice content, struct buf *der)
{
	unsigned flags = CMS_PARTIAL | CMS_BINARY | (craft->detached ? CMS_DETACHED : 0);
	CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
	BIO *bio = BIO_new_mem_buf(content.n == 0 ? "" : content.p, (int)content.n);

	need(cms != NULL && bio != NULL, "CMS_sign");
	if (craft->content_type != 0)
		need(CMS_set1_eContentType(cms, OBJ_nid2obj(craft->content_type)) == 1, "CMS_set1_eContentType");
	for (size_t i = 0; i < 4 && craft->signers[i].pki != NULL; i++)
		add_signer(cms, &craft->signers[i]);
	for (size_t i = 0; i < 8 && craft->extra[i] != NULL; i++)
		need(CMS_add1_cert(cms, craft->extra[i]->x509) == 1, "CMS_add1_cert");
	if (craft->crl_file != NULL)
		add_crls(cms, craft->crl_file);
	if (craft->signers[0].pki == NULL)	/* CMS_final makes nothing without signers */
		finish_unsigned(cms, content, craft->detached);
	else
		need(CMS_final(cms, bio, NULL, flags) == 1, "CMS_final");
	if (craft->other_content != NULL)
		set_content(cms, slice_of(craft->other_content));
	write_der(cms, der);
	BIO_free(bio);
	CMS_ContentInfo_free(cms);
}

void craft_envelope(const struct testpki *recipient, const EVP_CIPHER *cipher, struct slice content, struct buf *der)
{
	craft_envelope_for(&recipient, 1, false, cipher, content, der);
}

void craft_envelope_for(const struct testpki *const *recipients, size_t n, bool key_id, const EVP_CIPHER *cipher,
			struct slice content, struct buf *der)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	BIO *bio = BIO_new_mem_buf(content.p, (int)content.n);
	CMS_ContentInfo *cms;

	need(certs != NULL, "recipients");
	for (size_t i = 0; i < n; i++)
		need(sk_X509_push(certs, recipients[i]->x509) > 0, "recipients");
	cms = CMS_encrypt(certs, bio, cipher, key_id ? CMS_BINARY | CMS_USE_KEYID : CMS_BINARY);
	need(cms != NULL, "CMS_encrypt");
	write_der(cms, der);
	CMS_ContentInfo_free(cms);
	BIO_free(bio);
	sk_X509_free(certs);
}

void craft_base64(struct slice bytes, struct buf *out)
{
	unsigned char line[80];

	for (size_t at = 0; at < bytes.n; at += 48) {
		int n = EVP_EncodeBlock(line, (const unsigned char *)bytes.p + at,
					(int)(bytes.n - at < 48 ? bytes.n - at : 48));

		need(buf_append(out, line, (size_t)n) == 0 && buf_append_text(out, "\r\n") == 0, "memory");
	}
}

void craft_clear(const char *header, struct slice entity, struct slice der, struct buf *out)
{
	need(buf_printf(out, "%sMIME-Version: 1.0\r\nContent-Type: multipart/signed; "
			"protocol=\"application/pkcs7-signature\";\r\n micalg=sha-256; boundary=\"=-cut\"\r\n\r\n"
			"This is a signed message.\r\n--=-cut\r\n", header) == 0 &&
	     buf_append_slice(out, entity) == 0 &&
	     buf_append_text(out, "\r\n--=-cut\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n"
			     "Content-Transfer-Encoding: base64\r\n\r\n") == 0, "memory");
	craft_base64(der, out);
	need(buf_append_text(out, "\r\n--=-cut--\r\n") == 0, "memory");
}

void craft_opaque(const char *header, const char *smime_type, struct slice der, struct buf *out)
{
	need(buf_printf(out, "%sMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=%s;\r\n"
			" name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n", header, smime_type) == 0,
				"memory");
	craft_base64(der, out);
}
