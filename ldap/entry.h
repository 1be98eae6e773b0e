/* entry.h - certificates out of an LDAP entry. */
#ifndef LDAP_ENTRY_H
#define LDAP_ENTRY_H

#include <ldap.h>

#include "pki/directory.h"

/* The name among names (NULL-terminated, without options) that the server's attribute description means: options such
 * as ";binary" and case do not count. NULL: none of them. */
const char *entry_attribute(const char *const *names, const char *description);

/* All values of one attribute, under its name among those asked for. 0, or -1 when the arena is exhausted. */
typedef int entry_taker(void *self, const char *name, struct berval **values);
/* Gives each attribute in names to take, in the server's order. 0; 1: the entry cannot be decoded (the handle's result
 * code says so), which is no "nothing there"; -1: take has said so. */
int entry_walk(LDAP *ld, LDAPMessage *entry, const char *const *names, entry_taker *take, void *self);

/* One value: a DER certificate, or a PKCS#7 of RFC 2798 or certs-only. What it is not becomes a problem of the answer.
 * like: attribute and owner of what is added. 0, or -1 when the arena is exhausted. */
int entry_value(struct arena *arena, const struct directory_entry *like, struct slice value,
		struct directory_answer *answer);

/* Adds the values of all attributes in names to the answer; several entries may be added to one. owner: whose entry it
 * is, as owner.h reads it. 0, 1 and -1 as entry_walk. */
int entry_read(struct arena *arena, LDAP *ld, LDAPMessage *entry, const char *const *names,
	       const struct directory_owner *owner, struct directory_answer *answer);

#endif
