/* expand.c - groups followed to their people, level by level: first whoever says himself that he is in one of a level's
 * groups (memberOf), then what is left of the DNs that they name. How an entry says who is in it is group.c's, what a
 * member's certificates are worth candidate_group.c's. Called by ldap_driver.c; keeps nothing.
 *
 * Nothing is left out silently: somebody of whom nothing is known is a member without certificate, and what is not seen
 * to its end fails.
 */
#include "ldap/expand.h"

#include <string.h>

#include "pki/directory_driver.h"

#define NAMED_AT_ONCE 64		/* groups in one filter: slapd's limit for a request is 256 KiB */
#define PAGE_ENTRIES 500

struct expansion {
	const struct expand_env *env;
	struct arena *arena;
	struct slice *known;		/* keys of all that were met, GROUP_MEMBERS_MAX at most */
	size_t known_count;
	const struct query_entry **groups;	/* in the order of meeting; those from `next` on are the next level */
	size_t group_count, next;
	const struct query_entry **people;	/* with those who could not be found */
	size_t people_count;
	const char *failure;		/* NULL: none yet */
};

/* 0 with the failure noted, or -1. The first one counts. What a DN has that is not ASCII is escaped. */
static int fail(struct expansion *x, const char *text)
{
	struct err escaped;

	if (x->failure != NULL)
		return 0;
	if (text == NULL)
		return -1;
	err_set(&escaped, ERR_TEMP, "its members: %s", text);
	x->failure = arena_strdup(x->arena, escaped.text);
	return x->failure != NULL ? 0 : -1;
}

static int too_many(struct expansion *x)
{
	return fail(x, arena_printf(x->arena, "more than %d", GROUP_MEMBERS_MAX));
}

/* 1 it is met for the first time, 0 it was met before or there are too many, -1 exhausted. */
static int meet(struct expansion *x, struct slice key)
{
	for (size_t i = 0; i < x->known_count; i++) {
		if (slice_equal(x->known[i], key))
			return 0;
	}
	if (x->known_count == GROUP_MEMBERS_MAX)
		return too_many(x);
	x->known[x->known_count++] = key;
	return 1;
}

/* Who stands for a DN that leads to nobody. */
static int add_nobody(struct expansion *x, const char *dn, const char *why)
{
	struct query_entry *nobody = arena_alloc(x->arena, sizeof(*nobody));
	struct err text;

	if (nobody == NULL)
		return -1;
	if (x->people_count == GROUP_MEMBERS_MAX)
		return too_many(x);
	*nobody = (struct query_entry){ .dn = dn, .answer.status = DIRECTORY_NONE };
	err_set(&text, ERR_MESSAGE, "%s: %s", dn, why);
	x->people[x->people_count++] = nobody;
	return directory_answer_problem(x->arena, &nobody->answer, text.text);
}

/* An entry that is met for the first time. */
static int place(struct expansion *x, const struct query_entry *entry)
{
	const struct group *group = &entry->group;

	if (x->people_count == GROUP_MEMBERS_MAX || x->group_count == GROUP_MEMBERS_MAX)
		return too_many(x);
	if (group->part)
		return fail(x, arena_printf(x->arena, "%s has more than %d, or than the server gives at once", entry->dn,
					    GROUP_MEMBERS_MAX));
	if (group->other != NULL && group->is)
		return add_nobody(x, entry->dn, "its members cannot be followed");
	if (group->is)
		x->groups[x->group_count++] = entry;
	else if (entry->owner == NULL)
		return add_nobody(x, entry->dn, "no address");
	else
		x->people[x->people_count++] = entry;
	return 0;
}

static int add_entry(struct expansion *x, const struct query_entry *entry)
{
	struct slice key;
	int rc = group_key(x->arena, entry->dn, &key);

	if (rc > 0)
		return fail(x, "an entry whose DN is none");
	if (rc == 0)
		rc = meet(x, key);
	return rc > 0 ? place(x, entry) : rc;
}

static int add_entries(struct expansion *x, const struct query_entry *entry)
{
	int rc = 0;

	for (; entry != NULL && rc == 0 && x->failure == NULL; entry = entry->next)
		rc = add_entry(x, entry);
	return rc;
}

/* 0 with the failure noted, where there is one; or -1. */
static int run(struct expansion *x, const struct search *search)
{
	struct err why = { .class = ERR_NONE };
	enum outcome outcome = x->env->run(x->env->self, search, x->env->deadline_ms, &why);

	if (outcome == OUTCOME_EXHAUSTED)
		return -1;
	for (size_t i = 0; i < search->n; i++) {
		const struct query_item *item = &search->items[i];

		if (!item->done)
			return fail(x, why.text);
		if (item->answer->status == DIRECTORY_FAILED && !item->absent)
			return fail(x, item->answer->failure);
	}
	return 0;
}

