/* plan.c - rule by recipient, keys, certificates, refusals, groups: in this order.
 *
 * "Could not ask" always comes before "none": a directory that is down must never make a 550, nor plaintext.
 */
#include "gate/plan.h"

#include <string.h>

#include "gate/gate.h"
#include "gate/group.h"
#include "gate/peers.h"
#include "gate/readers.h"
#include "gate/treatment.h"

#define HOPS 50		/* Postfix's hopcount_limit; RFC 5321 6.3 */

struct planner {
	const struct gate_env *env;
	const struct site *site;
	const struct envelope *envelope;
	const struct facts *facts;
	struct arena *arena;
	struct plan *plan;
};

void plan_refuse(struct plan *plan, enum reply reply, enum action action, const char *detail, const char *reason)
{
	struct refusal *refusal = &plan->refusal;

	if (refusal->reply != REPLY_NONE && !(action == ACTION_TEMPFAIL && refusal->action == ACTION_REJECT))
		return;
	*refusal = (struct refusal){ reply, action, detail != NULL ? detail : "", reason };
}

void plan_refuse_not_asked(struct plan *plan, const struct candidate_list *list)
{
	const char *why = list->failure != NULL ? list->failure : "a directory failed";

	if (list->undecided)
		plan_refuse(plan, REPLY_REVOCATION, ACTION_TEMPFAIL,
			    "revocation of a recipient's certificate cannot be checked now", why);
	else
		plan_refuse(plan, REPLY_DIRECTORY, ACTION_TEMPFAIL, "directory unavailable, try again later", why);
}

static void refuse(struct plan *plan, enum reply reply, enum action action, const char *detail)
{
	plan_refuse(plan, reply, action, detail, NULL);
}

/* One more line of why; what was said before stays. */
static void explain(const struct planner *p, struct treatment *treatment, const char *why)
{
	bool first = treatment->why == NULL || treatment->why[0] == '\0';
	const char *both = first ? why : arena_printf(p->arena, "%s; %s", treatment->why, why);

	if (both != NULL)
		treatment->why = both;
}

static void plan_loop(const struct planner *p)
{
	if (p->facts->hops > HOPS)
		plan_refuse(p->plan, REPLY_LOOP, ACTION_REJECT, "too many hops", NULL);
}

/* A rule that requires more might apply. */
static void plan_not_told(const struct planner *p)
{
	if (p->facts->not_told != NULL)
		plan_refuse(p->plan, REPLY_RECORDER, ACTION_TEMPFAIL,
			    "whether it answers encrypted mail cannot be found out now, try again later",
			    p->facts->not_told);
}

static void plan_rules(struct planner *p)
{
	const struct rule *rule = NULL;
	size_t i;

	for (i = 0; i < p->envelope->recipient_count; i++) {
		rule = policy_match(p->site->rules, p->site->rule_count, &p->facts->policy, &p->facts->base[i],
				    p->facts->directions[i]);
		treatment_wish(rule, p->facts->directions[i], p->facts, &p->plan->each[i]);
		if (rule == NULL && p->facts->encryption_asked && p->facts->policy.kind != KIND_ENCRYPTED)
			refuse(p->plan, REPLY_NO_CERTIFICATE, ACTION_REJECT,
			       "encryption is asked for, and no rule says how for some recipient");
	}
}

/* May this message be signed in the name of its From address at all? */
static bool may_sign(const struct planner *p, const struct rule *rule, const char **why)
{
	if (p->facts->from_form != MAILBOX_SINGLE) {
		*why = "From is not exactly one mailbox";
		return false;
	}
	switch ((enum sign_for)rule->settings->sign_for) {
	case SIGN_FOR_SENDER:
		*why = "sign_for = \"sender\": From must equal MAIL FROM, from a client that logged in or may sign";
		return p->facts->may_sign_as_sender;
	case SIGN_FOR_LOGIN:
		*why = "sign_for = \"login\": sender_login does not give From to the client's login";
		return p->facts->may_sign_as_login;
	case SIGN_FOR_ANY:
		return true;
	}
	return false;
}

/* RFC 3183 3.1.1: the name of whoever signs for a whole domain; here for From's. */
static int signing_authority(const struct planner *p, struct address *address, struct err *err)
{
	static const char local[] = "domain-signing-authority";

	address->local = slice_of(local);
	address->domain = p->facts->from.domain;
	address->text = slice_of(arena_printf(p->arena, "%s@%.*s", local, SLICE_ARGS(address->domain)));
	return address->text.n > 0 ? 0 : err_memory(err);
}

static int address_to_sign_as(const struct planner *p, const struct sign_as *as, struct address *address,
			      struct err *err)
{
	switch (as->who) {
	case SIGN_AS_FROM:
		*address = p->facts->from;
		return 0;
	case SIGN_AS_DOMAIN:
		return signing_authority(p, address, err);
	case SIGN_AS_ADDRESS:
		break;
	}
	*address = as->address;
	return 0;
}

/* sign_as in its order, each with keys whose certificate has that very address. 1 found, 0 none, and *why tells of each,
 * -1 the key store could not be asked. */
