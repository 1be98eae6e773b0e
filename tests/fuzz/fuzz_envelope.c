/* fuzz_envelope.c - envelopes from a stranger, scanned in one piece and in drops: the outcome is the same, and what was
 * found lies within its limits.
 */
#include "fuzz.h"

#include <string.h>

#include "smime/prescan_envelope.h"

/* Reads come as short as they can. */
struct drops {
	struct slice rest;
};

static ssize_t drops_read(void *self, void *p, size_t n, struct err *err)
{
	struct drops *drops = self;

	(void)err;
	(void)n;
	if (drops->rest.n == 0)
		return 0;
	memcpy(p, drops->rest.p, 1);
	drops->rest = slice_from(drops->rest, 1);
	return 1;
}

static struct stream *open_drops(struct slice bytes)
{
	static const struct stream_class class = { .read = drops_read, .close = free };
	struct drops *drops = calloc(1, sizeof(*drops));

	PROMISE(drops != NULL);
	drops->rest = bytes;
	return stream_new(&class, drops, NULL);
}

static int scan(struct arena *arena, struct stream *stream, unsigned options, struct envelope *envelope, struct err *err)
{
	const struct envelope_limits limits = { .recipients = 20, .certificates = 8, .crls = 2,
						.legacy_ciphers = (options & 1) != 0,
						.line_end = (options & 4) != 0 };
	int rc;

	PROMISE(stream != NULL);
	*err = (struct err){ .class = ERR_NONE };
	rc = prescan_envelope(arena, stream, &limits, envelope, err);
	stream_close(stream);
	PROMISE((rc == 0) == (err->class == ERR_NONE));
	PROMISE(rc == 0 || err->class == ERR_MESSAGE || err->class == ERR_LIMIT);
	return rc;
}

static void check(const struct envelope *envelope, size_t size)
{
	PROMISE(envelope->recipient_count >= 1 && envelope->recipient_count <= 20);
	PROMISE(envelope->content_bytes <= size);
	PROMISE(!envelope->sealed || envelope->cipher_name != NULL);
	PROMISE(envelope->sealed || envelope->unsupported != NULL);
	for (size_t i = 0; i < envelope->recipient_count; i++) {
		const struct envelope_recipient *recipient = &envelope->recipients[i];

		PROMISE(recipient->kind != RECIPIENT_OTHER || envelope->unsupported != NULL);
		PROMISE(recipient->kind == RECIPIENT_OTHER || (recipient->issuer.n > 0) != (recipient->key_id.n > 0));
		PROMISE(recipient->info.n <= size && recipient->encrypted_key.n <= recipient->info.n);
	}
	if (envelope->authenticated && envelope->unsupported == NULL)
		PROMISE(envelope->mac.n >= 12 && envelope->mac.n <= 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(FUZZ_ARENA_BYTES);
	const unsigned options = size > 0 ? data[size - 1] : 0;
	struct slice bytes = slice_make(data, size);
	struct envelope whole, dropped;
	struct err err, again;
	int rc = scan(arena, stream_from_slice(bytes, NULL), options, &whole, &err);

	PROMISE(scan(arena, open_drops(bytes), options, &dropped, &again) == rc);
	PROMISE(strcmp(err.text, again.text) == 0);
	if (rc == 0) {
		PROMISE(whole.recipient_count == dropped.recipient_count && whole.sealed == dropped.sealed &&
			whole.content_bytes == dropped.content_bytes && whole.unsupported == dropped.unsupported);
		check(&whole, size);
	}
	arena_free(arena);
	return 0;
}
