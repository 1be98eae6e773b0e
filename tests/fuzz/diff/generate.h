/* generate.h - messages for the differential test, made by grammar from a number: the same number, the same message. */
#ifndef GENERATE_H
#define GENERATE_H

#include <stdint.h>

#include "base/buf.h"

/* Bytes that cases begin with in place of generated ones, and what signatures in generated messages consist of. */
struct generate_stock {
	struct slice *messages;
	size_t n;
	struct slice signature;		/* base64 lines of a SignedData */
};

/* Appends message number `number` to out. Honest shapes, tricks in single tokens, and damaged bytes are mixed. */
void generate_message(const struct generate_stock *stock, uint64_t number, struct buf *out);

#endif
