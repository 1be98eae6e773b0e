/* view_ours.c - the project's reading of a message: header.c, address.c, param.c, mime.c, encode.c, and what the
 * verdict rests on, verify_from.c and verify.c. Called by tests/fuzz/differential.c.
 */
#include "view.h"

#include "fuzz/fuzz.h"
#include "mail/address.h"
#include "mail/mime.h"
#include "smime/verify_internal.h"

const char *const view_param_names[VIEW_PARAMS] = { "boundary", "protocol", "micalg", "charset", "name" };
const char *const view_role_names[VIEW_ROLES] = { "From", "Sender", "To", "Cc" };

struct slice view_canonical(struct arena *arena, struct slice bytes)
{
	char *out = arena_alloc(arena, 2 * bytes.n + 1);
	size_t n = 0;

	PROMISE(out != NULL);
	for (size_t i = 0; i < bytes.n; i++) {
		if (bytes.p[i] == '\n' && (i == 0 || bytes.p[i - 1] != '\r'))
			out[n++] = '\r';
		out[n++] = bytes.p[i];
	}
	return slice_make(out, n);
}

static struct slice read_body(struct arena *arena, const struct body *body)
{
	struct buf *buf = arena_buf(arena, 0);

	PROMISE(body != NULL && buf != NULL && fuzz_read(body, buf));
	return buf_slice(buf);
}

static void read_fields(struct arena *arena, const struct header *header, struct view *view)
{
	for (size_t i = 0; i < header->n && i < VIEW_FIELDS; i++) {
		view->fields[i].name = header->fields[i].name;
		view->fields[i].value = field_unfold(arena, &header->fields[i]);
		view->field_count = i + 1;
	}
	if (header_breaks_oddly(header))
		view->doubts |= DOUBT_BREAKS;
}

static struct slice address_plain(struct arena *arena, const struct address *address)
{
	const char *text = arena_printf(arena, "%.*s%s%.*s", (int)address->local.n, address->local.p,
					address->domain.n > 0 ? "@" : "", (int)address->domain.n,
					address->domain.n > 0 ? address->domain.p : "");

	PROMISE(text != NULL);
	return slice_of(text);
}

static void read_list(struct arena *arena, const struct header *header, enum view_role role, struct view *view)
{
	struct view_mailboxes *mailboxes = &view->mailboxes[role];
	const struct field *field = NULL;
	struct address *list = NULL, address;
	enum mailbox_form form;
	size_t n = 0;

	for (size_t i = 0; (field = header_find(header, view_role_names[role], i)) != NULL; i++) {
		PROMISE(address_list(arena, field->value, &list, &n, NULL) == 0);
		PROMISE(address_single(arena, field->value, &address, &form, NULL) == 0);
		mailboxes->odd |= form == MAILBOX_AMBIGUOUS;
		for (size_t k = 0; k < n && mailboxes->n < VIEW_MAILBOXES; k++)
			mailboxes->items[mailboxes->n++] = address_plain(arena, &list[k]);
	}
}

/* Of From and Sender counts what the verdict takes them for. */
static void read_mailboxes(struct arena *arena, const struct header *header, struct view *view)
{
	struct from_binding binding;

	for (enum view_role role = VIEW_FROM; role < VIEW_ROLES; role++)
		read_list(arena, header, role, view);
	PROMISE(from_binding_read(arena, header, &binding, NULL) == 0);
	view->single[VIEW_FROM] = binding.single;
	view->single[VIEW_SENDER] = binding.sender_single;
	if (binding.single) {
		view->mailboxes[VIEW_FROM].items[0] = address_plain(arena, &binding.from);
		view->mailboxes[VIEW_FROM].n = 1;
	}
	if (binding.sender_single) {
		view->mailboxes[VIEW_SENDER].items[0] = address_plain(arena, &binding.sender);
		view->mailboxes[VIEW_SENDER].n = 1;
	}
}

