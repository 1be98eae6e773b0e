/* test_harvest_store.c - what becomes of a certificate that was learned, by what is known already: first ones,
 * renewals, changed keys, approval; what is older or said twice; a damaged file; several at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "milter/harvest_store.h"
#include "support/testdir.h"
#include "support/testpki.h"

#define BOB "bob@partner.example"
#define NOON 1795300000

/* Bob's certificates: another key each, but for RENEWED, which has FIRST's; OTHER_CA's is by another issuer. */
enum which { FIRST, SECOND, RENEWED, OTHER_CA, CERTS };

struct fixture {
	char *scratch, *path;
	struct testpki *ca, *other, *pkis[CERTS];
	struct cert *certs[CERTS];
	struct harvest_store *store;
	struct harvest_change change;
	struct arena *arena;
};

static struct testpki *make(const struct testpki *ca, EVP_PKEY *pkey)
{
	return testpki_make(ca, &(struct testpki_spec){ .cn = "Bob", .san = "email:" BOB, .pkey = pkey });
}

static int make_world(void **state)
{
	static struct fixture f;

	f.ca = testpki_root("One");
	f.other = testpki_root("Other");
	f.pkis[FIRST] = make(f.ca, NULL);
	f.pkis[SECOND] = make(f.ca, NULL);
	f.pkis[RENEWED] = make(f.other, f.pkis[FIRST]->pkey);
	f.pkis[OTHER_CA] = make(f.other, NULL);
	for (int i = 0; i < CERTS; i++)
		f.certs[i] = testpki_cert(f.pkis[i]);
	*state = &f;
	return 0;
}

static int free_world(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < CERTS; i++) {
		cert_free(f->certs[i]);
		testpki_free(f->pkis[i]);
	}
	testpki_free(f->ca);
	testpki_free(f->other);
	return 0;
}

static void open_store(struct fixture *f)
{
	struct err err = { 0 };

	f->store = harvest_store_open(f->scratch, &err);
	if (f->store == NULL)
		fail_msg("%s", err.text);
}

static int setup(void **state)
{
	struct fixture *f = *state;

	f->scratch = testdir_scratch();
	f->path = testdir_path(f->scratch, HARVEST_STORE_FILE);
	f->arena = arena_new(0);
	open_store(f);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	harvest_store_close(f->store);
	arena_free(f->arena);
	free(f->path);
	testdir_remove(f->scratch);
	return 0;
}

static struct harvest_lesson lesson(const struct fixture *f, enum which which, bool at_once, time_t signed_at)
{
	return (struct harvest_lesson){ .address = slice_of(BOB), .collection = slice_of("partners"),
					.cert = f->certs[which], .signed_at = signed_at, .at_once = at_once, .how = "mail" };
}

static enum harvest_news learn_lesson(struct fixture *f, const struct harvest_lesson *lesson)
{
	struct err err = { 0 };

	if (harvest_store_learn(f->store, lesson, NOON, &f->change, &err) != 0)
		fail_msg("%s", err.text);
	return f->change.news;
}

static enum harvest_news learn(struct fixture *f, enum which which, bool at_once, time_t signed_at)
{
	const struct harvest_lesson told = lesson(f, which, at_once, signed_at);

	return learn_lesson(f, &told);
}

/* Bob's row of a certificate, NULL: there is none. */
static const struct harvested *row(struct fixture *f, enum which which)
{
	struct harvested *rows = NULL;
	size_t n = 0;

	assert_int_equal(harvest_store_rows(f->store, f->arena, slice_of(BOB), &rows, &n, NULL), 0);
	for (size_t i = 0; i < n; i++)
		if (strcmp(rows[i].sha256, cert_info(f->certs[which])->sha256) == 0)
			return &rows[i];
	return NULL;
}

static void is(struct fixture *f, enum which which, enum harvest_state state)
{
	const struct harvested *found = row(f, which);

	assert_non_null(found);
	assert_int_equal(found->state, state);
}

static void approve(struct fixture *f, enum which which)
{
	assert_int_equal(harvest_store_approve(f->store, slice_of(BOB), cert_info(f->certs[which])->sha256, &f->change,
					       NULL), 0);
}

static void first_one_waits(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(learn(f, FIRST, false, NOON), HARVEST_NEWS_FIRST_WAITS);
	is(f, FIRST, HARVEST_STATE_PENDING);
	assert_int_equal(learn(f, FIRST, false, NOON + 1), HARVEST_NEWS_SEEN);
	is(f, FIRST, HARVEST_STATE_PENDING);
	approve(f, FIRST);
	assert_int_equal(f->change.news, HARVEST_NEWS_FIRST);
	assert_string_equal(f->change.before, "");
	is(f, FIRST, HARVEST_STATE_ACTIVE);
	assert_string_equal(row(f, FIRST)->how, "approve");
	assert_int_equal(learn(f, FIRST, false, NOON + 2), HARVEST_NEWS_SEEN);
	assert_string_equal(row(f, FIRST)->how, "approve");
}

