/* encoded_word.c - looks into encoded words for characters that end a display early. Called by address.c. RFC 2047. */
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
