/* directory_memory.c - see directory_memory.h. Answers are deep copies with references of their own, so that no arena
 * of a caller is ever kept; who is given one shares it. Called by directory_cache.c. */
#include "pki/directory_memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/crypt.h"
#include "pki/directory_driver.h"

#define SEED_BYTES 16
#define ROW_BYTES 64			/* uthash's buckets and malloc's own, a row */
#define ARENA_BYTES ((size_t)4 * 1024)	/* an arena's first chunk */
/* What a decoded certificate holds, as measured with OpenSSL 3.0: 10 KiB with 445 bytes of DER, 32 KiB with 3458. */
#define CERT_BYTES ((size_t)5 * 1024)
#define CERT_DER_TIMES 8
#define SHARE 4				/* of the limit, that one answer may have */

struct directory_memory {
	struct remembered *table;	/* uthash keeps the order of insertion: least recently used first */
	size_t bytes, limit_bytes;
	/* Recipients' addresses are chosen by strangers, uthash's function has no key: a secret prefix stands in for
	 * it. */
	unsigned char seed[SEED_BYTES];
};

struct directory_memory *directory_memory_new(size_t limit_bytes, struct err *err)
{
	struct directory_memory *memory = calloc(1, sizeof(*memory));

	if (memory == NULL) {
		err_memory(err);
		return NULL;
	}
	if (crypt_random(memory->seed, sizeof(memory->seed), err) != 0) {
		free(memory);
		return NULL;
	}
	memory->limit_bytes = limit_bytes;
	return memory;
}

void directory_memory_free(struct directory_memory *memory)
{
	struct remembered *what, *next;

	HASH_ITER(hh, memory->table, what, next)
		directory_memory_forget(memory, what);
	free(memory);
}

struct slice directory_memory_key(const struct directory_memory *memory, struct arena *arena, struct slice address)
{
	char *key = arena_alloc(arena, SEED_BYTES + address.n);

	if (key == NULL)
		return (struct slice){ NULL, 0 };
	memcpy(key, memory->seed, SEED_BYTES);
	if (address.n > 0)
		memcpy(key + SEED_BYTES, address.p, address.n);
	return slice_make(key, SEED_BYTES + address.n);
}

struct slice directory_memory_address(struct slice key)
{
	return slice_make(key.p + SEED_BYTES, key.n - SEED_BYTES);
}

static size_t bytes_of_certs(const struct directory_answer *answer)
{
	size_t bytes = 0;

	for (size_t i = 0; i < answer->n; i++)
		bytes += CERT_BYTES + CERT_DER_TIMES * cert_info(answer->entries[i].cert)->der.n;
	for (size_t i = 0; i < answer->chain.n; i++)
		bytes += CERT_BYTES + CERT_DER_TIMES * cert_info(answer->chain.items[i])->der.n;
	for (size_t i = 0; i < answer->member_count; i++)
		bytes += bytes_of_certs(&answer->members[i].answer);
	return bytes;
}

static bool is_plain(const struct directory_answer *answer)
{
	return answer->n == 0 && answer->chain.n == 0 && answer->problem_count == 0 &&
	       answer->association_count == 0 && !answer->group;
}

static int copy_deeply(struct remembered *what, const struct directory_answer *answer)
{
	size_t used;

	what->arena = arena_new(0);
	if (what->arena == NULL || directory_answer_copy(what->arena, answer, &what->answer) != 0)
		return -1;
	used = arena_used(what->arena);
	what->bytes += (used < ARENA_BYTES ? ARENA_BYTES : used) + bytes_of_certs(answer);
	return 0;
}

struct remembered *directory_memory_copy(struct slice key, const struct directory_answer *answer, int64_t asked_ms)
{
	size_t failure_bytes = answer->failure == NULL ? 0 : strlen(answer->failure) + 1;
	size_t bytes = sizeof(struct remembered) + key.n + failure_bytes;
	struct remembered *what = calloc(1, bytes);

	if (what == NULL)
		return NULL;
	atomic_init(&what->references, 1);
	memcpy(what->text, key.p, key.n);
	what->key_bytes = key.n;
	what->asked_ms = asked_ms;
	what->bytes = bytes + ROW_BYTES;
	what->answer.status = answer->status;
	if (!is_plain(answer) && copy_deeply(what, answer) != 0) {
		directory_memory_unref(what);
		return NULL;
	}
	if (failure_bytes > 0)
		what->answer.failure = memcpy(what->text + key.n, answer->failure, failure_bytes);
	return what;
}

static struct remembered *hold(struct remembered *what)
{
	atomic_fetch_add(&what->references, 1);
	return what;
}

void directory_memory_unref(struct remembered *what)
{
	if (what == NULL || atomic_fetch_sub(&what->references, 1) != 1)
		return;
	directory_memory_unref(what->failed);
	arena_free(what->arena);
	free(what);
}

struct slice directory_memory_key_of(const struct remembered *what)
{
	return slice_make(what->text, what->key_bytes);
}

static void release(void *what)
{
	directory_memory_unref(what);
}

int directory_memory_give(struct arena *arena, struct remembered *what, struct directory_answer *answer)
{
	*answer = what->answer;
	return arena_defer(arena, release, hold(what));
}

struct remembered *directory_memory_look(struct directory_memory *memory, struct slice key)
{
	struct remembered *what = NULL;

	HASH_FIND(hh, memory->table, key.p, key.n, what);
	return what;
}

static size_t weight(const struct remembered *what)
{
	return what->bytes + (what->failed == NULL ? 0 : what->failed->bytes);
}

/* Takes what. One that there is no memory for is simply not remembered. */
static void insert(struct directory_memory *memory, struct remembered *what)
{
	HASH_ADD_KEYPTR(hh, memory->table, what->text, what->key_bytes, what);
	if (what->hh.tbl != NULL)
		memory->bytes += weight(what);
	else
		directory_memory_unref(what);
}

/* Hands over the table's reference. */
static void withdraw(struct directory_memory *memory, struct remembered *what)
{
	memory->bytes -= weight(what);
	HASH_DEL(memory->table, what);
}

void directory_memory_touch(struct directory_memory *memory, struct remembered *what)
{
	withdraw(memory, what);
	insert(memory, what);
}

void directory_memory_forget(struct directory_memory *memory, struct remembered *what)
{
	withdraw(memory, what);
	directory_memory_unref(what);
}

static void make_room(struct directory_memory *memory)
{
	while (memory->table != NULL && memory->bytes > memory->limit_bytes)
		directory_memory_forget(memory, memory->table);
}

void directory_memory_keep(struct directory_memory *memory, struct remembered *what)
{
	struct remembered *old = directory_memory_look(memory, directory_memory_key_of(what));

	if (old != NULL)
		directory_memory_forget(memory, old);
	if (what->bytes > memory->limit_bytes / SHARE)
		return;
	insert(memory, hold(what));
	make_room(memory);
}

void directory_memory_failed(struct directory_memory *memory, struct remembered *what, struct remembered *failed)
{
	memory->bytes -= weight(what);
	directory_memory_unref(what->failed);
	what->failed = hold(failed);
	memory->bytes += weight(what);
	make_room(memory);
}

struct remembered *directory_memory_first(const struct directory_memory *memory)
{
	return memory->table;
}

struct remembered *directory_memory_next(const struct remembered *what)
{
	return what->hh.next;
}

size_t directory_memory_count(const struct directory_memory *memory)
{
	return HASH_COUNT(memory->table);
}
