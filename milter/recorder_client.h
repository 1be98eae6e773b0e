/* recorder_client.h - a worker's side of the recorder: its journal, and the way of audit lines to the disk. Thread-safe.
 * Whatever goes wrong is ERR_TEMP after at most RECORDER_TIMEOUT_MS: nothing may be accepted then.
 */
#ifndef MILTER_RECORDER_CLIENT_H
#define MILTER_RECORDER_CLIENT_H

#include "base/crypt.h"
#include "milter/channel.h"
#include "milter/journal.h"
#include "smime/harvest.h"

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
/* Which of n contents, at most RECORDER_DIGESTS, are kept (kept_evidence.h)? sha256: their digests, one behind another. */
int recorder_client_has(const struct recorder_client *client, const unsigned char *sha256, size_t n, bool *has,
			struct err *err);
/* Has one kept; on disk when it returns 0. */
int recorder_client_put(const struct recorder_client *client, const unsigned char sha256[CRYPT_SHA256_BYTES],
			struct slice content, struct err *err);
/* A certificate to be kept as milter/harvest_store.h says. -1: it is not, and the next mail may teach it again. */
int recorder_client_harvest(const struct recorder_client *client, struct arena *arena, const struct harvest *harvest,
			    struct err *err);

#endif
