/* message_id.h - the Message-IDs that a message has or names: RFC 5322 3.6.4, read the way mail is written, not
 * checked.
 */
#ifndef MAIL_MESSAGE_ID_H
#define MAIL_MESSAGE_ID_H

#include "mail/header.h"

struct message_ids {
	struct slice *items;	/* without the angle brackets and without blanks; bytes are compared */
	size_t n;
};

/* Appends what the fields of that name hold, each field from its end to its beginning (References has the latest
 * last), until there are max. A value without angle brackets that is one word counts as one. Comments and quoted
 * strings are not told apart: what stands in brackets there counts too. Begin with { NULL, 0 }, and the same max. -1:
 * memory. */
int message_ids_find(struct arena *arena, const struct header *header, const char *name, size_t max,
		     struct message_ids *ids, struct err *err);

#endif
