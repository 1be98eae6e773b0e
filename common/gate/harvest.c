/* harvest.c - see harvest.h. Called by gate.c. What may be learned is decided in smime/harvest.c, what becomes of it
 * where it is kept. RFC 8551 2.7.1.
 */
#include "gate/harvest.h"

#include "gate/gate.h"

/* Of a group's members the one whose rule wants most: what one of them learns serves all. */
static const struct rule *wanting(const struct plan *plan, const struct group *group)
{
	const struct rule *most = NULL;

	for (size_t i = 0; group->verified && i < group->member_count; i++) {
		const struct treatment *treatment = &plan->each[group->members[i]];

		if (!treatment->verify || treatment->rule == NULL || treatment->rule->settings->harvest == HARVEST_OFF)
			continue;
		if (most == NULL || treatment->rule->settings->harvest > most->settings->harvest)
			most = treatment->rule;
	}
	return most;
}

/* Two groups may learn the same. */
static void add(struct outcome *outcome, const struct harvest *harvest)
{
	for (size_t i = 0; i < outcome->harvest_count; i++) {
		struct harvest *known = &outcome->harvests[i];

		if (!cert_equal(known->cert, harvest->cert))
			continue;
		if (harvest->at_once && !known->at_once)
			*known = *harvest;
		return;
	}
	outcome->harvests[outcome->harvest_count++] = *harvest;
}

int harvest_gather(const struct site *site, const struct facts *facts, const struct plan *plan, struct arena *arena,
		   struct outcome *outcome, struct err *err)
{
	struct harvest_query query = { .from = &facts->from, .local_domains = &site->local_domains,
				       .at = clock_now(&site->clock) };

	outcome->harvests = arena_array(arena, plan->group_count, sizeof(*outcome->harvests));
	if (outcome->harvests == NULL)
		return err_memory(err);
	for (size_t i = 0; i < plan->group_count; i++) {
		const struct rule *rule = wanting(plan, &plan->groups[i]);
		struct harvest harvest;
		const char *why = NULL;
		int rc;

		if (rule == NULL)
			continue;
		query.verdict = &plan->groups[i].verdict;
		query.collections = rule->collections;
		query.collection_count = rule->collection_count;
		rc = harvest_find(arena, &query, &harvest, &why, err);
		if (rc < 0)
			return -1;
		harvest.rule = rule->id;
		harvest.at_once = rule->settings->harvest == HARVEST_ON;
		if (rc == 1)
			add(outcome, &harvest);
	}
	return 0;
}
