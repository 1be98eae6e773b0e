/* overlap.c - see overlap.h. Called by gate/site.c. Pure. */
#include "policy/overlap.h"

#define ALL_DIRECTIONS (1U << DIRECTION_INBOUND | 1U << DIRECTION_OUTBOUND | 1U << DIRECTION_INTERNAL)
#define SENDING (1U << DIRECTION_OUTBOUND | 1U << DIRECTION_INTERNAL)
#define RECEIVING (1U << DIRECTION_INBOUND | 1U << DIRECTION_INTERNAL)

static bool is_below(struct slice domain, struct slice other)
{
	return domain.n > other.n + 1 && domain.p[domain.n - other.n - 1] == '.' &&
	       slice_equal(slice_from(domain, domain.n - other.n), other);
}

/* Is there a domain below both? */
static bool subdomains_meet(struct slice a, struct slice b)
{
	return slice_equal(a, b) || is_below(a, b) || is_below(b, a);
}

/* Is there an address that both match? pattern_match serves where one of them stands for a single address or domain. */
static bool patterns_meet(const struct pattern *a, const struct pattern *b)
{
	if (a->form == PATTERN_ANY || b->form == PATTERN_ANY)
		return true;
	if (a->form == PATTERN_NULL || b->form == PATTERN_NULL)
		return a->form == b->form;
	if (a->form == PATTERN_SUBDOMAINS && b->form == PATTERN_SUBDOMAINS)
		return subdomains_meet(a->address.domain, b->address.domain);
	if (b->form == PATTERN_ADDRESS || a->form == PATTERN_SUBDOMAINS)
		return pattern_match(a, &b->address);
	return pattern_match(b, &a->address);
}

static bool lists_meet(const struct pattern_list *a, const struct pattern_list *b)
{
	size_t i, k;

	if (a->n == 0 || b->n == 0)
		return true;
	for (i = 0; i < a->n; i++)
		for (k = 0; k < b->n; k++)
			if (patterns_meet(&a->items[i], &b->items[k]))
				return true;
	return false;
}

/* A reply to encrypted mail is a reply. */
static bool replies_meet(int one, int other)
{
	return one == REPLY_ANY || other == REPLY_ANY || (one == REPLY_FALSE) == (other == REPLY_FALSE);
}

static bool rules_meet(const struct rule *a, const struct rule *b)
{
	return lists_meet(&a->sender, &b->sender) && lists_meet(&a->recipient, &b->recipient) &&
	       lists_meet(&a->from, &b->from) &&
	       (a->authenticated < 0 || b->authenticated < 0 || a->authenticated == b->authenticated) &&
	       (a->kinds == 0 || b->kinds == 0 || (a->kinds & b->kinds) != 0) &&
	       replies_meet(a->settings->reply, b->settings->reply);
}

static bool asks_for_content(const struct rule *rule)
{
	return rule->settings->header.name != NULL || rule->kinds != 0 || rule->from.n > 0 ||
	       rule->settings->reply != REPLY_ANY;
}

static bool demands(const struct rule_settings *settings, enum protection protection)
{
	size_t i;

	for (i = 0; i < settings->require_protection.n; i++)
		if (settings->require_protection.items[i] == (int)protection)
			return true;
	return false;
}

const char *overlap_weakens(const struct rule *earlier, const struct rule *later)
{
	const struct rule_settings *a = earlier->settings, *b = later->settings;
	unsigned both = (earlier->directions != 0 ? earlier->directions : ALL_DIRECTIONS) &
			(later->directions != 0 ? later->directions : ALL_DIRECTIONS);
	bool sends = (both & SENDING) != 0, receives = (both & RECEIVING) != 0;

	if (both == 0 || !asks_for_content(earlier) || !rules_meet(earlier, later))
		return NULL;
	if (sends && b->encrypt == ENCRYPT_REQUIRE && a->encrypt != ENCRYPT_REQUIRE)
		return "encryption";
	if (sends && b->sign == SIGN_REQUIRE && a->sign != SIGN_REQUIRE)
		return "a signature";
	if (receives && ((demands(b, PROTECTION_ENCRYPTED) && !demands(a, PROTECTION_ENCRYPTED)) ||
			 (demands(b, PROTECTION_SIGNED) && !demands(a, PROTECTION_SIGNED))))
		return "require_protection";
	return NULL;
}
