/* test_prescan.c - SignedData taken apart, its limits, and the signed attributes' rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "smime/attributes.h"
#include "smime/prescan.h"
#include "support/craft.h"

static const struct prescan_limits limits = { .signer_infos = 2, .certificates = 3, .crls = 1 };

struct fixture {
	struct testpki *root, *alice, *bob;
	struct arena *arena;
	struct buf der;
	struct prescan scan;
	struct err err;
};

static struct fixture fixture;

static int setup_group(void **state)
{
	fixture.root = testpki_root("Root");
	fixture.alice = testpki_leaf(fixture.root, "alice@example.com");
	fixture.bob = testpki_leaf(fixture.root, "bob@example.com");
	*state = &fixture;
	return 0;
}

static int teardown_group(void **state)
{
	struct fixture *f = *state;

	testpki_free(f->bob);
	testpki_free(f->alice);
	testpki_free(f->root);
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = *state;

	f->arena = arena_new(0);
	buf_init(&f->der, 0);
	return f->arena == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	buf_clear(&f->der);
	arena_free(f->arena);
	return 0;
}

static int scan(struct fixture *f)
{
	return prescan_signed(f->arena, buf_slice(&f->der), &limits, &f->scan, &f->err);
}

static void make(struct fixture *f, const struct craft *craft)
{
	buf_reset(&f->der);
	craft_cms(craft, slice_of("Hello\r\n"), &f->der);
}

static void reads_a_detached_signature(void **state)
{
	struct fixture *f = *state;

	make(f, &(struct craft){ .signers = { { .pki = f->alice } }, .extra = { f->root }, .detached = true });
	assert_int_equal(scan(f), 0);
	assert_false(f->scan.attached);
	assert_int_equal(f->scan.signer_count, 1);
	assert_int_equal(f->scan.certificate_count, 2);
	assert_int_equal(f->scan.digest_count, 1);
	assert_true(slice_equal(f->scan.content_type, der_oid_data));
	assert_true(f->scan.signers[0].issuer.n > 0 && f->scan.signers[0].key_id.n == 0);
	assert_non_null(f->scan.signers[0].attributes.p);
}

/* Two CRLs are one too many here; other revocation information is not handed out. */
static void hands_out_crls(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/test_prescan.XXXXXX";
	struct buf pem;
	const int fd = mkstemp(path);

	assert_true(fd >= 0);
	buf_init(&pem, 0);
	for (int i = 0; i < 2; i++) {
		testpki_crl(f->root, NULL, 0, 0, 0, true, &pem);
		testpki_write(path, &pem, 0644);
		make(f, &(struct craft){ .signers = { { .pki = f->alice } }, .crl_file = path });
		assert_int_equal(scan(f), i == 0 ? 0 : -1);
		assert_int_equal(f->scan.crl_count, i == 0 ? 1 : 0);
		assert_true(i == 1 || f->scan.crls[0].p[0] == 0x30);
	}
	assert_int_equal(f->err.class, ERR_LIMIT);
	buf_clear(&pem);
	close(fd);
	unlink(path);
}

static void reads_content_and_key_id(void **state)
{
	struct fixture *f = *state;
	struct slice content;

	make(f, &(struct craft){ .signers = { { .pki = f->alice, .flags = CMS_USE_KEYID | CMS_NOATTR } } });
	assert_int_equal(scan(f), 0);
	assert_true(f->scan.attached);
	assert_int_equal(prescan_content(f->arena, &f->scan, &content, &f->err), 0);
	assert_true(slice_is(content, "Hello\r\n"));
	assert_int_equal(f->scan.signers[0].key_id.n, 20);
	assert_null(f->scan.signers[0].attributes.p);
}

static void joins_chunks_of_indefinite_length(void **state)
{
	struct fixture *f = *state;
	static const unsigned char chunked[] = "\x30\x80" "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02" "\xa0\x80"
		"\x30\x80" "\x02\x01\x01" "\x31\x00" "\x30\x80" "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
		"\xa0\x80" "\x24\x80" "\x04\x02" "ab" "\x24\x04" "\x04\x02" "cd" "\0\0" "\0\0" "\0\0" "\x31\x00"
		"\0\0" "\0\0" "\0\0";
	struct slice content;

	assert_int_equal(buf_append(&f->der, chunked, sizeof(chunked) - 1), 0);
	assert_int_equal(scan(f), 0);
	assert_int_equal(prescan_content(f->arena, &f->scan, &content, &f->err), 0);
	assert_true(slice_is(content, "abcd"));
	assert_int_equal(f->scan.signer_count, 0);
}

