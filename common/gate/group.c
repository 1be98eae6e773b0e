/* group.c - recipients parted into groups (group.h): each joins the first group that he fits, or founds one. Called by
 * plan.c. Looks nothing up.
 */
#include "gate/group.h"

#include <string.h>

#include "gate/treatment.h"

struct grouping {
	const struct envelope *envelope;
	const struct facts *facts;
	struct arena *arena;
	struct plan *plan;
	size_t limit;			/* of groups */
	size_t peer_limit;		/* of those whom one of them may be encrypted to */
};

struct joiner {				/* a recipient who looks for a group */
	size_t index;
	const struct treatment *treatment;
	bool hidden;			/* his certificate must not be seen by others than Bcc recipients */
	struct capabilities *peers;	/* of whom his mail is encrypted to: him, or all members of a group that he is */
	size_t peer_count;
};

static size_t list_ciphers(const struct treatment *treatment, enum cipher listed[CIPHER_COUNT])
{
	const struct conf_enums *ciphers = &treatment->rule->settings->ciphers;
	size_t i;

	for (i = 0; i < ciphers->n && i < CIPHER_COUNT; i++)
		listed[i] = (enum cipher)ciphers->items[i];
	return i;
}

static int list_peers(const struct grouping *g, struct joiner *joiner)
{
	const struct candidate_list *list = &g->plan->candidates[joiner->index];
	enum cipher listed[CIPHER_COUNT];
	size_t n = list_ciphers(joiner->treatment, listed), i;

	joiner->peers = arena_array(g->arena, list->chosen_count, sizeof(*joiner->peers));
	if (joiner->peers == NULL)
		return -1;
	joiner->peer_count = list->chosen_count;
	for (i = 0; i < list->chosen_count; i++)
		joiner->peers[i] = list->chosen[i].used->capabilities;
	/* Whom no listed cipher suits gets the first one wherever he is. */
	if (!cipher_readable(cipher_choose(listed, n, joiner->peers, joiner->peer_count), joiner->peers,
			     joiner->peer_count))
		memset(joiner->peers, 0, joiner->peer_count * sizeof(*joiner->peers));
	return 0;
}

static int describe(const struct grouping *g, size_t index, struct joiner *joiner)
{
	const struct treatment *treatment = &g->plan->each[index];

	*joiner = (struct joiner){ .index = index, .treatment = treatment };
	if (!treatment->encrypt)
		return 0;
	joiner->hidden = treatment->rule->settings->bcc != BCC_TOGETHER && !g->facts->visible[index];
	return list_peers(g, joiner);
}

static bool is_alone(const struct treatment *treatment, bool hidden)
{
	return hidden && treatment->rule->settings->bcc == BCC_FORK_EACH;
}

static enum cipher choose_cipher(const struct group *group, size_t peer_count)
{
	enum cipher listed[CIPHER_COUNT];
	size_t n = list_ciphers(group->treatment, listed);

	return cipher_choose(listed, n, group->peers, peer_count);
}

static bool is_same_person(const struct grouping *g, size_t a, size_t b)
{
	return address_equal(&g->envelope->recipients[a].address, &g->envelope->recipients[b].address);
}

/* Behind those of the group, of which they are none yet. */
static size_t append_peers(const struct group *group, const struct joiner *joiner)
{
	memcpy(&group->peers[group->peer_count], joiner->peers, joiner->peer_count * sizeof(*joiner->peers));
	return group->peer_count + joiner->peer_count;
}

static bool fits_encrypted(const struct grouping *g, const struct group *group, const struct joiner *joiner)
{
	size_t n;

	if (group->hidden != joiner->hidden)
		return false;
	/* Who is named twice still gets one mail. */
	if (is_alone(joiner->treatment, joiner->hidden))
		return is_same_person(g, group->members[0], joiner->index);
	n = append_peers(group, joiner);
	return cipher_readable(choose_cipher(group, n), group->peers, n);
}

static bool fits(const struct grouping *g, const struct group *group, const struct joiner *joiner)
{
	return treatment_equal(group->treatment, joiner->treatment) &&
	       (!joiner->treatment->encrypt || fits_encrypted(g, group, joiner));
}

static void join(struct group *group, const struct joiner *joiner)
{
	size_t n = group->member_count++;

	group->members[n] = joiner->index;
	/* What came is looked at by the rule of the one that wants it. */
	if (n == 0 || (joiner->treatment->clean && !group->treatment->clean))
		group->treatment = joiner->treatment;
	if (!joiner->treatment->encrypt)
		return;
	group->peer_count = append_peers(group, joiner);
	group->cipher = choose_cipher(group, group->peer_count);
}

static struct group *found(const struct grouping *g, const struct joiner *joiner)
{
	struct group *group = &g->plan->groups[g->plan->group_count];
	size_t n = g->envelope->recipient_count;

	*group = (struct group){ .hidden = joiner->hidden };
	group->members = arena_array(g->arena, n, sizeof(*group->members));
	group->peers = arena_array(g->arena, g->peer_limit, sizeof(*group->peers));
	if (group->members == NULL || group->peers == NULL)
		return NULL;
	g->plan->group_count++;
	return group;
}

/* 1: placed, 0: it would take one group too many, -1: arena exhausted. */
static int place(const struct grouping *g, const struct joiner *joiner)
{
	struct group *group = NULL;
	size_t i;

	for (i = 0; i < g->plan->group_count && group == NULL; i++)
		if (fits(g, &g->plan->groups[i], joiner))
			group = &g->plan->groups[i];
	if (group == NULL && g->plan->group_count == g->limit)
		return 0;
	if (group == NULL)
		group = found(g, joiner);
	if (group == NULL)
		return -1;
	join(group, joiner);
	return 1;
}

static void open_group_first(struct plan *plan)
{
	struct group open;
	size_t i;

	for (i = 0; i < plan->group_count; i++)
		if (!plan->groups[i].hidden)
			break;
	if (i == 0 || i == plan->group_count)
		return;
	open = plan->groups[i];
	memmove(&plan->groups[1], &plan->groups[0], i * sizeof(open));
	plan->groups[0] = open;
}

static int too_many(const struct grouping *g)
{
	const char *detail = arena_printf(g->arena, "its recipients need more than %zu copies: send to them separately",
					  g->limit - 1);

	g->plan->refusal = (struct refusal){ REPLY_SEPARATE, ACTION_REJECT, detail != NULL ? detail : "", NULL };
	return 0;
}

int group_make(const struct site *site, const struct envelope *envelope, const struct facts *facts,
	       struct arena *arena, struct plan *plan, struct err *err)
{
	struct grouping g = { envelope, facts, arena, plan, (size_t)site->settings.limits.copies + 1, 0 };
	struct joiner joiner;
	size_t i;
	int rc;

	plan->groups = arena_array(arena, g.limit, sizeof(*plan->groups));
	if (plan->groups == NULL)
		return err_memory(err);
	for (i = 0; i < envelope->recipient_count; i++)
		g.peer_limit += plan->candidates[i].chosen_count;
	for (i = 0; i < envelope->recipient_count; i++) {
		if (plan->each[i].drop)
			continue;
		rc = describe(&g, i, &joiner);
		if (rc == 0)
			rc = place(&g, &joiner);
		if (rc < 0)
			return err_memory(err);
		if (rc == 0)
			return too_many(&g);
	}
	open_group_first(plan);
	for (i = 0; i < plan->group_count; i++)
		plan->groups[i].parted = plan->group_count > 1;
	return 0;
}
