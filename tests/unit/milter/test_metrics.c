/* test_metrics.c - numbers that several processes count, and their text as OpenMetrics has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "milter/metrics.h"

#define PROCESSES 4
#define ROUNDS 2000

struct fixture {
	struct metrics *metrics;
	struct buf text;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->metrics = metrics_new();
	assert_non_null(f->metrics);
	buf_init(&f->text, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	buf_clear(&f->text);
	free(f);
	return 0;
}

static bool has(struct fixture *f, const char *line)
{
	char wanted[300];

	buf_reset(&f->text);
	assert_int_equal(buf_append_char(&f->text, '\n'), 0);
	assert_int_equal(metrics_write(f->metrics, &f->text, NULL), 0);
	snprintf(wanted, sizeof(wanted), "\n%s\n", line);
	return strstr(buf_string(&f->text), wanted) != NULL;
}

static void count(struct metrics *metrics, const char *action, const char *rule)
{
	const struct metric_label labels[] = { { "action", action }, { "result", "ok" }, { "rule", rule } };

	metrics_count(metrics, METRIC_MESSAGES, labels, 3);
}

static void counters_have_labels(void **state)
{
	struct fixture *f = *state;

	assert_false(has(f, "smime_milter_messages_total{action=\"sign\",result=\"ok\",rule=\"out\"} 1"));
	count(f->metrics, "sign", "out");
	count(f->metrics, "sign", "out");
	count(f->metrics, "encrypt", "out");
	assert_true(has(f, "smime_milter_messages_total{action=\"sign\",result=\"ok\",rule=\"out\"} 2"));
	assert_true(has(f, "smime_milter_messages_total{action=\"encrypt\",result=\"ok\",rule=\"out\"} 1"));
	assert_true(has(f, "# TYPE smime_milter_messages counter"));
	assert_int_equal(memcmp(f->text.p + f->text.n - 6, "# EOF\n", 6), 0);
}

/* Whatever stands in a rule's id or a URI, a line stays a line. */
static void values_are_escaped(void **state)
{
	struct fixture *f = *state;
	char value[400];

	count(f->metrics, "a", "x\"} 9\n\\");
	assert_true(has(f, "smime_milter_messages_total{action=\"a\",result=\"ok\",rule=\"x\\\"} 9\\\\x0a\\\\\"} 1"));
	count(f->metrics, "b", "Z\xc3\xbcrich");
	assert_true(has(f, "smime_milter_messages_total{action=\"b\",result=\"ok\",rule=\"Z\\\\xc3\\\\xbcrich\"} 1"));
	for (size_t n = 0; n < sizeof(value); n += 7) {
		memset(value, n % 2 == 0 ? '"' : 'v', n);
		value[n] = '\0';
		count(f->metrics, value, value);
		memset(value, 0xc3, n);
		count(f->metrics, value, value);
	}
	assert_true(has(f, "# TYPE smime_milter_seconds histogram"));
	for (const char *line = buf_string(&f->text) + 1; line != NULL && *line != '\0'; line = strchr(line, '\n') + 1) {
		assert_true(*line == '#' || strncmp(line, "smime_milter_", 13) == 0);
		assert_true(strcspn(line, "\n") < METRICS_LABEL_BYTES + 60);
	}
	for (size_t i = 0; i < f->text.n; i++)
		assert_true(f->text.p[i] < 0x80);
}

static void durations_fall_into_buckets(void **state)
{
	const struct metric_label labels[] = { { "directory", "ldap://dc1" }, { "result", "found" } };
	struct fixture *f = *state;

	metrics_observe(f->metrics, METRIC_SECONDS, NULL, 0, 0.0004);
	metrics_observe(f->metrics, METRIC_SECONDS, NULL, 0, 0.2);
	metrics_observe(f->metrics, METRIC_SECONDS, NULL, 0, 3600);
	metrics_observe(f->metrics, METRIC_DIRECTORY_SECONDS, labels, 2, 0.001);
	assert_true(has(f, "smime_milter_seconds_bucket{le=\"0.001\"} 1"));
	assert_true(has(f, "smime_milter_seconds_bucket{le=\"0.25\"} 2"));
	assert_true(has(f, "smime_milter_seconds_bucket{le=\"60\"} 2"));
	assert_true(has(f, "smime_milter_seconds_bucket{le=\"+Inf\"} 3"));
	assert_true(has(f, "smime_milter_seconds_count{} 3"));
	assert_true(has(f, "smime_milter_seconds_sum{} 3600.200400"));
	assert_true(has(f, "smime_milter_directory_seconds_bucket{directory=\"ldap://dc1\",result=\"found\",le=\"0.001\"} 1"));
}

