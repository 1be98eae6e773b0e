/* directory_cache.c - which answers of a directory count how long, who asks it and who waits for whose answer. What is
 * remembered lies in directory_memory.c. Called by directory.c and through directory.h.
 * Thread-safe: a mutex guards the tables, and no question is asked while it is held. */
#include "pki/directory_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pki/directory_driver.h"
#include "pki/directory_memory.h"

#define SPARED_MS 2000		/* after a failure, where something stale is at hand */
#define AWAY_MS 60000		/* after one, who asks anew is not waited for */
#define CUT_SHORT_MS 20		/* a failure so near to the asker's deadline is its doing */
#define NOT_IN_TIME "timed out: the answer to an earlier question about it did not come"

struct flight {			/* a question about one address, under way */
	UT_hash_handle hh;
	struct remembered *brought;	/* over: the answer; NULL: who asked cannot say */
	bool over;
	size_t holders;			/* who asks, and who waits */
	size_t key_bytes;
	char key[];
};

struct probe {			/* is the directory there? One at a time */
	bool under_way;
	unsigned long finished;		/* how many */
	int rc;				/* of the last one, with err */
	struct err err;
};

struct cache {
	struct directory inner;
	const struct clock *clock;
	int64_t found_ms, none_ms, stale_ms;
	pthread_mutex_t mutex;
	pthread_cond_t landed;		/* a flight or a probe is over */
	struct directory_memory *memory;
	struct flight *flights;
	struct probe probe;
};

struct leg {				/* one address of a find */
	struct slice key;
	struct flight *flight;		/* held; NULL: not asked yet, or done with */
	bool mine;			/* this find asks */
	bool done;			/* answered */
};

struct journey {			/* a find */
	struct cache *cache;
	struct arena *arena;
	const struct address *addresses;
	struct directory_answer *answers;
	struct leg *legs;		/* n, like addresses and answers */
	size_t n, open;			/* open: not done */
	int64_t deadline_ms;
};

static int64_t kept_ms(const struct cache *cache, const struct directory_answer *answer)
{
	return answer->status == DIRECTORY_FOUND ? cache->found_ms : cache->none_ms;
}

static bool is_fresh(const struct cache *cache, const struct remembered *what, int64_t now_ms)
{
	return now_ms < what->asked_ms + kept_ms(cache, &what->answer);
}

/* Fresh, or may stand in. */
static bool is_useful(const struct cache *cache, const struct remembered *what, int64_t now_ms)
{
	if (what->answer.status != DIRECTORY_FOUND || cache->found_ms == 0)
		return is_fresh(cache, what, now_ms);
	return now_ms < what->asked_ms + cache->found_ms + cache->stale_ms;
}

static struct flight *flight_of(struct cache *cache, struct slice key)
{
	struct flight *flight = NULL;

	HASH_FIND(hh, cache->flights, key.p, key.n, flight);
	return flight;
}

static void finish(struct journey *j, size_t i)
{
	j->legs[i].done = true;
	j->open--;
}

/* Borrowed; NULL: nothing that is of use. The mutex is held. */
static struct remembered *look(struct cache *cache, struct slice key, int64_t now_ms)
{
	struct remembered *what = directory_memory_look(cache->memory, key);

	if (what == NULL || is_useful(cache, what, now_ms))
		return what;
	directory_memory_forget(cache->memory, what);
	return NULL;
}

/* failure: why it is not asked anew, if it is stale. */
static int give(struct journey *j, size_t i, struct remembered *what, const char *failure, int64_t now_ms)
{
	struct directory_answer *answer = &j->answers[i];

	if (directory_memory_give(j->arena, what, answer) != 0)
		return -1;
	answer->remembered = true;
	answer->age_ms = now_ms - what->asked_ms;
	answer->stale = !is_fresh(j->cache, what, now_ms);
	answer->failure = answer->stale ? failure : NULL;
	directory_memory_touch(j->cache->memory, what);
	return 0;
}

/* While the directory fails, one question every SPARED_MS finds out whether it still does, and nobody waits for it. */
static bool is_spared(struct cache *cache, const struct remembered *what, int64_t now_ms)
{
	int64_t since_ms = what->failed == NULL ? INT64_MAX : now_ms - what->failed->asked_ms;

	return since_ms < SPARED_MS ||
	       (since_ms < AWAY_MS && flight_of(cache, directory_memory_key_of(what)) != NULL);
}

/* Answers from memory what counts without asking. 0, or -1: memory. The mutex is held. */
static int recall(struct journey *j, size_t i, int64_t now_ms)
{
	struct cache *cache = j->cache;
	struct remembered *what = look(cache, j->legs[i].key, now_ms);
	struct directory_answer failed = { .failure = NULL };

	if (what == NULL)
		return 0;
	if (!is_fresh(cache, what, now_ms)) {
		if (!is_spared(cache, what, now_ms))
			return 0;
		if (directory_memory_give(j->arena, what->failed, &failed) != 0)
			return -1;
	}
	finish(j, i);
	return give(j, i, what, failed.failure, now_ms);
}

