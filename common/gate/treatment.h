/* treatment.h - one recipient's treatment, and whether two are the same. */
#ifndef GATE_TREATMENT_H
#define GATE_TREATMENT_H

#include "gate/plan.h"

/* What the rule wishes, before anything is looked up: sign and encrypt are wishes here. */
void treatment_wish(const struct rule *rule, enum direction direction, const struct facts *facts,
		    struct treatment *treatment);

/* Is signing asked of this message with no way round? (`require`, unless it is an excused report) */
bool treatment_must_sign(const struct treatment *treatment, const struct facts *facts);
bool treatment_must_encrypt(const struct treatment *treatment, const struct facts *facts);

/* Would both make the same message, or do they differ only in that one of both wants no look at what came? Then one
 * transaction serves both, verified and marked by the rule of the one that wants it. */
bool treatment_equal(const struct treatment *a, const struct treatment *b);

#endif
