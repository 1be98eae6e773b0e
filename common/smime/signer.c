/* signer.c - one SignerInfo: digest, attributes, certificate, signature, path, usage, address, in that order.
 *
 * Every check leaves a fact in the layer and a record of itself (check.c); the worst is the signer's result
 * (INTERFACE 4). No check is left out because an earlier one failed, so that the facts are complete. Called by
 * verify_object.c. RFC 5652 5.4, 5.6; RFC 8550 4; RFC 5035 5.4; RFC 6211.
 */
#include <openssl/x509.h>
#include <string.h>

#include "pki/dn_attribute.h"
#include "pki/pki_internal.h"
#include "smime/attributes.h"
#include "smime/verify_internal.h"

/* Certificates tried in one message, however many objects, signers and certificates of one name it has: each may cost
 * as many signatures as path.c verifies while it searches. */
#define TRY_LIMIT 128

struct signer_work {
	struct verify_run *run;
	struct signed_object *object;
	const struct prescan_signer *signer;
	struct layer *layer;
	const struct content_digest *digest;	/* NULL: unknown, or cannot be computed */
	struct signature_algorithm signature;
	struct attributes attributes;
	bool verifiable;			/* nothing stands against trying the signature */
};

static void found(struct signer_work *work, enum check_id id, enum result result, const char *text)
{
	run_check(work->run, work->layer, id, result, text == NULL ? "" : text);
}

static void good(struct signer_work *work, enum check_id id, const char *detail)
{
	found(work, id, RESULT_PASS, detail);
}

static void integrity_bad(struct signer_work *work, enum check_id id, const char *reason)
{
	work->layer->integrity = INTEGRITY_BAD;
	found(work, id, RESULT_FAIL, reason);
}

static void unsupported(struct signer_work *work, enum check_id id, const char *reason)
{
	work->layer->algorithm = ALGORITHM_UNSUPPORTED;
	found(work, id, RESULT_NEUTRAL, reason);
}

static void weak(struct signer_work *work, enum check_id id, const char *reason)
{
	if (work->layer->algorithm == ALGORITHM_GOOD)
		work->layer->algorithm = ALGORITHM_WEAK;
	found(work, id, RESULT_POLICY, reason);
}

/* RFC 5652 5.1: a verifier that reads once must have been told of the digest. */
static bool digest_is_listed(const struct prescan *scan, const struct digest_algorithm *digest)
{
	for (size_t i = 0; i < scan->digest_count; i++)
		if (digest_algorithm_find(&scan->digests[i]) == digest)
			return true;
	return false;
}

static void judge_digest(struct signer_work *work, const struct digest_algorithm *digest)
{
	if (work->digest == NULL)
		unsupported(work, CHECK_DIGEST_ALGORITHM, "unsupported digest algorithm");
	else if (digest->weak)
		weak(work, CHECK_DIGEST_ALGORITHM, "RFC 8551 2.1: weak digest algorithm");
	else
		good(work, CHECK_DIGEST_ALGORITHM, digest->name);
	if (digest != NULL && !digest_is_listed(&work->object->scan, digest))
		found(work, CHECK_DIGEST_LISTED, RESULT_NEUTRAL,
		      "RFC 5652 5.1: the signer's digest is not among digestAlgorithms");
	else if (digest != NULL)
		good(work, CHECK_DIGEST_LISTED, "");
}

static void check_algorithms(struct signer_work *work)
{
	const struct digest_algorithm *digest = digest_algorithm_find(&work->signer->digest);
	struct layer *layer = work->layer;

	layer->digest = digest == NULL ? NULL : digest->name;
	signature_algorithm_find(&work->signer->signature, digest, &work->signature);
	layer->signature = work->signature.name;
	for (size_t i = 0; digest != NULL && i < work->object->digest_count; i++)
		if (work->object->digests[i].algorithm == digest && work->object->digests[i].n != 0)
			work->digest = &work->object->digests[i];
	judge_digest(work, digest);
	if (work->signature.fault != NULL)
		unsupported(work, CHECK_SIGNATURE_ALGORITHM, work->signature.fault);
	else
		good(work, CHECK_SIGNATURE_ALGORITHM, work->signature.name);
}

