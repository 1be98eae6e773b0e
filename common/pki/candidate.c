/* candidate.c - asks every responsible directory for all recipients in one go and ranks what came: which certificate
 * each one's mail is encrypted to, and why the others were refused (RFC 8550 3 and 4.4, RFC 8551 4.2). The directories
 * are behind directory.h, whether one is the recipient's is claim.c's, chains are path.c's. Called by candidate_base.c. */
#include "pki/candidate.h"

#include <string.h>

#include "base/event.h"
#include "pki/candidate_internal.h"
#include "pki/candidate_rank.h"
#include "pki/claim.h"

#define RSA_MIN_BITS 2048
#define RSA_MAX_BITS 16384		/* more than this OpenSSL does not encrypt to */

#define ENTRIES_MAX 1000		/* of one answer that are looked at */
#define SIGNATURES_EACH 4		/* verified for each certificate, apart from what all of them share */

static const char not_tried[] = "too many CA certificates to try them all: it is not known whether it is trusted";

/* One address while its candidates are put together. */
struct gathering {
	struct arena *arena;
	const struct candidate_query *query;
	const struct address *address, *also;	/* also: NULL, or as in the query */
	struct candidate_list *list;
	struct claim *claims;		/* for each of list->items: whether it is his */
	struct sighting *sightings;	/* of every entry of the answers, in their order */
	size_t sighting_count;
	struct cert_list chain;		/* of all answers, doubles included; in the arena */
	const struct collection **collections;	/* those that cover the address */
	size_t collection_count;
	unsigned *signatures;		/* verified for all of them: who writes the entry may have made many that fail */
};

struct asking *candidate_askings(struct arena *arena, const struct candidate_query *query)
{
	struct asking *askings = arena_array(arena, query->directory_count, sizeof(*askings));

	for (size_t i = 0; askings != NULL && i < query->directory_count; i++) {
		askings[i].answers = arena_array(arena, query->n, sizeof(*askings[i].answers));
		askings[i].asked = arena_array(arena, query->n, sizeof(*askings[i].asked));
		if (askings[i].answers == NULL || askings[i].asked == NULL)
			return NULL;
	}
	return askings;
}

/* Asks one directory for those of the addresses that are its business and not answered yet. */
static int ask(struct arena *arena, const struct candidate_query *query, const struct directory *directory,
	       struct asking *asking, struct err *err)
{
	struct address *addresses = arena_array(arena, query->n, sizeof(*addresses));
	struct directory_answer *answers = arena_array(arena, query->n, sizeof(*answers));
	size_t *who = arena_array(arena, query->n, sizeof(*who)), n = 0;

