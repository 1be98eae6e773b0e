/* der_stream.c - framing of BER items that come by in a stream. A small window holds what is needed to read the next
 * head. Nothing recurses; the depth is bounded. Called by prescan_envelope.c. */
#include "smime/der_stream.h"

#include <string.h>

/* Identifier, length of length, and eight octets of it. */
#define HEAD_BYTES 16

void der_stream_init(struct der_stream *der, struct stream *source)
{
	*der = (struct der_stream){ .source = source };
}

static int malformed(const struct der_stream *der, const char *what, struct err *err)
{
	return err_set(err, ERR_MESSAGE, "%s at offset %llu", what, (unsigned long long)der->at);
}

static uint64_t end_of(const struct der_stream *der)
{
	return der->depth == 0 ? UINT64_MAX : der->open[der->depth - 1].end;
}

/* At least n bytes in the window, unless there are no more. n is small. */
static int fill(struct der_stream *der, size_t n, struct err *err)
{
	ssize_t got;

	while (der->to - der->from < n && !der->ended) {
		memmove(der->window, der->window + der->from, der->to - der->from);
		der->to -= der->from;
		der->from = 0;
		got = stream_read(der->source, der->window + der->to, sizeof(der->window) - der->to, err);
		if (got < 0)
			return -1;
		der->ended = got == 0;
		der->to += (size_t)got;
	}
	return 0;
}

/* What is at hand and belongs to the item that was entered last. */
static struct slice at_hand(const struct der_stream *der)
{
	size_t n = der->to - der->from;
	uint64_t left = end_of(der) - der->at;

	return slice_make(der->window + der->from, left < n ? (size_t)left : n);
}

static void pass(struct der_stream *der, size_t n)
{
	der->from += n;
	der->at += n;
}

/* The head of the next item: 1, 0: there is none, the end of what was entered is here; -1. */
static int peek(struct der_stream *der, struct der_head *head, struct err *err)
{
	bool indefinite = der->depth > 0 && der->open[der->depth - 1].indefinite;
	struct slice bytes;

	*head = (struct der_head){ .tag = 0 };
	if (fill(der, HEAD_BYTES, err) != 0)
		return -1;
	bytes = at_hand(der);
	if (indefinite ? der_is_end_of_contents(bytes) : bytes.n == 0 && (der->depth == 0 || der->at == end_of(der)))
		return 0;
	if (der_read_head(bytes, head) != 1 || head->content_bytes > end_of(der) - der->at - head->header_bytes)
		return malformed(der, "an item is malformed or cut off", err);
	return 1;
}

static int enter(struct der_stream *der, const struct der_head *head, struct err *err)
{
	uint64_t end = end_of(der);

	if (der->depth == DER_STREAM_DEPTH)
		return malformed(der, "nested too deep", err);
	pass(der, head->header_bytes);
	der->open[der->depth].indefinite = head->indefinite;
	der->open[der->depth].end = head->indefinite ? end : der->at + head->content_bytes;
	der->depth++;
	return 0;
}

int der_stream_enter(struct der_stream *der, unsigned tag, struct err *err)
{
	struct der_head head;
	int rc = peek(der, &head, err);

	if (rc <= 0 || head.tag != tag)
		return rc < 0 ? -1 : 0;
	return enter(der, &head, err) == 0 ? 1 : -1;
}

int der_stream_leave(struct der_stream *der, struct err *err)
{
	struct der_head head;
	int rc = peek(der, &head, err);

	if (rc != 0)
		return rc < 0 ? -1 : malformed(der, "bytes behind what is known", err);
	if (der->open[der->depth - 1].indefinite)
		pass(der, 2);
	der->depth--;
	return 0;
}

/* The next n bytes to whole, or to the sample of octets; the one that is not meant is NULL. */
static int read_bytes(struct der_stream *der, uint64_t n, struct buf *whole, struct der_octets *octets, struct err *err)
{
	struct slice bytes;

	while (n > 0) {
		if (fill(der, 1, err) != 0)
			return -1;
		bytes = slice_first(at_hand(der), n < SIZE_MAX ? (size_t)n : SIZE_MAX);
		if (bytes.n == 0)
			return malformed(der, "the object is cut off", err);
		if (whole != NULL && buf_append_slice(whole, bytes) != 0)
			return err_memory(err);
		for (size_t i = 0; octets != NULL && i < bytes.n && octets->n + i < DER_SAMPLE_BYTES; i++)
			octets->sample[octets->n + i] = (unsigned char)bytes.p[i];
		if (octets != NULL)
			octets->n += bytes.n;
		pass(der, bytes.n);
		n -= bytes.n;
	}
	return 0;
}

