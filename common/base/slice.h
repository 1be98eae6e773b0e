/* slice.h - a view of bytes that somebody else owns. Not NUL-terminated; may hold NUL. All functions are pure. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>

struct slice {
	const char *p;	/* may be NULL when n is 0 */
	size_t n;
};

/* printf("%.*s", SLICE_ARGS(s)) - for bytes known to be harmless. */
#define SLICE_ARGS(s) (int)(s).n, (s).p

struct slice slice_of(const char *text);		/* text may be NULL: empty */
struct slice slice_make(const void *p, size_t n);
bool slice_equal(struct slice a, struct slice b);
bool slice_is(struct slice a, const char *text);	/* byte for byte */
bool slice_equal_nocase(struct slice a, struct slice b);	/* folds ASCII case only */
bool slice_is_nocase(struct slice a, const char *text);
bool slice_starts_nocase(struct slice a, const char *prefix);
bool slice_ends_nocase(struct slice a, const char *suffix);
struct slice slice_trim(struct slice a);		/* SP HT CR LF off both ends */
struct slice slice_from(struct slice a, size_t offset);	/* offset > n: empty */
struct slice slice_first(struct slice a, size_t n);
/* Index of the first `c`, or -1. */
long slice_find(struct slice a, char c);
/* Index of the last `c`, or -1. */
long slice_find_last(struct slice a, char c);
/* Lower-cases ASCII letters in place. */
void ascii_lower(char *p, size_t n);
int ascii_tolower(int c);
bool ascii_is_blank(char c);	/* SP HT CR LF */
int ascii_hex_value(char c);	/* of a hexadecimal digit, in either case; else -1 */

#endif
