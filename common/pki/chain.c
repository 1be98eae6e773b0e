/* chain.c - the chains of own keys, filled up from the collections once, when a site is loaded: nothing is looked for
 * when a message is signed. Vouches for nothing: that is path.c. Called by gate's site.
 *
 * An issuer is one by name, key identifier (RFC 5280 4.2.1.1) and signature. Of several, an anchor goes before an
 * intermediate, so that a root that was cross-signed stays the end; then the one that lasts longest. */
#include "pki/chain.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "pki/pki_internal.h"

#define MAX_CERTS 12	/* above the certificate */

static bool has_issued(const struct cert *issuer, const struct cert *child)
{
	EVP_PKEY *pkey = X509_get0_pubkey(cert_x509(issuer));
	bool issued = pkey != NULL && X509_check_issued(cert_x509(issuer), cert_x509(child)) == X509_V_OK &&
		      X509_verify(cert_x509(child), pkey) == 1;

	ERR_clear_error();
	return issued;
}

/* The issuer among n certificates that lasts longer than best, else best. */
static struct cert *longest(struct cert *const *items, size_t n, const struct cert *child, struct cert *best)
{
	for (size_t i = 0; i < n; i++)
		if ((best == NULL || cert_info(items[i])->not_after > cert_info(best)->not_after) &&
		    has_issued(items[i], child))
			best = items[i];
	return best;
}

static struct cert *find_issuer(const struct key *key, const struct cert *child,
				const struct collection *const *collections, size_t collection_count)
{
	static const enum collection_part parts[] = { COLLECTION_ANCHORS, COLLECTION_INTERMEDIATES };
	const X509_NAME *name = X509_get_issuer_name(cert_x509(child));
	struct cert *best = longest(key_chain(key)->items, key_chain(key)->n, child, NULL);
	struct cert *const *items;
	size_t n = 0;

	for (size_t part = 0; part < 2 && best == NULL; part++)
		for (size_t i = 0; i < collection_count; i++) {
			items = collection_find(collections[i], parts[part], name, &n);
			best = longest(items, n, child, best);
		}
	return best;
}

static int complete(struct key *key, const struct collection *const *collections, size_t collection_count)
{
	const struct cert *last = key_cert(key);
	struct cert *issuer;

	for (size_t i = 0; i < MAX_CERTS && !cert_info(last)->self_signed; i++) {
		issuer = find_issuer(key, last, collections, collection_count);
		if (issuer == NULL)
			return 0;
		if (key_add_ca(key, issuer) != 0)
			return -1;
		last = issuer;
	}
	return 0;
}

int chain_complete(struct key *const *keys, size_t n, const struct collection *const *collections,
		   size_t collection_count, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (complete(keys[i], collections, collection_count) != 0)
			return err_memory(err);
	return 0;
}
