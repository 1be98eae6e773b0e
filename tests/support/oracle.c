/* oracle.c - see oracle.h. Deliberately simple and strict: what it does not understand is wrong. */
#include "support/oracle.h"

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "support/words.h"

void oracle_split(struct slice entity, struct slice *header, struct slice *body)
{
	const char *end = entity.n >= 2 && memcmp(entity.p, "\r\n", 2) == 0 ? entity.p : words_find(entity, "\r\n\r\n");

	*header = *body = slice_make(NULL, 0);
	if (end == NULL) {
		*header = entity;
		return;
	}
	*header = slice_make(entity.p, end == entity.p ? 0 : (size_t)(end - entity.p) + 2);
	*body = slice_from(entity, end == entity.p ? 2 : header->n + 2);
}

/* The length of the field that begins at p, folds included. */
static size_t field_length(struct slice header, size_t at)
{
	size_t end = at;

	do {
		const char *lf = memchr(header.p + end, '\n', header.n - end);

		end = lf != NULL ? (size_t)(lf - header.p) + 1 : header.n;
	} while (end < header.n && (header.p[end] == ' ' || header.p[end] == '\t'));
	return end - at;
}

static char *unfold(const char *p, size_t n)
{
	char *out = malloc(n + 1);
	size_t used = 0;

	if (out == NULL)
		abort();
	while (n > 0 && strchr(" \t\r\n", *p) != NULL) {
		p++;
		n--;
	}
	for (size_t i = 0; i < n; i++)
		if (p[i] != '\r' && p[i] != '\n')
			out[used++] = p[i];
	while (used > 0 && (out[used - 1] == ' ' || out[used - 1] == '\t'))
		used--;
	out[used] = '\0';
	return out;
}

char *oracle_field(struct slice entity, const char *name, size_t index)
{
	struct slice header, body;
	size_t n = strlen(name), length;

	oracle_split(entity, &header, &body);
	for (size_t at = 0; at < header.n; at += length) {
		length = field_length(header, at);
		if (length > n && strncasecmp(header.p + at, name, n) == 0 && header.p[at + n] == ':' && index-- == 0)
			return unfold(header.p + at + n + 1, length - n - 1);
	}
	return NULL;
}

char *oracle_parameter(const char *value, const char *name)
{
	size_t n = strlen(name);
	const char *p = value, *end;

	while ((p = strchr(p, ';')) != NULL) {
		p += 1 + strspn(p + 1, " \t");
		if (strncasecmp(p, name, n) != 0 || p[n] != '=')
			continue;
		p += n + 1;
		end = *p == '"' ? strchr(++p, '"') : p + strcspn(p, "; \t");
		return end != NULL ? strndup(p, (size_t)(end - p)) : NULL;
	}
	return NULL;
}

static bool field_starts(struct slice entity, const char *name, const char *start)
{
	char *value = oracle_field(entity, name, 0);
	bool is = value != NULL && strncasecmp(value, start, strlen(start)) == 0;

	free(value);
	return is;
}

static bool parameter_is(struct slice entity, const char *name, const char *wanted)
{
	char *value = oracle_field(entity, "Content-Type", 0);
	char *parameter = value != NULL ? oracle_parameter(value, name) : NULL;
	bool is = parameter != NULL && strcasecmp(parameter, wanted) == 0;

	free(parameter);
	free(value);
	return is;
}

static int append(struct buf *out, const void *p, size_t n)
{
	if (buf_append(out, p, n) != 0)
		abort();
	return 0;
}

static const char *decode_base64_text(struct slice text, struct buf *out)
{
	EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
	unsigned char *to = malloc(text.n + 8);
	int n = 0, last = 0;
	bool good;

	if (ctx == NULL || to == NULL)
		abort();
	EVP_DecodeInit(ctx);
	good = EVP_DecodeUpdate(ctx, to, &n, (const unsigned char *)text.p, (int)text.n) >= 0 &&
	       EVP_DecodeFinal(ctx, to + n, &last) >= 0;
	append(out, to, (size_t)(n + last));
	EVP_ENCODE_CTX_free(ctx);
	free(to);
	return good ? NULL : "not base64";
}

