/* test_owner.c - what is an address in a directory, and which is the primary one. Whole entries: test_ldap_driver.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "ldap/owner.h"

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

static void values(void **state)
{
	static const struct {
		const char *value, *address;	/* NULL: none */
		bool primary;
	} rows[] = {
		{ "SMTP:Bob@Example.COM", "Bob@example.com", true },
		{ "smtp:bob@example.com", "bob@example.com", false },
		{ "Smtp:bob@example.com", "bob@example.com", false },
		{ "bob@example.com", "bob@example.com", false },
		{ " bob@example.com ", "bob@example.com", false },
		{ "smtp:bob@m\xc3\xbcller.example", "bob@xn--mller-kva.example", false },
		{ "bob@XN--MLLER-KVA.example", "bob@xn--mller-kva.example", false },
		{ "smtp:j\xc3\xb6rg@example.com", "j\xc3\xb6rg@example.com", false },
		{ "SMTP:\"john smith\"@example.com", "\"john smith\"@example.com", true },
		{ "\"bob\"@example.com", "bob@example.com", false },
		{ "X500:/o=Example/ou=Exchange/cn=Recipients/cn=bob", NULL, false },
		{ "X400:C=DE;A= ;P=Example;S=Bob;", NULL, false },
		{ "SIP:bob@example.com", NULL, false },
		{ "sip:bob@example.com", NULL, false },
		{ "EUM:123;phone-context=plan.example.com", NULL, false },
		{ "SPO:SPO_1@SPO_2", NULL, false },
		{ "x500:bob@example.com", NULL, false },
		{ "SMTP:", NULL, true },
		{ "SMTP:SMTP:bob@example.com", NULL, true },
		{ "SMTP", NULL, false },
		{ "bob", NULL, false },
		{ "bob@", NULL, false },
		{ "@example.com", NULL, false },
		{ "bob@exa mple.com", NULL, false },
		{ "Bob <bob@example.com>", NULL, false },
		{ "bob@example.com, carol@example.com", NULL, false },
		{ "bob\r\n@example.com", NULL, false },
		{ "\xff@example.com", NULL, false },
		{ "", NULL, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct address address = { .local.n = 0 };
		bool primary = !rows[i].primary;
		bool is = owner_address(*state, slice_of(rows[i].value), &address, &primary);

		if (is != (rows[i].address != NULL) || primary != rows[i].primary)
			fail_msg("%s: %d, primary %d", rows[i].value, is, primary);
		if (is && !slice_is(address.text, rows[i].address))
			fail_msg("%s: %.*s", rows[i].value, SLICE_ARGS(address.text));
	}
}

static void nul_is_garbage(void **state)
{
	static const char value[] = "smtp:bob@example.com\0.evil.example";
	struct address address;
	bool primary;

	assert_false(owner_address(*state, slice_make(value, sizeof(value) - 1), &address, &primary));
}

/* The lookup process takes no text of any size: one in somebody's entry must not put off mail to others. */
static void long_values_are_none(void **state)
{
	char value[1001] = "SMTP:";
	struct address address;
	bool primary = false;

	memset(value + 5, 'a', sizeof(value) - 5);
	memcpy(value + 100, "@x.example", 10);
	assert_true(owner_address(*state, slice_make(value, 110), &address, &primary));
	memset(value + 100, 'a', 10);
	memcpy(value + sizeof(value) - 10, "@x.example", 10);
	assert_false(owner_address(*state, slice_make(value, sizeof(value)), &address, &primary));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(values), TEST(nul_is_garbage), TEST(long_values_are_none) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
