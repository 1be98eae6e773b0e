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

/* A directory that knows alice@, fails for anybody@down.example, and counts. */
struct fake {
	struct cert *cert;
	unsigned questions, addresses;
	bool freed;
};

static int fake_find(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		     struct directory_answer *answers, struct err *err)
{
	struct fake *fake = self;
	const struct directory_entry entry = { .cert = fake->cert, .attribute = "attr",
		.capabilities = { .known = true, .ciphers = 1 << CIPHER_AES256_GCM } };

	(void)deadline_ms;
	(void)err;
	fake->questions++;
	fake->addresses += (unsigned)n;
	for (size_t i = 0; i < n; i++) {
		if (slice_is(addresses[i].domain, "down.example")) {
			assert_int_equal(directory_answer_fail(arena, &answers[i], "timed out"), 0);
		} else if (slice_is_nocase(addresses[i].local, "alice")) {
			assert_int_equal(directory_answer_add(arena, &answers[i], &entry), 0);
			assert_int_equal(directory_answer_chain(arena, &answers[i], fake->cert), 0);
			assert_int_equal(directory_answer_problem(arena, &answers[i], "attr: garbage"), 0);
		}
	}
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
	struct testpki *pki = testpki_leaf(NULL, "alice@example.com");
	struct err err;

	memset(&s, 0, sizeof(s));
	testdir_clock_init(&s.clock);
	s.fake.cert = testpki_cert(pki);
	testpki_free(pki);
	s.directory = (struct directory){ .class = &fake_class, .self = &s.fake, .name = "fake" };
	assert_int_equal(directory_cache_wrap(&s.directory, 600, 60, &s.clock.clock, &err), 0);
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

static void number_is_bounded_oldest_go_first(void **state)
{
	struct state *s = *state;
	char address[64];

	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	for (unsigned i = 0; i < DIRECTORY_CACHE_ENTRIES; i++) {
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

static void no_memory_is_an_error(void **state)
{
	struct state *s = *state;
	struct arena *small = arena_new(256);
	struct address address = testdir_address(s->arena, "alice@example.com");
	struct directory_answer answers[1] = { { .status = DIRECTORY_NONE } };
	struct err err;

	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
	assert_int_equal(s->directory.class->find(s->directory.self, small, &address, 1, 0, answers, &err), -1);
	arena_free(small);
	assert_int_equal(find(s, "alice@example.com"), DIRECTORY_FOUND);
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
		cmocka_unit_test_setup_teardown(number_is_bounded_oldest_go_first, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_outlive_the_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(probe_goes_through, setup, teardown),
		cmocka_unit_test_setup_teardown(no_memory_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(threads_share_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
