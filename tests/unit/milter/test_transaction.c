/* test_transaction.c - collecting a message: what reaches the one door, and what is refused before it. The door
 * itself is replaced by one that looks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/transaction.h"

struct seen {
	unsigned calls;
	char sender[64], rcpt[64], last_rcpt[64], args[64], login[64], client[64], field[64], queue_id[32];
	size_t recipients, fields, body_bytes;
	bool deadline;
	size_t copies;		/* for the door to give */
};

static struct seen seen;

int gate_process(const struct gate_env *env, const struct envelope *envelope, const struct message *message,
		 struct arena *arena, struct outcome *outcome, struct err *err)
{
	struct buf body;
	size_t last = envelope->recipient_count - 1;

	(void)arena;
	seen.calls++;
	seen.deadline = env->deadline_ms > clock_monotonic_ms(&env->site->clock);
	snprintf(seen.sender, sizeof(seen.sender), "%.*s", SLICE_ARGS(envelope->sender.text));
	snprintf(seen.args, sizeof(seen.args), "%s", envelope->sender_args);
	snprintf(seen.queue_id, sizeof(seen.queue_id), "%s", envelope->queue_id);
	snprintf(seen.login, sizeof(seen.login), "%s", envelope->login != NULL ? envelope->login : "-");
	snprintf(seen.client, sizeof(seen.client), "%s", envelope->client_ip != NULL ? envelope->client_ip : "-");
	seen.recipients = envelope->recipient_count;
	if (seen.recipients > 0) {
		snprintf(seen.rcpt, sizeof(seen.rcpt), "%.*s", SLICE_ARGS(envelope->recipients[0].address.text));
		snprintf(seen.last_rcpt, sizeof(seen.last_rcpt), "%.*s %s",
			 SLICE_ARGS(envelope->recipients[last].address.text), envelope->recipients[last].args);
	}
	seen.fields = message->header.n;
	if (seen.fields > 0)
		snprintf(seen.field, sizeof(seen.field), "%.*s", SLICE_ARGS(message->header.fields[0].raw));
	buf_init(&body, 0);
	assert_int_equal(body_read_all(message->body, &body, err), 0);
	seen.body_bytes = body.n;
	buf_clear(&body);
	outcome->action = ACTION_ACCEPT;
	outcome->reply = REPLY_NONE;
	outcome->copy_count = seen.copies;
	return 0;
}

static void turn(struct outcome *outcome, enum action action, enum reply reply)
{
	outcome->action = action;
	outcome->reply = reply;
	outcome->copy_count = 0;
}

void gate_refuse(struct outcome *outcome, enum reply reply, const char *detail)
{
	(void)detail;
	turn(outcome, ACTION_REJECT, reply);
}

void gate_postpone(struct outcome *outcome, enum reply reply, const char *detail, const char *reason)
{
	(void)detail;
	(void)reason;
	turn(outcome, ACTION_TEMPFAIL, reply);
}

void gate_failed(const struct site *site, const struct err *err, struct outcome *outcome)
{
	(void)site;
	memset(outcome, 0, sizeof(*outcome));
	outcome->reason = err->text;
}

struct fixture {
	struct site site;
	struct budget budget;
	struct delivery delivery;	/* no way to send copies */
	struct transaction_env env;
	struct transaction *transaction;
	struct outcome outcome;
	struct err err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->site.clock = clock_system;
	f->site.settings.state_dir = "/tmp";
	f->site.settings.limits = (struct limits){ .message_mb = 1, .body_in_memory_kb = 16, .total_memory_mb = 16,
		.deadline_s = 60 };
	f->budget.limit_bytes = (size_t)16 * 1024 * 1024;
	f->env = (struct transaction_env){ &f->site, &f->budget, &f->delivery, NULL, "192.0.2.1", "smtpd" };
	f->transaction = transaction_new(&f->env);
	assert_non_null(f->transaction);
	memset(&seen, 0, sizeof(seen));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	transaction_free(f->transaction);
	assert_int_equal(atomic_load(&f->budget.used_bytes), 0);	/* whatever happened */
	free(f);
	return 0;
}

