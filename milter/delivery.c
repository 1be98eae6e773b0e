/* delivery.c - see delivery.h. Called by transaction.c at the end of a message, before the original is changed: all made
 * ready, copies sent, each remembered, the sender told of who gets none. RFC 5321, RFC 3461. */
#include "milter/delivery.h"

#include <string.h>

#include "milter/dsn.h"
#include "milter/fault.h"
#include "milter/smtp.h"

struct run {
	const struct delivery *delivery;
	const struct delivery_mail *mail;
	struct outcome *outcome;
	struct delivery_state *state;
	struct outgoing *copies;
	struct journal_key key;
	const char **names;		/* per recipient */
	bool *done;			/* per recipient: an earlier attempt has seen to him */
	const char **refusals;		/* per recipient: the listener's, or NULL */
};

/* Who gets something else than the original. */
static bool is_elsewhere(const struct outcome *outcome, size_t i)
{
	return outcome->recipients[i].message != 0;
}

static bool anybody_elsewhere(const struct outcome *outcome)
{
	for (size_t i = 0; i < outcome->recipient_count; i++)
		if (is_elsewhere(outcome, i))
			return true;
	return false;
}

static void postpone(const struct run *run, enum reply reply, const char *detail, const struct err *err)
{
	const char *reason = arena_strdup(run->mail->arena, err->text);

	gate_postpone(run->outcome, reply, detail, reason != NULL ? reason : detail);
}

/* All that is made ready shares the memory that one body may have. */
static int make_ready(const struct run *run, const struct message *message, struct outgoing *outgoing, struct err *err)
{
	const struct settings *settings = &run->delivery->site->settings;
	const struct outgoing_room room = { .directory = settings->state_dir,
					    .memory_bytes = (size_t)settings->limits.body_in_memory_kb * 1024 /
							    (run->outcome->copy_count + 1) };

	if (run->mail->tick != NULL)
		run->mail->tick(run->mail->tick_self);
	return outgoing_make(run->mail->arena, &room, message, outgoing, err);
}

/* After this nothing of the messages can fail any more. */
static int make_all_ready(struct run *run, struct err *err)
{
	struct outcome *outcome = run->outcome;
	struct outgoing original;

	run->copies = arena_array(run->mail->arena, outcome->copy_count, sizeof(*run->copies));
	run->state->copies = arena_array(run->mail->arena, outcome->copy_count, sizeof(*run->state->copies));
	if (run->copies == NULL || run->state->copies == NULL)
		return err_memory(err);
	run->state->copy_count = outcome->copy_count;
	for (size_t i = 0; i < outcome->copy_count; i++)
		if (make_ready(run, &outcome->copies[i], &run->copies[i], err) != 0)
			return -1;
	if (!outcome->body_changed)
		return 0;
	if (make_ready(run, &outcome->message, &original, err) != 0)
		return -1;
	outcome->message.body = original.body;
	return 0;
}

/* Postfix completes the mail of clients that are its own: the Message-ID has its queue id in it, and is another one when
 * they try again, as may be the Date. */
static bool is_completed(const struct run *run, struct slice message_id)
{
	const char *queue_id = run->mail->envelope->queue_id;

	return queue_id[0] != '\0' && message_id.n > 0 &&
	       memmem(message_id.p, message_id.n, queue_id, strlen(queue_id)) != NULL;
}

/* Who sends a mail once more on purpose says so (RFC 5322 3.6.6). Without Message-ID or Date the subject may be all in
 * which two notifications of a program differ. */
static int tell_apart(const struct run *run, struct journal_parts *parts, struct err *err)
{
	const struct header *header = &run->mail->message->header;
	struct slice resent_id = header_value(header, "Resent-Message-ID"), resent = header_value(header, "Resent-Date");
	struct slice subject = { NULL, 0 };

	if (is_completed(run, parts->message_id) || is_completed(run, resent_id))
		parts->message_id = parts->date = resent_id = resent = slice_make(NULL, 0);
	if (parts->message_id.n == 0 || parts->date.n == 0)
		subject = header_value(header, "Subject");
	if (resent_id.n == 0 && resent.n == 0 && subject.n == 0)
		return 0;
	parts->more = slice_of(arena_printf(run->mail->arena, "%.*s\n%.*s\n%.*s", SLICE_ARGS(resent_id),
					    SLICE_ARGS(resent), SLICE_ARGS(subject)));
	return parts->more.n > 0 ? 0 : err_memory(err);
}

static int make_key(struct run *run, struct err *err)
{
	const struct message *message = run->mail->message;
	struct journal_parts parts = {
		.sender = run->mail->envelope->sender.text,
		.message_id = header_value(&message->header, "Message-ID"),
		.date = header_value(&message->header, "Date"),
		.body_sha256 = outgoing_digest_once(run->mail->digest, err),
	};

	if (parts.body_sha256 == NULL || tell_apart(run, &parts, err) != 0)
		return -1;
	return journal_key_make(&parts, &run->key, err);
}