/* What was found out before the signers' turn came. */
static void check_object(struct signer_work *work)
{
	const struct signed_object *object = work->object;
	bool clear = object->detached != NULL;

	good(work, CHECK_STRUCTURE, clear ? "multipart/signed of content and signature" : "application/pkcs7-mime");
	if (object->covers_message)
		good(work, CHECK_COVERAGE, "the whole message");
	else
		found(work, CHECK_COVERAGE, RESULT_NONE, "a part alone, which says nothing of the message");
	if (object->bad != NULL)
		integrity_bad(work, CHECK_CONTENT, object->bad);
	else
		good(work, CHECK_CONTENT, clear ? "detached" : "inside");
	if (object->unsupported != NULL)
		found(work, CHECK_CONTENT_TYPE, RESULT_NEUTRAL, object->unsupported);
	else
		good(work, CHECK_CONTENT_TYPE, "id-data");
}

/* RFC 6211 3: digest and [1] signature algorithm as in the SignerInfo. Their parameters need not be spelt alike. */
static bool protection_agrees(struct slice value, const struct prescan_signer *signer)
{
	struct der der = der_whole(value);
	struct der_item item, digest, signature;
	struct der inside;
	struct der_item oid;

	if (der_take(&der, DER_SEQUENCE, &item) != 1)
		return false;
	inside = der_inside(&item);
	if (der_take(&inside, DER_SEQUENCE, &digest) != 1 ||
	    der_take(&inside, DER_CONTEXT_CONSTRUCTED(1), &signature) != 1)
		return false;
	der = der_inside(&digest);
	if (der_take(&der, DER_OID, &oid) != 1 || !slice_equal(oid.whole, signer->digest.oid))
		return false;
	der = der_inside(&signature);
	return der_take(&der, DER_OID, &oid) == 1 && slice_equal(oid.whole, signer->signature.oid);
}

static void judge_attributes(struct signer_work *work)
{
	const struct attributes *attributes = &work->attributes;

	if (!slice_equal(attributes->content_type, work->object->scan.content_type))
		integrity_bad(work, CHECK_ATTRIBUTE_CONTENT_TYPE,
			      "RFC 5652 11.1: attribute contentType differs from eContentType");
	else
		good(work, CHECK_ATTRIBUTE_CONTENT_TYPE, "");
	if (attributes->algorithm_protection.n == 0)
		found(work, CHECK_ALGORITHM_PROTECTION, RESULT_NONE, "no such attribute");
	else if (!protection_agrees(attributes->algorithm_protection, work->signer))
		integrity_bad(work, CHECK_ALGORITHM_PROTECTION,
			      "RFC 6211 3: CMSAlgorithmProtection differs from the SignerInfo");
	else
		good(work, CHECK_ALGORITHM_PROTECTION, "");
}

static void judge_content(struct signer_work *work)
{
	if (work->digest == NULL) {
		found(work, CHECK_MESSAGE_DIGEST, RESULT_NONE, "cannot be computed");
		return;
	}
	if (!slice_equal(work->attributes.message_digest, slice_make(work->digest->value, work->digest->n)))
		integrity_bad(work, CHECK_MESSAGE_DIGEST,
			      "RFC 5652 5.6: the content was changed (messageDigest differs)");
	else
		good(work, CHECK_MESSAGE_DIGEST, "");
	work->verifiable = work->signature.fault == NULL;
}

