/* test_message_id.c - the Message-IDs of a message and of what it answers, as mail is really written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "mail/message_id.h"

/* All that the fields `name` hold, each in brackets. */
static void expect(const char *text, const char *name, size_t max, const char *expected)
{
	struct arena *arena = arena_new(0);
	const struct header_limits limits = { 0, 0 };
	struct message_ids ids = { NULL, 0 };
	struct header header;
	struct err err = { 0 };
	char found[400] = "";
	size_t consumed;

	assert_int_equal(header_parse(arena, slice_of(text), &limits, &header, &consumed, &err), 0);
	assert_int_equal(message_ids_find(arena, &header, name, max, &ids, &err), 0);
	for (size_t i = 0; i < ids.n; i++)
		snprintf(found + strlen(found), sizeof(found) - strlen(found), "[%.*s]", SLICE_ARGS(ids.items[i]));
	assert_string_equal(found, expected);
	arena_free(arena);
}

static void ids_are_found(void **state)
{
	(void)state;
	expect("Message-ID: <a@x>\r\n\r\n", "Message-ID", 9, "[a@x]");
	expect("message-id:<A@x>\r\n\r\n", "Message-ID", 9, "[A@x]");
	expect("References: <a@x> <b@x>\r\n <c@x>\r\n\r\n", "References", 9, "[c@x][b@x][a@x]");
	expect("References: <a@x><b@x>\r\n\r\n", "References", 9, "[b@x][a@x]");
	expect("References: <a@x>\r\nReferences: <b@x>\r\n\r\n", "References", 9, "[a@x][b@x]");
	expect("References:\r\n <a-very-long\r\n -one@x>\r\n\r\n", "References", 9, "[a-very-long-one@x]");
	expect("In-Reply-To: Your message of \"Sunday\" <a@x> (of <b@x>)\r\n\r\n", "In-Reply-To", 9, "[b@x][a@x]");
	expect("Message-ID: a@x\r\n\r\n", "Message-ID", 9, "[a@x]");
}

static void nothing_is_no_id(void **state)
{
	static const char *const none[] = { "", " ", " <>", " < >", " <a@x", " a@x>", " ><", " two words", ">>>>",
					    "<<<<" };
	char text[100];

	(void)state;
	expect("Subject: <a@x>\r\n\r\n", "Message-ID", 9, "");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		snprintf(text, sizeof(text), "Message-ID:%s\r\n\r\n", none[i]);
		expect(text, "Message-ID", 9, "");
	}
	expect("Message-ID: <(<) a@x>\r\n\r\n", "Message-ID", 9, "[)a@x]");
}

static void the_latest_come_first_and_there_is_an_end(void **state)
{
	(void)state;
	expect("References: <a@x> <b@x> <c@x>\r\n\r\n", "References", 2, "[c@x][b@x]");
	expect("References: a@x\r\nReferences: b@x\r\nReferences: c@x\r\n\r\n", "References", 2, "[a@x][b@x]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_found), cmocka_unit_test(nothing_is_no_id),
		cmocka_unit_test(the_latest_come_first_and_there_is_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
