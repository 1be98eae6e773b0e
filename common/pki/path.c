/* path.c - does a certificate lead to an anchor of a collection? Paths are found here, by name, key identifier and
 * signature, all of them until one is good; each is then checked by OpenSSL (RFC 5280 6: validity, basicConstraints,
 * pathlen, keyUsage, name constraints, policies, unknown critical extensions, CRLs). Usage of the certificate itself is
 * cert.c's, its addresses and strength are the callers': smime/verify.c, candidate.c. Pure, apart from memory.
 *
 * OpenSSL's own path building is not used beyond this: it takes the first issuer of a name and does not come back, and
 * it cannot tell a forged certificate from one of another CA of the same name. It sees one path at a time, whose end is
 * the only trusted certificate, so X509_V_FLAG_PARTIAL_CHAIN is never needed.
 *
 * Security level 2: chain signatures with SHA-1 or MD5 can be collided (2017 and 2008), and RSA below 2048 bits is no
 * longer within NIST SP 800-131A; one such CA makes every name forgeable, so the chain is bad. The certificate's own
 * key is left to the callers, who report it as a weak algorithm.
 *
 * X509_V_FLAG_X509_STRICT stays off: it refuses ordinary private CAs, namely those without key identifiers, without a
 * keyUsage extension, or with basicConstraints that is not critical (see the tests).
 *
 * A pinned certificate is its own path, checked by OpenSSL as an anchor at the end of it is, for validity and critical
 * extensions. Its CA's word that it is revoked counts, whoever brings that CA's certificate; what else became of the CA
 * does not. The collection's policies ask something of CAs and are not for it.
 *
 * What was proven is remembered by the collection (path_memory.h), so that a known certificate is answered for without
 * a public-key operation.
 *
 * CRLs may be signed by another key than the one in the path, which OpenSSL then finds a path of its own for, to the
 * same anchor: X509_V_FLAG_EXTENDED_CRL_SUPPORT, in a second attempt only, as it needs more certificates than the
 * path's. CRLs of another issuer than the CA (indirect ones) are not looked for: revocation is "unknown" then. */
#include "pki/path.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/event.h"
#include "pki/path_memory.h"
#include "pki/pki_internal.h"

#define MAX_CERTS 12		/* in a path, the anchor included */
#define MAX_PATHS 16		/* given to OpenSSL, for one collection */
#define MAX_SIGNATURES 100	/* verified while searching, for one collection */
#define MAX_SHARED_SIGNATURES 500	/* for all queries that share a count */
#define SECURITY_LEVEL 2

struct search {
	const struct path_query *query;
	const struct collection *collection;
	const struct cert *certs[MAX_CERTS];	/* the path being tried, from the certificate upwards */
	size_t n;
	unsigned paths, signatures;
	bool failed;				/* memory */
	struct path_span span;			/* around query->at, in which the same would be found */
	struct path_result best;
};

/* What OpenSSL said about one path. */
struct check {
	int error, depth;			/* the first fatal one */
	enum path_revocation revocation;	/* the worst one */
	int bad_crl_depth;			/* at which a CRL proved not genuine; -1: none */
	bool other_keys;			/* CRLs may be signed by other keys of the path's CAs */
	bool pinned;				/* the path may end anywhere, of CRLs only the first one's counts */
	const struct cert *anchor;
};

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

static enum path_chain chain_of_error(int error)
{
	static const struct {
		int error;
		enum path_chain chain;
	} errors[] = {	/* every other one is bad */
		{ X509_V_OK, CHAIN_GOOD },
		{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, CHAIN_INCOMPLETE },
		{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, CHAIN_INCOMPLETE },
		{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, CHAIN_INCOMPLETE },
		{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, CHAIN_UNTRUSTED },
		{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, CHAIN_UNTRUSTED },
		{ X509_V_ERR_CERT_UNTRUSTED, CHAIN_UNTRUSTED },
		{ X509_V_ERR_CERT_HAS_EXPIRED, CHAIN_EXPIRED },
		{ X509_V_ERR_CERT_NOT_YET_VALID, CHAIN_NOT_YET_VALID },
	};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].error == error)
			return errors[i].chain;
	return CHAIN_BAD;
}

