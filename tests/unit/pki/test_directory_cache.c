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
	unsigned questions, addresses, probes;
	bool away, empty, freed;
	bool fails_once, exhausted_once;	/* the next question */
	pthread_mutex_t mutex;		/* of what follows, and of the counts where there are threads */
	pthread_cond_t changed;
	bool closed;			/* questions and probes wait until it is not */
	unsigned inside;		/* how many do */
};

/* While the directory is closed, whoever asks stays here. */
static void enter(struct fake *fake, unsigned *count)
{
	pthread_mutex_lock(&fake->mutex);
	(*count)++;
	fake->inside++;
	pthread_cond_broadcast(&fake->changed);
	while (fake->closed)
		pthread_cond_wait(&fake->changed, &fake->mutex);
	fake->inside--;
	pthread_cond_broadcast(&fake->changed);
	pthread_mutex_unlock(&fake->mutex);
}

static void set_closed(struct fake *fake, bool closed)
{
	pthread_mutex_lock(&fake->mutex);
	fake->closed = closed;
	pthread_cond_broadcast(&fake->changed);
	pthread_mutex_unlock(&fake->mutex);
}

static void wait_inside(struct fake *fake, unsigned inside)
{
	pthread_mutex_lock(&fake->mutex);
	while (fake->inside != inside)
		pthread_cond_wait(&fake->changed, &fake->mutex);
	pthread_mutex_unlock(&fake->mutex);
}

static int fake_answer(struct fake *fake, struct arena *arena, const struct address *address,
		       struct directory_answer *answer)
{
	const struct directory_entry entry = { .cert = fake->cert, .attribute = "attr",
		.capabilities = { .known = true, .ciphers = 1 << CIPHER_AES256_GCM } };
	int bad = 0;

	if (fake->away || fake->fails_once || slice_is(address->domain, "down.example"))
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
	int rc = 0;

	(void)deadline_ms;
	enter(fake, &fake->questions);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = fake_answer(fake, arena, &addresses[i], &answers[i]);
	pthread_mutex_lock(&fake->mutex);
	fake->addresses += (unsigned)n;
	if (fake->exhausted_once)
		rc = -1;
	if (fake->fails_once || fake->exhausted_once)
		fake->fails_once = fake->exhausted_once = false;
	pthread_mutex_unlock(&fake->mutex);
	return rc == 0 ? 0 : err_memory(err);
}

static int fake_probe(void *self, struct err *err)
{
	struct fake *fake = self;

	enter(fake, &fake->probes);
	return err_set(err, ERR_TEMP, "asked");
}

static void fake_free(void *self)
{
	((struct fake *)self)->freed = true;
}

static const struct directory_class fake_class = { .find = fake_find, .probe = fake_probe, .free = fake_free };

/* A clock that counts who looks at it: a find does so when it looks into the table, and again before it waits. */
struct looked_at {
	struct clock clock;
	int64_t monotonic_ms;
	struct fake *fake;		/* its mutex guards both numbers where there are threads */
	unsigned looks;
};

static int64_t look(void *self)
{
	struct looked_at *clock = self;
	int64_t now_ms;

	pthread_mutex_lock(&clock->fake->mutex);
	now_ms = clock->monotonic_ms;
	clock->looks++;
	pthread_cond_broadcast(&clock->fake->changed);
	pthread_mutex_unlock(&clock->fake->mutex);
	return now_ms;
}

