/* reply.c - codes and texts of replies: the only place where an outcome becomes SMTP (INTERFACE 3). Called by the
 * milter at the end of a message and by smimectl for outcome.json. RFC 5321 4.2, RFC 3463. */
#include "milter/reply.h"

#include <stdio.h>
#include <string.h>

#include "base/crypt.h"
#include "base/event.h"

/* With code and xcode never more than 510 bytes and CRLF. */
#define TEXT_BYTES 490

struct row {
	const char *code, *xcode, *text;	/* text: where the outcome gives no detail */
};

static const struct row rows[REPLY_COUNT] = {
	[REPLY_INTERNAL] = { "451", "4.3.0", "internal error" },
	[REPLY_NONE] = { "451", "4.3.0", "not decided" },
	[REPLY_NO_CERTIFICATE] = { "550", "5.7.5", "no usable certificate" },
	[REPLY_NO_CERTIFICATE_LATER] = { "451", "4.7.5", "no usable certificate yet" },
	[REPLY_NO_KEY] = { "550", "5.7.5", "no usable signing key" },
	[REPLY_DIRECTORY] = { "451", "4.4.3", "certificate directory unavailable" },
	[REPLY_KEYSTORE] = { "451", "4.7.5", "key store unavailable" },
	[REPLY_SEPARATE] = { "550", "5.7.0", "recipients need different treatment: send to them separately" },
	[REPLY_COPIES] = { "451", "4.4.2", "a copy could not be handed over" },
	[REPLY_RECORDER] = { "451", "4.7.5", "recorder unavailable" },
	[REPLY_INTEGRITY] = { "550", "5.7.7", "the signature does not match the message" },
	[REPLY_VERDICT] = { "550", "5.7.1", "the signature is not acceptable" },
	[REPLY_REVOCATION] = { "451", "4.7.5", "revocation of the signer's certificate cannot be checked now" },
	[REPLY_PROTECTION] = { "550", "5.7.1", "the message lacks the required protection" },
	[REPLY_TOO_BIG] = { "552", "5.3.4", "message too big" },
	[REPLY_MALFORMED] = { "554", "5.6.0", "malformed message" },
	[REPLY_BUSY] = { "451", "4.3.2", "busy, try again later" },
	[REPLY_LOOP] = { "554", "5.4.6", "mail loop" },
};

static void set_codes(const struct row *row, enum action action, struct reply_line *line)
{
	char wanted = action == ACTION_REJECT ? '5' : '4';

	snprintf(line->code, sizeof(line->code), "%s", row->code);
	snprintf(line->xcode, sizeof(line->xcode), "%s", row->xcode);
	if (row->code[0] == wanted)
		return;
	/* 554 and 451 exist whatever the second and third digits of the other class were. */
	snprintf(line->code, sizeof(line->code), "%s", wanted == '5' ? "554" : "451");
	line->xcode[0] = wanted;
}

void reply_format(const struct outcome *outcome, const char *token, struct reply_line *line)
{
	const struct row *row = &rows[(unsigned)outcome->reply < REPLY_COUNT ? outcome->reply : REPLY_INTERNAL];
	const char *detail = outcome->reply_detail;
	char raw[1024];
	size_t n;

	memset(line, 0, sizeof(*line));
	if (outcome->action == ACTION_ACCEPT)
		return;
	set_codes(row, outcome->action, line);
	if (detail == NULL || detail[0] == '\0')
		detail = row->text;
	if (row == &rows[REPLY_INTERNAL] && token != NULL && token[0] != '\0')
		snprintf(raw, sizeof(raw), "S/MIME: %s, token %s", row->text, token);
	else
		snprintf(raw, sizeof(raw), "S/MIME: %s", detail);
	event_escape(slice_of(raw), line->text, TEXT_BYTES);
	n = strlen(line->text);
	if (n + 5 >= TEXT_BYTES)
		memcpy(line->text + n - 3, "...", 4);
}

void reply_token(char token[REPLY_TOKEN_SIZE])
{
	unsigned char bytes[(REPLY_TOKEN_SIZE - 1) / 2] = { 0 };
	char *p = token;

	if (crypt_random(bytes, sizeof(bytes), NULL) != 0)
		memset(bytes, 0, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++, p += 2)
		snprintf(p, 3, "%02X", bytes[i]);
}