/* Errors about revocation, which is a fact of its own and ends nothing. */
static bool is_revocation_error(int error, enum path_revocation *revocation)
{
	static const struct {
		int error;
		enum path_revocation revocation;
	} errors[] = {
		{ X509_V_ERR_CERT_REVOKED, REV_REVOKED }, { X509_V_ERR_CRL_HAS_EXPIRED, REV_STALE },
		{ X509_V_ERR_UNABLE_TO_GET_CRL, REV_UNKNOWN }, { X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, REV_UNKNOWN },
		{ X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE, REV_UNKNOWN },
		{ X509_V_ERR_CRL_SIGNATURE_FAILURE, REV_UNKNOWN }, { X509_V_ERR_CRL_NOT_YET_VALID, REV_UNKNOWN },
		{ X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD, REV_UNKNOWN },
		{ X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD, REV_UNKNOWN },
		{ X509_V_ERR_KEYUSAGE_NO_CRL_SIGN, REV_UNKNOWN }, { X509_V_ERR_DIFFERENT_CRL_SCOPE, REV_UNKNOWN },
		{ X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION, REV_UNKNOWN },
		{ X509_V_ERR_CRL_PATH_VALIDATION_ERROR, REV_UNKNOWN },
	};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (errors[i].error != error)
			continue;
		*revocation = errors[i].revocation;
		return true;
	}
	return false;
}

static void worsen(struct check *check, enum path_revocation found, int depth)
{
	static const int order[] = {
		[REV_OFF] = 0, [REV_GOOD] = 1, [REV_STALE] = 2, [REV_UNKNOWN] = 3, [REV_REVOKED] = 4,
	};

	if (found == REV_UNKNOWN)
		check->bad_crl_depth = depth;
	/* OpenSSL looks the serial up even in a CRL that we let pass though its signature is wrong. */
	if (found == REV_REVOKED && check->bad_crl_depth == depth)
		return;
	if (order[found] > order[check->revocation])
		check->revocation = found;
}

static int on_result(int ok, X509_STORE_CTX *context)
{
	struct check *check = X509_STORE_CTX_get_app_data(context);
	int error = X509_STORE_CTX_get_error(context), depth = X509_STORE_CTX_get_error_depth(context);
	enum path_revocation revocation;

	/* The path of a CRL's signer is good or it is not. */
	if (ok != 0 || X509_STORE_CTX_get0_parent_ctx(context) != NULL)
		return ok;
	if (is_revocation_error(error, &revocation)) {
		worsen(check, revocation, depth);
	} else if (error != X509_V_ERR_EE_KEY_TOO_SMALL) {
		check->error = error;
		check->depth = depth;
		return 0;
	}
	X509_STORE_CTX_set_error(context, X509_V_OK);
	return 1;
}

static unsigned long flags_of(const struct check *check, bool policies)
{
	unsigned long flags = check->pinned ? X509_V_FLAG_PARTIAL_CHAIN : X509_V_FLAG_POLICY_CHECK;

	if (policies && !check->pinned)
		flags |= X509_V_FLAG_EXPLICIT_POLICY;
	if (check->revocation != REV_OFF)
		flags |= X509_V_FLAG_CRL_CHECK;
	if (check->revocation != REV_OFF && !check->pinned)
		flags |= X509_V_FLAG_CRL_CHECK_ALL;
	if (check->other_keys)
		flags |= X509_V_FLAG_EXTENDED_CRL_SUPPORT;
	return flags;
}

static int set_params(const struct search *s, X509_VERIFY_PARAM *param, const struct check *check)
{
	STACK_OF(ASN1_OBJECT) *policies = collection_policies(s->collection);

	X509_VERIFY_PARAM_set_flags(param, flags_of(check, policies != NULL));
	X509_VERIFY_PARAM_set_time(param, s->query->at);
	X509_VERIFY_PARAM_set_depth(param, MAX_CERTS);
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY);
	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	/* A CN that looks like a host name is none: constraints on hosts are not for it. */
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (check->pinned)
		return 0;
	if (policies != NULL)
		return X509_VERIFY_PARAM_set1_policies(param, policies) == 1 ? 0 : -1;
	/* RFC 5280 6.1.1 (c): any policy will do; with an empty set, none would where a CA demands one. */
	return X509_VERIFY_PARAM_add0_policy(param, OBJ_nid2obj(NID_any_policy)) == 1 ? 0 : -1;
}

