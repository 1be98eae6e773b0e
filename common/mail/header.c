/* header.c - splits header bytes into fields and puts fields together; the lists are arrays in an arena.
 *
 * Knows RFC 5322 2.2 alone: what a value means is param.c's and address.c's. Called by everybody who holds a message.
 * An array that header_append has grown holds room for the next power of two (8 at least), so no capacity is kept.
 */
#include "mail/header.h"

#include <stdint.h>
#include <string.h>

#define FIRST_CAPACITY 8

/* Length of the line at the start of bytes, its line end included. */
static size_t line_length(struct slice bytes)
{
	long lf = slice_find(bytes, '\n');

	return lf < 0 ? bytes.n : (size_t)lf + 1;
}

static size_t line_end_length(struct slice line)
{
	if (line.n == 0 || line.p[line.n - 1] != '\n')
		return 0;
	return line.n > 1 && line.p[line.n - 2] == '\r' ? 2 : 1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Length of the field name at the start of line, 0 if there is none; *colon: where its colon stands. */
static size_t name_length(struct slice line, size_t *colon)
{
	size_t n = 0, i = 0;

	while (n < line.n && line.p[n] > ' ' && line.p[n] < 0x7f && line.p[n] != ':')
		n++;
	for (i = n; i < line.n && is_blank(line.p[i]); i++)
		;
	if (i == line.n || line.p[i] != ':')
		return 0;
	*colon = i;
	return n;
}

bool header_is_field_line(struct slice line)
{
	size_t colon = 0;

	return name_length(line, &colon) > 0;
}

/* Takes one field with its folds off rest. -1: it is none. */
static int field_take(struct slice *rest, struct field *field)
{
	struct slice line = slice_first(*rest, line_length(*rest));
	size_t colon = 0, n = line.n, name = name_length(line, &colon);

	if (name == 0)
		return -1;
	while (n < rest->n && is_blank(rest->p[n]))
		n += line_length(slice_from(*rest, n));
	field->raw = slice_first(*rest, n);
	field->name = slice_first(*rest, name);
	field->value = slice_make(rest->p + colon + 1, n - colon - 1 - line_end_length(field->raw));
	*rest = slice_from(*rest, n);
	return 0;
}

static int limits_check(const struct header_limits *limits, const struct header *header, size_t bytes, struct err *err)
{
	if (limits == NULL)
		return 0;
	if (limits->bytes != 0 && bytes > limits->bytes)
		return err_set(err, ERR_LIMIT, "header fields over %zu bytes", limits->bytes);
	if (limits->fields != 0 && header->n > limits->fields)
		return err_set(err, ERR_LIMIT, "over %zu header fields", limits->fields);
	return 0;
}

int header_parse(struct arena *arena, struct slice bytes, const struct header_limits *limits, struct header *header,
		 size_t *consumed, struct err *err)
{
	struct slice rest = bytes;
	struct field field = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
	size_t line = 0;

	*header = (struct header){ NULL, 0 };
	while (rest.n > 0) {
		line = line_length(rest);
		if (line == line_end_length(slice_first(rest, line)))
			break;
		if (field_take(&rest, &field) < 0)
			return err_set(err, ERR_MESSAGE, "RFC 5322 2.2: line behind %zu header fields is none",
				       header->n);
		if (header_append(arena, header, field) < 0)
			return err_memory(err);
		if (limits_check(limits, header, bytes.n - rest.n, err) < 0)
			return -1;
	}
	*consumed = bytes.n - rest.n + (rest.n > 0 ? line : 0);
	return 0;
}

/* True where a line break of value needs a blank behind it, lest the rest be a field of its own. */
static bool break_is_naked(struct slice value, size_t lf)
{
	return lf + 1 == value.n || !is_blank(value.p[lf + 1]);
}

static size_t value_copy(struct slice value, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '\n' && (i == 0 || value.p[i - 1] != '\r'))
			out[n++] = '\r';
		out[n++] = value.p[i];
		if (value.p[i] == '\n' && break_is_naked(value, i))
			out[n++] = ' ';
	}
	return n;
}