static unsigned part_doubts(const struct mime_part *part)
{
	unsigned doubts = 0;

	if (part->type.malformed || part->type.duplicate)
		doubts |= DOUBT_TYPE;
	if (part->encoding == CTE_UNKNOWN)
		doubts |= DOUBT_ENCODING;
	if (header_breaks_oddly(&part->header))
		doubts |= DOUBT_BREAKS;
	if ((part->traits & MIME_FALSE_DELIMITER) != 0)
		doubts |= DOUBT_DELIMITER;
	if ((part->traits & (unsigned)(MIME_BARE_CR_LF | MIME_NUL | MIME_HEADER_BARE)) != 0)
		doubts |= DOUBT_LINES;
	return doubts;
}

/* body_start: of the message's body. */
static void read_part(struct arena *arena, const struct message *message, const struct mime_part *part,
		      size_t body_start, struct view *view)
{
	struct view_part *out = &view->parts[view->part_count];
	const struct field *type = header_find(&part->header, "Content-Type", 0);
	const struct field *encoding = header_find(&part->header, "Content-Transfer-Encoding", 0);

	if (view->part_count == VIEW_PARTS)
		return;
	view->part_count++;
	*out = (struct view_part){ .depth = part->depth, .type = part->type.value, .doubts = part_doubts(part) };
	out->entity_start = body_start + (size_t)part->start;
	out->start = body_start + (size_t)part->body_start;
	out->end = body_start + (size_t)part->body_end;
	out->form = mime_is(part, "multipart/") ? VIEW_MULTIPART : part->child != NULL ? VIEW_MESSAGE : VIEW_LEAF;
	out->encoding = slice_of(encode_cte_name(part->encoding));
	out->type_source = type != NULL ? type->value : slice_make("", 0);
	out->encoding_source = encoding != NULL ? encoding->value : slice_make("", 0);
	for (size_t i = 0; i < VIEW_PARAMS; i++)
		out->params[i] = param_get(&part->type, view_param_names[i]);
	out->entity = view_canonical(arena, read_body(arena, mime_entity(arena, message, part)));
	if (out->form == VIEW_LEAF)
		out->content = read_body(arena, mime_decoded(arena, message, part));
	for (const struct mime_part *child = part->child; child != NULL; child = child->next)
		read_part(arena, message, child, body_start, view);
}

/* The outermost layer, where it could be read and is said to speak of the whole message. */
static void read_cover(struct arena *arena, const struct message *message, const struct mime *mime, struct view *view)
{
	const struct verify_env env = {
		.at = 1790000000,
		.limits = { .object_bytes = 1 << 20, .signer_infos = 16, .certificates = 64, .cms_layers = 5 }
	};
	struct layer_list layers;

	PROMISE(verify_message(arena, message, mime, &env, &layers, NULL) == 0);
	if (layers.n == 0 || !layers.items[0].known || !layers.items[0].covers_message)
		return;
	view->cover = mime_is(mime->root, "multipart/") ? COVER_CLEAR : COVER_OPAQUE;
}

static void read_skeleton(struct arena *arena, const struct message *message, size_t body_start, struct view *view)
{
	const struct mime_limits limits = { .depth = 20, .parts = VIEW_PARTS };
	struct mime mime;
	struct err err = { .class = ERR_NONE };

	if (mime_parse(arena, message, &limits, &mime, &err) != 0) {
		PROMISE(err.class == ERR_LIMIT);
		view->skeleton_refused = arena_strdup(arena, err.text);
		return;
	}
	view->doubts |= (mime.facts & MIME_MALFORMED ? DOUBT_MALFORMED : 0U) |
			(mime.facts & MIME_DUPLICATE ? DOUBT_DUPLICATE : 0U);
	read_part(arena, message, mime.root, body_start, view);
	read_cover(arena, message, &mime, view);
}

struct view *view_ours(struct arena *arena, struct slice bytes)
{
	struct view *view = arena_alloc(arena, sizeof(*view));
	const struct header_limits limits = { .fields = VIEW_FIELDS };
	struct message message;
	struct err err = { .class = ERR_NONE };

	if (view == NULL)
		return NULL;
	if (message_parse(arena, bytes, &limits, &message, &err) != 0) {
		view->refused = arena_strdup(arena, err.text);
		return view;
	}
	read_fields(arena, &message.header, view);
	read_mailboxes(arena, &message.header, view);
	read_skeleton(arena, &message, bytes.n - (size_t)message.body->size_bytes, view);
	return view;
}
