/* test_bundle_values.c - what directories keep under a person's attributes: RFC 2798's signed object with what its owner
 * says in it, Outlook's settings, base64 without BEGIN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/cms.h>
#include <string.h>

#include "pki/bundle.h"
#include "support/testpki.h"

#define OUTLOOK_PREFERENCE "1.3.6.1.4.1.311.16.4"
#define PREFERENCE "1.2.840.113549.1.9.16.2.11"

struct fixture {
	struct testpki *root, *sub, *old, *renewed, *stranger;
	struct buf bytes;
	struct arena *arena;
	struct bundle bundle;
	struct err err;
};

/* How a signed value is made. */
struct making {
	const struct testpki *signer, *preferred;
	const char *preference;		/* the OID it is named under */
	bool no_signer_cert;
};

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	f->root = testpki_root("Root");
	f->sub = testpki_sub(f->root, "Sub");
	f->old = testpki_leaf(f->sub, "a@example.com");
	f->renewed = testpki_leaf_rsa(f->sub, "a@example.com");
	f->stranger = testpki_leaf(NULL, "a@example.com");
	f->arena = arena_new(0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct testpki *all[] = { f->old, f->renewed, f->stranger, f->sub, f->root };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		testpki_free(all[i]);
	arena_free(f->arena);
	buf_clear(&f->bytes);
	test_free(f);
	return 0;
}

static void parse(struct fixture *f)
{
	if (bundle_parse(f->arena, buf_slice(&f->bytes), &f->bundle, &f->err) != 0)
		fail_msg("%s", f->err.text);
}

/* tag and a long length in front of the n bytes at p. */
static unsigned char *enclose(unsigned char *p, size_t *n, unsigned char tag)
{
	const unsigned char head[] = { tag, 0x82, (unsigned char)(*n >> 8), (unsigned char)*n };

	*n += sizeof(head);
	return memcpy(p - sizeof(head), head, sizeof(head));
}

/* An attribute { OID, { [0] IMPLICIT or bare IssuerAndSerialNumber } }. */
static void add_preference(CMS_SignerInfo *signer, const struct testpki *preferred, const char *oid)
{
	unsigned char der[600], *p = der + 100;
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	X509_ATTRIBUTE *attribute;
	size_t n, head;

	i2d_X509_NAME(X509_get_issuer_name(preferred->x509), &p);
	i2d_ASN1_INTEGER(X509_get_serialNumber(preferred->x509), &p);
	n = (size_t)(p - der) - 100;
	p = enclose(der + 100, &n, strcmp(oid, OUTLOOK_PREFERENCE) == 0 ? 0x30 : 0xa0);
	p = enclose(p, &n, 0x31);
	head = (size_t)i2d_ASN1_OBJECT(object, NULL);
	p -= head;
	i2d_ASN1_OBJECT(object, &(unsigned char *){ p });
	n += head;
	p = enclose(p, &n, 0x30);
	attribute = d2i_X509_ATTRIBUTE(NULL, &(const unsigned char *){ p }, (long)n);
	assert_int_equal(CMS_signed_add1_attr(signer, attribute), 1);
	X509_ATTRIBUTE_free(attribute);
	ASN1_OBJECT_free(object);
}

/* RFC 2798 2.8: content absent, Sub and both leaves in it; capabilities: AES-256-GCM. */
static void make(struct fixture *f, struct making making)
{
	unsigned flags = CMS_DETACHED | CMS_PARTIAL | CMS_BINARY | CMS_NOSMIMECAP;
	CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
	CMS_SignerInfo *signer = CMS_add1_signer(cms, making.signer->x509, making.signer->pkey, EVP_sha256(),
						 flags | (making.no_signer_cert ? CMS_NOCERTS : 0));
	const struct testpki *others[] = { f->old, f->renewed, f->sub };
	STACK_OF(X509_ALGOR) *capabilities = NULL;
	BIO *content = BIO_new_mem_buf("", 0);
	unsigned char *der = NULL;
	int n;

	assert_int_equal(CMS_add_simple_smimecap(&capabilities, NID_aes_256_gcm, -1), 1);
	assert_int_equal(CMS_add_smimecap(signer, capabilities), 1);
	if (making.preferred != NULL)
		add_preference(signer, making.preferred, making.preference);
	for (size_t i = 0; i < 3; i++)
		if (others[i] != making.signer)
			assert_int_equal(CMS_add1_cert(cms, others[i]->x509), 1);
	assert_int_equal(CMS_final(cms, content, NULL, flags), 1);
	n = i2d_CMS_ContentInfo(cms, &der);
	assert_true(n > 0);
	buf_reset(&f->bytes);
	buf_append(&f->bytes, der, (size_t)n);
	sk_X509_ALGOR_pop_free(capabilities, X509_ALGOR_free);
	OPENSSL_free(der);
	BIO_free(content);
	CMS_ContentInfo_free(cms);
}

