/* worker.h - a process that serves sessions: libmilter's threads over one immutable site. What it shares with its
 * callbacks, and the life of the process itself.
 */
#ifndef MILTER_WORKER_H
#define MILTER_WORKER_H

#include <stdatomic.h>

#include "milter/control.h"
#include "milter/metrics.h"
#include "milter/recorder_client.h"
#include "milter/transaction.h"

struct worker {
	const struct site *site;
	const struct event_sink *sink;
	struct budget budget;
	struct delivery delivery;
	atomic_uint messages;		/* between MAIL FROM and their end */
	const struct recorder_client *recorder;	/* NULL: the configuration has nothing to record */
	struct metrics *metrics;
};

struct worker_env {
	const struct site *site;
	const struct delivery *delivery;
	const struct event_sink *sink;
	int listener;			/* libmilter's listening descriptor */
	int control;			/* see control.h */
	int recorder;			/* the clients' end of the recorder's channel; -1: there is no recorder */
	struct metrics *metrics;
};

/* Serves until told to drain or stop, then ends the process: never returns. Drain: takes no further session, serves the
 * open ones to their end (600 s at most). Stop: cuts sessions without a message after 5 s, all after 90 s. */
_Noreturn void worker_run(const struct worker_env *env);

#endif
