/* harvest.h - which certificate of a signed message its author can be encrypted to from now on (RFC 8551 2.5.3, 2.7.1).
 * What is kept of it, and when it is used, is decided elsewhere. Pure: nothing is stored, nobody is asked.
 */
#ifndef SMIME_HARVEST_H
#define SMIME_HARVEST_H

#include "smime/verdict.h"

#define HARVEST_SKEW_S 300		/* signing times may be so far in the future */
#define HARVEST_CHAIN 8			/* intermediates that are kept with a certificate */
#define HARVEST_CERT_BYTES 12288	/* of one certificate, at most; a larger one is not learned */

struct harvest {			/* what was learned; certificates live as long as the verdict */
	struct address address;		/* From */
	const struct cert *cert;
	const struct cert *chain[HARVEST_CHAIN];	/* that came along: not trusted, no roots */
	size_t chain_count;
	struct capabilities capabilities;
	time_t signed_at;
	const char *collection;		/* that vouches for signer and certificate */
	const char *rule;		/* id of the one that wants it kept; set by the caller */
	bool at_once;			/* and used without being approved first, where that is safe; likewise */
};

struct harvest_query {
	const struct verdict *verdict;
	const struct address *from;	/* text.n == 0: not exactly one mailbox */
	const struct pattern_list *local_domains;	/* whose certificates are nobody else's to tell */
	const struct collection *const *collections;	/* that the verdict was made with */
	size_t collection_count;
	time_t at;
};

/* 1: *harvest is filled but for rule and at_once. 0: there is nothing to learn, *why says so (one line, printable
 * ASCII, in the arena). It takes a verdict of `pass` by one signer, who covers the message and whose certificate has
 * From's address, with a signing time that is not in the future; and a certificate with that address that may be
 * encrypted to, proven by the collection that vouches for the signer: the one that SMIMEEncryptionKeyPreference names,
 * or, where the signer does not say, his own, or else another one in the message. -1: memory. */
int harvest_find(struct arena *arena, const struct harvest_query *query, struct harvest *harvest, const char **why,
		 struct err *err);

/* The CAs above harvest->cert, as far as certs has them: becomes harvest->chain. certs outlives it. */
void harvest_take_chain(const struct cert_list *certs, struct harvest *harvest);

#endif
