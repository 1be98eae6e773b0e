/* test_directory_smimea.c - the DNS as a directory where no DNSSEC is needed: a name server in a thread of this program
 * that says "no such name", says nothing or fails; many who ask at once; a child that asks for itself. Signed zones are
 * tests/e2e/smimea.py's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/testdir.h"

/* of a zone that nobody asks for here */
#define ANCHOR "other.example. IN DS 12345 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
#define THREADS 16
#define QUESTIONS 8

struct state {
	char *scratch, *anchor;
	struct testdir dir;
	struct arena *arena;
	pthread_t server;
	int socket, stop[2], port;
};

/* By the first label of the domain: "silent", "broken", else there is no such name. 0: no answer. */
static size_t answer(unsigned char *packet, size_t n)
{
	size_t end = 12;
	bool broken = memmem(packet, n, "\6broken", 7) != NULL;

	if (n < 17 || memmem(packet, n, "\6silent", 7) != NULL)
		return 0;
	while (end < n && packet[end] != 0)
		end += packet[end] + 1U;
	end += 5;
	if (end > n)
		return 0;
	packet[2] |= 0x84;
	packet[3] = broken ? 0x82 : 0x83;
	memset(packet + 6, 0, 6);
	return end;
}

static void *serve(void *self)
{
	struct state *s = self;
	struct pollfd ready[2] = { { .fd = s->socket, .events = POLLIN }, { .fd = s->stop[0], .events = POLLIN } };
	unsigned char packet[4096];

	while (poll(ready, 2, -1) > 0 && ready[1].revents == 0) {
		struct sockaddr_in from;
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(s->socket, packet, sizeof(packet), 0, (struct sockaddr *)&from, &size);
		size_t out = n > 0 ? answer(packet, (size_t)n) : 0;

		if (out > 0)
			(void)!sendto(s->socket, packet, out, 0, (struct sockaddr *)&from, size);
	}
	return NULL;
}

static void listen_on_loopback(struct state *s)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);

	s->socket = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(s->socket, (struct sockaddr *)&at, size), 0);
	assert_int_equal(getsockname(s->socket, (struct sockaddr *)&at, &size), 0);
	s->port = ntohs(at.sin_port);
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
	static struct state s;

	memset(&s, 0, sizeof(s));
	s.arena = arena_new(0);
	s.scratch = testdir_scratch();
	s.anchor = testdir_path(s.scratch, "anchor");
	write_text(s.anchor, ANCHOR);
	listen_on_loopback(&s);
	assert_int_equal(pipe(s.stop), 0);
	assert_int_equal(pthread_create(&s.server, NULL, serve, &s), 0);
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	testdir_close(&s->dir);
	assert_int_equal(write(s->stop[1], "", 1), 1);
	pthread_join(s->server, NULL);
	close(s->stop[0]);
	close(s->stop[1]);
	close(s->socket);
	arena_free(s->arena);
	free(s->anchor);
	testdir_remove(s->scratch);
	return 0;
}

static void open_dir(struct state *s, int timeout_ms)
{
	struct err err;

	assert_int_equal(testdir_open(&s->dir, &directory_smimea_driver, &clock_system, &err,
				      "type = \"smimea\"; trust_anchor_file = \"%s\"; resolver = \"127.0.0.1@%d\"; "
				      "timeout_ms = %d;", s->anchor, s->port, timeout_ms), 0);
}

/* The finding that the settings cause; NULL: none. */
static const char *finding(struct state *s, const char *anchors, const char *resolver)
{
	struct err err;
	int rc;

	write_text(s->anchor, anchors);
	testdir_close(&s->dir);
	rc = testdir_open(&s->dir, &directory_smimea_driver, &clock_system, &err,
			  "type = \"smimea\"; trust_anchor_file = \"%s\"; resolver = %s;", s->anchor, resolver);
	return rc == 0 ? NULL : s->dir.findings;
}

static void settings_are_looked_at(void **state)
{
	struct state *s = *state;

	assert_null(finding(s, ANCHOR, "\"127.0.0.1\""));
	assert_string_equal(s->dir.directory.name, "smimea:127.0.0.1");
	assert_int_equal(s->dir.directory.timeout_ms, 5000);
	assert_null(finding(s, "; a comment\r\n\r\n" ANCHOR ANCHOR, "[ \"::1\", \"127.0.0.1@5300\" ]"));
	assert_non_null(strstr(finding(s, "", "\"::1\""), "trust_anchor_file: "));
	assert_non_null(strstr(finding(s, "\n; nothing\n", "\"::1\""), "no DS or DNSKEY record in it"));
	assert_non_null(strstr(finding(s, ANCHOR "other.example. IN A 127.0.0.1\n", "\"::1\""), "is no DS or DNSKEY"));
	assert_non_null(strstr(finding(s, ANCHOR, "[ \"::1\", \"localhost\" ]"), "resolver: \"localhost\" is no"));
	assert_non_null(strstr(finding(s, ANCHOR, "\"127.0.0.1@0x35\""), "resolver: "));
}

