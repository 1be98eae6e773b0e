/* test_audit_file.c - the audit log on disk: chain, restart, rotation, two writers, torn and cut logs, a full disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "milter/audit_file.h"
#include "support/testdir.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

struct fixture {
	char *scratch, *path, *old;
	struct audit_file *file;
	struct event_sink sink;
	char event[1000];
	bool chain;
};

static void note(void *self, enum event_level level, const char *line)
{
	(void)level;
	snprintf(((struct fixture *)self)->event, sizeof(((struct fixture *)self)->event), "%s", line);
}

static void reopen(struct fixture *f)
{
	const struct audit_file_env env = { f->path, f->scratch, f->chain, &f->sink };
	struct err err = { 0 };

	audit_file_close(f->file);
	f->file = audit_file_open(&env, &err);
	if (f->file == NULL)
		fail_msg("%s", err.text);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->scratch = testdir_scratch();
	f->path = testdir_path(f->scratch, "audit.log");
	f->old = testdir_path(f->scratch, "audit.log.1");
	f->sink = (struct event_sink){ note, f };
	f->chain = true;
	reopen(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	audit_file_close(f->file);
	testdir_remove(f->scratch);
	free(f->path);
	free(f->old);
	free(f);
	return 0;
}

static void append(struct fixture *f, const char *lines)
{
	struct err err = { 0 };

	if (audit_file_append(f->file, slice_of(lines), &err) != 0)
		fail_msg("%s", err.text);
}

static void append_raw(const char *path, const char *text)
{
	FILE *file = fopen(path, "a");

	fputs(text, file);
	fclose(file);
}

/* Goes through the logs in their order: how many lines are whole and follow; others are counted in *odd. */
static size_t follow(const char *const *paths, size_t n, size_t *odd)
{
	struct audit_last last;
	enum audit_link link;
	struct slice rest, line;
	struct buf bytes;
	size_t good = 0;
	long end;

	*odd = 0;
	audit_last_init(&last);
	buf_init(&bytes, 0);
	for (size_t i = 0; i < n; i++) {
		buf_reset(&bytes);
		assert_int_equal(file_read(paths[i], 0, &bytes, NULL), 0);
		for (rest = buf_slice(&bytes); (end = slice_find(rest, '\n')) >= 0; rest = slice_from(rest, (size_t)end + 1)) {
			line = slice_first(rest, (size_t)end);
			assert_int_equal(audit_link(&last, line, &link, NULL), 0);
			good += link == AUDIT_GOOD || link == AUDIT_FIRST;
			*odd += link != AUDIT_GOOD && link != AUDIT_FIRST;
		}
		assert_int_equal(rest.n, 0);
	}
	buf_clear(&bytes);
	return good;
}

static void assert_chain(struct fixture *f, bool rotated, size_t lines)
{
	const char *const paths[] = { rotated ? f->old : f->path, f->path };
	size_t odd;

	assert_int_equal(follow(paths, rotated ? 2 : 1, &odd), lines);
	assert_int_equal(odd, 0);
}

static void lines_have_a_front(void **state)
{
	struct fixture *f = *state;
	struct buf bytes;
	struct stat log;

	append(f, "{\"a\":1}\n{\"a\":2}\n");
	buf_init(&bytes, 0);
	assert_int_equal(file_read(f->path, 0, &bytes, NULL), 0);
	/* printf '{"seq":1,"prev":"000…","a":1}' | sha256sum */
	assert_string_equal(buf_string(&bytes),
			    "{\"seq\":1,\"prev\":\"" ZEROS "\",\"a\":1}\n"
			    "{\"seq\":2,\"prev\":\"d244c3d55c9ee8557abcc307f3b0cc81dbea647129afcce380a4fbfc162e21aa\",\"a\":2}\n");
	buf_clear(&bytes);
	assert_int_equal(stat(f->path, &log), 0);
	assert_int_equal(log.st_mode & 07137, 0);
}

