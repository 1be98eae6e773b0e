/* trigger.h - what a writer of ours asks for by a field or a tag in the Subject (`triggers`). It can only raise protection,
 * and does not leave with the message.
 */
#ifndef GATE_TRIGGER_H
#define GATE_TRIGGER_H

#include "gate/site.h"

/* Is encryption asked for: by the configured field with any value but "no", "false", "off" and "0", or by the tag?
 * Whether the client may ask is not looked at. 0, or -1: arena exhausted. */
int trigger_find(const struct site *site, const struct header *header, struct arena *arena, bool *asked,
		 struct err *err);

/* The header without the field and the tag. 0, or -1: arena exhausted. */
int trigger_remove(const struct site *site, const struct header *from, struct arena *arena, struct header *to,
		   struct err *err);

#endif
