/* encode.h - base64 and quoted-printable (RFC 2045 6.7, 6.8) as streams and on buffers. Output lines end with CRLF, are
 * at most 76 characters. */
#ifndef MAIL_ENCODE_H
#define MAIL_ENCODE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/stream.h"

enum transfer_encoding { CTE_7BIT, CTE_8BIT, CTE_BINARY, CTE_QUOTED_PRINTABLE, CTE_BASE64, CTE_UNKNOWN };

/* The value of Content-Transfer-Encoding, comments and case ignored; empty: 7bit. */
enum transfer_encoding encode_parse_cte(struct slice value);
const char *encode_cte_name(enum transfer_encoding);

/* Take source (NULL gives NULL); NULL: *err. The base64 encoder ends its last line with CRLF. */
struct stream *encode_base64(struct stream *source, struct err *err);
/* text: CRLF is a line break and stays; else every CR and LF is encoded. "From " at line start, a lone "." and trailing
 * blanks are encoded (RFC 8551 3.1.3, RFC 5321). Ends without adding a line break: a soft one never dangles. */
struct stream *encode_quoted_printable(struct stream *source, bool text, struct err *err);
/* Decoders. base64: white space ignored; any other character outside the alphabet, or data behind padding: ERR_MESSAGE
 * when strict, skipped otherwise. quoted-printable: a line break, LF alone too, comes out as CRLF. */
struct stream *decode_base64(struct stream *source, bool strict, struct err *err);
struct stream *decode_quoted_printable(struct stream *source, struct err *err);
/* By encoding: 7bit, 8bit, binary and unknown pass through. */
struct stream *decode_transfer(struct stream *source, enum transfer_encoding, struct err *err);

#endif