static void refuses_trailing_bytes(void **state)
{
	struct fixture *f = *state;

	make(f, &(struct craft){ .signers = { { .pki = f->alice } } });
	assert_int_equal(buf_append(&f->der, "\0", 1), 0);
	assert_int_equal(scan(f), -1);
	assert_int_equal(f->err.class, ERR_MESSAGE);
	assert_non_null(strstr(f->err.text, "RFC 5652 3: the CMS object has bytes behind it"));
}

static void refuses_every_truncation(void **state)
{
	struct fixture *f = *state;
	struct prescan scan_result;

	make(f, &(struct craft){ .signers = { { .pki = f->alice } } });
	for (size_t n = 0; n < f->der.n; n++)
		assert_int_equal(prescan_signed(f->arena, slice_make(f->der.p, n), &limits, &scan_result, &f->err), -1);
}

static void survives_every_changed_byte(void **state)
{
	struct fixture *f = *state;
	struct slice content;

	make(f, &(struct craft){ .signers = { { .pki = f->alice } } });
	for (size_t i = 0; i < f->der.n; i++) {
		unsigned char was = f->der.p[i];
		struct attributes attributes;

		f->der.p[i] ^= (unsigned char)(1u << i % 8);
		if (scan(f) == 0) {
			if (f->scan.attached)
				(void)prescan_content(f->arena, &f->scan, &content, &f->err);
			for (size_t k = 0; k < f->scan.signer_count; k++)
				(void)attributes_parse(f->scan.signers[k].attributes, &attributes, &f->err);
		}
		f->der.p[i] = was;
	}
}

static void refuses_too_many_signers(void **state)
{
	struct fixture *f = *state;

	make(f, &(struct craft){ .signers = { { .pki = f->alice }, { .pki = f->bob },
		{ .pki = f->alice, .flags = CMS_NOCERTS } } });
	assert_int_equal(scan(f), -1);
	assert_int_equal(f->err.class, ERR_LIMIT);
}

static void refuses_too_many_certificates(void **state)
{
	struct fixture *f = *state;
	struct testpki *carol = testpki_leaf(f->root, "carol@example.com");

	make(f, &(struct craft){ .signers = { { .pki = f->alice } }, .extra = { f->root, f->bob, carol } });
	assert_int_equal(scan(f), -1);
	assert_int_equal(f->err.class, ERR_LIMIT);
	testpki_free(carol);
}

static void refuses_other_content_types(void **state)
{
	struct fixture *f = *state;

	craft_envelope(f->alice, EVP_aes_128_cbc(), slice_of("x"), &f->der);
	assert_int_equal(scan(f), -1);
	assert_non_null(strstr(f->err.text, "not signedData"));
}

/* ---- attributes ---- */

#define OID_CONTENT_TYPE "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03"
#define OID_MESSAGE_DIGEST "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04"
#define OID_SIGNING_TIME "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05"
#define OID_CAPABILITIES "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0f"
#define DATA "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
#define DIGEST "\x04\x03" "abc"

static void add(struct buf *set, const char *oid, const char *values, size_t n)
{
	struct buf attribute;

	buf_init(&attribute, 0);
	assert_int_equal(buf_append(&attribute, oid, 11), 0);
	assert_int_equal(der_write(&attribute, DER_SET, slice_make(values, n)), 0);
	assert_int_equal(der_write(set, DER_SEQUENCE, buf_slice(&attribute)), 0);
	buf_clear(&attribute);
}

static void add_both(struct buf *set)
{
	add(set, OID_CONTENT_TYPE, DATA, 11);
	add(set, OID_MESSAGE_DIGEST, DIGEST, 5);
}

static int parse(struct fixture *f, struct attributes *attributes)
{
	return attributes_parse(buf_slice(&f->der), attributes, &f->err);
}

static void reads_attributes_and_times(void **state)
{
	struct fixture *f = *state;
	struct attributes attributes;

	add_both(&f->der);
	add(&f->der, OID_SIGNING_TIME, "\x17\x0d" "260102030405Z", 15);
	assert_int_equal(parse(f, &attributes), 0);
	assert_true(slice_is(attributes.message_digest, "abc"));
	assert_int_equal(attributes.signing_time, 1767323045);
	buf_reset(&f->der);
	add_both(&f->der);
	add(&f->der, OID_SIGNING_TIME, "\x18\x0f" "20500102030405Z", 17);
	assert_int_equal(parse(f, &attributes), 0);
	assert_int_equal(attributes.signing_time, 2524705445);
	buf_reset(&f->der);
	add_both(&f->der);
	add(&f->der, OID_SIGNING_TIME, "\x17\x0d" "26x102030405Z", 15);
	assert_int_equal(parse(f, &attributes), 0);
	assert_int_equal(attributes.signing_time, 0);
}

