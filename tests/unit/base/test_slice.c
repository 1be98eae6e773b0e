/* test_slice.c - comparing, trimming, cutting and searching views of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/slice.h"

static void test_equal(void **state)
{
	struct slice nul = slice_make("a\0b", 3);

	(void)state;
	assert_true(slice_equal(slice_of(NULL), slice_of("")));
	assert_true(slice_equal(nul, slice_make("a\0b", 3)));
	assert_false(slice_equal(nul, slice_of("a")));
	assert_true(slice_is(slice_of("Abc"), "Abc"));
	assert_false(slice_is(slice_of("Abc"), "abc"));
	assert_true(slice_is_nocase(slice_of("AbZ"), "aBz"));
	assert_false(slice_is_nocase(slice_of("ab"), "abc"));
	/* Only ASCII letters fold: not the neighbours of Z and not Latin-1. */
	assert_false(slice_is_nocase(slice_of("["), "{"));
	assert_false(slice_is_nocase(slice_of("\xc4"), "\xe4"));
}

static void test_ends(void **state)
{
	(void)state;
	assert_true(slice_starts_nocase(slice_of("Content-Type"), "content-"));
	assert_false(slice_starts_nocase(slice_of("Con"), "content-"));
	assert_true(slice_ends_nocase(slice_of("a@B.Example"), ".example"));
	assert_false(slice_ends_nocase(slice_of("ple"), ".example"));
	assert_true(slice_starts_nocase(slice_of(NULL), ""));
	assert_true(slice_ends_nocase(slice_of(NULL), ""));
}

static void test_cut(void **state)
{
	struct slice s = slice_of(" \t\r\n a b \r\n");

	(void)state;
	assert_true(slice_is(slice_trim(s), "a b"));
	assert_int_equal(slice_trim(slice_of(" \t ")).n, 0);
	assert_int_equal(slice_trim(slice_of(NULL)).n, 0);
	assert_true(slice_is(slice_from(slice_of("abc"), 1), "bc"));
	assert_int_equal(slice_from(slice_of("abc"), 3).n, 0);
	assert_int_equal(slice_from(slice_of("abc"), 99).n, 0);
	assert_int_equal(slice_from(slice_of(NULL), 99).n, 0);
	assert_true(slice_is(slice_first(slice_of("abc"), 2), "ab"));
	assert_true(slice_is(slice_first(slice_of("abc"), 9), "abc"));
}

static void test_find(void **state)
{
	(void)state;
	assert_int_equal(slice_find(slice_of("a@b@c"), '@'), 1);
	assert_int_equal(slice_find_last(slice_of("a@b@c"), '@'), 3);
	assert_int_equal(slice_find(slice_of("abc"), '@'), -1);
	assert_int_equal(slice_find_last(slice_of(NULL), '@'), -1);
	assert_int_equal(slice_find(slice_of(NULL), '@'), -1);
	assert_int_equal(slice_find(slice_make("a\0", 2), '\0'), 1);
}

static void test_lower(void **state)
{
	char text[] = "AZaz[@\xc4";

	(void)state;
	ascii_lower(text, strlen(text));
	assert_string_equal(text, "azaz[@\xc4");
}

static void test_characters(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++)
		assert_true(ascii_is_blank((char)c) == (c == ' ' || c == '\t' || c == '\r' || c == '\n'));
	assert_int_equal(ascii_hex_value('0'), 0);
	assert_int_equal(ascii_hex_value('9'), 9);
	assert_int_equal(ascii_hex_value('a'), 10);
	assert_int_equal(ascii_hex_value('F'), 15);
	assert_int_equal(ascii_hex_value('g'), -1);
	assert_int_equal(ascii_hex_value('\0'), -1);
	assert_int_equal(ascii_hex_value('\xe1'), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal), cmocka_unit_test(test_ends), cmocka_unit_test(test_cut),
		cmocka_unit_test(test_find), cmocka_unit_test(test_lower),
		cmocka_unit_test(test_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
