/* test_lookup.c - directories asked through the lookup process: the same answers for all threads, and "could not ask"
 * in time when the process hangs, sleeps, dies or talks nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "milter/lookup.h"
#include "milter/lookup_client.h"
#include "milter/lookup_wire.h"
#include "pki/directory_driver.h"
#include "support/testdir.h"
#include "support/testpki.h"

#define THREADS 8
#define LONG_MS 60000
#define SHORT_MS 100

/* Knows everybody but nobody@; the local part says what happens: down fails, slow takes a second, die ends the process,
 * many has a thousand values. */
struct fake {
	struct cert *cert;
};

static int fake_answer(const struct fake *fake, struct arena *arena, const struct address *address,
		       struct directory_answer *answer)
{
	const struct directory_entry entry = { .cert = fake->cert, .attribute = "attr" };
	const size_t n = slice_is(address->local, "many") ? 1000 : 1;

	if (slice_is(address->local, "die"))
		_exit(0);
	if (slice_is(address->local, "slow"))
		(void)poll(NULL, 0, 1000);
	if (slice_is(address->local, "down"))
		return directory_answer_fail(arena, answer, "down");
	if (slice_is(address->local, "nobody"))
		return 0;
	for (size_t i = 0; i < n; i++)
		if (directory_answer_add(arena, answer, &entry) != 0 ||
		    directory_answer_problem(arena, answer, arena_string(arena, address->text)) != 0)
			return -1;
	return 0;
}

static int fake_find(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		     struct directory_answer *answers, struct err *err)
{
	(void)deadline_ms;
	for (size_t i = 0; i < n; i++)
		if (fake_answer(self, arena, &addresses[i], &answers[i]) != 0)
			return err_memory(err);
	return 0;
}

static int fake_probe(void *self, struct err *err)
{
	(void)self;
	return err_set(err, ERR_TEMP, "nobody is there");
}

static int good_probe(void *self, struct err *err)
{
	(void)self;
	(void)err;
	return 0;
}

static void fake_free(void *self)
{
	(void)self;
}

static const struct directory_class fake_class = { .find = fake_find, .probe = fake_probe, .free = fake_free };
static const struct directory_class good_class = { .find = fake_find, .probe = good_probe, .free = fake_free };

struct fixture {
	struct fake fake;
	struct directory real[2], proxies[2];
	struct lookup_client client;
	struct event_sink sink;
	struct arena *arena;
	int ends[2];
	pid_t process;
};

static pid_t start_at(const struct fixture *f, const int ends[2], int predecessor,
		      const struct lookup_identity *identities)
{
	const struct lookup_env env = { .directories = f->real, .n = 2, .identities = identities, .sink = &f->sink,
					.requests = ends[CHANNEL_SERVICE], .predecessor = predecessor };
	pid_t pid = fork();

	if (pid == 0) {
		close(ends[CHANNEL_CLIENT]);
		_exit(lookup_serve(&env, NULL) == 0 ? 0 : 1);
	}
	assert_true(pid > 0);
	return pid;
}

static void start(struct fixture *f)
{
	f->process = start_at(f, f->ends, -1, NULL);
}

static void ignore(void *self, enum event_level level, const char *line)
{
	(void)self;
	(void)level;
	(void)line;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct testpki *pki = testpki_leaf(NULL, "alice@x.example");

	f->fake.cert = testpki_cert(pki);
	testpki_free(pki);
	f->sink.emit = ignore;
	f->arena = arena_new(0);
	f->real[0] = (struct directory){ .class = &fake_class, .self = &f->fake, .name = "first", .timeout_ms = LONG_MS };
	f->real[1] = (struct directory){ .class = &good_class, .self = &f->fake, .name = "second",
					 .trusted = true, .secondary_addresses = true, .timeout_ms = SHORT_MS };
	assert_int_equal(channel_pair(f->ends, NULL), 0);
	assert_int_equal(lookup_client_open(&f->client, f->ends[CHANNEL_CLIENT], &clock_system, NULL), 0);
	for (uint32_t i = 0; i < 2; i++) {
		f->proxies[i] = f->real[i];
		assert_int_equal(lookup_client_replace(&f->client, i, &f->proxies[i], NULL), 0);
	}
	start(f);
	*state = f;
	return 0;
}

