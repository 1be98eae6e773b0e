/* cert.c - a certificate, decoded once into plain values (RFC 5280), with the usage rules of S/MIME (RFC 8550 4.4).
 * Trust is path.c, files with certificates are bundle.c, directories directory*.c. Called by all of pki/ and smime/.
 *
 * Certificates are shared by threads: everything OpenSSL fills in late is made to be filled in before anybody else sees
 * the object. */
#include "pki/cert.h"

#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypt.h"
#include "base/event.h"
#include "pki/pki_internal.h"

#define STRONG_BITS 112	/* of security: SHA-1 has fewer */

#define LIMIT_BYTES ((size_t)1024 * 1024)
#define FIRST_LIST_ITEMS 4
/* Keys up to here verify in well under a millisecond or two; 16384 bits with a long exponent take fifty. */
#define RSA_MAX_BITS 8192
#define RSA_MAX_EXPONENT_BITS 33
#define DSA_MAX_BITS 3072

struct cert {
	atomic_uint references;
	X509 *x509;
	struct arena *arena;	/* what info points to */
	struct cert_info info;
};

/* What is being filled in, so that the parts below stay short. */
struct filling {
	struct arena *arena;
	X509 *x509;
	struct cert_info *info;
	struct address *addresses;
	size_t capacity;
};

/* Bytes that OpenSSL has; p == NULL: exhausted. */
static struct slice copy_string(struct arena *arena, const ASN1_STRING *string)
{
	if (string == NULL)
		return slice_of("");
	return arena_copy(arena, slice_make(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string)));
}

static const char *name_text(struct arena *arena, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes = NULL, *text = NULL;
	long n;

	if (bio == NULL)
		return NULL;
	/* A name that OpenSSL cannot print (say, a BMPString of odd length) still belongs to a certificate. */
	if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) < 0)
		text = arena_strdup(arena, "(unreadable name)");
	else if ((n = BIO_get_mem_data(bio, &bytes)) <= 0)
		text = arena_strdup(arena, "");
	else if ((text = arena_alloc(arena, (size_t)n * 4 + 1)) != NULL)
		event_escape(slice_make(bytes, (size_t)n), text, (size_t)n * 4 + 1);
	BIO_free(bio);
	return text;
}

static struct slice name_der(struct arena *arena, const X509_NAME *name)
{
	const unsigned char *p = NULL;
	size_t n = 0;

	if (X509_NAME_get0_der(name, &p, &n) != 1)
		return slice_make(NULL, 0);
	return arena_copy(arena, slice_make(p, n));
}

static int fill_names(struct filling *f)
{
	const X509_NAME *issuer = X509_get_issuer_name(f->x509), *subject = X509_get_subject_name(f->x509);
	struct cert_info *info = f->info;

	info->issuer = name_text(f->arena, issuer);
	info->subject = name_text(f->arena, subject);
	info->issuer_der = name_der(f->arena, issuer);
	info->subject_der = name_der(f->arena, subject);
	info->skid = copy_string(f->arena, X509_get0_subject_key_id(f->x509));
	return info->issuer == NULL || info->subject == NULL || info->issuer_der.p == NULL ||
	       info->subject_der.p == NULL || info->skid.p == NULL ? -1 : 0;
}

static int fill_serial(struct filling *f)
{
	static const char digits[] = "0123456789ABCDEF";
	const ASN1_INTEGER *serial = X509_get0_serialNumber(f->x509);
	struct slice bytes = slice_make(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));
	unsigned char *der = NULL;
	int n = i2d_ASN1_INTEGER(serial, &der);
	char *text, *to;

	if (n > 0)
		f->info->serial_der = arena_copy(f->arena, slice_make(der, (size_t)n));
	OPENSSL_free(der);
	text = to = arena_alloc(f->arena, 2 * bytes.n + 4);
	if (text == NULL || f->info->serial_der.p == NULL)
		return -1;
	if ((ASN1_STRING_type(serial) & V_ASN1_NEG) != 0)
		*to++ = '-';
	if (bytes.n == 0)
		strcpy(to, "00");
	for (size_t i = 0; i < bytes.n; i++) {
		*to++ = digits[((unsigned char)bytes.p[i]) >> 4];
		*to++ = digits[((unsigned char)bytes.p[i]) & 15];
	}
	f->info->serial = text;
	return 0;
}

