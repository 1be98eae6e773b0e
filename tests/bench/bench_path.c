/* bench_path.c - what a chain costs when it is new and when it is known, against the bare public-key operation (one
 * certificate's signature) and OpenSSL's own X509_verify_cert over the same three certificates. Times are medians of
 * processor time; only their ratios are worth reading. Never part of the tests. Argument: the number of runs (default
 * 101).
 */
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "pki/path.h"
#include "pki/pki_internal.h"
#include "support/testpki.h"

#define OFTEN 100	/* a known chain is too fast for the clock */

struct bench {
	char directory[64], file[96], crl[96];
	struct testpki *root, *sub, *leaf;
	struct cert *cert;
	struct cert_list untrusted;
	struct collection *collection;	/* a new one for each run: it knows nothing */
};

static struct testpki *make(const struct testpki *issuer, const char *cn, bool ca, enum testpki_key_type key)
{
	return testpki_make(issuer, &(struct testpki_spec){ .cn = cn, .ca = ca, .key = key });
}

static void init(struct bench *bench, enum testpki_key_type key)
{
	struct buf crls;
	struct cert *sub;

	*bench = (struct bench){ .root = make(NULL, "Root", true, key) };
	bench->sub = make(bench->root, "Sub", true, key);
	bench->leaf = make(bench->sub, "Leaf", false, key);
	bench->cert = testpki_cert(bench->leaf);
	sub = testpki_cert(bench->sub);
	need(cert_list_add(&bench->untrusted, sub) == 0, "memory");
	cert_free(sub);
	snprintf(bench->directory, sizeof(bench->directory), "/tmp/bench_path.XXXXXX");
	need(mkdtemp(bench->directory) != NULL, "mkdtemp");
	snprintf(bench->file, sizeof(bench->file), "%s/ca.pem", bench->directory);
	snprintf(bench->crl, sizeof(bench->crl), "%s/crl.pem", bench->directory);
	testpki_write_pem(bench->file, bench->root, TESTPKI_CERT);
	buf_init(&crls, 0);
	testpki_crl(bench->root, NULL, 0, 0, 0, true, &crls);
	testpki_crl(bench->sub, NULL, 0, 0, 0, true, &crls);
	testpki_write(bench->crl, &crls, 0644);
	buf_clear(&crls);
}

static void clear(struct bench *bench)
{
	unlink(bench->file);
	unlink(bench->crl);
	rmdir(bench->directory);
	cert_list_clear(&bench->untrusted);
	cert_free(bench->cert);
	testpki_free(bench->leaf);
	testpki_free(bench->sub);
	testpki_free(bench->root);
}

static void load(struct bench *bench, enum revocation_mode mode)
{
	const char *files[] = { bench->file }, *crls[] = { bench->crl }, *domains[] = { "*" };
	struct collection_settings settings = { .name = "bench", .files = { files, 1 }, .domains = { domains, 1 },
						.revocation = (int)mode, .crls = { crls, 1 } };

	bench->collection = collection_load(&settings, &(struct collection_env){ .report = NULL }, NULL);
	need(bench->collection != NULL, "collection");
}

static double check(const struct bench *bench, size_t times)
{
	const struct collection *collection = bench->collection;
	struct path_query query = { .cert = bench->cert, .untrusted = &bench->untrusted, .collections = &collection,
				    .collection_count = 1, .at = time(NULL) };
	struct path_result result = { .chain = CHAIN_BAD };
	double start = now_us(CLOCK_PROCESS_CPUTIME_ID);

	for (size_t i = 0; i < times; i++)
		need(path_check(&query, &result, NULL) == 0 && result.chain == CHAIN_GOOD &&
		     (result.revocation == REV_GOOD || result.revocation == REV_OFF), "path_check");
	return (now_us(CLOCK_PROCESS_CPUTIME_ID) - start) / (double)times;
}

/* OpenSSL remembers nothing of a certificate's signature, but decodes extensions once: as for us, before. */
static double bare_chain(const struct bench *bench)
{
	STACK_OF(X509) *untrusted = sk_X509_new_null();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509_STORE *store = X509_STORE_new();
	double start;

	need(untrusted != NULL && context != NULL && store != NULL && sk_X509_push(untrusted, bench->sub->x509) > 0 &&
	     X509_STORE_add_cert(store, bench->root->x509) == 1, "memory");
	start = now_us(CLOCK_PROCESS_CPUTIME_ID);
	need(X509_STORE_CTX_init(context, store, bench->leaf->x509, untrusted) == 1 &&
	     X509_verify_cert(context) == 1, "X509_verify_cert");
	start = now_us(CLOCK_PROCESS_CPUTIME_ID) - start;
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	sk_X509_free(untrusted);
	return start;
}

static double bare_operation(const struct bench *bench)
{
	double start = now_us(CLOCK_PROCESS_CPUTIME_ID);

	need(X509_verify(bench->leaf->x509, bench->sub->pkey) == 1, "X509_verify");
	return now_us(CLOCK_PROCESS_CPUTIME_ID) - start;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), by_value);
	return values[n / 2];
}

enum { FIRST, KNOWN, CHAIN, OPERATION, COLUMNS };

static void compare(const char *name, enum testpki_key_type key, enum revocation_mode mode, size_t runs)
{
	double *times[COLUMNS], middle[COLUMNS];
	struct bench bench;

	init(&bench, key);
	for (size_t k = 0; k < COLUMNS; k++)
		need((times[k] = calloc(runs, sizeof(double))) != NULL, "memory");
	for (size_t i = 0; i < runs; i++) {
		load(&bench, mode);
		times[FIRST][i] = check(&bench, 1);
		times[KNOWN][i] = check(&bench, OFTEN);
		times[CHAIN][i] = bare_chain(&bench);
		times[OPERATION][i] = bare_operation(&bench);
		collection_free(bench.collection);
	}
	for (size_t k = 0; k < COLUMNS; k++) {
		middle[k] = median(times[k], runs);
		free(times[k]);
	}
	printf("%-15s one signature %7.1f us = 1  X509_verify_cert %5.2f  new chain %5.2f  known chain %6.3f\n", name,
	       middle[OPERATION], middle[CHAIN] / middle[OPERATION], middle[FIRST] / middle[OPERATION],
	       middle[KNOWN] / middle[OPERATION]);
	clear(&bench);
}

int main(int argc, char **argv)
{
	size_t runs = argc > 1 ? strtoul(argv[1], NULL, 10) : 101;

	need(runs > 0, "the number of runs");
	compare("p256", TESTPKI_P256, REVOCATION_OFF, runs);
	compare("p256 with crls", TESTPKI_P256, REVOCATION_HARD, runs);
	compare("rsa", TESTPKI_RSA2048, REVOCATION_OFF, runs);
	compare("rsa with crls", TESTPKI_RSA2048, REVOCATION_HARD, runs);
	return 0;
}
