/* recorder_client.h - a worker's side of the recorder: its journal, and the way of audit lines to the disk. Thread-safe.
 * Whatever goes wrong is ERR_TEMP after at most RECORDER_TIMEOUT_MS: nothing may be accepted then.
 */
#ifndef MILTER_RECORDER_CLIENT_H
#define MILTER_RECORDER_CLIENT_H

#include "milter/channel.h"
#include "milter/journal.h"

#define RECORDER_TIMEOUT_MS 10000

struct recorder_client {
	struct channel *channel;
	struct journal journal;		/* for journal_begin and so on */
};

/* fd: the clients' end of the keeper's pair, outlives the client. */
int recorder_client_open(struct recorder_client *client, int fd, int timeout_ms, struct err *err);
void recorder_client_close(struct recorder_client *client);
/* Audit lines, each a JSON object on a line (audit_line_check) with its line feed. On disk when it returns 0; after -1 some
 * of them may be. */
int recorder_client_audit(const struct recorder_client *client, struct slice lines, struct err *err);

#endif
