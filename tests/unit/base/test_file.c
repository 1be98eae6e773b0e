/* test_file.c - files and directories: limits, kinds, modes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static char directory[] = "/tmp/test_file.XXXXXX";

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) == NULL ? -1 : 0;
}

static int remove_directory(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

static const char *put(const char *name, const char *text, mode_t mode)
{
	static char path[200];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

static void test_read(void **state)
{
	struct err err = { 0 };
	struct buf buf;
	char large[40001];

	(void)state;
	buf_init(&buf, 0);
	assert_int_equal(file_read(put("a", "hello", 0600), 0, &buf, &err), 0);
	assert_string_equal(buf_string(&buf), "hello");
	/* Replaces what was there. */
	assert_int_equal(file_read(put("b", "", 0600), 0, &buf, &err), 0);
	assert_int_equal(buf.n, 0);
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	assert_int_equal(file_read(put("c", large, 0600), 40000, &buf, &err), 0);
	assert_int_equal(buf.n, 40000);
	assert_int_equal(file_read(put("c", large, 0600), 39999, &buf, &err), -1);
	assert_int_equal(err.class, ERR_CONFIG);
	assert_non_null(strstr(err.text, "/c: larger than 39999 bytes"));
	assert_int_equal(buf.n, 0);
	buf_clear(&buf);
	buf_init(&buf, 3);
	assert_int_equal(file_read(put("d", "abc", 0600), 0, &buf, &err), 0);
	assert_int_equal(file_read(put("d", "abcd", 0600), 0, &buf, &err), -1);
	buf_clear(&buf);
}

static void test_not_regular(void **state)
{
	struct err err = { 0 };
	struct buf buf;
	char path[200];

	(void)state;
	buf_init(&buf, 0);
	assert_int_equal(file_read(directory, 0, &buf, &err), -1);
	assert_non_null(strstr(err.text, "not a regular file"));
	snprintf(path, sizeof(path), "%s/fifo", directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(file_read(path, 0, &buf, &err), -1);
	assert_non_null(strstr(err.text, "/fifo: not a regular file"));
	unlink(path);
	snprintf(path, sizeof(path), "%s/none", directory);
	assert_int_equal(file_read(path, 0, &buf, &err), -1);
	assert_int_equal(err.class, ERR_CONFIG);
	assert_non_null(strstr(err.text, "/none: No such file"));
	buf_clear(&buf);
}

static void test_modes(void **state)
{
	/* Readable by the group only is for root's files, so for none that an ordinary user made. */
	static const struct {
		mode_t mode;
		int secret, trusted;
	} cases[] = {
		{ 0600, 0, 0 }, { 0400, 0, 0 }, { 0604, -1, 0 }, { 0602, -1, -1 }, { 0660, -1, 0 },
		{ 0620, -1, 0 }, { 0644, -1, 0 }, { 0666, -1, -1 }, { 0601, -1, 0 },
	};
	struct err err = { 0 };
	struct buf buf;

	(void)state;
	buf_init(&buf, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *path = put("secret", "s", 0600);

		assert_int_equal(chmod(path, cases[i].mode), 0);
		assert_int_equal(file_read_secret(path, 0, &buf, &err), cases[i].secret);
		assert_int_equal(file_read_trusted(path, 0, &buf, &err), cases[i].trusted);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(file_read_secret(put("g", "s", 0640), 0, &buf, &err), getuid() == 0 ? 0 : -1);
	assert_int_equal(file_read_secret(put("g", "s", 0644), 0, &buf, &err), -1);
	assert_int_equal(err.class, ERR_CONFIG);
	assert_non_null(strstr(err.text, "0644"));
	buf_clear(&buf);
}

static void test_password(void **state)
{
	static const struct {
		const char *text, *password;	/* NULL: refused */
	} cases[] = {
		{ "secret", "secret" }, { "secret\n", "secret" }, { "secret\r\n", "secret" }, { "secret\n\n", "secret\n" },
		{ " s \n", " s " }, { "", NULL }, { "\n", NULL }, { "\r\n", NULL },
	};
	struct buf buf;
	struct err err = { 0 };

	(void)state;
	buf_init(&buf, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *path = put("password", cases[i].text, 0600);

		assert_int_equal(file_read_password(path, &buf, &err), cases[i].password != NULL ? 0 : -1);
		if (cases[i].password != NULL)
			assert_true(slice_is(buf_slice(&buf), cases[i].password));
		else
			assert_non_null(strstr(err.text, "password is empty"));
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(file_read_password(put("password", "secret", 0644), &buf, &err), -1);
	buf_clear(&buf);
}

static void test_name_on_disk(void **state)
{
	(void)state;
	assert_int_equal(file_sync_name(put("name", "x", 0600)), 0);
	assert_int_equal(file_sync_name("name"), 0);
	assert_int_equal(file_sync_name("/name"), 0);
	assert_int_equal(file_sync_name("/nowhere/at/all"), -1);
}

static void test_list(void **state)
{
	struct arena *arena = arena_new(0);
	char **paths = NULL, path[200], name[16];
	struct err err = { 0 };
	size_t n = 99;

	(void)state;
	snprintf(path, sizeof(path), "%s/list", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true(file_is_directory(path));
	assert_int_equal(file_list(arena, path, &paths, &n, &err), 0);
	assert_int_equal(n, 0);
	for (int i = 40; i > 0; i--) {
		snprintf(name, sizeof(name), "f%02d", i);
		snprintf(path, sizeof(path), "list/%s", name);
		put(path, "", 0600);
	}
	assert_false(file_is_directory(put("list/.hidden", "", 0600)));
	snprintf(path, sizeof(path), "%s/list/sub", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/list/", directory);
	assert_int_equal(file_list(arena, path, &paths, &n, &err), 0);
	assert_int_equal(n, 40);
	snprintf(path, sizeof(path), "%s/list/f01", directory);
	assert_string_equal(paths[0], path);
	snprintf(path, sizeof(path), "%s/list/f40", directory);
	assert_string_equal(paths[39], path);
	assert_int_equal(file_list(arena, path, &paths, &n, &err), -1);
	assert_int_equal(err.class, ERR_CONFIG);
	assert_false(file_is_directory("/nowhere"));
	assert_int_equal(file_check_directory("/nowhere", &err), -1);
	snprintf(path, sizeof(path), "%s/list", directory);
	assert_int_equal(file_check_directory(path, &err), 0);
	assert_int_equal(chmod(path, 0702), 0);
	assert_int_equal(file_check_directory(path, &err), -1);
	assert_non_null(strstr(err.text, "0702"));
	assert_int_equal(chmod(path, 0700), 0);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read), cmocka_unit_test(test_not_regular), cmocka_unit_test(test_modes),
		cmocka_unit_test(test_password), cmocka_unit_test(test_name_on_disk), cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
