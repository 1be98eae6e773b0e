/* pem.c - finds the blocks of a PEM text and decodes them (RFC 7468). What a block's label means is the callers'
 * matter: bundle_pem.c, keystore_pem.c. CRLF and text between the blocks are fine; BEGIN and END stand at the start of
 * a line. */
#include "pki/pem.h"

#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

#define BEGIN "-----BEGIN "
#define END "-----END "
#define DASHES "-----"

/* Index of the line start at or behind `at` where the line begins with mark, or text.n. */
static size_t find_line(struct slice text, size_t at, const char *mark)
{
	size_t n = strlen(mark);
	const char *hit;

	while (at < text.n && (hit = memmem(text.p + at, text.n - at, mark, n)) != NULL) {
		at = (size_t)(hit - text.p);
		if (at == 0 || text.p[at - 1] == '\n' || text.p[at - 1] == '\r')
			return at;
		at += n;
	}
	return text.n;
}

/* What stands between mark, found at `at`, and the dashes that end the line. p == NULL: no dashes. */
static struct slice label_at(struct slice text, size_t at, const char *mark)
{
	struct slice rest = slice_from(text, at + strlen(mark));
	long end = slice_find(rest, '\n');
	struct slice line = end < 0 ? rest : slice_first(rest, (size_t)end);
	const char *dashes = line.n == 0 ? NULL : memmem(line.p, line.n, DASHES, strlen(DASHES));

	return dashes == NULL ? slice_make(NULL, 0) : slice_make(line.p, (size_t)(dashes - line.p));
}

static size_t line_end(struct slice text, size_t at)
{
	long end = slice_find(slice_from(text, at), '\n');

	return end < 0 ? text.n : at + (size_t)end + 1;
}

static void find_end(struct slice text, size_t begin, struct pem_block *block)
{
	size_t body = line_end(text, begin), next = find_line(text, body, BEGIN);
	/* Not beyond the next BEGIN, or many of them without an END would be searched again and again. */
	size_t end = find_line(slice_first(text, next), body, END);

	block->body = slice_make(text.p + body, end - body);
	block->finished = end < next && slice_equal(label_at(text, end, END), block->label);
	block->whole = slice_make(text.p + begin, (block->finished ? line_end(text, end) : end) - begin);
}

bool pem_next(struct slice text, size_t *at, struct pem_block *block)
{
	size_t begin;

	for (begin = find_line(text, *at, BEGIN); begin < text.n; begin = find_line(text, *at, BEGIN)) {
		*at = line_end(text, begin);
		*block = (struct pem_block){ .label = label_at(text, begin, BEGIN), .offset = begin };
		if (block->label.p == NULL)
			continue;
		find_end(text, begin, block);
		return true;
	}
	return false;
}

int pem_decode(const struct pem_block *block, struct buf *out)
{
	EVP_ENCODE_CTX *context = EVP_ENCODE_CTX_new();
	unsigned char *to = NULL;
	int n = 0, last = 0, rc = -1;

	if (context == NULL || block->body.n == 0 || block->body.n > INT_MAX / 2 ||
	    (to = buf_reserve(out, block->body.n + 80)) == NULL)
		goto out;
	EVP_DecodeInit(context);
	if (EVP_DecodeUpdate(context, to, &n, (const unsigned char *)block->body.p, (int)block->body.n) < 0 ||
	    EVP_DecodeFinal(context, to + n, &last) != 1)
		goto out;
	out->n += (size_t)n + (size_t)last;
	rc = 0;
out:
	EVP_ENCODE_CTX_free(context);
	return rc;
}
