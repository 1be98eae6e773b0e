/* test_log.c - the line that a message leaves: form, escaping, length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "milter/log.h"

static struct address address(const char *text)
{
	return (struct address){ .text = slice_of(text) };
}

static char *line_of(const struct envelope *envelope, const struct outcome *outcome, char out[LOG_LINE_SIZE])
{
	struct reply_line reply;
	const char *token = outcome->reply == REPLY_INTERNAL ? "0A1B2C3D" : "";
	const struct log_entry entry = { envelope, outcome, &reply, token, 6.12 };

	reply_format(outcome, entry.token, &reply);
	return log_format(&entry, out);
}

static void test_accepted(void **state)
{
	struct recipient recipient = { .address = address("b@partner.example") };
	const struct rule rule = { .id = "partner" };
	struct recipient_outcome one = { .rule = &rule, .action = "encrypt", .cipher = "aes256-cbc" };
	const struct envelope envelope = { .queue_id = "4Xk2Q3", .sender = address("a@example.com"),
		.recipients = &recipient, .recipient_count = 1 };
	const struct outcome outcome = { .action = ACTION_ACCEPT, .reply = REPLY_NONE, .recipients = &one,
		.recipient_count = 1, .reason = "" };
	char line[LOG_LINE_SIZE];

	(void)state;
	assert_string_equal(line_of(&envelope, &outcome, line),
			    "4Xk2Q3: action=encrypt result=ok rule=partner from=<a@example.com> "
			    "to=<b@partner.example> nrcpt=1 cipher=aes256-cbc ms=6.1");
}

static void test_verdict_and_mixture(void **state)
{
	struct recipient recipients[2] = { { .address = address("b@x") }, { .address = address("c@y") } };
	const struct rule rules[2] = { { .id = "one" }, { .id = "two" } };
	struct recipient_outcome both[2] = { { .rule = &rules[0], .action = "verify" },
		{ .rule = &rules[1], .action = "pass" } };
	const struct envelope envelope = { .queue_id = "Q", .recipients = recipients, .recipient_count = 2 };
	const struct outcome outcome = { .action = ACTION_ACCEPT, .reply = REPLY_NONE, .recipients = both,
		.recipient_count = 2, .verified = true, .verdict = { .result = RESULT_POLICY } };
	char line[LOG_LINE_SIZE];

	(void)state;
	assert_string_equal(line_of(&envelope, &outcome, line),
			    "Q: action=mixed result=policy rule=mixed from=<> to=<b@x>,<c@y> nrcpt=2 ms=6.1");
}

static void test_failure(void **state)
{
	const struct envelope envelope = { .queue_id = "" };
	const struct outcome outcome = { .reason = "disk \"full\"\n", .observed = true };
	char line[LOG_LINE_SIZE];

	(void)state;
	assert_string_equal(line_of(&envelope, &outcome, line),
			    "NOQUEUE: action=tempfail result=tempfail rule=none from=<> to=<> nrcpt=0 mode=observe "
			    "reply=451/4.3.0 token=0A1B2C3D reason=\"disk \\\"full\\\"?\" ms=6.1");
}

static void test_hostile_addresses(void **state)
{
	struct recipient recipient = { .address = address("b> action=pass\r\nfake: x@y") };
	const struct envelope envelope = { .queue_id = "Q\n", .sender = address("\"a b\\\"@\xff;,"),
		.recipients = &recipient, .recipient_count = 1 };
	const struct outcome outcome = { .action = ACTION_ACCEPT, .reply = REPLY_NONE };
	char line[LOG_LINE_SIZE];

	(void)state;
	assert_string_equal(line_of(&envelope, &outcome, line),
			    "Q\\x0a: action=accept result=ok rule=none from=<\\x22a\\x20b\\x5c\\x22@\\xff\\x3b\\x2c> "
			    "to=<b\\x3e\\x20action=pass\\x0d\\x0afake:\\x20x@y> nrcpt=1 ms=6.1");
}

static void test_length(void **state)
{
	static char local[1500], reason[3000];
	struct recipient *recipients = calloc(1000, sizeof(*recipients));
	struct envelope envelope = { .queue_id = local, .sender = { .text = { local, 1400 } }, .recipients = recipients,
		.recipient_count = 1000 };
	const struct outcome outcome = { .reply = REPLY_NO_CERTIFICATE, .reason = reason };
	char line[LOG_LINE_SIZE];

	(void)state;
	assert_non_null(recipients);
	memset(local, 1, sizeof(local) - 1);
	memset(reason, '"', sizeof(reason) - 1);
	for (size_t i = 0; i < 1000; i++)
		recipients[i].address.text = i % 2 ? slice_of("b@x") : slice_make(local, 1400);
	line_of(&envelope, &outcome, line);
	assert_true(strlen(line) <= 900);
	assert_non_null(strstr(line, " nrcpt=1000"));
	assert_non_null(strstr(line, " reply=451/4.7.5"));
	assert_string_equal(line + strlen(line) - 7, " ms=6.1");
	free(recipients);
}

static void take(void *self, enum event_level level, const char *line)
{
	enum event_level *seen = self;

	assert_non_null(strstr(line, "ms="));
	*seen = level;
}

static void test_level(void **state)
{
	enum event_level level = EVENT_DEBUG;
	const struct event_sink sink = { take, &level };
	const struct envelope envelope = { .queue_id = "Q" };
	struct outcome outcome = { .action = ACTION_REJECT, .reply = REPLY_NO_KEY };
	struct reply_line reply = { .code = "550", .xcode = "5.7.5" };
	struct log_entry entry = { &envelope, &outcome, &reply, "", 1 };

	(void)state;
	log_message(&sink, &entry);
	assert_int_equal(level, EVENT_INFO);
	outcome.action = ACTION_TEMPFAIL;
	log_message(&sink, &entry);
	assert_int_equal(level, EVENT_WARNING);
	entry.token = "0A1B2C3D";
	log_message(&sink, &entry);
	assert_int_equal(level, EVENT_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_verdict_and_mixture),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_hostile_addresses),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
