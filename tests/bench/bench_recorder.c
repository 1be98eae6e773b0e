/* bench_recorder.c - what "on disk" costs: audit lines through the recorder with 1 to 64 threads at once, against one
 * write and fdatasync of such a line in the same directory; and the journal's three steps of a copy. Wall clock; only the
 * ratios are worth reading. Never part of the tests. Argument: the directory to write in (default: the current one).
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "milter/recorder.h"
#include "milter/recorder_client.h"

#define LINE_BYTES 1500
#define CALLS 200		/* of each thread */

struct bench {
	char directory[300], log[320];
	char line[LINE_BYTES + 2];
	int ends[2];
	struct recorder_client client;
};

struct thread {
	struct bench *bench;
	pthread_t thread;
	unsigned number;
	bool journal;
};

static void copy(const struct bench *bench, unsigned thread, unsigned i)
{
	const char *const recipients[] = { "b@partner.example" };
	struct journal_attempt attempt;
	struct journal_key key = { .unique = true };
	bool done[1];

	snprintf((char *)key.bytes, sizeof(key.bytes), "%d %u %u", (int)getpid(), thread, i);
	need(journal_begin(&bench->client.journal, &key, recipients, 1, done, &attempt, NULL) == 0 && !done[0] &&
	     journal_keep(&bench->client.journal, &attempt, recipients, 1, "4Xk2Q3", NULL) == 0 &&
	     journal_end(&bench->client.journal, &attempt, true, NULL) == 0, "the journal");
}

static void *run(void *arg)
{
	const struct thread *self = arg;
	static _Thread_local unsigned count;
	struct err err = { 0 };

	for (unsigned i = 0; i < CALLS; i++) {
		if (self->journal)
			copy(self->bench, self->number * 1000 + ++count, (unsigned)now_us(CLOCK_MONOTONIC));
		else
			need(recorder_client_audit(&self->bench->client, slice_of(self->bench->line), &err) == 0, err.text);
	}
	return NULL;
}

static double bare(const struct bench *bench)
{
	char path[320];
	double start;
	int fd;

	snprintf(path, sizeof(path), "%s/bare", bench->directory);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	need(fd >= 0, "open");
	start = now_us(CLOCK_MONOTONIC);
	for (unsigned i = 0; i < CALLS; i++)
		need(write(fd, bench->line, LINE_BYTES) == LINE_BYTES && fdatasync(fd) == 0, "fdatasync");
	start = (now_us(CLOCK_MONOTONIC) - start) / CALLS;
	close(fd);
	return start;
}

static void measure(struct bench *bench, unsigned n, bool journal, double one_us)
{
	struct thread *threads = calloc(n, sizeof(*threads));
	double start = now_us(CLOCK_MONOTONIC), each;

	need(threads != NULL, "memory");
	for (unsigned i = 0; i < n; i++) {
		threads[i] = (struct thread){ .bench = bench, .number = i, .journal = journal };
		need(pthread_create(&threads[i].thread, NULL, run, &threads[i]) == 0, "thread");
	}
	for (unsigned i = 0; i < n; i++)
		need(pthread_join(threads[i].thread, NULL) == 0, "join");
	each = (now_us(CLOCK_MONOTONIC) - start) / (n * CALLS);
	printf("%-8s %2u threads  %8.1f us each = %5.2f  waiting %5.2f\n", journal ? "copy" : "line", n, each,
	       each / one_us, each * n / one_us);
	free(threads);
}

static pid_t start_recorder(const struct bench *bench)
{
	const struct recorder_env env = { .state_dir = bench->directory, .audit_path = bench->log, .audit_chain = true,
					  .journal = true, .lease_s = 60, .requests = bench->ends[CHANNEL_SERVICE] };
	pid_t pid;

	pid = fork();
	need(pid >= 0, "fork");
	if (pid == 0) {
		close(bench->ends[CHANNEL_CLIENT]);
		recorder_serve(&env);
		_exit(0);
	}
	return pid;
}

int main(int argc, char **argv)
{
	static const unsigned counts[] = { 1, 4, 16, 64 };
	struct bench bench = { .ends = { -1, -1 } };
	char command[400];
	double one_us;
	pid_t recorder;

	snprintf(bench.directory, sizeof(bench.directory), "%.200s/bench_recorder.XXXXXX", argc > 1 ? argv[1] : ".");
	need(mkdtemp(bench.directory) != NULL, "mkdtemp");
	snprintf(bench.log, sizeof(bench.log), "%s/audit.log", bench.directory);
	snprintf(bench.line, sizeof(bench.line), "{\"a\":\"%0*d\"}\n", LINE_BYTES - 9, 0);
	need(channel_pair(bench.ends, NULL) == 0, "channel");
	recorder = start_recorder(&bench);
	need(recorder_client_open(&bench.client, bench.ends[CHANNEL_CLIENT], 60000, NULL) == 0, "client");
	one_us = bare(&bench);
	printf("write and fdatasync of a line: %.1f us = 1\n", one_us);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		measure(&bench, counts[i], false, one_us);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		measure(&bench, counts[i], true, one_us);
	recorder_client_close(&bench.client);
	close(bench.ends[0]);
	close(bench.ends[1]);
	need(waitpid(recorder, NULL, 0) == recorder, "wait");
	snprintf(command, sizeof(command), "rm -rf %s", bench.directory);
	return system(command) == 0 ? 0 : 1;
}
