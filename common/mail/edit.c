/* edit.c - compares two lists of header fields and says how an MTA gets from one to the other. Applying the edits is
 * the milter's. Fields are the same when their bytes are the same memory.
 */
#include "mail/edit.h"

/* Index of field in header from `from` on, or header->n. */
static size_t find_same(const struct header *header, const struct field *field, size_t from)
{
	while (from < header->n && header->fields[from].raw.p != field->raw.p)
		from++;
	return from;
}

struct pairing {
	bool *kept;		/* for each of before's fields: it stands in after too */
	size_t *changed_to;	/* for each of before's fields: after's field that takes its place, or NONE */
	bool *changes;		/* for each of after's fields: it takes such a place */
	size_t first;		/* the first kept one's index in after, or after->n */
};

#define NONE ((size_t)-1)

/* Fills kept[] and first. */
static int match(const struct header *before, const struct header *after, struct pairing *pairing, struct err *err)
{
	size_t from = 0;

	pairing->first = after->n;
	for (size_t i = 0; i < after->n; i++) {
		size_t at = find_same(before, &after->fields[i], from);

		if (at == before->n && find_same(before, &after->fields[i], 0) < before->n)
			return err_set(err, ERR_BUG, "header fields were reordered");
		if (at == before->n)
			continue;
		pairing->kept[at] = true;
		from = at + 1;
		if (pairing->first == after->n)
			pairing->first = i;
	}
	return 0;
}

/* The first field of that name in before[from, to) whose place is free, or NONE. */
static size_t find_place(const struct header *before, const struct pairing *pairing, size_t from, size_t to,
			 struct slice name)
{
	for (; from < to; from++)
		if (pairing->changed_to[from] == NONE && slice_equal_nocase(before->fields[from].name, name))
			return from;
	return NONE;
}

/* New fields between two kept ones take the place of what went from there. Behind the last kept one nothing has to
 * keep its place. */
static void pair(const struct header *before, const struct header *after, struct pairing *pairing)
{
	size_t from = 0, start = pairing->first;

	for (size_t i = pairing->first; i < after->n; i++) {
		size_t at = find_same(before, &after->fields[i], from);

		if (at == before->n)
			continue;
		for (; start < i; start++) {
			size_t place = find_place(before, pairing, from, at, after->fields[start].name);

			if (place != NONE) {
				pairing->changed_to[place] = start;
				pairing->changes[start] = true;
				from = place + 1;
			}
		}
		start = i + 1;
		from = at + 1;
	}
}

static size_t same_name_before(const struct header *header, size_t at)
{
	size_t n = 0;

	for (size_t i = 0; i < at; i++)
		n += slice_equal_nocase(header->fields[i].name, header->fields[at].name) ? 1 : 0;
	return n;
}

/* The value as milters want it: line breaks without CR. NULL: arena exhausted. */
static char *milter_value(struct arena *arena, struct slice value)
{
	char *out = arena_alloc(arena, value.n + 1);
	size_t n = 0;

	for (size_t i = 0; out != NULL && i < value.n; i++) {
		if (value.p[i] != '\r' || i + 1 == value.n || value.p[i + 1] != '\n')
			out[n++] = value.p[i];
	}
	return out;
}

/* What becomes of before's field at `at`: it goes, or new_field takes its place. */
static int add_removal(struct arena *arena, const struct header *before, size_t at, const struct field *new_field,
		       struct edit_list *list, struct err *err)
{
	struct edit edit = { EDIT_DELETE, arena_string(arena, before->fields[at].name), NULL, 0 };

	if (new_field != NULL) {
		edit.kind = EDIT_CHANGE;
		edit.value = milter_value(arena, new_field->value);
	}
	if (edit.name == NULL || (new_field != NULL && edit.value == NULL))
		return err_memory(err);
	edit.index = (unsigned)same_name_before(before, at) + 1;
	list->items[list->n++] = edit;
	return 0;
}

static int add_field(struct arena *arena, const struct field *field, bool top, unsigned index, struct edit_list *list,
		     struct err *err)
{
	struct edit edit = { top ? EDIT_INSERT : EDIT_ADD, arena_string(arena, field->name),
			     milter_value(arena, field->value), index };

	if (edit.name == NULL || edit.value == NULL)
		return err_memory(err);
	list->items[list->n++] = edit;
	return 0;
}

static int edits_add(struct arena *arena, const struct header *before, const struct header *after,
		     const struct pairing *pairing, struct edit_list *list, struct err *err)
{
	size_t from = 0;

	for (size_t i = before->n; i > 0; i--) {
		size_t to = pairing->changed_to[i - 1];

		if (!pairing->kept[i - 1] &&
		    add_removal(arena, before, i - 1, to == NONE ? NULL : &after->fields[to], list, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < after->n; i++) {
		size_t at = find_same(before, &after->fields[i], from);
		bool top = pairing->first < after->n && i < pairing->first;

		if (at < before->n)
			from = at + 1;
		else if (!pairing->changes[i] &&
			 add_field(arena, &after->fields[i], top, top ? (unsigned)i : 0, list, err) < 0)
			return -1;
	}
	return 0;
}

int edit_make(struct arena *arena, const struct header *before, const struct header *after, struct edit_list *list,
	      struct err *err)
{
	struct pairing pairing = {
		.kept = arena_array(arena, before->n + 1, sizeof(*pairing.kept)),
		.changed_to = arena_array(arena, before->n + 1, sizeof(*pairing.changed_to)),
		.changes = arena_array(arena, after->n + 1, sizeof(*pairing.changes)),
	};

	*list = (struct edit_list){ arena_array(arena, before->n + after->n + 1, sizeof(*list->items)), 0 };
	if (pairing.kept == NULL || pairing.changed_to == NULL || pairing.changes == NULL || list->items == NULL)
		return err_memory(err);
	for (size_t i = 0; i < before->n; i++)
		pairing.changed_to[i] = NONE;
	if (match(before, after, &pairing, err) < 0)
		return -1;
	pair(before, after, &pairing);
	return edits_add(arena, before, after, &pairing, list, err);
}
