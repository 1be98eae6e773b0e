/* directory_memory.h - a bounded table of what a directory answered, least recently used first to go. For
 * directory_cache.c alone, which says how long an answer counts and holds a lock around every call here; only what is
 * counted (directory_memory_unref, _give) needs none.
 */
#ifndef PKI_DIRECTORY_MEMORY_H
#define PKI_DIRECTORY_MEMORY_H

#include <stdatomic.h>

#include "pki/directory.h"

#define HASH_NONFATAL_OOM 1	/* a failed HASH_ADD leaves hh.tbl NULL */
#include <uthash.h>

struct remembered {			/* an answer, counted, shared between threads: read only but for failed */
	UT_hash_handle hh;
	atomic_uint references;
	struct arena *arena;		/* holds what answer points to; NULL: nothing, or text below */
	struct directory_answer answer;	/* its age and the marks that go with it are not set */
	int64_t asked_ms;		/* when the answer came */
	struct remembered *failed;	/* the last question since, which failed; NULL: none did */
	size_t bytes;			/* what it holds, about */
	size_t key_bytes;
	char text[];			/* the key, then a failure's words */
};

struct directory_memory;

/* NULL: *err (memory). */
struct directory_memory *directory_memory_new(size_t limit_bytes, struct err *err);
void directory_memory_free(struct directory_memory *memory);

/* The key of an address as directory_key writes it. In the arena; p == NULL: exhausted. Needs no lock. */
struct slice directory_memory_key(const struct directory_memory *memory, struct arena *arena, struct slice address);
/* The address in a key. */
struct slice directory_memory_address(struct slice key);

/* A deep copy of the answer, of any status. NULL: memory. */
struct remembered *directory_memory_copy(struct slice key, const struct directory_answer *answer, int64_t asked_ms);
void directory_memory_unref(struct remembered *what);	/* NULL is fine */
struct slice directory_memory_key_of(const struct remembered *what);
/* What is remembered as an answer whose contents the arena keeps. 0, or -1: the arena is exhausted. */
int directory_memory_give(struct arena *arena, struct remembered *what, struct directory_answer *answer);

/* Borrowed. NULL: nothing is remembered. */
struct remembered *directory_memory_look(struct directory_memory *memory, struct slice key);
/* It was used just now, and goes last. */
void directory_memory_touch(struct directory_memory *memory, struct remembered *what);
/* Takes a reference of its own and drops what was remembered under the key. What is larger than a quarter of the limit
 * is not kept, so that one answer never costs most of the others. */
void directory_memory_keep(struct directory_memory *memory, struct remembered *what);
void directory_memory_forget(struct directory_memory *memory, struct remembered *what);
/* Notes that the directory was asked again and failed. Takes a reference of its own. */
void directory_memory_failed(struct directory_memory *memory, struct remembered *what, struct remembered *failed);
/* Borrowed: what goes first, and what goes after. NULL: that is all. */
struct remembered *directory_memory_first(const struct directory_memory *memory);
struct remembered *directory_memory_next(const struct remembered *what);
size_t directory_memory_count(const struct directory_memory *memory);

#endif
