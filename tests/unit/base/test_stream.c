/* test_stream.c - end and error stay, ownership of parts, limits, draining. Leaks are the sanitizer's to find. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/stream.h"

/* Gives n bytes 'x' one at a time, then fails or ends. */
struct source {
	size_t left;
	bool fails;
	int *reads, *closed;
};

static ssize_t source_read(void *self, void *p, size_t n, struct err *err)
{
	struct source *source = self;

	assert_true(n >= 1);
	(*source->reads)++;
	if (source->left == 0)
		return source->fails ? err_set(err, ERR_TEMP, "disk") : 0;
	source->left--;
	memset(p, 'x', 1);
	return 1;
}

static void source_close(void *self)
{
	struct source *source = self;

	(*source->closed)++;
	free(source);
}

static const struct stream_class source_class = { .read = source_read, .close = source_close };

static int reads, closed;

static struct stream *source_open(size_t n, bool fails)
{
	struct source *source = calloc(1, sizeof(*source));

	assert_non_null(source);
	*source = (struct source){ .left = n, .fails = fails, .reads = &reads, .closed = &closed };
	return stream_new(&source_class, source, NULL);
}

static int reset(void **state)
{
	(void)state;
	reads = 0;
	closed = 0;
	return 0;
}

static void assert_reads(struct stream *stream, const char *wanted)
{
	struct buf buf;
	struct err err = { 0 };

	assert_non_null(stream);
	buf_init(&buf, 0);
	assert_int_equal(stream_read_all(stream, &buf, &err), 0);
	assert_string_equal(buf_string(&buf), wanted);
	buf_clear(&buf);
	stream_close(stream);
}

static void test_sticky(void **state)
{
	struct stream *stream = source_open(1, true);
	struct err err = { 0 };
	char c;

	(void)state;
	assert_int_equal(stream_read(stream, &c, 0, &err), 0);
	assert_int_equal(reads, 0);
	assert_int_equal(stream_read(stream, &c, 1, &err), 1);
	assert_int_equal(stream_read(stream, &c, 1, NULL), -1);
	assert_int_equal(stream_read(stream, &c, 1, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_string_equal(err.text, "disk");
	assert_int_equal(reads, 2);
	stream_close(stream);
	assert_int_equal(closed, 1);
	stream = source_open(0, false);
	assert_int_equal(stream_read(stream, &c, 1, &err), 0);
	assert_int_equal(stream_read(stream, &c, 1, &err), 0);
	assert_int_equal(reads, 3);
	stream_close(stream);
	stream_close(NULL);
}

static ssize_t liar_read(void *self, void *p, size_t n, struct err *err)
{
	(void)self, (void)p, (void)err;
	return (ssize_t)n + 1;
}

static ssize_t mute_read(void *self, void *p, size_t n, struct err *err)
{
	(void)self, (void)p, (void)n, (void)err;
	return -1;
}

static void no_close(void *self)
{
	(void)self;
}

static void test_broken_classes(void **state)
{
	static const struct stream_class liar = { .read = liar_read, .close = no_close };
	static const struct stream_class mute = { .read = mute_read, .close = no_close };
	const struct stream_class *classes[] = { &liar, &mute };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct stream *stream = stream_new(classes[i], NULL, NULL);
		struct err err = { 0 };
		char p[8];

		assert_int_equal(stream_read(stream, p, 4, &err), -1);
		assert_int_equal(err.class, ERR_BUG);
		assert_int_equal(stream_read(stream, p, 4, &err), -1);
		stream_close(stream);
	}
}

static void test_bytes(void **state)
{
	(void)state;
	assert_reads(stream_from_slice(slice_of("abc"), NULL), "abc");
	assert_reads(stream_from_slice(slice_of(NULL), NULL), "");
}

static void test_concat(void **state)
{
	struct stream *parts[3] = { stream_from_slice(slice_of("a"), NULL), source_open(3, false),
				    stream_from_slice(slice_of("c"), NULL) };
	struct err err = { 0 };

	(void)state;
	assert_reads(stream_concat(parts, 3, &err), "axxxc");
	assert_int_equal(closed, 1);
	assert_reads(stream_concat(NULL, 0, &err), "");
	/* A part that could not be opened: its error stays, the others are closed. */
	parts[0] = source_open(1, false);
	parts[1] = NULL;
	parts[2] = source_open(1, false);
	err_set(&err, ERR_TEMP, "the opener's");
	assert_null(stream_concat(parts, 3, &err));
	assert_string_equal(err.text, "the opener's");
	assert_int_equal(closed, 3);
	/* Closed before the end: nothing is left open. */
	parts[0] = source_open(1, false);
	parts[1] = source_open(1, false);
	stream_close(stream_concat(parts, 2, &err));
	assert_int_equal(closed, 5);
}

static void test_concat_error(void **state)
{
	struct stream *parts[2] = { source_open(2, true), source_open(2, false) }, *stream;
	struct err err = { 0 };
	struct buf buf;

	(void)state;
	buf_init(&buf, 0);
	stream = stream_concat(parts, 2, &err);
	assert_int_equal(stream_read_all(stream, &buf, &err), -1);
	assert_string_equal(err.text, "disk");
	assert_string_equal(buf_string(&buf), "xx");
	stream_close(stream);
	assert_int_equal(closed, 2);
	buf_clear(&buf);
}

static void test_limit(void **state)
{
	(void)state;
	assert_reads(stream_limit(stream_from_slice(slice_of("abcdef"), NULL), 3, NULL), "abc");
	assert_reads(stream_limit(stream_from_slice(slice_of("ab"), NULL), 3, NULL), "ab");
	assert_reads(stream_limit(source_open(5, true), 5, NULL), "xxxxx");
	assert_int_equal(reads, 5);
	assert_reads(stream_limit(source_open(5, true), 0, NULL), "");
	assert_int_equal(closed, 2);
	assert_null(stream_limit(NULL, 3, NULL));
}

static int refuse_second(void *arg, const void *p, size_t n, struct err *err)
{
	int *calls = arg;

	(void)p;
	assert_true(n >= 1);
	return ++*calls == 2 ? err_set(err, ERR_POLICY, "no more") : 0;
}

static void test_drain(void **state)
{
	struct stream *stream = source_open(10, false);
	struct err err = { 0 };
	struct buf buf;
	int calls = 0;

	(void)state;
	assert_int_equal(stream_drain(stream, refuse_second, &calls, &err), -1);
	assert_int_equal(err.class, ERR_POLICY);
	assert_int_equal(calls, 2);
	buf_init(&buf, 3);
	assert_int_equal(stream_read_all(stream, &buf, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_string_equal(err.text, "more than 3 bytes");
	stream_close(stream);
	buf_reset(&buf);
	stream = source_open(3, false);
	assert_int_equal(stream_read_all(stream, &buf, &err), 0);
	stream_close(stream);
	buf_clear(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sticky, reset), cmocka_unit_test(test_broken_classes),
		cmocka_unit_test(test_bytes), cmocka_unit_test_setup(test_concat, reset),
		cmocka_unit_test_setup(test_concat_error, reset), cmocka_unit_test_setup(test_limit, reset),
		cmocka_unit_test_setup(test_drain, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
