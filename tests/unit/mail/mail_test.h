/* mail_test.h - what the tests of the mail room share: an arena a test, messages from text, bodies as text. */
#ifndef MAIL_TEST_H
#define MAIL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "mail/message.h"

static inline int arena_setup(void **state)
{
	*state = arena_new(0);
	return *state == NULL ? -1 : 0;
}

static inline int arena_teardown(void **state)
{
	arena_free(*state);
	return 0;
}

#define with_arena(test) cmocka_unit_test_setup_teardown(test, arena_setup, arena_teardown)

static inline void assert_slice(struct slice got, const char *want)
{
	if (got.n != strlen(want) || (got.n > 0 && memcmp(got.p, want, got.n) != 0))
		fail_msg("got \"%.*s\", want \"%s\"", (int)got.n, got.n > 0 ? got.p : "", want);
}

static inline struct message message_of(struct arena *arena, const char *text)
{
	struct message message = { { NULL, 0 }, NULL };

	assert_int_equal(message_parse(arena, slice_of(text), NULL, &message, NULL), 0);
	return message;
}

static inline char *stream_text(struct arena *arena, struct stream *stream, size_t *n)
{
	struct buf buf;
	char *text = NULL;

	assert_non_null(stream);
	buf_init(&buf, 0);
	assert_int_equal(stream_read_all(stream, &buf, NULL), 0);
	stream_close(stream);
	text = arena_string(arena, buf_slice(&buf));
	assert_non_null(text);
	if (n != NULL)
		*n = buf.n;
	buf_clear(&buf);
	return text;
}

static inline char *body_text(struct arena *arena, const struct body *body)
{
	assert_non_null(body);
	return stream_text(arena, body_open(body, NULL), NULL);
}

/* A body that gives `chunk` bytes at a time. */
struct dribble {
	struct slice bytes;
	size_t chunk;
};

static inline ssize_t dribble_read(void *self, void *p, size_t n, struct err *err)
{
	struct dribble *dribble = self;

	(void)err;
	if (n > dribble->chunk)
		n = dribble->chunk;
	if (n > dribble->bytes.n)
		n = dribble->bytes.n;
	if (n > 0)
		memcpy(p, dribble->bytes.p, n);
	dribble->bytes = slice_from(dribble->bytes, n);
	return (ssize_t)n;
}

static inline struct stream *dribble_open(struct slice bytes, size_t chunk)
{
	static const struct stream_class class = { dribble_read, free };
	struct dribble *dribble = malloc(sizeof(*dribble));

	assert_non_null(dribble);
	*dribble = (struct dribble){ bytes, chunk };
	return stream_new(&class, dribble, NULL);
}

static inline struct stream *dribble_body_open(const void *self, uint64_t offset, struct err *err)
{
	const struct dribble *dribble = self;

	(void)err;
	return dribble_open(slice_from(dribble->bytes, (size_t)offset), dribble->chunk);
}

static inline const struct body *dribble_body(struct arena *arena, struct slice bytes, size_t chunk)
{
	static const struct body_class class = { dribble_body_open, true };
	struct dribble *dribble = arena_alloc(arena, sizeof(*dribble));

	assert_non_null(dribble);
	*dribble = (struct dribble){ bytes, chunk };
	return body_new(arena, &class, dribble, bytes.n);
}

#endif
