/* test_entry.c - attribute names, and the values that servers keep under them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "ldap/entry.h"
#include "support/testpki.h"

struct state {
	struct arena *arena;
	struct buf bytes;
	struct testpki *root, *sub, *alice;
	struct directory_answer answer;
};

static const struct directory_entry usual = { .attribute = "userCertificate" };
static const struct directory_entry smime = { .attribute = "userSMIMECertificate" };

static int setup(void **state)
{
	static struct state s;

	memset(&s, 0, sizeof(s));
	s.arena = arena_new(0);
	buf_init(&s.bytes, 0);
	s.root = testpki_root("Root");
	s.sub = testpki_sub(s.root, "Sub");
	s.alice = testpki_leaf(s.sub, "alice@example.com");
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	buf_clear(&s->bytes);
	testpki_free(s->alice);
	testpki_free(s->sub);
	testpki_free(s->root);
	arena_free(s->arena);
	return 0;
}

static void names_without_options_and_case(void **state)
{
	static const char *const names[] = { "userSMIMECertificate", "userCertificate", NULL };

	(void)state;
	assert_ptr_equal(entry_attribute(names, "userCertificate;binary"), names[1]);
	assert_ptr_equal(entry_attribute(names, "USERCERTIFICATE;Binary;lang-de"), names[1]);
	assert_ptr_equal(entry_attribute(names, "usersmimecertificate"), names[0]);
	assert_null(entry_attribute(names, "userCertificateX"));
	assert_null(entry_attribute(names, "userCertificat"));
	assert_null(entry_attribute(names, ";binary"));
	assert_null(entry_attribute(names, ""));
}

static void der_is_an_entry_even_of_a_ca(void **state)
{
	struct state *s = *state;

	testpki_der(s->alice, &s->bytes);
	assert_int_equal(entry_value(s->arena, &usual, buf_slice(&s->bytes), &s->answer), 0);
	buf_reset(&s->bytes);
	testpki_der(s->root, &s->bytes);
	assert_int_equal(entry_value(s->arena, &usual, buf_slice(&s->bytes), &s->answer), 0);
	assert_int_equal(s->answer.status, DIRECTORY_FOUND);
	assert_int_equal(s->answer.n, 2);
	assert_int_equal(s->answer.chain.n, 0);
	assert_string_equal(s->answer.entries[0].attribute, "userCertificate");
	assert_false(s->answer.entries[0].capabilities.known);
}

static void certs_only_gives_leaf_and_chain(void **state)
{
	struct state *s = *state;
	const struct testpki *all[] = { s->root, s->alice, s->sub };

	testpki_p7b(all, 3, false, &s->bytes);
	assert_int_equal(entry_value(s->arena, &smime, buf_slice(&s->bytes), &s->answer), 0);
	assert_int_equal(s->answer.n, 1);
	assert_false(cert_info(s->answer.entries[0].cert)->ca);
	assert_int_equal(s->answer.chain.n, 2);
	assert_int_equal(s->answer.problem_count, 0);
}

static void garbage_hides_nothing(void **state)
{
	struct state *s = *state;
	static const char *const garbage[] = {
		"", "x", "0", "hello world", "0\x82\xff\xff", "-----BEGIN CERTIFICATE-----\nAA",
	};
	struct slice der;

	testpki_der(s->alice, &s->bytes);
	der = buf_slice(&s->bytes);
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		assert_int_equal(entry_value(s->arena, &usual, slice_of(garbage[i]), &s->answer), 0);
		assert_int_equal(s->answer.status, DIRECTORY_NONE);
		assert_true(s->answer.problem_count >= i + 1);
		assert_int_equal(strncmp(s->answer.problems[i], "userCertificate: ", 17), 0);
	}
	/* Cut short at every tenth byte, then whole. */
	for (size_t n = 0; n < der.n; n += 10)
		assert_int_equal(entry_value(s->arena, &usual, slice_first(der, n), &s->answer), 0);
	assert_int_equal(s->answer.n, 0);
	assert_int_equal(entry_value(s->arena, &usual, der, &s->answer), 0);
	assert_int_equal(s->answer.n, 1);
	assert_int_equal(s->answer.status, DIRECTORY_FOUND);
}

static void crl_is_no_certificate(void **state)
{
	struct state *s = *state;

	testpki_crl(s->root, NULL, 0, 0, 0, false, &s->bytes);
	assert_int_equal(entry_value(s->arena, &usual, buf_slice(&s->bytes), &s->answer), 0);
	assert_int_equal(s->answer.status, DIRECTORY_NONE);
	assert_int_equal(s->answer.problem_count, 1);
	assert_non_null(strstr(s->answer.problems[0], "no certificate"));
}

static void no_memory(void **state)
{
	struct state *s = *state;
	struct arena *small = arena_new(64);

	testpki_der(s->alice, &s->bytes);
	assert_int_equal(entry_value(small, &usual, buf_slice(&s->bytes), &s->answer), -1);
	arena_free(small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_without_options_and_case), TEST(der_is_an_entry_even_of_a_ca),
		TEST(certs_only_gives_leaf_and_chain), TEST(garbage_hides_nothing), TEST(crl_is_no_certificate),
		TEST(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
