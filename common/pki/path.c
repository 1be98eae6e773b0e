/* path.c - does a certificate lead to an anchor of a collection? Paths are found here, by name, key identifier and
 * signature, all of them until one is good; each is then checked by OpenSSL (path_verify.c: RFC 5280 6.1) and asked
 * for its revocation (path_revocation.c: 6.3). Usage of the certificate itself is cert.c's, its addresses and
 * strength are the callers': smime/verify.c, candidate.c. Pure, apart from memory and evidence.
 *
 * OpenSSL's own path building is not used: it takes the first issuer of a name and does not come back, and it cannot
 * tell a forged certificate from one of another CA of the same name.
 *
 * A pinned certificate is its own path, checked by OpenSSL as an anchor at the end of it is, for validity and
 * critical extensions. Its CA's word that it is revoked counts, whoever brings that CA's certificate; what else
 * became of the CA does not. The collection's policies ask something of CAs and are not for it.
 *
 * What was proven is remembered by the collection (path_memory.h), so that a known certificate is answered for
 * without a public-key operation. Answers belong to the snapshot of evidence they were made with. */
#include "pki/path.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/event.h"
#include "pki/evidence.h"
#include "pki/known_cas.h"
#include "pki/path_internal.h"
#include "pki/pki_internal.h"

#define MAX_PATHS 16		/* given to OpenSSL, for one collection */
#define MAX_SIGNATURES 100	/* verified while searching, for one collection */

static const char *const chain_names[] = {
	[CHAIN_GOOD] = "good", [CHAIN_UNTRUSTED] = "untrusted", [CHAIN_EXPIRED] = "expired",
	[CHAIN_NOT_YET_VALID] = "not-yet-valid", [CHAIN_INCOMPLETE] = "incomplete", [CHAIN_BAD] = "bad",
};

static const char *const revocation_names[] = {
	[REV_GOOD] = "good", [REV_REVOKED] = "revoked", [REV_UNKNOWN] = "unknown", [REV_STALE] = "stale",
	[REV_OFF] = "off",
};

const char *path_chain_name(enum path_chain chain)
{
	return (size_t)chain < sizeof(chain_names) / sizeof(chain_names[0]) ? chain_names[chain] : "bad";
}

const char *path_revocation_name(enum path_revocation revocation)
{
	return (size_t)revocation < sizeof(revocation_names) / sizeof(revocation_names[0]) ?
	       revocation_names[revocation] : "unknown";
}

/* Which result counts when there are several: the one nearest to good. */
static int distance(enum path_chain chain)
{
	static const int distances[] = {
		[CHAIN_GOOD] = 0, [CHAIN_EXPIRED] = 1, [CHAIN_NOT_YET_VALID] = 2, [CHAIN_BAD] = 3,
		[CHAIN_UNTRUSTED] = 4, [CHAIN_INCOMPLETE] = 5,
	};

	return distances[chain];
}

bool path_has(const struct search *s, const struct cert *cert)
{
	for (size_t i = 0; i < s->n; i++)
		if (cert_equal(s->certs[i], cert))
			return true;
	return false;
}

/* Another moment, at which cert is valid or not as it is now, changes nothing about it. */
void path_cut_by_validity(struct search *s, const struct cert *cert)
{
	path_span_cut(&s->span, s->query->at, cert_info(cert)->not_before);
	path_span_cut(&s->span, s->query->at, cert_info(cert)->not_after);
}

/* Keeps a failure if it is nearer to good than what is known. */
static void fail(struct search *s, enum path_chain chain, const char *what, const char *name)
{
	char line[sizeof(s->best.detail)];

	if (distance(chain) >= distance(s->best.chain) && s->best.detail[0] != '\0')
		return;
	snprintf(line, sizeof(line), "%s: %s", what, name);
	s->best = (struct path_result){ .chain = chain, .revocation = REV_OFF };
	event_escape(slice_of(line), s->best.detail, sizeof(s->best.detail));
}

/* A CA that its EKU binds to other uses does not vouch for mail, as with OpenSSL's own purpose. */
static const struct cert *ca_for_other_uses(const struct search *s)
{
	for (size_t i = 1; i < s->n; i++) {
		const struct cert_info *info = cert_info(s->certs[i]);

		if (info->eku_given && !info->eku_email && !info->eku_any)
			return s->certs[i];
	}
	return NULL;
}

