/* report.h - the outcome's recipients: who gets what, and why, for log, audit, explain and outcome.json. */
#ifndef GATE_REPORT_H
#define GATE_REPORT_H

#include "gate/outcome.h"
#include "gate/plan.h"

/* 0, or -1: arena exhausted. */
int report_fill(const struct envelope *envelope, const struct facts *facts, const struct plan *plan,
		struct arena *arena, struct outcome *outcome, struct err *err);

#endif
