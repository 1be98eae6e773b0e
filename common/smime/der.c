/* der.c - framing of DER and BER items (X.690 8.1), without recursion and without looking at contents.
 * Called by kind.c, sign.c, der_stream.c and prescan*.c on hostile bytes; OpenSSL decodes what has passed. Pure. */
#include "smime/der.h"

#define OID(text) { .p = (text), .n = sizeof(text) - 1 }

const struct slice der_oid_data = OID("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01");
const struct slice der_oid_signed_data = OID("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02");
const struct slice der_oid_enveloped_data = OID("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03");
const struct slice der_oid_auth_enveloped_data = OID("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17");
const struct slice der_oid_compressed_data = OID("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09");

struct der der_whole(struct slice bytes)
{
	return (struct der){ .rest = bytes };
}

struct der der_prefix(struct slice bytes)
{
	return (struct der){ .rest = bytes, .cut = true };
}

struct der der_inside(const struct der_item *item)
{
	return (struct der){ .rest = item->content, .cut = item->cut };
}

static unsigned octet(struct slice bytes, size_t i)
{
	return (unsigned char)bytes.p[i];
}

/* The length octets behind the identifier: 1, 0 (bytes end among them), -1. A length that does not fit size_t is
 * malformed: nothing here is so long. */
static int read_length(struct slice bytes, struct der_head *head)
{
	size_t octets = octet(bytes, 1) & 0x7f;

	head->header_bytes = 2;
	if (octet(bytes, 1) < 0x80) {
		head->content_bytes = octet(bytes, 1);
		return 1;
	}
	if (octets == 0) {
		head->indefinite = true;
		/* X.690 8.1.3.2: only a constructed item can be told where it ends by its contents. */
		return (head->tag & 0x20) != 0 ? 1 : -1;
	}
	if (octets >= sizeof(size_t))
		return -1;
	if (octets > bytes.n - 2)
		return 0;
	for (size_t i = 0; i < octets; i++)
		head->content_bytes = head->content_bytes << 8 | octet(bytes, 2 + i);
	head->header_bytes += octets;
	return 1;
}

/* Tag 0 is end-of-contents, no item. */
int der_read_head(struct slice bytes, struct der_head *head)
{
	*head = (struct der_head){ .tag = 0 };
	if (bytes.n < 2)
		return 0;
	head->tag = octet(bytes, 0);
	if (head->tag == 0 || (head->tag & 0x1f) == 0x1f)
		return -1;
	return read_length(bytes, head);
}

bool der_is_end_of_contents(struct slice bytes)
{
	return bytes.n >= 2 && octet(bytes, 0) == 0 && octet(bytes, 1) == 0;
}

/* How many bytes the contents of an item with indefinite length have. 1 found, 0 they are longer than bytes, -1. */
static int find_end(struct slice bytes, size_t *content_bytes)
{
	struct der_head head;
	size_t at = 0;
	unsigned depth = 1;
	int rc;

	while (at < bytes.n) {
		if (der_is_end_of_contents(slice_from(bytes, at))) {
			if (--depth == 0) {
				*content_bytes = at;
				return 1;
			}
			at += 2;
			continue;
		}
		rc = der_read_head(slice_from(bytes, at), &head);
		if (rc <= 0)
			return rc;
		if (head.indefinite && ++depth > DER_INDEFINITE_DEPTH)
			return -1;
		if (head.content_bytes > bytes.n - at - head.header_bytes)
			return 0;
		at += head.header_bytes + head.content_bytes;
	}
	return 0;
}

static int set_indefinite(struct der *der, const struct der_head *head, struct der_item *item)
{
	struct slice behind = slice_from(der->rest, head->header_bytes);
	size_t content_bytes = 0;
	int found = find_end(behind, &content_bytes);

	if (found < 0 || (found == 0 && !der->cut))
		return -1;
	item->indefinite = true;
	item->cut = found == 0;
	item->content = item->cut ? behind : slice_first(behind, content_bytes);
	item->whole = item->cut ? der->rest : slice_first(der->rest, head->header_bytes + content_bytes + 2);
	return 0;
}

static int set_definite(struct der *der, const struct der_head *head, struct der_item *item)
{
	struct slice behind = slice_from(der->rest, head->header_bytes);

	item->cut = head->content_bytes > behind.n;
	if (item->cut && !der->cut)
		return -1;
	item->content = slice_first(behind, head->content_bytes);
	item->whole = slice_first(der->rest, head->header_bytes + item->content.n);
	return 0;
}

int der_next(struct der *der, struct der_item *item)
{
	struct der_head head;

	*item = (struct der_item){ .tag = 0 };
	if (der->rest.n == 0 && !der->cut)
		return 0;
	if (der_read_head(der->rest, &head) <= 0)
		return -1;
	item->tag = head.tag;
	if ((head.indefinite ? set_indefinite(der, &head, item) : set_definite(der, &head, item)) != 0)
		return -1;
	der->rest = slice_from(der->rest, item->whole.n);
	return 1;
}

int der_take(struct der *der, unsigned tag, struct der_item *item)
{
	*item = (struct der_item){ .tag = 0 };
	if (der->rest.n == 0)
		return der->cut ? -1 : 0;
	if (octet(der->rest, 0) != tag)
		return 0;
	return der_next(der, item);
}

long der_count(struct der der, size_t limit)
{
	struct der_item item;
	long n = 0;
	int rc = 1;

	while ((size_t)n <= limit && (rc = der_next(&der, &item)) > 0)
		n++;
	return rc < 0 ? -1 : n;
}

int der_write(struct buf *buf, unsigned tag, struct slice content)
{
	unsigned char header[2 + sizeof(size_t)] = { (unsigned char)tag };
	size_t n = 2, octets = 0;

	for (size_t rest = content.n; content.n >= 0x80 && rest != 0; rest >>= 8)
		octets++;
	header[1] = (unsigned char)(octets == 0 ? content.n : 0x80 | octets);
	while (octets > 0)
		header[n++] = (unsigned char)(content.n >> (8 * --octets));
	if (buf_append(buf, header, n) != 0)
		return -1;
	return buf_append_slice(buf, content);
}
