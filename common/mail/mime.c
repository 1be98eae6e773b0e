/* mime.c - the skeleton: reads a body once, line by line, and notes where parts begin and end.
 *
 * A delimiter line counts only if nothing but blanks follows the boundary, so that a boundary that begins another one
 * is no danger; of the enclosing multiparts the innermost open one that knows the line takes it. How lines are looked
 * at is mime_line.c's, what is done with parts is canon.c's and smime's. RFC 2045, 2046. One scan, one thread.
 */
#include "mail/mime.h"

#include <string.h>

#include "mail/mime_scan.h"

#define DEPTH_PRESET 20
#define PARTS_PRESET 1000
#define HEADER_PRESET 65536

static bool is_multipart(const struct mime_part *part)
{
	return mime_is(part, "multipart/");
}

/* A multipart whose own delimiters may still come. */
static bool is_open(const struct mime_part *part)
{
	return part->boundary.n > 0 && !part->closed;
}

/* "type/subtype", both there. */
static bool is_type(struct slice value)
{
	long slash = slice_find(value, '/');

	return slash > 0 && (size_t)slash + 1 < value.n && slice_find(slice_from(value, (size_t)slash + 1), '/') < 0;
}

static const char *default_type(const struct mime_part *part)
{
	return part->parent != NULL && mime_is(part->parent, "multipart/digest") ? "message/rfc822" : "text/plain";
}

static int type_read(struct mime_scan *scan, struct mime_part *part, struct err *err)
{
	const struct field *type = header_find(&part->header, "Content-Type", 0);

	part->type_given = type != NULL;
	if (type != NULL && param_parse(scan->arena, type->value, &part->type, err) < 0)
		return -1;
	if (!is_type(part->type.value)) {
		part->type.malformed = type != NULL;
		part->type.value = slice_of(default_type(part));
	}
	return 0;
}

/* The boundary of a multipart, blanks at its end cut as transport may cut them. Empty: unusable. */
static void boundary_read(struct mime_scan *scan, struct mime_part *part)
{
	struct slice boundary = param_get(&part->type, "boundary");

	while (boundary.n > 0 && (boundary.p[boundary.n - 1] == ' ' || boundary.p[boundary.n - 1] == '\t')) {
		scan->mime->facts |= MIME_MALFORMED;
		boundary.n--;
	}
	if (boundary.n == 0 || boundary.n > MIME_BOUNDARY_MAX || part->type.duplicate)
		scan->mime->facts |= MIME_MALFORMED;
	if (boundary.n > MIME_BOUNDARY_MAX)
		boundary.n = 0;
	for (struct mime_part *p = part->parent; p != NULL && boundary.n > 0; p = p->parent) {
		if (!is_open(p) || !slice_equal(p->boundary, boundary))
			continue;
		scan->mime->facts |= MIME_MALFORMED;
		p->traits |= MIME_FALSE_DELIMITER;
	}
	part->boundary = boundary;
}

/* Gives part what its header fields say. */
static int part_describe(struct mime_scan *scan, struct mime_part *part, struct err *err)
{
	const struct field *encoding = header_find(&part->header, "Content-Transfer-Encoding", 0);

	if (type_read(scan, part, err) < 0)
		return -1;
	part->encoding = encoding == NULL ? CTE_7BIT : encode_parse_cte(encoding->value);
	if (header_count(&part->header, "Content-Type") > 1 ||
	    header_count(&part->header, "Content-Transfer-Encoding") > 1)
		scan->mime->facts |= MIME_DUPLICATE;
	if (!is_multipart(part))
		return 0;
	boundary_read(scan, part);
	if (part->encoding == CTE_BASE64 || part->encoding == CTE_QUOTED_PRINTABLE)
		scan->mime->facts |= MIME_MALFORMED;
	return 0;
}

/* A new part behind the children of parent; it becomes the current one and its header is read next. */
static int part_open(struct mime_scan *scan, struct mime_part *parent, uint64_t start, struct err *err)
{
	struct mime_part *part = NULL, *last = parent->child;

	if (parent->depth + 1 > scan->limits.depth)
		return err_set(err, ERR_LIMIT, "mime_depth: parts nested over %zu deep", scan->limits.depth);
	if (scan->mime->parts >= scan->limits.parts)
		return err_set(err, ERR_LIMIT, "mime_parts: over %zu parts", scan->limits.parts);
	part = arena_alloc(scan->arena, sizeof(*part));
	if (part == NULL)
		return err_memory(err);
	if (scan->current->parent == parent)
		last = scan->current;
	while (last != NULL && last->next != NULL)
		last = last->next;
	if (last == NULL)
		parent->child = part;
	else
		last->next = part;
	part->parent = parent;
	part->depth = parent->depth + 1;
	part->number = last == NULL ? 1 : last->number + 1;
	part->start = part->body_start = start;
	scan->mime->parts++;
	scan->current = part;
	scan->in_header = true;
	buf_reset(&scan->head);
	scan->head_line = 0;
	return 0;
}

