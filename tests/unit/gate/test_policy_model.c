/* test_policy_model.c - random policies and recipients: what plan_make decides is compared with a slow model, which is
 * written from the manual and shares no code with it. Certificates, keys and directories are only names here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate/gate.h"
#include "gate/plan.h"
#include "gate/readers.h"
#include "support/testdir.h"

#define POLICIES 10000
#define RULES 5
#define PEOPLE 9
#define MEMBERS 3	/* of a group */

/* What the directories and key stores would say. */

/* The last digit of the local part says what there is: 0 to 5 certificates of several abilities, 6 and 7 none, 8 no
 * answer. Who begins with g is a group: itself as a person, and two more. */
static const struct capabilities abilities[] = {
	{ false, 0 }, { true, 15 }, { true, 1U << CIPHER_AES256_CBC | 1U << CIPHER_AES128_CBC },
	{ true, 1U << CIPHER_AES128_CBC }, { true, 1U << CIPHER_AES256_GCM }, { true, 0 },
};

static char certs[10], keys[3];
static bool keys_away;

static int digit_of(struct slice local)
{
	return local.n > 0 && local.p[local.n - 1] >= '0' && local.p[local.n - 1] <= '8' ? local.p[local.n - 1] - '0' : 6;
}

static size_t digits_of(struct slice local, int digits[MEMBERS])
{
	digits[0] = digit_of(local);
	digits[1] = (digits[0] + 2) % 5;
	digits[2] = digits[0] == 4 ? 6 : (digits[0] * 2) % 6;
	return local.n > 0 && local.p[0] == 'g' && !slice_is(local, "gate") ? MEMBERS : 1;
}

/* Of several people: one who could not be asked for counts before one who has none. */
static enum directory_status status_of(const int *digits, size_t n)
{
	enum directory_status status = DIRECTORY_FOUND;

	for (size_t i = 0; i < n; i++) {
		if (digits[i] > 7)
			return DIRECTORY_FAILED;
		if (digits[i] > 5)
			status = DIRECTORY_NONE;
	}
	return status;
}

int candidate_find(struct arena *arena, const struct candidate_query *query, struct candidate_list *lists,
		   struct err *err)
{
	(void)err;
	for (size_t i = 0; i < query->n; i++) {
		int digits[MEMBERS];
		size_t n = digits_of(query->addresses[i].local, digits);
		struct candidate *used = arena_array(arena, n, sizeof(*used));

		lists[i] = (struct candidate_list){ .status = status_of(digits, n), .failure = "away", .group = n > 1 };
		if (lists[i].status != DIRECTORY_FOUND)
			continue;
		lists[i].chosen = arena_array(arena, n, sizeof(*lists[i].chosen));
		lists[i].chosen_count = n;
		for (size_t k = 0; k < n; k++) {
			used[k].cert = (struct cert *)(void *)&certs[digits[k]];
			used[k].capabilities = abilities[digits[k]];
			lists[i].chosen[k] = (struct candidate_choice){ query->addresses[i], &used[k] };
		}
	}
	return 0;
}

int keystore_signing_key(const struct keystore *stores, size_t store_count, struct arena *arena,
			 const struct address *address, time_t at, struct key **key, const char **reason, struct err *err)
{
	(void)stores, (void)store_count, (void)arena, (void)at;
	*reason = "no key";
	if (keys_away)
		return err_set(err, ERR_TEMP, "token away");
	if (slice_is_nocase(address->local, "alice"))
		*key = (struct key *)(void *)&keys[1];
	else if (slice_is_nocase(address->local, "gate"))
		*key = (struct key *)(void *)&keys[2];
	else
		return 0;
	return 1;
}

int keystore_encryption_cert(const struct keystore *stores, size_t store_count, struct arena *arena,
			     const struct address *address, time_t at, const struct cert **cert, struct err *err)
{
	(void)stores, (void)store_count, (void)arena, (void)address, (void)at, (void)cert, (void)err;
	return 0;
}

bool cert_equal(const struct cert *a, const struct cert *b)
{
	return a == b;
}

/* No mail here has a body: what is encrypted already is for golden cases. */
int readers_check(const struct gate_env *env, const struct envelope *envelope, const struct facts *facts,
		  struct arena *arena, struct plan *plan, struct err *err)
{
	(void)env, (void)envelope, (void)facts, (void)arena, (void)plan, (void)err;
	return 0;
}

