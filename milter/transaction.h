/* transaction.h - a message on its way in, from MAIL FROM to its end or abort: owns the arena, the envelope, the header
 * bytes and the spool. Knows no libmilter: callbacks.c passes data in, decisions come from the one door. Nothing is
 * refused before the end: what went wrong is remembered, the rest is swallowed without being kept.
 */
#ifndef MILTER_TRANSACTION_H
#define MILTER_TRANSACTION_H

#include <stdatomic.h>

#include "gate/gate.h"
#include "milter/account.h"
#include "milter/delivery.h"

/* Bytes that all transactions of a worker hold together (limits.total_memory_mb). */
struct budget {
	atomic_size_t used_bytes;
	size_t limit_bytes;
};

struct transaction_env {		/* outlives the transaction */
	const struct site *site;
	struct budget *budget;
	const struct delivery *delivery;
	const struct recorder_client *recorder;	/* NULL: nothing is recorded */
	const char *client_ip;		/* NULL: unknown */
	const char *daemon_name;	/* "" where unknown */
};

struct transaction;

/* NULL: out of memory. */
struct transaction *transaction_new(const struct transaction_env *env);
void transaction_free(struct transaction *transaction);	/* NULL is fine; gives its share of the budget back */

/* MAIL and RCPT as milters get them: arguments[0] is the address, ESMTP arguments follow, NULL ends. alternative: the
 * MTA's own reading of the address ({mail_addr}), used where ours fails; NULL where there is none. */
void transaction_mail(struct transaction *transaction, char **arguments, const char *alternative);
void transaction_rcpt(struct transaction *transaction, char **arguments, const char *alternative);
/* login: {auth_authen}; the first that is not NULL or empty counts. */
void transaction_login(struct transaction *transaction, const char *login);
/* A field as libmilter gives it: folds are LF. blank_kept: value begins with what stood behind the colon
 * (SMFIP_HDR_LEADSPC); else the MTA ate a blank, which is put back. */
void transaction_header(struct transaction *transaction, const char *name, const char *value, bool blank_kept);
void transaction_body(struct transaction *transaction, const void *p, size_t n);

/* The end: hands the message to gate_process, delivers the copies that it needs, and fills outcome, always (it starts
 * as try later; *err says why when it failed). queue_id may be NULL. tick: as in gate_env, may be NULL. outcome lives
 * as long as the transaction. */
void transaction_end(struct transaction *transaction, const char *queue_id, void (*tick)(void *), void *tick_self,
		     struct outcome *outcome, struct err *err);

struct settlement {
	bool failed;			/* the original could not be changed as the outcome says; *err says why */
	struct applied applied;
	const char *token;		/* of an internal error; "" */
	double ms;			/* since the message's end came */
};

/* The last word before the answer: encrypted mail remembered where a rule asks for it, the account of it on disk, and
 * the journal told. What cannot be recorded is not accepted. */
void transaction_settle(struct transaction *transaction, const struct settlement *settlement, struct outcome *outcome,
			struct err *err);

/* For the log: what is known so far. */
const struct envelope *transaction_envelope(const struct transaction *transaction);

#endif
