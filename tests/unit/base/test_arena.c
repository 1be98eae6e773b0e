/* test_arena.c - chunks, budget, copies, and the order in which foreign objects are released. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/arena.h"

static void test_alloc(void **state)
{
	struct arena *arena = arena_new(0);
	unsigned char *p[300];

	(void)state;
	assert_non_null(arena);
	for (size_t i = 0; i < 300; i++) {
		size_t n = i * 41 % 9000;

		p[i] = arena_alloc(arena, n);
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % _Alignof(max_align_t), 0);
		for (size_t j = 0; j < n; j++)
			assert_int_equal(p[i][j], 0);
		memset(p[i], (int)i & 0xff, n);
	}
	/* Nothing overlaps. */
	for (size_t i = 0; i < 300; i++)
		for (size_t j = 0; j < i * 41 % 9000; j += 97)
			assert_int_equal(p[i][j], i & 0xff);
	arena_free(arena);
	arena_free(NULL);
}

static void test_budget(void **state)
{
	struct arena *arena = arena_new(1000);

	(void)state;
	assert_non_null(arena_alloc(arena, 600));
	assert_null(arena_alloc(arena, 600));
	assert_non_null(arena_alloc(arena, 300));
	assert_true(arena_used(arena) <= 1000);
	assert_null(arena_alloc(arena, SIZE_MAX));
	assert_null(arena_alloc(arena, SIZE_MAX - 8));
	assert_null(arena_array(arena, SIZE_MAX / 2, 4));
	assert_null(arena_printf(arena, "%0200d", 7));
	arena_free(arena);
	arena = arena_new(0);
	assert_null(arena_array(arena, SIZE_MAX / 2, 4));
	assert_null(arena_alloc(arena, SIZE_MAX));
	arena_free(arena);
}

static void test_copies(void **state)
{
	struct arena *arena = arena_new(0), *full = arena_new(8);
	struct slice copy;
	char *text;

	(void)state;
	assert_string_equal(arena_strdup(arena, "abc"), "abc");
	copy = arena_copy(arena, slice_make("a\0b", 3));
	assert_true(slice_equal(copy, slice_make("a\0b", 3)));
	assert_int_equal(copy.p[3], 0);
	copy = arena_copy(arena, slice_of(NULL));
	assert_non_null(copy.p);
	assert_int_equal(copy.n, 0);
	text = arena_string(arena, slice_make("xyz", 2));
	assert_string_equal(text, "xy");
	assert_string_equal(arena_printf(arena, "%d-%s", 7, "x"), "7-x");
	assert_string_equal(arena_printf(arena, "%s", ""), "");
	copy = arena_copy(full, slice_of("longer than eight bytes"));
	assert_null(copy.p);
	assert_int_equal(copy.n, 0);
	assert_null(arena_printf(full, "%d and more than eight", 5));
	arena_free(full);
	arena_free(arena);
}

struct trace {
	char *order;
	char name;
};

static void release(void *object)
{
	struct trace *trace = object;
	size_t n = strlen(trace->order);

	trace->order[n] = trace->name;
	trace->order[n + 1] = '\0';
}

static void test_defer(void **state)
{
	struct arena *arena = arena_new(0);
	char order[16] = "";
	struct trace traces[] = { { order, 'a' }, { order, 'b' }, { order, 'c' } };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(arena_defer(arena, release, &traces[i]), 0);
	assert_string_equal(order, "");
	arena_free(arena);
	assert_string_equal(order, "cba");
	/* No room to remember it: released at once. */
	arena = arena_new(1);
	order[0] = '\0';
	assert_int_equal(arena_defer(arena, release, &traces[0]), -1);
	assert_string_equal(order, "a");
	arena_free(arena);
	assert_string_equal(order, "a");
}

static void test_buf(void **state)
{
	struct arena *arena = arena_new(0), *small = arena_new(1);
	struct buf *buf = arena_buf(arena, 4);

	(void)state;
	assert_non_null(buf);
	assert_int_equal(buf_append_text(buf, "four"), 0);
	assert_int_equal(buf_append_text(buf, "5"), -1);
	assert_null(arena_buf(small, 4));
	arena_free(small);
	arena_free(arena);	/* sanitizers see a leak if the buffer stays */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alloc), cmocka_unit_test(test_budget), cmocka_unit_test(test_copies),
		cmocka_unit_test(test_defer), cmocka_unit_test(test_buf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
