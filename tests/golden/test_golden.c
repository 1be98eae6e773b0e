/* test_golden.c - the golden cases: a folder a case, each a message brought to the one door and what must become of it.
 * Those in tests/golden say how things are to be, those in tests/attack that an attack ends in the safe outcome.
 *
 *	in.eml		the message, CRLF or LF line ends
 *	make		optional: what is done to it first (support/recipe.h)
 *	envelope	from ADDRESS · rcpt ADDRESS (once or more) · client IP · auth LOGIN · daemon NAME
 *	site.conf	the configuration; @DIR@ is the people's directory (support/people.h), base.conf, usual.conf and
 *			logins of this folder are there too
 *	expect		what must come out (support/expect.h); its first line, a comment, says what the case is about
 *
 * Every case runs twice, once with the body in memory and once with it in the encrypted file. Keys are made at run
 * time. A new bug is a new folder. Arguments: names of the cases to run, all without. GOLDEN_SHOW in the environment
 * shows the message that came and the one that goes where a case fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support/expect.h"
#include "support/recipe.h"
#include "support/words.h"

#define CASES_MAX 1000

struct world {
	struct people *people;
	char folder[256];		/* tests/golden */
};

struct golden {
	struct world *world;
	char *name;
	char folder[512];
};

struct run {				/* one case, run once */
	const struct golden *golden;
	struct arena *arena;
	struct passage_clock clock;
	struct site *site;
	struct recipe recipe;
	struct passage passage;
	struct expect expect;
};

static struct slice case_file(struct run *run, const char *name, bool must)
{
	struct slice bytes = words_file(run->arena, run->golden->folder, name);

	if (bytes.p == NULL && must)
		fail_msg("%s/%s cannot be read", run->golden->folder, name);
	return bytes;
}

/* A configuration file with @DIR@ replaced, in the people's directory. */
static const char *write_conf(struct arena *arena, const struct people *people, struct slice text, const char *name)
{
	const char *path = arena_printf(arena, "%s/%s", people->dir, name);
	struct buf bytes;

	buf_init(&bytes, 0);
	text = words_replace(arena, text, "@DIR@", slice_of(people->dir));
	assert_int_equal(buf_append_slice(&bytes, text), 0);
	testpki_write(path, &bytes, 0644);
	buf_clear(&bytes);
	return path;
}

static void load_site(struct run *run)
{
	const struct people *people = run->golden->world->people;
	const char *path = write_conf(run->arena, people, case_file(run, "site.conf", true), "site.conf");
	struct err err;

	passage_clock_init(&run->clock);
	run->site = passage_site(path, &run->clock, &err);
	if (run->site == NULL)
		fail_msg("site.conf: %s", err.text);
}

static void make_message(struct run *run)
{
	struct slice wire = case_file(run, "in.eml", true), orders = case_file(run, "make", false);

	run->recipe = (struct recipe){ .people = run->golden->world->people, .arena = run->arena };
	buf_init(&run->recipe.message, 0);
	assert_int_equal(message_from_file_bytes(wire, &run->recipe.message, NULL), 0);
	if (recipe_make(&run->recipe, orders) != 0)
		fail_msg("make: %s", run->recipe.wrong);
}

static void read_address(struct run *run, const char *text, struct address *address)
{
	if (passage_address(run->passage.arena, text, address) != 0)
		fail_msg("envelope: %s is no address", text);
}

static void read_envelope_line(struct run *run, const struct words *words)
{
	struct envelope *envelope = &run->passage.envelope;
	const char *what = words->items[0];
	char *text = arena_strdup(run->passage.arena, words->items[1]);

	if (strcmp(what, "from") == 0) {
		read_address(run, text, &envelope->sender);
	} else if (strcmp(what, "rcpt") == 0) {
		assert_true(envelope->recipient_count < 20);
		envelope->recipients[envelope->recipient_count].args = "";
		read_address(run, text, &envelope->recipients[envelope->recipient_count++].address);
	} else if (strcmp(what, "client") == 0) {
		envelope->client_ip = text;
	} else if (strcmp(what, "auth") == 0) {
		envelope->login = text;
	} else if (strcmp(what, "daemon") == 0) {
		envelope->daemon_name = text;
	} else {
		fail_msg("envelope: %s?", what);
	}
}

static void read_envelope(struct run *run)
{
	struct slice text = case_file(run, "envelope", true), line;
	struct envelope *envelope = &run->passage.envelope;
	struct words words;

	run->passage.arena = arena_new(0);
	*envelope = (struct envelope){ .queue_id = "GOLDEN", .sender_args = "", .daemon_name = "" };
	envelope->recipients = arena_array(run->passage.arena, 20, sizeof(*envelope->recipients));
	assert_non_null(envelope->recipients);
	while (words_next_line(&text, &line)) {
		assert_int_equal(words_parse(run->arena, line, &words), 0);
		if (words.n > 0)
			read_envelope_line(run, &words);
	}
}

