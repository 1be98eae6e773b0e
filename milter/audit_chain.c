/* audit_chain.c - seq and prev of audit lines. Called by audit_file.c and ctl_audit.c. */
#include "milter/audit_chain.h"

#include <inttypes.h>
#include <string.h>

#define SEQ "{\"seq\":"
#define PREV ",\"prev\":\""

const char *const audit_link_names[] = { "", "", "is no whole audit line", "is not chained: it has no prev",
					 "does not follow: lines are missing before it, or seq was changed",
					 "does not follow: prev is not the digest of the line before it" };

void audit_last_init(struct audit_last *last)
{
	last->seq = 0;
	memset(last->hash, '0', sizeof(last->hash) - 1);
	last->hash[sizeof(last->hash) - 1] = '\0';
}

/* The line, whatever it holds, as the last one. -1: libcrypto. */
static int last_set(struct audit_last *last, uint64_t seq, struct slice line, struct err *err)
{
	unsigned char digest[CRYPT_SHA256_BYTES];

	if (crypt_sha256(line.p, line.n, digest, err) != 0)
		return -1;
	crypt_hex(digest, sizeof(digest), last->hash);
	last->seq = seq;
	return 0;
}

int audit_line_write(struct audit_last *last, bool chain, struct slice json, struct buf *out, struct err *err)
{
	const size_t start = out->n;
	int rc = buf_printf(out, SEQ "%" PRIu64, last->seq + 1);

	if (chain)
		rc |= buf_printf(out, PREV "%s\"", last->hash);
	rc |= buf_append_char(out, ',') | buf_append_slice(out, slice_from(json, 1));
	if (rc != 0)
		return err_memory(err);
	if (last_set(last, last->seq + 1, slice_make(out->p + start, out->n - start), err) != 0)
		return -1;
	return buf_append_char(out, '\n') == 0 ? 0 : err_memory(err);
}

bool audit_line_check(struct slice json)
{
	if (json.n < 3 || json.n > AUDIT_LINE_BYTES || json.p[0] != '{' || json.p[1] != '"' || json.p[json.n - 1] != '}')
		return false;
	for (size_t i = 0; i < json.n; i++)
		if ((unsigned char)json.p[i] < 0x20)
			return false;
	return true;
}

static bool take(struct slice *rest, const char *text)
{
	size_t n = strlen(text);

	if (!slice_equal(slice_first(*rest, n), slice_of(text)))
		return false;
	*rest = slice_from(*rest, n);
	return true;
}

struct front {
	uint64_t seq;
	struct slice prev;		/* n == 0: not chained */
};

/* line: without its line feed. False: no such front. */
static bool front_read(struct slice line, struct front *front)
{
	struct slice rest = line;
	size_t digits = 0;

	*front = (struct front){ 0 };
	if (!take(&rest, SEQ))
		return false;
	for (; digits < rest.n && digits < 18 && rest.p[digits] >= '0' && rest.p[digits] <= '9'; digits++)
		front->seq = front->seq * 10 + (uint64_t)(rest.p[digits] - '0');
	rest = slice_from(rest, digits);
	if (digits == 0 || rest.n == 0 || rest.p[0] != ',')
		return false;
	if (!take(&rest, PREV))
		return true;
	front->prev = slice_first(rest, AUDIT_HASH_SIZE - 1);
	rest = slice_from(rest, front->prev.n);
	return take(&rest, "\",");
}

static enum audit_link judge(const struct audit_last *last, const struct front *front)
{
	if (front->prev.n == 0)
		return AUDIT_UNCHAINED;
	if (last->seq == 0)
		return AUDIT_FIRST;
	if (!slice_is(front->prev, last->hash))
		return AUDIT_BROKEN;
	return front->seq == last->seq + 1 ? AUDIT_GOOD : AUDIT_GAP;
}

int audit_link(struct audit_last *last, struct slice line, enum audit_link *link, struct err *err)
{
	struct front front;

	if (!front_read(line, &front) || line.p[line.n - 1] != '}') {
		*link = AUDIT_NO_LINE;
		return last_set(last, last->seq, line, err);
	}
	*link = judge(last, &front);
	return last_set(last, front.seq, line, err);
}