/* A policy and a mail, by chance. */

struct world {
	struct arena *arena;
	unsigned state;			/* of the generator */
	struct site site;
	struct rule rules[RULES];
	struct rule_settings settings[RULES];
	const char *domains[RULES];	/* NULL: any */
	struct envelope envelope;
	struct recipient recipients[PEOPLE];
	struct address lookup[PEOPLE];
	enum direction directions[PEOPLE];
	bool visible[PEOPLE];
	struct facts facts;
};

static unsigned chance(struct world *w, unsigned n)
{
	w->state ^= w->state << 13;
	w->state ^= w->state >> 17;
	w->state ^= w->state << 5;
	return w->state % n;
}

static struct conf_enums some_ciphers(struct world *w)
{
	static const struct conf_enums lists[] = {
		{ { CIPHER_AES256_CBC, CIPHER_AES128_CBC, CIPHER_AES256_GCM }, 3 }, { { CIPHER_AES256_CBC }, 1 },
		{ { CIPHER_AES256_GCM, CIPHER_AES128_CBC }, 2 },
		{ { CIPHER_AES128_GCM, CIPHER_AES256_GCM, CIPHER_AES128_CBC }, 3 },
	};

	return lists[chance(w, 4)];
}

static const char *const domain_names[] = { "a.example", "b.example", "c.example", "local.example" };

/* One value of two or three, the first mostly: else no two rules would ever be equal. */
static int mostly_first(struct world *w, unsigned n)
{
	return chance(w, 4) != 0 ? 0 : (int)chance(w, n);
}

static void make_actions(struct world *w, struct rule_settings *s, struct rule *rule)
{
	static const char *escrow[] = { "escrow1@local.example" }, *bad[] = { "escrow7@local.example" },
			  *away[] = { "escrow8@local.example" };
	static const char **const lists[] = { escrow, escrow, escrow, bad, away };
	unsigned which = chance(w, 16);

	s->sign = (int)chance(w, 3);
	s->sign_for = mostly_first(w, 2) == 0 ? SIGN_FOR_SENDER : SIGN_FOR_ANY;
	s->sign_format = mostly_first(w, 2);
	s->encrypt = (int)chance(w, 3);
	s->key_transport = mostly_first(w, 2);
	s->recipient_identifier = mostly_first(w, 2);
	s->bcc = (int)chance(w, 3);
	s->no_certificate = (int)chance(w, 3);
	s->triple_wrap = mostly_first(w, 2) != 0;
	s->wrap_protected = mostly_first(w, 2) != 0;
	s->ciphers = some_ciphers(w);
	if (which < 5) {
		s->additional_recipients = (struct conf_strings){ lists[which], 1 };
		rule->additional = arena_array(w->arena, 1, sizeof(*rule->additional));
		rule->additional_count = 1;
		assert_int_equal(address_parse(w->arena, slice_of(lists[which][0]), &rule->additional[0].address, NULL), 0);
	}
}

static void make_rule(struct world *w, size_t i)
{
	struct rule *rule = &w->rules[i];
	struct rule_settings *s = &w->settings[i];
	static const char *const patterns[] = { "*@a.example", "*@b.example", "*@c.example", "*@local.example" };
	unsigned domain = chance(w, 6);

	memset(rule, 0, sizeof(*rule));
	memset(s, 0, sizeof(*s));
	rule->settings = s;
	rule->id = s->id = "r";
	rule->authenticated = -1;
	rule->directions = chance(w, 3) == 0 ? 1U << (1 + chance(w, 2)) : 0;
	w->domains[i] = NULL;
	if (domain < 4) {
		w->domains[i] = domain_names[domain];
		rule->recipient = (struct pattern_list){ arena_array(w->arena, 1, sizeof(struct pattern)), 1 };
		assert_int_equal(pattern_parse_address(w->arena, patterns[domain], rule->recipient.items, NULL), 0);
	}
	rule->sign_as = arena_array(w->arena, 2, sizeof(*rule->sign_as));
	rule->sign_as_count = 1 + chance(w, 2);
	assert_int_equal(address_parse(w->arena, slice_of("gate@local.example"), &rule->sign_as[1].address, NULL), 0);
	rule->sign_as[1].who = SIGN_AS_ADDRESS;
	rule->encrypt_to = arena_array(w->arena, 2, sizeof(*rule->encrypt_to));
	rule->encrypt_to_count = 1 + (chance(w, 4) == 0);
	rule->encrypt_to[1].kind = ENCRYPT_TO_ADDRESS;
	assert_int_equal(address_parse(w->arena, slice_of(chance(w, 3) == 0 ? "hub8@h.example" : "hub2@h.example"),
				       &rule->encrypt_to[1].address, NULL), 0);
	make_actions(w, s, rule);
}

