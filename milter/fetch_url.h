/* fetch_url.h - which URLs the fetch process may ask: their syntax, the hosts that a collection lists, and the
 * addresses that a name may lead to. Pure functions; nothing is resolved or connected here.
 *
 * A certificate's URL is text of whoever issued it. So this is no general reader of URLs (RFC 3986): what an honest CA
 * writes passes, every spelling that two programs could read differently is refused. */
#ifndef MILTER_FETCH_URL_H
#define MILTER_FETCH_URL_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/conf.h"
#include "base/err.h"

#define FETCH_URL_BYTES 1024

struct fetch_url {
	char host[254];			/* lower case; an IPv6 address without its brackets */
	int family;			/* AF_INET, AF_INET6: host is a literal address; AF_UNSPEC: a name */
	unsigned port;
	char target[FETCH_URL_BYTES];	/* path and query, begins with '/' */
};

/* An absolute http URL (RFC 9110 4.2.1) of at most FETCH_URL_BYTES - 1 bytes: no user information, no fragment, no
 * percent-encoding and no trailing dot in the host, which is a name, a dotted quad or an IPv6 address in brackets;
 * other spellings of an IPv4 address (one number, hexadecimal, octal, fewer parts) are refused. ERR_MESSAGE: why. */
int fetch_url_parse(const char *text, struct fetch_url *url, struct err *err);

/* Is text fit for fetch_hosts: HOST or HOST:PORT, IPv6 addresses in brackets (or bare, without a port)? ERR_CONFIG. */
int fetch_host_check(const char *text, struct err *err);
/* Is the URL's host listed, and its port: the listed one, or 80 where none is? */
bool fetch_url_listed(const struct fetch_url *url, const struct conf_strings *hosts);

/* May the fetch process connect to this address, to which the URL's host leads? Addresses of the public internet: yes.
 * Others (RFC 6890: private, loopback, link-local, shared, multicast, unspecified, v4-mapped, translated, …) only where
 * this very address is itself listed in hosts, without a port or with the URL's. */
bool fetch_address_allowed(const struct sockaddr *address, unsigned port, const struct conf_strings *hosts);

#endif
