/* test_bundle.c - files with certificates in every format, and what damaged ones give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pki/bundle.h"
#include "support/testpki.h"

struct fixture {
	struct testpki *root, *sub, *leaf;
	struct arena *arena;
	struct buf bytes;
	struct bundle bundle;
	struct err err;
};

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	f->root = testpki_root("Root");
	f->sub = testpki_sub(f->root, "Sub");
	f->leaf = testpki_leaf(f->sub, "a@example.com");
	f->arena = arena_new(0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	testpki_free(f->leaf);
	testpki_free(f->sub);
	testpki_free(f->root);
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

static const char *subject(struct fixture *f, size_t i)
{
	assert_true(i < f->bundle.n);
	assert_null(f->bundle.entries[i].problem);
	assert_non_null(f->bundle.entries[i].cert);
	return cert_info(f->bundle.entries[i].cert)->subject;
}

static void reads_pem(void **state)
{
	struct fixture *f = *state;

	buf_append_text(&f->bytes, "0 Some text\r\n");
	testpki_pem(f->root, TESTPKI_CERT | TESTPKI_KEY, &f->bytes);
	buf_append_text(&f->bytes, "\r\nMore text -----BEGIN CERTIFICATE----- not here\r\n");
	testpki_pem(f->leaf, TESTPKI_CERT, &f->bytes);
	testpki_crl(f->root, NULL, 0, 0, 0, true, &f->bytes);
	parse(f);
	assert_int_equal(f->bundle.format, BUNDLE_PEM);
	assert_int_equal(f->bundle.n, 3);
	assert_string_equal(subject(f, 0), "CN=Root,O=Test");
	assert_string_equal(subject(f, 1), "CN=a@example.com,O=Test");
	assert_true(f->bundle.entries[2].crl_der.n > 0);
	assert_true(f->bundle.entries[1].offset > f->bundle.entries[0].offset);
}

static void reads_crlf_pem(void **state)
{
	struct fixture *f = *state;
	struct buf lf;

	buf_init(&lf, 0);
	testpki_pem(f->leaf, TESTPKI_CERT | TESTPKI_CHAIN, &lf);
	for (size_t i = 0; i < lf.n; i++) {
		if (lf.p[i] == '\n')
			buf_append_char(&f->bytes, '\r');
		buf_append_char(&f->bytes, (char)lf.p[i]);
	}
	parse(f);
	assert_int_equal(f->bundle.n, 3);
	buf_clear(&lf);
}

static void a_bad_block_hides_no_other(void **state)
{
	struct fixture *f = *state;

	buf_append_text(&f->bytes, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
			"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"
			"-----BEGIN CERTIFICATE-----\nMIIB\n");
	testpki_pem(f->root, TESTPKI_CERT, &f->bytes);
	buf_append_text(&f->bytes, "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"
			"-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n"
			"-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n"
			"-----BEGIN CERTIFICATE-----\nMIIB\n-----END X509 CRL-----\n");
	parse(f);
	assert_int_equal(f->bundle.n, 8);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(f->bundle.entries[i].problem == NULL, i == 3);
	assert_string_equal(subject(f, 3), "CN=Root,O=Test");
	assert_int_equal(f->bundle.entries[1].offset, 59);
}

static void reads_der(void **state)
{
	struct fixture *f = *state;

	testpki_der(f->leaf, &f->bytes);
	parse(f);
	assert_int_equal(f->bundle.format, BUNDLE_DER);
	assert_int_equal(f->bundle.n, 1);
	buf_append_char(&f->bytes, 'x');
	assert_int_equal(bundle_parse(f->arena, buf_slice(&f->bytes), &f->bundle, &f->err), -1);
	assert_int_equal(f->err.class, ERR_MESSAGE);
	buf_reset(&f->bytes);
	testpki_crl(f->root, NULL, 0, 0, 0, false, &f->bytes);
	parse(f);
	assert_int_equal(f->bundle.n, 1);
	assert_int_equal(f->bundle.entries[0].crl_der.n, f->bytes.n);
}

static void reads_p7b(void **state)
{
	struct fixture *f = *state;
	const struct testpki *all[] = { f->root, f->sub, f->leaf };

	for (int pem = 0; pem < 2; pem++) {
		buf_reset(&f->bytes);
		testpki_p7b(all, 3, pem != 0, &f->bytes);
		parse(f);
		assert_int_equal(f->bundle.format, BUNDLE_P7B);
		assert_int_equal(f->bundle.n, 3);
		assert_false(f->bundle.entries[2].capabilities.known);
	}
	buf_reset(&f->bytes);
	testpki_p7b(all, 3, false, &f->bytes);
	buf_append_char(&f->bytes, '\n');
	parse(f);
	assert_int_equal(f->bundle.n, 4);
	assert_non_null(f->bundle.entries[3].problem);
	f->bytes.n /= 2;
	assert_int_equal(bundle_parse(f->arena, buf_slice(&f->bytes), &f->bundle, &f->err), -1);
	assert_int_equal(f->err.class, ERR_MESSAGE);
}

static void append_element(struct buf *out, unsigned id, unsigned encoding, const void *p, size_t n)
{
	const unsigned char head[] = { (unsigned char)id, 0, 0, 0, (unsigned char)encoding, 0, 0, 0,
				       (unsigned char)(n & 0xff), (unsigned char)(n >> 8 & 0xff), 0, 0 };

	buf_append(out, head, sizeof(head));
	buf_append(out, p, n);
}

#define SST_START "\0\0\0\0CERT"
#define SST_END "\0\0\0\0\0\0\0\0\0\0\0"

/* Root with name and e-mail usage, a CRL, Sub restricted to server authentication, one that is broken, the leaf. */
static void make_sst(struct fixture *f)
{
	static const unsigned char name[] = { 'R', 0, 0xe4, 0, 't', 0, 0, 0, 'x', 0 };
	static const unsigned char email[] = { 0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 4 };
	static const unsigned char server[] = { 0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1 };
	struct buf part;

	buf_init(&part, 0);
	buf_append(&f->bytes, SST_START, 8);
	append_element(&f->bytes, 3, 1, "12345678901234567890", 20);
	append_element(&f->bytes, 11, 1, name, sizeof(name));
	append_element(&f->bytes, 9, 1, email, sizeof(email));
	append_element(&f->bytes, 0x7f, 1, "", 0);
	testpki_der(f->root, &part);
	append_element(&f->bytes, 0x20, 1, part.p, part.n);
	buf_reset(&part);
	testpki_crl(f->root, NULL, 0, 0, 0, false, &part);
	append_element(&f->bytes, 0x21, 1, part.p, part.n);
	append_element(&f->bytes, 9, 1, server, sizeof(server));
	buf_reset(&part);
	testpki_der(f->sub, &part);
	append_element(&f->bytes, 0x20, 1, part.p, part.n);
	append_element(&f->bytes, 0x20, 1, part.p, part.n - 1);
	append_element(&f->bytes, 0x20, 2, part.p, part.n);
	append_element(&f->bytes, 0x22, 1, "ctl", 3);
	buf_reset(&part);
	testpki_der(f->leaf, &part);
	append_element(&f->bytes, 0x20, 1, part.p, part.n);
	buf_append(&f->bytes, SST_END, 12);
	buf_clear(&part);
}