/* The answer is there. A failure gives way to what was found before. 0, or -1: memory. The mutex is held. */
static int deliver(struct journey *j, size_t i, int64_t now_ms)
{
	struct directory_answer *answer = &j->answers[i];
	struct remembered *what = NULL;

	finish(j, i);
	if (answer->status == DIRECTORY_FAILED)
		what = look(j->cache, j->legs[i].key, now_ms);
	if (what == NULL || what->answer.status != DIRECTORY_FOUND)
		return 0;
	return give(j, i, what, answer->failure, now_ms);
}

static struct flight *flight_new(struct cache *cache, struct slice key)
{
	struct flight *flight = calloc(1, sizeof(*flight) + key.n);

	if (flight == NULL)
		return NULL;
	memcpy(flight->key, key.p, key.n);
	flight->key_bytes = key.n;
	HASH_ADD_KEYPTR(hh, cache->flights, flight->key, flight->key_bytes, flight);
	if (flight->hh.tbl != NULL)
		return flight;
	free(flight);
	return NULL;
}

/* The mutex is held. */
static void leave(struct leg *leg)
{
	struct flight *flight = leg->flight;

	leg->flight = NULL;
	if (--flight->holders > 0)
		return;
	directory_memory_unref(flight->brought);
	free(flight);
}

/* Takes brought; NULL: who waits has to ask himself. The mutex is held. */
static void land(struct cache *cache, struct leg *leg, struct remembered *brought)
{
	HASH_DEL(cache->flights, leg->flight);
	leg->flight->brought = brought;
	leg->flight->over = true;
	leg->mine = false;
	leave(leg);
	pthread_cond_broadcast(&cache->landed);
}

/* Joins whoever asks already, or begins to ask. */
static int board(struct cache *cache, struct leg *leg)
{
	struct flight *flight = flight_of(cache, leg->key);
	bool mine = flight == NULL;

	if (mine)
		flight = flight_new(cache, leg->key);
	if (flight == NULL)
		return -1;
	flight->holders++;
	leg->flight = flight;
	leg->mine = mine;
	return 0;
}

static int set_out(struct journey *j)
{
	struct cache *cache = j->cache;
	int64_t now_ms = clock_monotonic_ms(cache->clock);
	int rc = 0;

	pthread_mutex_lock(&cache->mutex);
	for (size_t i = 0; i < j->n && rc == 0; i++) {
		struct leg *leg = &j->legs[i];

		if (!leg->done)
			rc = recall(j, i, now_ms);
		if (rc == 0 && !leg->done)
			rc = board(cache, leg);
	}
	pthread_mutex_unlock(&cache->mutex);
	return rc;
}

/* Remembers it, or that it failed. What failed in part is not remembered either. The mutex is held. */
static void note(struct cache *cache, struct remembered *brought)
{
	struct remembered *old = directory_memory_look(cache->memory, directory_memory_key_of(brought));

	if (brought->answer.status == DIRECTORY_FAILED) {
		if (old != NULL)
			directory_memory_failed(cache->memory, old, brought);
	} else if (kept_ms(cache, &brought->answer) > 0 && brought->answer.failure == NULL) {
		directory_memory_keep(cache->memory, brought);
	} else if (old != NULL) {
		directory_memory_forget(cache->memory, old);
	}
}

/* The directory's answer for the journey, for the table, and for who waits. */
static int bring(struct journey *j, size_t i, const struct directory_answer *answer)
{
	struct cache *cache = j->cache;
	/* Aged from the answer, not from the question, which may have waited. */
	int64_t now_ms = clock_monotonic_ms(cache->clock);
	bool cut_short = answer->status == DIRECTORY_FAILED && now_ms >= j->deadline_ms - CUT_SHORT_MS;
	struct remembered *brought = cut_short ? NULL : directory_memory_copy(j->legs[i].key, answer, now_ms);
	int rc;

	j->answers[i] = *answer;
	pthread_mutex_lock(&cache->mutex);
	if (brought != NULL)
		note(cache, brought);
	land(cache, &j->legs[i], brought);
	rc = deliver(j, i, now_ms);
	pthread_mutex_unlock(&cache->mutex);
	return rc;
}

