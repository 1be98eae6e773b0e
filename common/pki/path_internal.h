/* path_internal.h - what the parts of path_check share: the search (path.c), OpenSSL's check of one path
 * (path_verify.c), and the question of its revocation (path_revocation.c). Not for others. */
#ifndef PKI_PATH_INTERNAL_H
#define PKI_PATH_INTERNAL_H

#include <openssl/x509.h>

#include "pki/path.h"
#include "pki/path_memory.h"
#include "pki/revocation.h"

#define PATH_MAX_CERTS REVOCATION_PATH_CERTS	/* the anchor included */

struct search {
	const struct path_query *query;
	const struct collection *collection;
	const struct evidence *evidence;	/* NULL: nobody asks for revocation */
	const struct cert *anchor;		/* of a search for a CRL's signer, the only one that counts; else NULL */
	const struct cert *certs[PATH_MAX_CERTS];	/* the path being tried, from the certificate upwards */
	size_t n;
	unsigned paths, signatures;
	const struct path_brought *brought;	/* by the message, decoded; NULL: own evidence alone is asked */
	bool brought_told;			/* and something of it counted */
	unsigned signer_signatures;		/* on behalf of CRLs' signers: others have not used them up */
	struct path_proof *proof;		/* gets what tells of revocation; NULL: nobody asks */
	bool failed;				/* memory */
	struct path_span span;			/* around query->at, in which the same would be found */
	struct revocation_path found;		/* the path of best, where its chain is good */
	time_t ages;				/* from when on news of its revocation are wanted */
	struct path_result best;
};

/* From s->query->cert upwards, until a path is good: s->best. */
void path_search(struct search *s);
/* Has issuer, by name, key identifier and signature, issued child? A no that is telling goes to s->best. */
bool path_issues(struct search *s, const struct cert *issuer, const struct cert *child, bool anchor);
bool path_has(const struct search *s, const struct cert *cert);		/* in s->certs */
/* A moment at which cert begins or ends being valid is not within s->span. */
void path_cut_by_validity(struct search *s, const struct cert *cert);

struct path_trial {
	const struct cert *const *certs;	/* n, from the certificate upwards; the last one is trusted */
	size_t n;
	time_t at;
	STACK_OF(ASN1_OBJECT) *policies;	/* one of which it must be valid for; NULL: any */
	bool partial;				/* the trusted one need not be self-signed; policies do not matter */
};

struct path_fault {
	enum path_chain chain;		/* good: there is none */
	int error, depth;		/* X509_V_ERR_ and the certificate it is about */
};

/* 0, or -1: memory. */
int path_verify(const struct path_trial *trial, struct path_fault *fault);

/* The worst of what is known of the certificates below the anchor of s->certs; s->ages. */
enum path_revocation path_revocation(struct search *s);
/* Of a pinned certificate, s->certs[0] alone: what its issuers' CRLs and OCSP answers say, whoever brings the
 * issuers. */
enum path_revocation path_revocation_pinned(struct search *s);
/* Tells whoever fetches for the collection that s->found lacks fresh answers, if it does, at most once a minute for
 * one certificate; else that these are in use, once a day. */
void path_want(struct search *s);

/* What was told of revocation while s searched, between the chain that it found and the collection; all of it is held by
 * the arena. -1: exhausted. */
int path_proof_complete(const struct search *s, const struct path_proof *told, struct arena *arena,
			struct path_proof *proof);
/* One item more, once. */
void path_proof_add(struct path_proof *proof, const struct path_proof_item *item);

/* What a collection remembers, each under a digest of its own kind and of the certificates it is about. */
struct path_key {
	unsigned char bytes[PATH_MEMORY_KEY_BYTES];
};

/* evidence, issuer and others may be NULL. -1: memory */
int path_make_key(const char *kind, const struct evidence *evidence, const struct cert *cert,
		  const struct cert *issuer, const struct cert_list *others, struct path_key *key);

#endif
