/* path.h - does a certificate lead to a collection? Own use of X509_STORE_CTX: purpose checks are cert.h's (RFC
 * 8550), not OpenSSL's. What is not checked here: addresses (verify.c, candidate.c), algorithms' strength.
 */
#ifndef PKI_PATH_H
#define PKI_PATH_H

#include "base/crypt.h"
#include "pki/collection.h"

enum path_chain { CHAIN_GOOD, CHAIN_UNTRUSTED, CHAIN_EXPIRED, CHAIN_NOT_YET_VALID, CHAIN_INCOMPLETE, CHAIN_BAD };
enum path_revocation { REV_GOOD, REV_REVOKED, REV_UNKNOWN, REV_STALE, REV_OFF };

const char *path_chain_name(enum path_chain);		/* "good" "untrusted" … as in the field */
const char *path_revocation_name(enum path_revocation);

/* CRLs that came in the message. They speak where the collection that vouches has no current answer of its own, and
 * for that one query: neither answer nor question is remembered, and whoever fetches is asked all the same. */
struct path_brought {
	const struct slice *crls;	/* DER, n of them; the caller bounds number and size */
	size_t n;
	struct evidence *evidence;	/* path_check's: made when it is first needed. path_brought_clear frees it */
	unsigned *signatures;		/* of CRLs, verified in all queries that share it, bounded */
};

#define PATH_SHARED_SIGNATURES 500	/* of a count that queries share; from then on no path is searched for */

struct path_query {
	const struct cert *cert;
	const struct cert_list *untrusted;	/* intermediates from message or directory: never anchors; may be NULL */
	const struct collection *const *collections;	/* tried in order; the best result counts */
	size_t collection_count;
	time_t at;
	bool no_revocation;			/* not asked for, whatever the collections demand */
	unsigned *signatures;			/* verified in all queries that share it, bounded; or NULL */
	struct path_brought *brought;		/* NULL: nothing was */
};

struct path_result {
	enum path_chain chain;
	enum path_revocation revocation;	/* REV_OFF unless chain is good */
	const struct collection *collection;	/* that vouches; NULL unless chain is good */
	bool brought;				/* CRLs of the message had a say in revocation */
	char detail[160];			/* why not good: "certificate has expired: CN=…", printable ASCII */
};

/* 0, or -1 ERR_TEMP when it could not be found out (memory). "Not trusted" is a result, not an error. */
int path_check(const struct path_query *query, struct path_result *result, struct err *err);
void path_brought_clear(struct path_brought *brought);

#define PATH_PROOF_ITEMS 32

struct path_proof_item {
	const char *kind;		/* "certificate" "crl" "ocsp" "collection" */
	char sha256[2 * CRYPT_SHA256_BYTES + 1];	/* of its content, hex */
	const struct cert *cert;	/* by its kind one of these, the others NULL */
	const struct crl *crl;
	const struct ocsp *ocsp;
	const struct collection *collection;
};

struct path_proof {			/* what a result rests on: whoever has all this can find it out again */
	struct path_proof_item items[PATH_PROOF_ITEMS];
	size_t n;			/* certificates from the leaf upwards, what told of revocation, the collection */
};

/* Of a result that path_check gave for this query, by searching once more. Nothing (n == 0) where the chain is not good.
 * Beyond PATH_PROOF_ITEMS items are left out. What the items are lives as long as the arena. -1: memory. */
int path_prove(const struct path_query *query, const struct path_result *result, struct arena *arena,
	       struct path_proof *proof, struct err *err);
/* Appends the bytes whose digest the item bears: DER; of a collection its files, one behind another. 0 or -1: memory. */
int path_proof_content(const struct path_proof_item *item, struct buf *out, struct err *err);

#endif
