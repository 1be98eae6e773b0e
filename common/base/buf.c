/* buf.c - bytes that grow. Memory that is outgrown or given back is wiped first. Called by everybody. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypt.h"

#define FIRST_BYTES 256

void buf_init(struct buf *buf, size_t limit_bytes)
{
	*buf = (struct buf){ .limit_bytes = limit_bytes };
}

void buf_clear(struct buf *buf)
{
	if (buf->p != NULL)
		crypt_wipe(buf->p, buf->capacity);
	free(buf->p);
	buf_init(buf, buf->limit_bytes);
}

void buf_reset(struct buf *buf)
{
	if (buf->p != NULL)
		crypt_wipe(buf->p, buf->n);
	buf->n = 0;
}

/* Makes room for wanted bytes in all; the limit is the callers' matter. Not realloc, which would leave a copy behind.
 */
static int grow(struct buf *buf, size_t wanted)
{
	size_t capacity = buf->capacity < FIRST_BYTES ? FIRST_BYTES : buf->capacity;
	unsigned char *p;

	if (wanted <= buf->capacity)
		return 0;
	while (capacity < wanted)
		capacity = capacity > SIZE_MAX / 2 ? wanted : capacity * 2;
	if (buf->limit_bytes != 0 && capacity > buf->limit_bytes && wanted <= buf->limit_bytes)
		capacity = buf->limit_bytes;
	p = malloc(capacity);
	if (p == NULL)
		return -1;
	if (buf->p != NULL) {
		memcpy(p, buf->p, buf->n);
		crypt_wipe(buf->p, buf->capacity);
		free(buf->p);
	}
	buf->p = p;
	buf->capacity = capacity;
	return 0;
}

int buf_append(struct buf *buf, const void *p, size_t n)
{
	unsigned char *to;

	if (n == 0)
		return 0;
	to = buf_reserve(buf, n);
	if (to == NULL)
		return -1;
	memcpy(to, p, n);
	buf->n += n;
	return 0;
}

int buf_append_slice(struct buf *buf, struct slice bytes)
{
	return buf_append(buf, bytes.p, bytes.n);
}

int buf_append_text(struct buf *buf, const char *text)
{
	return buf_append_slice(buf, slice_of(text));
}

int buf_append_char(struct buf *buf, char c)
{
	return buf_append(buf, &c, 1);
}

int buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args, again;
	unsigned char *to = NULL;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	/* One byte more than counts, for the NUL that vsnprintf writes. */
	if (n >= 0 && buf_reserve(buf, (size_t)n) != NULL && grow(buf, buf->n + (size_t)n + 1) == 0)
		to = buf->p + buf->n;
	if (to != NULL) {
		vsnprintf((char *)to, (size_t)n + 1, format, again);
		buf->n += (size_t)n;
	}
	va_end(again);
	va_end(args);
	return to == NULL ? -1 : 0;
}

unsigned char *buf_reserve(struct buf *buf, size_t n)
{
	size_t most = buf->limit_bytes == 0 ? PTRDIFF_MAX - 1 : buf->limit_bytes;

	if (buf->n > most || n > most - buf->n || grow(buf, buf->n + (n == 0 ? 1 : n)) != 0)
		return NULL;
	return buf->p + buf->n;
}

struct slice buf_slice(const struct buf *buf)
{
	return slice_make(buf->p, buf->n);
}

char *buf_string(struct buf *buf)
{
	if (buf->n == SIZE_MAX || grow(buf, buf->n + 1) != 0)
		return NULL;
	buf->p[buf->n] = '\0';
	return (char *)buf->p;
}
