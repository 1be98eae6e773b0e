/* harvest.h - whether a message's signature teaches a certificate that a rule wants kept (`harvest`, INTERFACE 2).
 * Decides nothing about the message itself.
 */
#ifndef GATE_HARVEST_H
#define GATE_HARVEST_H

#include "gate/plan.h"

/* Fills outcome->harvests from the verdicts of the plan's groups. Nothing of a refused message. 0, or -1: memory. */
int harvest_gather(const struct site *site, const struct facts *facts, const struct plan *plan, struct arena *arena,
		   struct outcome *outcome, struct err *err);

#endif
