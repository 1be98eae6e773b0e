/* clock.h - time as a parameter, so that the core is a function of its inputs. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

struct clock {
	time_t (*now)(void *self);		/* seconds since 1970, UTC */
	int64_t (*monotonic_ms)(void *self);
	void *self;
};

extern const struct clock clock_system;

time_t clock_now(const struct clock *clock);
int64_t clock_monotonic_ms(const struct clock *clock);
/* A clock that stands still: self points to a time_t. */
struct clock clock_fixed(const time_t *at);

/* For waiting in pthread_cond_timedwait until a deadline: a condition that goes by CLOCK_MONOTONIC (0, or -1: memory; it is
 * destroyed as ever), and the moment there that is as far away as deadline_ms is on the clock now, at most a day. */
int clock_condition(pthread_cond_t *condition);
struct timespec clock_moment(const struct clock *clock, int64_t deadline_ms);

/* "2026-11-21T20:55:17Z" (out: at least 32 bytes) and back (0 or -1). RFC 3339, offsets accepted when reading. */
void clock_format(time_t at, char *out, size_t size);
int clock_parse(const char *text, time_t *at);

#endif
