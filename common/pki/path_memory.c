/* path_memory.c - the table behind path_memory.h: rows of a few places each, found by the key's first bytes, which are
 * a digest's and so spread evenly. It never grows, never fails, and memory is taken from the system only for rows in
 * use. What is put in and when it may be used is path.c's. */
#include "pki/path_memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 2048
#define PLACES 5	/* in a row */

struct place {
	unsigned char key[PATH_MEMORY_KEY_BYTES];
	struct path_span span;
	uint64_t used;		/* 0: free */
	enum path_revocation revocation;
};

struct path_memory {
	pthread_mutex_t mutex;	/* guards all below */
	uint64_t now;		/* counts questions */
	struct place rows[ROWS][PLACES];
};

void path_span_cut(struct path_span *span, time_t at, time_t edge)
{
	if (edge <= at && edge > span->after)
		span->after = edge;
	if (edge >= at && edge < span->before)
		span->before = edge;
}

struct path_memory *path_memory_new(void)
{
	struct path_memory *memory = calloc(1, sizeof(*memory));

	if (memory == NULL || pthread_mutex_init(&memory->mutex, NULL) == 0)
		return memory;
	free(memory);
	return NULL;
}

void path_memory_free(struct path_memory *memory)
{
	if (memory == NULL)
		return;
	pthread_mutex_destroy(&memory->mutex);
	free(memory);
}

static struct place *row_of(struct path_memory *memory, const unsigned char *key)
{
	return memory->rows[((size_t)key[0] << 8 | key[1]) % ROWS];
}

static struct place *look(struct place *row, const unsigned char *key)
{
	for (size_t i = 0; i < PLACES; i++)
		if (row[i].used != 0 && memcmp(row[i].key, key, PATH_MEMORY_KEY_BYTES) == 0)
			return &row[i];
	return NULL;
}

static struct place *oldest(struct place *row)
{
	struct place *found = row;

	for (size_t i = 1; i < PLACES; i++)
		if (row[i].used < found->used)
			found = &row[i];
	return found;
}

bool path_memory_find(struct path_memory *memory, const unsigned char key[PATH_MEMORY_KEY_BYTES], time_t at,
		      enum path_revocation *revocation)
{
	struct place *place;
	bool found;

	pthread_mutex_lock(&memory->mutex);
	place = look(row_of(memory, key), key);
	found = place != NULL && at > place->span.after && at < place->span.before;
	if (found) {
		place->used = ++memory->now;
		*revocation = place->revocation;
	}
	pthread_mutex_unlock(&memory->mutex);
	return found;
}

void path_memory_keep(struct path_memory *memory, const unsigned char key[PATH_MEMORY_KEY_BYTES],
		      const struct path_span *span, enum path_revocation revocation)
{
	struct place *place;

	pthread_mutex_lock(&memory->mutex);
	place = look(row_of(memory, key), key);
	if (place == NULL)
		place = oldest(row_of(memory, key));
	memcpy(place->key, key, PATH_MEMORY_KEY_BYTES);
	place->span = *span;
	place->revocation = revocation;
	place->used = ++memory->now;
	pthread_mutex_unlock(&memory->mutex);
}