static void without_a_chain_lines_are_counted(void **state)
{
	struct fixture *f = *state;
	struct buf bytes;

	f->chain = false;
	reopen(f);
	append(f, "{\"a\":1}\n");
	reopen(f);
	append(f, "{\"a\":2}\n");
	buf_init(&bytes, 0);
	assert_int_equal(file_read(f->path, 0, &bytes, NULL), 0);
	assert_string_equal(buf_string(&bytes), "{\"seq\":1,\"a\":1}\n{\"seq\":2,\"a\":2}\n");
	buf_clear(&bytes);
}

static void chain_goes_on_after_a_restart(void **state)
{
	struct fixture *f = *state;
	char *head = testdir_path(f->scratch, "audit.head");

	append(f, "{\"a\":1}\n");
	reopen(f);
	append(f, "{\"a\":2}\n");
	assert_int_equal(unlink(head), 0);	/* lost: the log itself knows */
	reopen(f);
	append(f, "{\"a\":3}\n");
	assert_chain(f, false, 3);
	free(head);
}

static void chain_goes_on_over_rotation(void **state)
{
	struct fixture *f = *state;

	append(f, "{\"a\":1}\n");
	assert_int_equal(rename(f->path, f->old), 0);
	append(f, "{\"a\":2}\n");
	assert_chain(f, true, 2);
}

static void chain_goes_on_over_rotation_and_restart(void **state)
{
	struct fixture *f = *state;

	append(f, "{\"a\":1}\n{\"a\":2}\n");
	assert_int_equal(rename(f->path, f->old), 0);
	append_raw(f->path, "");	/* as logrotate's `create` */
	reopen(f);
	append(f, "{\"a\":3}\n");
	assert_chain(f, true, 3);
}