static void unsigned_is_none(void **state)
{
	struct state *s = *state;
	struct directory_answer found;

	open_dir(s, 60000);
	found = testdir_find(&s->dir.directory, s->arena, "Bob@plain.example");
	assert_int_equal(found.status, DIRECTORY_NONE);
	assert_int_equal(found.problem_count, 1);
	assert_non_null(strstr(found.problems[0], "not signed"));
	assert_int_equal(found.association_count, 0);
}

/* A server that fails says nothing about its zone, be it signed or not. */
static void failing_is_no_answer(void **state)
{
	struct state *s = *state;
	struct directory_answer found;

	open_dir(s, 60000);
	found = testdir_find(&s->dir.directory, s->arena, "bob@broken.example");
	assert_int_equal(found.status, DIRECTORY_FAILED);
	assert_non_null(strstr(found.failure, "error 2"));
}

static void no_dns_name_is_none(void **state)
{
	static const char *const addresses[] = {
		"bob@[192.0.2.1]", "bob@[IPv6:2001:db8::1]", "bob",
		"bob@a12345678901234567890123456789012345678901234567890123456789012345.example",
	};
	struct state *s = *state;

	open_dir(s, 60000);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		assert_int_equal(testdir_find(&s->dir.directory, s->arena, addresses[i]).status, DIRECTORY_NONE);
}

/* Who says nothing keeps nobody for longer than he should, nor others from their answers. */
static void silence_ends_in_time(void **state)
{
	struct state *s = *state;
	struct directory *directory = &s->dir.directory;
	struct address addresses[3];
	struct directory_answer answers[3];
	struct err err;

	open_dir(s, 300);
	addresses[0] = testdir_address(s->arena, "a@silent.example");
	addresses[1] = testdir_address(s->arena, "b@plain.example");
	addresses[2] = testdir_address(s->arena, "C@silent.example");
	assert_int_equal(directory->class->find(directory->self, s->arena, addresses, 3, INT64_MAX, answers, &err), 0);
	assert_int_equal(answers[0].status, DIRECTORY_FAILED);
	assert_string_equal(answers[0].failure, "no answer in time");
	assert_int_equal(answers[1].status, DIRECTORY_NONE);
	assert_int_equal(answers[2].status, DIRECTORY_FAILED);
	assert_int_equal(directory->class->find(directory->self, s->arena, addresses, 3, 0, answers, &err), 0);
	assert_int_equal(answers[1].status, DIRECTORY_FAILED);
	assert_int_equal(directory->class->probe(directory->self, &err), -1);
}

static void nobody_listens(void **state)
{
	struct state *s = *state;
	struct err err;

	assert_int_equal(testdir_open(&s->dir, &directory_smimea_driver, &clock_system, &err,
				      "type = \"smimea\"; trust_anchor_file = \"%s\"; resolver = \"127.0.0.1@1\"; "
				      "timeout_ms = 2000;", s->anchor), 0);
	assert_int_equal(testdir_find(&s->dir.directory, s->arena, "bob@plain.example").status, DIRECTORY_FAILED);
}

struct asker {
	pthread_t thread;
	struct state *s;
	int number;
	bool good;
};

static void *ask(void *self)
{
	struct asker *asker = self;
	struct directory *directory = &asker->s->dir.directory;

	asker->good = true;
	for (int i = 0; i < QUESTIONS; i++) {
		struct arena *arena = arena_new(0);
		struct address address;
		struct directory_answer found;
		struct err err;
		bool silent = (asker->number + i) % 8 == 0;
		int64_t left_ms = silent ? 50 : 60000;

		address = testdir_address(arena, arena_printf(arena, "P%d@%s%d.example", i,
							      silent ? "silent.x" : "plain", asker->number));
		asker->good &= directory->class->find(directory->self, arena, &address, 1,
						      clock_monotonic_ms(&clock_system) + left_ms, &found, &err) == 0;
		asker->good &= found.status == (silent ? DIRECTORY_FAILED : DIRECTORY_NONE);
		arena_free(arena);
	}
	return NULL;
}

static void many_ask_at_once(void **state)
{
	struct state *s = *state;
	struct asker askers[THREADS];

	open_dir(s, 60000);
	for (int i = 0; i < THREADS; i++) {
		askers[i] = (struct asker){ .s = s, .number = i };
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(askers[i].thread, NULL);
		assert_true(askers[i].good);
	}
}

static void a_child_asks_for_itself(void **state)
{
	struct state *s = *state;
	pid_t child;
	int status = -1;

	open_dir(s, 60000);
	assert_int_equal(testdir_find(&s->dir.directory, s->arena, "a@plain.example").status, DIRECTORY_NONE);
	child = fork();
	if (child == 0)
		_exit(testdir_find(&s->dir.directory, s->arena, "b@plain2.example").status == DIRECTORY_NONE ? 0 : 1);
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(testdir_find(&s->dir.directory, s->arena, "c@plain3.example").status, DIRECTORY_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(settings_are_looked_at), TEST(unsigned_is_none), TEST(failing_is_no_answer),
		TEST(no_dns_name_is_none), TEST(silence_ends_in_time), TEST(nobody_listens), TEST(many_ask_at_once),
		TEST(a_child_asks_for_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
