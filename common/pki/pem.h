/* pem.h - the blocks of a PEM text (RFC 7468), one after the other, whatever stands between them. For pki/ only. */
#ifndef PKI_PEM_H
#define PKI_PEM_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

struct pem_block {
	struct slice label;	/* "CERTIFICATE" */
	struct slice body;	/* the lines between BEGIN and END; unfinished: up to the next BEGIN or the end */
	struct slice whole;	/* from BEGIN to the END line */
	size_t offset;		/* of BEGIN */
	bool finished;		/* an END line with the same label was there */
};

/* The next block at or behind *at, which moves on. False: no more. */
bool pem_next(struct slice text, size_t *at, struct pem_block *block);
/* The block's base64 decoded, appended to out. -1: not base64, or memory. */
int pem_decode(const struct pem_block *block, struct buf *out);

#endif