static void wait_for_end(const struct fixture *f, int expected)
{
	int status = 0;

	assert_int_equal(waitpid(f->process, &status, 0), f->process);
	assert_int_equal(status, expected);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	directory_free(&f->proxies[0]);
	directory_free(&f->proxies[1]);
	lookup_client_close(&f->client);
	close(f->ends[CHANNEL_CLIENT]);
	close(f->ends[CHANNEL_SERVICE]);
	if (f->process > 0) {
		assert_int_equal(kill(f->process, SIGCONT), 0);
		wait_for_end(f, 0);	/* nobody is left who could ask */
	}
	arena_free(f->arena);
	cert_free(f->fake.cert);
	free(f);
	return 0;
}

/* kill returns before every thread has stopped. */
static void put_to_sleep(const struct fixture *f)
{
	int status = 0;

	assert_int_equal(kill(f->process, SIGSTOP), 0);
	assert_int_equal(waitpid(f->process, &status, WUNTRACED), f->process);
	assert_true(WIFSTOPPED(status));
}

static int64_t now_ms(void)
{
	return clock_monotonic_ms(&clock_system);
}

static struct directory_answer find_in(struct fixture *f, struct arena *arena, size_t directory, const char *text,
				       int64_t deadline_ms)
{
	struct address address = testdir_address(arena, text);
	struct directory_answer answer = { .status = DIRECTORY_NONE };
	const struct directory *proxy = &f->proxies[directory];

	assert_int_equal(proxy->class->find(proxy->self, arena, &address, 1, deadline_ms, &answer, NULL), 0);
	return answer;
}

static struct directory_answer find(struct fixture *f, size_t directory, const char *text, int64_t deadline_ms)
{
	return find_in(f, f->arena, directory, text, deadline_ms);
}

static enum directory_status status(struct fixture *f, size_t directory, const char *text)
{
	return find(f, directory, text, INT64_MAX).status;
}

static void answers_and_names_are_the_same(void **state)
{
	struct fixture *f = *state;
	struct address addresses[3] = { testdir_address(f->arena, "alice@x.example"),
		testdir_address(f->arena, "nobody@x.example"), testdir_address(f->arena, "down@x.example") };
	struct directory_answer answers[3];
	struct err err = { .class = ERR_NONE };

	assert_string_equal(f->proxies[0].name, "first");
	assert_true(f->proxies[1].trusted && f->proxies[1].secondary_addresses && !f->proxies[0].trusted);
	assert_int_equal(f->proxies[0].class->find(f->proxies[0].self, f->arena, addresses, 3, INT64_MAX, answers, &err), 0);
	assert_int_equal(answers[0].status, DIRECTORY_FOUND);
	assert_true(answers[0].n == 1 && cert_equal(answers[0].entries[0].cert, f->fake.cert));
	assert_string_equal(answers[0].problems[0], "alice@x.example");
	assert_int_equal(answers[1].status, DIRECTORY_NONE);
	assert_int_equal(answers[2].status, DIRECTORY_FAILED);
	assert_string_equal(answers[2].failure, "down");
	assert_int_equal(f->proxies[0].class->find(f->proxies[0].self, f->arena, addresses, 0, INT64_MAX, NULL, &err), 0);
}

