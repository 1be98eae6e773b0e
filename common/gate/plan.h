/* plan.h - what is to be done with a message: a treatment for each recipient, groups of those who can share a message,
 * or a refusal of the whole.
 *
 * Looks keys and certificates up, since they decide what is possible.
 */
#ifndef GATE_PLAN_H
#define GATE_PLAN_H

#include "gate/facts.h"
#include "gate/outcome.h"

struct treatment {
	const struct rule *rule;	/* NULL: none matched */
	bool verify;			/* verdict and fields */
	bool clean;			/* forged result fields are removed */
	bool sends;			/* mail of ours */
	bool raised;			/* the writer asked for encryption: it is as good as required */
	bool unwrap;			/* the signatures of a message that passes are removed */
	bool sign;
	bool encrypt;
	bool check_envelope;		/* encryption is required, and the message is encrypted already: as it must be? */
	bool drop;			/* no certificate: this recipient gets nothing, and the sender is told */
	struct key *key;		/* sign: with it */
	const struct cert *own_encryption_cert;	/* sign: announced; NULL: none */
	const char *why;		/* one line for explain */
};

struct refusal {
	enum reply reply;		/* REPLY_NONE: none */
	enum action action;
	const char *detail;		/* for the reply */
	const char *reason;		/* for the log and explain: may name what strangers need not know; NULL: as detail */
};

struct peer {			/* whose certificates are used for a recipient */
	struct address address;
	const char *role;		/* "recipient" "domain" */
};

struct group {				/* recipients who get the very same message */
	const struct treatment *treatment;	/* of its leading recipient */
	size_t *members;		/* indices of the envelope's recipients, ascending */
	size_t member_count;
	bool hidden;			/* its members stand in no field of an encrypted message (Bcc) */
	bool parted;			/* others get another message */
	struct encrypted_to *extras;	/* encrypt: additional recipients */
	size_t extra_count;
	const struct cert **certs;	/* encrypt: of the members and the additional recipients */
	size_t cert_count;
	struct capabilities *peers;	/* of those whom it is encrypted to for its members; what no listed cipher meets
					   counts as not known */
	size_t peer_count;
	enum cipher cipher;
	struct verdict verdict;		/* set by judge.c */
	bool verified;
};

struct plan {
	struct treatment *each;		/* per recipient */
	struct candidate_list *candidates;	/* per recipient; meaningful where looked_up */
	bool *looked_up;
	struct peer *peers;		/* per recipient; meaningful where looked_up */
	struct refusal refusal;
	struct group *groups;		/* the first one's message is the original transaction's, the others' are copies */
	size_t group_count;
};

struct gate_env;

/* 0 with a plan (a refusal is a plan too), or -1: memory, key store or stream failed. */
int plan_make(const struct gate_env *env, const struct envelope *envelope, const struct facts *facts,
	      struct arena *arena, struct plan *plan, struct err *err);
/* The first refusal of a kind stands; "could not ask" replaces a final one. detail NULL: "". */
void plan_refuse(struct plan *plan, enum reply reply, enum action action, const char *detail, const char *reason);
/* Try later, since it cannot be known whether there is a certificate: a directory, or the revocation of what it has. */
void plan_refuse_not_asked(struct plan *plan, const struct candidate_list *list);

#endif
