/* audit_chain.h - the front of an audit line, which ties it to the one before: written by audit_file.c, read by smimectl
 * audit verify. Each line is one JSON object; `seq` counts from 1 without a gap; `prev`, where chaining is on, is the
 * SHA-256 of the bytes of the line before, without its line feed, zeros for the first one.
 */
#ifndef MILTER_AUDIT_CHAIN_H
#define MILTER_AUDIT_CHAIN_H

#include "base/buf.h"
#include "base/crypt.h"

#define AUDIT_LINE_BYTES ((size_t)32 * 1024)	/* of a line as a worker makes it */
#define AUDIT_FRONT_BYTES 128			/* that the front adds, at most */
#define AUDIT_HASH_SIZE (2 * CRYPT_SHA256_BYTES + 1)

struct audit_last {			/* the last line of a chain */
	uint64_t seq;			/* 0: there is none */
	char hash[AUDIT_HASH_SIZE];
};

/* Before the first line. */
void audit_last_init(struct audit_last *last);
/* Appends the next line: json with its front put in and a line feed; chain: with prev. last becomes this line. json must
 * have passed audit_line_check. -1: memory. */
int audit_line_write(struct audit_last *last, bool chain, struct slice json, struct buf *out, struct err *err);
/* Is it fit for a line: an object on one line, of AUDIT_LINE_BYTES at most, without control characters? Not checked: that
 * it is JSON. */
bool audit_line_check(struct slice json);

enum audit_link { AUDIT_GOOD, AUDIT_FIRST, AUDIT_NO_LINE, AUDIT_UNCHAINED, AUDIT_GAP, AUDIT_BROKEN };
extern const char *const audit_link_names[];	/* what is wrong, for people */
/* Does line follow last? It becomes the last one, whatever it is. AUDIT_FIRST: nothing is known of what was before it.
 * AUDIT_NO_LINE: no audit line; a crash in the middle of writing leaves one, which nobody was told is there and whose
 * seq is used again. -1: libcrypto. */
int audit_link(struct audit_last *last, struct slice line, enum audit_link *link, struct err *err);

#endif
