/* resolver.h - what names mean, by a deadline: hosts' addresses, and the servers of a service (DNS SRV).
 *
 * The system's resolver has times of its own: with a name server that is silent, getaddrinfo takes 10 seconds and more
 * (measured, see DESIGN), whatever anybody waits for. So it works in a thread of its own, one for each name, and who
 * waits for it goes on when his time is over. What it found last serves while it finds nothing.
 */
#ifndef LDAP_RESOLVER_H
#define LDAP_RESOLVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/err.h"

#define RESOLVED_MAX 16

struct resolved_address {
	struct sockaddr_storage sockaddr;	/* without port */
	socklen_t n;
};

struct resolved_target {		/* RFC 2782 */
	char host[256];			/* letters, digits, '-', '_' and '.' alone; not "." */
	uint16_t port, priority, weight;
};

struct resolved {			/* one or the other */
	struct resolved_address addresses[RESOLVED_MAX];
	size_t address_count;
	struct resolved_target targets[RESOLVED_MAX];	/* in the order to be asked */
	size_t target_count;
	uint32_t ttl_s;			/* of targets */
};

struct resolver_functions {		/* each may take as long as it likes; 0, or -1 with *err */
	int (*host)(const char *name, struct resolved *out, struct err *err);
	int (*service)(const char *name, struct resolved *out, struct err *err);
};

extern const struct resolver_functions resolver_system;

enum resolver_kind { RESOLVER_HOST, RESOLVER_SERVICE };

struct resolver;

/* NULL: *err (memory). functions outlive the process's threads. */
struct resolver *resolver_new(const struct resolver_functions *functions, const struct clock *clock, struct err *err);
/* Nobody waits. What is still under way ends by itself. NULL is fine. */
void resolver_free(struct resolver *resolver);

/* Asks, or joins who asks for the same, and waits until deadline_ms; where there is an earlier answer, for half of that
 * time. 0: *out is what is so now; 1: *out is the earlier answer, there is no other yet; -1 with *err. */
int resolver_ask(struct resolver *resolver, enum resolver_kind kind, const char *name, int64_t deadline_ms,
		 struct resolved *out, struct err *err);

#endif
