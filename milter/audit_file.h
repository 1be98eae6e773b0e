/* audit_file.h - the audit log on disk: appends lines, chains them, follows rotation. For the recorder; one thread.
 *
 * Several processes may append to one log at the same time (two generations during a drain): state_dir/audit.head is
 * their lock, and holds the end of the chain, so that it goes on behind a log that was moved away. A log that was moved
 * (logrotate) is noticed by itself; nobody has to signal.
 */
#ifndef MILTER_AUDIT_FILE_H
#define MILTER_AUDIT_FILE_H

#include "base/event.h"
#include "milter/audit_chain.h"

struct audit_file_env {
	const char *path;		/* of the log; made (mode 0640) where there is none */
	const char *state_dir;
	bool chain;
	const struct event_sink *sink;
};

struct audit_file;

/* Opens both. NULL, ERR_TEMP: it cannot. */
struct audit_file *audit_file_open(const struct audit_file_env *env, struct err *err);
void audit_file_close(struct audit_file *file);		/* NULL is fine */
/* Appends lines, each a JSON object as audit_line_check wants it with a line feed behind it, in one go; on disk when it
 * returns 0. -1: none of them is (ERR_MESSAGE: one is no line; ERR_TEMP: disk). */
int audit_file_append(struct audit_file *file, struct slice lines, struct err *err);

#endif
