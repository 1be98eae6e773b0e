/* lookup_client.h - directories as a worker sees them: each is asked through the lookup process, and takes the place of
 * the one that the site opened. Thread-safe as every directory is.
 *
 * "Could not ask" is the answer when the process is gone, hangs, or talks nonsense, within the directory's timeout_ms
 * and LOOKUP_MARGIN_MS, and never after the caller's deadline. A process that ends before it answers is asked once
 * more: the keeper replaces it.
 */
#ifndef MILTER_LOOKUP_CLIENT_H
#define MILTER_LOOKUP_CLIENT_H

#include "milter/lookup_wire.h"

#define LOOKUP_MARGIN_MS 500
#define LOOKUP_CERTS 2000	/* decoded ones that a worker keeps: some 30 MB */

struct lookup_client {
	struct channel *channel;
	const struct clock *clock;	/* that of deadlines */
	struct cert_memory *certs;
};

/* fd: the clients' end of the keeper's pair, outlives the client, as does clock. */
int lookup_client_open(struct lookup_client *client, int fd, const struct clock *clock, struct err *err);
/* Frees *directory, which is the site's number index, and puts in its place a directory of the same name and settings
 * that asks the process. The client outlives it. -1: memory, *directory is unchanged. */
int lookup_client_replace(struct lookup_client *client, uint32_t index, struct directory *directory, struct err *err);
/* When no directory is left that uses it. */
void lookup_client_close(struct lookup_client *client);

/* Asks, until end_ms (CLOCK_MONOTONIC). Returns how many of the addresses were asked about, or -1; *answer: what came
 * back, at most LOOKUP_ANSWER_BYTES, not read yet; for the caller to clear, whatever is returned. */
ssize_t lookup_ask(struct channel *channel, const struct lookup_question *question, int64_t end_ms, struct buf *answer,
		   struct err *err);

#endif