static void check_attributes(struct signer_work *work)
{
	struct err why = { 0 };
	const char *text;

	if (work->signer->attributes.p == NULL) {
		found(work, CHECK_SIGNED_ATTRIBUTES, RESULT_NEUTRAL, "RFC 8551 2.5: no signed attributes");
		return;
	}
	if (attributes_parse(work->signer->attributes, &work->attributes, &why) != 0) {
		text = arena_strdup(work->run->arena, why.text);
		found(work, CHECK_SIGNED_ATTRIBUTES, RESULT_NEUTRAL,
		      text == NULL ? "RFC 5652 5.3: signed attributes malformed" : text);
		return;
	}
	good(work, CHECK_SIGNED_ATTRIBUTES, "");
	work->layer->signed_at = work->attributes.signing_time;
	work->layer->capabilities = work->attributes.capabilities;
	work->layer->key_preference = work->attributes.key_preference;
	judge_attributes(work);
	judge_content(work);
}

static bool is_named(const struct cert *cert, const struct prescan_signer *signer)
{
	const struct cert_info *info = cert_info(cert);

	if (signer->issuer.n == 0)
		return info->skid.n != 0 && slice_equal(info->skid, signer->key_id);
	return slice_equal(info->serial_der, signer->serial) && cert_has_issuer(cert, signer->issuer);
}

/* The IssuerSerial of an ESSCertID(v2), where there is one: one directoryName, and the serial number. */
static bool ess_issuer_agrees(struct der *der, const struct cert *cert)
{
	struct der_item item, names, name;
	struct der inside;
	int rc = der_take(der, DER_SEQUENCE, &item);

	if (rc != 1)
		return rc == 0;
	inside = der_inside(&item);
	if (der_take(&inside, DER_SEQUENCE, &names) != 1 || der_take(&inside, DER_INTEGER, &item) != 1 ||
	    !slice_equal(item.whole, cert_info(cert)->serial_der))
		return false;
	inside = der_inside(&names);
	return der_take(&inside, DER_CONTEXT_CONSTRUCTED(4), &name) == 1 && cert_has_issuer(cert, name.content);
}

struct ess_id {			/* the first ESSCertID(v2) of a signingCertificate(V2) */
	const EVP_MD *md;
	struct slice hash;
	struct der behind;	/* where IssuerSerial may follow */
};

/* False: malformed. */
static bool ess_read(struct slice value, bool v2, struct ess_id *id)
{
	struct der der = der_whole(value);
	struct der_item item;
	struct prescan_algorithm algorithm;
	const struct digest_algorithm *digest;

	for (int i = 0; i < 3; i++) {		/* SigningCertificate, its list, the first of that */
		if (der_take(&der, DER_SEQUENCE, &item) != 1)
			return false;
		der = der_inside(&item);
	}
	id->md = v2 ? EVP_sha256() : EVP_sha1();
	if (v2 && der_take(&der, DER_SEQUENCE, &item) == 1) {
		digest = prescan_algorithm(&item, &algorithm) == 0 ? digest_algorithm_find(&algorithm) : NULL;
		id->md = digest == NULL ? NULL : EVP_get_digestbynid(digest->nid);
	}
	if (der_take(&der, DER_OCTETS, &item) != 1)
		return false;
	id->hash = item.content;
	id->behind = der;
	return id->md != NULL;
}

static bool ess_names(struct slice value, bool v2, const struct cert *cert)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	struct ess_id id;
	struct slice der = cert_info(cert)->der;

	if (value.n == 0)
		return true;
	return ess_read(value, v2, &id) && EVP_Digest(der.p, der.n, digest, &n, id.md, NULL) == 1 &&
	       slice_equal(id.hash, slice_make(digest, n)) && ess_issuer_agrees(&id.behind, cert);
}

static int describe_cert(struct signer_work *work, const struct cert *cert, struct err *err)
{
	const struct cert_info *info = cert_info(cert);
	struct layer *layer = work->layer;
	const struct address *address = NULL;

	layer->cert = cert;
	layer->certs = &work->object->certs;
	layer->subject = info->subject;
	layer->issuer = info->issuer;
	layer->serial = info->serial;
	layer->cert_sha256 = info->sha256;
	layer->bits = info->bits;
	layer->from = from_binding_match(&work->run->from, work->run->env, cert, &address);
	if (address == NULL)
		return 0;
	layer->signer = arena_string(work->run->arena, address->text);
	return layer->signer == NULL ? err_memory(err) : 0;
}

