/* view_gmime.c - GMime's reading of a message, by its public functions alone; it stands for the mail readers that
 * people have. The one place that knows GMime. Called by tests/fuzz/differential.c.
 */
#include "view.h"

#include <gmime/gmime.h>
#include <string.h>

#include "fuzz/fuzz.h"

/* GMime 3.2.13 loses a string over some addresses; builds with sanitizers ask this, others never. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libglib-2.0\n";
}

static struct slice copy(struct arena *arena, const char *text)
{
	return text == NULL ? slice_make(NULL, 0) : slice_of(arena_strdup(arena, text));
}

/* Without the line ends of folds, and trimmed. */
static struct slice unfold(struct arena *arena, const char *raw)
{
	struct slice value = slice_of(raw);
	char *out = arena_alloc(arena, value.n + 1);
	size_t n = 0;

	PROMISE(out != NULL);
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '\n') {
			n -= n > 0 && out[n - 1] == '\r' ? 1 : 0;
			continue;
		}
		out[n++] = value.p[i];
	}
	return slice_trim(slice_make(out, n));
}

static void field_add(struct arena *arena, GMimeHeader *header, struct view *view)
{
	const char *raw = g_mime_header_get_raw_value(header);
	struct view_field *field = &view->fields[view->field_count];

	if (view->field_count == VIEW_FIELDS)
		return;
	view->field_count++;
	field->name = copy(arena, g_mime_header_get_name(header));
	field->value = unfold(arena, raw != NULL ? raw : "");
}

/* GMime keeps the fields of the message and Content-* in two lists: as they stood. */
static void read_fields(struct arena *arena, GMimeMessage *message, struct view *view)
{
	GMimeObject *part = g_mime_message_get_mime_part(message);
	GMimeHeaderList *lists[2] = { g_mime_object_get_header_list(GMIME_OBJECT(message)),
				      part == NULL ? NULL : g_mime_object_get_header_list(part) };
	int at[2] = { 0, 0 }, n[2] = { g_mime_header_list_get_count(lists[0]),
				       part == NULL ? 0 : g_mime_header_list_get_count(lists[1]) };

	while (at[0] < n[0] || at[1] < n[1]) {
		GMimeHeader *next[2] = { NULL, NULL };
		int which = 0;

		for (int i = 0; i < 2; i++)
			next[i] = at[i] < n[i] ? g_mime_header_list_get_header_at(lists[i], at[i]) : NULL;
		which = next[0] == NULL ||
			(next[1] != NULL && g_mime_header_get_offset(next[1]) < g_mime_header_get_offset(next[0]));
		field_add(arena, next[which], view);
		at[which]++;
	}
}

/* The local part without its quotes, and the line ends of folds in them. */
static size_t local_copy(struct slice local, char *out)
{
	bool quoted = false;
	size_t n = 0;

	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '"') {
			quoted = !quoted;
			continue;
		}
		if (quoted && (local.p[i] == '\r' || local.p[i] == '\n'))
			continue;
		if (quoted && local.p[i] == '\\' && i + 1 < local.n)
			i++;
		out[n++] = local.p[i];
	}
	return n;
}

static struct slice mailbox_plain(struct arena *arena, InternetAddressMailbox *mailbox)
{
	struct slice text = slice_of(internet_address_mailbox_get_idn_addr(mailbox));
	long at = slice_find_last(text, '@');
	char *out = arena_alloc(arena, text.n + 1);
	struct slice domain = slice_from(text, at < 0 ? text.n : (size_t)at);
	size_t n = 0;

	PROMISE(out != NULL);
	n = local_copy(slice_first(text, at < 0 ? text.n : (size_t)at), out);
	if (domain.n > 0)
		memcpy(out + n, domain.p, domain.n);
	ascii_lower(out + n, domain.n);
	n += domain.n;
	if (domain.n > 2 && out[n - 1] == '.')
		n--;
	return slice_make(out, n);
}

static void read_list(struct arena *arena, InternetAddressList *list, struct view_mailboxes *mailboxes)
{
	int n = list == NULL ? 0 : internet_address_list_length(list);

	for (int i = 0; i < n; i++) {
		InternetAddress *address = internet_address_list_get_address(list, i);

		if (INTERNET_ADDRESS_IS_GROUP(address))
			read_list(arena, internet_address_group_get_members(INTERNET_ADDRESS_GROUP(address)),
				  mailboxes);
		else if (mailboxes->n < VIEW_MAILBOXES)
			mailboxes->items[mailboxes->n++] = mailbox_plain(arena, INTERNET_ADDRESS_MAILBOX(address));
	}
}

static void read_mailboxes(struct arena *arena, GMimeMessage *message, struct view *view)
{
	read_list(arena, g_mime_message_get_from(message), &view->mailboxes[VIEW_FROM]);
	read_list(arena, g_mime_message_get_sender(message), &view->mailboxes[VIEW_SENDER]);
	read_list(arena, g_mime_message_get_to(message), &view->mailboxes[VIEW_TO]);
	read_list(arena, g_mime_message_get_cc(message), &view->mailboxes[VIEW_CC]);
}

