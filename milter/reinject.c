/* reinject.c - see reinject.h. Called by delivery.c. Each mail has a connection of its own: MAIL and RCPT go together
 * where the listener offers PIPELINING, DATA goes alone, since it must not be said unless a recipient was accepted
 * and none put off. RFC 5321 3.3, RFC 2920. */
#include "milter/reinject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/smtp.h"

#define BATCH 50		/* recipients asked at a time: their answers always fit the socket's buffer */

struct reinject_target {
	struct smtp_address address;
	struct smtp_trust *trust;	/* NULL: without TLS */
	char *name;
};

static int target_fill(struct reinject_target *target, const struct reinject_settings *settings, struct err *err)
{
	target->name = strdup(settings->name);
	if (target->name == NULL)
		return err_memory(err);
	if (smtp_address_parse(settings->to, &target->address, err) != 0)
		return err_prefix(err, "reinject.to");
	if (!settings->starttls)
		return 0;
	if (target->address.local)
		return err_set(err, ERR_CONFIG, "reinject.starttls: a unix socket has no server name to check");
	target->trust = smtp_trust_new(settings->tls_ca_file, err);
	return target->trust != NULL ? 0 : err_prefix(err, "reinject.tls_ca_file");
}

struct reinject_target *reinject_target_new(const struct reinject_settings *settings, struct err *err)
{
	struct reinject_target *target = calloc(1, sizeof(*target));

	if (target == NULL) {
		err_memory(err);
		return NULL;
	}
	if (target_fill(target, settings, err) == 0)
		return target;
	reinject_target_free(target);
	return NULL;
}

void reinject_target_free(struct reinject_target *target)
{
	if (target == NULL)
		return;
	smtp_trust_free(target->trust);
	free(target->name);
	free(target);
}

struct dialogue {
	struct smtp *smtp;
	const struct reinject_mail *mail;
	struct reinject_result *result;
};

static const struct recipient *member(const struct reinject_mail *mail, size_t i)
{
	return &mail->envelope->recipients[mail->members[i]];
}

static bool is_eight_bit(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] > 0x7f)
			return true;
	return false;
}

static bool utf8_needed(const struct reinject_mail *mail)
{
	bool needed = is_eight_bit(mail->envelope->sender.text);

	for (size_t i = 0; !needed && i < mail->n; i++)
		needed = is_eight_bit(member(mail, i)->address.text);
	return needed;
}

/* Any answer but the wanted kind ends the mail. */
static int expect(struct dialogue *d, int hundreds, int64_t timeout_ms, const char *what, struct smtp_reply *reply,
		  struct err *err)
{
	if (smtp_answer(d->smtp, timeout_ms, reply, err) != 0)
		return err_prefix(err, "%s", what);
	if (reply->code / 100 == hundreds)
		return 0;
	return err_set(err, ERR_TEMP, "%s: %s", what, reply->text);
}

/* verb, address and parameters as one command. */
static int say_with(struct dialogue *d, const char *verb, struct slice address, struct buf *params, struct err *err)
{
	const char *text = buf_string(params);

	return text == NULL ? err_memory(err) : smtp_say(d->smtp, err, "%s%.*s%s", verb, SLICE_ARGS(address), text);
}

/* It is for the log alone: a listener that refuses it gets the mail all the same. Each attribute goes by itself, since one
 * that is refused (IPv6 where inet_protocols has none) would take others with it. */
static int tell_client(struct dialogue *d, struct err *err)
{
	struct smtp_reply reply;
	struct buf words;
	int rc = 0;

	buf_init(&words, 0);
	for (size_t i = 0; rc == 0 && d->mail->client != NULL && i < SMTP_ATTRIBUTES; i++) {
		buf_reset(&words);
		rc = smtp_xforward(&words, d->mail->client, (enum smtp_attribute)i, smtp_offers(d->smtp), err);
		if (rc != 0 || words.n == 0)
			continue;
		rc = say_with(d, "XFORWARD", slice_make("", 0), &words, err);
		if (rc == 0)
			rc = smtp_answer(d->smtp, SMTP_COMMAND_MS, &reply, err);
	}
	buf_clear(&words);
	return rc;
}