static bool is_in_path(const struct search *s, const struct cert *cert)
{
	for (size_t i = 0; i < s->n; i++)
		if (cert_equal(s->certs[i], cert))
			return true;
	return false;
}

/* Another moment, at which cert is valid or not as it is now, changes nothing about it. */
static void cut_by_validity(struct search *s, const struct cert *cert)
{
	path_span_cut(&s->span, s->query->at, cert_info(cert)->not_before);
	path_span_cut(&s->span, s->query->at, cert_info(cert)->not_after);
}

static bool is_issuers_name(const struct search *s, const struct cert *cert)
{
	for (size_t i = 0; i + 1 < s->n; i++)
		if (slice_equal(cert_info(s->certs[i])->issuer_der, cert_info(cert)->subject_der))
			return true;
	return false;
}

static int add_signer(struct search *s, const struct cert *cert, STACK_OF(X509) *untrusted)
{
	if (cert_info(cert)->oversized || is_in_path(s, cert) || !is_issuers_name(s, cert))
		return 0;
	cut_by_validity(s, cert);
	return sk_X509_push(untrusted, cert_x509(cert)) > 0 ? 0 : -1;
}

/* Certificates of the path's CAs for other keys than the path's: after a change of keys, or for CRLs alone. */
static int add_signers(struct search *s, STACK_OF(X509) *untrusted)
{
	const struct cert_list *others = s->query->untrusted;
	struct cert *const *items;
	size_t n = 0;

	for (size_t i = 0; others != NULL && i < others->n; i++)
		if (add_signer(s, others->items[i], untrusted) != 0)
			return -1;
	for (size_t i = 0; i + 1 < s->n; i++) {
		items = collection_find(s->collection, COLLECTION_INTERMEDIATES,
					X509_get_issuer_name(cert_x509(s->certs[i])), &n);
		for (size_t k = 0; k < n; k++)
			if (add_signer(s, items[k], untrusted) != 0)
				return -1;
	}
	return 0;
}

int path_crl_anchor(X509 **issuer, X509_STORE_CTX *context, X509 *x509)
{
	X509_STORE_CTX *parent = X509_STORE_CTX_get0_parent_ctx(context);
	const struct check *check = parent == NULL ? NULL : X509_STORE_CTX_get_app_data(parent);

	if (check == NULL || X509_check_issued(cert_x509(check->anchor), x509) != X509_V_OK)
		return 0;
	*issuer = cert_x509(check->anchor);
	return X509_up_ref(*issuer);
}

/* With more certificates to choose from, OpenSSL may have found another way up. */
static bool is_own_path(const struct search *s, X509_STORE_CTX *context)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(context);

	if (sk_X509_num(chain) != (int)s->n)
		return false;
	for (size_t i = 0; i < s->n; i++)
		if (X509_cmp(sk_X509_value(chain, (int)i), cert_x509(s->certs[i])) != 0)
			return false;
	return true;
}

static void check_deltas(const struct search *s, struct check *check)
{
	for (size_t i = 0; check->revocation != REV_OFF && i + 1 < s->n; i++)
		if (collection_delta_revokes(s->collection, cert_x509(s->certs[i]), cert_x509(s->certs[i + 1])))
			check->revocation = REV_REVOKED;
}