struct state {
	struct looked_at clock;
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
	pthread_mutex_init(&s.fake.mutex, NULL);
	pthread_cond_init(&s.fake.changed, NULL);
	s.clock = (struct looked_at){ .clock = { .monotonic_ms = look, .self = &s.clock }, .fake = &s.fake };
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

/* One question at a time */

struct asker {				/* a thread with one question */
	struct state *s;
	const char *texts[2];
	size_t n;
	int64_t deadline_ms;
	pthread_t thread;
	struct arena *arena;
	struct directory_answer answers[2];
	int rc;
};

static void *run_asker(void *arg)
{
	struct asker *asker = arg;
	struct directory *directory = &asker->s->directory;
	struct address addresses[2];
	struct err err;

	for (size_t i = 0; i < asker->n; i++)
		addresses[i] = testdir_address(asker->arena, asker->texts[i]);
	asker->rc = directory->class->find(directory->self, asker->arena, addresses, asker->n, asker->deadline_ms,
					   asker->answers, &err);
	return NULL;
}

static void start(struct state *s, struct asker *asker, const char *first, const char *second, int64_t deadline_ms)
{
	*asker = (struct asker){ .s = s, .texts = { first, second }, .n = second == NULL ? 1 : 2,
				 .deadline_ms = deadline_ms, .arena = arena_new(0) };
	assert_int_equal(pthread_create(&asker->thread, NULL, run_asker, asker), 0);
}

static void end(struct asker *asker)
{
	assert_int_equal(pthread_join(asker->thread, NULL), 0);
}

/* Until the clock was looked at so often since looks was 0. */
static void wait_looks(struct state *s, unsigned looks)
{
	pthread_mutex_lock(&s->fake.mutex);
	while (s->clock.looks < looks)
		pthread_cond_wait(&s->fake.changed, &s->fake.mutex);
	pthread_mutex_unlock(&s->fake.mutex);
}

/* Alice is asked for, by asker and nobody else, and the directory does not answer yet. */
static void hang(struct state *s, struct asker *asker, int64_t deadline_ms)
{
	s->fake.questions = s->fake.addresses = s->clock.looks = 0;
	set_closed(&s->fake, true);
	start(s, asker, "alice@example.com", NULL, deadline_ms);
	wait_inside(&s->fake, 1);
	assert_int_equal(s->clock.looks, 1);
}

static void everybody_gets_the_answer_to_one_question(struct state *s, enum directory_status status)
{
	struct asker askers[5];

	hang(s, &askers[0], INT64_MAX);
	for (unsigned i = 1; i < 5; i++)
		start(s, &askers[i], "alice@example.com", NULL, INT64_MAX);
	wait_looks(s, 1 + 4 * 2);
	set_closed(&s->fake, false);
	for (unsigned i = 0; i < 5; i++) {
		end(&askers[i]);
		assert_int_equal(askers[i].rc, 0);
		assert_int_equal(askers[i].answers[0].status, status);
		/* It came after he asked. */
		assert_false(askers[i].answers[0].remembered);
	}
	assert_int_equal(s->fake.questions, 1);
	/* Whose arena goes first does not matter. */
	arena_free(askers[0].arena);
	if (status == DIRECTORY_FOUND)
		assert_string_equal(askers[4].answers[0].entries[0].attribute, "attr");
	else
		assert_string_equal(askers[4].answers[0].failure, "timed out");
	for (unsigned i = 1; i < 5; i++)
		arena_free(askers[i].arena);
}

static void who_asks_at_the_same_time_waits_for_the_answer(void **state)
{
	everybody_gets_the_answer_to_one_question(*state, DIRECTORY_FOUND);
}

static void a_failure_is_everybodys(void **state)
{
	struct state *s = *state;

	s->fake.away = true;
	everybody_gets_the_answer_to_one_question(s, DIRECTORY_FAILED);
	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FAILED);
	assert_int_equal(s->fake.questions, 2);
}

static void what_others_ask_is_not_asked_again(void **state)
{
	struct state *s = *state;
	struct asker first, second;

	hang(s, &first, INT64_MAX);
	start(s, &second, "Alice@Example.com", "bob@example.com", INT64_MAX);
	wait_inside(&s->fake, 2);
	set_closed(&s->fake, false);
	end(&first);
	end(&second);
	assert_int_equal(second.answers[0].status, DIRECTORY_FOUND);
	assert_int_equal(second.answers[1].status, DIRECTORY_NONE);
	assert_int_equal(s->fake.questions, 2);
	assert_int_equal(s->fake.addresses, 2);
	arena_free(first.arena);
	arena_free(second.arena);
}

