/* servers.h - which servers a directory has, in what order to ask them, and which of them are to be spared a while. */
#ifndef LDAP_SERVERS_H
#define LDAP_SERVERS_H

#include "ldap/pool.h"
#include "ldap/resolver.h"

#define SERVERS_MAX 32

struct server_source {			/* the texts outlive everything */
	const char *uri;		/* NULL: those that the DNS names for the service */
	const char *scheme;		/* "ldap", "ldaps": of the URIs made for them */
	const char *service;		/* "_ldap._tcp.example.com" */
};

struct server {
	const char *uri;
	struct pool *pool;
};

struct server_order {
	struct server *items[SERVERS_MAX];	/* each once */
	size_t n;
};

struct servers;

/* Asks nothing yet. slots: connections to each server at most. NULL: *err (memory). */
struct servers *servers_new(const struct server_source *sources, size_t n, size_t slots, struct resolver *resolver,
			    const struct clock *clock, struct err *err);
/* Nothing may be taken. Closes all connections. NULL is fine. */
void servers_free(struct servers *servers);

/* All servers in the order to ask them: source by source, those that failed lately last. One whose time to be spared is
 * over is first again for this caller alone, until it is told how that went. What the DNS says is asked again when its
 * TTL is over (between one minute and one hour), meanwhile what it said last serves; the first time it is waited for
 * until deadline_ms. 0: give it back; -1 with *err: there is none. */
int servers_take(struct servers *servers, int64_t deadline_ms, struct server_order *order, struct err *err);
void servers_give(struct servers *servers, struct server_order *order);

/* The server serves; or failed, and others are asked first for some seconds. True: that is new. */
bool servers_answered(struct servers *servers, struct server *server);
bool servers_failed(struct servers *servers, struct server *server);

/* All of them failed: asks the DNS for others until deadline_ms. Is there one now that order has not? */
bool servers_renew(struct servers *servers, const struct server_order *order, int64_t deadline_ms);

#endif