static void vanish(const struct run *run, bool away)
{
	const char *path = arena_printf(run->arena, "%s/%s", run->golden->world->people->dir, run->recipe.vanish);
	const char *gone = arena_printf(run->arena, "%s.gone", path);

	assert_int_equal(rename(away ? path : gone, away ? gone : path), 0);
}

static const char *judge(struct run *run)
{
	struct slice demands = case_file(run, "expect", true);
	const char *why = NULL;

	if (demands.n == 0 || demands.p[0] != '#')
		return "expect does not begin with a comment";
	run->expect = (struct expect){ .people = run->golden->world->people, .site = run->site,
				       .passage = &run->passage, .folder = run->golden->folder,
				       .wire = buf_slice(&run->recipe.message), .arena = run->arena };
	why = expect_demands(&run->expect, demands);
	if (why == NULL)
		why = expect_always(&run->expect);
	if (why != NULL && getenv("GOLDEN_SHOW") != NULL)
		fprintf(stderr, "--- came\n%.*s\n--- goes\n%.*s\n---\n", SLICE_ARGS(buf_slice(&run->recipe.message)),
			SLICE_ARGS(buf_slice(&run->expect.output)));
	expect_clear(&run->expect);
	return why;
}

static void run_once(const struct golden *golden, size_t memory_bytes, struct run *run, const char **why)
{
	const struct passage_options options = { .memory_bytes = memory_bytes,
						 .directory = golden->world->people->dir };

	*run = (struct run){ .golden = golden, .arena = arena_new(0) };
	load_site(run);
	make_message(run);
	read_envelope(run);
	if (run->recipe.vanish != NULL) {
		vanish(run, true);
		run->clock.ahead_ms += 5000;
	}
	passage_run(run->site, buf_slice(&run->recipe.message), &options, &run->passage);
	if (run->recipe.vanish != NULL)
		vanish(run, false);
	*why = judge(run);
	passage_clear(&run->passage);
	buf_clear(&run->recipe.message);
	site_free(run->site);
}

static void golden_case(void **state)
{
	const struct golden *golden = *state;
	static const size_t memory_bytes[] = { 0, 1024 };
	struct run run;
	const char *why = NULL;

	for (size_t i = 0; i < 2; i++) {
		run_once(golden, memory_bytes[i], &run, &why);
		if (why != NULL)
			fail_msg("%s (body %s): %s", golden->name, i == 0 ? "in memory" : "spooled", why);
		arena_free(run.arena);
	}
}

/* --- which cases there are --- */

/* cmocka gives a group's state to each of its tests; here each test has its own, so the world is this file's. */
static struct world world;

static int set_up(void **state)
{
	static const char *const shared[] = { "base.conf", "usual.conf", "logins" };
	struct arena *arena = arena_new(0);

	(void)state;
	world.people = people_new(false);
	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
		struct slice text = words_file(arena, world.folder, shared[i]);

		assert_non_null(text.p);
		write_conf(arena, world.people, text, shared[i]);
	}
	arena_free(arena);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	people_free(world.people);
	return 0;
}

static bool is_wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc < 2;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct golden *)a)->name, ((const struct golden *)b)->name);
}

static bool is_case(const struct golden *golden, const char *name, int argc, char **argv)
{
	struct stat st;

	return name[0] != '.' && stat(golden->folder, &st) == 0 && S_ISDIR(st.st_mode) && is_wanted(name, argc, argv);
}

/* Adds the folder's cases to the n that are there already. */
static size_t find_cases(const char *folder, int argc, char **argv, struct golden *cases, size_t n)
{
	DIR *dir = opendir(folder);
	struct dirent *entry = NULL;

	while (dir != NULL && n < CASES_MAX && (entry = readdir(dir)) != NULL) {
		struct golden *golden = &cases[n];

		snprintf(golden->folder, sizeof(golden->folder), "%s/%s", folder, entry->d_name);
		if (!is_case(golden, entry->d_name, argc, argv))
			continue;
		golden->world = &world;
		golden->name = strdup(entry->d_name);
		n++;
	}
	if (dir != NULL)
		closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	static struct golden cases[CASES_MAX];
	static struct CMUnitTest tests[CASES_MAX];
	const char *top = getenv("TOP_SRCDIR") != NULL ? getenv("TOP_SRCDIR") : ".";
	char attacks[256];
	size_t n;
	int failed;

	snprintf(world.folder, sizeof(world.folder), "%s/tests/golden", top);
	snprintf(attacks, sizeof(attacks), "%s/tests/attack", top);
	n = find_cases(world.folder, argc, argv, cases, 0);
	n = find_cases(attacks, argc, argv, cases, n);
	qsort(cases, n, sizeof(*cases), by_name);
	if (n == 0) {
		fprintf(stderr, "%s: no cases\n", world.folder);
		return 99;
	}
	for (size_t i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){ .name = cases[i].name, .test_func = golden_case,
						.initial_state = &cases[i] };
	failed = _cmocka_run_group_tests("golden", tests, n, set_up, tear_down);
	for (size_t i = 0; i < n; i++)
		free(cases[i].name);
	return failed;
}
