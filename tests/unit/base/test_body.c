/* test_body.c - bodies open again and again; ranges seek where they can and skip where they must. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/body.h"

static void assert_body(const struct body *body, const char *wanted)
{
	struct err err = { 0 };
	struct buf buf;

	assert_non_null(body);
	for (int i = 0; i < 2; i++) {
		buf_init(&buf, 0);
		assert_int_equal(body_read_all(body, &buf, &err), 0);
		assert_string_equal(buf_string(&buf), wanted);
		buf_clear(&buf);
	}
}

/* "0123456789", computed; notes the offset that it was opened at. */
static uint64_t opened_at;

static struct stream *digits_open(const void *self, uint64_t offset, struct err *err)
{
	(void)self;
	opened_at = offset;
	return stream_from_slice(slice_from(slice_of("0123456789"), (size_t)offset), err);
}

static struct stream *fail_open(const void *self, uint64_t offset, struct err *err)
{
	(void)self, (void)offset;
	err_set(err, ERR_TEMP, "cannot open");
	return NULL;
}

static const struct body_class skipping = { .open = digits_open, .seekable = false };
static const struct body_class seeking = { .open = digits_open, .seekable = true };
static const struct body_class failing = { .open = fail_open, .seekable = false };

static void test_memory(void **state)
{
	struct arena *arena = arena_new(0);
	const struct body *body = body_from_slice(arena, slice_of("abcdef"));
	struct stream *one, *other;
	char p[8];

	(void)state;
	assert_int_equal(body->size_bytes, 6);
	assert_body(body, "abcdef");
	one = body_open(body, NULL);
	other = body_open(body, NULL);
	assert_int_equal(stream_read(one, p, 4, NULL), 4);
	assert_int_equal(stream_read(other, p, 1, NULL), 1);
	assert_int_equal(p[0], 'a');
	assert_int_equal(stream_read(one, p, 8, NULL), 2);
	assert_memory_equal(p, "ef", 2);
	stream_close(one);
	stream_close(other);
	assert_body(body_from_slice(arena, slice_of(NULL)), "");
	arena_free(arena);
}

static void test_range(void **state)
{
	struct arena *arena = arena_new(0);
	const struct body *body = body_from_slice(arena, slice_of("abcdef")), *range;

	(void)state;
	assert_body(body_range(arena, body, 2, 3), "cde");
	assert_body(body_range(arena, body, 4, 99), "ef");
	assert_body(body_range(arena, body, 6, 1), "");
	assert_body(body_range(arena, body, UINT64_MAX, UINT64_MAX), "");
	assert_body(body_range(arena, body, 3, UINT64_MAX), "def");
	range = body_range(arena, body, 1, 4);
	assert_int_equal(range->size_bytes, 4);
	assert_body(body_range(arena, range, 1, 2), "cd");
	assert_body(body_range(arena, range, 3, 9), "e");
	arena_free(arena);
}

static void test_seek_or_skip(void **state)
{
	struct arena *arena = arena_new(0);
	const struct body *seek = body_new(arena, &seeking, NULL, 10), *skip = body_new(arena, &skipping, NULL, 10);
	const struct body *unknown = body_new(arena, &skipping, NULL, BODY_SIZE_UNKNOWN);

	(void)state;
	assert_body(body_range(arena, seek, 4, 3), "456");
	assert_int_equal(opened_at, 4);
	assert_body(body_range(arena, body_range(arena, seek, 4, 5), 2, 9), "678");
	assert_int_equal(opened_at, 6);
	assert_body(body_range(arena, skip, 4, 3), "456");
	assert_int_equal(opened_at, 0);
	assert_body(body_range(arena, body_range(arena, skip, 4, 5), 2, 2), "67");
	assert_int_equal(body_range(arena, skip, 4, 99)->size_bytes, 6);
	assert_int_equal(body_range(arena, unknown, 4, 2)->size_bytes, BODY_SIZE_UNKNOWN);
	assert_body(body_range(arena, unknown, 8, 5), "89");
	assert_body(body_range(arena, unknown, 12, 5), "");
	assert_body(body_range(arena, unknown, UINT64_MAX, UINT64_MAX), "");
	arena_free(arena);
}

static void test_errors(void **state)
{
	struct arena *arena = arena_new(0), *full = arena_new(16);
	const struct body *body = body_new(arena, &failing, NULL, 10);
	struct err err = { 0 };
	struct buf buf;

	(void)state;
	buf_init(&buf, 0);
	assert_int_equal(body_read_all(body, &buf, &err), -1);
	assert_string_equal(err.text, "cannot open");
	assert_null(body_open(body_range(arena, body, 2, 2), &err));
	assert_null(body_from_slice(full, slice_of("x")));
	assert_null(body_range(full, body, 1, 1));
	buf_clear(&buf);
	buf_init(&buf, 4);
	assert_int_equal(body_read_all(body_from_slice(arena, slice_of("abcde")), &buf, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	buf_clear(&buf);
	arena_free(full);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory), cmocka_unit_test(test_range), cmocka_unit_test(test_seek_or_skip),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