static void succeed(struct search *s, enum path_revocation revocation)
{
	s->best = (struct path_result){ .chain = CHAIN_GOOD, .revocation = revocation, .collection = s->collection };
	if (revocation == REV_REVOKED)
		snprintf(s->best.detail, sizeof(s->best.detail), "revoked, says its CA");
}

static void try_path(struct search *s)
{
	const struct path_trial trial = { .certs = s->certs, .n = s->n, .at = s->query->at,
					  .policies = s->anchor != NULL ? NULL : collection_policies(s->collection) };
	const struct cert *other = ca_for_other_uses(s);
	struct path_fault fault;

	if (s->paths++ == MAX_PATHS) {
		fail(s, CHAIN_BAD, "too many paths", cert_info(s->certs[0])->subject);
	} else if (path_verify(&trial, &fault) != 0) {
		s->failed = true;
	} else if (fault.error != X509_V_OK) {
		fail(s, fault.chain, X509_verify_cert_error_string(fault.error), cert_info(s->certs[fault.depth])->subject);
	} else if (other != NULL) {
		fail(s, CHAIN_BAD, "RFC 8550 4.4.4: the CA's EKU leaves out e-mail protection", cert_info(other)->subject);
	} else {
		memcpy(s->found.certs, s->certs, s->n * sizeof(s->certs[0]));
		s->found.n = s->n;
		succeed(s, path_revocation(s));
	}
}

static bool is_done(const struct search *s)
{
	return s->failed || s->best.chain == CHAIN_GOOD || s->paths > MAX_PATHS || s->signatures > MAX_SIGNATURES;
}

/* Counts a signature about to be verified. */
static bool may_verify(struct search *s)
{
	unsigned *shared = s->query->signatures;

	if (shared != NULL && *shared >= PATH_SHARED_SIGNATURES)
		s->signatures = MAX_SIGNATURES;
	else if (shared != NULL)
		++*shared;
	return s->signatures++ < MAX_SIGNATURES;
}

static bool add_to_digest(EVP_MD_CTX *digest, const struct cert *cert)
{
	return EVP_DigestUpdate(digest, cert_info(cert)->sha256, (size_t)2 * CRYPT_SHA256_BYTES) == 1;
}

int path_make_key(const char *kind, const struct evidence *evidence, const struct cert *cert,
		  const struct cert *issuer, const struct cert_list *others, struct path_key *key)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	uint64_t number = evidence == NULL ? 0 : evidence_number(evidence);
	bool ok = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
		  EVP_DigestUpdate(digest, kind, strlen(kind) + 1) == 1 &&
		  EVP_DigestUpdate(digest, &number, sizeof(number)) == 1 && add_to_digest(digest, cert) &&
		  (issuer == NULL || add_to_digest(digest, issuer));

	for (size_t i = 0; ok && others != NULL && i < others->n; i++)
		ok = add_to_digest(digest, others->items[i]);
	ok = ok && EVP_DigestFinal_ex(digest, key->bytes, NULL) == 1;
	EVP_MD_CTX_free(digest);
	return ok ? 0 : -1;
}

/* A signature is good at any time, wherever the path leads; so a path to another collection costs no public-key
 * operation either. */
static bool verify_once(struct search *s, const struct cert *issuer, const struct cert *child)
{
	static const struct path_span always = { .after = 0, .before = INT64_MAX };
	struct path_memory *memory = collection_memory(s->collection);
	EVP_PKEY *pkey = X509_get0_pubkey(cert_x509(issuer));
	enum path_revocation unused = REV_OFF;
	struct path_key key;

	if (path_make_key("signature", NULL, child, issuer, NULL, &key) != 0) {
		s->failed = true;
		return false;
	}
	if (path_memory_find(memory, key.bytes, 1, &unused))
		return true;
	if (pkey == NULL || X509_verify(cert_x509(child), pkey) != 1)
		return false;
	path_memory_keep(memory, key.bytes, &always, REV_OFF);
	return true;
}

/* Does issuer's key verify child? Says why not where that is telling: a key identifier that fits makes the child a
 * forgery, nothing but the name makes the issuer another CA. */