static const char *decode_qp_text(struct slice text, struct buf *out)
{
	char hex[3] = "", *end = NULL, c;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '=') {
			append(out, text.p + i, 1);
			continue;
		}
		if (i + 2 >= text.n)
			return "quoted-printable ends in the middle";
		if (memcmp(text.p + i + 1, "\r\n", 2) != 0) {
			memcpy(hex, text.p + i + 1, 2);
			c = (char)strtoul(hex, &end, 16);
			if (*end != '\0')
				return "not quoted-printable";
			append(out, &c, 1);
		}
		i += 2;
	}
	return NULL;
}

const char *oracle_decode(struct slice entity, struct buf *out)
{
	char *encoding = oracle_field(entity, "Content-Transfer-Encoding", 0);
	const char *why = NULL;
	struct slice header, body;

	oracle_split(entity, &header, &body);
	if (encoding != NULL && strcasecmp(encoding, "base64") == 0)
		why = decode_base64_text(body, out);
	else if (encoding != NULL && strcasecmp(encoding, "quoted-printable") == 0)
		why = decode_qp_text(body, out);
	else
		append(out, body.p, body.n);
	free(encoding);
	return why;
}

/* The CMS object in an entity's base64 body, nothing behind it. */
static CMS_ContentInfo *read_cms(struct slice entity)
{
	const unsigned char *p = NULL;
	CMS_ContentInfo *cms = NULL;
	struct buf der;

	buf_init(&der, 0);
	if (field_starts(entity, "Content-Transfer-Encoding", "base64") && oracle_decode(entity, &der) == NULL) {
		p = der.p;
		cms = d2i_CMS_ContentInfo(NULL, &p, (long)der.n);
		if (cms != NULL && p != der.p + der.n) {
			CMS_ContentInfo_free(cms);
			cms = NULL;
		}
	}
	buf_clear(&der);
	return cms;
}

/* multipart/signed taken apart: exactly two parts between "--boundary" lines. */
static const char *split_signed(struct slice entity, struct slice *content, struct slice *part)
{
	struct slice header, body;
	char *type = oracle_field(entity, "Content-Type", 0);
	char *boundary = type != NULL ? oracle_parameter(type, "boundary") : NULL;
	char line[300];
	const char *first = NULL, *second = NULL, *last = NULL;
	const char *why = "multipart/signed does not have two parts";

	oracle_split(entity, &header, &body);
	snprintf(line, sizeof(line), "\r\n--%s", boundary != NULL ? boundary : "\n");
	if (boundary == NULL)
		why = "no boundary";
	else if (body.n > strlen(line) && memcmp(body.p, line + 2, strlen(line) - 2) == 0)
		first = body.p - 2;
	else
		first = words_find(body, line);
	if (first != NULL)
		second = words_find(slice_from(body, (size_t)(first - body.p) + strlen(line)), line);
	if (second != NULL)
		last = words_find(slice_from(body, (size_t)(second - body.p) + strlen(line)), line);
	if (last != NULL && memcmp(last + strlen(line), "--", 2) == 0) {
		first += strlen(line) + 2;
		*content = slice_make(first, (size_t)(second - first));
		second += strlen(line) + 2;
		*part = slice_make(second, (size_t)(last - second) + 2);
		why = NULL;
	}
	free(boundary);
	free(type);
	return why;
}