/* The header of the current part has ended and its body begins at body_start. Opens the message in a message. */
static int body_begin(struct mime_scan *scan, uint64_t body_start, struct err *err)
{
	struct mime_part *part = scan->current;

	part->body_start = body_start;
	scan->in_header = false;
	if (part_describe(scan, part, err) < 0)
		return -1;
	if (mime_is(part, "message/rfc822") && part->encoding != CTE_BASE64 && part->encoding != CTE_QUOTED_PRINTABLE)
		return part_open(scan, part, body_start, err);
	return 0;
}

/* The header of the current part is the first n bytes of head. */
static int header_end(struct mime_scan *scan, size_t n, uint64_t body_start, struct err *err)
{
	struct slice bytes = arena_copy(scan->arena, slice_first(buf_slice(&scan->head), n));
	size_t consumed = 0;

	if (bytes.p == NULL)
		return err_memory(err);
	if (header_parse(scan->arena, bytes, NULL, &scan->current->header, &consumed, err) < 0)
		return -1;
	return body_begin(scan, body_start, err);
}

static uint64_t min_offset(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* part's body ends at `end`. */
static void part_close(struct mime_scan *scan, struct mime_part *part, uint64_t end)
{
	part->start = min_offset(part->start, end);
	part->body_start = min_offset(part->body_start, end);
	part->body_end = end;
	if (is_multipart(part) && (!part->closed || part->child == NULL))
		scan->mime->facts |= MIME_MALFORMED;
	if (is_multipart(part) && !part->closed) {
		part->content_end = end;
		if (part->child == NULL)
			part->content_start = end;
	}
	part->content_start = min_offset(part->content_start, end);
	part->content_end = min_offset(part->content_end, end);
}

/* Closes the current part and those around it up to, not including, container (NULL: all). */
static int parts_close(struct mime_scan *scan, const struct mime_part *container, uint64_t end, struct err *err)
{
	const struct mime_part *outermost = scan->current;

	while (scan->in_header) {
		if (header_end(scan, scan->head.n, scan->line.start, err) < 0)
			return -1;
		buf_reset(&scan->head);
	}
	for (outermost = scan->current; outermost != container && outermost->parent != container;)
		outermost = outermost->parent;
	if (outermost != container && end < outermost->start)
		end = outermost->start;
	for (; scan->current != container; scan->current = scan->current->parent)
		part_close(scan, scan->current, end);
	return 0;
}

/* The line is a delimiter line of container (closing: its last one). */
static int delimiter(struct mime_scan *scan, struct mime_part *container, bool closing, struct err *err)
{
	const struct mime_line *line = &scan->line;
	uint64_t behind = line->start + line->length + line->end_bytes;
	struct mime_part *last = NULL;

	if (scan->in_header)
		scan->head.n = scan->head_line;
	for (struct mime_part *p = scan->current; p != container; p = p->parent)
		last = p;
	if (scan->current == container && container->child == NULL)
		container->content_start = line->start;
	if (parts_close(scan, container, line->start - scan->gap, err) < 0)
		return -1;
	container->traits |= line->traits | (scan->gap == 1 ? (unsigned)MIME_BARE_CR_LF : 0U);
	scan->current = last != NULL ? last : container;
	if (!closing) {
		container->traits |= line->end_bytes == 1 ? (unsigned)MIME_BARE_CR_LF : 0U;
		scan->gap = 0;
		scan->gap_bare = false;
		return part_open(scan, container, behind, err);
	}
	container->closed = true;
	container->content_end = behind;
	scan->current = container;
	scan->gap = line->end_bytes;
	scan->gap_bare = line->end_bytes == 1;
	return 0;
}

/* The innermost open multipart that takes the line for a delimiter; *closing as found. NULL: none. */
static struct mime_part *delimited(const struct mime_scan *scan, bool *closing)
{
	struct mime_part *part = NULL;

	if (scan->line.prefix_n < 3 || memcmp(scan->line.prefix, "--", 2) != 0)
		return NULL;
	for (part = scan->current; part != NULL; part = part->parent) {
		int found = is_open(part) ? mime_line_delimiter(&scan->line, part->boundary) : 0;

		*closing = found == 2;
		if (found == 1 || found == 2)
			return part;
		part->traits |= found == 3 ? (unsigned)MIME_FALSE_DELIMITER : 0U;
	}
	return NULL;
}

static void header_line_traits(struct mime_scan *scan)
{
	const struct mime_line *line = &scan->line;
	unsigned traits = 0;

	if ((line->traits & (MIME_8BIT | MIME_NUL)) != 0)
		traits |= MIME_HEADER_8BIT;
	if ((line->traits & MIME_LONG_LINE) != 0)
		traits |= MIME_HEADER_LONG;
	if ((line->traits & MIME_BARE_CR_LF) != 0 || line->end_bytes == 1)
		traits |= MIME_HEADER_BARE;
	scan->current->traits |= traits;
}

static int line_take(struct mime_scan *scan, struct err *err);

/* One line of the current part's header. */
static int header_line(struct mime_scan *scan, struct err *err)
{
	const struct mime_line *line = &scan->line;
	struct slice text = slice_from(buf_slice(&scan->head), scan->head_line);
	bool fold = text.n > 0 && (text.p[0] == ' ' || text.p[0] == '\t') && scan->head_line > 0;
	size_t n = scan->head_line;

	if (line->length == 0) {
		if (line->end_bytes == 1)
			scan->current->traits |= MIME_HEADER_BARE;
		if (header_end(scan, n, line->start + line->end_bytes, err) < 0)
			return -1;
		buf_reset(&scan->head);
		scan->head_line = 0;
		return 0;
	}
	if (fold || header_is_field_line(text)) {
		header_line_traits(scan);
		scan->head_line = scan->head.n;
		return 0;
	}
	/* Neither field nor fold: most readers let the body begin here, and nothing is lost that way. */
	scan->mime->facts |= MIME_MALFORMED;
	if (header_end(scan, n, line->start, err) < 0)
		return -1;
	return line_take(scan, err);
}

/* Readers that look at the beginning of a line only, or go on behind the closing delimiter, would find a part here. */
static bool is_false_delimiter(const struct mime_line *line, struct slice boundary)
{
	return boundary.n > 0 && line->prefix_n >= boundary.n + 2 && memcmp(line->prefix, "--", 2) == 0 &&
	       memcmp(line->prefix + 2, boundary.p, boundary.n) == 0;
}

/* Puts a complete line where it belongs. */
static int line_take(struct mime_scan *scan, struct err *err)
{
	if (scan->in_header)
		return header_line(scan, err);
	scan->current->traits |= scan->line.traits | (scan->gap_bare ? (unsigned)MIME_BARE_CR_LF : 0U);
	if (is_false_delimiter(&scan->line, scan->current->boundary))
		scan->current->traits |= MIME_FALSE_DELIMITER;
	scan->gap_bare = scan->line.end_bytes == 1;
	return 0;
}

static int line_end(struct mime_scan *scan, bool lf, struct err *err)
{
	struct mime_part *container = NULL;
	bool closing = false;
	int result = 0;

	mime_line_end(&scan->line, lf);
	container = delimited(scan, &closing);
	if (container != NULL) {
		result = delimiter(scan, container, closing, err);
	} else {
		result = line_take(scan, err);
		scan->gap = scan->line.end_bytes;
	}
	mime_line_begin(&scan->line, scan->line.start + scan->line.length + scan->line.end_bytes);
	return result;
}

/* Keeps bytes of a header, within the limit. */
static int head_add(struct mime_scan *scan, const char *p, size_t n, struct err *err)
{
	if (!scan->in_header)
		return 0;
	if (scan->head.n + n > scan->limits.header_bytes)
		return err_set(err, ERR_LIMIT, "header of a part over %zu bytes", scan->limits.header_bytes);
	scan->head_total += n;
	if (scan->head_total / MIME_HEADERS_FACTOR > scan->limits.header_bytes)
		return err_set(err, ERR_LIMIT, "headers of parts over %zu bytes together",
			       MIME_HEADERS_FACTOR * scan->limits.header_bytes);
	return buf_append(&scan->head, p, n) < 0 ? err_memory(err) : 0;
}

static int scan_chunk(void *arg, const void *p, size_t n, struct err *err)
{
	struct mime_scan *scan = arg;
	const char *at = p, *end = at + n;

	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		const char *stop = lf == NULL ? end : lf;

		mime_line_add(&scan->line, at, (size_t)(stop - at));
		if (head_add(scan, at, (size_t)((lf == NULL ? stop : stop + 1) - at), err) < 0)
			return -1;
		at = stop;
		if (lf == NULL)
			break;
		at++;
		if (line_end(scan, true, err) < 0)
			return -1;
	}
	return 0;
}

