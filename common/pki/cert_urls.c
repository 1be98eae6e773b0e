/* cert_urls.c - where a certificate says that news of its revocation are to be had (RFC 5280 4.2.1.13, 4.2.2.1). The
 * text is its issuer's: who fetches decides what of it may be asked. Called by the fetch process. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "pki/cert.h"
#include "pki/pki_internal.h"

static void add_url(struct cert_urls *urls, const ASN1_STRING *string)
{
	struct slice text = slice_make(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));

	if (urls->n == CERT_MAX_URLS || text.n >= CERT_URL_BYTES || !slice_starts_nocase(text, "http://"))
		return;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ' || text.p[i] > '~')
			return;
	for (size_t i = 0; i < urls->n; i++)
		if (slice_is(text, urls->items[i]))
			return;
	memcpy(urls->items[urls->n], text.p, text.n);
	urls->items[urls->n++][text.n] = '\0';
}

static void add_name(struct cert_urls *urls, const GENERAL_NAME *name)
{
	if (name->type == GEN_URI)
		add_url(urls, name->d.uniformResourceIdentifier);
}

void cert_crl_urls(const struct cert *cert, struct cert_urls *urls)
{
	CRL_DIST_POINTS *points = X509_get_ext_d2i(cert_x509(cert), NID_crl_distribution_points, NULL, NULL);

	urls->n = 0;
	for (int i = 0; i < sk_DIST_POINT_num(points); i++) {
		const DIST_POINT_NAME *point = sk_DIST_POINT_value(points, i)->distpoint;

		if (point == NULL || point->type != 0)
			continue;
		for (int k = 0; k < sk_GENERAL_NAME_num(point->name.fullname); k++)
			add_name(urls, sk_GENERAL_NAME_value(point->name.fullname, k));
	}
	CRL_DIST_POINTS_free(points);
	ERR_clear_error();
}

void cert_ocsp_urls(const struct cert *cert, struct cert_urls *urls)
{
	AUTHORITY_INFO_ACCESS *access = X509_get_ext_d2i(cert_x509(cert), NID_info_access, NULL, NULL);

	urls->n = 0;
	for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(access); i++) {
		const ACCESS_DESCRIPTION *one = sk_ACCESS_DESCRIPTION_value(access, i);

		if (OBJ_obj2nid(one->method) == NID_ad_OCSP)
			add_name(urls, one->location);
	}
	AUTHORITY_INFO_ACCESS_free(access);
	ERR_clear_error();
}
