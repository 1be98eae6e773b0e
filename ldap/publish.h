/* publish.h - own certificates into the LDAP entry of an address. */
#ifndef LDAP_PUBLISH_H
#define LDAP_PUBLISH_H

#include "ldap/settings.h"

/* Adds what the entry of the address does not have. 0, or -1: ERR_POLICY (no entry, or several), ERR_TEMP. */
int publish_run(const struct ldap_directory *ldap, struct arena *arena, const struct address *address,
		const struct directory_publication *publication, struct directory_published *published, struct err *err);

#endif
