/* key_preference.h - SMIMEEncryptionKeyPreference (RFC 8551 2.5.3): which certificate the owner of a signature wants to
 * be encrypted to. Read from signed mail and from directories' signed values.
 */
#ifndef PKI_KEY_PREFERENCE_H
#define PKI_KEY_PREFERENCE_H

#include "base/err.h"
#include "pki/cert.h"

struct key_preference {			/* parts of the DER it was read from */
	struct slice issuer, serial;	/* Name and INTEGER, whole; empty where it is named by key identifier */
	struct slice key_id;		/* subjectKeyIdentifier; empty where it is named by issuer and serial number */
};

/* der: the attribute's one value. All three choices, and the bare IssuerAndSerialNumber of Outlook's own attribute
 * (1.3.6.1.4.1.311.16.4). Date and other attributes of a RecipientKeyIdentifier are not looked at. 0, or -1:
 * ERR_MESSAGE. */
int key_preference_parse(struct slice der, struct key_preference *preference, struct err *err);

/* Is it this certificate? Several may bear one key identifier. Neither usage nor trust is asked for. */
bool key_preference_names(const struct key_preference *preference, const struct cert *cert);

#endif
