/* test_chain.c - which CAs are added to an own key's chain: those that have signed, from whatever collection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "pki/chain.h"
#include "pki/pki_internal.h"
#include "support/testdir.h"
#include "support/testpki.h"

#define DAY_S ((time_t)24 * 3600)
#define MOST 3

struct fixture {
	char *scratch;
	struct testpki *root, *upper, *lower, *leaf;
	const struct collection *collections[MOST];
	size_t n;
};

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	f->scratch = testdir_scratch();
	f->root = testpki_root("Root");
	f->upper = testpki_sub(f->root, "Upper");
	f->lower = testpki_sub(f->upper, "Lower");
	f->leaf = testpki_leaf(f->lower, "a@example.com");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < f->n; i++)
		collection_free((struct collection *)(uintptr_t)f->collections[i]);
	testpki_free(f->leaf);
	testpki_free(f->lower);
	testpki_free(f->upper);
	testpki_free(f->root);
	testdir_remove(f->scratch);
	test_free(f);
	return 0;
}

/* One more collection, of these CAs. */
static void collect(struct fixture *f, const struct testpki *const *cas, size_t n)
{
	char *path = testdir_path(f->scratch, "cas.pem");
	const char *files[] = { path };
	const struct collection_settings settings = { .name = "c", .files = { files, 1 } };
	struct buf bytes;

	buf_init(&bytes, 0);
	for (size_t i = 0; i < n; i++)
		testpki_pem(cas[i], TESTPKI_CERT, &bytes);
	testpki_write(path, &bytes, 0644);
	buf_clear(&bytes);
	f->collections[f->n] = collection_load(&settings, &(struct collection_env){ .report = NULL }, NULL);
	assert_non_null(f->collections[f->n++]);
	free(path);
}

#define COLLECT(f, ...) \
	collect(f, (const struct testpki *const []){ __VA_ARGS__ }, \
		sizeof((const struct testpki *const []){ __VA_ARGS__ }) / sizeof(struct testpki *))

/* A key with that own CA (NULL: none), completed. */
static struct key *completed(const struct fixture *f, const struct testpki *pki, const struct testpki *own)
{
	struct cert *cert = testpki_cert(pki), *ca = own == NULL ? NULL : testpki_cert(own);
	const struct cert_list chain = { .items = &ca, .n = own == NULL ? 0 : 1 };
	struct key *key = key_new(cert, pki->pkey, &chain, "a.pem", NULL);

	assert_non_null(key);
	cert_free(cert);
	cert_free(ca);
	assert_int_equal(chain_complete(&key, 1, f->collections, f->n, NULL), 0);
	return key;
}

static void check(struct key *key, const struct testpki *const *cas, size_t n)
{
	const struct cert_list *chain = key_chain(key);

	assert_int_equal(chain->n, n);
	for (size_t i = 0; i < n; i++) {
		struct cert *ca = testpki_cert(cas[i]);

		assert_true(cert_equal(chain->items[i], ca));
		cert_free(ca);
	}
	key_free(key);
}

#define CHECK(key, ...) \
	check(key, (const struct testpki *const []){ __VA_ARGS__ }, \
	      sizeof((const struct testpki *const []){ __VA_ARGS__ }) / sizeof(struct testpki *))

static void fills_up_to_the_root(void **state)
{
	struct fixture *f = *state;

	COLLECT(f, f->root, f->upper, f->lower);
	CHECK(completed(f, f->leaf, NULL), f->lower, f->upper, f->root);
	CHECK(completed(f, f->leaf, f->lower), f->lower, f->upper, f->root);
}

static void looks_into_every_collection(void **state)
{
	struct fixture *f = *state;
	struct testpki *other = testpki_root("Other");

	COLLECT(f, other, f->lower);
	COLLECT(f, f->root, f->upper);
	CHECK(completed(f, f->leaf, NULL), f->lower, f->upper, f->root);
	testpki_free(other);
}

static void ends_where_nobody_knows(void **state)
{
	struct fixture *f = *state;

	check(completed(f, f->leaf, NULL), NULL, 0);
	COLLECT(f, f->root, f->lower);
	CHECK(completed(f, f->leaf, NULL), f->lower);
	check(completed(f, f->root, NULL), NULL, 0);
}

/* The same name is not enough, with key identifiers or without. */
static void namesakes_are_no_issuers(void **state)
{
	struct fixture *f = *state;
	struct testpki *twin = testpki_sub(f->root, "Lower");
	struct testpki *bare = testpki_make(f->root, &(struct testpki_spec){ .cn = "Bare", .ca = true,
									     .no_key_ids = true });
	struct testpki *bare_twin = testpki_make(f->root, &(struct testpki_spec){ .cn = "Bare", .ca = true,
										  .no_key_ids = true });
	struct testpki *leaf = testpki_make(bare, &(struct testpki_spec){ .no_key_ids = true });

	COLLECT(f, f->root, twin, bare_twin);
	check(completed(f, f->leaf, NULL), NULL, 0);
	check(completed(f, leaf, NULL), NULL, 0);
	COLLECT(f, f->root, bare);
	CHECK(completed(f, leaf, NULL), bare, f->root);
	testpki_free(leaf);
	testpki_free(bare_twin);
	testpki_free(bare);
	testpki_free(twin);
}

/* A CA of the collections that was renewed with its key, and the older certificate that the key's file has. */
static void own_goes_first_then_the_one_that_lasts(void **state)
{
	struct fixture *f = *state;
	struct testpki_spec spec = { .cn = "Lower", .ca = true, .pkey = f->lower->pkey };
	struct testpki *older, *newer;

	spec.not_after = time(NULL) + 9 * DAY_S;
	older = testpki_make(f->upper, &spec);
	spec.not_after = time(NULL) + 1000 * DAY_S;
	newer = testpki_make(f->upper, &spec);
	COLLECT(f, f->root, f->upper, f->lower, newer, older);
	CHECK(completed(f, f->leaf, NULL), newer, f->upper, f->root);
	CHECK(completed(f, f->leaf, older), older, f->upper, f->root);
	testpki_free(newer);
	testpki_free(older);
}

/* A root that another has signed too is the end, and CAs that have signed each other are no endless way. */
static void cross_signed(void **state)
{
	struct fixture *f = *state;
	struct testpki *other = testpki_root("Other");
	struct testpki *crossed = testpki_make(other, &(struct testpki_spec){ .cn = "Root", .ca = true,
									      .pkey = f->root->pkey });
	struct testpki *back = testpki_make(f->root, &(struct testpki_spec){ .cn = "Other", .ca = true,
									     .pkey = other->pkey });
	struct testpki *third = testpki_root("Third");

	COLLECT(f, third, f->upper, f->lower, crossed, back);
	CHECK(completed(f, f->leaf, NULL), f->lower, f->upper, crossed, back);
	COLLECT(f, f->root);
	CHECK(completed(f, f->leaf, NULL), f->lower, f->upper, f->root);
	testpki_free(third);
	testpki_free(back);
	testpki_free(crossed);
	testpki_free(other);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fills_up_to_the_root), TEST(looks_into_every_collection), TEST(ends_where_nobody_knows),
		TEST(namesakes_are_no_issuers), TEST(own_goes_first_then_the_one_that_lasts), TEST(cross_signed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