static void gauges_hold_until_forgotten(void **state)
{
	const struct metric_label labels[] = { { "name", "alice.pem" } };
	struct fixture *f = *state;

	metrics_set(f->metrics, METRIC_NOT_AFTER, labels, 1, 1800000000);
	assert_true(has(f, "smime_milter_certificate_not_after_seconds{name=\"alice.pem\"} 1800000000"));
	metrics_forget(f->metrics, METRIC_NOT_AFTER);
	assert_false(has(f, "smime_milter_certificate_not_after_seconds{name=\"alice.pem\"} 1800000000"));
	metrics_set(f->metrics, METRIC_NOT_AFTER, labels, 1, 1900000000);
	assert_true(has(f, "smime_milter_certificate_not_after_seconds{name=\"alice.pem\"} 1900000000"));
}

static void child(struct metrics *metrics)
{
	char rule[20];

	metrics_session(metrics, 1);
	for (int i = 0; i < ROUNDS; i++) {
		snprintf(rule, sizeof(rule), "rule-%d", i % 50);
		count(metrics, "sign", rule);
		metrics_observe(metrics, METRIC_SECONDS, NULL, 0, 0.003);
	}
	_exit(0);
}

/* Nothing gets lost, nothing is there twice; and what a process had open goes with it. */
static void processes_count_together(void **state)
{
	struct fixture *f = *state;
	pid_t pids[PROCESSES];
	char line[200];
	int status;

	for (size_t i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			child(f->metrics);
		assert_true(pids[i] > 0);
	}
	for (size_t i = 0; i < PROCESSES; i++)
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
	for (int i = 0; i < 50; i++) {
		snprintf(line, sizeof(line), "smime_milter_messages_total{action=\"sign\",result=\"ok\",rule=\"rule-%d\"} %d", i,
			 PROCESSES * ROUNDS / 50);
		assert_true(has(f, line));
	}
	snprintf(line, sizeof(line), "smime_milter_seconds_count{} %d", PROCESSES * ROUNDS);
	assert_true(has(f, line));
	assert_true(has(f, "smime_milter_sessions 4"));
	metrics_process_ended(f->metrics, pids[0]);
	assert_true(has(f, "smime_milter_sessions 3"));
	metrics_session(f->metrics, 1);
	assert_true(has(f, "smime_milter_sessions 4"));
	metrics_session(f->metrics, -1);
	assert_true(has(f, "smime_milter_sessions 3"));
}

static void a_full_table_counts_no_more(void **state)
{
	struct fixture *f = *state;
	char rule[20];

	for (int i = 0; i < METRICS_SERIES + 100; i++) {
		snprintf(rule, sizeof(rule), "rule-%d", i);
		count(f->metrics, "sign", rule);
	}
	count(f->metrics, "sign", "rule-0");
	assert_true(has(f, "smime_milter_messages_total{action=\"sign\",result=\"ok\",rule=\"rule-0\"} 2"));
}

static void without_metrics_nothing_happens(void **state)
{
	(void)state;
	count(NULL, "sign", "out");
	metrics_observe(NULL, METRIC_SECONDS, NULL, 0, 1);
	metrics_set(NULL, METRIC_BUILD, NULL, 0, 1);
	metrics_forget(NULL, METRIC_NOT_AFTER);
	metrics_session(NULL, 1);
	metrics_process_ended(NULL, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(counters_have_labels, setup, teardown),
		cmocka_unit_test_setup_teardown(values_are_escaped, setup, teardown),
		cmocka_unit_test_setup_teardown(durations_fall_into_buckets, setup, teardown),
		cmocka_unit_test_setup_teardown(gauges_hold_until_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(processes_count_together, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_table_counts_no_more, setup, teardown),
		cmocka_unit_test(without_metrics_nothing_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
