/* encoded_word.c - takes encoded words apart: for characters that end a display early, for what they say, and to write
 * one anew. Called by address.c, display_name.c and subject_tag.c. RFC 2047.
 */
#include "mail/encoded_word.h"

#include <stdio.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool is_hidden(int c)
{
	return c == '\0' || c == '\r' || c == '\n';
}

/* The byte that "=XX" at i stands for, or -1. */
static int escape_at(struct slice text, size_t i)
{
	int high, low;

	if (i + 2 >= text.n || text.p[i] != '=')
		return -1;
	high = ascii_hex_value(text.p[i + 1]);
	low = ascii_hex_value(text.p[i + 2]);
	return high >= 0 && low >= 0 ? 16 * high + low : -1;
}

struct base64 {
	struct slice rest;
	unsigned bits, count;
};

/* The next byte, or -1 at the end. What is no digit is passed over, as readers do. */
static int base64_next(struct base64 *from)
{
	while (from->rest.n > 0) {
		char c = from->rest.p[0];
		const char *at = c == '\0' ? NULL : strchr(alphabet, c);

		from->rest = slice_from(from->rest, 1);
		if (at == NULL)
			continue;
		from->bits = from->bits << 6 | (unsigned)(at - alphabet);
		from->count += 6;
		if (from->count < 8)
			continue;
		from->count -= 8;
		return (int)(from->bits >> from->count & 0xff);
	}
	return -1;
}

static bool q_hides(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (is_hidden(escape_at(text, i)))
			return true;
	return false;
}

static bool b_hides(struct slice text)
{
	struct base64 from = { .rest = text };
	int c;

	while ((c = base64_next(&from)) >= 0)
		if (is_hidden(c))
			return true;
	return false;
}

/* Takes what stands before the next '?' off rest. False: there is none. */
static bool piece_take(struct slice *rest, struct slice *piece)
{
	long mark = slice_find(*rest, '?');

	if (mark < 0)
		return false;
	*piece = slice_first(*rest, (size_t)mark);
	*rest = slice_from(*rest, (size_t)mark + 1);
	return true;
}

/* As encoded_word_take, but for the '=' at the end. */
static bool word_begin(struct slice *rest, struct encoded_word *word)
{
	struct slice behind = slice_from(*rest, 2), charset = { NULL, 0 }, encoding = { NULL, 0 };

	if (rest->n < 2 || memcmp(rest->p, "=?", 2) != 0 || !piece_take(&behind, &charset) ||
	    !piece_take(&behind, &encoding))
		return false;
	word->opening = slice_first(*rest, rest->n - behind.n);
	word->base64 = slice_is_nocase(encoding, "b");
	if (!piece_take(&behind, &word->content) || (!word->base64 && !slice_is_nocase(encoding, "q")))
		return false;
	*rest = behind;
	return true;
}

bool encoded_word_take(struct slice *rest, struct encoded_word *word)
{
	struct slice behind = *rest;

	if (!word_begin(&behind, word) || behind.n == 0 || behind.p[0] != '=')
		return false;
	*rest = slice_from(behind, 1);
	return true;
}

bool encoded_word_hides(struct slice text)
{
	struct encoded_word word = { .base64 = false };
	const char *at;

	while (text.n > 0 && (at = memmem(text.p, text.n, "=?", 2)) != NULL) {
		struct slice rest = slice_from(text, (size_t)(at - text.p));

		text = slice_from(rest, 1);
		if (word_begin(&rest, &word) && (word.base64 ? b_hides(word.content) : q_hides(word.content)))
			return true;
	}
	return false;
}

static size_t q_bytes(struct slice text, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		int escape = escape_at(text, i);

		out[n++] = escape >= 0 ? (char)escape : text.p[i] == '_' ? ' ' : text.p[i];
		i += escape >= 0 ? 2 : 0;
	}
	return n;
}

static size_t b_bytes(struct slice text, char *out)
{
	struct base64 from = { .rest = text };
	size_t n = 0;
	int c;

	while ((c = base64_next(&from)) >= 0)
		out[n++] = (char)c;
	return n;
}

size_t encoded_word_bytes(const struct encoded_word *word, char *out)
{
	return word->base64 ? b_bytes(word->content, out) : q_bytes(word->content, out);
}

static int q_write(struct buf *out, struct slice text)
{
	char escaped[4];
	int bad = 0;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		bool plain = c > ' ' && c < 0x7f && c != '=' && c != '?' && c != '_';

		snprintf(escaped, sizeof(escaped), c == ' ' ? "_" : "=%02X", c);
		bad |= plain ? buf_append(out, &text.p[i], 1) : buf_append_text(out, escaped);
	}
	return bad;
}

static int b_write(struct buf *out, struct slice text)
{
	int bad = 0;

	for (size_t i = 0; i < text.n; i += 3) {
		size_t left = text.n - i;
		unsigned bits = (unsigned)(unsigned char)text.p[i] << 16;
		char four[4];

		bits |= left > 1 ? (unsigned)(unsigned char)text.p[i + 1] << 8 : 0;
		bits |= left > 2 ? (unsigned char)text.p[i + 2] : 0;
		four[0] = alphabet[bits >> 18];
		four[1] = alphabet[bits >> 12 & 63];
		four[2] = left > 1 ? alphabet[bits >> 6 & 63] : '=';
		four[3] = left > 2 ? alphabet[bits & 63] : '=';
		bad |= buf_append(out, four, 4);
	}
	return bad;
}

int encoded_word_write(struct buf *out, const struct encoded_word *word, struct slice text)
{
	int bad = buf_append_slice(out, word->opening);

	bad |= word->base64 ? b_write(out, text) : q_write(out, text);
	return bad | buf_append_text(out, "?=");
}

struct slice encoded_word_decode(struct arena *arena, struct slice text)
{
	char *out = arena_alloc(arena, text.n + 1);
	struct encoded_word word = { .base64 = false };
	struct slice rest = text;
	size_t n = 0;

	while (out != NULL && rest.n > 0) {
		struct slice next;

		if (!encoded_word_take(&rest, &word)) {
			out[n++] = rest.p[0];
			rest = slice_from(rest, 1);
			continue;
		}
		n += encoded_word_bytes(&word, out + n);
		next = slice_trim(rest);	/* blanks between two encoded words are none */
		if (next.n > 1 && next.p < rest.p + rest.n && memcmp(next.p, "=?", 2) == 0)
			rest = slice_from(rest, (size_t)(next.p - rest.p));
	}
	return slice_make(out, n);
}
