/* testdir.c - see testdir.h. */
#include "support/testdir.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "testdir: %s\n", what);
	exit(99);
}

static void append(char *text, size_t size, const char *line)
{
	size_t n = strlen(text);

	snprintf(text + n, size - n, "%s\n", line);
}

static void on_finding(void *self, const char *line)
{
	struct testdir *dir = self;

	append(dir->findings, sizeof(dir->findings), line);
}

static void on_event(void *self, enum event_level level, const char *line)
{
	struct testdir *dir = self;

	(void)level;
	append(dir->log, sizeof(dir->log), line);
}

struct top {
	struct conf_groups directories;
};

static void write_text(const char *path, const char *format, va_list args)
{
	FILE *file = fopen(path, "w");

	must(file != NULL, "cannot write the configuration");
	fputs("directories = ( { ", file);
	vfprintf(file, format, args);
	fputs(" } );\n", file);
	must(fclose(file) == 0, "cannot write the configuration");
	must(chmod(path, 0600) == 0, "chmod");
}

static int open_from(struct testdir *dir, const struct directory_driver *driver, const char *path, struct err *err)
{
	const struct conf_variant variants[] = { { driver->type, driver->table }, { NULL, NULL } };
	const struct conf_row rows[] = {
		{ .name = "directories", .type = CONF_GROUPS, .offset = offsetof(struct top, directories),
		  .variants = variants },
		{ .name = NULL },
	};
	const struct conf_table table = { .rows = rows, .size = sizeof(struct top) };
	const struct conf_report report = { .finding = on_finding, .self = dir };
	struct top top = { .directories = { NULL, 0 } };

	if (conf_load(path, &table, &top, &report, &dir->conf, err) != 0)
		return -1;
	return directory_open(driver, top.directories.items[0], dir->conf, &report, &dir->env, &dir->directory, err);
}

int testdir_open(struct testdir *dir, const struct directory_driver *driver, const struct clock *clock, struct err *err,
		 const char *format, ...)
{
	char *scratch = testdir_scratch(), *path = testdir_path(scratch, "conf");
	va_list args;
	int rc;

	memset(dir, 0, sizeof(*dir));
	dir->arena = arena_new(0);
	must(dir->arena != NULL, "memory");
	dir->sink = (struct event_sink){ .emit = on_event, .self = dir };
	dir->env = (struct directory_env){ .clock = clock, .sink = &dir->sink, .arena = dir->arena };
	va_start(args, format);
	write_text(path, format, args);
	va_end(args);
	rc = open_from(dir, driver, path, err);
	free(path);
	testdir_remove(scratch);
	return rc;
}

void testdir_close(struct testdir *dir)
{
	directory_free(&dir->directory);
	conf_free(dir->conf);
	arena_free(dir->arena);
	memset(dir, 0, sizeof(*dir));
}

struct address testdir_address(struct arena *arena, const char *text)
{
	struct address address;
	struct err err;

	must(address_parse(arena, slice_of(text), &address, &err) == 0, text);
	return address;
}

struct directory_answer testdir_find(const struct directory *directory, struct arena *arena, const char *address)
{
	struct directory_answer answer = { .status = DIRECTORY_NONE };
	struct address parsed = testdir_address(arena, address);
	struct err err;

	must(directory->class->find(directory->self, arena, &parsed, 1, INT64_MAX, &answer, &err) == 0, "find");
	return answer;
}

static time_t test_now(void *self)
{
	return ((struct testdir_clock *)self)->now;
}

static int64_t test_monotonic_ms(void *self)
{
	return ((struct testdir_clock *)self)->monotonic_ms;
}

void testdir_clock_init(struct testdir_clock *clock)
{
	clock->clock = (struct clock){ .now = test_now, .monotonic_ms = test_monotonic_ms, .self = clock };
	clock->now = time(NULL);
	clock->monotonic_ms = 1000000;
}

char *testdir_scratch(void)
{
	const char *top = getenv("TMPDIR");
	char *path = testdir_path(top == NULL ? "/tmp" : top, "testdir.XXXXXX");

	must(mkdtemp(path) != NULL, path);
	return path;
}

void testdir_remove(char *scratch)
{
	char command[512];

	snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
	must(system(command) == 0, command);
	free(scratch);
}

char *testdir_path(const char *scratch, const char *name)
{
	size_t size = strlen(scratch) + strlen(name) + 2;
	char *path = malloc(size);

	must(path != NULL, "memory");
	snprintf(path, size, "%s/%s", scratch, name);
	return path;
}
