/* encoded_word.c - looks into encoded words: for characters that end a display early, and for what they say. Called by
 * address.c and display_name.c. RFC 2047.
 */
#include "mail/encoded_word.h"

#include <string.h>

static bool is_hidden(unsigned c)
{
	return c == '\0' || c == '\r' || c == '\n';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)ascii_tolower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool q_hides(struct slice text)
{
	for (size_t i = 0; i + 2 < text.n; i++) {
		int high = hex_value(text.p[i + 1]), low = hex_value(text.p[i + 2]);

		if (text.p[i] == '=' && high >= 0 && low >= 0 && is_hidden((unsigned)(16 * high + low)))
			return true;
	}
	return false;
}

static int base64_value(char c)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c == '\0' ? NULL : strchr(alphabet, c);

	return at == NULL ? -1 : (int)(at - alphabet);
}

static bool b_hides(struct slice text)
{
	unsigned bits = 0, count = 0;

	for (size_t i = 0; i < text.n; i++) {
		int value = base64_value(text.p[i]);

		if (value < 0)
			continue;
		bits = bits << 6 | (unsigned)value;
		count += 6;
		if (count < 8)
			continue;
		count -= 8;
		if (is_hidden(bits >> count & 0xff))
			return true;
	}
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

bool encoded_word_hides(struct slice text)
{
	struct slice rest = text, charset = { NULL, 0 }, encoding = { NULL, 0 }, content = { NULL, 0 };

	while (rest.n > 0) {
		const char *at = memmem(rest.p, rest.n, "=?", 2);

		if (at == NULL)
			return false;
		rest = slice_from(rest, (size_t)(at - rest.p) + 2);
		if (!piece_take(&rest, &charset) || !piece_take(&rest, &encoding) || !piece_take(&rest, &content))
			return false;
		if (slice_is_nocase(encoding, "q") && q_hides(content))
			return true;
		if (slice_is_nocase(encoding, "b") && b_hides(content))
			return true;
	}
	return false;
}

static size_t q_decode(struct slice text, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		int high = text.p[i] == '=' && i + 2 < text.n ? hex_value(text.p[i + 1]) : -1;
		int low = high >= 0 ? hex_value(text.p[i + 2]) : -1;

		out[n++] = low >= 0 ? (char)(16 * high + low) : text.p[i] == '_' ? ' ' : text.p[i];
		i += low >= 0 ? 2 : 0;
	}
	return n;
}

static size_t b_decode(struct slice text, char *out)
{
	unsigned bits = 0, count = 0;
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		int value = base64_value(text.p[i]);

		if (value < 0)
			continue;
		bits = bits << 6 | (unsigned)value;
		count += 6;
		if (count < 8)
			continue;
		count -= 8;
		out[n++] = (char)(bits >> count & 0xff);
	}
	return n;
}

/* Takes the encoded word at the start of rest and writes what it says. False: there is none. */
static bool word_decode(struct slice *rest, char *out, size_t *n)
{
	struct slice behind = slice_from(*rest, 2), charset = { NULL, 0 }, encoding = { NULL, 0 }, content = { NULL, 0 };

	if (rest->n < 2 || memcmp(rest->p, "=?", 2) != 0 || !piece_take(&behind, &charset) ||
	    !piece_take(&behind, &encoding) || !piece_take(&behind, &content) || behind.n == 0 || behind.p[0] != '=')
		return false;
	if (slice_is_nocase(encoding, "q"))
		*n += q_decode(content, out + *n);
	else if (slice_is_nocase(encoding, "b"))
		*n += b_decode(content, out + *n);
	else
		return false;
	*rest = slice_from(behind, 1);
	return true;
}

struct slice encoded_word_decode(struct arena *arena, struct slice text)
{
	char *out = arena_alloc(arena, text.n + 1);
	struct slice rest = text;
	size_t n = 0;

	while (out != NULL && rest.n > 0) {
		struct slice next;

		if (!word_decode(&rest, out, &n)) {
			out[n++] = rest.p[0];
			rest = slice_from(rest, 1);
			continue;
		}
		next = slice_trim(rest);	/* blanks between two encoded words are none */
		if (next.n > 1 && next.p < rest.p + rest.n && memcmp(next.p, "=?", 2) == 0)
			rest = slice_from(rest, (size_t)(next.p - rest.p));
	}
	return slice_make(out, n);
}
