/* test_reinject.c - mails handed to a scripted SMTP server: the dialogue, every place where it can go wrong, the bytes of
 * the text, TLS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "milter/reinject.h"
#include "support/smtp_script.h"
#include "support/testdir.h"
#include "support/testpki.h"

#define MAX_STEPS 24
#define RECIPIENTS 120

static const char offers[] = "250-mx.example.com\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250-DSN\r\n"
			     "250 SMTPUTF8\r\n";
static const char plain[] = "250 mx.example.com\r\n";

struct fixture {
	struct arena *arena;
	struct envelope envelope;
	struct recipient recipients[RECIPIENTS];
	size_t members[RECIPIENTS];
	struct outgoing message;
	struct reinject_mail mail;
	struct reinject_settings settings;
	struct reinject_result result;
	struct err err;
	struct smtp_script script;
	int64_t patience_ms;
};

static void set_body(struct fixture *f, const struct body *body)
{
	const struct outgoing_room room = { .directory = "/tmp", .memory_bytes = 1 << 20 };
	struct message message = { .body = body };

	assert_int_equal(header_append(f->arena, &message.header,
				       field_make(f->arena, slice_of("Subject"), slice_of(" x"))), 0);
	assert_int_equal(outgoing_make(f->arena, &room, &message, &f->message, &f->err), 0);
}

static void set_text(struct fixture *f, struct slice text)
{
	set_body(f, body_from_slice(f->arena, text));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->arena = arena_new(0);
	f->patience_ms = 20000;
	f->envelope = (struct envelope){ .queue_id = "", .sender_args = "", .recipients = f->recipients,
		.recipient_count = RECIPIENTS, .daemon_name = "" };
	f->envelope.sender = testdir_address(f->arena, "alice@example.com");
	for (size_t i = 0; i < RECIPIENTS; i++) {
		f->recipients[i].address = testdir_address(f->arena, arena_printf(f->arena, "r%zu@b.example", i));
		f->recipients[i].args = "";
		f->members[i] = i;
	}
	set_text(f, slice_of("Hello\r\n.\r\n..dots\r\n"));
	f->mail = (struct reinject_mail){ .envelope = &f->envelope, .members = f->members, .n = 1, .message = &f->message };
	f->settings = (struct reinject_settings){ .name = "gw.example.com" };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	smtp_script_clear(&f->script);
	arena_free(f->arena);
	free(f);
	return 0;
}

/* Sends the mail to a server with this script. */
static int run(struct fixture *f, const struct smtp_step *steps, size_t n, const char *path)
{
	struct reinject_target *target = NULL;
	int rc = -1;

	smtp_script_clear(&f->script);
	smtp_script_start(&f->script, steps, n, path);
	f->settings.to = f->script.to;
	target = reinject_target_new(&f->settings, &f->err);
	assert_non_null(target);
	f->mail.deadline_ms = clock_monotonic_ms(&clock_system) + f->patience_ms;
	f->err = (struct err){ 0 };
	rc = reinject_send(target, &f->mail, f->arena, &f->result, &f->err);
	reinject_target_free(target);
	assert_string_equal(smtp_script_end(&f->script), "");
	if (rc < 0)
		assert_int_equal(f->err.class, ERR_TEMP);
	return rc;
}

#define RUN(f, ...) run(f, (const struct smtp_step[]){ __VA_ARGS__ }, \
			sizeof((const struct smtp_step[]){ __VA_ARGS__ }) / sizeof(struct smtp_step), NULL)
#define GREETING { SMTP_SAY, "220 mx.example.com ESMTP\r\n", 0 }, { SMTP_HEAR, "EHLO gw.example.com", 0 }
#define ALL GREETING, { SMTP_SAY, offers, 0 }
#define HEAR(text) { SMTP_HEAR, text, 0 }
#define SAY(text) { SMTP_SAY, text, 0 }
#define TEXT { SMTP_TEXT, NULL, 0 }
#define OK SAY("250 2.1.5 Ok\r\n")
#define ONE_RCPT HEAR("MAIL"), HEAR("RCPT"), SAY("250 ok\r\n250 ok\r\n")

