/* outcome.c - from a plan to what is told about it. Decides nothing. */
#include "gate/outcome.h"

#include "gate/peers.h"
#include "gate/plan.h"

const char *const action_names[] = { "tempfail", "accept", "reject" };

static const char *action_of(const struct treatment *treatment, const struct refusal *refusal)
{
	if (refusal->reply != REPLY_NONE)
		return action_names[refusal->action];
	if (treatment->drop)
		return "drop";
	if (treatment->sign && treatment->encrypt)
		return "sign+encrypt";
	if (treatment->sign)
		return "sign";
	if (treatment->encrypt)
		return "encrypt";
	return treatment->verify ? "verify" : "pass";
}

static int fill_encrypted(const struct plan *plan, struct arena *arena, size_t i, struct recipient_outcome *to,
			  struct err *err)
{
	const struct candidate_list *list = &plan->candidates[i];
	const struct group *group = &plan->groups[to->message];
	size_t k;

	to->encrypted_to = arena_array(arena, list->chosen_count + group->extra_count, sizeof(*to->encrypted_to));
	if (to->encrypted_to == NULL)
		return err_memory(err);
	for (k = 0; k < list->chosen_count; k++) {
		struct encrypted_to *whom = &to->encrypted_to[to->encrypted_count++];

		*whom = peers_encrypted_to(arena, &list->chosen[k], plan->peers[i].role);
		if (whom->address == NULL)
			return err_memory(err);
	}
	for (k = 0; k < group->extra_count; k++)
		to->encrypted_to[to->encrypted_count++] = group->extras[k];
	to->cipher = cipher_name(group->cipher);
	return 0;
}

static int fill_one(const struct envelope *envelope, const struct facts *facts, const struct plan *plan,
		    struct arena *arena, size_t i, struct recipient_outcome *to, struct err *err)
{
	const struct treatment *treatment = &plan->each[i];
	bool refused = plan->refusal.reply != REPLY_NONE;

	to->recipient = &envelope->recipients[i];
	to->direction = facts->directions[i];
	to->rule = treatment->rule;
	to->action = action_of(treatment, &plan->refusal);
	to->own_reason = treatment->why != NULL ? treatment->why : "";
	to->reason = refused ? plan->refusal.detail : to->own_reason;
	if (plan->looked_up[i]) {
		to->candidates = &plan->candidates[i];
		to->looked_up = plan->peers[i].address.text;
	}
	if (refused || treatment->drop)
		return 0;
	if (treatment->sign && treatment->key != NULL) {
		to->signed_by = key_cert(treatment->key);
		to->key_source = key_source(treatment->key);
	}
	if (treatment->encrypt)
		return fill_encrypted(plan, arena, i, to, err);
	return 0;
}

static void fill_messages(const struct plan *plan, struct outcome *outcome)
{
	const struct group *group = NULL;
	size_t i, k;

	for (i = 0; i < outcome->recipient_count; i++)
		outcome->recipients[i].message = OUTCOME_NONE;
	for (i = 0; i < plan->group_count; i++)
		for (group = &plan->groups[i], k = 0; k < group->member_count; k++)
			outcome->recipients[group->members[k]].message = i;
}

static void fill_verdict(const struct plan *plan, struct outcome *outcome)
{
	const struct group *group = NULL;

	for (group = plan->groups; group < plan->groups + plan->group_count; group++) {
		if (!group->verified)
			continue;
		outcome->verdict = group->verdict;
		outcome->verified = true;
		outcome->verified_by = group->treatment->rule;
		return;
	}
}

int outcome_fill(const struct envelope *envelope, const struct facts *facts, const struct plan *plan,
		 struct arena *arena, struct outcome *outcome, struct err *err)
{
	size_t i;

	outcome->kind = facts->policy.kind;
	outcome->encryption_asked = facts->encryption_asked;
	fill_verdict(plan, outcome);
	outcome->recipients = arena_array(arena, envelope->recipient_count, sizeof(*outcome->recipients));
	if (outcome->recipients == NULL)
		return err_memory(err);
	outcome->recipient_count = envelope->recipient_count;
	fill_messages(plan, outcome);
	for (i = 0; i < envelope->recipient_count; i++)
		if (fill_one(envelope, facts, plan, arena, i, &outcome->recipients[i], err) != 0)
			return -1;
	return 0;
}
