/* idn.c - U-labels to A-labels by libidn2, which no other file knows. Called by address.c. Non-transitional, so that
 * sharp s and final sigma name the domains they name in today's registries.
 */
#include "mail/idn.h"

#include <idn2.h>
#include <string.h>

struct slice idn_to_ascii(struct arena *arena, struct slice domain)
{
	struct slice result = { NULL, 0 };
	char *text = NULL;
	uint8_t *ascii = NULL;

	if (domain.n == 0 || domain.n > 1000 || memchr(domain.p, 0, domain.n) != NULL)
		return result;
	text = arena_string(arena, domain);
	if (text == NULL)
		return result;
	if (idn2_lookup_u8((const uint8_t *)text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return result;
	result = arena_copy(arena, slice_of((const char *)ascii));
	idn2_free(ascii);
	return result;
}

bool idn_is_sound(struct arena *arena, struct slice domain)
{
	char *text = NULL, *unicode = NULL;
	bool sound = false;

	if (domain.n == 0 || memmem(domain.p, domain.n, "xn--", 4) == NULL)
		return true;
	text = arena_string(arena, domain);
	if (text == NULL || idn2_to_unicode_8z8z(text, &unicode, 0) != IDN2_OK)
		return false;
	sound = slice_equal(idn_to_ascii(arena, slice_of(unicode)), domain);
	idn2_free(unicode);
	return sound;
}
