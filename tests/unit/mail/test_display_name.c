/* test_display_name.c - names beside the address of From, honest ones and those that read like another's address. */
#include "unit/mail/mail_test.h"

#include "mail/display_name.h"

static bool claims(struct arena *arena, const char *value)
{
	struct address address;
	enum mailbox_form form = MAILBOX_NONE;
	bool result = false;

	assert_int_equal(address_single(arena, slice_of(value), &address, &form, NULL), 0);
	assert_int_equal(form, MAILBOX_SINGLE);
	assert_int_equal(display_name_claims(arena, slice_of(value), &address, &result), 0);
	return result;
}

static void test_names(void **state)
{
	static const char *const values[] = {
		"a@b.example", "<a@b.example>", "Alice <a@b.example>", "a@b.example (Alice)", "\"Smith, Alice\" <a@b.example>",
		"\"A \\\"B\\\" C\" <a@b.example>", "=?utf-8?q?Al=C3=ADce?= (x) <a@b.example>",
		"\"a@b.example\" <a@b.example>", "\"'A@B.example'\" <a@b.example>", "=?utf-8?q?a=40b.example?= <a@b.example>",
		"=?utf-8?b?YUBi?=\r\n =?utf-8?q?.example?= <a@b.example>", "=?utf-8?x?a=40b?= <a@b.example>",
		"=?=40 <a@b.example>",
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (claims(*state, values[i]))
			fail_msg("%s", values[i]);
}

static void test_claims(void **state)
{
	static const char *const values[] = {
		"\"c@d.example\" <a@b.example>", "\"Alice c@d.example\" <a@b.example>", "=?utf-8?q?c=40d.example?= <a@b.example>",
		"=?utf-8?B?Y0BkLmV4YW1wbGU=?= <a@b.example>", "\"=?utf-8?q?c=40d?=\" <a@b.example>",
		"=?utf-8?q?c?= =?utf-8?q?=40d?= <a@b.example>", "a@b.example (=?utf-8?q?c=40d?=)", "<a@b.example> (=?us-ascii?q?c=40d?=)",
		"c\xef\xbc\xa0 d.example <a@b.example>", "\"a@b.example, c@d\" <a@b.example>", "\"c\\@d\" <a@b.example>",
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (!claims(*state, values[i]))
			fail_msg("%s", values[i]);
}

static void test_exhausted_arena(void **state)
{
	struct address address = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
	struct arena *small = arena_new(64);
	bool result = false;

	(void)state;
	assert_non_null(small);
	assert_int_equal(display_name_claims(small, slice_of("A name that is longer than all the memory there is in the arena "
		"that was made for this test alone, so that not even its first copy fits <a@b.example>"), &address, &result), -1);
	assert_true(result);
	arena_free(small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_arena(test_names), with_arena(test_claims), with_arena(test_exhausted_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
