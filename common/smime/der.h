/* der.h - a small bounded reader of tag-length-value items, DER and BER with indefinite lengths (X.690), and the one
 * writer that attributes need. Internal to smime/: looks at objects before OpenSSL does. Checks the framing only: no
 * minimal lengths, no contents. Tags above 30 are refused: CMS has none. Nothing is copied, nothing recurses.
 */
#ifndef SMIME_DER_H
#define SMIME_DER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"

#define DER_INTEGER 0x02u
#define DER_BITS 0x03u
#define DER_OCTETS 0x04u
#define DER_NULL 0x05u
#define DER_OID 0x06u
#define DER_OCTETS_CONSTRUCTED 0x24u
#define DER_SEQUENCE 0x30u
#define DER_SET 0x31u
#define DER_CONTEXT(n) (0x80u | (n))			/* [n] IMPLICIT of a primitive type */
#define DER_CONTEXT_CONSTRUCTED(n) (0xa0u | (n))	/* [n] EXPLICIT, or IMPLICIT of a constructed type */

/* Nesting of indefinite lengths that is followed to find an item's end. */
#define DER_INDEFINITE_DEPTH 32
/* OCTET STRINGs made of OCTET STRINGs are followed as deep as OpenSSL does it. */
#define DER_CHUNK_DEPTH 5

struct der {			/* a place between items */
	struct slice rest;
	bool cut;		/* rest is the beginning of more bytes that are not at hand: items may end behind it */
};

struct der_item {
	unsigned tag;		/* the identifier octet as it stands, constructed bit (0x20) included */
	bool indefinite;
	bool cut;		/* content is its beginning only; never set unless the reader's cut is */
	struct slice content;	/* without end-of-contents octets */
	struct slice whole;	/* header and end-of-contents octets included */
};

/* A reader of bytes, which are all there are (whole) or only the first ones (prefix). */
struct der der_whole(struct slice bytes);
struct der der_prefix(struct slice bytes);
/* A reader of what is in a constructed item. */
struct der der_inside(const struct der_item *item);

/* The next item: 1, 0 at the end, -1 malformed (also: a prefix ends inside the item's header). */
int der_next(struct der *der, struct der_item *item);
/* The same if the next item has that tag: 1; 0: another one or the end stands there and stays; -1 malformed. */
int der_take(struct der *der, unsigned tag, struct der_item *item);

struct der_head {		/* identifier and length octets */
	unsigned tag;
	bool indefinite;
	size_t header_bytes, content_bytes;
};

/* The head of the item that bytes begin with, whether or not its content is at hand: 1, 0 (they end inside it), -1. */
int der_read_head(struct slice bytes, struct der_head *head);
bool der_is_end_of_contents(struct slice bytes);	/* of an item of indefinite length */

/* The number of items that are left, at most limit + 1 (so > limit means too many); -1 malformed. */
long der_count(struct der der, size_t limit);

/* Appends an item with a definite length. 0 or -1 (memory). */
int der_write(struct buf *buf, unsigned tag, struct slice content);

/* Contents of the OIDs that CMS content types are told by. */
extern const struct slice der_oid_data, der_oid_signed_data, der_oid_enveloped_data, der_oid_auth_enveloped_data,
	der_oid_compressed_data;

#endif
