/* candidate_group.c - recipients that are groups: each member is asked for in every directory as a recipient would be,
 * and the group has certificates if each of them has one. Who is in a group the directory has said that knows it; how
 * certificates are judged is candidate.c's, which calls.
 *
 * A part of a group is never an answer: one member without certificate is none for the whole, one who could not be
 * asked for makes that of the whole.
 */
#include "pki/candidate_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/event.h"
#include "pki/directory_driver.h"

struct seat {				/* a member in a group, as one directory has him */
	const struct directory_member *member;
	const struct directory_answer *group;
	size_t directory;
	size_t list;			/* of the group */
	struct slice key;		/* equal for the same person */
	size_t person;
};

struct hall {				/* all groups of a query together */
	struct arena *arena;
	const struct candidate_query *query;
	const struct asking *askings;
	struct candidate_list *lists;
	struct seat *seats;		/* by list, then directory, then in its order */
	size_t seat_count;
	struct address *persons;	/* once each */
	size_t person_count;
	struct candidate_list *found;	/* of each person */
	size_t *seated;			/* of each person: list + 1 of the group that has him already */
};

static bool is_open(const struct candidate_list *list)
{
	return list->group && list->status == DIRECTORY_NONE;
}

static bool has_address(const struct directory_member *member)
{
	return member->address.text.n > 0;
}

static int seat_group(struct hall *hall, size_t list, size_t directory)
{
	const struct directory_answer *group = &hall->askings[directory].answers[list];

	for (size_t i = 0; i < group->member_count; i++) {
		struct seat *seat = &hall->seats[hall->seat_count++];

		*seat = (struct seat){ .member = &group->members[i], .group = group, .directory = directory,
				       .list = list };
		if (!has_address(seat->member))
			continue;
		seat->key = directory_key(hall->arena, &seat->member->address);
		if (seat->key.p == NULL)
			return -1;
	}
	return 0;
}

static int seat_all(struct hall *hall)
{
	const struct candidate_query *query = hall->query;
	size_t n = 0;

	for (size_t i = 0; i < query->n; i++) {
		for (size_t d = 0; d < query->directory_count && is_open(&hall->lists[i]); d++)
			n += hall->askings[d].answers[i].member_count;
	}
	hall->seats = arena_array(hall->arena, n, sizeof(*hall->seats));
	if (hall->seats == NULL)
		return -1;
	for (size_t i = 0; i < query->n; i++) {
		for (size_t d = 0; d < query->directory_count && is_open(&hall->lists[i]); d++)
			if (seat_group(hall, i, d) != 0)
				return -1;
	}
	return 0;
}

static int by_key(const void *left, const void *right)
{
	const struct seat *a = *(const struct seat *const *)left, *b = *(const struct seat *const *)right;
	int order = memcmp(a->key.p, b->key.p, a->key.n < b->key.n ? a->key.n : b->key.n);

	if (order != 0 || a->key.n == b->key.n)
		return order;
	return a->key.n < b->key.n ? -1 : 1;
}

/* Numbers the persons: one who sits in several groups is one. */
static int count_persons(struct hall *hall)
{
	struct seat **sorted = arena_array(hall->arena, hall->seat_count, sizeof(struct seat *));
	size_t n = 0;

	hall->persons = arena_array(hall->arena, hall->seat_count, sizeof(*hall->persons));
	hall->seated = arena_array(hall->arena, hall->seat_count, sizeof(*hall->seated));
	if (sorted == NULL || hall->persons == NULL || hall->seated == NULL)
		return -1;
	for (size_t i = 0; i < hall->seat_count; i++)
		if (has_address(hall->seats[i].member))
			sorted[n++] = &hall->seats[i];
	if (n > 1)
		qsort(sorted, n, sizeof(struct seat *), by_key);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || by_key(&sorted[i - 1], &sorted[i]) != 0)
			hall->persons[hall->person_count++] = sorted[i]->member->address;
		sorted[i]->person = hall->person_count - 1;
	}
	return 0;
}

/* What came with the group is an answer as good as one to a question for the member. But a directory speaks for those
 * alone whom its `domains` name. */
static void answer_members(const struct hall *hall, struct asking *askings)
{
	for (size_t i = 0; i < hall->seat_count; i++) {
		const struct seat *seat = &hall->seats[i];
		struct asking *asking = &askings[seat->directory];
		struct directory_answer *answer = NULL;

		if (!has_address(seat->member) ||
		    !directory_is_responsible(&hall->query->directories[seat->directory], &seat->member->address))
			continue;
		answer = &asking->answers[seat->person];
		*answer = seat->member->answer;
		answer->remembered = seat->group->remembered;
		answer->age_ms = seat->group->age_ms;
		answer->stale = seat->group->stale;
		if (answer->stale)
			answer->failure = seat->group->failure;
		asking->asked[seat->person] = true;
	}
}

static int ask_for_persons(struct hall *hall, struct err *err)
{
	struct candidate_query query = *hall->query;
	struct asking *askings;

	query.addresses = hall->persons;
	query.also = NULL;
	query.n = hall->person_count;
	askings = candidate_askings(hall->arena, &query);
	hall->found = arena_array(hall->arena, query.n, sizeof(*hall->found));
	if (askings == NULL || hall->found == NULL)
		return err_memory(err);
	for (size_t d = 0; d < query.directory_count; d++) {
		askings[d].probed = hall->askings[d].probed;
		askings[d].away = hall->askings[d].away;
	}
	answer_members(hall, askings);
	return candidate_choose(hall->arena, &query, askings, hall->found, err);
}

