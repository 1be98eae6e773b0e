/* group.h - recipients who can share a message, and those who need one of their own.
 *
 * Who gets the same treatment shares a message. An encrypted message shows each reader who else can read it (issuer and
 * serial, or key identifier), so a recipient who stands in no address field of it gets one of his own (`bcc`); and all of
 * a group whose capabilities are known can read its cipher.
 */
#ifndef GATE_GROUP_H
#define GATE_GROUP_H

#include "gate/plan.h"

/* Fills plan->groups from plan->each and plan->candidates; recipients who are dropped are in none. The first group keeps
 * the original transaction: it is one whose members are named in the message, where there is one. More copies than
 * limits.copies are a refusal. Not called for a plan that is refused already. 0, or -1: arena exhausted. */
int group_make(const struct site *site, const struct envelope *envelope, const struct facts *facts,
	       struct arena *arena, struct plan *plan, struct err *err);

#endif
