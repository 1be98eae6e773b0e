/* candidate_rank.h - which of a person's usable certificates goes first. For candidate.c only. */
#ifndef PKI_CANDIDATE_RANK_H
#define PKI_CANDIDATE_RANK_H

#include "pki/candidate.h"

struct sighting {			/* one place where a candidate stands */
	size_t candidate;		/* its number */
	size_t directory, value;	/* places of one value stand behind one another */
	bool preferred;			/* its owner prefers it among those of this value */
	struct capabilities capabilities;	/* said there by its key */
};

/* Brings the n items in their order, usable ones first, and gives these their ranks: the newest notBefore first. What
 * its owner prefers within a value makes the other usable ones of this value count as no newer than it, where they
 * stand in that value; so it never goes before a newer one that stands elsewhere. What is equal stands in the order in
 * which it was seen: of the directories, of their attributes, of the values. 0, or -1: the arena is exhausted. */
int candidate_rank(struct arena *arena, struct candidate *items, size_t n, const struct sighting *sightings,
		   size_t count);

/* The places of the value that stands at *at, which moves behind it: how many. 0: no more. */
size_t sighting_next_value(const struct sighting *sightings, size_t count, size_t *at);

#endif
