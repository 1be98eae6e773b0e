/* test_path_memory.c - what a collection remembers of paths: the table, and that nobody can tell an answer from memory
 * from one that was worked out, on chains with random validity, CRLs, cross certificates and leavings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pki/path_memory.h"
#include "support/testpki.h"

#define HOUR_S ((time_t)3600)
#define WORLDS 100
#define QUESTIONS 10	/* in each */
#define CAS 4		/* in each: a root, two below it, and another certificate of one of these */

static void a_span_is_cut_on_both_sides(void **state)
{
	struct path_span span = { .after = 0, .before = 1000 };

	(void)state;
	path_span_cut(&span, 500, 100);
	path_span_cut(&span, 500, 50);
	path_span_cut(&span, 500, 900);
	path_span_cut(&span, 500, 950);
	assert_int_equal(span.after, 100);
	assert_int_equal(span.before, 900);
	path_span_cut(&span, 500, 500);
	assert_true(span.after == 500 && span.before == 500);
}

static void keeps_what_holds_at_that_moment(void **state)
{
	struct path_memory *memory = path_memory_new();
	unsigned char key[PATH_MEMORY_KEY_BYTES] = { 1, 2, 3 }, other[PATH_MEMORY_KEY_BYTES] = { 1, 2, 4 };
	const struct path_span span = { .after = 100, .before = 200 }, later = { .after = 300, .before = 400 };
	enum path_revocation revocation = REV_UNKNOWN;

	(void)state;
	assert_non_null(memory);
	assert_false(path_memory_find(memory, key, 150, &revocation));
	path_memory_keep(memory, key, &span, REV_GOOD);
	assert_true(path_memory_find(memory, key, 150, &revocation));
	assert_int_equal(revocation, REV_GOOD);
	assert_false(path_memory_find(memory, other, 150, &revocation));
	assert_false(path_memory_find(memory, key, 100, &revocation));
	assert_false(path_memory_find(memory, key, 200, &revocation));
	assert_true(path_memory_find(memory, key, 101, &revocation));
	assert_true(path_memory_find(memory, key, 199, &revocation));
	path_memory_keep(memory, key, &later, REV_STALE);
	assert_false(path_memory_find(memory, key, 150, &revocation));
	assert_true(path_memory_find(memory, key, 350, &revocation));
	assert_int_equal(revocation, REV_STALE);
	path_memory_free(memory);
	path_memory_free(NULL);
}

static void number_key(unsigned char *key, uint64_t number)
{
	assert_int_equal(crypt_sha256(&number, sizeof(number), key, NULL), 0);
}

/* What is asked for again and again stays, although ever more comes in. */
static void the_oldest_goes_first(void **state)
{
	struct path_memory *memory = path_memory_new();
	const struct path_span span = { .after = 0, .before = 1000 };
	unsigned char key[PATH_MEMORY_KEY_BYTES], known[PATH_MEMORY_KEY_BYTES];
	enum path_revocation revocation = REV_UNKNOWN;
	size_t kept = 0;

	(void)state;
	number_key(known, UINT64_MAX);
	path_memory_keep(memory, known, &span, REV_OFF);
	for (uint64_t i = 0; i < 100000; i++) {
		number_key(key, i);
		path_memory_keep(memory, key, &span, REV_GOOD);
		assert_true(path_memory_find(memory, key, 1, &revocation));
		assert_true(path_memory_find(memory, known, 1, &revocation));
	}
	for (uint64_t i = 0; i < 100000; i++) {
		number_key(key, i);
		kept += path_memory_find(memory, key, 1, &revocation);
	}
	assert_in_range(kept, 5000, 15000);
	path_memory_free(memory);
}

/* A question as it was asked: which of the CAs lay beside the certificate. */
struct question {
	time_t at;
	unsigned beside;	/* one bit each */
};

struct world {
	char directory[64];
	time_t now;
	struct testpki *cas[CAS], *leaf;
	struct cert *ca_certs[CAS], *leaf_cert;
	struct buf anchors, crls;
	enum revocation_mode mode;
	struct collection *remembering;
	struct question asked[QUESTIONS];
	size_t n;
	unsigned proofs, revoked;	/* answers */
};

static unsigned seed = 20261122;

/* At most once in an expression: compilers differ in what comes first. */
static unsigned any(unsigned below)
{
	return (unsigned)rand_r(&seed) % below;
}

static time_t any_hours(unsigned least, unsigned below)
{
	return (time_t)(least + any(below)) * HOUR_S;
}