static void first_one_is_used_at_once(void **state)
{
	struct fixture *f = *state;
	const struct harvested *found;

	assert_int_equal(learn(f, FIRST, true, NOON), HARVEST_NEWS_FIRST);
	is(f, FIRST, HARVEST_STATE_ACTIVE);
	found = row(f, FIRST);
	assert_string_equal(found->how, "mail");
	assert_string_equal(found->collection, "partners");
	assert_string_equal(found->issuer, cert_info(f->certs[FIRST])->issuer);
	assert_true(slice_equal(found->der, cert_info(f->certs[FIRST])->der));
	assert_true(found->first_seen == NOON && found->last_seen == NOON && found->signed_at == NOON);
	assert_false(found->capabilities.known);
}

/* One that waited is used when a rule with `on` sees it again, or the first other one. */
static void what_waits_does_not_stand_in_the_way(void **state)
{
	struct fixture *f = *state;

	learn(f, FIRST, false, NOON);
	assert_int_equal(learn(f, SECOND, true, NOON + 1), HARVEST_NEWS_FIRST);
	is(f, SECOND, HARVEST_STATE_ACTIVE);
	is(f, FIRST, HARVEST_STATE_PENDING);
}

static void older_changes_nothing(void **state)
{
	struct fixture *f = *state;

	learn(f, FIRST, true, NOON);
	assert_int_equal(learn(f, SECOND, true, NOON - 1), HARVEST_NEWS_NONE);
	assert_int_equal(learn(f, SECOND, true, NOON), HARVEST_NEWS_NONE);
	assert_null(row(f, SECOND));
	assert_int_equal(learn(f, RENEWED, true, NOON - 1), HARVEST_NEWS_NONE);
	learn(f, SECOND, true, NOON + 10);
	assert_int_equal(learn(f, FIRST, true, NOON + 5), HARVEST_NEWS_NONE);
	is(f, SECOND, HARVEST_STATE_ACTIVE);
}

static void changed_key_waits(void **state)
{
	struct fixture *f = *state;

	learn(f, FIRST, true, NOON);
	assert_int_equal(learn(f, SECOND, false, NOON + 1), HARVEST_NEWS_CHANGED_WAITS);
	assert_string_equal(f->change.before, cert_info(f->certs[FIRST])->sha256);
	assert_string_equal(f->change.now, cert_info(f->certs[SECOND])->sha256);
	assert_int_equal(learn(f, SECOND, false, NOON + 2), HARVEST_NEWS_SEEN);
	is(f, FIRST, HARVEST_STATE_ACTIVE);
	is(f, SECOND, HARVEST_STATE_PENDING);
	approve(f, SECOND);
	assert_int_equal(f->change.news, HARVEST_NEWS_CHANGED);
	assert_string_equal(f->change.before, cert_info(f->certs[FIRST])->sha256);
	is(f, FIRST, HARVEST_STATE_REPLACED);
	is(f, SECOND, HARVEST_STATE_ACTIVE);
	/* and back again is a change too */
	assert_int_equal(learn(f, FIRST, false, NOON + 3), HARVEST_NEWS_CHANGED_WAITS);
	is(f, SECOND, HARVEST_STATE_ACTIVE);
	is(f, FIRST, HARVEST_STATE_PENDING);
}

static void changed_key_of_the_same_issuer_at_once(void **state)
{
	struct fixture *f = *state;

	learn(f, FIRST, true, NOON);
	assert_int_equal(learn(f, SECOND, true, NOON + 1), HARVEST_NEWS_CHANGED);
	is(f, FIRST, HARVEST_STATE_REPLACED);
	is(f, SECOND, HARVEST_STATE_ACTIVE);
	assert_int_equal(learn(f, OTHER_CA, true, NOON + 2), HARVEST_NEWS_CHANGED_WAITS);
	is(f, SECOND, HARVEST_STATE_ACTIVE);
	is(f, OTHER_CA, HARVEST_STATE_PENDING);
}

/* Of that name there may be another one, where another collection vouches. */
static void issuers_of_other_collections_are_others(void **state)
{
	struct fixture *f = *state;
	struct harvest_lesson other = lesson(f, SECOND, true, NOON + 1);

	learn(f, FIRST, true, NOON);
	other.collection = slice_of("public");
	assert_int_equal(learn_lesson(f, &other), HARVEST_NEWS_CHANGED_WAITS);
}

