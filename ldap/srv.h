/* srv.h - DNS SRV records (RFC 2782): which hosts have a service, in what order to ask them. */
#ifndef LDAP_SRV_H
#define LDAP_SRV_H

#include "ldap/resolver.h"

/* Asks the system's name servers for a name like "_ldap._tcp.example.com" and orders what they say. Takes as long as
 * resolv.conf(5) says. 0, or -1 with *err: also when there is no such service. */
int srv_lookup(const char *name, struct resolved *out, struct err *err);

/* The records in the answer section of a DNS message; targets that are no host names are left out. 0; -1: not a DNS
 * message. */
int srv_parse(const unsigned char *message, size_t n, struct resolved *out);

/* Sorts by priority; within one, draws by weight. choose: a number from 0 to most, any as likely as another. */
void srv_order(struct resolved *resolved, uint32_t (*choose)(void *self, uint32_t most), void *self);

#endif
