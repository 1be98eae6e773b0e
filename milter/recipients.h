/* recipients.h - certificates of an Exchange organization's recipients, out of a list that its administrator exported,
 * as files for a directory of type "files". For tenants that no LDAP server knows.
 */
#ifndef MILTER_RECIPIENTS_H
#define MILTER_RECIPIENTS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

struct recipients_file {
	const char *name;		/* "bob@example.com-usersmimecertificate-1": small letters, digits and .@_+-' */
	struct slice content;		/* the value as it was: DER, PKCS#7 */
};

struct recipients {
	struct recipients_file *files;
	size_t n;
	const char **problems;		/* values and recipients that were left out, and why */
	size_t problem_count;
	size_t recipient_count;		/* with and without certificates */
};

/* json: an object or an array of objects with PrimarySmtpAddress and, both optional, UserCertificate and
 * UserSMimeCertificate: a value or an array of values, in base64 or as numbers; null is none. Everything lives in the
 * arena. -1, ERR_CONFIG: not such a list at all; memory. Which address stands in a certificate is not checked: the
 * directory finds it by that. */
int recipients_read(struct arena *arena, struct slice json, struct recipients *recipients, struct err *err);

#endif
