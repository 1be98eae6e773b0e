/* test_facts.c - whether encrypted mail is answered: what the memory is asked, when it is asked at all, and what
 * follows when it does not answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate/facts.h"
#include "support/passage.h"
#include "support/testdir.h"

struct fixture {
	char *scratch, *path;
	struct passage_clock clock;
	struct site *site;
	struct arena *arena;
	struct gate_memory memory;
	const char *known;		/* the one message that is remembered */
	bool silent;
	unsigned calls;
	size_t asked;			/* ids, in the last call */
	char first[64];			/* of them */
};

static int was_encrypted(void *self, const struct slice *ids, size_t n, struct err *err)
{
	struct fixture *f = self;

	assert_true(n > 0);
	f->calls++;
	f->asked = n;
	snprintf(f->first, sizeof(f->first), "%.*s", SLICE_ARGS(ids[0]));
	if (f->silent)
		return err_set(err, ERR_TEMP, "the recorder sleeps");
	for (size_t i = 0; i < n; i++)
		if (slice_is(ids[i], f->known))
			return 1;
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->scratch = testdir_scratch();
	f->path = testdir_path(f->scratch, "site.conf");
	f->arena = arena_new(0);
	f->known = "secret@partner.example";
	f->memory = (struct gate_memory){ was_encrypted, f };
	passage_clock_init(&f->clock);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_free(f->arena);
	site_free(f->site);
	testdir_remove(f->scratch);
	free(f->path);
	free(f);
	return 0;
}

static void load(struct fixture *f, const char *rules)
{
	FILE *file = fopen(f->path, "w");
	struct err err = { 0 };

	fprintf(file, "local_domains = [ \"example.com\" ];\ninternal_hosts = [ \"192.0.2.1\" ];\n"
		"rules = ( %s );\n", rules);
	fclose(file);
	site_free(f->site);
	f->site = passage_site(f->path, &f->clock, &err);
	if (f->site == NULL)
		fail_msg("%s", err.text);
}

/* From our own client; NULL memory where it is not wanted. */
static struct outcome pass(struct fixture *f, const char *fields, bool remembered)
{
	const struct gate_env env = { .site = f->site, .memory = remembered ? &f->memory : NULL };
	const char *text = arena_printf(f->arena, "From: a@example.com\r\n%s\r\nhello\r\n", fields);
	const struct header_limits limits = { 0, 0 };
	struct recipient to = { .args = "" };
	struct envelope envelope = { .queue_id = "", .sender_args = "", .daemon_name = "", .client_ip = "192.0.2.1",
				     .recipients = arena_array(f->arena, 1, sizeof(to)), .recipient_count = 1 };
	struct message message;
	struct outcome outcome;
	struct err err = { 0 };

	f->calls = 0;
	assert_int_equal(passage_address(f->arena, "b@partner.example", &to.address), 0);
	assert_int_equal(passage_address(f->arena, "a@example.com", &envelope.sender), 0);
	envelope.recipients[0] = to;
	assert_int_equal(message_parse(f->arena, slice_of(text), &limits, &message, &err), 0);
	assert_int_equal(gate_process(&env, &envelope, &message, f->arena, &outcome, &err), 0);
	return outcome;
}

static void chosen(struct fixture *f, const char *fields, const char *rule)
{
	struct outcome outcome = pass(f, fields, true);

	assert_int_equal(outcome.action, ACTION_ACCEPT);
	assert_string_equal(outcome.recipients[0].rule->id, rule);
}

#define SECRET "{ id = \"secret\"; reply = \"encrypted\"; }, "
#define REST "{ id = \"re\"; reply = true; }, { id = \"rest\"; }"

static void a_reply_to_encrypted_mail_is_known(void **state)
{
	struct fixture *f = *state;

	load(f, SECRET REST);
	chosen(f, "In-Reply-To: <secret@partner.example>\r\n", "secret");
	chosen(f, "References: <secret@partner.example> <x@y> <z@y>\r\n", "secret");
	chosen(f, "In-Reply-To: <x@y>\r\nReferences: <secret@partner.example>\r\n", "secret");
	assert_string_equal(f->first, "x@y");
	chosen(f, "In-Reply-To: <x@y>\r\n", "re");
	chosen(f, "In-Reply-To: <SECRET@partner.example>\r\n", "re");
	chosen(f, "Subject: <secret@partner.example>\r\n", "rest");
	assert_int_equal(f->calls, 0);
	chosen(f, "In-Reply-To: \r\n", "re");
	assert_int_equal(f->calls, 0);
}

static void no_more_than_fifty_are_asked_for(void **state)
{
	struct fixture *f = *state;
	char fields[2000] = "References:";

	for (int i = 0; i < 60; i++)
		snprintf(fields + strlen(fields), sizeof(fields) - strlen(fields), " <%d@x>\r\n", i);
	load(f, SECRET REST);
	f->known = "10@x";
	chosen(f, fields, "secret");
	assert_int_equal(f->asked, 50);
	assert_string_equal(f->first, "59@x");
	f->known = "9@x";
	chosen(f, fields, "re");
}

/* What nothing depends on is not asked, and does not fail. */
static void it_is_asked_only_where_a_rule_turns_on_it(void **state)
{
	static const char *const rules[] = {
		REST,
		"{ id = \"re\"; reply = true; }, " SECRET "{ id = \"rest\"; }",
		"{ id = \"secret\"; direction = \"inbound\"; reply = \"encrypted\"; }, " REST,
		"{ id = \"secret\"; recipient = \"*@other.example\"; reply = \"encrypted\"; }, " REST,
	};
	struct fixture *f = *state;

	f->silent = true;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		load(f, rules[i]);
		chosen(f, "In-Reply-To: <secret@partner.example>\r\n", "re");
		assert_int_equal(f->calls, 0);
	}
	load(f, SECRET "{ id = \"rest\"; }");
	chosen(f, "", "rest");
	assert_int_equal(f->calls, 0);
}

static void no_answer_is_try_later(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome;

	load(f, SECRET REST);
	f->silent = true;
	outcome = pass(f, "In-Reply-To: <secret@partner.example>\r\n", true);
	assert_int_equal(outcome.action, ACTION_TEMPFAIL);
	assert_int_equal(outcome.reply, REPLY_RECORDER);
	assert_string_equal(outcome.reason, "the recorder sleeps");
	/* also where something else would refuse for good */
	load(f, SECRET "{ id = \"must\"; sign = \"require\"; }");
	outcome = pass(f, "In-Reply-To: <secret@partner.example>\r\n", true);
	assert_int_equal(outcome.reply, REPLY_RECORDER);
	/* nobody remembers */
	load(f, SECRET REST);
	outcome = pass(f, "In-Reply-To: <secret@partner.example>\r\n", false);
	assert_int_equal(outcome.action, ACTION_ACCEPT);
	assert_string_equal(outcome.recipients[0].rule->id, "re");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_reply_to_encrypted_mail_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(no_more_than_fifty_are_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(it_is_asked_only_where_a_rule_turns_on_it, setup, teardown),
		cmocka_unit_test_setup_teardown(no_answer_is_try_later, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
