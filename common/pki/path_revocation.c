/* path_revocation.c - the question of a path's revocation: asks revocation.c about each certificate below the
 * anchor, finds the paths of CRLs' signers for it, and tells who fetches what is lacking. Called by path.c. */
#include "pki/crl.h"
#include "pki/evidence.h"
#include "pki/ocsp.h"
#include "pki/path_internal.h"
#include "pki/pki_internal.h"
#include "pki/revocation_wanted.h"

#define WANT_EVERY_S 60
#define USED_EVERY_S (24 * 3600)

/* The position-th certificate that may be a signer's; NULL: no more. The sender's own come last. */
static const struct cert *candidate(const struct search *s, const X509_NAME *subject, size_t position)
{
	const struct cert_list *untrusted = s->query->untrusted;
	struct cert *const *items, *const *beside;
	size_t n = 0, others = 0;

	items = collection_find(s->collection, COLLECTION_INTERMEDIATES, subject, &n);
	beside = evidence_certs(s->evidence, &others);
	if (position < n)
		return items[position];
	position -= n;
	if (position < others)
		return beside[position];
	position -= others;
	return untrusted != NULL && position < untrusted->n ? untrusted->items[position] : NULL;
}

/* RFC 5280 6.3.3 (f): a path to the same anchor, whatever its policies. */
static bool leads_to_anchor(struct search *s, const struct cert *cert, struct revocation_path *path)
{
	const struct path_query query = { .cert = cert, .untrusted = s->query->untrusted, .at = s->query->at };
	struct search sub = { .query = &query, .collection = s->collection, .anchor = s->certs[s->n - 1],
			      .signatures = s->signer_signatures, .span = s->span,
			      .best = { .chain = CHAIN_INCOMPLETE } };

	path_search(&sub);
	s->signer_signatures = sub.signatures;
	s->span = sub.span;
	s->failed = s->failed || sub.failed;
	*path = sub.found;
	return sub.best.chain == CHAIN_GOOD;
}

static bool next_signer(void *self, const X509_NAME *subject, size_t *position, struct revocation_path *path)
{
	struct search *s = self;
	const struct cert *cert;

	while ((cert = candidate(s, subject, *position)) != NULL) {
		++*position;
		if (X509_NAME_cmp(X509_get_subject_name(cert_x509(cert)), subject) == 0 && !path_has(s, cert) &&
		    leads_to_anchor(s, cert, path))
			return true;
	}
	return false;
}

/* The worse one comes last. */
static enum path_revocation worst(enum path_revocation a, enum path_revocation b)
{
	static const int order[] = {
		[REV_OFF] = 0, [REV_GOOD] = 1, [REV_STALE] = 2, [REV_UNKNOWN] = 3, [REV_REVOKED] = 4,
	};

	return order[a] > order[b] ? a : b;
}

static void hear(void *self, const struct crl *crl, const struct ocsp *ocsp)
{
	const struct search *s = self;
	struct path_proof_item item = { .kind = crl != NULL ? "crl" : "ocsp", .crl = crl, .ocsp = ocsp };

	crypt_hex(crl != NULL ? crl->sha256 : ocsp_sha256(ocsp), CRYPT_SHA256_BYTES, item.sha256);
	path_proof_add(s->proof, &item);
}

static void begin(struct search *s, struct revocation_query *query, unsigned *signatures)
{
	*signatures = 0;
	*query = (struct revocation_query){
		.evidence = s->evidence, .chain = s->certs, .n = s->n, .at = s->query->at, .span = &s->span,
		.memory = collection_memory(s->collection), .heard = s->proof != NULL ? hear : NULL, .self = s,
		.signatures = signatures,
	};
}

static bool is_open(enum path_revocation revocation)
{
	return revocation == REV_UNKNOWN || revocation == REV_STALE;
}

/* Where our own evidence has no current answer about s->certs[index]. */
static void ask_brought(struct search *s, const struct revocation_query *own, size_t index,
			struct revocation_answer *answer)
{
	struct path_span unused = { .after = 0, .before = INT64_MAX };
	struct revocation_query query = *own;
	struct revocation_answer told;

	query.span = &unused;
	query.signatures = s->brought->signatures;
	revocation_check_brought(&query, s->brought->evidence, index, &told);
	if (!told.current)
		return;
	*answer = told;
	s->brought_told = true;
}

