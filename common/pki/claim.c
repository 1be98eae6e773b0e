/* claim.c - is a certificate that a directory has for a recipient his? By an address in it (RFC 8550 3): his own, or,
 * since he may have several and be given certificates for one, another of those that the directory says are the same
 * person's. That the certificate may be trusted to speak of that address, too, is candidate.c's matter, who calls.
 */
#include "pki/claim.h"

#include "base/event.h"

static bool is_owners(const struct directory_owner *owner, const struct address *address)
{
	for (size_t i = 0; owner != NULL && address != NULL && i < owner->n; i++)
		if (address_equal(&owner->addresses[i], address))
			return true;
	return false;
}

/* The first one that the certificate has. */
static const struct address *first_named(const struct cert *cert, const struct address *addresses, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (cert_has_address(cert, &addresses[i]))
			return &addresses[i];
	return NULL;
}

static const struct address *own_named(const struct cert *cert, const struct address *recipient,
				       const struct address *also)
{
	const struct address *named = first_named(cert, recipient, 1);

	return named == NULL && also != NULL ? first_named(cert, also, 1) : named;
}

void claim_add(struct claim *claim, const struct address *recipient, const struct address *also,
	       const struct directory *directory, const struct directory_entry *entry)
{
	const struct directory_owner *owner = entry->owner;
	bool owned = is_owners(owner, recipient) || is_owners(owner, also);
	bool primary = owned && !directory->secondary_addresses;
	const struct address *own = own_named(entry->cert, recipient, also), *named = own;

	if (primary)
		named = first_named(entry->cert, owner->addresses, 1);
	else if (owned && own == NULL)
		named = first_named(entry->cert, owner->addresses, owner->n);
	if (named != NULL) {
		claim->trusted |= directory->trusted && !directory->by_association;
		if (claim->named == NULL || named == own)
			claim->named = named;
	} else if (claim->wanted == NULL) {
		claim->wanted = primary ? &owner->addresses[0] : recipient;
		claim->or_else = primary ? ", which is its owner's primary one" :
				 owned	 ? " or another one of its owner's" :
					   "";
	}
}

int claim_associate(struct claim *claim, const struct directory *directory, const struct directory_answer *answer,
		    const struct cert *cert, const struct smimea **by)
{
	bool persons_only = answer->association_count > 0;

	*by = NULL;
	for (size_t i = 0; i < answer->association_count; i++) {
		const struct smimea *record = &answer->associations[i];
		int matches = smimea_is_person(record) ? smimea_matches(record, cert) : 0;

		if (matches < 0)
			return -1;
		persons_only &= smimea_is_person(record);
		if (matches > 0 && (*by == NULL || record->usage == SMIMEA_DANE_EE))
			*by = record;
	}
	if (directory->trusted && *by != NULL)
		claim->trusted |= (*by)->usage == SMIMEA_DANE_EE;
	else if (directory->trusted && persons_only)
		claim->refused_by = directory->name;
	return 0;
}

const char *claim_objection(struct arena *arena, const struct claim *claim, const struct cert *cert)
{
	char wanted[200];

	if (claim->named != NULL && claim->refused_by != NULL)
		return arena_printf(arena, "RFC 8162: %s names other certificates for the address", claim->refused_by);
	if (claim->named != NULL)
		return "";
	if (cert_info(cert)->address_count == 0)
		return "RFC 8550 3: no address in the certificate";
	return arena_printf(arena, "RFC 8550 3: no address equals %s%s",
			    event_escape(claim->wanted->text, wanted, sizeof(wanted)), claim->or_else);
}