/* A path that only collections know which may not vouch for From is not incomplete, for want of the issuer's certificate,
 * but leads to nobody who counts. */
static int check_path(struct signer_work *work, const struct cert *cert, struct path_result *path, struct err *err)
{
	struct verify_run *run = work->run;
	const struct path_result nobody = {
		.chain = CHAIN_UNTRUSTED, .revocation = REV_OFF,
		.detail = "no collection may vouch for the From address",
	};
	struct path_query query = {
		.cert = cert, .untrusted = &work->object->certs, .collections = run->covering,
		.collection_count = run->covering_count, .at = run->env->at, .signatures = &run->signatures,
		.brought = &work->object->brought,
	};
	struct path_result other = nobody;

	*path = nobody;
	if (run->covering_count == 0)
		return 0;
	if (path_check(&query, path, err) != 0)
		return -1;
	if (path->chain != CHAIN_INCOMPLETE || run->covering_count == run->env->collection_count)
		return 0;
	query.collections = run->env->collections;
	query.collection_count = run->env->collection_count;
	if (path_check(&query, &other, err) != 0)
		return -1;
	if (other.chain == CHAIN_GOOD)
		*path = nobody;
	return 0;
}

struct candidate {			/* a certificate that the SignerInfo names */
	const struct cert *cert;
	enum signature_check check;	/* CANNOT where it was not tried */
	bool ess;			/* signingCertificate(V2) names it too, or is not there */
	struct path_result path;
};

/* The better one is the one that verifies, then the one that leads to a collection. */
static bool is_better(const struct candidate *a, const struct candidate *b)
{
	bool a_good = a->check == SIGNATURE_GOOD && a->ess;
	bool b_good = b->check == SIGNATURE_GOOD && b->ess;

	if (a_good != b_good)
		return a_good;
	return a->path.chain == CHAIN_GOOD && b->path.chain != CHAIN_GOOD;
}

static int try_candidate(struct signer_work *work, const struct cert *cert, struct candidate *candidate,
			 struct err *err)
{
	*candidate = (struct candidate){ .cert = cert, .check = SIGNATURE_CANNOT };
	candidate->ess = ess_names(work->attributes.signing_certificate, false, cert) &&
			 ess_names(work->attributes.signing_certificate_v2, true, cert);
	if (work->verifiable && signature_verify(cert, &work->signature, work->digest->algorithm, work->signer,
						 &candidate->check, err) != 0)
		return -1;
	return check_path(work, cert, &candidate->path, err);
}

/* RFC 8551 2.6: several certificates may bear one key identifier, so each is tried, as long as the message has tries
 * left. best->cert == NULL: none. */
static int find_cert(struct signer_work *work, struct candidate *best, struct err *err)
{
	const struct cert_list *certs = &work->object->certs;
	struct candidate candidate;

	*best = (struct candidate){ .cert = NULL };
	for (size_t i = 0; i < certs->n; i++) {
		if (!is_named(certs->items[i], work->signer))
			continue;
		if (work->run->tries++ >= TRY_LIMIT)
			break;
		if (try_candidate(work, certs->items[i], &candidate, err) != 0)
			return -1;
		if (best->cert == NULL || is_better(&candidate, best))
			*best = candidate;
	}
	return 0;
}

static void judge_ess(struct signer_work *work, bool named)
{
	const struct attributes *attributes = &work->attributes;

	if (!named)
		integrity_bad(work, CHECK_SIGNING_CERTIFICATE,
			      "RFC 5035 5.4: signingCertificate names another certificate");
	else if (attributes->signing_certificate.n == 0 && attributes->signing_certificate_v2.n == 0)
		found(work, CHECK_SIGNING_CERTIFICATE, RESULT_NONE, "no such attribute");
	else
		good(work, CHECK_SIGNING_CERTIFICATE, "");
}

