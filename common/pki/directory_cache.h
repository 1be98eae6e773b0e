/* directory_cache.h - a directory that remembers another one's answers. Wrapped around drivers by directory.c. */
#ifndef PKI_DIRECTORY_CACHE_H
#define PKI_DIRECTORY_CACHE_H

#include "pki/directory.h"

#define DIRECTORY_CACHE_ENTRIES 10000	/* addresses; the one not asked for longest goes first */

/* Replaces *directory by a cache around it, which owns what *directory was; name, trusted and domains stay. found_s and
 * none_s: how long such answers are kept, 0 not at all; a failure never is. clock outlives the cache. 0, or -1 with the
 * directory unchanged (memory). */
int directory_cache_wrap(struct directory *directory, int64_t found_s, int64_t none_s, const struct clock *clock,
			 struct err *err);

#endif
