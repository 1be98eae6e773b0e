/* version.h - what this program is made of. */
#ifndef MILTER_VERSION_H
#define MILTER_VERSION_H

#include "base/event.h"

/* For -V: program, libraries as they are loaded, built-in drivers, one a line, on stdout. */
void version_print(void);
/* A word to the log when the OpenSSL that is loaded is known to be dangerous with hostile mail. */
void version_warn(const struct event_sink *sink);

#endif
