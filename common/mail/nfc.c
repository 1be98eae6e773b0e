/* nfc.c - see nfc.h. Called by pki/smimea.c. Thread-safe. */
#include "mail/nfc.h"

#include <stdlib.h>
#include <uninorm.h>

struct slice nfc_of(struct arena *arena, struct slice text)
{
	struct slice copy = { NULL, 0 };
	size_t n = 0;
	uint8_t *normal = NULL;

	if (text.n == 0)
		return arena_copy(arena, text);
	normal = u8_normalize(UNINORM_NFC, (const uint8_t *)text.p, text.n, NULL, &n);
	if (normal != NULL)
		copy = arena_copy(arena, slice_make(normal, n));
	free(normal);
	return copy;
}