static int find_key(const struct planner *p, struct treatment *treatment, const char **why, struct err *err)
{
	const struct rule *rule = treatment->rule;
	const struct keystore *stores = p->site->keystores;
	size_t store_count = p->site->keystore_count, i;
	time_t now = clock_now(&p->site->clock);
	const char *reason = "", *told = "";
	struct address as;
	int found = 0;

	for (i = 0; found == 0 && i < rule->sign_as_count; i++) {
		if (address_to_sign_as(p, &rule->sign_as[i], &as, err) != 0)
			return -1;
		found = keystore_signing_key(stores, store_count, p->arena, &as, now, &treatment->key, &reason, err);
		if (found == 0 && told != NULL)
			told = arena_printf(p->arena, "%s%skey of <%.*s>: %s", told, i > 0 ? "; " : "",
					    SLICE_ARGS(as.text), reason);
	}
	*why = told;
	if (found != 1 || !rule->settings->announce_encryption)
		return found;
	return keystore_encryption_cert(stores, store_count, p->arena, &as, now, &treatment->own_encryption_cert,
					err) < 0 ? -1 : 1;
}

static const char *name_from(const struct planner *p)
{
	return p->facts->from.text.n > 0 ? arena_string(p->arena, p->facts->from.text) : "";
}

static void plan_key(struct planner *p, struct treatment *treatment)
{
	struct err err = { .class = ERR_NONE };
	const char *why = "";
	bool must = treatment_must_sign(treatment, p->facts);
	int found = 0;

	if (may_sign(p, treatment->rule, &why))
		found = find_key(p, treatment, &why, &err);
	if (found == 1)
		return;
	treatment->sign = false;
	if (found < 0)
		why = arena_strdup(p->arena, err.text);
	why = arena_printf(p->arena, "not signed: %s", why != NULL ? why : "out of memory");
	if (why != NULL)
		explain(p, treatment, why);
	if (found < 0)
		plan_refuse(p->plan, REPLY_KEYSTORE, ACTION_TEMPFAIL, "signing keys unavailable", why);
	else if (must)
		plan_refuse(p->plan, REPLY_NO_KEY, ACTION_REJECT,
			       arena_printf(p->arena, "no usable signing key for <%s> (rule %s)", name_from(p),
					    treatment->rule->id), why);
}

/* The same rule gives the same key: it is looked up once. */
static void plan_keys(struct planner *p)
{
	struct treatment *each = p->plan->each;
	size_t i, k;

	for (i = 0; i < p->envelope->recipient_count; i++) {
		if (!each[i].sign)
			continue;
		for (k = 0; k < i; k++)
			if (each[k].rule == each[i].rule && each[k].key != NULL)
				break;
		if (k < i) {
			each[i].key = each[k].key;
			each[i].own_encryption_cert = each[k].own_encryption_cert;
		} else {
			plan_key(p, &each[i]);
		}
	}
}

struct missing {
	const struct plan *plan;
	const struct rule *rule;
};

static bool is_missing(const void *self, size_t i)
{
	const struct missing *missing = self;

	return missing->plan->each[i].rule == missing->rule && missing->plan->looked_up[i] &&
	       missing->plan->candidates[i].status == DIRECTORY_NONE;
}

/* Every recipient without a certificate is named, as far as a reply has room. */
static const char *name_missing(const struct planner *p, const struct rule *rule)
{
	const struct missing missing = { p->plan, rule };
	const char *names = envelope_names(p->arena, p->envelope, is_missing, &missing);

	return names != NULL ? arena_printf(p->arena, "no usable certificate for %s (rule %s)", names, rule->id) : NULL;
}

/* Why what was found cannot be used: of the first candidate, and how many more there are. "": nothing was found; NULL:
 * arena exhausted. */
static const char *why_unusable(const struct planner *p, const struct candidate_list *list)
{
	if (list->missing != NULL)
		return list->missing;
	if (list->n == 0)
		return "";
	if (list->n == 1)
		return arena_printf(p->arena, "%s (%s)", list->items[0].reason, list->items[0].source);
	return arena_printf(p->arena, "%s (%s), and %zu more", list->items[0].reason, list->items[0].source, list->n - 1);
}

/* Who is in a group, and what a directory has, is told in the log alone: the sender need not know. NULL: arena
 * exhausted. */
static const char *name_reasons(const struct planner *p, const struct rule *rule, const char *before)
{
	const struct missing missing = { p->plan, rule };
	const char *text = before, *why = NULL;
	size_t i;

	for (i = 0; i < p->envelope->recipient_count && text != NULL; i++) {
		const struct candidate_list *list = &p->plan->candidates[i];

		if (!is_missing(&missing, i))
			continue;
		why = why_unusable(p, list);
		if (why == NULL || why[0] != '\0')
			text = why == NULL ? NULL : arena_printf(p->arena, "%s; <%.*s>%s %s", text,
								 SLICE_ARGS(p->envelope->recipients[i].address.text),
								 list->missing != NULL ? " is a group;" : ":", why);
	}
	return text;
}

