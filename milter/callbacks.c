/* callbacks.c - from libmilter's calls to a transaction and back. No decision is made here. A session moves between
 * threads (Debian's libmilter has a pool), so nothing is kept in thread-local storage. Called by libmilter only.
 */
#include "milter/callbacks.h"

#include <arpa/inet.h>
#include <libmilter/mfapi.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "milter/apply.h"
#include "milter/log.h"
#include "milter/measure.h"
#include "milter/reply.h"

#define ACTIONS (SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_CHGBODY | SMFIF_DELRCPT)
#define UNUSED_STEPS (SMFIP_NOHELO | SMFIP_NOUNKNOWN | SMFIP_NODATA | SMFIP_NOEOH)
#define PROGRESS_MS 5000

struct session {
	struct worker *worker;
	bool leading_blank;		/* SMFIP_HDR_LEADSPC was granted */
	char *client_ip;		/* NULL: unknown */
	char *daemon_name;		/* NULL: unknown */
	struct transaction *transaction;
};

/* libmilter hands nothing of ours to a new session, so this is where it finds the process's worker. Set once, before
 * any thread exists. */
static struct worker *bound;

void callbacks_bind(struct worker *worker)
{
	bound = worker;
}

static void end_transaction(struct session *session)
{
	if (session->transaction == NULL)
		return;
	transaction_free(session->transaction);
	session->transaction = NULL;
	atomic_fetch_sub(&session->worker->messages, 1);
}

static struct session *session_new(SMFICTX *ctx, bool leading_blank)
{
	struct session *session = calloc(1, sizeof(*session));

	if (session == NULL)
		return NULL;
	session->worker = bound;
	metrics_session(session->worker->metrics, 1);
	session->leading_blank = leading_blank;
	smfi_setpriv(ctx, session);
	return session;
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long f2,
			     unsigned long f3, unsigned long *wanted_actions, unsigned long *wanted_steps,
			     unsigned long *wanted_f2, unsigned long *wanted_f3)
{
	(void)actions, (void)f2, (void)f3;
	if (session_new(ctx, (steps & SMFIP_HDR_LEADSPC) != 0) == NULL)
		return SMFIS_REJECT;
	*wanted_actions = ACTIONS;	/* libmilter turns away an MTA that cannot do these */
	*wanted_steps = steps & (UNUSED_STEPS | SMFIP_HDR_LEADSPC);
	*wanted_f2 = *wanted_f3 = 0;
	return SMFIS_CONTINUE;
}

static char *address_text(const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;
	char text[INET6_ADDRSTRLEN] = "";

	if (address != NULL && address->sa_family == AF_INET)
		inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
	if (address != NULL && address->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
	return text[0] != '\0' ? strdup(text) : NULL;
}

static char *macro(SMFICTX *ctx, const char *name)
{
	return smfi_getsymval(ctx, (char *)(uintptr_t)name);
}

/* An out of memory here leaves the client a stranger on an unknown listener: the stricter side. */
static sfsistat on_connect(SMFICTX *ctx, char *name, struct sockaddr *address)
{
	struct session *session = smfi_getpriv(ctx);
	const char *text;

	(void)name;
	/* sendmail can start anew on the same connection (SMFIC_QUIT_NC) without negotiating again. MTAs that do are
	 * new enough to have granted the blank. */
	if (session == NULL && (session = session_new(ctx, true)) == NULL)
		return SMFIS_TEMPFAIL;
	free(session->client_ip);
	session->client_ip = address_text(address);
	if (session->client_ip == NULL && (text = macro(ctx, "{client_addr}")) != NULL)
		session->client_ip = strdup(text);
	free(session->daemon_name);
	text = macro(ctx, "{daemon_name}");
	session->daemon_name = text != NULL ? strdup(text) : NULL;
	event_log(session->worker->sink, EVENT_DEBUG, "session from %s on %s",
		  session->client_ip != NULL ? session->client_ip : "unknown",
		  session->daemon_name != NULL ? session->daemon_name : "unknown");
	return SMFIS_CONTINUE;
}

static struct transaction *begin(struct session *session)
{
	struct transaction_env env = { .site = session->worker->site, .budget = &session->worker->budget,
		.delivery = &session->worker->delivery, .recorder = session->worker->recorder,
		.client_ip = session->client_ip,
		.daemon_name = session->daemon_name != NULL ? session->daemon_name : "" };

	end_transaction(session);
	session->transaction = transaction_new(&env);
	if (session->transaction != NULL)
		atomic_fetch_add(&session->worker->messages, 1);
	return session->transaction;
}

static sfsistat on_mail(SMFICTX *ctx, char **arguments)
{
	struct session *session = smfi_getpriv(ctx);

	if (session == NULL || begin(session) == NULL)
		return SMFIS_TEMPFAIL;
	transaction_mail(session->transaction, arguments, macro(ctx, "{mail_addr}"));
	transaction_login(session->transaction, macro(ctx, "{auth_authen}"));
	return SMFIS_CONTINUE;
}

/* Between MAIL FROM and the end there is a transaction, unless the MTA breaks the protocol. */
static struct transaction *current(SMFICTX *ctx)
{
	struct session *session = smfi_getpriv(ctx);

	return session != NULL ? session->transaction : NULL;
}

static sfsistat on_rcpt(SMFICTX *ctx, char **arguments)
{
	struct transaction *transaction = current(ctx);

	if (transaction == NULL)
		return SMFIS_TEMPFAIL;
	transaction_rcpt(transaction, arguments, macro(ctx, "{rcpt_addr}"));
	return SMFIS_CONTINUE;
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	struct session *session = smfi_getpriv(ctx);

	if (current(ctx) == NULL)
		return SMFIS_TEMPFAIL;
	transaction_header(session->transaction, name, value, session->leading_blank);
	return SMFIS_CONTINUE;
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *p, size_t n)
{
	struct transaction *transaction = current(ctx);

	if (transaction == NULL)
		return SMFIS_TEMPFAIL;
	transaction_body(transaction, p, n);
	return SMFIS_CONTINUE;
}

struct progress {
	SMFICTX *ctx;
	const struct clock *clock;
	int64_t told_ms;
};

/* Keeps the MTA waiting: its patience starts anew with each packet. */
static void tick(void *self)
{
	struct progress *progress = self;
	int64_t now_ms = clock_monotonic_ms(progress->clock);

	if (now_ms - progress->told_ms < PROGRESS_MS)
		return;
	progress->told_ms = now_ms;
	(void)smfi_progress(progress->ctx);
}

static double now_in_ms(void)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1e6;
}