/* Lets OpenSSL check s->certs, whose last one is an anchor. 0, or -1: memory. */
static int check_path(struct search *s, struct check *check)
{
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	STACK_OF(X509) *untrusted = sk_X509_new_null(), *trusted = sk_X509_new_null();
	int rc = -1;

	if (context == NULL || untrusted == NULL || trusted == NULL ||
	    sk_X509_push(trusted, cert_x509(s->certs[s->n - 1])) <= 0)
		goto out;
	for (size_t i = 1; i + 1 < s->n; i++)
		if (sk_X509_push(untrusted, cert_x509(s->certs[i])) <= 0)
			goto out;
	if (check->other_keys && add_signers(s, untrusted) != 0)
		goto out;
	if (X509_STORE_CTX_init(context, collection_crls(s->collection), cert_x509(s->certs[0]), untrusted) != 1)
		goto out;
	X509_STORE_CTX_set0_trusted_stack(context, trusted);
	if (set_params(s, X509_STORE_CTX_get0_param(context), check) != 0)
		goto out;
	X509_STORE_CTX_set_app_data(context, check);
	X509_STORE_CTX_set_verify_cb(context, on_result);
	check->anchor = s->certs[s->n - 1];
	if (X509_verify_cert(context) != 1 && check->error == X509_V_OK)
		check->error = X509_STORE_CTX_get_error(context);
	if (check->other_keys && check->error == X509_V_OK && !is_own_path(s, context))
		check->error = X509_V_ERR_UNSPECIFIED;
	if (check->error == X509_V_ERR_OUT_OF_MEM)
		goto out;
	check_deltas(s, check);
	rc = 0;
out:
	X509_STORE_CTX_free(context);
	sk_X509_free(untrusted);
	sk_X509_free(trusted);
	ERR_clear_error();
	return rc;
}

/* Keeps a failure if it is nearer to good than what is known. */
static void fail(struct search *s, enum path_chain chain, const char *what, const struct cert *cert)
{
	char line[sizeof(s->best.detail)];

	if (distance(chain) >= distance(s->best.chain) && s->best.detail[0] != '\0')
		return;
	snprintf(line, sizeof(line), "%s: %s", what, cert_info(cert)->subject);
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
		snprintf(s->best.detail, sizeof(s->best.detail), "revoked, by its CA's CRL");
}

/* What is unknown by the path's own keys may be known by others. -1: memory */
static int try_other_keys(struct search *s, struct check *check)
{
	struct check again = { .revocation = REV_GOOD, .bad_crl_depth = -1, .other_keys = true };
	size_t n = 0;

	collection_crl_times(s->collection, &n);
	if (check->error != X509_V_OK || check->revocation != REV_UNKNOWN || n == 0)
		return 0;
	if (check_path(s, &again) != 0)
		return -1;
	if (again.error == X509_V_OK)
		check->revocation = again.revocation;
	return 0;
}

static void try_path(struct search *s)
{
	bool revocation = collection_revocation(s->collection) != REVOCATION_OFF;
	struct check check = { .revocation = revocation ? REV_GOOD : REV_OFF, .bad_crl_depth = -1 };
	const struct cert *other;
	size_t depth;

	if (s->paths++ == MAX_PATHS) {
		fail(s, CHAIN_BAD, "too many paths", s->certs[0]);
		return;
	}
	if (check_path(s, &check) != 0 || (revocation && try_other_keys(s, &check) != 0)) {
		s->failed = true;
		return;
	}
	depth = check.depth >= 0 && (size_t)check.depth < s->n ? (size_t)check.depth : 0;
	other = ca_for_other_uses(s);
	if (check.error != X509_V_OK)
		fail(s, chain_of_error(check.error), X509_verify_cert_error_string(check.error), s->certs[depth]);
	else if (other != NULL)
		fail(s, CHAIN_BAD, "RFC 8550 4.4.4: the CA's EKU leaves out e-mail protection", other);
	else
		succeed(s, check.revocation);
}

static bool is_done(const struct search *s)
{
	return s->failed || s->best.chain == CHAIN_GOOD || s->paths > MAX_PATHS || s->signatures > MAX_SIGNATURES;
}

/* Counts a signature about to be verified. */
static bool may_verify(struct search *s)
{
	unsigned *shared = s->query->signatures;

	if (shared != NULL && *shared >= MAX_SHARED_SIGNATURES)
		s->signatures = MAX_SIGNATURES;
	else if (shared != NULL)
		++*shared;
	return s->signatures++ < MAX_SIGNATURES;
}

