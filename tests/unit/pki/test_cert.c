/* test_cert.c - certificates as plain values: names, addresses, usage, hostile DER. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <string.h>

#include "pki/pki_internal.h"
#include "support/testpki.h"

struct fixture {
	struct testpki *root;
	struct arena *arena;
};

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	f->root = testpki_root("Test Root");
	f->arena = arena_new(0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	testpki_free(f->root);
	arena_free(f->arena);
	test_free(f);
	return 0;
}

/* The certificate that spec describes, under root. */
static struct cert *make(struct fixture *f, const struct testpki_spec *spec)
{
	struct testpki *pki = testpki_make(f->root, spec);
	struct cert *cert = testpki_cert(pki);

	testpki_free(pki);
	assert_int_equal(cert_defer(f->arena, cert), 0);
	return cert;
}

static void reads_plain_values(void **state)
{
	struct cert *cert = make(*state, &(struct testpki_spec){
		.cn = "Alice", .serial = 0x1a2b, .san = "email:Alice@Example.COM", .not_before = 1700000000,
		.not_after = 1800000000, .usage = "critical,digitalSignature,keyAgreement", .eku = "emailProtection" });
	const struct cert_info *info = cert_info(cert);

	assert_string_equal(info->serial, "1A2B");
	assert_string_equal(info->subject, "CN=Alice,O=Test");
	assert_string_equal(info->issuer, "CN=Test Root,O=Test");
	assert_int_equal(strlen(info->sha256), 64);
	assert_int_equal(info->not_before, 1700000000);
	assert_int_equal(info->not_after, 1800000000);
	assert_int_equal(info->key_kind, KEY_EC_P256);
	assert_int_equal(info->bits, 256);
	assert_true(info->usage_given && info->usage == (USAGE_DIGITAL_SIGNATURE | USAGE_KEY_AGREEMENT));
	assert_true(info->eku_given && info->eku_email && !info->eku_any);
	assert_false(info->ca || info->self_issued || info->self_signed || info->address_bad);
	assert_int_equal(info->address_count, 1);
	assert_true(slice_is(info->addresses[0].text, "Alice@example.com"));
	assert_int_equal(info->skid.n, 20);
	assert_true(info->serial_der.n == 4 && info->issuer_der.n > 0 && info->subject_der.n > 0);
}

static void knows_a_root(void **state)
{
	struct fixture *f = *state;
	struct cert *cert = testpki_cert(f->root);
	const struct cert_info *info = cert_info(cert);

	assert_true(info->ca && info->self_issued && info->self_signed);
	assert_true(info->usage_given && (info->usage & USAGE_CERT_SIGN) != 0);
	cert_free(cert);
}

static void self_issued_is_not_self_signed(void **state)
{
	struct fixture *f = *state;
	struct cert *cert = make(f, &(struct testpki_spec){ .cn = "Test Root", .ca = true });

	assert_true(cert_info(cert)->self_issued);
	assert_false(cert_info(cert)->self_signed);
}

static void prints_negative_serials(void **state)
{
	assert_string_equal(cert_info(make(*state, &(struct testpki_spec){ .serial = -0x1a2b }))->serial, "-1A2B");
	assert_string_equal(cert_info(make(*state, &(struct testpki_spec){ .serial = 0x0f }))->serial, "0F");
}

static void escapes_names(void **state)
{
	struct cert *cert = make(*state, &(struct testpki_spec){ .cn = "a\r\nX: \xc3\xa4\x7f,\"q\"" });
	const char *subject = cert_info(cert)->subject;

	for (const char *p = subject; *p != '\0'; p++)
		assert_true(*p >= 0x20 && *p < 0x7f);
	assert_non_null(strstr(subject, "\\0D\\0A"));
	assert_non_null(strstr(subject, "\\C3\\A4"));
}

static void collects_addresses(void **state)
{
	struct cert *cert = make(*state, &(struct testpki_spec){
		.dn_email = "Dn@example.com",
		.san = "email:b@example.com,DNS:x,email:B@EXAMPLE.com", .utf8_mailbox = "\xc3\xa4@example.com" });
	const struct cert_info *info = cert_info(cert);
	struct arena *arena = ((struct fixture *)*state)->arena;
	struct address wanted;

	assert_int_equal(info->address_count, 3);
	assert_true(slice_is(info->addresses[0].text, "b@example.com"));
	assert_true(slice_is(info->addresses[1].text, "\xc3\xa4@example.com"));
	assert_true(slice_is(info->addresses[2].text, "Dn@example.com"));
	assert_false(info->address_bad);
	assert_int_equal(address_parse(arena, slice_of("dN@Example.com"), &wanted, NULL), 0);
	assert_true(cert_has_address(cert, &wanted));
	assert_int_equal(address_parse(arena, slice_of("x@example.com"), &wanted, NULL), 0);
	assert_false(cert_has_address(cert, &wanted));
}

