/* edit.h - the difference between the message that came and the one that goes, as edits for an MTA.
 *
 * A kept field is one whose raw bytes are the very same memory (raw.p). Kept fields must stand in their old order. New
 * fields stand before the first kept one (inserted at the top), behind the last (added at the end), or in the place of
 * a field of their name between two kept ones (changed) - any other place becomes "added at the end".
 */
#ifndef MAIL_EDIT_H
#define MAIL_EDIT_H

#include "mail/message.h"

struct edit {
	enum { EDIT_DELETE, EDIT_CHANGE, EDIT_INSERT, EDIT_ADD } kind;
	const char *name;	/* C string */
	const char *value;	/* with its leading blank, folds without CR; DELETE: NULL */
	unsigned index;		/* DELETE, CHANGE: which instance of the name, from 1; INSERT: position from 0 */
};

struct edit_list {
	struct edit *items;	/* in the order to apply: deletions and changes (last field first), insertions, additions */
	size_t n;
};

int edit_make(struct arena *arena, const struct header *before, const struct header *after, struct edit_list *list,
	      struct err *err);

#endif
