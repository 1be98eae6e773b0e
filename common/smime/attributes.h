/* attributes.h - the signed attributes of one signer (RFC 5652 5.3, 11; RFC 8551 2.5; RFC 5035; RFC 6211). Internal to
 * smime/.
 */
#ifndef SMIME_ATTRIBUTES_H
#define SMIME_ATTRIBUTES_H

#include <time.h>

#include "base/err.h"
#include "smime/der.h"

struct attributes {
	struct slice content_type;		/* content of the OID */
	struct slice message_digest;		/* content of the OCTET STRING */
	struct slice signing_certificate;	/* the values, whole items; n == 0: not there */
	struct slice signing_certificate_v2;
	struct slice algorithm_protection;
	struct slice capabilities;
	struct slice key_preference;		/* SMIMEEncryptionKeyPreference, else Outlook's own attribute */
	time_t signing_time;			/* 0: none, or not readable */
};

/* set: content of signedAttrs. Exactly one contentType and messageDigest, at most one of each other known attribute,
 * one value in each; unknown ones are ignored. ERR_MESSAGE names the rule. 0 or -1. */
int attributes_parse(struct slice set, struct attributes *attributes, struct err *err);

/* One Attribute: its OID's content and the SET of its values; definite lengths only. what: the rule and the attributes'
 * name, which begin the error's text. 0 or -1: ERR_MESSAGE. */
int attribute_open(const struct der_item *item, const char *what, struct slice *oid, struct der_item *values,
		   struct err *err);

#endif
