/* generation.h - all processes that work by one reading of the configuration: a keeper, which loads the site as the
 * configured user and holds it, and the workers that it forks from itself, and forks again when one dies. So a worker
 * can be replaced whatever has become of the files meanwhile, no two configurations mix, and a configuration that
 * cannot be loaded costs a process and nothing else.
 *
 * A generation is a process group; its number is the keeper's process id.
 */
#ifndef MILTER_GENERATION_H
#define MILTER_GENERATION_H

#include "milter/audit_event.h"
#include "milter/control.h"
#include "milter/log.h"
#include "milter/metrics.h"
#include "milter/setup.h"

struct generation_env {
	const char *path;		/* configuration file, absolute */
	const struct setup *setup;
	const struct event_sink *sink;
	int listener;			/* libmilter's listening descriptor */
	bool foreground;
	struct metrics *metrics;	/* of all generations */
	struct audit_event asked;	/* why it is started, and by whom; its config is filled in */
	int predecessor;		/* the former generation's `lookup`, to inherit from; -1: there is none */
	void (*forget)(void *self);	/* called in the new process: closes what is the master's alone */
	void *forget_self;
};

struct generation {
	pid_t pid;			/* of the keeper, and the group */
	int control;			/* the master's end */
	int ready;			/* readable when the workers serve (one byte) or the keeper has failed (none) */
	int lookup;			/* the clients' end of its lookup process's channel, for the next generation; -1 */
};

/* Exit status of a keeper whose configuration was refused. */
#define GENERATION_REFUSED 3

/* Forks the keeper. Findings in the configuration go to the sink. */
int generation_start(const struct generation_env *env, struct generation *generation, struct err *err);
/* 1: it serves; 0: it has failed (the keeper ends); -1: not known yet. Closes `ready` when known. */
int generation_ready(struct generation *generation);
/* Is any of its processes there? */
bool generation_alive(const struct generation *generation);
void generation_kill(const struct generation *generation);
/* Closes `lookup`: from now on its lookup process ends when its workers have. */
void generation_release(struct generation *generation);
/* Closes the descriptors. */
void generation_clear(struct generation *generation);

#endif
