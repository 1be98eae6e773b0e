/* test_directory_files.c - the files driver: what is found, what changes, what is wrong with files and settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support/testdir.h"
#include "support/testpki.h"

struct state {
	struct testdir_clock clock;
	struct testdir dir;
	struct arena *arena;
	char *scratch;
	struct testpki *root, *alice, *bob;
};

static int setup(void **state)
{
	static struct state s;

	memset(&s, 0, sizeof(s));
	testdir_clock_init(&s.clock);
	s.arena = arena_new(0);
	s.scratch = testdir_scratch();
	s.root = testpki_root("Root");
	s.alice = testpki_leaf(s.root, "Alice@Example.com");
	s.bob = testpki_leaf(s.root, "bob@example.com");
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	testdir_close(&s->dir);
	arena_free(s->arena);
	testdir_remove(s->scratch);
	testpki_free(s->alice);
	testpki_free(s->bob);
	testpki_free(s->root);
	return 0;
}

static void put(struct state *s, const char *name, const struct testpki *pki, unsigned what)
{
	char *path = testdir_path(s->scratch, name);

	testpki_write_pem(path, pki, what);
	free(path);
}

static void put_text(struct state *s, const char *name, const char *text)
{
	char *path = testdir_path(s->scratch, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	free(path);
}

static int open_dir(struct state *s, struct err *err)
{
	return testdir_open(&s->dir, &directory_files_driver, &s->clock.clock, err, "type = \"files\"; path = \"%s\";",
			    s->scratch);
}

static struct directory_answer find(struct state *s, const char *address)
{
	return testdir_find(&s->dir.directory, s->arena, address);
}

static void finds_by_the_addresses_inside(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;
	struct err err;

	put(s, "x.pem", s->alice, TESTPKI_CERT | TESTPKI_CHAIN);
	put(s, "y.pem", s->bob, TESTPKI_CERT);
	assert_int_equal(open_dir(s, &err), 0);
	answer = find(s, "aLICE@example.COM");
	assert_int_equal(answer.status, DIRECTORY_FOUND);
	assert_int_equal(answer.n, 1);
	assert_string_equal(answer.entries[0].attribute, "x.pem");
	assert_string_equal(cert_info(answer.entries[0].cert)->addresses[0].text.p, "Alice@example.com");
	assert_int_equal(answer.chain.n, 1);
	assert_true(cert_info(answer.chain.items[0])->ca);
	answer = find(s, "carol@example.com");
	assert_int_equal(answer.status, DIRECTORY_NONE);
	assert_int_equal(answer.n, 0);
	assert_int_equal(answer.chain.n, 1);
	assert_int_equal(answer.problem_count, 0);
	assert_int_equal(s->dir.directory.class->probe(s->dir.directory.self, &err), 0);
	assert_false(s->dir.directory.trusted);
}

static void all_formats_and_several_certificates(void **state)
{
	struct state *s = *state;
	struct testpki *newer = testpki_leaf(s->root, "alice@example.com");
	const struct testpki *both[2] = { s->alice, s->bob };
	char *path = testdir_path(s->scratch, "all.p7b");
	struct directory_answer answer;
	struct buf bytes;
	struct err err;

	buf_init(&bytes, 0);
	testpki_p7b(both, 2, false, &bytes);
	testpki_write(path, &bytes, 0644);
	free(path);
	buf_reset(&bytes);
	testpki_der(newer, &bytes);
	path = testdir_path(s->scratch, "newer.cer");
	testpki_write(path, &bytes, 0644);
	free(path);
	buf_clear(&bytes);
	assert_int_equal(open_dir(s, &err), 0);
	answer = find(s, "alice@example.com");
	assert_int_equal(answer.n, 2);
	assert_string_equal(answer.entries[0].attribute, "all.p7b");
	assert_string_equal(answer.entries[1].attribute, "newer.cer");
	assert_int_equal(find(s, "bob@example.com").n, 1);
	testpki_free(newer);
}

static void bad_file_hides_no_good_one(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;
	struct err err;

	put(s, "x.pem", s->alice, TESTPKI_CERT);
	put_text(s, "README", "certificates of partners\n");
	assert_int_equal(open_dir(s, &err), 0);
	answer = find(s, "alice@example.com");
	assert_int_equal(answer.status, DIRECTORY_FOUND);
	assert_int_equal(answer.problem_count, 1);
	assert_non_null(strstr(answer.problems[0], "README: "));
	assert_non_null(strstr(s->dir.log, "README: "));
}

/* What comes and goes is seen at once, what is written in place after a second. */
static void changes_are_seen(void **state)
{
	static const struct timespec tick = { .tv_nsec = 20 * 1000 * 1000 };	/* of the file system's clock */
	struct state *s = *state;
	char *path = testdir_path(s->scratch, "y.pem");
	struct directory_answer before;
	struct err err;

	put(s, "x.pem", s->alice, TESTPKI_CERT);
	assert_int_equal(open_dir(s, &err), 0);
	before = find(s, "alice@example.com");
	nanosleep(&tick, NULL);
	put(s, "y.pem", s->bob, TESTPKI_CERT);
	assert_int_equal(find(s, "bob@example.com").status, DIRECTORY_FOUND);
	put(s, "y.pem", s->alice, TESTPKI_CERT);
	s->clock.monotonic_ms += 1000;
	assert_int_equal(find(s, "bob@example.com").status, DIRECTORY_NONE);
	assert_int_equal(find(s, "alice@example.com").n, 2);
	nanosleep(&tick, NULL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(find(s, "alice@example.com").n, 1);
	/* An answer given earlier still holds. */
	assert_int_equal(before.n, 1);
	assert_int_equal(cert_info(before.entries[0].cert)->address_count, 1);
	free(path);
}

static void vanished_path_is_no_answer(void **state)
{
	struct state *s = *state;
	char away[512];
	struct directory_answer answer;
	struct err err;

	put(s, "x.pem", s->alice, TESTPKI_CERT);
	assert_int_equal(open_dir(s, &err), 0);
	snprintf(away, sizeof(away), "%s.away", s->scratch);
	assert_int_equal(rename(s->scratch, away), 0);
	answer = find(s, "alice@example.com");
	assert_int_equal(answer.status, DIRECTORY_FAILED);
	assert_non_null(strstr(answer.failure, s->scratch));
	assert_int_equal(find(s, "bob@example.com").status, DIRECTORY_FAILED);
	assert_int_equal(s->dir.directory.class->probe(s->dir.directory.self, &err), -1);
	assert_int_equal(rename(away, s->scratch), 0);
	assert_int_equal(find(s, "alice@example.com").status, DIRECTORY_FOUND);
}

/* Which certificate hides behind a file that cannot be read is not known: so nobody has none. */
static void unreadable_file_is_no_answer(void **state)
{
	struct state *s = *state;
	char *path = testdir_path(s->scratch, "y.pem");
	struct err err;

	put(s, "x.pem", s->alice, TESTPKI_CERT);
	assert_int_equal(open_dir(s, &err), 0);
	/* Larger than what is read; a mode would not stop root. */
	put(s, "y.pem", s->bob, TESTPKI_CERT);
	assert_int_equal(truncate(path, (off_t)65 * 1024 * 1024), 0);
	s->clock.monotonic_ms += 1000;
	assert_int_equal(find(s, "bob@example.com").status, DIRECTORY_FAILED);
	assert_int_equal(unlink(path), 0);
	s->clock.monotonic_ms += 1000;
	assert_int_equal(find(s, "bob@example.com").status, DIRECTORY_NONE);
	free(path);
}

static void one_file_as_path(void **state)
{
	struct state *s = *state;
	struct err err;

	put(s, "x.pem", s->alice, TESTPKI_CERT);
	assert_int_equal(testdir_open(&s->dir, &directory_files_driver, &s->clock.clock, &err,
				      "type = \"files\"; path = \"%s/x.pem\"; trusted = true; "
				      "domains = \"example.com\"",
				      s->scratch),
			 0);
	assert_int_equal(find(s, "alice@example.com").status, DIRECTORY_FOUND);
	assert_true(s->dir.directory.trusted);
	assert_int_equal(s->dir.directory.domains.n, 1);
	assert_non_null(strstr(s->dir.directory.name, "files:/"));
}

static void wrong_settings_are_findings(void **state)
{
	struct state *s = *state;
	struct err err;

	assert_int_equal(testdir_open(&s->dir, &directory_files_driver, &s->clock.clock, &err,
				      "type = \"files\"; path = \"%s/nowhere\";", s->scratch),
			 -1);
	assert_int_equal(err.class, ERR_CONFIG);
	assert_non_null(strstr(s->dir.findings, ":1: path: "));
	assert_non_null(strstr(s->dir.findings, "nowhere"));
	testdir_close(&s->dir);
	assert_int_equal(testdir_open(&s->dir, &directory_files_driver, &s->clock.clock, &err,
				      "type = \"files\";"),
			 -1);
	testdir_close(&s->dir);
	assert_int_equal(testdir_open(&s->dir, &directory_files_driver, &s->clock.clock, &err,
				      "type = \"files\"; path = \"%s\"; domains = [ \"*\", \"a b\" ]", s->scratch),
			 -1);
	assert_non_null(strstr(s->dir.findings, "domains: "));
}

static void cache_when_asked_for(void **state)
{
	struct state *s = *state;
	struct err err;

	assert_int_equal(testdir_open(&s->dir, &directory_files_driver, &s->clock.clock, &err,
				      "type = \"files\"; path = \"%s\"; negative_cache_s = 30", s->scratch),
			 0);
	assert_int_equal(find(s, "alice@example.com").status, DIRECTORY_NONE);
	put(s, "x.pem", s->alice, TESTPKI_CERT);
	s->clock.monotonic_ms += 2000;
	assert_int_equal(find(s, "alice@example.com").status, DIRECTORY_NONE);
	s->clock.monotonic_ms += 28000;
	assert_int_equal(find(s, "alice@example.com").status, DIRECTORY_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(finds_by_the_addresses_inside), TEST(all_formats_and_several_certificates),
		TEST(bad_file_hides_no_good_one), TEST(changes_are_seen),
		TEST(vanished_path_is_no_answer), TEST(unreadable_file_is_no_answer),
		TEST(one_file_as_path), TEST(wrong_settings_are_findings), TEST(cache_when_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
