/* delivery.h - what an accepted outcome needs besides the original transaction: copies for recipients who get another
 * message, and a report to the sender about recipients who get none. Exactly once, as far as SMTP allows: what the
 * reinjection listener has accepted is in the journal before anything else is done, and is not repeated by a retry. The
 * window that remains: the listener has accepted a copy, and nobody heard its answer, or the process died before the
 * journal had it on disk; then the retry sends that one copy again. So it does with all copies of a mail without
 * Message-ID or Date, if the MTA does not hear the answer after the journal has forgotten them.
 */
#ifndef MILTER_DELIVERY_H
#define MILTER_DELIVERY_H

#include "gate/gate.h"
#include "milter/audit.h"
#include "milter/guard.h"
#include "milter/journal.h"
#include "milter/reinject.h"

struct delivery {			/* a process's means; shared by its threads */
	const struct site *site;
	struct reinject_target *target;	/* NULL: no reinject.to */
	struct guard *guard;		/* NULL likewise */
	struct journal journal;		/* class NULL: nothing to remember; set by the process that has one */
};

/* Is reinject.to written as it must be? A finding otherwise. 0 or -1. */
int delivery_check(const struct site *site, struct err *err);
/* Everything but the journal. With no reinject.to that is nothing, and 0. */
int delivery_open(const struct site *site, struct delivery *delivery, struct err *err);
void delivery_close(struct delivery *delivery);	/* one that is all zero is fine */

struct delivery_mail {
	const struct envelope *envelope;
	const struct message *message;	/* as it came */
	struct outgoing_digest *digest;	/* of its body */
	struct arena *arena;
	int64_t deadline_ms;		/* of clock_system, monotonic */
	void (*tick)(void *self);	/* before each copy; may be NULL */
	void *tick_self;
};

struct delivery_state {			/* between delivery_run and delivery_end; starts all zero */
	struct journal_attempt attempt;
	bool begun;
	struct audit_message *copies;	/* those that were sent now; others are all zero */
	size_t copy_count;
};

/* Sends the copies and the report of an outcome that accepts, all of which are made ready before the first is sent, and
 * so is the original's new body. An outcome that needs them where there is no way to send them is refused as a whole (550
 * 5.7.0, nothing has left yet); what fails on the way postpones it (451): what was accepted is remembered. Changes nothing
 * of an outcome that needs neither. 0, or -1 (*err): it could not be made ready, nothing has left; for gate_failed. */
int delivery_run(const struct delivery *delivery, const struct delivery_mail *mail, struct outcome *outcome,
		 struct delivery_state *state, struct err *err);
/* To be called at last, just before the answer. An outcome that accepts is postponed when the journal does not take it. */
void delivery_end(const struct delivery *delivery, const struct delivery_state *state, struct outcome *outcome,
		  struct err *err);

/* Is this mail a copy that we made, which comes by again? 1, 0, -1: could not be found out. Not asked where the site only
 * observes: a recorder that is away must hold up no mail there. */
int delivery_is_own(const struct delivery *delivery, const struct delivery_mail *mail, struct err *err);

#endif
