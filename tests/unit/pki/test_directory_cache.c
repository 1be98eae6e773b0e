/* test_directory_cache.c - what a cache remembers, for how long, and what never. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "pki/directory_cache.h"
#include "pki/directory_driver.h"
#include "support/testdir.h"
#include "support/testpki.h"

/* A directory that knows alice@, or nobody, or is away for everybody or only for those @down.example; it counts. */
struct fake {
	struct cert *cert;
	unsigned questions, addresses;
	bool away, empty, freed;
};

static int fake_answer(struct fake *fake, struct arena *arena, const struct address *address,
		       struct directory_answer *answer)
{
	const struct directory_entry entry = { .cert = fake->cert, .attribute = "attr",
		.capabilities = { .known = true, .ciphers = 1 << CIPHER_AES256_GCM } };
	int bad = 0;

	if (fake->away || slice_is(address->domain, "down.example"))
		return directory_answer_fail(arena, answer, "timed out");
	if (fake->empty)
		return 0;
	for (unsigned i = 0; i < 100 && bad == 0 && slice_is(address->local, "giant"); i++)
		bad = directory_answer_add(arena, answer, &entry);
	if (!slice_is_nocase(address->local, "alice"))
		return bad;
	if (directory_answer_add(arena, answer, &entry) != 0 ||
	    directory_answer_chain(arena, answer, fake->cert) != 0)
		return -1;
	return directory_answer_problem(arena, answer, "attr: garbage");
}

static int fake_find(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		     struct directory_answer *answers, struct err *err)
{
	struct fake *fake = self;

	(void)deadline_ms;
	fake->questions++;
	fake->addresses += (unsigned)n;
	for (size_t i = 0; i < n; i++)
		if (fake_answer(fake, arena, &addresses[i], &answers[i]) != 0)
			return err_memory(err);
	return 0;
}

static int fake_probe(void *self, struct err *err)
{
	(void)self;
	return err_set(err, ERR_TEMP, "asked");
}

static void fake_free(void *self)
{
	((struct fake *)self)->freed = true;
}

static const struct directory_class fake_class = { .find = fake_find, .probe = fake_probe, .free = fake_free };

struct state {
	struct testdir_clock clock;
	struct fake fake;
	struct directory directory;
	struct arena *arena;
};

static int setup(void **state)
{
	static struct state s;
	const struct directory_settings settings = { .cache_s = 600, .negative_cache_s = 60, .stale_s = 3600,
						     .cache_mb = 1 };
	struct testpki *pki = testpki_leaf(NULL, "alice@example.com");
	struct err err;

	memset(&s, 0, sizeof(s));
	testdir_clock_init(&s.clock);
	s.fake.cert = testpki_cert(pki);
	testpki_free(pki);
	s.directory = (struct directory){ .class = &fake_class, .self = &s.fake, .name = "fake" };
	assert_int_equal(directory_cache_wrap(&s.directory, &settings, &s.clock.clock, &err), 0);
	s.arena = arena_new(0);
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	directory_free(&s->directory);
	assert_true(s->fake.freed);
	arena_free(s->arena);
	cert_free(s->fake.cert);
	return 0;
}

static enum directory_status find(struct state *s, const char *address)
{
	return testdir_find(&s->directory, s->arena, address).status;
}

static void found_is_kept_for_its_time(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;

	assert_string_equal(s->directory.name, "fake");
	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	s->clock.monotonic_ms += 599999;
	answer = testdir_find(&s->directory, s->arena, "ALICE@Example.COM");
	assert_int_equal(s->fake.questions, 1);
	assert_int_equal(answer.status, DIRECTORY_FOUND);
	assert_int_equal(answer.n, 1);
	assert_ptr_equal(answer.entries[0].cert, s->fake.cert);
	assert_string_equal(answer.entries[0].attribute, "attr");
	assert_true(answer.entries[0].capabilities.known);
	assert_int_equal(answer.chain.n, 1);
	assert_int_equal(answer.problem_count, 1);
	assert_string_equal(answer.problems[0], "attr: garbage");
	assert_true(answer.remembered);
	assert_int_equal(answer.age_ms, 599999);
	s->clock.monotonic_ms += 1;
	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	assert_int_equal(s->fake.questions, 2);
}