/* One of them notices the rotation first; the other must go on behind what the first has written. */
static void two_writers_make_one_chain(void **state)
{
	struct fixture *f = *state;
	int status = 0;

	append(f, "{\"a\":0}\n");
	for (int child = 0; child < 4; child++)
		if (fork() == 0) {
			reopen(f);
			for (int i = 0; i < 40; i++) {
				append(f, "{\"a\":1}\n{\"a\":2}\n");
				if (child == 0 && i == 20 && rename(f->path, f->old) != 0)
					_exit(1);
			}
			_exit(0);
		}
	for (int child = 0; child < 4; child++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	append(f, "{\"a\":3}\n");
	assert_chain(f, true, 4 * 80 + 2);
}

static void a_torn_line_stays_and_is_chained(void **state)
{
	static const char *const torn[] = { "{\"seq\":2,\"prev\":\"", "{\"se", "{\"seq\":2,\"a\":" };
	struct fixture *f = *state;
	const char *paths[] = { f->path };
	size_t odd;

	for (size_t i = 0; i < 3; i++) {
		append(f, "{\"a\":1}\n");
		append_raw(f->path, torn[i]);
		if (i == 1)
			reopen(f);
		append(f, "{\"a\":2}\n");
		assert_int_equal(follow(paths, 1, &odd), 2 * (i + 1));
		assert_int_equal(odd, i + 1);
	}
}

static void a_torn_first_line_is_chained_too(void **state)
{
	struct fixture *f = *state;
	const char *paths[] = { f->old, f->path };
	size_t odd;

	append(f, "{\"a\":1}\n");
	assert_int_equal(rename(f->path, f->old), 0);
	append_raw(f->path, "{\"seq\":2");
	append(f, "{\"a\":2}\n");
	assert_int_equal(follow(paths, 2, &odd), 2);
	assert_int_equal(odd, 1);
}

static void what_was_cut_off_is_noticed(void **state)
{
	struct fixture *f = *state;
	const char *paths[] = { f->path };
	struct stat log;
	size_t odd;

	append(f, "{\"a\":1}\n");
	assert_int_equal(stat(f->path, &log), 0);
	append(f, "{\"a\":2}\n");
	assert_int_equal(truncate(f->path, log.st_size), 0);
	append(f, "{\"a\":3}\n");
	assert_non_null(strstr(f->event, "ends with seq 1, but 2 was there"));
	assert_int_equal(follow(paths, 1, &odd), 1);
	assert_int_equal(odd, 1);
}

static void changed_lines_are_told_apart(void **state)
{
	struct fixture *f = *state;
	struct audit_last last;
	enum audit_link link;

	(void)f;
	audit_last_init(&last);
	assert_int_equal(audit_link(&last, slice_of("{\"seq\":7,\"prev\":\"" ZEROS "\",\"a\":1}"), &link, NULL), 0);
	assert_int_equal(link, AUDIT_FIRST);
	assert_int_equal(audit_link(&last, slice_of("{\"seq\":8,\"prev\":\"" ZEROS "\",\"a\":1}"), &link, NULL), 0);
	assert_int_equal(link, AUDIT_BROKEN);
	assert_int_equal(audit_link(&last, slice_of("{\"seq\":9,\"a\":1}"), &link, NULL), 0);
	assert_int_equal(link, AUDIT_UNCHAINED);
	assert_int_equal(audit_link(&last, slice_of("{\"seq\":x,\"a\":1}"), &link, NULL), 0);
	assert_int_equal(link, AUDIT_NO_LINE);
}

static void hostile_lines_are_refused(void **state)
{
	static const char *const lines[] = { "", "\n", "{}\n", "{\"a\":1}", "{\"a\":1}\n{\"a\":1}", "[\"a\"]\n",
		"{\"a\":\"\x01\"}\n", "{\"a\":1}\r\n", "{\"a\":1}\n\n", "{\"a\":1\n", "\"a\":1}\n" };
	struct fixture *f = *state;
	char *large = malloc(AUDIT_LINE_BYTES + 10);
	struct err err;

	for (size_t i = 1; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(audit_file_append(f->file, slice_of(lines[i]), &err), -1);
		assert_int_equal(err.class, ERR_MESSAGE);
	}
	memset(large, 'a', AUDIT_LINE_BYTES + 10);
	memcpy(large, "{\"", 2);
	memcpy(large + AUDIT_LINE_BYTES + 5, "\"}\n", 4);
	assert_int_equal(audit_file_append(f->file, slice_of(large), &err), -1);
	free(large);
	append(f, "{\"a\":1}\n");
	assert_chain(f, false, 1);
}

static void other_files_are_left_alone(void **state)
{
	struct fixture *f = *state;
	struct audit_file_env env = { f->path, f->scratch, true, NULL };
	struct err err;

	audit_file_close(f->file);
	f->file = NULL;
	append_raw(f->path, "one\ntwo\n");
	assert_null(audit_file_open(&env, &err));
	assert_int_equal(err.class, ERR_TEMP);
	env.path = "/dev/null";
	assert_null(audit_file_open(&env, &err));
	env.path = f->scratch;
	assert_null(audit_file_open(&env, &err));
	env.path = "/nonexistent/audit.log";
	assert_null(audit_file_open(&env, &err));
	env.state_dir = "/nonexistent";
	assert_null(audit_file_open(&env, &err));
}

static void a_full_disk_leaves_no_half_line(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit, before;
	struct err err = { 0 };
	size_t lines = 0;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	limit = before;
	limit.rlim_cur = 1000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	while (audit_file_append(f->file, slice_of("{\"a\":1}\n"), &err) == 0)
		lines++;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(err.class, ERR_TEMP);
	assert_true(lines > 3);
	append(f, "{\"a\":1}\n");
	assert_chain(f, false, lines + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_have_a_front, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_chain_lines_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(chain_goes_on_after_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(chain_goes_on_over_rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(chain_goes_on_over_rotation_and_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(two_writers_make_one_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(a_torn_line_stays_and_is_chained, setup, teardown),
		cmocka_unit_test_setup_teardown(a_torn_first_line_is_chained_too, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_cut_off_is_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(changed_lines_are_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_lines_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(other_files_are_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_leaves_no_half_line, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
