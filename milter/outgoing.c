/* outgoing.c - see outgoing.h. Called by delivery.c for copies and notifications before any of them is sent, and for
 * the digest of what came, which the loop guard, the journal and account.c want. */
#include "milter/outgoing.h"

#include <string.h>

#include "base/spool.h"

struct lines {
	struct spool *spool;		/* NULL: only the digest is wanted */
	struct crypt_digest *digest;
	uint64_t size_bytes;
	bool eight_bit;
	char last;			/* LF before the first byte */
};

static int put(struct lines *lines, const char *p, size_t n, struct err *err)
{
	if (n == 0)
		return 0;
	lines->last = p[n - 1];
	lines->size_bytes += n;
	for (size_t i = 0; !lines->eight_bit && i < n; i++)
		lines->eight_bit = (unsigned char)p[i] > 0x7f;
	if (crypt_digest_add(lines->digest, p, n, err) != 0)
		return -1;
	return lines->spool != NULL ? spool_write(lines->spool, p, n, err) : 0;
}

/* Index of the next LF without CR, or n. */
static size_t find_lone(const char *p, size_t n, char last)
{
	const char *at = p, *lf;

	while ((lf = memchr(at, '\n', n - (size_t)(at - p))) != NULL) {
		if ((lf > p ? lf[-1] : last) != '\r')
			return (size_t)(lf - p);
		at = lf + 1;
	}
	return n;
}

static int add(void *arg, const void *bytes, size_t n, struct err *err)
{
	struct lines *lines = arg;
	const char *p = bytes;

	while (n > 0) {
		size_t run = find_lone(p, n, lines->last);

		if (put(lines, p, run, err) != 0)
			return -1;
		if (run == n)
			break;
		if (put(lines, "\r\n", 2, err) != 0)
			return -1;
		p += run + 1;
		n -= run + 1;
	}
	return 0;
}

static int drain(const struct body *body, struct lines *lines, unsigned char digest[CRYPT_SHA256_BYTES],
		 struct err *err)
{
	struct stream *stream = NULL;
	int rc = -1;

	lines->last = '\n';
	lines->digest = crypt_digest_new(err);
	if (lines->digest == NULL)
		goto out;
	stream = body_open(body, err);
	if (stream == NULL || stream_drain(stream, add, lines, err) != 0)
		goto out;
	if (lines->last == '\r' && put(lines, "\n", 1, err) != 0)
		goto out;
	if (lines->last != '\n' && put(lines, "\r\n", 2, err) != 0)
		goto out;
	rc = crypt_digest_end(lines->digest, digest, err);
out:
	stream_close(stream);
	crypt_digest_free(lines->digest);
	return rc;
}

/* Each lone LF as CRLF. p == NULL: memory. */
static struct slice header_lines(struct arena *arena, struct slice bytes)
{
	char *out = arena_alloc(arena, 2 * bytes.n + 1), *to = out;
	char last = '\n';

	for (size_t i = 0; out != NULL && i < bytes.n; i++) {
		if (bytes.p[i] == '\n' && last != '\r')
			*to++ = '\r';
		*to++ = last = bytes.p[i];
	}
	return slice_make(out, (size_t)(to - out));
}

int outgoing_make(struct arena *arena, const struct outgoing_room *room, const struct message *message,
		  struct outgoing *outgoing, struct err *err)
{
	struct slice header = message_header_bytes(arena, &message->header);
	struct lines lines = { 0 };

	if (header.p != NULL && find_lone(header.p, header.n, '\n') < header.n)
		header = header_lines(arena, header);
	if (header.p == NULL)
		return err_memory(err);
	lines.spool = spool_new(arena, room->directory, room->memory_bytes, room->limit_bytes, err);
	if (lines.spool == NULL || drain(message->body, &lines, outgoing->body_sha256, err) != 0)
		return -1;
	outgoing->body = spool_finish(lines.spool, err);
	if (outgoing->body == NULL)
		return -1;
	outgoing->header = header;
	outgoing->size_bytes = header.n + lines.size_bytes;
	outgoing->eight_bit = lines.eight_bit;
	return 0;
}

int outgoing_digest(const struct body *body, unsigned char digest[CRYPT_SHA256_BYTES], struct err *err)
{
	struct lines lines = { 0 };

	return drain(body, &lines, digest, err);
}

const unsigned char *outgoing_digest_once(struct outgoing_digest *digest, struct err *err)
{
	if (!digest->made && outgoing_digest(digest->body, digest->sha256, err) != 0)
		return NULL;
	digest->made = true;
	return digest->sha256;
}