static void mail(struct fixture *f, const char *address)
{
	char copy[200];
	char *arguments[] = { copy, NULL };

	snprintf(copy, sizeof(copy), "%s", address);
	transaction_mail(f->transaction, arguments, NULL);
}

static void rcpt(struct fixture *f, const char *address)
{
	char copy[200];
	char *arguments[] = { copy, NULL };

	snprintf(copy, sizeof(copy), "%s", address);
	transaction_rcpt(f->transaction, arguments, NULL);
}

static void end(struct fixture *f)
{
	transaction_end(f->transaction, "4Q", NULL, NULL, &f->outcome, &f->err);
}

static void expect_refused(struct fixture *f, enum action action, enum reply reply)
{
	end(f);
	assert_int_equal(seen.calls, 0);
	assert_int_equal(f->outcome.action, action);
	assert_int_equal(f->outcome.reply, reply);
	assert_false(f->outcome.observed);
}

static void test_a_message(void **state)
{
	struct fixture *f = *state;
	char sender[] = "<a@x.example>", size[] = "SIZE=10", bit[] = "BODY=8BITMIME", last[] = "<c@Example.COM>",
	     notify[] = "NOTIFY=NEVER";
	char *sender_arguments[] = { sender, size, bit, NULL }, *last_arguments[] = { last, notify, NULL };

	transaction_mail(f->transaction, sender_arguments, "other@x.example");
	transaction_login(f->transaction, NULL);
	transaction_login(f->transaction, "alice");
	transaction_login(f->transaction, "mallory");
	for (int i = 0; i < 40; i++)
		rcpt(f, "<b@example.com>");
	transaction_rcpt(f->transaction, last_arguments, NULL);
	transaction_header(f->transaction, "Subject", " one\n two", true);
	transaction_header(f->transaction, "From", " a@x.example", true);
	for (int i = 0; i < 40; i++)
		transaction_body(f->transaction, "01234567890123456789012345678901234567890123456789\r\n", 52);
	end(f);
	assert_int_equal(f->outcome.action, ACTION_ACCEPT);
	assert_string_equal(seen.sender, "a@x.example");
	assert_string_equal(seen.args, "SIZE=10 BODY=8BITMIME");
	assert_int_equal(seen.recipients, 41);
	assert_string_equal(seen.rcpt, "b@example.com");
	assert_string_equal(seen.last_rcpt, "c@example.com NOTIFY=NEVER");
	assert_string_equal(seen.login, "alice");
	assert_string_equal(seen.client, "192.0.2.1");
	assert_string_equal(seen.queue_id, "4Q");
	assert_int_equal(seen.fields, 2);
	assert_string_equal(seen.field, "Subject: one\r\n two\r\n");
	assert_int_equal(seen.body_bytes, 40 * 52);
	assert_true(seen.deadline);
}

static void test_nothing_in_it(void **state)
{
	struct fixture *f = *state;

	mail(f, "<>");
	rcpt(f, "<postmaster>");
	transaction_end(f->transaction, NULL, NULL, NULL, &f->outcome, &f->err);
	assert_int_equal(f->outcome.action, ACTION_ACCEPT);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.fields + seen.body_bytes, 0);
	assert_string_equal(seen.sender, "");
	assert_string_equal(seen.rcpt, "postmaster");
	assert_string_equal(seen.queue_id, "");
}

static void test_a_null_sender_without_brackets(void **state)
{
	struct fixture *f = *state;

	mail(f, "");
	rcpt(f, "<postmaster>");
	transaction_end(f->transaction, NULL, NULL, NULL, &f->outcome, &f->err);
	assert_int_equal(f->outcome.action, ACTION_ACCEPT);
	assert_string_equal(seen.sender, "");
}

