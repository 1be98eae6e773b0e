/* revocation.c - judges one certificate of a proven path by the evidence: the algorithm of RFC 5280 6.3.3, point by
 * point (letters in comments are its steps), and OCSP beside it. Called by path_revocation.c for every certificate of a good
 * path.
 *
 * A CRL counts when a key has signed it whose certificate bears the CRL's issuer as subject and leads to the anchor
 * of the path in question: mostly the certificate's own issuer, else another key of that CA, or the cRLIssuer that
 * the certificate names (6.3.3 (f)). Such a signer's own revocation is asked for too. A CRL may speak for the
 * certificate of its own signer: who would not believe it has no other word of it.
 *
 * CRLs of an issuer come newest first, so one that was replaced counts only for what newer ones do not cover. */
#include "pki/revocation.h"

#include <openssl/err.h>
#include <string.h>

#include "pki/crl.h"
#include "pki/evidence.h"
#include "pki/ocsp.h"
#include "pki/pki_internal.h"

#define MAX_DEPTH 3		/* signers of CRLs about signers of CRLs … */
#define MAX_SIGNERS 8		/* of one name, tried for one CRL */
#define MAX_POINTS 16		/* distribution points of one certificate */
#define MAX_SIGNATURES 300	/* verified for one path: of own evidence, which no sender can add to */

/* What is known of one certificate, while evidence is gone through. */
struct facts {
	bool revoked, revoked_current, good, stale;
	time_t revoked_since, good_since;	/* this_update */
	time_t revoked_ages, good_ages;
};

struct asking {
	const struct revocation_query *query;
	const struct cert *cert, *issuer;
	unsigned depth;
	unsigned covered, covered_once;	/* reasons, by CRLs that are valid now, or that were */
	struct revocation_answer crls;	/* of those that cover: the oldest; revoked: that one */
	bool revoked;
	const struct evidence *brought;	/* by the message, and asked in place of the query's; else NULL */
	size_t index;			/* of cert in the query's chain, where something was brought */
};

/* (b): where the certificate says that CRLs about it are. */
struct point {
	const GENERAL_NAMES *issuers;	/* NULL: the certificate's issuer */
	const GENERAL_NAMES *names;	/* NULL: not said */
	unsigned reasons;
};

enum genuine { GENUINE_NO, GENUINE_STALE, GENUINE_YES };

static time_t aging(time_t from, time_t until)
{
	return from + (until - from) / 4 * 3;
}

static bool may_sign_crls(const struct cert *cert)
{
	const struct cert_info *info = cert_info(cert);

	if (info->oversized || (X509_get_extension_flags(cert_x509(cert)) & EXFLAG_INVALID) != 0)
		return false;
	return !info->usage_given || (X509_get_key_usage(cert_x509(cert)) & KU_CRL_SIGN) != 0;
}

static bool is_called(const struct cert *cert, const X509_NAME *name)
{
	return X509_NAME_cmp(X509_get_subject_name(cert_x509(cert)), name) == 0;
}

static bool make_key(const struct crl *crl, const struct cert *signer, unsigned char key[PATH_MEMORY_KEY_BYTES])
{
	static const char kind[] = "crl";
	unsigned char bytes[sizeof(kind) + CRYPT_SHA256_BYTES + (size_t)2 * CRYPT_SHA256_BYTES];

	memcpy(bytes, kind, sizeof(kind));
	memcpy(bytes + sizeof(kind), crl->sha256, CRYPT_SHA256_BYTES);
	memcpy(bytes + sizeof(kind) + CRYPT_SHA256_BYTES, cert_info(signer)->sha256, (size_t)2 * CRYPT_SHA256_BYTES);
	return crypt_sha256(bytes, sizeof(bytes), key, NULL) == 0;
}

/* (g). A signature that was good once needs no second look. */
static bool has_signed(const struct revocation_query *query, const struct crl *crl, const struct cert *signer)
{
	static const struct path_span always = { .after = 0, .before = INT64_MAX };
	unsigned char key[PATH_MEMORY_KEY_BYTES];
	enum path_revocation unused = REV_OFF;
	EVP_PKEY *pkey = X509_get0_pubkey(cert_x509(signer));

	if (pkey == NULL || !make_key(crl, signer, key))
		return false;
	if (path_memory_find(query->memory, key, 1, &unused))
		return true;
	if ((*query->signatures)++ >= MAX_SIGNATURES)
		return false;
	if (X509_CRL_verify(crl->x509, pkey) != 1) {
		ERR_clear_error();
		return false;
	}
	path_memory_keep(query->memory, key, &always, REV_OFF);
	return true;
}

