/* candidate_base.c - candidates for recipients whose addresses have something behind recipient_delimiter: the address as
 * it is and what is left without that are asked for in one go, and the first counts before the second, however old. Who
 * has neither is none; an answer that could not be had for the one does not hide what is found for the other. Each of
 * them is candidate.c's.
 */
#include "pki/candidate_internal.h"

#include <string.h>

struct bases {
	struct candidate_query query;	/* of the whole addresses, then of the bases that differ */
	struct candidate_list *lists;
	size_t *who;			/* of each base: whose */
	size_t n;			/* bases */
};

/* -1: memory. */
static int split(struct arena *arena, const struct candidate_query *query, struct bases *bases)
{
	struct address *addresses = arena_array(arena, 2 * query->n, sizeof(*addresses));
	struct address *also = arena_array(arena, 2 * query->n, sizeof(*also));

	bases->query = *query;
	bases->lists = arena_array(arena, 2 * query->n, sizeof(*bases->lists));
	bases->who = arena_array(arena, query->n, sizeof(*bases->who));
	if (addresses == NULL || also == NULL || bases->lists == NULL || bases->who == NULL)
		return -1;
	for (size_t i = 0; i < query->n; i++) {
		addresses[i] = query->addresses[i];
		if (address_base(arena, &addresses[i], query->delimiter, &also[i]) != 0)
			return -1;
		if (address_equal(&addresses[i], &also[i]))
			continue;
		addresses[query->n + bases->n] = also[i];
		also[query->n + bases->n] = addresses[i];
		bases->who[bases->n++] = i;
	}
	bases->query.addresses = addresses;
	bases->query.also = also;
	bases->query.n += bases->n;
	return 0;
}

static bool has(const struct candidate_list *list, const struct cert *cert)
{
	for (size_t i = 0; i < list->n; i++)
		if (cert_equal(list->items[i].cert, cert))
			return true;
	return false;
}

/* What the whole address has and cannot be used, behind what the base has. */
static int append(struct arena *arena, struct candidate_list *list, const struct candidate_list *whole)
{
	struct candidate *items = arena_array(arena, list->n + whole->n, sizeof(*items));
	size_t n = list->n;

	if (items == NULL)
		return -1;
	if (n > 0)
		memcpy(items, list->items, n * sizeof(*items));
	for (size_t i = 0; i < whole->n; i++)
		if (!has(list, whole->items[i].cert))
			items[n++] = whole->items[i];
	list->items = items;
	list->n = n;
	return 0;
}

/* *list, of the whole address, becomes that of both. */
static int join(struct arena *arena, struct candidate_list *list, const struct candidate_list *base)
{
	const struct candidate_list whole = *list;

	if (whole.status == DIRECTORY_FOUND)
		return 0;
	*list = *base;
	if (whole.status == DIRECTORY_FAILED && base->status == DIRECTORY_FOUND)
		list->incomplete = true;
	if (whole.status == DIRECTORY_FAILED && base->status == DIRECTORY_NONE) {
		list->status = whole.status;
		list->failure = whole.failure;
		list->undecided = whole.undecided;
	}
	return append(arena, list, &whole);
}

int candidate_find(struct arena *arena, const struct candidate_query *query, struct candidate_list *lists,
		   struct err *err)
{
	struct bases bases = { .n = 0 };

	if (query->delimiter == NULL || query->delimiter[0] == '\0')
		return candidate_find_exactly(arena, query, lists, err);
	if (split(arena, query, &bases) != 0)
		return err_memory(err);
	if (candidate_find_exactly(arena, &bases.query, bases.lists, err) != 0)
		return -1;
	for (size_t i = 0; i < query->n; i++)
		lists[i] = bases.lists[i];
	for (size_t i = 0; i < bases.n; i++)
		if (join(arena, &lists[bases.who[i]], &bases.lists[query->n + i]) != 0)
			return err_memory(err);
	return 0;
}