	if (addresses == NULL || answers == NULL || who == NULL)
		return err_memory(err);
	for (size_t i = 0; i < query->n; i++) {
		if (asking->asked[i] || !directory_is_responsible(directory, &query->addresses[i]))
			continue;
		asking->asked[i] = true;
		addresses[n] = query->addresses[i];
		who[n++] = i;
	}
	if (n == 0)
		return 0;
	if (directory->class->find(directory->self, arena, addresses, n, query->deadline_ms, answers, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		/* One that it has just given to this query proves that it is there. */
		asking->probed |= !answers[i].remembered && answers[i].status != DIRECTORY_FAILED;
		asking->answers[who[i]] = answers[i];
	}
	return 0;
}

/* How old it is. NULL: exhausted. */
static const char *describe_age(struct arena *arena, const char *text, const struct directory_answer *answer)
{
	long long age_s = (long long)(answer->age_ms / 1000);

	if (answer->stale)
		return arena_printf(arena, "%s; stale: asked %lld s ago, and the directory is away: %s", text, age_s,
				    answer->failure);
	return answer->remembered ? arena_printf(arena, "%s; asked %lld s ago", text, age_s) : text;
}

/* Text for explain, log and audit: "ldap://dc1: 2 certificates; userCertificate: not DER at offset 0; asked 12 s ago".
 * NULL: exhausted. */
static const char *describe(struct arena *arena, const char *name, const struct directory_answer *answer)
{
	const char *text;

	if (answer->status == DIRECTORY_FAILED)
		text = arena_printf(arena, "%s: could not ask: %s", name, answer->failure);
	else if (answer->group && answer->n == 0)
		text = arena_printf(arena, "%s: a group of %zu", name, answer->member_count);
	else if (answer->status == DIRECTORY_NONE)
		text = arena_printf(arena, "%s: none", name);
	else
		text = arena_printf(arena, "%s: %zu certificate%s", name, answer->n, answer->n == 1 ? "" : "s");
	if (answer->group && answer->failure != NULL && !answer->stale && text != NULL)
		text = arena_printf(arena, "%s; could not ask who is in it: %s", text, answer->failure);
	for (size_t i = 0; i < answer->problem_count && text != NULL; i++)
		text = arena_printf(arena, "%s; %s", text, answer->problems[i]);
	return text != NULL ? describe_age(arena, text, answer) : NULL;
}

static int add_failure(struct arena *arena, struct candidate_list *list, const char *name, const char *failure)
{
	if (failure == NULL)
		return -1;
	if (list->failure == NULL)
		list->failure = arena_printf(arena, "%s: %s", name, failure);
	else
		list->failure = arena_printf(arena, "%s; %s: %s", list->failure, name, failure);
	return list->failure == NULL ? -1 : 0;
}

/* All its members have certificates: what they are worth is asked member by member. */
static bool is_whole_group(const struct directory_answer *answer)
{
	return answer->group && answer->n == 0 && answer->status == DIRECTORY_FOUND;
}

/* NULL: exhausted. */
static const char *describe_failure(struct arena *arena, const struct directory_answer *answer)
{
	if (!answer->stale)
		return answer->failure;
	return arena_printf(arena, "%s (stale: asked %lld s ago)", answer->failure, (long long)(answer->age_ms / 1000));
}

static int note_answer(struct gathering *g, const struct directory *directory, const struct directory_answer *answer)
{
	struct candidate_list *list = g->list;

	list->asked[list->asked_count] = describe(g->arena, directory->name, answer);
	if (list->asked[list->asked_count++] == NULL)
		return -1;
	list->group |= answer->group;
	if (is_whole_group(answer) && answer->stale)
		return 0;
	if (answer->failure == NULL)
		return 0;
	return add_failure(g->arena, list, directory->name, describe_failure(g->arena, answer));
}

static struct candidate *same_cert(struct candidate_list *list, const struct cert *cert)
{
	for (size_t i = 0; i < list->n; i++) {
		if (cert_equal(list->items[i].cert, cert))
			return &list->items[i];
	}
	return NULL;
}

/* Is the source among the ones joined by ", " already? */
static bool is_joined(const char *sources, const char *source)
{
	const char *at = strstr(sources, source);
	size_t n = strlen(source);

	for (; at != NULL; at = strstr(at + 1, source)) {
		if ((at == sources || at[-1] == ' ') && (at[n] == '\0' || at[n] == ','))
			return true;
	}
	return false;
}

static int merge(struct gathering *g, struct candidate *known, const char *source)
{
	if (is_joined(known->source, source))
		return 0;
	known->source = arena_printf(g->arena, "%s, %s", known->source, source);
	return known->source == NULL ? -1 : 0;
}

static int add_entry(struct gathering *g, size_t number, const struct directory_entry *entry, bool stale)
{
	const struct directory *directory = &g->query->directories[number];
	const char *source = arena_printf(g->arena, "%s %s%s", directory->name, entry->attribute, stale ? " (stale)" : "");
	struct candidate *known = same_cert(g->list, entry->cert);
	size_t at = known != NULL ? (size_t)(known - g->list->items) : g->list->n;

	if (source == NULL)
		return -1;
	g->sightings[g->sighting_count++] = (struct sighting){
		.candidate = at, .directory = number, .value = entry->value, .preferred = entry->preferred,
		.capabilities = entry->capabilities,
	};
	claim_add(&g->claims[at], g->address, g->also, directory, entry);
	if (known != NULL)
		return merge(g, known, source);
	g->list->items[g->list->n++] = (struct candidate){ .cert = entry->cert, .source = source };
	return 0;
}

/* What is beyond their number is as if the directory had not said it. */
static int add_entries(struct gathering *g, size_t number, const struct directory_answer *answer)
{
	size_t n = answer->n < ENTRIES_MAX ? answer->n : ENTRIES_MAX;

	for (size_t i = 0; i < n; i++)
		if (add_entry(g, number, &answer->entries[i], answer->stale) != 0)
			return -1;
	if (n == answer->n)
		return 0;
	return add_failure(g->arena, g->list, g->query->directories[number].name,
			   arena_printf(g->arena, "more than %d certificates", ENTRIES_MAX));
}

static bool has_entry(const struct directory_answer *answer, const struct cert *cert)
{
	for (size_t i = 0; i < answer->n; i++)
		if (cert_equal(answer->entries[i].cert, cert))
			return true;
	return false;
}

/* What the answer says of all that was gathered. */
static int associate(struct gathering *g, const struct directory *directory, const struct directory_answer *answer)
{
	for (size_t i = 0; i < g->list->n; i++) {
		struct candidate *item = &g->list->items[i];
		const struct smimea *by = NULL;

		if (claim_associate(&g->claims[i], directory, answer, item->cert, &by) != 0)
			return -1;
		if (by == NULL || has_entry(answer, item->cert))
			continue;
		item->source = arena_printf(g->arena, "%s, confirmed by %s SMIMEA %d %d %d", item->source, directory->name,
					    (int)by->usage, (int)by->selector, (int)by->matching);
		if (item->source == NULL)
			return -1;
	}
	return 0;
}

/* Arrays large enough for all that was answered. */
static int make_room(struct gathering *g, const struct asking *askings, size_t address)
{
	size_t entries = 0, chain = 0, directories = g->query->directory_count;

	for (size_t i = 0; i < directories; i++) {
		entries += askings[i].answers[address].n;
		chain += askings[i].answers[address].chain.n;
	}
	g->list->items = arena_array(g->arena, entries, sizeof(*g->list->items));
	g->claims = arena_array(g->arena, entries, sizeof(*g->claims));
	g->sightings = arena_array(g->arena, entries, sizeof(*g->sightings));
	g->chain.items = arena_array(g->arena, chain, sizeof(*g->chain.items));
	g->list->asked = arena_array(g->arena, directories, sizeof(*g->list->asked));
	g->collections = arena_array(g->arena, g->query->collection_count, sizeof(*g->collections));
	return g->list->items == NULL || g->claims == NULL || g->sightings == NULL || g->chain.items == NULL ||
			       g->list->asked == NULL || g->collections == NULL
		       ? -1
		       : 0;
}

static int gather(struct gathering *g, const struct asking *askings, size_t address)
{
	if (make_room(g, askings, address) != 0)
		return -1;
	for (size_t i = 0; i < g->query->directory_count; i++) {
		const struct directory_answer *answer = &askings[i].answers[address];

		if (!askings[i].asked[address])
			continue;
		if (note_answer(g, &g->query->directories[i], answer) != 0)
			return -1;
		if (add_entries(g, i, answer) != 0)
			return -1;
		for (size_t j = 0; j < answer->chain.n; j++)
			g->chain.items[g->chain.n++] = answer->chain.items[j];
	}
	for (size_t i = 0; i < g->query->directory_count; i++) {
		if (askings[i].asked[address] &&
		    associate(g, &g->query->directories[i], &askings[i].answers[address]) != 0)
			return -1;
	}
	for (size_t i = 0; i < g->query->collection_count; i++) {
		if (collection_covers(g->query->collections[i], g->address))
			g->collections[g->collection_count++] = g->query->collections[i];
	}
	return 0;
}

/* The checks below each return the reason to refuse, "" when there is none, NULL when the arena is exhausted. */

static const char *check_key(struct gathering *g, const struct cert *cert)
{
	const struct cert_info *info = cert_info(cert);

	switch (info->key_kind) {
	case KEY_RSA:
		if (info->bits < RSA_MIN_BITS)
			return arena_printf(g->arena, "RFC 8551 4.2: RSA %u bits: too weak", info->bits);
		return info->bits <= RSA_MAX_BITS ? "" : arena_printf(g->arena, "RSA %u bits: too long", info->bits);
	case KEY_EC_P256:
	case KEY_EC_P384:
	case KEY_EC_P521:
		return "";
	case KEY_RSA_PSS:
		return "RFC 4055 1.2: unsupported key type: RSA-PSS keys cannot encrypt";
	case KEY_EC_OTHER:
		return "unsupported key type: elliptic curve other than P-256, P-384, P-521";
	case KEY_ED25519:
		return "unsupported key type: Ed25519 keys cannot encrypt";
	case KEY_OTHER:
		break;
	}
	return "unsupported key type";
}

static const char *check_time(struct gathering *g, const struct cert *cert)
{
	const struct cert_info *info = cert_info(cert);
	char text[32];

	if (g->query->at > info->not_after) {
		clock_format(info->not_after, text, sizeof(text));
		return arena_printf(g->arena, "expired %s", text);
	}
	if (g->query->at < info->not_before) {
		clock_format(info->not_before, text, sizeof(text));
		return arena_printf(g->arena, "not valid before %s", text);
	}
	return "";
}

static const char *check_usage(struct gathering *g, const struct cert *cert)
{
	const struct cert_info *info = cert_info(cert);

	if (cert_may_encrypt(cert))
		return "";
	if (info->eku_given && !info->eku_email && !info->eku_any && info->purpose != NULL)
		return arena_printf(g->arena, "RFC 8550 4.4.4: extendedKeyUsage does not allow emailProtection: a certificate "
				    "for %s", info->purpose);
	if (info->eku_given && !info->eku_email && !info->eku_any)
		return "RFC 8550 4.4.4: extendedKeyUsage does not allow emailProtection";
	if (info->usage_given && info->key_kind == KEY_RSA && (info->usage & USAGE_KEY_ENCIPHERMENT) == 0)
		return "RFC 8550 4.4.2: keyUsage does not allow keyEncipherment";
	if (info->usage_given && info->key_kind != KEY_RSA && (info->usage & USAGE_KEY_AGREEMENT) == 0)
		return "RFC 8550 4.4.2: keyUsage does not allow keyAgreement";
	if (info->usage_given && (info->usage & USAGE_DECIPHER_ONLY) != 0)
		return "RFC 5280 4.2.1.3: keyUsage allows to decipher only";
	return "RFC 8550 4.4: may not be used to encrypt";
}

static const char *collection_names(struct gathering *g)
{
	const char *names = g->collection_count == 0 ? "" : collection_name(g->collections[0]);

	for (size_t i = 1; i < g->collection_count && names != NULL; i++)
		names = arena_printf(g->arena, "%s, %s", names, collection_name(g->collections[i]));
	return names;
}

static const char *distrust(struct gathering *g, const struct path_result *result)
{
	const char *names = collection_names(g);

	if (names == NULL)
		return NULL;
	return arena_printf(g->arena, "not trusted by collection%s %s: %s", g->collection_count == 1 ? "" : "s", names,
			    result->detail[0] != '\0' ? result->detail : path_chain_name(result->chain));
}

/* Why what is not known to be revoked still cannot be used: "" where it can. */
static const char *doubt(struct gathering *g, const struct path_result *result)
{
	const char *revocation = path_revocation_name(result->revocation);

	if (result->revocation == REV_GOOD || g->query->revocation == CANDIDATE_REVOCATION_OFF)
		return "";
	if (collection_revocation(result->collection) == REVOCATION_HARD)
		return arena_printf(g->arena, "revocation is %s, and collection %s demands to know", revocation,
				    collection_name(result->collection));
	if (g->query->revocation == CANDIDATE_REVOCATION_HARD)
		return arena_printf(g->arena, "revocation is %s in collection %s, and send_revocation demands to know",
				    revocation, collection_name(result->collection));
	return "";
}

/* Drops the collections that may not vouch for the address in the certificate, which may be another one of his. -1:
 * memory. */
static int narrow_collections(struct gathering *g, const struct address *named)
{
	const struct collection **all = g->collections;
	size_t n = g->collection_count;

	g->collection_count = 0;
	g->collections = arena_array(g->arena, n, sizeof(*g->collections));
	for (size_t i = 0; g->collections != NULL && i < n; i++) {
		if (collection_covers(all[i], named))
			g->collections[g->collection_count++] = all[i];
	}
	return g->collections == NULL ? -1 : 0;
}

static const char *nobody_vouches(struct gathering *g, const struct address *named)
{
	char other[200];

	if (address_equal(named, g->address))
		return "not trusted: no collection may vouch for this address";
	return arena_printf(g->arena, "not trusted: no collection may vouch for this address and for %s",
			    event_escape(named->text, other, sizeof(other)));
}

/* 0 with item->reason, or -1: memory. */
static int check_trust(struct gathering *g, struct candidate *item, const struct address *named, struct err *err)
{
	struct path_query query = { .cert = item->cert, .untrusted = &g->chain, .collections = g->collections,
				    .collection_count = g->collection_count, .at = g->query->at,
				    .signatures = g->signatures,
				    .no_revocation = g->query->revocation == CANDIDATE_REVOCATION_OFF };
	struct path_result result = { .chain = CHAIN_BAD };

	if (g->collection_count == 0) {
		item->reason = nobody_vouches(g, named);
		return item->reason != NULL ? 0 : err_memory(err);
	}
	*g->signatures -= *g->signatures < SIGNATURES_EACH ? *g->signatures : SIGNATURES_EACH;
	if (path_check(&query, &result, err) != 0)
		return -1;
	if (result.chain != CHAIN_GOOD && *g->signatures >= PATH_SHARED_SIGNATURES)
		item->reason = not_tried;
	else if (result.chain != CHAIN_GOOD)
		item->reason = distrust(g, &result);
	else if (result.revocation == REV_REVOKED)
		item->reason = arena_printf(g->arena, "revoked, says collection %s",
					    collection_name(result.collection));
	else
		item->reason = doubt(g, &result);
	if (item->reason == NULL)
		return err_memory(err);
	item->undecided = result.chain == CHAIN_GOOD && result.revocation != REV_REVOKED && item->reason[0] != '\0';
	return 0;
}

static const char *check_all(struct gathering *g, const struct cert *cert, const struct claim *claim)
{
	static const char *(*const checks[])(struct gathering *, const struct cert *) = {
		check_key, check_time, check_usage,
	};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		const char *reason = checks[i](g, cert);

		if (reason == NULL || reason[0] != '\0')
			return reason;
	}
	return claim_objection(g->arena, claim, cert);
}

