/* directory_cache.c - remembers what a directory answered, found and none, never a failure. Each remembered answer is
 * a deep copy with references of its own, so that no arena of a caller is ever kept. Called by directory.c.
 * Thread-safe: a mutex guards the table, and no question is asked while it is held. */
#include "pki/directory_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypt.h"
#include "pki/directory_driver.h"

#define HASH_NONFATAL_OOM 1	/* a failed HASH_ADD leaves hh.tbl NULL */
#include <uthash.h>

#define SEED_BYTES 16

struct remembered {
	UT_hash_handle hh;
	struct arena *arena;		/* holds answer; NULL: a plain none */
	struct directory_answer answer;
	int64_t asked_ms, until_ms;
	size_t key_bytes;
	char key[];			/* the seed, then the address */
};

struct cache {
	struct directory inner;
	const struct clock *clock;
	int64_t found_ms, none_ms;
	pthread_mutex_t mutex;
	struct remembered *table;	/* uthash keeps the order of insertion: least recently used first */
	/* Recipients' addresses are chosen by strangers, uthash's function has no key: a secret prefix stands in for
	 * it. */
	unsigned char seed[SEED_BYTES];
};

static void forget(struct cache *cache, struct remembered *entry)
{
	HASH_DEL(cache->table, entry);
	arena_free(entry->arena);
	free(entry);
}

static void remembered_free(struct remembered *entry)
{
	if (entry == NULL)
		return;
	arena_free(entry->arena);
	free(entry);
}

/* Takes entry. One that there is no memory for is simply not remembered. */
static bool insert(struct cache *cache, struct remembered *entry)
{
	HASH_ADD_KEYPTR(hh, cache->table, entry->key, entry->key_bytes, entry);
	if (entry->hh.tbl != NULL)
		return true;
	remembered_free(entry);
	return false;
}

/* The seed and the address, as a key. p == NULL: exhausted. */
static struct slice key_of(struct cache *cache, struct arena *arena, const struct address *address)
{
	struct slice text = directory_key(arena, address);
	char *key = text.p == NULL ? NULL : arena_alloc(arena, SEED_BYTES + text.n);

	if (key == NULL)
		return (struct slice){ NULL, 0 };
	memcpy(key, cache->seed, SEED_BYTES);
	memcpy(key + SEED_BYTES, text.p, text.n);
	return slice_make(key, SEED_BYTES + text.n);
}

static struct remembered *look(struct cache *cache, struct slice key)
{
	struct remembered *entry = NULL;

	HASH_FIND(hh, cache->table, key.p, key.n, entry);
	return entry;
}

/* 1 answered from memory, 0 not there or too old, -1 exhausted. The mutex is held. */
static int recall(struct cache *cache, struct arena *arena, struct slice key, int64_t now_ms,
		  struct directory_answer *answer)
{
	struct remembered *entry = look(cache, key);

	if (entry == NULL)
		return 0;
	if (now_ms >= entry->until_ms) {
		forget(cache, entry);
		return 0;
	}
	HASH_DEL(cache->table, entry);
	if (!insert(cache, entry))
		return 0;
	if (directory_answer_copy(arena, &entry->answer, answer) != 0)
		return -1;
	answer->age_ms = now_ms - entry->asked_ms;
	return 1;
}

static bool is_plain_none(const struct directory_answer *answer)
{
	return answer->n == 0 && answer->chain.n == 0 && answer->problem_count == 0 && !answer->group;
}

static struct remembered *remembered_new(struct slice key, const struct directory_answer *answer, int64_t now_ms,
					 int64_t keep_ms)
{
	struct remembered *entry = calloc(1, sizeof(*entry) + key.n);

	if (entry == NULL)
		return NULL;
	memcpy(entry->key, key.p, key.n);
	entry->key_bytes = key.n;
	entry->asked_ms = now_ms;
	entry->until_ms = now_ms + keep_ms;
	entry->answer.status = answer->status;
	if (is_plain_none(answer))
		return entry;
	entry->arena = arena_new(0);
	if (entry->arena == NULL || directory_answer_copy(entry->arena, answer, &entry->answer) != 0) {
		remembered_free(entry);
		return NULL;
	}
	return entry;
}