/* One question for all addresses that nobody else asks about. */
static int ask(struct journey *j, struct err *err)
{
	const struct directory *inner = &j->cache->inner;
	struct address *missing = arena_array(j->arena, j->open, sizeof(*missing));
	struct directory_answer *answers = arena_array(j->arena, j->open, sizeof(*answers));
	size_t *index = arena_array(j->arena, j->open, sizeof(*index)), n = 0;

	if (missing == NULL || answers == NULL || index == NULL)
		return err_memory(err);
	for (size_t i = 0; i < j->n; i++) {
		if (!j->legs[i].mine)
			continue;
		missing[n] = j->addresses[i];
		index[n++] = i;
	}
	if (n > 0 && inner->class->find(inner->self, j->arena, missing, n, j->deadline_ms, answers, err) != 0)
		return -1;
	for (size_t k = 0; k < n; k++)
		if (bring(j, index[k], &answers[k]) != 0)
			return err_memory(err);
	return 0;
}

/* 0, or -1: memory. The mutex is held, but not while it waits. */
static int await(struct journey *j, size_t i, const struct timespec *until)
{
	struct cache *cache = j->cache;
	struct flight *flight = j->legs[i].flight;
	bool answered = true;
	int rc = 0;

	while (!flight->over && pthread_cond_timedwait(&cache->landed, &cache->mutex, until) != ETIMEDOUT)
		continue;
	if (!flight->over)
		rc = directory_answer_fail(j->arena, &j->answers[i], NOT_IN_TIME);
	else if (flight->brought != NULL)
		rc = directory_memory_give(j->arena, flight->brought, &j->answers[i]);
	else
		answered = false;
	leave(&j->legs[i]);
	return rc == 0 && answered ? deliver(j, i, clock_monotonic_ms(cache->clock)) : rc;
}

static int await_all(struct journey *j)
{
	struct timespec until = clock_moment(j->cache->clock, j->deadline_ms);
	int rc = 0;

	pthread_mutex_lock(&j->cache->mutex);
	for (size_t i = 0; i < j->n && rc == 0; i++)
		if (j->legs[i].flight != NULL)
			rc = await(j, i, &until);
	pthread_mutex_unlock(&j->cache->mutex);
	return rc;
}

/* What could not be brought, others ask themselves. */
static void give_up(struct journey *j)
{
	pthread_mutex_lock(&j->cache->mutex);
	for (size_t i = 0; i < j->n; i++) {
		if (j->legs[i].mine)
			land(j->cache, &j->legs[i], NULL);
		else if (j->legs[i].flight != NULL)
			leave(&j->legs[i]);
	}
	pthread_mutex_unlock(&j->cache->mutex);
}

static int prepare(struct journey *j)
{
	j->legs = arena_array(j->arena, j->n, sizeof(*j->legs));
	if (j->legs == NULL)
		return -1;
	for (size_t i = 0; i < j->n; i++) {
		struct slice text = directory_key(j->arena, &j->addresses[i]);

		if (text.p == NULL)
			return -1;
		j->legs[i].key = directory_memory_key(j->cache->memory, j->arena, text);
		if (j->legs[i].key.p == NULL)
			return -1;
	}
	return 0;
}

static int travel(struct journey *j, struct err *err)
{
	if (set_out(j) != 0)
		return err_memory(err);
	if (ask(j, err) != 0)
		return -1;
	return await_all(j) == 0 ? 0 : err_memory(err);
}

static int cache_find(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		      struct directory_answer *answers, struct err *err)
{
	struct journey j = { .cache = self, .arena = arena, .addresses = addresses, .answers = answers,
			     .n = n, .open = n, .deadline_ms = deadline_ms };
	int rc = 0;

	if (n == 0)
		return 0;
	if (prepare(&j) != 0)
		return err_memory(err);
	/* Again for those whose asker could not say: nobody asks twice himself, or waits beyond his deadline. */
	while (rc == 0 && j.open > 0)
		rc = travel(&j, err);
	if (rc != 0)
		give_up(&j);
	return rc;
}

/* Who comes while one is under way gets its result: the directory answered, or did not, after he asked. */
static int cache_probe(void *self, struct err *err)
{
	struct cache *cache = self;
	struct probe *probe = &cache->probe, mine = { .rc = -1 };
	unsigned long before;

	pthread_mutex_lock(&cache->mutex);
	before = probe->finished;
	if (!probe->under_way) {
		probe->under_way = true;
		pthread_mutex_unlock(&cache->mutex);
		mine.rc = cache->inner.class->probe(cache->inner.self, &mine.err);
		pthread_mutex_lock(&cache->mutex);
		*probe = (struct probe){ .finished = before + 1, .rc = mine.rc, .err = mine.err };
		pthread_cond_broadcast(&cache->landed);
	}
	while (probe->finished == before)
		pthread_cond_wait(&cache->landed, &cache->mutex);
	mine = *probe;
	pthread_mutex_unlock(&cache->mutex);
	if (mine.rc != 0 && err != NULL)
		*err = mine.err;
	return mine.rc;
}

