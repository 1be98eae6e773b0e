/* plan.h - what is to be done with a message: one treatment for all its recipients, or a refusal.
 *
 * Looks keys and certificates up, since they decide what is possible. Recipients whose treatments differ would need
 * copies; until the gateway makes copies that is a refusal too.
 */
#ifndef GATE_PLAN_H
#define GATE_PLAN_H

#include "gate/facts.h"
#include "gate/outcome.h"

struct treatment {
	const struct rule *rule;	/* NULL: none matched */
	bool verify;			/* verdict and fields */
	bool clean;			/* forged result fields are removed */
	bool unwrap;			/* the signatures of a message that passes are removed */
	bool sign;
	bool encrypt;
	struct key *key;		/* sign: with it */
	const struct cert *own_encryption_cert;	/* sign: announced; NULL: none */
	const char *why;		/* one line for explain */
};

struct refusal {
	enum reply reply;		/* REPLY_NONE: none */
	enum action action;
	const char *detail;		/* for the reply */
	const char *reason;		/* for the log and explain: may name what a stranger need not know; NULL: as detail */
};

struct plan {
	struct treatment treatment;	/* of all */
	struct treatment *each;		/* per recipient */
	struct candidate_list *candidates;	/* per recipient; meaningful where looked_up */
	bool *looked_up;
	struct refusal refusal;
	const struct cert **certs;	/* encrypt: one a recipient */
	size_t cert_count;
	struct capabilities *peers;
	enum cipher cipher;
	struct verdict verdict;		/* set by gate.c after verification */
	bool verified;
};

struct gate_env;

/* 0 with a plan (a refusal is a plan too), or -1: memory, key store or stream failed. */
int plan_make(const struct gate_env *env, const struct envelope *envelope, const struct facts *facts,
	      struct arena *arena, struct plan *plan, struct err *err);

#endif
