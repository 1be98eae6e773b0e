/* pattern.c - the patterns of rules: which addresses, which domains. Called by policy, pki's collections and
 * directories. What a rule does with a match is not known here.
 */
#include "mail/pattern.h"

#include <string.h>

/* ".x" or "x" behind "*@" or in a list of domains. */
static int domain_part_parse(struct arena *arena, struct slice text, struct pattern *pattern)
{
	bool below = text.n > 0 && text.p[0] == '.';
	struct slice domain = domain_ascii(arena, slice_from(text, below ? 1 : 0));

	if (domain.p == NULL)
		return -1;
	pattern->form = below ? PATTERN_SUBDOMAINS : PATTERN_DOMAIN;
	pattern->address = (struct address){ { NULL, 0 }, { NULL, 0 }, domain };
	return 0;
}

static int address_part_parse(struct arena *arena, struct slice text, struct pattern *pattern)
{
	pattern->form = PATTERN_ADDRESS;
	if (slice_find(text, '*') >= 0 || address_parse(arena, text, &pattern->address, NULL) < 0)
		return -1;
	return pattern->address.domain.n > 0 ? 0 : -1;
}

int pattern_parse_address(struct arena *arena, const char *text, struct pattern *pattern, struct err *err)
{
	struct slice trimmed = slice_trim(slice_of(text));
	struct pattern parsed = { PATTERN_ANY, { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } } };
	int result = 0;

	if (slice_is(trimmed, "<>"))
		parsed.form = PATTERN_NULL;
	else if (slice_starts_nocase(trimmed, "*@"))
		result = domain_part_parse(arena, slice_from(trimmed, 2), &parsed);
	else if (!slice_is(trimmed, "*"))
		result = address_part_parse(arena, trimmed, &parsed);
	if (result < 0)
		return err_set(err, ERR_CONFIG, "\"%s\" is no address pattern (a@b, *@b, *@.b, *, <>)", text);
	*pattern = parsed;
	return 0;
}

int pattern_parse_domain(struct arena *arena, const char *text, struct pattern *pattern, struct err *err)
{
	struct slice trimmed = slice_trim(slice_of(text));
	struct pattern parsed = { PATTERN_ANY, { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } } };

	if (!slice_is(trimmed, "*") && domain_part_parse(arena, trimmed, &parsed) < 0)
		return err_set(err, ERR_CONFIG, "\"%s\" is no domain pattern (x, .x, *)", text);
	*pattern = parsed;
	return 0;
}

/* True if domain ends with '.' and the other one. */
static bool is_below(struct slice domain, struct slice other)
{
	if (domain.n <= other.n + 1 || domain.p[domain.n - other.n - 1] != '.')
		return false;
	return slice_equal(slice_from(domain, domain.n - other.n), other);
}

bool pattern_match(const struct pattern *pattern, const struct address *address)
{
	switch (pattern->form) {
	case PATTERN_ANY:
		return true;
	case PATTERN_NULL:
		return address->text.n == 0 && address->domain.n == 0;
	case PATTERN_ADDRESS:
		return address_equal(&pattern->address, address);
	case PATTERN_DOMAIN:
		return slice_equal(pattern->address.domain, address->domain);
	case PATTERN_SUBDOMAINS:
		return is_below(address->domain, pattern->address.domain);
	}
	return false;
}

bool pattern_list_match(const struct pattern_list *list, const struct address *address)
{
	for (size_t i = 0; i < list->n; i++) {
		if (pattern_match(&list->items[i], address))
			return true;
	}
	return false;
}
