/* transaction.c - collects a message within its limits and brings it to the one door. Called by callbacks.c; a
 * transaction belongs to one session, hence to one thread at a time. RFC 5321 3.3, 4.5.3.1. */
#include "milter/transaction.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/spool.h"
#include "milter/memory.h"

#define MIB ((size_t)1024 * 1024)
#define HEADER_BYTES ((size_t)1024 * 1024)	/* Postfix keeps 100 kB, sendmail 32 kB */
#define HEADER_FIELDS 10000
#define RECIPIENTS 50000
/* Kept for each transaction from the start: the arena's first block and the structs. */
#define BASE_BYTES ((size_t)16 * 1024)

struct transaction {
	struct transaction_env env;
	struct arena *arena;
	size_t charged_bytes;		/* of the budget */
	size_t memory_bytes;		/* limits.body_in_memory_kb */
	struct envelope envelope;
	size_t recipient_capacity;
	struct header header;
	size_t header_bytes;
	struct spool *spool;
	uint64_t body_bytes;
	uint64_t limit_bytes;		/* limits.message_mb */
	struct message message;		/* as it came; from the end on */
	struct outgoing_digest digest;	/* of its body */
	struct delivery_state delivery;
	bool has_mail;
	enum reply refused;		/* REPLY_NONE: nothing went wrong yet */
	struct err err;			/* why refused */
};

/* The first reason counts; what comes later is a consequence. */
static void refuse(struct transaction *transaction, enum reply reply, enum err_class class, const char *text)
{
	if (transaction->refused != REPLY_NONE)
		return;
	transaction->refused = reply;
	err_set(&transaction->err, class, "%s", text);
}

static void refuse_err(struct transaction *transaction, enum reply reply, const struct err *err)
{
	refuse(transaction, reply, err->class, err->text);
}

static void refuse_memory(struct transaction *transaction)
{
	refuse(transaction, REPLY_BUSY, ERR_TEMP, "out of memory");
}

/* Brings the share of the budget up to bytes. -1: the worker's transactions together would hold too much. */
static int charge(struct transaction *transaction, size_t bytes)
{
	struct budget *budget = transaction->env.budget;
	size_t more = bytes > transaction->charged_bytes ? bytes - transaction->charged_bytes : 0;

	if (atomic_fetch_add(&budget->used_bytes, more) + more > budget->limit_bytes) {
		atomic_fetch_sub(&budget->used_bytes, more);
		return -1;
	}
	transaction->charged_bytes += more;
	return 0;
}

static void charge_or_refuse(struct transaction *transaction, uint64_t extra_bytes)
{
	size_t body = transaction->body_bytes < transaction->memory_bytes ? (size_t)transaction->body_bytes
									  : transaction->memory_bytes;

	if (charge(transaction, BASE_BYTES + arena_used(transaction->arena) + body + (size_t)extra_bytes) != 0)
		refuse(transaction, REPLY_BUSY, ERR_LIMIT, "limits.total_memory_mb is in use");
}

struct transaction *transaction_new(const struct transaction_env *env)
{
	const struct settings *settings = &env->site->settings;
	struct transaction *transaction = calloc(1, sizeof(*transaction));

	if (transaction == NULL)
		return NULL;
	transaction->arena = arena_new(env->budget->limit_bytes);
	if (transaction->arena == NULL) {
		free(transaction);
		return NULL;
	}
	transaction->env = *env;
	transaction->refused = REPLY_NONE;
	transaction->memory_bytes = (size_t)settings->limits.body_in_memory_kb * 1024;
	transaction->limit_bytes = (uint64_t)settings->limits.message_mb * MIB;
	transaction->envelope = (struct envelope){ .queue_id = "", .sender_args = "", .daemon_name = env->daemon_name,
		.client_ip = env->client_ip };
	charge_or_refuse(transaction, 0);
	transaction->spool = spool_new(transaction->arena, settings->state_dir, transaction->memory_bytes,
				       transaction->limit_bytes, &transaction->err);
	if (transaction->spool == NULL)
		refuse_memory(transaction);
	return transaction;
}

void transaction_free(struct transaction *transaction)
{
	if (transaction == NULL)
		return;
	arena_free(transaction->arena);
	atomic_fetch_sub(&transaction->env.budget->used_bytes, transaction->charged_bytes);
	free(transaction);
}