static void ask(const struct revocation_query *query, size_t index, unsigned depth, struct revocation_answer *answer);

/* (f): of the signer's path, all of which must be good. */
static enum genuine path_is_good(const struct asking *a, const struct revocation_path *path)
{
	struct revocation_query query = *a->query;
	struct revocation_answer answer;
	enum genuine result = GENUINE_YES;

	if (a->depth == MAX_DEPTH)
		return GENUINE_NO;
	query.chain = path->certs;
	query.n = path->n;
	for (size_t i = 0; i + 1 < path->n; i++) {
		ask(&query, i, a->depth + 1, &answer);
		if (answer.revocation != REV_GOOD && answer.revocation != REV_STALE)
			return GENUINE_NO;
		if (answer.revocation == REV_STALE)
			result = GENUINE_STALE;
	}
	return result;
}

/* By a certificate of the path itself, from that one upwards; its own revocation is asked for as one of the path. */
static bool is_signed_by_path(const struct revocation_query *query, size_t from, const struct crl *crl)
{
	for (size_t i = from; i < query->n; i++)
		if (is_called(query->chain[i], crl->issuer) && may_sign_crls(query->chain[i]) &&
		    has_signed(query, crl, query->chain[i]))
			return true;
	return false;
}

static enum genuine is_genuine(const struct asking *a, const struct crl *crl)
{
	const struct revocation_query *query = a->query;
	struct revocation_path path;
	enum genuine found = GENUINE_NO, one;
	size_t position = 0;

	if (is_signed_by_path(query, 0, crl))
		return GENUINE_YES;
	for (size_t i = 0; i < MAX_SIGNERS && query->signer != NULL && found != GENUINE_YES; i++) {
		if (!query->signer(query->self, crl->issuer, &position, &path))
			break;
		if (!may_sign_crls(path.certs[0]) || !has_signed(query, crl, path.certs[0]))
			continue;
		one = path_is_good(a, &path);
		if (one > found)
			found = one;
	}
	return found;
}

static bool have_common(const GENERAL_NAMES *a, const GENERAL_NAMES *b)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(a); i++)
		for (int k = 0; k < sk_GENERAL_NAME_num(b); k++)
			if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(a, i), sk_GENERAL_NAME_value(b, k)) == 0)
				return true;
	return false;
}

/* (b) (1) and (2) */
static bool is_in_scope(const struct asking *a, const struct point *point, const struct crl *crl)
{
	const ISSUING_DIST_POINT *idp = crl->idp;
	bool ca = cert_info(a->cert)->ca;

	if (crl->unusable != NULL)
		return false;
	if (X509_NAME_cmp(crl->issuer, X509_get_issuer_name(cert_x509(a->cert))) != 0 &&
	    (idp == NULL || idp->indirectCRL <= 0))
		return false;
	if (idp == NULL)
		return true;
	if ((idp->onlyuser > 0 && ca) || (idp->onlyCA > 0 && !ca))
		return false;
	return crl->names == NULL || have_common(crl->names, point->names != NULL ? point->names : point->issuers);
}

enum listing { LISTED_NOT, LISTED, LISTED_REMOVED };

static enum listing look_up(const struct crl *crl, const struct cert *cert)
{
	X509_REVOKED *entry = NULL;

	switch (X509_CRL_get0_by_cert(crl->x509, &entry, cert_x509(cert))) {
	case 0:
		return LISTED_NOT;
	case 2:	/* removeFromCRL */
		return LISTED_REMOVED;
	default:
		return LISTED;
	}
}

/* Is there a list of our own about the certificate which is newer than the one that was brought? */
static bool is_superseded(const struct asking *a, const struct point *point, const struct crl *brought)
{
	const struct crl *const *crls;
	size_t n = 0;

	crls = evidence_crls(a->query->evidence, brought->issuer, &n);
	for (size_t i = 0; i < n && crls[i]->this_update > brought->this_update; i++)
		if (crls[i]->base == NULL && crl_has_begun(crls[i], a->query->at) && is_in_scope(a, point, crls[i]) &&
		    is_genuine(a, crls[i]) != GENUINE_NO)
			return true;
	return false;
}