static struct testpki *make(const struct world *w, const struct testpki *issuer, const char *cn, EVP_PKEY *pkey)
{
	time_t from = w->now - any_hours(1, 9), to = w->now + any_hours(4, 20);

	return testpki_make(issuer, &(struct testpki_spec){ .cn = cn, .ca = strncmp(cn, "CA", 2) == 0, .pkey = pkey,
							    .not_before = from, .not_after = to });
}

static void make_crl(struct world *w, const struct testpki *ca)
{
	const struct testpki *revoked = any(2) == 0 ? w->leaf : w->cas[1 + any(CAS - 1)];
	size_t n = any(3) == 0;
	time_t from = w->now - any_hours(1, 9), to = w->now + any_hours(2, 20);

	testpki_crl(ca, &revoked, n, from, to, true, &w->crls);
}

static void make_crls(struct world *w)
{
	for (size_t i = 0; i < CAS; i++)
		for (unsigned n = any(5) == 0 ? 0 : 1 + any(2); n > 0; n--)
			make_crl(w, w->cas[i]);
}

static struct collection *load(const struct world *w)
{
	char file[96], crl[96];
	const char *files[] = { file }, *crl_files[] = { crl }, *domains[] = { "*" };
	struct collection_settings settings = { .name = "test", .files = { files, 1 }, .domains = { domains, 1 },
						.revocation = (int)w->mode, .crls = { crl_files, w->crls.n > 0 } };
	struct collection *collection;

	snprintf(file, sizeof(file), "%s/ca.pem", w->directory);
	snprintf(crl, sizeof(crl), "%s/crl.pem", w->directory);
	testpki_write(file, &w->anchors, 0644);
	testpki_write(crl, &w->crls, 0644);
	collection = collection_load(&settings, &(struct collection_env){ .report = NULL }, NULL);
	unlink(file);
	unlink(crl);
	assert_non_null(collection);
	return collection;
}

static void world_init(struct world *w)
{
	static const char *const names[] = { "CA 0", "CA 1", "CA 2" };
	unsigned twin = 1 + any(2);
	bool other_key = any(2) == 0;	/* for CRLs, else a certificate across */

	*w = (struct world){ .now = time(NULL), .mode = any(4) == 0 ? REVOCATION_OFF : REVOCATION_SOFT };
	snprintf(w->directory, sizeof(w->directory), "/tmp/test_path_memory.XXXXXX");
	assert_non_null(mkdtemp(w->directory));
	for (size_t i = 0; i < CAS - 1; i++)
		w->cas[i] = make(w, i == 0 ? NULL : w->cas[i - 1], names[i], NULL);
	w->cas[CAS - 1] = make(w, w->cas[twin - 1], names[twin], other_key ? NULL : w->cas[twin]->pkey);
	w->leaf = make(w, w->cas[CAS - 2], "Leaf", NULL);
	w->leaf_cert = testpki_cert(w->leaf);
	for (size_t i = 0; i < CAS; i++)
		w->ca_certs[i] = testpki_cert(w->cas[i]);
	buf_init(&w->anchors, 0);
	buf_init(&w->crls, 0);
	testpki_pem(w->cas[0], TESTPKI_CERT, &w->anchors);
	if (any(3) == 0)
		testpki_pem(w->cas[1 + any(CAS - 1)], TESTPKI_CERT, &w->anchors);
	make_crls(w);
	w->remembering = load(w);
}

static void world_clear(struct world *w)
{
	collection_free(w->remembering);
	cert_free(w->leaf_cert);
	testpki_free(w->leaf);
	for (size_t i = 0; i < CAS; i++) {
		cert_free(w->ca_certs[i]);
		testpki_free(w->cas[i]);
	}
	buf_clear(&w->anchors);
	buf_clear(&w->crls);
	assert_int_equal(rmdir(w->directory), 0);
}

static struct path_result ask(const struct world *w, const struct collection *collection, time_t at, unsigned beside)
{
	struct cert_list untrusted = { 0 };
	struct path_query query = { .cert = w->leaf_cert, .untrusted = &untrusted, .collections = &collection,
				    .collection_count = 1, .at = at };
	struct path_result result;

	for (size_t i = 0; i < CAS; i++)
		if ((beside & 1U << i) != 0)
			assert_int_equal(cert_list_add(&untrusted, w->ca_certs[i]), 0);
	assert_int_equal(path_check(&query, &result, NULL), 0);
	assert_true((result.collection == collection) == (result.chain == CHAIN_GOOD));
	cert_list_clear(&untrusted);
	return result;
}

