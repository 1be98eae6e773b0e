/* test_smtp_params.c - parameters of MAIL and RCPT, xtext, XFORWARD. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "milter/smtp_params.h"

static const struct smtp_offers everything = { .pipelining = true, .eight_bit = true, .utf8 = true, .dsn = true,
	.size = true, .auth = true };
static const struct smtp_offers nothing = { 0 };

static void test_mail(void **state)
{
	static const struct {
		const char *args;
		struct smtp_facts facts;
		const char *expected, *plain;	/* plain: of a listener that offers nothing; NULL: not possible */
	} rows[] = {
		{ "", { .size_bytes = 10 }, " BODY=7BIT SIZE=10", "" },
		{ "SIZE=99 BODY=8BITMIME ret=HDRS ENVID=QQ+2B314 AUTH=<>", { .size_bytes = 10 },
		  " RET=hdrs ENVID=QQ+2B314 AUTH=<> BODY=7BIT SIZE=10", "" },
		{ "BODY=7BIT", { .eight_bit = true }, " BODY=8BITMIME SIZE=0", NULL },
		{ "RET=FULL SMTPUTF8", { 0 }, " RET=FULL BODY=7BIT SIZE=0 SMTPUTF8", NULL },
		{ "", { .utf8_needed = true }, " BODY=7BIT SIZE=0 SMTPUTF8", NULL },
		{ "ENVID= XENVID=1 BY=120;R  MT-PRIORITY=3", { 0 }, " BODY=7BIT SIZE=0", "" },
	};
	struct err err = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(smtp_mail_params(&out, rows[i].args, &everything, &rows[i].facts, &err), 0);
		assert_true(slice_is_nocase(buf_slice(&out), rows[i].expected));
		buf_reset(&out);
		assert_int_equal(smtp_mail_params(&out, rows[i].args, &nothing, &rows[i].facts, &err),
				 rows[i].plain != NULL ? 0 : -1);
		assert_true(rows[i].plain != NULL || err.class == ERR_TEMP);
		assert_int_equal(out.n, 0);
	}
	assert_int_equal(smtp_mail_params(&out, "", &(struct smtp_offers){ .size = true, .size_bytes = 100 },
					  &(struct smtp_facts){ .size_bytes = 101 }, &err), -1);
	assert_non_null(strstr(err.text, "at most 100"));
	buf_clear(&out);
}

static void test_rcpt(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	assert_int_equal(smtp_rcpt_params(&out, "ORCPT=rfc822;b+2Bx@y NOTIFY=SUCCESS,FAILURE RRVS=x", &everything,
					  NULL), 0);
	assert_string_equal(buf_string(&out), " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bx@y");
	buf_reset(&out);
	assert_int_equal(smtp_rcpt_params(&out, "NOTIFY=NEVER", &nothing, NULL), 0);
	assert_int_equal(out.n, 0);
	buf_clear(&out);
}

static void test_xtext(void **state)
{
	struct slice bytes = slice_make("a+b=c d\0\xc3\xa4\x7f", 11);
	struct buf out, back;

	(void)state;
	buf_init(&out, 0);
	buf_init(&back, 0);
	assert_int_equal(smtp_xtext(&out, bytes), 0);
	assert_string_equal(buf_string(&out), "a+2Bb+3Dc+20d+00+C3+A4+7F");
	assert_int_equal(smtp_xtext_decode(&back, buf_slice(&out)), 0);
	assert_true(slice_equal(buf_slice(&back), bytes));
	assert_int_equal(smtp_xtext_decode(&back, slice_of("a+2")), -1);
	assert_int_equal(smtp_xtext_decode(&back, slice_of("+")), -1);
	assert_int_equal(smtp_xtext_decode(&back, slice_of("+G0")), -1);
	assert_int_equal(smtp_xtext_decode(&back, slice_make("+0\0", 3)), -1);
	buf_clear(&out);
	buf_clear(&back);
}

static void test_xforward(void **state)
{
	static const struct { enum smtp_attribute attribute; const char *value, *expected; } rows[] = {
		{ SMTP_NAME, "mail.example.com", " NAME=mail.example.com" },
		{ SMTP_ADDR, "192.0.2.1", " ADDR=192.0.2.1" },
		{ SMTP_ADDR, "2001:db8::1", " ADDR=IPV6:2001:db8::1" },
		{ SMTP_ADDR, "ipv6:::1", " ADDR=ipv6:::1" },
		{ SMTP_HELO, "a b=\r\nMAIL FROM:<x>", " HELO=a+20b+3D+0D+0AMAIL+20FROM:<x>" },
		{ SMTP_IDENT, "4Xk", " IDENT=4Xk" },
		{ SMTP_SOURCE, NULL, "" },
		{ SMTP_PROTO, "", "" },
		{ SMTP_PORT, "25", "" },	/* not taken */
	};
	struct smtp_offers offers = { .xforward = { true, true, false, true, true, true, true } };
	char longest[400];
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct smtp_client client = { { NULL } };

		client.attributes[rows[i].attribute] = rows[i].value;
		buf_reset(&out);
		assert_int_equal(smtp_xforward(&out, &client, rows[i].attribute, &offers, NULL), 0);
		assert_true(slice_is(buf_slice(&out), rows[i].expected));
	}
	memset(longest, 'n', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	buf_reset(&out);
	assert_int_equal(smtp_xforward(&out, &(struct smtp_client){ { longest } }, SMTP_NAME, &offers, NULL), 0);
	assert_int_equal(out.n, strlen(" NAME=") + 255);
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mail), cmocka_unit_test(test_rcpt), cmocka_unit_test(test_xtext),
		cmocka_unit_test(test_xforward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
