/* publish.c - see publish.h. Called by ldap_driver.c for `smimectl certs publish`, over a connection of its own, since
 * who may write is seldom who reads. What an entry has is never removed or replaced: values are added that are not
 * there. */
#include "ldap/publish.h"

#include "ldap/entry.h"
#include "pki/bundle.h"

#define PUBLISH_MS 15000	/* for all of it: nobody's mail waits */
#define VALUES_MAX 64		/* new ones of an attribute */

static const char *const certificate_name[] = { "userCertificate", NULL };
static const char *const smime_name[] = { "userSMIMECertificate", NULL };

struct publishing {
	const struct ldap_directory *ldap;
	struct arena *arena;
	const struct directory_publication *what;
	struct connection connection;
	LDAPMessage *found;		/* the answer to the search */
	LDAPMessage *entry;
};

static enum outcome connect_any(struct publishing *p, struct err *err)
{
	struct connection_settings settings = p->ldap->connection;
	int64_t deadline_ms = clock_monotonic_ms(p->ldap->clock) + PUBLISH_MS;
	enum outcome outcome = OUTCOME_ELSEWHERE;
	struct server_order order;

	if (p->what->bind_dn != NULL) {
		settings.bind = BIND_SIMPLE;
		settings.bind_dn = p->what->bind_dn;
		settings.password = p->what->password;
	}
	if (servers_take(p->ldap->servers, deadline_ms, &order, err) != 0)
		return OUTCOME_ELSEWHERE;
	for (size_t i = 0; i < order.n && outcome == OUTCOME_ELSEWHERE; i++) {
		int64_t now_ms = clock_monotonic_ms(p->ldap->clock);
		int64_t share_ms = (deadline_ms - now_ms) / (int64_t)(order.n - i);

		outcome = connection_open(&settings, order.items[i]->uri, now_ms + share_ms, &p->connection, err);
		p->connection.deadline.at_ms = deadline_ms;
	}
	servers_give(p->ldap->servers, &order);
	return outcome;
}

static int failed(const char *what, int code, LDAP *ld, struct err *err)
{
	char *diagnostic = NULL;

	(void)ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &diagnostic);
	err_set(err, ERR_TEMP, "%s: %s%s%s", what, ldap_err2string(code), diagnostic != NULL ? ": " : "",
		diagnostic != NULL ? diagnostic : "");
	ldap_memfree(diagnostic);
	return -1;
}

/* Exactly one entry: two persons of one address would both get it. */
static int find_entry(struct publishing *p, const struct address *address, struct err *err)
{
	char *attributes[] = { "userCertificate;binary", "userCertificate", "userSMIMECertificate", NULL };
	const char *filter = query_filter(p->arena, p->ldap->filter, address);
	struct timeval left;
	int code, n;

	if (filter == NULL)
		return err_memory(err);
	if (!deadline_left(&p->connection.deadline, &left))
		return err_set(err, ERR_TEMP, "timed out");
	code = ldap_search_ext_s(p->connection.ld, p->ldap->query.base, LDAP_SCOPE_SUBTREE, filter, attributes, 0, NULL, NULL,
				 &left, 2, &p->found);
	if (code != LDAP_SUCCESS && code != LDAP_SIZELIMIT_EXCEEDED)
		return failed("search", code, p->connection.ld, err);
	n = ldap_count_entries(p->connection.ld, p->found);
	/* Of more than one the server may give one. */
	if (n != 1 || code == LDAP_SIZELIMIT_EXCEEDED)
		return err_set(err, ERR_POLICY, n > 0 ? "several entries have the address" : "no entry has the address");
	p->entry = ldap_first_entry(p->connection.ld, p->found);
	return 0;
}

struct looking {			/* for a certificate among an attribute's values */
	struct arena *arena;
	const struct cert *cert;
	bool there;
};

/* Is it in the value, in whatever form? */
static bool holds(struct arena *arena, struct slice value, const struct cert *cert)
{
	struct bundle bundle;
	struct err ignored;

	if (bundle_parse(arena, value, &bundle, &ignored) != 0)
		return false;
	for (size_t i = 0; i < bundle.n; i++)
		if (bundle.entries[i].cert != NULL && cert_equal(bundle.entries[i].cert, cert))
			return true;
	return false;
}

