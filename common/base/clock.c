/* clock.c - the system's clock, a clock that stands still, and RFC 3339 times. No local time anywhere. Called by gate,
 * pki, milter, tests. Thread-safe. */
#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

static time_t system_now(void *self)
{
	(void)self;
	return time(NULL);
}

static int64_t system_monotonic_ms(void *self)
{
	struct timespec at = { 0 };

	(void)self;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

const struct clock clock_system = { .now = system_now, .monotonic_ms = system_monotonic_ms, .self = NULL };

time_t clock_now(const struct clock *clock)
{
	return clock->now(clock->self);
}

int64_t clock_monotonic_ms(const struct clock *clock)
{
	return clock->monotonic_ms(clock->self);
}

int clock_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;
	int rc;

	if (pthread_condattr_init(&attributes) != 0)
		return -1;
	rc = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	if (rc == 0)
		rc = pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
	return rc == 0 ? 0 : -1;
}

struct timespec clock_moment(const struct clock *clock, int64_t deadline_ms)
{
	const int64_t day_ms = (int64_t)24 * 60 * 60 * 1000, now_ms = clock_monotonic_ms(clock);
	int64_t ms = deadline_ms <= now_ms ? 0 : deadline_ms - now_ms;
	struct timespec at = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &at);
	ms = (ms < day_ms ? ms : day_ms) + at.tv_nsec / 1000000;
	at.tv_sec += (time_t)(ms / 1000);
	at.tv_nsec = at.tv_nsec % 1000000 + (long)(ms % 1000) * 1000000;
	return at;
}

static time_t fixed_now(void *self)
{
	const time_t *at = self;

	return *at;
}

static int64_t fixed_monotonic_ms(void *self)
{
	return (int64_t)fixed_now(self) * 1000;
}

struct clock clock_fixed(const time_t *at)
{
	return (struct clock){ .now = fixed_now, .monotonic_ms = fixed_monotonic_ms, .self = (void *)at };
}

void clock_format(time_t at, char *out, size_t size)
{
	struct tm tm;

	if (size == 0)
		return;
	if (gmtime_r(&at, &tm) == NULL || strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
}

/* Reads exactly `digits` digits, then the byte `after` unless it is NUL. */
static bool number(const char **text, int digits, char after, int *value)
{
	*value = 0;
	for (; digits > 0; digits--) {
		if (**text < '0' || **text > '9')
			return false;
		*value = *value * 10 + *(*text)++ - '0';
	}
	if (after == '\0')
		return true;
	return *(*text)++ == after;
}

static int days_of(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

/* "Z" or "+hh:mm": seconds to take off. */
static bool parse_offset(const char **text, int *offset_s)
{
	int hours = 0, minutes = 0, sign;

	*offset_s = 0;
	switch (*(*text)++) {
	case 'Z':
	case 'z':
		return true;
	case '+':
		sign = 1;
		break;
	case '-':
		sign = -1;
		break;
	default:
		return false;
	}
	if (!number(text, 2, ':', &hours) || !number(text, 2, '\0', &minutes) || hours > 23 || minutes > 59)
		return false;
	*offset_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool parse_date(const char **text, struct tm *tm)
{
	if (!number(text, 4, '-', &tm->tm_year) || !number(text, 2, '-', &tm->tm_mon) ||
	    !number(text, 2, '\0', &tm->tm_mday) || tm->tm_mon < 1 || tm->tm_mon > 12 || tm->tm_mday < 1 ||
	    tm->tm_mday > days_of(tm->tm_year, tm->tm_mon))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	return true;
}

static bool parse_time(const char **text, struct tm *tm)
{
	/* 60 is a leap second; timegm makes it the next minute's first. */
	if (!number(text, 2, ':', &tm->tm_hour) || !number(text, 2, ':', &tm->tm_min) ||
	    !number(text, 2, '\0', &tm->tm_sec) || tm->tm_hour > 23 || tm->tm_min > 59 || tm->tm_sec > 60)
		return false;
	if (**text != '.')
		return true;
	do
		(*text)++;
	while (**text >= '0' && **text <= '9');
	return (*text)[-1] != '.';
}

int clock_parse(const char *text, time_t *at)
{
	struct tm tm = { 0 };
	int offset_s;

	if (!parse_date(&text, &tm) || (*text != 'T' && *text != 't' && *text != ' '))
		return -1;
	text++;
	if (!parse_time(&text, &tm) || !parse_offset(&text, &offset_s) || *text != '\0')
		return -1;
	*at = timegm(&tm) - offset_s;
	return 0;
}
