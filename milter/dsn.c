/* dsn.c - see dsn.h. Called by delivery.c when recipients were dropped or refused. RFC 3461 6, RFC 3464, RFC 3834, RFC
 * 6522, RFC 6533 (addresses beyond ASCII stand in their ASCII form, so that the whole is 7-bit but for such a
 * sender's own). */
#include "milter/dsn.h"

#include <stdio.h>
#include <string.h>

#include "base/crypt.h"
#include "base/event.h"
#include "milter/smtp_params.h"

#define REPLY_BYTES 400
#define ID_BYTES 250
#define STATUS_BYTES 16

bool dsn_wanted(const struct envelope *envelope, const struct recipient *recipient)
{
	struct slice notify;

	if (envelope->sender.text.n == 0)
		return false;
	if (!smtp_param(recipient->args, "NOTIFY", &notify))
		return true;
	while (notify.n > 0) {
		long comma = slice_find(notify, ',');
		struct slice word = comma < 0 ? notify : slice_first(notify, (size_t)comma);

		if (slice_is_nocase(word, "FAILURE"))
			return true;
		notify = slice_from(notify, word.n + 1);
	}
	return false;
}

/* "Sun, 22 Nov 2026 02:29:11 +0000": names of no locale. */
static const char *date_text(time_t at, char *out, size_t size)
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
		"Dec" };
	struct tm tm = { 0 };

	(void)gmtime_r(&at, &tm);
	snprintf(out, size, "%s, %d %s %d %02d:%02d:%02d +0000", days[tm.tm_wday % 7], tm.tm_mday,
		 months[tm.tm_mon % 12], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	return out;
}

static bool is_printable(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
			return false;
	return text.n > 0;
}

/* The length of a UTF-8 sequence that begins here, or 0; *point: what it stands for. */
static size_t utf8_point(struct slice text, unsigned *point)
{
	unsigned char c = (unsigned char)text.p[0];
	size_t n = c >= 0xf0 && c < 0xf5 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 0;

	if (n == 0 || text.n < n)
		return 0;
	*point = c & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((text.p[i] & 0xc0) != 0x80)
			return 0;
		*point = *point << 6 | ((unsigned char)text.p[i] & 0x3f);
	}
	return n;
}

/* utf-8-addr-xtext (RFC 6533 3): what is not ASCII, and what could be mistaken, as \x{HEX}. */
static int add_utf8_xtext(struct buf *out, struct slice text)
{
	while (text.n > 0) {
		unsigned point = (unsigned char)text.p[0];
		bool plain = point > 0x20 && point < 0x7f && point != '\\' && point != '+' && point != '=';
		size_t n = point < 0x80 ? 1 : utf8_point(text, &point);

		if (plain ? buf_append_char(out, text.p[0]) != 0 :
			    buf_printf(out, "\\x{%X}", n > 0 ? point : 0xfffdu) != 0)
			return -1;
		text = slice_from(text, n > 0 ? n : 1);
	}
	return 0;
}

static bool is_ascii(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] > 0x7f)
			return false;
	return true;
}

static int add_typed(struct buf *out, const char *field, struct slice type, struct slice address)
{
	if (is_ascii(address))
		return buf_printf(out, "%s: %.*s; %.*s\r\n", field, SLICE_ARGS(type), SLICE_ARGS(address));
	if (buf_printf(out, "%s: utf-8; ", field) != 0 || add_utf8_xtext(out, address) != 0)
		return -1;
	return buf_append_text(out, "\r\n");
}

/* ORCPT=TYPE;XTEXT as it was given. What does not decode to printable ASCII is left out: a field must stay one. */
static int add_orcpt(struct buf *out, const char *args)
{
	struct slice given, type;
	struct buf text;
	long semicolon;
	int rc = 0;

	if (!smtp_param(args, "ORCPT", &given) || (semicolon = slice_find(given, ';')) <= 0)
		return 0;
	type = slice_first(given, (size_t)semicolon);
	buf_init(&text, 0);
	if (smtp_xtext_decode(&text, slice_from(given, type.n + 1)) == 0 && is_printable(buf_slice(&text)) &&
	    is_printable(type) && is_ascii(type))
		rc = add_typed(out, "Original-Recipient", type, buf_slice(&text));
	buf_clear(&text);
	return rc;
}

