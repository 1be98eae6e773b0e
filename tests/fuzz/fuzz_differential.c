/* fuzz_differential.c - the same comparison with GMime as differential.c, of whatever libFuzzer comes up with. Ends at
 * the first difference that is neither reported by ours nor known. Needs GMime; is no part of make check.
 */
#include <gmime/gmime.h>

#include "diff/compare.h"
#include "fuzz.h"

#define INPUT_BYTES 65536

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	g_mime_init();
	return 0;
}

static void take(void *arg, const struct difference *difference)
{
	(void)arg;
	if (compare_is_reported(difference) || known_find(difference) >= 0)
		return;
	fprintf(stderr, "%s differs (%s, %zu)\n", aspect_names[difference->aspect], difference->what, difference->at);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice message = slice_make(data, size);
	struct arena *arena = NULL;
	const struct view *ours = NULL, *theirs = NULL;

	if (size > INPUT_BYTES)
		return 0;
	arena = arena_new(FUZZ_ARENA_BYTES);
	ours = view_ours(arena, message);
	theirs = view_gmime(arena, message);
	PROMISE(ours != NULL && theirs != NULL);
	compare_views(ours, theirs, message, take, NULL);
	arena_free(arena);
	return 0;
}
