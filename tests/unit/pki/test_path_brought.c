/* test_path_brought.c - CRLs that came in a message: when they speak, and what a sender cannot reach with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pki/evidence.h"
#include "pki/path.h"
#include "pki/pki_internal.h"
#include "pki/revocation_wanted.h"
#include "support/testdir.h"
#include "support/testpki.h"

#define HOUR_S ((time_t)3600)
#define MOST 8

struct fixture {
	struct testpki *root, *sub, *leaf;
	struct cert_list untrusted;
	char *dir, paths[8][96];
	unsigned path;
	struct buf own;			/* PEM */
	struct buf brought[MOST];
	size_t n;
	unsigned signatures;
	bool pinned;
	struct collection *collection;
	struct revocation_wanted wanted;
	unsigned told;
	struct path_result result;
	time_t now;
};

static void on_wanted(const struct revocation_wanted *self, const struct collection *collection,
		      const struct cert *const *chain, size_t n)
{
	struct fixture *f = (struct fixture *)((char *)(uintptr_t)self - offsetof(struct fixture, wanted));

	(void)collection;
	(void)chain;
	(void)n;
	f->told++;
}

static char *in(struct fixture *f, const char *name)
{
	char *path = f->paths[f->path++ % 8];

	snprintf(path, sizeof(f->paths[0]), "%s/%s", f->dir, name);
	return path;
}

static void bring(struct fixture *f, const struct testpki *pki)
{
	struct cert *cert = testpki_cert(pki);

	assert_int_equal(cert_list_add(&f->untrusted, cert), 0);
	cert_free(cert);
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	f->root = testpki_root("Root");
	f->sub = testpki_sub(f->root, "Sub");
	f->leaf = testpki_leaf(f->sub, "a@example.com");
	f->now = time(NULL);
	f->dir = testdir_scratch();
	f->wanted.want = on_wanted;
	buf_init(&f->own, 0);
	for (size_t i = 0; i < MOST; i++)
		buf_init(&f->brought[i], 0);
	bring(f, f->sub);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	collection_free(f->collection);
	cert_list_clear(&f->untrusted);
	buf_clear(&f->own);
	for (size_t i = 0; i < MOST; i++)
		buf_clear(&f->brought[i]);
	testdir_remove(f->dir);
	testpki_free(f->leaf);
	testpki_free(f->sub);
	testpki_free(f->root);
	test_free(f);
	return 0;
}

/* Of sub, unless spec says another CA; from so many hours ago, for as many more. */
static struct testpki_crl list(const struct fixture *f, struct testpki_crl spec, int from, int until)
{
	spec.ca = spec.ca == NULL ? f->sub : spec.ca;
	spec.this_update = f->now + from * HOUR_S;
	spec.next_update = f->now + until * HOUR_S;
	return spec;
}

static void own(struct fixture *f, struct testpki_crl spec, int from, int until)
{
	struct testpki_crl full = list(f, spec, from, until);
	struct buf der;

	buf_init(&der, 0);
	testpki_crl_make(&full, &der);
	testpki_write(in(f, "own.crl"), &der, 0644);
	buf_clear(&der);
}

static void message(struct fixture *f, struct testpki_crl spec, int from, int until)
{
	struct testpki_crl full = list(f, spec, from, until);

	assert_true(f->n < MOST);
	testpki_crl_make(&full, &f->brought[f->n++]);
}

/* The collection: root, with the root's own CRL, and what own has put there. */
static void load(struct fixture *f, enum revocation_mode mode)
{
	char *roots = in(f, "roots.pem"), *of_root = in(f, "root.crl");
	const char *files[] = { roots }, *crls[] = { of_root, in(f, "own.crl") };
	const char *domains[] = { "*" }, *hosts[] = { "crl.example" };
	struct collection_settings settings = { .name = "test", .files = { files, 1 }, .domains = { domains, 1 },
						.revocation = (int)mode, .fetch_hosts = { hosts, 1 },
						.pinned = f->pinned, .crls = { crls, access(crls[1], F_OK) == 0 ? 2 : 1 } };
	const struct collection_env env = { .wanted = &f->wanted };
	struct buf pem;

	buf_init(&pem, 0);
	testpki_crl(f->root, NULL, 0, 0, 0, true, &pem);
	testpki_write(of_root, &pem, 0644);
	buf_reset(&pem);
	testpki_pem(f->root, TESTPKI_CERT, &pem);
	if (f->pinned)
		testpki_pem(f->leaf, TESTPKI_CERT, &pem);
	testpki_write(roots, &pem, 0644);
	buf_clear(&pem);
	collection_free(f->collection);
	f->collection = collection_load(&settings, &env, NULL);
	assert_non_null(f->collection);
}

static enum path_revocation ask_with(struct fixture *f, const struct testpki *pki, size_t n)
{
	struct cert *cert = testpki_cert(pki);
	const struct collection *collections[] = { f->collection };
	struct slice ders[MOST];
	struct path_brought brought = { .crls = ders, .n = n, .signatures = &f->signatures };
	const struct path_query query = { .cert = cert, .untrusted = &f->untrusted, .collections = collections,
					  .collection_count = 1, .at = f->now, .brought = &brought };

