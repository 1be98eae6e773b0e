/* display_name.c - display names that read like another's address. Most readers show the name alone, so that whoever
 * may sign as himself would look like anybody. Which mailbox it is, address.c says. Called by smime/verify_from.c.
 * RFC 5322 3.4, RFC 2047 5.
 */
#include "mail/display_name.h"

#include <string.h>

#include "mail/encoded_word.h"

/* Goes through a From value character by character. */
struct scan {
	bool quoted;
	unsigned comments;	/* depth */
	bool angle;
	bool angle_seen;
};

/* Where the next character stands; false: it is a mark, and no text. */
static bool step(struct scan *scan, char c)
{
	if (c == '"' && scan->comments == 0) {
		scan->quoted = !scan->quoted;
		return false;
	}
	if (scan->quoted)
		return true;
	if (c == '(')
		scan->comments++;
	else if (c == ')' && scan->comments > 0)
		scan->comments--;
	else if (scan->comments == 0 && (c == '<' || c == '>'))
		scan->angle = c == '<';
	else
		return true;
	scan->angle_seen |= scan->angle;
	return false;
}

static bool has_angle(struct slice value)
{
	struct scan scan = { .quoted = false };

	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '\\' && (scan.quoted || scan.comments > 0))
			i++;
		else
			step(&scan, value.p[i]);
	}
	return scan.angle_seen;
}

/* What is not the address: name and comments; without angle brackets comments alone. p == NULL: arena exhausted. */
static struct slice shown_text(struct arena *arena, struct slice value)
{
	struct scan scan = { .quoted = false };
	bool named = has_angle(value);
	char *out = arena_alloc(arena, value.n + 1);
	size_t n = 0;

	for (size_t i = 0; out != NULL && i < value.n; i++) {
		bool shown = false;

		if (value.p[i] == '\\' && (scan.quoted || scan.comments > 0) && i + 1 < value.n)
			shown = ++i > 0;
		else
			shown = step(&scan, value.p[i]);
		if (shown && !scan.angle && (named || scan.comments > 0))
			out[n++] = value.p[i];
	}
	return slice_make(out, n);
}

/* Without the blanks and quotes that some mailers put around an address. */
static struct slice marks_trim(struct slice text)
{
	text = slice_trim(text);
	while (text.n > 1 && text.p[0] == '\'' && text.p[text.n - 1] == '\'')
		text = slice_trim(slice_make(text.p + 1, text.n - 2));
	return text;
}

/* Also the full-width and the small one. */
static bool has_at(struct slice text)
{
	static const char *const signs[] = { "@", "\xef\xbc\xa0", "\xef\xb9\xab" };

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (memmem(text.p, text.n, signs[i], strlen(signs[i])) != NULL)
			return true;
	return false;
}

int display_name_claims(struct arena *arena, struct slice value, const struct address *address, bool *claims)
{
	struct slice shown = shown_text(arena, value);

	*claims = true;
	if (shown.p != NULL)
		shown = encoded_word_decode(arena, shown);
	if (shown.p == NULL)
		return -1;
	*claims = has_at(shown) && !slice_equal_nocase(marks_trim(shown), address->text);
	return 0;
}
