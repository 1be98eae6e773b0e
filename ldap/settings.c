/* settings.c - what an LDAP directory is told: keys, checks, the password's file. Called by ldap_driver.c when the
 * configuration is loaded, by one thread. */
#include "ldap/settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "pki/directory_driver.h"

#define SECRET_MAX_BYTES 4096
#define KEY_MAX_BYTES 65536

static const char *const bind_names[] = { "simple", "external", "gssapi", NULL };	/* enum connection_bind */

struct opening {			/* what the steps of settings_open share */
	const struct ldap_settings *given;
	struct conf *conf;
	const struct directory_env *env;
	struct ldap_directory *ldap;
	const char *base;		/* of a URI that has one */
};

static bool is_set(const char *text)
{
	return text != NULL && text[0] != '\0';
}

/* The servers of a domain: RFC 2782, with the names that RFC 2247 has for DNs. AD registers _ldap._tcp alone. */
static int open_service(struct opening *o, const LDAPURLDesc *url, struct server_source *source, struct err *err)
{
	bool has_tls = strcasecmp(url->lud_scheme, "ldaps") == 0;
	char *domain = NULL;
	int rc = ldap_dn2domain(url->lud_dn, &domain);

	if (rc == 0 && is_set(domain)) {
		source->scheme = has_tls ? "ldaps" : "ldap";
		source->service = arena_printf(o->env->arena, "_%s._tcp.%s", source->scheme, domain);
		rc = source->service == NULL ? err_memory(err) : 0;
	} else {
		rc = conf_finding(o->conf, &o->given->uri, err, "uri: \"%s\" is no domain's DN: dc=example,dc=com",
				  url->lud_dn);
	}
	ldap_memfree(domain);
	if (rc == 0 && o->base == NULL)
		o->base = arena_strdup(o->env->arena, url->lud_dn);
	return rc;
}

static int check_uri(struct opening *o, const LDAPURLDesc *url, const char *uri, struct server_source *source,
		     struct err *err)
{
	bool has_host = is_set(url->lud_host), has_dn = is_set(url->lud_dn);

	if ((has_dn && has_host) || url->lud_attrs != NULL || url->lud_exts != NULL)
		return conf_finding(o->conf, &o->given->uri, err, "uri: nothing may follow the host in \"%s\"", uri);
	if (o->given->starttls && strcasecmp(url->lud_scheme, "ldaps") == 0)
		return conf_finding(o->conf, &o->given->starttls, err, "starttls: \"%s\" has TLS already", uri);
	if (has_dn && strcasecmp(url->lud_scheme, "ldapi") != 0)
		return open_service(o, url, source, err);
	source->uri = uri;
	return 0;
}

static int open_uri(struct opening *o, const char *uri, struct err *err)
{
	struct ldap_directory *ldap = o->ldap;
	LDAPURLDesc *url = NULL;
	int rc;

	if (ldap->source_count == SETTINGS_URIS_MAX)
		return conf_finding(o->conf, &o->given->uri, err, "uri: more than %d", SETTINGS_URIS_MAX);
	/* Not repeated in the finding: a password may be in it. */
	if (strchr(uri, '@') != NULL)
		return conf_finding(o->conf, &o->given->uri, err, "uri: RFC 4516 knows no user name before the host");
	if (ldap_url_parse(uri, &url) != LDAP_URL_SUCCESS)
		return conf_finding(o->conf, &o->given->uri, err, "uri: \"%s\" is no ldap://, ldaps:// or ldapi:// URI",
				    uri);
	rc = check_uri(o, url, uri, &ldap->sources[ldap->source_count], err);
	ldap_free_urldesc(url);
	if (rc == 0)
		ldap->source_count++;
	return rc;
}

