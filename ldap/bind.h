/* bind.h - who we say we are to an LDAP server (RFC 4513). */
#ifndef LDAP_BIND_H
#define LDAP_BIND_H

#include "ldap/connection.h"

/* Binds as the settings say over a connection that is secured; anonymous needs no bind. DONE, or *err. */
enum outcome bind_connection(const struct connection *connection, const struct connection_settings *settings,
			     struct err *err);

#endif
