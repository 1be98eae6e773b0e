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

/* Marks in kept[] which of before's fields stand in after; *first: the first kept one's index in after, or after->n. */
static int match(const struct header *before, const struct header *after, bool *kept, size_t *first, struct err *err)
{
	size_t from = 0;

	*first = after->n;
	for (size_t i = 0; i < after->n; i++) {
		size_t at = find_same(before, &after->fields[i], from);

		if (at == before->n && find_same(before, &after->fields[i], 0) < before->n)
			return err_set(err, ERR_BUG, "header fields were reordered");
		if (at == before->n)
			continue;
		kept[at] = true;
		from = at + 1;
		if (*first == after->n)
			*first = i;
	}
	return 0;
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

static int add_deletion(struct arena *arena, const struct header *before, size_t at, struct edit_list *list,
			struct err *err)
{
	struct edit edit = { EDIT_DELETE, arena_string(arena, before->fields[at].name), NULL, 0 };

	if (edit.name == NULL)
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

static int edits_add(struct arena *arena, const struct header *before, const struct header *after, const bool *kept,
		     size_t first, struct edit_list *list, struct err *err)
{
	size_t from = 0;

	for (size_t i = before->n; i > 0; i--) {
		if (!kept[i - 1] && add_deletion(arena, before, i - 1, list, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < after->n; i++) {
		size_t at = find_same(before, &after->fields[i], from);
		bool top = first < after->n && i < first;

		if (at < before->n) {
			from = at + 1;
			continue;
		}
		if (add_field(arena, &after->fields[i], top, top ? (unsigned)i : 0, list, err) < 0)
			return -1;
	}
	return 0;
}

int edit_make(struct arena *arena, const struct header *before, const struct header *after, struct edit_list *list,
	      struct err *err)
{
	bool *kept = arena_array(arena, before->n + 1, sizeof(*kept));
	size_t first = 0;

	*list = (struct edit_list){ arena_array(arena, before->n + after->n + 1, sizeof(*list->items)), 0 };
	if (kept == NULL || list->items == NULL)
		return err_memory(err);
	if (match(before, after, kept, &first, err) < 0)
		return -1;
	return edits_add(arena, before, after, kept, first, list, err);
}
