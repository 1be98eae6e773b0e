/* attributes.c - which attributes a signature covers, each known one at most once and with one value.
 *
 * A second instance is refused even where the library would take the first: another reader may take the other. Called
 * by signer.c; prescan_envelope.c asks for the shape of one attribute. No state, thread-safe.
 */
#include "smime/attributes.h"

#include <openssl/asn1.h>

#define ATTRIBUTE_LIMIT 64

enum known {
	CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME, CAPABILITIES, KEY_PREFERENCE, OUTLOOK_PREFERENCE, SIGNING_CERTIFICATE,
	SIGNING_CERTIFICATE_V2, ALGORITHM_PROTECTION, KNOWN_COUNT
};

static const struct {
	const char *name;
	struct slice oid;
} known[KNOWN_COUNT] = {
	[CONTENT_TYPE] = { "contentType", { "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03", 9 } },
	[MESSAGE_DIGEST] = { "messageDigest", { "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04", 9 } },
	[SIGNING_TIME] = { "signingTime", { "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05", 9 } },
	[CAPABILITIES] = { "SMIMECapabilities", { "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0f", 9 } },
	[KEY_PREFERENCE] = { "SMIMEEncryptionKeyPreference", { "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x0b", 11 } },
	[OUTLOOK_PREFERENCE] = { "szOID_MICROSOFT_Encryption_Key_Preference",
				 { "\x2b\x06\x01\x04\x01\x82\x37\x10\x04", 9 } },
	[SIGNING_CERTIFICATE] = { "signingCertificate", { "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x0c", 11 } },
	[SIGNING_CERTIFICATE_V2] = { "signingCertificateV2", { "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x2f", 11 } },
	[ALGORITHM_PROTECTION] = { "CMSAlgorithmProtection", { "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x34", 9 } },
};

static enum known find(struct slice oid)
{
	unsigned i;

	for (i = 0; i < KNOWN_COUNT && !slice_equal(oid, known[i].oid); i++)
		;
	return (enum known)i;
}

/* The one value of an attribute. 0, or -1: none or several. */
static int one_value(const struct der_item *set, struct der_item *value)
{
	struct der inside = der_inside(set);

	return der_next(&inside, value) == 1 && inside.rest.n == 0 ? 0 : -1;
}

int attribute_open(const struct der_item *item, const char *what, struct slice *oid, struct der_item *values,
		   struct err *err)
{
	struct der inside = der_inside(item);
	struct der_item name;

	if (item->tag != DER_SEQUENCE || der_take(&inside, DER_OID, &name) != 1 ||
	    der_take(&inside, DER_SET, values) != 1 || inside.rest.n != 0)
		return err_set(err, ERR_MESSAGE, "%s: an attribute is malformed", what);
	if (item->indefinite || values->indefinite)
		return err_set(err, ERR_MESSAGE, "%s: not DER", what);
	*oid = name.content;
	return 0;
}

static int scan_attribute(const struct der_item *item, struct der_item *values, bool *seen, struct err *err)
{
	struct der_item set;
	struct slice oid;
	enum known which;

	if (attribute_open(item, "RFC 5652 5.3: signed attributes", &oid, &set, err) != 0)
		return -1;
	which = find(oid);
	if (which == KNOWN_COUNT)
		return 0;
	if (seen[which])
		return err_set(err, ERR_MESSAGE, "RFC 5652 11: signed attribute %s stands twice", known[which].name);
	seen[which] = true;
	if (one_value(&set, &values[which]) != 0)
		return err_set(err, ERR_MESSAGE, "RFC 5652 11: signed attribute %s has not one value",
			       known[which].name);
	return 0;
}

static time_t read_time(const struct der_item *value)
{
	struct tm tm = { 0 };
	time_t at = 0;
	int type = value->tag == 0x17 ? V_ASN1_UTCTIME : V_ASN1_GENERALIZEDTIME;
	ASN1_TIME *time = NULL;

	if ((value->tag != 0x17 && value->tag != 0x18) || value->content.n > 32)
		return 0;
	time = ASN1_STRING_type_new(type);
	if (time != NULL && ASN1_STRING_set(time, value->content.p, (int)value->content.n) == 1 &&
	    ASN1_TIME_to_tm(time, &tm) == 1)
		at = timegm(&tm);
	ASN1_STRING_free(time);
	return at > 0 ? at : 0;
}

static int take_values(const struct der_item *values, const bool *seen, struct attributes *attributes, struct err *err)
{
	if (!seen[CONTENT_TYPE] || values[CONTENT_TYPE].tag != DER_OID)
		return err_set(err, ERR_MESSAGE, "RFC 5652 11.1: no contentType among the signed attributes");
	if (!seen[MESSAGE_DIGEST] || values[MESSAGE_DIGEST].tag != DER_OCTETS)
		return err_set(err, ERR_MESSAGE, "RFC 5652 11.2: no messageDigest among the signed attributes");
	attributes->content_type = values[CONTENT_TYPE].content;
	attributes->message_digest = values[MESSAGE_DIGEST].content;
	if (seen[SIGNING_TIME])
		attributes->signing_time = read_time(&values[SIGNING_TIME]);
	if (seen[CAPABILITIES])
		attributes->capabilities = values[CAPABILITIES].whole;
	if (seen[KEY_PREFERENCE])
		attributes->key_preference = values[KEY_PREFERENCE].whole;
	else if (seen[OUTLOOK_PREFERENCE])
		attributes->key_preference = values[OUTLOOK_PREFERENCE].whole;
	if (seen[SIGNING_CERTIFICATE])
		attributes->signing_certificate = values[SIGNING_CERTIFICATE].whole;
	if (seen[SIGNING_CERTIFICATE_V2])
		attributes->signing_certificate_v2 = values[SIGNING_CERTIFICATE_V2].whole;
	if (seen[ALGORITHM_PROTECTION])
		attributes->algorithm_protection = values[ALGORITHM_PROTECTION].whole;
	return 0;
}

int attributes_parse(struct slice set, struct attributes *attributes, struct err *err)
{
	struct der_item values[KNOWN_COUNT] = { { 0 } };
	bool seen[KNOWN_COUNT] = { false };
	struct der der = der_whole(set);
	struct der_item item;
	unsigned n = 0;
	int got;

	*attributes = (struct attributes){ 0 };
	while ((got = der_next(&der, &item)) == 1) {
		if (++n > ATTRIBUTE_LIMIT)
			return err_set(err, ERR_LIMIT, "more than %d signed attributes", ATTRIBUTE_LIMIT);
		if (scan_attribute(&item, values, seen, err) != 0)
			return -1;
	}
	if (got < 0)
		return err_set(err, ERR_MESSAGE, "RFC 5652 5.3: signed attributes malformed");
	return take_values(values, seen, attributes, err);
}