	for (size_t i = 0; i < n; i++)
		ders[i] = buf_slice(&f->brought[i]);
	assert_int_equal(path_check(&query, &f->result, NULL), 0);
	assert_int_equal(f->result.chain, CHAIN_GOOD);
	path_brought_clear(&brought);
	cert_free(cert);
	return f->result.revocation;
}

static enum path_revocation ask(struct fixture *f)
{
	return ask_with(f, f->leaf, f->n);
}

/* Our own list, then the answers: of own evidence alone, and with what the message brought. */
static void expect(struct fixture *f, enum path_revocation alone, enum path_revocation together)
{
	load(f, REVOCATION_HARD);
	assert_int_equal(ask_with(f, f->leaf, 0), alone);
	assert_false(f->result.brought);
	assert_int_equal(ask(f), together);
	assert_int_equal(f->result.brought, alone != together);
	f->n = 0;
	for (size_t i = 0; i < MOST; i++)
		buf_reset(&f->brought[i]);
	unlink(in(f, "own.crl"));
}

static void they_speak_where_nobody_else_does(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;

	message(f, (struct testpki_crl){ .n = 0 }, -1, 9);
	expect(f, REV_UNKNOWN, REV_GOOD);
	message(f, (struct testpki_crl){ .revoked = &leaf, .n = 1 }, -1, 9);
	expect(f, REV_UNKNOWN, REV_REVOKED);
	own(f, (struct testpki_crl){ .n = 0 }, -9, -1);
	message(f, (struct testpki_crl){ .revoked = &leaf, .n = 1 }, -2, 9);
	expect(f, REV_STALE, REV_REVOKED);
	own(f, (struct testpki_crl){ .n = 0 }, -9, -1);
	message(f, (struct testpki_crl){ .n = 0 }, -2, 9);
	expect(f, REV_STALE, REV_GOOD);
	expect(f, REV_UNKNOWN, REV_UNKNOWN);
}

static void they_must_be_valid_now(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;

	message(f, (struct testpki_crl){ .n = 0 }, -9, -1);
	expect(f, REV_UNKNOWN, REV_UNKNOWN);
	message(f, (struct testpki_crl){ .revoked = &leaf, .n = 1 }, -9, -1);
	expect(f, REV_UNKNOWN, REV_UNKNOWN);
	message(f, (struct testpki_crl){ .n = 0 }, 2, 9);
	expect(f, REV_UNKNOWN, REV_UNKNOWN);
}

static void our_own_answer_stands(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;

	own(f, (struct testpki_crl){ .revoked = &leaf, .n = 1 }, -3, 9);
	message(f, (struct testpki_crl){ .n = 0 }, -9, 9);
	expect(f, REV_REVOKED, REV_REVOKED);
	own(f, (struct testpki_crl){ .revoked = &leaf, .n = 1 }, -3, 9);
	message(f, (struct testpki_crl){ .n = 0 }, -1, 9);
	expect(f, REV_REVOKED, REV_REVOKED);
	/* out of date: who was revoked stays so, whatever the sender brings */
	own(f, (struct testpki_crl){ .revoked = &leaf, .n = 1 }, -3, -1);
	message(f, (struct testpki_crl){ .n = 0 }, -2, 9);
	expect(f, REV_REVOKED, REV_REVOKED);
	own(f, (struct testpki_crl){ .n = 0 }, -3, 9);
	message(f, (struct testpki_crl){ .revoked = &leaf, .n = 1 }, -2, 9);
	expect(f, REV_GOOD, REV_GOOD);
}

/* The CA has replaced it: that its end is far away does not bring it back. */
static void one_older_than_our_own_says_nothing(void **state)
{
	struct fixture *f = *state;

	own(f, (struct testpki_crl){ .n = 0 }, -3, -1);
	message(f, (struct testpki_crl){ .n = 0 }, -9, 900);
	expect(f, REV_STALE, REV_STALE);
	/* one for other certificates does not replace it */
	own(f, (struct testpki_crl){ .idp = "onlyCA" }, -3, -1);
	message(f, (struct testpki_crl){ .n = 0 }, -9, 900);
	expect(f, REV_UNKNOWN, REV_GOOD);
}

static void our_own_delta_is_applied_to_it(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;
	const struct testpki_crl complete = { .number = 5 };
	const struct testpki_crl delta = { .number = 6, .base = 5, .revoked = &leaf, .n = 1 };

	own(f, delta, -1, 9);
	message(f, complete, -2, 9);
	expect(f, REV_UNKNOWN, REV_REVOKED);
	message(f, complete, -2, 9);
	message(f, delta, -1, 9);
	expect(f, REV_UNKNOWN, REV_REVOKED);
	message(f, delta, -1, 9);
	expect(f, REV_UNKNOWN, REV_UNKNOWN);
}