/* The body has ended, perhaps within a line. */
static int scan_end(struct mime_scan *scan, struct err *err)
{
	if (scan->line.length > 0 && line_end(scan, false, err) < 0)
		return -1;
	if (scan->gap_bare)
		scan->current->traits |= MIME_BARE_CR_LF;
	return parts_close(scan, NULL, scan->line.start, err);
}

static struct mime_limits limits_or_preset(const struct mime_limits *limits)
{
	struct mime_limits result = { 0, 0, 0 };

	if (limits != NULL)
		result = *limits;
	if (result.depth == 0)
		result.depth = DEPTH_PRESET;
	if (result.parts == 0)
		result.parts = PARTS_PRESET;
	if (result.header_bytes == 0)
		result.header_bytes = HEADER_PRESET;
	return result;
}

static int scan_body(struct mime_scan *scan, const struct body *body, struct err *err)
{
	struct stream *stream = body_open(body, err);
	int result = -1;

	if (stream == NULL)
		return -1;
	if (stream_drain(stream, scan_chunk, scan, err) == 0)
		result = scan_end(scan, err);
	stream_close(stream);
	return result;
}

int mime_parse(struct arena *arena, const struct message *message, const struct mime_limits *limits, struct mime *mime,
	       struct err *err)
{
	struct mime_scan *scan = arena_alloc(arena, sizeof(*scan));
	struct mime_part *root = arena_alloc(arena, sizeof(*root));
	int result = -1;