/* Does anybody vouch for whom it names? 0 with item->reason, or -1: memory. */
static int check_claim(struct gathering *g, struct candidate *item, const struct claim *claim, struct err *err)
{
	struct gathering vouching = *g;

	item->reason = "";
	if (claim->trusted)
		return 0;
	if (narrow_collections(&vouching, claim->named) != 0)
		return err_memory(err);
	return check_trust(&vouching, item, claim->named, err);
}

/* The first rule that speaks against the candidate; the chain last, since it costs most. */
static int judge(struct gathering *g, struct candidate *item, const struct claim *claim, struct err *err)
{
	item->reason = check_all(g, item->cert, claim);
	if (item->reason == NULL)
		return err_memory(err);
	if (item->reason[0] == '\0' && check_claim(g, item, claim, err) != 0)
		return -1;
	item->usable = item->reason[0] == '\0';
	item->secondary = !cert_has_address(item->cert, g->address) &&
			  (g->also == NULL || !cert_has_address(item->cert, g->also));
	return 0;
}

/* Is it beyond doubt the recipient's own, whatever it may be used for? 1, 0, or -1: memory. */
static int vouches(struct gathering *g, size_t candidate, struct err *err)
{
	struct candidate signer = g->list->items[candidate];

	if (signer.usable || g->claims[candidate].named == NULL)
		return signer.usable ? 1 : 0;
	if (check_claim(g, &signer, &g->claims[candidate], err) != 0)
		return -1;
	return signer.reason[0] == '\0';
}

