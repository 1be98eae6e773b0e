/* envelope.h - who hands the message in and who is to have it: plain values, filled by the milter or smimectl. */
#ifndef GATE_ENVELOPE_H
#define GATE_ENVELOPE_H

#include "mail/address.h"

/* The loop guard: by this field a copy of ours is known when it comes by again (milter/guard.h); it goes no further. */
#define GUARD_FIELD "X-SMIME-Milter-Pass"

struct recipient {
	struct address address;
	const char *args;		/* ESMTP arguments of RCPT, blank-separated; "" */
	const char *path;		/* as the MTA spells it, brackets included; NULL where there is no MTA */
};

struct envelope {
	const char *queue_id;		/* "" where unknown */
	struct address sender;		/* text.n == 0: null sender */
	const char *sender_args;	/* ESMTP arguments of MAIL; "" */
	struct recipient *recipients;
	size_t recipient_count;
	const char *client_ip;		/* NULL: unknown, hence a stranger */
	const char *login;		/* SASL login; NULL: not authenticated */
	const char *daemon_name;	/* the MTA listener's {daemon_name}; "" */
	bool own_copy;			/* proven to be a copy that this installation made: it passes untouched */
};
/* "<a@x>, <b@y>" of those whom wanted says, by index, as many as a reply has room for, then " and others". NULL: arena
 * exhausted. */
const char *envelope_names(struct arena *arena, const struct envelope *envelope,
			   bool (*wanted)(const void *self, size_t i), const void *self);

#endif