static void make_mail(struct world *w)
{
	static const enum kind kinds[] = { KIND_PLAIN, KIND_PLAIN, KIND_PLAIN, KIND_SIGNED, KIND_ENCRYPTED };
	static const struct header empty = { NULL, 0 };
	static struct mime_part root;
	size_t n = 1 + chance(w, PEOPLE);

	for (size_t i = 0; i < n; i++) {
		unsigned domain = chance(w, 4), digit = chance(w, 40);

		/* mostly somebody who has one */
		digit = digit > 8 ? digit % 5 : digit;
		w->recipients[i].args = "";
		assert_int_equal(address_parse(w->arena, slice_of(arena_printf(w->arena, "%c%u%u@%s",
									       chance(w, 6) == 0 ? 'g' : 'p', chance(w, 30), digit,
									       domain_names[domain])), &w->lookup[i], NULL), 0);
		w->recipients[i].address = w->lookup[i];
		w->directions[i] = domain == 3 ? DIRECTION_INTERNAL : DIRECTION_OUTBOUND;
		w->visible[i] = chance(w, 3) != 0;
		/* Who is named twice is as visible the second time. */
		for (size_t k = 0; k < i; k++)
			if (address_equal(&w->lookup[k], &w->lookup[i]))
				w->visible[i] = w->visible[k];
	}
	w->envelope = (struct envelope){ .queue_id = "", .sender_args = "", .recipients = w->recipients, .recipient_count = n,
					 .daemon_name = "" };
	memset(&w->facts, 0, sizeof(w->facts));
	assert_int_equal(address_parse(w->arena, slice_of(chance(w, 4) == 0 ? "bob@local.example" : "alice@local.example"),
				       &w->facts.from, NULL), 0);
	w->facts.from_form = chance(w, 10) == 0 ? MAILBOX_MANY : MAILBOX_SINGLE;
	w->facts.ours = true;
	w->facts.may_sign_as_sender = chance(w, 5) != 0;
	w->facts.encryption_asked = chance(w, 10) == 0;
	w->facts.excused = chance(w, 15) == 0;
	w->facts.mime.root = &root;
	w->facts.policy = (struct policy_facts){ .sender = &w->facts.from, .from = &w->facts.from, .header = &empty,
						 .kind = kinds[chance(w, 5)] };
	w->facts.lookup = w->facts.base = w->lookup;
	w->facts.directions = w->directions;
	w->facts.visible = w->visible;
	keys_away = chance(w, 40) == 0;
}

/* The model. */

struct person {
	const struct rule *rule;
	int key;			/* signed with; 0: not signed */
	int digits[MEMBERS];		/* of whose certificates it is encrypted to */
	size_t count;			/* 0: not encrypted */
	bool drop;
	char decision[200];		/* all that makes a message for him what it is, written out */
	char alone[80];			/* with whom a group is shared at all */
};

struct model {
	struct person people[PEOPLE];
	bool later[REPLY_COUNT], never[REPLY_COUNT];	/* the reasons for 451, and for 550 */
	int group[PEOPLE];		/* number, in the order of founding; -1: none */
	int group_count;
};

static const struct rule *model_rule(const struct world *w, size_t i)
{
	for (size_t k = 0; k < RULES; k++) {
		bool direction = w->rules[k].directions == 0 || w->rules[k].directions == 1U << w->directions[i];

		if (direction && (w->domains[k] == NULL || slice_is_nocase(w->lookup[i].domain, w->domains[k])))
			return &w->rules[k];
	}
	return NULL;
}

static void model_sign(const struct world *w, struct model *m, struct person *p)
{
	const struct rule_settings *s = p->rule->settings;
	bool may = w->facts.from_form == MAILBOX_SINGLE && (s->sign_for == SIGN_FOR_ANY || w->facts.may_sign_as_sender);

	if (s->sign == SIGN_NO || (w->facts.policy.kind != KIND_PLAIN && !s->wrap_protected))
		return;
	if (may && keys_away)
		m->later[REPLY_KEYSTORE] = true;
	else if (may && slice_is_nocase(w->facts.from.local, "alice"))
		p->key = 1;
	else if (may && p->rule->sign_as_count == 2)
		p->key = 2;
	else if (s->sign == SIGN_REQUIRE && !w->facts.excused)
		m->never[REPLY_NO_KEY] = true;
}