/* Says what became of the message, to the MTA and in the log. */
static sfsistat conclude(SMFICTX *ctx, const struct session *session, const struct settlement *settlement,
			 struct outcome *outcome, const struct err *err)
{
	struct reply_line line;
	const struct log_entry entry = { transaction_envelope(session->transaction), outcome, &line, settlement->token,
					 settlement->ms };

	if (outcome->reason == NULL || outcome->reason[0] == '\0')
		outcome->reason = err->text;
	reply_format(outcome, settlement->token, &line);
	log_message(session->worker->sink, &entry);
	measure_message(session->worker->metrics, &entry);
	return apply_reply(ctx, outcome, &line);
}

static void decide(SMFICTX *ctx, const struct session *session, struct settlement *settlement, struct outcome *outcome,
		   struct err *err)
{
	const struct clock *clock = &session->worker->site->clock;
	struct progress progress = { ctx, clock, clock_monotonic_ms(clock) };

	transaction_login(session->transaction, macro(ctx, "{auth_authen}"));
	transaction_end(session->transaction, macro(ctx, "i"), tick, &progress, outcome, err);
	settlement->failed =
		apply_message(ctx, outcome, session->leading_blank, &settlement->applied, err) != 0;
}

static bool is_internal(const struct settlement *settlement, const struct outcome *outcome)
{
	return settlement->failed ||
	       (outcome->reply == REPLY_INTERNAL && (outcome->action != ACTION_ACCEPT || outcome->observed));
}

static sfsistat on_end(SMFICTX *ctx)
{
	struct session *session = smfi_getpriv(ctx);
	double started_ms = now_in_ms();
	char token[REPLY_TOKEN_SIZE] = "";
	struct settlement settlement = { .token = token };
	struct outcome outcome;
	struct err err = { 0 };
	sfsistat status;

	if (current(ctx) == NULL)
		return SMFIS_TEMPFAIL;
	decide(ctx, session, &settlement, &outcome, &err);
	if (is_internal(&settlement, &outcome))
		reply_token(token);
	settlement.ms = now_in_ms() - started_ms;
	transaction_settle(session->transaction, &settlement, &outcome, &err);
	status = conclude(ctx, session, &settlement, &outcome, &err);
	end_transaction(session);
	return status;
}

static sfsistat on_abort(SMFICTX *ctx)
{
	struct session *session = smfi_getpriv(ctx);

	if (session != NULL)
		end_transaction(session);
	return SMFIS_CONTINUE;
}

static sfsistat on_close(SMFICTX *ctx)
{
	struct session *session = smfi_getpriv(ctx);

	if (session == NULL)
		return SMFIS_CONTINUE;
	end_transaction(session);
	metrics_session(session->worker->metrics, -1);
	free(session->client_ip);
	free(session->daemon_name);
	free(session);
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

int callbacks_register(struct err *err)
{
	static char name[] = "smime-milter";
	const struct smfiDesc table = {
		.xxfi_name = name, .xxfi_version = SMFI_VERSION, .xxfi_flags = ACTIONS, .xxfi_connect = on_connect,
		.xxfi_envfrom = on_mail, .xxfi_envrcpt = on_rcpt, .xxfi_header = on_header, .xxfi_body = on_body,
		.xxfi_eom = on_end, .xxfi_abort = on_abort, .xxfi_close = on_close, .xxfi_negotiate = on_negotiate,
	};

	if (smfi_register(table) != MI_SUCCESS)
		return err_set(err, ERR_BUG, "libmilter refuses the callbacks");
	return 0;
}

int callbacks_listen(const char *conn, int backlog)
{
	char copy[300];

	if (strlen(conn) >= sizeof(copy))
		return -1;
	memcpy(copy, conn, strlen(conn) + 1);
	if (smfi_setconn(copy) != MI_SUCCESS || smfi_setbacklog(backlog) != MI_SUCCESS)
		return -1;
	return smfi_opensocket(false) == MI_SUCCESS ? 0 : -1;
}

void callbacks_serve(int timeout_s)
{
	(void)smfi_settimeout(timeout_s);
	(void)smfi_main();
}
