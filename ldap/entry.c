/* entry.c - certificates out of an LDAP entry (RFC 4523, RFC 2798 2.8). Formats of values are bundle.h's, the ranking
 * is candidate.h's. Called by query.c; keeps nothing.
 *
 * Servers disagree on ";binary": OpenLDAP returns userCertificate with it however it was asked for,
 * userSMIMECertificate never with it. So a name is compared without options. */
#include "ldap/entry.h"

#include "pki/directory_driver.h"

const char *entry_attribute(const char *const *names, const char *description)
{
	struct slice given = slice_of(description);
	long options = slice_find(given, ';');

	if (options >= 0)
		given = slice_first(given, (size_t)options);
	for (; *names != NULL; names++) {
		if (slice_is_nocase(given, *names))
			return *names;
	}
	return NULL;
}

int entry_value(struct arena *arena, const struct directory_entry *like, struct slice value,
		struct directory_answer *answer)
{
	struct bundle bundle = { .entries = NULL };
	struct err why;

	if (bundle_parse(arena, value, &bundle, &why) == 0)
		return directory_answer_bundle(arena, answer, &bundle, like);
	if (why.class == ERR_TEMP)
		return -1;
	err_prefix(&why, "%s", like->attribute);
	return directory_answer_problem(arena, answer, why.text);
}

static bool is_undecodable(LDAP *ld)
{
	int code = LDAP_SUCCESS;

	return ldap_get_option(ld, LDAP_OPT_RESULT_CODE, &code) != LDAP_OPT_SUCCESS || code == LDAP_DECODING_ERROR;
}

/* 0, 1 and -1 as entry_walk. */
static int walk_attribute(LDAP *ld, LDAPMessage *entry, const char *description, const char *const *names,
			  entry_taker *take, void *self)
{
	const char *name = entry_attribute(names, description);
	struct berval **values = NULL;
	int rc;

	if (name == NULL)
		return 0;
	values = ldap_get_values_len(ld, entry, description);
	if (values == NULL)
		return is_undecodable(ld);
	rc = take(self, name, values);
	ldap_value_free_len(values);
	return rc;
}

int entry_walk(LDAP *ld, LDAPMessage *entry, const char *const *names, entry_taker *take, void *self)
{
	BerElement *position = NULL;
	char *description = ldap_first_attribute(ld, entry, &position);
	int rc = description == NULL && is_undecodable(ld);

	while (description != NULL && rc == 0) {
		rc = walk_attribute(ld, entry, description, names, take, self);
		ldap_memfree(description);
		description = ldap_next_attribute(ld, entry, position);
	}
	ldap_memfree(description);
	if (position != NULL)
		ber_free(position, 0);
	return rc;
}

struct reading {
	struct arena *arena;
	const struct directory_owner *owner;
	struct directory_answer *answer;
};

/* An entry_taker. */
static int read_values(void *self, const char *name, struct berval **values)
{
	const struct reading *r = self;
	const struct directory_entry like = { .attribute = name, .owner = r->owner };

	for (size_t i = 0; values[i] != NULL; i++) {
		if (entry_value(r->arena, &like, slice_make(values[i]->bv_val, values[i]->bv_len), r->answer) != 0)
			return -1;
	}
	return 0;
}

int entry_read(struct arena *arena, LDAP *ld, LDAPMessage *entry, const char *const *names,
	       const struct directory_owner *owner, struct directory_answer *answer)
{
	struct reading r = { arena, owner, answer };

	return entry_walk(ld, entry, names, read_values, &r);
}