static int fill_der(struct filling *f)
{
	unsigned char *der = NULL, digest[CRYPT_SHA256_BYTES];
	int n = i2d_X509(f->x509, &der);
	char *hex = arena_alloc(f->arena, 2 * CRYPT_SHA256_BYTES + 1);

	if (n > 0)
		f->info->der = arena_copy(f->arena, slice_make(der, (size_t)n));
	OPENSSL_free(der);
	if (hex == NULL || f->info->der.p == NULL ||
	    crypt_sha256(f->info->der.p, f->info->der.n, digest, NULL) != 0)
		return -1;
	crypt_hex(digest, sizeof(digest), hex);
	f->info->sha256 = hex;
	return 0;
}

int cert_read_time(const ASN1_TIME *from, time_t *at)
{
	struct tm tm = { 0 };

	if (from == NULL || ASN1_TIME_to_tm(from, &tm) != 1)
		return -1;
	*at = timegm(&tm);
	return 0;
}

static enum key_kind curve_kind(const EVP_PKEY *pkey)
{
	static const struct {
		const char *name;
		enum key_kind kind;
	} curves[] = {
		{ "prime256v1", KEY_EC_P256 }, { "P-256", KEY_EC_P256 }, { "secp384r1", KEY_EC_P384 },
		{ "P-384", KEY_EC_P384 }, { "secp521r1", KEY_EC_P521 }, { "P-521", KEY_EC_P521 },
	};
	char name[64] = "";

	/* Parameters written out instead of a curve's name are nobody's standard curve (RFC 5480 2.1.1). */
	if (EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, name, sizeof(name), NULL) != 1)
		return KEY_EC_OTHER;
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (strcmp(curves[i].name, name) == 0)
			return curves[i].kind;
	return KEY_EC_OTHER;
}

static enum key_kind kind_of(const EVP_PKEY *pkey)
{
	switch (EVP_PKEY_get_base_id(pkey)) {
	case EVP_PKEY_RSA:
		return KEY_RSA;
	case EVP_PKEY_RSA_PSS:
		return KEY_RSA_PSS;
	case EVP_PKEY_EC:
		return curve_kind(pkey);
	case EVP_PKEY_ED25519:
		return KEY_ED25519;
	default:
		return KEY_OTHER;
	}
}

/* A verification grows with the square of the modulus and with the exponent, both of which a stranger chooses. */
static bool is_oversized(const EVP_PKEY *pkey, int bits)
{
	BIGNUM *exponent = NULL;
	bool result = false;

	if (EVP_PKEY_is_a(pkey, "DSA"))
		return bits > DSA_MAX_BITS;
	if (EVP_PKEY_is_a(pkey, "RSA") || EVP_PKEY_is_a(pkey, "RSA-PSS"))
		result = bits > RSA_MAX_BITS || EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &exponent) != 1 ||
			 BN_num_bits(exponent) > RSA_MAX_EXPONENT_BITS;
	BN_free(exponent);
	return result;
}

static void fill_key(struct filling *f)
{
	const EVP_PKEY *pkey = X509_get0_pubkey(f->x509);
	int bits = pkey == NULL ? 0 : EVP_PKEY_get_bits(pkey);

	f->info->oversized = pkey != NULL && is_oversized(pkey, bits);

	f->info->key_kind = pkey == NULL ? KEY_OTHER : kind_of(pkey);
	f->info->bits = bits > 0 ? (unsigned)bits : 0;
}

static unsigned usage_bits(uint32_t usage)
{
	static const struct {
		uint32_t openssl;
		unsigned ours;
	} rows[] = {
		{ X509v3_KU_DIGITAL_SIGNATURE, USAGE_DIGITAL_SIGNATURE },
		{ X509v3_KU_NON_REPUDIATION, USAGE_NON_REPUDIATION },
		{ X509v3_KU_KEY_ENCIPHERMENT, USAGE_KEY_ENCIPHERMENT },
		{ X509v3_KU_KEY_AGREEMENT, USAGE_KEY_AGREEMENT },
		{ X509v3_KU_KEY_CERT_SIGN, USAGE_CERT_SIGN },
		{ X509v3_KU_ENCIPHER_ONLY, USAGE_ENCIPHER_ONLY },
		{ X509v3_KU_DECIPHER_ONLY, USAGE_DECIPHER_ONLY },
	};
	unsigned bits = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if ((usage & rows[i].openssl) != 0)
			bits |= rows[i].ours;
	return bits;
}