static void judge_signature(struct signer_work *work, enum signature_check check)
{
	struct layer *layer = work->layer;

	if (!work->verifiable) {
		found(work, CHECK_SIGNATURE, RESULT_NONE, "not tried");
	} else if (check == SIGNATURE_BAD) {
		integrity_bad(work, CHECK_SIGNATURE, "RFC 5652 5.6: the signature is not of this certificate's key");
	} else if (check == SIGNATURE_CANNOT) {
		unsupported(work, CHECK_SIGNATURE, "unsupported public key, or unsupported with this digest");
	} else {
		good(work, CHECK_SIGNATURE, "");
		if (layer->integrity == INTEGRITY_UNCHECKED)
			layer->integrity = INTEGRITY_GOOD;
	}
}

static void judge_key(struct signer_work *work, const struct cert *cert)
{
	enum algorithm algorithm = algorithm_of_cert(cert);

	if (algorithm == ALGORITHM_WEAK)
		weak(work, CHECK_KEY, "RFC 8551 4.3: weak key");
	else if (algorithm == ALGORITHM_UNSUPPORTED)
		unsupported(work, CHECK_KEY, "unsupported public key");
	else
		good(work, CHECK_KEY, arena_printf(work->run->arena, "%u bits", cert_info(cert)->bits));
	work->layer->usage_good = cert_may_sign(cert);
	if (!work->layer->usage_good)
		found(work, CHECK_USAGE, RESULT_FAIL, "RFC 8550 4.4: the certificate may not sign mail");
	else
		good(work, CHECK_USAGE, "");
}

static void judge_revocation(struct signer_work *work, const struct path_result *path)
{
	work->layer->revocation = path->revocation;
	if (path->revocation == REV_REVOKED)
		found(work, CHECK_REVOCATION, RESULT_FAIL, path->brought ?
		      "the signer's certificate was revoked, by a CRL in the message" :
		      "the signer's certificate was revoked");
	else if ((path->revocation == REV_UNKNOWN || path->revocation == REV_STALE) && path->collection != NULL &&
		 collection_revocation(path->collection) == REVOCATION_HARD)
		found(work, CHECK_REVOCATION, RESULT_TEMPERROR, "revocation is not known");
	else if (path->revocation == REV_OFF)
		found(work, CHECK_REVOCATION, RESULT_NONE, "off");
	else
		good(work, CHECK_REVOCATION, path->brought ? "good, by CRLs in the message" :
		     path_revocation_name(path->revocation));
}

static int prove(struct signer_work *work, const struct path_result *path, struct err *err)
{
	struct verify_run *run = work->run;
	const struct path_query query = {
		.cert = work->layer->cert, .untrusted = &work->object->certs, .at = run->env->at,
		.signatures = &run->signatures, .brought = &work->object->brought,
	};
	struct path_proof *proof = NULL;

	if (!run->env->prove || path->chain != CHAIN_GOOD)
		return 0;
	proof = arena_alloc(run->arena, sizeof(*proof));
	if (proof == NULL)
		return err_memory(err);
	work->layer->proof = proof;
	return path_prove(&query, path, run->arena, proof, err);
}

static int judge_path(struct signer_work *work, const struct path_result *path, struct err *err)
{
	struct layer *layer = work->layer;
	const char *reason = arena_printf(work->run->arena, "RFC 5280 6: %s",
					  path->detail[0] == '\0' ? path_chain_name(path->chain) : path->detail);

	if (reason == NULL)
		return err_memory(err);
	if (prove(work, path, err) != 0)
		return -1;
	layer->chain_known = true;
	layer->chain = path->chain;
	if (path->collection != NULL)
		layer->collection = collection_name(path->collection);
	if (path->chain == CHAIN_INCOMPLETE)
		found(work, CHECK_PATH, RESULT_PERMERROR, reason);
	else if (path->chain != CHAIN_GOOD)
		found(work, CHECK_PATH, RESULT_FAIL, reason);
	else
		good(work, CHECK_PATH, arena_printf(work->run->arena, "to an anchor of collection %s",
						    layer->collection));
	judge_revocation(work, path);
	return 0;
}