static const struct bundle_entry *entry_of(struct fixture *f, const struct testpki *pki)
{
	struct cert *wanted = testpki_cert(pki);
	const struct bundle_entry *entry = NULL;

	for (size_t i = 0; i < f->bundle.n; i++)
		if (f->bundle.entries[i].cert != NULL && cert_equal(f->bundle.entries[i].cert, wanted))
			entry = &f->bundle.entries[i];
	cert_free(wanted);
	assert_non_null(entry);
	return entry;
}

/* The mark is as good as the value, capabilities are not. */
static void assert_unsigned(struct fixture *f)
{
	parse(f);
	for (size_t i = 0; i < f->bundle.n; i++)
		assert_false(f->bundle.entries[i].capabilities.known);
	assert_true(entry_of(f, f->old)->preferred);
	assert_false(entry_of(f, f->renewed)->preferred);
}

static void capabilities_are_their_signers(void **state)
{
	struct fixture *f = *state;

	make(f, (struct making){ .signer = f->renewed });
	parse(f);
	assert_int_equal(f->bundle.n, 3);
	assert_true(entry_of(f, f->renewed)->capabilities.known);
	assert_int_equal(entry_of(f, f->renewed)->capabilities.ciphers, 1U << CIPHER_AES256_GCM);
	assert_false(entry_of(f, f->old)->capabilities.known);
	assert_false(entry_of(f, f->old)->preferred || entry_of(f, f->renewed)->preferred);
}

static void the_preferred_one_is_marked(void **state)
{
	struct fixture *f = *state;
	static const char *const oids[] = { PREFERENCE, OUTLOOK_PREFERENCE };

	for (size_t i = 0; i < 2; i++) {
		make(f, (struct making){ .signer = f->renewed, .preferred = f->old, .preference = oids[i] });
		parse(f);
		assert_true(entry_of(f, f->old)->preferred);
		assert_false(entry_of(f, f->renewed)->preferred);
		assert_true(entry_of(f, f->renewed)->capabilities.known);
	}
	make(f, (struct making){ .signer = f->old, .preferred = f->stranger, .preference = PREFERENCE });
	parse(f);
	assert_false(entry_of(f, f->old)->preferred || entry_of(f, f->renewed)->preferred);
}

/* Whoever may write into the entry, but has none of its keys. */
static void who_has_no_key_has_no_capabilities(void **state)
{
	struct fixture *f = *state;

	make(f, (struct making){ .signer = f->stranger, .no_signer_cert = true, .preferred = f->old,
				 .preference = PREFERENCE });
	assert_unsigned(f);
	make(f, (struct making){ .signer = f->renewed, .preferred = f->old, .preference = PREFERENCE });
	/* The signature is the object's end. */
	f->bytes.p[f->bytes.n - 5] ^= 1;
	assert_unsigned(f);
	assert_int_equal(f->bundle.n, 3);
}

static void a_strangers_word_is_bound_to_his_certificate(void **state)
{
	struct fixture *f = *state;

	make(f, (struct making){ .signer = f->stranger });
	parse(f);
	assert_int_equal(f->bundle.n, 4);
	assert_true(entry_of(f, f->stranger)->capabilities.known);
	assert_false(entry_of(f, f->old)->capabilities.known || entry_of(f, f->renewed)->capabilities.known);
}

static void append_setting(struct buf *out, unsigned tag, const void *data, size_t n)
{
	const unsigned char head[] = { (unsigned char)tag, (unsigned char)(tag >> 8), (unsigned char)(n + 4),
				       (unsigned char)((n + 4) >> 8) };

	buf_append(out, head, sizeof(head));
	buf_append(out, data, n);
}

static void append_cert(struct buf *out, unsigned tag, const struct testpki *pki)
{
	struct buf der;

	buf_init(&der, 0);
	testpki_der(pki, &der);
	append_setting(out, tag, der.p, der.n);
	buf_clear(&der);
}

static void append_frame(struct buf *out)
{
	append_setting(out, 0x01, "\1\0\0\0", 4);
	append_setting(out, 0x06, "\1\0\0\0", 4);
	append_setting(out, 0x20, "\3\0\0\0", 4);
	append_setting(out, 0x0b, "My S/MIME Settings\0", 19);
	append_setting(out, 0x4711, "unknown", 7);
}

