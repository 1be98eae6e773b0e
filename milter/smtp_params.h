/* smtp_params.h - parameters of MAIL and RCPT as they came and as they go on (RFC 3461, RFC 1870, RFC 6152, RFC 6531,
 * RFC 4954), xtext, and the words of XFORWARD. Pure functions that write to a buffer; nothing is sent here.
 */
#ifndef MILTER_SMTP_PARAMS_H
#define MILTER_SMTP_PARAMS_H

#include "base/buf.h"
#include "milter/smtp_reply.h"

/* The value of NAME=VALUE (or a name that stands alone: empty) among blank-separated ESMTP arguments. Keywords fold
 * case. false: it is not there. */
bool smtp_param(const char *args, const char *name, struct slice *value);

/* RFC 3461 4: writes text with +XX where needed; reads it (-1: not xtext). buf's memory exhausted: -1 too. */
int smtp_xtext(struct buf *out, struct slice text);
int smtp_xtext_decode(struct buf *out, struct slice text);

struct smtp_facts {		/* of the message that is to be sent */
	bool eight_bit;		/* its body has bytes above 127 */
	bool utf8_needed;	/* an address of the envelope has */
	uint64_t size_bytes;
};

/* " RET=… ENVID=… AUTH=<> BODY=… SIZE=… SMTPUTF8" for a listener that offers this: RET, ENVID and AUTH as they came in
 * args, BODY and SIZE from the facts, SMTPUTF8 where args has it or an address needs it. What is not offered is
 * left out, and so is what we do not know. -1, ERR_TEMP: the listener lacks SMTPUTF8 or 8BITMIME and the message
 * needs it, or its SIZE is smaller. */
int smtp_mail_params(struct buf *out, const char *args, const struct smtp_offers *offers,
		     const struct smtp_facts *facts, struct err *err);
/* " NOTIFY=… ORCPT=…" likewise. */
int smtp_rcpt_params(struct buf *out, const char *args, const struct smtp_offers *offers, struct err *err);

/* Who brought the message, by attribute; NULL: not known. ADDR is an IP address, SOURCE "LOCAL" or "REMOTE". */
struct smtp_client {
	const char *attributes[SMTP_ATTRIBUTES];
};
/* " NAME=VALUE" for XFORWARD, with one of the client's attributes; nothing is written where it is not known or the listener
 * does not take it. Values are cut at 255 bytes. -1: memory. */
int smtp_xforward(struct buf *out, const struct smtp_client *client, enum smtp_attribute attribute,
		  const struct smtp_offers *offers, struct err *err);

#endif
