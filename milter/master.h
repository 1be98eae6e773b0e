/* master.h - the process that an administrator sees: holds the socket, starts generations, obeys signals. No mail, no
 * key and no libmilter thread is ever in it.
 */
#ifndef MILTER_MASTER_H
#define MILTER_MASTER_H

#include "base/event.h"
#include "milter/setup.h"

struct master_env {
	const char *path;			/* configuration file, absolute */
	const struct event_sink *sink;
	bool foreground;
	/* Called once, when the first generation serves: whoever waits for the start may go. */
	void (*started)(void *self);
	void *started_self;
};

/* Serves until SIGTERM or SIGINT; drains then. SIGHUP and SIGUSR1 reload. Returns the exit status: 0 after a stop, 3
 * when the configuration is refused at start, 1 when the socket cannot be had. setup is changed by reloads. */
int master_run(const struct master_env *env, struct setup *setup);

#endif
