/* candidate_base.c - candidates for recipients whose addresses have something behind recipient_delimiter: the address as
 * it is and what is left without that are asked for in one go, and the first counts before the second, however old; in
 * mail that comes encrypted either may be named. Who has neither is none; an answer that could not be had for the one does
 * not hide what is found for the other. Each of them is candidate.c's. Called by gate and smimectl.
 */
#include "pki/candidate_internal.h"

#include <string.h>

struct bases {
	struct candidate_query query;	/* of the whole addresses, then of the bases that differ */
	struct candidate_list *lists;
	size_t *who;			/* of each base: whose */
	size_t n;			/* bases */
};

/* What the delimiter means elsewhere nobody here knows: "mary-jane" may be somebody else than "mary". */
static const char *delimiter_of(const struct candidate_query *query, const struct address *address)
{
	if (query->delimiter == NULL || query->local_domains == NULL || pattern_list_match(query->local_domains, address))
		return query->delimiter;
	return strchr(query->delimiter, '+') != NULL ? "+" : NULL;
}

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
		if (address_base(arena, &addresses[i], delimiter_of(query, &addresses[i]), &also[i]) != 0)
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

static void take(struct candidate_list *list, const struct candidate_list *from, bool usable)
{
	for (size_t i = 0; i < from->n; i++) {
		struct candidate *item = &list->items[list->n];

		if (from->items[i].usable != usable || has(list, from->items[i].cert))
			continue;
		*item = from->items[i];
		list->n++;
		item->rank = usable ? (unsigned)list->n : 0;
	}
}

/* The usable ones of both stand first. */
static int join_items(struct arena *arena, struct candidate_list *list, const struct candidate_list *whole,
		      const struct candidate_list *base)
{
	list->n = 0;
	list->items = arena_array(arena, whole->n + base->n, sizeof(*list->items));
	if (list->items == NULL)
		return -1;
	take(list, whole, true);
	take(list, base, true);
	take(list, whole, false);
	take(list, base, false);
	return 0;
}

/* Was there somebody who could not be asked? */
static bool has_gap(const struct candidate_list *list)
{
	return list->incomplete || (list->status == DIRECTORY_FAILED && !list->undecided);
}

/* What the other answer means for one that found, and for one that did not. */
static void weigh(struct candidate_list *list, const struct candidate_list *other)
{
	if (list->status == DIRECTORY_FOUND && !list->incomplete && has_gap(other)) {
		list->incomplete = true;
		list->failure = other->failure;
	}
	if (other->status == DIRECTORY_FAILED &&
	    (list->status == DIRECTORY_NONE || (list->undecided && !other->undecided))) {
		list->status = DIRECTORY_FAILED;
		list->failure = other->failure;
		list->undecided = other->undecided;
	}
}

/* *list, of the whole address, becomes that of both. */
static int join(struct arena *arena, struct candidate_list *list, const struct candidate_list *base)
{
	const struct candidate_list whole = *list, *other = base;

	if (whole.status != DIRECTORY_FOUND) {
		*list = *base;
		other = &whole;
	}
	weigh(list, other);
	return join_items(arena, list, &whole, base);
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
