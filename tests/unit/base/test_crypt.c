/* test_crypt.c - known answers of SHA-256 and AES-256-GCM, tampering, random bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/crypt.h"

static void test_sha256(void **state)
{
	unsigned char digest[CRYPT_SHA256_BYTES];
	char hex[2 * CRYPT_SHA256_BYTES + 1];

	(void)state;
	assert_int_equal(crypt_sha256("abc", 3, digest, NULL), 0);
	crypt_hex(digest, sizeof(digest), hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(crypt_sha256(NULL, 0, digest, NULL), 0);
	crypt_hex(digest, sizeof(digest), hex);
	assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	crypt_hex(digest, 0, hex);
	assert_string_equal(hex, "");
}

static void test_hex_both_ways(void **state)
{
	const unsigned char bytes[] = { 0x00, 0x9a, 0xff, 0x10 };
	unsigned char back[4];
	char hex[9];

	(void)state;
	crypt_hex(bytes, sizeof(bytes), hex);
	assert_int_equal(crypt_unhex(hex, back, sizeof(back)), 0);
	assert_memory_equal(back, bytes, sizeof(bytes));
	assert_int_equal(crypt_unhex(hex, back, 3), -1);
	assert_int_equal(crypt_unhex("009AFF10", back, sizeof(back)), -1);
	assert_int_equal(crypt_unhex("009aff1", back, sizeof(back)), -1);
	assert_int_equal(crypt_unhex("009aff1g", back, sizeof(back)), -1);
}

static void test_digest_in_pieces(void **state)
{
	struct crypt_digest *digest = crypt_digest_new(NULL);
	unsigned char whole[CRYPT_SHA256_BYTES], pieces[CRYPT_SHA256_BYTES];

	(void)state;
	assert_non_null(digest);
	assert_int_equal(crypt_digest_add(digest, "", 0, NULL), 0);
	assert_int_equal(crypt_digest_add(digest, "a", 1, NULL), 0);
	assert_int_equal(crypt_digest_add(digest, "bc", 2, NULL), 0);
	assert_int_equal(crypt_digest_end(digest, pieces, NULL), 0);
	assert_int_equal(crypt_sha256("abc", 3, whole, NULL), 0);
	assert_true(crypt_equal(whole, pieces, sizeof(whole)));
	pieces[31] ^= 1;
	assert_false(crypt_equal(whole, pieces, sizeof(whole)));
	crypt_digest_free(digest);
	crypt_digest_free(NULL);
}

/* RFC 4231 test case 1, its key of 20 bytes filled with zeros, which HMAC does too. */
static void test_hmac(void **state)
{
	unsigned char key[CRYPT_KEY_BYTES] = { 0 }, mac[CRYPT_SHA256_BYTES];
	char hex[65];

	(void)state;
	memset(key, 0x0b, 20);
	assert_int_equal(crypt_hmac(key, "Hi There", 8, mac, NULL), 0);
	crypt_hex(mac, sizeof(mac), hex);
	assert_string_equal(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
}

/* Test cases 13 and 14 of the GCM specification: key and nonce zero, nothing and sixteen zero bytes. */
static void test_known_answer(void **state)
{
	const unsigned char key[CRYPT_KEY_BYTES] = { 0 }, zero[16] = { 0 };
	unsigned char out[32];
	char hex[65];

	(void)state;
	assert_int_equal(crypt_seal(key, 0, NULL, 0, out, NULL), 0);
	crypt_hex(out, 16, hex);
	assert_string_equal(hex, "530f8afbc74536b9a963b4f1c4cb738b");
	assert_int_equal(crypt_seal(key, 0, zero, 16, out, NULL), 0);
	crypt_hex(out, 32, hex);
	assert_string_equal(hex, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

static void test_round_trip(void **state)
{
	unsigned char key[CRYPT_KEY_BYTES], sealed[5 + CRYPT_TAG_BYTES], open[5];
	struct err err;

	(void)state;
	assert_int_equal(crypt_random(key, sizeof(key), &err), 0);
	assert_int_equal(crypt_seal(key, 7, "hello", 5, sealed, &err), 0);
	assert_int_equal(crypt_open(key, 7, sealed, 5, open, &err), 0);
	assert_memory_equal(open, "hello", 5);
	assert_int_equal(crypt_open(key, 8, sealed, 5, open, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	/* Nothing that did not prove genuine is left to be used. */
	assert_memory_equal(open, "\0\0\0\0\0", 5);
	for (size_t i = 0; i < sizeof(sealed); i++) {
		sealed[i] ^= 1;
		assert_int_equal(crypt_open(key, 7, sealed, 5, open, &err), -1);
		sealed[i] ^= 1;
	}
	/* In place. */
	assert_int_equal(crypt_open(key, 7, sealed, 5, sealed, &err), 0);
	assert_memory_equal(sealed, "hello", 5);
	assert_int_equal(crypt_seal(key, 9, sealed, 5, sealed, &err), 0);
	assert_memory_not_equal(sealed, "hello", 5);
	assert_int_equal(crypt_open(key, 9, sealed, 5, open, &err), 0);
	assert_memory_equal(open, "hello", 5);
	assert_int_equal(crypt_seal(key, 1, sealed, (size_t)1 << 40, sealed, &err), -1);
	assert_int_equal(crypt_random(key, (size_t)1 << 40, &err), -1);
}

static void test_random_and_wipe(void **state)
{
	unsigned char a[32] = { 0 }, b[32] = { 0 }, zero[32] = { 0 };

	(void)state;
	assert_int_equal(crypt_random(a, sizeof(a), NULL), 0);
	assert_int_equal(crypt_random(b, sizeof(b), NULL), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	crypt_wipe(a, sizeof(a));
	assert_memory_equal(a, zero, sizeof(a));
	crypt_wipe(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_hex_both_ways), cmocka_unit_test(test_digest_in_pieces),
		cmocka_unit_test(test_hmac), cmocka_unit_test(test_known_answer),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_random_and_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
