/* fuzz.h - what the fuzz targets share. A broken promise of the code under test ends the program as a crash would. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define PROMISE(holds) \
	do { \
		if (!(holds)) { \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #holds); \
			abort(); \
		} \
	} while (0)

/* What one input may take: more than any honest input of that size needs. */
#define FUZZ_ARENA_BYTES ((size_t)256 << 20)

/* Reads the body to its end. False: it failed. */
static inline bool fuzz_read(const struct body *body, struct buf *out)
{
	struct err err = { .class = ERR_NONE };

	return body_read_all(body, out, &err) == 0;
}

#endif