static void none_is_kept_for_its_own_time(void **state)
{
	struct state *s = *state;

	assert_int_equal(find(s, "bob@example.com"), DIRECTORY_NONE);
	s->clock.monotonic_ms += 59999;
	assert_int_equal(find(s, "bob@example.com"), DIRECTORY_NONE);
	assert_int_equal(s->fake.questions, 1);
	s->clock.monotonic_ms += 1;
	assert_int_equal(find(s, "bob@example.com"), DIRECTORY_NONE);
	assert_int_equal(s->fake.questions, 2);
}

static void failure_is_never_kept(void **state)
{
	struct state *s = *state;

	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(find(s, "x@down.example"), DIRECTORY_FAILED);
		assert_int_equal(s->fake.questions, i);
	}
}

/* One question for what is missing, answers in the order of the addresses. */
static void only_missing_ones_are_asked(void **state)
{
	struct state *s = *state;
	const char *const texts[] = { "bob@example.com", "alice@example.com", "x@down.example", "carol@example.com" };
	const enum directory_status expected[] = { DIRECTORY_NONE, DIRECTORY_FOUND, DIRECTORY_FAILED, DIRECTORY_NONE };
	struct directory_answer answers[4];
	struct address addresses[4];
	struct err err;

	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	memset(answers, 0, sizeof(answers));
	for (size_t i = 0; i < 4; i++)
		addresses[i] = testdir_address(s->arena, texts[i]);
	assert_int_equal(s->directory.class->find(s->directory.self, s->arena, addresses, 4, 0, answers, &err), 0);
	assert_int_equal(s->fake.questions, 2);
	assert_int_equal(s->fake.addresses, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(answers[i].status, expected[i]);
}

static void memory_is_bounded_oldest_go_first(void **state)
{
	struct state *s = *state;
	char address[64];

	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(address, sizeof(address), "p%u@example.com", i);
		assert_int_equal(find(s, address), DIRECTORY_NONE);
		if (i % 1000 == 0)
			assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	}
	/* Alice was used in between and stays, p0 was the oldest. */
	s->fake.questions = 0;
	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	assert_int_equal(find(s, "p9999@example.com"), DIRECTORY_NONE);
	assert_int_equal(s->fake.questions, 0);
	assert_int_equal(find(s, "p0@example.com"), DIRECTORY_NONE);
	assert_int_equal(s->fake.questions, 1);
}

/* What would cost most of the others is not kept itself. */
static void a_giant_answer_drives_nobody_out(void **state)
{
	struct state *s = *state;

	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	assert_int_equal(testdir_find(&s->directory, s->arena, "giant@example.com").n, 100);
	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	assert_int_equal(s->fake.questions, 2);
	assert_int_equal(testdir_find(&s->directory, s->arena, "giant@example.com").n, 100);
	assert_int_equal(s->fake.questions, 3);
}

static void answers_outlive_the_cache(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;

	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	answer = testdir_find(&s->directory, s->arena, "alice@example.com");
	directory_free(&s->directory);
	assert_string_equal(answer.entries[0].attribute, "attr");
	assert_int_equal(cert_info(answer.entries[0].cert)->address_count, 1);
}

static void probe_goes_through(void **state)
{
	struct state *s = *state;
	struct err err;

	assert_int_equal(s->directory.class->probe(s->directory.self, &err), -1);
	assert_string_equal(err.text, "asked");
}

/* Wherever it runs out: an error, and nobody waits for what was not asked to its end. */
static void no_memory_is_an_error(void **state)
{
	struct state *s = *state;
	struct address addresses[2] = { testdir_address(s->arena, "alice@example.com"),
					testdir_address(s->arena, "alice@two.example") };
	unsigned failed = 0;
	struct err err;
	int rc = -1;

	for (size_t limit = 1; rc != 0; limit += 8) {
		struct directory_answer answers[2] = { { .status = DIRECTORY_NONE } };
		struct arena *small = arena_new(limit);

		s->clock.monotonic_ms += 600000;
		rc = s->directory.class->find(s->directory.self, small, addresses, 2, INT64_MAX, answers, &err);
		failed += rc != 0;
		arena_free(small);
		assert_int_equal(find(s, "alice@two.example"), DIRECTORY_FOUND);
	}
	assert_true(failed > 10);
}

/* Stale */

#define CACHE_MS 600000
#define STALE_MS 3600000

