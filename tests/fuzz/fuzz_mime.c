/* fuzz_mime.c - the MIME skeleton, the kind, and the canonical form that is signed. */
#include "fuzz.h"

#include "mail/canon.h"
#include "smime/kind.h"

static void check_part(struct arena *arena, const struct message *message, const struct mime_part *part,
		       uint64_t size_bytes)
{
	struct buf raw, decoded;

	PROMISE(part->start <= part->body_start && part->body_start <= part->body_end);
	PROMISE(part->body_end <= size_bytes);
	PROMISE(part->child == NULL || part->content_start <= part->content_end);
	buf_init(&raw, 0);
	buf_init(&decoded, 0);
	PROMISE(fuzz_read(mime_body(arena, message, part), &raw));
	PROMISE(raw.n == part->body_end - part->body_start);
	fuzz_read(mime_decoded(arena, message, part), &decoded);
	buf_clear(&raw);
	buf_clear(&decoded);
	for (const struct mime_part *child = part->child; child != NULL; child = child->next) {
		PROMISE(child->parent == part && child->start >= part->body_start && child->body_end <= part->body_end);
		check_part(arena, message, child, size_bytes);
	}
}

/* Short lines, 7 bits, CRLF: what survives every MTA. */
static void check_transportable(const struct buf *text)
{
	size_t column = 0;

	for (size_t i = 0; i < text->n; i++) {
		PROMISE(text->p[i] != 0 && text->p[i] < 128);
		PROMISE(text->p[i] != '\r' || (i + 1 < text->n && text->p[i + 1] == '\n'));
		PROMISE(text->p[i] != '\n' || (i > 0 && text->p[i - 1] == '\r'));
		column = text->p[i] == '\n' ? 0 : column + 1;
		PROMISE(column <= 999);
	}
}

/* The same each time it is read, and stable: the canonical form of what is canonical is itself. */
static void check_canon(struct arena *arena, const struct message *message, const struct mime *mime, bool clear)
{
	struct buf first, second;
	struct canon canon;
	struct err err;

	if (canon_make(arena, message, mime, clear, &canon, &err) != 0) {
		PROMISE(err.class == ERR_MESSAGE);
		return;
	}
	buf_init(&first, 0);
	buf_init(&second, 0);
	PROMISE(fuzz_read(canon.entity, &first) && fuzz_read(canon.entity, &second));
	PROMISE(slice_equal(buf_slice(&first), buf_slice(&second)));
	if (canon.seven_bit)
		check_transportable(&first);
	for (size_t i = 0; i < canon.outside.n; i++)
		PROMISE(!field_is_content(&canon.outside.fields[i]));
	buf_clear(&first);
	buf_clear(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(FUZZ_ARENA_BYTES);
	struct message message;
	struct mime mime;
	enum kind kind;
	bool only = false;
	struct err err = { .class = ERR_NONE };

	if (size <= 65536 && message_parse(arena, slice_make(data, size), &(struct header_limits){ 0 }, &message,
					   &err) == 0) {
		if (mime_parse(arena, &message, &(struct mime_limits){ .parts = 100 }, &mime, &err) == 0) {
			check_part(arena, &message, mime.root, message.body->size_bytes);
			PROMISE(kind_find(arena, &message, &mime, &kind, &err) == 0);
			PROMISE(kind_report_is_headers_only(arena, &message, &mime, &only, &err) == 0);
			check_canon(arena, &message, &mime, true);
			check_canon(arena, &message, &mime, false);
		} else {
			PROMISE(err.class == ERR_LIMIT);
		}
	}
	arena_free(arena);
	return 0;
}
