/* entry.h - certificates out of an LDAP entry. */
#ifndef LDAP_ENTRY_H
#define LDAP_ENTRY_H

#include <ldap.h>

#include "pki/directory.h"

/* The name among names (NULL-terminated, without options) that the server's attribute description means: options such
 * as ";binary" and case do not count. NULL: none of them. */
const char *entry_attribute(const char *const *names, const char *description);

/* One value: a DER certificate, or a PKCS#7 of RFC 2798 or certs-only. What it is not becomes a problem of the answer.
 * 0, or -1 when the arena is exhausted. */
int entry_value(struct arena *arena, const char *name, struct slice value, struct directory_answer *answer);

/* Adds the values of all attributes in names to the answer; several entries may be added to one. 0; 1: the entry cannot be
 * decoded (the handle's result code says so), which is no "no certificate"; -1 as above. */
int entry_read(struct arena *arena, LDAP *ld, LDAPMessage *entry, const char *const *names,
	       struct directory_answer *answer);

#endif
