/* test_reply.c - codes, texts and lengths of replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "milter/drivers.h"
#include "milter/reply.h"

static struct reply_line format(enum action action, enum reply reply, const char *detail, const char *token)
{
	const struct outcome outcome = { .action = action, .reply = reply, .reply_detail = detail };
	struct reply_line line;

	reply_format(&outcome, token, &line);
	return line;
}

static void test_certificate(void **state)
{
	struct reply_line line = format(ACTION_REJECT, REPLY_NO_CERTIFICATE,
					"no usable certificate for <b@x> (rule partner)", NULL);

	(void)state;
	assert_string_equal(line.code, "550");
	assert_string_equal(line.xcode, "5.7.5");
	assert_string_equal(line.text, "S/MIME: no usable certificate for <b@x> (rule partner)");
}

static void test_every_reply_has_its_class(void **state)
{
	(void)state;
	for (int reply = 0; reply < REPLY_COUNT; reply++) {
		for (int rejects = 0; rejects < 2; rejects++) {
			enum action action = rejects ? ACTION_REJECT : ACTION_TEMPFAIL;
			struct reply_line line = format(action, (enum reply)reply, NULL, "");

			assert_int_equal(line.code[0], rejects ? '5' : '4');
			assert_int_equal(line.xcode[0], line.code[0]);
			assert_int_equal(strlen(line.code), 3);
			assert_int_equal(strlen(line.xcode), 5);
			assert_true(strlen(line.text) > strlen("S/MIME: "));
		}
	}
}

static void test_accept_has_none(void **state)
{
	struct reply_line line = format(ACTION_ACCEPT, REPLY_NONE, "x", "y");

	(void)state;
	assert_string_equal(line.code, "");
	assert_string_equal(line.text, "");
}

static void test_a_zeroed_outcome_is_try_later(void **state)
{
	const struct outcome outcome = { 0 };
	struct reply_line line;

	(void)state;
	reply_format(&outcome, "0123ABCD", &line);
	assert_string_equal(line.code, "451");
	assert_string_equal(line.xcode, "4.3.0");
	assert_string_equal(line.text, "S/MIME: internal error, token 0123ABCD");
}

static void test_on_failure_reject(void **state)
{
	struct reply_line line = format(ACTION_REJECT, REPLY_INTERNAL, "out of memory", "0123ABCD");

	(void)state;
	assert_string_equal(line.code, "554");
	assert_string_equal(line.xcode, "5.3.0");
	assert_null(strstr(line.text, "memory"));	/* internals stay in the log */
}

static void test_hostile_detail(void **state)
{
	struct reply_line line = format(ACTION_REJECT, REPLY_NO_CERTIFICATE, "for <a\r\n250 ok\t\xc3\xa4@x>", NULL);

	(void)state;
	assert_string_equal(line.text, "S/MIME: for <a\\x0d\\x0a250 ok\\x09\\xc3\\xa4@x>");
}

static void test_length(void **state)
{
	char detail[3000];
	struct reply_line line;

	(void)state;
	memset(detail, 'x', sizeof(detail));
	detail[sizeof(detail) - 1] = '\0';
	line = format(ACTION_REJECT, REPLY_NO_CERTIFICATE, detail, NULL);
	assert_true(strlen(line.code) + 1 + strlen(line.xcode) + 1 + strlen(line.text) + 2 <= 512);
	assert_string_equal(line.text + strlen(line.text) - 4, "x...");
	memset(detail, '\n', sizeof(detail) - 1);
	line = format(ACTION_REJECT, REPLY_NO_CERTIFICATE, detail, NULL);
	assert_true(strlen(line.text) < 500);
}

static void test_unknown_reply(void **state)
{
	struct reply_line line = format(ACTION_TEMPFAIL, (enum reply)4711, "x", NULL);

	(void)state;
	assert_string_equal(line.xcode, "4.3.0");
}

static void test_token(void **state)
{
	char a[REPLY_TOKEN_SIZE], b[REPLY_TOKEN_SIZE];

	(void)state;
	reply_token(a);
	reply_token(b);
	assert_int_equal(strlen(a), 8);
	assert_int_equal(strspn(a, "0123456789ABCDEF"), 8);
	assert_string_not_equal(a, b);
}

static void test_driver_names(void **state)
{
	char names[100], cut[8];
	static const char always[] = "directories: files ldap harvested";

	(void)state;
	/* smimea is there where libunbound is, redis where hiredis is */
	assert_memory_equal(drivers_names(names, sizeof(names)), always, sizeof(always) - 1);
	assert_non_null(strstr(names, "; keystores: pem pkcs12; journals: sqlite"));
	assert_string_equal(drivers_names(cut, sizeof(cut)), "directo");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_certificate),
		cmocka_unit_test(test_every_reply_has_its_class),
		cmocka_unit_test(test_accept_has_none),
		cmocka_unit_test(test_a_zeroed_outcome_is_try_later),
		cmocka_unit_test(test_on_failure_reject),
		cmocka_unit_test(test_hostile_detail),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_unknown_reply),
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_driver_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