static void wants_content_type_and_digest(void **state)
{
	struct fixture *f = *state;
	struct attributes attributes;

	assert_int_equal(parse(f, &attributes), -1);
	add(&f->der, OID_CONTENT_TYPE, DATA, 11);
	assert_int_equal(parse(f, &attributes), -1);
	assert_non_null(strstr(f->err.text, "messageDigest"));
	buf_reset(&f->der);
	add(&f->der, OID_MESSAGE_DIGEST, DIGEST, 5);
	assert_int_equal(parse(f, &attributes), -1);
	assert_non_null(strstr(f->err.text, "contentType"));
}

static void refuses_a_second_digest(void **state)
{
	struct fixture *f = *state;
	struct attributes attributes;

	add_both(&f->der);
	add(&f->der, OID_MESSAGE_DIGEST, "\x04\x03" "xyz", 5);
	assert_int_equal(parse(f, &attributes), -1);
	assert_non_null(strstr(f->err.text, "twice"));
}

static void refuses_two_values(void **state)
{
	struct fixture *f = *state;
	struct attributes attributes;

	add(&f->der, OID_CONTENT_TYPE, DATA, 11);
	add(&f->der, OID_MESSAGE_DIGEST, DIGEST DIGEST, 10);
	assert_int_equal(parse(f, &attributes), -1);
	buf_reset(&f->der);
	add_both(&f->der);
	add(&f->der, OID_CAPABILITIES, "\x30\x00\x30\x00", 4);
	assert_int_equal(parse(f, &attributes), -1);
	buf_reset(&f->der);
	add_both(&f->der);
	add(&f->der, OID_CAPABILITIES, "", 0);
	assert_int_equal(parse(f, &attributes), -1);
}

static void refuses_wrong_types_and_indefinite_lengths(void **state)
{
	struct fixture *f = *state;
	struct attributes attributes;

	add(&f->der, OID_CONTENT_TYPE, "\x04\x01x", 3);
	add(&f->der, OID_MESSAGE_DIGEST, DIGEST, 5);
	assert_int_equal(parse(f, &attributes), -1);
	buf_reset(&f->der);
	add_both(&f->der);
	assert_int_equal(buf_append(&f->der, "\x30\x80" OID_SIGNING_TIME "\x31\x00\0\0", 17), 0);
	assert_int_equal(parse(f, &attributes), -1);
	assert_non_null(strstr(f->err.text, "DER"));
}

static void ignores_unknown_attributes(void **state)
{
	struct fixture *f = *state;
	struct attributes attributes;

	add_both(&f->der);
	add(&f->der, "\x06\x09\x2b\x06\x01\x04\x01\x82\x37\x10\x63", "\x05\x00\x05\x00", 4);
	add(&f->der, "\x06\x09\x2b\x06\x01\x04\x01\x82\x37\x10\x63", "", 0);
	assert_int_equal(parse(f, &attributes), 0);
}

static void refuses_a_flood_of_attributes(void **state)
{
	struct fixture *f = *state;
	struct attributes attributes;

	add_both(&f->der);
	for (int i = 0; i < 70; i++)
		add(&f->der, "\x06\x09\x2b\x06\x01\x04\x01\x82\x37\x10\x63", "\x05\x00", 2);
	assert_int_equal(parse(f, &attributes), -1);
	assert_int_equal(f->err.class, ERR_LIMIT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_a_detached_signature), TEST(reads_content_and_key_id), TEST(hands_out_crls),
			TEST(joins_chunks_of_indefinite_length),
		TEST(refuses_trailing_bytes), TEST(refuses_every_truncation), TEST(survives_every_changed_byte),
		TEST(refuses_too_many_signers), TEST(refuses_too_many_certificates), TEST(refuses_other_content_types),
		TEST(reads_attributes_and_times), TEST(wants_content_type_and_digest),
		TEST(refuses_a_second_digest), TEST(refuses_two_values),
			TEST(refuses_wrong_types_and_indefinite_lengths),
		TEST(ignores_unknown_attributes), TEST(refuses_a_flood_of_attributes),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
