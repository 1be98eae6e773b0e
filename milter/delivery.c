/* delivery.c - see delivery.h. Called by callbacks.c at the end of a message, before the original is changed. */
#include "milter/delivery.h"

static bool anybody_is_dropped(const struct outcome *outcome)
{
	for (size_t i = 0; i < outcome->recipient_count; i++)
		if (outcome->recipients[i].message == OUTCOME_NONE)
			return true;
	return false;
}

void delivery_run(struct outcome *outcome)
{
	if (outcome->action != ACTION_ACCEPT || outcome->observed)
		return;
	if (outcome->copy_count > 0)
		gate_refuse(outcome, REPLY_SEPARATE, "its recipients need different treatment: send to them separately");
	else if (anybody_is_dropped(outcome))
		gate_refuse(outcome, REPLY_NO_CERTIFICATE, "no usable certificate for some recipients");
}
