/* gate.c - the one door (gate.h). Reads top to bottom: gather facts, make a plan, verify, refuse or run the steps.
 *
 * A feature does not belong here: a criterion is a row in policy.c, a transformation a row in step.c, a reply a row in
 * milter/reply.c. Failure is the default, accepting the last assignment.
 */
#include "gate/gate.h"

#include <string.h>

#include "gate/facts.h"
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

/* Accept, but for an error that draining may still bring. */
static void accept_message(const struct message *before, struct outcome *outcome)
{
	outcome->body_changed = outcome->message.body != before->body;
	outcome->changed = outcome->body_changed || outcome->edits.n > 0;
	outcome->reason = outcome->recipients[0].reason;
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
	outcome->edits.n = 0;
	outcome->changed = outcome->body_changed = false;
	outcome->action = ACTION_ACCEPT;
}

static int process(const struct gate_env *env, const struct envelope *envelope, const struct message *message,
		   struct arena *arena, struct outcome *outcome, struct err *err)
{
	const struct site *site = env->site;
	struct facts facts;
	struct plan plan;
	struct step_env step_env = { site, &facts, &plan, arena };

	if (check_size(site, message, err) != 0 ||
	    facts_gather(site, envelope, message, arena, &facts, err) != 0 ||
	    plan_make(env, envelope, &facts, arena, &plan, err) != 0)
		return -1;
	tick(env);
	if (plan.refusal.reply == REPLY_NONE && plan.treatment.verify) {
		if (judge_verify(site, &facts, message, arena, &plan, err) != 0)
			return -1;
		judge_refuse(&facts, &plan);
		tick(env);
	}
	if (outcome_fill(envelope, &facts, &plan, arena, outcome, err) != 0)
		return -1;
	if (plan.refusal.reply != REPLY_NONE) {
		refuse_message(&plan, outcome);
		return 0;
	}
	if (step_run(&step_env, message, &outcome->message, err) != 0 ||
	    edit_make(arena, &message->header, &outcome->message.header, &outcome->edits, err) != 0)
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
	outcome->edits.n = 0;
	outcome->changed = outcome->body_changed = false;
	forget_plan(outcome);
}