static void same_key_is_a_renewal(void **state)
{
	struct fixture *f = *state;

	learn(f, FIRST, true, NOON);
	assert_int_equal(learn(f, RENEWED, false, NOON + 1), HARVEST_NEWS_RENEWED);
	is(f, FIRST, HARVEST_STATE_REPLACED);
	is(f, RENEWED, HARVEST_STATE_ACTIVE);
}

static void administrator_decides(void **state)
{
	struct fixture *f = *state;
	struct harvest_lesson given = lesson(f, OTHER_CA, false, NOON - 10);

	given.given = true;
	given.how = "import";
	given.collection = slice_of("");
	learn(f, FIRST, true, NOON);
	assert_int_equal(learn_lesson(f, &given), HARVEST_NEWS_CHANGED);
	is(f, OTHER_CA, HARVEST_STATE_ACTIVE);
	assert_string_equal(row(f, OTHER_CA)->how, "import");
	/* what was signed before the newest that is known is still old */
	assert_int_equal(learn(f, SECOND, true, NOON), HARVEST_NEWS_NONE);
	approve(f, FIRST);
	is(f, FIRST, HARVEST_STATE_ACTIVE);
}

static void approves_what_there_is(void **state)
{
	struct fixture *f = *state;
	struct err err;

	learn(f, FIRST, true, NOON);
	assert_int_equal(harvest_store_approve(f->store, slice_of(BOB), cert_info(f->certs[SECOND])->sha256, &f->change,
					       &err), -1);
	assert_int_equal(err.class, ERR_POLICY);
	assert_int_equal(harvest_store_approve(f->store, slice_of(BOB), cert_info(f->certs[FIRST])->sha256, &f->change,
					       &err), -1);
	assert_int_equal(err.class, ERR_POLICY);
	is(f, FIRST, HARVEST_STATE_ACTIVE);
}

static void keeps_capabilities(void **state)
{
	struct fixture *f = *state;
	struct harvest_lesson told = lesson(f, FIRST, true, NOON);

	told.capabilities = (struct capabilities){ true, 1U << CIPHER_AES256_GCM | 1U << CIPHER_AES128_CBC };
	learn_lesson(f, &told);
	assert_true(row(f, FIRST)->capabilities.known);
	assert_int_equal(row(f, FIRST)->capabilities.ciphers, told.capabilities.ciphers);
	/* a mail that does not say takes nothing back, one that says otherwise does */
	learn(f, FIRST, true, NOON + 1);
	assert_int_equal(row(f, FIRST)->capabilities.ciphers, told.capabilities.ciphers);
	told.signed_at = NOON + 2;
	told.capabilities.ciphers = 0;
	learn_lesson(f, &told);
	assert_true(row(f, FIRST)->capabilities.known);
	assert_int_equal(row(f, FIRST)->capabilities.ciphers, 0);
}

static void keeps_chains(void **state)
{
	struct fixture *f = *state;
	struct harvest_lesson told = lesson(f, FIRST, true, NOON);
	struct cert_list list = { NULL, 0, 0 };
	struct buf chain;

	buf_init(&chain, 0);
	testpki_der(f->ca, &chain);
	testpki_der(f->other, &chain);
	told.chain = buf_slice(&chain);
	learn_lesson(f, &told);
	assert_int_equal(harvest_chain_read(row(f, FIRST)->chain, &list, NULL), 0);
	assert_int_equal(list.n, 2);
	cert_list_clear(&list);
	assert_int_equal(harvest_chain_read(slice_first(buf_slice(&chain), chain.n - 1), &list, NULL), -1);
	cert_list_clear(&list);
	buf_clear(&chain);
}

static void a_flood_of_keys_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct harvest_lesson told = lesson(f, FIRST, true, NOON);
	struct harvested *rows = NULL;
	size_t n = 0;

	learn(f, FIRST, true, NOON);
	for (int i = 0; i < HARVEST_ROWS_MAX + 5; i++) {
		struct testpki *pki = make(f->ca, NULL);
		struct cert *cert = testpki_cert(pki);

		told = lesson(f, FIRST, false, NOON + 1 + i);
		told.cert = cert;
		assert_int_equal(learn_lesson(f, &told), HARVEST_NEWS_CHANGED_WAITS);
		cert_free(cert);
		testpki_free(pki);
	}
	assert_int_equal(harvest_store_rows(f->store, f->arena, slice_of(BOB), &rows, &n, NULL), 0);
	assert_int_equal(n, HARVEST_ROWS_MAX);
	is(f, FIRST, HARVEST_STATE_ACTIVE);
}