static void found_stands_in_for_a_directory_that_is_away(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;

	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	s->fake.away = true;
	s->clock.monotonic_ms += CACHE_MS;
	answer = testdir_find(&s->directory, s->arena, "alice@example.com");
	assert_int_equal(s->fake.questions, 2);
	assert_int_equal(answer.status, DIRECTORY_FOUND);
	assert_int_equal(answer.n, 1);
	assert_true(answer.stale && answer.remembered);
	assert_int_equal(answer.age_ms, CACHE_MS);
	assert_string_equal(answer.failure, "timed out");
	s->clock.monotonic_ms += STALE_MS - 1;
	assert_true(testdir_find(&s->directory, s->arena, "alice@example.com").stale);
	s->clock.monotonic_ms += 1;
	answer = testdir_find(&s->directory, s->arena, "alice@example.com");
	assert_int_equal(answer.status, DIRECTORY_FAILED);
	assert_false(answer.stale || answer.remembered);
	assert_string_equal(answer.failure, "timed out");
}

static void none_never_is_stale(void **state)
{
	struct state *s = *state;

	assert_int_equal(find(s, "bob@example.com"), DIRECTORY_NONE);
	s->fake.away = true;
	s->clock.monotonic_ms += 60000;
	assert_int_equal(find(s, "bob@example.com"), DIRECTORY_FAILED);
	assert_int_equal(find(s, "bob@example.com"), DIRECTORY_FAILED);
	assert_int_equal(s->fake.questions, 3);
}

/* The directory has the last word as soon as it speaks. */
static void what_the_directory_says_now_replaces_what_is_stale(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;

	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	s->clock.monotonic_ms += CACHE_MS;
	answer = testdir_find(&s->directory, s->arena, "alice@example.com");
	assert_false(answer.stale || answer.remembered);
	s->fake.empty = true;
	s->clock.monotonic_ms += CACHE_MS;
	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_NONE);
	s->fake.away = true;
	s->clock.monotonic_ms += 60000;
	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FAILED);
}

/* Not every mail pays for finding out that it is still away. */
static void a_failure_spares_the_next_questions(void **state)
{
	struct state *s = *state;

	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	s->fake.away = true;
	s->clock.monotonic_ms += CACHE_MS;
	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	s->clock.monotonic_ms += 1999;
	assert_true(testdir_find(&s->directory, s->arena, "alice@example.com").stale);
	assert_string_equal(testdir_find(&s->directory, s->arena, "alice@example.com").failure, "timed out");
	assert_int_equal(s->fake.questions, 2);
	s->fake.away = false;
	s->clock.monotonic_ms += 1;
	assert_false(testdir_find(&s->directory, s->arena, "alice@example.com").stale);
	assert_int_equal(s->fake.questions, 3);
}

static void without_stale_s_a_failure_stays_one(void **state)
{
	struct state *s = *state;
	const struct directory_settings settings = { .cache_s = 600, .negative_cache_s = 60, .cache_mb = 1 };
	struct directory directory = { .class = &fake_class, .self = &s->fake, .name = "fake" };
	struct err err;

	assert_int_equal(directory_cache_wrap(&directory, &settings, &s->clock.clock, &err), 0);
	assert_int_equal(testdir_find(&directory, s->arena, "alice@example.com").status, DIRECTORY_FOUND);
	s->fake.away = true;
	s->clock.monotonic_ms += CACHE_MS;
	assert_int_equal(testdir_find(&directory, s->arena, "alice@example.com").status, DIRECTORY_FAILED);
	directory_free(&directory);
}

/* Handover */

static struct directory heir_of(struct state *s, const struct directory_settings *settings)
{
	struct directory heir = { .class = &fake_class, .self = &s->fake, .name = "fake" };
	struct directory_remembered *items = NULL;
	size_t n = 0;
	struct err err;