/* A member without address: nobody can be asked for, and what is said of it stands in place of who was asked. */
static int describe_nobody(const struct hall *hall, const struct directory_answer *answer, struct candidate_list *list)
{
	*list = (struct candidate_list){ .status = DIRECTORY_NONE };
	list->asked = arena_array(hall->arena, 1, sizeof(*list->asked));
	if (list->asked == NULL)
		return -1;
	list->asked[list->asked_count++] = answer->problem_count > 0 ? answer->problems[0] : "without address";
	return 0;
}

static int take_members(struct hall *hall, size_t index, struct candidate_list *list)
{
	list->members = arena_array(hall->arena, hall->seat_count, sizeof(*list->members));
	if (list->members == NULL)
		return -1;
	for (size_t i = 0; i < hall->seat_count; i++) {
		const struct seat *seat = &hall->seats[i];
		struct candidate_member *member = &list->members[list->member_count];

		if (seat->list != index || (has_address(seat->member) && hall->seated[seat->person] == index + 1))
			continue;
		list->member_count++;
		if (!has_address(seat->member)) {
			if (describe_nobody(hall, &seat->member->answer, &member->list) != 0)
				return -1;
			continue;
		}
		hall->seated[seat->person] = index + 1;
		*member = (struct candidate_member){ seat->member->address, hall->found[seat->person] };
	}
	return 0;
}

static const char *say(const struct hall *hall, const struct candidate_member *member, const char *what)
{
	char name[200];

	if (member->address.text.n == 0)
		return arena_printf(hall->arena, "its member %s", member->list.asked[0]);
	return arena_printf(hall->arena, "its member <%s>: %s", event_escape(member->address.text, name, sizeof(name)),
			    what);
}

/* That a directory failed is said rather than that a revocation is not known: the whole waits for both. */
static int fail(const struct hall *hall, struct candidate_list *list, const struct candidate_member *member)
{
	bool undecided = member->list.undecided;

	if (list->status == DIRECTORY_FAILED && (undecided || !list->undecided))
		return 0;
	list->status = DIRECTORY_FAILED;
	list->undecided = undecided;
	list->failure = say(hall, member, member->list.failure);
	return list->failure == NULL ? -1 : 0;
}

static int miss(const struct hall *hall, struct candidate_list *list, const struct candidate_member *member)
{
	const struct candidate_list *his = &member->list;

	if (list->missing != NULL)
		return 0;
	list->missing = say(hall, member, his->group	? "a group of another directory" :
					  his->n == 0	? "no certificate" :
							  his->items[0].reason);
	return list->missing == NULL ? -1 : 0;
}

/* He has a certificate, though not everybody could be asked. */
static int doubt(const struct hall *hall, struct candidate_list *list, const struct candidate_member *member)
{
	list->incomplete = true;
	if (list->failure == NULL)
		list->failure = say(hall, member, member->list.failure);
	return list->failure == NULL ? -1 : 0;
}

static int weigh(const struct hall *hall, struct candidate_list *list)
{
	int rc = 0;

	for (size_t i = 0; i < list->member_count && rc == 0; i++) {
		const struct candidate_member *member = &list->members[i];

		if (member->list.incomplete)
			rc = doubt(hall, list, member);
		else if (member->list.status == DIRECTORY_FAILED)
			rc = fail(hall, list, member);
		else if (member->list.status == DIRECTORY_NONE)
			rc = miss(hall, list, member);
	}
	return rc;
}

static int choose(const struct hall *hall, struct candidate_list *list)
{
	if (list->member_count == 0)
		list->missing = "it has no members";
	if (list->status == DIRECTORY_FAILED || list->missing != NULL)
		return 0;
	list->chosen = arena_array(hall->arena, list->member_count, sizeof(*list->chosen));
	if (list->chosen == NULL)
		return -1;
	for (size_t i = 0; i < list->member_count; i++)
		list->chosen[list->chosen_count++] =
			(struct candidate_choice){ list->members[i].address, &list->members[i].list.items[0] };
	list->status = DIRECTORY_FOUND;
	return 0;
}

int candidate_groups(struct arena *arena, const struct candidate_query *query, const struct asking *askings,
		     struct candidate_list *lists, struct err *err)
{
	struct hall hall = { .arena = arena, .query = query, .askings = askings, .lists = lists };
	size_t first = 0;

	while (first < query->n && !is_open(&lists[first]))
		first++;
	if (first == query->n)
		return 0;
	if (seat_all(&hall) != 0 || count_persons(&hall) != 0)
		return err_memory(err);
	if (ask_for_persons(&hall, err) != 0)
		return -1;
	for (size_t i = first; i < query->n; i++) {
		if (!is_open(&lists[i]))
			continue;
		if (take_members(&hall, i, &lists[i]) != 0 || weigh(&hall, &lists[i]) != 0 ||
		    choose(&hall, &lists[i]) != 0)
			return err_memory(err);
	}
	return 0;
}
