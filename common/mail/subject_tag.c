/* subject_tag.c - see subject_tag.h. The field is taken apart into words, each with the text that readers show for it;
 * the tag is looked for in what they show, and the words that it touches are written anew. Called by gate/trigger.c.
 */
#include "mail/subject_tag.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

struct word {
	struct slice gap;	/* blanks and folds before it, as they stand */
	struct slice raw;
	struct slice text;	/* as shown; shortened when something is cut out of it */
	struct slice opening;	/* of an encoded word: "=?utf-8?q?"; n == 0: plain */
	bool q;			/* quoted, not base64 */
	bool cut, gap_cut;
	size_t gap_at, text_at;	/* in the whole text */
};

struct subject {
	struct arena *arena;
	struct word *words;
	size_t n;
	struct slice tail;	/* blanks behind the last word */
	struct buf *text;	/* all words as shown, one blank for each gap that is shown */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)ascii_tolower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t decode_q(struct slice from, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < from.n; i++) {
		bool escape = from.p[i] == '=' && i + 2 < from.n && hex_value(from.p[i + 1]) >= 0 &&
			      hex_value(from.p[i + 2]) >= 0;

		out[n++] = escape ? (char)(16 * hex_value(from.p[i + 1]) + hex_value(from.p[i + 2])) :
			   from.p[i] == '_' ? ' ' : from.p[i];
		i += escape ? 2 : 0;
	}
	return n;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static size_t decode_b(struct slice from, char *out)
{
	unsigned bits = 0, count = 0;
	size_t n = 0;

	for (size_t i = 0; i < from.n; i++) {
		const char *at = from.p[i] == '\0' ? NULL : strchr(alphabet, from.p[i]);

		if (at == NULL)
			continue;
		bits = bits << 6 | (unsigned)(at - alphabet);
		count += 6;
		if (count < 8)
			continue;
		count -= 8;
		out[n++] = (char)(bits >> count & 0xff);
	}
	return n;
}

/* "=?charset?q?text?=" and nothing else. */
static bool is_encoded(struct slice raw, struct slice *opening, struct slice *text, bool *q)
{
	struct slice rest = raw.n > 6 ? slice_from(raw, 2) : raw;
	long charset_end = slice_find(rest, '?');
	size_t start;

	if (raw.n <= 6 || memcmp(raw.p, "=?", 2) != 0 || memcmp(raw.p + raw.n - 2, "?=", 2) != 0 || charset_end <= 0)
		return false;
	start = 2 + (size_t)charset_end + 3;
	if (start + 2 > raw.n || raw.p[start - 1] != '?')
		return false;
	*q = ascii_tolower(raw.p[start - 2]) == 'q';
	*opening = slice_first(raw, start);
	*text = slice_make(raw.p + start, raw.n - 2 - start);
	return (*q || ascii_tolower(raw.p[start - 2]) == 'b') && slice_find(*text, '?') < 0;
}

static int read_word(const struct subject *s, struct word *word)
{
	struct slice content;
	char *out = NULL;

	word->text = word->raw;
	if (!is_encoded(word->raw, &word->opening, &content, &word->q)) {
		word->opening = (struct slice){ 0 };
		return 0;
	}
	out = arena_alloc(s->arena, content.n + 1);
	if (out == NULL)
		return -1;
	word->text = slice_make(out, word->q ? decode_q(content, out) : decode_b(content, out));
	return 0;
}

static size_t count_while(struct slice bytes, bool blank)
{
	size_t n = 0;

	while (n < bytes.n && is_blank(bytes.p[n]) == blank)
		n++;
	return n;
}

static int read_words(struct subject *s, struct slice value)
{
	struct word *word = NULL;
	size_t n;

	s->words = arena_array(s->arena, value.n / 2 + 1, sizeof(*s->words));
	if (s->words == NULL)
		return -1;
	while (value.n > 0) {
		n = count_while(value, true);
		s->tail = slice_first(value, n);
		value = slice_from(value, n);
		n = count_while(value, false);
		if (n == 0)
			break;
		word = &s->words[s->n++];
		*word = (struct word){ .gap = s->tail, .raw = slice_first(value, n) };
		s->tail = (struct slice){ 0 };
		value = slice_from(value, n);
		if (read_word(s, word) != 0)
			return -1;
	}
	return 0;
}

