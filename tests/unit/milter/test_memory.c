/* test_memory.c - which messages are remembered as encrypted, and by which names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "milter/memory.h"
#include "support/testdir.h"

struct fixture {
	char *scratch;
	struct testdir_clock clock;
	struct journal journal;
	struct arena *arena;
	struct rule_settings settings;
	struct rule rule;
	struct site site;
	struct recipient_outcome to[2];
	struct outcome outcome;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct journal_env env = { .state_dir = f->scratch = testdir_scratch(), .lease_s = 60,
					 .clock = &f->clock.clock };
	bool made;

	testdir_clock_init(&f->clock);
	assert_int_equal(journal_sqlite_open(&env, &f->journal, &made, NULL), 0);
	f->arena = arena_new(0);
	f->settings.reply = REPLY_ENCRYPTED;
	f->rule.settings = &f->settings;
	f->site.rules = &f->rule;
	f->site.rule_count = 1;
	f->outcome = (struct outcome){ .action = ACTION_ACCEPT, .kind = KIND_PLAIN, .recipients = f->to,
				       .recipient_count = 2 };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	journal_close(&f->journal);
	arena_free(f->arena);
	testdir_remove(f->scratch);
	free(f);
	return 0;
}

static int keep(struct fixture *f, const struct journal *journal, const char *fields)
{
	const struct header_limits limits = { 0, 0 };
	struct message message;
	struct err err = { 0 };

	assert_int_equal(message_parse(f->arena, slice_of(fields), &limits, &message, &err), 0);
	return memory_keep(journal, &f->site, &message, &f->outcome, f->arena, &err);
}

static int ask(struct fixture *f, const char *id)
{
	const struct gate_memory memory = memory_of(&f->journal);
	const struct slice slice = slice_of(id);

	return memory.was_encrypted(memory.self, &slice, 1, NULL);
}

static void what_came_or_went_encrypted_is_remembered(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(keep(f, &f->journal, "Message-ID: <plain@x>\r\n\r\n"), 0);
	f->outcome.kind = KIND_SIGNED;
	assert_int_equal(keep(f, &f->journal, "Message-ID: <signed@x>\r\n\r\n"), 0);
	f->outcome.kind = KIND_ENCRYPTED;
	assert_int_equal(keep(f, &f->journal, "Message-ID: <came@x>\r\nMessage-ID: <twice@x>\r\n\r\n"), 0);
	f->outcome.kind = KIND_PLAIN;
	f->to[1].cipher = "aes256-cbc";
	assert_int_equal(keep(f, &f->journal, "Message-ID: <went@x>\r\n\r\n"), 0);
	f->outcome.observed = true;
	assert_int_equal(keep(f, &f->journal, "Message-ID: <would@x>\r\n\r\n"), 0);
	f->outcome.observed = false;
	f->outcome.action = ACTION_TEMPFAIL;
	assert_int_equal(keep(f, &f->journal, "Message-ID: <refused@x>\r\n\r\n"), 0);
	assert_int_equal(ask(f, "came@x") + ask(f, "twice@x") + ask(f, "went@x"), 3);
	assert_int_equal(ask(f, "plain@x") + ask(f, "signed@x") + ask(f, "would@x") + ask(f, "refused@x"), 0);
}

static void nothing_is_kept_where_no_rule_asks(void **state)
{
	const struct journal none = { NULL, NULL };
	struct fixture *f = *state;

	f->outcome.kind = KIND_ENCRYPTED;
	f->settings.reply = REPLY_TRUE;
	assert_int_equal(keep(f, &none, "Message-ID: <a@x>\r\n\r\n"), 0);
	assert_int_equal(keep(f, &f->journal, "Message-ID: <a@x>\r\n\r\n"), 0);
	assert_int_equal(ask(f, "a@x"), 0);
}

static void no_journal_is_no_answer(void **state)
{
	const struct journal none = { NULL, NULL };
	const struct gate_memory memory = memory_of(&none);
	const struct slice id = slice_of("a@x");
	struct fixture *f = *state;
	struct err err = { 0 };

	f->outcome.kind = KIND_ENCRYPTED;
	assert_int_equal(keep(f, &none, "Message-ID: <a@x>\r\n\r\n"), -1);
	assert_int_equal(keep(f, &none, "Subject: nobody can answer it\r\n\r\n"), 0);
	assert_int_equal(memory.was_encrypted(memory.self, &id, 1, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_came_or_went_encrypted_is_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_kept_where_no_rule_asks, setup, teardown),
		cmocka_unit_test_setup_teardown(no_journal_is_no_answer, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
