/* monitor.c - see monitor.h. Used by pool.c and resolver.c; servers.c needs the mutex alone. */
#include "ldap/monitor.h"

#include <errno.h>

int monitor_init(struct monitor *monitor, const struct clock *clock)
{
	monitor->clock = clock;
	if (pthread_mutex_init(&monitor->mutex, NULL) != 0)
		return -1;
	if (clock_condition(&monitor->changed) == 0)
		return 0;
	pthread_mutex_destroy(&monitor->mutex);
	return -1;
}

void monitor_destroy(struct monitor *monitor)
{
	pthread_cond_destroy(&monitor->changed);
	pthread_mutex_destroy(&monitor->mutex);
}

void monitor_enter(struct monitor *monitor)
{
	pthread_mutex_lock(&monitor->mutex);
}

void monitor_leave(struct monitor *monitor)
{
	pthread_mutex_unlock(&monitor->mutex);
}

bool monitor_wait(struct monitor *monitor, int64_t deadline_ms)
{
	struct timespec until = clock_moment(monitor->clock, deadline_ms);

	return pthread_cond_timedwait(&monitor->changed, &monitor->mutex, &until) != ETIMEDOUT;
}

void monitor_wake(struct monitor *monitor)
{
	pthread_cond_broadcast(&monitor->changed);
}
