/* lookup_inherit.h - how what the lookup process of one generation remembers comes to the next one's, where a
 * directory's settings are the same. Used by lookup.c at its start.
 */
#ifndef MILTER_LOOKUP_INHERIT_H
#define MILTER_LOOKUP_INHERIT_H

#include "gate/site.h"
#include "milter/lookup_wire.h"

/* Of the site's directory: SHA-256 of its settings, but not of what files hold that they name (passwords). 0, or -1:
 * *err. */
int lookup_identify(const struct site *site, size_t directory, struct lookup_identity *identity, struct err *err);
/* Asks the process at the other end of predecessor for what it remembers of the directory of that identity, and puts it
 * into this one's cache. Until end_ms (CLOCK_MONOTONIC). Returns how many answers came, or -1: *err. */
ssize_t lookup_inherit(int predecessor, const struct lookup_identity *identity, const struct directory *directory,
		       int64_t end_ms, struct err *err);

#endif
