/* guard.h - the loop guard: a field by which our own reinjected mail is known when it meets this milter again.
 *
 *	X-SMIME-Milter-Pass: v1; id=…; expires=…; mac=…
 *
 * mac is HMAC-SHA-256, under a key of this installation, over id, expiry, the envelope's recipients and the body's
 * digest: whoever sees the field can use it for nothing but this very body to these very recipients, and that once.
 * The header is not covered, since MTAs and other filters change it on the way: so ask only about mail of clients
 * that are ours. gate/step.c takes the field off every mail, genuine or not.
 */
#ifndef MILTER_GUARD_H
#define MILTER_GUARD_H

#include <time.h>

#include "base/crypt.h"
#include "gate/envelope.h"
#include "mail/header.h"
#include "milter/journal.h"

#define GUARD_LIFE_S 3600
#define GUARD_ID_BYTES 33		/* 32 hexadecimal digits and NUL */

/* The key. Immutable, for any number of threads. */
struct guard;
/* Reads STATE_DIR/guard.key; where there is none, makes it (32 random bytes, mode 0600, at once whole under its name,
 * whoever else makes one at the same time). Called by the user that the daemon runs as. ERR_CONFIG: it is not 32 bytes,
 * or others may read it; ERR_TEMP: it cannot be written. NULL: *err. */
struct guard *guard_open(const char *state_dir, struct err *err);
void guard_free(struct guard *guard);	/* NULL is fine; wipes the key */

struct guard_mail {			/* what the field is bound to */
	const struct envelope *envelope;
	const size_t *members;		/* which of its recipients; NULL: all */
	size_t n;			/* of members */
	const unsigned char *body_sha256;	/* outgoing.h's digest */
	time_t now;
};

/* A new field line for this mail, with CRLF. Recipients count as a set: order and repetition do not matter. NULL:
 * *err. */
char *guard_field(struct arena *arena, const struct guard *guard, const struct guard_mail *mail, struct err *err);

/* Does the header hold the field? Only then the body's digest is worth computing. */
bool guard_present(const struct header *header);
/* 1: one of the fields was made by this installation for this mail, has not expired, and the journal had not seen it; now
 * it has. 0: none is. -1: the journal could not be asked, or out of memory. Fields beyond the tenth are not looked at. */
int guard_check(struct arena *arena, const struct guard *guard, const struct guard_mail *mail,
		const struct header *header, const struct journal *journal, struct err *err);

#endif
