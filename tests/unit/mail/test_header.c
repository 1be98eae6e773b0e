/* test_header.c - fields: exact bytes, hostile lines, limits, building. */
#include "unit/mail/mail_test.h"

#include "mail/header.h"

static int parse(struct arena *arena, const char *text, struct header *header, size_t *used, struct err *err)
{
	return header_parse(arena, slice_of(text), NULL, header, used, err);
}

static void test_fields_keep_their_bytes(void **state)
{
	struct header header;
	size_t used = 0;

	assert_int_equal(parse(*state, "From: a@b\r\nSubject:\tx\r\n  y\r\n z\r\nX :q\r\n\r\nbody", &header, &used,
		NULL), 0);
	assert_int_equal(header.n, 3);
	assert_slice(header.fields[0].raw, "From: a@b\r\n");
	assert_slice(header.fields[0].value, " a@b");
	assert_slice(header.fields[1].raw, "Subject:\tx\r\n  y\r\n z\r\n");
	assert_slice(header.fields[1].value, "\tx\r\n  y\r\n z");
	assert_slice(field_unfold(*state, &header.fields[1]), "x  y z");
	assert_slice(header.fields[2].name, "X");
	assert_slice(header.fields[2].value, "q");
	assert_int_equal(used, strlen("From: a@b\r\nSubject:\tx\r\n  y\r\n z\r\nX :q\r\n\r\n"));
}

static void test_ends_without_empty_line(void **state)
{
	struct header header;
	size_t used = 0;

	assert_int_equal(parse(*state, "A: b", &header, &used, NULL), 0);
	assert_slice(header.fields[0].raw, "A: b");
	assert_slice(header.fields[0].value, " b");
	assert_int_equal(used, 4);
	assert_int_equal(parse(*state, "", &header, &used, NULL), 0);
	assert_int_equal(header.n, 0);
	assert_int_equal(parse(*state, "\r\nA: b", &header, &used, NULL), 0);
	assert_int_equal(header.n, 0);
	assert_int_equal(used, 2);
}

static void test_lone_lf_is_a_line_end(void **state)
{
	struct header header;
	size_t used = 0;

	assert_int_equal(parse(*state, "A: b\n c\nD: e\n\nx", &header, &used, NULL), 0);
	assert_int_equal(header.n, 2);
	assert_slice(header.fields[0].value, " b\n c");
	assert_slice(header.fields[1].raw, "D: e\n");
	assert_int_equal(used, 14);
}

static void test_lines_that_are_no_fields(void **state)
{
	static const char *const bad[] = { " fold first\r\nA: b\r\n", "A: b\r\nno colon\r\n\r\n", ": b\r\n",
		"A b: c\r\n",
					   "\xc3\xa4: b\r\n", "A\x01: b\r\n", "\r: x\r\n" };
	struct header header;
	struct err err = { ERR_NONE, "" };
	size_t used = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse(*state, bad[i], &header, &used, &err), -1);
		assert_int_equal(err.class, ERR_MESSAGE);
	}
}

static void test_limits(void **state)
{
	const struct header_limits bytes = { 10, 0 }, fields = { 0, 1 };
	struct slice text = slice_of("A: bbbb\r\nC: d\r\n\r\n");
	struct header header;
	struct err err = { ERR_NONE, "" };
	size_t used = 0;

	assert_int_equal(header_parse(*state, text, &bytes, &header, &used, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(header_parse(*state, text, &fields, &header, &used, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
}

static void test_many_fields_and_duplicates(void **state)
{
	struct header header;
	struct buf buf;
	size_t used = 0;

	buf_init(&buf, 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(buf_printf(&buf, "%s: %d\r\n", i % 10 == 0 ? "from" : "X", i), 0);
	assert_int_equal(header_parse(*state, buf_slice(&buf), NULL, &header, &used, NULL), 0);
	assert_int_equal(header.n, 100);
	assert_int_equal(header_count(&header, "From"), 10);
	assert_slice(header_find(&header, "FROM", 3)->value, " 30");
	assert_null(header_find(&header, "From", 10));
	buf_clear(&buf);
}

static void test_field_make_starts_no_other_field(void **state)
{
	struct field field = field_make(*state, slice_of("S"), slice_of(" a\n b\r\n\tc"));

	assert_slice(field.raw, "S: a\r\n b\r\n\tc\r\n");
	assert_slice(field.value, " a\r\n b\r\n\tc");
	field = field_make(*state, slice_of("S"), slice_of(" a\nBcc: x\n\n"));
	assert_slice(field.raw, "S: a\r\n Bcc: x\r\n \r\n \r\n");
	field = field_make(*state, slice_of("S"), slice_of(""));
	assert_slice(field.raw, "S:\r\n");
}

static void test_odd_breaks_and_blanks_before_colons(void **state)
{
	struct header header = { NULL, 0 };

	assert_int_equal(header_append(*state, &header, field_make(*state, slice_of("From "), slice_of(" a\n\tb"))), 0);
	assert_int_equal(header_append(*state, &header, field_make(*state, slice_of("from"), slice_of(" c"))), 0);
	assert_int_equal(header_count(&header, "From"), 2);
	assert_false(header_breaks_oddly(&header));
	header.fields[1] = field_make(*state, slice_of("X"), slice_of(" a\rFrom: b"));
	assert_true(header_breaks_oddly(&header));
	header.fields[1] = field_make(*state, slice_of("X"), slice_make(" a\0b", 4));
	assert_true(header_breaks_oddly(&header));
	header.fields[1] = field_make(*state, slice_of("X"), slice_of(" a\r\r\n\tb"));
	assert_true(header_breaks_oddly(&header));
}

static bool not_x(const struct field *field, void *arg)
{
	(void)arg;
	return !field_is(field, "x");
}

static void test_filter_shares_fields(void **state)
{
	struct header header, rest;
	size_t used = 0;

	assert_int_equal(parse(*state, "A: 1\r\nX: 2\r\nB: 3\r\nx: 4\r\n\r\n", &header, &used, NULL), 0);
	assert_int_equal(header_filter(*state, &header, not_x, NULL, &rest), 0);
	assert_int_equal(rest.n, 2);
	assert_ptr_equal(rest.fields[1].raw.p, header.fields[2].raw.p);
	assert_true(field_is_content(&(struct field){ .name = slice_of("content-foo") }));
	assert_false(field_is_content(&(struct field){ .name = slice_of("Contents") }));
}

static void test_memory_runs_out(void **state)
{
	struct arena *small = arena_new(64);
	struct header header;
	struct err err = { ERR_NONE, "" };
	size_t used = 0;

	(void)state;
	assert_int_equal(parse(small, "A: 1\r\n\r\n", &header, &used, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_null(field_make(small, slice_of("A"), slice_of(
		" 0123456789012345678901234567890123456789012345678901234567890123456789")).raw.p);
	arena_free(small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_arena(test_fields_keep_their_bytes),
		with_arena(test_ends_without_empty_line),
		with_arena(test_lone_lf_is_a_line_end),
		with_arena(test_lines_that_are_no_fields),
		with_arena(test_limits),
		with_arena(test_many_fields_and_duplicates),
		with_arena(test_field_make_starts_no_other_field),
		with_arena(test_odd_breaks_and_blanks_before_colons),
		with_arena(test_filter_shares_fields),
		with_arena(test_memory_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
