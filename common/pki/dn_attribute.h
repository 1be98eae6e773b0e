/* dn_attribute.h - attributes of a certificate's subject name, one by one, for showing them: rule key
 * mismatch_attributes. */
#ifndef PKI_DN_ATTRIBUTE_H
#define PKI_DN_ATTRIBUTE_H

#include "pki/cert.h"

enum dn_attribute {
	DN_CN, DN_EMAIL_ADDRESS, DN_O, DN_OU, DN_C, DN_ST, DN_L, DN_TITLE, DN_GIVEN_NAME, DN_SURNAME, DN_INITIALS,
	DN_PSEUDONYM, DN_SERIAL_NUMBER, DN_UID, DN_DC, DN_ORGANIZATION_IDENTIFIER
};
extern const char *const dn_attribute_names[];	/* "CN" "emailAddress" … NULL */

/* The values that the subject has of it, in its order, ", " between them; UTF-8 with '?' for control characters and for
 * a value that cannot be read. Somebody else's text, of any length. *text NULL: it has none. 0, or -1: arena exhausted. */
int dn_attribute_text(struct arena *arena, const struct cert *cert, enum dn_attribute attribute, const char **text);

#endif
