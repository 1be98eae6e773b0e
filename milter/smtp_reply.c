/* smtp_reply.c - see smtp_reply.h. Called by smtp.c. RFC 5321 4.2, RFC 1870, RFC 2920, RFC 3461, RFC 6152, RFC 6531. */
#include "milter/smtp_reply.h"

#include <string.h>

#include "base/event.h"

const char *const smtp_attribute_names[SMTP_ATTRIBUTES] = {
	[SMTP_NAME] = "NAME", [SMTP_ADDR] = "ADDR", [SMTP_PORT] = "PORT", [SMTP_PROTO] = "PROTO", [SMTP_HELO] = "HELO",
	[SMTP_IDENT] = "IDENT", [SMTP_SOURCE] = "SOURCE",
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A line without its end. Leaves behind it what follows; false: there is no whole line. */
static bool take_line(struct slice *rest, struct slice *line)
{
	long lf = slice_find(*rest, '\n');

	if (lf < 0)
		return false;
	*line = slice_first(*rest, (size_t)lf);
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	*rest = slice_from(*rest, (size_t)lf + 1);
	return true;
}

/* The code, or -1. */
static int line_code(struct slice line)
{
	if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' || !is_digit(line.p[1]) || !is_digit(line.p[2]))
		return -1;
	if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return -1;
	return (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
}

static void add_text(char text[SMTP_TEXT_BYTES], struct slice part)
{
	size_t n = strlen(text);

	if (n > 0 && n + 1 < SMTP_TEXT_BYTES) {
		text[n++] = ' ';
		text[n] = '\0';
	}
	event_escape(part, text + n, SMTP_TEXT_BYTES - n);
}

static int not_a_reply(struct slice line, struct err *err)
{
	char shown[64];

	return err_set(err, ERR_TEMP, "not an SMTP reply: \"%s\"", event_escape(line, shown, sizeof(shown)));
}

int smtp_reply_parse(struct slice bytes, struct smtp_reply *reply, size_t *consumed, struct err *err)
{
	struct slice rest = slice_first(bytes, SMTP_REPLY_BYTES), line;
	bool more = true;

	reply->code = 0;
	reply->text[0] = '\0';
	while (more && take_line(&rest, &line)) {
		int code = line_code(line);

		if (code < 0 || (reply->code != 0 && code != reply->code))
			return not_a_reply(line, err);
		/* The code stands once, before the first line's text. */
		if (reply->code == 0)
			add_text(reply->text, slice_first(line, 3));
		if (line.n > 4)
			add_text(reply->text, slice_from(line, 4));
		reply->code = code;
		more = line.n > 3 && line.p[3] == '-';
	}
	if (more)
		return bytes.n >= SMTP_REPLY_BYTES ? err_set(err, ERR_TEMP, "a reply of more than %d bytes",
							     SMTP_REPLY_BYTES) : 0;
	*consumed = (size_t)(rest.p - bytes.p);
	reply->raw = slice_first(bytes, *consumed);
	return 1;
}

/* The next word of a line. */
static struct slice take_word(struct slice *rest)
{
	struct slice word = slice_trim(*rest);
	long blank = slice_find(word, ' ');

	*rest = blank < 0 ? slice_make(NULL, 0) : slice_from(word, (size_t)blank);
	return blank < 0 ? word : slice_first(word, (size_t)blank);
}

static uint64_t read_number(struct slice word)
{
	uint64_t number = 0;

	for (size_t i = 0; i < word.n; i++) {
		if (!is_digit(word.p[i]) || number > UINT64_MAX / 16)
			return 0;
		number = number * 10 + (uint64_t)(word.p[i] - '0');
	}
	return number;
}

static void read_attributes(struct slice rest, struct smtp_offers *offers)
{
	while (slice_trim(rest).n > 0) {
		struct slice word = take_word(&rest);

		for (size_t i = 0; i < SMTP_ATTRIBUTES; i++)
			if (slice_is_nocase(word, smtp_attribute_names[i]))
				offers->xforward[i] = true;
	}
}

static void read_keyword(struct slice line, struct smtp_offers *offers)
{
	const struct { const char *name; bool *offered; } rows[] = {
		{ "PIPELINING", &offers->pipelining }, { "8BITMIME", &offers->eight_bit },
		{ "SMTPUTF8", &offers->utf8 }, { "DSN", &offers->dsn }, { "SIZE", &offers->size }, 
		{ "STARTTLS", &offers->starttls }, { "AUTH", &offers->auth },
	};
	struct slice keyword = take_word(&line);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (slice_is_nocase(keyword, rows[i].name))
			*rows[i].offered = true;
	if (slice_is_nocase(keyword, "SIZE"))
		offers->size_bytes = read_number(take_word(&line));
	if (slice_is_nocase(keyword, "XFORWARD"))
		read_attributes(line, offers);
}

void smtp_offers_parse(struct slice raw, struct smtp_offers *offers)
{
	struct slice line;

	memset(offers, 0, sizeof(*offers));
	/* The first line is the server's name. */
	(void)take_line(&raw, &line);
	while (take_line(&raw, &line))
		read_keyword(slice_from(line, 4), offers);
}
