/* words.c - see words.h. */
#include "support/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* One escape behind the backslash at p[0]; returns the bytes used, 0: none. */
static size_t unescape(const char *p, size_t n, char *c)
{
	char hex[3] = "", *end = NULL;

	switch (n >= 1 ? *p : '\0') {
	case 'r':
		*c = '\r';
		return 1;
	case 'n':
		*c = '\n';
		return 1;
	case 't':
		*c = '\t';
		return 1;
	case 'x':
		memcpy(hex, p + 1, n >= 3 ? 2 : 0);
		*c = (char)strtoul(hex, &end, 16);
		return hex[0] != '\0' && *end == '\0' ? 3 : 0;
	default:
		*c = n >= 1 ? *p : '\0';
		return n >= 1 ? 1 : 0;
	}
}

/* A quoted word from behind its opening quote on; returns the bytes used, the closing quote too, 0: broken. */
static size_t take_quoted(struct slice rest, char *out, size_t *used)
{
	size_t at = 0, step;

	for (*used = 0; at < rest.n && rest.p[at] != '"'; at += step) {
		step = 1;
		out[*used] = rest.p[at];
		if (rest.p[at] == '\\')
			step += unescape(rest.p + at + 1, rest.n - at - 1, &out[*used]);
		if (rest.p[at] == '\\' && step == 1)
			return 0;
		++*used;
	}
	return at < rest.n ? at + 1 : 0;
}

static size_t take_plain(struct slice rest, char *out, size_t *used)
{
	size_t n = 0;

	while (n < rest.n && strchr(" \t\r", rest.p[n]) == NULL)
		n++;
	memcpy(out, rest.p, n);
	*used = n;
	return n;
}

int words_parse(struct arena *arena, struct slice line, struct words *words)
{
	struct slice rest = slice_trim(line);
	char *none = arena_strdup(arena, "");
	size_t taken;

	*words = (struct words){ .n = 0 };
	for (size_t i = 0; i < WORDS_MAX; i++)
		words->items[i] = none;
	if (none == NULL)
		return -1;
	while (rest.n > 0 && rest.p[0] != '#') {
		char *out = arena_alloc(arena, rest.n + 1);

		if (out == NULL || words->n == WORDS_MAX)
			return -1;
		words->items[words->n] = out;
		if (rest.p[0] == '"') {
			taken = take_quoted(slice_from(rest, 1), out, &words->bytes[words->n]);
			if (taken++ == 0)
				return -1;
		} else {
			taken = take_plain(rest, out, &words->bytes[words->n]);
		}
		words->n++;
		rest = slice_trim(slice_from(rest, taken));
	}
	return 0;
}

bool words_next_line(struct slice *text, struct slice *line)
{
	long end;

	if (text->n == 0)
		return false;
	end = slice_find(*text, '\n');
	*line = slice_first(*text, end >= 0 ? (size_t)end : text->n);
	*text = slice_from(*text, line->n + 1);
	return true;
}

const char *words_find(struct slice in, const char *what)
{
	size_t n = strlen(what);

	for (; n > 0 && in.n >= n; in = slice_from(in, 1)) {
		const char *at = memchr(in.p, what[0], in.n - n + 1);

		if (at == NULL || memcmp(at, what, n) == 0)
			return at;
		in = slice_from(in, (size_t)(at - in.p));
	}
	return NULL;
}

struct slice words_file(struct arena *arena, const char *directory, const char *name)
{
	struct slice bytes = slice_make(NULL, 0);
	struct buf buf;
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	buf_init(&buf, 0);
	if (file_read(path, 0, &buf, NULL) == 0)
		bytes = arena_copy(arena, buf_slice(&buf));
	buf_clear(&buf);
	return bytes;
}

struct slice words_replace(struct arena *arena, struct slice bytes, const char *from, struct slice to)
{
	struct slice out = slice_make(NULL, 0);
	size_t n = strlen(from);
	struct buf buf;
	int bad = 0;

	buf_init(&buf, 0);
	while (bad == 0 && bytes.n > 0) {
		const char *at = words_find(bytes, from);
		size_t before = at != NULL ? (size_t)(at - bytes.p) : bytes.n;

		bad |= buf_append(&buf, bytes.p, before);
		if (at != NULL)
			bad |= buf_append_slice(&buf, to);
		bytes = slice_from(bytes, before + (at != NULL ? n : 0));
	}
	if (bad == 0)
		out = arena_copy(arena, buf_slice(&buf));
	buf_clear(&buf);
	return out;
}
