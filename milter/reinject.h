/* reinject.h - hands a message back to the MTA by SMTP: a copy for recipients who need a treatment of their own, or a
 * notification. The listener has no milter of ours (see DESIGN); what it accepts, it delivers. Nothing here decides or
 * changes a message, and nothing is remembered: exactly once is the journal's matter.
 */
#ifndef MILTER_REINJECT_H
#define MILTER_REINJECT_H

#include "gate/envelope.h"
#include "milter/outgoing.h"
#include "milter/smtp_params.h"

struct reinject_settings {
	const char *to;			/* inet:HOST:PORT, inet:PORT@HOST, inet6 likewise, unix:PATH, local:PATH */
	bool starttls;			/* not over a unix socket */
	const char *tls_ca_file;	/* NULL or "": the system's CAs */
	const char *name;		/* ours, for EHLO */
};

/* Where to, and whom to trust: immutable, for any number of mails in any threads. Host names are looked up here and
 * never again; a CA file is read here. NULL: *err, ERR_CONFIG unless memory was short. */
struct reinject_target;
struct reinject_target *reinject_target_new(const struct reinject_settings *settings, struct err *err);
void reinject_target_free(struct reinject_target *target);	/* NULL is fine */

struct reinject_mail {
	const struct envelope *envelope;	/* sender, recipients, and what they came with */
	const size_t *members;			/* which of the recipients, by index */
	size_t n;				/* at least 1 */
	const struct outgoing *message;
	const char *guard_field;		/* a line with its CRLF that is put on top (guard.h); NULL: none */
	const struct smtp_client *client;	/* for XFORWARD; NULL: nothing is told */
	int64_t deadline_ms;			/* clock_monotonic_ms of clock_system */
};

enum reinject_answer {
	REINJECT_NONE = 0,		/* not asked, or no answer came */
	REINJECT_ACCEPTED,		/* at RCPT; worth something only when reinject_send returns 1 */
	REINJECT_REFUSED,		/* 5xx at RCPT */
	REINJECT_LATER			/* 4xx at RCPT */
};

struct reinject_recipient {
	enum reinject_answer answer;
	char text[SMTP_TEXT_BYTES];	/* "550 5.1.1 …"; one line, printable ASCII; "" */
};

struct reinject_result {
	struct reinject_recipient *recipients;	/* as members; in the arena */
	char final[SMTP_TEXT_BYTES];		/* the answer to the text; "" */
	char queue_id[64];			/* the MTA's name for it; printable ASCII; "": not told */
	bool unknown;				/* the text has ended and no answer came: perhaps delivered */
};

/* Sends one mail.
 *  1  sent: the MTA has it for those whose answer is ACCEPTED, and never will for those whose is REFUSED
 *  0  every recipient was refused: nothing was sent
 * -1  ERR_TEMP (ERR_BUG: what cannot be): nothing counts as sent, and nothing was delivered unless result->unknown. A
 *     4xx anywhere, a connection that is lost, the deadline, an error of the message's body; and a 5xx at any place but
 *     RCPT: our own listener is not set up for it, which a later attempt may find mended
 * result is filled in each case. Never waits beyond the deadline, never ends a text that is not whole. */
int reinject_send(const struct reinject_target *target, const struct reinject_mail *mail, struct arena *arena,
		  struct reinject_result *result, struct err *err);

#endif