/* What is found for him, or else for who stands in. */
static enum directory_status model_certificates(const struct world *w, size_t i, const struct rule *rule, int digits[MEMBERS],
						size_t *n)
{
	*n = digits_of(w->lookup[i].local, digits);
	if (status_of(digits, *n) == DIRECTORY_NONE && rule->encrypt_to_count == 2)
		*n = digits_of(rule->encrypt_to[1].address.local, digits);
	return status_of(digits, *n);
}

static void model_encrypt(const struct world *w, struct model *m, size_t i)
{
	struct person *p = &m->people[i];
	const struct rule_settings *s = p->rule->settings;
	bool asked = w->facts.encryption_asked, must = !w->facts.excused && (asked || s->encrypt == ENCRYPT_REQUIRE);
	enum directory_status status;
	int digits[MEMBERS];
	size_t n;

	if ((!asked && s->encrypt == ENCRYPT_NO) || (w->facts.policy.kind == KIND_ENCRYPTED && !s->wrap_protected))
		return;
	status = model_certificates(w, i, p->rule, digits, &n);
	if (status == DIRECTORY_FOUND) {
		memcpy(p->digits, digits, sizeof(digits));
		p->count = n;
	} else if (status == DIRECTORY_FAILED)
		m->later[REPLY_DIRECTORY] = true;
	else if (must && s->no_certificate == NO_CERTIFICATE_DROP_RECIPIENT)
		p->drop = true;
	else if (must && s->no_certificate == NO_CERTIFICATE_TEMPFAIL)
		m->later[REPLY_NO_CERTIFICATE_LATER] = true;
	else if (must)
		m->never[REPLY_NO_CERTIFICATE] = true;
}

static void model_decide(const struct world *w, struct model *m, size_t i)
{
	struct person *p = &m->people[i];

	*p = (struct person){ .rule = model_rule(w, i) };
	if (p->rule != NULL) {
		model_sign(w, m, p);
		model_encrypt(w, m, i);
	} else if (w->facts.encryption_asked && w->facts.policy.kind != KIND_ENCRYPTED) {
		m->never[REPLY_NO_CERTIFICATE] = true;
	}
}

static void model_describe(const struct world *w, struct person *p, size_t i)
{
	const struct rule_settings *s = p->rule != NULL ? p->rule->settings : NULL;
	const char *address = arena_string(w->arena, w->lookup[i].text);
	char sign[40] = "", encrypt[120] = "", ciphers[10] = "";

	if (p->key != 0)
		snprintf(sign, sizeof(sign), "signed with %d, %d", p->key, s->sign_format);
	for (size_t c = 0; p->count > 0 && c < s->ciphers.n; c++)
		ciphers[c] = (char)('a' + s->ciphers.items[c]);
	if (p->count > 0)
		snprintf(encrypt, sizeof(encrypt), "encrypted, %d, %d, %d, %s, %d, %s", s->key_transport,
			 s->recipient_identifier, s->triple_wrap,
			 s->additional_recipients.n > 0 ? s->additional_recipients.items[0] : "", s->bcc,
			 ciphers);
	snprintf(p->decision, sizeof(p->decision), "%s; %s", sign, encrypt);
	if (p->count == 0 || w->visible[i] || s->bcc == BCC_TOGETHER)
		snprintf(p->alone, sizeof(p->alone), "open");
	else
		snprintf(p->alone, sizeof(p->alone), "hidden %s", s->bcc == BCC_FORK_EACH ? address : "");
}

/* The manual's words for `ciphers`. */
static int model_cipher(const struct rule_settings *s, const int *digits, size_t n)
{
	static const int strongest_first[] = { CIPHER_AES256_GCM, CIPHER_AES128_GCM, CIPHER_AES256_CBC, CIPHER_AES128_CBC };

	for (size_t c = 0; c < 4; c++) {
		bool listed = false, common = true;

		for (size_t i = 0; i < s->ciphers.n; i++)
			listed = listed || s->ciphers.items[i] == strongest_first[c];
		for (size_t i = 0; i < n; i++)
			common = common && abilities[digits[i]].known && (abilities[digits[i]].ciphers & 1U << strongest_first[c]);
		if (listed && common)
			return strongest_first[c];
	}
	return s->ciphers.items[0];
}

