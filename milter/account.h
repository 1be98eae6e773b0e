/* account.h - gives account of a message: collects what its audit lines tell of bytes, and has them written. */
#ifndef MILTER_ACCOUNT_H
#define MILTER_ACCOUNT_H

#include "gate/site.h"
#include "milter/audit.h"
#include "milter/outgoing.h"

struct applied {			/* what the original transaction's new body was; set by apply_message */
	bool body_read;			/* there was one, read to its end */
	unsigned char body_sha256[CRYPT_SHA256_BYTES];
	uint64_t body_bytes;
};

struct account {
	const struct site *site;
	const struct recorder_client *recorder;
	const struct envelope *envelope;
	const struct message *message;		/* as it came; body NULL: it was not taken to its end */
	struct outgoing_digest *digest;		/* of its body */
	const struct outcome *outcome;
	const struct applied *applied;
	const struct audit_message *copies;	/* as delivery.h tells them */
	size_t copy_count;
	int64_t attempt;
	const char *token;
	double ms;
	struct arena *arena;
};

/* Without audit.path: nothing, and 0. On disk when it returns 0; -1: what was decided could not be recorded, and must not
 * be accepted. */
int account_give(const struct account *account, struct err *err);

#endif
