/* revocation.h - what the evidence says of a certificate's revocation (RFC 5280 6.3, RFC 6960 3.2): complete and
 * delta CRLs, with their scopes, indirect ones, those of other keys of a CA; OCSP answers. Own code, so that every
 * OpenSSL answers alike.
 *
 * Evidence is what the collection was given or has fetched (evidence.h). CRLs that came in a message are their
 * sender's choice, who would take the older one that still says nothing of his certificate: they are asked apart, and
 * only where the evidence has no current answer. OCSP answers in a message are never looked at. Certificates in a
 * message may serve to prove the key of a CRL's signer, unless the CRL came with them. For the sources of pki/, and
 * for the fetch process. */
#ifndef PKI_REVOCATION_H
#define PKI_REVOCATION_H

#include <openssl/x509.h>

#include "pki/path.h"
#include "pki/path_memory.h"

#define REVOCATION_PATH_CERTS 12

struct crl;
struct evidence;
struct ocsp;

struct revocation_answer {
	enum path_revocation revocation;	/* good, revoked, stale, unknown */
	bool current;		/* what says so is valid now: of revoked, which holds beyond */
	time_t this_update;	/* of what says so; 0: unknown */
	time_t ages;		/* from then on a newer one should be looked for: at 3/4 of its time; 0: now */
};

/* A proven path of a CRL's signer, from its certificate upwards. */
struct revocation_path {
	const struct cert *certs[REVOCATION_PATH_CERTS];
	size_t n;
};

struct revocation_query {
	const struct evidence *evidence;
	const struct cert *const *chain;	/* n proven ones, from a certificate upwards to its anchor */
	size_t n;
	time_t at;
	struct path_span *span;		/* shortened to the time in which all that was looked at says the same */
	struct path_memory *memory;	/* for signatures that were found good */
	/* The next certificate with that subject and a path to the same anchor: *path, proven but for revocation.
	 * *position begins as 0 and is the callee's. false: no more. May be NULL. */
	bool (*signer)(void *self, const X509_NAME *subject, size_t *position, struct revocation_path *path);
	/* Told of each CRL and OCSP answer that had a say. May be NULL. */
	void (*heard)(void *self, const struct crl *crl, const struct ocsp *ocsp);	/* one of them; the other NULL */
	void *self;			/* of both */
	unsigned *signatures;		/* counts those that were verified: a few hundred, then everything is unknown */
};

/* Of chain[index], which is not the anchor: index + 1 < n. Never fails: what cannot be found out is unknown. Revoked
 * is what valid evidence says is revoked, and what evidence said that is out of date, unless a later one says good.
 * A reason of certificateHold counts as revoked. */
void revocation_check(const struct revocation_query *query, size_t index, struct revocation_answer *answer);

/* The same by CRLs that came in a message, which count only if they are valid now (answer->current; else unknown), if a
 * key of the path above the certificate has signed them, and if there is no newer list about it in query->evidence. A
 * delta CRL there is applied to them before those that came along. query->span, memory and signatures should be of
 * their own: the sender has chosen what is counted. */
void revocation_check_brought(const struct revocation_query *query, const struct evidence *brought, size_t index,
			      struct revocation_answer *answer);

struct revocation_times {
	time_t this_update, ages;	/* as in revocation_answer */
};

/* Is the DER worth being kept: a CRL that issuer's key has signed and that is about certificates like cert; an OCSP
 * answer about cert, good or revoked; valid now? CRLs of other signers are refused although evidence.h would use
 * them: these need a path. 0 with its times, or -1: ERR_MESSAGE says why not, ERR_TEMP memory. */
int revocation_accept_crl(struct slice der, const struct cert *cert, const struct cert *issuer, time_t at,
			  struct revocation_times *times, struct err *err);
int revocation_accept_ocsp(struct slice der, const struct cert *cert, const struct cert *issuer, time_t at,
			   struct revocation_times *times, struct err *err);

#endif