static bool model_can_read(const struct rule_settings *s, const int *digits, size_t n)
{
	int cipher = model_cipher(s, digits, n);

	for (size_t i = 0; i < n; i++)
		if (abilities[digits[i]].known && (abilities[digits[i]].ciphers & 1U << cipher) == 0)
			return false;
	return true;
}

/* What a person, or group, whom no listed cipher suits can read does not matter: he is as one who never said. */
static size_t model_abilities(const struct person *p, int *digits)
{
	bool suited = p->count > 0 && model_can_read(p->rule->settings, p->digits, p->count);

	for (size_t i = 0; i < p->count; i++)
		digits[i] = suited ? p->digits[i] : 0;
	return p->count;
}

static bool model_fits(const struct model *m, size_t i, int group)
{
	int digits[PEOPLE * MEMBERS];
	size_t n = 0;

	for (size_t k = 0; k < i; k++) {
		if (m->group[k] != group)
			continue;
		if (strcmp(m->people[k].decision, m->people[i].decision) != 0 || strcmp(m->people[k].alone, m->people[i].alone) != 0)
			return false;
		n += model_abilities(&m->people[k], digits + n);
	}
	if (m->people[i].count == 0)
		return true;
	n += model_abilities(&m->people[i], digits + n);
	return model_can_read(m->people[i].rule->settings, digits, n);
}

static void model_group(const struct world *w, struct model *m)
{
	for (size_t i = 0; i < w->envelope.recipient_count; i++) {
		m->group[i] = -1;
		for (int g = 0; m->group[i] < 0 && g < m->group_count && !m->people[i].drop; g++)
			if (model_fits(m, i, g))
				m->group[i] = g;
		if (m->group[i] < 0 && !m->people[i].drop)
			m->group[i] = m->group_count++;
	}
	if (m->group_count > w->site.settings.limits.copies + 1)
		m->never[REPLY_SEPARATE] = true;
}

static void model_extras(const struct world *w, struct model *m)
{
	for (size_t i = 0; i < w->envelope.recipient_count; i++) {
		const struct rule *rule = m->people[i].rule;

		if (m->people[i].count == 0 || rule->additional_count == 0)
			continue;
		m->later[REPLY_DIRECTORY] = m->later[REPLY_DIRECTORY] || digit_of(rule->additional[0].address.local) == 8;
		m->never[REPLY_NO_CERTIFICATE] = m->never[REPLY_NO_CERTIFICATE] || digit_of(rule->additional[0].address.local) == 7;
	}
}

static bool any(const bool *reasons)
{
	for (size_t i = 0; i < REPLY_COUNT; i++)
		if (reasons[i])
			return true;
	return false;
}

static void model_make(const struct world *w, struct model *m)
{
	bool all_dropped = true;

	memset(m, 0, sizeof(*m));
	for (size_t i = 0; i < w->envelope.recipient_count; i++) {
		model_decide(w, m, i);
		model_describe(w, &m->people[i], i);
		all_dropped = all_dropped && m->people[i].drop;
	}
	if (all_dropped)
		m->never[REPLY_NO_CERTIFICATE] = true;
	if (any(m->later) || any(m->never))
		return;
	model_group(w, m);
	if (!any(m->never))
		model_extras(w, m);
}

/* The comparison. */

static void compare_refusal(const struct model *m, const struct plan *plan)
{
	const bool *reasons = any(m->later) ? m->later : m->never;

	assert_int_equal(plan->refusal.action, any(m->later) ? ACTION_TEMPFAIL : ACTION_REJECT);
	assert_true(plan->refusal.reply != REPLY_NONE && reasons[plan->refusal.reply]);
}

static size_t group_of(const struct plan *plan, size_t i)
{
	size_t found = SIZE_MAX;

	for (size_t g = 0; g < plan->group_count; g++)
		for (size_t k = 0; k < plan->groups[g].member_count; k++)
			if (plan->groups[g].members[k] == i) {
				assert_int_equal(found, SIZE_MAX);
				found = g;
			}
	return found;
}

