/* ctl_process.c - a message through the one door without an MTA: process writes what comes out, explain says why
 * (its words are in ctl_explain.c). The envelope is made of the options.
 */
#include "milter/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "milter/ctl_passage.h"
#include "milter/reply.h"
#include "milter/report.h"

/* "" and "<>" are the null sender. */
static int make_sender(const struct ctl *ctl, struct address *sender)
{
	memset(sender, 0, sizeof(*sender));
	if (ctl->args.from[0] == '\0' || strcmp(ctl->args.from, "<>") == 0)
		return 0;
	return ctl_address(ctl, ctl->args.from, sender);
}

static int make_recipients(const struct ctl *ctl, struct envelope *envelope)
{
	const struct ctl_words *rcpt = &ctl->args.rcpt;
	size_t i;

	for (i = 0; i < rcpt->n; i++) {
		envelope->recipients[i].args = "";
		if (ctl_address(ctl, rcpt->items[i], &envelope->recipients[i].address) != 0)
			return CTL_USAGE;
		if (envelope->recipients[i].address.text.n == 0)
			return ctl_usage(ctl, "--rcpt: the null address receives no mail");
	}
	envelope->recipient_count = rcpt->n;
	return 0;
}

/* A mistyped address would silently be a stranger's. */
static int check_client(const struct ctl *ctl)
{
	struct network network;
	struct err why;

	if (ctl->args.client == NULL)
		return 0;
	if (strchr(ctl->args.client, '/') == NULL && network_parse(ctl->args.client, &network, &why) == 0)
		return 0;
	return ctl_usage(ctl, "--client %s: not an IP address", ctl->args.client);
}

/* 0, CTL_USAGE, or -1. */
static int make_envelope(const struct ctl *ctl, struct envelope *envelope, struct err *err)
{
	*envelope = (struct envelope){ .queue_id = "", .sender_args = "", .client_ip = ctl->args.client,
				       .login = ctl->args.auth,
				       .daemon_name = ctl->args.daemon != NULL ? ctl->args.daemon : "" };
	envelope->recipients = arena_array(ctl->arena, ctl->args.rcpt.n, sizeof(*envelope->recipients));
	if (envelope->recipients == NULL)
		return err_memory(err);
	if (make_sender(ctl, &envelope->sender) != 0 || make_recipients(ctl, envelope) != 0 || check_client(ctl) != 0)
		return CTL_USAGE;
	return 0;
}

/* The failure itself becomes the outcome, as it would in the daemon. */
static void fail(struct ctl *ctl, const struct err *why, struct ctl_passage *passage)
{
	fprintf(stderr, "smimectl: %s\n", why->text);
	gate_failed(ctl->site, why, &passage->outcome);
}

int ctl_pass(struct ctl *ctl, struct ctl_passage *passage, struct err *err)
{
	struct gate_env env = { .site = NULL };
	struct err why = { ERR_BUG, "" };
	int rc = -1;

	memset(passage, 0, sizeof(*passage));
	rc = make_envelope(ctl, &passage->envelope, err);
	if (rc != 0)
		return rc;
	if (ctl_site(ctl, err) != 0 || ctl_memory(ctl, &env.memory, err) != 0)
		return -1;
	env.site = ctl->site;
	env.deadline_ms = ctl_deadline_ms(ctl);
	if (ctl_read_message(ctl, &passage->message, &why) != 0)
		fail(ctl, &why, passage);
	else if (gate_process(&env, &passage->envelope, &passage->message, ctl->arena, &passage->outcome, &why) != 0)
		fprintf(stderr, "smimectl: %s\n", why.text);
	return 0;
}

/* The gate makes copies; the daemon refuses what needs them where it cannot hand them over. */
static void warn_copies(const struct ctl *ctl, const struct outcome *outcome)
{
	const char *to = ctl->site->settings.reinject.to;
	bool told = false;

	if (outcome->action != ACTION_ACCEPT || (to != NULL && to[0] != '\0'))
		return;
	for (size_t i = 0; i < outcome->recipient_count && !told; i++)
		told = outcome->recipients[i].message == OUTCOME_NONE;
	if (outcome->copy_count > 0 || told)
		fprintf(stderr, "smimectl: reinject.to is not set: smime-milter would refuse this message, since it needs "
				"%s\n", outcome->copy_count > 0 ? "copies" : "a notification");
}

int ctl_pass_end(struct ctl *ctl, const struct err *why, struct ctl_passage *passage)
{
	const struct outcome *outcome = &passage->outcome;
	struct reply_line line;

	if (why != NULL)
		fail(ctl, why, passage);
	warn_copies(ctl, outcome);
	reply_format(outcome, NULL, &line);
	if (line.code[0] != '\0')
		snprintf(passage->reply_text, sizeof(passage->reply_text), "%s %s %s", line.code, line.xcode,
			 line.text);
	if (outcome->action == ACTION_ACCEPT)
		return CTL_DONE;
	if (outcome->action == ACTION_TEMPFAIL)
		return CTL_LATER;
	return outcome->reply == REPLY_MALFORMED ? CTL_NO_MESSAGE : CTL_NOT_PASSED;
}

