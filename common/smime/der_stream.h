/* der_stream.h - der.h's reader over a stream, for objects that are too large to be held: items are entered, left,
 * taken as bytes, or passed over, in the order in which they come (X.690 8.1). Memory does not depend on their sizes,
 * but for what is taken. Internal to smime/: used by prescan_envelope.c.
 *
 * Nothing is believed of a length but that it stays within the lengths around it; where the bytes end too early is
 * noticed when they are read. Errors: ERR_MESSAGE with the offset; else the stream's.
 */
#ifndef SMIME_DER_STREAM_H
#define SMIME_DER_STREAM_H

#include <stdint.h>

#include "base/stream.h"
#include "smime/der.h"

#define DER_STREAM_DEPTH 16
#define DER_SAMPLE_BYTES 64

struct der_stream {
	struct stream *source;			/* not owned */
	unsigned char window[4096];
	size_t from, to;			/* the bytes in it that are still to come */
	bool ended;				/* nothing comes behind them */
	uint64_t at;				/* bytes passed */
	struct {
		uint64_t end;			/* no item in it goes beyond; UINT64_MAX: not known */
		bool indefinite;
	} open[DER_STREAM_DEPTH];
	unsigned depth;
};

struct der_octets {			/* an OCTET STRING that was passed over */
	uint64_t n;			/* its octets, in all pieces together */
	unsigned char sample[DER_SAMPLE_BYTES];	/* the first of them */
};

void der_stream_init(struct der_stream *der, struct stream *source);

/* 1: the next item has that tag; 0: it has another one, or the item that was entered, or the stream, ends here; nothing
 * is passed then; -1. */
int der_stream_enter(struct der_stream *der, unsigned tag, struct err *err);
/* The same, but the item is appended to whole with header and all; beyond whole's limit: ERR_LIMIT. */
int der_stream_take(struct der_stream *der, unsigned tag, struct buf *whole, struct err *err);
/* Whatever tag it has: 1, 0 at the end, -1. */
int der_stream_next(struct der_stream *der, struct buf *whole, struct err *err);
/* An OCTET STRING whose tag (primitive) is given, whole or in pieces: 1, 0, -1. */
int der_stream_octets(struct der_stream *der, unsigned tag, struct der_octets *octets, struct err *err);
/* Out of the item entered last, which must end here. 0 or -1. */
int der_stream_leave(struct der_stream *der, struct err *err);
/* Behind all items: the stream must end here, perhaps after a CRLF. 0 or -1. */
int der_stream_finish(struct der_stream *der, bool line_end, struct err *err);

#endif
