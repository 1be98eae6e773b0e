/* canon.c - cuts the message's body into pieces: ranges that stay, headers and leaves that are written anew. The entity
 * is their concatenation, made while it is read; no piece is open but the one being read.
 *
 * What a part is was found by mime.c. Signing and encrypting are smime's. RFC 8551 3.1, RFC 1847 2.1, RFC 2045 6.4.
 */
#include "mail/canon.h"

#include <stdlib.h>
#include <string.h>

/* What no transport is bound to keep. */
#define FRAGILE ((unsigned)(MIME_8BIT | MIME_NUL | MIME_BARE_CR_LF | MIME_LONG_LINE))
#define FRAGILE_HEADER ((unsigned)(MIME_HEADER_8BIT | MIME_HEADER_LONG))
#define LINE_MAX_OCTETS 998

enum leaf_plan { LEAF_KEEP, LEAF_RECODE, LEAF_STUCK };

struct pieces {
	const struct body **items;
	size_t n;
};

struct build {
	struct arena *arena;
	const struct message *message;
	bool clear;			/* for clear signing */
	bool seven_bit;
	struct pieces *pieces;
	uint64_t cursor;		/* all of the body before it has been dealt with */
};

/* ---- the entity as a body ---- */

struct pieces_reader {
	const struct pieces *pieces;
	size_t at;
	struct stream *current;
};

static ssize_t pieces_read(void *self, void *p, size_t n, struct err *err)
{
	struct pieces_reader *reader = self;
	ssize_t got = 0;

	while (reader->at < reader->pieces->n) {
		if (reader->current == NULL)
			reader->current = body_open(reader->pieces->items[reader->at], err);
		if (reader->current == NULL)
			return -1;
		got = stream_read(reader->current, p, n, err);
		if (got != 0)
			return got;
		stream_close(reader->current);
		reader->current = NULL;
		reader->at++;
	}
	return 0;
}

static void pieces_close(void *self)
{
	struct pieces_reader *reader = self;

	stream_close(reader->current);
	free(reader);
}

static const struct stream_class pieces_stream_class = { pieces_read, pieces_close };

static struct stream *pieces_open(const void *self, uint64_t offset, struct err *err)
{
	struct pieces_reader *reader = calloc(1, sizeof(*reader));

	(void)offset;
	if (reader == NULL) {
		err_memory(err);
		return NULL;
	}
	reader->pieces = self;
	return stream_new(&pieces_stream_class, reader, err);
}

static const struct body_class pieces_class = { pieces_open, false };

static uint64_t pieces_size(const struct pieces *pieces)
{
	uint64_t size = 0;

	for (size_t i = 0; i < pieces->n; i++) {
		if (pieces->items[i]->size_bytes == BODY_SIZE_UNKNOWN)
			return BODY_SIZE_UNKNOWN;
		size += pieces->items[i]->size_bytes;
	}
	return size;
}

/* Takes body, NULL meaning that there was no memory for it. */
static int piece_add(struct build *build, const struct body *body, struct err *err)
{
	struct pieces *pieces = build->pieces;
	const struct body **items = pieces->items;

	if (body == NULL)
		return err_memory(err);
	if ((pieces->n & (pieces->n - 1)) == 0) {	/* full at each power of two */
		items = arena_array(build->arena, pieces->n == 0 ? 1 : 2 * pieces->n, sizeof(*items));
		if (items == NULL)
			return err_memory(err);
		if (pieces->n > 0)
			memcpy(items, pieces->items, pieces->n * sizeof(*items));
		pieces->items = items;
	}
	pieces->items[pieces->n++] = body;
	return 0;
}

/* The original bytes up to `to` stay. */
static int keep_until(struct build *build, uint64_t to, struct err *err)
{
	uint64_t from = build->cursor;

	if (to <= from)
		return 0;
	build->cursor = to;
	return piece_add(build, body_range(build->arena, build->message->body, from, to - from), err);
}

/* bytes take the place of from .. to. */
static int replace(struct build *build, uint64_t from, uint64_t to, struct slice bytes, struct err *err)
{
	if (keep_until(build, from, err) < 0)
		return -1;
	build->cursor = to;
	return piece_add(build, body_from_slice(build->arena, bytes), err);
}

/* ---- leaves ---- */

struct recoded {
	const struct body *source;
	enum transfer_encoding from, to;
	bool text;
};

static struct stream *recoded_open(const void *self, uint64_t offset, struct err *err)
{
	const struct recoded *recoded = self;
	struct stream *plain = decode_transfer(body_open(recoded->source, err), recoded->from, err);