static void doubts_odd_addresses(void **state)
{
	/* subjectAltName as DER: rfc822Name "a@b.c\0.evil" and others that are no mailbox */
	static const char *const values[] = {
		"DER:30:0E:81:0C:61:40:62:2E:63:00:2E:65:76:69:6C:21", "DER:30:05:81:03:61:62:63",
		"DER:30:09:81:07:3C:61:40:62:2E:63:3E", "DER:30:08:81:06:e4:40:62:2E:63:64", "DER:30:03:81:7F:41",
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct cert *cert = make(*state, &(struct testpki_spec){ .extra_oid = "2.5.29.17",
									 .extra_value = values[i] });

		assert_true(cert_info(cert)->address_bad);
		assert_int_equal(cert_info(cert)->address_count, 0);
	}
	assert_true(cert_info(make(*state, &(struct testpki_spec){ .dn_email = "no address" }))->address_bad);
	assert_true(cert_info(make(*state, &(struct testpki_spec){ .utf8_mailbox = "\xff@x.example" }))->address_bad);
}

static void decides_usage(void **state)
{
	static const struct {
		enum testpki_key_type key;
		const char *usage, *eku;
		bool sign, encrypt;
	} rows[] = {
		{ TESTPKI_P256, NULL, NULL, true, true },
		{ TESTPKI_P256, "digitalSignature", NULL, true, false },
		{ TESTPKI_P256, "nonRepudiation", NULL, true, false },
		{ TESTPKI_P256, "keyAgreement", NULL, false, true },
		{ TESTPKI_P256, "keyAgreement,decipherOnly", NULL, false, false },
		{ TESTPKI_P256, "keyEncipherment", NULL, false, false },
		{ TESTPKI_P384, "keyAgreement", "emailProtection", false, true },
		{ TESTPKI_RSA1024, "keyEncipherment", NULL, false, true },
		{ TESTPKI_RSA1024, "keyAgreement", NULL, false, false },
		{ TESTPKI_RSA1024, "digitalSignature,keyEncipherment", "serverAuth", false, false },
		{ TESTPKI_P256, NULL, "anyExtendedKeyUsage", true, true },
		{ TESTPKI_P256, NULL, "serverAuth,emailProtection", true, true },
		{ TESTPKI_RSA_PSS, NULL, NULL, true, false },
		{ TESTPKI_ED25519, NULL, NULL, true, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cert *cert = make(*state, &(struct testpki_spec){ .key = rows[i].key, .usage = rows[i].usage,
									 .eku = rows[i].eku });

		assert_int_equal(cert_may_sign(cert), rows[i].sign);
		assert_int_equal(cert_may_encrypt(cert), rows[i].encrypt);
	}
}

static void names_key_kinds(void **state)
{
	static const struct {
		enum testpki_key_type key;
		enum key_kind kind;
		unsigned bits;
	} rows[] = {
		{ TESTPKI_P384, KEY_EC_P384, 384 }, { TESTPKI_P521, KEY_EC_P521, 521 },
		{ TESTPKI_BRAINPOOL, KEY_EC_OTHER, 256 }, { TESTPKI_RSA1024, KEY_RSA, 1024 },
		{ TESTPKI_RSA_PSS, KEY_RSA_PSS, 2048 }, { TESTPKI_ED25519, KEY_ED25519, 256 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct cert_info *info = cert_info(make(*state, &(struct testpki_spec){ .key = rows[i].key }));

		assert_int_equal(info->key_kind, rows[i].kind);
		if (rows[i].key != TESTPKI_ED25519)
			assert_int_equal(info->bits, rows[i].bits);
	}
}

static void unreadable_extensions_allow_nothing(void **state)
{
	static const char *const oids[] = { "2.5.29.15", "2.5.29.37", "2.5.29.19" };

	for (size_t i = 0; i < sizeof(oids) / sizeof(oids[0]); i++) {
		struct cert *cert = make(*state, &(struct testpki_spec){ .san = "email:a@b.example",
									 .extra_oid = oids[i],
									 .extra_value = "DER:04:01:FF" });

		assert_false(cert_may_sign(cert) || cert_may_encrypt(cert) || cert_info(cert)->ca);
	}
}

static void refuses_what_is_no_certificate(void **state)
{
	struct fixture *f = *state;
	struct cert *cert = NULL;
	struct err err = { 0 };
	struct buf der;

	assert_null(cert_from_der(slice_of(""), &err));
	assert_int_equal(err.class, ERR_MESSAGE);
	assert_null(cert_from_der(slice_of("0\x82\xff\xff"), &err));
	buf_init(&der, 0);
	testpki_der(f->root, &der);
	for (size_t n = 0; n < der.n; n += 7)
		assert_null(cert_from_der(slice_make(der.p, n), NULL));
	assert_int_equal(buf_append_char(&der, '\0'), 0);
	assert_null(cert_from_der(buf_slice(&der), &err));
	assert_non_null(strstr(err.text, "1 bytes behind"));
	der.n--;
	cert = cert_from_der(buf_slice(&der), &err);
	assert_non_null(cert);
	cert_free(cert);
	cert_free(NULL);
	buf_clear(&der);
}

/* A length in more bytes than needed is BER: the same certificate would have two fingerprints. */
static void refuses_other_encodings(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	struct buf der, ber;

	buf_init(&der, 0);
	buf_init(&ber, 0);
	testpki_der(f->root, &der);
	assert_int_equal(der.p[1], 0x82);
	assert_int_equal(buf_append(&ber, "\x30\x83\x00", 3), 0);
	assert_int_equal(buf_append(&ber, der.p + 2, der.n - 2), 0);
	assert_null(cert_from_der(buf_slice(&ber), &err));
	assert_non_null(strstr(err.text, "not DER"));
	buf_clear(&der);
	buf_clear(&ber);
}

static void names_where_to_ask(void **state)
{
	struct fixture *f = *state;
	struct testpki *crl = testpki_make(f->root, &(struct testpki_spec){ .extra_oid = "crlDistributionPoints",
		.extra_value = "URI:http://a.example/1.crl,URI:ldap://b.example/x,URI:https://c.example/,"
			       "URI:HTTP://d.example/2,URI:http://a.example/1.crl,URI:http://e.example/ x" });
	struct testpki *ocsp = testpki_make(f->root, &(struct testpki_spec){ .extra_oid = "authorityInfoAccess",
		.extra_value = "OCSP;URI:http://o.example/,caIssuers;URI:http://i.example/ca.crt,OCSP;email:x@y" });
	struct cert *one = testpki_cert(crl), *other = testpki_cert(ocsp);
	struct cert_urls urls;

	cert_crl_urls(one, &urls);
	assert_int_equal(urls.n, 2);
	assert_string_equal(urls.items[0], "http://a.example/1.crl");
	assert_string_equal(urls.items[1], "HTTP://d.example/2");
	cert_ocsp_urls(one, &urls);
	assert_int_equal(urls.n, 0);
	cert_ocsp_urls(other, &urls);
	assert_int_equal(urls.n, 1);
	assert_string_equal(urls.items[0], "http://o.example/");
	cert_crl_urls(other, &urls);
	assert_int_equal(urls.n, 0);
	cert_free(one);
	cert_free(other);
	testpki_free(crl);
	testpki_free(ocsp);
}

/* Of many, and of long ones, so many as there is room for. */
static void urls_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct testpki *pki;
	struct cert *cert;
	struct cert_urls urls;
	struct buf value;

	buf_init(&value, 0);
	buf_append_text(&value, "URI:http://x.example/");
	for (size_t i = 0; i < CERT_URL_BYTES; i++)
		buf_append_char(&value, 'x');
	for (int i = 0; i < 20; i++)
		buf_printf(&value, ",URI:http://%d.example/", i);
	pki = testpki_make(f->root, &(struct testpki_spec){ .extra_oid = "crlDistributionPoints",
							    .extra_value = buf_string(&value) });
	cert = testpki_cert(pki);
	cert_crl_urls(cert, &urls);
	assert_int_equal(urls.n, CERT_MAX_URLS);
	assert_string_equal(urls.items[0], "http://0.example/");
	cert_free(cert);
	testpki_free(pki);
	buf_clear(&value);
}

static void survives_flipped_bits(void **state)
{
	struct fixture *f = *state;
	struct testpki *pki = testpki_make(f->root, &(struct testpki_spec){ .san = "email:a@b.example",
									    .usage = "digitalSignature" });
	struct buf der;

	buf_init(&der, 0);
	testpki_der(pki, &der);
	for (size_t i = 0; i < der.n; i++) {
		der.p[i] ^= 0x41;
		cert_free(cert_from_der(buf_slice(&der), NULL));
		der.p[i] ^= 0x41;
	}
	buf_clear(&der);
	testpki_free(pki);
}

static void lists_hold_each_once(void **state)
{
	struct fixture *f = *state;
	struct cert *a = testpki_cert(f->root), *same = testpki_cert(f->root);
	struct cert_list list = { 0 };

	assert_true(cert_equal(a, same));
	assert_int_equal(cert_list_add(&list, a), 0);
	assert_int_equal(cert_list_add(&list, same), 0);
	assert_int_equal(list.n, 1);
	for (long i = 1; i < 20; i++)
		assert_int_equal(cert_list_add(&list, make(f, &(struct testpki_spec){ .serial = i })), 0);
	assert_int_equal(list.n, 20);
	cert_free(a);
	cert_free(same);
	assert_int_equal(cert_list_defer(f->arena, &list), 0);
	assert_int_equal(list.n, 20);
}

static void a_full_arena_leaks_no_list(void **state)
{
	struct fixture *f = *state;
	struct arena *small = arena_new(16);
	struct cert *cert = testpki_cert(f->root);
	struct cert_list list = { 0 };

	assert_int_equal(cert_list_add(&list, cert), 0);
	assert_int_equal(cert_list_defer(small, &list), -1);
	assert_int_equal(list.n, 0);
	assert_int_equal(cert_defer(small, cert), -1);
	arena_free(small);
}

/* A self-issued certificate with an RSA key of that size, which nobody has the private half of. */
static struct cert *with_key(struct fixture *f, int bits, int exponent_bits)
{
	BIGNUM *n = BN_new(), *e = BN_new();
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	X509 *x509 = X509_dup(f->root->x509);
	EVP_PKEY *pkey = NULL;
	OSSL_PARAM *params = NULL;
	struct cert *cert = NULL;

	assert_true(BN_set_bit(n, bits - 1) && BN_set_bit(n, 0) && BN_set_bit(e, exponent_bits - 1) && BN_set_bit(e, 0));
	assert_true(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
		    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e));
	params = OSSL_PARAM_BLD_to_param(build);
	assert_true(EVP_PKEY_fromdata_init(ctx) == 1 &&
		    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1 && X509_set_pubkey(x509, pkey) == 1);
	cert = cert_from_x509(x509, NULL);
	assert_non_null(cert);
	assert_int_equal(cert_defer(f->arena, cert), 0);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	X509_free(x509);
	BN_free(n);
	BN_free(e);
	return cert;
}

