/* body.c - bodies in memory and ranges of bodies. Spooled ones: spool.c; computed ones: with the step that computes.
 * Called by mail, smime, gate. A body is immutable: any number of readers, in any threads, as long as its arena lives.
 */
#include "base/body.h"

#include <stdlib.h>

const struct body *body_new(struct arena *arena, const struct body_class *class, const void *self,
			    uint64_t size_bytes)
{
	struct body *body = arena_alloc(arena, sizeof(*body));

	if (body == NULL)
		return NULL;
	body->class = class;
	body->self = self;
	body->size_bytes = size_bytes;
	return body;
}

static struct stream *memory_open(const void *self, uint64_t offset, struct err *err)
{
	const struct slice *bytes = self;

	return stream_from_slice(slice_from(*bytes, offset > bytes->n ? bytes->n : (size_t)offset), err);
}

static const struct body_class memory_class = { .open = memory_open, .seekable = true };

const struct body *body_from_slice(struct arena *arena, struct slice bytes)
{
	struct slice *own = arena_alloc(arena, sizeof(*own));

	if (own == NULL)
		return NULL;
	*own = bytes;
	return body_new(arena, &memory_class, own, bytes.n);
}

struct skip {
	struct stream *source;
	uint64_t left_bytes;
};

/* Drops what comes first, when the first byte is asked for; the reader's own memory serves as the bin. */
static ssize_t skip_read(void *self, void *p, size_t n, struct err *err)
{
	struct skip *skip = self;
	ssize_t got;

	while (skip->left_bytes > 0) {
		got = stream_read(skip->source, p, skip->left_bytes < n ? (size_t)skip->left_bytes : n, err);
		if (got <= 0)
			return got;
		skip->left_bytes -= (uint64_t)got;
	}
	return stream_read(skip->source, p, n, err);
}

static void skip_close(void *self)
{
	struct skip *skip = self;

	stream_close(skip->source);
	free(skip);
}

static const struct stream_class skip_class = { .read = skip_read, .close = skip_close };

/* Takes source, which may be NULL (*err is set then). */
static struct stream *skip_open(struct stream *source, uint64_t bytes, struct err *err)
{
	struct skip *skip;

	if (source == NULL || bytes == 0)
		return source;
	skip = calloc(1, sizeof(*skip));
	if (skip == NULL) {
		stream_close(source);
		err_memory(err);
		return NULL;
	}
	skip->source = source;
	skip->left_bytes = bytes;
	return stream_new(&skip_class, skip, err);
}

struct range {
	const struct body *body;
	uint64_t offset, size_bytes;
};

static struct stream *range_open(const void *self, uint64_t offset, struct err *err)
{
	const struct range *range = self;
	struct stream *source;

	if (offset > range->size_bytes)
		offset = range->size_bytes;
	if (range->body->class->seekable)
		source = range->body->class->open(range->body->self, range->offset + offset, err);
	else
		source = skip_open(range->body->class->open(range->body->self, 0, err), range->offset + offset, err);
	return stream_limit(source, range->size_bytes - offset, err);
}

static const struct body_class range_class = { .open = range_open, .seekable = true };

const struct body *body_range(struct arena *arena, const struct body *body, uint64_t offset, uint64_t size_bytes)
{
	struct range *range = arena_alloc(arena, sizeof(*range));
	uint64_t known = body->size_bytes;
	/* Of a body whose size nobody knows yet, the range's size is not known either: it may be cut short. */
	uint64_t end = known == BODY_SIZE_UNKNOWN ? UINT64_MAX - 1 : known;

	if (range == NULL)
		return NULL;
	range->body = body;
	range->offset = offset < end ? offset : end;
	range->size_bytes = size_bytes < end - range->offset ? size_bytes : end - range->offset;
	return body_new(arena, &range_class, range, known == BODY_SIZE_UNKNOWN ? known : range->size_bytes);
}

struct stream *body_open(const struct body *body, struct err *err)
{
	return body->class->open(body->self, 0, err);
}

int body_read_all(const struct body *body, struct buf *buf, struct err *err)
{
	struct stream *stream = body_open(body, err);
	int rc;

	if (stream == NULL)
		return -1;
	rc = stream_read_all(stream, buf, err);
	stream_close(stream);
	return rc;
}
