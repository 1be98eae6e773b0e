/* test_pattern.c - which addresses a pattern means, and which texts are none. */
#include "unit/mail/mail_test.h"

#include "mail/pattern.h"

static bool matches(struct arena *arena, const char *pattern, const char *text)
{
	struct pattern parsed;
	struct address address;

	assert_int_equal(pattern_parse_address(arena, pattern, &parsed, NULL), 0);
	assert_int_equal(address_parse(arena, slice_of(text), &address, NULL), 0);
	return pattern_match(&parsed, &address);
}

static bool domain_matches(struct arena *arena, const char *pattern, const char *text)
{
	struct pattern parsed;
	struct address address;

	assert_int_equal(pattern_parse_domain(arena, pattern, &parsed, NULL), 0);
	assert_int_equal(address_parse(arena, slice_of(text), &address, NULL), 0);
	return pattern_match(&parsed, &address);
}

static void test_address_patterns(void **state)
{
	assert_true(matches(*state, "Bob@X.example", "bob@x.EXAMPLE"));
	assert_false(matches(*state, "bob@x.example", "rob@x.example"));
	assert_true(matches(*state, "*@x.example", "bob@X.example"));
	assert_false(matches(*state, "*@x.example", "bob@y.x.example"));
	assert_false(matches(*state, "*@x.example", "bob@yx.example"));
	assert_true(matches(*state, "*@.x.example", "bob@a.y.x.example"));
	assert_false(matches(*state, "*@.x.example", "bob@x.example"));
	assert_false(matches(*state, "*@.x.example", "bob@yx.example"));
	assert_true(matches(*state, "*", "bob@x.example"));
	assert_true(matches(*state, "*", "<>"));
	assert_true(matches(*state, "<>", "<>"));
	assert_false(matches(*state, "<>", "a@b"));
	assert_false(matches(*state, "*@x", "<>"));
	assert_false(matches(*state, "*@x", "local"));
	assert_true(matches(*state, "*@b\xc3\xbc" "cher.example", "a@xn--bcher-kva.example"));
}

static void test_domain_patterns(void **state)
{
	assert_true(domain_matches(*state, "x.example", "a@X.example"));
	assert_true(domain_matches(*state, ".x.example", "a@y.x.example"));
	assert_false(domain_matches(*state, ".x.example", "a@x.example"));
	assert_true(domain_matches(*state, "*", "a@b"));
}

static void test_no_patterns(void **state)
{
	static const char *const bad[] = { "", "x", "a*@b", "*b@c", "*@", "*@.", "*@*", "**", "a@b c@d", "@b",
		"a@b\ngroup" };
	static const char *const bad_domains[] = { "", ".", "..x", "*.x", "a@b", "x y", "<>" };
	struct pattern pattern;
	struct err err = { ERR_NONE, "" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (pattern_parse_address(*state, bad[i], &pattern, &err) == 0)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(err.class, ERR_CONFIG);
	}
	assert_non_null(strstr(err.text, "a@b"));
	for (size_t i = 0; i < sizeof(bad_domains) / sizeof(bad_domains[0]); i++) {
		if (pattern_parse_domain(*state, bad_domains[i], &pattern, &err) == 0)
			fail_msg("accepted: %s", bad_domains[i]);
		assert_int_equal(err.class, ERR_CONFIG);
	}
}

static void test_list(void **state)
{
	struct pattern items[2];
	struct pattern_list list = { items, 2 };
	const struct pattern_list empty = { NULL, 0 };
	struct address address;

	assert_int_equal(pattern_parse_address(*state, "*@a", &items[0], NULL), 0);
	assert_int_equal(pattern_parse_address(*state, "x@b", &items[1], NULL), 0);
	assert_int_equal(address_parse(*state, slice_of("x@b"), &address, NULL), 0);
	assert_true(pattern_list_match(&list, &address));
	assert_false(pattern_list_match(&empty, &address));
	list.n = 1;
	assert_false(pattern_list_match(&list, &address));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_arena(test_address_patterns),
		with_arena(test_domain_patterns),
		with_arena(test_no_patterns),
		with_arena(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
