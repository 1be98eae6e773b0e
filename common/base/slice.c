/* slice.c - looking at bytes without owning them. Called by everybody; pure. Case folding is that of ASCII, whatever
 * the locale says. */
#include "base/slice.h"

#include <string.h>

struct slice slice_of(const char *text)
{
	return slice_make(text, text == NULL ? 0 : strlen(text));
}

struct slice slice_make(const void *p, size_t n)
{
	return (struct slice){ .p = p, .n = n };
}

bool slice_equal(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool slice_is(struct slice a, const char *text)
{
	return slice_equal(a, slice_of(text));
}

bool slice_equal_nocase(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_tolower((unsigned char)a.p[i]) != ascii_tolower((unsigned char)b.p[i]))
			return false;
	return true;
}

bool slice_is_nocase(struct slice a, const char *text)
{
	return slice_equal_nocase(a, slice_of(text));
}

bool slice_starts_nocase(struct slice a, const char *prefix)
{
	struct slice wanted = slice_of(prefix);

	return a.n >= wanted.n && slice_equal_nocase(slice_first(a, wanted.n), wanted);
}

bool slice_ends_nocase(struct slice a, const char *suffix)
{
	struct slice wanted = slice_of(suffix);

	return a.n >= wanted.n && slice_equal_nocase(slice_from(a, a.n - wanted.n), wanted);
}

struct slice slice_trim(struct slice a)
{
	while (a.n > 0 && ascii_is_blank(a.p[a.n - 1]))
		a.n--;
	while (a.n > 0 && ascii_is_blank(a.p[0]))
		a = slice_from(a, 1);
	return a;
}

struct slice slice_from(struct slice a, size_t offset)
{
	if (a.n == 0)
		return a;	/* p may be NULL, which takes no offset */
	if (offset > a.n)
		offset = a.n;
	return slice_make(a.p + offset, a.n - offset);
}

struct slice slice_first(struct slice a, size_t n)
{
	return slice_make(a.p, n < a.n ? n : a.n);
}

long slice_find(struct slice a, char c)
{
	const char *at = a.n == 0 ? NULL : memchr(a.p, c, a.n);

	return at == NULL ? -1 : (long)(at - a.p);
}

long slice_find_last(struct slice a, char c)
{
	for (size_t i = a.n; i > 0; i--)
		if (a.p[i - 1] == c)
			return (long)(i - 1);
	return -1;
}

void ascii_lower(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (char)ascii_tolower((unsigned char)p[i]);
}

int ascii_tolower(int c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

bool ascii_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int ascii_hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)ascii_tolower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
