/* peers.c - see peers.h. Called by plan.c. */
#include "gate/peers.h"

/* RFC 3183 3.1.1 */
#define DOMAIN_AUTHORITY "domain-confidentiality-authority"

struct search {
	const struct gate_env *env;
	const struct facts *facts;
	struct arena *arena;
	struct plan *plan;
	size_t recipient_count;
};

/* query: addresses, collections and revocation; what is the same for everybody is added here. */
static int ask(const struct search *s, struct candidate_query query, struct candidate_list *lists, struct err *err)
{
	const struct site *site = s->env->site;

	query.delimiter = site->settings.recipient_delimiter;
	query.local_domains = &site->local_domains;
	query.directories = site->directories;
	query.directory_count = site->directory_count;
	query.at = clock_now(&site->clock);
	query.deadline_ms = s->env->deadline_ms;
	if (query.n == 0)
		return 0;
	if (s->env->tick != NULL)
		s->env->tick(s->env->tick_self);
	return candidate_find(s->arena, &query, lists, err);
}

/* Who is asked for in a recipient's place. 0, or -1: arena exhausted. */
static int stand_in(const struct search *s, const struct encrypt_to *to, const struct address *recipient,
		    struct address *address, struct err *err)
{
	const char *text = NULL;

	*address = to->kind == ENCRYPT_TO_ADDRESS ? to->address : *recipient;
	if (to->kind != ENCRYPT_TO_DOMAIN)
		return 0;
	text = arena_printf(s->arena, DOMAIN_AUTHORITY "@%.*s", SLICE_ARGS(recipient->domain));
	return text != NULL ? address_parse(s->arena, slice_of(text), address, err) : err_memory(err);
}

/* Nobody who is nearer was found, and none was out of reach. */
static bool is_open(const struct search *s, const struct rule *rule, size_t i)
{
	return s->plan->each[i].encrypt && s->plan->each[i].rule == rule &&
	       (!s->plan->looked_up[i] || s->plan->candidates[i].status == DIRECTORY_NONE);
}

/* The first answer stays where no later one is better. */
static void take(const struct search *s, size_t i, const struct encrypt_to *to, const struct address *address,
		 const struct candidate_list *list)
{
	if (s->plan->looked_up[i] && list->status == DIRECTORY_NONE)
		return;
	s->plan->candidates[i] = *list;
	s->plan->looked_up[i] = true;
	s->plan->peers[i] = (struct peer){ *address, to->kind == ENCRYPT_TO_RECIPIENT ? "recipient" : "domain" };
}

int peers_ask(const struct peers_question *question, struct address *addresses, struct candidate_list *lists,
	      struct err *err)
{
	const struct search s = { question->env, question->facts, question->arena, NULL, question->n };
	const struct rule *rule = question->rule;
	const struct candidate_query query = {
		.addresses = addresses, .n = question->n,
		.collections = rule->collections, .collection_count = rule->collection_count,
		.revocation = (enum candidate_revocation)rule->settings->send_revocation,
	};

	for (size_t i = 0; i < question->n; i++)
		if (stand_in(&s, question->to, &question->facts->lookup[question->who[i]], &addresses[i], err) != 0)
			return -1;
	return ask(&s, query, lists, err);
}

static int ask_for_rule(const struct search *s, const struct rule *rule, const struct encrypt_to *to, struct err *err)
{
	size_t n = s->recipient_count, count = 0, i;
	size_t *who = arena_array(s->arena, n, sizeof(*who));
	struct address *addresses = arena_array(s->arena, n, sizeof(*addresses));
	struct candidate_list *lists = arena_array(s->arena, n, sizeof(*lists));

	if (who == NULL || addresses == NULL || lists == NULL)
		return err_memory(err);
	for (i = 0; i < n; i++)
		if (is_open(s, rule, i))
			who[count++] = i;
	if (peers_ask(&(struct peers_question){ s->env, s->facts, s->arena, rule, to, who, count }, addresses, lists,
		      err) != 0)
		return -1;
	for (i = 0; i < count; i++)
		take(s, who[i], to, &addresses[i], &lists[i]);
	return 0;
}

int peers_find(const struct gate_env *env, const struct envelope *envelope, const struct facts *facts,
	       struct arena *arena, struct plan *plan, struct err *err)
{
	const struct search s = { env, facts, arena, plan, envelope->recipient_count };
	size_t i, k;

	for (i = 0; i < s.recipient_count; i++) {
		const struct rule *rule = plan->each[i].rule;

		if (!plan->each[i].encrypt || plan->looked_up[i])
			continue;
		for (k = 0; k < rule->encrypt_to_count; k++)
			if (ask_for_rule(&s, rule, &rule->encrypt_to[k], err) != 0)
				return -1;
	}
	return 0;
}

struct encrypted_to peers_encrypted_to(struct arena *arena, const struct candidate_choice *choice, const char *role)
{
	return (struct encrypted_to){ arena_string(arena, choice->address.text), choice->used->cert, choice->used->source,
				      role };
}

/* Room for n more. */
static int reserve(const struct search *s, struct group *group, size_t n)
{
	struct encrypted_to *extras = arena_array(s->arena, group->extra_count + n, sizeof(*extras));
	size_t i;

	if (extras == NULL)
		return -1;
	for (i = 0; i < group->extra_count; i++)
		extras[i] = group->extras[i];
	group->extras = extras;
	return 0;
}

