/* fuzz_smtp.c - what a listener says, and what senders put into the parameters of MAIL and RCPT: replies, offers, xtext, the
 * parameters that go on, and the notification that repeats some of them. */
#include "fuzz.h"

#include <string.h>

#include "milter/dsn.h"
#include "milter/smtp_params.h"

static void check_line(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		PROMISE(p[i] != '\0' && p[i] != '\r' && p[i] != '\n');
}

static void read_replies(struct slice bytes)
{
	struct smtp_offers offers;
	struct smtp_reply reply;
	size_t consumed = 0;

	while (smtp_reply_parse(bytes, &reply, &consumed, NULL) == 1) {
		PROMISE(consumed > 0 && consumed <= bytes.n && consumed <= SMTP_REPLY_BYTES);
		PROMISE(reply.code >= 200 && reply.code <= 599 && strlen(reply.text) < SMTP_TEXT_BYTES);
		for (const char *p = reply.text; *p != '\0'; p++)
			PROMISE(*p >= 0x20 && *p < 0x7f);
		smtp_offers_parse(reply.raw, &offers);
		bytes = slice_from(bytes, consumed);
	}
}

static void turn_xtext(struct slice bytes)
{
	struct buf out, back;

	buf_init(&out, 0);
	buf_init(&back, 0);
	PROMISE(smtp_xtext(&out, bytes) == 0 && smtp_xtext_decode(&back, buf_slice(&out)) == 0);
	PROMISE(slice_equal(buf_slice(&back), bytes));
	buf_reset(&back);
	(void)smtp_xtext_decode(&back, bytes);
	buf_clear(&out);
	buf_clear(&back);
}

/* A parameter that goes on cannot become two. */
static void pass_parameters(const char *args)
{
	const struct smtp_offers offers = { .eight_bit = true, .utf8 = true, .dsn = true, .size = true, .auth = true };
	const struct smtp_facts facts = { .size_bytes = 1 };
	struct slice value;
	struct buf out;

	buf_init(&out, 0);
	PROMISE(smtp_mail_params(&out, args, &offers, &facts, NULL) == 0);
	PROMISE(smtp_rcpt_params(&out, args, &offers, NULL) == 0);
	if (smtp_param(args, "ORCPT", &value))
		PROMISE(slice_find(value, ' ') < 0);
	buf_clear(&out);
}

/* Every line of the report is one of ours, whatever stands in it. */
static void tell_sender(struct arena *arena, const char *args)
{
	struct recipient one = { .args = args };
	struct envelope envelope = { .queue_id = "", .sender_args = args, .recipients = &one, .recipient_count = 1 };
	struct dsn_recipient failed = { &one, args };
	struct header original = { NULL, 0 };
	const struct dsn_report report = { .host = "mx.example.com", .envelope = &envelope, .original = &original,
		.recipients = &failed, .n = 1, .now = 1795314665 };
	struct buf *out = arena_buf(arena, 0);
	struct dsn dsn;
	size_t lines = 0;

	envelope.sender.text = slice_of("a@example.com");
	one.address.text = slice_of("b@example.com");
	if (dsn_make(arena, &report, &dsn, NULL) != 1)
		return;
	PROMISE(fuzz_read(dsn.message.body, out));
	for (size_t i = 0; i < out->n; i++)
		lines += out->p[i] == '\n';
	PROMISE(lines >= 26 && lines <= 28);
	for (size_t i = 0; i < dsn.message.header.n; i++)
		check_line(dsn.message.header.fields[i].name.p, dsn.message.header.fields[i].name.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(FUZZ_ARENA_BYTES);
	char *args = NULL;

	if (size <= 65536) {
		args = arena_string(arena, slice_make(data, size));
		PROMISE(args != NULL);
		read_replies(slice_make(data, size));
		turn_xtext(slice_make(data, size));
		pass_parameters(args);
		tell_sender(arena, args);
	}
	arena_free(arena);
	return 0;
}
