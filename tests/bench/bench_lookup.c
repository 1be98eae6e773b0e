/* bench_lookup.c - what a look-up costs that the memory answers: in the process itself, and through the lookup process,
 * for 1 and 200 recipients with one certificate each, and what decoding these certificates costs. Wall clock, medians;
 * only the ratios are worth reading. Never part of the tests. Argument: the number of runs (default 301).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "milter/lookup.h"
#include "milter/lookup_client.h"
#include "pki/directory_driver.h"
#include "support/testpki.h"

#define PEOPLE 200

struct bench {
	struct cert *certs[PEOPLE];
	struct address addresses[PEOPLE];
	struct arena *arena;
	struct directory cached, proxy;
	struct lookup_client client;
	int ends[2];
	pid_t process;
	double *times;
	size_t runs;
};

/* Everybody's certificate, by the number that the address begins with. */
static int bench_find(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		      struct directory_answer *answers, struct err *err)
{
	struct bench *bench = self;

	(void)deadline_ms;
	for (size_t i = 0; i < n; i++) {
		const struct directory_entry entry = { .attribute = "userCertificate",
			.cert = bench->certs[strtoul(addresses[i].text.p, NULL, 10)] };

		if (directory_answer_add(arena, &answers[i], &entry) != 0)
			return err_memory(err);
	}
	return 0;
}

static int bench_probe(void *self, struct err *err)
{
	(void)self;
	(void)err;
	return 0;
}

static void bench_free(void *self)
{
	(void)self;
}

static const struct directory_class bench_class = { .find = bench_find, .probe = bench_probe, .free = bench_free };

static void make_people(struct bench *bench)
{
	struct testpki *root = testpki_make(NULL, &(struct testpki_spec){ .cn = "Root", .ca = true, .key = TESTPKI_RSA2048 });
	struct testpki *first = testpki_leaf_rsa(root, "first@x.example"), *leaf;

	for (size_t i = 0; i < PEOPLE; i++) {
		const char *address = arena_printf(bench->arena, "%zu.somebody@partner.example", i);

		leaf = testpki_make(root, &(struct testpki_spec){ .cn = "Somebody", .pkey = first->pkey,
			.usage = "critical,digitalSignature,keyEncipherment", .eku = "emailProtection",
			.san = arena_printf(bench->arena, "email:%s", address) });
		bench->certs[i] = testpki_cert(leaf);
		testpki_free(leaf);
		need(address_parse(bench->arena, slice_of(address), &bench->addresses[i], NULL) == 0, "address");
	}
	testpki_free(first);
	testpki_free(root);
}

static double ask(const struct directory *directory, const struct address *addresses, size_t n)
{
	struct arena *arena = arena_new(0);
	struct directory_answer *answers = arena_array(arena, n, sizeof(*answers));
	double start = now_us(CLOCK_MONOTONIC);

	need(directory->class->find(directory->self, arena, addresses, n, INT64_MAX, answers, NULL) == 0, "find");
	for (size_t i = 0; i < n; i++)
		need(answers[i].status == DIRECTORY_FOUND, "found");
	arena_free(arena);
	return now_us(CLOCK_MONOTONIC) - start;
}

static double decode(const struct bench *bench, size_t n)
{
	double start = now_us(CLOCK_MONOTONIC);

	for (size_t i = 0; i < n; i++)
		cert_free(cert_from_der(cert_info(bench->certs[i])->der, NULL));
	return now_us(CLOCK_MONOTONIC) - start;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(struct bench *bench)
{
	qsort(bench->times, bench->runs, sizeof(*bench->times), by_value);
	return bench->times[bench->runs / 2];
}

static void compare(struct bench *bench, size_t n)
{
	double inside, through, decoding;

	ask(&bench->cached, bench->addresses, n);
	ask(&bench->proxy, bench->addresses, n);
	for (size_t i = 0; i < bench->runs; i++)
		bench->times[i] = ask(&bench->cached, bench->addresses, n);
	inside = median(bench);
	for (size_t i = 0; i < bench->runs; i++)
		bench->times[i] = ask(&bench->proxy, bench->addresses, n);
	through = median(bench);
	for (size_t i = 0; i < bench->runs; i++)
		bench->times[i] = decode(bench, n);
	decoding = median(bench);
	printf("%3zu recipients: in the process itself %7.1f us = 1  through the lookup process %7.1f us = %5.1f  "
	       "decoding %7.1f us = %5.1f\n", n, inside, through, through / inside, decoding, decoding / inside);
}

static void start(struct bench *bench)
{
	static const struct directory_settings settings = { .cache_s = 6000, .cache_mb = 64 };
	struct lookup_env env = { .directories = &bench->cached, .n = 1, .predecessor = -1 };

	bench->cached = (struct directory){ .class = &bench_class, .self = bench, .name = "bench", .timeout_ms = 10000 };
	bench->proxy = bench->cached;
	need(directory_cache_wrap(&bench->cached, &settings, &clock_system, NULL) == 0, "cache");
	need(channel_pair(bench->ends, NULL) == 0, "channel");
	bench->process = fork();
	need(bench->process >= 0, "fork");
	if (bench->process == 0) {
		close(bench->ends[CHANNEL_CLIENT]);
		env.requests = bench->ends[CHANNEL_SERVICE];
		_exit(lookup_serve(&env, NULL) == 0 ? 0 : 1);
	}
	need(lookup_client_open(&bench->client, bench->ends[CHANNEL_CLIENT], &clock_system, NULL) == 0 &&
	     lookup_client_replace(&bench->client, 0, &bench->proxy, NULL) == 0, "client");
}

int main(int argc, char **argv)
{
	struct bench bench = { .runs = argc > 1 ? strtoul(argv[1], NULL, 10) : 301, .arena = arena_new(0) };

	need(bench.runs > 0, "the number of runs");
	bench.times = calloc(bench.runs, sizeof(*bench.times));
	need(bench.times != NULL && bench.arena != NULL, "memory");
	make_people(&bench);
	start(&bench);
	compare(&bench, 1);
	compare(&bench, PEOPLE);
	directory_free(&bench.proxy);
	directory_free(&bench.cached);
	lookup_client_close(&bench.client);
	close(bench.ends[CHANNEL_CLIENT]);
	close(bench.ends[CHANNEL_SERVICE]);
	need(waitpid(bench.process, NULL, 0) == bench.process, "wait");
	for (size_t i = 0; i < PEOPLE; i++)
		cert_free(bench.certs[i]);
	arena_free(bench.arena);
	free(bench.times);
	return 0;
}
