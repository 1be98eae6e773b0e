/* ocsp.c - decodes OCSP responses, judges them for one certificate (RFC 6960 3.2, 4.2.2.2), and writes requests.
 * Called by evidence.c and revocation.c, and by the fetch process. Weighing answers against CRLs is revocation.c's.
 *
 * OpenSSL's own judgement of a responder (OCSP_basic_verify without OCSP_NOVERIFY) builds paths to a store; the
 * responder must be the issuer or directly below it, so its key is found here and OpenSSL does the signature. */
#include "pki/ocsp.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "pki/crl.h"
#include "pki/pki_internal.h"

#define SECURITY_BITS 112	/* of a delegate's key and certificate: as for paths */

struct ocsp {
	OCSP_BASICRESP *basic;
	time_t produced_at;
	struct slice *serials;	/* one for each answer, DER */
	size_t n;
	struct buf der;
	unsigned char sha256[CRYPT_SHA256_BYTES];
};

static int read_serial(struct ocsp *ocsp, size_t i)
{
	const OCSP_SINGLERESP *single = OCSP_resp_get0(ocsp->basic, (int)i);
	ASN1_INTEGER *serial = NULL;
	unsigned char *der = NULL;
	int n;

	if (OCSP_id_get0_info(NULL, NULL, NULL, &serial, (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single)) != 1)
		return -1;
	n = i2d_ASN1_INTEGER(serial, &der);
	if (n <= 0)
		return -1;
	ocsp->serials[i] = slice_make(der, (size_t)n);
	return 0;
}

static int fill(struct ocsp *ocsp, OCSP_RESPONSE *response, struct err *err)
{
	int n;

	if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		return err_set(err, ERR_MESSAGE, "RFC 6960 4.2.1: the responder answers with status %d",
			       OCSP_response_status(response));
	ocsp->basic = OCSP_response_get1_basic(response);
	n = ocsp->basic == NULL ? 0 : OCSP_resp_count(ocsp->basic);
	if (n < 1 || n > OCSP_MAX_ANSWERS)
		return err_set(err, ERR_MESSAGE, "RFC 6960 4.2.1: no basic response, or one with %d answers", n);
	if (cert_read_time(OCSP_resp_get0_produced_at(ocsp->basic), &ocsp->produced_at) != 0)
		return err_set(err, ERR_MESSAGE, "RFC 6960 4.2.1: producedAt cannot be read");
	ocsp->serials = calloc((size_t)n, sizeof(*ocsp->serials));
	if (ocsp->serials == NULL)
		return err_memory(err);
	for (ocsp->n = 0; ocsp->n < (size_t)n; ocsp->n++)
		if (read_serial(ocsp, ocsp->n) != 0)
			return err_set(err, ERR_MESSAGE, "RFC 6960 4.2.1: an answer without a serial number");
	return 0;
}

struct ocsp *ocsp_parse(struct slice der, struct err *err)
{
	const unsigned char *start = (const unsigned char *)der.p, *p = start;
	struct ocsp *ocsp = calloc(1, sizeof(*ocsp)), *result = NULL;
	OCSP_RESPONSE *response = NULL;

	if (ocsp == NULL) {
		err_memory(err);
		return NULL;
	}
	buf_init(&ocsp->der, 0);
	if (der.n == 0 || der.n > LONG_MAX || (response = d2i_OCSP_RESPONSE(NULL, &p, (long)der.n)) == NULL)
		err_set(err, ERR_MESSAGE, "RFC 6960 4.2.1: not an OCSP response");
	else if (p != start + der.n)
		err_set(err, ERR_MESSAGE, "RFC 6960 4.2.1: %zu bytes behind the response", (size_t)(start + der.n - p));
	else if (buf_append_slice(&ocsp->der, der) != 0)
		err_memory(err);
	else if (crypt_sha256(der.p, der.n, ocsp->sha256, err) == 0 && fill(ocsp, response, err) == 0)
		result = ocsp;
	if (result == NULL)
		ocsp_free(ocsp);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
	return result;
}