	(void)offset;
	if (recoded->to == CTE_BASE64)
		return encode_base64(plain, err);
	return encode_quoted_printable(plain, recoded->text, err);
}

static const struct body_class recoded_class = { recoded_open, false };

/* What a leaf is encoded as when it cannot stay. */
static enum transfer_encoding target(const struct mime_part *part)
{
	if (part->encoding == CTE_BASE64 || part->encoding == CTE_QUOTED_PRINTABLE)
		return part->encoding;
	if ((mime_is(part, "text/") || mime_is(part, "message/")) && (part->traits & MIME_NUL) == 0)
		return CTE_QUOTED_PRINTABLE;
	return CTE_BASE64;
}

static const struct body *leaf_recoded(struct build *build, const struct mime_part *part)
{
	struct recoded *recoded = arena_alloc(build->arena, sizeof(*recoded));

	if (recoded == NULL)
		return NULL;
	recoded->source = mime_body(build->arena, build->message, part);
	recoded->from = part->encoding;
	recoded->to = target(part);
	recoded->text = mime_is(part, "text/") || mime_is(part, "message/");
	if (recoded->source == NULL)
		return NULL;
	return body_new(build->arena, &recoded_class, recoded, BODY_SIZE_UNKNOWN);
}

/* Types that may not be encoded (RFC 2045 6.4, RFC 2046 5.2), and encodings nobody knows. */
static bool is_stuck(const struct mime_part *part)
{
	return part->encoding == CTE_UNKNOWN || mime_is(part, "multipart/") || mime_is(part, "message/partial") ||
	       mime_is(part, "message/external-body");
}

static enum leaf_plan leaf_plan(const struct build *build, const struct mime_part *part)
{
	unsigned wanted = FRAGILE | (build->clear ? (unsigned)(MIME_TRAILING_BLANK | MIME_FROM_LINE) : 0U);

	if ((part->traits & wanted) == 0)
		return LEAF_KEEP;
	return is_stuck(part) ? LEAF_STUCK : LEAF_RECODE;
}

/* ---- what can be said of a part and all below ---- */

static bool is_protected(const struct mime_part *part)
{
	return mime_is(part, "multipart/signed") || mime_is(part, "multipart/encrypted");
}

/* Traits of a part and all below it. */
static unsigned all_traits(const struct mime_part *part)
{
	unsigned traits = part->traits;

	for (const struct mime_part *child = part->child; child != NULL; child = child->next)
		traits |= all_traits(child);
	return traits;
}

/* A CR that ends no line cannot be mended in a header. */
static bool has_bare_cr(const struct header *header)
{
	for (size_t i = 0; i < header->n; i++) {
		struct slice raw = header->fields[i].raw;

		for (size_t k = 0; k < raw.n; k++) {
			if (raw.p[k] == '\r' && (k + 1 == raw.n || raw.p[k + 1] != '\n'))
				return true;
		}
	}
	return false;
}

static bool header_safe(const struct mime_part *part)
{
	if ((part->traits & FRAGILE_HEADER) != 0)
		return false;
	return (part->traits & MIME_HEADER_BARE) == 0 || !has_bare_cr(&part->header);
}

/* True if the delimiter lines can be written anew. */
static bool boundary_safe(const struct mime_part *part)
{
	for (size_t i = 0; i < part->boundary.n; i++) {
		if (part->boundary.p[i] < ' ' || part->boundary.p[i] > '~')
			return false;
	}
	return part->child != NULL;
}

static bool glue_safe(const struct mime_part *part)
{
	return (part->traits & FRAGILE) == 0 || boundary_safe(part);
}

/* True if all of part will survive transport, as it is or as it will be written. */
static bool part_safe(const struct build *build, const struct mime_part *part)
{
	if (is_protected(part))
		return (all_traits(part) & (FRAGILE | FRAGILE_HEADER | MIME_HEADER_BARE)) == 0;
	if (part->depth > 0 && !header_safe(part))
		return false;
	if (part->child == NULL)
		return leaf_plan(build, part) != LEAF_STUCK;
	if (!glue_safe(part))
		return false;
	for (const struct mime_part *child = part->child; child != NULL; child = child->next) {
		if (!part_safe(build, child))
			return false;
	}
	return true;
}

/* The transfer encoding to declare: CTE_UNKNOWN means the field, or its absence, stays. */
static enum transfer_encoding declared(const struct build *build, const struct mime_part *part)
{
	bool wide = part->encoding == CTE_8BIT || part->encoding == CTE_BINARY;

