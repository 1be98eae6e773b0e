/* event.h - what happened, for whoever listens (the log now; metrics and audit later). The core emits, sinks write. */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H

#include <stddef.h>

#include "base/slice.h"

enum event_level { EVENT_DEBUG, EVENT_INFO, EVENT_WARNING, EVENT_ERROR };

struct event_sink {
	/* line: one line, printable ASCII, at most 900 bytes */
	void (*emit)(void *self, enum event_level level, const char *line);
	void *self;
};

/* Formats (printf), escapes what is not printable ASCII as \xNN, caps at 900 bytes, emits. sink NULL: nothing. */
void event_log(const struct event_sink *sink, enum event_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Copies bytes to out, escaping as above, always NUL-terminated, cut at size - 1. Returns out. */
char *event_escape(struct slice bytes, char *out, size_t size);

#endif