struct slice ocsp_der(const struct ocsp *ocsp)
{
	return buf_slice(&ocsp->der);
}

const unsigned char *ocsp_sha256(const struct ocsp *ocsp)
{
	return ocsp->sha256;
}

void ocsp_free(struct ocsp *ocsp)
{
	if (ocsp == NULL)
		return;
	for (size_t i = 0; i < ocsp->n; i++)
		OPENSSL_free((void *)(uintptr_t)ocsp->serials[i].p);
	free(ocsp->serials);
	OCSP_BASICRESP_free(ocsp->basic);
	buf_clear(&ocsp->der);
	free(ocsp);
}

size_t ocsp_count(const struct ocsp *ocsp)
{
	return ocsp->n;
}

struct slice ocsp_serial(const struct ocsp *ocsp, size_t i)
{
	return ocsp->serials[i];
}

/* Digest, names and number of the certificate: the digests are those that RFC 5019 and RFC 6960 4.3 have in use. */
static bool is_about(const OCSP_SINGLERESP *single, const struct cert *cert, const struct cert *issuer)
{
	const EVP_MD *const digests[] = { EVP_sha1(), EVP_sha256() };
	bool is = false;

	for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]) && !is; i++) {
		OCSP_CERTID *id = OCSP_cert_to_id(digests[i], cert_x509(cert), cert_x509(issuer));

		is = id != NULL && OCSP_id_cmp(id, OCSP_SINGLERESP_get0_id(single)) == 0;
		OCSP_CERTID_free(id);
	}
	return is;
}

static bool has_signed(const struct ocsp *ocsp, X509 *signer)
{
	STACK_OF(X509) *one = sk_X509_new_null();
	bool has = one != NULL && sk_X509_push(one, signer) > 0 &&
		   OCSP_basic_verify(ocsp->basic, one, NULL, OCSP_NOVERIFY | OCSP_NOINTERN) == 1;

	sk_X509_free(one);
	ERR_clear_error();
	return has;
}

static bool is_strong(X509 *delegate)
{
	int bits = 0;

	return X509_get_signature_info(delegate, NULL, NULL, &bits, NULL) == 1 && bits >= SECURITY_BITS &&
	       EVP_PKEY_get_security_bits(X509_get0_pubkey(delegate)) >= SECURITY_BITS;
}

/* RFC 6960 4.2.2.2: issued directly by the CA, for this and said so in so many words. */
static bool is_delegate(const struct cert *cert, const struct cert *issuer, time_t at)
{
	const struct cert_info *info = cert_info(cert);
	X509 *x509 = cert_x509(cert);
	EVP_PKEY *pkey = X509_get0_pubkey(cert_x509(issuer));

	if (at < info->not_before || at > info->not_after || info->oversized ||
	    (X509_get_extension_flags(x509) & (EXFLAG_INVALID | EXFLAG_CRITICAL)) != 0)
		return false;
	if (!info->eku_given || (X509_get_extended_key_usage(x509) & XKU_OCSP_SIGN) == 0)
		return false;
	if (info->usage_given && (info->usage & (USAGE_DIGITAL_SIGNATURE | USAGE_NON_REPUDIATION)) == 0)
		return false;
	return is_strong(x509) && slice_equal(info->issuer_der, cert_info(issuer)->subject_der) && pkey != NULL &&
	       X509_verify(x509, pkey) == 1;
}

/* *delegate: as in ocsp_check. */
static bool is_genuine(const struct ocsp *ocsp, const struct cert *issuer, time_t at, struct path_span *span,
		       struct cert **delegate)
{
	struct cert *cert = NULL;
	X509 *signer = NULL;
	bool genuine = false;