static void addresses_are_apart(void **state)
{
	struct fixture *f = *state;
	struct harvest_lesson told = lesson(f, SECOND, true, NOON);
	struct harvested *rows = NULL;
	size_t n = 0;

	learn(f, FIRST, true, NOON);
	told.address = slice_of("o'brien@partner.example");
	assert_int_equal(learn_lesson(f, &told), HARVEST_NEWS_FIRST);
	assert_int_equal(harvest_store_rows(f->store, f->arena, slice_of(""), &rows, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_string_equal(rows[0].address, BOB);
	assert_int_equal(harvest_store_rows(f->store, f->arena, told.address, &rows, &n, NULL), 0);
	assert_int_equal(n, 1);
}

static void readers_and_writers(void **state)
{
	struct fixture *f = *state;
	struct harvest_store *reader = NULL;
	struct harvested *rows = NULL;
	struct harvest_change change;
	const struct harvest_lesson told = lesson(f, SECOND, true, NOON + 2);
	size_t n = 0;
	struct err err;

	assert_int_equal(harvest_store_open_read("/nonexistent", 0, &reader, &err), 0);
	assert_null(reader);
	learn(f, FIRST, true, NOON);
	assert_int_equal(harvest_store_open_read(f->scratch, 0, &reader, &err), 1);
	learn(f, SECOND, true, NOON + 1);
	assert_int_equal(harvest_store_rows(reader, f->arena, slice_of(BOB), &rows, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(harvest_store_learn(reader, &told, NOON, &change, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	harvest_store_close(reader);
	/* what was written is there for the next who opens it */
	harvest_store_close(f->store);
	open_store(f);
	is(f, SECOND, HARVEST_STATE_ACTIVE);
}

static void several_at_once(void **state)
{
	struct fixture *f = *state;
	int status, wrong = 0;

	harvest_store_close(f->store);
	f->store = NULL;
	for (int i = 0; i < 4; i++) {
		if (fork() != 0)
			continue;
		open_store(f);
		for (int k = 0; k < 25; k++)
			learn(f, (enum which)(k % CERTS), k % 2 == 0, NOON + 4 * k + i);
		harvest_store_close(f->store);
		_exit(0);
	}
	for (int i = 0; i < 4; i++) {
		assert_true(wait(&status) > 0);
		wrong |= status;
	}
	assert_int_equal(wrong, 0);
	open_store(f);
	assert_non_null(row(f, FIRST));
}

static void damaged_is_not_empty(void **state)
{
	static const char *const texts[] = { "", "no database at all, but long enough to have a header of its own" };
	struct fixture *f = *state;
	struct harvest_store *reader = NULL;
	struct err err;

	harvest_store_close(f->store);
	f->store = NULL;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct buf bytes;

		buf_init(&bytes, 0);
		assert_int_equal(buf_append_text(&bytes, texts[i]), 0);
		testpki_write(f->path, &bytes, 0600);
		buf_clear(&bytes);
		assert_int_equal(harvest_store_open_read(f->scratch, 0, &reader, &err), -1);
		assert_int_equal(err.class, ERR_TEMP);
		assert_null(harvest_store_open(f->scratch, &err));
		assert_int_equal(err.class, ERR_TEMP);
	}
}

static void removed_while_open(void **state)
{
	struct fixture *f = *state;
	const struct harvest_lesson told = lesson(f, FIRST, true, NOON);
	struct err err;

	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(harvest_store_learn(f->store, &told, NOON, &f->change, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_one_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(first_one_is_used_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_waits_does_not_stand_in_the_way, setup, teardown),
		cmocka_unit_test_setup_teardown(older_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(changed_key_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(changed_key_of_the_same_issuer_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(issuers_of_other_collections_are_others, setup, teardown),
		cmocka_unit_test_setup_teardown(same_key_is_a_renewal, setup, teardown),
		cmocka_unit_test_setup_teardown(administrator_decides, setup, teardown),
		cmocka_unit_test_setup_teardown(approves_what_there_is, setup, teardown),
		cmocka_unit_test_setup_teardown(keeps_capabilities, setup, teardown),
		cmocka_unit_test_setup_teardown(keeps_chains, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flood_of_keys_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses_are_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(readers_and_writers, setup, teardown),
		cmocka_unit_test_setup_teardown(several_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_is_not_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(removed_while_open, setup, teardown),
	};

	return cmocka_run_group_tests(tests, make_world, free_world);
}
