/* dial.h - a connected socket for an LDAP URI, by a deadline. */
#ifndef LDAP_DIAL_H
#define LDAP_DIAL_H

#include "ldap/resolver.h"

/* ldap:// and ldaps:// (host and port; no host: localhost), ldapi:// (path, percent-encoded). The host's addresses are
 * tried in the resolver's order, each but the last for half of the time left. 0: *fd is blocking, closed by exec, the
 * caller's; -1 with *err. Speaks no TLS. */
int dial(struct resolver *resolver, const struct clock *clock, const char *uri, int64_t deadline_ms, int *fd,
	 struct err *err);

#endif