/* A sender could bring the CRL's signer too: of his, only keys above the certificate count. */
static enum genuine is_complete_genuine(const struct asking *a, const struct point *point, const struct crl *crl)
{
	if (a->brought == NULL)
		return is_genuine(a, crl);
	return is_signed_by_path(a->query, a->index + 1, crl) && !is_superseded(a, point, crl) ? GENUINE_YES :
	       GENUINE_NO;
}

/* (c), (h): the newest delta that has begun and may be applied; NULL: none. */
static const struct crl *delta_among(const struct asking *a, const struct evidence *evidence,
				     const struct crl *complete)
{
	const struct crl *const *crls;
	size_t n = 0;

	crls = evidence_crls(evidence, complete->issuer, &n);
	for (size_t i = 0; i < n; i++) {
		if (!crl_delta_fits(crls[i], complete) || !crl_has_begun(crls[i], a->query->at))
			continue;
		if (evidence == a->brought ? is_signed_by_path(a->query, a->index + 1, crls[i]) :
		    is_genuine(a, crls[i]) == GENUINE_YES)
			return crls[i];
	}
	return NULL;
}

static const struct crl *delta_for(const struct asking *a, const struct crl *complete)
{
	const struct crl *delta = delta_among(a, a->query->evidence, complete);

	return delta == NULL && a->brought != NULL ? delta_among(a, a->brought, complete) : delta;
}

/* A delta that is out of date still knows who was revoked, but lets nobody go. */
static bool is_revoked(const struct asking *a, const struct crl *complete, const struct crl *delta)
{
	enum listing changed = delta == NULL ? LISTED_NOT : look_up(delta, a->cert);

	if (changed == LISTED)
		return true;
	if (changed == LISTED_REMOVED && crl_is_current(delta, a->query->at))
		return false;
	return look_up(complete, a->cert) != LISTED_NOT;
}

/* The reasons that the CRL covers, of those that nothing covers yet. */
static void cover(struct asking *a, unsigned reasons, bool current, const struct crl *newest)
{
	time_t ages = aging(newest->this_update, newest->next_update);

	a->covered_once |= reasons;
	if (!current)
		return;
	a->covered |= reasons;
	if (a->crls.this_update == 0 || newest->this_update < a->crls.this_update)
		a->crls.this_update = newest->this_update;
	if (a->crls.ages == 0 || ages < a->crls.ages)
		a->crls.ages = ages;
}

static void tell(const struct revocation_query *query, const struct crl *crl, const struct ocsp *ocsp)
{
	if (query->heard != NULL)
		query->heard(query->self, crl, ocsp);
}

/* (d) to (l) for a complete CRL whose scope is right. */
static void use_crl(struct asking *a, const struct point *point, const struct crl *crl)
{
	unsigned reasons = point->reasons & crl->reasons;
	const struct crl *delta, *newest;
	enum genuine genuine;
	bool current;

	if ((reasons & ~a->covered) == 0)
		return;
	genuine = is_complete_genuine(a, point, crl);
	if (genuine == GENUINE_NO)
		return;
	delta = delta_for(a, crl);
	tell(a->query, crl, NULL);
	if (delta != NULL)
		tell(a->query, delta, NULL);
	newest = delta != NULL ? delta : crl;
	current = genuine == GENUINE_YES && (crl_is_current(crl, a->query->at) || crl_is_current(newest, a->query->at));
	/* with the delta out of date, the complete one's times count */
	if (delta != NULL && !crl_is_current(delta, a->query->at))
		newest = crl;
	if (!is_revoked(a, crl, delta)) {
		cover(a, reasons, current, newest);
		return;
	}
	a->revoked = true;
	a->crls = (struct revocation_answer){ .revocation = REV_REVOKED, .current = current,
					      .this_update = delta != NULL ? delta->this_update : crl->this_update,
					      .ages = aging(newest->this_update, newest->next_update) };
}

static void cut(const struct revocation_query *query, const struct crl *crl)
{
	path_span_cut(query->span, query->at, crl->this_update - REVOCATION_SKEW_S);
	path_span_cut(query->span, query->at, crl->next_update);
}

static void ask_issuer(struct asking *a, const struct point *point, const X509_NAME *issuer)
{
	const struct crl *const *crls;
	size_t n = 0;

	crls = evidence_crls(a->brought != NULL ? a->brought : a->query->evidence, issuer, &n);
	for (size_t i = 0; i < n; i++)
		cut(a->query, crls[i]);
	for (size_t i = 0; i < n && !a->revoked && a->covered != CRL_ALL_REASONS; i++)
		if (crls[i]->base == NULL && crl_has_begun(crls[i], a->query->at) && is_in_scope(a, point, crls[i]))
			use_crl(a, point, crls[i]);
}

