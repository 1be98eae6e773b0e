/* peers.h - whose certificates a message is encrypted to: its recipients', or of those who stand in for them
 * (`encrypt_to`), and those of `additional_recipients`.
 */
#ifndef GATE_PEERS_H
#define GATE_PEERS_H

#include "gate/gate.h"
#include "gate/plan.h"

/* Fills plan->candidates, looked_up and peers for every recipient whose treatment wants encryption. Directories are asked
 * for all of one rule in one go. What is found stands there, what is not is judged by plan.c. 0, or -1: memory. */
int peers_find(const struct gate_env *env, const struct envelope *envelope, const struct facts *facts,
	       struct arena *arena, struct plan *plan, struct err *err);

/* Completes groups that are encrypted: additional recipients, and the certificates of all. An additional recipient whose
 * certificate is not found is a refusal; `sender` without one is left out. 0, or -1: memory, key store. */
int peers_complete(const struct gate_env *env, const struct facts *facts, struct arena *arena, struct plan *plan,
		   struct err *err);

#endif
