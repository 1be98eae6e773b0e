/* test_ctl_args.c - the command line of smimectl: every way to write an option, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "milter/ctl_args.h"

struct fixture {
	struct arena *arena;
	struct ctl_args args;
	struct err err;
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.arena = arena_new(0);
	assert_non_null(f.arena);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_free(f->arena);
	return 0;
}

/* words: NULL-terminated, without the program's name. */
static int parse(struct fixture *f, const char *const *words)
{
	char *argv[16] = { (char *)(uintptr_t)"smimectl" };
	int argc = 1;

	for (; *words != NULL; words++)
		argv[argc++] = (char *)(uintptr_t)*words;
	return ctl_args_parse(f->arena, argc, argv, &f->args, &f->err);
}

#define PARSE(f, ...) parse(f, (const char *const[]){ __VA_ARGS__, NULL })

static void options_and_operands_mix(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(PARSE(f, "certs", "--json", "find", "-c", "x.conf", "a@b.example"), 0);
	assert_int_equal(f->args.operands.n, 3);
	assert_string_equal(f->args.operands.items[2], "a@b.example");
	assert_string_equal(f->args.config, "x.conf");
	assert_int_equal(f->args.given, OPTION_JSON | OPTION_CONFIG);
}

static void values_stand_behind_or_inside(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(PARSE(f, "--from=", "--auth", "--rcpt", "--rcpt=a=b", "-cx.conf"), 0);
	assert_string_equal(f->args.from, "");
	assert_string_equal(f->args.auth, "--rcpt");
	assert_int_equal(f->args.rcpt.n, 1);
	assert_string_equal(f->args.rcpt.items[0], "a=b");
	assert_string_equal(f->args.config, "x.conf");
}

static void lists_keep_their_order(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(PARSE(f, "--rcpt", "a", "--rcpt", "b", "--rcpt", "c"), 0);
	assert_int_equal(f->args.rcpt.n, 3);
	assert_string_equal(f->args.rcpt.items[0], "a");
	assert_string_equal(f->args.rcpt.items[2], "c");
}

static void behind_two_dashes_all_are_operands(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(PARSE(f, "-", "--", "--json", "-v", "--"), 0);
	assert_int_equal(f->args.given, 0);
	assert_int_equal(f->args.operands.n, 4);
	assert_string_equal(f->args.operands.items[0], "-");
	assert_string_equal(f->args.operands.items[3], "--");
}

static void nothing_is_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ctl_args_parse(f->arena, 0, NULL, &f->args, &f->err), 0);
	assert_int_equal(f->args.operands.n, 0);
	assert_null(f->args.from);
}

static void refused(struct fixture *f, int rc, const char *text)
{
	assert_int_equal(rc, -1);
	if (strstr(f->err.text, text) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", f->err.text, text);
}

static void mistakes_are_named(void **state)
{
	struct fixture *f = *state;

	refused(f, PARSE(f, "--nonsense"), "unknown option --nonsense");
	refused(f, PARSE(f, "--fro", "x"), "unknown option --fro");
	refused(f, PARSE(f, "-x"), "unknown option -x");
	refused(f, PARSE(f, "-vv"), "unknown option -vv");
	refused(f, PARSE(f, "--json=yes"), "--json takes no value");
	refused(f, PARSE(f, "--from"), "--from needs a value");
	refused(f, PARSE(f, "-c"), "--config needs a value");
	refused(f, PARSE(f, "--from", "a", "--from", "b"), "--from is given twice");
	refused(f, PARSE(f, "--\x1b[2J"), "\\x1b");
}

static void bits_have_names(void **state)
{
	(void)state;
	assert_string_equal(ctl_option_name(OPTION_OUT | OPTION_AT), "out");
	assert_string_equal(ctl_option_name(OPTION_OAEP), "oaep");
	assert_string_equal(ctl_option_name(0), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(options_and_operands_mix, setup, teardown),
		cmocka_unit_test_setup_teardown(values_stand_behind_or_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_keep_their_order, setup, teardown),
		cmocka_unit_test_setup_teardown(behind_two_dashes_all_are_operands, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(mistakes_are_named, setup, teardown),
		cmocka_unit_test(bits_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
