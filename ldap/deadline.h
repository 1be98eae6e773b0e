/* deadline.h - a connection whose every read and write ends at a deadline, TLS handshakes included.
 *
 * libldap's timeouts end the wait for an answer to begin, not the reading of one that stops in the middle; and
 * measured with 2.5.13 over GnuTLS, a handshake with a server that says nothing spins for ever whatever timeout is
 * set. So a layer below TLS waits for the socket itself, and reports an error when time is over.
 */
#ifndef LDAP_DEADLINE_H
#define LDAP_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>

#include <ldap.h>

#include "base/clock.h"

struct deadline {			/* must not move while ld lives */
	const struct clock *clock;
	int64_t at_ms;			/* set before each operation */
	bool missed;			/* an operation was ended by it */
};

/* Puts the layer into the connection that ld has. 0, or -1: libldap refuses. */
int deadline_attach(struct deadline *deadline, LDAP *ld);
/* What is left, as libldap wants it; false: it is over. */
bool deadline_left(const struct deadline *deadline, struct timeval *left);

#endif
