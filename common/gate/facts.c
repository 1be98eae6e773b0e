/* facts.c - directions as INTERFACE 2 defines them, the From mailbox, the kind, who is visible. */
#include "gate/facts.h"

#include <string.h>

#include "gate/trigger.h"
#include "mail/message_id.h"

#define REFERENCES 50		/* looked at, beginning with In-Reply-To and the latest */

static bool is_originating(const struct site *site, const struct envelope *envelope)
{
	const struct conf_strings *names = &site->settings.originating;
	size_t i;

	for (i = 0; envelope->daemon_name != NULL && i < names->n; i++)
		if (strcmp(names->items[i], envelope->daemon_name) == 0)
			return true;
	return false;
}

static void facts_client(const struct site *site, const struct envelope *envelope, struct facts *facts)
{
	bool vouched = envelope->login != NULL || is_originating(site, envelope);

	facts->ours = vouched || network_list_match(&site->internal_hosts, envelope->client_ip);
	facts->trusted_results = network_list_match(&site->trusted_results, envelope->client_ip);
	facts->may_sign_as_sender = (vouched || (facts->ours &&
				     network_list_match(&site->signing_hosts, envelope->client_ip))) &&
				    facts->from.text.n > 0 && address_equal(&facts->from, &envelope->sender);
	facts->may_sign_as_login = login_may(&site->logins, envelope->login, &facts->from);
}

/* RFC 5322 3.6: one From field. Anything but exactly one mailbox that all readers find leaves `from` empty. */
static int facts_from(const struct message *message, struct arena *arena, struct facts *facts, struct err *err)
{
	const struct field *from = header_find(&message->header, "From", 0);

	facts->from_form = MAILBOX_NONE;
	if (from == NULL)
		return 0;
	if (address_single(arena, from->value, &facts->from, &facts->from_form, err) != 0)
		return -1;
	if (header_count(&message->header, "From") > 1 || header_breaks_oddly(&message->header))
		facts->from_form = MAILBOX_AMBIGUOUS;
	if (facts->from_form != MAILBOX_SINGLE)
		memset(&facts->from, 0, sizeof(facts->from));
	return 0;
}

static int facts_skeleton(const struct site *site, const struct message *message, struct arena *arena,
			  struct facts *facts, struct err *err)
{
	const struct mime_limits limits = { .depth = (size_t)site->settings.limits.mime_depth,
					    .parts = (size_t)site->settings.limits.mime_parts };

	facts->policy.kind = KIND_PLAIN;
	if (mime_parse(arena, message, &limits, &facts->mime, &facts->mime_err) == 0)
		return kind_find(arena, message, &facts->mime, &facts->policy.kind, err);
	facts->mime.root = NULL;
	if (facts->mime_err.class == ERR_LIMIT)
		return 0;
	*err = facts->mime_err;
	return -1;
}

static bool address_among(const struct address *address, const struct address *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (address_equal(address, &list[i]))
			return true;
	return false;
}

static int mark_visible(const struct field *field, const struct envelope *envelope, struct arena *arena,
			struct facts *facts, struct err *err)
{
	struct address *list = NULL;
	size_t n = 0, i;

	if (address_list(arena, field->value, &list, &n, err) != 0)
		return -1;
	for (i = 0; i < envelope->recipient_count; i++)
		if (address_among(&envelope->recipients[i].address, list, n))
			facts->visible[i] = true;
	return 0;
}

static int facts_visible(const struct envelope *envelope, const struct message *message, struct arena *arena,
			 struct facts *facts, struct err *err)
{
	static const char *const names[] = { "To", "Cc", "Resent-To", "Resent-Cc" };
	const struct header *header = &message->header;
	size_t i, k;

	for (i = 0; facts->ours && i < header->n; i++)
		for (k = 0; k < sizeof(names) / sizeof(names[0]); k++)
			if (field_is(&header->fields[i], names[k]) &&
			    mark_visible(&header->fields[i], envelope, arena, facts, err) != 0)
				return -1;
	return 0;
}

static int facts_recipients(const struct site *site, const struct envelope *envelope, struct arena *arena,
			    struct facts *facts, struct err *err)
{
	size_t i, n = envelope->recipient_count;
	bool local;

