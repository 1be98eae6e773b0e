/* step.h - transformations: each makes a new message from a message. A new one is a file and a row in step.c. */
#ifndef GATE_STEP_H
#define GATE_STEP_H

#include "gate/plan.h"

struct step_env {
	const struct site *site;
	const struct facts *facts;
	const struct group *group;
	struct arena *arena;
};

/* Runs the group's steps in their order. out: the last step's message, in itself if there was none. 0 or -1. */
int step_run(const struct step_env *env, const struct message *in, struct message *out, struct err *err);

#endif
