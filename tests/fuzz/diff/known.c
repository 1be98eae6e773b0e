/* known.c - differences between ours and GMime 3.2 that have been looked at, each with the reason why ours is right or
 * why both may be. A new one is a row of known_kinds and its predicate, as narrow as can be. Called by
 * tests/fuzz/differential.c.
 */
#include "compare.h"

#include <string.h>

static bool contains(struct slice text, const char *what)
{
	return text.n > 0 && memmem(text.p, text.n, what, strlen(what)) != NULL;
}

static bool is_8bit(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] > 0x7f)
			return true;
	return false;
}

/* The part that differs, as ours reads it; one without anything where ours has none. */
static const struct view_part *our_part(const struct difference *difference)
{
	static const struct view_part none = { .depth = 0 };

	return difference->at < difference->a->part_count ? &difference->a->parts[difference->at] : &none;
}

/* Of a leaf: the body as it stands in the message. */
static struct slice raw_of(const struct difference *difference)
{
	const struct view_part *part = our_part(difference);

	return slice_make(difference->message.p + part->start, part->end - part->start);
}

static bool is_encoded_word(const struct difference *difference)
{
	return contains(our_part(difference)->type_source, "=?") || contains(difference->ours, "=?");
}

static bool is_encoding_comment(const struct difference *difference)
{
	return contains(our_part(difference)->encoding_source, "(");
}

/* What ours has is what theirs begins with, and a comment follows. */
static bool is_comment_behind(const struct difference *difference)
{
	struct slice ours = difference->ours, theirs = difference->theirs;

	return ours.n > 0 && ours.n < theirs.n && slice_equal(ours, slice_first(theirs, ours.n)) &&
	       slice_trim(slice_from(theirs, ours.n)).p[0] == '(';
}

static bool is_8bit_parameter(const struct difference *difference)
{
	return is_8bit(difference->ours) && difference->theirs.n > difference->ours.n;
}

/* An empty part of ours stands there, or before: then theirs are fewer. */
static bool is_nothing(const struct difference *difference)
{
	const struct view *a = difference->a;

	for (size_t i = 0; a->part_count > difference->b->part_count && i <= difference->at && i < a->part_count; i++)
		if (a->parts[i].start == a->parts[i].end && slice_trim(a->parts[i].entity).n == 0)
			return true;
	return false;
}

static bool is_no_domain(const struct difference *difference)
{
	return slice_find(difference->theirs, '@') < 0 && (difference->theirs.n > 0 || difference->ours.n == 0);
}

/* GMime cuts as many bytes off a part as the line end of the delimiter has, not as the one before it: CR stays of a
 * CRLF, or what stands before a lone LF goes with it. */
static bool is_cut_wrongly(const struct difference *difference)
{
	const struct view_part *theirs = &difference->b->parts[difference->at];
	bool outside = difference->aspect == ASPECT_COVER;
	size_t end = outside ? difference->a->parts[1].end : our_part(difference)->end;

	if (end == difference->message.n || (outside && strcmp(difference->what, "outside") != 0))
		return false;
	return (theirs->end == end + 1 && difference->message.p[end] == '\r') ||
	       (theirs->end + 1 == end && difference->message.p[end] == '\n');
}

static size_t blanks_skip(struct slice text, size_t i)
{
	while (i < text.n && strchr(" \t\r\n", text.p[i]) != NULL && text.p[i] != '\0')
		i++;
	return i;
}

/* The same but for white space: GMime writes delimiter lines, preambles and epilogues in a form of its own. */
static bool is_written_anew(const struct difference *difference)
{
	struct slice a = difference->ours, b = difference->theirs;
	size_t i = blanks_skip(a, 0), k = blanks_skip(b, 0);

	while (i < a.n && k < b.n && a.p[i] == b.p[k]) {
		i = blanks_skip(a, i + 1);
		k = blanks_skip(b, k + 1);
	}
	return i == a.n && k == b.n;
}

/* RFC 2045 6.8: whole groups of the alphabet, white space, '=' at the end alone. */
static bool is_base64_whole(struct slice text)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t characters = 0, padding = 0;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		if (c == '=')
			padding++;
		else if (c == '\0' || padding > 0 || strchr(alphabet, c) == NULL)
			return false;
		characters++;
	}
	return characters % 4 == 0 && padding <= 2;
}

