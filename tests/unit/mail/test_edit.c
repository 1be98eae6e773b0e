/* test_edit.c - edits: what goes, what comes, where, and how milters want it written. */
#include "unit/mail/mail_test.h"

#include <stdio.h>

#include "mail/edit.h"

/* The edits as text: "-name/2 =name/1: value +0:name: value >name: value". */
static const char *edits(struct arena *arena, const struct header *before, const struct header *after)
{
	struct edit_list list;
	char *text = arena_strdup(arena, "");

	assert_int_equal(edit_make(arena, before, after, &list, NULL), 0);
	for (size_t i = 0; i < list.n; i++) {
		const struct edit *edit = &list.items[i];

		if (edit->kind == EDIT_DELETE)
			text = arena_printf(arena, "%s -%s/%u", text, edit->name, edit->index);
		else if (edit->kind == EDIT_CHANGE)
			text = arena_printf(arena, "%s =%s/%u:%s", text, edit->name, edit->index, edit->value);
		else if (edit->kind == EDIT_INSERT)
			text = arena_printf(arena, "%s +%u:%s:%s", text, edit->index, edit->name, edit->value);
		else
			text = arena_printf(arena, "%s >%s:%s", text, edit->name, edit->value);
	}
	return text;
}

static struct field field_of(struct arena *arena, const char *name, const char *value)
{
	return field_make(arena, slice_of(name), slice_of(value));
}

static struct header before_of(struct arena *arena)
{
	return message_of(arena, "A: 1\r\nX: 2\r\nx: 3\r\nB: 4\r\nX: 5\r\n\r\n").header;
}

static void test_nothing(void **state)
{
	struct header before = before_of(*state);

	assert_string_equal(edits(*state, &before, &before), "");
}

static void test_all_kinds(void **state)
{
	struct header before = before_of(*state), after = { NULL, 0 };

	assert_int_equal(header_append(*state, &after, field_of(*state, "New", " n\r\n\tm")), 0);
	assert_int_equal(header_append(*state, &after, field_of(*state, "New2", " o")), 0);
	assert_int_equal(header_append(*state, &after, before.fields[0]), 0);
	assert_int_equal(header_append(*state, &after, field_of(*state, "Middle", "")), 0);
	assert_int_equal(header_append(*state, &after, before.fields[2]), 0);
	assert_int_equal(header_append(*state, &after, field_of(*state, "End", " e\rf")), 0);
	assert_string_equal(edits(*state, &before, &after),
			    " -X/3 -B/1 -X/1 +0:New: n\n\tm +1:New2: o >Middle: >End: e\rf");
}

static void test_all_new(void **state)
{
	struct header before = before_of(*state), after = { NULL, 0 };

	assert_int_equal(header_append(*state, &after, field_of(*state, "A", " 1")), 0);
	assert_string_equal(edits(*state, &before, &after), " -X/3 -B/1 -x/2 -X/1 -A/1 >A: 1");
	after.n = 0;
	assert_string_equal(edits(*state, &after, &before), " >A: 1 >X: 2 >x: 3 >B: 4 >X: 5");
}

/* What is rewritten between kept fields keeps its place: trace fields are not to be reordered. */
static void test_changed_in_place(void **state)
{
	struct header before = before_of(*state), after = { NULL, 0 };

	assert_int_equal(header_append(*state, &after, field_of(*state, "X", " top")), 0);
	assert_int_equal(header_append(*state, &after, before.fields[0]), 0);
	assert_int_equal(header_append(*state, &after, field_of(*state, "X", " new\r\n\t3")), 0);
	assert_int_equal(header_append(*state, &after, field_of(*state, "Y", " y")), 0);
	assert_int_equal(header_append(*state, &after, before.fields[3]), 0);
	assert_int_equal(header_append(*state, &after, field_of(*state, "X", " last")), 0);
	assert_string_equal(edits(*state, &before, &after),
			    " -X/3 -x/2 =X/1: new\n\t3 +0:X: top >Y: y >X: last");
}

static void test_reordered(void **state)
{
	struct header before = before_of(*state), after = { NULL, 0 };
	struct edit_list list;
	struct err err = { ERR_NONE, "" };

	assert_int_equal(header_append(*state, &after, before.fields[1]), 0);
	assert_int_equal(header_append(*state, &after, before.fields[0]), 0);
	assert_int_equal(edit_make(*state, &before, &after, &list, &err), -1);
	assert_int_equal(err.class, ERR_BUG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_arena(test_nothing),
		with_arena(test_all_kinds),
		with_arena(test_all_new),
		with_arena(test_changed_in_place),
		with_arena(test_reordered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
