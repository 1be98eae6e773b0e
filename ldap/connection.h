/* connection.h - one connection to one LDAP server: opened, secured, bound, closed; and what became of an operation. */
#ifndef LDAP_CONNECTION_H
#define LDAP_CONNECTION_H

#include "base/err.h"
#include "base/slice.h"
#include "ldap/deadline.h"
#include "ldap/resolver.h"

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

enum connection_bind { BIND_SIMPLE, BIND_EXTERNAL, BIND_GSSAPI };

struct connection_settings {		/* the texts outlive every connection */
	enum connection_bind bind;
	const char *bind_dn;		/* BIND_SIMPLE: NULL is anonymous; else NULL */
	struct slice password;
	bool starttls;
	const char *tls_ca_file;	/* NULL: the CAs of ldap.conf, or else the system's */
	const char *tls_cert_file, *tls_key_file;	/* who we are to a server that wants to know; both or neither */
	int64_t timeout_ms;
	const struct clock *clock;
	struct resolver *resolver;
};

/* Connects, does StartTLS (its failure is a failure), binds. connection->ld is NULL unless DONE; else *err. Only the
 * Kerberos library, when a KDC is slow, can make it last longer than the deadline (BIND_GSSAPI). */
enum outcome connection_open(const struct connection_settings *settings, const char *uri, int64_t deadline_ms,
			     struct connection *connection, struct err *err);
/* Are uri and settings usable? Opens nothing. 0, or -1 with *err: for the start, and initialises libldap and its TLS.
 * */
int connection_check(const struct connection_settings *settings, const char *uri, struct err *err);
/* Unbinds what is open. */
void connection_close(struct connection *connection);

/* Says in *err what the result code means ("Invalid credentials (text of the server)"), and what follows from it. */
enum outcome connection_outcome(int code, const char *diagnostic, struct err *err);
/* Waits for the result of the one operation under way: its code is the outcome. */
enum outcome connection_collect(const struct connection *connection, int message_id, struct err *err);
/* The code and text of the operation that just failed, or that it ran out of time. */
enum outcome connection_failed(const struct connection *connection, struct err *err);
enum outcome connection_timed_out(struct err *err);

#endif