/* Where the rule alone would have let the message go, the log says who demanded it. */
static void refuse_missing(const struct planner *p, const struct treatment *treatment)
{
	const struct rule_settings *settings = treatment->rule->settings;
	const char *missing = name_missing(p, treatment->rule), *why = NULL;
	bool later = settings->no_certificate == NO_CERTIFICATE_TEMPFAIL;

	if (missing != NULL)
		why = name_reasons(p, treatment->rule, missing);
	if (why != NULL && settings->encrypt != ENCRYPT_REQUIRE)
		why = arena_printf(p->arena, "%s; the message itself asks for encryption (triggers)", why);
	plan_refuse(p->plan, later ? REPLY_NO_CERTIFICATE_LATER : REPLY_NO_CERTIFICATE,
		    later ? ACTION_TEMPFAIL : ACTION_REJECT, missing, why);
}

/* What was found counts; that somebody may know better is said. */
static void explain_incomplete(struct planner *p, struct treatment *treatment, const struct candidate_list *list)
{
	const char *why = list->incomplete ? arena_printf(p->arena, "could not ask %s", list->failure) : NULL;

	if (why != NULL)
		explain(p, treatment, why);
}

static void judge_candidates(struct planner *p, size_t i)
{
	struct treatment *treatment = &p->plan->each[i];
	bool must = treatment_must_encrypt(treatment, p->facts);
	const struct candidate_list *list = &p->plan->candidates[i];
	const char *why = NULL;

	if (list->status == DIRECTORY_FOUND) {
		explain_incomplete(p, treatment, list);
		return;
	}
	treatment->encrypt = false;
	if (list->status == DIRECTORY_FAILED) {
		explain(p, treatment, list->failure);
		plan_refuse_not_asked(p->plan, list);
		return;
	}
	treatment->drop = must && treatment->rule->settings->no_certificate == NO_CERTIFICATE_DROP_RECIPIENT;
	explain(p, treatment, treatment->drop ? "dropped: no usable certificate" :
		"not encrypted: no usable certificate");
	why = why_unusable(p, list);
	if (why != NULL && why[0] != '\0')
		explain(p, treatment, why);
	if (must && !treatment->drop)
		refuse_missing(p, treatment);
}

/* Where nobody is left, there is nothing to accept. */
static void plan_dropped(struct planner *p)
{
	const struct treatment *each = p->plan->each;
	size_t i;

	for (i = 0; i < p->envelope->recipient_count; i++)
		if (!each[i].drop)
			return;
	refuse(p->plan, REPLY_NO_CERTIFICATE, ACTION_REJECT, name_missing(p, each[0].rule));
}

/* A message whose skeleton could not be read cannot be signed or encrypted. */
static void plan_skeleton(struct planner *p)
{
	const struct treatment *each = p->plan->each;
	size_t i;

	for (i = 0; i < p->envelope->recipient_count; i++)
		if (p->facts->mime.root == NULL && (each[i].sign || each[i].encrypt))
			refuse(p->plan, REPLY_MALFORMED, ACTION_REJECT,
			       arena_strdup(p->arena, p->facts->mime_err.text));
}

static int plan_allocate(struct planner *p, struct err *err)
{
	size_t n = p->envelope->recipient_count;

	memset(p->plan, 0, sizeof(*p->plan));
	p->plan->refusal.reply = REPLY_NONE;
	p->plan->refusal.action = ACTION_ACCEPT;
	p->plan->each = arena_array(p->arena, n, sizeof(*p->plan->each));
	p->plan->candidates = arena_array(p->arena, n, sizeof(*p->plan->candidates));
	p->plan->looked_up = arena_array(p->arena, n, sizeof(*p->plan->looked_up));
	p->plan->peers = arena_array(p->arena, n, sizeof(*p->plan->peers));
	if (p->plan->each == NULL || p->plan->candidates == NULL || p->plan->looked_up == NULL ||
	    p->plan->peers == NULL)
		return err_memory(err);
	if (n == 0)
		return err_set(err, ERR_BUG, "a message without recipients");
	return 0;
}

int plan_make(const struct gate_env *env, const struct envelope *envelope, const struct facts *facts,
	      struct arena *arena, struct plan *plan, struct err *err)
{
	struct planner planner = { env, env->site, envelope, facts, arena, plan };
	size_t i;

	if (plan_allocate(&planner, err) != 0)
		return -1;
	plan_loop(&planner);
	plan_not_told(&planner);
	plan_rules(&planner);
	plan_keys(&planner);
	if (peers_find(env, envelope, facts, arena, plan, err) != 0)
		return -1;
	for (i = 0; i < envelope->recipient_count; i++)
		if (plan->looked_up[i])
			judge_candidates(&planner, i);
	if (readers_check(env, envelope, facts, arena, plan, err) != 0)
		return -1;
	plan_dropped(&planner);
	plan_skeleton(&planner);
	if (plan->refusal.reply != REPLY_NONE)
		return 0;
	if (group_make(planner.site, envelope, facts, arena, plan, err) != 0 || plan->refusal.reply != REPLY_NONE)
		return plan->refusal.reply != REPLY_NONE ? 0 : -1;
	return peers_complete(env, facts, arena, plan, err);
}