	if (!cert_info(issuer)->oversized && has_signed(ocsp, cert_x509(issuer)))
		return true;
	if (OCSP_resp_get0_signer(ocsp->basic, &signer, NULL) != 1 || signer == NULL ||
	    (cert = cert_from_x509(signer, NULL)) == NULL)
		goto out;
	path_span_cut(span, at, cert_info(cert)->not_before);
	path_span_cut(span, at, cert_info(cert)->not_after);
	genuine = is_delegate(cert, issuer, at) && has_signed(ocsp, cert_x509(cert));
	if (genuine && delegate != NULL && X509_get_ext_by_NID(signer, NID_id_pkix_OCSP_noCheck, -1) < 0) {
		*delegate = cert;
		cert = NULL;
	}
out:
	cert_free(cert);
	ERR_clear_error();
	return genuine;
}

/* What one answer says, whoever has signed it. */
static void read_single(const struct ocsp *ocsp, OCSP_SINGLERESP *single, time_t at, struct path_span *span,
			struct revocation_answer *answer)
{
	ASN1_GENERALIZEDTIME *this = NULL, *next = NULL;
	int status = OCSP_single_get0_status(single, NULL, NULL, &this, &next);
	time_t from, until;

	if (cert_read_time(this, &from) != 0 || (next != NULL && cert_read_time(next, &until) != 0))
		return;
	if (next == NULL)
		until = from + REVOCATION_UNBOUNDED_S;
	path_span_cut(span, at, from - REVOCATION_SKEW_S);
	path_span_cut(span, at, ocsp->produced_at - REVOCATION_SKEW_S);
	path_span_cut(span, at, until);
	if (from > at + REVOCATION_SKEW_S || ocsp->produced_at > at + REVOCATION_SKEW_S)
		return;
	*answer = (struct revocation_answer){ .revocation = REV_UNKNOWN, .this_update = from, .current = at < until,
					      .ages = from + (until - from) / 4 * 3 };
	if (status == V_OCSP_CERTSTATUS_REVOKED)
		answer->revocation = REV_REVOKED;
	else if (status == V_OCSP_CERTSTATUS_GOOD)
		answer->revocation = answer->current ? REV_GOOD : REV_STALE;
}

/* A critical extension of an answer or of the response: none is known. */
static bool has_critical(const struct ocsp *ocsp, OCSP_SINGLERESP *single)
{
	return OCSP_SINGLERESP_get_ext_by_critical(single, 1, -1) >= 0 ||
	       OCSP_BASICRESP_get_ext_by_critical(ocsp->basic, 1, -1) >= 0;
}

void ocsp_check(const struct ocsp *ocsp, const struct cert *cert, const struct cert *issuer, time_t at,
		struct path_span *span, struct revocation_answer *answer, struct cert **delegate)
{
	OCSP_SINGLERESP *single = NULL;

	*answer = (struct revocation_answer){ .revocation = REV_UNKNOWN };
	if (delegate != NULL)
		*delegate = NULL;
	for (size_t i = 0; i < ocsp->n && single == NULL; i++) {
		if (!slice_equal(ocsp->serials[i], cert_info(cert)->serial_der))
			continue;
		single = OCSP_resp_get0(ocsp->basic, (int)i);
		if (!is_about(single, cert, issuer))
			single = NULL;
	}
	ERR_clear_error();
	if (single == NULL || has_critical(ocsp, single))
		return;
	read_single(ocsp, single, at, span, answer);
	if (answer->revocation != REV_UNKNOWN && !is_genuine(ocsp, issuer, at, span, delegate))
		*answer = (struct revocation_answer){ .revocation = REV_UNKNOWN };
}

int ocsp_request(const struct cert *cert, const struct cert *issuer, struct buf *out, struct err *err)
{
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), cert_x509(cert), cert_x509(issuer));
	OCSP_REQUEST *request = OCSP_REQUEST_new();
	unsigned char *der = NULL;
	int n = 0, rc = -1;

	if (id == NULL || request == NULL || OCSP_request_add0_id(request, id) == NULL)
		goto out;
	id = NULL;
	n = i2d_OCSP_REQUEST(request, &der);
	if (n > 0 && buf_append(out, der, (size_t)n) == 0)
		rc = 0;
out:
	OPENSSL_free(der);
	OCSP_CERTID_free(id);
	OCSP_REQUEST_free(request);
	ERR_clear_error();
	return rc == 0 ? 0 : err_memory(err);
}