static void remember(struct cache *cache, struct slice key, const struct directory_answer *answer, int64_t now_ms)
{
	int64_t keep_ms = answer->status == DIRECTORY_FOUND ? cache->found_ms : cache->none_ms;
	struct remembered *entry, *old;

	if (answer->status == DIRECTORY_FAILED || keep_ms <= 0)
		return;
	entry = remembered_new(key, answer, now_ms, keep_ms);
	if (entry == NULL)
		return;
	pthread_mutex_lock(&cache->mutex);
	old = look(cache, key);
	if (old != NULL)
		forget(cache, old);
	if (HASH_COUNT(cache->table) >= DIRECTORY_CACHE_ENTRIES)
		forget(cache, cache->table);
	insert(cache, entry);
	pthread_mutex_unlock(&cache->mutex);
}

struct questions {			/* one find's working arrays, all n long, in its arena */
	struct slice *keys;		/* of all addresses */
	struct address *missing;	/* addresses that memory does not answer */
	size_t *index;			/* whose they are */
	struct directory_answer *answers;
	size_t n;			/* missing ones */
};

static int questions_init(struct cache *cache, struct arena *arena, const struct address *addresses, size_t n,
			  struct questions *questions)
{
	questions->keys = arena_array(arena, n, sizeof(*questions->keys));
	questions->missing = arena_array(arena, n, sizeof(*questions->missing));
	questions->index = arena_array(arena, n, sizeof(*questions->index));
	questions->answers = arena_array(arena, n, sizeof(*questions->answers));
	if (questions->keys == NULL || questions->missing == NULL || questions->index == NULL ||
	    questions->answers == NULL)
		return -1;
	for (size_t i = 0; i < n; i++) {
		questions->keys[i] = key_of(cache, arena, &addresses[i]);
		if (questions->keys[i].p == NULL)
			return -1;
	}
	return 0;
}

static int recall_all(struct cache *cache, struct arena *arena, const struct address *addresses, size_t n,
		      struct directory_answer *answers, struct questions *questions)
{
	int64_t now_ms = clock_monotonic_ms(cache->clock);
	int known = 0;

	pthread_mutex_lock(&cache->mutex);
	for (size_t i = 0; i < n && known >= 0; i++) {
		known = recall(cache, arena, questions->keys[i], now_ms, &answers[i]);
		answers[i].remembered = known > 0;
		if (known != 0)
			continue;
		questions->missing[questions->n] = addresses[i];
		questions->index[questions->n++] = i;
	}
	pthread_mutex_unlock(&cache->mutex);
	return known < 0 ? -1 : 0;
}

static int cache_find(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		      struct directory_answer *answers, struct err *err)
{
	struct cache *cache = self;
	struct questions questions = { .n = 0 };

	if (n == 0)
		return 0;
	if (questions_init(cache, arena, addresses, n, &questions) != 0 ||
	    recall_all(cache, arena, addresses, n, answers, &questions) != 0)
		return err_memory(err);
	if (questions.n == 0)
		return 0;
	if (cache->inner.class->find(cache->inner.self, arena, questions.missing, questions.n, deadline_ms,
				     questions.answers, err) != 0)
		return -1;
	for (size_t i = 0; i < questions.n; i++) {
		answers[questions.index[i]] = questions.answers[i];
		/* Aged from the answer, not from the question, which may have waited. */
		remember(cache, questions.keys[questions.index[i]], &questions.answers[i],
			 clock_monotonic_ms(cache->clock));
	}
	return 0;
}

static int cache_probe(void *self, struct err *err)
{
	struct cache *cache = self;

	return cache->inner.class->probe(cache->inner.self, err);
}

static void cache_free(void *self)
{
	struct cache *cache = self;
	struct remembered *entry, *next;

	HASH_ITER(hh, cache->table, entry, next)
		forget(cache, entry);
	pthread_mutex_destroy(&cache->mutex);
	directory_free(&cache->inner);
	free(cache);
}

static const struct directory_class cache_class = { .find = cache_find, .probe = cache_probe, .free = cache_free };

int directory_cache_wrap(struct directory *directory, int64_t found_s, int64_t none_s, const struct clock *clock,
			 struct err *err)
{
	struct cache *cache = calloc(1, sizeof(*cache));

	if (cache == NULL)
		return err_memory(err);
	if (crypt_random(cache->seed, sizeof(cache->seed), err) != 0) {
		free(cache);
		return -1;
	}
	if (pthread_mutex_init(&cache->mutex, NULL) != 0) {
		free(cache);
		return err_memory(err);
	}
	cache->inner = *directory;
	cache->clock = clock;
	cache->found_ms = found_s * 1000;
	cache->none_ms = none_s * 1000;
	directory->class = &cache_class;
	directory->self = cache;
	return 0;
}