static void heard(struct fixture *f, const char *text)
{
	if (strstr(buf_string(&f->script.heard), text) == NULL)
		fail_msg("not heard: %s in %s", text, buf_string(&f->script.heard));
}

static void test_sent(void **state)
{
	struct fixture *f = *state;

	f->envelope.sender_args = "SIZE=5 RET=HDRS ENVID=a+2Bb BODY=8BITMIME";
	f->recipients[0].args = "NOTIFY=SUCCESS ORCPT=rfc822;x+2By@z";
	assert_int_equal(RUN(f, ALL, ONE_RCPT, HEAR("DATA"), SAY("354 go\r\n"), TEXT,
			     SAY("250-2.0.0 really\r\n250 2.0.0 Ok: queued as 4Xk2Q3\r\n"), HEAR("QUIT")), 1);
	heard(f, "MAIL FROM:<alice@example.com> RET=HDRS ENVID=a+2Bb BODY=7BIT SIZE=32\r\n"
		 "RCPT TO:<r0@b.example> NOTIFY=SUCCESS ORCPT=rfc822;x+2By@z\r\nDATA\r\n");
	assert_string_equal(buf_string(&f->script.text), "Subject: x\r\n\r\nHello\r\n..\r\n...dots\r\n.\r\n");
	assert_int_equal(f->message.size_bytes, 32);
	assert_string_equal(f->result.queue_id, "4Xk2Q3");
	assert_int_equal(f->result.recipients[0].answer, REINJECT_ACCEPTED);
	assert_string_equal(f->result.recipients[0].text, "250 ok");
	assert_false(f->result.unknown);
}

/* One command at a time, nothing that was not offered, the null sender, a unix socket, the guard on top. */
static void test_plain(void **state)
{
	static const struct smtp_step steps[] = { GREETING, SAY(plain), HEAR("MAIL FROM:<>\r"), OK,
		HEAR("RCPT TO:<r0@b.example>\r"), OK, HEAR("RCPT TO:<r2@b.example>\r"), OK, HEAR("DATA"), SAY("354 go\r\n"),
		TEXT, SAY("250 2.0.0 5AB Message accepted for delivery\r\n") };
	char *scratch = testdir_scratch(), *path = testdir_path(scratch, "reinject");
	struct fixture *f = *state;

	f->envelope.sender = (struct address){ 0 };
	f->envelope.sender_args = "RET=HDRS ENVID=a";
	f->recipients[0].args = "NOTIFY=NEVER";
	f->members[1] = 2;
	f->mail.n = 2;
	f->mail.guard_field = "X-SMIME-Milter-Pass: v1\r\n";
	assert_int_equal(run(f, steps, sizeof(steps) / sizeof(steps[0]), path), 1);
	assert_string_equal(f->result.queue_id, "5AB");
	assert_string_equal(buf_string(&f->script.text),
			    "X-SMIME-Milter-Pass: v1\r\nSubject: x\r\n\r\nHello\r\n..\r\n...dots\r\n.\r\n");
	free(path);
	testdir_remove(scratch);
}

static void test_xforward(void **state)
{
	struct fixture *f = *state;
	const struct smtp_client client = { { [SMTP_ADDR] = "192.0.2.1", [SMTP_IDENT] = "4Xk" } };

	f->mail.client = &client;
	assert_int_equal(RUN(f, GREETING, SAY("250-x\r\n250 XFORWARD NAME ADDR IDENT\r\n"), HEAR("XFORWARD ADDR"),
			     SAY("501 no\r\n"), HEAR("XFORWARD IDENT=4Xk\r"), OK, HEAR("MAIL"), OK, HEAR("RCPT"), OK, HEAR("DATA"), SAY("354 go\r\n"), TEXT,
			     OK), 1);
	heard(f, "XFORWARD ADDR=192.0.2.1\r\nXFORWARD IDENT=4Xk\r\nMAIL");
	assert_string_equal(f->result.queue_id, "");
	assert_int_equal(RUN(f, ALL, ONE_RCPT, HEAR("DATA"), SAY("354 go\r\n"), TEXT, OK), 1);
	assert_null(strstr(buf_string(&f->script.heard), "XFORWARD"));
}

