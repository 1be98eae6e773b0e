/* account.c - see account.h. Called by transaction.c, at last. */
#include "milter/account.h"

#include "milter/audit_evidence.h"

static uint64_t header_bytes(struct arena *arena, const struct header *header)
{
	return message_header_bytes(arena, header).n;
}

static int describe_in(const struct account *a, struct audit_message *in, struct err *err)
{
	*in = (struct audit_message){ .queue_id = a->envelope->queue_id };
	if (a->message->body == NULL)
		return 0;
	in->body_sha256 = outgoing_digest_once(a->digest, err);
	if (in->body_sha256 == NULL)
		return -1;
	in->size_bytes = header_bytes(a->arena, &a->message->header);
	if (a->message->body->size_bytes != BODY_SIZE_UNKNOWN)
		in->size_bytes += a->message->body->size_bytes;
	return 0;
}

/* The original keeps the queue id that it has. */
static void describe_original(const struct account *a, const struct audit_message *in, struct audit_message *out)
{
	*out = *in;
	if (!a->applied->body_read)
		return;
	out->body_sha256 = a->applied->body_sha256;
	out->size_bytes = header_bytes(a->arena, &a->outcome->message.header) + a->applied->body_bytes;
}

int account_give(const struct account *a, struct err *err)
{
	struct audit_entry entry = {
		.at = clock_now(&clock_system), .envelope = a->envelope, .outcome = a->outcome,
		.header = &a->message->header, .attempt = a->attempt, .config = conf_sha256(a->site->conf),
		.token = a->token, .ms = a->ms,
	};
	struct audit_message *out = NULL;

	if (a->site->settings.audit.path == NULL)
		return 0;
	out = arena_array(a->arena, 1 + a->copy_count, sizeof(*out));
	if (out == NULL)
		return err_memory(err);
	if (describe_in(a, &entry.in, err) != 0)
		return -1;
	describe_original(a, &entry.in, &out[0]);
	for (size_t i = 0; i < a->copy_count; i++)
		out[1 + i] = a->copies[i];
	entry.out = out;
	entry.out_count = a->outcome->action == ACTION_ACCEPT ? 1 + a->copy_count : 0;
	if (audit_evidence_keep(a->recorder, a->outcome, err) != 0)
		return -1;
	return audit_record(a->recorder, &entry, err);
}
