/* reply.h - the SMTP reply of an outcome: the one table of codes and texts (INTERFACE 3). Values only: the milter hands
 * them to libmilter, smimectl prints them. No subject, body, key or plaintext gets in: only what the outcome names.
 */
#ifndef MILTER_REPLY_H
#define MILTER_REPLY_H

#include "gate/outcome.h"

#define REPLY_TOKEN_SIZE 9

struct reply_line {
	char code[4];		/* "550"; "" when the outcome accepts */
	char xcode[8];		/* "5.7.5" (RFC 3463); "" likewise */
	char text[496];		/* "S/MIME: …", one line, printable ASCII; the whole reply fits 512 bytes (RFC 5321) */
};

/* Fills line from outcome->action, reply and reply_detail. The action decides between 4xx and 5xx: a reply whose usual
 * class is the other one (on_failure = "reject") gets the matching code. token: stands in the text of an internal
 * error, NULL or "" for none. Never fails: a text that is too long ends in "...". */
void reply_format(const struct outcome *outcome, const char *token, struct reply_line *line);

/* Eight random hexadecimal digits: the name of an internal error in reply, log and record. */
void reply_token(char token[REPLY_TOKEN_SIZE]);

#endif
