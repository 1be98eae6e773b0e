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
/* Neither is a "nothing there". */
enum {
	ENTRY_UNDECODABLE = 1,	/* the handle's result code says so */
	ENTRY_PART = 2		/* the server gave some of an attribute's values, with a range to ask for the rest by */
};
/* Gives each attribute in names to take, in the server's order. 0; one of the above; -1: take has said so. */
int entry_walk(LDAP *ld, LDAPMessage *entry, const char *const *names, entry_taker *take, void *self);

/* One value of at most 1 MiB, in any form that bundle.h knows. What it is not becomes a problem of the answer.
 * like: attribute, owner and value of what is added. 0, or -1 when the arena is exhausted. */
int entry_value(struct arena *arena, const struct directory_entry *like, struct slice value,
		struct directory_answer *answer);

/* Adds the values of all attributes in names to the answer, in the order of names; several entries may be added to one.
 * owner: whose entry it is, as owner.h reads it. As entry_walk. */
int entry_read(struct arena *arena, LDAP *ld, LDAPMessage *entry, const char *const *names,
	       const struct directory_owner *owner, struct directory_answer *answer);

#endif
