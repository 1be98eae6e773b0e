/* test_smimea.c - names and contents of SMIMEA records (RFC 8162). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "pki/smimea.h"
#include "support/testdir.h"
#include "support/testpki.h"

/* the example of RFC 8162 3 */
#define HUGH "c93f1e400f26708f98cb19d936620da35eec8f72e57f9eec01c1afd6._smimecert.example.com"

static const char *owner(struct arena *arena, const char *address, bool lower)
{
	struct address parsed = testdir_address(arena, address);
	struct err err;
	const char *name = smimea_owner(arena, &parsed, lower, &err);

	assert_non_null(name);
	return name;
}

static void owner_is_that_of_the_standard(void **state)
{
	assert_string_equal(owner(*state, "hugh@example.com", false), HUGH);
	assert_string_equal(owner(*state, "hugh@example.com", true), HUGH);
	assert_string_equal(owner(*state, "\"hugh\"@Example.COM", false), HUGH);
	assert_string_equal(owner(*state, "\"h\\ugh\"@example.com", false), HUGH);
}

static void case_is_kept_or_folded(void **state)
{
	assert_string_not_equal(owner(*state, "Hugh@example.com", false), HUGH);
	assert_string_equal(owner(*state, "Hugh@example.com", true), HUGH);
}

static void other_scripts(void **state)
{
	/* a with diaeresis: one character, or two */
	assert_string_equal(owner(*state, "j\xc3\xa4n@b\xc3\xbc" "cher.example", false),
			    owner(*state, "ja\xcc\x88n@xn--bcher-kva.example", false));
	assert_string_not_equal(owner(*state, "j\xc3\xa4n@x.example", false), owner(*state, "jan@x.example", false));
	/* address_equal folds ASCII alone, and so does this */
	assert_string_not_equal(owner(*state, "\xc3\x84@x.example", true), owner(*state, "\xc3\xa4@x.example", true));
}

static void records_are_read_strictly(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *problem;
	} cases[] = {
		{ "", 0, "shorter" }, { "\3\0\0", 3, "shorter" },
		{ "\4\0\0x", 4, "usage" }, { "\xff\0\0x", 4, "usage" },
		{ "\3\2\0x", 4, "selector" }, { "\3\xff\0x", 4, "selector" }, { "\3\0\3x", 4, "matching" },
		{ "\3\0\1x", 4, "length" }, { "\3\0\2" "0123456789abcdef0123456789abcdef", 35, "length" },
		{ "\3\1\1" "0123456789abcdef0123456789abcdef0", 36, "length" }, { "\3\0\0x", 4, NULL },
		{ "\0\1\1" "0123456789abcdef0123456789abcdef", 35, NULL },
	};
	struct smimea record;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *problem = smimea_parse(slice_make(cases[i].bytes, cases[i].n), &record);

		assert_int_equal(problem == NULL, cases[i].problem == NULL);
		if (problem != NULL)
			assert_non_null(strstr(problem, cases[i].problem));
	}
	assert_int_equal(record.usage, SMIMEA_PKIX_TA);
	assert_int_equal(record.selector, SMIMEA_SPKI);
	assert_int_equal(record.matching, SMIMEA_SHA256);
	assert_int_equal(record.data.n, 32);
}

/* Written as a zone has it, read again, and matched. */
static void all_of_one_certificate(void **state)
{
	struct arena *arena = *state;
	struct testpki *root = testpki_root("Root");
	struct testpki *leaf = testpki_leaf(root, "a@x.example"), *other = testpki_leaf(root, "a@x.example");
	struct cert *cert = testpki_cert(leaf), *second = testpki_cert(other);
	struct smimea made, read;
	struct err err;
	char rdata[4096];

	for (int usage = 0; usage < 4; usage++)
		for (int kind = 0; kind < 6; kind++) {
			assert_int_equal(smimea_make(arena, cert, (enum smimea_usage)usage,
						     (enum smimea_selector)(kind / 3),
						     (enum smimea_matching)(kind % 3), &made, &err), 0);
			rdata[0] = (char)usage;
			rdata[1] = (char)(kind / 3);
			rdata[2] = (char)(kind % 3);
			memcpy(rdata + 3, made.data.p, made.data.n);
			assert_null(smimea_parse(slice_make(rdata, made.data.n + 3), &read));
			assert_int_equal(smimea_matches(&read, cert), 1);
			assert_int_equal(smimea_matches(&read, second), 0);
			assert_int_equal(smimea_is_person(&read), usage == 1 || usage == 3);
		}
	cert_free(cert);
	cert_free(second);
	testpki_free(leaf);
	testpki_free(other);
	testpki_free(root);
}

/* A renewed certificate of the same key has the same SPKI. */
static void key_alone_outlives_the_certificate(void **state)
{
	struct testpki *root = testpki_root("Root"), *leaf = testpki_leaf(root, "a@x.example"), *renewed = NULL;
	struct testpki_spec spec = { .pkey = leaf->pkey, .san = "email:a@x.example" };
	struct cert *cert = testpki_cert(leaf), *second = NULL;
	struct smimea made;

	renewed = testpki_make(root, &spec);
	second = testpki_cert(renewed);
	assert_int_equal(smimea_make(*state, cert, SMIMEA_DANE_EE, SMIMEA_SPKI, SMIMEA_SHA512, &made, NULL), 0);
	assert_int_equal(made.data.n, 64);
	assert_int_equal(smimea_matches(&made, second), 1);
	made.selector = SMIMEA_CERT;
	assert_int_equal(smimea_matches(&made, cert), 0);
	cert_free(cert);
	cert_free(second);
	testpki_free(leaf);
	testpki_free(renewed);
	testpki_free(root);
}

static void text_is_that_of_zone_files(void **state)
{
	const struct smimea record = { SMIMEA_DANE_EE, SMIMEA_CERT, SMIMEA_SHA256, { "\x01\xfe\x7f", 3 } };

	assert_string_equal(smimea_text(*state, &record, 0), "3 0 1 01fe7f");
	assert_string_equal(smimea_text(*state, &record, 3), "3 0 1 01fe7f");
	assert_string_equal(smimea_text(*state, &record, 2), "3 0 1 01fe...");
}

static int setup(void **state)
{
	*state = arena_new(0);
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	arena_free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(owner_is_that_of_the_standard, setup, teardown),
		cmocka_unit_test_setup_teardown(case_is_kept_or_folded, setup, teardown),
		cmocka_unit_test_setup_teardown(other_scripts, setup, teardown),
		cmocka_unit_test_setup_teardown(records_are_read_strictly, setup, teardown),
		cmocka_unit_test_setup_teardown(all_of_one_certificate, setup, teardown),
		cmocka_unit_test_setup_teardown(key_alone_outlives_the_certificate, setup, teardown),
		cmocka_unit_test_setup_teardown(text_is_that_of_zone_files, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
