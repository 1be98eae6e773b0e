/* treatment.c - from a rule to a wish, and the comparison that decides whether recipients can share one message. */
#include "gate/treatment.h"

#include <string.h>

/* Without a rule: inbound mail is verified against every collection and marked, everything else goes on unchanged. */
static void wish_without_rule(enum direction direction, struct treatment *treatment)
{
	treatment->sends = direction != DIRECTION_INBOUND;
	treatment->verify = direction == DIRECTION_INBOUND;
	treatment->clean = direction == DIRECTION_INBOUND;
}

void treatment_wish(const struct rule *rule, enum direction direction, const struct facts *facts,
		    struct treatment *treatment)
{
	bool sends = direction != DIRECTION_INBOUND, receives = direction != DIRECTION_OUTBOUND;
	enum kind kind = facts->policy.kind;

	memset(treatment, 0, sizeof(*treatment));
	if (facts->own_copy) {
		treatment->why = "a copy that this gateway made";
		return;
	}
	treatment->rule = rule;
	treatment->why = rule != NULL ? "" : "no rule matches";
	if (rule == NULL) {
		wish_without_rule(direction, treatment);
		return;
	}
	treatment->verify = receives && (rule->settings->verify != VERIFY_OFF ||
					 rule->settings->require_protection.n > 0);
	treatment->clean = receives;
	treatment->unwrap = receives && rule->settings->remove_signature;
	treatment->sign = sends && rule->settings->sign != SIGN_NO;
	treatment->sends = sends;
	treatment->raised = sends && facts->encryption_asked;
	treatment->encrypt = treatment->raised || (sends && rule->settings->encrypt != ENCRYPT_NO);
	if (rule->settings->wrap_protected)
		return;
	if (kind == KIND_ENCRYPTED) {
		treatment->check_envelope = treatment_must_encrypt(treatment, facts);
		treatment->encrypt = false;
	}
	if (kind == KIND_ENCRYPTED || kind == KIND_SIGNED)
		treatment->sign = false;
}

bool treatment_must_sign(const struct treatment *treatment, const struct facts *facts)
{
	return treatment->sign && treatment->rule->settings->sign == SIGN_REQUIRE && !facts->excused;
}

bool treatment_must_encrypt(const struct treatment *treatment, const struct facts *facts)
{
	return treatment->encrypt && !facts->excused &&
	       (treatment->raised || treatment->rule->settings->encrypt == ENCRYPT_REQUIRE);
}

static bool enums_equal(const struct conf_enums *a, const struct conf_enums *b)
{
	return a->n == b->n && memcmp(a->items, b->items, a->n * sizeof(a->items[0])) == 0;
}

static bool strings_equal(const struct conf_strings *a, const struct conf_strings *b)
{
	size_t i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

static bool sign_equal(const struct treatment *a, const struct treatment *b)
{
	const struct rule_settings *x = a->rule->settings, *y = b->rule->settings;

	return a->key == b->key && x->sign_format == y->sign_format && x->sign_padding == y->sign_padding &&
	       x->include_chain == y->include_chain && x->announce_encryption == y->announce_encryption &&
	       enums_equal(&x->digests, &y->digests);
}

static bool encrypt_equal(const struct treatment *a, const struct treatment *b)
{
	const struct rule_settings *x = a->rule->settings, *y = b->rule->settings;

	return x->key_transport == y->key_transport && x->recipient_identifier == y->recipient_identifier &&
	       strings_equal(&x->additional_recipients, &y->additional_recipients) && x->bcc == y->bcc &&
	       x->triple_wrap == y->triple_wrap && enums_equal(&x->ciphers, &y->ciphers);
}

static bool verify_equal(const struct treatment *a, const struct treatment *b)
{
	const struct rule_settings *x = NULL, *y = NULL;

	if (a->rule == NULL || b->rule == NULL)
		return a->rule == b->rule;
	x = a->rule->settings;
	y = b->rule->settings;
	return x->verify == y->verify && x->remove_results == y->remove_results &&
	       enums_equal(&x->require_protection, &y->require_protection) &&
	       enums_equal(&x->mismatch_attributes, &y->mismatch_attributes) &&
	       strings_equal(&x->accept_signer, &y->accept_signer) && strings_equal(&x->from, &y->from) &&
	       strings_equal(&x->collection, &y->collection);
}

/* What came is looked at for those inside, which does those outside no harm: one of both may go without. */
static bool receives_equal(const struct treatment *a, const struct treatment *b)
{
	return !a->clean || !b->clean || (a->verify == b->verify && verify_equal(a, b));
}

static bool strip_equal(const struct rule *a, const struct rule *b)
{
	static const struct conf_strings none = { NULL, 0 };

	return strings_equal(a != NULL ? &a->settings->strip_headers : &none,
			     b != NULL ? &b->settings->strip_headers : &none);
}

bool treatment_equal(const struct treatment *a, const struct treatment *b)
{
	if (a->sign != b->sign || a->encrypt != b->encrypt || a->unwrap != b->unwrap)
		return false;
	if (a->rule == b->rule)
		return true;
	if (!strip_equal(a->rule, b->rule))
		return false;
	return receives_equal(a, b) && (!a->sign || sign_equal(a, b)) && (!a->encrypt || encrypt_equal(a, b));
}
