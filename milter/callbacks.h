/* callbacks.h - libmilter's view of us: the table of callbacks. They pass data on and end; see transaction.h. */
#ifndef MILTER_CALLBACKS_H
#define MILTER_CALLBACKS_H

#include "base/err.h"
#include "milter/worker.h"

/* Makes the table known to libmilter: once in a process tree, before smfi_opensocket. 0 or -1. */
int callbacks_register(struct err *err);

/* Opens libmilter's listening socket; conn as libmilter spells it ("unix:PATH", "inet:PORT@HOST"). 0 or -1; the reason
 * is in syslog only. */
int callbacks_listen(const char *conn, int backlog);

/* What sessions of this process work with: once, before smfi_main. worker outlives it. */
void callbacks_bind(struct worker *worker);

/* libmilter's loop: accepts and serves, in threads of its own, a session that is silent for timeout_s being given up.
 * Returns when libmilter gives up. */
void callbacks_serve(int timeout_s);

#endif
