/* unwrap.c - see unwrap.h. What was signed is where verify.c found it (struct layer): nothing is searched or parsed a
 * second time, so that the bytes which come to the top are those that were verified. Called by the gate's steps. Pure
 * but for the arena. RFC 8551 3.1, 3.5.
 */
#include "smime/unwrap.h"

/* A lone field of its kind, or none. */
static bool is_single(const struct header *header, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < header->n; i++)
		n += field_is(&header->fields[i], name);
	return n <= 1;
}

/* Text, tabs, and folds with CRLF and a blank; CRLF at the end. */
static bool is_plain(const struct field *field)
{
	struct slice value = field->value;

	if (!slice_ends_nocase(field->raw, "\r\n"))
		return false;
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if ((c >= ' ' && c != 0x7f) || c == '\t')
			continue;
		if (c != '\r' || i + 2 >= value.n || value.p[i + 1] != '\n' ||
		    (value.p[i + 2] != ' ' && value.p[i + 2] != '\t'))
			return false;
		i += 2;
	}
	return true;
}

/* Between the fields of a part stands nothing else. The header of an opaque layer's content was parsed strictly. */
static bool header_is_whole(const struct mime_part *part)
{
	uint64_t bytes = 2;

	for (size_t i = 0; i < part->header.n; i++)
		bytes += part->header.fields[i].raw.n;
	return part->parent == NULL || bytes == part->body_start - part->start;
}

static bool header_fits(const struct mime_part *part)
{
	const struct header *header = &part->header;

	if (!is_single(header, "Content-Type") || !is_single(header, "Content-Transfer-Encoding") ||
	    !header_is_whole(part))
		return false;
	for (size_t i = 0; i < header->n; i++)
		if (!is_plain(&header->fields[i]))
			return false;
	return true;
}

/* Every part survives transport as it is. mime_parse bounds the depth. */
static bool body_fits(const struct mime_part *part)
{
	const unsigned bad = MIME_NUL | MIME_BARE_CR_LF | MIME_BARE_CR | MIME_LONG_LINE | MIME_HEADER_BARE;

	if ((part->traits & bad) != 0)
		return false;
	for (const struct mime_part *child = part->child; child != NULL; child = child->next)
		if (!body_fits(child))
			return false;
	return true;
}

/* The last of the layers that can be taken off; NULL: none can. All signers of a pass do pass. */
static const struct layer *find_innermost(const struct verdict *verdict)
{
	const struct layer *innermost = NULL;

	if (verdict->result != RESULT_PASS)
		return NULL;
	for (size_t i = 0; i < verdict->layers.n; i++) {
		const struct layer *layer = &verdict->layers.items[i];

		if (layer->type != LAYER_SIGNED || !layer->covers_message || layer->result != RESULT_PASS ||
		    layer->content == NULL || !header_fits(layer->content) || !body_fits(layer->content))
			break;
		innermost = layer;
	}
	return innermost;
}

static int make_header(struct arena *arena, const struct header *outside, const struct header *inside,
		       struct header *to)
{
	int bad = 0;

	*to = (struct header){ NULL, 0 };
	for (size_t i = 0; i < outside->n; i++)
		if (!field_is_content(&outside->fields[i]))
			bad |= header_append(arena, to, outside->fields[i]);
	if (header_find(outside, "MIME-Version", 0) == NULL)
		bad |= header_append(arena, to, field_make(arena, slice_of("MIME-Version"), slice_of(" 1.0")));
	for (size_t i = 0; i < inside->n; i++)
		if (field_is_content(&inside->fields[i]))
			bad |= header_append(arena, to, inside->fields[i]);
	return bad;
}

int unwrap_message(struct arena *arena, const struct message *in, const struct verdict *verdict, struct message *out,
		   struct err *err)
{
	const struct layer *layer = find_innermost(verdict);

	*out = *in;
	if (layer == NULL)
		return 0;
	out->body = mime_body(arena, layer->content_of, layer->content);
	if (out->body == NULL || make_header(arena, &in->header, &layer->content->header, &out->header) != 0)
		return err_memory(err);
	return 0;
}
