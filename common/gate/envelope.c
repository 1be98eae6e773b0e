/* envelope.c - see envelope.h. Called by plan.c, readers.c and milter/delivery.c, for replies. */
#include "gate/envelope.h"

#define NAMES 8

const char *envelope_names(struct arena *arena, const struct envelope *envelope,
			   bool (*wanted)(const void *self, size_t i), const void *self)
{
	const char *names = "";
	size_t named = 0;

	for (size_t i = 0; names != NULL && i < envelope->recipient_count; i++) {
		if (!wanted(self, i))
			continue;
		if (++named > NAMES)
			return arena_printf(arena, "%s and others", names);
		names = arena_printf(arena, "%s%s<%.*s>", names, named > 1 ? ", " : "",
				     SLICE_ARGS(envelope->recipients[i].address.text));
	}
	return names;
}
