/* test_dsn.c - notifications: who gets one, what stands in it, and what never does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "milter/dsn.h"
#include "support/testdir.h"

struct fixture {
	struct arena *arena;
	struct envelope envelope;
	struct recipient recipients[3];
	struct dsn_recipient failed[3];
	struct header original;
	struct dsn_report report;
	struct dsn dsn;
	struct err err;
	char *text;
};

static void set_header(struct fixture *f, const char *text)
{
	size_t consumed = 0;

	assert_int_equal(header_parse(f->arena, slice_of(text), &(struct header_limits){ 0 }, &f->original, &consumed,
				      &f->err), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->arena = arena_new(0);
	f->envelope = (struct envelope){ .queue_id = "4X", .sender_args = "", .recipients = f->recipients,
		.recipient_count = 3, .daemon_name = "" };
	f->envelope.sender = testdir_address(f->arena, "alice@example.com");
	for (size_t i = 0; i < 3; i++) {
		f->recipients[i].address = testdir_address(f->arena, arena_printf(f->arena, "r%zu@b.example", i));
		f->recipients[i].args = "";
		f->failed[i] = (struct dsn_recipient){ &f->recipients[i], "550 5.7.5 S/MIME: no usable certificate" };
	}
	set_header(f, "Message-ID: <m1@example.com>\r\nSubject: top secret\r\nDate: Sat, 21 Nov 2026 20:55:17 +0000\r\n"
		      "To: hidden@b.example\r\n");
	f->report = (struct dsn_report){ .host = "mx.example.com", .envelope = &f->envelope, .original = &f->original,
		.recipients = f->failed, .n = 1, .now = 1795314665 };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_free(f->arena);
	free(f);
	return 0;
}

static void make(struct fixture *f)
{
	struct buf *out = arena_buf(f->arena, 0);
	struct stream *stream = NULL;

	assert_int_equal(dsn_make(f->arena, &f->report, &f->dsn, &f->err), 1);
	stream = message_open(f->arena, &f->dsn.message, &f->err);
	assert_non_null(stream);
	assert_int_equal(stream_read_all(stream, out, &f->err), 0);
	stream_close(stream);
	f->text = buf_string(out);
}

static void has(struct fixture *f, const char *text)
{
	if (strstr(f->text, text) == NULL)
		fail_msg("not in it: %s\n%s", text, f->text);
}

static void lacks(struct fixture *f, const char *text)
{
	if (strstr(f->text, text) != NULL)
		fail_msg("in it: %s\n%s", text, f->text);
}

static void test_whole(void **state)
{
	struct fixture *f = *state;

	f->envelope.sender_args = "RET=FULL ENVID=QQ+2B314";
	f->recipients[0].args = "ORCPT=rfc822;Bob+2Bx@c.example NOTIFY=delay,failure";
	make(f);
	has(f, "Date: Sun, 22 Nov 2026 02:31:05 +0000\r\nFrom: Mail Delivery System <MAILER-DAEMON@mx.example.com>\r\n"
	       "To: <alice@example.com>\r\n");
	has(f, "\r\nIn-Reply-To: <m1@example.com>\r\nReferences: <m1@example.com>\r\nAuto-Submitted: auto-replied\r\n");
	has(f, "\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"=_");
	has(f, "\r\n\r\nReporting-MTA: dns; mx.example.com\r\nOriginal-Envelope-Id: QQ+314\r\n"
	       "Arrival-Date: Sun, 22 Nov 2026 02:31:05 +0000\r\n\r\n"
	       "Original-Recipient: rfc822; Bob+x@c.example\r\nFinal-Recipient: rfc822; r0@b.example\r\n"
	       "Action: failed\r\nStatus: 5.7.5\r\n"
	       "Diagnostic-Code: smtp; 550 5.7.5 S/MIME: no usable certificate\r\n\r\n--=_");
	has(f, "text/rfc822-headers\r\n\r\nMessage-ID: <m1@example.com>\r\nDate: Sat, 21 Nov 2026 20:55:17 +0000\r\n\r\n--=_");
	lacks(f, "secret");
	lacks(f, "hidden");
	assert_int_equal(f->dsn.envelope.sender.text.n, 0);
	assert_int_equal(f->dsn.envelope.recipient_count, 1);
	assert_true(slice_is(f->dsn.envelope.recipients[0].address.text, "alice@example.com"));
}

/* Each line ends with CRLF and is short enough; the boundary ends the message. */
static void test_lines(void **state)
{
	struct fixture *f = *state;
	size_t length = 0;

	f->report.n = 3;
	make(f);
	for (const char *p = f->text; *p != '\0'; p++) {
		length = *p == '\n' ? 0 : length + 1;
		assert_true(length <= 998 && (unsigned char)*p < 0x80);
		assert_true(*p != '\n' || p[-1] == '\r');
	}
	assert_string_equal(f->text + strlen(f->text) - 4, "--\r\n");
	has(f, "Final-Recipient: rfc822; r2@b.example\r\n");
}