/* Gives those of the n places' candidates that are usable the capabilities, unless they have some. */
static void give_capabilities(struct gathering *g, const struct sighting *places, size_t n,
			      const struct capabilities *capabilities)
{
	for (size_t i = 0; i < n; i++) {
		struct candidate *item = &g->list->items[places[i].candidate];

		if (item->usable && !item->capabilities.known)
			item->capabilities = *capabilities;
	}
}

/* What a key said is true of its own certificate, and of the others in the same value when it is the recipient's: he
 * may have one to sign with and one to be encrypted to. */
static int spread_capabilities(struct gathering *g, struct err *err)
{
	size_t at = 0, n;

	while ((n = sighting_next_value(g->sightings, g->sighting_count, &at)) > 0) {
		const struct sighting *places = &g->sightings[at - n];

		for (size_t i = 0; i < n; i++) {
			int rc = places[i].capabilities.known ? vouches(g, places[i].candidate, err) : 0;

			if (rc < 0)
				return -1;
			if (rc == 1)
				give_capabilities(g, places, n, &places[i].capabilities);
		}
	}
	return 0;
}

/* Not to know of a revocation is no more a "none" than a directory that is down. */
static void note_undecided(struct candidate_list *list)
{
	for (size_t i = 0; i < list->n && list->failure == NULL; i++) {
		if (!list->items[i].undecided)
			continue;
		list->undecided = true;
		list->failure = list->items[i].reason;
	}
}

