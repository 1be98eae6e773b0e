/* message.h - a message (or entity) is a value: header fields and a re-openable body. Steps make new ones. */
#ifndef MAIL_MESSAGE_H
#define MAIL_MESSAGE_H

#include "base/body.h"
#include "mail/header.h"

struct message {
	struct header header;
	const struct body *body;	/* behind the empty line; CRLF line ends as they came */
};

/* All fields and the empty line; a field without line end gets one. p == NULL: arena exhausted. */
struct slice message_header_bytes(struct arena *arena, const struct header *header);
/* Header bytes, empty line, body: what the message looks like on the wire. NULL: *err. */
struct stream *message_open(struct arena *arena, const struct message *message, struct err *err);

/* Parses wire or file bytes, which must outlive the arena's use: header, then the rest as body. */
int message_parse(struct arena *arena, struct slice bytes, const struct header_limits *limits, struct message *message,
		  struct err *err);

/* A file's text as it would have been on the wire: if the first line ends with a lone LF, every lone LF becomes CRLF;
 * otherwise the bytes stay. A leading mbox line ("From ") is dropped. out: its limit gives -1. */
int message_from_file_bytes(struct slice bytes, struct buf *out, struct err *err);

#endif
