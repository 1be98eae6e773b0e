/* verify_from.c - does the certificate speak for the address that the message is from? (RFC 8550 3, INTERFACE 4 `from`)
 *
 * Only addr-specs are compared, never display names. Whatever readers may resolve differently is ambiguous, and no
 * match. Called by verify.c and signer.c. Thread-safe.
 */
#include "smime/verify_internal.h"

#include <string.h>

#include "mail/display_name.h"

/* Also "From :", which some readers take for the field and some do not. */
static size_t count_fields(const struct header *header, const char *name, const struct field **first)
{
	size_t n = 0;

	*first = NULL;
	for (size_t i = 0; i < header->n; i++) {
		if (!slice_is_nocase(slice_trim(header->fields[i].name), name))
			continue;
		if (n++ == 0)
			*first = &header->fields[i];
	}
	return n;
}

static int read_single(struct arena *arena, const struct header *header, const char *name, struct address *address,
		       bool *single, struct err *err)
{
	const struct field *field;
	size_t n = count_fields(header, name, &field);
	enum mailbox_form form = MAILBOX_NONE;

	*single = false;
	*address = (struct address){ { 0 }, { 0 }, { 0 } };
	if (n == 0)
		return 0;
	if (address_single(arena, field->value, address, &form, err) != 0)
		return -1;
	*single = n == 1 && form == MAILBOX_SINGLE && address->local.n != 0 && address->domain.n != 0;
	return 0;
}

/* Behind a lone CR some readers find a From of their own, and most show a name in place of the address. */
int from_binding_read(struct arena *arena, const struct header *header, struct from_binding *binding, struct err *err)
{
	const struct field *field;

	binding->claims = false;
	if (read_single(arena, header, "From", &binding->from, &binding->single, err) != 0)
		return -1;
	count_fields(header, "From", &field);
	if (binding->single && display_name_claims(arena, field->value, &binding->from, &binding->claims) != 0)
		return err_memory(err);
	binding->single = binding->single && !header_breaks_oddly(header);
	return read_single(arena, header, "Sender", &binding->sender, &binding->sender_single, err);
}

static const struct address *find_address(const struct cert_info *info, const struct address *address)
{
	if (info->address_bad)
		return NULL;
	for (size_t i = 0; i < info->address_count; i++)
		if (address_equal(&info->addresses[i], address))
			return &info->addresses[i];
	return NULL;
}

static bool is_hash_of(const char *configured, const char *sha256)
{
	return strlen(configured) == strlen(sha256) && slice_equal_nocase(slice_of(configured), slice_of(sha256));
}

/* A gateway that the rule accepts as signer for From's domain. */
static bool is_accepted(const struct from_binding *binding, const struct verify_env *env, const struct cert_info *info,
			const struct address **address)
{
	const struct address *found = NULL;
	bool accepted = false;

	if (env->accept_from == NULL || !pattern_list_match(env->accept_from, &binding->from))
		return false;
	for (size_t i = 0; i < env->accept_address_count && found == NULL; i++)
		found = find_address(info, &env->accept_addresses[i]);
	for (size_t i = 0; i < env->accept_sha256_count && !accepted; i++)
		accepted = is_hash_of(env->accept_sha256[i], info->sha256);
	if (found != NULL)
		*address = found;
	return accepted || found != NULL;
}

enum from_match from_binding_match(const struct from_binding *binding, const struct verify_env *env,
				   const struct cert *cert, const struct address **address)
{
	const struct cert_info *info = cert_info(cert);
	const struct address *found = NULL;

	*address = info->address_count == 0 ? NULL : &info->addresses[0];
	if (!binding->single)
		return FROM_AMBIGUOUS;
	found = find_address(info, &binding->from);
	if (found != NULL) {
		*address = found;
		return binding->claims ? FROM_AMBIGUOUS : FROM_MATCH;
	}
	if (is_accepted(binding, env, info, address))
		return binding->claims ? FROM_AMBIGUOUS : FROM_DOMAIN;
	if (binding->sender_single)
		found = find_address(info, &binding->sender);
	if (found != NULL) {
		*address = found;
		return FROM_SENDER;
	}
	return info->address_count == 0 && !info->address_bad ? FROM_NO_ADDRESS : FROM_MISMATCH;
}
