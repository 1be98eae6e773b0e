/* pool.h - a bounded number of connections to one server. */
#ifndef LDAP_POOL_H
#define LDAP_POOL_H

#include <stddef.h>

#include "ldap/connection.h"

struct slot {				/* one connection, in the hands of one thread at a time */
	struct connection connection;
	int64_t used_ms;
	unsigned long era;
	struct slot *next;
};

struct pool;

/* slots: connections at most. NULL: *err (memory). */
struct pool *pool_new(size_t slots, const struct clock *clock, struct err *err);
/* No slot may be taken. NULL is fine. */
void pool_free(struct pool *pool);

/* The slot used last, waiting for one until deadline_ms; its connection may be closed: one that was idle for long is,
 * or that was open when the server failed. NULL with *err: all are in use, or the server failed while we waited. */
struct slot *pool_take(struct pool *pool, int64_t deadline_ms, struct err *err);
void pool_give(struct pool *pool, struct slot *slot);

/* The server failed: nobody waits for its slots any longer, and no connection of before is used again. */
void pool_abandon(struct pool *pool);

#endif
