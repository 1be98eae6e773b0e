/* connection.h - one connection to one LDAP server: opened, secured, bound, closed; and what became of an operation. */
#ifndef LDAP_CONNECTION_H
#define LDAP_CONNECTION_H

#include "base/err.h"
#include "base/slice.h"
#include "ldap/deadline.h"

/* What a failed operation means for the next step. */
enum outcome {
	OUTCOME_DONE,
	OUTCOME_LOST,		/* the connection is broken: an idle one may simply be opened again */
	OUTCOME_ELSEWHERE,	/* this server does not answer or cannot serve now: ask another one */
	OUTCOME_REFUSED,	/* every server would say the same: wrong password, no such base */
	OUTCOME_EXHAUSTED	/* no memory on our side */
};

struct connection {			/* stays in its place while it is open */
	LDAP *ld;			/* NULL: not open */
	struct deadline deadline;
};

struct connection_settings {		/* the texts outlive every connection */
	const char *bind_dn;		/* NULL: anonymous */
	struct slice password;
	bool starttls;
	const char *tls_ca_file;	/* NULL: the CAs of ldap.conf, or else the system's */
	int64_t timeout_ms;
	const struct clock *clock;
};

/* Connects, does StartTLS (its failure is a failure), binds. connection->ld is NULL unless DONE; else *err. Only the
 * resolver, when it is slow to find the server's name, can make it last longer than the deadline. */
enum outcome connection_open(const struct connection_settings *settings, const char *uri, int64_t deadline_ms,
			     struct connection *connection, struct err *err);
/* Are uri and settings usable? Opens nothing. 0, or -1 with *err: for the start, and initialises libldap and its TLS.
 * */
int connection_check(const struct connection_settings *settings, const char *uri, struct err *err);
/* Unbinds what is open. */
void connection_close(struct connection *connection);

/* Says in *err what the result code means ("Invalid credentials (text of the server)"), and what follows from it. */
enum outcome connection_outcome(int code, const char *diagnostic, struct err *err);
/* The code and text of the operation that just failed, or that it ran out of time. */
enum outcome connection_failed(const struct connection *connection, struct err *err);
enum outcome connection_timed_out(struct err *err);

#endif
