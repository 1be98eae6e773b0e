/* canon_split.c - header fields outside, Content-* fields and body inside: for messages that our own steps made. */
#include "mail/canon.h"

struct split {
	struct slice head;		/* Content-* fields and the empty line */
	const struct body *body;
};

static struct stream *split_open(const void *self, uint64_t offset, struct err *err)
{
	const struct split *split = self;
	struct stream *parts[2];

	(void)offset;
	parts[0] = stream_from_slice(split->head, err);
	parts[1] = parts[0] != NULL ? body_open(split->body, err) : NULL;
	return stream_concat(parts, 2, err);
}

static const struct body_class split_class = { .open = split_open, .seekable = false };

static struct slice content_head(struct arena *arena, const struct header *header)
{
	struct slice head = { NULL, 0 };
	struct buf bytes;
	size_t i;
	int bad = 0;

	buf_init(&bytes, 0);
	for (i = 0; i < header->n; i++)
		if (field_is_content(&header->fields[i]))
			bad |= buf_append_slice(&bytes, header->fields[i].raw);
	bad |= buf_append_text(&bytes, "\r\n");
	if (bad == 0)
		head = arena_copy(arena, buf_slice(&bytes));
	buf_clear(&bytes);
	return head;
}

int canon_split(struct arena *arena, const struct message *message, struct canon *canon, struct err *err)
{
	struct split *split = arena_alloc(arena, sizeof(*split));

	if (split == NULL || header_outside(arena, &message->header, &canon->outside) != 0)
		return err_memory(err);
	split->head = content_head(arena, &message->header);
	split->body = message->body;
	canon->entity = body_new(arena, &split_class, split, BODY_SIZE_UNKNOWN);
	canon->seven_bit = true;
	return split->head.p != NULL && canon->entity != NULL ? 0 : err_memory(err);
}