static int say_mail(struct dialogue *d, struct err *err)
{
	const struct reinject_mail *mail = d->mail;
	size_t guard_bytes = mail->guard_field != NULL ? strlen(mail->guard_field) : 0;
	const struct smtp_facts facts = { .eight_bit = mail->message->eight_bit, .utf8_needed = utf8_needed(mail),
		.size_bytes = mail->message->size_bytes + guard_bytes };
	struct buf params;
	int rc;

	buf_init(&params, 0);
	rc = buf_append_char(&params, '>') != 0 ? err_memory(err) :
	     smtp_mail_params(&params, mail->envelope->sender_args, smtp_offers(d->smtp), &facts, err);
	if (rc == 0)
		rc = say_with(d, "MAIL FROM:<", mail->envelope->sender.text, &params, err);
	buf_clear(&params);
	return rc;
}

static int say_rcpt(struct dialogue *d, const struct recipient *recipient, struct err *err)
{
	struct buf params;
	int rc;

	buf_init(&params, 0);
	rc = buf_append_char(&params, '>') != 0 ? err_memory(err) :
	     smtp_rcpt_params(&params, recipient->args, smtp_offers(d->smtp), err);
	if (rc == 0)
		rc = say_with(d, "RCPT TO:<", recipient->address.text, &params, err);
	buf_clear(&params);
	return rc;
}

static int hear_mail(struct dialogue *d, struct err *err)
{
	struct smtp_reply reply;

	return expect(d, 2, SMTP_COMMAND_MS, "MAIL", &reply, err);
}

static int hear_rcpt(struct dialogue *d, size_t i, struct err *err)
{
	struct reinject_recipient *recipient = &d->result->recipients[i];
	struct smtp_reply reply;

	if (smtp_answer(d->smtp, SMTP_COMMAND_MS, &reply, err) != 0)
		return err_prefix(err, "RCPT");
	snprintf(recipient->text, sizeof(recipient->text), "%s", reply.text);
	recipient->answer = reply.code / 100 == 2 ? REINJECT_ACCEPTED :
			    reply.code / 100 == 5 ? REINJECT_REFUSED : REINJECT_LATER;
	return 0;
}

/* MAIL, which comes with the first, and recipients from..to in one go. */
static int ask_batch(struct dialogue *d, size_t from, size_t to, struct err *err)
{
	if (from == 0 && say_mail(d, err) != 0)
		return -1;
	for (size_t i = from; i < to; i++)
		if (say_rcpt(d, member(d->mail, i), err) != 0)
			return -1;
	if (from == 0 && hear_mail(d, err) != 0)
		return -1;
	for (size_t i = from; i < to; i++)
		if (hear_rcpt(d, i, err) != 0)
			return -1;
	return 0;
}

static int ask_one_by_one(struct dialogue *d, struct err *err)
{
	if (say_mail(d, err) != 0 || hear_mail(d, err) != 0)
		return -1;
	for (size_t i = 0; i < d->mail->n; i++)
		if (say_rcpt(d, member(d->mail, i), err) != 0 || hear_rcpt(d, i, err) != 0)
			return -1;
	return 0;
}

static int ask(struct dialogue *d, struct err *err)
{
	size_t n = d->mail->n, to;

	if (!smtp_offers(d->smtp)->pipelining)
		return ask_one_by_one(d, err);
	for (size_t from = 0; from < n; from = to) {
		to = n - from > BATCH ? from + BATCH : n;
		if (ask_batch(d, from, to, err) != 0)
			return -1;
	}
	return 0;
}

/* 1: somebody is to have it; 0: nobody; -1: not now. */
static int weigh(const struct dialogue *d, struct err *err)
{
	int accepted = 0;

	for (size_t i = 0; i < d->mail->n; i++) {
		const struct reinject_recipient *recipient = &d->result->recipients[i];

		if (recipient->answer == REINJECT_LATER)
			return err_set(err, ERR_TEMP, "RCPT: %s", recipient->text);
		if (recipient->answer == REINJECT_ACCEPTED)
			accepted = 1;
	}
	return accepted;
}