struct field field_make(struct arena *arena, struct slice name, struct slice value)
{
	struct field field = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
	size_t extra = 0, n = 0;
	char *raw = NULL;

	for (size_t i = 0; i < value.n; i++)
		extra += value.p[i] == '\n' ? 2 : 0;
	raw = arena_alloc(arena, name.n + value.n + extra + 4);
	if (raw == NULL)
		return field;
	if (name.n > 0)
		memcpy(raw, name.p, name.n);
	raw[name.n] = ':';
	n = value_copy(value, raw + name.n + 1);
	memcpy(raw + name.n + 1 + n, "\r\n", 2);
	field.raw = slice_make(raw, name.n + n + 3);
	field.name = slice_make(raw, name.n);
	field.value = slice_make(raw + name.n + 1, n);
	return field;
}

int header_append(struct arena *arena, struct header *header, struct field field)
{
	size_t n = header->n;
	struct field *fields = header->fields;

	if (n == 0 || (n >= FIRST_CAPACITY && (n & (n - 1)) == 0)) {
		fields = arena_array(arena, n == 0 ? FIRST_CAPACITY : 2 * n, sizeof(*fields));
		if (fields == NULL)
			return -1;
		if (n > 0)
			memcpy(fields, header->fields, n * sizeof(*fields));
		header->fields = fields;
	}
	fields[n] = field;
	header->n = n + 1;
	return 0;
}

int header_filter(struct arena *arena, const struct header *from, bool (*keep)(const struct field *, void *arg),
		  void *arg, struct header *to)
{
	struct header list = { NULL, 0 };

	for (size_t i = 0; i < from->n; i++) {
		if (keep(&from->fields[i], arg) && header_append(arena, &list, from->fields[i]) < 0)
			return -1;
	}
	*to = list;
	return 0;
}

const struct field *header_find(const struct header *header, const char *name, size_t index)
{
	for (size_t i = 0; i < header->n; i++) {
		if (field_is(&header->fields[i], name) && index-- == 0)
			return &header->fields[i];
	}
	return NULL;
}

struct slice header_value(const struct header *header, const char *name)
{
	const struct field *field = header_find(header, name, 0);

	return field != NULL ? field->value : slice_of(NULL);
}

size_t header_count(const struct header *header, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < header->n; i++)
		count += field_is(&header->fields[i], name) ? 1 : 0;
	return count;
}

static bool breaks_oddly(struct slice raw)
{
	for (size_t i = 0; i < raw.n; i++) {
		if (raw.p[i] == '\0' || (raw.p[i] == '\r' && (i + 1 == raw.n || raw.p[i + 1] != '\n')))
			return true;
	}
	return false;
}

bool header_breaks_oddly(const struct header *header)
{
	for (size_t i = 0; i < header->n; i++) {
		if (breaks_oddly(header->fields[i].raw))
			return true;
	}
	return false;
}

bool field_is(const struct field *field, const char *name)
{
	return slice_is_nocase(slice_trim(field->name), name);
}

bool field_is_content(const struct field *field)
{
	return slice_starts_nocase(field->name, "Content-");
}

static bool is_outside(const struct field *field, void *arg)
{
	(void)arg;
	return !field_is_content(field);
}

int header_outside(struct arena *arena, const struct header *from, struct header *to)
{
	return header_filter(arena, from, is_outside, NULL, to);
}

struct slice field_unfold(struct arena *arena, const struct field *field)
{
	struct slice value = field->value;
	size_t n = 0;
	char *out = arena_alloc(arena, value.n + 1);

	if (out == NULL)
		return slice_make(NULL, 0);
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '\n' && !break_is_naked(value, i)) {
			if (i > 0 && value.p[i - 1] == '\r')
				n--;
			continue;
		}
		out[n++] = value.p[i];
	}
	return slice_trim(slice_make(out, n));
}
