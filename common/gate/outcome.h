/* outcome.h - what is to become of a message. It starts as try later; success is the last assignment. Plain values. */
#ifndef GATE_OUTCOME_H
#define GATE_OUTCOME_H

#include <stdint.h>

#include "gate/envelope.h"
#include "mail/edit.h"
#include "pki/candidate.h"
#include "policy/rule.h"
#include "smime/harvest.h"

enum action { ACTION_TEMPFAIL, ACTION_ACCEPT, ACTION_REJECT };	/* zero is the safe one */

enum reply {			/* milter/reply.c has codes and texts */
	REPLY_INTERNAL = 0,	/* 451 4.3.0 */
	REPLY_NONE,
	REPLY_NO_CERTIFICATE,	/* 550 5.7.5 */
	REPLY_NO_CERTIFICATE_LATER,	/* 451 4.7.5: no_certificate = "tempfail" */
	REPLY_NO_KEY,		/* 550 5.7.5: signing required */
	REPLY_DIRECTORY,	/* 451 4.4.3 */
	REPLY_KEYSTORE,		/* 451 4.7.5 */
	REPLY_SEPARATE,		/* 550 5.7.0: recipients need different treatment, and copies cannot be made */
	REPLY_COPIES,		/* 451 4.4.2: a copy could not be handed over */
	REPLY_RECORDER,		/* 451 4.7.5: the recorder could not be told, or asked */
	REPLY_INTEGRITY,	/* 550 5.7.7 */
	REPLY_VERDICT,		/* 550 5.7.1 */
	REPLY_REVOCATION,	/* 451 4.7.5 */
	REPLY_PROTECTION,	/* 550 5.7.1: require_protection */
	REPLY_TOO_BIG,		/* 552 5.3.4 */
	REPLY_MALFORMED,	/* 554 5.6.0 */
	REPLY_BUSY,		/* 451 4.3.2 */
	REPLY_LOOP,		/* 554 5.4.6 */
	REPLY_COUNT
};

struct encrypted_to {
	const char *address;
	const struct cert *cert;
	const char *source;
	const char *role;		/* "recipient" "domain" "escrow" "sender" */
};

struct recipient_outcome {
	const struct recipient *recipient;
	enum direction direction;
	const struct rule *rule;	/* NULL: none matched */
	const char *action;		/* "sign" "encrypt" "sign+encrypt" "verify" "pass" "drop", or the refusal's */
	const char *reason;		/* why so, one line; "" */
	const char *own_reason;		/* the same where it is not another recipient who is refused */
	const struct cert *signed_by;	/* NULL: not signed by us */
	const char *key_source;		/* where that key is */
	struct encrypted_to *encrypted_to;
	size_t encrypted_count;
	const char *cipher;		/* NULL: not encrypted by us */
	const struct candidate_list *candidates;	/* NULL: no certificate was looked up */
	struct slice looked_up;		/* then: whose; another address than his own stands in for him (encrypt_to) */
	size_t message;			/* which one he gets: 0 is the original, 1 the first copy …; OUTCOME_NONE, _SENT */
};

#define OUTCOME_NONE SIZE_MAX		/* dropped: he gets nothing, and the sender is to be told */
#define OUTCOME_SENT (SIZE_MAX - 1)	/* an earlier attempt has seen to him, when the original was not his either */

struct outcome {
	enum action action;
	enum reply reply;
	const char *reply_detail;	/* the objects: "no usable certificate for <b@x> (rule partner)"; printable ASCII */
	const char *reason;		/* for log and explain; one line, no content */
	bool observed;			/* mode observe: what would have been done stands in recipients and reason only */
	bool changed;			/* message differs from the one that came */
	bool body_changed;
	struct message message;		/* the one that goes on; its body is lazy: provisional until drained */
	struct edit_list edits;		/* header edits from the one that came */
	struct message *copies;		/* for recipients who need another message; as provisional as the original */
	size_t copy_count;
	struct verdict verdict;		/* of inbound and internal mail; of the first group that was looked at */
	bool verified;			/* the verdict was made */
	const struct rule *verified_by;	/* by this rule's settings; NULL: no rule matched */
	struct harvest *harvests;	/* what its signature teaches, and a rule wants kept if it is accepted */
	size_t harvest_count;
	enum kind kind;
	bool encryption_asked;		/* by `triggers` */
	struct recipient_outcome *recipients;
	size_t recipient_count;
};

extern const char *const action_names[];	/* "tempfail" "accept" "reject" */

struct facts;
struct plan;

/* The part of an outcome that tells what was decided for each recipient, and why: for log, audit, explain and
 * outcome.json. Decides nothing. 0, or -1: arena exhausted. */
int outcome_fill(const struct envelope *envelope, const struct facts *facts, const struct plan *plan,
		 struct arena *arena, struct outcome *outcome, struct err *err);

#endif