static int cache_publish(void *self, struct arena *arena, const struct address *address,
			 const struct directory_publication *publication, struct directory_published *published,
			 struct err *err)
{
	struct cache *cache = self;

	return cache->inner.class->publish == NULL ? 0 :
	       cache->inner.class->publish(cache->inner.self, arena, address, publication, published, err);
}

static void cache_free(void *self)
{
	struct cache *cache = self;

	directory_memory_free(cache->memory);
	pthread_cond_destroy(&cache->landed);
	pthread_mutex_destroy(&cache->mutex);
	directory_free(&cache->inner);
	free(cache);
}

static const struct directory_class cache_class = {
	.find = cache_find, .probe = cache_probe, .publish = cache_publish, .free = cache_free
};

bool directory_cache_is(const struct directory *directory)
{
	return directory->class == &cache_class;
}

static struct cache *cache_new(const struct directory_settings *settings, const struct clock *clock, struct err *err)
{
	struct cache *cache = calloc(1, sizeof(*cache));

	if (cache == NULL || pthread_mutex_init(&cache->mutex, NULL) != 0) {
		free(cache);
		err_memory(err);
		return NULL;
	}
	if (clock_condition(&cache->landed) != 0) {
		err_memory(err);
		goto out;
	}
	cache->memory = directory_memory_new((size_t)settings->cache_mb << 20, err);
	if (cache->memory == NULL) {
		pthread_cond_destroy(&cache->landed);
		goto out;
	}
	cache->clock = clock;
	cache->found_ms = settings->cache_s * 1000;
	cache->none_ms = settings->negative_cache_s * 1000;
	cache->stale_ms = settings->stale_s * 1000;
	return cache;
out:
	pthread_mutex_destroy(&cache->mutex);
	free(cache);
	return NULL;
}

int directory_cache_wrap(struct directory *directory, const struct directory_settings *settings,
			 const struct clock *clock, struct err *err)
{
	struct cache *cache = cache_new(settings, clock, err);

	if (cache == NULL)
		return -1;
	cache->inner = *directory;
	directory->class = &cache_class;
	directory->self = cache;
	return 0;
}

/* The mutex is held. */
static int list(struct cache *cache, struct arena *arena, struct directory_remembered **items, size_t *n)
{
	int64_t now_ms = clock_monotonic_ms(cache->clock);
	struct remembered *what = directory_memory_first(cache->memory);

	*items = arena_array(arena, directory_memory_count(cache->memory), sizeof(**items));
	if (*items == NULL)
		return -1;
	for (; what != NULL; what = directory_memory_next(what)) {
		struct directory_remembered *item = &(*items)[*n];

		if (!is_useful(cache, what, now_ms))
			continue;
		if (directory_memory_give(arena, what, &item->answer) != 0)
			return -1;
		item->address = directory_memory_address(directory_memory_key_of(what));
		item->answer.age_ms = now_ms - what->asked_ms;
		(*n)++;
	}
	return 0;
}

int directory_cache_list(const struct directory *directory, struct arena *arena, struct directory_remembered **items,
			 size_t *n, struct err *err)
{
	struct cache *cache = directory->self;
	int rc;

	*items = NULL;
	*n = 0;
	if (!directory_cache_is(directory))
		return 0;
	pthread_mutex_lock(&cache->mutex);
	rc = list(cache, arena, items, n);
	pthread_mutex_unlock(&cache->mutex);
	return rc == 0 ? 0 : err_memory(err);
}

static void insert(struct cache *cache, struct remembered *what, int64_t now_ms)
{
	struct remembered *known;

	pthread_mutex_lock(&cache->mutex);
	known = directory_memory_look(cache->memory, directory_memory_key_of(what));
	if (is_useful(cache, what, now_ms) && (known == NULL || known->asked_ms < what->asked_ms))
		directory_memory_keep(cache->memory, what);
	pthread_mutex_unlock(&cache->mutex);
}

int directory_cache_insert(const struct directory *directory, const struct directory_remembered *item, struct err *err)
{
	struct cache *cache = directory->self;
	struct remembered *what = NULL;
	struct arena *arena = NULL;
	struct slice key = { NULL, 0 };
	int64_t now_ms;

	if (!directory_cache_is(directory) || item->answer.status == DIRECTORY_FAILED)
		return 0;
	now_ms = clock_monotonic_ms(cache->clock);
	arena = arena_new(0);
	if (arena != NULL)
		key = directory_memory_key(cache->memory, arena, item->address);
	if (key.p != NULL)
		what = directory_memory_copy(key, &item->answer, now_ms - item->answer.age_ms);
	arena_free(arena);
	if (what == NULL)
		return err_memory(err);
	insert(cache, what, now_ms);
	directory_memory_unref(what);
	return 0;
}