	facts->lookup = arena_array(arena, n, sizeof(*facts->lookup));
	facts->base = arena_array(arena, n, sizeof(*facts->base));
	facts->directions = arena_array(arena, n, sizeof(*facts->directions));
	facts->visible = arena_array(arena, n, sizeof(*facts->visible));
	if (facts->lookup == NULL || facts->base == NULL || facts->directions == NULL || facts->visible == NULL)
		return err_memory(err);
	for (i = 0; i < n; i++) {
		facts->lookup[i] = envelope->recipients[i].address;
		if (address_base(arena, &facts->lookup[i], site->settings.recipient_delimiter, &facts->base[i]) != 0)
			return err_memory(err);
		local = pattern_list_match(&site->local_domains, &facts->base[i]);
		facts->directions[i] = !facts->ours ? DIRECTION_INBOUND :
				       local ? DIRECTION_INTERNAL : DIRECTION_OUTBOUND;
	}
	return 0;
}

/* Is there a recipient for whom another rule would apply if the message answered encrypted mail? */
static bool turns_on_what_is_answered(const struct site *site, const struct envelope *envelope,
				      const struct facts *facts)
{
	const struct rule *rules = site->rules;
	const size_t n = site->rule_count;
	struct policy_facts told = facts->policy;
	size_t i;

	told.reply_encrypted = true;
	for (i = 0; i < envelope->recipient_count; i++)
		if (policy_match(rules, n, &facts->policy, &facts->base[i], facts->directions[i]) !=
		    policy_match(rules, n, &told, &facts->base[i], facts->directions[i]))
			return true;
	return false;
}

static int ask_memory(const struct gate_memory *memory, const struct header *header, struct arena *arena,
		      struct facts *facts, struct err *err)
{
	struct message_ids ids = { NULL, 0 };
	struct err why = { .class = ERR_NONE };
	int known;

	if (message_ids_find(arena, header, "In-Reply-To", REFERENCES, &ids, err) != 0 ||
	    message_ids_find(arena, header, "References", REFERENCES, &ids, err) != 0)
		return -1;
	known = ids.n > 0 ? memory->was_encrypted(memory->self, ids.items, ids.n, &why) : 0;
	facts->policy.reply_encrypted = known == 1;
	facts->not_told = known < 0 ? arena_strdup(arena, why.text) : NULL;
	return known < 0 && facts->not_told == NULL ? err_memory(err) : 0;
}

/* It is asked for only where something depends on it: what is not asked cannot fail. */
static int facts_answered(const struct gate_env *env, const struct envelope *envelope, const struct header *header,
			  struct arena *arena, struct facts *facts, struct err *err)
{
	if (env->memory == NULL || !facts->policy.reply || facts->own_copy ||
	    !policy_asks_what_is_answered(env->site->rules, env->site->rule_count) ||
	    !turns_on_what_is_answered(env->site, envelope, facts))
		return 0;
	return ask_memory(env->memory, header, arena, facts, err);
}

int facts_gather(const struct gate_env *env, const struct envelope *envelope, const struct message *message,
		 struct arena *arena, struct facts *facts, struct err *err)
{
	const struct site *site = env->site;
	const struct header *header = &message->header;

	memset(facts, 0, sizeof(*facts));
	facts->message = message;
	if (facts_from(message, arena, facts, err) != 0)
		return -1;
	facts_client(site, envelope, facts);
	if (facts_skeleton(site, message, arena, facts, err) != 0 ||
	    facts_recipients(site, envelope, arena, facts, err) != 0 ||
	    facts_visible(envelope, message, arena, facts, err) != 0)
		return -1;
	facts->own_copy = envelope->own_copy && facts->ours;
	facts->hops = header_count(header, "Received");
	if (facts->ours && !facts->own_copy && trigger_find(site, header, arena, &facts->encryption_asked, err) != 0)
		return -1;
	if (envelope->sender.text.n == 0 && facts->mime.root != NULL &&
	    kind_report_is_headers_only(arena, message, &facts->mime, &facts->excused, err) != 0)
		return -1;
	facts->policy.sender = &envelope->sender;
	facts->policy.from = facts->from.text.n > 0 ? &facts->from : NULL;
	facts->policy.client_ip = envelope->client_ip;
	facts->policy.authenticated = envelope->login != NULL;
	facts->policy.header = header;
	facts->policy.reply = header_find(header, "In-Reply-To", 0) != NULL ||
			      header_find(header, "References", 0) != NULL;
	return facts_answered(env, envelope, header, arena, facts, err);
}