/* ESMTP arguments as one text. NULL: memory. */
static const char *join(struct arena *arena, char **arguments)
{
	size_t n = 1;
	char *text;

	for (size_t i = 0; arguments[i] != NULL; i++)
		n += strlen(arguments[i]) + 1;
	text = arena_alloc(arena, n);
	for (size_t i = 0; text != NULL && arguments[i] != NULL; i++) {
		if (i > 0)
			strcat(text, " ");
		strcat(text, arguments[i]);
	}
	return text;
}

/* Without a domain, or with one inside the local part: where such mail goes is for the MTA to say. Postfix takes
 * "b%x.example@our.example" and "x.example!b" to x.example, whose rule it must be. */
static bool is_routed_by_mta(const struct address *address)
{
	return address->domain.n == 0 || slice_find(address->local, '%') >= 0 || slice_find(address->local, '!') >= 0 ||
	       slice_find(address->local, '@') >= 0;
}

/* 0, or -1: no address. text may be NULL. */
static int parse_copy(struct transaction *transaction, const char *text, struct address *address, struct err *err)
{
	struct slice copy = text != NULL ? arena_copy(transaction->arena, slice_of(text)) : slice_of("");

	if (copy.p == NULL)
		return err_memory(err);
	return address_parse(transaction->arena, copy, address, err);
}

/* The session's own spelling first: the MTA's may be rewritten. */
static int parse_path(struct transaction *transaction, const char *path, const char *alternative,
		      struct address *address)
{
	struct address resolved;
	struct err err = { 0 };
	int rc = parse_copy(transaction, path, address, &err);

	if ((rc == 0 && (address->text.n == 0 || !is_routed_by_mta(address))) || (rc != 0 && err.class != ERR_MESSAGE))
		goto out;
	if (parse_copy(transaction, alternative, &resolved, NULL) == 0 && resolved.domain.n > 0) {
		*address = resolved;
		return 0;
	}
out:
	if (rc != 0)
		refuse_err(transaction, err.class == ERR_MESSAGE ? REPLY_MALFORMED : REPLY_BUSY, &err);
	return rc;
}

void transaction_mail(struct transaction *transaction, char **arguments, const char *alternative)
{
	struct envelope *envelope = &transaction->envelope;
	const char *args = NULL, *path = NULL;

	if (transaction->refused != REPLY_NONE || arguments[0] == NULL)
		return;
	args = join(transaction->arena, arguments + 1);
	if (args == NULL) {
		refuse_memory(transaction);
		return;
	}
	envelope->sender_args = args;
	/* Postfix's cleanup(8) says nothing where smtpd(8) says <>. */
	path = arguments[0][0] != '\0' ? arguments[0] : "<>";
	if (parse_path(transaction, path, alternative, &envelope->sender) == 0)
		transaction->has_mail = true;
}

static struct recipient *new_recipient(struct transaction *transaction)
{
	struct envelope *envelope = &transaction->envelope;
	size_t capacity = transaction->recipient_capacity == 0 ? 16 : transaction->recipient_capacity * 2;
	struct recipient *larger;

	if (envelope->recipient_count == transaction->recipient_capacity) {
		larger = arena_array(transaction->arena, capacity, sizeof(*larger));
		if (larger == NULL)
			return NULL;
		if (envelope->recipient_count > 0)
			memcpy(larger, envelope->recipients, envelope->recipient_count * sizeof(*larger));
		envelope->recipients = larger;
		transaction->recipient_capacity = capacity;
	}
	return &envelope->recipients[envelope->recipient_count];
}

void transaction_rcpt(struct transaction *transaction, char **arguments, const char *alternative)
{
	struct recipient *recipient = NULL;

	if (transaction->refused != REPLY_NONE || arguments[0] == NULL)
		return;
	if (transaction->envelope.recipient_count >= RECIPIENTS) {
		refuse(transaction, REPLY_BUSY, ERR_LIMIT, "too many recipients");
		return;
	}
	recipient = new_recipient(transaction);
	if (recipient == NULL || (recipient->args = join(transaction->arena, arguments + 1)) == NULL ||
	    (recipient->path = arena_strdup(transaction->arena, arguments[0])) == NULL) {
		refuse_memory(transaction);
		return;
	}
	if (parse_path(transaction, arguments[0], alternative, &recipient->address) != 0)
		return;
	transaction->envelope.recipient_count++;
	charge_or_refuse(transaction, 0);
}

