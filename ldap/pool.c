/* pool.c - slots for connections, handed out last used first so that few stay open, and the servers' penalties. What
 * is done over a connection is ldap_driver.c's and query.c's. Thread-safe: one mutex, never held while the network is
 * asked.
 */
#include "ldap/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define PENALTY_MS 10000
#define IDLE_MS 240000		/* servers and firewalls commonly drop what was idle for five minutes or more */

struct pool {
	pthread_mutex_t mutex;
	pthread_cond_t given;
	const struct clock *clock;
	struct slot *slots, *unused;	/* unused: those nobody has */
	int64_t *spared_until_ms;	/* for each server */
	size_t slot_count, server_count;
};

static int init_locks(struct pool *pool)
{
	if (pthread_mutex_init(&pool->mutex, NULL) != 0)
		return -1;
	if (clock_condition(&pool->given) == 0)
		return 0;
	pthread_mutex_destroy(&pool->mutex);
	return -1;
}

struct pool *pool_new(size_t slots, size_t servers, const struct clock *clock, struct err *err)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		goto out;
	pool->slots = calloc(slots, sizeof(*pool->slots));
	pool->spared_until_ms = calloc(servers, sizeof(*pool->spared_until_ms));
	if (pool->slots == NULL || pool->spared_until_ms == NULL || init_locks(pool) != 0)
		goto out;
	pool->clock = clock;
	pool->slot_count = slots;
	pool->server_count = servers;
	for (size_t i = 0; i < slots; i++) {
		pool->slots[i].next = pool->unused;
		pool->unused = &pool->slots[i];
	}
	return pool;
out:
	if (pool != NULL) {
		free(pool->slots);
		free(pool->spared_until_ms);
	}
	free(pool);
	err_memory(err);
	return NULL;
}

void pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	for (size_t i = 0; i < pool->slot_count; i++)
		connection_close(&pool->slots[i].connection);
	pthread_cond_destroy(&pool->given);
	pthread_mutex_destroy(&pool->mutex);
	free(pool->slots);
	free(pool->spared_until_ms);
	free(pool);
}

struct slot *pool_take(struct pool *pool, int64_t deadline_ms, struct err *err)
{
	struct timespec until = clock_moment(pool->clock, deadline_ms);
	struct slot *slot;

	pthread_mutex_lock(&pool->mutex);
	while (pool->unused == NULL && pthread_cond_timedwait(&pool->given, &pool->mutex, &until) != ETIMEDOUT)
		continue;
	slot = pool->unused;
	if (slot != NULL)
		pool->unused = slot->next;
	pthread_mutex_unlock(&pool->mutex);
	if (slot == NULL) {
		err_set(err, ERR_TEMP, "timed out: all %zu connections are in use", pool->slot_count);
		return NULL;
	}
	if (clock_monotonic_ms(pool->clock) - slot->used_ms > IDLE_MS)
		connection_close(&slot->connection);
	return slot;
}

void pool_give(struct pool *pool, struct slot *slot)
{
	slot->used_ms = clock_monotonic_ms(pool->clock);
	pthread_mutex_lock(&pool->mutex);
	slot->next = pool->unused;
	pool->unused = slot;
	pthread_cond_signal(&pool->given);
	pthread_mutex_unlock(&pool->mutex);
}

void pool_penalise(struct pool *pool, size_t server)
{
	pthread_mutex_lock(&pool->mutex);
	pool->spared_until_ms[server] = clock_monotonic_ms(pool->clock) + PENALTY_MS;
	pthread_mutex_unlock(&pool->mutex);
}

void pool_order(struct pool *pool, size_t *order)
{
	int64_t now_ms = clock_monotonic_ms(pool->clock);
	size_t n = 0;

	pthread_mutex_lock(&pool->mutex);
	for (size_t i = 0; i < pool->server_count; i++) {
		if (pool->spared_until_ms[i] <= now_ms)
			order[n++] = i;
	}
	for (size_t i = 0; i < pool->server_count; i++) {
		if (pool->spared_until_ms[i] > now_ms)
			order[n++] = i;
	}
	pthread_mutex_unlock(&pool->mutex);
}
