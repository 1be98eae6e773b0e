/* test_smtp_reply.c - replies whole, in pieces, too long and hostile; what EHLO offers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "milter/smtp_reply.h"

static const struct row {
	const char *bytes;
	int rc;
	const char *text;
	size_t left;		/* bytes of the next reply */
} rows[] = {
	{ "250 ok\r\n", 1, "250 ok", 0 },
	{ "250\r\n", 1, "250", 0 },
	{ "250 \n", 1, "250", 0 },
	{ "250-a\r\n250-b\r\n250 c\r\n354 go\r\n", 1, "250 a b c", 8 },
	{ "250-a\r\n250\r\n", 1, "250 a", 0 },
	{ "550 5.1.1 <\xc3\xa4>: \x1b[31m\r\n", 1, "550 5.1.1 <\\xc3\\xa4>: \\x1b[31m", 0 },
	{ "421 a\rb\r\n", 1, "421 a\\x0db", 0 },
	{ "", 0, NULL, 0 },
	{ "250 ok", 0, NULL, 0 },
	{ "250 ok\r", 0, NULL, 0 },
	{ "250-a\r\n", 0, NULL, 0 },
	{ "\r\n", -1, NULL, 0 },
	{ "25\r\n", -1, NULL, 0 },
	{ "2500 x\r\n", -1, NULL, 0 },
	{ "150 x\r\n", -1, NULL, 0 },
	{ "650 x\r\n", -1, NULL, 0 },
	{ "HTTP/1.1 400 Bad\r\n", -1, NULL, 0 },
	{ "250-a\r\n550 b\r\n", -1, NULL, 0 },
	{ "250-a\r\nb\r\n", -1, NULL, 0 },
	{ "-50 a\r\n", -1, NULL, 0 },
};

static void test_replies(void **state)
{
	struct smtp_reply reply;
	struct err err = { 0 };
	size_t consumed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice bytes = slice_of(rows[i].bytes);

		assert_int_equal(smtp_reply_parse(bytes, &reply, &consumed, &err), rows[i].rc);
		if (rows[i].rc < 0)
			assert_int_equal(err.class, ERR_TEMP);
		if (rows[i].rc != 1)
			continue;
		assert_string_equal(reply.text, rows[i].text);
		assert_int_equal(bytes.n - consumed, rows[i].left);
		assert_int_equal(reply.code, atoi(rows[i].bytes));
	}
}

static void test_nul(void **state)
{
	struct smtp_reply reply;
	size_t consumed = 0;

	(void)state;
	assert_int_equal(smtp_reply_parse(slice_make("250 a\0b\r\n", 9), &reply, &consumed, NULL), 1);
	assert_string_equal(reply.text, "250 a\\x00b");
	assert_int_equal(smtp_reply_parse(slice_make("25\0 a\r\n", 7), &reply, &consumed, NULL), -1);
}

/* Not whole before the limit: no memory can make it so. */
static void test_giants(void **state)
{
	static char bytes[SMTP_REPLY_BYTES + 10];
	struct smtp_reply reply;
	size_t consumed = 0;

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes, "250 ", 4);
	assert_int_equal(smtp_reply_parse(slice_make(bytes, SMTP_REPLY_BYTES - 1), &reply, &consumed, NULL), 0);
	assert_int_equal(smtp_reply_parse(slice_make(bytes, SMTP_REPLY_BYTES), &reply, &consumed, NULL), -1);
	bytes[SMTP_REPLY_BYTES] = '\n';
	assert_int_equal(smtp_reply_parse(slice_make(bytes, SMTP_REPLY_BYTES + 1), &reply, &consumed, NULL), -1);
	bytes[SMTP_REPLY_BYTES - 1] = '\n';
	assert_int_equal(smtp_reply_parse(slice_make(bytes, SMTP_REPLY_BYTES), &reply, &consumed, NULL), 1);
	assert_int_equal(strlen(reply.text), SMTP_TEXT_BYTES - 1);
	for (size_t i = 0; i + 6 < sizeof(bytes); i += 6)
		memcpy(bytes + i, "250-\r\n", 6);
	assert_int_equal(smtp_reply_parse(slice_make(bytes, sizeof(bytes)), &reply, &consumed, NULL), -1);
}

static void test_offers(void **state)
{
	struct smtp_offers offers;

	(void)state;
	smtp_offers_parse(slice_of("250-PIPELINING.example\r\n250-pipelining\r\n250-SIZE 10240000\r\n250-8BITMIME\r\n"
				   "250-DSN\r\n250-SMTPUTF8\r\n250-AUTH PLAIN\r\n250-XFORWARD NAME ADDR proto X\r\n"
				   "250-\r\n250\r\n250 CHUNKING\r\n"), &offers);
	assert_true(offers.pipelining && offers.eight_bit && offers.utf8 && offers.dsn && offers.size && offers.auth);
	assert_false(offers.starttls);
	assert_int_equal(offers.size_bytes, 10240000);
	assert_true(offers.xforward[SMTP_NAME] && offers.xforward[SMTP_ADDR] && offers.xforward[SMTP_PROTO]);
	assert_false(offers.xforward[SMTP_PORT] || offers.xforward[SMTP_IDENT]);
	smtp_offers_parse(slice_of("250-DSN\r\n250-SIZE\r\n250-DSNX\r\n250 STARTTLS\r\n"), &offers);
	assert_true(offers.starttls && offers.size);
	assert_false(offers.dsn || offers.pipelining);
	assert_int_equal(offers.size_bytes, 0);
	smtp_offers_parse(slice_of("250-x\r\n250 SIZE 99999999999999999999999\r\n"), &offers);
	assert_int_equal(offers.size_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies), cmocka_unit_test(test_nul), cmocka_unit_test(test_giants),
		cmocka_unit_test(test_offers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
