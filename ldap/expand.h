/* expand.h - everybody in a group: those in the groups in it too, however deep, each once. */
#ifndef LDAP_EXPAND_H
#define LDAP_EXPAND_H

#include "ldap/query.h"

struct expand_env {
	const struct query *query;	/* the directory's own: base, attributes */
	struct slice base;		/* its base, as group_key has it */
	/* Runs the search until then, over whatever connection; items that are not done could not be asked. */
	enum outcome (*run)(void *self, const struct search *search, int64_t deadline_ms, struct err *err);
	void *self;
	int64_t deadline_ms;
};

/* Is one of the entries that were found for an address a group? */
bool expand_is_group(const struct query_entry *found);

/* Adds to the answer for the address, which holds the certificates of the entries found, who is in the groups among
 * them, with their certificates: see struct directory_answer. A member who cannot be found, or has no address, is one
 * without address and certificate; whatever keeps somebody from being seen at all (time, limits, the server) is a
 * failure of the whole. Groups in groups count for their members alone. 0, or -1: the arena is exhausted, memory. */
int expand_groups(const struct expand_env *env, struct arena *arena, const struct query_entry *found,
		  struct directory_answer *answer);

#endif
