/* settings.h - what an LDAP directory is told, and what becomes of that. Inside ldap/ only. */
#ifndef LDAP_SETTINGS_H
#define LDAP_SETTINGS_H

#include "base/buf.h"
#include "ldap/query.h"
#include "ldap/servers.h"

#define SETTINGS_URIS_MAX 16

/* directories = ( { type = "ldap"; uri = "ldaps://dc1.example.com ldaps://dc2.example.com"; base =
 * "dc=example,dc=com"; } ) */
struct ldap_settings {
	struct directory_settings common;
	const char *uri;		/* ldap://, ldaps://, ldapi://; blank-separated, the first to answer counts;
					   ldap:///dc=example,dc=com: the servers that the DNS names for example.com */
	const char *base;		/* all below it is searched; preset: the DN in uri, else "", which is all of a
					   global catalogue */
	int bind;			/* enum connection_bind */
	const char *bind_dn;		/* with bind_password_file; neither: anonymous */
	const char *bind_password_file;	/* the password alone, a line end after it does not belong to it */
	bool starttls;			/* for ldap://: no search without TLS; preset false */
	const char *tls_ca_file;	/* PEM: who vouches for servers with TLS; preset: the system's CAs */
	const char *tls_cert_file;	/* PEM, with tls_key_file: what servers are shown who ask for a certificate */
	const char *tls_key_file;
	const char *filter;		/* with %{address}, %{local}, %{domain} (domain as A-labels) */
	struct conf_strings attributes;	/* preset userSMIMECertificate, userCertificate */
	struct conf_strings address_attributes;	/* whose entry it is: preset mail, proxyAddresses and what others use */
	int64_t timeout_ms;		/* for all addresses and servers of a question together; preset 2000 */
	int64_t connections;		/* to each server at most at a time; preset 8 */
	bool expand_groups;		/* a group without a certificate of its own is its members; preset true */
	int64_t expand_ms;		/* for finding the members of all groups of a question; preset 2000 */
	bool secondary_addresses;	/* see struct directory; preset true */
};

struct ldap_directory {			/* immutable but for servers and resolver */
	const struct clock *clock;
	const struct event_sink *sink;
	const char *name;		/* the first URI */
	struct server_source sources[SETTINGS_URIS_MAX];
	size_t source_count;
	struct connection_settings connection;
	struct buf password;
	struct query query;
	struct slice base_key;		/* of query.base: see group_key */
	const char *filter;
	int64_t timeout_ms, expand_ms;
	struct resolver *resolver;
	struct servers *servers;
};

extern const struct conf_table ldap_settings_table;

/* Checks everything that can be checked without the network and reports findings. NULL: *err. */
struct ldap_directory *settings_open(const struct ldap_settings *given, struct conf *conf,
				     const struct directory_env *env, struct err *err);
/* Closes the connections, wipes the password, frees. */
void settings_close(struct ldap_directory *ldap);

#endif