static int open_uris(struct opening *o, struct err *err)
{
	char *text = arena_strdup(o->env->arena, o->given->uri), *rest = NULL;

	if (text == NULL)
		return err_memory(err);
	for (char *uri = strtok_r(text, " \t\r\n", &rest); uri != NULL; uri = strtok_r(NULL, " \t\r\n", &rest)) {
		if (o->ldap->name == NULL)
			o->ldap->name = uri;
		if (open_uri(o, uri, err) != 0)
			return -1;
	}
	return o->ldap->name != NULL ? 0 : conf_finding(o->conf, &o->given->uri, err, "uri: is empty");
}

/* An empty one is refused: a bind without password succeeds as nobody (RFC 4513 5.1.2). */
static int read_password(struct opening *o, struct err *err)
{
	const char *const *path = &o->given->bind_password_file;
	struct err why;

	return file_read_password(*path, &o->ldap->password, &why) == 0 ? 0 :
	       conf_finding(o->conf, path, err, "bind_password_file: %s", why.text);
}

static int open_credentials(struct opening *o, struct err *err)
{
	const struct ldap_settings *given = o->given;

	o->ldap->connection.bind = (enum connection_bind)given->bind;
	if (given->bind != BIND_SIMPLE && (is_set(given->bind_dn) || is_set(given->bind_password_file)))
		return conf_finding(o->conf, &given->bind, err,
				    "bind: with \"%s\" there is no bind_dn and no bind_password_file",
				    bind_names[given->bind]);
	if (is_set(given->bind_dn) != is_set(given->bind_password_file))
		return conf_finding(o->conf, is_set(given->bind_dn) ? &given->bind_dn : &given->bind_password_file, err,
				    "bind_dn and bind_password_file go together");
	if (!is_set(given->bind_dn))
		return 0;
	if (read_password(o, err) != 0)
		return -1;
	o->ldap->connection.bind_dn = given->bind_dn;
	o->ldap->connection.password = buf_slice(&o->ldap->password);
	return 0;
}

/* A key that others may read is no secret, and is refused like a password. */
static int open_certificate(struct opening *o, struct err *err)
{
	const struct ldap_settings *given = o->given;
	struct buf key;
	struct err why;
	int rc;

	if (is_set(given->tls_cert_file) != is_set(given->tls_key_file))
		return conf_finding(o->conf,
				    is_set(given->tls_cert_file) ? &given->tls_cert_file : &given->tls_key_file, err,
				    "tls_cert_file and tls_key_file go together");
	if (!is_set(given->tls_cert_file))
		return 0;
	buf_init(&key, KEY_MAX_BYTES);
	rc = file_read_secret(given->tls_key_file, KEY_MAX_BYTES, &key, &why);
	buf_clear(&key);
	if (rc != 0)
		return conf_finding(o->conf, &given->tls_key_file, err, "tls_key_file: %s", why.text);
	o->ldap->connection.tls_cert_file = given->tls_cert_file;
	o->ldap->connection.tls_key_file = given->tls_key_file;
	return 0;
}

/* RFC 4512 1.4, without options. */
static bool is_attribute_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char keychars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";

	if (name[0] >= '0' && name[0] <= '9')
		return strspn(name, "0123456789.") == strlen(name);
	return strspn(name, letters) > 0 && strspn(name, keychars) == strlen(name);
}

/* The names given under key, without options. */
static int read_names(struct opening *o, const struct conf_strings *given, const char *key,
		      const char *const **names, struct err *err)
{
	struct arena *arena = o->env->arena;
	const char **read = arena_array(arena, given->n + 1, sizeof(*read));

	if (read == NULL)
		return err_memory(err);
	for (size_t i = 0; i < given->n; i++) {
		char *name = arena_strdup(arena, given->items[i]);

		if (name == NULL)
			return err_memory(err);
		name[strcspn(name, ";")] = '\0';
		if (!is_attribute_name(name))
			return conf_finding(o->conf, &given->items[i], err, "%s: \"%s\" is no attribute", key,
					    given->items[i]);
		read[i] = name;
	}
	*names = read;
	return 0;
}

static const char *const no_names[] = { NULL };

