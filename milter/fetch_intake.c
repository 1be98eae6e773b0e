/* fetch_intake.c - see fetch_intake.h. Called by fetch.c for what workers send and for what was remembered. */
#include "milter/fetch_intake.h"

#include <string.h>

#include "milter/fetch_request.h"
#include "pki/path.h"

struct intake {
	struct cert_list certs;		/* in the order of the request */
	const struct collection *collection;
	const struct fetch_findings *findings;
	time_t now;
};

bool fetch_is_for(const struct collection *collection)
{
	return collection_fetch_hosts(collection)->n > 0 && collection_revocation(collection) != REVOCATION_OFF;
}

static int find_collection(struct intake *intake, const struct fetch_scope *scope, struct slice name, struct err *err)
{
	for (size_t i = 0; i < scope->n; i++)
		if (slice_is(name, collection_name(scope->collections[i])))
			intake->collection = scope->collections[i];
	if (intake->collection == NULL)
		return err_set(err, ERR_POLICY, "no collection of that name");
	if (!fetch_is_for(intake->collection))
		return err_set(err, ERR_POLICY, "collection %s does not fetch", collection_name(intake->collection));
	return 0;
}

static int decode(struct intake *intake, const struct fetch_request *request, struct err *err)
{
	for (size_t i = 0; i < request->n; i++) {
		struct cert *cert = cert_from_der(request->certs[i], err);
		int rc;

		if (cert == NULL)
			return -1;
		rc = cert_list_add(&intake->certs, cert);
		cert_free(cert);
		if (rc != 0)
			return err_memory(err);
	}
	/* The list keeps each once: a path has none twice. */
	return intake->certs.n == request->n ? 0 : err_set(err, ERR_MESSAGE, "a certificate twice in a path");
}

/* Each certificate by itself: one that leads to the collection must not bring another along. */
static int prove(const struct intake *intake, const struct cert *cert, struct err *err)
{
	const struct path_query query = { .cert = cert, .untrusted = &intake->certs, .collections = &intake->collection,
		.collection_count = 1, .at = intake->now };
	struct path_result result;

	if (path_check(&query, &result, err) != 0)
		return -1;
	if (result.chain == CHAIN_GOOD)
		return 0;
	return err_set(err, ERR_POLICY, "collection %s: %s", collection_name(intake->collection), result.detail);
}

static bool is_issued_by(const struct cert *cert, const struct cert *issuer)
{
	return slice_equal(cert_info(cert)->issuer_der, cert_info(issuer)->subject_der);
}

/* The last one is an anchor, or the issuer of a pinned certificate: nobody is asked about it, only who its issuees
 * name. */
static int prove_all(const struct intake *intake, struct err *err)
{
	struct cert *const *certs = intake->certs.items;

	for (size_t i = 0; i + 1 < intake->certs.n; i++) {
		if (!is_issued_by(certs[i], certs[i + 1]))
			return err_set(err, ERR_MESSAGE, "not a path");
		if (prove(intake, certs[i], err) != 0)
			return -1;
	}
	return 0;
}

static void take_urls(const struct intake *intake, size_t i, enum fetch_kind kind, struct slice request)
{
	const struct fetch_findings *findings = intake->findings;
	struct fetch_url url;
	struct fetch_finding finding = { .kind = kind, .url = &url, .cert = intake->certs.items[i],
		.issuer = intake->certs.items[i + 1], .collection = intake->collection, .request = request };
	struct cert_urls urls;

	if (kind == FETCH_CRL)
		cert_crl_urls(finding.cert, &urls);
	else
		cert_ocsp_urls(finding.cert, &urls);
	for (size_t k = 0; k < urls.n && k < FETCH_URLS; k++) {
		if (fetch_url_parse(urls.items[k], &url, NULL) != 0)
			continue;
		if (fetch_url_listed(&url, collection_fetch_hosts(intake->collection)))
			findings->found(findings->self, &finding);
		else
			findings->unlisted(findings->self, intake->collection, &url);
	}
}

/* What is remembered for certificate i begins with it. */
static int take_cert(const struct intake *intake, size_t i, struct err *err)
{
	const struct cert *chain[FETCH_CHAIN];
	size_t n = intake->certs.n - i;
	struct buf request;
	int rc;

	memcpy(chain, intake->certs.items + i, n * sizeof(*chain));
	buf_init(&request, 0);
	rc = fetch_request_write(collection_name(intake->collection), chain, n, &request);
	if (rc == 0) {
		take_urls(intake, i, FETCH_CRL, buf_slice(&request));
		take_urls(intake, i, FETCH_OCSP, buf_slice(&request));
	}
	buf_clear(&request);
	return rc == 0 ? 0 : err_memory(err);
}

int fetch_intake(const struct fetch_scope *scope, struct slice request, time_t now,
		 const struct fetch_findings *findings, struct err *err)
{
	struct intake intake = { .findings = findings, .now = now };
	struct fetch_request parsed;
	int rc = -1;

	if (fetch_request_parse(request, &parsed, err) != 0 ||
	    find_collection(&intake, scope, parsed.collection, err) != 0)
		return -1;
	if (decode(&intake, &parsed, err) != 0 || prove_all(&intake, err) != 0)
		goto out;
	for (size_t i = 0; i + 1 < intake.certs.n; i++)
		if (take_cert(&intake, i, err) != 0)
			goto out;
	rc = 0;
out:
	cert_list_clear(&intake.certs);
	return rc;
}