static void compare_cipher(const struct model *m, const struct group *group)
{
	int digits[PEOPLE * MEMBERS];
	size_t n = 0;

	for (size_t k = 0; k < group->member_count; k++)
		n += model_abilities(&m->people[group->members[k]], digits + n);
	assert_int_equal(group->cipher, model_cipher(m->people[group->members[0]].rule->settings, digits, n));
}

static bool has_cert(const struct group *group, int digit)
{
	for (size_t i = 0; i < group->cert_count; i++)
		if (group->certs[i] == (const struct cert *)(void *)&certs[digit])
			return true;
	return false;
}

static void compare_person(const struct model *m, const struct plan *plan, size_t i)
{
	const struct person *p = &m->people[i];
	size_t group = group_of(plan, i);

	assert_ptr_equal(plan->each[i].rule, p->rule);
	assert_int_equal(plan->each[i].drop, p->drop);
	assert_int_equal(group == SIZE_MAX, p->drop);
	if (p->drop)
		return;
	assert_int_equal(plan->each[i].sign, p->key != 0);
	assert_int_equal(plan->each[i].encrypt, p->count > 0);
	if (p->key != 0)
		assert_ptr_equal(plan->each[i].key, &keys[p->key]);
	if (p->count == 0)
		return;
	compare_cipher(m, &plan->groups[group]);
	for (size_t k = 0; k < p->count; k++)
		assert_true(has_cert(&plan->groups[group], p->digits[k]));
}

/* Nobody's certificate is there but the members' and the rule's additional one's. */
static void compare_certs(const struct model *m, const struct group *group)
{
	bool wanted[10] = { false };
	const struct rule *rule = m->people[group->members[0]].rule;

	for (size_t k = 0; k < group->member_count; k++)
		for (size_t i = 0; i < m->people[group->members[k]].count; i++)
			wanted[m->people[group->members[k]].digits[i]] = true;
	if (m->people[group->members[0]].count > 0 && rule->additional_count > 0)
		wanted[digit_of(rule->additional[0].address.local)] = true;
	for (int digit = 0; digit < 10; digit++)
		assert_int_equal(has_cert(group, digit), wanted[digit]);
}

static void compare(const struct world *w, const struct model *m, const struct plan *plan)
{
	size_t n = w->envelope.recipient_count;
	bool open = false;

	if (any(m->later) || any(m->never)) {
		compare_refusal(m, plan);
		return;
	}
	assert_int_equal(plan->refusal.reply, REPLY_NONE);
	assert_int_equal(plan->group_count, m->group_count);
	for (size_t i = 0; i < n; i++) {
		compare_person(m, plan, i);
		for (size_t k = 0; k < i; k++)
			assert_int_equal(group_of(plan, i) == group_of(plan, k), m->group[i] == m->group[k]);
		open = open || (!m->people[i].drop && strcmp(m->people[i].alone, "open") == 0);
	}
	/* The original stays with those who are named in it, where there are any. */
	assert_int_equal(strcmp(m->people[plan->groups[0].members[0]].alone, "open") == 0, open);
	for (size_t g = 0; g < plan->group_count; g++)
		compare_certs(m, &plan->groups[g]);
}

static void plans_are_as_the_model_says(void **state)
{
	struct world w = { .state = 20261122 };
	struct gate_env env = { .site = &w.site };
	size_t refused = 0, groups = 0;
	struct model m;
	struct plan plan;
	struct err err;

	(void)state;
	w.site.clock = clock_system;
	w.site.settings.limits.recipient_infos = 1000;
	w.site.rules = w.rules;
	for (int policy = 0; policy < POLICIES; policy++) {
		w.arena = arena_new(0);
		w.site.rule_count = RULES;
		w.site.settings.limits.copies = chance(&w, 4) == 0 ? (int64_t)chance(&w, 4) : 50;
		for (size_t i = 0; i < RULES; i++)
			make_rule(&w, i);
		make_mail(&w);
		model_make(&w, &m);
		if (plan_make(&env, &w.envelope, &w.facts, w.arena, &plan, &err) != 0)
			fail_msg("policy %d: %s", policy, err.text);
		compare(&w, &m, &plan);
		refused += plan.refusal.reply != REPLY_NONE;
		groups += plan.refusal.reply == REPLY_NONE && plan.group_count > 1;
		arena_free(w.arena);
	}
	/* Both kinds have been there often enough to mean something. */
	assert_in_range(refused, POLICIES / 10, POLICIES * 7 / 10);
	assert_true(groups > POLICIES / 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(plans_are_as_the_model_says) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
