/* bench_directory.c - what a look-up in an LDAP directory costs, against a bare loop of searches over one handle whose
 * certificates OpenSSL decodes: for one address, for one that is remembered, and for 200 in one go. Times are medians;
 * only their ratios are worth reading. Never part of the tests. Run by tests/bench/directory.sh, which makes the server.
 * Arguments: URI, number of persons (person-0@example.com and so on), runs (default 301).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ldap.h>
#include <openssl/x509.h>

#include "bench/bench.h"
#include "ldap/ldap_driver.h"
#include "support/testdir.h"

#define BASE "dc=example,dc=com"
#define MANY 200
#define OFTEN 100		/* memory is too fast for the clock */
#define KEPT "person-0@example.com"

struct bench {
	LDAP *bare;
	struct testdir plain, remembering;
	struct arena *arena;
	long persons;
	struct drand48_data dice;
};

enum what { BARE, DECODED, FIND, REMEMBERED, BARE_MANY, FIND_MANY, WHATS };

static const char *const names[] = {
	[BARE] = "bare search", [DECODED] = "search and d2i_X509", [FIND] = "look-up",
	[REMEMBERED] = "look-up, remembered", [BARE_MANY] = "200 searches and d2i", [FIND_MANY] = "look-up of 200"
};

static void any_address(struct bench *bench, char out[64])
{
	long dice = 0;

	lrand48_r(&bench->dice, &dice);
	snprintf(out, 64, "person-%ld@example.com", dice % bench->persons);
}

static void decode_value(const struct berval *value)
{
	const unsigned char *p = (const unsigned char *)value->bv_val;
	X509 *x509 = d2i_X509(NULL, &p, (long)value->bv_len);

	need(x509 != NULL, "d2i_X509");
	X509_free(x509);
}

/* As the driver asks. */
static void search(struct bench *bench, bool decode)
{
	char *attributes[] = { "userSMIMECertificate", "userCertificate;binary", "userCertificate", "mail",
			       "proxyAddresses", NULL };
	struct timeval limit = { 10, 0 };
	char address[64], filter[200];
	LDAPMessage *found = NULL;
	struct berval **values = NULL;

	any_address(bench, address);
	snprintf(filter, sizeof(filter), "(|(mail=%s)(proxyAddresses=smtp:%s))", address, address);
	need(ldap_search_ext_s(bench->bare, BASE, LDAP_SCOPE_SUBTREE, filter, attributes, 0, NULL, NULL, &limit, 10,
			       &found) == LDAP_SUCCESS, "search");
	values = ldap_get_values_len(bench->bare, ldap_first_entry(bench->bare, found), "userCertificate;binary");
	need(values != NULL, "certificate");
	if (decode)
		decode_value(values[0]);
	ldap_value_free_len(values);
	ldap_msgfree(found);
}

static void find(struct bench *bench, const struct directory *directory, const char *wanted, size_t n)
{
	struct address *addresses = arena_array(bench->arena, n, sizeof(*addresses));
	struct directory_answer *answers = arena_array(bench->arena, n, sizeof(*answers));
	char text[64];

	need(addresses != NULL && answers != NULL, "memory");
	for (size_t i = 0; i < n; i++) {
		if (wanted == NULL)
			any_address(bench, text);
		addresses[i] = testdir_address(bench->arena, wanted != NULL ? wanted : text);
	}
	need(directory->class->find(directory->self, bench->arena, addresses, n,
				    clock_monotonic_ms(&clock_system) + 10000, answers, NULL) == 0, "find");
	for (size_t i = 0; i < n; i++)
		need(answers[i].status == DIRECTORY_FOUND && answers[i].n == 1, "answer");
}

static void do_once(struct bench *bench, enum what what)
{
	switch (what) {
	case BARE:
	case DECODED:
		search(bench, what == DECODED);
		break;
	case FIND:
		find(bench, &bench->plain.directory, NULL, 1);
		break;
	case REMEMBERED:
		for (int i = 0; i < OFTEN; i++)
			find(bench, &bench->remembering.directory, KEPT, 1);
		break;
	case BARE_MANY:
		for (int i = 0; i < MANY; i++)
			search(bench, true);
		break;
	case FIND_MANY:
		find(bench, &bench->plain.directory, NULL, MANY);
		break;
	case WHATS:
		break;
	}
}

static double time_once(struct bench *bench, enum what what)
{
	double before;

	bench->arena = arena_new(0);
	need(bench->arena != NULL, "memory");
	before = now_us(CLOCK_MONOTONIC);
	do_once(bench, what);
	before = now_us(CLOCK_MONOTONIC) - before;
	arena_free(bench->arena);
	return what == REMEMBERED ? before / OFTEN : before;
}

static int by_size(const void *a, const void *b)
{
	const double *one = a, *other = b;

	return *one < *other ? -1 : *one > *other;
}

/* Interleaved, so that what disturbs the machine disturbs all; forwards and backwards, since what comes behind 200 at once
 * finds a server that has slept. */
static void measure(struct bench *bench, size_t runs, double medians[WHATS])
{
	double *times = calloc(runs * WHATS, sizeof(*times));

	need(times != NULL, "memory");
	for (size_t i = 0; i < runs; i++)
		for (size_t k = 0; k < WHATS; k++) {
			size_t what = i % 2 == 0 ? k : WHATS - 1 - k;

			times[what * runs + i] = time_once(bench, (enum what)what);
		}
	for (size_t what = 0; what < WHATS; what++) {
		qsort(times + what * runs, runs, sizeof(*times), by_size);
		medians[what] = times[what * runs + runs / 2];
	}
	free(times);
}

static void open_all(struct bench *bench, const char *uri)
{
	int version = LDAP_VERSION3;

	need(testdir_open(&bench->plain, &ldap_directory_driver, &clock_system, NULL,
			  "type = \"ldap\"; uri = \"%s\"; base = \"" BASE "\"; cache_s = 0; negative_cache_s = 0; "
			  "timeout_ms = 10000;", uri) == 0, "directory");
	need(testdir_open(&bench->remembering, &ldap_directory_driver, &clock_system, NULL,
			  "type = \"ldap\"; uri = \"%s\"; base = \"" BASE "\"; cache_s = 600;", uri) == 0, "directory");
	need(ldap_initialize(&bench->bare, uri) == LDAP_SUCCESS, "ldap_initialize");
	need(ldap_set_option(bench->bare, LDAP_OPT_PROTOCOL_VERSION, &version) == LDAP_OPT_SUCCESS, "version 3");
}

int main(int argc, char **argv)
{
	struct bench bench = { .bare = NULL };
	double medians[WHATS];

	need(argc >= 3, "usage: bench_directory URI PERSONS [RUNS]: reading it");
	bench.persons = strtol(argv[2], NULL, 10);
	srand48_r(1, &bench.dice);
	open_all(&bench, argv[1]);
	measure(&bench, argc > 3 ? (size_t)strtoul(argv[3], NULL, 10) : 301, medians);
	printf("%ld persons\n", bench.persons);
	for (int what = 0; what < WHATS; what++)
		printf("  %-20s %10.1f us %8.3f\n", names[what], medians[what],
		       medians[what] / medians[what < BARE_MANY ? DECODED : BARE_MANY]);
	testdir_close(&bench.plain);
	testdir_close(&bench.remembering);
	ldap_unbind_ext(bench.bare, NULL, NULL);
	return 0;
}
