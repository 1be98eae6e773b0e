/* What becomes of an outcome that needs copies where there is no way to send them, and of one that needs none. With a
 * listener and a journal: tests/e2e/exactly_once.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "milter/delivery.h"
#include "support/testdir.h"

struct fixture {
	struct site site;
	struct delivery delivery;
	struct arena *arena;
	struct recipient recipients[2];
	struct recipient_outcome to[2];
	struct envelope envelope;
	struct message message;
	struct outgoing_digest digest;
	struct delivery_mail mail;
	struct delivery_state state;
	struct outcome outcome;
};

static int setup(void **state)
{
	static struct fixture fixture;
	struct fixture *f = &fixture;

	memset(f, 0, sizeof(*f));
	f->arena = arena_new(0);
	f->delivery.site = &f->site;
	for (size_t i = 0; i < 2; i++) {
		f->recipients[i] = (struct recipient){ testdir_address(f->arena, i == 0 ? "b@x" : "c@x"), "", "<c@x>" };
		f->to[i] = (struct recipient_outcome){ .recipient = &f->recipients[i], .action = "pass", .message = i };
	}
	f->envelope = (struct envelope){ .queue_id = "", .sender_args = "", .recipients = f->recipients,
					 .recipient_count = 2, .daemon_name = "" };
	f->mail = (struct delivery_mail){ .envelope = &f->envelope, .message = &f->message, .arena = f->arena,
					 .digest = &f->digest };
	f->outcome = (struct outcome){ .action = ACTION_ACCEPT, .reply = REPLY_NONE, .recipients = f->to,
				       .recipient_count = 2, .copy_count = 1 };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_free(f->arena);
	return 0;
}

static void copies_need_a_listener(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(delivery_run(&f->delivery, &f->mail, &f->outcome, &f->state, NULL), 0);
	assert_int_equal(f->outcome.action, ACTION_REJECT);
	assert_int_equal(f->outcome.reply, REPLY_SEPARATE);
	assert_false(f->state.begun);
}

static void so_does_a_report(void **state)
{
	struct fixture *f = *state;

	f->to[1].message = OUTCOME_NONE;
	f->outcome.copy_count = 0;
	assert_int_equal(delivery_run(&f->delivery, &f->mail, &f->outcome, &f->state, NULL), 0);
	assert_int_equal(f->outcome.action, ACTION_REJECT);
	assert_int_equal(f->outcome.reply, REPLY_NO_CERTIFICATE);
	assert_string_equal(f->outcome.reply_detail, "no usable certificate for <c@x>");
}

static void one_message_for_all_needs_nothing(void **state)
{
	struct fixture *f = *state;

	f->to[1].message = 0;
	f->outcome.copy_count = 0;
	assert_int_equal(delivery_run(&f->delivery, &f->mail, &f->outcome, &f->state, NULL), 0);
	assert_int_equal(f->outcome.action, ACTION_ACCEPT);
}

static void what_is_refused_or_observed_sends_nothing(void **state)
{
	struct fixture *f = *state;

	f->outcome.action = ACTION_TEMPFAIL;
	f->outcome.reply = REPLY_DIRECTORY;
	assert_int_equal(delivery_run(&f->delivery, &f->mail, &f->outcome, &f->state, NULL), 0);
	assert_int_equal(f->outcome.reply, REPLY_DIRECTORY);
	f->outcome.action = ACTION_ACCEPT;
	f->outcome.observed = true;
	assert_int_equal(delivery_run(&f->delivery, &f->mail, &f->outcome, &f->state, NULL), 0);
	assert_int_equal(f->outcome.action, ACTION_ACCEPT);
}

/* Postfix would not know whom to take off: nothing may be sent. */
static void odd_spellings_get_no_copies(void **state)
{
	static const char *const odd[] = { "<@relay.example:c@x>", "<@a.example,@b.example:c@x>", "<list:c@x;>",
					   "<c@x;>", "<c@x>,", "\"a\"<@relay.example:c@x>", "<(a)c@x>", "<c\\@x>" };
	static const struct journal_class unasked = { .look = NULL };
	const struct reinject_settings settings = { .to = "unix:/nonexistent", .name = "mx.example.com" };
	struct fixture *f = *state;

	f->delivery.target = reinject_target_new(&settings, NULL);
	f->delivery.journal.class = &unasked;
	assert_non_null(f->delivery.target);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		f->outcome.action = ACTION_ACCEPT;
		f->outcome.copy_count = 1;
		f->recipients[1].path = odd[i];
		assert_int_equal(delivery_run(&f->delivery, &f->mail, &f->outcome, &f->state, NULL), 0);
		assert_int_equal(f->outcome.action, ACTION_REJECT);
		assert_int_equal(f->outcome.reply, REPLY_SEPARATE);
		assert_false(f->state.begun);
	}
	reinject_target_free(f->delivery.target);
}

/* The journal has no functions: who asked it would fail. */
static void who_observes_asks_nobody(void **state)
{
	static const struct journal_class unasked = { .look = NULL };
	struct fixture *f = *state;
	struct field field = field_make(f->arena, slice_of(GUARD_FIELD), slice_of(" v1; id=0; expires=1; mac=0"));
	char *dir = testdir_scratch();

	assert_int_equal(header_append(f->arena, &f->message.header, field), 0);
	f->delivery.guard = guard_open(dir, NULL);
	assert_non_null(f->delivery.guard);
	f->delivery.journal.class = &unasked;
	f->site.settings.mode = MODE_OBSERVE;
	assert_int_equal(delivery_is_own(&f->delivery, &f->mail, NULL), 0);
	guard_free(f->delivery.guard);
	testdir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(copies_need_a_listener, setup, teardown),
		cmocka_unit_test_setup_teardown(so_does_a_report, setup, teardown),
		cmocka_unit_test_setup_teardown(one_message_for_all_needs_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_refused_or_observed_sends_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(odd_spellings_get_no_copies, setup, teardown),
		cmocka_unit_test_setup_teardown(who_observes_asks_nobody, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
