/* facts.h - what is known of a message before anything is decided: only what the rules mention. Nothing is fetched,
 * but that a rule may turn on whether the message that is answered was encrypted: then the memory of those is asked.
 */
#ifndef GATE_FACTS_H
#define GATE_FACTS_H

#include "gate/gate.h"
#include "policy/policy.h"

struct facts {
	const struct message *message;	/* what came */
	struct mime mime;		/* root == NULL: over a limit */
	struct err mime_err;		/* then: which */
	struct address from;		/* text.n == 0 unless from_form is MAILBOX_SINGLE */
	enum mailbox_form from_form;
	bool ours;			/* the client is authenticated, internal, or on an originating listener */
	bool may_sign_as_sender;	/* sign_for = "sender" is satisfied */
	bool may_sign_as_login;		/* sign_for = "login" is satisfied */
	bool trusted_results;		/* the client is one of our other gateways */
	bool own_copy;			/* see envelope.h */
	size_t hops;			/* Received fields */
	bool encryption_asked;		/* by `triggers`; mail of ours only */
	bool excused;			/* a null sender's report that quotes no content: `require` asks no more of it */
	struct policy_facts policy;
	const char *not_told;		/* why policy.reply_encrypted could not be found out; NULL: no such thing */
	struct address *lookup;		/* per recipient: whom directories are asked for */
	struct address *base;		/* per recipient: without what follows recipient_delimiter, for rules */
	enum direction *directions;	/* per recipient */
	bool *visible;			/* per recipient: stands in To, Cc, Resent-To or Resent-Cc; mail of ours */
};

/* 0, or -1: a stream or memory failed. A message over a MIME limit is a fact, and so is a memory of encrypted mail that
 * does not answer. */
int facts_gather(const struct gate_env *env, const struct envelope *envelope, const struct message *message,
		 struct arena *arena, struct facts *facts, struct err *err);

#endif
