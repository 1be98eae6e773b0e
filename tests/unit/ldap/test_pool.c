/* test_pool.c - slots are bounded and waited for; what was open to a server that failed is not used again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "ldap/pool.h"
#include "support/testdir.h"

static void slots_are_bounded(void **state)
{
	int64_t start_ms = clock_monotonic_ms(&clock_system), waited_ms;
	struct pool *pool;
	struct slot *a, *b;
	struct err err;

	(void)state;
	pool = pool_new(2, &clock_system, &err);
	assert_non_null(pool);
	a = pool_take(pool, start_ms + 1000, &err);
	b = pool_take(pool, start_ms + 1000, &err);
	assert_true(a != NULL && b != NULL && a != b);
	assert_null(pool_take(pool, clock_monotonic_ms(&clock_system) + 60, &err));
	waited_ms = clock_monotonic_ms(&clock_system) - start_ms;
	assert_true(waited_ms >= 55 && waited_ms < 3000);
	assert_int_equal(err.class, ERR_TEMP);
	assert_string_equal(err.text, "timed out: all 2 connections are in use");
	/* One whose deadline is over waits for nothing, but takes what is there. */
	assert_null(pool_take(pool, 0, &err));
	pool_give(pool, b);
	assert_ptr_equal(pool_take(pool, 0, &err), b);
	pool_give(pool, a);
	pool_give(pool, b);
	/* Last used first. */
	assert_ptr_equal(pool_take(pool, 0, &err), b);
	pool_give(pool, b);
	pool_free(pool);
	pool_free(NULL);
}

struct giving {
	struct pool *pool;
	struct slot *slot;
};

static void *give_later(void *arg)
{
	struct giving *giving = arg;

	usleep(50000);
	pool_give(giving->pool, giving->slot);
	return NULL;
}

static void given_slots_wake_who_waits(void **state)
{
	struct giving giving = { .pool = NULL };
	struct err err;
	pthread_t thread;

	(void)state;
	giving.pool = pool_new(1, &clock_system, &err);
	giving.slot = pool_take(giving.pool, 0, &err);
	assert_int_equal(pthread_create(&thread, NULL, give_later, &giving), 0);
	assert_ptr_equal(pool_take(giving.pool, clock_monotonic_ms(&clock_system) + 5000, &err), giving.slot);
	assert_int_equal(pthread_join(thread, NULL), 0);
	pool_give(giving.pool, giving.slot);
	pool_free(giving.pool);
}

static void *take_now(void *arg)
{
	struct giving *giving = arg;
	struct err err = { .class = ERR_NONE };

	if (pool_take(giving->pool, clock_monotonic_ms(&clock_system) + 60000, &err) != NULL ||
	    strstr(err.text, "failed") == NULL)
		return arg;
	return NULL;
}

/* Who waits for a server that fails learns it at once; others find what was open closed. */
static void nobody_waits_for_a_server_that_failed(void **state)
{
	struct giving giving = { .pool = NULL };
	struct err err;
	pthread_t thread;
	void *bad;

	(void)state;
	giving.pool = pool_new(1, &clock_system, &err);
	giving.slot = pool_take(giving.pool, 0, &err);
	assert_int_equal(pthread_create(&thread, NULL, take_now, &giving), 0);
	/* However late the thread begins to wait. */
	while (pthread_tryjoin_np(thread, &bad) != 0) {
		pool_abandon(giving.pool);
		usleep(1000);
	}
	assert_null(bad);
	assert_int_equal(ldap_initialize(&giving.slot->connection.ld, "ldap://127.0.0.1:1"), LDAP_SUCCESS);
	pool_give(giving.pool, giving.slot);
	giving.slot = pool_take(giving.pool, 0, &err);
	assert_null(giving.slot->connection.ld);
	assert_int_equal(ldap_initialize(&giving.slot->connection.ld, "ldap://127.0.0.1:1"), LDAP_SUCCESS);
	pool_give(giving.pool, giving.slot);
	giving.slot = pool_take(giving.pool, 0, &err);
	assert_non_null(giving.slot->connection.ld);
	pool_give(giving.pool, giving.slot);
	pool_free(giving.pool);
}

static void idle_connections_are_closed(void **state)
{
	struct testdir_clock clock;
	struct pool *pool;
	struct slot *slot;
	struct err err;

	(void)state;
	testdir_clock_init(&clock);
	pool = pool_new(1, &clock.clock, &err);
	slot = pool_take(pool, 0, &err);
	assert_int_equal(ldap_initialize(&slot->connection.ld, "ldap://127.0.0.1:1"), LDAP_SUCCESS);
	pool_give(pool, slot);
	clock.monotonic_ms += 100000;
	slot = pool_take(pool, 0, &err);
	assert_non_null(slot->connection.ld);
	pool_give(pool, slot);
	clock.monotonic_ms += 300000;
	slot = pool_take(pool, 0, &err);
	assert_null(slot->connection.ld);
	pool_give(pool, slot);
	pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_are_bounded),
		cmocka_unit_test(given_slots_wake_who_waits),
		cmocka_unit_test(nobody_waits_for_a_server_that_failed),
		cmocka_unit_test(idle_connections_are_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
