/* gate.c - the one door (gate.h). Reads top to bottom: gather facts, make a plan, verify, refuse or run the steps.
 *
 * A feature does not belong here: a criterion is a row in policy.c, a transformation a row in step.c, a reply a row in
 * milter/reply.c. Failure is the default, accepting the last assignment.
 */
#include "gate/gate.h"

#include <string.h>

#include "gate/facts.h"
#include "gate/harvest.h"
#include "gate/judge.h"
#include "gate/plan.h"
#include "gate/step.h"

static void tick(const struct gate_env *env)
{
	if (env->tick != NULL)
		env->tick(env->tick_self);
}

static int check_size(const struct site *site, const struct message *message, struct err *err)
{
	uint64_t limit = (uint64_t)site->settings.limits.message_mb << 20;

	if (message->body->size_bytes == BODY_SIZE_UNKNOWN || message->body->size_bytes <= limit)
		return 0;
	return err_set(err, ERR_LIMIT, "message over limits.message_mb (%d)", (int)site->settings.limits.message_mb);
}

/* Of the first recipient of whom there is something to say. */
static const char *first_reason(const struct outcome *outcome)
{
	for (size_t i = 0; i < outcome->recipient_count; i++)
		if (outcome->recipients[i].reason[0] != '\0')
			return outcome->recipients[i].reason;
	return "";
}

/* Accept, but for an error that draining may still bring. */
static void accept_message(const struct message *before, struct outcome *outcome)
{
	outcome->body_changed = outcome->message.body != before->body;
	outcome->changed = outcome->body_changed || outcome->edits.n > 0;
	outcome->reason = first_reason(outcome);
	outcome->reply = REPLY_NONE;
	outcome->action = ACTION_ACCEPT;
}

static void refuse_message(const struct plan *plan, struct outcome *outcome)
{
	outcome->reply = plan->refusal.reply;
	outcome->reply_detail = plan->refusal.detail;
	outcome->reason = plan->refusal.reason != NULL && plan->refusal.reason[0] != '\0' ? plan->refusal.reason :
			  plan->refusal.detail;
	outcome->action = plan->refusal.action;
}

/* Decided and reported, but nothing is done: what came goes on as it came. */
static void observe_message(const struct message *before, struct outcome *outcome)
{
	outcome->observed = true;
	outcome->message = *before;
	outcome->edits.n = outcome->copy_count = outcome->harvest_count = 0;
	outcome->changed = outcome->body_changed = false;
	for (size_t i = 0; i < outcome->recipient_count; i++)
		outcome->recipients[i].message = 0;
	outcome->action = ACTION_ACCEPT;
}

/* Verifies what the groups' rules want verified, until one refuses. */
static int judge(const struct gate_env *env, const struct facts *facts, const struct message *message,
		 struct arena *arena, struct plan *plan, struct err *err)
{
	struct group *group = NULL;

	for (group = plan->groups; group < plan->groups + plan->group_count; group++) {
		if (plan->refusal.reply != REPLY_NONE || !group->treatment->verify)
			continue;
		if (judge_verify(env->site, facts, message, arena, group, err) != 0)
			return -1;
		judge_refuse(facts, group, &plan->refusal);
		tick(env);
	}
	return 0;
}

/* A message for each group, the first in the place of the one that came. */
static int make_messages(const struct site *site, const struct facts *facts, const struct plan *plan,
			 const struct message *message, struct arena *arena, struct outcome *outcome, struct err *err)
{
	struct step_env env = { .site = site, .facts = facts, .arena = arena };
	size_t i;

	outcome->copies = arena_array(arena, plan->group_count, sizeof(*outcome->copies));
	if (outcome->copies == NULL)
		return err_memory(err);
	for (i = 0; i < plan->group_count; i++) {
		env.group = &plan->groups[i];
		if (step_run(&env, message, i == 0 ? &outcome->message : &outcome->copies[i - 1], err) != 0)
			return -1;
	}
	outcome->copy_count = plan->group_count - 1;
	return edit_make(arena, &message->header, &outcome->message.header, &outcome->edits, err);
}

