/* verdict.h - what the layers mean together, and the fields that say so (INTERFACE 4). */
#ifndef SMIME_VERDICT_H
#define SMIME_VERDICT_H

#include "mail/authres.h"
#include "smime/verify.h"

struct verdict {
	enum result result;		/* of the message: the worst signer that covers it; RESULT_NONE: nothing does */
	const char *reason;		/* one line; "encrypted" for an envelope that was not opened; "" for pass and none */
	struct layer_list layers;
};

/* The order fail, permerror, neutral, policy, temperror decides. */
void verdict_make(const struct layer_list *layers, struct verdict *verdict);

/* The names of enum values as the fields spell them. */
const char *layer_type_name(enum layer_type);
const char *integrity_name(enum integrity);
const char *algorithm_name(enum algorithm);
const char *from_match_name(enum from_match);

/* Authentication-Results (one) and X-SMIME-Layer (one a layer) for the top of the header. fields: in the order in which
 * they are to stand. rule: id of the rule that decided. 0 or -1. */
int verdict_fields(struct arena *arena, const struct verdict *verdict, const char *authserv_id, const char *rule,
		   struct field **fields, size_t *n, struct err *err);

/* The header without forged results: every X-SMIME-Layer, and our method's results in Authentication-Results that bear
 * our id (remove_all: those fields whole). Works from the last instance to the first. *removed: how many were changed. */
int verdict_clean_header(struct arena *arena, const struct header *from, const char *authserv_id, bool remove_all,
			 struct header *to, size_t *removed, struct err *err);

#endif
