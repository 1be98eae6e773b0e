/* fuzz_sst.c - certificate bundles of every format, SST above all; what was read is written and read again. */
#include "fuzz.h"

#include "pki/bundle.h"

static size_t good_entries(const struct bundle *bundle)
{
	size_t n = 0;

	for (size_t i = 0; i < bundle->n; i++) {
		const struct bundle_entry *entry = &bundle->entries[i];

		PROMISE(entry->problem != NULL || entry->cert != NULL || entry->crl_der.n > 0);
		n += entry->problem == NULL;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(FUZZ_ARENA_BYTES);
	struct bundle bundle, again;
	struct buf out;

	buf_init(&out, 0);
	if (bundle_parse(arena, slice_make(data, size), &bundle, NULL) == 0) {
		PROMISE(bundle_write_sst(bundle.entries, bundle.n, &out, NULL) == 0);
		PROMISE(bundle_parse(arena, buf_slice(&out), &again, NULL) == 0);
		PROMISE(again.format == BUNDLE_SST && again.n == good_entries(&bundle));
	}
	buf_clear(&out);
	arena_free(arena);
	return 0;
}
