/* judge.h - what a verdict means for acceptance: `verify = "reject"` and `require_protection` (INTERFACE 3). */
#ifndef GATE_JUDGE_H
#define GATE_JUDGE_H

#include "gate/plan.h"

/* The configured limits, as verification wants them. */
void judge_limits(const struct limits *limits, struct verify_env *env);

/* Verifies the message by the group's rule; fills group->verdict. 0, or -1: a stream or memory failed. */
int judge_verify(const struct site *site, const struct facts *facts, const struct message *message,
		 struct arena *arena, struct group *group, struct err *err);

/* Sets the refusal, unless there is one, where the group's rule does not let its verdict pass. */
void judge_refuse(const struct facts *facts, const struct group *group, struct refusal *refusal);

#endif
