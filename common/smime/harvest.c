/* harvest.c - see harvest.h. The certificates beside a signature are nobody's word: which one is meant is taken from
 * signed attributes alone where they tell it, and whatever is chosen is judged as a directory's answer would be
 * (pki/candidate.h). Called by gate/harvest.c and smimectl.
 */
#include "smime/harvest.h"

#include "pki/directory_driver.h"
#include "pki/candidate.h"
#include "pki/key_preference.h"

struct search {
	struct arena *arena;
	const struct harvest_query *query;
	const struct layer *signer;
	struct key_preference preference;
	bool preferred;			/* the signer says which one he means */
};

/* The message as a directory: what it offers for From's address. */
static int offer(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		 struct directory_answer *answers, struct err *err)
{
	const struct search *s = self;
	const struct cert_list *certs = s->signer->certs;
	struct directory_entry entry = { .attribute = "beside the signature" };

	(void)addresses;	/* n is 1 */
	(void)n;
	(void)deadline_ms;
	for (size_t i = 0; i < certs->n; i++) {
		entry.cert = certs->items[i];
		if (cert_info(entry.cert)->ca && directory_answer_chain(arena, &answers[0], entry.cert) != 0)
			return err_memory(err);
		if (s->preferred ? !key_preference_names(&s->preference, entry.cert) : cert_info(entry.cert)->ca)
			continue;
		if (directory_answer_add(arena, &answers[0], &entry) != 0)
			return err_memory(err);
	}
	return 0;
}

static const struct directory_class message_class = { .find = offer };

static const struct collection *vouching(const struct search *s)
{
	const struct harvest_query *query = s->query;

	for (size_t i = 0; i < query->collection_count; i++)
		if (slice_is(slice_of(collection_name(query->collections[i])), s->signer->collection))
			return query->collections[i];
	return NULL;
}

/* The best of what the signer may mean. */
static const struct candidate *choose(const struct search *s, const struct candidate_list *list)
{
	for (size_t i = 0; !s->preferred && i < list->n; i++)
		if (list->items[i].usable && cert_equal(list->items[i].cert, s->signer->cert))
			return &list->items[i];
	return list->n > 0 && list->items[0].usable ? &list->items[0] : NULL;
}

static const char *explain_none(const struct search *s, const struct candidate_list *list)
{
	if (list->n == 0)
		return s->preferred ? "RFC 8551 2.5.3: the certificate that the signer prefers is not in the message" :
				      "no certificate for encryption is in the message";
	return arena_printf(s->arena, "certificate %s: %s", cert_info(list->items[0].cert)->serial, list->items[0].reason);
}

/* 1, 0 with *why, -1. */
static int find_cert(struct search *s, const struct cert **cert, const char **why, struct err *err)
{
	const struct directory message = { .class = &message_class, .self = s, .name = "message",
					   .secondary_addresses = true };
	const struct collection *collection = vouching(s);
	const struct candidate_query query = {
		.addresses = s->query->from, .n = 1, .directories = &message, .directory_count = 1,
		.collections = &collection, .collection_count = collection != NULL, .at = s->query->at,
	};
	struct candidate_list list = { .status = DIRECTORY_FAILED };
	const struct candidate *chosen;

	if (candidate_find(s->arena, &query, &list, err) != 0)
		return -1;
	chosen = choose(s, &list);
	if (chosen != NULL && cert_info(chosen->cert)->der.n <= HARVEST_CERT_BYTES) {
		*cert = chosen->cert;
		return 1;
	}
	*why = chosen != NULL ? "the certificate is too large" : explain_none(s, &list);
	return *why != NULL ? 0 : err_memory(err);
}

static bool is_taken(const struct harvest *harvest, const struct cert *cert)
{
	for (size_t i = 0; i < harvest->chain_count; i++)
		if (cert_equal(harvest->chain[i], cert))
			return true;
	return false;
}

/* A CA of that name, be it the one that signed or not. Roots stand in collections. */
static bool may_have_issued(const struct cert *ca, const struct cert *cert)
{
	const struct cert_info *info = cert_info(ca);

	return info->ca && !info->self_signed && info->der.n <= HARVEST_CERT_BYTES &&
	       cert_has_issuer(cert, info->subject_der);
}

/* Level by level. */
void harvest_take_chain(const struct cert_list *certs, struct harvest *harvest)
{
	const struct cert *below = harvest->cert;

	for (size_t level = 0; below != NULL; level++) {
		for (size_t i = 0; i < certs->n && harvest->chain_count < HARVEST_CHAIN; i++)
			if (may_have_issued(certs->items[i], below) && !is_taken(harvest, certs->items[i]))
				harvest->chain[harvest->chain_count++] = certs->items[i];
		below = level < harvest->chain_count ? harvest->chain[level] : NULL;
	}
}

/* The one signer of the whole message; NULL: none, or several. */
static const struct layer *only_signer(const struct verdict *verdict)
{
	const struct layer *only = NULL, *layer = NULL;

	for (size_t i = 0; i < verdict->layers.n; i++) {
		layer = &verdict->layers.items[i];
		if (layer->type != LAYER_SIGNED || !layer->covers_message)
			continue;
		if (only != NULL)
			return NULL;
		only = layer;
	}
	return only;
}

/* Why nothing may be learned from whoever signed; NULL: it may. */
static const char *objection(const struct harvest_query *query, const struct layer *signer)
{
	if (query->verdict->result != RESULT_PASS)
		return "the verdict is not pass";
	if (signer == NULL)
		return "more than one signature";
	if (signer->from != FROM_MATCH || query->from->text.n == 0)
		return "the signer's certificate does not have From's address";
	if (pattern_list_match(query->local_domains, query->from))
		return "From is in local_domains";
	if (signer->signed_at == 0)
		return "RFC 8551 2.7.1: no signing time: it could be of any age";
	if (signer->signed_at > query->at + HARVEST_SKEW_S)
		return "RFC 8551 2.7.1: the signing time is in the future";
	return NULL;
}

/* What cannot be read says nothing: no preference means choosing by usage, so an unreadable one must not. */
static const char *read_preference(struct search *s)
{
	s->preferred = s->signer->key_preference.n > 0;
	if (s->preferred && key_preference_parse(s->signer->key_preference, &s->preference, NULL) != 0)
		return "RFC 8551 2.5.3: SMIMEEncryptionKeyPreference is malformed";
	return NULL;
}

int harvest_find(struct arena *arena, const struct harvest_query *query, struct harvest *harvest, const char **why,
		 struct err *err)
{
	struct search s = { .arena = arena, .query = query, .signer = only_signer(query->verdict) };
	int rc;

	*harvest = (struct harvest){ .cert = NULL };
	*why = objection(query, s.signer);
	if (*why == NULL)
		*why = read_preference(&s);
	if (*why != NULL)
		return 0;
	rc = find_cert(&s, &harvest->cert, why, err);
	if (rc != 1)
		return rc;
	harvest->address = *query->from;
	harvest->signed_at = s.signer->signed_at;
	harvest->collection = s.signer->collection;
	if (s.signer->capabilities.n > 0)
		(void)capabilities_parse(s.signer->capabilities, &harvest->capabilities, NULL);
	harvest_take_chain(s.signer->certs, harvest);
	return 1;
}
