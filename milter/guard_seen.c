/* guard_seen.c - the ids of passes that were shown once (guard.h). Lives in the process that remembers for all workers;
 * nothing of it outlasts that process: a pass could be shown again behind a restart, within its hour. */
#include "milter/guard.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* An allocation that fails is told, not died of. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
	char id[GUARD_ID_BYTES];
	time_t expires;
	UT_hash_handle hh;
};

struct guard_seen {
	pthread_mutex_t mutex;
	const struct clock *clock;
	size_t limit;
	struct entry *entries;		/* in the order of their coming, which is nearly that of their expiry */
};

struct guard_seen *guard_seen_new(size_t limit, const struct clock *clock, struct err *err)
{
	struct guard_seen *seen = calloc(1, sizeof(*seen));

	if (seen == NULL || pthread_mutex_init(&seen->mutex, NULL) != 0) {
		free(seen);
		err_memory(err);
		return NULL;
	}
	seen->limit = limit;
	seen->clock = clock;
	return seen;
}

static void drop(struct guard_seen *seen, struct entry *entry)
{
	HASH_DEL(seen->entries, entry);
	free(entry);
}

void guard_seen_free(struct guard_seen *seen)
{
	struct entry *entry, *next;

	if (seen == NULL)
		return;
	HASH_ITER(hh, seen->entries, entry, next)
		drop(seen, entry);
	pthread_mutex_destroy(&seen->mutex);
	free(seen);
}

/* From the oldest on, as long as they have expired. */
static void forget_old(struct guard_seen *seen)
{
	time_t now = clock_now(seen->clock);

	while (seen->entries != NULL && seen->entries->expires < now)
		drop(seen, seen->entries);
}

static int remember(struct guard_seen *seen, const char *id, time_t expires, struct err *err)
{
	struct entry *entry = NULL;

	HASH_FIND_STR(seen->entries, id, entry);
	if (entry != NULL || HASH_COUNT(seen->entries) >= seen->limit)
		return 0;
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return err_memory(err);
	memcpy(entry->id, id, strlen(id) + 1);
	entry->expires = expires;
	HASH_ADD_STR(seen->entries, id, entry);
	if (entry->hh.tbl != NULL)
		return 1;
	free(entry);
	return err_memory(err);
}

int guard_seen_first(void *self, const char *id, time_t expires, struct err *err)
{
	struct guard_seen *seen = self;
	int rc = 0;

	if (strlen(id) >= GUARD_ID_BYTES)
		return 0;
	pthread_mutex_lock(&seen->mutex);
	forget_old(seen);
	rc = remember(seen, id, expires, err);
	pthread_mutex_unlock(&seen->mutex);
	return rc;
}
