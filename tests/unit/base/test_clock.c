/* test_clock.c - the fixed clock and RFC 3339 times, valid and not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/clock.h"

static void test_clocks(void **state)
{
	time_t at = 1000;
	struct clock clock = clock_fixed(&at);
	int64_t before;

	(void)state;
	assert_int_equal(clock_now(&clock), 1000);
	assert_int_equal(clock_monotonic_ms(&clock), 1000000);
	at = 2000;
	assert_int_equal(clock_now(&clock), 2000);
	assert_true(clock_now(&clock_system) > 1700000000);
	before = clock_monotonic_ms(&clock_system);
	assert_true(clock_monotonic_ms(&clock_system) >= before);
}

/* As far away from the system's clock now as it is from another one's. */
static void test_moment(void **state)
{
	const int64_t day_ms = 24 * 60 * 60 * 1000;
	const struct { int64_t deadline_ms, wait_ms; } cases[] = {
		{ 1000000 + 1234, 1234 }, { 1000000, 0 }, { 5, 0 }, { INT64_MIN, 0 }, { INT64_MAX, day_ms },
	};
	time_t at = 1000;
	struct clock clock = clock_fixed(&at);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t before = clock_monotonic_ms(&clock_system), after;
		struct timespec moment = clock_moment(&clock, cases[i].deadline_ms);
		int64_t moment_ms = (int64_t)moment.tv_sec * 1000 + moment.tv_nsec / 1000000;

		after = clock_monotonic_ms(&clock_system);
		assert_in_range(moment_ms - cases[i].wait_ms, before, after);
		assert_in_range(moment.tv_nsec, 0, 999999999);
	}
}

/* A wait ends. */
static void test_condition(void **state)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t condition;
	struct timespec until = clock_moment(&clock_system, clock_monotonic_ms(&clock_system) + 10);

	(void)state;
	assert_int_equal(clock_condition(&condition), 0);
	pthread_mutex_lock(&mutex);
	assert_int_equal(pthread_cond_timedwait(&condition, &mutex, &until), ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
	pthread_cond_destroy(&condition);
}

static void test_format(void **state)
{
	char text[32];

	(void)state;
	clock_format(0, text, sizeof(text));
	assert_string_equal(text, "1970-01-01T00:00:00Z");
	clock_format(1795294517, text, sizeof(text));
	assert_string_equal(text, "2026-11-21T20:55:17Z");
	clock_format(0, text, 5);
	assert_string_equal(text, "");
}

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		long long at;
	} good[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-11-21T20:55:17Z", 1795294517 },
		{ "2026-11-21t20:55:17.123456z", 1795294517 },
		{ "2026-11-21 21:55:17+01:00", 1795294517 },
		{ "2026-11-21T15:25:17-05:30", 1795294517 },
		{ "2024-02-29T00:00:00Z", 1709164800 },
		{ "2000-02-29T00:00:00Z", 951782400 },
		{ "2016-12-31T23:59:60Z", 1483228800 },
		{ "1969-12-31T23:59:59Z", -1 },
	};
	time_t at;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(clock_parse(good[i].text, &at), 0);
		assert_int_equal(at, good[i].at);
	}
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = {
		"", "2026", "2026-11-21", "2026-11-21T20:55:17", "2026-11-21T20:55Z", "2026-13-21T20:55:17Z",
		"2026-00-21T20:55:17Z", "2026-11-00T20:55:17Z", "2026-11-31T20:55:17Z", "2023-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T20:60:00Z", "2026-11-21T20:55:61Z",
		"2026-11-21T20:55:17.Z", "2026-11-21T20:55:17+24:00", "2026-11-21T20:55:17+01:60",
		"2026-11-21T20:55:17+0100", "2026-11-21T20:55:17Zx", "2026-11-21X20:55:17Z", "-026-11-21T20:55:17Z",
		"2026-11-21T20:55:17Z ", " 2026-11-21T20:55:17Z", "2026-1-21T20:55:17Z", "now",
	};
	time_t at = 5;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(clock_parse(bad[i], &at), -1);
	assert_int_equal(at, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clocks), cmocka_unit_test(test_moment), cmocka_unit_test(test_condition),
		cmocka_unit_test(test_format), cmocka_unit_test(test_parse), cmocka_unit_test(test_parse_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
