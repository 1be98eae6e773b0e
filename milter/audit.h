/* audit.h - what became of a message, as audit lines: a JSON object for each recipient (INTERFACE 5). Facts of the envelope
 * and the outcome, never a subject or a word of the body. The recorder adds seq and prev (audit_chain.h).
 */
#ifndef MILTER_AUDIT_H
#define MILTER_AUDIT_H

#include "gate/outcome.h"
#include "milter/recorder_client.h"

struct audit_message {			/* a message as bytes */
	const unsigned char *body_sha256;	/* CRYPT_SHA256_BYTES; NULL: not read to its end, size unknown too */
	uint64_t size_bytes;		/* header, empty line and body */
	const char *queue_id;		/* the MTA's name for it; NULL or "": not told */
};

struct audit_entry {
	time_t at;
	const struct envelope *envelope;
	const struct outcome *outcome;
	const struct header *header;	/* as it came: From and Message-ID */
	struct audit_message in;	/* as it came; its queue_id is the envelope's */
	const struct audit_message *out;	/* the outcome's messages: 0 the original, 1 the first copy … */
	size_t out_count;		/* 0: nothing left */
	int64_t attempt;		/* of the journal; 0: none */
	const char *config;		/* conf_sha256; NULL: not known */
	const char *token;		/* of an internal error, as in the log; NULL or "" */
	double ms;
};

/* Appends a line for each recipient of the envelope, fit for recorder_client_audit. Texts are cut at AUDIT_TEXT_BYTES; a
 * line that would still be longer than AUDIT_LINE_BYTES goes without its layers, then without what directories were asked,
 * then without its peers, and names them in "omitted". -1: memory. */
#define AUDIT_TEXT_BYTES 400
int audit_lines(const struct audit_entry *entry, struct buf *out, struct err *err);

/* On disk when it returns 0. recorder NULL: nothing is recorded. -1, ERR_TEMP: the message must not be accepted. */
int audit_record(const struct recorder_client *recorder, const struct audit_entry *entry, struct err *err);

#endif
