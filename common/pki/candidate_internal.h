/* candidate_internal.h - what candidate.c, which asks and judges, candidate_group.c, which does the same for groups'
 * members, and candidate_base.c, which does it for addresses in two forms, share.
 */
#ifndef PKI_CANDIDATE_INTERNAL_H
#define PKI_CANDIDATE_INTERNAL_H

#include "pki/candidate.h"

/* What one directory was asked and answered. */
struct asking {
	struct directory_answer *answers;	/* one for each address of the query */
	bool *asked;				/* or answered without being asked */
	bool probed;				/* it is known whether it is there, in case of a remembered
						   answer: */
	const char *away;			/* why not; NULL: it is */
};

/* One for each directory of the query, nothing asked yet. In the arena; NULL: exhausted. */
struct asking *candidate_askings(struct arena *arena, const struct candidate_query *query);

/* Asks for what is not answered yet and ranks; of groups, their own certificates alone. 0, or -1 as candidate_find. */
int candidate_choose(struct arena *arena, const struct candidate_query *query, struct asking *askings,
		     struct candidate_list *lists, struct err *err);

/* Looks at the members of those addresses that are groups and have no usable certificate of their own. 0, or -1. */
int candidate_groups(struct arena *arena, const struct candidate_query *query, const struct asking *askings,
		     struct candidate_list *lists, struct err *err);

/* candidate_find for the addresses of the query alone, whatever its delimiter. */
int candidate_find_exactly(struct arena *arena, const struct candidate_query *query, struct candidate_list *lists,
			   struct err *err);

#endif
