/* crl.h - a certificate revocation list, decoded once: its times, numbers and scope as plain values (RFC 5280 5).
 * Whether it is genuine and what it says of a certificate is revocation.c's. For the sources of pki/ only. */
#ifndef PKI_CRL_H
#define PKI_CRL_H

#include <openssl/x509v3.h>
#include <stdbool.h>
#include <time.h>

#include "base/crypt.h"
#include "base/err.h"
#include "base/slice.h"

#define CRL_ALL_REASONS 0x1feU	/* bits 1 to 8 of ReasonFlags, as 1 << number */

struct crl {				/* immutable, shared by threads */
	X509_CRL *x509;
	const X509_NAME *issuer;
	unsigned char sha256[CRYPT_SHA256_BYTES];	/* of the DER */
	time_t this_update;
	time_t next_update;		/* where the CRL has none: a day after this_update */
	ASN1_INTEGER *number;		/* NULL: none */
	ASN1_INTEGER *base;		/* not NULL: a delta CRL, for complete ones from this number on */
	ISSUING_DIST_POINT *idp;	/* NULL: none */
	GENERAL_NAMES *names;		/* of the distribution point that the CRL is for; NULL: no matter which */
	unsigned reasons;
	const char *unusable;		/* why it tells nothing of any certificate; NULL: it may */
};

/* Exactly one DER CRL, nothing behind it; ERR_MESSAGE else. Its signature is not looked at. */
struct crl *crl_parse(struct slice der, struct err *err);
void crl_free(struct crl *crl);		/* NULL is fine */

/* Valid at that moment? A clock that is five minutes behind the CA's is forgiven. */
bool crl_has_begun(const struct crl *crl, time_t at);
bool crl_is_current(const struct crl *crl, time_t at);
/* May the delta CRL, which came later, be applied to the complete one (RFC 5280 5.2.4, 6.3.3 (c))? */
bool crl_delta_fits(const struct crl *delta, const struct crl *complete);

/* A distribution point's name, as full names: of those, or of issuer's name and what is relative to it (NULL: none
 * to be had). The caller frees it. */
GENERAL_NAMES *crl_point_names(const DIST_POINT_NAME *point, const X509_NAME *issuer);
/* ReasonFlags as a mask of 1 << number; NULL: all reasons. */
unsigned crl_reasons(const ASN1_BIT_STRING *flags);

/* For CRLs and OCSP alike: may an answer of this moment be believed now, and what if nobody said when it ends. */
#define REVOCATION_SKEW_S 300
#define REVOCATION_UNBOUNDED_S ((time_t)24 * 3600)

#endif
