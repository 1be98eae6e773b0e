/* bundle_p7b.c - PKCS#7 SignedData as a bag of certificates: certs-only files (RFC 8551 3.8) and what directories keep
 * in userSMIMECertificate (RFC 2798 2.8: a signed object, what its signer says is read by bundle_signer.c). Certificates
 * are taken whoever signed: they prove themselves. Called by bundle.c and bundle_pem.c. */
#include <limits.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <string.h>

#include "pki/bundle_internal.h"
#include "pki/pki_internal.h"

static const unsigned char signed_data_oid[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02 };

/* A SEQUENCE that begins with the OID of signedData. */
bool bundle_is_p7b(struct slice bytes)
{
	size_t header = 2;

	if (bytes.n < 2 || bytes.p[0] != 0x30)
		return false;
	if (((unsigned char)bytes.p[1] & 0x80) != 0)
		header += (unsigned char)bytes.p[1] & 0x7f;
	return bytes.n >= header + sizeof(signed_data_oid) &&
	       memcmp(bytes.p + header, signed_data_oid, sizeof(signed_data_oid)) == 0;
}

static CMS_ContentInfo *parse(struct slice der, size_t *used)
{
	const unsigned char *start = (const unsigned char *)der.p, *p = start;
	CMS_ContentInfo *cms = der.n > INT_MAX ? NULL : d2i_CMS_ContentInfo(NULL, &p, (long)der.n);

	*used = (size_t)(p - start);
	if (cms != NULL && OBJ_obj2nid(CMS_get0_type(cms)) == NID_pkcs7_signed)
		return cms;
	CMS_ContentInfo_free(cms);
	return NULL;
}

static int add_certs(struct bundle_reader *reader, size_t offset, CMS_ContentInfo *cms, struct err *err)
{
	STACK_OF(X509) *certs = CMS_get1_certs(cms);
	struct bundle_entry entry = { .offset = offset };
	struct err reason = { 0 };
	int rc = 0;

	for (int i = 0; i < sk_X509_num(certs) && rc == 0; i++) {
		entry.cert = cert_from_x509(sk_X509_value(certs, i), &reason);
		if (entry.cert != NULL)
			rc = cert_defer(reader->arena, entry.cert) != 0 ? err_memory(err) :
			     bundle_add(reader, &entry, err);
		else if (reason.class != ERR_MESSAGE)
			rc = err_memory(err);
		else
			rc = bundle_add_problem(reader, entry, err, "%s", reason.text);
	}
	sk_X509_pop_free(certs, X509_free);
	return rc;
}

static int add_crls(struct bundle_reader *reader, size_t offset, CMS_ContentInfo *cms, struct err *err)
{
	STACK_OF(X509_CRL) *crls = CMS_get1_crls(cms);
	struct bundle_entry entry = { .offset = offset };
	unsigned char *der = NULL;
	int rc = 0, n;

	for (int i = 0; i < sk_X509_CRL_num(crls) && rc == 0; i++) {
		n = i2d_X509_CRL(sk_X509_CRL_value(crls, i), &der);
		rc = n <= 0 ? err_memory(err) : bundle_add_crl(reader, entry, slice_make(der, (size_t)n), err);
		OPENSSL_free(der);
		der = NULL;
	}
	sk_X509_CRL_pop_free(crls, X509_CRL_free);
	return rc;
}

int bundle_add_signed_data(struct bundle_reader *reader, size_t offset, struct slice der, struct err *err)
{
	struct bundle_entry entry = { .offset = offset };
	size_t used = 0, before = reader->bundle->n;
	CMS_ContentInfo *cms = parse(der, &used);
	char reason[120];
	int rc = -1;

	if (cms == NULL)
		return bundle_add_problem(reader, entry, err, "RFC 5652 5.1: not a SignedData (%s)",
					  ERR_peek_error() == 0 ? "another content type" :
					  openssl_reason(reason, sizeof(reason)));
	if (add_certs(reader, offset, cms, err) != 0)
		goto out;
	bundle_note_signer(reader->bundle->entries + before, reader->bundle->n - before, cms);
	if (add_crls(reader, offset, cms, err) != 0)
		goto out;
	if (used != der.n && bundle_add_problem(reader, entry, err, "%zu bytes behind the PKCS#7 object",
						der.n - used) != 0)
		goto out;
	rc = 0;
out:
	CMS_ContentInfo_free(cms);
	ERR_clear_error();
	return rc;
}

int bundle_read_p7b(struct bundle_reader *reader, struct slice bytes, struct err *err)
{
	if (bundle_add_signed_data(reader, 0, bytes, err) != 0)
		return -1;
	/* One object is the whole file: when it is bad, nothing is left. */
	if (reader->bundle->n == 1 && reader->bundle->entries[0].problem != NULL)
		return err_set(err, ERR_MESSAGE, "%s at offset 0", reader->bundle->entries[0].problem);
	return 0;
}
