/* mime_scan.h - between mime.c and mime_line.c alone: the state of one reading of a body. */
#ifndef MAIL_MIME_SCAN_H
#define MAIL_MIME_SCAN_H

#include "base/buf.h"
#include "mail/mime.h"

/* What is kept of a line: enough for any delimiter line worth the name. */
#define MIME_PREFIX_BYTES 1024
#define MIME_BOUNDARY_MAX 250

struct mime_line {
	uint64_t start;		/* offset of its first byte */
	uint64_t length;	/* so far, later without its line end */
	unsigned end_bytes;	/* of its line end: 0 (end of body), 1, 2 */
	size_t prefix_n;
	size_t junk;		/* bytes behind the prefix that are no blanks */
	uint64_t cr_count;
	unsigned traits;	/* MIME_8BIT and MIME_NUL so far; all when ended */
	char last, before_last;
	char prefix[MIME_PREFIX_BYTES];
};

struct mime_scan {
	struct arena *arena;
	struct mime *mime;
	struct mime_limits limits;
	struct mime_part *current;	/* the innermost open part */
	bool in_header;			/* of current */
	struct buf head;		/* header bytes of current, the line being read included */
	size_t head_line;		/* where that line begins in head */
	size_t head_total;		/* bytes of all parts' headers: each field costs a multiple of its bytes */
	struct mime_line line;
	unsigned gap;			/* bytes of the line end before this line, unless a delimiter ate it */
	bool gap_bare;			/* it was a lone LF of a body: current's, if no delimiter follows */
};

/* Bytes of the line that holds p[0]; the line goes on. */
void mime_line_add(struct mime_line *line, const char *p, size_t n);
/* The line is complete: its LF came (or, lf false, the body ended). Fills length, end_bytes and traits. */
void mime_line_end(struct mime_line *line, bool lf);
void mime_line_begin(struct mime_line *line, uint64_t start);
/* 0: no delimiter line of that boundary, 1: it is one, 2: the closing one, 3: only to readers that take CR, VT or FF
 * for blanks. */
int mime_line_delimiter(const struct mime_line *line, struct slice boundary);

#endif