/* A message full of them would take minutes. */
static void large_keys_are_told(void **state)
{
	assert_false(cert_info(with_key(*state, 4096, 17))->oversized);
	assert_false(cert_info(with_key(*state, 8192, 33))->oversized);
	assert_true(cert_info(with_key(*state, 8193, 17))->oversized);
	assert_true(cert_info(with_key(*state, 16384, 64))->oversized);
	assert_true(cert_info(with_key(*state, 3072, 3000))->oversized);
	assert_false(cert_info(with_key(*state, 16384, 64))->self_signed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_plain_values, setup, teardown),
		cmocka_unit_test_setup_teardown(knows_a_root, setup, teardown),
		cmocka_unit_test_setup_teardown(self_issued_is_not_self_signed, setup, teardown),
		cmocka_unit_test_setup_teardown(prints_negative_serials, setup, teardown),
		cmocka_unit_test_setup_teardown(escapes_names, setup, teardown),
		cmocka_unit_test_setup_teardown(collects_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(doubts_odd_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(decides_usage, setup, teardown),
		cmocka_unit_test_setup_teardown(names_key_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(large_keys_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(unreadable_extensions_allow_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_what_is_no_certificate, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_other_encodings, setup, teardown),
		cmocka_unit_test_setup_teardown(names_where_to_ask, setup, teardown),
		cmocka_unit_test_setup_teardown(urls_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(survives_flipped_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_hold_each_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_arena_leaks_no_list, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
