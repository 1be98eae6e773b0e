/* subject_tag.c - see subject_tag.h. The field is taken apart into words, each with the text that readers show for it;
 * the tag is looked for in what they show, and the words that it touches are written anew. Called by gate/trigger.c.
 */
#include "mail/subject_tag.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "mail/encoded_word.h"

struct word {
	struct slice gap;	/* blanks and folds before it, as they stand */
	struct slice raw;
	struct slice text;	/* as shown; shortened when something is cut out of it */
	struct encoded_word encoded;
	bool is_encoded;
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

static int read_word(const struct subject *s, struct word *word)
{
	struct slice behind = word->raw;
	char *out = NULL;

	word->text = word->raw;
	word->is_encoded = encoded_word_take(&behind, &word->encoded) && behind.n == 0;
	if (!word->is_encoded)
		return 0;
	out = arena_alloc(s->arena, word->encoded.content.n + 1);
	if (out == NULL)
		return -1;
	word->text = slice_make(out, encoded_word_bytes(&word->encoded, out));
	return 0;
}

static size_t count_while(struct slice bytes, bool blank)
{
	size_t n = 0;

	while (n < bytes.n && ascii_is_blank(bytes.p[n]) == blank)
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
	return i > 0 && !s->words[i].gap_cut && !(s->words[i].is_encoded && s->words[i - 1].is_encoded);
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

static int write_word(struct buf *out, const struct word *word)
{
	if (!word->cut)
		return buf_append_slice(out, word->raw);
	return word->is_encoded ? encoded_word_write(out, &word->encoded, word->text) : buf_append_slice(out, word->text);
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