static void test_a_blank_is_put_back(void **state)
{
	struct fixture *f = *state;

	mail(f, "<a@x.example>");
	transaction_header(f->transaction, "Subject", "x", false);
	end(f);
	assert_string_equal(seen.field, "Subject: x\r\n");
}

static void test_the_mtas_reading_helps(void **state)
{
	struct fixture *f = *state;
	char odd[] = "<a b@@x";
	char *arguments[] = { odd, NULL };

	transaction_mail(f->transaction, arguments, "a@x.example");
	end(f);
	assert_int_equal(f->outcome.action, ACTION_ACCEPT);
	assert_string_equal(seen.sender, "a@x.example");
}

/* Where the MTA takes it decides, not what it looks like. */
static void test_the_mta_knows_the_way(void **state)
{
	static const char *const cases[][3] = {
		{ "<b%partner.example@x.example>", "b@partner.example", "b@partner.example" },
		{ "<partner.example!b>", "b@partner.example", "b@partner.example" },
		{ "<\"b@partner.example\"@x.example>", "b@partner.example", "b@partner.example" },
		{ "<b>", "b@x.example", "b@x.example" },
		{ "<b%partner.example@x.example>", "b%partner.example", "b%partner.example@x.example" },
		{ "<b%partner.example@x.example>", "", "b%partner.example@x.example" },
		{ "<b@x.example>", "c@hub.x.example", "b@x.example" },
	};
	struct fixture *f = *state;
	char copy[200];
	char *arguments[] = { copy, NULL };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		transaction_free(f->transaction);
		f->transaction = transaction_new(&f->env);
		mail(f, "<a@x.example>");
		snprintf(copy, sizeof(copy), "%s", cases[i][0]);
		transaction_rcpt(f->transaction, arguments, cases[i][1]);
		end(f);
		assert_int_equal(f->outcome.action, ACTION_ACCEPT);
		assert_string_equal(seen.rcpt, cases[i][2]);
	}
}

static void test_bad_address(void **state)
{
	struct fixture *f = *state;

	mail(f, "<a@x.example>");
	rcpt(f, "<a@b@@c");
	rcpt(f, "<b@example.com>");
	expect_refused(f, ACTION_REJECT, REPLY_MALFORMED);
}

static void test_no_mail(void **state)
{
	struct fixture *f = *state;

	expect_refused(f, ACTION_TEMPFAIL, REPLY_INTERNAL);
}

static void feed(struct fixture *f, size_t bytes)
{
	static const char chunk[65535];

	for (; bytes > 0; bytes -= bytes < sizeof(chunk) ? bytes : sizeof(chunk))
		transaction_body(f->transaction, chunk, bytes < sizeof(chunk) ? bytes : sizeof(chunk));
}

static void test_as_big_as_allowed(void **state)
{
	struct fixture *f = *state;

	mail(f, "<a@x.example>");
	feed(f, 1024 * 1024);
	end(f);
	assert_int_equal(f->outcome.action, ACTION_ACCEPT);
	assert_int_equal(seen.body_bytes, 1024 * 1024);
}

static void test_too_big(void **state)
{
	struct fixture *f = *state;

	mail(f, "<a@x.example>");
	feed(f, 1024 * 1024 + 1);
	expect_refused(f, ACTION_REJECT, REPLY_TOO_BIG);
	assert_true(atomic_load(&f->budget.used_bytes) < 200 * 1024);
}

static void test_too_big_but_observed(void **state)
{
	struct fixture *f = *state;

	f->site.settings.mode = MODE_OBSERVE;
	mail(f, "<a@x.example>");
	feed(f, 2 * 1024 * 1024);
	end(f);
	assert_int_equal(f->outcome.action, ACTION_ACCEPT);
	assert_int_equal(f->outcome.reply, REPLY_TOO_BIG);
	assert_true(f->outcome.observed);
}

