/* body.h - bytes that can be opened again and again: the body of a message or of a part.
 *
 * A body lives in an arena, is immutable, and may be opened by several readers at once. Three kinds: bytes in memory, a
 * range of another body, and one that a step computes (its class opens a stream over other bodies). The fourth, bytes
 * in an encrypted file, comes from spool.h.
 */
#ifndef BASE_BODY_H
#define BASE_BODY_H

#include <stdbool.h>

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/stream.h"

#define BODY_SIZE_UNKNOWN UINT64_MAX

struct body_class {
	/* A stream from offset on (offset is 0 unless seekable). NULL: *err. */
	struct stream *(*open)(const void *self, uint64_t offset, struct err *err);
	bool seekable;
};

struct body {
	const struct body_class *class;
	const void *self;
	uint64_t size_bytes;	/* or BODY_SIZE_UNKNOWN */
};

/* NULL: memory. What self needs must live in the arena or outlive it. */
const struct body *body_new(struct arena *arena, const struct body_class *class, const void *self,
			    uint64_t size_bytes);
/* Over bytes that outlive the arena (or live in it); they are not copied. */
const struct body *body_from_slice(struct arena *arena, struct slice bytes);
/* Bytes offset .. offset+size of body, clipped to its end. */
const struct body *body_range(struct arena *arena, const struct body *body, uint64_t offset, uint64_t size_bytes);

struct stream *body_open(const struct body *body, struct err *err);	/* NULL: *err */
/* All bytes into buf (its limit: ERR_LIMIT). 0 or -1. */
int body_read_all(const struct body *body, struct buf *buf, struct err *err);

#endif
