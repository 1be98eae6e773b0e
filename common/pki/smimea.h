/* smimea.h - SMIMEA records of the DNS (RFC 8162): where those about an address stand, what one says, and whether that
 * is said of a certificate. Reading and writing only: who asks the DNS is directory_smimea.c, what follows from an
 * answer is claim.c's.
 */
#ifndef PKI_SMIMEA_H
#define PKI_SMIMEA_H

#include "pki/cert.h"

#define SMIMEA_TYPE 53			/* of the resource record */

enum smimea_usage { SMIMEA_PKIX_TA, SMIMEA_PKIX_EE, SMIMEA_DANE_TA, SMIMEA_DANE_EE };	/* RFC 7218 */
enum smimea_selector { SMIMEA_CERT, SMIMEA_SPKI };
enum smimea_matching { SMIMEA_FULL, SMIMEA_SHA256, SMIMEA_SHA512 };

struct smimea {
	enum smimea_usage usage;
	enum smimea_selector selector;
	enum smimea_matching matching;
	struct slice data;		/* whole (FULL) or its digest; bytes of whoever made the record */
};

/* "HASH._smimecert.DOMAIN" without a dot behind it: the local part as it is, or in lower case (ASCII letters alone, as
 * in address_equal). In the arena. That such a name fits into the DNS is not checked. NULL: *err. */
const char *smimea_owner(struct arena *arena, const struct address *address, bool lower, struct err *err);

/* record->data points into rdata. Returns NULL, or what is wrong with it ("shorter than 4 bytes"); certificates in it
 * are not parsed. */
const char *smimea_parse(struct slice rdata, struct smimea *record);
/* The record that says this of the certificate. Its data lies in the arena or belongs to the certificate. 0, or -1:
 * *err. */
int smimea_make(struct arena *arena, const struct cert *cert, enum smimea_usage usage, enum smimea_selector selector,
		enum smimea_matching matching, struct smimea *record, struct err *err);
/* RDATA as in a zone file: "3 0 0 3082…". Data of more than max_bytes is cut there, with "..." behind it (0: it is
 * not). NULL: the arena is exhausted. */
const char *smimea_text(struct arena *arena, const struct smimea *record, size_t max_bytes);

/* Does it name a person's certificate (usages 1 and 3), not a CA's? */
bool smimea_is_person(const struct smimea *record);
/* Is it said of this certificate? Usage is not looked at. 1, 0, or -1: memory. */
int smimea_matches(const struct smimea *record, const struct cert *cert);

#endif
