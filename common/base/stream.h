/* stream.h - pull streams: a reader that makes its bytes when they are asked for.
 *
 * A stream is read once, from the start to the end, by one thread. Whoever opened it closes it. A stream over another
 * stream owns that one and closes it with itself. After an error every further read gives the same error class.
 */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct stream;

struct stream_class {
	/* Writes 1..n bytes to p and returns their number, 0 at the end, -1 with *err. n is at least 1. */
	ssize_t (*read)(void *self, void *p, size_t n, struct err *err);
	/* Releases self (and streams it owns). */
	void (*close)(void *self);
};

/* Takes self; on failure (NULL, *err) self has been closed through class->close. */
struct stream *stream_new(const struct stream_class *class, void *self, struct err *err);
/* As stream_class.read. */
ssize_t stream_read(struct stream *stream, void *p, size_t n, struct err *err);
void stream_close(struct stream *stream);	/* NULL is fine */

/* Over bytes that outlive the stream. NULL: *err. */
struct stream *stream_from_slice(struct slice bytes, struct err *err);
/* One after the other. Takes the count streams in parts (the array itself is copied), also on failure. A NULL entry
 * means that opening it failed: then the others are closed and NULL is returned, *err being the opener's. */
struct stream *stream_concat(struct stream *const *parts, size_t count, struct err *err);
/* At most limit_bytes of source. Takes source; NULL source gives NULL. */
struct stream *stream_limit(struct stream *source, uint64_t limit_bytes, struct err *err);

typedef int stream_sink(void *arg, const void *p, size_t n, struct err *err);	/* 0 or -1 */

/* Reads to the end, each chunk (at most 64 KiB) to sink. Does not close. 0 or -1. */
int stream_drain(struct stream *stream, stream_sink *sink, void *arg, struct err *err);
/* Reads to the end into buf, its limit giving ERR_LIMIT. Does not close. 0 or -1. */
int stream_read_all(struct stream *stream, struct buf *buf, struct err *err);

#endif
