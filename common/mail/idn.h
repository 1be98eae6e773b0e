/* idn.h - domain names in other scripts (RFC 5890, UTS 46). The only door to libidn2. */
#ifndef MAIL_IDN_H
#define MAIL_IDN_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/slice.h"

/* U-labels (UTF-8) as A-labels, lower case. p == NULL: not a domain, or the arena is exhausted. What characters an
 * ASCII label may have is not checked. */
struct slice idn_to_ascii(struct arena *arena, struct slice domain);
/* domain (ASCII, lower case) with U-labels in the place of its A-labels. n == 0: there are none, or not sound ones (see
 * below); p == NULL: memory. */
struct slice idn_to_unicode(struct arena *arena, struct slice domain);
/* False if a label of domain (ASCII, lower case) looks like an A-label and is none, or not that of the U-label it decodes
 * to: readers that show U-labels make another domain of it. Also when the arena is exhausted. */
bool idn_is_sound(struct arena *arena, struct slice domain);

#endif
