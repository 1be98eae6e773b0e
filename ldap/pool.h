/* pool.h - a bounded number of connections to the servers of one directory, and which servers are to be spared a
 * while. */
#ifndef LDAP_POOL_H
#define LDAP_POOL_H

#include <stddef.h>

#include "ldap/connection.h"

struct slot {				/* one connection, in the hands of one thread at a time */
	struct connection connection;
	size_t server;			/* that it is connected to */
	int64_t used_ms;
	struct slot *next;
};

struct pool;

/* slots: connections at most; servers: number of URIs. NULL: *err (memory). */
struct pool *pool_new(size_t slots, size_t servers, const struct clock *clock, struct err *err);
/* No slot may be taken. NULL is fine. */
void pool_free(struct pool *pool);

/* The slot used last, waiting for one until deadline_ms; a connection that was idle for long is closed. NULL: *err. */
struct slot *pool_take(struct pool *pool, int64_t deadline_ms, struct err *err);
void pool_give(struct pool *pool, struct slot *slot);

/* The server failed: others are asked first for some seconds. */
void pool_penalise(struct pool *pool, size_t server);
/* All servers in the order to ask them: as configured, penalised ones last. order has room for every server. */
void pool_order(struct pool *pool, size_t *order);

#endif