static void reads_sst(void **state)
{
	struct fixture *f = *state;

	make_sst(f);
	parse(f);
	assert_int_equal(f->bundle.format, BUNDLE_SST);
	assert_int_equal(f->bundle.n, 7);
	assert_string_equal(subject(f, 0), "CN=Root,O=Test");
	assert_string_equal(f->bundle.entries[0].friendly_name, "R\\u00e4t");
	assert_true(f->bundle.entries[0].eku_restricted && f->bundle.entries[0].eku_email);
	assert_true(f->bundle.entries[1].crl_der.n > 0);
	assert_string_equal(subject(f, 2), "CN=Sub,O=Test");
	assert_true(f->bundle.entries[2].eku_restricted && !f->bundle.entries[2].eku_email);
	assert_null(f->bundle.entries[2].friendly_name);
	for (size_t i = 3; i < 6; i++)
		assert_non_null(f->bundle.entries[i].problem);
	assert_string_equal(subject(f, 6), "CN=a@example.com,O=Test");
	assert_false(f->bundle.entries[6].eku_restricted);
}

/* Neither takes anything away from the elements. */
static void odd_sst_properties_are_told(void **state)
{
	struct fixture *f = *state;
	struct buf der;

	buf_init(&der, 0);
	testpki_der(f->root, &der);
	buf_append(&f->bytes, SST_START, 8);
	append_element(&f->bytes, 11, 1, "R\0\0", 4);
	append_element(&f->bytes, 0x80, 1, "x", 1);
	append_element(&f->bytes, 0x20, 1, der.p, der.n);
	append_element(&f->bytes, 3, 1, "x", 1);
	append_element(&f->bytes, 11, 1, "S\0\0", 4);
	buf_append(&f->bytes, SST_END, 12);
	parse(f);
	assert_int_equal(f->bundle.n, 3);
	assert_non_null(strstr(f->bundle.entries[0].problem, "unknown property 128"));
	assert_int_equal(f->bundle.entries[0].offset, 24);
	assert_string_equal(f->bundle.entries[1].friendly_name, "R");
	assert_string_equal(subject(f, 1), "CN=Root,O=Test");
	assert_non_null(strstr(f->bundle.entries[2].problem, "no element follows"));
	assert_true(f->bundle.entries[2].offset > f->bundle.entries[1].offset);
	buf_clear(&der);
}

static void a_cut_off_sst_is_an_error(void **state)
{
	struct fixture *f = *state;
	char offset[32];

	make_sst(f);
	for (size_t n = 8; n < f->bytes.n; n++) {
		assert_int_equal(bundle_parse(f->arena, slice_make(f->bytes.p, n), &f->bundle, &f->err), -1);
		assert_int_equal(f->err.class, ERR_MESSAGE);
		assert_non_null(strstr(f->err.text, "offset"));
	}
	snprintf(offset, sizeof(offset), "offset %zu", f->bytes.n);
	buf_append_char(&f->bytes, 0);
	assert_int_equal(bundle_parse(f->arena, buf_slice(&f->bytes), &f->bundle, &f->err), -1);
	assert_non_null(strstr(f->err.text, offset));
}

