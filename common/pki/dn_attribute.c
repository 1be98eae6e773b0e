/* dn_attribute.c - see dn_attribute.h. Names are spelt as RFC 4514, RFC 4519 and RFC 5280 spell them. Called by
 * smime/signer.c; the names by the configuration's table too. Thread-safe. */
#include "pki/dn_attribute.h"

#include <openssl/objects.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "pki/pki_internal.h"

const char *const dn_attribute_names[] = {
	[DN_CN] = "CN", [DN_EMAIL_ADDRESS] = "emailAddress", [DN_O] = "O", [DN_OU] = "OU", [DN_C] = "C", [DN_ST] = "ST",
	[DN_L] = "L", [DN_TITLE] = "title", [DN_GIVEN_NAME] = "givenName", [DN_SURNAME] = "SN",
	[DN_INITIALS] = "initials", [DN_PSEUDONYM] = "pseudonym", [DN_SERIAL_NUMBER] = "serialNumber",
	[DN_UID] = "UID", [DN_DC] = "DC", [DN_ORGANIZATION_IDENTIFIER] = "organizationIdentifier", NULL
};

static const int nids[] = {
	[DN_CN] = NID_commonName, [DN_EMAIL_ADDRESS] = NID_pkcs9_emailAddress, [DN_O] = NID_organizationName,
	[DN_OU] = NID_organizationalUnitName, [DN_C] = NID_countryName, [DN_ST] = NID_stateOrProvinceName,
	[DN_L] = NID_localityName, [DN_TITLE] = NID_title, [DN_GIVEN_NAME] = NID_givenName,
	[DN_SURNAME] = NID_surname, [DN_INITIALS] = NID_initials, [DN_PSEUDONYM] = NID_pseudonym,
	[DN_SERIAL_NUMBER] = NID_serialNumber, [DN_UID] = NID_userId, [DN_DC] = NID_domainComponent,
	[DN_ORGANIZATION_IDENTIFIER] = NID_organizationIdentifier,
};

static int append_value(struct buf *out, const X509_NAME_ENTRY *entry)
{
	unsigned char *utf8 = NULL;
	int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
	int bad = out->n > 0 ? buf_append_text(out, ", ") : 0;

	if (n < 0)
		bad |= buf_append_char(out, '?');
	for (int i = 0; i < n; i++)
		bad |= buf_append_char(out, utf8[i] < ' ' || utf8[i] == 0x7f ? '?' : (char)utf8[i]);
	OPENSSL_free(utf8);
	return bad;
}

int dn_attribute_text(struct arena *arena, const struct cert *cert, enum dn_attribute attribute, const char **text)
{
	const X509_NAME *subject = X509_get_subject_name(cert_x509(cert));
	struct buf out;
	int at = -1, bad = 0;

	*text = NULL;
	buf_init(&out, 0);
	while (bad == 0 && (at = X509_NAME_get_index_by_NID(subject, nids[attribute], at)) >= 0)
		bad |= append_value(&out, X509_NAME_get_entry(subject, at));
	if (bad == 0 && out.n > 0)
		*text = arena_string(arena, buf_slice(&out));
	bad |= out.n > 0 && *text == NULL;
	buf_clear(&out);
	return bad == 0 ? 0 : -1;
}
