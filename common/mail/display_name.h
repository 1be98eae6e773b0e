/* display_name.h - what readers show in place of a From field's address. */
#ifndef MAIL_DISPLAY_NAME_H
#define MAIL_DISPLAY_NAME_H

#include <stdbool.h>

#include "base/arena.h"
#include "mail/address.h"

/* True if the display name, or a comment, beside the single mailbox of a From value shows something with an '@' that is
 * not that mailbox's address: encoded words count as what they decode to. *claims; 0, or -1: the arena is exhausted. */
int display_name_claims(struct arena *arena, struct slice value, const struct address *address, bool *claims);

#endif
