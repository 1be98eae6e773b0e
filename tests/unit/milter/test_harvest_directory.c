/* test_harvest_directory.c - what a directory of type "harvested" answers: what is in use and nothing else, at once;
 * none where nothing was learned, "could not ask" where that cannot be told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "milter/harvest_directory.h"
#include "milter/harvest_store.h"
#include "support/testdir.h"
#include "support/testpki.h"

#define BOB "bob@partner.example"
#define NOON 1795300000

struct fixture {
	char *scratch, *path;
	struct testpki *root, *ca, *bob;
	struct cert *cert;
	struct buf chain;
	struct arena *arena;
	struct testdir_clock clock;
	struct directory directory;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct directory_settings settings = { .type = "harvested" };
	struct directory_env env = { .clock = &f->clock.clock };

	f->scratch = testdir_scratch();
	f->path = testdir_path(f->scratch, HARVEST_STORE_FILE);
	f->arena = arena_new(0);
	f->root = testpki_root("Root");
	f->ca = testpki_sub(f->root, "CA");
	f->bob = testpki_leaf(f->ca, BOB);
	f->cert = testpki_cert(f->bob);
	buf_init(&f->chain, 0);
	testpki_der(f->ca, &f->chain);
	testdir_clock_init(&f->clock);
	env.state_dir = f->scratch;
	assert_int_equal(harvest_directory_driver.open(&settings, NULL, NULL, &env, &f->directory, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	directory_free(&f->directory);
	arena_free(f->arena);
	buf_clear(&f->chain);
	cert_free(f->cert);
	testpki_free(f->bob);
	testpki_free(f->ca);
	testpki_free(f->root);
	free(f->path);
	testdir_remove(f->scratch);
	free(f);
	return 0;
}

static void learn(struct fixture *f, bool at_once, time_t signed_at)
{
	const struct harvest_lesson lesson = {
		.address = slice_of(BOB), .collection = slice_of("partners"), .chain = buf_slice(&f->chain),
		.cert = f->cert, .capabilities = { true, 1U << CIPHER_AES256_GCM }, .signed_at = signed_at,
		.at_once = at_once, .how = "mail",
	};
	struct harvest_store *store = harvest_store_open(f->scratch, NULL);
	struct harvest_change change;

	assert_non_null(store);
	assert_int_equal(harvest_store_learn(store, &lesson, NOON, &change, NULL), 0);
	harvest_store_close(store);
}

static void nothing_learned_is_none(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(testdir_find(&f->directory, f->arena, BOB).status, DIRECTORY_NONE);
	assert_int_equal(f->directory.class->probe(f->directory.self, NULL), 0);
}

static void what_is_learned_is_found_at_once(void **state)
{
	struct fixture *f = *state;
	struct directory_answer answer;

	assert_int_equal(testdir_find(&f->directory, f->arena, BOB).status, DIRECTORY_NONE);
	learn(f, true, NOON);
	answer = testdir_find(&f->directory, f->arena, "Bob@PARTNER.example");
	assert_int_equal(answer.status, DIRECTORY_FOUND);
	assert_int_equal(answer.n, 1);
	assert_true(cert_equal(answer.entries[0].cert, f->cert));
	assert_true(answer.entries[0].capabilities.known);
	assert_int_equal(answer.entries[0].capabilities.ciphers, 1U << CIPHER_AES256_GCM);
	assert_string_equal(answer.entries[0].attribute, "mail");
	assert_int_equal(answer.chain.n, 1);
	assert_int_equal(testdir_find(&f->directory, f->arena, "carol@partner.example").status, DIRECTORY_NONE);
	assert_int_equal(testdir_find(&f->directory, f->arena, "'or'1'='1@partner.example").status, DIRECTORY_NONE);
}

static void what_waits_is_not_found(void **state)
{
	struct fixture *f = *state;

	learn(f, false, NOON);
	assert_int_equal(testdir_find(&f->directory, f->arena, BOB).status, DIRECTORY_NONE);
}

static void damaged_could_not_be_asked(void **state)
{
	struct fixture *f = *state;
	struct buf nothing;
	struct err err;

	buf_init(&nothing, 0);
	testpki_write(f->path, &nothing, 0600);
	assert_int_equal(testdir_find(&f->directory, f->arena, BOB).status, DIRECTORY_FAILED);
	assert_int_equal(f->directory.class->probe(f->directory.self, &err), -1);
}

static void locked_could_not_be_asked(void **state)
{
	struct fixture *f = *state;
	struct address address = testdir_address(f->arena, BOB);
	struct directory_answer answer;
	sqlite3 *db = NULL;
	int64_t now_ms = clock_monotonic_ms(&f->clock.clock);

	learn(f, true, NOON);
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE harvest SET how = how",
				      NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(f->directory.class->find(f->directory.self, f->arena, &address, 1, now_ms, &answer, NULL), 0);
	assert_int_equal(answer.status, DIRECTORY_FAILED);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(testdir_find(&f->directory, f->arena, BOB).status, DIRECTORY_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_learned_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_learned_is_found_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_waits_is_not_found, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_could_not_be_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(locked_could_not_be_asked, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
