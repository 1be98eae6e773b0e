/* directory_cache.h - a directory that remembers another one's answers, asks it once for what several want to know at
 * the same time, and stands in for it a while when it cannot be asked. Wrapped around drivers by directory.c; listed
 * and filled by who hands a cache over to a successor.
 */
#ifndef PKI_DIRECTORY_CACHE_H
#define PKI_DIRECTORY_CACHE_H

#include "pki/directory.h"

/* Replaces *directory by a cache around it, which owns what *directory was; name, trusted and domains stay. Of the
 * settings it takes:
 * cache_s, negative_cache_s   how long found and none count, 0: are not kept; a failure never is
 * stale_s                     how much longer found may stand in while the directory cannot be asked; answers are
 *                             marked stale then, with the reason in failure. After a failure the directory is spared
 *                             questions about that address for two seconds. A none never is stale: could not ask
 * cache_mb                    memory for answers (certificates, texts, tables), about; the one not used for longest
 *                             goes first, and one that is larger than a quarter is not kept
 * One question at a time about one address: who asks it meanwhile waits until his own deadline and gets the same answer
 * (not `remembered`: it came after he asked), or asks himself if it was nothing but the asker's deadline that failed.
 * The same holds for probes. Contents of answers are shared with other threads: read only. clock outlives the cache.
 * 0, or -1 with the directory unchanged (memory). */
int directory_cache_wrap(struct directory *directory, const struct directory_settings *settings,
			 const struct clock *clock, struct err *err);

/* Does it remember anything? */
bool directory_cache_is(const struct directory *directory);

struct directory_remembered {
	struct slice address;		/* as directory_key writes it */
	struct directory_answer answer;	/* found or none, read only; age_ms: since it was asked */
};

/* Everything that is remembered and still of use, stale answers too, least recently used first: in the arena, which
 * holds it whatever becomes of the cache. A directory without a cache has nothing. Thread-safe. 0, or -1: memory. */
int directory_cache_list(const struct directory *directory, struct arena *arena, struct directory_remembered **items,
			 size_t *n, struct err *err);
/* Remembers a copy of what was asked answer.age_ms ago, as the one used last; what is known already and younger stays,
 * and what is too old by now for this cache's settings is dropped. The address is not checked. A directory without a
 * cache takes nothing. Thread-safe. 0, or -1: memory. */
int directory_cache_insert(const struct directory *directory, const struct directory_remembered *item,
			   struct err *err);

#endif
