/* bundle_signer.c - what the owner of a directory's value says in its signed attributes (RFC 2798 2.8): the ciphers he
 * can read (RFC 8551 2.5.2), and which certificate among the value's he wants to be encrypted to (RFC 8551 2.5.3, and
 * Outlook's own attribute with the same meaning). Called by bundle_p7b.c.
 *
 * Capabilities have to be signed: the first signer's signature over his attributes has to be good, by a certificate of
 * the value. The content is not looked at, RFC 2798 leaves it out. Whether the certificate may be trusted is
 * candidate.h's. The preferred certificate is taken from whoever wrote the value: he could leave the others out. */
#include <openssl/cms.h>
#include <openssl/err.h>

#include "pki/bundle_internal.h"
#include "pki/key_preference.h"
#include "pki/pki_internal.h"

#define OUTLOOK_PREFERENCE "1.3.6.1.4.1.311.16.4"

/* The DER of the attribute's value. Empty: there is none, or more than one. */
static struct slice attribute_value(const CMS_SignerInfo *signer, const ASN1_OBJECT *oid)
{
	int at = oid == NULL ? -1 : CMS_signed_get_attr_by_OBJ(signer, oid, -1);
	X509_ATTRIBUTE *attribute = at < 0 ? NULL : CMS_signed_get_attr(signer, at);
	ASN1_TYPE *value = NULL;

	if (attribute != NULL && X509_ATTRIBUTE_count(attribute) == 1 &&
	    CMS_signed_get_attr_by_OBJ(signer, oid, at) < 0)
		value = X509_ATTRIBUTE_get0_type(attribute, 0);
	/* A SEQUENCE and what has no universal tag are kept whole. */
	if (value == NULL || (value->type != V_ASN1_SEQUENCE && value->type != V_ASN1_OTHER))
		return slice_make(NULL, 0);
	return slice_make(value->value.asn1_string->data, (size_t)value->value.asn1_string->length);
}

/* The entry whose key made the first signature. NULL: nobody's did. */
static struct bundle_entry *find_signer(struct bundle_entry *entries, size_t n, CMS_ContentInfo *cms)
{
	CMS_SignerInfo *signer = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
	X509 *x509 = NULL;

	if (CMS_set1_signers_certs(cms, NULL, 0) < 0)
		return NULL;
	CMS_SignerInfo_get0_algs(signer, NULL, &x509, NULL, NULL);
	for (size_t i = 0; x509 != NULL && i < n; i++) {
		const struct cert *cert = entries[i].cert;

		if (cert == NULL || X509_cmp(cert_x509(cert), x509) != 0)
			continue;
		return !cert_info(cert)->oversized && CMS_SignerInfo_verify(signer) == 1 ? &entries[i] : NULL;
	}
	return NULL;
}

static void mark_preferred(struct bundle_entry *entries, size_t n, const CMS_SignerInfo *signer)
{
	ASN1_OBJECT *outlooks = OBJ_txt2obj(OUTLOOK_PREFERENCE, 1);
	struct slice der = attribute_value(signer, OBJ_nid2obj(NID_id_smime_aa_encrypKeyPref));
	struct key_preference preference;

	if (der.n == 0)
		der = attribute_value(signer, outlooks);
	if (der.n > 0 && key_preference_parse(der, &preference, NULL) == 0)
		for (size_t i = 0; i < n; i++)
			if (entries[i].cert != NULL)
				entries[i].preferred = key_preference_names(&preference, entries[i].cert);
	ASN1_OBJECT_free(outlooks);
}

void bundle_note_signer(struct bundle_entry *entries, size_t n, CMS_ContentInfo *cms)
{
	STACK_OF(CMS_SignerInfo) *signers = CMS_get0_SignerInfos(cms);
	CMS_SignerInfo *signer = sk_CMS_SignerInfo_num(signers) > 0 ? sk_CMS_SignerInfo_value(signers, 0) : NULL;
	struct bundle_entry *by = NULL;
	struct slice capabilities = { NULL, 0 };

	if (signer != NULL) {
		mark_preferred(entries, n, signer);
		capabilities = attribute_value(signer, OBJ_nid2obj(NID_SMIMECapabilities));
	}
	if (capabilities.n > 0)
		by = find_signer(entries, n, cms);
	if (by != NULL)
		capabilities_parse(capabilities, &by->capabilities, NULL);
	ERR_clear_error();
}
