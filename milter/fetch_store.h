/* fetch_store.h - what the fetch process keeps in STATE_DIR/revocation: answers, which collections read
 * (pki/evidence.h), and in `wanted` the requests that they answer, so that a restart forgets nothing.
 *
 * NAME is lower-case hex of a SHA-256 digest. Files appear whole or not at all, mode 0600. Only one process at a time
 * should write there; two, for the moment of a reload, do no harm. */
#ifndef MILTER_FETCH_STORE_H
#define MILTER_FETCH_STORE_H

#include <stdbool.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define FETCH_NAME_SIZE 65	/* with its NUL */

struct fetch_store {
	char answers[1024], wanted[1024];	/* directories */
};

/* Knows where state_dir's are, makes them (0700) if make and looks whether they can be used. ERR_CONFIG. */
int fetch_store_open(const char *state_dir, bool make, struct fetch_store *store, struct err *err);

/* NAME.SUFFIX, "crl" or "ocsp". get: 1 found, 0 none, -1 could not be read. */
int fetch_store_get(const struct fetch_store *store, const char *name, const char *suffix, struct buf *out,
		    struct err *err);
int fetch_store_put(const struct fetch_store *store, const char *name, const char *suffix, struct slice bytes,
		    struct err *err);

/* The request of that name; wanted_at: when a mail last wanted it. */
int fetch_store_remember(const struct fetch_store *store, const char *name, struct slice request, time_t wanted_at,
			 struct err *err);
void fetch_store_touch(const struct fetch_store *store, const char *name, time_t wanted_at);
/* The request and its answer. */
void fetch_store_forget(const struct fetch_store *store, const char *name);
/* Every remembered request of at most limit_bytes. */
int fetch_store_each(const struct fetch_store *store, size_t limit_bytes,
		     void (*each)(void *self, struct slice request, time_t wanted_at), void *self, struct err *err);
/* Removes what nobody knows: half-written files, answers and requests of other names. */
void fetch_store_clean(const struct fetch_store *store, bool (*is_known)(const void *self, const char *name),
		       const void *self);

#endif