static void probes(void **state)
{
	struct fixture *f = *state;
	struct err err = { .class = ERR_NONE };

	assert_int_equal(f->proxies[0].class->probe(f->proxies[0].self, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_string_equal(err.text, "nobody is there");
	assert_int_equal(f->proxies[1].class->probe(f->proxies[1].self, &err), 0);
	put_to_sleep(f);
	assert_int_equal(f->proxies[1].class->probe(f->proxies[1].self, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_int_equal(kill(f->process, SIGCONT), 0);
}

/* More addresses than a message of the channel takes, and answers that need many messages. */
static void large_questions_and_answers(void **state)
{
	struct fixture *f = *state;
	struct address *addresses = arena_array(f->arena, 5000, sizeof(*addresses));
	struct directory_answer *answers = arena_array(f->arena, 5000, sizeof(*answers));
	const struct directory *proxy = &f->proxies[0];

	for (size_t i = 0; i < 5000; i++)
		addresses[i] = testdir_address(f->arena, i % 100 == 0 ? "many@x.example" :
					       arena_printf(f->arena, "somebody.with.a.name.%zu@some.where.example", i));
	assert_int_equal(proxy->class->find(proxy->self, f->arena, addresses, 5000, INT64_MAX, answers, NULL), 0);
	for (size_t i = 0; i < 5000; i++) {
		assert_int_equal(answers[i].status, DIRECTORY_FOUND);
		assert_int_equal(answers[i].n, i % 100 == 0 ? 1000 : 1);
		assert_true(slice_is(addresses[i].text, answers[i].problems[0]));
	}
}

static void *ask_often(void *arg)
{
	struct fixture *f = arg;
	struct arena *arena = arena_new(0);
	uintptr_t bad = 0;

	for (int i = 0; i < 50; i++) {
		struct address address = testdir_address(arena, arena_printf(arena, "%lx.%d@x.example",
									     (unsigned long)pthread_self(), i));
		struct directory_answer answer;
		const struct directory *proxy = &f->proxies[0];

		bad += proxy->class->find(proxy->self, arena, &address, 1, INT64_MAX, &answer, NULL) != 0 ||
		       answer.status != DIRECTORY_FOUND || !slice_is(address.text, answer.problems[0]);
	}
	arena_free(arena);
	return (void *)bad;
}

static void threads_and_processes_get_their_own_answers(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[THREADS];
	void *bad = NULL;
	int status = 0;
	pid_t child = fork();

	if (child == 0)
		_exit(ask_often(f) != NULL);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_often, f), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Bounds are wide: what is tested is that an end comes at all. */
static void a_sleeping_process_is_could_not_ask(void **state)
{
	struct fixture *f = *state;
	const int64_t before_ms = now_ms();
	struct directory_answer answer;

	put_to_sleep(f);
	/* over an old connection and over new ones; the directory's own time, and the caller's */
	for (int i = 0; i < 3; i++) {
		answer = find(f, 1, "alice@x.example", INT64_MAX);
		assert_int_equal(answer.status, DIRECTORY_FAILED);
		assert_non_null(strstr(answer.failure, "lookup process: no answer in "));
	}
	assert_int_equal(find(f, 0, "alice@x.example", now_ms() + 200).status, DIRECTORY_FAILED);
	assert_true(now_ms() - before_ms < LONG_MS);
	assert_int_equal(find(f, 0, "alice@x.example", now_ms() - 1).status, DIRECTORY_FAILED);
	assert_int_equal(kill(f->process, SIGCONT), 0);
	assert_int_equal(status(f, 0, "alice@x.example"), DIRECTORY_FOUND);
}

static void a_slow_directory_is_could_not_ask(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(status(f, 1, "slow@x.example"), DIRECTORY_FAILED);
	assert_int_equal(status(f, 0, "slow@x.example"), DIRECTORY_FOUND);
}

static void a_new_process_takes_over(void **state)
{
	struct fixture *f = *state;
	struct directory_answer answer;

	assert_int_equal(status(f, 0, "alice@x.example"), DIRECTORY_FOUND);
	assert_int_equal(kill(f->process, SIGKILL), 0);
	wait_for_end(f, SIGKILL);
	f->process = 0;
	answer = find(f, 1, "alice@x.example", INT64_MAX);	/* nobody is there */
	assert_int_equal(answer.status, DIRECTORY_FAILED);
	start(f);
	assert_int_equal(status(f, 0, "alice@x.example"), DIRECTORY_FOUND);
	/* one that ends over a question: it is asked twice, and then there is no answer */
	answer = find(f, 1, "die@x.example", INT64_MAX);
	assert_int_equal(answer.status, DIRECTORY_FAILED);
	wait_for_end(f, 0);
	start(f);
	assert_int_equal(status(f, 0, "nobody@x.example"), DIRECTORY_NONE);
}

static void *find_slowly(void *arg)
{
	struct arena *arena = arena_new(0);
	intptr_t status = find_in(arg, arena, 0, "slow@x.example", INT64_MAX).status;

	arena_free(arena);
	return (void *)status;
}

/* A question that is under way when the process dies is put to the next one. */
static void a_question_survives_a_death(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;
	void *found = NULL;

	assert_int_equal(pthread_create(&thread, NULL, find_slowly, f), 0);
	(void)poll(NULL, 0, 200);
	assert_int_equal(kill(f->process, SIGKILL), 0);
	wait_for_end(f, SIGKILL);
	start(f);
	assert_int_equal(pthread_join(thread, &found), 0);
	assert_int_equal((intptr_t)found, DIRECTORY_FOUND);
}

/* A process that answers so in place of lookup_serve. */
static void answer_with(struct fixture *f, const char *bytes, size_t n)
{
	char question[CHANNEL_BYTES];
	struct pollfd wait = { .fd = f->ends[CHANNEL_SERVICE], .events = POLLIN };
	int fd;

	f->process = fork();
	if (f->process > 0)
		return;
	close(f->ends[CHANNEL_CLIENT]);
	while (poll(&wait, 1, -1) > 0 && (fd = channel_accept(wait.fd)) >= 0) {
		if (channel_take(fd, question, sizeof(question), now_ms() + LONG_MS) > 0)
			(void)channel_give(fd, bytes, n, now_ms() + LONG_MS);
		(void)channel_take(fd, question, sizeof(question), now_ms() + LONG_MS);
		close(fd);
	}
	_exit(0);
}

static void nonsense_is_could_not_ask(void **state)
{
	static const struct { const char *bytes; size_t n; } rows[] = {
		{ "x", 1 }, { "\0\0\0\0", 4 }, { "\xff\xff\xff\xff", 4 }, { "\1\0\0\0", 4 }, { "\1\0\0\0a", 5 },
		{ "\1\0\0\0ab", 6 }, { "\2\0\0\0o\0", 6 }, { "\2\0\0\0o\1", 6 }, { "\6\0\0\0a\1\0\0\0y", 10 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(kill(f->process, SIGKILL), 0);
		wait_for_end(f, SIGKILL);
		answer_with(f, rows[i].bytes, rows[i].n);
		assert_int_equal(status(f, 1, "alice@x.example"), DIRECTORY_FAILED);
	}
	assert_int_equal(kill(f->process, SIGKILL), 0);
	wait_for_end(f, SIGKILL);
	start(f);
	assert_int_equal(status(f, 0, "alice@x.example"), DIRECTORY_FOUND);
}

/* What no client of ours says ends the connection, and nothing else. */
static void nonsense_of_a_client(void **state)
{
	struct fixture *f = *state;
	struct channel *channel = channel_new(f->ends[CHANNEL_CLIENT], "lookup process", LONG_MS, NULL);
	struct lookup_question question = { .operation = LOOKUP_PROBE, .directory = 2, .deadline_ms = now_ms() + LONG_MS };
	char *large = calloc(1, CHANNEL_BYTES), answer[10];
	struct buf bytes;

	assert_non_null(channel);
	assert_non_null(large);
	buf_init(&bytes, 0);
	assert_int_equal(lookup_write_question(&question, &bytes), 0);	/* a directory that is not there */
	assert_int_equal(channel_call(channel, bytes.p, bytes.n, answer, sizeof(answer), NULL), -1);
	assert_int_equal(channel_call(channel, "x", 1, answer, sizeof(answer), NULL), -1);
	assert_int_equal(channel_call(channel, large, CHANNEL_BYTES, answer, sizeof(answer), NULL), -1);
	assert_int_equal(status(f, 0, "alice@x.example"), DIRECTORY_FOUND);
	channel_free(channel);
	buf_clear(&bytes);
	free(large);
}

static void give_up(struct fixture *f)
{
	assert_int_equal(kill(f->process, SIGKILL), 0);
	wait_for_end(f, SIGKILL);
	f->process = 0;
}

/* Whether the answer was remembered by the process behind the end. */
static bool is_remembered(struct fixture *f, int end, uint32_t index, const char *text)
{
	struct directory proxy = { .class = &good_class, .name = "asked", .timeout_ms = LONG_MS };
	struct address address = testdir_address(f->arena, text);
	struct directory_answer answer = { .status = DIRECTORY_NONE };
	struct lookup_client client;

	assert_int_equal(lookup_client_open(&client, end, &clock_system, NULL), 0);
	assert_int_equal(lookup_client_replace(&client, index, &proxy, NULL), 0);
	assert_int_equal(proxy.class->find(proxy.self, f->arena, &address, 1, INT64_MAX, &answer, NULL), 0);
	assert_int_equal(answer.status, DIRECTORY_FOUND);
	directory_free(&proxy);
	lookup_client_close(&client);
	return answer.remembered;
}

/* The second directory is configured otherwise in the next generation. */
static void the_next_generation_inherits(void **state)
{
	static const struct directory_settings settings = { .cache_s = 600, .negative_cache_s = 60, .cache_mb = 10 };
	const struct lookup_identity before[2] = { { "one" }, { "two" } }, after[2] = { { "one" }, { "three" } };
	struct fixture *f = *state;
	int next[2] = { -1, -1 };
	pid_t process;

	give_up(f);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(directory_cache_wrap(&f->real[i], &settings, &clock_system, NULL), 0);
	f->process = start_at(f, f->ends, -1, before);
	for (uint32_t i = 0; i < 2; i++) {
		assert_false(is_remembered(f, f->ends[CHANNEL_CLIENT], i, "alice@x.example"));
		assert_true(is_remembered(f, f->ends[CHANNEL_CLIENT], i, "alice@x.example"));
	}
	assert_int_equal(channel_pair(next, NULL), 0);
	process = start_at(f, next, dup(f->ends[CHANNEL_CLIENT]), after);
	assert_true(is_remembered(f, next[CHANNEL_CLIENT], 0, "Alice@x.example"));
	assert_false(is_remembered(f, next[CHANNEL_CLIENT], 0, "bob@x.example"));
	assert_false(is_remembered(f, next[CHANNEL_CLIENT], 1, "alice@x.example"));
	assert_int_equal(kill(process, SIGKILL), 0);
	assert_int_equal(waitpid(process, NULL, 0), process);
	/* a former process that hangs is not waited for for long */
	put_to_sleep(f);
	process = start_at(f, next, dup(f->ends[CHANNEL_CLIENT]), before);
	assert_false(is_remembered(f, next[CHANNEL_CLIENT], 0, "alice@x.example"));
	assert_int_equal(kill(process, SIGKILL), 0);
	assert_int_equal(waitpid(process, NULL, 0), process);
	close(next[0]);
	close(next[1]);
	give_up(f);
	directory_free(&f->real[0]);
	directory_free(&f->real[1]);
}

/* More at a time than there are threads for: the others wait for theirs. */
static void crowds_wait(void **state)
{
	struct fixture *f = *state;
	const size_t n = LOOKUP_CONNECTIONS + 40;
	pthread_t *threads = calloc(n, sizeof(*threads));
	void *found = NULL;

	assert_non_null(threads);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, find_slowly, f), 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(pthread_join(threads[i], &found), 0);
		assert_int_equal((intptr_t)found, DIRECTORY_FOUND);
	}
	free(threads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers_and_names_are_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(probes, setup, teardown),
		cmocka_unit_test_setup_teardown(large_questions_and_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(threads_and_processes_get_their_own_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(a_sleeping_process_is_could_not_ask, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_directory_is_could_not_ask, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_process_takes_over, setup, teardown),
		cmocka_unit_test_setup_teardown(a_question_survives_a_death, setup, teardown),
		cmocka_unit_test_setup_teardown(nonsense_is_could_not_ask, setup, teardown),
		cmocka_unit_test_setup_teardown(nonsense_of_a_client, setup, teardown),
		cmocka_unit_test_setup_teardown(the_next_generation_inherits, setup, teardown),
		cmocka_unit_test_setup_teardown(crowds_wait, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
