/* audit_event.h - audit lines of what is no message: who has changed what decides about messages (INTERFACE 5). */
#ifndef MILTER_AUDIT_EVENT_H
#define MILTER_AUDIT_EVENT_H

#include <sys/types.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"

struct audit_event {
	time_t at;
	const char *what;		/* "start" "reload" "harvest-approve" "harvest-import" */
	uid_t uid;			/* of the process that asked for it */
	pid_t pid;
	const char *config;		/* conf_sha256 of what holds from now on; NULL: not known */
	/* harvest: whose certificate is used from now on, which, and which before ("": none); NULL: it is about none */
	const char *address, *cert_sha256, *cert_sha256_before;
};

/* Appends a line with its line feed, fit for recorder_client_audit. who is the uid's name at this moment, with uid and pid
 * behind it. -1: memory. */
int audit_event_line(const struct audit_event *event, struct buf *out, struct err *err);

#endif
