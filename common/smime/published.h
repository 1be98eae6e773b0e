/* published.h - one's own certificates as others read them in a directory's userSMIMECertificate (RFC 2798 2.8): a
 * SignedData without content, with the chain, SMIMECapabilities and SMIMEEncryptionKeyPreference under its signature.
 */
#ifndef SMIME_PUBLISHED_H
#define SMIME_PUBLISHED_H

#include "smime/sign.h"

/* Appends the DER. options: as for sign_message; format is not looked at, encryption_cert is what is published. 0, or
 * -1: ERR_POLICY (the key cannot sign so), ERR_TEMP (memory). */
int published_value(const struct sign_options *options, struct buf *der, struct err *err);

#endif
