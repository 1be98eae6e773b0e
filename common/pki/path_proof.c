/* path_proof.c - what a result rests on, and its bytes, for those who have to show it later. Called by path.c and
 * path_revocation.c while they search, and by whoever keeps the proof. */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

#include "pki/collection.h"
#include "pki/crl.h"
#include "pki/evidence_internal.h"
#include "pki/ocsp.h"
#include "pki/path_internal.h"

void path_proof_add(struct path_proof *proof, const struct path_proof_item *item)
{
	for (size_t i = 0; i < proof->n; i++)
		if (strcmp(proof->items[i].sha256, item->sha256) == 0)
			return;
	if (proof->n < PATH_PROOF_ITEMS)
		proof->items[proof->n++] = *item;
}

static int add_cert(struct path_proof *proof, const struct cert *cert, struct arena *arena)
{
	struct path_proof_item item = { .kind = "certificate", .cert = cert };

	memcpy(item.sha256, cert_info(cert)->sha256, sizeof(item.sha256));
	path_proof_add(proof, &item);
	return cert_defer(arena, cert_ref((struct cert *)(uintptr_t)cert));
}

static void let_go(void *evidence)
{
	evidence_free(evidence);
}

/* CRLs and OCSP answers live in their snapshot. */
static int hold(const struct evidence *evidence, struct arena *arena)
{
	if (evidence == NULL)
		return 0;
	return arena_defer(arena, let_go, evidence_ref((struct evidence *)(uintptr_t)evidence));
}

int path_proof_complete(const struct search *s, const struct path_proof *told, struct arena *arena,
			struct path_proof *proof)
{
	struct path_proof_item collection = { .kind = "collection", .collection = s->collection };
	int bad;

	if (s->best.chain != CHAIN_GOOD)
		return 0;
	bad = add_cert(proof, s->query->cert, arena);
	for (size_t i = 0; i < s->found.n; i++)
		bad |= add_cert(proof, s->found.certs[i], arena);
	for (size_t i = 0; i < told->n; i++)
		path_proof_add(proof, &told->items[i]);
	memcpy(collection.sha256, collection_sha256(s->collection), sizeof(collection.sha256));
	path_proof_add(proof, &collection);
	bad |= hold(s->evidence, arena);
	bad |= hold(s->brought != NULL ? s->brought->evidence : NULL, arena);
	return bad;
}

static int append_crl(const struct crl *crl, struct buf *out, struct err *err)
{
	unsigned char *der = NULL;
	int n = i2d_X509_CRL(crl->x509, &der);
	int rc = n > 0 ? buf_append(out, der, (size_t)n) : -1;

	OPENSSL_free(der);
	ERR_clear_error();
	return rc == 0 ? 0 : err_memory(err);
}

int path_proof_content(const struct path_proof_item *item, struct buf *out, struct err *err)
{
	struct slice content;

	if (item->crl != NULL)
		return append_crl(item->crl, out, err);
	content = item->cert != NULL ? cert_info(item->cert)->der :
		  item->ocsp != NULL ? ocsp_der(item->ocsp) : collection_content(item->collection);
	return buf_append_slice(out, content) == 0 ? 0 : err_memory(err);
}
