/* smtp.h - a connection to an SMTP server: commands out, replies in, the text of a message with its dots. Who says
 * what, and what an answer means, is reinject.c's business. No call waits beyond the deadline, none raises a signal.
 */
#ifndef MILTER_SMTP_H
#define MILTER_SMTP_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "milter/smtp_reply.h"
#include "milter/smtp_tls.h"

#define SMTP_ADDRESSES 8
#define SMTP_COMMAND_MS 60000		/* for the answer to a command, and for the server to take a piece of text */
#define SMTP_FINAL_MS 300000		/* for the answer to the end of the text */

struct smtp_address {
	char host[256];			/* name or literal address; a unix socket's path */
	bool local;			/* a unix socket */
	size_t n;
	struct {
		struct sockaddr_storage bytes;
		socklen_t n;
	} at[SMTP_ADDRESSES];		/* tried in this order */
};

/* Reads what listener_parse reads, except that an inet form must name the host. A name is looked up now and never
 * again: a look-up knows no deadline. ERR_CONFIG says what is wrong. */
int smtp_address_parse(const char *text, struct smtp_address *address, struct err *err);

struct smtp_options {
	const struct smtp_address *address;
	const struct smtp_trust *trust;	/* not NULL: STARTTLS, or nothing */
	const char *name;		/* ours, for EHLO */
	int64_t deadline_ms;		/* of clock_system, monotonic: the connection ends then at the latest */
};

struct smtp;

/* Connects (at most 10 s), greets, and changes to TLS where that is wanted. NULL: *err, always ERR_TEMP. */
struct smtp *smtp_open(const struct smtp_options *options, struct err *err);
/* Drops the connection: a text that has not ended is delivered to nobody. NULL is fine. */
void smtp_close(struct smtp *smtp);
/* Says QUIT, waits for no answer, and drops it. Only between messages. */
void smtp_quit(struct smtp *smtp);
const struct smtp_offers *smtp_offers(const struct smtp *smtp);

/* Puts a command (printf, without CRLF) behind those that wait to be sent. ERR_BUG if it holds a control character: it
 * cannot become two. 0 or -1. */
int smtp_say(struct smtp *smtp, struct err *err, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Sends what waits and reads the next reply, in any code; its raw bytes stay until the next call. -1: timeout,
 * connection lost, or no reply. */
int smtp_answer(struct smtp *smtp, int64_t timeout_ms, struct smtp_reply *reply, struct err *err);

/* Text behind a 354, in any pieces: dots at the beginning of lines are doubled, nothing else is changed. Lines end with
 * CRLF: a lone LF is ERR_BUG, since servers differ in whether it ends a line, and a dot behind it the message. */
int smtp_text(struct smtp *smtp, const void *p, size_t n, struct err *err);
/* Sends what waits, ending the last line if need be; then, on its own, the dot. *said: true as soon as the dot may have
 * gone out. The reply is smtp_answer's. */
int smtp_text_end(struct smtp *smtp, bool *said, struct err *err);

#endif