	assert_int_equal(directory_cache_wrap(&heir, settings, &s->clock.clock, &err), 0);
	assert_int_equal(directory_cache_list(&s->directory, s->arena, &items, &n, &err), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(directory_cache_insert(&heir, &items[i], &err), 0);
	return heir;
}

static void what_is_remembered_can_be_handed_over(void **state)
{
	const struct directory_settings settings = { .cache_s = 600, .negative_cache_s = 60, .stale_s = 3600,
						     .cache_mb = 1 };
	struct state *s = *state;
	struct directory_remembered *items = NULL;
	struct directory_answer answer;
	struct directory heir;
	struct err err;
	size_t n = 0;

	assert_int_equal(find(s, "Alice@Example.com"), DIRECTORY_FOUND);
	s->clock.monotonic_ms += 10000;
	assert_int_equal(find(s, "bob@example.com"), DIRECTORY_NONE);
	s->clock.monotonic_ms += 1000;
	assert_int_equal(directory_cache_list(&s->directory, s->arena, &items, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_true(slice_is(items[0].address, "alice@example.com") && slice_is(items[1].address, "bob@example.com"));
	assert_int_equal(items[0].answer.age_ms, 11000);
	assert_int_equal(items[1].answer.status, DIRECTORY_NONE);

	heir = heir_of(s, &settings);
	s->fake.questions = 0;
	answer = testdir_find(&heir, s->arena, "alice@example.com");
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.age_ms, 11000);
	assert_int_equal(testdir_find(&heir, s->arena, "bob@example.com").age_ms, 1000);
	assert_int_equal(s->fake.questions, 0);
	directory_free(&heir);
}

static void what_is_handed_over_counts_as_the_heir_is_told(void **state)
{
	const struct directory_settings shorter = { .cache_s = 10, .negative_cache_s = 60, .cache_mb = 1 };
	struct state *s = *state;
	struct directory_remembered *items = NULL;
	struct directory heir;
	struct err err;
	size_t n = 0;

	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	assert_int_equal(find(s, "bob@example.com"), DIRECTORY_NONE);
	s->clock.monotonic_ms += 10000;
	heir = heir_of(s, &shorter);
	assert_int_equal(directory_cache_list(&heir, s->arena, &items, &n, &err), 0);
	assert_int_equal(n, 1);
	/* What the heir has asked itself stays. */
	assert_int_equal(testdir_find(&heir, s->arena, "alice@example.com").status, DIRECTORY_FOUND);
	items[0].address = slice_of("alice@example.com");
	assert_int_equal(directory_cache_insert(&heir, &items[0], &err), 0);
	assert_int_equal(testdir_find(&heir, s->arena, "alice@example.com").status, DIRECTORY_FOUND);
	directory_free(&heir);
}

static void a_directory_without_a_cache_has_nothing_to_hand_over(void **state)
{
	struct state *s = *state;
	struct directory bare = { .class = &fake_class, .self = &s->fake };
	const struct directory_remembered item = { .address = slice_of("a@b") };
	struct directory_remembered *items = NULL;
	struct err err;
	size_t n = 1;

	assert_int_equal(directory_cache_list(&bare, s->arena, &items, &n, &err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(directory_cache_insert(&bare, &item, &err), 0);
}

static void *hammer(void *arg)
{
	struct state *s = arg;
	char text[64];

	for (unsigned i = 0; i < 2000; i++) {
		struct arena *arena = arena_new(0);

		snprintf(text, sizeof(text), "%s%u@example.com", i % 3 == 0 ? "alice" : "p", i % 50);
		testdir_find(&s->directory, arena, i % 3 == 0 ? "alice@example.com" : text);
		arena_free(arena);
	}
	return NULL;
}

static void threads_share_it(void **state)
{
	pthread_t threads[4];

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, *state), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(found_is_kept_for_its_time, setup, teardown),
		cmocka_unit_test_setup_teardown(none_is_kept_for_its_own_time, setup, teardown),
		cmocka_unit_test_setup_teardown(failure_is_never_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(only_missing_ones_are_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_is_bounded_oldest_go_first, setup, teardown),
		cmocka_unit_test_setup_teardown(a_giant_answer_drives_nobody_out, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_outlive_the_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(probe_goes_through, setup, teardown),
		cmocka_unit_test_setup_teardown(no_memory_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(found_stands_in_for_a_directory_that_is_away, setup, teardown),
		cmocka_unit_test_setup_teardown(none_never_is_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(what_the_directory_says_now_replaces_what_is_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failure_spares_the_next_questions, setup, teardown),
		cmocka_unit_test_setup_teardown(without_stale_s_a_failure_stays_one, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_remembered_can_be_handed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_handed_over_counts_as_the_heir_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(a_directory_without_a_cache_has_nothing_to_hand_over, setup, teardown),
		cmocka_unit_test_setup_teardown(threads_share_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
