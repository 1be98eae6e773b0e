/* test_buf.c - growing, limits that leave the buffer unchanged, consuming. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/buf.h"

static void test_append(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 0);
	assert_string_equal(buf_string(&buf), "");
	assert_int_equal(buf_append(&buf, NULL, 0), 0);
	assert_int_equal(buf_append_text(&buf, "ab"), 0);
	assert_int_equal(buf_append_char(&buf, 'c'), 0);
	assert_int_equal(buf_append_slice(&buf, slice_of(NULL)), 0);
	assert_int_equal(buf_append_slice(&buf, slice_of("d")), 0);
	assert_int_equal(buf_printf(&buf, "%03d", 7), 0);
	assert_string_equal(buf_string(&buf), "abcd007");
	assert_true(slice_is(buf_slice(&buf), "abcd007"));
	for (int i = 0; i < 10000; i++)
		assert_int_equal(buf_printf(&buf, "%d,", i), 0);
	assert_true(slice_ends_nocase(buf_slice(&buf), ",9998,9999,"));
	assert_true(slice_starts_nocase(buf_slice(&buf), "abcd0070,1,2,"));
	buf_reset(&buf);
	assert_int_equal(buf.n, 0);
	assert_string_equal(buf_string(&buf), "");
	buf_clear(&buf);
	buf_clear(&buf);
	assert_int_equal(buf_append_text(&buf, "again"), 0);
	buf_clear(&buf);
}

static void test_limit(void **state)
{
	struct buf buf;
	unsigned char *to;

	(void)state;
	buf_init(&buf, 5);
	assert_int_equal(buf_append_text(&buf, "abc"), 0);
	assert_int_equal(buf_append_text(&buf, "def"), -1);
	assert_int_equal(buf_printf(&buf, "%s", "def"), -1);
	assert_null(buf_reserve(&buf, 3));
	assert_true(slice_is(buf_slice(&buf), "abc"));
	/* The NUL behind the content does not count. */
	assert_int_equal(buf_printf(&buf, "%s", "de"), 0);
	assert_string_equal(buf_string(&buf), "abcde");
	assert_non_null(buf_reserve(&buf, 0));
	assert_int_equal(buf_append_char(&buf, 'x'), -1);
	assert_null(buf_reserve(&buf, SIZE_MAX));
	buf_clear(&buf);
	assert_int_equal(buf.limit_bytes, 5);
	to = buf_reserve(&buf, 4);
	assert_non_null(to);
	memcpy(to, "wxyz", 4);
	buf.n += 4;
	assert_string_equal(buf_string(&buf), "wxyz");
	buf_clear(&buf);
	buf_init(&buf, 0);
	assert_null(buf_reserve(&buf, SIZE_MAX));
	assert_null(buf_reserve(&buf, SIZE_MAX / 2));
	buf_clear(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append), cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