/* A search for those who name one of the groups from first on themselves; n groups at most, and none that names nobody
 * stands with others. Returns how many, or -1. */
static ssize_t name_groups(struct expansion *x, size_t first, size_t n, struct query_item *item)
{
	const struct query_entry *const *groups = &x->groups[first];
	struct buf filter;
	size_t named = 0;
	int rc;

	buf_init(&filter, 0);
	rc = buf_append_text(&filter, "(|");
	do
		rc |= group_filter(&filter, groups[named]->dn, &groups[named]->group);
	while (++named < n && groups[named - 1]->group.n > 0 && groups[named]->group.n > 0);
	rc |= buf_append_char(&filter, ')');
	*item = (struct query_item){ .answer = arena_alloc(x->arena, sizeof(struct directory_answer)) };
	item->filter = rc == 0 ? arena_string(x->arena, buf_slice(&filter)) : NULL;
	buf_clear(&filter);
	return item->filter != NULL && item->answer != NULL ? (ssize_t)named : -1;
}

/* group: asked for alone, if it names nobody. Then somebody has to name it: Active Directory's global catalogue has
 * groups of other domains without their members. */
static int take_who_is_in(struct expansion *x, const struct query_item *item, const struct query_entry *group)
{
	if (item->absent)
		return fail(x, item->answer->failure);
	if (item->found == NULL && group->group.n == 0)
		return add_nobody(x, group->dn, "a group in which nobody can be seen");
	return add_entries(x, item->found);
}

/* Those who name one of the groups themselves. */
static int ask_who_is_in(struct expansion *x, size_t first, size_t end)
{
	struct query query = *x->env->query;
	struct search search = { .query = &query, .arena = x->arena };
	const struct query_entry **groups = arena_array(x->arena, end - first, sizeof(struct query_entry *));
	int rc = 0;

	query.groups = query.apart = true;
	if (query.page_entries == 0)
		query.page_entries = PAGE_ENTRIES;
	search.items = arena_array(x->arena, end - first, sizeof(*search.items));
	if (search.items == NULL || groups == NULL)
		return -1;
	while (first < end) {
		ssize_t named = name_groups(x, first, end - first < NAMED_AT_ONCE ? end - first : NAMED_AT_ONCE,
					    &search.items[search.n]);

		if (named < 0)
			return -1;
		groups[search.n++] = x->groups[first];
		first += (size_t)named;
	}
	rc = run(x, &search);
	for (size_t i = 0; i < search.n && rc == 0 && x->failure == NULL; i++)
		rc = take_who_is_in(x, &search.items[i], groups[i]);
	return rc;
}

/* One more to ask for by DN, if he is to be asked for at all. */
static int list_member(struct expansion *x, const char *dn, struct query_item *items, size_t *n)
{
	struct slice key;
	int rc = group_key(x->arena, dn, &key);

	if (rc > 0)
		return add_nobody(x, dn, "not a DN");
	if (rc == 0)
		rc = meet(x, key);
	if (rc <= 0)
		return rc;
	if (!group_is_below(key, x->env->base))
		return add_nobody(x, dn, "outside the directory's base");
	items[*n] = (struct query_item){ .base = dn, .filter = "(objectClass=*)",
					 .answer = arena_alloc(x->arena, sizeof(struct directory_answer)) };
	return items[(*n)++].answer != NULL ? 0 : -1;
}

static int list_members(struct expansion *x, size_t first, size_t end, struct query_item *items, size_t *n)
{
	int rc = 0;

	for (size_t i = first; i < end; i++) {
		const struct group *group = &x->groups[i]->group;

		for (size_t k = 0; k < group->n && rc == 0 && x->failure == NULL; k++)
			rc = list_member(x, group->members[k], items, n);
	}
	return rc;
}

/* His DN may be spelled in his entry as somebody's who was met before: then he was. */
static int take_member(struct expansion *x, const struct query_item *item)
{
	const struct query_entry *entry = item->found;
	struct slice asked, key;
	int rc;

	if (entry == NULL)
		return add_nobody(x, item->base, "no such entry");
	rc = group_key(x->arena, item->base, &asked);
	if (rc == 0)
		rc = group_key(x->arena, entry->dn, &key);
	if (rc != 0)
		return rc < 0 ? -1 : fail(x, "an entry whose DN is none");
	if (slice_equal(asked, key))
		return place(x, entry);
	rc = meet(x, key);
	return rc > 0 ? place(x, entry) : rc;
}

