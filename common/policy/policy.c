/* policy.c - a predicate for each criterion, all of one shape, and the run down the rules. */
#include "policy/policy.h"

struct question {
	const struct policy_facts *facts;
	const struct address *recipient;
	enum direction direction;
};

static bool match_direction(const struct rule *rule, const struct question *q)
{
	return rule->directions == 0 || (rule->directions & (1U << q->direction)) != 0;
}

static bool match_sender(const struct rule *rule, const struct question *q)
{
	return rule->sender.n == 0 || pattern_list_match(&rule->sender, q->facts->sender);
}

static bool match_recipient(const struct rule *rule, const struct question *q)
{
	return rule->recipient.n == 0 || pattern_list_match(&rule->recipient, q->recipient);
}

/* A From that is not one mailbox matches no pattern: no rule may be chosen by a guess. */
static bool match_from(const struct rule *rule, const struct question *q)
{
	return rule->from.n == 0 || (q->facts->from != NULL && pattern_list_match(&rule->from, q->facts->from));
}

static bool match_client(const struct rule *rule, const struct question *q)
{
	return rule->client.n == 0 || network_list_match(&rule->client, q->facts->client_ip);
}

static bool match_authenticated(const struct rule *rule, const struct question *q)
{
	return rule->authenticated < 0 || (rule->authenticated == 1) == q->facts->authenticated;
}

static bool match_header(const struct rule *rule, const struct question *q)
{
	const char *name = rule->settings->header.name, *value = rule->settings->header.value;
	const struct header *header = q->facts->header;
	size_t i;

	if (name == NULL)
		return true;
	for (i = 0; i < header->n; i++)
		if (field_is(&header->fields[i], name) &&
		    (value == NULL || slice_is_nocase(slice_trim(header->fields[i].value), value)))
			return true;
	return false;
}

static bool match_kind(const struct rule *rule, const struct question *q)
{
	return rule->kinds == 0 || (rule->kinds & (1U << q->facts->kind)) != 0;
}

static bool match_reply(const struct rule *rule, const struct question *q)
{
	int wanted = rule->settings->reply;

	if (wanted == REPLY_ENCRYPTED)
		return q->facts->reply_encrypted;
	return wanted == REPLY_ANY || (wanted == REPLY_TRUE) == q->facts->reply;
}

static bool (*const criteria[])(const struct rule *, const struct question *) = {
	match_direction, match_sender, match_recipient, match_from, match_client, match_authenticated, match_header,
	match_kind, match_reply,
};

static bool rule_matches(const struct rule *rule, const struct question *q)
{
	size_t i;

	for (i = 0; i < sizeof(criteria) / sizeof(criteria[0]); i++)
		if (!criteria[i](rule, q))
			return false;
	return true;
}

const struct rule *policy_match(const struct rule *rules, size_t n, const struct policy_facts *facts,
				const struct address *recipient, enum direction direction)
{
	const struct question question = { facts, recipient, direction };
	size_t i;

	for (i = 0; i < n; i++)
		if (rule_matches(&rules[i], &question))
			return &rules[i];
	return NULL;
}

bool policy_asks_what_is_answered(const struct rule *rules, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (rules[i].settings->reply == REPLY_ENCRYPTED)
			return true;
	return false;
}

bool policy_harvests(const struct rule *rules, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (rules[i].settings->harvest != HARVEST_OFF)
			return true;
	return false;
}
