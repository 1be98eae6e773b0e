/* test_harvester.c - lessons as workers write them: what is none is refused, and what the log says of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "milter/harvester.h"
#include "milter/recorder_wire.h"
#include "support/testdir.h"
#include "support/testpki.h"

struct fixture {
	struct metrics *metrics;
	char *scratch;
	struct testpki *root, *other, *bob, *renewed, *changed;
	struct harvester harvester;
	struct event_sink sink;
	enum event_level level;		/* of the last line */
	char line[1000];
};

static void note(void *self, enum event_level level, const char *line)
{
	struct fixture *f = self;

	f->level = level;
	snprintf(f->line, sizeof(f->line), "%s", line);
}

static bool shows(const struct fixture *f, const char *line)
{
	struct buf text;
	bool there;

	buf_init(&text, 0);
	assert_int_equal(metrics_write(f->metrics, &text, NULL), 0);
	there = strstr(buf_string(&text), line) != NULL;
	buf_clear(&text);
	return there;
}

static struct testpki *make(const struct testpki *ca, EVP_PKEY *pkey)
{
	return testpki_make(ca, &(struct testpki_spec){ .cn = "Bob", .san = "email:bob@x.example", .pkey = pkey });
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->scratch = testdir_scratch();
	f->root = testpki_root("Root");
	f->other = testpki_root("Other");
	f->bob = make(f->root, NULL);
	f->renewed = make(f->root, f->bob->pkey);
	f->changed = make(f->other, NULL);
	f->sink = (struct event_sink){ note, f };
	f->metrics = metrics_new();
	assert_non_null(f->metrics);
	harvester_init(&f->harvester, f->scratch, &f->sink, f->metrics);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	harvester_close(&f->harvester);
	testpki_free(f->changed);
	testpki_free(f->renewed);
	testpki_free(f->bob);
	testpki_free(f->other);
	testpki_free(f->root);
	testdir_remove(f->scratch);
	free(f);
	return 0;
}

static void write_lesson(const struct testpki *whose, time_t signed_at, const char *address, struct buf *out)
{
	struct recorder_harvest head = { .signed_at = (int64_t)signed_at, .address_bytes = (uint32_t)strlen(address),
					 .collection_bytes = 8, .at_once = 1 };
	struct buf der;

	buf_init(&der, 0);
	testpki_der(whose, &der);
	head.cert_bytes = (uint32_t)der.n;
	buf_reset(out);
	assert_int_equal(buf_append(out, &head, sizeof(head)), 0);
	assert_int_equal(buf_append_text(out, address), 0);
	assert_int_equal(buf_append_text(out, "partners"), 0);
	assert_int_equal(buf_append_slice(out, buf_slice(&der)), 0);
	buf_clear(&der);
}

/* What the log says of it. */
static const char *learn(struct fixture *f, const struct testpki *whose, time_t signed_at, const char *address)
{
	struct err err = { 0 };
	struct buf text;

	buf_init(&text, 0);
	write_lesson(whose, signed_at, address, &text);
	f->line[0] = '\0';
	if (harvester_learn(&f->harvester, buf_slice(&text), &err) != 0)
		fail_msg("%s", err.text);
	buf_clear(&text);
	return f->line;
}

static void a_line_for_what_is_new(void **state)
{
	struct fixture *f = *state;

	assert_non_null(strstr(learn(f, f->bob, 1795300000, "bob@x.example"), "<bob@x.example>: first certificate, in use"));
	assert_int_equal(f->level, EVENT_INFO);
	assert_string_equal(learn(f, f->bob, 1795300001, "bob@x.example"), "");
	assert_string_equal(learn(f, f->changed, 1795300001, "bob@x.example"), "");
	assert_non_null(strstr(learn(f, f->renewed, 1795300002, "bob@x.example"), "same key, new certificate"));
	assert_int_equal(f->level, EVENT_INFO);
	assert_non_null(strstr(learn(f, f->changed, 1795300003, "bob@x.example"), "key of <bob@x.example> changed, waits"));
	assert_int_equal(f->level, EVENT_WARNING);
	assert_true(shows(f, "smime_milter_harvest_changed_total{} 1\n"));
	assert_string_equal(learn(f, f->changed, 1795300004, "bob@x.example"), "");
}

static void strangers_text_stays_in_its_line(void **state)
{
	struct fixture *f = *state;

	assert_non_null(strstr(learn(f, f->bob, 1795300000, "b\nob\xff@x.example"), "<b\\x0aob\\xff@x.example>"));
}

static void nonsense_teaches_nothing(void **state)
{
	struct fixture *f = *state;
	struct harvest_store *store = NULL;
	struct err err;
	struct buf text;

	buf_init(&text, 0);
	write_lesson(f->bob, 1795300000, "bob@x.example", &text);
	for (size_t n = 0; n < text.n; n++)
		assert_int_equal(harvester_learn(&f->harvester, slice_first(buf_slice(&text), n), &err), -1);
	/* something behind it that is no chain */
	assert_int_equal(buf_append_char(&text, '0'), 0);
	assert_int_equal(harvester_learn(&f->harvester, buf_slice(&text), &err), -1);
	buf_clear(&text);
	assert_int_equal(harvest_store_open_read(f->scratch, 0, &store, NULL), 0);
}

static void a_removed_store_is_made_again(void **state)
{
	struct fixture *f = *state;
	char *path = testdir_path(f->scratch, HARVEST_STORE_FILE);
	struct buf text;
	struct err err;

	learn(f, f->bob, 1795300000, "bob@x.example");
	assert_int_equal(remove(path), 0);
	free(path);
	buf_init(&text, 0);
	write_lesson(f->bob, 1795300001, "bob@x.example", &text);
	assert_int_equal(harvester_learn(&f->harvester, buf_slice(&text), &err), -1);
	buf_clear(&text);
	f->harvester.due_ms = 0;
	assert_non_null(strstr(learn(f, f->bob, 1795300001, "bob@x.example"), "first certificate"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_line_for_what_is_new, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers_text_stays_in_its_line, setup, teardown),
		cmocka_unit_test_setup_teardown(nonsense_teaches_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_removed_store_is_made_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
