/* test_capability.c - SMIMECapabilities read, and the cipher that all recipients can read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pki/capability.h"

#define AES128_CBC "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x02"
#define AES256_CBC "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a"
#define AES256_GCM "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2e"
#define RC2_128 "\x30\x0e\x06\x08\x2a\x86\x48\x86\xf7\x0d\x03\x02\x02\x02\x00\x80"

static struct slice bytes_of(const char *text, size_t n)
{
	return slice_make(text, n - 1);
}
#define BYTES(text) bytes_of(text, sizeof(text))

static void reads_known_ciphers(void **state)
{
	struct capabilities c;

	(void)state;
	assert_int_equal(capabilities_parse(BYTES("\x30\x37" AES256_GCM AES128_CBC AES256_CBC RC2_128), &c, NULL), 0);
	assert_true(c.known);
	assert_int_equal(c.ciphers, 1U << CIPHER_AES256_GCM | 1U << CIPHER_AES128_CBC | 1U << CIPHER_AES256_CBC);
	assert_int_equal(capabilities_parse(BYTES("\x30\x00"), &c, NULL), 0);
	assert_true(c.known && c.ciphers == 0);
}

static void refuses_garbage(void **state)
{
	static const char whole[] = "\x30\x1a" AES256_GCM AES128_CBC "x";
	struct capabilities c;
	struct err err = { 0 };

	(void)state;
	for (size_t n = 0; n < sizeof(whole); n++) {
		int rc = capabilities_parse(slice_make(whole, n), &c, &err);

		assert_int_equal(rc, n == sizeof(whole) - 2 ? 0 : -1);
		assert_int_equal(c.known, rc == 0);
	}
	assert_int_equal(err.class, ERR_MESSAGE);
	assert_int_equal(capabilities_parse(BYTES("\x04\x02\x30\x00"), &c, NULL), -1);
}

static void chooses_the_cipher(void **state)
{
	static const enum cipher listed[] = { CIPHER_AES256_CBC, CIPHER_AES128_CBC, CIPHER_AES256_GCM,
					      CIPHER_AES128_GCM };
	const struct capabilities all = { true, 0xf }, unknown = { false, 0xf };
	const struct capabilities cbc128 = { true, 1U << CIPHER_AES128_CBC };
	const struct capabilities none = { true, 0 }, gcm128 = { true, 1U << CIPHER_AES128_GCM | 1U };
	const struct capabilities both[] = { all, cbc128 }, mixed[] = { all, unknown }, apart[] = { cbc128, gcm128 };

	(void)state;
	assert_int_equal(cipher_choose(listed, 4, &all, 1), CIPHER_AES256_GCM);
	assert_int_equal(cipher_choose(listed, 4, &gcm128, 1), CIPHER_AES128_GCM);
	assert_int_equal(cipher_choose(listed, 2, &all, 1), CIPHER_AES256_CBC);
	assert_int_equal(cipher_choose(listed + 1, 1, &all, 1), CIPHER_AES128_CBC);
	assert_int_equal(cipher_choose(listed, 4, both, 2), CIPHER_AES128_CBC);
	assert_int_equal(cipher_choose(listed, 4, mixed, 2), CIPHER_AES256_CBC);
	assert_int_equal(cipher_choose(listed + 1, 3, apart, 2), CIPHER_AES128_CBC);
	assert_int_equal(cipher_choose(listed + 2, 2, &none, 1), CIPHER_AES256_GCM);
	assert_int_equal(cipher_choose(listed, 4, NULL, 0), CIPHER_AES256_CBC);
	assert_int_equal(cipher_choose(NULL, 0, &all, 1), CIPHER_AES256_CBC);
}

static void names_ciphers(void **state)
{
	(void)state;
	for (int i = 0; i < CIPHER_COUNT; i++)
		assert_string_equal(cipher_name((enum cipher)i), cipher_names[i]);
	assert_null(cipher_names[CIPHER_COUNT]);
	assert_string_equal(cipher_name(CIPHER_AES128_GCM), "aes128-gcm");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_known_ciphers), cmocka_unit_test(refuses_garbage),
		cmocka_unit_test(chooses_the_cipher), cmocka_unit_test(names_ciphers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
