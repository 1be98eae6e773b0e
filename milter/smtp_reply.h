/* smtp_reply.h - what an SMTP server says: replies of one or more lines (RFC 5321 4.2), and what the one to EHLO
 * offers. Pure functions over bytes that came from the network; smtp.c reads them.
 */
#ifndef MILTER_SMTP_REPLY_H
#define MILTER_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

#define SMTP_REPLY_BYTES 16384		/* of a whole reply: what is longer is refused */
#define SMTP_TEXT_BYTES 256

struct smtp_reply {
	int code;			/* 200 to 599 */
	char text[SMTP_TEXT_BYTES];	/* "550 5.1.1 no such user": lines joined, escaped, cut; printable ASCII */
	struct slice raw;		/* all lines, as they came; points into the bytes parsed */
};

/* The first reply in bytes: 1 and *consumed; 0: not whole yet; -1: no reply (ERR_TEMP): a line without a code, codes
 * that differ, or more than SMTP_REPLY_BYTES. */
int smtp_reply_parse(struct slice bytes, struct smtp_reply *reply, size_t *consumed, struct err *err);

/* What XFORWARD tells. */
enum smtp_attribute {
	SMTP_NAME, SMTP_ADDR, SMTP_PORT, SMTP_PROTO, SMTP_HELO, SMTP_IDENT, SMTP_SOURCE, SMTP_ATTRIBUTES
};
extern const char *const smtp_attribute_names[SMTP_ATTRIBUTES];

struct smtp_offers {
	bool pipelining, eight_bit, utf8, dsn, size, starttls, auth;
	uint64_t size_bytes;			/* the listener's limit; 0: none told */
	bool xforward[SMTP_ATTRIBUTES];		/* attributes that it takes */
};

/* Reads the reply to EHLO; keywords that we do not use are skipped. */
void smtp_offers_parse(struct slice raw, struct smtp_offers *offers);

#endif