static void an_address_that_is_there_twice_is_asked_for_once(void **state)
{
	struct state *s = *state;
	struct asker asker;

	start(s, &asker, "alice@example.com", "ALICE@example.com", INT64_MAX);
	end(&asker);
	assert_int_equal(s->fake.addresses, 1);
	assert_int_equal(asker.answers[0].status, DIRECTORY_FOUND);
	assert_int_equal(asker.answers[1].status, DIRECTORY_FOUND);
	arena_free(asker.arena);
}

static void who_waits_does_so_until_his_own_deadline(void **state)
{
	struct state *s = *state;
	struct asker first, second;

	hang(s, &first, INT64_MAX);
	start(s, &second, "alice@example.com", NULL, s->clock.monotonic_ms + 20);
	end(&second);
	assert_int_equal(second.answers[0].status, DIRECTORY_FAILED);
	assert_string_equal(second.answers[0].failure,
			    "timed out: the answer to an earlier question about it did not come");
	set_closed(&s->fake, false);
	end(&first);
	assert_int_equal(first.answers[0].status, DIRECTORY_FOUND);
	assert_int_equal(s->fake.questions, 1);
	arena_free(first.arena);
	arena_free(second.arena);
}

/* fails: which of the fake's members makes the first question fail. */
static void who_waits_asks_himself(struct state *s, bool *fails, int64_t deadline_ms)
{
	struct asker first, second;

	hang(s, &first, deadline_ms);
	start(s, &second, "alice@example.com", NULL, INT64_MAX);
	wait_looks(s, 1 + 2);
	*fails = true;
	pthread_mutex_lock(&s->fake.mutex);
	s->clock.monotonic_ms = 1000;
	pthread_mutex_unlock(&s->fake.mutex);
	set_closed(&s->fake, false);
	end(&first);
	end(&second);
	assert_int_equal(first.answers[0].status != DIRECTORY_FOUND, true);
	assert_int_equal(second.rc, 0);
	assert_int_equal(second.answers[0].status, DIRECTORY_FOUND);
	assert_int_equal(s->fake.questions, 2);
	arena_free(first.arena);
	arena_free(second.arena);
}

/* Nor is it the directory's: what is stale need not spare it. */
static void a_failure_by_ones_own_deadline_is_nobody_elses(void **state)
{
	struct state *s = *state;
	struct asker late;

	who_waits_asks_himself(s, &s->fake.fails_once, 1000);
	s->clock.monotonic_ms += CACHE_MS;
	s->fake.fails_once = true;
	start(s, &late, "alice@example.com", NULL, s->clock.monotonic_ms);
	end(&late);
	assert_true(late.answers[0].stale);
	arena_free(late.arena);
	assert_false(testdir_find(&s->directory, s->arena, "alice@example.com").stale);
}

static void who_ran_out_of_memory_leaves_the_question_to_others(void **state)
{
	struct state *s = *state;

	who_waits_asks_himself(s, &s->fake.exhausted_once, INT64_MAX);
}

/* Nobody but who finds out pays for a directory that hangs, where something stale is at hand. */
static void nobody_waits_for_what_is_known_to_be_away(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;
	struct asker first;

	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	s->fake.away = true;
	s->clock.monotonic_ms += CACHE_MS;
	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	s->clock.monotonic_ms += 2000;
	hang(s, &first, INT64_MAX);
	answer = testdir_find(&s->directory, s->arena, "alice@example.com");
	assert_true(answer.stale);
	assert_string_equal(answer.failure, "timed out");
	set_closed(&s->fake, false);
	end(&first);
	assert_true(first.answers[0].stale);
	arena_free(first.arena);
}

