/* readers.h - mail that must be encrypted and came so: is it encrypted as its recipients' rules want it, and for them?
 *
 * An envelope meets `require` if its cipher is one of the rule's `ciphers` and, where the recipient (or who stands for him
 * by `encrypt_to`) has usable certificates, one of them is named in it. Of PGP nothing of the kind is known: it meets it.
 */
#ifndef GATE_READERS_H
#define GATE_READERS_H

#include "gate/gate.h"
#include "gate/plan.h"

/* Looks at each recipient whose treatment wants check_envelope. What is not met is a refusal that names him; so is
 * what could not be asked. 0, or -1: memory, or a stream failed. */
int readers_check(const struct gate_env *env, const struct envelope *envelope, const struct facts *facts,
		  struct arena *arena, struct plan *plan, struct err *err);

#endif