/* What else people's certificates in Active Directory are for: a mail certificate may be so too. */
static const char *known_purpose(const X509 *x509)
{
	static const struct { int nid; const char *purpose; } rows[] = {
		{ NID_ms_smartcard_login, "smart-card logon" }, { NID_ms_efs, "file encryption (EFS)" },
	};
	EXTENDED_KEY_USAGE *list = X509_get_ext_d2i(x509, NID_ext_key_usage, NULL, NULL);
	const char *purpose = NULL;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && purpose == NULL; i++)
		for (int j = 0; j < sk_ASN1_OBJECT_num(list); j++)
			if (OBJ_obj2nid(sk_ASN1_OBJECT_value(list, j)) == rows[i].nid)
				purpose = rows[i].purpose;
	sk_ASN1_OBJECT_pop_free(list, ASN1_OBJECT_free);
	return purpose;
}

static void fill_usage(struct filling *f)
{
	/* The first call decodes the extensions for good: later ones, by any thread, only read. */
	bool readable = X509_check_purpose(f->x509, -1, 0) == 1;
	uint32_t flags = X509_get_extension_flags(f->x509), eku;
	struct cert_info *info = f->info;

	info->self_issued = (flags & EXFLAG_SI) != 0;
	/* What cannot be read restricts to nothing. */
	if (!readable || (flags & EXFLAG_INVALID) != 0) {
		info->usage_given = info->eku_given = info->address_bad = true;
		return;
	}
	info->usage_given = (flags & EXFLAG_KUSAGE) != 0;
	info->usage = info->usage_given ? usage_bits(X509_get_key_usage(f->x509)) : 0;
	info->eku_given = (flags & EXFLAG_XKUSAGE) != 0;
	eku = info->eku_given ? X509_get_extended_key_usage(f->x509) : 0;
	info->eku_email = (eku & XKU_SMIME) != 0;
	info->eku_any = (eku & XKU_ANYEKU) != 0;
	info->purpose = info->eku_given ? known_purpose(f->x509) : NULL;
	info->ca = (flags & EXFLAG_CA) != 0;
	info->self_signed = info->self_issued && !info->oversized && X509_self_signed(f->x509, 1) == 1;
}

static bool is_listed(const struct filling *f, const struct address *address)
{
	for (size_t i = 0; i < f->info->address_count; i++)
		if (address_equal(&f->addresses[i], address))
			return true;
	return false;
}

/* A mailbox as RFC 5280 4.2.1.6 wants it: no phrase, comment, angle brackets, white space. Mail's grammar, which
 * address_parse knows, is wider, and what readers make of such a name differs. */
static bool is_plain_mailbox(struct slice text)
{
	bool quoted = text.n > 0 && text.p[0] == '"';

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c < 0x20 || c == 0x7f || (!quoted && memchr(" <>(),;:", c, 8) != NULL))
			return false;
	}
	return text.n > 0;
}

static bool is_ascii(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] > 0x7e)
			return false;
	return true;
}

static int add_address(struct filling *f, struct slice text, bool ascii)
{
	struct address address;

	if (!is_plain_mailbox(text) || (ascii && !is_ascii(text)) ||
	    address_parse(f->arena, text, &address, NULL) != 0 || address.local.n == 0 || address.domain.n == 0) {
		f->info->address_bad = true;
		return 0;
	}
	if (is_listed(f, &address))
		return 0;
	if (f->info->address_count == f->capacity) {
		size_t capacity = f->capacity == 0 ? FIRST_LIST_ITEMS : f->capacity * 2;
		struct address *larger = arena_array(f->arena, capacity, sizeof(*larger));

		if (larger == NULL)
			return -1;
		if (f->capacity > 0)
			memcpy(larger, f->addresses, f->capacity * sizeof(*larger));
		f->addresses = larger;
		f->capacity = capacity;
	}
	f->addresses[f->info->address_count++] = address;
	return 0;
}

static int add_string(struct filling *f, const ASN1_STRING *string, bool ascii)
{
	struct slice text = copy_string(f->arena, string);

	return text.p == NULL ? -1 : add_address(f, text, ascii);
}

static int add_other_name(struct filling *f, const GENERAL_NAME *name)
{
	ASN1_OBJECT *type = NULL;
	ASN1_TYPE *value = NULL;

	if (GENERAL_NAME_get0_otherName(name, &type, &value) != 1 || OBJ_obj2nid(type) != NID_id_on_SmtpUTF8Mailbox)
		return 0;
	if (value == NULL || ASN1_TYPE_get(value) != V_ASN1_UTF8STRING) {
		f->info->address_bad = true;
		return 0;
	}
	return add_string(f, value->value.utf8string, false);
}

