/* candidate_rank.c - see candidate_rank.h. What makes a certificate unusable is candidate.c's. Pure. */
#include "pki/candidate_rank.h"

#include <stdlib.h>

struct ranked {
	struct candidate item;
	bool placed;
	time_t since;		/* what it counts as: its notBefore, or the notBefore of one that is preferred to it */
	bool behind;		/* such a one goes before it */
	size_t seen;
};

static time_t not_before(const struct candidate *item)
{
	return cert_info(item->cert)->not_before;
}

size_t sighting_next_value(const struct sighting *sightings, size_t count, size_t *at)
{
	size_t start = *at;

	while (*at < count && sightings[*at].directory == sightings[start].directory &&
	       sightings[*at].value == sightings[start].value)
		(*at)++;
	return *at - start;
}

/* The oldest usable one that is preferred among the places: others are behind all of these. NULL: none. */
static const struct candidate *preferred_one(const struct ranked *all, const struct sighting *places, size_t n)
{
	const struct candidate *found = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct candidate *item = &all[places[i].candidate].item;

		if (places[i].preferred && item->usable && (found == NULL || not_before(item) < not_before(found)))
			found = item;
	}
	return found;
}

/* Of all its places the one where it stands best counts. */
static void place(struct ranked *ranked, bool preferred, const struct candidate *first)
{
	time_t since = not_before(&ranked->item);
	bool behind = first != NULL && !preferred && since >= not_before(first);

	if (behind)
		since = not_before(first);
	if (ranked->placed && (since < ranked->since || (since == ranked->since && behind)))
		return;
	ranked->placed = true;
	ranked->since = since;
	ranked->behind = behind;
}

static int by_rank(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;

	if (a->item.usable != b->item.usable)
		return a->item.usable ? -1 : 1;
	/* Whose another address is says the directory alone. */
	if (a->item.secondary != b->item.secondary)
		return a->item.secondary ? 1 : -1;
	if (a->since != b->since)
		return a->since > b->since ? -1 : 1;
	if (a->behind != b->behind)
		return a->behind ? 1 : -1;
	if (not_before(&a->item) != not_before(&b->item))
		return not_before(&a->item) > not_before(&b->item) ? -1 : 1;
	return a->seen < b->seen ? -1 : 1;
}

int candidate_rank(struct arena *arena, struct candidate *items, size_t n, const struct sighting *sightings,
		   size_t count)
{
	struct ranked *all = arena_array(arena, n, sizeof(*all));
	size_t at = 0, places;

	if (all == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		all[i] = (struct ranked){ .item = items[i], .since = not_before(&items[i]), .seen = i };
	while ((places = sighting_next_value(sightings, count, &at)) > 0) {
		const struct sighting *value = &sightings[at - places];
		const struct candidate *first = preferred_one(all, value, places);

		for (size_t i = 0; i < places; i++)
			place(&all[value[i].candidate], value[i].preferred, first);
	}
	if (n > 1)
		qsort(all, n, sizeof(*all), by_rank);
	for (size_t i = 0; i < n; i++) {
		items[i] = all[i].item;
		items[i].rank = items[i].usable ? (unsigned)i + 1 : 0;
	}
	return 0;
}
