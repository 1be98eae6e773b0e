/* conf_write.c - settings as text: what was read, defaults in the place of what was not. Knows no libconfig. Called by
 * who has to know whether two configurations want the same. */
#include "base/conf.h"

#include "base/buf.h"

/* With its length, so that no value reads as another's end. */
static int write_text(const char *text, struct buf *out)
{
	struct slice bytes = slice_of(text);

	return text == NULL ? buf_append_text(out, "-") :
	       buf_printf(out, "%zu:", bytes.n) != 0 ? -1 : buf_append_slice(out, bytes);
}

static int write_strings(const struct conf_strings *strings, struct buf *out)
{
	int rc = buf_printf(out, "%zu ", strings->n);

	for (size_t i = 0; i < strings->n && rc == 0; i++)
		rc = write_text(strings->items[i], out);
	return rc;
}

static int write_enums(const struct conf_enums *enums, struct buf *out)
{
	int rc = 0;

	for (size_t i = 0; i < enums->n && rc == 0; i++)
		rc = buf_printf(out, " %d", enums->items[i]);
	return rc;
}

static int write_member(const struct conf_row *row, const void *member, struct buf *out)
{
	switch (row->type) {
	case CONF_STRING:
		return write_text(*(const char *const *)member, out);
	case CONF_INT:
		return buf_printf(out, "%lld", (long long)*(const int64_t *)member);
	case CONF_BOOL:
		return buf_printf(out, "%d", *(const bool *)member);
	case CONF_ENUM:
		return buf_printf(out, "%d", *(const int *)member);
	case CONF_ENUMS:
		return write_enums(member, out);
	case CONF_STRINGS:
		return write_strings(member, out);
	case CONF_GROUP:
		return conf_write(row->table, member, out);
	case CONF_GROUPS:
		break;
	}
	return -1;
}

int conf_write(const struct conf_table *table, const void *settings, struct buf *out)
{
	const char *base = settings;

	for (const struct conf_row *row = table->rows; row->name != NULL; row++)
		if (buf_printf(out, "%s=", row->name) != 0 || write_member(row, base + row->offset, out) != 0 ||
		    buf_append_char(out, '\n') != 0)
			return -1;
	return 0;
}
