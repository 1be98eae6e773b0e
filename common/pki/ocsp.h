/* ocsp.h - answers of OCSP responders (RFC 6960), decoded once and judged for one certificate: whose signature, which
 * certificate, from when to when. And the question, which the fetch process sends. Nothing is sent here. */
#ifndef PKI_OCSP_H
#define PKI_OCSP_H

#include "base/buf.h"
#include "pki/cert.h"
#include "pki/revocation.h"

#define OCSP_MAX_ANSWERS 1024	/* in one response */

struct ocsp;			/* immutable, shared by threads */

/* Exactly one DER OCSPResponse with status successful and a basic response of 1 to OCSP_MAX_ANSWERS answers;
 * ERR_MESSAGE else. Its signature is not looked at. */
struct ocsp *ocsp_parse(struct slice der, struct err *err);
void ocsp_free(struct ocsp *ocsp);	/* NULL is fine */
struct slice ocsp_der(const struct ocsp *ocsp);		/* the whole response */
const unsigned char *ocsp_sha256(const struct ocsp *ocsp);	/* of that */
size_t ocsp_count(const struct ocsp *ocsp);
/* The serial number that the i-th answer is about, as cert_info's serial_der. */
struct slice ocsp_serial(const struct ocsp *ocsp, size_t i);

/* What it says of cert, whose issuer is issuer: good, revoked, or unknown (also where the response is about others,
 * or is not signed by the issuer's key, or by one of a certificate that the issuer itself has issued for OCSP
 * signing and that is valid now). stale where good is out of date; revoked stays so. No nonce is asked for.
 * *delegate (may be NULL): the certificate that signed, if it is not the issuer's own and does not have
 * id-pkix-ocsp-nocheck, to be asked for its own revocation; NULL else. cert_free it. *span is shortened to the time
 * in which it says the same. */
void ocsp_check(const struct ocsp *ocsp, const struct cert *cert, const struct cert *issuer, time_t at,
		struct path_span *span, struct revocation_answer *answer, struct cert **delegate);

/* Appends a DER OCSPRequest for one certificate: SHA-1 identifiers, which every responder knows (RFC 5019 2.1.1), no
 * nonce, not signed. 0, or -1: memory. */
int ocsp_request(const struct cert *cert, const struct cert *issuer, struct buf *out, struct err *err);

#endif