/* rfc822Name entries first, so that they are the ones that are shown. */
static int add_alternative_names(struct filling *f)
{
	int critical = -1, rc = 0, type = -1;
	GENERAL_NAMES *names = X509_get_ext_d2i(f->x509, NID_subject_alt_name, &critical, NULL);
	const void *value;

	if (names == NULL) {
		f->info->address_bad = f->info->address_bad || critical != -1;
		return 0;
	}
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && rc == 0; i++) {
		value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
		if (type == GEN_EMAIL)
			rc = add_string(f, value, true);
	}
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && rc == 0; i++) {
		GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
		if (type == GEN_OTHERNAME)
			rc = add_other_name(f, sk_GENERAL_NAME_value(names, i));
	}
	GENERAL_NAMES_free(names);
	return rc;
}

static int add_subject_emails(struct filling *f)
{
	const X509_NAME *subject = X509_get_subject_name(f->x509);
	unsigned char *utf8 = NULL;
	struct slice text;
	int rc = 0;

	for (int i = -1; rc == 0 && (i = X509_NAME_get_index_by_NID(subject, NID_pkcs9_emailAddress, i)) >= 0;) {
		int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)));

		if (n < 0) {
			f->info->address_bad = true;
			continue;
		}
		text = arena_copy(f->arena, slice_make(utf8, (size_t)n));
		OPENSSL_free(utf8);
		rc = text.p == NULL ? -1 : add_address(f, text, true);
	}
	return rc;
}

static int fill_addresses(struct filling *f)
{
	if (add_alternative_names(f) != 0 || add_subject_emails(f) != 0)
		return -1;
	f->info->addresses = f->addresses;
	return 0;
}

static int fill(struct cert *cert, struct err *err)
{
	struct filling f = { .arena = cert->arena, .x509 = cert->x509, .info = &cert->info };

	if (cert_read_time(X509_get0_notBefore(f.x509), &f.info->not_before) != 0 ||
	    cert_read_time(X509_get0_notAfter(f.x509), &f.info->not_after) != 0)
		return err_set(err, ERR_MESSAGE, "RFC 5280 4.1.2.5: the certificate's validity cannot be read");
	fill_key(&f);
	fill_usage(&f);
	if (fill_names(&f) != 0 || fill_serial(&f) != 0 || fill_der(&f) != 0 || fill_addresses(&f) != 0)
		return err_memory(err);
	return 0;
}

struct cert *cert_from_x509(X509 *x509, struct err *err)
{
	struct cert *cert = calloc(1, sizeof(*cert));
	int rc;

	if (cert == NULL || (cert->arena = arena_new(0)) == NULL) {
		free(cert);
		err_memory(err);
		return NULL;
	}
	atomic_init(&cert->references, 1);
	X509_up_ref(x509);
	cert->x509 = x509;
	rc = fill(cert, err);
	ERR_clear_error();
	if (rc == 0)
		return cert;
	cert_free(cert);
	return NULL;
}

struct cert *cert_from_der(struct slice der, struct err *err)
{
	const unsigned char *start = (const unsigned char *)der.p, *p = start;
	struct cert *cert = NULL;
	X509 *x509 = NULL;
	char reason[120];

	if (der.n == 0 || der.n > LIMIT_BYTES || (x509 = d2i_X509(NULL, &p, (long)der.n)) == NULL) {
		err_set(err, ERR_MESSAGE, "RFC 5280 4.1: not a certificate (%s)",
			der.n == 0 ? "empty" : der.n > LIMIT_BYTES ? "too large" :
			openssl_reason(reason, sizeof(reason)));
		goto out;
	}
	if (p != start + der.n) {
		err_set(err, ERR_MESSAGE, "RFC 5280 4.1: %zu bytes behind the certificate",
			(size_t)(start + der.n - p));
		goto out;
	}
	cert = cert_from_x509(x509, err);
	if (cert != NULL && !slice_equal(cert->info.der, der)) {
		/* Two encodings of one certificate would have two fingerprints. */
		err_set(err, ERR_MESSAGE, "RFC 5280 4.1: the certificate is not DER");
		cert_free(cert);
		cert = NULL;
	}
out:
	X509_free(x509);
	return cert;
}

struct cert *cert_ref(struct cert *cert)
{
	atomic_fetch_add(&cert->references, 1);
	return cert;
}

void cert_free(struct cert *cert)
{
	if (cert == NULL || atomic_fetch_sub(&cert->references, 1) != 1)
		return;
	X509_free(cert->x509);
	arena_free(cert->arena);
	free(cert);
}

static void release_cert(void *cert)
{
	cert_free(cert);
}

int cert_defer(struct arena *arena, struct cert *cert)
{
	return arena_defer(arena, release_cert, cert);
}

const struct cert_info *cert_info(const struct cert *cert)
{
	return &cert->info;
}