static int fits(const struct buf *whole, uint64_t n, struct err *err)
{
	if (whole->limit_bytes == 0 || (whole->n <= whole->limit_bytes && n <= whole->limit_bytes - whole->n))
		return 0;
	return err_set(err, ERR_LIMIT, "an item is longer than %zu bytes", whole->limit_bytes);
}

/* A whole item. What is in one of indefinite length is looked at for the end of it alone. */
static int take(struct der_stream *der, struct buf *whole, struct err *err)
{
	struct der_head head;
	unsigned depth = 0;
	uint64_t n;

	do {
		if (fill(der, HEAD_BYTES, err) != 0)
			return -1;
		n = 2;
		if (depth > 0 && der_is_end_of_contents(at_hand(der))) {
			depth--;
		} else {
			if (der_read_head(at_hand(der), &head) != 1 ||
			    head.content_bytes > end_of(der) - der->at - head.header_bytes)
				return malformed(der, "an item is malformed or cut off", err);
			if (head.indefinite && ++depth > DER_INDEFINITE_DEPTH)
				return malformed(der, "nested too deep", err);
			n = (uint64_t)head.header_bytes + head.content_bytes;
		}
		if (fits(whole, n, err) != 0 || read_bytes(der, n, whole, NULL, err) != 0)
			return -1;
	} while (depth > 0);
	return 0;
}

int der_stream_next(struct der_stream *der, struct buf *whole, struct err *err)
{
	struct der_head head;
	int rc = peek(der, &head, err);

	return rc <= 0 ? rc : take(der, whole, err) == 0 ? 1 : -1;
}

int der_stream_take(struct der_stream *der, unsigned tag, struct buf *whole, struct err *err)
{
	struct der_head head;
	int rc = peek(der, &head, err);

	if (rc <= 0 || head.tag != tag)
		return rc < 0 ? -1 : 0;
	return take(der, whole, err) == 0 ? 1 : -1;
}

/* All pieces of what was entered last, and out of it. */
static int pass_pieces(struct der_stream *der, struct der_octets *octets, struct err *err)
{
	const unsigned around = der->depth - 1;
	struct der_head head;
	int rc;

	while (der->depth > around) {
		rc = peek(der, &head, err);
		if (rc == 0) {
			rc = der_stream_leave(der, err);
		} else if (rc > 0 && head.tag == DER_OCTETS) {
			pass(der, head.header_bytes);
			rc = read_bytes(der, head.content_bytes, NULL, octets, err);
		} else if (rc > 0 && head.tag == DER_OCTETS_CONSTRUCTED && der->depth - around < DER_CHUNK_DEPTH) {
			rc = enter(der, &head, err);
		} else if (rc > 0) {
			rc = malformed(der, "octets are made of something else", err);
		}
		if (rc < 0)
			return -1;
	}
	return 0;
}

int der_stream_octets(struct der_stream *der, unsigned tag, struct der_octets *octets, struct err *err)
{
	struct der_head head;
	int rc = peek(der, &head, err);

	*octets = (struct der_octets){ .n = 0 };
	if (rc < 0)
		return -1;
	if (rc == 1 && head.tag == tag) {
		pass(der, head.header_bytes);
		return read_bytes(der, head.content_bytes, NULL, octets, err) == 0 ? 1 : -1;
	}
	if (rc == 0 || head.tag != (tag | 0x20u))
		return 0;
	return enter(der, &head, err) == 0 && pass_pieces(der, octets, err) == 0 ? 1 : -1;
}

int der_stream_finish(struct der_stream *der, bool line_end, struct err *err)
{
	struct slice rest;

	if (fill(der, HEAD_BYTES, err) != 0)
		return -1;
	rest = at_hand(der);
	if (rest.n == 0 || (line_end && slice_is(rest, "\r\n")))
		return 0;
	return malformed(der, "bytes behind the object", err);
}
