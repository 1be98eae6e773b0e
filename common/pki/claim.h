/* claim.h - is a certificate that a directory has for a recipient his? For candidate.c only. */
#ifndef PKI_CLAIM_H
#define PKI_CLAIM_H

#include "pki/directory.h"

struct claim {				/* zero: nothing added yet */
	const struct address *named;	/* the address in the certificate that makes it his; NULL: none does */
	const struct address *wanted;	/* named == NULL: which should be there, */
	const char *or_else;		/* and what would do as well, to be put behind it */
	bool trusted;			/* a trusted directory is among those that have it under such an address, or
					   that name it by usage 3 */
	const char *refused_by;		/* a trusted directory by whose word it is none of the address's; NULL: none */
};

/* Adds what one directory has. A certificate is a recipient's if it has his address; also is another way to write that,
 * or NULL. If the directory says whose the entry is, and the recipient's address is one of that owner's, any of them will
 * do where secondary_addresses is true, and where it is false the primary one alone. Everything has to outlive claim. */
void claim_add(struct claim *claim, const struct address *recipient, const struct address *also,
	       const struct directory *directory, const struct directory_entry *entry);

/* Adds what the associations in the directory's answer say of the certificate, wherever that came from (RFC 8162). A
 * trusted directory is believed: a record of usage 3 makes it trusted, and where records name persons' certificates
 * alone (usages 1 and 3), others are refused. *by: the record that names it; NULL: none does. 0, or -1: memory. */
int claim_associate(struct claim *claim, const struct directory *directory, const struct directory_answer *answer,
		    const struct cert *cert, const struct smimea **by);

/* Why a certificate with that claim is not the recipient's: "" if it is, else a text that names the address that is
 * missing. In the arena; NULL: exhausted. */
const char *claim_objection(struct arena *arena, const struct claim *claim, const struct cert *cert);

#endif