static int look(void *self, const char *name, struct berval **values)
{
	struct looking *looking = self;

	(void)name;
	for (size_t i = 0; values[i] != NULL && !looking->there; i++)
		looking->there = holds(looking->arena, slice_make(values[i]->bv_val, values[i]->bv_len), looking->cert);
	return 0;
}

/* What cannot be read to its end, and may be there, the server refuses to add once more. */
static bool is_there(const struct publishing *p, const char *const *name, const struct cert *cert)
{
	struct looking looking = { .arena = p->arena, .cert = cert };

	(void)entry_walk(p->connection.ld, p->entry, name, look, &looking);
	return looking.there;
}

/* OpenLDAP has userCertificate with ";binary" alone, Active Directory without. */
static bool is_other_form(int code)
{
	return code == LDAP_UNDEFINED_TYPE || code == LDAP_INVALID_SYNTAX || code == LDAP_NO_SUCH_ATTRIBUTE ||
	       code == LDAP_CONSTRAINT_VIOLATION || code == LDAP_UNWILLING_TO_PERFORM;
}

static int add(const struct publishing *p, const char *type, struct berval **values)
{
	LDAPMod modification = { .mod_op = LDAP_MOD_ADD | LDAP_MOD_BVALUES, .mod_type = (char *)(uintptr_t)type,
				 .mod_vals.modv_bvals = values };
	LDAPMod *modifications[] = { &modification, NULL };
	char *dn = ldap_get_dn(p->connection.ld, p->entry);
	int code = dn != NULL ? ldap_modify_ext_s(p->connection.ld, dn, modifications, NULL, NULL) : LDAP_NO_MEMORY;

	ldap_memfree(dn);
	return code;
}

static int add_certificates(const struct publishing *p, struct directory_published *published, struct err *err)
{
	struct berval values[VALUES_MAX], *list[VALUES_MAX + 1];
	size_t n = 0;
	int code;

	for (size_t i = 0; i < p->what->n && n < VALUES_MAX; i++) {
		struct slice der = cert_info(p->what->certs[i])->der;

		if (is_there(p, certificate_name, p->what->certs[i])) {
			published->there++;
			continue;
		}
		values[n] = (struct berval){ .bv_len = der.n, .bv_val = (char *)(uintptr_t)der.p };
		list[n] = &values[n];
		n++;
	}
	list[n] = NULL;
	if (n == 0)
		return 0;
	code = add(p, "userCertificate;binary", list);
	if (is_other_form(code))
		code = add(p, "userCertificate", list);
	if (code != LDAP_SUCCESS)
		return failed("userCertificate", code, p->connection.ld, err);
	published->added += n;
	return 0;
}

static int add_value(const struct publishing *p, struct directory_published *published, struct err *err)
{
	struct berval value = { .bv_len = p->what->value.n, .bv_val = (char *)(uintptr_t)p->what->value.p };
	struct berval *list[] = { &value, NULL };
	int code;

	if (value.bv_len == 0)
		return 0;
	if (is_there(p, smime_name, p->what->certs[0])) {
		published->there++;
		return 0;
	}
	code = add(p, smime_name[0], list);
	if (code != LDAP_SUCCESS)
		return failed("userSMIMECertificate", code, p->connection.ld, err);
	published->added++;
	return 0;
}

static int name_entry(const struct publishing *p, struct directory_published *published, struct err *err)
{
	char *dn = ldap_get_dn(p->connection.ld, p->entry);

	published->where = dn != NULL ? arena_strdup(p->arena, dn) : NULL;
	ldap_memfree(dn);
	return published->where != NULL ? 0 : err_memory(err);
}

int publish_run(const struct ldap_directory *ldap, struct arena *arena, const struct address *address,
		const struct directory_publication *publication, struct directory_published *published, struct err *err)
{
	struct publishing p = { .ldap = ldap, .arena = arena, .what = publication };
	int rc = -1;

	*published = (struct directory_published){ .where = NULL };
	if (connect_any(&p, err) != OUTCOME_DONE)
		return -1;
	if (find_entry(&p, address, err) == 0 && name_entry(&p, published, err) == 0 &&
	    add_certificates(&p, published, err) == 0)
		rc = add_value(&p, published, err);
	ldap_msgfree(p.found);
	connection_close(&p.connection);
	return rc;
}
