/* arena.c - memory handed out from chunks and given back all at once, wiped, since a message may have been in it.
 * Called by everybody. Not thread-safe: an arena has one owner. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypt.h"

#define ALIGNMENT _Alignof(max_align_t)
#define FIRST_CHUNK_BYTES ((size_t)4 * 1024)
#define LAST_CHUNK_BYTES ((size_t)256 * 1024)

struct chunk {
	struct chunk *next;
	size_t size, used;	/* of data */
	_Alignas(max_align_t) unsigned char data[];
};

struct deferred {
	struct deferred *next;
	void (*release)(void *);
	void *object;
};

struct arena {
	struct chunk *chunks;		/* the first one is being filled */
	struct deferred *deferred;	/* last first */
	size_t limit_bytes, used_bytes;
	size_t next_chunk_bytes;
};

struct arena *arena_new(size_t limit_bytes)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (arena == NULL)
		return NULL;
	arena->limit_bytes = limit_bytes;
	arena->next_chunk_bytes = FIRST_CHUNK_BYTES;
	return arena;
}

void arena_free(struct arena *arena)
{
	struct deferred *last;
	struct chunk *chunk;

	if (arena == NULL)
		return;
	while ((last = arena->deferred) != NULL) {
		arena->deferred = last->next;
		last->release(last->object);
	}
	while ((chunk = arena->chunks) != NULL) {
		arena->chunks = chunk->next;
		crypt_wipe(chunk->data, chunk->used);
		free(chunk);
	}
	free(arena);
}

/* A chunk that holds size bytes. What is large gets one of its own, behind the one being filled. */
static struct chunk *chunk_for(struct arena *arena, size_t size)
{
	struct chunk *chunk = arena->chunks;
	size_t chunk_bytes = arena->next_chunk_bytes;
	bool alone;

	if (chunk != NULL && chunk->size - chunk->used >= size)
		return chunk;
	alone = size > chunk_bytes / 4;
	if (alone)
		chunk_bytes = size;
	if (chunk_bytes > SIZE_MAX - sizeof(*chunk) || (chunk = calloc(1, sizeof(*chunk) + chunk_bytes)) == NULL)
		return NULL;
	chunk->size = chunk_bytes;
	if (alone && arena->chunks != NULL) {
		chunk->next = arena->chunks->next;
		arena->chunks->next = chunk;
		return chunk;
	}
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	if (!alone && arena->next_chunk_bytes < LAST_CHUNK_BYTES)
		arena->next_chunk_bytes *= 2;
	return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	struct chunk *chunk;
	void *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = size == 0 ? ALIGNMENT : (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (arena->limit_bytes != 0 && size > arena->limit_bytes - arena->used_bytes)
		return NULL;
	chunk = chunk_for(arena, size);
	if (chunk == NULL)
		return NULL;
	p = chunk->data + chunk->used;
	chunk->used += size;
	arena->used_bytes += size;
	return p;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
	if (size != 0 && count > SIZE_MAX / size)
		return NULL;
	return arena_alloc(arena, count * size);
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return arena_string(arena, slice_of(text));
}

char *arena_string(struct arena *arena, struct slice bytes)
{
	char *copy;

	if (bytes.n == SIZE_MAX)
		return NULL;
	copy = arena_alloc(arena, bytes.n + 1);
	if (copy != NULL && bytes.n > 0)
		memcpy(copy, bytes.p, bytes.n);
	return copy;
}

struct slice arena_copy(struct arena *arena, struct slice bytes)
{
	char *copy;

	if (bytes.n == 0)
		return slice_of("");
	copy = arena_string(arena, bytes);
	return slice_make(copy, copy == NULL ? 0 : bytes.n);
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args, again;
	char *text = NULL;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	if (n >= 0)
		text = arena_alloc(arena, (size_t)n + 1);
	if (text != NULL)
		vsnprintf(text, (size_t)n + 1, format, again);
	va_end(again);
	va_end(args);
	return text;
}

int arena_defer(struct arena *arena, void (*release)(void *), void *object)
{
	struct deferred *deferred = arena_alloc(arena, sizeof(*deferred));

	if (deferred == NULL) {
		release(object);
		return -1;
	}
	deferred->release = release;
	deferred->object = object;
	deferred->next = arena->deferred;
	arena->deferred = deferred;
	return 0;
}

static void release_buf(void *buf)
{
	buf_clear(buf);
}

struct buf *arena_buf(struct arena *arena, size_t limit_bytes)
{
	struct buf *buf = arena_alloc(arena, sizeof(*buf));

	if (buf == NULL)
		return NULL;
	buf_init(buf, limit_bytes);
	return arena_defer(arena, release_buf, buf) == 0 ? buf : NULL;
}

size_t arena_used(const struct arena *arena)
{
	return arena->used_bytes;
}
