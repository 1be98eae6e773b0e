/* judge.c - verification by the rule that applies, and the refusals that follow from it. Only what shows outside any
 * envelope counts here: nothing is opened.
 */
#include "gate/judge.h"

#include <string.h>

#include "gate/gate.h"

void judge_limits(const struct limits *limits, struct verify_env *env)
{
	env->limits.object_bytes = (size_t)limits->message_mb << 20;
	env->limits.recipient_infos = (size_t)limits->recipient_infos;
	env->limits.signer_infos = (size_t)limits->signer_infos;
	env->limits.certificates = (size_t)limits->certificates;
	env->limits.cms_layers = (size_t)limits->cms_layers;
	env->limits.mime.depth = (size_t)limits->mime_depth;
	env->limits.mime.parts = (size_t)limits->mime_parts;
}

/* Without a rule: against every collection. */
static void judge_env(const struct site *site, const struct rule *rule, struct verify_env *env)
{
	memset(env, 0, sizeof(*env));
	env->collections = site->collections;
	env->collection_count = site->collection_count;
	env->at = clock_now(&site->clock);
	env->prove = site->settings.audit.path != NULL;
	judge_limits(&site->settings.limits, env);
	if (rule == NULL)
		return;
	env->collections = rule->collections;
	env->collection_count = rule->collection_count;
	env->accept_addresses = rule->accept_addresses;
	env->accept_address_count = rule->accept_address_count;
	env->accept_sha256 = rule->accept_sha256;
	env->accept_sha256_count = rule->accept_sha256_count;
	env->accept_from = &rule->from;
	env->mismatch_attributes = rule->settings->mismatch_attributes.items;
	env->mismatch_attribute_count = rule->settings->mismatch_attributes.n;
}

int judge_verify(const struct site *site, const struct facts *facts, const struct message *message,
		 struct arena *arena, struct group *group, struct err *err)
{
	struct layer_list layers = { NULL, 0 };
	struct verify_env env;

	if (facts->mime.root == NULL) {
		group->verdict = (struct verdict){ .result = RESULT_NEUTRAL,
						   .reason = arena_strdup(arena, facts->mime_err.text) };
		group->verified = true;
		return group->verdict.reason != NULL ? 0 : err_memory(err);
	}
	judge_env(site, group->treatment->rule, &env);
	if (verify_message(arena, message, &facts->mime, &env, &layers, err) != 0)
		return -1;
	verdict_make(&layers, &group->verdict);
	group->verified = true;
	return 0;
}

/* Is the outermost layer an envelope that was not opened? What only says so, or is cut, or followed by text, is none. */
static bool is_envelope(const struct verdict *verdict)
{
	const struct layer *outer = verdict->layers.n > 0 ? &verdict->layers.items[0] : NULL;

	return outer != NULL && outer->covers_message && outer->sealed &&
	       (outer->type == LAYER_ENVELOPED || outer->type == LAYER_AUTH_ENVELOPED);
}

static bool integrity_bad(const struct verdict *verdict)
{
	size_t i;

	for (i = 0; i < verdict->layers.n; i++)
		if (verdict->layers.items[i].covers_message && verdict->layers.items[i].known &&
		    verdict->layers.items[i].integrity == INTEGRITY_BAD)
			return true;
	return false;
}

/* What a verdict is held against, and what comes of it. */
struct judgement {
	const struct verdict *verdict;
	struct refusal *refusal;
};

static void refuse_because(const struct judgement *j, enum reply reply, enum action action, const char *detail,
			   const char *reason)
{
	if (j->refusal->reply == REPLY_NONE)
		*j->refusal = (struct refusal){ reply, action, detail, reason };
}

/* The log is told the verdict; the reply says no more than what rule was not met. */
static void refuse(const struct judgement *j, enum reply reply, enum action action, const char *detail)
{
	refuse_because(j, reply, action, detail, j->verdict->reason);
}

static void refuse_verdict(const struct judgement *j)
{
	const struct verdict *verdict = j->verdict;

	if (verdict->result == RESULT_PASS || verdict->result == RESULT_NONE || is_envelope(verdict))
		return;
	if (integrity_bad(verdict))
		refuse(j, REPLY_INTEGRITY, ACTION_REJECT, "the signature does not fit the message");
	else if (verdict->result == RESULT_TEMPERROR)
		refuse(j, REPLY_REVOCATION, ACTION_TEMPFAIL, "revocation could not be checked");
	else
		refuse(j, REPLY_VERDICT, ACTION_REJECT, "the signature is not acceptable here");
}

static void refuse_protection(const struct judgement *j, enum protection wanted)
{
	const struct verdict *verdict = j->verdict;

	if (is_envelope(verdict))
		return;
	if (wanted == PROTECTION_ENCRYPTED)
		refuse_because(j, REPLY_PROTECTION, ACTION_REJECT, "mail from this sender must be encrypted", NULL);
	else if (verdict->result == RESULT_TEMPERROR)
		refuse(j, REPLY_REVOCATION, ACTION_TEMPFAIL, "revocation could not be checked");
	else if (verdict->result != RESULT_PASS)
		refuse(j, REPLY_PROTECTION, ACTION_REJECT, "mail from this sender must bear a valid signature");
}

/* An excused report quotes nothing that a signature would have to vouch for. */
void judge_refuse(const struct facts *facts, const struct group *group, struct refusal *refusal)
{
	const struct judgement j = { &group->verdict, refusal };
	const struct rule *rule = group->treatment->rule;
	size_t i;

	if (rule == NULL || !group->verified)
		return;
	if (rule->settings->verify == VERIFY_REJECT)
		refuse_verdict(&j);
	for (i = 0; i < rule->settings->require_protection.n && !facts->excused; i++)
		refuse_protection(&j, (enum protection)rule->settings->require_protection.items[i]);
}