/* A failure of long ago does not say that it is away now: who comes waits for who asks. */
static void an_old_failure_says_nothing(void **state)
{
	struct state *s = *state;
	struct asker first, second;

	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	s->fake.away = true;
	s->clock.monotonic_ms += CACHE_MS;
	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	s->fake.away = false;
	s->clock.monotonic_ms += 60000;
	hang(s, &first, INT64_MAX);
	start(s, &second, "alice@example.com", NULL, INT64_MAX);
	wait_looks(s, 1 + 2);
	set_closed(&s->fake, false);
	end(&first);
	end(&second);
	assert_false(first.answers[0].stale || second.answers[0].stale);
	assert_int_equal(s->fake.questions, 1);
	arena_free(first.arena);
	arena_free(second.arena);
}

struct prober {
	struct state *s;
	pthread_t thread;
	struct err err;
	int rc;
};

static void *run_prober(void *arg)
{
	struct prober *prober = arg;
	struct directory *directory = &prober->s->directory;

	prober->rc = directory->class->probe(directory->self, &prober->err);
	return NULL;
}

/* Whether a second one has begun to wait cannot be seen: so often until one has. */
static void probes_at_the_same_time_are_one(void **state)
{
	struct state *s = *state;
	unsigned rounds = 0;

	for (; rounds < 1000 && s->fake.probes == 4 * rounds; rounds++) {
		struct prober probers[4];

		set_closed(&s->fake, true);
		for (unsigned i = 0; i < 4; i++) {
			probers[i] = (struct prober){ .s = s };
			assert_int_equal(pthread_create(&probers[i].thread, NULL, run_prober, &probers[i]), 0);
			wait_inside(&s->fake, 1);
		}
		set_closed(&s->fake, false);
		for (unsigned i = 0; i < 4; i++) {
			pthread_join(probers[i].thread, NULL);
			assert_int_equal(probers[i].rc, -1);
			assert_string_equal(probers[i].err.text, "asked");
		}
	}
	assert_true(s->fake.probes < 4 * rounds);
}

static void *hammer(void *arg)
{
	struct state *s = arg;
	struct directory_remembered *items = NULL;
	char text[64];
	struct err err;
	size_t n = 0;

	for (unsigned i = 0; i < 2000; i++) {
		struct arena *arena = arena_new(0);

		snprintf(text, sizeof(text), "p%u@%s.example", i % 50, i % 7 == 0 ? "down" : "up");
		testdir_find(&s->directory, arena, i % 3 == 0 ? "alice@example.com" : text);
		if (i % 100 == 0)
			assert_int_equal(directory_cache_list(&s->directory, arena, &items, &n, &err), 0);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(found_is_kept_for_its_time), TEST(none_is_kept_for_its_own_time),
		TEST(failure_is_never_kept), TEST(only_missing_ones_are_asked),
		TEST(memory_is_bounded_oldest_go_first), TEST(a_giant_answer_drives_nobody_out),
		TEST(answers_outlive_the_cache), TEST(probe_goes_through), TEST(no_memory_is_an_error),
		TEST(found_stands_in_for_a_directory_that_is_away), TEST(none_never_is_stale),
		TEST(what_the_directory_says_now_replaces_what_is_stale),
		TEST(a_failure_spares_the_next_questions), TEST(without_stale_s_a_failure_stays_one),
		TEST(what_is_remembered_can_be_handed_over),
		TEST(what_is_handed_over_counts_as_the_heir_is_told),
		TEST(a_directory_without_a_cache_has_nothing_to_hand_over),
		TEST(who_asks_at_the_same_time_waits_for_the_answer), TEST(a_failure_is_everybodys),
		TEST(what_others_ask_is_not_asked_again),
		TEST(an_address_that_is_there_twice_is_asked_for_once),
		TEST(who_waits_does_so_until_his_own_deadline),
		TEST(a_failure_by_ones_own_deadline_is_nobody_elses),
		TEST(who_ran_out_of_memory_leaves_the_question_to_others),
		TEST(nobody_waits_for_what_is_known_to_be_away), TEST(an_old_failure_says_nothing),
		TEST(probes_at_the_same_time_are_one), TEST(threads_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
