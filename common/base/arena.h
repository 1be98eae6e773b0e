/* arena.h - memory that dies together, with a budget. One owner, one thread at a time.
 *
 * Foreign objects (X509, streams, descriptors) enter by arena_defer and are released, last first, by arena_free.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"

struct arena;

/* A new arena that hands out at most limit_bytes in all (0: no limit). NULL: out of memory. */
struct arena *arena_new(size_t limit_bytes);
/* Runs the deferred functions, last first, and frees everything. NULL is fine. */
void arena_free(struct arena *arena);

/* Zeroed memory, aligned for any type; NULL when memory or budget is exhausted. */
void *arena_alloc(struct arena *arena, size_t size);
/* The same for count objects of size bytes, overflow checked. */
void *arena_array(struct arena *arena, size_t count, size_t size);
/* Copies; NULL when exhausted. slice results have p == NULL then (n == 0: p is ""). A NUL follows each copy. */
char *arena_strdup(struct arena *arena, const char *text);
char *arena_string(struct arena *arena, struct slice bytes);	/* as C string; NULs inside stay */
struct slice arena_copy(struct arena *arena, struct slice bytes);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Has release(object) called by arena_free. On failure releases at once and returns -1, so the caller never leaks. */
int arena_defer(struct arena *arena, void (*release)(void *), void *object);

/* An empty buffer that is cleared, hence wiped, with the arena. NULL when exhausted. */
struct buf *arena_buf(struct arena *arena, size_t limit_bytes);

/* Bytes handed out so far. */
size_t arena_used(const struct arena *arena);

#endif
