/* owner.c - the addresses of whoever an LDAP entry is about: values of mail and the like, which are addresses, and of
 * Active Directory's proxyAddresses, which have a prefix: SMTP: before the primary one, smtp: before the others, though
 * for the server's searches these are equal. What the addresses are for is candidate.c's. Called by query.c; keeps
 * nothing.
 */
#include "ldap/owner.h"

#include <string.h>

#include "ldap/entry.h"

#define SMTP "SMTP:"
#define ADDRESS_BYTES 1000	/* RFC 5321 4.5.3.1: 320; no text that is longer is an address */

struct reading {
	struct arena *arena;
	const char *const *names;
	struct address *addresses;
	size_t n, rank;			/* of addresses[0]: 0 behind "SMTP:", else the number of its name, from 1 */
};

bool owner_address(struct arena *arena, struct slice value, struct address *address, bool *primary)
{
	size_t prefix = slice_starts_nocase(value, SMTP) ? strlen(SMTP) : 0;
	struct err why;

	*primary = prefix > 0 && slice_is(slice_first(value, prefix), SMTP);
	return value.n <= ADDRESS_BYTES && address_parse(arena, slice_from(value, prefix), address, &why) == 0 &&
	       address->domain.n > 0;
}

/* Behind the others, or in the place of the first one, which goes there. */
static void take(struct reading *r, struct slice value, size_t rank)
{
	struct address address;
	bool primary = false;

	if (!owner_address(r->arena, value, &address, &primary))
		return;
	if (primary)
		rank = 0;
	r->addresses[r->n] = address;
	if (r->n == 0 || rank < r->rank) {
		r->addresses[r->n] = r->addresses[0];
		r->addresses[0] = address;
		r->rank = rank;
	}
	r->n++;
}

static int take_all(struct reading *r, struct berval **values, size_t rank)
{
	size_t count = (size_t)ldap_count_values_len(values);
	struct address *larger = arena_array(r->arena, r->n + count, sizeof(*larger));

	if (larger == NULL)
		return -1;
	if (r->n > 0)
		memcpy(larger, r->addresses, r->n * sizeof(*larger));
	r->addresses = larger;
	for (size_t i = 0; i < count; i++)
		take(r, slice_make(values[i]->bv_val, values[i]->bv_len), rank);
	return 0;
}

static size_t rank_of(const struct reading *r, const char *name)
{
	size_t i = 0;

	while (r->names[i] != name)
		i++;
	return i + 1;
}

/* An entry_taker. */
static int read_attribute(void *self, const char *name, struct berval **values)
{
	struct reading *r = self;

	return take_all(r, values, rank_of(r, name));
}

int owner_read(struct arena *arena, LDAP *ld, LDAPMessage *entry, const char *const *names,
	       const struct directory_owner **owner)
{
	struct reading r = { .arena = arena, .names = names };
	struct directory_owner *found = NULL;
	int rc = entry_walk(ld, entry, names, read_attribute, &r);

	*owner = NULL;
	if (rc != 0 || r.n == 0)
		return rc;
	found = arena_alloc(arena, sizeof(*found));
	if (found == NULL)
		return -1;
	*found = (struct directory_owner){ r.addresses, r.n };
	*owner = found;
	return 0;
}