/* Those whom the groups name and who have not been met yet. */
static int ask_for_members(struct expansion *x, size_t first, size_t end)
{
	struct query query = *x->env->query;
	struct search search = { .query = &query, .arena = x->arena };
	int rc;

	query.scope = LDAP_SCOPE_BASE;
	query.groups = query.apart = true;
	query.page_entries = 0;
	search.items = arena_array(x->arena, GROUP_MEMBERS_MAX, sizeof(*search.items));
	if (search.items == NULL)
		return -1;
	rc = list_members(x, first, end, search.items, &search.n);
	if (rc == 0 && x->failure == NULL && search.n > 0)
		rc = run(x, &search);
	for (size_t i = 0; i < search.n && rc == 0 && x->failure == NULL; i++)
		rc = take_member(x, &search.items[i]);
	return rc;
}

static int follow_level(struct expansion *x)
{
	size_t first = x->next, end = x->group_count;
	int rc;

	x->next = end;
	rc = ask_who_is_in(x, first, end);
	return rc == 0 && x->failure == NULL ? ask_for_members(x, first, end) : rc;
}

/* Two entries with one address are one member with the certificates of both. */
static int merge(struct arena *arena, const struct directory_answer *from, struct directory_answer *to)
{
	size_t first = to->n == 0 ? 0 : to->entries[to->n - 1].value + 1;
	int rc = 0;

	for (size_t i = 0; i < from->n && rc == 0; i++) {
		struct directory_entry entry = from->entries[i];

		entry.value += first;
		rc = directory_answer_add(arena, to, &entry);
	}
	for (size_t i = 0; i < from->chain.n && rc == 0; i++)
		rc = directory_answer_chain(arena, to, from->chain.items[i]);
	for (size_t i = 0; i < from->problem_count && rc == 0; i++)
		rc = directory_answer_problem(arena, to, from->problems[i]);
	return rc;
}

static int seat(struct expansion *x, const struct query_entry *entry, struct directory_answer *answer)
{
	const struct address *address = entry->owner == NULL ? NULL : &entry->owner->addresses[0];

	for (size_t i = 0; address != NULL && i < answer->member_count; i++) {
		if (address_equal(&answer->members[i].address, address))
			return merge(x->arena, &entry->answer, &answer->members[i].answer);
	}
	answer->members[answer->member_count].answer = entry->answer;
	if (address != NULL)
		answer->members[answer->member_count].address = *address;
	answer->member_count++;
	return 0;
}

static int seat_all(struct expansion *x, struct directory_answer *answer)
{
	bool all = true;

	answer->members = arena_array(x->arena, x->people_count, sizeof(*answer->members));
	if (answer->members == NULL)
		return -1;
	for (size_t i = 0; i < x->people_count; i++) {
		if (seat(x, x->people[i], answer) != 0)
			return -1;
	}
	for (size_t i = 0; i < answer->member_count; i++)
		all = all && answer->members[i].answer.status == DIRECTORY_FOUND;
	answer->group = true;
	if (all)
		answer->status = DIRECTORY_FOUND;
	return 0;
}

/* Groups in a circle may have nobody in them: each names somebody. */
static int tell(struct expansion *x, struct directory_answer *answer)
{
	if (x->failure == NULL && x->people_count > 0)
		return seat_all(x, answer);
	if (x->failure == NULL)
		return directory_answer_problem(x->arena, answer, "a group without members");
	if (answer->n == 0)
		return directory_answer_fail(x->arena, answer, x->failure);
	answer->failure = x->failure;
	answer->group = true;
	return 0;
}

bool expand_is_group(const struct query_entry *found)
{
	while (found != NULL && !found->group.is)
		found = found->next;
	return found != NULL;
}

int expand_groups(const struct expand_env *env, struct arena *arena, const struct query_entry *found,
		  struct directory_answer *answer)
{
	struct expansion x = { .env = env, .arena = arena };
	int rc = 0;

	x.known = arena_array(arena, GROUP_MEMBERS_MAX, sizeof(*x.known));
	x.groups = arena_array(arena, GROUP_MEMBERS_MAX, sizeof(*x.groups));
	x.people = arena_array(arena, GROUP_MEMBERS_MAX, sizeof(*x.people));
	if (x.known == NULL || x.groups == NULL || x.people == NULL)
		return -1;
	for (; found != NULL && rc == 0; found = found->next)
		rc = found->group.is ? add_entry(&x, found) : 0;
	while (rc == 0 && x.failure == NULL && x.next < x.group_count)
		rc = follow_level(&x);
	return rc == 0 ? tell(&x, answer) : -1;
}
