/* monitor.h - a mutex, and a condition that is waited for by the clock that nobody sets. */
#ifndef LDAP_MONITOR_H
#define LDAP_MONITOR_H

#include <pthread.h>
#include <stdbool.h>

#include "base/clock.h"

struct monitor {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	const struct clock *clock;
};

/* 0, or -1: the system has no more of them. */
int monitor_init(struct monitor *monitor, const struct clock *clock);
void monitor_destroy(struct monitor *monitor);	/* nobody is in it */

void monitor_enter(struct monitor *monitor);
void monitor_leave(struct monitor *monitor);
/* Inside: lets others in until one of them wakes, at the latest when the clock says deadline_ms. False: it says so.
 * What is waited for may be there nevertheless, or not yet after a wake: look, in a loop. */
bool monitor_wait(struct monitor *monitor, int64_t deadline_ms);
/* Inside: wakes everybody who waits. */
void monitor_wake(struct monitor *monitor);

#endif
