/* readers.c - see readers.h. Called by plan.c. */
#include "gate/readers.h"

#include <string.h>

#include "gate/peers.h"
#include "smime/sealed.h"

enum standing { NOBODY_KNOWN, CAN_READ, CANNOT_READ, NOT_ASKED };	/* of a group's members the greatest counts */

struct reading {
	const struct gate_env *env;
	const struct envelope *envelope;
	const struct facts *facts;
	struct arena *arena;
	struct plan *plan;
	struct sealed sealed;
	enum standing *standings;	/* per recipient */
	const struct candidate_list **failures;	/* NOT_ASKED: why */
};

static bool is_allowed(const struct conf_enums *ciphers, const char *name)
{
	for (size_t i = 0; name != NULL && i < ciphers->n; i++)
		if (strcmp(cipher_names[ciphers->items[i]], name) == 0)
			return true;
	return false;
}

static bool can_read(const struct reading *check, const struct candidate_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->items[i].usable && sealed_is_for(&check->sealed, list->items[i].cert))
			return true;
	return false;
}

static enum standing standing_of(const struct reading *check, const struct candidate_list *list)
{
	if (can_read(check, list))
		return CAN_READ;
	if (list->status == DIRECTORY_FAILED || list->incomplete)
		return NOT_ASKED;
	return list->status == DIRECTORY_FOUND ? CANNOT_READ : NOBODY_KNOWN;
}

/* A group reads what all its members read. Where one of them has a certificate, the others need one too: who encrypted
 * knew no more than we do. */
static enum standing standing_of_all(const struct reading *check, const struct candidate_list *list)
{
	enum standing all = standing_of(check, list);
	bool unknown = false;

	if (!list->group || list->member_count == 0 || all == CAN_READ)
		return all;
	all = NOBODY_KNOWN;
	for (size_t i = 0; i < list->member_count; i++) {
		enum standing his = standing_of(check, &list->members[i].list);

		unknown |= his == NOBODY_KNOWN;
		if (his > all)
			all = his;
	}
	return all == CAN_READ && unknown ? CANNOT_READ : all;
}

/* One answer more. Who can read it can, whatever else is found; a directory that is down may have just the
 * certificate. */
static void weigh(struct reading *check, size_t i, const struct candidate_list *list)
{
	enum standing *standing = &check->standings[i], found = standing_of_all(check, list);

	if (*standing == CAN_READ)
		return;
	if (found == CAN_READ || found == NOT_ASKED || *standing == NOBODY_KNOWN)
		*standing = found;
	if (found == NOT_ASKED)
		check->failures[i] = list;
}

static bool is_wanted(const struct reading *check, size_t i)
{
	return check->plan->each[i].check_envelope && check->standings[i] != CAN_READ;
}

