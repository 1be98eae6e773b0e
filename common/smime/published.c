/* published.c - see published.h. Called by smimectl certs publish. RFC 2798 wants a detached signature over nothing. */
#include "smime/published.h"

#include "pki/pki_internal.h"
#include "smime/smime_internal.h"

/* ContentInfo around it is signature_make's. */
int published_value(const struct sign_options *options, struct buf *der, struct err *err)
{
	EVP_MD_CTX *nothing = NULL;
	int rc = -1;

	if (signature_check(options, err) != 0)
		return -1;
	nothing = EVP_MD_CTX_new();
	if (nothing == NULL || EVP_DigestInit_ex(nothing, digest_row(options->digest)->md(), NULL) != 1)
		wrap_openssl_error(err, ERR_TEMP, "digest failed", NULL);
	else
		rc = signature_make(options, nothing, der, err);
	EVP_MD_CTX_free(nothing);
	return rc;
}
