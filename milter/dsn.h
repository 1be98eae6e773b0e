/* dsn.h - tells a sender which recipients will not get his message: a delivery status notification (RFC 3464). It
 * quotes nothing of the message: no subject, no content, of the header only Message-ID and Date. What comes out is a
 * message for outgoing_make and an envelope for reinject_send; nothing is sent here.
 */
#ifndef MILTER_DSN_H
#define MILTER_DSN_H

#include <time.h>

#include "gate/envelope.h"
#include "mail/message.h"

struct dsn_recipient {
	const struct recipient *recipient;
	/* Why, as an SMTP reply: "550 5.7.5 S/MIME: no usable certificate". The status is taken from it, 5.0.0 where
	 * there is none. Untrusted text: it is escaped and cut. */
	const char *reply;
};

struct dsn_report {
	const char *host;			/* authserv_id: Reporting-MTA, and the domain of our own address */
	const struct envelope *envelope;	/* the message's */
	const struct header *original;		/* the message's: Message-ID and Date are read */
	const struct dsn_recipient *recipients;
	size_t n;
	time_t now;
};

struct dsn {
	struct message message;
	struct envelope envelope;	/* from <>, to the sender */
};

/* May this sender be told about this recipient? Not the null sender, not with NOTIFY=NEVER or a NOTIFY without
 * FAILURE. */
bool dsn_wanted(const struct envelope *envelope, const struct recipient *recipient);

/* 1: made, for those of the recipients for whom it is wanted; 0: wanted for none; -1: memory. */
int dsn_make(struct arena *arena, const struct dsn_report *report, struct dsn *dsn, struct err *err);

#endif