static int add_envid(struct buf *out, const char *args)
{
	struct slice given;
	struct buf text;
	int rc = 0;

	if (!smtp_param(args, "ENVID", &given))
		return 0;
	buf_init(&text, 0);
	if (smtp_xtext_decode(&text, given) == 0 && is_printable(buf_slice(&text)) && is_ascii(buf_slice(&text)))
		rc = buf_printf(out, "Original-Envelope-Id: %.*s\r\n", SLICE_ARGS(buf_slice(&text)));
	buf_clear(&text);
	return rc;
}

/* The enhanced code behind a reply's code (RFC 2034). */
static void read_status(const char *reply, char out[STATUS_BYTES])
{
	unsigned subject = 0, detail = 0;

	snprintf(out, STATUS_BYTES, "5.0.0");
	if (strlen(reply) > 4 && sscanf(reply + 4, "5.%3u.%3u", &subject, &detail) == 2)
		snprintf(out, STATUS_BYTES, "5.%u.%u", subject % 1000, detail % 1000);
}

static int add_status(struct buf *out, const struct dsn_recipient *one)
{
	char status[STATUS_BYTES], reply[REPLY_BYTES];

	read_status(one->reply, status);
	event_escape(slice_of(one->reply), reply, sizeof(reply));
	if (buf_append_text(out, "\r\n") != 0 || add_orcpt(out, one->recipient->args) != 0 ||
	    add_typed(out, "Final-Recipient", slice_of("rfc822"), one->recipient->address.text) != 0)
		return -1;
	return buf_printf(out, "Action: failed\r\nStatus: %s\r\nDiagnostic-Code: smtp; %s\r\n", status, reply);
}

static int add_words(struct buf *out, const struct dsn_recipient *one)
{
	char address[REPLY_BYTES], reply[REPLY_BYTES];

	return buf_printf(out, "<%s>:\r\n    %s\r\n\r\n",
			  event_escape(one->recipient->address.text, address, sizeof(address)),
			  event_escape(slice_of(one->reply), reply, sizeof(reply)));
}

/* For each recipient of whom the sender may hear. */
static int for_each(struct buf *out, const struct dsn_report *report,
		    int (*add)(struct buf *, const struct dsn_recipient *))
{
	for (size_t i = 0; i < report->n; i++)
		if (dsn_wanted(report->envelope, report->recipients[i].recipient) &&
		    add(out, &report->recipients[i]) != 0)
			return -1;
	return 0;
}

/* The field's value if it is short and printable ASCII, else nothing. */
static struct slice plain_value(struct arena *arena, const struct header *header, const char *name)
{
	const struct field *field = header_find(header, name, 0);
	struct slice value = field != NULL ? field_unfold(arena, field) : slice_make(NULL, 0);

	return value.n <= ID_BYTES && is_printable(value) && is_ascii(value) ? value : slice_make(NULL, 0);
}

static struct slice message_id(struct arena *arena, const struct header *header)
{
	struct slice id = plain_value(arena, header, "Message-ID");
	bool whole = id.n > 2 && id.p[0] == '<' && slice_find(id, '>') == (long)id.n - 1 && slice_find(id, ' ') < 0;

	return whole ? id : slice_make(NULL, 0);
}

static int add_original(struct buf *out, struct arena *arena, const struct header *header)
{
	struct slice id = message_id(arena, header), date = plain_value(arena, header, "Date");

	if (id.n > 0 && buf_printf(out, "Message-ID: %.*s\r\n", SLICE_ARGS(id)) != 0)
		return -1;
	return date.n > 0 ? buf_printf(out, "Date: %.*s\r\n", SLICE_ARGS(date)) : 0;
}

