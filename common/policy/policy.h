/* policy.h - decides on facts; fetches nothing, knows no crypto. First match wins, for each recipient. */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "policy/rule.h"

struct policy_facts {			/* of a message; the recipient and its direction come with the question */
	const struct address *sender;	/* text.n == 0: null sender */
	const struct address *from;	/* NULL: not exactly one mailbox */
	const char *client_ip;		/* or NULL */
	bool authenticated;
	const struct header *header;
	enum kind kind;
	bool reply;			/* has In-Reply-To or References */
	bool reply_encrypted;		/* and one of them names a message that came or went encrypted */
};

/* The first rule that matches, or NULL. */
const struct rule *policy_match(const struct rule *rules, size_t n, const struct policy_facts *facts,
				const struct address *recipient, enum direction direction);

/* Does a rule ask whether the message that is answered was encrypted? Then that has to be remembered. */
bool policy_asks_what_is_answered(const struct rule *rules, size_t n);

/* Does a rule want certificates kept that signed mail teaches? */
bool policy_harvests(const struct rule *rules, size_t n);

#endif