static int add(struct group *group, struct encrypted_to extra)
{
	group->extras[group->extra_count++] = extra;
	return extra.address != NULL ? 0 : -1;
}

/* The sender's own copy: from our keys, else from a directory. 1 added, 0 there is none, -1 */
static int add_own_key(const struct search *s, struct group *group, struct err *err)
{
	const struct site *site = s->env->site;
	const struct address *from = &s->facts->from;
	const struct cert *cert = NULL;
	int found = keystore_encryption_cert(site->keystores, site->keystore_count, s->arena, from,
					     clock_now(&site->clock), &cert, err);

	if (found != 1)
		return found;
	if (reserve(s, group, 1) != 0 ||
	    add(group, (struct encrypted_to){ arena_string(s->arena, from->text), cert, "key store", "sender" }) != 0)
		return err_memory(err);
	return 1;
}

static int add_chosen(const struct search *s, struct group *group, const struct candidate_list *list, const char *role)
{
	int rc = reserve(s, group, list->chosen_count);
	size_t i;

	for (i = 0; i < list->chosen_count && rc == 0; i++)
		rc = add(group, peers_encrypted_to(s->arena, &list->chosen[i], role));
	return rc;
}

static void refuse_extra(const struct search *s, const struct group *group, const struct address *address,
			 const struct candidate_list *list)
{
	const char *id = group->treatment->rule->id;

	if (list->status == DIRECTORY_FAILED)
		plan_refuse_not_asked(s->plan, list);
	else
		plan_refuse(s->plan, REPLY_NO_CERTIFICATE, ACTION_REJECT,
			    arena_printf(s->arena, "no usable certificate for <%.*s>, whom rule %s adds",
					 SLICE_ARGS(address->text), id), NULL);
}

static int add_extra(const struct search *s, struct group *group, const struct additional *additional, struct err *err)
{
	const struct site *site = s->env->site;
	const struct address *address = additional->sender ? &s->facts->from : &additional->address;
	const char *role = additional->sender ? "sender" : "escrow";
	struct candidate_list list = { .status = DIRECTORY_NONE };
	const struct candidate_query query = {
		.addresses = address, .n = 1,
		.collections = site->collections, .collection_count = site->collection_count,
		.revocation = (enum candidate_revocation)group->treatment->rule->settings->send_revocation,
	};
	int found = 0;

	if (address->text.n == 0)
		return 0;
	if (additional->sender)
		found = add_own_key(s, group, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	if (ask(s, query, &list, err) != 0)
		return -1;
	if (list.status == DIRECTORY_FOUND)
		return add_chosen(s, group, &list, role) == 0 ? 0 : err_memory(err);
	if (!additional->sender || list.status == DIRECTORY_FAILED)
		refuse_extra(s, group, address, &list);
	return 0;
}

/* Groups of one rule have the same additional recipients. */
static int find_extras(const struct search *s, struct group *group, struct err *err)
{
	const struct rule *rule = group->treatment->rule;
	const struct group *earlier = NULL;
	size_t i;

	for (earlier = s->plan->groups; earlier < group; earlier++)
		if (earlier->treatment->encrypt && earlier->treatment->rule == rule) {
			group->extras = earlier->extras;
			group->extra_count = earlier->extra_count;
			return 0;
		}
	for (i = 0; i < rule->additional_count; i++)
		if (add_extra(s, group, &rule->additional[i], err) != 0)
			return -1;
	return 0;
}

/* Once each: two who stand behind one gateway need one key. */
static void add_cert(struct group *group, const struct cert *cert)
{
	size_t i;

	for (i = 0; i < group->cert_count; i++)
		if (cert_equal(group->certs[i], cert))
			return;
	group->certs[group->cert_count++] = cert;
}

static int collect_certs(const struct search *s, struct group *group, struct err *err)
{
	size_t n = group->extra_count, i, k;

	for (i = 0; i < group->member_count; i++)
		n += s->plan->candidates[group->members[i]].chosen_count;
	group->certs = arena_array(s->arena, n, sizeof(*group->certs));
	if (group->certs == NULL)
		return err_memory(err);
	for (i = 0; i < group->member_count; i++) {
		const struct candidate_list *list = &s->plan->candidates[group->members[i]];

		for (k = 0; k < list->chosen_count; k++)
			add_cert(group, list->chosen[k].used->cert);
	}
	for (i = 0; i < group->extra_count; i++)
		add_cert(group, group->extras[i].cert);
	return 0;
}

/* We would not read it ourselves, and others set such limits too. */
static void limit_certs(const struct search *s, const struct group *group)
{
	const int64_t limit = s->env->site->settings.limits.recipient_infos;

	if (group->cert_count > (size_t)limit)
		plan_refuse(s->plan, REPLY_SEPARATE, ACTION_REJECT,
			    arena_printf(s->arena, "more than %lld certificates to encrypt to: send to fewer at a time",
					 (long long)limit), NULL);
}

static int complete(const struct search *s, struct group *group, struct err *err)
{
	if (find_extras(s, group, err) != 0 || collect_certs(s, group, err) != 0)
		return -1;
	limit_certs(s, group);
	return 0;
}

int peers_complete(const struct gate_env *env, const struct facts *facts, struct arena *arena, struct plan *plan,
		   struct err *err)
{
	const struct search s = { env, facts, arena, plan, 0 };
	struct group *group = NULL;

	for (group = plan->groups; group < plan->groups + plan->group_count; group++)
		if (group->treatment->encrypt && complete(&s, group, err) != 0)
			return -1;
	return 0;
}
