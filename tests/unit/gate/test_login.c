/* The file of sender_login: who may have whose mail signed, and what is refused in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gate/site.h"
#include "support/testdir.h"

static const struct directory_driver *const directories[] = { &directory_files_driver, NULL };
static const struct keystore_driver *const keystores[] = { &keystore_pem_driver, NULL };
static const struct site_drivers drivers = { directories, keystores, NULL };

struct fixture {
	char *scratch, *conf, *logins;
	char findings[4000];
	struct site *site;
	struct err err;
};

static void collect(void *self, const char *line)
{
	char *text = self;

	strncat(text, line, 3990 - strlen(text));
	strcat(text, "\n");
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	chmod(path, mode);
}

static int reload(struct fixture *f)
{
	const struct conf_report findings = { collect, f->findings };
	const struct site_env env = { .drivers = &drivers, .clock = &clock_system, .findings = &findings };

	f->findings[0] = '\0';
	return site_load(f->conf, &env, &f->site, &f->err);
}

static int load(struct fixture *f, const char *logins, mode_t mode)
{
	char text[400];

	write_file(f->logins, logins, mode);
	snprintf(text, sizeof(text), "\nsender_login = \"%s\";\n"
		 "rules = ( { id = \"x\"; sign = \"if-key\"; sign_for = \"login\"; } );\n", f->logins);
	write_file(f->conf, text, 0644);
	site_free(f->site);
	f->site = NULL;
	return reload(f);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->scratch = testdir_scratch();
	f->conf = testdir_path(f->scratch, "site.conf");
	f->logins = testdir_path(f->scratch, "logins");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	site_free(f->site);
	testdir_remove(f->scratch);
	free(f->conf);
	free(f->logins);
	free(f);
	return 0;
}

static bool may(struct fixture *f, const char *login, const char *from)
{
	struct arena *arena = arena_new(0);
	struct address address = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
	bool answer;

	assert_int_equal(address_parse(arena, slice_of(from), &address, NULL), 0);
	answer = login_may(&f->site->logins, login, &address);
	arena_free(arena);
	return answer;
}

static void test_who_may(void **state)
{
	static const char text[] = "# who may sign as whom\r\n"
				   "alice\talice@example.com  a.smith@example.com # her names\n"
				   "\n"
				   "   # office\n"
				   "office@example.com *@office.example.com *@.lab.example.com\n"
				   "root# *\n"
				   "last l#st@example.com";
	struct fixture *f = *state;

	if (load(f, text, 0644) != 0)
		fail_msg("%s", f->findings);
	assert_int_equal(f->site->logins.n, 4);
	assert_true(may(f, "alice", "alice@example.com"));
	assert_true(may(f, "ALICE", "A.Smith@EXAMPLE.com"));
	assert_false(may(f, "alice", "bob@example.com"));
	assert_false(may(f, "alic", "alice@example.com"));
	assert_false(may(f, "office", "x@office.example.com"));
	assert_true(may(f, "office@example.com", "x@office.example.com"));
	assert_true(may(f, "office@example.com", "x@a.lab.example.com"));
	assert_false(may(f, "office@example.com", "x@lab.example.com"));
	assert_true(may(f, "root#", "anybody@else.example"));
	assert_true(may(f, "last", "l#st@example.com"));
	assert_false(may(f, NULL, "alice@example.com"));
	assert_false(may(f, "", "alice@example.com"));
	assert_false(may(f, "root#", "<>"));
}

static void test_bad_lines(void **state)
{
	static const struct { const char *text; unsigned line; const char *word; } bad[] = {
		{ "alice\n", 1, "no address" },
		{ "# x\n\nalice # alice@example.com\n", 3, "no address" },
		{ "alice alice@example.com\nbob bob\n", 2, "\"bob\" is no address pattern" },
		{ "alice alice@example.com,\n", 1, "is no address pattern" },
		{ "alice <>\n", 1, "From <>" },
		{ "alice alice@example.com\nbob b@c\nAlice a@example.com\n", 3, "stands twice" },
	};
	struct fixture *f = *state;
	char where[300];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(load(f, bad[i].text, 0600), -1);
		snprintf(where, sizeof(where), "%s:%u: ", f->logins, bad[i].line);
		if (strstr(f->findings, where) == NULL || strstr(f->findings, bad[i].word) == NULL)
			fail_msg("%s: %s", bad[i].text, f->findings);
		assert_non_null(strstr(f->err.text, where));
	}
}

static void test_every_finding(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "a x y\nb\n", 0644), -1);
	assert_non_null(strstr(f->findings, "\"x\""));
	assert_non_null(strstr(f->findings, "\"y\""));
	assert_non_null(strstr(f->findings, "logins:2: "));
}

/* Who may write the file, may sign as anybody. */
static void test_mode(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "a a@b\n", 0664), -1);
	assert_non_null(strstr(f->findings, "site.conf:2: "));
	assert_non_null(strstr(f->findings, "mode is 0664"));
	assert_int_equal(load(f, "a a@b\n", 0646), -1);
	assert_int_equal(load(f, "a a@b\n", 0640), 0);
}

static void test_missing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "", 0644), 0);
	assert_int_equal(f->site->logins.n, 0);
	remove(f->logins);
	site_free(f->site);
	f->site = NULL;
	assert_int_equal(reload(f), -1);
	assert_non_null(strstr(f->findings, "site.conf:2: "));
	assert_non_null(strstr(f->findings, "No such file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_may, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_finding, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mode, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
