/* log.c - the event sinks of the daemon and the line a message leaves. What happened is said by others; here is only
 * how it is written down. Called by master and workers; all threads may write at once. */
#include "milter/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define ADDRESSES_BYTES 330	/* of the recipients, so that what follows them still fits */
#define VALUE_BYTES 200
#define REASON_BYTES 250

struct target {
	enum event_level lowest;
	bool priorities;	/* stderr is the journal: lines carry "<3>" and so on (sd-daemon(3)) */
};

static int priority(enum event_level level)
{
	static const int priorities[] = { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERR };

	return priorities[level];
}

static void emit_syslog(void *self, enum event_level level, const char *line)
{
	const struct target *target = self;

	if (level >= target->lowest)
		syslog(priority(level), "%s", line);
}

/* One write a line, so that the lines of threads and processes do not mix. */
static void emit_stderr(void *self, enum event_level level, const char *line)
{
	const struct target *target = self;
	char text[1024];
	int n;

	if (level < target->lowest)
		return;
	if (target->priorities)
		n = snprintf(text, sizeof(text), "<%d>%.1000s\n", priority(level), line);
	else
		n = snprintf(text, sizeof(text), "smime-milter[%ld]: %.980s\n", (long)getpid(), line);
	if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
		return;		/* nowhere to say so */
}

#define SINK(function, verbose, journal) { function, (void *)(uintptr_t)&targets[verbose][journal] }

const struct event_sink *log_open(bool foreground, bool verbose)
{
	static const struct target targets[2][2] = {
		{ { EVENT_INFO, false }, { EVENT_INFO, true } }, { { EVENT_DEBUG, false }, { EVENT_DEBUG, true } } };
	static const struct event_sink to_syslog[2] = { SINK(emit_syslog, 0, 0), SINK(emit_syslog, 1, 0) };
	static const struct event_sink to_stderr[2][2] = {
		{ SINK(emit_stderr, 0, 0), SINK(emit_stderr, 0, 1) },
		{ SINK(emit_stderr, 1, 0), SINK(emit_stderr, 1, 1) } };

	if (foreground)
		return &to_stderr[verbose][getenv("JOURNAL_STREAM") != NULL];
	/* To stderr too while there is one: whoever started the daemon sees why it cannot run. */
	openlog("smime-milter", LOG_PID | LOG_NDELAY | LOG_PERROR, LOG_MAIL);
	return &to_syslog[verbose];
}

struct line {
	char *p;
	size_t n, size;
};

__attribute__((format(printf, 2, 3)))
static void add(struct line *line, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line->p + line->n, line->size - line->n, format, args);
	va_end(args);
	if (n > 0)
		line->n += (size_t)n;
	if (line->n >= line->size)
		line->n = line->size - 1;
}

/* Beyond event_escape: nothing that ends a value, so that an address cannot pretend to be a further key. */
static void add_untrusted(struct line *line, struct slice bytes, size_t limit)
{
	size_t end = line->n + limit < line->size ? line->n + limit : line->size - 1;

	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = (unsigned char)bytes.p[i];
		bool plain = c > 0x20 && c < 0x7f && strchr("<>\"\\,;", c) == NULL;

		if (line->n + (plain ? 1 : 4) > end) {
			add(line, "...");
			return;
		}
		if (plain)
			add(line, "%c", c);
		else
			add(line, "\\x%02x", c);
	}
}

/* A text of ours with objects in it: blanks stay, quotes go round. */
static void add_quoted(struct line *line, const char *key, const char *text)
{
	add(line, " %s=\"", key);
	for (size_t i = 0; text[i] != '\0' && i < REASON_BYTES; i++)
		add(line, "%s%c", text[i] == '"' || text[i] == '\\' ? "\\" : "",
		    text[i] < 0x20 || text[i] > 0x7e ? '?' : text[i]);
	add(line, "\"");
}