/* 5xx at RCPT is that recipient's alone; 4xx is everybody's. */
static void test_recipients(void **state)
{
	struct fixture *f = *state;

	f->mail.n = 3;
	assert_int_equal(RUN(f, ALL, HEAR("MAIL"), HEAR("RCPT"), HEAR("RCPT"), HEAR("RCPT"),
			     SAY("250 ok\r\n250 ok\r\n550-5.1.1 no\r\n550 5.1.1 such user\r\n250 ok\r\n"), HEAR("DATA"),
			     SAY("354 go\r\n"), TEXT, OK), 1);
	assert_int_equal(f->result.recipients[0].answer, REINJECT_ACCEPTED);
	assert_int_equal(f->result.recipients[1].answer, REINJECT_REFUSED);
	assert_string_equal(f->result.recipients[1].text, "550 5.1.1 no 5.1.1 such user");
	assert_int_equal(f->result.recipients[2].answer, REINJECT_ACCEPTED);
	assert_int_equal(RUN(f, ALL, HEAR("MAIL"), HEAR("RCPT"), HEAR("RCPT"), HEAR("RCPT"),
			     SAY("250 ok\r\n250 ok\r\n550 no\r\n452 4.3.1 full\r\n"), { SMTP_WAIT, NULL, 0 }), -1);
	assert_int_equal(f->result.recipients[2].answer, REINJECT_LATER);
	assert_non_null(strstr(f->err.text, "RCPT: 452 4.3.1 full"));
	assert_int_equal(RUN(f, ALL, HEAR("MAIL"), HEAR("RCPT"), HEAR("RCPT"), HEAR("RCPT"),
			     SAY("250 ok\r\n550 no\r\n551 no\r\n553 no\r\n"), HEAR("QUIT")), 0);
	assert_int_equal(f->result.recipients[2].answer, REINJECT_REFUSED);
	assert_int_equal(f->script.text.n, 0);
}

/* In batches, so that nobody waits for the other's buffer. */
static void test_many(void **state)
{
	struct smtp_step steps[2 * RECIPIENTS + 40] = { GREETING, SAY(offers), HEAR("MAIL") };
	struct fixture *f = *state;
	size_t n = 4;

	f->mail.n = RECIPIENTS;
	for (size_t i = 0; i < RECIPIENTS; i++) {
		steps[n++] = (struct smtp_step)HEAR("RCPT");
		if (i == 49)
			steps[n++] = (struct smtp_step)OK;
		for (size_t j = 0; (i % 50 == 49 || i + 1 == RECIPIENTS) && j <= i % 50; j++)
			steps[n++] = (struct smtp_step)OK;
	}
	steps[n++] = (struct smtp_step)HEAR("DATA");
	steps[n++] = (struct smtp_step)SAY("354 go\r\n");
	steps[n++] = (struct smtp_step)TEXT;
	steps[n++] = (struct smtp_step)OK;
	assert_int_equal(run(f, steps, n, NULL), 1);
	heard(f, "RCPT TO:<r119@b.example>\r\n");
	for (size_t i = 0; i < RECIPIENTS; i++)
		assert_int_equal(f->result.recipients[i].answer, REINJECT_ACCEPTED);
}

/* Nothing is sent, and the reason names place and answer. */
static void fails(struct fixture *f, const struct smtp_step *steps, const char *why)
{
	size_t n = 0;

	while (n < MAX_STEPS && (steps[n].text != NULL || steps[n].kind != SMTP_SAY))
		n++;
	assert_int_equal(run(f, steps, n, NULL), -1);
	if (strstr(f->err.text, why) == NULL)
		fail_msg("\"%s\" does not tell \"%s\"", f->err.text, why);
	assert_false(f->result.unknown);
	assert_null(strstr(buf_string(&f->script.text), "\r\n.\r\n"));
}

