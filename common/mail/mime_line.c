/* mime_line.c - one line of a body at a time, however long: its traits and whether it delimits. Constant memory: of a
 * long line the beginning is kept. Called by mime.c. RFC 2046 5.1.1.
 */
#include <string.h>

#include "mail/mime_scan.h"

#define LINE_MAX_OCTETS 998

void mime_line_begin(struct mime_line *line, uint64_t start)
{
	line->start = start;
	line->length = 0;
	line->end_bytes = 0;
	line->prefix_n = 0;
	line->junk = 0;
	line->cr_count = 0;
	line->traits = 0;
	line->last = line->before_last = '\0';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Bytes beyond the prefix matter to a delimiter line only by not being blanks. */
static void rest_add(struct mime_line *line, const char *p, size_t n)
{
	if (line->junk > 1)	/* a CR that ends the line is one: no need to count further */
		return;
	for (size_t i = 0; i < n && line->junk < 2; i++)
		line->junk += is_blank(p[i]) ? 0 : 1;
}

static void prefix_add(struct mime_line *line, const char *p, size_t n)
{
	size_t room = sizeof(line->prefix) - line->prefix_n;
	size_t kept = n < room ? n : room;

	memcpy(line->prefix + line->prefix_n, p, kept);
	line->prefix_n += kept;
	rest_add(line, p + kept, n - kept);
}

static unsigned bytes_traits(const char *p, size_t n)
{
	unsigned char all = 0;

	for (size_t i = 0; i < n; i++)
		all |= (unsigned char)p[i];
	return (all > 0x7f ? MIME_8BIT : 0U) | (memchr(p, 0, n) != NULL ? MIME_NUL : 0U);
}

static uint64_t count_cr(const char *p, size_t n)
{
	uint64_t count = 0;
	const char *end = p + n;

	for (p = memchr(p, '\r', n); p != NULL; p = memchr(p, '\r', (size_t)(end - p))) {
		count++;
		if (++p == end)
			break;
	}
	return count;
}

void mime_line_add(struct mime_line *line, const char *p, size_t n)
{
	if (n == 0)
		return;
	line->before_last = n > 1 ? p[n - 2] : line->last;
	line->last = p[n - 1];
	line->length += n;
	line->traits |= bytes_traits(p, n);
	line->cr_count += count_cr(p, n);
	prefix_add(line, p, n);
}

void mime_line_end(struct mime_line *line, bool lf)
{
	bool crlf = lf && line->last == '\r';
	char last = crlf ? line->before_last : line->last;

	line->end_bytes = crlf ? 2 : lf ? 1 : 0;
	if (crlf) {
		if (line->length > sizeof(line->prefix))
			line->junk--;
		else
			line->prefix_n--;
		line->length--;
		line->cr_count--;
	}
	if (line->cr_count > 0)
		line->traits |= MIME_BARE_CR_LF | MIME_BARE_CR;
	if (line->length > LINE_MAX_OCTETS)
		line->traits |= MIME_LONG_LINE;
	if (line->length > 0 && is_blank(last))
		line->traits |= MIME_TRAILING_BLANK;
	if (line->prefix_n >= 5 && memcmp(line->prefix, "From ", 5) == 0)
		line->traits |= MIME_FROM_LINE;
}

int mime_line_delimiter(const struct mime_line *line, struct slice boundary)
{
	size_t n = boundary.n + 2;
	int found = 1;

	if (line->prefix_n < n || memcmp(line->prefix, "--", 2) != 0 || line->junk > 0 ||
	    memcmp(line->prefix + 2, boundary.p, boundary.n) != 0)
		return 0;
	if (line->prefix_n >= n + 2 && memcmp(line->prefix + n, "--", 2) == 0) {
		found = 2;
		n += 2;
	}
	for (; n < line->prefix_n; n++) {
		if (strchr("\r\v\f", line->prefix[n]) != NULL && line->prefix[n] != '\0')
			found = 3;
		else if (!is_blank(line->prefix[n]))
			return 0;
	}
	return found;
}
