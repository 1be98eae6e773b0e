/* step.c - the table of steps and the run through it. Order matters: what came is stripped, cleaned, freed of its
 * signatures and marked first, then signed, then encrypted, and with triple_wrap signed again.
 */
#include "gate/step.h"

#include <stdint.h>

#include "gate/trigger.h"
#include "smime/unwrap.h"

struct step {
	const char *name;
	bool (*applies)(const struct group *group);
	int (*run)(const struct step_env *env, const struct message *in, struct message *out, struct err *err);
};

static bool applies_clean(const struct group *group)
{
	return group->treatment->clean;
}

static int run_clean(const struct step_env *env, const struct message *in, struct message *out, struct err *err)
{
	const struct rule *rule = env->group->treatment->rule;
	bool all = rule != NULL && rule->settings->remove_results != 0;
	size_t removed = 0;

	out->body = in->body;
	if (env->facts->trusted_results) {
		out->header = in->header;
		return 0;
	}
	return verdict_clean_header(env->arena, &in->header, env->site->authserv_id, all, &out->header, &removed, err);
}

/* A message that we sign or encrypt ourselves keeps the signatures that it has: they are part of what is protected. */
/* The loop guard; Bcc fields of what is protected, or goes out beside it, so that no reader learns of the others;
 * what a rule strips. */
static bool is_stripped(const struct group *group, const struct field *field)
{
	const struct treatment *treatment = group->treatment;
	const struct conf_strings *names = treatment->rule != NULL ? &treatment->rule->settings->strip_headers : NULL;
	size_t i;

	if (field_is(field, GUARD_FIELD))
		return true;
	if ((treatment->sign || treatment->encrypt || (treatment->sends && group->parted)) &&
	    (field_is(field, "Bcc") || field_is(field, "Resent-Bcc")))
		return true;
	for (i = 0; names != NULL && i < names->n; i++)
		if (field_is(field, names->items[i]))
			return true;
	return false;
}

static bool keep_unless_stripped(const struct field *field, void *arg)
{
	return !is_stripped(arg, field);
}

static bool applies_strip(const struct group *group)
{
	(void)group;
	return true;
}

static int run_strip(const struct step_env *env, const struct message *in, struct message *out, struct err *err)
{
	struct header header = in->header;

	out->body = in->body;
	if (env->group->treatment->sends && trigger_remove(env->site, &in->header, env->arena, &header, err) != 0)
		return -1;
	if (header_filter(env->arena, &header, keep_unless_stripped, (void *)(uintptr_t)env->group, &out->header) != 0)
		return err_memory(err);
	return 0;
}

static bool applies_unwrap(const struct group *group)
{
	const struct treatment *treatment = group->treatment;

	return treatment->unwrap && group->verified && !treatment->sign && !treatment->encrypt;
}

static int run_unwrap(const struct step_env *env, const struct message *in, struct message *out, struct err *err)
{
	return unwrap_message(env->arena, in, &env->group->verdict, out, err);
}

/* With verify = "off" a verdict may have been made for require_protection: it is not told. */
static bool applies_mark(const struct group *group)
{
	const struct rule *rule = group->treatment->rule;

	return group->verified && (rule == NULL || rule->settings->verify != VERIFY_OFF);
}

/* Our fields go to the top, before everything that came. */
static int run_mark(const struct step_env *env, const struct message *in, struct message *out, struct err *err)
{
	const struct rule *rule = env->group->treatment->rule;
	struct field *fields = NULL;
	size_t n = 0, i;
	int bad = 0;

	if (verdict_fields(env->arena, &env->group->verdict, env->site->authserv_id, rule != NULL ? rule->id : "none",
			   &fields, &n, err) != 0)
		return -1;
	out->header = (struct header){ NULL, 0 };
	out->body = in->body;
	for (i = 0; i < n; i++)
		bad |= header_append(env->arena, &out->header, fields[i]);
	for (i = 0; i < in->header.n; i++)
		bad |= header_append(env->arena, &out->header, in->header.fields[i]);
	return bad == 0 ? 0 : err_memory(err);
}

static bool applies_sign(const struct group *group)
{
	return group->treatment->sign;
}

static bool applies_encrypt(const struct group *group)
{
	return group->treatment->encrypt;
}

static bool applies_wrap(const struct group *group)
{
	return group->treatment->sign && group->treatment->encrypt && group->treatment->rule->settings->triple_wrap;
}

/* What came is brought into canonical form once, by the first of sign and encrypt (canon_make); what a step of ours made
 * is in that form already (canon_split). */
static int sign(const struct step_env *env, const struct canon *canon, struct message *out, struct err *err)
{
	const struct treatment *treatment = env->group->treatment;
	const struct rule_settings *settings = treatment->rule->settings;
	enum digest listed[16];
	struct sign_options options = {
		.key = treatment->key,
		.format = (enum sign_format)settings->sign_format,
		.padding = (enum sign_padding)settings->sign_padding,
		.include_chain = (enum include_chain)settings->include_chain,
		.encryption_cert = treatment->own_encryption_cert,
		.now = clock_now(&env->site->clock),
	};
	size_t i;

	for (i = 0; i < settings->digests.n; i++)
		listed[i] = (enum digest)settings->digests.items[i];
	options.digest = sign_choose_digest(treatment->key, listed, settings->digests.n);
	return sign_message(env->arena, canon, &options, out, err);
}

static int run_sign(const struct step_env *env, const struct message *in, struct message *out, struct err *err)
{
	bool clear = env->group->treatment->rule->settings->sign_format == SIGN_CLEAR;
	struct canon canon;

	if (canon_make(env->arena, in, &env->facts->mime, clear, &canon, err) != 0)
		return -1;
	return sign(env, &canon, out, err);
}

static int run_wrap(const struct step_env *env, const struct message *in, struct message *out, struct err *err)
{
	struct canon canon;

	if (canon_split(env->arena, in, &canon, err) != 0)
		return -1;
	return sign(env, &canon, out, err);
}

static int run_encrypt(const struct step_env *env, const struct message *in, struct message *out, struct err *err)
{
	const struct group *group = env->group;
	const struct encrypt_options options = {
		.certs = group->certs,
		.n = group->cert_count,
		.cipher = group->cipher,
		.key_transport = (enum key_transport)group->treatment->rule->settings->key_transport,
		.recipient_identifier =
			(enum recipient_identifier)group->treatment->rule->settings->recipient_identifier,
	};
	struct canon canon;
	int rc;

	rc = group->treatment->sign ? canon_split(env->arena, in, &canon, err) :
				    canon_make(env->arena, in, &env->facts->mime, false, &canon, err);
	if (rc != 0)
		return -1;
	return encrypt_message(env->arena, &canon, &options, out, err);
}

static const struct step steps[] = {
	{ "strip", applies_strip, run_strip },
	{ "clean", applies_clean, run_clean },
	{ "unwrap", applies_unwrap, run_unwrap },
	{ "mark", applies_mark, run_mark },
	{ "sign", applies_sign, run_sign },
	{ "encrypt", applies_encrypt, run_encrypt },
	{ "wrap", applies_wrap, run_wrap },
};

int step_run(const struct step_env *env, const struct message *in, struct message *out, struct err *err)
{
	struct message now = *in, next;
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (!steps[i].applies(env->group))
			continue;
		if (steps[i].run(env, &now, &next, err) != 0)
			return err_prefix(err, "%s", steps[i].name);
		now = next;
	}
	*out = now;
	return 0;
}