static void test_failures(void **state)
{
	static const struct { struct smtp_step steps[MAX_STEPS]; const char *why; } rows[] = {
		{ { { SMTP_DROP, NULL, 0 } }, "greeting: connection lost" },
		{ { SAY("554 no service\r\n") }, "greeting: 554 no service" },
		{ { SAY("421 busy\r\n") }, "greeting: 421" },
		{ { SAY("SSH-2.0\r\n") }, "greeting: not an SMTP reply" },
		{ { { SMTP_SAY, "220 a\0b\r\n55\0 \r\n", 15 } }, "" },
		{ { { SMTP_SAY_BYTES, "2", 20000 } }, "more than 16384 bytes" },
		{ { GREETING, SAY("502 no\r\n") }, "EHLO: 502 no" },
		{ { GREETING, SAY("250-x\r\n250-y\r\n") }, "EHLO: connection lost" },
		{ { ALL, HEAR("MAIL"), SAY("451 later\r\n250 ok\r\n") }, "MAIL: 451 later" },
		{ { ALL, HEAR("MAIL"), SAY("550 never\r\n250 ok\r\n") }, "MAIL: 550 never" },
		{ { ALL, HEAR("MAIL"), SAY("250 ok\r\n") }, "RCPT: connection lost" },
		{ { ALL, HEAR("MAIL"), HEAR("RCPT"), SAY("250 ok\r\n421 bye\r\n") }, "RCPT: 421 bye" },
		{ { ALL, ONE_RCPT, HEAR("DATA"), SAY("451 later\r\n") }, "DATA: 451 later" },
		{ { ALL, ONE_RCPT, HEAR("DATA"), SAY("554 never\r\n") }, "DATA: 554 never" },
		{ { ALL, ONE_RCPT, HEAR("DATA"), SAY("250 what\r\n") }, "DATA: 250 what" },
		{ { ALL, ONE_RCPT, HEAR("DATA") }, "DATA: connection lost" },
		{ { ALL, ONE_RCPT, HEAR("DATA"), SAY("354 go\r\n250 queued\r\n"), TEXT }, "nobody asked for" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		fails(f, rows[i].steps, rows[i].why);
}

/* What the end of the text was answered: refused is known, silence is not. */
static void test_final(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(RUN(f, ALL, ONE_RCPT, HEAR("DATA"), SAY("354 go\r\n"), TEXT, SAY("451 4.3.0 full\r\n")), -1);
	assert_false(f->result.unknown);
	assert_string_equal(f->result.final, "451 4.3.0 full");
	assert_int_equal(RUN(f, ALL, ONE_RCPT, HEAR("DATA"), SAY("354 go\r\n"), TEXT, SAY("550 5.7.1 no\r\n")), -1);
	assert_false(f->result.unknown);
	assert_int_equal(RUN(f, ALL, ONE_RCPT, HEAR("DATA"), SAY("354 go\r\n"), TEXT), -1);
	assert_true(f->result.unknown);
	assert_int_equal(RUN(f, ALL, ONE_RCPT, HEAR("DATA"), SAY("354 go\r\n"), TEXT, SAY("hm\r\n")), -1);
	assert_true(f->result.unknown);
	assert_int_equal(RUN(f, ALL, ONE_RCPT, HEAR("DATA"), SAY("354 go\r\n"), TEXT, SAY("250-half\r\n")), -1);
	assert_true(f->result.unknown);
}

/* The deadline ends every silence; behind the text it leaves unknown. */
static void test_deadline(void **state)
{
	struct fixture *f = *state;
	const struct smtp_step wait = { SMTP_WAIT, NULL, 0 };

	f->patience_ms = 200;
	assert_int_equal(RUN(f, wait), -1);
	assert_non_null(strstr(f->err.text, "greeting: timeout"));
	assert_int_equal(RUN(f, ALL, wait), -1);
	assert_non_null(strstr(f->err.text, ": timeout"));
	assert_false(f->result.unknown);
	f->patience_ms = 2000;	/* so long that all but the answer has come by then */
	assert_int_equal(RUN(f, ALL, ONE_RCPT, HEAR("DATA"), SAY("354 go\r\n"), TEXT, wait), -1);
	assert_non_null(strstr(f->err.text, "no answer: timeout"));
	assert_true(f->result.unknown);
}

/* A server that reads no more, and one that goes away while we send: an error, no signal, no dot. */
static void test_text_stops(void **state)
{
	struct fixture *f = *state;
	char *big = calloc(1, 32 << 20);

	assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
	memset(big, 'x', 32 << 20);
	set_text(f, slice_make(big, 32 << 20));
	assert_int_equal(RUN(f, GREETING, SAY("250-x\r\n250 PIPELINING\r\n"), ONE_RCPT, HEAR("DATA"), SAY("354 go\r\n")),
			 -1);
	assert_non_null(strstr(f->err.text, "text: connection lost"));
	assert_false(f->result.unknown);
	free(big);
}

struct broken {
	size_t left;
};

static ssize_t broken_read(void *self, void *p, size_t n, struct err *err)
{
	struct broken *broken = self;

	if (broken->left == 0)
		return err_set(err, ERR_MESSAGE, "changed bytes");
	n = n < broken->left ? n : broken->left;
	memset(p, 'x', n);
	broken->left -= n;
	return (ssize_t)n;
}

static struct stream *broken_open(const void *self, uint64_t offset, struct err *err)
{
	static const struct stream_class class = { .read = broken_read, .close = free };
	struct broken *broken = malloc(sizeof(*broken));

	(void)self;
	(void)offset;
	broken->left = 200000;
	return stream_new(&class, broken, err);
}

/* A body that fails half-way is never ended. */
static void test_broken_body(void **state)
{
	static const struct body_class class = { .open = broken_open };
	struct fixture *f = *state;

	f->message.body = body_new(f->arena, &class, NULL, BODY_SIZE_UNKNOWN);
	assert_int_equal(RUN(f, ALL, ONE_RCPT, HEAR("DATA"), SAY("354 go\r\n"), TEXT), -1);
	assert_non_null(strstr(f->err.text, "text: changed bytes"));
	assert_false(f->result.unknown);
	assert_true(f->script.text.n > 0);
	assert_null(strstr(buf_string(&f->script.text), "\n.\r\n"));
	assert_null(strstr(buf_string(&f->script.heard), "QUIT"));
}

/* Of what a listener lacks, some cannot be done without. */
static void test_needs(void **state)
{
	struct fixture *f = *state;

	set_text(f, slice_of("\xe4\r\n"));
	assert_int_equal(RUN(f, GREETING, SAY(plain), { SMTP_WAIT, NULL, 0 }), -1);
	assert_non_null(strstr(f->err.text, "8BITMIME"));
	assert_int_equal(RUN(f, ALL, ONE_RCPT, HEAR("DATA"), SAY("354 go\r\n"), TEXT, OK), 1);
	heard(f, " BODY=8BITMIME");
	f->recipients[0].address = testdir_address(f->arena, "\xc3\xa4@b.example");
	assert_int_equal(RUN(f, GREETING, SAY("250-x\r\n250 8BITMIME\r\n"), { SMTP_WAIT, NULL, 0 }), -1);
	assert_non_null(strstr(f->err.text, "SMTPUTF8"));
	assert_int_equal(RUN(f, ALL, ONE_RCPT, HEAR("DATA"), SAY("354 go\r\n"), TEXT, OK), 1);
	heard(f, " SMTPUTF8\r\nRCPT TO:<\xc3\xa4@b.example>\r\n");
}

/* Sent through dots and sockets and back: the bytes that were given. */
static void check_bytes(struct fixture *f, struct slice body)
{
	struct buf back;
	const struct buf *text = &f->script.text;
	size_t head = strlen("Subject: x\r\n\r\n"), i;

	set_text(f, body);
	assert_int_equal(RUN(f, ALL, ONE_RCPT, HEAR("DATA"), SAY("354 go\r\n"), TEXT, OK), 1);
	buf_init(&back, 0);
	for (i = head; i + 3 < text->n; i++) {
		if (text->p[i] == '.' && text->p[i - 1] == '\n')
			i++;
		assert_int_equal(buf_append(&back, text->p + i, 1), 0);
	}
	assert_memory_equal(text->p + text->n - 3, ".\r\n", 3);
	assert_true(slice_equal(buf_slice(&back), body));
	buf_clear(&back);
}

static unsigned next_random(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16 & 0x7fff;
}

static void test_byte_exact(void **state)
{
	static char body[200000];
	struct fixture *f = *state;
	unsigned seed = 7;

	for (size_t round = 0; round < 40; round++) {
		size_t n = 0, lines = next_random(&seed) % 200;

		for (size_t line = 0; line < lines; line++) {
			size_t length = next_random(&seed) % (line % 10 == 0 ? 1000 : 20);

			for (size_t i = next_random(&seed) % 4; i > 0; i--)
				body[n++] = '.';
			for (size_t i = 0; i < length; i++) {
				char c = (char)(next_random(&seed) % 256);

				body[n++] = c == '\n' ? '.' : c;
			}
			body[n++] = '\r';
			body[n++] = '\n';
		}
		check_bytes(f, slice_make(body, n));
	}
}

/* STARTTLS with a certificate that names the server as an address; what was said before it is not read behind it. */
struct secured {
	struct testpki *root, *leaf;
	char *scratch, *ca;
	SSL_CTX *tls;
};

static struct secured secure(const char *san)
{
	struct secured s = { .root = testpki_root("Root"), .scratch = testdir_scratch() };

	s.leaf = testpki_make(s.root, &(struct testpki_spec){ .cn = "127.0.0.1", .san = san, .eku = "serverAuth" });
	s.ca = testdir_path(s.scratch, "ca.pem");
	testpki_write_pem(s.ca, s.root, TESTPKI_CERT);
	s.tls = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(s.tls, s.leaf->x509);
	SSL_CTX_use_PrivateKey(s.tls, s.leaf->pkey);
	return s;
}

static void unsecure(struct secured *s)
{
	SSL_CTX_free(s->tls);
	testpki_free(s->leaf);
	testpki_free(s->root);
	free(s->ca);
	testdir_remove(s->scratch);
}

#define STARTTLS_OFFERED GREETING, SAY("250-x\r\n250 STARTTLS\r\n"), HEAR("STARTTLS")
#define SECURED { SMTP_TLS, NULL, 0 }, HEAR("EHLO"), SAY("250-x\r\n250 PIPELINING\r\n")

static void test_tls(void **state)
{
	struct secured s = secure("IP:127.0.0.1,DNS:mx.example.com");
	struct fixture *f = *state;
	char *big = malloc(3 << 20);

	memset(big, 'y', 3 << 20);
	set_text(f, slice_make(big, 3 << 20));
	f->script.tls = s.tls;
	f->settings.starttls = true;
	f->settings.tls_ca_file = s.ca;
	assert_int_equal(RUN(f, STARTTLS_OFFERED, SAY("220 go\r\n"), SECURED, ONE_RCPT, HEAR("DATA"), SAY("354 go\r\n"),
			     TEXT, SAY("250 2.0.0 Ok: queued as T1\r\n"), HEAR("QUIT")), 1);
	assert_string_equal(f->result.queue_id, "T1");
	assert_int_equal(f->script.text.n, (3 << 20) + strlen("Subject: x\r\n\r\n\r\n.\r\n"));
	assert_int_equal(RUN(f, STARTTLS_OFFERED, SAY("220 go\r\n250 injected\r\n"), { SMTP_WAIT, NULL, 0 }), -1);
	assert_non_null(strstr(f->err.text, "plaintext behind"));
	assert_int_equal(RUN(f, STARTTLS_OFFERED, SAY("454 no\r\n"), { SMTP_WAIT, NULL, 0 }), -1);
	assert_non_null(strstr(f->err.text, "STARTTLS: 454 no"));
	assert_int_equal(RUN(f, GREETING, SAY(plain), { SMTP_WAIT, NULL, 0 }), -1);
	assert_non_null(strstr(f->err.text, "not offered"));
	assert_int_equal(RUN(f, STARTTLS_OFFERED, SAY("220 go\r\n"), SAY("250 no TLS at all\r\n"),
			     { SMTP_WAIT, NULL, 0 }), -1);
	assert_int_equal(RUN(f, STARTTLS_OFFERED, SAY("220 go\r\n"), SECURED), -1);
	free(big);
	unsecure(&s);
}

/* Sends to a server that cannot be trusted: the handshake is the last that happens. */
static void refused(struct fixture *f, struct secured *s, const char *ca, const char *why)
{
	struct reinject_target *target;
	static const struct smtp_step steps[] = { STARTTLS_OFFERED, SAY("220 go\r\n"), { SMTP_TLS, NULL, 0 } };

	f->script.tls = s->tls;
	smtp_script_clear(&f->script);
	smtp_script_start(&f->script, steps, sizeof(steps) / sizeof(steps[0]), NULL);
	f->settings = (struct reinject_settings){ .to = f->script.to, .name = "gw.example.com", .starttls = true,
		.tls_ca_file = ca };
	target = reinject_target_new(&f->settings, &f->err);
	assert_non_null(target);
	f->mail.deadline_ms = clock_monotonic_ms(&clock_system) + f->patience_ms;
	assert_int_equal(reinject_send(target, &f->mail, f->arena, &f->result, &f->err), -1);
	if (strstr(f->err.text, why) == NULL)
		fail_msg("\"%s\" does not tell \"%s\"", f->err.text, why);
	assert_null(strstr(buf_string(&f->script.heard), "MAIL"));
	reinject_target_free(target);
	(void)smtp_script_end(&f->script);
}

static void test_tls_refused(void **state)
{
	struct secured s = secure("IP:127.0.0.2,DNS:127.0.0.1"), other = secure("IP:127.0.0.1");

	refused(*state, &s, s.ca, "IP address mismatch");
	refused(*state, &other, s.ca, "certificate");
	refused(*state, &other, NULL, "certificate");
	unsecure(&s);
	unsecure(&other);
}

static void test_targets(void **state)
{
	static const struct { struct reinject_settings settings; const char *why; } rows[] = {
		{ { .to = "inet:127.0.0.1:10026" }, NULL },
		{ { .to = "inet:10026@127.0.0.1" }, NULL },
		{ { .to = "inet:[::1]:10026" }, NULL },
		{ { .to = "inet6:10026@[::1]" }, NULL },
		{ { .to = "unix:/run/x" }, NULL },
		{ { .to = "/run/x" }, NULL },
		{ { .to = "inet:127.0.0.1:10026", .starttls = true }, NULL },
		{ { .to = "inet:10026" }, "host is missing" },
		{ { .to = "127.0.0.1:10026" }, "expected local:PATH" },
		{ { .to = "unix:x" }, "must begin with /" },
		{ { .to = "unix:/run/x", .starttls = true }, "unix socket" },
		{ { .to = "inet:127.0.0.1:25", .starttls = true, .tls_ca_file = "/nonexistent" }, "/nonexistent" },
	};
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reinject_settings settings = rows[i].settings;
		struct reinject_target *target;

		settings.name = "x";
		target = reinject_target_new(&settings, &err);
		assert_true((target != NULL) == (rows[i].why == NULL));
		if (rows[i].why != NULL && strstr(err.text, rows[i].why) == NULL)
			fail_msg("%s: \"%s\" does not tell \"%s\"", settings.to, err.text, rows[i].why);
		if (rows[i].why != NULL)
			assert_int_equal(err.class, ERR_CONFIG);
		reinject_target_free(target);
	}
}

/* Nobody listens; and an address that would be a second command. */
static void test_no_connection(void **state)
{
	struct reinject_settings settings = { .to = "unix:/nonexistent/x", .name = "x" };
	struct reinject_target *target;
	struct fixture *f = *state;

	target = reinject_target_new(&settings, &f->err);
	f->mail.deadline_ms = clock_monotonic_ms(&clock_system) + 1000;
	assert_int_equal(reinject_send(target, &f->mail, f->arena, &f->result, &f->err), -1);
	assert_non_null(strstr(f->err.text, "reinjecting to /nonexistent/x: cannot connect"));
	assert_int_equal(f->result.recipients[0].answer, REINJECT_NONE);
	reinject_target_free(target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_xforward, setup, teardown),
		cmocka_unit_test_setup_teardown(test_recipients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_final, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text_stops, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken_body, setup, teardown),
		cmocka_unit_test_setup_teardown(test_needs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_byte_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tls_refused, setup, teardown),
		cmocka_unit_test(test_targets),
		cmocka_unit_test_setup_teardown(test_no_connection, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
