/* gate.h - the one door: message and envelope in, outcome out. The milter, smimectl, fuzzers, golden tests and
 * benchmarks call exactly this. Pure but for what the site's directories and key stores do behind their interfaces.
 */
#ifndef GATE_GATE_H
#define GATE_GATE_H

#include "gate/envelope.h"
#include "gate/outcome.h"
#include "gate/site.h"

struct gate_memory {			/* which messages came or went encrypted */
	/* Did one of the n (one at least)? As message_id.h writes them. 1, 0, or -1: could not be asked. */
	int (*was_encrypted)(void *self, const struct slice *message_ids, size_t n, struct err *err);
	void *self;
};

struct gate_env {
	const struct site *site;
	const struct gate_memory *memory;	/* NULL: nothing is remembered */
	int64_t deadline_ms;			/* on the site clock's monotonic time */
	void (*tick)(void *self);		/* called between longer pieces of work; may be NULL */
	void *tick_self;
};

/* Always fills outcome; 0. On -1 (*err: memory, a stream, a limit, a message beyond repair) outcome is still valid
 * and says what to do: never accept. Everything in outcome lives in arena or in the site. The caller drains
 * outcome->message.body and the copies' before it believes an accept: a stream's error turns it into try later
 * (gate_failed). */
int gate_process(const struct gate_env *env, const struct envelope *envelope, const struct message *message,
		 struct arena *arena, struct outcome *outcome, struct err *err);

/* Turns an outcome that accepts into a final refusal of the whole transaction. detail: as in outcome->reply_detail. */
void gate_refuse(struct outcome *outcome, enum reply reply, const char *detail);

/* Turns an outcome that accepts into try later, whatever on_failure says: something outside is not to be had now. */
void gate_postpone(struct outcome *outcome, enum reply reply, const char *detail, const char *reason);

/* Turns outcome into the one for a failure with err (by class), also when draining fails. */
void gate_failed(const struct site *site, const struct err *err, struct outcome *outcome);

#endif
