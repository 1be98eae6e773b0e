/* message.c - messages as bytes and bytes as messages. What stands in the body is mime.c's. Called by the gate, by
 * smimectl and by steps that need the wire form. RFC 5322 2.1.
 */
#include "mail/message.h"

#include <string.h>

static bool ends_line(struct slice raw)
{
	return raw.n > 0 && raw.p[raw.n - 1] == '\n';
}

struct slice message_header_bytes(struct arena *arena, const struct header *header)
{
	size_t room = 3, n = 0;
	char *out = NULL;

	for (size_t i = 0; i < header->n; i++)
		room += header->fields[i].raw.n + 2;
	out = arena_alloc(arena, room);
	if (out == NULL)
		return slice_make(NULL, 0);
	for (size_t i = 0; i < header->n; i++) {
		struct slice raw = header->fields[i].raw;

		memcpy(out + n, raw.p, raw.n);
		n += raw.n;
		if (!ends_line(raw)) {
			memcpy(out + n, "\r\n", 2);
			n += 2;
		}
	}
	memcpy(out + n, "\r\n", 2);
	return slice_make(out, n + 2);
}

struct stream *message_open(struct arena *arena, const struct message *message, struct err *err)
{
	struct slice bytes = message_header_bytes(arena, &message->header);
	struct stream *parts[2] = { NULL, NULL };

	if (bytes.p == NULL) {
		err_memory(err);
		return NULL;
	}
	parts[0] = stream_from_slice(bytes, err);
	if (parts[0] == NULL)
		return NULL;
	parts[1] = body_open(message->body, err);
	return stream_concat(parts, 2, err);
}

int message_parse(struct arena *arena, struct slice bytes, const struct header_limits *limits, struct message *message,
		  struct err *err)
{
	size_t consumed = 0;

	if (header_parse(arena, bytes, limits, &message->header, &consumed, err) < 0)
		return -1;
	message->body = body_from_slice(arena, slice_from(bytes, consumed));
	return message->body == NULL ? err_memory(err) : 0;
}

/* Behind an mbox line, if one stands first. */
static struct slice mbox_skip(struct slice bytes)
{
	long lf = slice_find(bytes, '\n');

	if (lf < 0 || bytes.n < 5 || memcmp(bytes.p, "From ", 5) != 0)
		return bytes;
	return slice_from(bytes, (size_t)lf + 1);
}

/* Appends bytes, each lone LF as CRLF. */
static int append_crlf(struct buf *out, struct slice bytes)
{
	while (bytes.n > 0) {
		long lf = slice_find(bytes, '\n');
		size_t line = lf < 0 ? bytes.n : (size_t)lf;
		bool whole = lf > 0 && bytes.p[lf - 1] == '\r';

		if (buf_append(out, bytes.p, line) < 0)
			return -1;
		if (lf >= 0 && buf_append_text(out, whole ? "\n" : "\r\n") < 0)
			return -1;
		bytes = slice_from(bytes, lf < 0 ? bytes.n : (size_t)lf + 1);
	}
	return 0;
}

int message_from_file_bytes(struct slice bytes, struct buf *out, struct err *err)
{
	struct slice text = mbox_skip(bytes);
	long lf = slice_find(text, '\n');
	bool lone = lf == 0 || (lf > 0 && text.p[lf - 1] != '\r');
	int result = lone ? append_crlf(out, text) : buf_append_slice(out, text);

	if (result < 0)
		return err_set(err, ERR_LIMIT, "message over %zu bytes", out->limit_bytes);
	return 0;
}
