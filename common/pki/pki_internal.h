/* pki_internal.h - the OpenSSL objects behind certificates, keys and collections: for the sources of pki/ and smime/
 * only. */
#ifndef PKI_INTERNAL_H
#define PKI_INTERNAL_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "pki/cert.h"
#include "pki/collection.h"
#include "pki/key.h"

struct evidence;
struct evidence_store;
struct known_cas;
struct path_memory;

X509 *cert_x509(const struct cert *cert);	/* borrowed; use as const */
/* Takes a reference of its own to x509. NULL: *err. */
struct cert *cert_from_x509(X509 *x509, struct err *err);
/* 0, or -1: it cannot be read. */
int cert_read_time(const ASN1_TIME *from, time_t *at);

EVP_PKEY *key_pkey(const struct key *key);	/* borrowed */
/* Takes references of its own to cert, pkey and each of chain (NULL: none). ERR_CONFIG when key and certificate do not
 * match. */
struct key *key_new(struct cert *cert, EVP_PKEY *pkey, const struct cert_list *chain, const char *source,
		    struct err *err);
/* One more CA for its chain (a reference of its own; skips one that is there), while nobody else has the key: see
 * chain.c. -1: memory. */
int key_add_ca(struct key *key, struct cert *ca);

enum collection_part { COLLECTION_ANCHORS, COLLECTION_INTERMEDIATES, COLLECTION_PINNED };
/* The collection's certificates whose subject is name: *n of them from the pointer returned on. */
struct cert *const *collection_find(const struct collection *collection, enum collection_part part,
				    const X509_NAME *name, size_t *n);
/* One of which a path must be valid for; NULL: none is asked for. Borrowed; use as const. */
STACK_OF(ASN1_OBJECT) *collection_policies(const struct collection *collection);
/* What tells of revocation now: a reference (evidence_free); NULL: revocation is off. */
struct evidence *collection_evidence(const struct collection *collection);
struct evidence_store *collection_evidence_store(const struct collection *collection);	/* borrowed, NULL likewise */
/* Who is told what to fetch; NULL: nobody. */
const struct revocation_wanted *collection_wanted(const struct collection *collection);
/* What was proven with it. Anchors and intermediates never change; answers name the evidence they were made with. */
struct path_memory *collection_memory(const struct collection *collection);
/* CAs that came with messages and led to it. */
struct known_cas *collection_known_cas(const struct collection *collection);

/* The text of the first entry of OpenSSL's error queue, which is cleared: for err_set. out: 120 bytes or so. */
const char *openssl_reason(char *out, size_t size);

#endif