/* Nor is it that there was more to verify than anybody needs. */
static void note_not_tried(struct candidate_list *list)
{
	for (size_t i = 0; i < list->n && list->failure == NULL; i++)
		if (list->items[i].reason == not_tried)
			list->failure = not_tried;
}

/* An own certificate makes a group like a person: whoever has its key sees to its members. */
static int use_first(struct gathering *g, bool failed)
{
	struct candidate_list *list = g->list;

	list->chosen = arena_array(g->arena, 1, sizeof(*list->chosen));
	if (list->chosen == NULL)
		return -1;
	list->chosen[list->chosen_count++] = (struct candidate_choice){ *g->address, &list->items[0] };
	list->status = DIRECTORY_FOUND;
	list->incomplete = failed;
	list->group = false;
	return 0;
}

static int rank(struct gathering *g)
{
	struct candidate_list *list = g->list;
	bool failed = list->failure != NULL;

	if (candidate_rank(g->arena, list->items, list->n, g->sightings, g->sighting_count) != 0)
		return -1;
	if (list->n > 0 && list->items[0].usable)
		return use_first(g, failed);
	note_undecided(list);
	note_not_tried(list);
	list->status = list->failure != NULL ? DIRECTORY_FAILED : DIRECTORY_NONE;
	return 0;
}