static struct slice stream_bytes(struct arena *arena, GMimeStream *stream)
{
	GByteArray *bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream));
	struct slice out = arena_copy(arena, slice_make(bytes->data, bytes->len));

	PROMISE(out.p != NULL);
	g_object_unref(stream);
	return out;
}

static struct slice object_bytes(struct arena *arena, GMimeObject *object)
{
	GMimeStream *stream = g_mime_stream_mem_new();

	g_mime_object_write_to_stream(object, NULL, stream);
	return view_canonical(arena, stream_bytes(arena, stream));
}

static const char *encoding_name(GMimeContentEncoding encoding)
{
	switch (encoding) {
	case GMIME_CONTENT_ENCODING_DEFAULT:
	case GMIME_CONTENT_ENCODING_7BIT: return "7bit";
	case GMIME_CONTENT_ENCODING_8BIT: return "8bit";
	case GMIME_CONTENT_ENCODING_BINARY: return "binary";
	case GMIME_CONTENT_ENCODING_BASE64: return "base64";
	case GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE: return "quoted-printable";
	default: return "unknown";
	}
}

static void read_leaf(struct arena *arena, GMimePart *part, struct view_part *out)
{
	GMimeDataWrapper *content = g_mime_part_get_content(part);
	GMimeStream *stream = g_mime_stream_mem_new(), *source = NULL;

	if (content != NULL) {
		source = g_mime_data_wrapper_get_stream(content);
		out->start = (size_t)source->bound_start;
		out->end = (size_t)source->bound_end;
		g_mime_data_wrapper_write_to_stream(content, stream);
	}
	out->encoding = slice_of(encoding_name(g_mime_part_get_content_encoding(part)));
	out->content = stream_bytes(arena, stream);
}

static struct slice type_of(struct arena *arena, GMimeContentType *type)
{
	char *text = g_mime_content_type_get_mime_type(type), *out = arena_strdup(arena, text);

	PROMISE(out != NULL);
	g_free(text);
	ascii_lower(out, strlen(out));
	return slice_of(out);
}

static void read_part(struct arena *arena, GMimeObject *object, unsigned depth, struct view *view);

static void read_children(struct arena *arena, GMimeObject *object, struct view *view, struct view_part *out)
{
	int n = GMIME_IS_MULTIPART(object) ? g_mime_multipart_get_count(GMIME_MULTIPART(object)) : 0;

	if (GMIME_IS_MESSAGE_PART(object)) {
		GMimeMessage *inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(object));

		out->form = VIEW_MESSAGE;
		if (inner != NULL && g_mime_message_get_mime_part(inner) != NULL)
			read_part(arena, g_mime_message_get_mime_part(inner), out->depth + 1, view);
	} else if (GMIME_IS_MULTIPART(object)) {
		out->form = VIEW_MULTIPART;
		for (int i = 0; i < n; i++)
			read_part(arena, g_mime_multipart_get_part(GMIME_MULTIPART(object), i), out->depth + 1, view);
	} else {
		read_leaf(arena, GMIME_PART(object), out);
	}
}

static void read_part(struct arena *arena, GMimeObject *object, unsigned depth, struct view *view)
{
	struct view_part *out = &view->parts[view->part_count];
	GMimeContentType *type = g_mime_object_get_content_type(object);

	if (view->part_count == VIEW_PARTS)
		return;
	view->part_count++;
	*out = (struct view_part){ .depth = depth, .type = type_of(arena, type) };
	for (size_t i = 0; i < VIEW_PARAMS; i++)
		out->params[i] = copy(arena, g_mime_content_type_get_parameter(type, view_param_names[i]));
	out->entity = object_bytes(arena, object);
	read_children(arena, object, view, out);
}

struct view *view_gmime(struct arena *arena, struct slice bytes)
{
	struct view *view = arena_alloc(arena, sizeof(*view));
	GMimeStream *stream = g_mime_stream_mem_new_with_buffer(bytes.n > 0 ? bytes.p : "", bytes.n);
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	GMimeMessage *message = NULL;

	g_mime_parser_set_format(parser, GMIME_FORMAT_MESSAGE);
	message = g_mime_parser_construct_message(parser, NULL);
	if (view != NULL && message == NULL)
		view->refused = "GMime reads no message";
	if (view != NULL && message != NULL) {
		read_fields(arena, message, view);
		read_mailboxes(arena, message, view);
		if (g_mime_message_get_mime_part(message) != NULL)
			read_part(arena, g_mime_message_get_mime_part(message), 0, view);
	}
	if (message != NULL)
		g_object_unref(message);
	g_object_unref(parser);
	g_object_unref(stream);
	return view;
}