static void reads_outlooks_settings(void **state)
{
	struct fixture *f = *state;

	append_frame(&f->bytes);
	append_setting(&f->bytes, 0x02, "0\13\6\11\x60\x86\x48\1\x65\3\4\1\2", 13);
	append_cert(&f->bytes, 0x03, f->renewed);
	append_cert(&f->bytes, 0x04, f->sub);
	append_cert(&f->bytes, 0x08, f->old);
	append_setting(&f->bytes, 0x22, "01234567890123456789", 20);
	parse(f);
	assert_int_equal(f->bundle.format, BUNDLE_OUTLOOK);
	assert_int_equal(f->bundle.n, 3);
	assert_true(entry_of(f, f->renewed)->preferred);
	assert_false(entry_of(f, f->old)->preferred || entry_of(f, f->sub)->preferred);
	/* Nobody signed them. */
	assert_false(entry_of(f, f->renewed)->capabilities.known);
}

/* The unknown setting may stand first. */
static void outlooks_settings_without_certificate(void **state)
{
	struct fixture *f = *state;

	append_setting(&f->bytes, 0x1234, "", 0);
	append_frame(&f->bytes);
	parse(f);
	assert_int_equal(f->bundle.format, BUNDLE_OUTLOOK);
	assert_int_equal(f->bundle.n, 0);
	append_setting(&f->bytes, 0x03, "0\3abc", 5);
	parse(f);
	assert_int_equal(f->bundle.n, 1);
	assert_non_null(f->bundle.entries[0].problem);
}

static void outlooks_lengths_are_strict(void **state)
{
	struct fixture *f = *state;

	append_frame(&f->bytes);
	append_cert(&f->bytes, 0x03, f->renewed);
	for (size_t n = 1; n < f->bytes.n; n++) {
		int rc = bundle_parse(f->arena, slice_first(buf_slice(&f->bytes), n), &f->bundle, &f->err);

		assert_true(rc == -1 || f->bundle.n == 0);
		assert_true(rc == 0 || f->err.class == ERR_MESSAGE);
	}
	buf_append(&f->bytes, "\x22\0\3\0", 4);
	assert_int_equal(bundle_parse(f->arena, buf_slice(&f->bytes), &f->bundle, &f->err), -1);
	assert_non_null(strstr(f->err.text, "MS-OXOABK 2.2.4.36: setting of 3 bytes"));
}

static void put_base64(struct buf *out, const struct buf *bytes, size_t line)
{
	unsigned char *text = test_malloc(bytes->n * 2 + 4);
	int n = EVP_EncodeBlock(text, (const unsigned char *)bytes->p, (int)bytes->n);

	for (size_t i = 0; i < (size_t)n; i += line) {
		buf_append(out, text + i, (size_t)n - i < line ? (size_t)n - i : line);
		buf_append_text(out, "\r\n");
	}
	test_free(text);
}

static void reads_base64_without_begin(void **state)
{
	struct fixture *f = *state;
	const struct testpki *both[] = { f->old, f->sub };
	struct buf plain;

	buf_init(&plain, 0);
	testpki_der(f->old, &plain);
	put_base64(&f->bytes, &plain, 64);
	parse(f);
	assert_int_equal(f->bundle.n, 1);
	entry_of(f, f->old);
	buf_reset(&plain);
	buf_reset(&f->bytes);
	testpki_p7b(both, 2, false, &plain);
	put_base64(&f->bytes, &plain, 100000);
	parse(f);
	assert_int_equal(f->bundle.n, 2);
	buf_append_char(&f->bytes, '!');
	assert_int_equal(bundle_parse(f->arena, buf_slice(&f->bytes), &f->bundle, &f->err), -1);
	assert_int_equal(bundle_parse(f->arena, slice_of("MIIC"), &f->bundle, &f->err), -1);
	assert_int_equal(bundle_parse(f->arena, slice_of("MI"), &f->bundle, &f->err), -1);
	assert_int_equal(f->err.class, ERR_MESSAGE);
	buf_clear(&plain);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(capabilities_are_their_signers), TEST(the_preferred_one_is_marked),
		TEST(who_has_no_key_has_no_capabilities), TEST(a_strangers_word_is_bound_to_his_certificate),
		TEST(reads_outlooks_settings), TEST(outlooks_settings_without_certificate),
		TEST(outlooks_lengths_are_strict), TEST(reads_base64_without_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
