/* fuzz_revocation.c - CRLs and OCSP responses from wherever they were fetched, asked about a certificate. As they
 * come they are not the CA's, so nothing may be concluded from them. A CRL is then signed with the CA's key all the
 * same, so that scopes, entries and deltas are reached.
 *
 * The first byte says which of the two follows. */
#include "fuzz.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include "pki/crl.h"
#include "pki/evidence_internal.h"
#include "pki/ocsp.h"
#include "pki/pki_internal.h"
#include "pki/revocation.h"
#include "support/testpki.h"

static struct {
	struct testpki *root, *leaf;
	struct cert *chain[2];
	struct evidence_file *complete;		/* a base for deltas */
} pki;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct evidence_notes nobody = { .report = NULL };
	struct buf der;

	(void)argc;
	(void)argv;
	pki.root = testpki_root("Fuzz Root");
	pki.leaf = testpki_make(pki.root, &(struct testpki_spec){ .cn = "Fuzz Leaf", .serial = 77,
		.extra_oid = "crlDistributionPoints", .extra_value = "URI:http://crl.example/sub.crl" });
	pki.chain[0] = testpki_cert(pki.leaf);
	pki.chain[1] = testpki_cert(pki.root);
	buf_init(&der, 0);
	testpki_crl_make(&(struct testpki_crl){ .ca = pki.root, .number = 5, .no_key_id = true }, &der);
	pki.complete = evidence_file_parse(buf_slice(&der), false, &nobody, NULL);
	PROMISE(pki.complete != NULL);
	buf_clear(&der);
	return 0;
}

static enum path_revocation ask(struct evidence_file *const *files, size_t n, time_t at)
{
	struct path_span span = { .after = 0, .before = INT64_MAX };
	struct evidence *evidence = evidence_new(files, n, 1);
	struct path_memory *memory = path_memory_new();
	struct revocation_answer answer;
	unsigned signatures = 0;
	const struct revocation_query query = { .evidence = evidence, .n = 2, .at = at, .span = &span, .memory = memory,
						.chain = (const struct cert *const *)pki.chain,
						.signatures = &signatures };

	PROMISE(evidence != NULL && memory != NULL);
	revocation_check(&query, 0, &answer);
	PROMISE(answer.revocation != REV_OFF && span.after <= at && span.before >= at);
	path_memory_free(memory);
	evidence_free(evidence);
	return answer.revocation;
}

static void with_our_signature(struct slice der)
{
	const struct evidence_notes nobody = { .report = NULL };
	const unsigned char *p = (const unsigned char *)der.p;
	X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)der.n);
	struct evidence_file *files[2] = { pki.complete, NULL };
	unsigned char *signed_der = NULL;
	int n = 0;

	if (crl != NULL && X509_CRL_set_issuer_name(crl, X509_get_subject_name(pki.root->x509)) == 1 &&
	    X509_CRL_sign(crl, pki.root->pkey, EVP_sha256()) > 0)
		n = i2d_X509_CRL(crl, &signed_der);
	if (n > 0)
		files[1] = evidence_file_parse(slice_make(signed_der, (size_t)n), false, &nobody, NULL);
	if (files[1] != NULL && files[1]->crl_count == 1) {
		ask(files, 2, files[1]->crls[0]->this_update);
		ask(files + 1, 1, files[1]->crls[0]->this_update);
		ask(files, 2, time(NULL));
	}
	evidence_file_free(files[1]);
	OPENSSL_free(signed_der);
	X509_CRL_free(crl);
	ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct evidence_notes nobody = { .report = NULL };
	bool ocsp = size > 0 && (data[0] & 1) != 0;
	struct slice der = slice_from(slice_make(data, size), 1);
	struct evidence_file *file = evidence_file_parse(der, ocsp, &nobody, NULL);
	struct revocation_times times;

	if (file != NULL)
		PROMISE(ask(&file, 1, time(NULL)) == REV_UNKNOWN);
	evidence_file_free(file);
	PROMISE(revocation_accept_crl(der, pki.chain[0], pki.chain[1], time(NULL), &times, NULL) != 0);
	PROMISE(revocation_accept_ocsp(der, pki.chain[0], pki.chain[1], time(NULL), &times, NULL) != 0);
	if (!ocsp && der.n > 0)
		with_our_signature(der);
	return 0;
}
