/* group.h - who is in the group that an LDAP entry is about. */
#ifndef LDAP_GROUP_H
#define LDAP_GROUP_H

#include <ldap.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"

#define GROUP_MEMBERS_MAX 1000		/* entries in a group, those of the groups in it included */

struct group {
	bool is;			/* by its object classes, or since it has members */
	const char **members;		/* n DNs, as the directory spells them; in the arena */
	size_t n;
	const char *other;		/* an attribute by which it has members that cannot be followed; NULL: none */
	bool part;			/* it has more members than these, or than the limit */
	unsigned long rid;		/* Active Directory: members may name it so, as their primary group; 0: no */
};

/* The attributes to ask for, NULL-terminated. */
#define GROUP_NAMES 8
extern const char *const group_names[GROUP_NAMES + 1];

/* *group: in the arena. As entry_walk, but for ENTRY_PART of what group_names lists, which is group->part. */
int group_read(struct arena *arena, LDAP *ld, LDAPMessage *entry, struct group *group);

/* *key: the DN in a form that is equal for equal DNs, as far as that can be told without the schema; in the arena. 0;
 * 1: it is none; -1: the arena is exhausted. */
int group_key(struct arena *arena, const char *dn, struct slice *key);
/* Is the DN with this key the base, or below it? */
bool group_is_below(struct slice key, struct slice base);

/* Adds to the filter what finds the entries that say themselves that they are in the group: "(memberOf=DN)". 0, or -1:
 * memory. */
int group_filter(struct buf *filter, const char *dn, const struct group *group);

#endif
