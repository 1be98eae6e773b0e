/* pool.c - slots for connections to one server, handed out last used first so that few stay open. Which servers there
 * are is servers.c's business, what is done over a connection ldap_driver.c's and query.c's. Thread-safe; nothing is
 * locked while the network is asked.
 */
#include "ldap/pool.h"

#include <stdlib.h>

#include "ldap/monitor.h"

#define IDLE_MS 240000		/* servers and firewalls commonly drop what was idle for five minutes or more */

struct pool {
	struct monitor monitor;
	struct slot *slots, *unused;	/* unused: those nobody has */
	size_t slot_count;
	unsigned long era;		/* how often the server has failed */
};

struct pool *pool_new(size_t slots, const struct clock *clock, struct err *err)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (pool != NULL)
		pool->slots = calloc(slots, sizeof(*pool->slots));
	if (pool == NULL || pool->slots == NULL || monitor_init(&pool->monitor, clock) != 0) {
		if (pool != NULL)
			free(pool->slots);
		free(pool);
		err_memory(err);
		return NULL;
	}
	pool->slot_count = slots;
	for (size_t i = 0; i < slots; i++) {
		pool->slots[i].next = pool->unused;
		pool->unused = &pool->slots[i];
	}
	return pool;
}

void pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	for (size_t i = 0; i < pool->slot_count; i++)
		connection_close(&pool->slots[i].connection);
	monitor_destroy(&pool->monitor);
	free(pool->slots);
	free(pool);
}

struct slot *pool_take(struct pool *pool, int64_t deadline_ms, struct err *err)
{
	const struct clock *clock = pool->monitor.clock;
	bool is_old, failed;
	struct slot *slot;
	unsigned long era;

	monitor_enter(&pool->monitor);
	era = pool->era;
	while (pool->unused == NULL && pool->era == era && monitor_wait(&pool->monitor, deadline_ms))
		continue;
	failed = pool->era != era;
	slot = failed ? NULL : pool->unused;
	if (slot != NULL)
		pool->unused = slot->next;
	monitor_leave(&pool->monitor);
	if (slot == NULL && failed)
		err_set(err, ERR_TEMP, "failed while a connection was waited for");
	else if (slot == NULL)
		err_set(err, ERR_TEMP, "timed out: all %zu connections are in use", pool->slot_count);
	if (slot == NULL)
		return NULL;
	is_old = slot->era != era || clock_monotonic_ms(clock) - slot->used_ms > IDLE_MS;
	if (is_old)
		connection_close(&slot->connection);
	slot->era = era;
	return slot;
}

void pool_give(struct pool *pool, struct slot *slot)
{
	slot->used_ms = clock_monotonic_ms(pool->monitor.clock);
	monitor_enter(&pool->monitor);
	slot->next = pool->unused;
	pool->unused = slot;
	monitor_wake(&pool->monitor);
	monitor_leave(&pool->monitor);
}

void pool_abandon(struct pool *pool)
{
	monitor_enter(&pool->monitor);
	pool->era++;
	monitor_wake(&pool->monitor);
	monitor_leave(&pool->monitor);
}