void transaction_login(struct transaction *transaction, const char *login)
{
	if (login == NULL || login[0] == '\0' || transaction->envelope.login != NULL)
		return;
	transaction->envelope.login = arena_strdup(transaction->arena, login);
	if (transaction->envelope.login == NULL)
		refuse_memory(transaction);
}

void transaction_header(struct transaction *transaction, const char *name, const char *value, bool blank_kept)
{
	struct slice bytes = { 0 };
	struct field field = { 0 };

	if (transaction->refused != REPLY_NONE)
		return;
	transaction->header_bytes += strlen(name) + strlen(value) + 4;
	if (transaction->header_bytes > HEADER_BYTES || transaction->header.n >= HEADER_FIELDS) {
		refuse(transaction, REPLY_MALFORMED, ERR_LIMIT, "header too long");
		return;
	}
	if (blank_kept)
		bytes = slice_of(value);
	else
		bytes = slice_of(arena_printf(transaction->arena, " %s", value));
	field = field_make(transaction->arena, slice_of(name), bytes);
	if (field.raw.p == NULL || header_append(transaction->arena, &transaction->header, field) != 0) {
		refuse_memory(transaction);
		return;
	}
	charge_or_refuse(transaction, 0);
}

void transaction_body(struct transaction *transaction, const void *p, size_t n)
{
	struct err err = { 0 };

	if (transaction->refused != REPLY_NONE || n == 0)
		return;
	if (transaction->limit_bytes != 0 &&
	    transaction->header_bytes + transaction->body_bytes + n > transaction->limit_bytes) {
		refuse(transaction, REPLY_TOO_BIG, ERR_LIMIT, "message exceeds limits.message_mb");
		return;
	}
	transaction->body_bytes += n;
	charge_or_refuse(transaction, 0);
	if (transaction->refused == REPLY_NONE && spool_write(transaction->spool, p, n, &err) != 0)
		refuse_err(transaction, err.class == ERR_LIMIT ? REPLY_TOO_BIG : REPLY_INTERNAL, &err);
}

/* Refused here, before the core saw it. The two that are the message's own fault are final. */
static void refused_outcome(struct transaction *transaction, struct outcome *outcome)
{
	const struct site *site = transaction->env.site;

	gate_failed(site, &transaction->err, outcome);
	if (transaction->refused != REPLY_INTERNAL) {
		outcome->reply = transaction->refused;
		outcome->reply_detail = transaction->err.text;
		outcome->reason = transaction->err.text;
		outcome->action = transaction->refused == REPLY_BUSY ? ACTION_TEMPFAIL : ACTION_REJECT;
	}
	if (site->settings.mode == MODE_OBSERVE) {
		outcome->action = ACTION_ACCEPT;
		outcome->observed = true;
	}
}

static void finish_message(struct transaction *transaction)
{
	struct message *message = &transaction->message;
	struct err err = { 0 };

	/* A signature or an envelope may have to be held whole while the core works on it. */
	if (transaction->refused == REPLY_NONE)
		charge_or_refuse(transaction, transaction->body_bytes);
	if (transaction->refused != REPLY_NONE)
		return;
	message->header = transaction->header;
	message->body = transaction->digest.body = spool_finish(transaction->spool, &err);
	if (message->body == NULL)
		refuse_err(transaction, REPLY_INTERNAL, &err);
}

/* What is made ready to be sent waits in memory as well, up to limits.body_in_memory_kb together. */
static bool has_room_for_copies(struct transaction *transaction, const struct outcome *outcome)
{
	return outcome->copy_count == 0 ||
	       charge(transaction, transaction->charged_bytes + transaction->memory_bytes) == 0;
}

/* Through the one door, and the copies on their way. */
static void pass(struct transaction *transaction, const struct gate_env *env, struct outcome *outcome, struct err *err)
{
	const struct delivery *delivery = transaction->env.delivery;
	const struct delivery_mail mail = {
		.envelope = &transaction->envelope, .message = &transaction->message, .arena = transaction->arena,
		.digest = &transaction->digest, .deadline_ms = env->deadline_ms, .tick = env->tick, .tick_self = env->tick_self,
	};
	int own = delivery_is_own(delivery, &mail, err);

	transaction->envelope.own_copy = own == 1;
	if (own < 0)
		gate_postpone(outcome, REPLY_RECORDER, "the loop guard cannot be checked, try again later", err->text);
	else if (gate_process(env, &transaction->envelope, &transaction->message, transaction->arena, outcome, err) != 0)
		return;
	else if (!has_room_for_copies(transaction, outcome))
		gate_postpone(outcome, REPLY_BUSY, "limits.total_memory_mb is in use", "copies: limits.total_memory_mb");
	else if (delivery_run(delivery, &mail, outcome, &transaction->delivery, err) != 0)
		gate_failed(transaction->env.site, err, outcome);
}