static bool has_signed(struct search *s, const struct cert *issuer, const struct cert *child, bool anchor)
{
	if (!may_verify(s)) {
		fail(s, CHAIN_BAD, "too many CA certificates of one name", cert_info(child)->subject);
		return false;
	}
	if (cert_info(issuer)->oversized) {
		fail(s, CHAIN_BAD, "a CA's key is too large", cert_info(issuer)->subject);
		return false;
	}
	if (verify_once(s, issuer, child))
		return true;
	ERR_clear_error();
	if (X509_get0_authority_key_id(cert_x509(child)) != NULL && cert_info(issuer)->skid.n > 0)
		fail(s, CHAIN_BAD, "certificate signature failure", cert_info(child)->subject);
	else if (anchor)
		fail(s, CHAIN_UNTRUSTED, "signed by another CA of its issuer's name", cert_info(child)->subject);
	return false;
}

bool path_issues(struct search *s, const struct cert *issuer, const struct cert *child, bool anchor)
{
	int rc = X509_check_issued(cert_x509(issuer), cert_x509(child));

	ERR_clear_error();
	switch (rc) {
	case X509_V_OK:
		return has_signed(s, issuer, child, anchor);
	case X509_V_ERR_SUBJECT_ISSUER_MISMATCH:
		return false;
	case X509_V_ERR_AKID_SKID_MISMATCH:
	case X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH:
		if (anchor)
			fail(s, CHAIN_UNTRUSTED, "signed by another CA of its issuer's name", cert_info(child)->subject);
		return false;
	default:
		if (has_signed(s, issuer, child, anchor))
			fail(s, CHAIN_BAD, X509_verify_cert_error_string(rc), cert_info(issuer)->subject);
		return false;
	}
}

static void extend(struct search *s);

static void try_issuer(struct search *s, const struct cert *issuer, bool anchor)
{
	const struct cert *child = s->certs[s->n - 1];

	if (is_done(s) || path_has(s, issuer) || (anchor && s->anchor != NULL && !cert_equal(issuer, s->anchor)) ||
	    !path_issues(s, issuer, child, anchor))
		return;
	path_cut_by_validity(s, issuer);
	s->certs[s->n++] = issuer;
	if (anchor)
		try_path(s);
	else
		extend(s);
	s->n--;
}

static void try_part(struct search *s, enum collection_part part)
{
	const X509_NAME *name = X509_get_issuer_name(cert_x509(s->certs[s->n - 1]));
	struct cert *const *items;
	size_t n = 0;

	items = collection_find(s->collection, part, name, &n);
	for (size_t i = 0; i < n; i++)
		try_issuer(s, items[i], part == COLLECTION_ANCHORS);
}

/* From the last certificate of s->certs upwards, every way, until one is good. */
static void extend(struct search *s)
{
	const struct cert *last = s->certs[s->n - 1];
	const struct cert_list *untrusted = s->query->untrusted;

	if (s->n == PATH_MAX_CERTS) {
		fail(s, CHAIN_BAD, "path too long", cert_info(s->certs[0])->subject);
		return;
	}
	if (cert_info(last)->self_signed) {
		fail(s, CHAIN_UNTRUSTED, "self-signed and not in the collection", cert_info(last)->subject);
		return;
	}
	try_part(s, COLLECTION_ANCHORS);
	try_part(s, COLLECTION_INTERMEDIATES);
	for (size_t i = 0; untrusted != NULL && i < untrusted->n; i++)
		try_issuer(s, untrusted->items[i], false);
	if (!is_done(s))
		fail(s, CHAIN_INCOMPLETE, "no certificate of the issuer", cert_info(last)->issuer);
}

static bool is_in_collection(const struct search *s, enum collection_part part, const struct cert *cert)
{
	struct cert *const *items;
	size_t n = 0;

	items = collection_find(s->collection, part, X509_get_subject_name(cert_x509(cert)), &n);
	for (size_t i = 0; i < n; i++)
		if (cert_equal(items[i], cert))
			return true;
	return false;
}

