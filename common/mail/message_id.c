/* message_id.c - see message_id.h. Called by gate/facts.c for what a reply names and by milter/memory.c for what a
 * message is called: both must read alike. RFC 5322 3.6.4. */
#include "mail/message_id.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* An id that was folded is the same id. Nothing in it: none. */
static int add(struct arena *arena, struct slice text, struct message_ids *ids, struct err *err)
{
	char *copy = arena_alloc(arena, text.n + 1);
	size_t n = 0, i;

	if (copy == NULL)
		return err_memory(err);
	for (i = 0; i < text.n; i++)
		if (!is_blank(text.p[i]))
			copy[n++] = text.p[i];
	if (n > 0)
		ids->items[ids->n++] = slice_make(copy, n);
	return 0;
}

static bool is_one_word(struct slice text)
{
	size_t i;

	for (i = 0; i < text.n; i++)
		if (is_blank(text.p[i]) || text.p[i] == '<' || text.p[i] == '>')
			return false;
	return text.n > 0;
}

static int find_in(struct arena *arena, struct slice value, size_t max, struct message_ids *ids, struct err *err)
{
	const struct slice word = slice_trim(value);
	long end, begin;

	if (is_one_word(word))
		return ids->n < max ? add(arena, word, ids, err) : 0;
	while (ids->n < max && (end = slice_find_last(value, '>')) >= 0) {
		value = slice_first(value, (size_t)end);
		begin = slice_find_last(value, '<');
		if (begin < 0)
			return 0;
		if (add(arena, slice_from(value, (size_t)begin + 1), ids, err) != 0)
			return -1;
		value = slice_first(value, (size_t)begin);
	}
	return 0;
}

int message_ids_find(struct arena *arena, const struct header *header, const char *name, size_t max,
		     struct message_ids *ids, struct err *err)
{
	size_t i;

	if (ids->items == NULL)
		ids->items = arena_array(arena, max, sizeof(*ids->items));
	if (ids->items == NULL)
		return err_memory(err);
	for (i = 0; i < header->n; i++)
		if (field_is(&header->fields[i], name) && find_in(arena, header->fields[i].value, max, ids, err) != 0)
			return -1;
	return 0;
}