static void test_wanted(void **state)
{
	static const struct { const char *args; bool wanted; } rows[] = {
		{ "", true }, { "ORCPT=rfc822;x@y", true }, { "NOTIFY=FAILURE", true }, { "notify=success,FAILURE", true },
		{ "NOTIFY=DELAY,failure,SUCCESS", true }, { "NOTIFY=NEVER", false }, { "NOTIFY=SUCCESS", false },
		{ "NOTIFY=SUCCESS,DELAY", false }, { "NOTIFY=", false }, { "NOTIFY=FAILURES", false },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		f->recipients[0].args = rows[i].args;
		assert_int_equal(dsn_wanted(&f->envelope, &f->recipients[0]), rows[i].wanted);
		assert_int_equal(dsn_make(f->arena, &f->report, &f->dsn, &f->err), rows[i].wanted);
	}
	f->recipients[0].args = "";
	f->recipients[1].args = "NOTIFY=NEVER";
	f->report.n = 2;
	make(f);
	has(f, "r0@b.example");
	lacks(f, "r1@b.example");
	f->envelope.sender = (struct address){ 0 };
	assert_int_equal(dsn_make(f->arena, &f->report, &f->dsn, &f->err), 0);
}

/* Text of others starts no line of its own, and only what is printable is told. */
static void test_hostile(void **state)
{
	struct fixture *f = *state;

	set_header(f, "Message-ID: <m1@x> evil\r\nDate: \xe4\r\n");
	f->envelope.sender_args = "ENVID=a+0D+0AX-Evil:+20y";
	f->recipients[0].args = "ORCPT=rfc822;b+0D+0AX-Evil:+20y";
	f->failed[0].reply = "550 5.1.1 no\r\nX-Evil: y";
	make(f);
	lacks(f, "\nX-Evil");
	lacks(f, "Envelope-Id");
	lacks(f, "Original-Recipient");
	lacks(f, "In-Reply-To");
	lacks(f, "m1@x");
	has(f, "text/rfc822-headers\r\n\r\n\r\n--=_");
	has(f, "550 5.1.1 no\\x0d\\x0aX-Evil: y\r\n");
	set_header(f, "Message-ID:\r\n");
	f->recipients[0].args = "ORCPT=nothing";
	f->failed[0].reply = "";
	make(f);
	has(f, "Status: 5.0.0\r\n");
	f->failed[0].reply = "550 no code";
	make(f);
	has(f, "Status: 5.0.0\r\n");
}

/* Addresses beyond ASCII stand in the form of RFC 6533, so that the report is 7-bit. */
static void test_utf8(void **state)
{
	struct fixture *f = *state;

	f->recipients[0].address = testdir_address(f->arena, "j\xc3\xb6rg\xf0\x9f\x98\x80@b.example");
	f->recipients[0].args = "ORCPT=utf-8;j\\x{F6}rg@c.example";
	f->recipients[1].args = "ORCPT=utf-8;j\xc3\xb6rg@c.example";
	f->report.n = 2;
	make(f);
	has(f, "Original-Recipient: utf-8; j\\x{F6}rg@c.example\r\n"
	       "Final-Recipient: utf-8; j\\x{F6}rg\\x{1F600}@b.example\r\n");
	has(f, "Original-Recipient: utf-8; j\\x{F6}rg@c.example\r\nFinal-Recipient: rfc822; r1@b.example\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wanted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_utf8, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
