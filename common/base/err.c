/* err.c - writes error texts: formatted, escaped, one line. Called by everybody; sends nothing anywhere. Thread-safe.
 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/event.h"

static void format_text(struct err *err, const char *format, va_list args)
{
	/* A buffer of its own, since the arguments may point into err->text. */
	char raw[sizeof(err->text)];

	if (vsnprintf(raw, sizeof(raw), format, args) < 0)
		raw[0] = '\0';
	event_escape(slice_of(raw), err->text, sizeof(err->text));
}

int err_set(struct err *err, enum err_class class, const char *format, ...)
{
	va_list args;

	if (err == NULL)
		return -1;
	va_start(args, format);
	format_text(err, format, args);
	va_end(args);
	err->class = class;
	return -1;
}

int err_prefix(struct err *err, const char *format, ...)
{
	struct err before;
	va_list args;
	size_t n;

	if (err == NULL)
		return -1;
	before = *err;
	va_start(args, format);
	format_text(err, format, args);
	va_end(args);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s", before.text);
	return -1;
}

int err_memory(struct err *err)
{
	return err_set(err, ERR_TEMP, "out of memory");
}