static int name_recipients(struct run *run, struct err *err)
{
	const struct envelope *envelope = run->mail->envelope;
	size_t n = envelope->recipient_count;

	run->names = arena_array(run->mail->arena, n, sizeof(*run->names));
	run->done = arena_array(run->mail->arena, n, sizeof(*run->done));
	run->refusals = arena_array(run->mail->arena, n, sizeof(*run->refusals));
	if (run->names == NULL || run->done == NULL || run->refusals == NULL)
		return err_memory(err);
	for (size_t i = 0; i < n; i++) {
		run->names[i] = arena_string(run->mail->arena, envelope->recipients[i].address.text);
		if (run->names[i] == NULL)
			return err_memory(err);
	}
	return 0;
}

/* The recipients with an answer, by index: those of message who are not done, or with `message` OUTCOME_NONE, dropped. */
static size_t list_members(const struct run *run, size_t message, size_t *members)
{
	size_t n = 0;

	for (size_t i = 0; i < run->outcome->recipient_count; i++)
		if (run->outcome->recipients[i].message == message && !run->done[i])
			members[n++] = i;
	return n;
}

/* Those who keep the original are asked about too: an earlier attempt, which knew other certificates, may have given
 * them copies. Without one, a message that needs no copies costs the journal no write. */
static int look_back(struct run *run, struct err *err)
{
	struct recipient_outcome *to = run->outcome->recipients;
	size_t n = run->outcome->recipient_count;

	if (journal_look(&run->delivery->journal, &run->key, run->names, n, run->done, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (run->done[i] && to[i].message == 0)
			to[i].message = OUTCOME_SENT;
	return 0;
}

static int begin(struct run *run, struct err *err)
{
	size_t n = run->outcome->recipient_count, count = 0;
	const char **names = arena_array(run->mail->arena, n, sizeof(*names));
	bool *done = arena_array(run->mail->arena, n, sizeof(*done));

	if (names == NULL || done == NULL)
		return err_memory(err);
	for (size_t i = 0; i < n; i++)
		if (is_elsewhere(run->outcome, i))
			names[count++] = run->names[i];
	if (journal_begin(&run->delivery->journal, &run->key, names, count, done, &run->state->attempt, err) != 0)
		return -1;
	run->state->begun = true;
	count = 0;
	for (size_t i = 0; i < n; i++)
		if (is_elsewhere(run->outcome, i))
			run->done[i] = done[count++];
	return 0;
}

static int ask_journal(struct run *run, struct err *err)
{
	if (look_back(run, err) != 0)
		return -1;
	return anybody_elsewhere(run->outcome) ? begin(run, err) : 0;
}

/* Has an earlier attempt perhaps made copies? One recipient alone never needed one. */
static bool may_have_copies(const struct run *run)
{
	return run->delivery->target != NULL && run->delivery->journal.class != NULL && run->outcome->recipient_count > 1;
}

/* They need nothing any more. */
static int keep(struct run *run, const size_t *members, size_t n, const char *queue_id, struct err *err)
{
	const char **names = arena_array(run->mail->arena, n, sizeof(*names));

	if (names == NULL)
		return err_memory(err);
	for (size_t i = 0; i < n; i++)
		names[i] = run->names[members[i]];
	if (n > 0 && journal_keep(&run->delivery->journal, &run->state->attempt, names, n, queue_id, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		run->done[members[i]] = true;
	return 0;
}

static int sort_answers(struct run *run, const size_t *members, size_t n, const struct reinject_result *result,
			struct err *err)
{
	size_t *accepted = arena_array(run->mail->arena, n, sizeof(*accepted)), count = 0;

	if (accepted == NULL)
		return err_memory(err);
	for (size_t i = 0; i < n; i++) {
		if (result->recipients[i].answer == REINJECT_ACCEPTED)
			accepted[count++] = members[i];
		else
			run->refusals[members[i]] = result->recipients[i].text;
	}
	return keep(run, accepted, count, result->queue_id, err);
}

static int hand_over(const struct run *run, const struct reinject_mail *given, struct reinject_result *result,
		struct err *err)
{
	const struct guard_mail bound = { given->envelope, given->members, given->n, given->message->body_sha256,
					  clock_now(&clock_system) };
	struct smtp_client client = { { NULL } };
	struct reinject_mail mail = *given;

	client.attributes[SMTP_ADDR] = run->mail->envelope->client_ip;
	mail.client = &client;
	mail.deadline_ms = run->mail->deadline_ms;
	mail.guard_field = guard_field(run->mail->arena, run->delivery->guard, &bound, err);
	if (mail.guard_field == NULL)
		return -1;
	return reinject_send(run->delivery->target, &mail, run->mail->arena, result, err);
}

/* For the account of it. */
static void tell(const struct run *run, size_t copy, const struct reinject_result *result)
{
	struct audit_message *to = &run->state->copies[copy];

	to->body_sha256 = run->copies[copy].body_sha256;
	to->size_bytes = run->copies[copy].size_bytes;
	to->queue_id = arena_strdup(run->mail->arena, result->queue_id);
}

static int send_copy(struct run *run, size_t copy, struct err *err)
{
	size_t *members = arena_array(run->mail->arena, run->outcome->recipient_count, sizeof(*members));
	struct reinject_mail mail = { .envelope = run->mail->envelope, .members = members,
				      .message = &run->copies[copy] };
	struct reinject_result result;

	if (members == NULL)
		return err_memory(err);
	mail.n = list_members(run, copy + 1, members);
	if (mail.n == 0)
		return 0;
	if (run->mail->tick != NULL)
		run->mail->tick(run->mail->tick_self);
	fault_point("copy-send");
	if (hand_over(run, &mail, &result, err) < 0)
		return -1;
	fault_point("copy-sent");
	tell(run, copy, &result);
	if (sort_answers(run, members, mail.n, &result, err) != 0)
		return -1;
	fault_point("copy-kept");
	return 0;
}

/* Why a recipient gets nothing, as an SMTP reply; NULL: he gets his message. */
static const char *refusal_of(const struct run *run, size_t i)
{
	if (run->done[i])
		return NULL;
	if (run->outcome->recipients[i].message == OUTCOME_NONE)
		return "550 5.7.5 S/MIME: no usable certificate";
	return run->refusals[i];
}

static int send_report(struct run *run, const struct dsn *dsn, struct err *err)
{
	static const size_t first = 0;
	struct reinject_mail mail = { .envelope = &dsn->envelope, .members = &first, .n = 1 };
	struct reinject_result result;
	struct outgoing outgoing;

	if (make_ready(run, &dsn->message, &outgoing, err) != 0)
		return -1;
	mail.message = &outgoing;
	/* A sender whom the listener does not know cannot be told: 0 is an answer too. */
	return hand_over(run, &mail, &result, err) < 0 ? -1 : 0;
}

static int tell_sender(struct run *run, struct err *err)
{
	const struct envelope *envelope = run->mail->envelope;
	size_t n = envelope->recipient_count;
	size_t *members = arena_array(run->mail->arena, n, sizeof(*members));
	struct dsn_recipient *recipients = arena_array(run->mail->arena, n, sizeof(*recipients));
	struct dsn_report report = { .host = run->delivery->site->authserv_id, .envelope = envelope,
				     .original = &run->mail->message->header, .recipients = recipients,
				     .now = clock_now(&clock_system) };
	struct dsn dsn;
	int made;

	if (members == NULL || recipients == NULL)
		return err_memory(err);
	for (size_t i = 0; i < n; i++) {
		const char *refusal = is_elsewhere(run->outcome, i) ? refusal_of(run, i) : NULL;

		if (refusal == NULL)
			continue;
		members[report.n] = i;
		recipients[report.n++] = (struct dsn_recipient){ &envelope->recipients[i], refusal };
	}
	if (report.n == 0)
		return 0;
	made = dsn_make(run->mail->arena, &report, &dsn, err);
	if (made < 0 || (made == 1 && send_report(run, &dsn, err) != 0))
		return -1;
	fault_point("report-sent");
	return keep(run, members, report.n, "", err);
}

static int send_all(struct run *run, struct err *err)
{
	for (size_t i = 0; i < run->outcome->copy_count; i++)
		if (send_copy(run, i, err) != 0)
			return -1;
	return tell_sender(run, err);
}

static bool is_dropped(const void *self, size_t i)
{
	const struct outcome *outcome = self;

	return outcome->recipients[i].message == OUTCOME_NONE;
}

/* NULL: memory */
static const char *name_dropped(const struct run *run)
{
	const char *names = envelope_names(run->mail->arena, run->mail->envelope, is_dropped, run->outcome);

	return names != NULL ? arena_printf(run->mail->arena, "no usable certificate for %s", names) : NULL;
}

static void refuse_to_part(const struct run *run)
{
	gate_refuse(run->outcome, REPLY_SEPARATE, "its recipients need different treatment: send to them separately");
}

static void refuse_for_want_of_a_way(const struct run *run)
{
	const char *names = NULL;

	if (run->outcome->copy_count > 0) {
		refuse_to_part(run);
		return;
	}
	names = name_dropped(run);
	gate_refuse(run->outcome, REPLY_NO_CERTIFICATE, names != NULL ? names : "no usable certificate");
}

/* Postfix drops source routes, group names and what follows a mailbox, and then does not know the session's spelling when
 * a recipient is to be taken off; nor does it say so. He would get the original besides his copy. */
static bool can_be_taken_off(const struct recipient *recipient)
{
	struct slice path = recipient->path != NULL ? slice_of(recipient->path) : recipient->address.text;

	if (path.n > 1 && path.p[0] == '<' && path.p[path.n - 1] == '>')
		path = slice_make(path.p + 1, path.n - 2);
	for (size_t i = 0; i < path.n; i++)
		if (path.p[i] == '\0' || strchr(":;,()<>\\", path.p[i]) != NULL)
			return false;
	return true;
}

static bool all_can_be_taken_off(const struct outcome *outcome)
{
	for (size_t i = 0; i < outcome->recipient_count; i++)
		if (is_elsewhere(outcome, i) && !can_be_taken_off(outcome->recipients[i].recipient))
			return false;
	return true;
}

int delivery_run(const struct delivery *delivery, const struct delivery_mail *mail, struct outcome *outcome,
		 struct delivery_state *state, struct err *err)
{
	struct run run = { .delivery = delivery, .mail = mail, .outcome = outcome, .state = state };
	struct err why = { .class = ERR_NONE };

	if (outcome->action != ACTION_ACCEPT || outcome->observed)
		return 0;
	if (!may_have_copies(&run)) {
		if (anybody_elsewhere(outcome))
			refuse_for_want_of_a_way(&run);
		return 0;
	}
	if (!all_can_be_taken_off(outcome)) {
		refuse_to_part(&run);
		return 0;
	}
	if (name_recipients(&run, err) != 0 || make_key(&run, err) != 0 ||
	    (anybody_elsewhere(outcome) && make_all_ready(&run, err) != 0))
		return -1;
	fault_point("copies-ready");
	if (ask_journal(&run, &why) != 0)
		postpone(&run, REPLY_RECORDER, "the journal of copies is not available, try again later", &why);
	else if (send_all(&run, &why) != 0)
		postpone(&run, REPLY_COPIES, "a copy could not be handed over, try again later", &why);
	return 0;
}

void delivery_end(const struct delivery *delivery, const struct delivery_state *state, struct outcome *outcome,
		  struct err *err)
{
	bool accepted = outcome->action == ACTION_ACCEPT;

	if (!state->begun)
		return;
	fault_point("before-end");
	if (journal_end(&delivery->journal, &state->attempt, accepted, err) != 0 && accepted)
		gate_postpone(outcome, REPLY_RECORDER, "the journal of copies is not available, try again later",
			      err->text);
	fault_point("before-answer");
}

int delivery_is_own(const struct delivery *delivery, const struct delivery_mail *mail, struct err *err)
{
	struct guard_mail bound = { .envelope = mail->envelope, .n = mail->envelope->recipient_count,
				    .now = clock_now(&clock_system) };

	if (delivery->guard == NULL || delivery->journal.class == NULL || delivery->site->settings.mode == MODE_OBSERVE ||
	    !guard_present(&mail->message->header))
		return 0;
	bound.body_sha256 = outgoing_digest_once(mail->digest, err);
	if (bound.body_sha256 == NULL)
		return -1;
	return guard_check(mail->arena, delivery->guard, &bound, &mail->message->header, &delivery->journal, err);
}

int delivery_check(const struct site *site, struct err *err)
{
	const char *const *to = &site->settings.reinject.to;
	struct smtp_address address;
	struct err why = { .class = ERR_NONE };

	if (*to == NULL || smtp_address_parse(*to, &address, &why) == 0)
		return 0;
	return conf_finding(site->conf, to, err, "reinject.to: %s", why.text);
}

int delivery_open(const struct site *site, struct delivery *delivery, struct err *err)
{
	const struct settings *settings = &site->settings;
	const struct reinject_settings reinject = {
		.to = settings->reinject.to, .starttls = settings->reinject.starttls,
		.tls_ca_file = settings->reinject.ca_file, .name = site->authserv_id,
	};

	*delivery = (struct delivery){ .site = site };
	if (settings->reinject.to == NULL)
		return 0;
	delivery->target = reinject_target_new(&reinject, err);
	delivery->guard = delivery->target != NULL ? guard_open(settings->state_dir, err) : NULL;
	if (delivery->guard != NULL)
		return 0;
	delivery_close(delivery);
	return -1;
}

void delivery_close(struct delivery *delivery)
{
	reinject_target_free(delivery->target);
	guard_free(delivery->guard);
	*delivery = (struct delivery){ .site = delivery->site };
}