/* OpenSSL lets an anchor alone pass whatever policies it has. */
static void try_anchor(struct search *s)
{
	if (collection_policies(s->collection) != NULL)
		fail(s, CHAIN_BAD, "an anchor itself is valid for no policy", cert_info(s->certs[0])->subject);
	else
		try_path(s);
}

static void try_pinned(struct search *s)
{
	const struct path_trial trial = { .certs = s->certs, .n = 1, .at = s->query->at, .partial = true };
	struct path_fault fault;

	if (path_verify(&trial, &fault) != 0)
		s->failed = true;
	else if (fault.error != X509_V_OK)
		fail(s, fault.chain, X509_verify_cert_error_string(fault.error), cert_info(s->certs[0])->subject);
	else
		succeed(s, path_revocation_pinned(s));
}

void path_search(struct search *s)
{
	s->certs[s->n++] = s->query->cert;
	path_cut_by_validity(s, s->query->cert);
	if (s->anchor != NULL)
		extend(s);
	else if (is_in_collection(s, COLLECTION_PINNED, s->query->cert))
		try_pinned(s);
	else if (is_in_collection(s, COLLECTION_ANCHORS, s->query->cert))
		try_anchor(s);
	else
		extend(s);
}

/* Once more with the CAs that earlier messages brought: known is what they and the question's own make together, which
 * has to live as long as the search. */
static void search_known(struct search *s, struct path_query *query, struct cert_list *known)
{
	const struct cert_list *given = s->query->untrusted;
	struct search again = *s;

	s->failed = known_cas_add_to(collection_known_cas(s->collection), known) != 0;
	if (s->failed || known->n == 0)
		return;
	for (size_t i = 0; given != NULL && i < given->n && !s->failed; i++)
		s->failed = cert_list_add(known, given->items[i]) != 0;
	if (s->failed)
		return;
	*query = *s->query;
	query->untrusted = known;
	again.query = query;
	again.n = 0;
	path_search(&again);
	s->failed = again.failed;
	if (again.best.chain == CHAIN_GOOD)
		*s = again;
}

/* Nothing but what stood in a good path is remembered; a revoked CA would speak against whoever sends none. */
static void keep_known(const struct search *s)
{
	if (s->best.revocation == REV_REVOKED)
		return;
	for (size_t i = 1; i + 1 < s->found.n; i++)
		if (!is_in_collection(s, COLLECTION_INTERMEDIATES, s->found.certs[i]))
			known_cas_keep(collection_known_cas(s->collection),
				       (struct cert *)(uintptr_t)s->found.certs[i]);
}

/* Answers that speak for the certificate hold whatever lies beside it, others for the very same question. */
static int answer(struct search *s, struct path_query *query, struct cert_list *known)
{
	struct path_memory *memory = collection_memory(s->collection);
	enum path_revocation revocation = REV_UNKNOWN;
	struct path_key proven, asked;
	bool proof;

	if (path_make_key("path", s->evidence, s->query->cert, NULL, NULL, &proven) != 0)
		return -1;
	if (path_memory_find(memory, proven.bytes, s->query->at, &revocation)) {
		succeed(s, revocation);
		return 0;
	}
	if (path_make_key("question", s->evidence, s->query->cert, NULL, s->query->untrusted, &asked) != 0)
		return -1;
	if (path_memory_find(memory, asked.bytes, s->query->at, &revocation)) {
		succeed(s, revocation);
		return 0;
	}
	path_search(s);
	if (!s->failed && s->best.chain == CHAIN_INCOMPLETE)
		search_known(s, query, known);
	if (s->failed)
		return -1;
	if (s->best.chain != CHAIN_GOOD)
		return 0;
	keep_known(s);
	path_want(s);
	revocation = s->best.revocation;
	proof = revocation == REV_GOOD || revocation == REV_OFF;
	path_memory_keep(memory, proof ? proven.bytes : asked.bytes, &s->span, revocation);
	return 0;
}

static int check_collection(const struct path_query *query, const struct collection *collection,
			    struct path_result *result)
{
	struct evidence *evidence = query->no_revocation ? NULL : collection_evidence(collection);
	struct search s = { .query = query, .collection = collection, .evidence = evidence,
			    .best = { .chain = CHAIN_INCOMPLETE }, .span = { .after = 0, .before = INT64_MAX } };
	struct path_query wider;
	struct cert_list known = { NULL, 0, 0 };
	int rc = answer(&s, &wider, &known);

