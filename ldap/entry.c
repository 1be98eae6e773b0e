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

int entry_value(struct arena *arena, const char *name, struct slice value, struct directory_answer *answer)
{
	struct bundle bundle = { .entries = NULL };
	struct err why;

	if (bundle_parse(arena, value, &bundle, &why) == 0)
		return directory_answer_bundle(arena, answer, &bundle, name);
	if (why.class == ERR_TEMP)
		return -1;
	err_prefix(&why, "%s", name);
	return directory_answer_problem(arena, answer, why.text);
}

static int read_values(struct arena *arena, const char *name, struct berval **values, struct directory_answer *answer)
{
	for (size_t i = 0; values != NULL && values[i] != NULL; i++) {
		if (entry_value(arena, name, slice_make(values[i]->bv_val, values[i]->bv_len), answer) != 0)
			return -1;
	}
	return 0;
}

int entry_read(struct arena *arena, LDAP *ld, LDAPMessage *entry, const char *const *names,
	       struct directory_answer *answer)
{
	BerElement *position = NULL;
	char *description = ldap_first_attribute(ld, entry, &position);
	int rc = 0;

	while (description != NULL && rc == 0) {
		const char *name = entry_attribute(names, description);

		if (name != NULL) {
			struct berval **values = ldap_get_values_len(ld, entry, description);

			rc = read_values(arena, name, values, answer);
			ldap_value_free_len(values);
		}
		ldap_memfree(description);
		description = ldap_next_attribute(ld, entry, position);
	}
	ldap_memfree(description);
	if (position != NULL)
		ber_free(position, 0);
	return rc;
}