static FILE *create(const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (file == NULL && fd >= 0)
		close(fd);
	if (file == NULL)
		err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
	return file;
}

static int close_file(FILE *file, const char *path, struct err *err)
{
	if (fclose(file) != 0)
		return err_set(err, ERR_TEMP, "%s: %s", path, strerror(errno));
	return 0;
}

/* DIR/N.eml; NULL: memory */
static const char *eml_path(const struct ctl *ctl, size_t n)
{
	return arena_printf(ctl->arena, "%s/%zu.eml", ctl->args.out, n);
}

static int write_eml(struct ctl *ctl, const struct message *message, size_t n, struct err *err)
{
	const char *path = eml_path(ctl, n);
	FILE *file = path != NULL ? create(path, err) : NULL;
	int rc = -1;

	if (path == NULL)
		return err_memory(err);
	if (file == NULL)
		return -1;
	rc = ctl_write_message(ctl, message, file, err);
	if (close_file(file, path, rc == 0 ? err : NULL) != 0)
		rc = -1;
	return rc;
}

/* From number n on, until there is none. */
static int remove_emls(const struct ctl *ctl, size_t n, struct err *err)
{
	const char *path = NULL;

	for (;; n++) {
		path = eml_path(ctl, n);
		if (path == NULL)
			return err_memory(err);
		if (unlink(path) == 0)
			continue;
		return errno == ENOENT ? 0 : err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
	}
}

/* All of them or, where one could not be made to its end, none. */
static int write_emls(struct ctl *ctl, const struct outcome *outcome, struct err *err)
{
	int rc = 0;
	size_t i;

	if (outcome->action != ACTION_ACCEPT)
		return 0;
	for (i = 0; rc == 0 && i <= outcome->copy_count; i++)
		rc = write_eml(ctl, i == 0 ? &outcome->message : &outcome->copies[i - 1], i, err);
	if (rc != 0)
		(void)remove_emls(ctl, 0, NULL);
	return rc;
}

static int write_outcome(const struct ctl_passage *passage, const char *path, struct err *err)
{
	FILE *file = create(path, err);
	int rc = -1;

	if (file == NULL)
		return -1;
	rc = report_outcome(file, &passage->outcome, passage->reply_text, false, err);
	if (close_file(file, path, rc == 0 ? err : NULL) != 0)
		rc = -1;
	return rc;
}

/* Makes DIR and takes what an earlier run left there. */
static int prepare(const struct ctl *ctl, const char *json, struct err *err)
{
	const char *dir = ctl->args.out;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return err_set(err, ERR_CONFIG, "%s: %s", dir, strerror(errno));
	if (unlink(json) != 0 && errno != ENOENT)
		return err_set(err, ERR_CONFIG, "%s: %s", dir, strerror(errno));
	return remove_emls(ctl, 0, err);
}

static void print_summary(const struct ctl_passage *passage)
{
	const struct outcome *outcome = &passage->outcome;
	const struct recipient_outcome *to = NULL;
	size_t i;

	fprintf(stderr, "%s%s%s\n", action_names[outcome->action], passage->reply_text[0] != '\0' ? ": " : "",
		passage->reply_text);
	for (i = 0; i < outcome->recipient_count; i++) {
		to = &outcome->recipients[i];
		fprintf(stderr, "  <%.*s> %s: %s%s%s\n", SLICE_ARGS(to->recipient->address.text),
			to->rule != NULL ? to->rule->id : "no rule", to->action != NULL ? to->action : "",
			to->reason != NULL && to->reason[0] != '\0' ? ", " : "",
			to->reason != NULL ? to->reason : "");
	}
}

int ctl_process(struct ctl *ctl, struct err *err)
{
	const char *json = arena_printf(ctl->arena, "%s/outcome.json", ctl->args.out);
	struct ctl_passage passage;
	struct err why = { ERR_BUG, "" };
	int rc = -1, status = CTL_LATER;

	if (json == NULL)
		return err_memory(err);
	rc = ctl_pass(ctl, &passage, err);
	if (rc != 0 || prepare(ctl, json, err) != 0)
		return rc != 0 ? rc : -1;
	rc = write_emls(ctl, &passage.outcome, &why);
	status = ctl_pass_end(ctl, rc != 0 ? &why : NULL, &passage);
	if (write_outcome(&passage, json, err) != 0)
		return -1;
	print_summary(&passage);
	if (ctl->json && report_outcome(stdout, &passage.outcome, passage.reply_text, false, err) != 0)
		return -1;
	return status;
}
