/* idn.h - domain names in other scripts (RFC 5890, UTS 46). The only door to libidn2. */
#ifndef MAIL_IDN_H
#define MAIL_IDN_H

#include "base/arena.h"
#include "base/slice.h"

/* U-labels (UTF-8) as A-labels, lower case. p == NULL: not a domain, or the arena is exhausted. What characters an
 * ASCII label may have is not checked. */
struct slice idn_to_ascii(struct arena *arena, struct slice domain);

#endif