/* Those with certificates are asked for with and without ";binary": servers know the one, the other, or both (see
 * entry.c). */
static int open_attributes(struct opening *o, struct err *err)
{
	const struct conf_strings *certs = &o->given->attributes, *addresses = &o->given->address_attributes;
	struct query *query = &o->ldap->query;
	const char *const *group = query->groups ? group_names : no_names;
	size_t n = 0;

	if (certs->n == 0)
		return conf_finding(o->conf, certs, err, "attributes: is empty");
	if (read_names(o, certs, "attributes", &query->names, err) != 0 ||
	    read_names(o, addresses, "address_attributes", &query->address_names, err) != 0)
		return -1;
	query->attributes = arena_array(o->env->arena, 2 * certs->n + addresses->n + GROUP_NAMES + 1,
					sizeof(*query->attributes));
	if (query->attributes == NULL)
		return err_memory(err);
	for (size_t i = 0; i < certs->n; i++) {
		query->attributes[n++] = arena_printf(o->env->arena, "%s;binary", query->names[i]);
		query->attributes[n++] = arena_strdup(o->env->arena, query->names[i]);
	}
	for (size_t i = 0; i < addresses->n; i++)
		query->attributes[n++] = arena_strdup(o->env->arena, query->address_names[i]);
	for (; *group != NULL; group++)
		query->attributes[n++] = arena_strdup(o->env->arena, *group);
	while (n > 0)
		if (query->attributes[--n] == NULL)
			return err_memory(err);
	return 0;
}

static int open_query(struct opening *o, struct err *err)
{
	struct err why;
	int rc;

	if (query_check_filter(o->given->filter, &why) != 0)
		return conf_finding(o->conf, &o->given->filter, err, "filter: %s", why.text);
	o->ldap->filter = o->given->filter;
	o->ldap->query.base = o->base == NULL || conf_given(o->conf, &o->given->base) ? o->given->base : o->base;
	o->ldap->query.scope = LDAP_SCOPE_SUBTREE;
	o->ldap->query.groups = o->given->expand_groups;
	rc = group_key(o->env->arena, o->ldap->query.base, &o->ldap->base_key);
	if (rc > 0)
		return conf_finding(o->conf, &o->given->base, err, "base: \"%s\" is no DN", o->ldap->query.base);
	return rc == 0 ? open_attributes(o, err) : err_memory(err);
}

/* What the settings of a source come to, without a server. */
static const char *example_of(const struct server_source *source)
{
	if (source->uri != NULL)
		return source->uri;
	return strcmp(source->scheme, "ldaps") == 0 ? "ldaps://localhost" : "ldap://localhost";
}

/* Tries the options for every server without connecting, so that libldap and its TLS are set up while there is one
 * thread, and files that are no such thing are found now. */
static int check_connections(struct opening *o, struct err *err)
{
	const struct ldap_directory *ldap = o->ldap;
	const struct connection_settings *connection = &ldap->connection;
	const void *member = &o->given->uri;
	struct err why;

	if (connection->tls_ca_file != NULL)
		member = &o->given->tls_ca_file;
	if (connection->tls_cert_file != NULL)
		member = &o->given->tls_cert_file;
	for (size_t i = 0; i < ldap->source_count; i++) {
		const char *uri = example_of(&ldap->sources[i]);

		if (connection_check(connection, uri, &why) != 0)
			return conf_finding(o->conf, member, err, "%s: %s", uri, why.text);
	}
	return 0;
}

static int open_connections(struct opening *o, struct err *err)
{
	struct ldap_directory *ldap = o->ldap;
	struct connection_settings *connection = &ldap->connection;

	connection->starttls = o->given->starttls;
	connection->tls_ca_file = is_set(o->given->tls_ca_file) ? o->given->tls_ca_file : NULL;
	connection->timeout_ms = ldap->timeout_ms;
	connection->clock = ldap->clock;
	if (open_certificate(o, err) != 0 || check_connections(o, err) != 0)
		return -1;
	ldap->resolver = resolver_new(&resolver_system, ldap->clock, err);
	if (ldap->resolver == NULL)
		return -1;
	connection->resolver = ldap->resolver;
	ldap->servers = servers_new(ldap->sources, ldap->source_count, (size_t)o->given->connections, ldap->resolver,
				    ldap->clock, err);
	return ldap->servers == NULL ? -1 : 0;
}

