/* test_err.c - error texts: class, escaping, prefix, length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"

static void test_set(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(err_set(&err, ERR_POLICY, "rule %s: %d", "x", 5), -1);
	assert_int_equal(err.class, ERR_POLICY);
	assert_string_equal(err.text, "rule x: 5");
	assert_int_equal(err_set(NULL, ERR_POLICY, "x"), -1);
	assert_int_equal(err_memory(&err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_string_equal(err.text, "out of memory");
}

static void test_escapes(void **state)
{
	struct err err = { 0 };

	(void)state;
	err_set(&err, ERR_MESSAGE, "a%sb", "\r\n\x1b\x7f\xc3\xa9~\\");
	assert_string_equal(err.text, "a\\x0d\\x0a\\x1b\\x7f\\xc3\\xa9~\\b");
}

static void test_prefix(void **state)
{
	struct err err = { 0 };

	(void)state;
	err_set(&err, ERR_LIMIT, "too much");
	assert_int_equal(err_prefix(&err, "part %d", 3), -1);
	assert_string_equal(err.text, "part 3: too much");
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(err_prefix(NULL, "x"), -1);
	/* The text itself may be among the arguments. */
	err_set(&err, ERR_LIMIT, "again %s", err.text);
	assert_string_equal(err.text, "again part 3: too much");
}

static void test_long(void **state)
{
	struct err err = { 0 };
	char text[2000];

	(void)state;
	memset(text, '\xff', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&err, ERR_BUG, "%s", text);
	assert_true(strlen(err.text) < sizeof(err.text));
	assert_int_equal(strlen(err.text) % 4, 0);
	memset(text, 'p', sizeof(text) - 1);
	err_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
