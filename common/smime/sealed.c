/* sealed.c - see sealed.h. No state, thread-safe. */
#include "smime/sealed.h"

#include "smime/prescan_envelope.h"

/* 1: *envelope, in the arena; 0: it is none; -1 */
static int scan(struct arena *arena, const struct message *message, const struct mime_part *part,
		struct envelope *envelope, struct err *err)
{
	const bool base64 = part->encoding == CTE_BASE64;
	const struct envelope_limits limits = { .recipients = 10000, .certificates = 1000, .crls = 1000,
						.line_end = !base64 };
	const struct body *body = base64 ? mime_body(arena, message, part) : mime_decoded(arena, message, part);
	struct stream *stream = body != NULL ? body_open(body, err) : NULL;
	struct err why = { .class = ERR_NONE };
	int rc = -1;

	if (base64 && stream != NULL)
		stream = decode_base64(stream, true, err);
	if (stream != NULL)
		rc = prescan_envelope(arena, stream, &limits, envelope, &why);
	else if (body == NULL)
		err_memory(err);
	stream_close(stream);
	if (rc == 0)
		return envelope->sealed;
	if (why.class == ERR_MESSAGE || why.class == ERR_LIMIT)
		return 0;
	return why.class == ERR_NONE ? -1 : err_set(err, why.class, "%s", why.text);
}

int sealed_is(const struct message *message, const struct mime_part *part, struct err *err)
{
	struct arena *scratch = arena_new(0);
	struct envelope envelope = { .sealed = false };
	int rc;

	if (scratch == NULL)
		return err_memory(err);
	rc = scan(scratch, message, part, &envelope, err);
	arena_free(scratch);
	return rc;
}

static int copy_name(struct arena *arena, const struct envelope_recipient *recipient, struct sealed *sealed)
{
	struct sealed_name *name = &sealed->names[sealed->n];

	if (recipient->issuer.n == 0 && recipient->key_id.n == 0)
		return 0;
	name->issuer = arena_copy(arena, recipient->issuer);
	name->serial = arena_copy(arena, recipient->serial);
	name->key_id = arena_copy(arena, recipient->key_id);
	sealed->n++;
	return name->issuer.p != NULL && name->serial.p != NULL && name->key_id.p != NULL ? 0 : -1;
}

/* The names alone stay: wrapped keys are of no use here. */
int sealed_read(struct arena *arena, const struct message *message, const struct mime_part *part, struct sealed *sealed,
		struct err *err)
{
	struct arena *scratch = arena_new(0);
	struct envelope envelope = { .sealed = false };
	int rc = -1;

	*sealed = (struct sealed){ .n = 0 };
	if (scratch == NULL)
		return err_memory(err);
	rc = scan(scratch, message, part, &envelope, err);
	if (rc < 0)
		goto out;
	rc = -1;
	sealed->cipher = envelope.cipher_name;
	sealed->names = arena_array(arena, envelope.recipient_count, sizeof(*sealed->names));
	if (sealed->names == NULL) {
		err_memory(err);
		goto out;
	}
	for (size_t i = 0; i < envelope.recipient_count; i++)
		if (copy_name(arena, &envelope.recipients[i], sealed) != 0) {
			err_memory(err);
			goto out;
		}
	rc = 0;
out:
	arena_free(scratch);
	return rc;
}

bool sealed_is_for(const struct sealed *sealed, const struct cert *cert)
{
	const struct cert_info *info = cert_info(cert);

	for (size_t i = 0; i < sealed->n; i++) {
		const struct sealed_name *name = &sealed->names[i];

		if (name->key_id.n > 0 ? slice_equal(name->key_id, info->skid) :
		    slice_equal(name->serial, info->serial_der) && cert_has_issuer(cert, name->issuer))
			return true;
	}
	return false;
}