X509 *cert_x509(const struct cert *cert)
{
	return cert->x509;
}

static bool eku_allows(const struct cert_info *info)
{
	return !info->eku_given || info->eku_email || info->eku_any;
}

bool cert_may_sign(const struct cert *cert)
{
	const struct cert_info *info = &cert->info;

	return eku_allows(info) &&
	       (!info->usage_given || (info->usage & (USAGE_DIGITAL_SIGNATURE | USAGE_NON_REPUDIATION)) != 0);
}

bool cert_may_encrypt(const struct cert *cert)
{
	const struct cert_info *info = &cert->info;

	if (!eku_allows(info))
		return false;
	switch (info->key_kind) {
	case KEY_RSA:
		return !info->usage_given || (info->usage & USAGE_KEY_ENCIPHERMENT) != 0;
	case KEY_EC_P256:
	case KEY_EC_P384:
	case KEY_EC_P521:
	case KEY_EC_OTHER:
		/* Restricted to one direction of the agreement: what that means to CMS is read differently, so no. */
		return !info->usage_given ||
		       (info->usage & (USAGE_KEY_AGREEMENT | USAGE_DECIPHER_ONLY)) == USAGE_KEY_AGREEMENT;
	default:
		return false;
	}
}

bool cert_has_address(const struct cert *cert, const struct address *address)
{
	for (size_t i = 0; i < cert->info.address_count; i++)
		if (address_equal(&cert->info.addresses[i], address))
			return true;
	return false;
}

bool cert_has_issuer(const struct cert *cert, struct slice issuer)
{
	const unsigned char *p = (const unsigned char *)issuer.p;
	X509_NAME *name = NULL;
	bool same = false;

	if (slice_equal(cert->info.issuer_der, issuer))
		return true;
	name = d2i_X509_NAME(NULL, &p, (long)issuer.n);
	if (name != NULL)
		same = X509_NAME_cmp(name, X509_get_issuer_name(cert->x509)) == 0;
	X509_NAME_free(name);
	return same;
}

size_t cert_der_bytes(struct slice bytes)
{
	const unsigned char *start = (const unsigned char *)bytes.p, *p = start;
	int tag = 0, class = 0, form;
	long n = 0;

	if (bytes.n == 0 || bytes.n > LONG_MAX)
		return 0;
	form = ASN1_get_object(&p, &n, &tag, &class, (long)bytes.n);
	ERR_clear_error();
	if (form != V_ASN1_CONSTRUCTED || tag != V_ASN1_SEQUENCE || class != V_ASN1_UNIVERSAL)
		return 0;
	return (size_t)(p - start) + (size_t)n;
}

bool cert_equal(const struct cert *a, const struct cert *b)
{
	return a == b || slice_equal(a->info.der, b->info.der);
}

bool cert_same_key(const struct cert *a, const struct cert *b)
{
	const EVP_PKEY *first = X509_get0_pubkey(a->x509), *second = X509_get0_pubkey(b->x509);
	bool same = first != NULL && second != NULL && EVP_PKEY_eq(first, second) == 1;

	ERR_clear_error();
	return same;
}

bool cert_signed_weakly(const struct cert *cert)
{
	int bits = 0;
	bool known = X509_get_signature_info(cert->x509, NULL, NULL, &bits, NULL) == 1;

	ERR_clear_error();
	return known && bits < STRONG_BITS && !cert->info.self_signed;
}

int cert_list_add(struct cert_list *list, struct cert *cert)
{
	for (size_t i = 0; i < list->n; i++)
		if (cert_equal(list->items[i], cert))
			return 0;
	if (list->n == list->capacity) {
		size_t capacity = list->capacity == 0 ? FIRST_LIST_ITEMS : list->capacity * 2;
		struct cert **larger = reallocarray(list->items, capacity, sizeof(struct cert *));

		if (larger == NULL)
			return -1;
		list->items = larger;
		list->capacity = capacity;
	}
	list->items[list->n++] = cert_ref(cert);
	return 0;
}

void cert_list_clear(struct cert_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		cert_free(list->items[i]);
	free(list->items);
	*list = (struct cert_list){ 0 };
}

static void release_list(void *list)
{
	cert_list_clear(list);
}

int cert_list_defer(struct arena *arena, struct cert_list *list)
{
	struct cert_list *kept = arena_alloc(arena, sizeof(*kept));
	int rc = -1;

	if (kept == NULL) {
		cert_list_clear(list);
		return -1;
	}
	*kept = *list;
	rc = arena_defer(arena, release_list, kept);
	if (rc != 0)
		*list = (struct cert_list){ 0 };
	return rc;
}