static int process(const struct gate_env *env, const struct envelope *envelope, const struct message *message,
		   struct arena *arena, struct outcome *outcome, struct err *err)
{
	const struct site *site = env->site;
	struct facts facts;
	struct plan plan;

	if (check_size(site, message, err) != 0 ||
	    facts_gather(env, envelope, message, arena, &facts, err) != 0 ||
	    plan_make(env, envelope, &facts, arena, &plan, err) != 0)
		return -1;
	tick(env);
	if (judge(env, &facts, message, arena, &plan, err) != 0 ||
	    outcome_fill(envelope, &facts, &plan, arena, outcome, err) != 0)
		return -1;
	if (plan.refusal.reply != REPLY_NONE) {
		refuse_message(&plan, outcome);
		return 0;
	}
	if (make_messages(site, &facts, &plan, message, arena, outcome, err) != 0 ||
	    harvest_gather(site, &facts, &plan, arena, outcome, err) != 0)
		return -1;
	accept_message(message, outcome);
	return 0;
}

int gate_process(const struct gate_env *env, const struct envelope *envelope, const struct message *message,
		 struct arena *arena, struct outcome *outcome, struct err *err)
{
	int rc;

	memset(outcome, 0, sizeof(*outcome));
	outcome->message = *message;
	outcome->reason = outcome->reply_detail = "";
	rc = process(env, envelope, message, arena, outcome, err);
	if (rc != 0)
		gate_failed(env->site, err, outcome);
	if (env->site->settings.mode == MODE_OBSERVE)
		observe_message(message, outcome);
	return rc;
}

/* In here nothing but a size gives ERR_LIMIT: limits of the skeleton are facts, those of CMS objects a layer's result. */
static enum reply reply_for(const struct err *err)
{
	switch (err->class) {
	case ERR_LIMIT:
		return REPLY_TOO_BIG;
	case ERR_MESSAGE:
		return REPLY_MALFORMED;
	default:
		return REPLY_INTERNAL;
	}
}

/* What was planned for the recipients did not happen. */
static void forget_plan(struct outcome *outcome)
{
	size_t i;

	outcome->edits.n = outcome->copy_count = outcome->harvest_count = 0;
	outcome->changed = outcome->body_changed = false;
	for (i = 0; i < outcome->recipient_count; i++) {
		outcome->recipients[i].action = action_names[outcome->action];
		outcome->recipients[i].signed_by = NULL;
		outcome->recipients[i].encrypted_count = 0;
		outcome->recipients[i].cipher = NULL;
	}
}

void gate_failed(const struct site *site, const struct err *err, struct outcome *outcome)
{
	outcome->reply = reply_for(err);
	outcome->action = outcome->reply == REPLY_INTERNAL && site->settings.on_failure == ON_FAILURE_TEMPFAIL ?
			  ACTION_TEMPFAIL : ACTION_REJECT;
	outcome->reply_detail = outcome->reply == REPLY_MALFORMED ? "the message is malformed beyond repair" :
				outcome->reply == REPLY_TOO_BIG ? "the message is too big" : "internal error";
	forget_plan(outcome);
}

static void turn_into(struct outcome *outcome, enum action action, enum reply reply, const char *detail,
		      const char *reason)
{
	outcome->reply = reply;
	outcome->reply_detail = detail;
	outcome->reason = reason;
	outcome->action = action;
	forget_plan(outcome);
}

void gate_refuse(struct outcome *outcome, enum reply reply, const char *detail)
{
	turn_into(outcome, ACTION_REJECT, reply, detail, detail);
}

void gate_postpone(struct outcome *outcome, enum reply reply, const char *detail, const char *reason)
{
	turn_into(outcome, ACTION_TEMPFAIL, reply, detail, reason);
}
