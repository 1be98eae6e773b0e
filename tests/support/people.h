/* people.h - the throw-away world of the golden tests, the door's fuzzer and the benchmark: CAs, own users with keys,
 * partners with certificates, strangers; made anew for each run in a temporary directory. Nothing is kept.
 *
 * In the directory:
 *	roots.pem	the root and the issuing CA		roots.sst	the same as a serialized store
 *	stranger.pem	a root that nobody here trusts		crl.pem		the issuing CA's: revokes `revoked`
 *	crl-old.pem	from two days ago, good for days, nobody is revoked; crl-late.pem: from yesterday, and late
 *	crl-forged.pem	the issuing CA's name, a stranger's signature; crl-junk.pem: seven such, then crl.pem's
 *	keys/		own keys, each with certificate and chain (leaf's: without a chain)
 *	certs/		certificates of partners and own users	state/ empty/	empty
 *	revoked/	the certificate of `revoked`
 */
#ifndef PEOPLE_H
#define PEOPLE_H

#include "support/testpki.h"

struct people {
	char dir[64];
	struct testpki *root, *ca, *stranger_root;
	struct person_entry *entries;
	size_t n;
};

struct person_entry {
	const char *name;		/* "alice" */
	struct testpki *pki;
};

/* only_ec: RSA users get P-256 keys too, for a start that takes no time. Ends the program on failure. */
struct people *people_new(bool only_ec);
void people_free(struct people *people);	/* removes the directory; NULL is fine */
/* NULL: nobody of that name. */
const struct testpki *people_find(const struct people *people, const char *name);

#endif