/* What a collection remembers, each under a digest of its own kind and of the certificates it is about. */
struct key {
	unsigned char bytes[PATH_MEMORY_KEY_BYTES];
};

static bool add_to_digest(EVP_MD_CTX *digest, const struct cert *cert)
{
	return EVP_DigestUpdate(digest, cert_info(cert)->sha256, (size_t)2 * CRYPT_SHA256_BYTES) == 1;
}

/* issuer and others may be NULL. -1: memory */
static int make_key(const char *kind, const struct cert *cert, const struct cert *issuer,
		    const struct cert_list *others, struct key *key)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	bool ok = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
		  EVP_DigestUpdate(digest, kind, strlen(kind) + 1) == 1 && add_to_digest(digest, cert) &&
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
	struct key key;

	if (make_key("signature", child, issuer, NULL, &key) != 0) {
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
		fail(s, CHAIN_BAD, "too many CA certificates of one name", child);
		return false;
	}
	if (cert_info(issuer)->oversized) {
		fail(s, CHAIN_BAD, "a CA's key is too large", issuer);
		return false;
	}
	if (verify_once(s, issuer, child))
		return true;
	ERR_clear_error();
	if (X509_get0_authority_key_id(cert_x509(child)) != NULL && cert_info(issuer)->skid.n > 0)
		fail(s, CHAIN_BAD, "certificate signature failure", child);
	else if (anchor)
		fail(s, CHAIN_UNTRUSTED, "signed by another CA of its issuer's name", child);
	return false;
}

static bool is_issuer(struct search *s, const struct cert *issuer, const struct cert *child, bool anchor)
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
			fail(s, CHAIN_UNTRUSTED, "signed by another CA of its issuer's name", child);
		return false;
	default:
		if (has_signed(s, issuer, child, anchor))
			fail(s, CHAIN_BAD, X509_verify_cert_error_string(rc), issuer);
		return false;
	}
}

static void extend(struct search *s);

static void try_issuer(struct search *s, const struct cert *issuer, bool anchor)
{
	const struct cert *child = s->certs[s->n - 1];

	if (is_done(s) || is_in_path(s, issuer) || !is_issuer(s, issuer, child, anchor))
		return;
	cut_by_validity(s, issuer);
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

	if (s->n == MAX_CERTS) {
		fail(s, CHAIN_BAD, "path too long", s->certs[0]);
		return;
	}
	if (cert_info(last)->self_signed) {
		fail(s, CHAIN_UNTRUSTED, "self-signed and not in the collection", last);
		return;
	}
	try_part(s, COLLECTION_ANCHORS);
	try_part(s, COLLECTION_INTERMEDIATES);
	for (size_t i = 0; untrusted != NULL && i < untrusted->n; i++)
		try_issuer(s, untrusted->items[i], false);
	if (!is_done(s))
		fail(s, CHAIN_INCOMPLETE, "issuer not found", last);
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
		fail(s, CHAIN_BAD, "an anchor itself is valid for no policy", s->certs[0]);
	else
		try_path(s);
}

/* What issuer's CRLs say of the pinned certificate. An issuer that has come to nothing may still have revoked it. */
static enum path_revocation ask_issuer(struct search *s, const struct cert *issuer)
{
	struct check check = { .revocation = REV_GOOD, .bad_crl_depth = -1, .pinned = true };

	if (s->failed || is_in_path(s, issuer) || !is_issuer(s, issuer, s->certs[0], false))
		return REV_UNKNOWN;
	cut_by_validity(s, issuer);
	s->certs[s->n++] = issuer;
	s->failed = check_path(s, &check) != 0;
	s->n--;
	return check.error == X509_V_OK || check.revocation == REV_REVOKED ? check.revocation : REV_UNKNOWN;
}

/* The answer that counts when issuers of one name were asked: revoked, else what is known. */
static enum path_revocation join(enum path_revocation a, enum path_revocation b)
{
	static const int order[] = {
		[REV_OFF] = 0, [REV_UNKNOWN] = 1, [REV_STALE] = 2, [REV_GOOD] = 3, [REV_REVOKED] = 4,
	};