	if (is_protected(part))
		return CTE_UNKNOWN;
	if (part->child == NULL && leaf_plan(build, part) == LEAF_RECODE)
		return target(part);
	if (!wide || !part_safe(build, part) || (!build->clear && (all_traits(part) & FRAGILE) == 0))
		return CTE_UNKNOWN;
	return CTE_7BIT;
}

/* ---- headers ---- */

/* Appends raw with CRLF for each lone LF and at its end. -1: memory. */
static int append_lines(struct buf *out, struct slice raw)
{
	for (size_t i = 0; i < raw.n; i++) {
		if (raw.p[i] == '\n' && (i == 0 || raw.p[i - 1] != '\r') && buf_append_char(out, '\r') < 0)
			return -1;
		if (buf_append_char(out, raw.p[i]) < 0)
			return -1;
	}
	return raw.n > 0 && raw.p[raw.n - 1] == '\n' ? 0 : buf_append_text(out, "\r\n");
}

static int append_encoding(struct buf *out, enum transfer_encoding encoding)
{
	return buf_printf(out, "Content-Transfer-Encoding: %s\r\n", encode_cte_name(encoding));
}

/* Appends the fields of header (content: the Content-* ones alone), encoding declared unless CTE_UNKNOWN. */
static int append_fields(struct buf *out, const struct header *header, bool content, enum transfer_encoding encoding)
{
	bool said = encoding == CTE_UNKNOWN;

	for (size_t i = 0; i < header->n; i++) {
		const struct field *field = &header->fields[i];
		bool ours = encoding != CTE_UNKNOWN && field_is(field, "Content-Transfer-Encoding");

		if (content && !field_is_content(field))
			continue;
		if (!ours && append_lines(out, field->raw) < 0)
			return -1;
		if (ours && !said && append_encoding(out, encoding) < 0)
			return -1;
		said |= ours;
	}
	return said ? 0 : append_encoding(out, encoding);
}

/* Ends the header in out as that of part ends: with an empty line, or without, or, where a delimiter line follows at
 * once, even without the line end of its last field. -1: memory. */
static int end_header(struct buf *out, const struct mime_part *part)
{
	uint64_t fields = 0, range = part->body_start - part->start;

	for (size_t i = 0; i < part->header.n; i++)
		fields += part->header.fields[i].raw.n;
	if (range > fields || part->body_end > part->body_start)
		return buf_append_text(out, "\r\n");
	if (range < fields && out->n >= 2)
		out->n -= 2;
	return 0;
}

/* Writes the header of a part (not the top level's) anew where it has to change. */
static int header_rewrite(struct build *build, const struct mime_part *part, enum transfer_encoding encoding,
			  struct err *err)
{
	struct buf out = { NULL, 0, 0, 0 };
	struct slice bytes = { NULL, 0 };

	if (encoding == CTE_UNKNOWN && ((part->traits & MIME_HEADER_BARE) == 0 || !header_safe(part)))
		return 0;
	buf_init(&out, 0);
	if (append_fields(&out, &part->header, false, encoding) == 0 && end_header(&out, part) == 0)
		bytes = arena_copy(build->arena, buf_slice(&out));
	buf_clear(&out);
	if (bytes.p == NULL)
		return err_memory(err);
	return replace(build, part->start, part->body_start, bytes, err);
}

static bool line_too_long(struct slice raw)
{
	size_t length = 0;

	for (size_t i = 0; i < raw.n; i++) {
		length = raw.p[i] == '\n' ? 0 : length + 1;
		if (length > LINE_MAX_OCTETS + 1)	/* its CR has been counted */
			return true;
	}
	return false;
}

/* Looks at the fields that move inside from the top level as mime.c does at those of parts. */
static bool content_fields_safe(const struct header *header)
{
	for (size_t i = 0; i < header->n; i++) {
		const struct field *field = &header->fields[i];
		struct header one = { &header->fields[i], 1 };

		if (!field_is_content(field))
			continue;
		for (size_t k = 0; k < field->raw.n; k++) {
			if ((unsigned char)field->raw.p[k] > 0x7f || field->raw.p[k] == '\0')
				return false;
		}
		if (line_too_long(field->raw) || has_bare_cr(&one))
			return false;
	}
	return true;
}