static bool is_damaged_base64(const struct difference *difference)
{
	return slice_is(our_part(difference)->encoding, "base64") && !is_base64_whole(raw_of(difference));
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}

/* Nothing but blanks stands between i and the end of the line or of text. */
static bool line_ends(struct slice text, size_t i)
{
	while (i < text.n && (text.p[i] == ' ' || text.p[i] == '\t'))
		i++;
	return i == text.n || text.p[i] == '\n' || (text.p[i] == '\r' && i + 1 < text.n && text.p[i + 1] == '\n');
}

static bool is_quoted_printable(const struct difference *difference)
{
	return slice_is(our_part(difference)->encoding, "quoted-printable");
}

/* '=' with neither two digits nor the line's end behind it, or as the last character of all. */
static bool is_damaged_escape(const struct difference *difference)
{
	struct slice text = raw_of(difference);

	for (size_t i = 0; is_quoted_printable(difference) && i < text.n; i++) {
		if (text.p[i] != '=' || (i + 2 < text.n && is_hex(text.p[i + 1]) && is_hex(text.p[i + 2])))
			continue;
		if (i + 1 == text.n || !line_ends(text, i + 1))
			return true;
	}
	return false;
}

static bool is_blank_at_line_end(const struct difference *difference)
{
	struct slice text = raw_of(difference);

	for (size_t i = 0; is_quoted_printable(difference) && i < text.n; i++)
		if ((text.p[i] == ' ' || text.p[i] == '\t') && line_ends(text, i))
			return true;
	return false;
}

#define ASPECT(name) (1U << ASPECT_##name)

const struct known_kind known_kinds[] = {
	{ "encoded word in Content-Type",
	  "RFC 2047 5: none stands in a parameter, and in a comment it is part of that; GMime decodes before it parses",
	  ASPECT(TYPE) | ASPECT(PARAM), is_encoded_word },
	{ "comment behind a parameter's value",
	  "RFC 2045 5.1: a token ends at '('; GMime takes the comment for part of it", ASPECT(PARAM),
	  is_comment_behind },
	{ "8-bit character in a parameter", "RFC 2045 5.1: not allowed; GMime makes UTF-8 of it", ASPECT(PARAM),
	  is_8bit_parameter },
	{ "comment in Content-Transfer-Encoding",
	  "RFC 2045 3: comments are allowed; GMime takes the field for an unknown word",
	  ASPECT(ENCODING) | ASPECT(SKELETON) | ASPECT(OBJECT), is_encoding_comment },
	{ "part without header and body", "RFC 2046 5.1.1: a body part may be empty; GMime makes none of it",
	  ASPECT(TYPE) | ASPECT(PARAM) | ASPECT(ENCODING) | ASPECT(SKELETON) | ASPECT(EXTENT) | ASPECT(CONTENT),
	  is_nothing },
	{ "address without domain", "RFC 5322 3.4.1: an addr-spec has a domain; GMime takes a word alone for a mailbox",
	  ASPECT(LIST), is_no_domain },
	{ "other line end before a delimiter line than behind it",
	  "RFC 2046 5.1.1: the line end before the delimiter belongs to it; GMime cuts the other's length",
	  ASPECT(COVER) | ASPECT(OBJECT) | ASPECT(EXTENT), is_cut_wrongly },
	{ "entity written anew", "RFC 1847 2.1: the bytes as they came are digested; GMime writes what it has parsed",
	  ASPECT(DIGESTED), is_written_anew },
	{ "damaged base64", "RFC 2045 6.8: what is skipped, and what becomes of the last bits, is the reader's choice",
	  ASPECT(CONTENT), is_damaged_base64 },
	{ "damaged quoted-printable",
	  "RFC 2045 6.7: a robust reader may do as it likes with '=' and no digits behind it", ASPECT(CONTENT),
	  is_damaged_escape },
	{ "blanks at the end of a quoted-printable line", "RFC 2045 6.7 (3): they are to be deleted; GMime leaves them",
	  ASPECT(CONTENT), is_blank_at_line_end },
	{ NULL, NULL, 0, NULL }
};

int known_find(const struct difference *difference)
{
	for (int i = 0; known_kinds[i].name != NULL; i++) {
		if ((known_kinds[i].aspects & 1U << difference->aspect) != 0 && known_kinds[i].is(difference))
			return i;
	}
	return -1;
}