static void judge_from(struct signer_work *work)
{
	static const char *const reasons[] = {
		[FROM_SENDER] = "RFC 8550 3: the certificate's address is that of Sender, not of From",
		[FROM_MISMATCH] = "RFC 8550 3: no address in the signer's certificate equals From",
		[FROM_NO_ADDRESS] = "RFC 8550 3: no address in the signer's certificate",
		[FROM_AMBIGUOUS] = "RFC 5322 3.6.2: From is not one clear mailbox",
	};
	enum from_match from = work->layer->from;

	if (from != FROM_MATCH && from != FROM_DOMAIN)
		found(work, CHECK_FROM, RESULT_POLICY, reasons[from]);
	else
		good(work, CHECK_FROM, from == FROM_MATCH ? "equals an address in the certificate" :
		     "accept_signer accepts the certificate for From");
}

int run_mismatch(struct verify_run *run, struct layer *layer, struct err *err)
{
	const struct verify_env *env = run->env;
	struct layer_attribute *to = NULL;
	char *name = NULL;

	if (layer->from != FROM_MISMATCH && layer->from != FROM_NO_ADDRESS)
		return 0;
	layer->mismatch_count = 0;
	layer->mismatch = arena_array(run->arena, env->mismatch_attribute_count + 1, sizeof(*layer->mismatch));
	if (layer->mismatch == NULL)
		return err_memory(err);
	for (size_t i = 0; i < env->mismatch_attribute_count; i++) {
		to = &layer->mismatch[layer->mismatch_count];
		name = arena_printf(run->arena, "mismatch_%s", dn_attribute_names[env->mismatch_attributes[i]]);
		if (name == NULL || dn_attribute_text(run->arena, layer->cert,
						      (enum dn_attribute)env->mismatch_attributes[i], &to->text) != 0)
			return err_memory(err);
		ascii_lower(name, strlen(name));
		to->name = name;
		layer->mismatch_count += to->text != NULL;
	}
	return 0;
}

static int judge(struct signer_work *work, const struct candidate *signer, struct err *err)
{
	const struct cert_info *info = cert_info(signer->cert);

	good(work, CHECK_CERTIFICATE, arena_printf(work->run->arena, "serial %s of %s", info->serial, info->issuer));
	if (describe_cert(work, signer->cert, err) != 0 || judge_path(work, &signer->path, err) != 0)
		return -1;
	judge_ess(work, signer->ess);
	judge_signature(work, signer->check);
	judge_key(work, signer->cert);
	judge_from(work);
	return run_mismatch(work->run, work->layer, err);
}

int signer_verify(struct verify_run *run, struct signed_object *object, const struct prescan_signer *signer,
		  struct layer *layer, struct err *err)
{
	struct signer_work work = { .run = run, .object = object, .signer = signer, .layer = layer };
	struct candidate best;

	layer->known = true;
	layer->integrity = INTEGRITY_UNCHECKED;
	layer->result = RESULT_PASS;
	layer->reason = "";
	check_object(&work);
	check_algorithms(&work);
	check_attributes(&work);
	if (find_cert(&work, &best, err) != 0)
		return -1;
	if (best.cert != NULL)
		return judge(&work, &best, err);
	found(&work, CHECK_CERTIFICATE, RESULT_PERMERROR,
	      run->tries > TRY_LIMIT ? "too many signers and certificates of one name" :
	      "RFC 5652 5.1: the signer's certificate is missing");
	return 0;
}