/* Between two encoded words blanks are not shown (RFC 2047 6.2). */
static bool shows_gap(const struct subject *s, size_t i)
{
	return i > 0 && !s->words[i].gap_cut &&
	       (s->words[i].opening.n == 0 || s->words[i - 1].opening.n == 0);
}

static int show(struct subject *s)
{
	size_t size = 1;
	int bad = 0;

	for (size_t i = 0; i < s->n; i++)
		size += s->words[i].text.n + 1;
	s->text = arena_buf(s->arena, size);
	if (s->text == NULL)
		return -1;
	for (size_t i = 0; i < s->n; i++) {
		s->words[i].gap_at = shows_gap(s, i) ? s->text->n : SIZE_MAX;
		if (shows_gap(s, i))
			bad |= buf_append(s->text, " ", 1);
		s->words[i].text_at = s->text->n;
		bad |= buf_append_slice(s->text, s->words[i].text);
	}
	return bad;
}

/* Cuts [from, to) of the whole text out of each word. */
static int cut_words(struct subject *s, size_t from, size_t to)
{
	for (size_t i = 0; i < s->n; i++) {
		struct word *word = &s->words[i];
		size_t start = word->text_at, end = start + word->text.n, first, last;
		char *left = NULL;

		word->gap_cut = word->gap_cut || (word->gap_at >= from && word->gap_at < to);
		first = from > start ? from : start;
		last = to < end ? to : end;
		if (first >= last)
			continue;
		left = arena_alloc(s->arena, word->text.n + 1);
		if (left == NULL)
			return -1;
		memcpy(left, word->text.p, first - start);
		memcpy(left + (first - start), word->text.p + (last - start), end - last);
		word->text = slice_make(left, word->text.n - (last - first));
		word->cut = true;
	}
	return 0;
}

/* 1: found and cut out, 0: there is none. */
static int cut_one(struct subject *s, const char *tag)
{
	struct slice text = buf_slice(s->text);
	size_t n = strlen(tag), at = 0, end;

	while (at + n <= text.n && !slice_is_nocase(slice_make(text.p + at, n), tag))
		at++;
	if (at + n > text.n)
		return 0;
	end = at + n;
	if (end < text.n && text.p[end] == ' ' && (at == 0 || text.p[at - 1] == ' '))
		end++;
	else if (end == text.n && at > 0 && text.p[at - 1] == ' ')
		at--;
	return cut_words(s, at, end) == 0 && show(s) == 0 ? 1 : -1;
}

static int write_q(struct buf *out, struct slice text)
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

static int write_b(struct buf *out, struct slice text)
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

static int write_word(struct buf *out, const struct word *word)
{
	int bad = 0;

	if (!word->cut)
		return buf_append_slice(out, word->raw);
	if (word->opening.n == 0)
		return buf_append_slice(out, word->text);
	bad |= buf_append_slice(out, word->opening);
	bad |= word->q ? write_q(out, word->text) : write_b(out, word->text);
	return bad | buf_append_text(out, "?=");
}

/* A word that is cut away leaves its gap to the next one, whose own was cut. */
static int write_value(const struct subject *s, struct buf *out)
{
	struct slice gap = slice_of(NULL);
	int bad = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct word *word = &s->words[i];

		if (gap.n == 0 && !word->gap_cut)
			gap = word->gap;
		if (word->text.n == 0 && word->cut)
			continue;
		bad |= buf_append_slice(out, gap);
		bad |= write_word(out, word);
		gap = slice_of(NULL);
	}
	return bad | buf_append_slice(out, s->tail);
}

int subject_tag_cut(struct arena *arena, const struct field *field, const char *tag, struct field *without)
{
	struct subject s = { .arena = arena };
	struct buf *out = NULL;
	int rc, found = 0;

	*without = *field;
	if (*tag == '\0')
		return 0;
	if (read_words(&s, field->value) != 0 || show(&s) != 0)
		return -1;
	while ((rc = cut_one(&s, tag)) == 1)
		found = 1;
	if (rc != 0 || found == 0)
		return rc;
	out = arena_buf(arena, 0);
	if (out == NULL || write_value(&s, out) != 0)
		return -1;
	*without = field_make(arena, field->name, buf_slice(out));
	return without->raw.p != NULL ? 1 : -1;
}
