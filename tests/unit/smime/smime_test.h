/* smime_test.h - what test_sign.c and test_encrypt.c share: an entity, computed bodies, taking the result apart. */
#ifndef SMIME_TEST_H
#define SMIME_TEST_H

#include <openssl/cms.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "mail/canon.h"
#include "mail/encode.h"

#define ENTITY "Content-Type: text/plain; charset=us-ascii\r\n\r\nDear Bob,\r\n\r\nthe text.\r\n"

static inline struct header test_header(struct arena *arena, const char *text)
{
	struct header header = { .n = 0 };
	struct header_limits limits = { .bytes = 0 };
	struct err err = { .class = ERR_NONE };
	size_t consumed = 0;

	assert_int_equal(header_parse(arena, slice_of(text), &limits, &header, &consumed, &err), 0);
	return header;
}

static inline struct canon test_canon(struct arena *arena, const char *header, const struct body *entity)
{
	assert_non_null(entity);
	return (struct canon){ .outside = test_header(arena, header), .entity = entity, .seven_bit = true };
}

/* A body of lines, made as it is read; then the end or an error. Reads come short now and then. */
struct test_lines {
	uint64_t size_bytes;
	bool fails;
};

struct test_line_stream {
	const struct test_lines *lines;
	uint64_t at;
};

static inline ssize_t test_lines_read(void *self, void *p, size_t n, struct err *err)
{
	static const char line[] = "0123456789 lorem ipsum dolor sit amet, consectetur adipisci elit\r\n";
	struct test_line_stream *stream = self;
	char *out = p;
	size_t most = 1 + (size_t)(stream->at % 4999), i = 0;

	for (; i < n && i < most && stream->at < stream->lines->size_bytes; i++)
		out[i] = line[stream->at++ % (sizeof(line) - 1)];
	if (i == 0 && stream->lines->fails)
		return err_set(err, ERR_LIMIT, "the test's source failed");
	return (ssize_t)i;
}

static inline struct stream *test_lines_open(const void *self, uint64_t offset, struct err *err)
{
	static const struct stream_class class = { .read = test_lines_read, .close = free };
	struct test_line_stream *stream = calloc(1, sizeof(*stream));

	(void)offset;
	assert_non_null(stream);
	stream->lines = self;
	return stream_new(&class, stream, err);
}

static inline const struct body *test_lines_body(struct arena *arena, uint64_t size_bytes, bool fails)
{
	static const struct body_class class = { .open = test_lines_open };
	struct test_lines *lines = arena_alloc(arena, sizeof(*lines));

	assert_non_null(lines);
	*lines = (struct test_lines){ .size_bytes = size_bytes, .fails = fails };
	return body_new(arena, &class, lines, fails ? BODY_SIZE_UNKNOWN : size_bytes);
}

/* All bytes, read in pieces of at most `piece`. buf_clear it. */
static inline struct buf test_read(const struct body *body, size_t piece)
{
	struct err err = { .class = ERR_NONE };
	struct stream *stream = body_open(body, &err);
	struct buf buf;
	ssize_t got;

	buf_init(&buf, 0);
	assert_non_null(stream);
	do {
		unsigned char *to = buf_reserve(&buf, piece);

		assert_non_null(to);
		got = stream_read(stream, to, piece, &err);
		if (got < 0)
			fail_msg("%s", err.text);
		buf.n += (size_t)got;
	} while (got > 0);
	stream_close(stream);
	return buf;
}

/* Base64 of the slice decoded, strictly. */
static inline struct buf test_unbase64(struct slice text)
{
	struct err err = { .class = ERR_NONE };
	struct stream *stream = decode_base64(stream_from_slice(text, &err), true, &err);
	struct buf buf;

	buf_init(&buf, 0);
	assert_non_null(stream);
	assert_int_equal(stream_read_all(stream, &buf, &err), 0);
	stream_close(stream);
	return buf;
}

/* The object, with nothing behind it. */
static inline CMS_ContentInfo *test_cms(struct slice der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)der.n);

	assert_non_null(cms);
	assert_ptr_equal(p, der.p + der.n);
	return cms;
}

static inline void test_field_is(const struct header *header, const char *name, const char *value)
{
	const struct field *field = header_find(header, name, 0);

	assert_non_null(field);
	assert_int_equal(header_count(header, name), 1);
	assert_true(slice_is(field->value, value));
}

/* Lines end with CRLF, have at most 76 characters, 7-bit. */
static inline void test_is_clean(struct slice text)
{
	size_t column = 0;

	for (size_t i = 0; i < text.n; i++) {
		assert_in_range((unsigned char)text.p[i], 1, 126);
		if (text.p[i] == '\n') {
			assert_true(i > 0 && text.p[i - 1] == '\r');
			column = 0;
		} else if (text.p[i] == '\r') {
			assert_true(i + 1 < text.n && text.p[i + 1] == '\n');
		} else {
			assert_true(++column <= 76);
		}
	}
	assert_int_equal(column, 0);
}

static int test_count(void *arg, const void *p, size_t n, struct err *err)
{
	uint64_t *total = arg;

	(void)p;
	(void)err;
	*total += n;
	return 0;
}

/* Reads the body and throws it away; how far that raised the process's peak of memory, in KiB. */
static inline long test_drain_growth(const struct body *body, uint64_t *total)
{
	struct err err = { .class = ERR_NONE };
	struct rusage before, after;
	struct stream *stream = NULL;

	*total = 0;
	getrusage(RUSAGE_SELF, &before);
	stream = body_open(body, &err);
	assert_non_null(stream);
	assert_int_equal(stream_drain(stream, test_count, total, &err), 0);
	stream_close(stream);
	getrusage(RUSAGE_SELF, &after);
	return after.ru_maxrss - before.ru_maxrss;
}

#endif