static int add_body(struct buf *out, struct arena *arena, const struct dsn_report *report, const char *token)
{
	char date[40];

	if (buf_printf(out, "--=_%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
		       "This is the mail system at %s.\r\n\r\n"
		       "Your message was not delivered to:\r\n\r\n", token, report->host) != 0 ||
	    for_each(out, report, add_words) != 0)
		return -1;
	if (buf_printf(out, "--=_%s\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; %s\r\n", token,
		       report->host) != 0 ||
	    add_envid(out, report->envelope->sender_args) != 0 ||
	    buf_printf(out, "Arrival-Date: %s\r\n", date_text(report->now, date, sizeof(date))) != 0 ||
	    for_each(out, report, add_status) != 0)
		return -1;
	if (buf_printf(out, "\r\n--=_%s\r\nContent-Type: text/rfc822-headers\r\n\r\n", token) != 0 ||
	    add_original(out, arena, report->original) != 0)
		return -1;
	return buf_printf(out, "\r\n--=_%s--\r\n", token);
}

static int add_field(struct arena *arena, struct header *header, const char *name, const char *value)
{
	struct field field = field_make(arena, slice_of(name), slice_of(value));

	return field.raw.p == NULL ? -1 : header_append(arena, header, field);
}

static int make_header(struct arena *arena, const struct dsn_report *report, const char *token, struct header *header)
{
	struct slice id = message_id(arena, report->original);
	const char *reference = id.n > 0 ? arena_printf(arena, " %.*s", SLICE_ARGS(id)) : "";
	char date[40];
	const struct { const char *name, *value; } rows[] = {
		{ "Date", arena_printf(arena, " %s", date_text(report->now, date, sizeof(date))) },
		{ "From", arena_printf(arena, " Mail Delivery System <MAILER-DAEMON@%s>", report->host) },
		{ "To", arena_printf(arena, " <%.*s>", SLICE_ARGS(report->envelope->sender.text)) },
		{ "Subject", " Undelivered Mail Returned to Sender" },
		{ "Message-ID", arena_printf(arena, " <%s@%s>", token, report->host) },
		{ "In-Reply-To", reference },
		{ "References", reference },
		{ "Auto-Submitted", " auto-replied" },
		{ "MIME-Version", " 1.0" },
		{ "Content-Type", arena_printf(arena, " multipart/report; report-type=delivery-status;\n"
					       "\tboundary=\"=_%s\"", token) },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].value == NULL)
			return -1;
		if (rows[i].value[0] != '\0' && add_field(arena, header, rows[i].name, rows[i].value) != 0)
			return -1;
	}
	return 0;
}

static int make_envelope(struct arena *arena, const struct envelope *original, struct envelope *envelope)
{
	struct recipient *to = arena_alloc(arena, sizeof(*to));

	if (to == NULL)
		return -1;
	to->address = original->sender;
	to->args = "";
	to->path = NULL;
	*envelope = (struct envelope){ .queue_id = original->queue_id, .sender_args = "", .recipients = to,
		.recipient_count = 1, .daemon_name = "" };
	return 0;
}

int dsn_make(struct arena *arena, const struct dsn_report *report, struct dsn *dsn, struct err *err)
{
	unsigned char random[12];
	char token[2 * sizeof(random) + 1];
	struct buf *body = NULL;
	size_t wanted = 0;

	for (size_t i = 0; i < report->n; i++)
		wanted += dsn_wanted(report->envelope, report->recipients[i].recipient);
	if (wanted == 0)
		return 0;
	if (crypt_random(random, sizeof(random), err) != 0)
		return -1;
	crypt_hex(random, sizeof(random), token);
	memset(dsn, 0, sizeof(*dsn));
	body = arena_buf(arena, 0);
	if (body == NULL || add_body(body, arena, report, token) != 0 ||
	    make_header(arena, report, token, &dsn->message.header) != 0 ||
	    make_envelope(arena, report->envelope, &dsn->envelope) != 0)
		return err_memory(err);
	dsn->message.body = body_from_slice(arena, buf_slice(body));
	return dsn->message.body == NULL ? err_memory(err) : 1;
}