	return order[a] > order[b] ? a : b;
}

static enum path_revocation ask_issuers(struct search *s)
{
	static const enum collection_part parts[] = { COLLECTION_ANCHORS, COLLECTION_INTERMEDIATES };
	const struct cert_list *untrusted = s->query->untrusted;
	enum path_revocation found = REV_UNKNOWN;
	struct cert *const *items;
	size_t n = 0;

	for (size_t part = 0; part < sizeof(parts) / sizeof(parts[0]); part++) {
		items = collection_find(s->collection, parts[part], X509_get_issuer_name(cert_x509(s->certs[0])), &n);
		for (size_t i = 0; i < n; i++)
			found = join(found, ask_issuer(s, items[i]));
	}
	for (size_t i = 0; untrusted != NULL && i < untrusted->n; i++)
		found = join(found, ask_issuer(s, untrusted->items[i]));
	return found;
}

static void try_pinned(struct search *s)
{
	bool revocation = collection_revocation(s->collection) != REVOCATION_OFF;
	struct check check = { .revocation = REV_OFF, .bad_crl_depth = -1, .pinned = true };

	if (check_path(s, &check) != 0)
		s->failed = true;
	else if (check.error != X509_V_OK)
		fail(s, chain_of_error(check.error), X509_verify_cert_error_string(check.error), s->certs[0]);
	else
		succeed(s, revocation ? ask_issuers(s) : REV_OFF);
}

static void cut_by_crls(struct search *s)
{
	const time_t *edges;
	size_t n = 0;

	edges = collection_crl_times(s->collection, &n);
	for (size_t i = 0; i < n; i++)
		path_span_cut(&s->span, s->query->at, edges[i]);
}

static int search(struct search *s)
{
	s->certs[s->n++] = s->query->cert;
	cut_by_validity(s, s->query->cert);
	cut_by_crls(s);
	if (is_in_collection(s, COLLECTION_PINNED, s->query->cert))
		try_pinned(s);
	else if (is_in_collection(s, COLLECTION_ANCHORS, s->query->cert))
		try_anchor(s);
	else
		extend(s);
	return s->failed ? -1 : 0;
}

static int check_collection(const struct path_query *query, const struct collection *collection,
			    struct path_result *result)
{
	struct search s = { .query = query, .collection = collection, .best = { .chain = CHAIN_INCOMPLETE },
			    .span = { .after = 0, .before = INT64_MAX } };
	struct path_memory *memory = collection_memory(collection);
	enum path_revocation revocation = REV_UNKNOWN;
	struct key proven, asked;

	if (make_key("path", query->cert, NULL, NULL, &proven) != 0 ||
	    make_key("question", query->cert, NULL, query->untrusted, &asked) != 0)
		return -1;
	if (path_memory_find(memory, proven.bytes, query->at, &revocation) ||
	    path_memory_find(memory, asked.bytes, query->at, &revocation)) {
		succeed(&s, revocation);
	} else if (search(&s) != 0) {
		return -1;
	} else if (s.best.chain == CHAIN_GOOD) {
		revocation = s.best.revocation;
		path_memory_keep(memory, revocation == REV_GOOD || revocation == REV_OFF ? proven.bytes : asked.bytes,
				 &s.span, revocation);
	}
	*result = s.best;
	return 0;
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

int path_check(const struct path_query *query, struct path_result *result, struct err *err)
{
	struct path_result one;

	*result = (struct path_result){ .chain = CHAIN_UNTRUSTED, .revocation = REV_OFF };
	snprintf(result->detail, sizeof(result->detail), "no collection");
	for (size_t i = 0; i < query->collection_count; i++) {
		if (check_collection(query, query->collections[i], &one) != 0) {
			*result = (struct path_result){ .chain = CHAIN_BAD, .revocation = REV_OFF };
			return err_memory(err);
		}
		if (i == 0 || rank(&one) < rank(result))
			*result = one;
	}
	return 0;
}
