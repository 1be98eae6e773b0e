/* log.h - where events go (syslog or stderr), and the line that a message leaves there (INTERFACE 5). */
#ifndef MILTER_LOG_H
#define MILTER_LOG_H

#include "base/event.h"
#include "gate/envelope.h"
#include "gate/outcome.h"
#include "milter/reply.h"

/* The sink for this process and its children: stderr (foreground) or syslog's mail facility; debug lines only when
 * verbose. Thread-safe, never NULL. */
const struct event_sink *log_open(bool foreground, bool verbose);

struct log_entry {
	const struct envelope *envelope;
	const struct outcome *outcome;
	const struct reply_line *reply;
	const char *token;		/* of an internal error; "" */
	double ms;			/* spent at the end of the message */
};

/* What was done, as one word: "mixed" where recipients differ. What came of it: "ok", a verdict, "reject" and so on. The rule
 * that decided: "mixed", "none". */
const char *log_action(const struct outcome *outcome);
const char *log_result(const struct outcome *outcome);
const char *log_rule(const struct outcome *outcome);

#define LOG_LINE_SIZE 901

/* The message line: queue id first, key=value, untrusted bytes escaped so that none can look like another key; at most
 * LOG_LINE_SIZE - 1 bytes. Many recipients are cut, nrcpt tells their number. Returns out. */
char *log_format(const struct log_entry *entry, char out[LOG_LINE_SIZE]);
/* Formats and emits it; the level by the outcome. */
void log_message(const struct event_sink *sink, const struct log_entry *entry);

#endif