static int add_text(void *arg, const void *p, size_t n, struct err *err)
{
	return smtp_text(arg, p, n, err);
}

static int send_text(struct dialogue *d, struct err *err)
{
	const struct outgoing *message = d->mail->message;
	const char *guard = d->mail->guard_field;
	struct stream *body = body_open(message->body, err);
	int rc = -1;

	if (body == NULL)
		return -1;
	if (guard != NULL && smtp_text(d->smtp, guard, strlen(guard), err) != 0)
		goto out;
	if (smtp_text(d->smtp, message->header.p, message->header.n, err) != 0)
		goto out;
	if (stream_drain(body, add_text, d->smtp, err) != 0)
		goto out;
	rc = smtp_text_end(d->smtp, &d->result->unknown, err);
out:
	stream_close(body);
	return rc;
}

/* "250 2.0.0 Ok: queued as 4Xk2Q3" (Postfix), "250 2.0.0 4AB Message accepted for delivery" (Sendmail). */
static void read_queue_id(const char *text, char *out, size_t size)
{
	const char *at = strstr(text, "queued as ");
	size_t n;

	if (at != NULL)
		at += strlen("queued as ");
	else if (strstr(text, " Message accepted") != NULL && strncmp(text, "250 2.0.0 ", 10) == 0)
		at = text + 10;
	if (at == NULL)
		return;
	n = strcspn(at, " ");
	if (n < size)
		snprintf(out, size, "%.*s", (int)n, at);
}

static int send_data(struct dialogue *d, struct err *err)
{
	struct reinject_result *result = d->result;
	struct smtp_reply reply;

	if (smtp_say(d->smtp, err, "DATA") != 0 || expect(d, 3, SMTP_COMMAND_MS, "DATA", &reply, err) != 0)
		return -1;
	if (send_text(d, err) != 0)
		return err_prefix(err, "text");
	if (smtp_answer(d->smtp, SMTP_FINAL_MS, &reply, err) != 0)
		return err_prefix(err, "end of text, no answer");
	result->unknown = false;
	snprintf(result->final, sizeof(result->final), "%s", reply.text);
	if (reply.code / 100 != 2)
		return err_set(err, ERR_TEMP, "end of text: %s", reply.text);
	read_queue_id(reply.text, result->queue_id, sizeof(result->queue_id));
	return 1;
}

static int converse(struct dialogue *d, struct err *err)
{
	int rc;

	if (tell_client(d, err) != 0 || ask(d, err) != 0)
		return -1;
	rc = weigh(d, err);
	return rc == 1 ? send_data(d, err) : rc;
}

/* What a listener is at fault for is not the message's: whatever the class was, it is to be tried again. */
static int not_now(const struct reinject_target *target, struct err *err)
{
	if (err->class != ERR_BUG)
		err->class = ERR_TEMP;
	return err_prefix(err, "reinjecting to %s", target->address.host);
}

int reinject_send(const struct reinject_target *target, const struct reinject_mail *mail, struct arena *arena,
		  struct reinject_result *result, struct err *err)
{
	const struct smtp_options options = { .address = &target->address, .trust = target->trust, .name = target->name,
		.deadline_ms = mail->deadline_ms };
	struct dialogue d = { .mail = mail, .result = result };
	struct err why = { .class = ERR_NONE };
	int rc = -1;

	memset(result, 0, sizeof(*result));
	result->recipients = arena_array(arena, mail->n, sizeof(result->recipients[0]));
	if (result->recipients == NULL)
		return err_memory(err);
	d.smtp = smtp_open(&options, &why);
	if (d.smtp != NULL)
		rc = converse(&d, &why);
	if (rc >= 0) {
		smtp_quit(d.smtp);
		return rc;
	}
	smtp_close(d.smtp);
	not_now(target, &why);
	if (err != NULL)
		*err = why;
	return -1;
}
