/* idn.c - U-labels to A-labels and back by libidn2, which no other file knows. Called by address.c. Non-transitional, so
 * that sharp s and final sigma name the domains they name in today's registries.
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

static bool has_a_labels(struct slice domain)
{
	return domain.n > 0 && memmem(domain.p, domain.n, "xn--", 4) != NULL;
}

struct slice idn_to_unicode(struct arena *arena, struct slice domain)
{
	struct slice none = { NULL, 0 }, result = none, back;
	char *text = arena_string(arena, domain), *unicode = NULL;
	int rc;

	if (text == NULL || !has_a_labels(domain))
		return slice_make(text, 0);
	rc = idn2_to_unicode_8z8z(text, &unicode, 0);
	if (rc != IDN2_OK)
		return rc == IDN2_MALLOC ? none : slice_make(text, 0);
	result = arena_copy(arena, slice_of(unicode));
	back = idn_to_ascii(arena, result);
	if (result.p != NULL && !slice_equal(back, domain))
		result.n = 0;
	idn2_free(unicode);
	return result;
}

bool idn_is_sound(struct arena *arena, struct slice domain)
{
	return !has_a_labels(domain) || idn_to_unicode(arena, domain).n > 0;
}
