/* stream.c - what every pull stream shares (sticky end and error) and the three simplest: bytes, concatenation, limit.
 * Streams that compute something live with what they compute. Called by body, spool, mail, smime, gate. */
#include "base/stream.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypt.h"

#define CHUNK_BYTES ((size_t)64 * 1024)

struct stream {
	const struct stream_class *class;
	void *self;
	bool ended;
	struct err failure;	/* class ERR_NONE: none yet */
};

struct stream *stream_new(const struct stream_class *class, void *self, struct err *err)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	if (stream == NULL) {
		class->close(self);
		err_memory(err);
		return NULL;
	}
	stream->class = class;
	stream->self = self;
	return stream;
}

ssize_t stream_read(struct stream *stream, void *p, size_t n, struct err *err)
{
	ssize_t got;

	if (stream->failure.class != ERR_NONE) {
		if (err != NULL)
			*err = stream->failure;
		return -1;
	}
	if (stream->ended || n == 0)
		return 0;
	got = stream->class->read(stream->self, p, n, &stream->failure);
	if (got > 0 && (size_t)got <= n)
		return got;
	if (got == 0) {
		stream->ended = true;
		return 0;
	}
	if (got > 0 || stream->failure.class == ERR_NONE)
		err_set(&stream->failure, ERR_BUG, "a stream broke its contract");
	if (err != NULL)
		*err = stream->failure;
	return -1;
}

void stream_close(struct stream *stream)
{
	if (stream == NULL)
		return;
	stream->class->close(stream->self);
	free(stream);
}

static ssize_t bytes_read(void *self, void *p, size_t n, struct err *err)
{
	struct slice *rest = self;

	(void)err;
	if (n > rest->n)
		n = rest->n;
	if (n > 0)
		memcpy(p, rest->p, n);
	*rest = slice_from(*rest, n);
	return (ssize_t)n;
}

static const struct stream_class bytes_class = { .read = bytes_read, .close = free };

struct stream *stream_from_slice(struct slice bytes, struct err *err)
{
	struct slice *rest = malloc(sizeof(*rest));

	if (rest == NULL) {
		err_memory(err);
		return NULL;
	}
	*rest = bytes;
	return stream_new(&bytes_class, rest, err);
}

struct concat {
	size_t count, at;
	struct stream *parts[];
};

static ssize_t concat_read(void *self, void *p, size_t n, struct err *err)
{
	struct concat *concat = self;
	ssize_t got;

	while (concat->at < concat->count) {
		got = stream_read(concat->parts[concat->at], p, n, err);
		if (got != 0)
			return got;
		/* Closed as soon as it is used up: it may hold a file or much memory. */
		stream_close(concat->parts[concat->at]);
		concat->parts[concat->at++] = NULL;
	}
	return 0;
}

static void close_all(struct stream *const *parts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		stream_close(parts[i]);
}

static void concat_close(void *self)
{
	struct concat *concat = self;

	close_all(concat->parts, concat->count);
	free(concat);
}

static const struct stream_class concat_class = { .read = concat_read, .close = concat_close };

struct stream *stream_concat(struct stream *const *parts, size_t count, struct err *err)
{
	struct concat *concat;

	for (size_t i = 0; i < count; i++)
		if (parts[i] == NULL) {
			close_all(parts, count);
			return NULL;
		}
	concat = calloc(1, sizeof(*concat) + count * sizeof(concat->parts[0]));
	if (concat == NULL) {
		close_all(parts, count);
		err_memory(err);
		return NULL;
	}
	concat->count = count;
	if (count > 0)
		memcpy(concat->parts, parts, count * sizeof(concat->parts[0]));
	return stream_new(&concat_class, concat, err);
}

struct limit {
	struct stream *source;
	uint64_t left_bytes;
};

static ssize_t limit_read(void *self, void *p, size_t n, struct err *err)
{
	struct limit *limit = self;
	ssize_t got;

	if (limit->left_bytes == 0)
		return 0;
	if (n > limit->left_bytes)
		n = (size_t)limit->left_bytes;
	got = stream_read(limit->source, p, n, err);
	if (got > 0)
		limit->left_bytes -= (uint64_t)got;
	return got;
}

static void limit_close(void *self)
{
	struct limit *limit = self;

	stream_close(limit->source);
	free(limit);
}

static const struct stream_class limit_class = { .read = limit_read, .close = limit_close };

struct stream *stream_limit(struct stream *source, uint64_t limit_bytes, struct err *err)
{
	struct limit *limit;

	if (source == NULL)
		return NULL;
	limit = calloc(1, sizeof(*limit));
	if (limit == NULL) {
		stream_close(source);
		err_memory(err);
		return NULL;
	}
	limit->source = source;
	limit->left_bytes = limit_bytes;
	return stream_new(&limit_class, limit, err);
}

int stream_drain(struct stream *stream, stream_sink *sink, void *arg, struct err *err)
{
	unsigned char *chunk = malloc(CHUNK_BYTES);
	size_t most = 0;
	ssize_t got;

	if (chunk == NULL)
		return err_memory(err);
	while ((got = stream_read(stream, chunk, CHUNK_BYTES, err)) > 0) {
		if ((size_t)got > most)
			most = (size_t)got;
		if (sink(arg, chunk, (size_t)got, err) != 0) {
			got = -1;
			break;
		}
	}
	crypt_wipe(chunk, most);
	free(chunk);
	return got == 0 ? 0 : -1;
}

static int append(void *arg, const void *p, size_t n, struct err *err)
{
	struct buf *buf = arg;

	if (buf_append(buf, p, n) == 0)
		return 0;
	if (buf->limit_bytes != 0 && (buf->n > buf->limit_bytes || n > buf->limit_bytes - buf->n))
		return err_set(err, ERR_LIMIT, "more than %zu bytes", buf->limit_bytes);
	return err_memory(err);
}

int stream_read_all(struct stream *stream, struct buf *buf, struct err *err)
{
	return stream_drain(stream, append, buf, err);
}