static void ask_point(struct asking *a, const struct point *point)
{
	if (point->issuers == NULL) {
		ask_issuer(a, point, X509_get_issuer_name(cert_x509(a->cert)));
		return;
	}
	for (int i = 0; i < sk_GENERAL_NAME_num(point->issuers) && !a->revoked; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(point->issuers, i);

		if (name->type == GEN_DIRNAME)
			ask_issuer(a, point, name->d.directoryName);
	}
}

/* RFC 5280 4.2.1.13: what is relative is so to the CRL's issuer. */
static const X509_NAME *base_name(const struct asking *a, const DIST_POINT *from)
{
	const GENERAL_NAME *first = sk_GENERAL_NAME_value(from->CRLissuer, 0);

	return first != NULL && first->type == GEN_DIRNAME ? first->d.directoryName :
							     X509_get_issuer_name(cert_x509(a->cert));
}

static void ask_named_point(struct asking *a, const DIST_POINT *from)
{
	GENERAL_NAMES *names = from->distpoint == NULL ? NULL : crl_point_names(from->distpoint, base_name(a, from));
	const struct point point = { .issuers = from->CRLissuer, .names = names, .reasons = crl_reasons(from->reasons) };

	/* without memory for the names, the point is passed over */
	if (names != NULL || from->distpoint == NULL)
		ask_point(a, &point);
	GENERAL_NAMES_free(names);
}

/* All points that the certificate names, and then, as the last paragraph of 6.3.3 says, its issuer's CRLs wherever
 * they are. */
static void ask_points(struct asking *a)
{
	CRL_DIST_POINTS *points = X509_get_ext_d2i(cert_x509(a->cert), NID_crl_distribution_points, NULL, NULL);
	GENERAL_NAMES *issuer = crl_point_names(NULL, X509_get_issuer_name(cert_x509(a->cert)));
	const struct point implied = { .names = issuer, .reasons = CRL_ALL_REASONS };

	for (int i = 0; i < sk_DIST_POINT_num(points) && i < MAX_POINTS && !a->revoked; i++)
		ask_named_point(a, sk_DIST_POINT_value(points, i));
	if (issuer != NULL && !a->revoked && a->covered != CRL_ALL_REASONS)
		ask_point(a, &implied);
	GENERAL_NAMES_free(issuer);
	CRL_DIST_POINTS_free(points);
	ERR_clear_error();
}

static void ask_crls(struct asking *a, struct revocation_answer *answer)
{
	a->crls = (struct revocation_answer){ .revocation = REV_UNKNOWN };
	ask_points(a);
	*answer = a->crls;
	if (a->revoked)
		return;
	if (a->covered == CRL_ALL_REASONS) {
		answer->revocation = REV_GOOD;
		answer->current = true;
	} else if ((a->covered | a->covered_once) == CRL_ALL_REASONS) {
		*answer = (struct revocation_answer){ .revocation = REV_STALE };
	}
}

static void add(struct facts *facts, const struct revocation_answer *answer)
{
	if (answer->revocation == REV_REVOKED) {
		facts->revoked = true;
		facts->revoked_current = facts->revoked_current || answer->current;
		if (answer->this_update >= facts->revoked_since) {
			facts->revoked_since = answer->this_update;
			facts->revoked_ages = answer->ages;
		}
	} else if (answer->revocation == REV_GOOD) {
		facts->good = true;
		if (answer->this_update > facts->good_since)
			facts->good_since = answer->this_update;
		if (answer->ages > facts->good_ages)
			facts->good_ages = answer->ages;
	} else if (answer->revocation == REV_STALE) {
		facts->stale = true;
	}
}

static void conclude(const struct facts *facts, struct revocation_answer *answer)
{
	*answer = (struct revocation_answer){ .revocation = facts->stale ? REV_STALE : REV_UNKNOWN };
	if (facts->revoked && (facts->revoked_current || !facts->good || facts->revoked_since >= facts->good_since))
		*answer = (struct revocation_answer){ .revocation = REV_REVOKED, .current = facts->revoked_current,
						      .this_update = facts->revoked_since,
						      .ages = facts->revoked_ages };
	else if (facts->good)
		*answer = (struct revocation_answer){ .revocation = REV_GOOD, .current = true,
						      .this_update = facts->good_since, .ages = facts->good_ages };
}