enum path_revocation path_revocation(struct search *s)
{
	enum path_revocation found = REV_GOOD;
	struct revocation_answer answer;
	struct revocation_query query;
	unsigned signatures;

	s->ages = INT64_MAX;
	if (s->proof != NULL)
		s->proof->n = 0;	/* of a path that led to nothing */
	if (s->evidence == NULL)
		return REV_OFF;
	begin(s, &query, &signatures);
	query.signer = next_signer;
	for (size_t i = 0; i + 1 < s->n; i++) {
		revocation_check(&query, i, &answer);
		if (s->brought != NULL && is_open(answer.revocation))
			ask_brought(s, &query, i, &answer);
		found = worst(found, answer.revocation);
		if (answer.ages < s->ages)
			s->ages = answer.ages;
	}
	return found;
}

/* What issuer says of the pinned certificate. An issuer that has come to nothing may still have revoked it. */
static enum path_revocation ask_issuer(struct search *s, const struct cert *issuer, time_t *ages)
{
	struct revocation_answer answer = { .revocation = REV_UNKNOWN };
	struct path_trial trial = { .certs = s->certs, .n = 2, .at = s->query->at, .partial = true };
	struct revocation_query query;
	struct path_fault fault;
	unsigned signatures;

	*ages = 0;
	if (s->failed || path_has(s, issuer) || !path_issues(s, issuer, s->certs[0], false))
		return REV_UNKNOWN;
	path_cut_by_validity(s, issuer);
	s->certs[s->n++] = issuer;
	begin(s, &query, &signatures);
	revocation_check(&query, 0, &answer);
	s->failed = path_verify(&trial, &fault) != 0;
	s->n--;
	if (s->failed || (fault.error != X509_V_OK && answer.revocation != REV_REVOKED))
		return REV_UNKNOWN;
	*ages = answer.ages;
	return answer.revocation;
}

/* The answer that counts when issuers of one name were asked: revoked, else what is known. */
static void join(struct search *s, enum path_revocation *found, const struct cert *issuer)
{
	static const int order[] = {
		[REV_OFF] = 0, [REV_UNKNOWN] = 1, [REV_STALE] = 2, [REV_GOOD] = 3, [REV_REVOKED] = 4,
	};
	time_t ages = 0;
	enum path_revocation one = ask_issuer(s, issuer, &ages);

	if (order[one] <= order[*found] && s->found.n == 2)
		return;
	*found = one;
	s->ages = ages;
	s->found = (struct revocation_path){ .certs = { s->certs[0], issuer }, .n = 2 };
}

enum path_revocation path_revocation_pinned(struct search *s)
{
	static const enum collection_part parts[] = { COLLECTION_ANCHORS, COLLECTION_INTERMEDIATES };
	const struct cert_list *untrusted = s->query->untrusted;
	enum path_revocation found = REV_UNKNOWN;
	struct cert *const *items;
	size_t n = 0;

	if (s->evidence == NULL)
		return REV_OFF;
	for (size_t part = 0; part < sizeof(parts) / sizeof(parts[0]); part++) {
		items = collection_find(s->collection, parts[part], X509_get_issuer_name(cert_x509(s->certs[0])), &n);
		for (size_t i = 0; i < n; i++)
			join(s, &found, items[i]);
	}
	for (size_t i = 0; untrusted != NULL && i < untrusted->n; i++)
		join(s, &found, untrusted->items[i]);
	return found;
}

void path_want(struct search *s)
{
	const struct revocation_wanted *wanted = collection_wanted(s->collection);
	struct path_memory *memory = collection_memory(s->collection);
	time_t at = s->query->at;
	bool aged = s->ages <= at;
	const struct path_span told = { .after = at - 1, .before = at + (aged ? WANT_EVERY_S : USED_EVERY_S) };
	enum path_revocation unused = REV_OFF;
	struct path_key key;

	if (wanted == NULL || s->evidence == NULL || s->found.n < 2)
		return;
	/* A remembered answer does not outlive the moment at which it ages, or at which this is to be told again. */
	path_span_cut(&s->span, at, aged || told.before < s->ages ? told.before : s->ages);
	if (path_make_key(aged ? "wanted" : "used", NULL, s->found.certs[0], NULL, NULL, &key) != 0 ||
	    path_memory_find(memory, key.bytes, at, &unused))
		return;
	path_memory_keep(memory, key.bytes, &told, REV_OFF);
	wanted->want(wanted, s->collection, s->found.certs, s->found.n);
}