/* By a collection that has nothing to remember. */
static struct path_result ask_afresh(const struct world *w, time_t at, unsigned beside)
{
	struct collection *fresh = load(w);
	struct path_result result = ask(w, fresh, at, beside);

	collection_free(fresh);
	return result;
}

static bool equal(const struct path_result *a, const struct path_result *b)
{
	return a->chain == b->chain && a->revocation == b->revocation && strcmp(a->detail, b->detail) == 0;
}

static bool is_proof(const struct path_result *result)
{
	return result->chain == CHAIN_GOOD && (result->revocation == REV_GOOD || result->revocation == REV_OFF);
}

/* With what lay beside an earlier question it is proven now. */
static bool was_proven(const struct world *w, time_t at, const struct path_result *result)
{
	struct path_result earlier;

	for (size_t i = 0; i < w->n; i++) {
		earlier = ask_afresh(w, at, w->asked[i].beside);
		if (equal(&earlier, result))
			return true;
	}
	return false;
}

/* CAs that lay beside an earlier question are known (known_cas.h): it is the answer of somebody who has some of them. */
static bool is_of_known_cas(const struct world *w, time_t at, unsigned beside, const struct path_result *result)
{
	struct path_result wider;

	for (unsigned known = 1; known < 1U << CAS; known++) {
		wider = ask_afresh(w, at, beside | known);
		if (equal(&wider, result))
			return true;
	}
	return false;
}

/* 1: the same as without memory; 0: a proof that was made before, or a path of CAs that were known. */
static unsigned compare(struct world *w)
{
	time_t at = w->now - 5 * HOUR_S + any_hours(0, 18);
	unsigned beside = any(3) == 0 ? any(1U << CAS) : (1U << CAS) - 1;
	struct path_result remembered, fresh;

	/* else on the hour, the very second at which something begins or ends */
	if (any(2) == 0)
		at += any(3600);
	if (w->n > 0 && any(2) == 0)
		at = w->asked[any((unsigned)w->n)].at + 60;
	remembered = ask(w, w->remembering, at, beside);
	fresh = ask_afresh(w, at, beside);
	if (!equal(&remembered, &fresh) && !(is_proof(&remembered) && was_proven(w, at, &remembered)) &&
	    !(fresh.chain == CHAIN_INCOMPLETE && is_of_known_cas(w, at, beside, &remembered)))
		fail_msg("from memory: %s %s %s; else %s %s %s", path_chain_name(remembered.chain),
			 path_revocation_name(remembered.revocation), remembered.detail, path_chain_name(fresh.chain),
			 path_revocation_name(fresh.revocation), fresh.detail);
	w->proofs += is_proof(&remembered);
	w->revoked += remembered.revocation == REV_REVOKED;
	w->asked[w->n++] = (struct question){ .at = at, .beside = beside };
	return equal(&remembered, &fresh);
}

static void nobody_can_tell(void **state)
{
	struct world w;
	unsigned same = 0, proofs = 0, revoked = 0;

	(void)state;
	for (size_t i = 0; i < WORLDS; i++) {
		world_init(&w);
		for (size_t k = 0; k < QUESTIONS; k++)
			same += compare(&w);
		proofs += w.proofs;
		revoked += w.revoked;
		world_clear(&w);
	}
	print_message("%d answers: %u equal, the others proven before; %u proofs, %u revoked\n", WORLDS * QUESTIONS, same,
		      proofs, revoked);
	assert_true(proofs >= 50 && revoked >= 20);
	assert_in_range(same, WORLDS * QUESTIONS / 2, WORLDS * QUESTIONS);
}