	cert_list_clear(&known);
	evidence_free(evidence);
	if (rc == 0)
		*result = s.best;
	return rc;
}

/* Nothing of it is kept. What was remembered for the result is not asked: it does not know by what it came. */
int path_prove(const struct path_query *query, const struct path_result *result, struct arena *arena,
	       struct path_proof *proof, struct err *err)
{
	struct path_proof told = { .n = 0 };
	struct cert_list known = { NULL, 0, 0 };
	struct path_query wider;
	struct search s = { .query = query, .collection = result->collection, .proof = &told,
			    .brought = result->brought ? query->brought : NULL,
			    .best = { .chain = CHAIN_INCOMPLETE }, .span = { .after = 0, .before = INT64_MAX } };
	struct evidence *own;
	int rc = -1;

	proof->n = 0;
	if (result->chain != CHAIN_GOOD)
		return 0;
	own = query->no_revocation ? NULL : collection_evidence(result->collection);
	s.evidence = own;
	path_search(&s);
	if (!s.failed && s.best.chain == CHAIN_INCOMPLETE)
		search_known(&s, &wider, &known);
	if (!s.failed)
		rc = path_proof_complete(&s, &told, arena, proof);
	cert_list_clear(&known);
	evidence_free(own);
	return rc == 0 ? 0 : err_memory(err);
}

/* Smaller is better. A CA's word that the certificate is revoked counts whatever other collections do not know. */
static int rank(const struct path_result *result)
{
	static const int ranks[] = {
		[REV_REVOKED] = 0, [REV_GOOD] = 1, [REV_OFF] = 2, [REV_STALE] = 3, [REV_UNKNOWN] = 3,
	};
	int hard = 0;

	if (result->chain != CHAIN_GOOD)
		return 10 + distance(result->chain);
	if (result->revocation == REV_STALE || result->revocation == REV_UNKNOWN)
		hard = collection_revocation(result->collection) == REVOCATION_HARD;
	return ranks[result->revocation] + hard;
}

static bool is_open(const struct path_result *result)
{
	return result->chain == CHAIN_GOOD && (result->revocation == REV_UNKNOWN || result->revocation == REV_STALE);
}

/* The path is found once more, by signatures that are known, and nothing of it is kept: what the message brought along
 * is not in the questions that are remembered. 0, or -1: memory. */
static int ask_brought(const struct path_query *query, struct path_result *result)
{
	struct path_brought *brought = query->brought;
	struct search s = { .query = query, .collection = result->collection, .brought = brought,
			    .best = { .chain = CHAIN_INCOMPLETE }, .span = { .after = 0, .before = INT64_MAX } };
	struct evidence *own;

	if (brought->evidence == NULL)
		brought->evidence = evidence_of_crls(brought->crls, brought->n);
	if (brought->evidence == NULL)
		return -1;
	own = collection_evidence(result->collection);
	s.evidence = own;
	path_search(&s);
	evidence_free(own);
	if (s.failed)
		return -1;
	s.best.brought = s.brought_told;
	if (s.best.chain == CHAIN_GOOD && !is_open(&s.best))
		*result = s.best;
	return 0;
}

void path_brought_clear(struct path_brought *brought)
{
	evidence_free(brought->evidence);
	brought->evidence = NULL;
}

static int no_memory(struct path_result *result, struct err *err)
{
	*result = (struct path_result){ .chain = CHAIN_BAD, .revocation = REV_OFF };
	return err_memory(err);
}

int path_check(const struct path_query *query, struct path_result *result, struct err *err)
{
	struct path_result one;

	*result = (struct path_result){ .chain = CHAIN_UNTRUSTED, .revocation = REV_OFF };
	snprintf(result->detail, sizeof(result->detail), "no collection");
	for (size_t i = 0; i < query->collection_count; i++) {
		if (check_collection(query, query->collections[i], &one) != 0)
			return no_memory(result, err);
		if (i == 0 || rank(&one) < rank(result))
			*result = one;
	}
	if (query->brought != NULL && query->brought->n > 0 && is_open(result) && ask_brought(query, result) != 0)
		return no_memory(result, err);
	return 0;
}
