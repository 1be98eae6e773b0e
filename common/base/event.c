/* event.c - turns what happened into one harmless line and hands it to the sink. Where lines go is the sink's matter.
 * Called by everybody; as thread-safe as the sink. */
#include "base/event.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_BYTES 900

void event_log(const struct event_sink *sink, enum event_level level, const char *format, ...)
{
	char raw[LINE_BYTES + 1], line[LINE_BYTES + 1];
	va_list args;
	int n;

	if (sink == NULL)
		return;
	va_start(args, format);
	n = vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	if (n < 0)
		return;
	sink->emit(sink->self, level, event_escape(slice_of(raw), line, sizeof(line)));
}

char *event_escape(struct slice bytes, char *out, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	size_t used = 0, need;

	if (size == 0)
		return out;
	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = (unsigned char)bytes.p[i];

		need = c < 0x20 || c > 0x7e ? 4 : 1;
		if (used + need >= size)
			break;	/* an escape is never cut in two */
		if (need == 1) {
			out[used++] = (char)c;
			continue;
		}
		out[used++] = '\\';
		out[used++] = 'x';
		out[used++] = digits[c >> 4];
		out[used++] = digits[c & 15];
	}
	out[used] = '\0';
	return out;
}
