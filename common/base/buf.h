/* buf.h - a growing byte buffer with a limit, wiped whenever its memory is given back (it may hold plaintext). */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>

#include "base/slice.h"

struct buf {
	unsigned char *p;
	size_t n;		/* bytes used */
	size_t capacity;
	size_t limit_bytes;	/* 0: none */
};

void buf_init(struct buf *buf, size_t limit_bytes);
void buf_clear(struct buf *buf);	/* wipes and frees; usable again afterwards with the same limit */
void buf_reset(struct buf *buf);	/* n = 0, memory kept (wiped) */

/* Return 0, or -1 when memory or the limit is exhausted (the buffer is unchanged then). */
int buf_append(struct buf *buf, const void *p, size_t n);
int buf_append_slice(struct buf *buf, struct slice bytes);
int buf_append_text(struct buf *buf, const char *text);
int buf_append_char(struct buf *buf, char c);
int buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for n more bytes: a pointer to write at; the caller adds what it wrote to buf->n. NULL: exhausted. */
unsigned char *buf_reserve(struct buf *buf, size_t n);
struct slice buf_slice(const struct buf *buf);
/* The content as C string (a NUL is kept behind it), "" when empty; NULL when memory is exhausted. */
char *buf_string(struct buf *buf);

#endif