static int ask(struct reading *check, const struct rule *rule, const struct encrypt_to *to, struct err *err)
{
	const size_t n = check->envelope->recipient_count;
	size_t *who = arena_array(check->arena, n, sizeof(*who)), count = 0;
	struct address *addresses = arena_array(check->arena, n, sizeof(*addresses));
	struct candidate_list *lists = arena_array(check->arena, n, sizeof(*lists));

	if (who == NULL || addresses == NULL || lists == NULL)
		return err_memory(err);
	for (size_t i = 0; i < n; i++)
		if (is_wanted(check, i) && check->plan->each[i].rule == rule)
			who[count++] = i;
	if (peers_ask(&(struct peers_question){ check->env, check->facts, check->arena, rule, to, who, count }, addresses,
		      lists, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		weigh(check, who[i], &lists[i]);
	return 0;
}

/* Was the rule of recipient i that of one before him? */
static bool is_repeated(const struct reading *check, size_t i)
{
	const struct treatment *each = check->plan->each;

	for (size_t k = 0; k < i; k++)
		if (each[k].check_envelope && each[k].rule == each[i].rule)
			return true;
	return false;
}

static int ask_all(struct reading *check, struct err *err)
{
	for (size_t i = 0; i < check->envelope->recipient_count; i++) {
		const struct rule *rule = check->plan->each[i].rule;

		if (!check->plan->each[i].check_envelope || is_repeated(check, i))
			continue;
		for (size_t k = 0; k < rule->encrypt_to_count; k++)
			if (ask(check, rule, &rule->encrypt_to[k], err) != 0)
				return -1;
	}
	return 0;
}

struct left_out {
	const struct reading *check;
	const struct rule *rule;
};

/* One of the rule for whom it is not encrypted. */
static bool is_left_out(const void *self, size_t i)
{
	const struct left_out *left_out = self;

	return left_out->check->plan->each[i].rule == left_out->rule &&
	       left_out->check->standings[i] == CANNOT_READ;
}

static void refuse_left_out(const struct reading *check, const struct rule *rule)
{
	const struct left_out left_out = { check, rule };
	const char *names = envelope_names(check->arena, check->envelope, is_left_out, &left_out);

	plan_refuse(check->plan, REPLY_NO_CERTIFICATE, ACTION_REJECT, names == NULL ? NULL :
		    arena_printf(check->arena, "the message came encrypted, but not for the certificate of %s (rule %s)",
				 names, rule->id), NULL);
}

static void judge(const struct reading *check, size_t i)
{
	static const char *const whys[] = {
		[NOBODY_KNOWN] = "encrypted already; no usable certificate says for whom it should be",
		[CAN_READ] = "encrypted already, for a certificate of this recipient",
		[CANNOT_READ] = "encrypted already, but for no certificate of this recipient",
		[NOT_ASKED] = "encrypted already; whether for this recipient could not be asked",
	};
	struct treatment *treatment = &check->plan->each[i];

	treatment->why = whys[check->standings[i]];
	if (check->standings[i] == NOT_ASKED)
		plan_refuse_not_asked(check->plan, check->failures[i]);
	else if (check->standings[i] == CANNOT_READ)
		refuse_left_out(check, treatment->rule);
}

/* Nobody need be asked then. */
static bool refuse_cipher(const struct reading *check, size_t i)
{
	struct treatment *treatment = &check->plan->each[i];
	const char *cipher = check->sealed.cipher != NULL ? check->sealed.cipher : "an unknown cipher";

	if (is_allowed(&treatment->rule->settings->ciphers, check->sealed.cipher))
		return false;
	treatment->why = "encrypted already, but by a cipher that the rule does not allow";
	plan_refuse(check->plan, REPLY_NO_CERTIFICATE, ACTION_REJECT,
		    arena_printf(check->arena, "the message came encrypted with %s, which rule %s does not allow", cipher,
				 treatment->rule->id), NULL);
	return true;
}

static int check_envelope(struct reading *check, struct err *err)
{
	const size_t n = check->envelope->recipient_count;
	const struct treatment *each = check->plan->each;
	bool refused = false;

	check->standings = arena_array(check->arena, n, sizeof(*check->standings));
	check->failures = arena_array(check->arena, n, sizeof(*check->failures));
	if (check->standings == NULL || check->failures == NULL)
		return err_memory(err);
	for (size_t i = 0; i < n; i++)
		refused |= each[i].check_envelope && refuse_cipher(check, i);
	if (refused)
		return 0;
	if (ask_all(check, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (each[i].check_envelope)
			judge(check, i);
	return 0;
}

int readers_check(const struct gate_env *env, const struct envelope *envelope, const struct facts *facts,
		  struct arena *arena, struct plan *plan, struct err *err)
{
	struct reading check = { .env = env, .envelope = envelope, .facts = facts, .arena = arena, .plan = plan };
	const struct mime_part *root = facts->mime.root;
	enum cms_type type = CMS_NONE;
	size_t i = 0;

	while (i < envelope->recipient_count && !plan->each[i].check_envelope)
		i++;
	if (i == envelope->recipient_count || root == NULL)
		return 0;
	if (kind_cms_type(arena, facts->message, root, &type, err) != 0)
		return -1;
	if (type != CMS_ENVELOPED && type != CMS_AUTH_ENVELOPED)
		return 0;
	if (sealed_read(arena, facts->message, root, &check.sealed, err) != 0)
		return -1;
	return check_envelope(&check, err);
}