/* RFC 6960 4.2.2.2.1: a responder's certificate that says nothing of its revocation is asked about in the CRLs. */
static bool is_revoked_delegate(const struct asking *a, const struct cert *delegate)
{
	struct revocation_answer answer;
	struct asking sub = { .query = a->query, .cert = delegate, .issuer = a->issuer, .depth = a->depth + 1 };

	if (sub.depth > MAX_DEPTH)
		return true;
	ask_crls(&sub, &answer);
	return answer.revocation == REV_REVOKED;
}

static void ask_ocsp(const struct asking *a, const struct ocsp *ocsp, struct facts *facts)
{
	struct revocation_answer answer;
	struct cert *delegate = NULL;

	if ((*a->query->signatures)++ >= MAX_SIGNATURES)
		return;
	ocsp_check(ocsp, a->cert, a->issuer, a->query->at, a->query->span, &answer, &delegate);
	if (answer.revocation != REV_UNKNOWN && (delegate == NULL || !is_revoked_delegate(a, delegate))) {
		add(facts, &answer);
		tell(a->query, NULL, ocsp);
	}
	cert_free(delegate);
}

static void ask(const struct revocation_query *query, size_t index, unsigned depth, struct revocation_answer *answer)
{
	struct asking a = { .query = query, .cert = query->chain[index], .issuer = query->chain[index + 1],
			    .depth = depth };
	const struct ocsp *const *answers;
	struct facts facts = { .good = false };
	size_t n = 0;

	answers = evidence_ocsp(query->evidence, cert_info(a.cert)->serial_der, &n);
	for (size_t i = 0; i < n; i++)
		ask_ocsp(&a, answers[i], &facts);
	ask_crls(&a, answer);
	add(&facts, answer);
	conclude(&facts, answer);
}

void revocation_check(const struct revocation_query *query, size_t index, struct revocation_answer *answer)
{
	ask(query, index, 0, answer);
}

void revocation_check_brought(const struct revocation_query *query, const struct evidence *brought, size_t index,
			      struct revocation_answer *answer)
{
	struct asking a = { .query = query, .cert = query->chain[index], .issuer = query->chain[index + 1],
			    .brought = brought, .index = index };

	ask_crls(&a, answer);
	if (!answer->current)
		*answer = (struct revocation_answer){ .revocation = REV_UNKNOWN };
}

int revocation_accept_crl(struct slice der, const struct cert *cert, const struct cert *issuer, time_t at,
			  struct revocation_times *times, struct err *err)
{
	struct crl *crl = crl_parse(der, err);
	EVP_PKEY *pkey = X509_get0_pubkey(cert_x509(issuer));
	int rc = -1;

	if (crl == NULL)
		return -1;
	if (crl->unusable != NULL)
		err_set(err, ERR_MESSAGE, "%s", crl->unusable);
	else if (!crl_is_current(crl, at))
		err_set(err, ERR_MESSAGE, "RFC 5280 6.3.3: the CRL is not valid now");
	else if (!is_called(issuer, crl->issuer) || !slice_equal(cert_info(cert)->issuer_der,
								cert_info(issuer)->subject_der))
		err_set(err, ERR_MESSAGE, "RFC 5280 6.3.3: the CRL is of another issuer");
	else if (!may_sign_crls(issuer) || pkey == NULL || X509_CRL_verify(crl->x509, pkey) != 1)
		err_set(err, ERR_MESSAGE, "RFC 5280 6.3.3: the CRL is not signed by the issuer's key");
	else
		rc = 0;
	*times = (struct revocation_times){ crl->this_update, aging(crl->this_update, crl->next_update) };
	ERR_clear_error();
	crl_free(crl);
	return rc;
}

int revocation_accept_ocsp(struct slice der, const struct cert *cert, const struct cert *issuer, time_t at,
			   struct revocation_times *times, struct err *err)
{
	struct path_span unused = { .after = 0, .before = INT64_MAX };
	struct ocsp *ocsp = ocsp_parse(der, err);
	struct revocation_answer answer;

	if (ocsp == NULL)
		return -1;
	ocsp_check(ocsp, cert, issuer, at, &unused, &answer, NULL);
	ocsp_free(ocsp);
	*times = (struct revocation_times){ answer.this_update, answer.ages };
	if (answer.current && (answer.revocation == REV_GOOD || answer.revocation == REV_REVOKED))
		return 0;
	return err_set(err, ERR_MESSAGE, "RFC 6960 3.2: no valid answer of the issuer's about this certificate");
}