static void an_sst_length_reaches_not_beyond(void **state)
{
	struct fixture *f = *state;

	buf_append(&f->bytes, SST_START "\x20\0\0\0\x01\0\0\0\xff\xff\xff\xff" "abcdefghijklmnop", 36);
	assert_int_equal(bundle_parse(f->arena, buf_slice(&f->bytes), &f->bundle, &f->err), -1);
	assert_non_null(strstr(f->err.text, "offset 8"));
	buf_reset(&f->bytes);
	buf_append(&f->bytes, SST_START "\0\0\0\0\x01\0\0\0\0\0\0", 20);
	assert_int_equal(bundle_parse(f->arena, buf_slice(&f->bytes), &f->bundle, &f->err), -1);
	buf_reset(&f->bytes);
	buf_append(&f->bytes, SST_START SST_END, 20);
	parse(f);
	assert_int_equal(f->bundle.n, 0);
}

static void writes_sst(void **state)
{
	struct fixture *f = *state;
	struct bundle before;

	make_sst(f);
	parse(f);
	before = f->bundle;
	buf_reset(&f->bytes);
	assert_int_equal(bundle_write_sst(before.entries, before.n, &f->bytes, &f->err), 0);
	parse(f);
	assert_int_equal(f->bundle.n, 4);
	assert_string_equal(subject(f, 0), "CN=Root,O=Test");
	assert_string_equal(f->bundle.entries[0].friendly_name, "R\\u00e4t");
	assert_true(f->bundle.entries[0].eku_restricted && f->bundle.entries[0].eku_email);
	assert_true(slice_equal(f->bundle.entries[1].crl_der, before.entries[1].crl_der));
	assert_true(f->bundle.entries[2].eku_restricted && !f->bundle.entries[2].eku_email);
	assert_false(f->bundle.entries[3].eku_restricted);
}

static void writing_stops_at_the_limit(void **state)
{
	struct fixture *f = *state;
	struct buf small;

	make_sst(f);
	parse(f);
	for (size_t limit = 0; limit < 1000; limit += 50) {
		buf_init(&small, limit + 1);
		assert_int_equal(bundle_write_sst(f->bundle.entries, f->bundle.n, &small, &f->err), -1);
		assert_int_equal(small.n, 0);
		buf_clear(&small);
	}
}

static void refuses_other_files(void **state)
{
	static const char *const texts[] = { "", "0", "hello", "-----BEGIN \n", "\x30\x82\x01",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(bundle_parse(f->arena, slice_of(texts[i]), &f->bundle, &f->err), -1);
		assert_int_equal(f->err.class, ERR_MESSAGE);
	}
}

static void survives_flipped_bytes(void **state)
{
	struct fixture *f = *state;
	struct arena *arena = NULL;

	make_sst(f);
	for (size_t i = 0; i < f->bytes.n; i++) {
		arena = arena_new(0);
		f->bytes.p[i] ^= 0x81;
		bundle_parse(arena, buf_slice(&f->bytes), &f->bundle, NULL);
		f->bytes.p[i] ^= 0x81;
		arena_free(arena);
	}
}

static void a_full_arena_is_an_error(void **state)
{
	struct fixture *f = *state;

	make_sst(f);
	for (size_t limit = 16; limit < 700; limit += 80) {
		struct arena *small = arena_new(limit);

		assert_int_equal(bundle_parse(small, buf_slice(&f->bytes), &f->bundle, &f->err), -1);
		assert_int_equal(f->err.class, ERR_TEMP);
		arena_free(small);
	}
}

static void loads_files(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/test_bundle.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	testpki_write_pem(path, f->leaf, TESTPKI_CERT | TESTPKI_CHAIN);
	assert_int_equal(bundle_load(f->arena, path, &f->bundle, &f->err), 0);
	assert_int_equal(f->bundle.n, 3);
	buf_append_text(&f->bytes, "nothing");
	testpki_write(path, &f->bytes, 0644);
	assert_int_equal(bundle_load(f->arena, path, &f->bundle, &f->err), -1);
	assert_int_equal(f->err.class, ERR_CONFIG);
	assert_ptr_equal(strstr(f->err.text, path), f->err.text);
	unlink(path);
	assert_int_equal(bundle_load(f->arena, path, &f->bundle, &f->err), -1);
	assert_int_equal(f->err.class, ERR_CONFIG);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_pem), TEST(reads_crlf_pem), TEST(a_bad_block_hides_no_other), TEST(reads_der),
		TEST(reads_p7b), TEST(reads_sst), TEST(a_cut_off_sst_is_an_error),
		TEST(odd_sst_properties_are_told),
		TEST(an_sst_length_reaches_not_beyond), TEST(writes_sst), TEST(writing_stops_at_the_limit),
		TEST(refuses_other_files), TEST(survives_flipped_bytes), TEST(a_full_arena_is_an_error),
		TEST(loads_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