/* A world of lasting certificates and nothing random. */
static void plain_world(struct world *w)
{
	const struct testpki *revoked;

	*w = (struct world){ .now = time(NULL), .mode = REVOCATION_SOFT };
	snprintf(w->directory, sizeof(w->directory), "/tmp/test_path_memory.XXXXXX");
	assert_non_null(mkdtemp(w->directory));
	w->cas[0] = testpki_root("CA 0");
	w->cas[1] = testpki_sub(w->cas[0], "CA 1");
	w->cas[2] = testpki_make(w->cas[0], &(struct testpki_spec){ .cn = "CA 1", .ca = true,
								    .pkey = w->cas[1]->pkey });
	w->cas[3] = testpki_root("CA 3");
	w->leaf = testpki_leaf(w->cas[1], "a@example.com");
	w->leaf_cert = testpki_cert(w->leaf);
	for (size_t i = 0; i < CAS; i++)
		w->ca_certs[i] = testpki_cert(w->cas[i]);
	buf_init(&w->anchors, 0);
	buf_init(&w->crls, 0);
	testpki_pem(w->cas[0], TESTPKI_CERT, &w->anchors);
	revoked = w->cas[2];
	testpki_crl(w->cas[0], &revoked, 1, w->now - 10, w->now + HOUR_S, true, &w->crls);
	testpki_crl(w->cas[1], NULL, 0, w->now - 10, w->now + HOUR_S, true, &w->crls);
	w->remembering = load(w);
}

/* Somebody sends the signer's certificate with a CA certificate of his that was revoked, then the signer himself. */
static void a_revoked_ca_beside_it_does_not_stick(void **state)
{
	struct world w;
	struct path_result result;

	(void)state;
	plain_world(&w);
	result = ask(&w, w.remembering, w.now, 1U << 2);
	assert_int_equal(result.revocation, REV_REVOKED);
	result = ask(&w, w.remembering, w.now, 1U << 2);
	assert_int_equal(result.revocation, REV_REVOKED);
	assert_string_not_equal(result.detail, "");
	result = ask(&w, w.remembering, w.now, 1U << 1);
	assert_int_equal(result.chain, CHAIN_GOOD);
	assert_int_equal(result.revocation, REV_GOOD);
	world_clear(&w);
}

/* A CA that a message brought is there for the next signer under it, unless what it led to was revoked. */
static void a_ca_that_came_along_is_known(void **state)
{
	struct world w;
	struct testpki *other;
	struct cert *own;

	(void)state;
	plain_world(&w);
	other = testpki_leaf(w.cas[1], "b@example.com");
	own = w.leaf_cert;
	assert_int_equal(ask(&w, w.remembering, w.now, 1U << 2).revocation, REV_REVOKED);
	w.leaf_cert = testpki_cert(other);
	assert_int_equal(ask(&w, w.remembering, w.now, 0).chain, CHAIN_INCOMPLETE);
	cert_free(w.leaf_cert);
	w.leaf_cert = own;
	assert_int_equal(ask(&w, w.remembering, w.now, 1U << 1).revocation, REV_GOOD);
	w.leaf_cert = testpki_cert(other);
	assert_int_equal(ask(&w, w.remembering, w.now, 0).revocation, REV_GOOD);
	cert_free(w.leaf_cert);
	w.leaf_cert = own;
	testpki_free(other);
	world_clear(&w);
}

static void a_proof_needs_nothing_beside_it_again(void **state)
{
	struct world w;
	struct path_result result;

	(void)state;
	plain_world(&w);
	assert_int_equal(ask(&w, w.remembering, w.now, 0).chain, CHAIN_INCOMPLETE);
	assert_int_equal(ask(&w, w.remembering, w.now, 1U << 1).chain, CHAIN_GOOD);
	result = ask(&w, w.remembering, w.now, 0);
	assert_int_equal(result.chain, CHAIN_GOOD);
	assert_int_equal(result.revocation, REV_GOOD);
	assert_string_equal(result.detail, "");
	/* but not when the CRLs are out of date, nor before they were made, nor when all is over */
	assert_int_equal(ask(&w, w.remembering, w.now + HOUR_S, 0).revocation, REV_STALE);
	assert_int_equal(ask(&w, w.remembering, w.now - 3600, 0).revocation, REV_UNKNOWN);
	assert_int_equal(ask(&w, w.remembering, w.now + 2 * HOUR_S, 1U << 1).revocation, REV_STALE);
	assert_int_equal(ask(&w, w.remembering, w.now + 20000 * HOUR_S, 1U << 1).chain, CHAIN_EXPIRED);
	assert_int_equal(ask(&w, w.remembering, w.now, 1U << 1).revocation, REV_GOOD);
	world_clear(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_span_is_cut_on_both_sides), cmocka_unit_test(keeps_what_holds_at_that_moment),
		cmocka_unit_test(the_oldest_goes_first), cmocka_unit_test(nobody_can_tell),
		cmocka_unit_test(a_revoked_ca_beside_it_does_not_stick),
		cmocka_unit_test(a_ca_that_came_along_is_known), cmocka_unit_test(a_proof_needs_nothing_beside_it_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
