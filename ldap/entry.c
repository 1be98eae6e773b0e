/* entry.c - certificates out of an LDAP entry (RFC 4523, RFC 2798 2.8). Formats of values are bundle.h's, the ranking
 * is candidate.h's. Called by query.c; keeps nothing.
 *
 * Servers disagree on ";binary": OpenLDAP returns userCertificate with it however it was asked for,
 * userSMIMECertificate never with it. So a name is compared without options. One option means something: Active
 * Directory gives an attribute with very many values in ranges, "member;range=0-1499" and so on up to "1500-*". */
#include "ldap/entry.h"

#include <string.h>

#include "pki/directory_driver.h"

#define VALUE_MAX_BYTES ((size_t)1024 * 1024)	/* a chain of ten certificates has 20,000 */

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

	if (value.n > VALUE_MAX_BYTES)
		err_set(&why, ERR_LIMIT, "%zu bytes: more than %zu", value.n, VALUE_MAX_BYTES);
	else if (bundle_parse(arena, value, &bundle, &why) == 0)
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

/* Are there more of the attribute's values than these? */
static bool is_part(const char *description)
{
	static const char range[] = ";range=";
	struct slice rest = slice_of(description);

	while (rest.n > 0 && !slice_starts_nocase(rest, range))
		rest = slice_from(rest, 1);
	return rest.n > 0 && rest.p[rest.n - 1] != '*';
}

/* As entry_walk. */
static int walk_attribute(LDAP *ld, LDAPMessage *entry, const char *description, const char *const *names,
			  entry_taker *take, void *self)
{
	const char *name = entry_attribute(names, description);
	struct berval **values = NULL;
	int rc;

	if (name == NULL)
		return 0;
	if (is_part(description))
		return ENTRY_PART;
	values = ldap_get_values_len(ld, entry, description);
	if (values == NULL)
		return is_undecodable(ld) ? ENTRY_UNDECODABLE : 0;
	rc = take(self, name, values);
	ldap_value_free_len(values);
	return rc;
}

int entry_walk(LDAP *ld, LDAPMessage *entry, const char *const *names, entry_taker *take, void *self)
{
	BerElement *position = NULL;
	char *description = ldap_first_attribute(ld, entry, &position);
	int rc = description == NULL && is_undecodable(ld) ? ENTRY_UNDECODABLE : 0;

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
	struct directory_entry like = { .attribute = name, .owner = r->owner };

	for (size_t i = 0; values[i] != NULL; i++) {
		like.value = r->answer->n == 0 ? 0 : r->answer->entries[r->answer->n - 1].value + 1;
		if (entry_value(r->arena, &like, slice_make(values[i]->bv_val, values[i]->bv_len), r->answer) != 0)
			return -1;
	}
	return 0;
}

int entry_read(struct arena *arena, LDAP *ld, LDAPMessage *entry, const char *const *names,
	       const struct directory_owner *owner, struct directory_answer *answer)
{
	struct reading r = { arena, owner, answer };
	const bool is_wanted = *names != NULL;
	const size_t before = answer->n + answer->problem_count;
	int rc = 0;

	for (; *names != NULL && rc == 0; names++) {
		const char *const name[] = { *names, NULL };

		rc = entry_walk(ld, entry, name, read_values, &r);
	}
	/* Who looks for the reason of a "none" wants to know it from one without an entry. */
	if (rc == 0 && is_wanted && answer->n + answer->problem_count == before)
		rc = directory_answer_problem(arena, answer, "an entry without certificates");
	return rc;
}