/* Once in a query. -1: the arena is exhausted. */
static int probe(struct arena *arena, const struct directory *directory, struct asking *asking)
{
	struct err why;

	if (asking->probed)
		return 0;
	asking->probed = true;
	if (directory->class->probe(directory->self, &why) == 0)
		return 0;
	asking->away = arena_strdup(arena, why.text);
	return asking->away != NULL ? 0 : -1;
}

/* What is remembered may say "none" only while the directory is there: with it gone, nobody knows whether the
 * certificate has come meanwhile, and an outage must never turn into plaintext or a refusal for good. */
static int confirm_none(struct gathering *g, struct asking *askings, size_t address)
{
	const struct candidate_query *query = g->query;

	for (size_t i = 0; i < query->directory_count; i++) {
		if (!askings[i].asked[address] || !askings[i].answers[address].remembered ||
		    is_whole_group(&askings[i].answers[address]))
			continue;
		if (probe(g->arena, &query->directories[i], &askings[i]) != 0)
			return -1;
		if (askings[i].away == NULL)
			continue;
		g->list->status = DIRECTORY_FAILED;
		if (add_failure(g->arena, g->list, query->directories[i].name, askings[i].away) != 0)
			return -1;
	}
	return 0;
}

static int choose(struct arena *arena, const struct candidate_query *query, struct asking *askings,
		  size_t address, struct candidate_list *list, struct err *err)
{
	unsigned signatures = 0;
	struct gathering g = { .arena = arena, .query = query, .address = &query->addresses[address],
			       .also = query->also != NULL ? &query->also[address] : NULL, .list = list,
			       .signatures = &signatures };

	*list = (struct candidate_list){ .status = DIRECTORY_FAILED };
	if (gather(&g, askings, address) != 0)
		return err_memory(err);
	for (size_t i = 0; i < list->n; i++) {
		if (judge(&g, &list->items[i], &g.claims[i], err) != 0)
			return -1;
	}
	if (spread_capabilities(&g, err) != 0)
		return -1;
	if (rank(&g) != 0 || (list->status == DIRECTORY_NONE && confirm_none(&g, askings, address) != 0))
		return err_memory(err);
	return 0;
}

int candidate_choose(struct arena *arena, const struct candidate_query *query, struct asking *askings,
		     struct candidate_list *lists, struct err *err)
{
	for (size_t i = 0; i < query->directory_count; i++) {
		if (ask(arena, query, &query->directories[i], &askings[i], err) != 0)
			return -1;
	}
	for (size_t i = 0; i < query->n; i++) {
		if (choose(arena, query, askings, i, &lists[i], err) != 0)
			return -1;
	}
	return 0;
}

int candidate_find_exactly(struct arena *arena, const struct candidate_query *query, struct candidate_list *lists,
			   struct err *err)
{
	struct asking *askings = candidate_askings(arena, query);

	if (askings == NULL)
		return err_memory(err);
	if (candidate_choose(arena, query, askings, lists, err) != 0)
		return -1;
	return candidate_groups(arena, query, askings, lists, err);
}
