/* powershell.c - see powershell.h. */
#include "milter/powershell.h"

#include <string.h>

#include "mail/encode.h"

static int append_utf8(struct buf *out, unsigned long c)
{
	if (c < 0x80)
		return buf_append_char(out, (char)c);
	if (c < 0x800)
		return buf_append_char(out, (char)(0xc0 | c >> 6)) | buf_append_char(out, (char)(0x80 | (c & 0x3f)));
	if (c < 0x10000)
		return buf_append_char(out, (char)(0xe0 | c >> 12)) |
		       buf_append_char(out, (char)(0x80 | (c >> 6 & 0x3f))) |
		       buf_append_char(out, (char)(0x80 | (c & 0x3f)));
	return buf_append_char(out, (char)(0xf0 | c >> 18)) | buf_append_char(out, (char)(0x80 | (c >> 12 & 0x3f))) |
	       buf_append_char(out, (char)(0x80 | (c >> 6 & 0x3f))) | buf_append_char(out, (char)(0x80 | (c & 0x3f)));
}

static unsigned long unit_at(struct slice text, size_t i, bool big)
{
	const unsigned char *p = (const unsigned char *)text.p + i;

	return big ? (unsigned long)p[0] << 8 | p[1] : (unsigned long)p[1] << 8 | p[0];
}

/* A surrogate without its other half goes through: jansson refuses it as no UTF-8. */
static int from_utf16(struct slice text, bool big, struct buf *out)
{
	unsigned long c, low;
	size_t i;
	int bad = 0;

	for (i = 0; i + 1 < text.n && bad == 0; i += 2) {
		c = unit_at(text, i, big);
		low = c >= 0xd800 && c < 0xdc00 && i + 3 < text.n ? unit_at(text, i + 2, big) : 0;
		if (low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			i += 2;
		}
		bad = append_utf8(out, c);
	}
	return bad;
}

/* JSON begins with an ASCII character: a NUL beside it tells of UTF-16 where no mark does. */
static int to_utf8(struct slice text, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)text.p;

	if (text.n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		return buf_append_slice(out, slice_from(text, 3));
	if (text.n >= 2 && p[0] == 0xff && p[1] == 0xfe)
		return from_utf16(slice_from(text, 2), false, out);
	if (text.n >= 2 && p[0] == 0xfe && p[1] == 0xff)
		return from_utf16(slice_from(text, 2), true, out);
	if (text.n >= 2 && (p[0] == 0 || p[1] == 0))
		return from_utf16(text, p[0] == 0, out);
	return buf_append_slice(out, text);
}

json_t *powershell_parse(struct slice text, struct err *err)
{
	json_t *json = NULL;
	json_error_t why;
	struct buf utf8;

	buf_init(&utf8, 0);
	if (to_utf8(text, &utf8) != 0)
		err_memory(err);
	else if ((json = json_loadb((const char *)utf8.p, utf8.n, JSON_REJECT_DUPLICATES, &why)) == NULL)
		err_set(err, ERR_CONFIG, "no JSON: line %d: %s", why.line, why.text);
	buf_clear(&utf8);
	return json;
}

/* What is wrong with a message's bytes elsewhere is wrong with a file of the administrator's here. */
static int decode_text(const json_t *value, struct buf *out, struct err *err)
{
	struct slice text = slice_make(json_string_value(value), json_string_length(value));
	struct stream *stream = stream_from_slice(text, err);
	int rc = -1;

	stream = stream != NULL ? decode_base64(stream, true, err) : NULL;
	if (stream != NULL)
		rc = stream_read_all(stream, out, err);
	stream_close(stream);
	if (rc != 0 && err->class == ERR_MESSAGE)
		err->class = ERR_CONFIG;
	return rc;
}

static int collect_bytes(const json_t *value, struct buf *out, struct err *err)
{
	const json_t *item = NULL;
	size_t i;

	json_array_foreach(value, i, item) {
		if (!json_is_integer(item) || json_integer_value(item) < 0 || json_integer_value(item) > 255)
			return err_set(err, ERR_CONFIG, "not bytes");
		if (buf_append_char(out, (char)json_integer_value(item)) != 0)
			return err_memory(err);
	}
	return 0;
}

int powershell_bytes(const json_t *value, struct buf *out, struct err *err)
{
	if (json_is_string(value))
		return decode_text(value, out, err);
	return json_is_array(value) ? collect_bytes(value, out, err) : err_set(err, ERR_CONFIG, "neither base64 nor bytes");
}