static void describe_signer(CMS_SignerInfo *info, struct oracle_signature *signature)
{
	X509_ALGOR *digest = NULL, *value = NULL;
	const ASN1_OBJECT *oid = NULL;
	int nid;

	CMS_SignerInfo_get0_algs(info, NULL, NULL, &digest, &value);
	X509_ALGOR_get0(&oid, NULL, NULL, digest);
	snprintf(signature->digest, sizeof(signature->digest), "%s", OBJ_nid2sn(OBJ_obj2nid(oid)));
	for (char *p = signature->digest; *p != '\0'; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
	X509_ALGOR_get0(&oid, NULL, NULL, value);
	nid = OBJ_obj2nid(oid);
	snprintf(signature->signature, sizeof(signature->signature), "%s",
		 nid == NID_rsassaPss ? "rsa-pss" : strstr(OBJ_nid2ln(nid), "ecdsa") != NULL ? "ecdsa" : "rsa-pkcs1");
	signature->capabilities = CMS_signed_get_attr_by_NID(info, NID_SMIMECapabilities, -1) >= 0;
	signature->preference = CMS_signed_get_attr_by_NID(info, NID_id_smime_aa_encrypKeyPref, -1) >= 0;
}

static void describe(CMS_ContentInfo *cms, struct oracle_signature *signature)
{
	STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(cms);
	STACK_OF(X509) *certs = CMS_get1_certs(cms);

	memset(signature, 0, sizeof(*signature));
	signature->signers = (unsigned)sk_CMS_SignerInfo_num(infos);
	signature->certs = (unsigned)(certs != NULL ? sk_X509_num(certs) : 0);
	for (int i = 0; certs != NULL && i < sk_X509_num(certs); i++)
		if (X509_self_signed(sk_X509_value(certs, i), 1) == 1)
			signature->with_root = true;
	if (signature->signers > 0)
		describe_signer(sk_CMS_SignerInfo_value(infos, 0), signature);
	sk_X509_pop_free(certs, X509_free);
}

static bool signer_has(CMS_ContentInfo *cms, const char *address)
{
	STACK_OF(X509) *signers = CMS_get0_signers(cms);
	STACK_OF(OPENSSL_STRING) *names = NULL;
	bool has = false;

	for (int i = 0; signers != NULL && i < sk_X509_num(signers); i++) {
		names = X509_get1_email(sk_X509_value(signers, i));
		for (int k = 0; k < sk_OPENSSL_STRING_num(names); k++)
			if (strcasecmp(sk_OPENSSL_STRING_value(names, k), address) == 0)
				has = true;
		X509_email_free(names);
	}
	sk_X509_free(signers);
	return has;
}

/* content.p == NULL: it is in the object. */
static const char *verify_cms(CMS_ContentInfo *cms, struct slice content, const struct testpki *root,
			      const char *address, struct buf *inner)
{
	X509_STORE *store = X509_STORE_new();
	BIO *in = content.p != NULL ? BIO_new_mem_buf(content.p, (int)content.n) : NULL, *out = BIO_new(BIO_s_mem());
	const char *why = NULL;
	char *bytes = NULL;
	long n;

	X509_STORE_add_cert(store, root->x509);
	if (CMS_is_detached(cms) != (content.p != NULL))
		why = "content where none should be, or none where it should be";
	else if (OBJ_obj2nid(CMS_get0_eContentType(cms)) != NID_pkcs7_data)
		why = "eContentType is not id-data";
	else if (CMS_verify(cms, NULL, store, in, out, CMS_BINARY) != 1)
		why = "CMS_verify says no";
	else if (!signer_has(cms, address))
		why = "signed by somebody else";
	n = BIO_get_mem_data(out, &bytes);
	append(inner, content.p != NULL ? content.p : bytes, content.p != NULL ? content.n : (size_t)n);
	BIO_free(in);
	BIO_free(out);
	X509_STORE_free(store);
	return why;
}

/* sha256 is "sha-256" there. */
static bool micalg_fits(struct slice entity, const char *digest)
{
	char micalg[40];

	snprintf(micalg, sizeof(micalg), "sha-%s", strncmp(digest, "sha", 3) == 0 ? digest + 3 : digest);
	return parameter_is(entity, "micalg", micalg);
}

static const char *verify_clear(struct slice entity, const struct testpki *root, const char *address,
				struct buf *inner, struct oracle_signature *signature)
{
	struct slice content, part;
	const char *why = split_signed(entity, &content, &part);
	CMS_ContentInfo *cms = NULL;

	if (why != NULL)
		return why;
	if (!parameter_is(entity, "protocol", "application/pkcs7-signature") ||
	    !field_starts(part, "Content-Type", "application/pkcs7-signature") ||
	    !parameter_is(part, "name", "smime.p7s"))
		return "protocol or signature part are not what S/MIME wants";
	cms = read_cms(part);
	if (cms == NULL)
		return "no CMS object in the signature part";
	describe(cms, signature);
	why = micalg_fits(entity, signature->digest) ? verify_cms(cms, content, root, address, inner) :
						       "micalg is not the digest used";
	CMS_ContentInfo_free(cms);
	return why;
}

const char *oracle_verify(struct slice entity, const struct testpki *root, const char *address, struct buf *inner,
			  struct oracle_signature *signature)
{
	CMS_ContentInfo *cms = NULL;
	const char *why = NULL;

	if (field_starts(entity, "Content-Type", "multipart/signed"))
		return verify_clear(entity, root, address, inner, signature);
	if (!field_starts(entity, "Content-Type", "application/pkcs7-mime") ||
	    !parameter_is(entity, "smime-type", "signed-data") || !parameter_is(entity, "name", "smime.p7m"))
		return "neither multipart/signed nor application/pkcs7-mime; smime-type=signed-data";
	cms = read_cms(entity);
	if (cms == NULL)
		return "no CMS object";
	describe(cms, signature);
	why = verify_cms(cms, slice_make(NULL, 0), root, address, inner);
	CMS_ContentInfo_free(cms);
	return why;
}

static bool is_by_key_id(CMS_RecipientInfo *info)
{
	ASN1_OCTET_STRING *key_id = NULL;
	X509_NAME *issuer = NULL;
	ASN1_INTEGER *serial = NULL;
	CMS_RecipientEncryptedKey *key = NULL;

	if (CMS_RecipientInfo_type(info) == CMS_RECIPINFO_TRANS)
		return CMS_RecipientInfo_ktri_get0_signer_id(info, &key_id, &issuer, &serial) == 1 && key_id != NULL;
	if (CMS_RecipientInfo_type(info) != CMS_RECIPINFO_AGREE)
		return false;
	key = sk_CMS_RecipientEncryptedKey_value(CMS_RecipientInfo_kari_get0_reks(info), 0);
	return CMS_RecipientEncryptedKey_get0_id(key, &key_id, NULL, NULL, &issuer, &serial) == 1 && key_id != NULL;
}

static void describe_recipients(CMS_ContentInfo *cms, struct oracle_envelope *envelope)
{
	STACK_OF(CMS_RecipientInfo) *infos = CMS_get0_RecipientInfos(cms);

	envelope->recipients = (unsigned)sk_CMS_RecipientInfo_num(infos);
	envelope->key_ids = 0;
	for (int i = 0; i < sk_CMS_RecipientInfo_num(infos); i++)
		envelope->key_ids += is_by_key_id(sk_CMS_RecipientInfo_value(infos, i));
}

static void describe_cipher(CMS_ContentInfo *cms, char cipher[32])
{
	unsigned char *bytes = NULL;
	int n = i2d_CMS_ContentInfo(cms, &bytes);
	static const struct { const char *name, *oid; } names[] = {
		{ "aes128-cbc", "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x02" },
		{ "aes128-gcm", "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x06" },
		{ "aes256-cbc", "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a" },
		{ "aes256-gcm", "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2e" },
	};

	snprintf(cipher, 32, "unknown");
	for (size_t i = 0; n > 0 && i < sizeof(names) / sizeof(names[0]); i++)
		if (words_find(slice_make(bytes, (size_t)n), names[i].oid) != NULL)
			snprintf(cipher, 32, "%s", names[i].name);
	OPENSSL_free(bytes);
}

static bool smime_type_fits(struct slice entity, CMS_ContentInfo *cms)
{
	bool gcm = OBJ_obj2nid(CMS_get0_type(cms)) == NID_id_smime_ct_authEnvelopedData;

	return parameter_is(entity, "smime-type", gcm ? "authEnveloped-data" : "enveloped-data") &&
	       parameter_is(entity, "name", "smime.p7m");
}

const char *oracle_decrypt(struct slice entity, const struct testpki *who, struct buf *inner,
			   struct oracle_envelope *envelope)
{
	CMS_ContentInfo *cms = NULL;
	BIO *out = NULL;
	const char *why = NULL;
	char *bytes = NULL;
	long n;

	if (!field_starts(entity, "Content-Type", "application/pkcs7-mime"))
		return "not application/pkcs7-mime";
	cms = read_cms(entity);
	if (cms == NULL)
		return "no CMS object";
	out = BIO_new(BIO_s_mem());
	describe_cipher(cms, envelope->cipher);
	describe_recipients(cms, envelope);
	if (!smime_type_fits(entity, cms))
		why = "smime-type or name do not fit";
	else if (CMS_decrypt(cms, who->pkey, who->x509, NULL, out, CMS_BINARY) != 1)
		why = "CMS_decrypt says no";
	n = BIO_get_mem_data(out, &bytes);
	append(inner, bytes, (size_t)n);
	BIO_free(out);
	CMS_ContentInfo_free(cms);
	return why;
}