static void test_header_too_long(void **state)
{
	struct fixture *f = *state;
	char *value = malloc(60000);

	mail(f, "<a@x.example>");
	memset(value, 'x', 59999);
	value[59999] = '\0';
	for (int i = 0; i < 20; i++)
		transaction_header(f->transaction, "X", value, true);
	free(value);
	expect_refused(f, ACTION_REJECT, REPLY_MALFORMED);
}

static void test_others_hold_the_memory(void **state)
{
	struct fixture *f = *state;

	mail(f, "<a@x.example>");
	atomic_fetch_add(&f->budget.used_bytes, f->budget.limit_bytes - 60 * 1024);
	feed(f, 500 * 1024);	/* only 16 KiB of it stay in memory: but the core may need all of it */
	expect_refused(f, ACTION_TEMPFAIL, REPLY_BUSY);
	atomic_fetch_sub(&f->budget.used_bytes, f->budget.limit_bytes - 60 * 1024);
}

static void test_no_spool_directory(void **state)
{
	struct fixture *f = *state;

	transaction_free(f->transaction);
	f->site.settings.state_dir = "/no/such/directory";
	f->transaction = transaction_new(&f->env);
	mail(f, "<a@x.example>");
	feed(f, 500 * 1024);
	expect_refused(f, ACTION_TEMPFAIL, REPLY_INTERNAL);
}

static void test_no_spool_directory_but_observed(void **state)
{
	struct fixture *f = *state;

	transaction_free(f->transaction);
	f->site.settings.state_dir = "/no/such/directory";
	f->site.settings.mode = MODE_OBSERVE;
	f->transaction = transaction_new(&f->env);
	mail(f, "<a@x.example>");
	feed(f, 500 * 1024);
	end(f);
	assert_int_equal(f->outcome.action, ACTION_ACCEPT);
	assert_int_equal(f->outcome.reply, REPLY_INTERNAL);
	assert_true(f->outcome.observed);
}

static void test_two_share_the_budget(void **state)
{
	struct fixture *f = *state;
	struct transaction *other = transaction_new(&f->env);
	size_t one = atomic_load(&f->budget.used_bytes);

	assert_non_null(other);
	mail(f, "<a@x.example>");
	feed(f, 10 * 1024);
	assert_true(atomic_load(&f->budget.used_bytes) > one);
	transaction_free(other);
	end(f);
	assert_int_equal(f->outcome.action, ACTION_ACCEPT);
}

/* What waits to be sent is memory too. */
static void test_copies_count(void **state)
{
	struct fixture *f = *state;

	mail(f, "<a@x.example>");
	feed(f, 10 * 1024);
	end(f);
	assert_int_equal(f->outcome.action, ACTION_ACCEPT);
	f->budget.limit_bytes = atomic_load(&f->budget.used_bytes) + (size_t)8 * 1024;
	transaction_free(f->transaction);
	f->transaction = transaction_new(&f->env);
	seen.copies = 50;
	mail(f, "<a@x.example>");
	feed(f, 10 * 1024);
	end(f);
	assert_int_equal(f->outcome.action, ACTION_TEMPFAIL);
	assert_int_equal(f->outcome.reply, REPLY_BUSY);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_message),
		CASE(test_nothing_in_it),
		CASE(test_a_null_sender_without_brackets),
		CASE(test_a_blank_is_put_back),
		CASE(test_the_mtas_reading_helps),
		CASE(test_the_mta_knows_the_way),
		CASE(test_bad_address),
		CASE(test_no_mail),
		CASE(test_as_big_as_allowed),
		CASE(test_too_big),
		CASE(test_too_big_but_observed),
		CASE(test_header_too_long),
		CASE(test_others_hold_the_memory),
		CASE(test_no_spool_directory),
		CASE(test_no_spool_directory_but_observed),
		CASE(test_two_share_the_budget),
		CASE(test_copies_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