	*mime = (struct mime){ root, 1, 0 };
	if (scan == NULL || root == NULL)
		return err_memory(err);
	root->number = 1;
	root->header = message->header;
	*scan = (struct mime_scan){ .arena = arena, .mime = mime, .limits = limits_or_preset(limits), .current = root };
	buf_init(&scan->head, 0);
	if (body_begin(scan, 0, err) == 0)
		result = scan_body(scan, message->body, err);
	buf_clear(&scan->head);
	return result;
}

bool mime_is(const struct mime_part *part, const char *type)
{
	size_t n = strlen(type);

	if (n > 0 && type[n - 1] == '/')
		return slice_starts_nocase(part->type.value, type);
	return slice_is_nocase(part->type.value, type);
}

const struct body *mime_body(struct arena *arena, const struct message *message, const struct mime_part *part)
{
	return body_range(arena, message->body, part->body_start, part->body_end - part->body_start);
}

struct decoded {
	const struct body *source;
	enum transfer_encoding encoding;
};

static struct stream *decoded_open(const void *self, uint64_t offset, struct err *err)
{
	const struct decoded *decoded = self;

	(void)offset;
	return decode_transfer(body_open(decoded->source, err), decoded->encoding, err);
}

static const struct body_class decoded_class = { decoded_open, false };

const struct body *mime_decoded(struct arena *arena, const struct message *message, const struct mime_part *part)
{
	struct decoded *decoded = NULL;
	const struct body *source = mime_body(arena, message, part);

	if (source == NULL || (part->encoding != CTE_BASE64 && part->encoding != CTE_QUOTED_PRINTABLE))
		return source;
	decoded = arena_alloc(arena, sizeof(*decoded));
	if (decoded == NULL)
		return NULL;
	*decoded = (struct decoded){ source, part->encoding };
	return body_new(arena, &decoded_class, decoded, BODY_SIZE_UNKNOWN);
}

struct whole {
	struct slice head;
	const struct body *body;
};

static struct stream *whole_open(const void *self, uint64_t offset, struct err *err)
{
	const struct whole *whole = self;
	struct stream *parts[2] = { NULL, NULL };

	(void)offset;
	parts[0] = stream_from_slice(whole->head, err);
	if (parts[0] == NULL)
		return NULL;
	parts[1] = body_open(whole->body, err);
	return stream_concat(parts, 2, err);
}

static const struct body_class whole_class = { whole_open, false };

const struct body *mime_entity(struct arena *arena, const struct message *message, const struct mime_part *part)
{
	struct whole *whole = NULL;
	uint64_t size = message->body->size_bytes;

	if (part->parent != NULL)
		return body_range(arena, message->body, part->start, part->body_end - part->start);
	whole = arena_alloc(arena, sizeof(*whole));
	if (whole == NULL)
		return NULL;
	*whole = (struct whole){ message_header_bytes(arena, &message->header), message->body };
	if (whole->head.p == NULL)
		return NULL;
	return body_new(arena, &whole_class, whole, size == BODY_SIZE_UNKNOWN ? size : size + whole->head.n);
}
