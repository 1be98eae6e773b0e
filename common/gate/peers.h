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

struct peers_question {			/* for the certificates of some recipients of one rule, in one go */
	const struct gate_env *env;
	const struct facts *facts;
	struct arena *arena;
	const struct rule *rule;
	const struct encrypt_to *to;	/* of the rule's: who stands for them */
	const size_t *who;		/* n indices of recipients */
	size_t n;
};

/* addresses, lists: n of them, who was asked for and what was found. 0, or -1: memory. */
int peers_ask(const struct peers_question *question, struct address *addresses, struct candidate_list *lists,
	      struct err *err);

/* Completes groups that are encrypted: additional recipients, and the certificates of all. An additional recipient whose
 * certificate is not found is a refusal; `sender` without one is left out. 0, or -1: memory, key store. */
int peers_complete(const struct gate_env *env, const struct facts *facts, struct arena *arena, struct plan *plan,
		   struct err *err);

/* What is told of somebody chosen. address == NULL: arena exhausted. */
struct encrypted_to peers_encrypted_to(struct arena *arena, const struct candidate_choice *choice, const char *role);

#endif