void transaction_end(struct transaction *transaction, const char *queue_id, void (*tick)(void *), void *tick_self,
		     struct outcome *outcome, struct err *err)
{
	const struct site *site = transaction->env.site;
	const struct gate_memory memory = memory_of(&transaction->env.delivery->journal);
	struct gate_env env = { .site = site, .memory = &memory, .tick = tick, .tick_self = tick_self };

	memset(outcome, 0, sizeof(*outcome));
	if (queue_id != NULL)
		transaction->envelope.queue_id = arena_strdup(transaction->arena, queue_id);
	if (transaction->envelope.queue_id == NULL) {
		transaction->envelope.queue_id = "";
		refuse_memory(transaction);
	}
	if (!transaction->has_mail)
		refuse(transaction, REPLY_INTERNAL, ERR_BUG, "end of a message that did not begin");
	finish_message(transaction);
	if (transaction->refused != REPLY_NONE) {
		*err = transaction->err;
		refused_outcome(transaction, outcome);
		return;
	}
	env.deadline_ms = clock_monotonic_ms(&site->clock) + site->settings.limits.deadline_s * 1000;
	pass(transaction, &env, outcome, err);
}

static void give_account(struct transaction *transaction, const struct settlement *settlement, struct outcome *outcome,
			 struct err *err)
{
	const struct delivery_state *sent = &transaction->delivery;
	const struct account account = {
		.site = transaction->env.site, .recorder = transaction->env.recorder,
		.envelope = &transaction->envelope, .message = &transaction->message, .outcome = outcome,
		.digest = &transaction->digest, .applied = &settlement->applied, .copies = sent->copies, .copy_count = sent->copy_count,
		.attempt = sent->attempt.number, .token = settlement->token, .ms = settlement->ms,
		.arena = transaction->arena,
	};
	struct err why = { .class = ERR_NONE };

	if (account_give(&account, &why) == 0)
		return;
	*err = why;
	if (outcome->action == ACTION_ACCEPT && !outcome->observed)
		gate_postpone(outcome, REPLY_RECORDER, "it cannot be recorded now, try again later", err->text);
}

/* Before the account is given, which tells what becomes of the message. A retry of what is not accepted after all
 * finds it remembered already. */
static void remember(struct transaction *transaction, struct outcome *outcome, struct err *err)
{
	struct err why = { .class = ERR_NONE };

	if (memory_keep(&transaction->env.delivery->journal, transaction->env.site, &transaction->message, outcome,
			transaction->arena, &why) == 0)
		return;
	*err = why;
	if (!outcome->observed)
		gate_postpone(outcome, REPLY_RECORDER, "it cannot be remembered now, try again later", err->text);
}

/* What an accepted message has taught. Nothing hangs on it: the next one teaches it again. */
static void harvest(struct transaction *transaction, const struct outcome *outcome)
{
	struct err why = { .class = ERR_NONE };

	for (size_t i = 0; outcome->action == ACTION_ACCEPT && transaction->env.recorder != NULL &&
			   i < outcome->harvest_count; i++)
		if (recorder_client_harvest(transaction->env.recorder, transaction->arena, &outcome->harvests[i], &why) != 0)
			event_log(transaction->env.site->sink, EVENT_WARNING, "%s: harvest: not kept: %s",
				  transaction->envelope.queue_id, why.text);
}

void transaction_settle(struct transaction *transaction, const struct settlement *settlement, struct outcome *outcome,
			struct err *err)
{
	if (settlement->failed && transaction->delivery.begun)
		gate_postpone(outcome, REPLY_INTERNAL, "internal error", err->text);
	else if (settlement->failed)
		gate_failed(transaction->env.site, err, outcome);
	remember(transaction, outcome, err);
	give_account(transaction, settlement, outcome, err);
	delivery_end(transaction->env.delivery, &transaction->delivery, outcome, err);
	harvest(transaction, outcome);
}

const struct envelope *transaction_envelope(const struct transaction *transaction)
{
	return &transaction->envelope;
}
