/* test_event.c - lines for the log: escaped, capped, sent to the sink. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/event.h"

struct seen {
	int lines;
	enum event_level level;
	char line[1024];
};

static void emit(void *self, enum event_level level, const char *line)
{
	struct seen *seen = self;

	assert_true(strlen(line) <= 900);
	seen->lines++;
	seen->level = level;
	strncpy(seen->line, line, sizeof(seen->line) - 1);
}

static void test_log(void **state)
{
	struct seen seen = { 0 };
	struct event_sink sink = { .emit = emit, .self = &seen };
	char large[3000];

	(void)state;
	event_log(&sink, EVENT_WARNING, "a %s %d", "b\nc", 7);
	assert_int_equal(seen.level, EVENT_WARNING);
	assert_string_equal(seen.line, "a b\\x0ac 7");
	memset(large, 1, sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	event_log(&sink, EVENT_INFO, "%s", large);
	assert_int_equal(strlen(seen.line), 900);
	assert_int_equal(seen.lines, 2);
	event_log(NULL, EVENT_ERROR, "nobody listens");
}

static void test_escape(void **state)
{
	char out[10];

	(void)state;
	assert_string_equal(event_escape(slice_make("a\0b", 3), out, sizeof(out)), "a\\x00b");
	assert_string_equal(event_escape(slice_of("abcdefghijkl"), out, sizeof(out)), "abcdefghi");
	/* No half escapes. */
	assert_string_equal(event_escape(slice_of("abcdefg\n"), out, sizeof(out)), "abcdefg");
	assert_string_equal(event_escape(slice_of(NULL), out, sizeof(out)), "");
	assert_string_equal(event_escape(slice_of("abc"), out, 1), "");
	out[0] = 'x';
	event_escape(slice_of("abc"), out, 0);
	assert_int_equal(out[0], 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_log), cmocka_unit_test(test_escape) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
