/* mime.h - the skeleton of a message (RFC 2045, 2046): parts, where each lies in the body, and what a signer or a
 * verifier must know of it. Decodes nothing. Reads the body once, as a stream.
 *
 * Offsets count from the first byte of the top-level body. A delimiter line's CRLF before it belongs to the delimiter
 * (RFC 2046 5.1.1). Delimiters are recognised at any enclosing level. Parts of multipart/… and of message/rfc822 are
 * children; nothing else is entered.
 */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include <stdint.h>

#include "mail/encode.h"
#include "mail/message.h"
#include "mail/param.h"

struct mime_limits {
	size_t depth;		/* of nesting; 0: 20 */
	size_t parts;		/* 0: 1000 */
	size_t header_bytes;	/* of one part; 0: 65536. Of all parts together: MIME_HEADERS_FACTOR times that */
};

#define MIME_HEADERS_FACTOR 16

/* Of the bytes of the part's own body; a container has those of preamble, epilogue and delimiters. */
enum mime_trait {
	MIME_8BIT = 1,		/* a byte above 0x7f */
	MIME_NUL = 2,
	MIME_BARE_CR_LF = 4,	/* CR without LF or the reverse */
	MIME_LONG_LINE = 8,	/* over 998 octets without CRLF */
	MIME_TRAILING_BLANK = 16,
	MIME_FROM_LINE = 32,	/* a line begins with "From " */
	MIME_HEADER_8BIT = 64,	/* in the part's header fields (not the top level's) */
	MIME_HEADER_LONG = 128,	/* a line over 998 in the part's header fields */
	MIME_HEADER_BARE = 256,	/* CR without LF or the reverse in the part's header or the empty line behind it */
	MIME_BARE_CR = 512,	/* CR without LF, which some readers take for a line end */
	/* a container's: a line before or behind its parts begins as a delimiter does; one anywhere in it is one but for
	 * control characters at its end; a multipart in it has its boundary */
	MIME_FALSE_DELIMITER = 1024
};

struct mime_part {
	struct mime_part *parent, *child, *next;
	unsigned depth;			/* 0: the message itself */
	unsigned number;		/* from 1 among its siblings */
	uint64_t start;			/* first byte of the part's header (top level: 0) */
	uint64_t body_start, body_end;	/* its body, without the CRLF of the delimiter */
	struct header header;		/* the part's fields; of the top level: the message's */
	/* Content-Type; its value is "text/plain" (in digests "message/rfc822") where absent or broken */
	struct param_list type;
	bool type_given;		/* there is a Content-Type field, be it broken */
	enum transfer_encoding encoding;
	unsigned traits;		/* enum mime_trait */
	/* containers */
	struct slice boundary;
	uint64_t content_start;		/* of the first "--boundary"; no delimiter: content_start == content_end */
	uint64_t content_end;		/* behind the close delimiter line; unclosed: body_end */
	bool closed;			/* its close delimiter was found */
};

enum mime_fact {			/* of the whole message */
	/* a header line in a part that is none; a multipart unclosed, empty, or claiming to be encoded; a boundary
	 * missing, given twice, ended by a blank, or that of an enclosing multipart */
	MIME_MALFORMED = 1,
	MIME_DUPLICATE = 2		/* two Content-Type or two Content-Transfer-Encoding fields in one part */
};

struct mime {
	struct mime_part *root;
	size_t parts;
	unsigned facts;			/* enum mime_fact */
};

/* ERR_LIMIT names the limit; ERR_TEMP a stream's failure. Malformed input is a fact, not an error. 0 or -1. */
int mime_parse(struct arena *arena, const struct message *message, const struct mime_limits *limits, struct mime *mime,
	       struct err *err);

/* The part's body as it stands (encoded), and decoded by its transfer encoding (a computed body). NULL: memory. */
const struct body *mime_body(struct arena *arena, const struct message *message, const struct mime_part *part);
const struct body *mime_decoded(struct arena *arena, const struct message *message, const struct mime_part *part);
/* The part as an entity: header bytes, empty line, body, exactly as it stands. */
const struct body *mime_entity(struct arena *arena, const struct message *message, const struct mime_part *part);
bool mime_is(const struct mime_part *part, const char *type);	/* "multipart/signed", or "multipart/" as prefix */

#endif
