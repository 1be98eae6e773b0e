/* owner.h - whose entry an LDAP entry is: the addresses in it. */
#ifndef LDAP_OWNER_H
#define LDAP_OWNER_H

#include <ldap.h>

#include "pki/directory.h"

/* The address in one value. It begins with "SMTP:" in capitals: *primary. False: no address (another prefix, such as
 * X500: or SIP:, no domain, garbage), or the arena is exhausted. */
bool owner_address(struct arena *arena, struct slice value, struct address *address, bool *primary);

/* The addresses in the attributes names (NULL-terminated, without options) of an entry; first the one behind "SMTP:",
 * else the first one of the earliest of names; the others in no order, and doubles stay. *owner: in the arena; NULL when
 * the entry has no address. As entry_walk. */
int owner_read(struct arena *arena, LDAP *ld, LDAPMessage *entry, const char *const *names,
	       const struct directory_owner **owner);

#endif