static void forgeries_say_nothing(void **state)
{
	struct fixture *f = *state;
	struct testpki *stranger = testpki_root("Sub"), *other = testpki_sub(f->root, "Other");
	struct testpki forger = { .x509 = f->sub->x509, .pkey = stranger->pkey };

	bring(f, stranger);
	message(f, (struct testpki_crl){ .ca = stranger }, -1, 9);	/* a CA of the same name */
	message(f, (struct testpki_crl){ .ca = &forger }, -1, 9);	/* and with the same key identifier */
	message(f, (struct testpki_crl){ .ca = other }, -1, 9);
	message(f, (struct testpki_crl){ .ca = other, .name = f->sub }, -1, 9);
	message(f, (struct testpki_crl){ .extra_oid = "1.2.3.4" }, -1, 9);
	assert_int_equal(buf_append_text(&f->brought[f->n++], "0\x82\x01\x01rubbish"), 0);
	expect(f, REV_UNKNOWN, REV_UNKNOWN);
	testpki_free(other);
	testpki_free(stranger);
}

/* Another key of the CA, whose certificate our own CRLs could use: here the sender would bring both. */
static void their_signers_cannot_be_brought_along(void **state)
{
	struct fixture *f = *state;
	struct testpki *twin = testpki_sub(f->root, "Sub");

	bring(f, twin);
	message(f, (struct testpki_crl){ .ca = twin }, -1, 9);
	message(f, (struct testpki_crl){ .ca = twin, .idp = "indirect" }, -1, 9);
	message(f, (struct testpki_crl){ .ca = f->leaf, .name = f->sub, .idp = "indirect" }, -1, 9);
	expect(f, REV_UNKNOWN, REV_UNKNOWN);
	testpki_free(twin);
}

static void an_issuing_ca_needs_an_answer_too(void **state)
{
	struct fixture *f = *state;
	const struct testpki *sub = f->sub;

	load(f, REVOCATION_SOFT);
	assert_int_equal(unlink(in(f, "root.crl")), 0);
	evidence_store_look(collection_evidence_store(f->collection));
	message(f, (struct testpki_crl){ .n = 0 }, -1, 9);
	assert_int_equal(ask(f), REV_UNKNOWN);
	assert_false(f->result.brought);
	message(f, (struct testpki_crl){ .ca = f->root }, -3, 9);
	assert_int_equal(ask(f), REV_GOOD);
	message(f, (struct testpki_crl){ .ca = f->root, .revoked = &sub, .n = 1 }, -2, 9);
	assert_int_equal(ask(f), REV_REVOKED);
}

/* As many as a message may have: the one that revokes is found, and none of it when the signatures are used up. */
static void junk_hides_nothing(void **state)
{
	struct fixture *f = *state;
	struct testpki *stranger = testpki_root("Sub");
	const struct testpki forger = { .x509 = f->sub->x509, .pkey = stranger->pkey };
	const struct testpki *leaf = f->leaf;

	for (int i = 0; i < MOST - 1; i++)
		message(f, (struct testpki_crl){ .ca = &forger, .number = 100 + i, .base = i % 2 }, -1, 9 + i);
	message(f, (struct testpki_crl){ .revoked = &leaf, .n = 1, .number = 1 }, -2, 9);
	load(f, REVOCATION_HARD);
	assert_int_equal(ask(f), REV_REVOKED);
	f->signatures = 100000;
	f->n = 0;
	for (size_t i = 0; i < MOST; i++)
		buf_reset(&f->brought[i]);
	for (int i = 0; i < MOST; i++)
		message(f, (struct testpki_crl){ .ca = &forger }, -1, 9 + i);
	/* own lists are counted apart */
	own(f, (struct testpki_crl){ .revoked = &leaf, .n = 1 }, -1, 9);
	load(f, REVOCATION_HARD);
	assert_int_equal(ask(f), REV_REVOKED);
	assert_false(f->result.brought);
	testpki_free(stranger);
}

static void nothing_of_it_stays(void **state)
{
	struct fixture *f = *state;

	message(f, (struct testpki_crl){ .n = 0 }, -1, 9);
	load(f, REVOCATION_HARD);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask(f), REV_GOOD);
		assert_int_equal(ask_with(f, f->leaf, 0), REV_UNKNOWN);
	}
	/* and what is lacking is wanted all the same */
	assert_int_equal(f->told, 1);
}

static void who_is_not_asked_does_not_answer(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;

	message(f, (struct testpki_crl){ .revoked = &leaf, .n = 1 }, -1, 9);
	load(f, REVOCATION_OFF);
	assert_int_equal(ask(f), REV_OFF);
	/* a pinned certificate is no chain */
	f->pinned = true;
	load(f, REVOCATION_SOFT);
	assert_int_equal(ask(f), REV_UNKNOWN);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(they_speak_where_nobody_else_does), TEST(they_must_be_valid_now), TEST(our_own_answer_stands),
		TEST(one_older_than_our_own_says_nothing), TEST(our_own_delta_is_applied_to_it),
		TEST(forgeries_say_nothing), TEST(their_signers_cannot_be_brought_along),
		TEST(an_issuing_ca_needs_an_answer_too), TEST(junk_hides_nothing), TEST(nothing_of_it_stays),
		TEST(who_is_not_asked_does_not_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
