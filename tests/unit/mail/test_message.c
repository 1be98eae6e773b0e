/* test_message.c - messages from bytes and back, files brought to the form of the wire. */
#include "unit/mail/mail_test.h"

static void wire_is(const char *file, const char *want)
{
	struct buf out;

	buf_init(&out, 0);
	assert_int_equal(message_from_file_bytes(slice_of(file), &out, NULL), 0);
	assert_slice(buf_slice(&out), want);
	buf_clear(&out);
}

static void test_round_trip(void **state)
{
	const char *text = "From: a@b\r\nS: x\r\n y\r\n\r\nbody\r\nwithout end";
	struct message message = message_of(*state, text);

	assert_string_equal(stream_text(*state, message_open(*state, &message, NULL), NULL), text);
	assert_string_equal(body_text(*state, message.body), "body\r\nwithout end");
	message = message_of(*state, "A: b");
	assert_string_equal(stream_text(*state, message_open(*state, &message, NULL), NULL), "A: b\r\n\r\n");
	message = message_of(*state, "\r\nbody");
	assert_string_equal(stream_text(*state, message_open(*state, &message, NULL), NULL), "\r\nbody");
}

static void test_bad_header(void **state)
{
	struct message message;
	struct err err = { ERR_NONE, "" };

	assert_int_equal(message_parse(*state, slice_of("nonsense\r\n\r\n"), NULL, &message, &err), -1);
	assert_int_equal(err.class, ERR_MESSAGE);
}

static void test_files(void **state)
{
	(void)state;
	wire_is("A: b\n\nx\ny", "A: b\r\n\r\nx\r\ny");
	wire_is("A: b\r\n\r\nx\ny", "A: b\r\n\r\nx\ny");
	wire_is("A: b\n\nx\r\ny\n", "A: b\r\n\r\nx\r\ny\r\n");
	wire_is("From a@b Mon\nA: b\n\nx\n", "A: b\r\n\r\nx\r\n");
	wire_is("From a@b Mon\r\nA: b\r\n\r\nx", "A: b\r\n\r\nx");
	wire_is("From: a\r\n\r\nx", "From: a\r\n\r\nx");
	wire_is("\n", "\r\n");
	wire_is("", "");
	wire_is("From ", "From ");
	wire_is("\n\r", "\r\n\r");
}

static void test_limit(void **state)
{
	struct buf out;
	struct err err = { ERR_NONE, "" };

	(void)state;
	buf_init(&out, 6);
	assert_int_equal(message_from_file_bytes(slice_of("A: b\n\n"), &out, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_arena(test_round_trip),
		with_arena(test_bad_header),
		with_arena(test_files),
		with_arena(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
