/* wrap.c - the outside of a signed or encrypted message: its header fields (RFC 8551 3.2), and error texts.
 * Called by sign.c and encrypt.c; what is inside is theirs. Pure but for the arena. */
#include "smime/smime_internal.h"

#include "pki/pki_internal.h"

static int add(struct arena *arena, struct header *header, const char *name, const char *value)
{
	struct field field;

	if (value == NULL)
		return 0;
	field = field_make(arena, slice_of(name), slice_of(value));
	return field.raw.p == NULL ? -1 : header_append(arena, header, field);
}

int wrap_header(struct arena *arena, const struct header *outside, const struct wrap_fields *fields,
		struct header *out, struct err *err)
{
	*out = (struct header){ .n = 0 };
	for (size_t i = 0; i < outside->n; i++)
		if (header_append(arena, out, outside->fields[i]) != 0)
			return err_memory(err);
	if (header_find(outside, "MIME-Version", 0) == NULL && add(arena, out, "MIME-Version", " 1.0") != 0)
		return err_memory(err);
	if (add(arena, out, "Content-Type", fields->type) != 0 ||
	    add(arena, out, "Content-Transfer-Encoding", fields->encoding) != 0 ||
	    add(arena, out, "Content-Disposition", fields->disposition) != 0)
		return err_memory(err);
	return 0;
}

struct wrap_fields wrap_pkcs7_mime(struct arena *arena, const char *smime_type)
{
	return (struct wrap_fields){
		.type = arena_printf(arena, " application/pkcs7-mime; smime-type=%s;\n"
				     "\tname=\"smime.p7m\"", smime_type),
		.encoding = " base64",
		.disposition = " attachment; filename=\"smime.p7m\"",
	};
}

int wrap_openssl_error(struct err *err, enum err_class class, const char *what, const char *name)
{
	char reason[160];

	openssl_reason(reason, sizeof(reason));
	if (name == NULL)
		return err_set(err, class, "%s: %s", what, reason);
	return err_set(err, class, "%s (%s): %s", what, name, reason);
}