/* The entity's own header: Content-* fields and the empty line. */
static int top_header(struct build *build, const struct mime_part *root, struct err *err)
{
	struct buf out = { NULL, 0, 0, 0 };
	struct slice bytes = { NULL, 0 };
	const char *charset = (root->traits & MIME_8BIT) != 0 ? "unknown-8bit" : "us-ascii";
	bool good = true;

	buf_init(&out, 0);
	if (!root->type_given)
		good = buf_printf(&out, "Content-Type: text/plain; charset=%s\r\n", charset) == 0;
	good = good && append_fields(&out, &root->header, true, declared(build, root)) == 0;
	if (good && buf_append_text(&out, "\r\n") == 0)
		bytes = arena_copy(build->arena, buf_slice(&out));
	buf_clear(&out);
	if (bytes.p == NULL)
		return err_memory(err);
	build->seven_bit &= content_fields_safe(&root->header);
	return piece_add(build, body_from_slice(build->arena, bytes), err);
}

/* ---- parts ---- */

/* A delimiter line of part, written anew in place of from .. to. */
static int delimiter_write(struct build *build, const struct mime_part *part, uint64_t from, uint64_t to, bool first,
			   bool last, struct err *err)
{
	char *text = arena_printf(build->arena, "%s--%.*s%s\r\n", first ? "" : "\r\n", SLICE_ARGS(part->boundary),
				  last ? "--" : "");

	return text == NULL ? err_memory(err) : replace(build, from, to, slice_of(text), err);
}

static int part_write(struct build *build, const struct mime_part *part, struct err *err);

/* Children with what stands between them, from .. to. */
static int children_write(struct build *build, const struct mime_part *part, uint64_t from, uint64_t to,
			  struct err *err)
{
	bool anew = part->boundary.n > 0 && (part->traits & FRAGILE) != 0 && boundary_safe(part);

	for (const struct mime_part *child = part->child; child != NULL; child = child->next) {
		if (anew && delimiter_write(build, part, from, child->start, child == part->child, false, err) < 0)
			return -1;
		if (part_write(build, child, err) < 0 || keep_until(build, child->body_end, err) < 0)
			return -1;
		from = child->body_end;
	}
	if (anew && part->closed)
		return delimiter_write(build, part, from, to, false, true, err);
	return 0;
}

static int leaf_write(struct build *build, const struct mime_part *part, struct err *err)
{
	if (leaf_plan(build, part) != LEAF_RECODE)
		return 0;
	if (keep_until(build, part->body_start, err) < 0)
		return -1;
	build->cursor = part->body_end;
	return piece_add(build, leaf_recoded(build, part), err);
}

/* Depth of recursion: mime.c's limit. */
static int part_write(struct build *build, const struct mime_part *part, struct err *err)
{
	if (is_protected(part))
		return 0;
	if (header_rewrite(build, part, declared(build, part), err) < 0)
		return -1;
	if (part->child == NULL)
		return leaf_write(build, part, err);
	return children_write(build, part, part->body_start, part->body_end, err);
}

static int top_write(struct build *build, const struct mime_part *root, struct err *err)
{
	bool cut = root->content_end > root->content_start;
	uint64_t from = cut ? root->content_start : root->body_start;
	uint64_t to = cut ? root->content_end : root->body_end;
	int result = 0;

	if (top_header(build, root, err) < 0)
		return -1;
	build->cursor = from;
	if (root->child == NULL)
		result = leaf_write(build, root, err);
	else if (!is_protected(root))
		result = children_write(build, root, from, to, err);
	return result < 0 ? -1 : keep_until(build, to, err);
}

static int check_duplicates(const struct header *header, struct err *err)
{
	static const char *const names[] = { "Content-Type", "Content-Transfer-Encoding" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (header_count(header, names[i]) > 1)
			return err_set(err, ERR_MESSAGE, "RFC 2045 3: several %s fields", names[i]);
	}
	return 0;
}

int canon_make(struct arena *arena, const struct message *message, const struct mime *mime, bool for_clear_signing,
	       struct canon *canon, struct err *err)
{
	struct build build = { arena, message, for_clear_signing, true, NULL, 0 };

	if (check_duplicates(&message->header, err) < 0)
		return -1;
	if (header_outside(arena, &message->header, &canon->outside) < 0)
		return err_memory(err);
	build.pieces = arena_alloc(arena, sizeof(*build.pieces));
	if (build.pieces == NULL)
		return err_memory(err);
	build.seven_bit = part_safe(&build, mime->root);
	if (top_write(&build, mime->root, err) < 0)
		return -1;
	canon->seven_bit = build.seven_bit;
	canon->entity = body_new(arena, &pieces_class, build.pieces, pieces_size(build.pieces));
	return canon->entity == NULL ? err_memory(err) : 0;
}