static void add_recipients(struct line *line, const struct envelope *envelope)
{
	size_t end = line->n + ADDRESSES_BYTES;

	add(line, " to=");
	for (size_t i = 0; i < envelope->recipient_count; i++) {
		if (line->n + 8 > end) {
			add(line, ",...");
			break;
		}
		add(line, i == 0 ? "<" : ",<");
		add_untrusted(line, envelope->recipients[i].address.text, end - line->n);
		add(line, ">");
	}
	if (envelope->recipient_count == 0)
		add(line, "<>");
	add(line, " nrcpt=%zu", envelope->recipient_count);
}

/* What was done to the recipients: one word when it was the same for all. */
const char *log_action(const struct outcome *outcome)
{
	const char *action = outcome->recipient_count > 0 ? outcome->recipients[0].action : NULL;

	for (size_t i = 1; action != NULL && i < outcome->recipient_count; i++)
		if (outcome->recipients[i].action == NULL || strcmp(outcome->recipients[i].action, action) != 0)
			return "mixed";
	return action != NULL ? action : action_names[outcome->action];
}

const char *log_rule(const struct outcome *outcome)
{
	const struct rule *rule = outcome->recipient_count > 0 ? outcome->recipients[0].rule : NULL;

	for (size_t i = 1; i < outcome->recipient_count; i++)
		if (outcome->recipients[i].rule != rule)
			return "mixed";
	return rule != NULL ? rule->id : "none";
}

const char *log_result(const struct outcome *outcome)
{
	if (outcome->action != ACTION_ACCEPT)
		return action_names[outcome->action];
	return outcome->verified ? result_names[outcome->verdict.result] : "ok";
}

static void add_facts(struct line *line, const struct log_entry *entry)
{
	const struct outcome *outcome = entry->outcome;

	for (size_t i = 0; i < outcome->recipient_count; i++)
		if (outcome->recipients[i].cipher != NULL) {
			add(line, " cipher=%s", outcome->recipients[i].cipher);
			break;
		}
	if (outcome->observed)
		add(line, " mode=observe");
	if (entry->reply->code[0] != '\0')
		add(line, " reply=%s/%s", entry->reply->code, entry->reply->xcode);
	if (entry->token[0] != '\0')
		add(line, " token=%s", entry->token);
	if (outcome->reason != NULL && outcome->reason[0] != '\0')
		add_quoted(line, "reason", outcome->reason);
}

char *log_format(const struct log_entry *entry, char out[LOG_LINE_SIZE])
{
	struct line line = { out, 0, LOG_LINE_SIZE };
	const char *queue_id = entry->envelope->queue_id;

	out[0] = '\0';
	if (queue_id != NULL && queue_id[0] != '\0')
		add_untrusted(&line, slice_of(queue_id), 40);
	else
		add(&line, "NOQUEUE");
	add(&line, ": action=%s result=%s rule=", log_action(entry->outcome), log_result(entry->outcome));
	add_untrusted(&line, slice_of(log_rule(entry->outcome)), 64);
	add(&line, " from=<");
	add_untrusted(&line, entry->envelope->sender.text, VALUE_BYTES);
	add(&line, ">");
	add_recipients(&line, entry->envelope);
	add_facts(&line, entry);
	/* The end is never cut: it is short and the place where eyes look for it. */
	if (line.n > LOG_LINE_SIZE - 1 - 24)
		line.n = LOG_LINE_SIZE - 1 - 24;
	add(&line, " ms=%.1f", entry->ms);
	return out;
}

void log_message(const struct event_sink *sink, const struct log_entry *entry)
{
	char line[LOG_LINE_SIZE];
	enum event_level level = EVENT_INFO;

	if (entry->outcome->action == ACTION_TEMPFAIL)
		level = entry->token[0] != '\0' ? EVENT_ERROR : EVENT_WARNING;
	event_log(sink, level, "%s", log_format(entry, line));
}