static void warn_if_plain(const struct opening *o)
{
	for (size_t i = 0; i < o->ldap->source_count; i++) {
		const char *uri = example_of(&o->ldap->sources[i]);

		if (o->ldap->connection.bind_dn != NULL && !o->given->starttls &&
		    slice_starts_nocase(slice_of(uri), "ldap:"))
			event_log(o->env->sink, EVENT_WARNING, "%s: the password of %s crosses the network unencrypted",
				  o->ldap->name, o->ldap->connection.bind_dn);
	}
}

void settings_close(struct ldap_directory *ldap)
{
	servers_free(ldap->servers);
	resolver_free(ldap->resolver);
	buf_clear(&ldap->password);
	free(ldap);
}

struct ldap_directory *settings_open(const struct ldap_settings *given, struct conf *conf,
				     const struct directory_env *env, struct err *err)
{
	struct opening o = { .given = given, .conf = conf, .env = env, .ldap = calloc(1, sizeof(*o.ldap)) };

	if (o.ldap == NULL) {
		err_memory(err);
		return NULL;
	}
	buf_init(&o.ldap->password, SECRET_MAX_BYTES);
	o.ldap->clock = env->clock;
	o.ldap->sink = env->sink;
	o.ldap->timeout_ms = given->timeout_ms;
	o.ldap->expand_ms = given->expand_ms;
	if (open_uris(&o, err) != 0 || open_credentials(&o, err) != 0 || open_query(&o, err) != 0 ||
	    open_connections(&o, err) != 0) {
		settings_close(o.ldap);
		return NULL;
	}
	warn_if_plain(&o);
	return o.ldap;
}

#define ROW(member, kind) .name = #member, .type = kind, .offset = offsetof(struct ldap_settings, member)

static const struct conf_row ldap_rows[] = {
	DIRECTORY_ROWS(struct ldap_settings, "600", "60", "3600"),
	{ ROW(uri, CONF_STRING), .required = true },
	{ ROW(base, CONF_STRING), .preset = "" },
	{ ROW(bind, CONF_ENUM), .preset = "simple", .names = bind_names },
	{ ROW(bind_dn, CONF_STRING) },
	{ ROW(bind_password_file, CONF_STRING) },
	{ ROW(starttls, CONF_BOOL) },
	{ ROW(tls_ca_file, CONF_STRING) },
	{ ROW(tls_cert_file, CONF_STRING) },
	{ ROW(tls_key_file, CONF_STRING) },
	{ ROW(filter, CONF_STRING), .preset = "(|(mail=%{address})(proxyAddresses=smtp:%{address}))" },
	{ ROW(attributes, CONF_STRINGS), .preset = "userSMIMECertificate userCertificate" },
	{ ROW(address_attributes, CONF_STRINGS), .preset = "mail proxyAddresses mailAlternateAddress mailLocalAddress" },
	{ ROW(timeout_ms, CONF_INT), .preset = "2000", .min = 10, .max = 600000 },
	{ ROW(connections, CONF_INT), .preset = "8", .min = 1, .max = 1000 },
	{ ROW(expand_groups, CONF_BOOL), .preset = "true" },
	{ ROW(expand_ms, CONF_INT), .preset = "2000", .min = 1, .max = 600000 },
	{ ROW(secondary_addresses, CONF_BOOL), .preset = "true" },
	{ .name = NULL }
};

const struct conf_table ldap_settings_table = { .rows = ldap_rows, .size = sizeof(struct ldap_settings) };
