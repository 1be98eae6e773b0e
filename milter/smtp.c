/* smtp.c - see smtp.h. Called by reinject.c. One thread at a time. RFC 5321, RFC 2920, RFC 3207. */
#include "milter/smtp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crypt.h"
#include "milter/listener.h"

#define CONNECT_MS 10000
#define QUIT_MS 100
#define OUT_BYTES ((size_t)64 * 1024)	/* of text is sent at a time */
#define COMMAND_BYTES 4096		/* RFC 5321 4.5.3.1: 512, and what extensions add */

struct smtp {
	int fd;
	struct smtp_tls *tls;		/* NULL: plain */
	int64_t deadline_ms, until_ms;	/* of the connection; of the present step */
	struct smtp_offers offers;
	struct buf out;			/* waits to be sent; may hold plaintext of a message */
	size_t in_used, in_n;		/* of in: read by us already; came */
	char in[SMTP_REPLY_BYTES];
	char last;			/* the text's last byte; LF before the first */
};

static int64_t now_ms(void)
{
	return clock_monotonic_ms(&clock_system);
}

static int add_address(struct smtp_address *address, const void *p, size_t n)
{
	if (address->n == SMTP_ADDRESSES || n > sizeof(address->at[0].bytes))
		return -1;
	memcpy(&address->at[address->n].bytes, p, n);
	address->at[address->n++].n = (socklen_t)n;
	return 0;
}

static int look_up(const char *port, int family, struct smtp_address *address, struct err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = family };
	struct addrinfo *list = NULL;
	int rc = getaddrinfo(address->host, port, &hints, &list);

	if (rc != 0)
		return err_set(err, ERR_CONFIG, "%s: %s", address->host, gai_strerror(rc));
	for (const struct addrinfo *one = list; one != NULL; one = one->ai_next)
		if (add_address(address, one->ai_addr, one->ai_addrlen) != 0)
			break;
	freeaddrinfo(list);
	return 0;
}

/* spec: "inet:PORT@HOST", an IPv6 address in brackets. */
static int read_inet(const char *spec, struct smtp_address *address, struct err *err)
{
	const char *port = strchr(spec, ':') + 1, *at = strchr(port, '@');
	int family = strncmp(spec, "inet6", 5) == 0 ? AF_INET6 : AF_UNSPEC;
	char digits[8];
	size_t n;

	if (at == NULL)
		return err_set(err, ERR_CONFIG, "the host is missing: inet:HOST:PORT");
	snprintf(digits, sizeof(digits), "%.*s", (int)(at - port), port);
	at += at[1] == '[' ? 2 : 1;
	n = strcspn(at, "]");
	memcpy(address->host, at, n);
	address->host[n] = '\0';
	return look_up(digits, family, address, err);
}

int smtp_address_parse(const char *text, struct smtp_address *address, struct err *err)
{
	struct sockaddr_un path = { .sun_family = AF_UNIX };
	struct listener_spec spec;

	memset(address, 0, sizeof(*address));
	if (listener_parse(text, &spec, err) != 0)
		return -1;
	address->local = spec.local;
	if (!spec.local)
		return read_inet(spec.text, address, err);
	snprintf(address->host, sizeof(address->host), "%s", listener_path(&spec));
	snprintf(path.sun_path, sizeof(path.sun_path), "%s", listener_path(&spec));
	return add_address(address, &path, sizeof(path));
}

static void step_begins(struct smtp *smtp, int64_t timeout_ms)
{
	int64_t until_ms = now_ms() + timeout_ms;

	smtp->until_ms = until_ms < smtp->deadline_ms ? until_ms : smtp->deadline_ms;
}

/* Until the socket is ready; an error of the socket counts as ready: reading or writing tells it. */
static int wait_for(struct smtp *smtp, short events, struct err *err)
{
	struct pollfd polled = { .fd = smtp->fd, .events = events };
	int64_t left_ms;
	int ready;

	do {
		left_ms = smtp->until_ms - now_ms();
		if (left_ms <= 0)
			return err_set(err, ERR_TEMP, "timeout");
		ready = poll(&polled, 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
	} while (ready == 0 || (ready < 0 && errno == EINTR));
	return ready > 0 ? 0 : err_set(err, ERR_TEMP, "poll: %s", strerror(errno));
}

static int send_bytes(struct smtp *smtp, const char *p, size_t n, struct err *err)
{
	while (n > 0) {
		ssize_t sent = send(smtp->fd, p, n, MSG_NOSIGNAL);

		if (sent >= 0) {
			p += sent;
			n -= (size_t)sent;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			if (wait_for(smtp, POLLOUT, err) != 0)
				return -1;
		} else if (errno != EINTR) {
			return err_set(err, ERR_TEMP, "connection lost: %s", strerror(errno));
		}
	}
	return 0;
}

static int send_pending(struct smtp *smtp, struct err *err)
{
	struct slice pending;

	while (pending = smtp_tls_pending(smtp->tls), pending.n > 0) {
		if (send_bytes(smtp, pending.p, pending.n, err) != 0)
			return -1;
		smtp_tls_sent(smtp->tls, pending.n);
	}
	return 0;
}

/* Sends what waits. A peer that takes everything at once does not outlast the deadline either. */
static int flush(struct smtp *smtp, struct err *err)
{
	int rc;

	if (smtp->out.n == 0)
		return 0;
	if (smtp->until_ms <= now_ms())
		return err_set(err, ERR_TEMP, "timeout");
	if (smtp->tls == NULL)
		rc = send_bytes(smtp, (const char *)smtp->out.p, smtp->out.n, err);
	else if (smtp_tls_write(smtp->tls, smtp->out.p, smtp->out.n, err) != 0)
		rc = -1;
	else
		rc = send_pending(smtp, err);
	buf_reset(&smtp->out);
	return rc;
}

/* At least one byte from the socket; 0 or -1. */
static int receive_bytes(struct smtp *smtp, void *p, size_t size, size_t *n, struct err *err)
{
	ssize_t got;

	while ((got = recv(smtp->fd, p, size, 0)) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return err_set(err, ERR_TEMP, "connection lost: %s", strerror(errno));
		if (wait_for(smtp, POLLIN, err) != 0)
			return -1;
	}
	if (got == 0)
		return err_set(err, ERR_TEMP, "connection lost");
	*n = (size_t)got;
	return 0;
}

static int feed_tls(struct smtp *smtp, struct err *err)
{
	char bytes[4096];
	size_t n = 0;

	if (send_pending(smtp, err) != 0 || receive_bytes(smtp, bytes, sizeof(bytes), &n, err) != 0)
		return -1;
	return smtp_tls_feed(smtp->tls, bytes, n, err);
}

/* More text of the server to the end of in. */
static int receive(struct smtp *smtp, struct err *err)
{
	char *p = smtp->in + smtp->in_n;
	size_t room = sizeof(smtp->in) - smtp->in_n, n = 0;
	ssize_t got = 0;

	if (smtp->tls == NULL) {
		if (receive_bytes(smtp, p, room, &n, err) != 0)
			return -1;
		smtp->in_n += n;
		return 0;
	}
	while ((got = smtp_tls_read(smtp->tls, p, room, err)) == 0)
		if (feed_tls(smtp, err) != 0)
			return -1;
	smtp->in_n += got > 0 ? (size_t)got : 0;
	return got > 0 ? 0 : -1;
}

int smtp_answer(struct smtp *smtp, int64_t timeout_ms, struct smtp_reply *reply, struct err *err)
{
	size_t consumed = 0;
	int rc;

	step_begins(smtp, timeout_ms);
	if (flush(smtp, err) != 0)
		return -1;
	/* What was read goes, so that a whole reply always has room. */
	memmove(smtp->in, smtp->in + smtp->in_used, smtp->in_n - smtp->in_used);
	smtp->in_n -= smtp->in_used;
	smtp->in_used = 0;
	while ((rc = smtp_reply_parse(slice_make(smtp->in, smtp->in_n), reply, &consumed, err)) == 0)
		if (receive(smtp, err) != 0)
			return -1;
	smtp->in_used = consumed;
	return rc < 0 ? -1 : 0;
}

int smtp_say(struct smtp *smtp, struct err *err, const char *format, ...)
{
	char line[COMMAND_BYTES];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(line))
		return err_set(err, ERR_TEMP, "a command of more than %zu bytes", sizeof(line));
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			return err_set(err, ERR_BUG, "control character in an SMTP command");
	if (buf_append(&smtp->out, line, (size_t)n) != 0 || buf_append_text(&smtp->out, "\r\n") != 0)
		return err_memory(err);
	return 0;
}

/* A dot or the end of a line. */
static int text_byte(struct smtp *smtp, char c, struct err *err)
{
	if (c == '\n' && smtp->last != '\r')
		return err_set(err, ERR_BUG, "a line of the message ends without CR");
	if (c == '.' && smtp->last == '\n' && buf_append_char(&smtp->out, '.') != 0)
		return err_memory(err);
	smtp->last = c;
	return buf_append_char(&smtp->out, c) != 0 ? err_memory(err) : 0;
}

/* Bytes up to the next dot or end of a line. */
static size_t plain_run(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] != '\n' && p[i] != '.')
		i++;
	return i;
}

static int text_run(struct smtp *smtp, const char *p, size_t n, struct err *err)
{
	smtp->last = p[n - 1];
	return buf_append(&smtp->out, p, n) != 0 ? err_memory(err) : 0;
}

int smtp_text(struct smtp *smtp, const void *p, size_t n, struct err *err)
{
	const char *at = p, *end = at + n;

	while (at < end) {
		size_t run = plain_run(at, (size_t)(end - at));

		if ((run > 0 ? text_run(smtp, at, run, err) : text_byte(smtp, *at, err)) != 0)
			return -1;
		at += run > 0 ? run : 1;
		if (smtp->out.n < OUT_BYTES)
			continue;
		step_begins(smtp, SMTP_COMMAND_MS);
		if (flush(smtp, err) != 0)
			return -1;
	}
	return 0;
}

int smtp_text_end(struct smtp *smtp, bool *said, struct err *err)
{
	if (smtp->last != '\n' && buf_append_text(&smtp->out, "\r\n") != 0)
		return err_memory(err);
	step_begins(smtp, SMTP_COMMAND_MS);
	if (flush(smtp, err) != 0)
		return -1;
	smtp->last = '\n';
	/* It would be taken for the answer to the dot. */
	if (smtp->in_n != smtp->in_used)
		return err_set(err, ERR_TEMP, "a reply that nobody asked for");
	if (buf_append_text(&smtp->out, ".\r\n") != 0)
		return err_memory(err);
	*said = true;
	return flush(smtp, err);
}

static int connected(struct smtp *smtp, struct err *err)
{
	int failure = 0;
	socklen_t n = sizeof(failure);

	if (wait_for(smtp, POLLOUT, err) != 0)
		return -1;
	if (getsockopt(smtp->fd, SOL_SOCKET, SO_ERROR, &failure, &n) != 0)
		failure = errno;
	return failure == 0 ? 0 : err_set(err, ERR_TEMP, "cannot connect: %s", strerror(failure));
}

static int connect_to(struct smtp *smtp, const struct sockaddr *address, socklen_t n, struct err *err)
{
	int on = 1;

	smtp->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (smtp->fd < 0)
		return err_set(err, ERR_TEMP, "socket: %s", strerror(errno));
	/* Says no for a unix socket. */
	(void)setsockopt(smtp->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(smtp->fd, address, n) == 0)
		return 0;
	if (errno == EINPROGRESS && connected(smtp, err) == 0)
		return 0;
	if (errno != EINPROGRESS)
		err_set(err, ERR_TEMP, "cannot connect: %s", strerror(errno));
	close(smtp->fd);
	smtp->fd = -1;
	return -1;
}

static int connect_any(struct smtp *smtp, const struct smtp_address *address, struct err *err)
{
	step_begins(smtp, CONNECT_MS);
	err_set(err, ERR_TEMP, "no address");
	for (size_t i = 0; i < address->n; i++)
		if (connect_to(smtp, (const struct sockaddr *)(const void *)&address->at[i].bytes, address->at[i].n,
			       err) == 0)
			return 0;
	return -1;
}

static int expect(struct smtp *smtp, int code, struct smtp_reply *reply, const char *what, struct err *err)
{
	if (smtp_answer(smtp, SMTP_COMMAND_MS, reply, err) != 0)
		return err_prefix(err, "%s", what);
	return reply->code == code ? 0 : err_set(err, ERR_TEMP, "%s: %s", what, reply->text);
}

static int greet(struct smtp *smtp, const char *name, struct err *err)
{
	struct smtp_reply reply;

	if (smtp_say(smtp, err, "EHLO %s", name) != 0 || expect(smtp, 250, &reply, "EHLO", err) != 0)
		return -1;
	smtp_offers_parse(reply.raw, &smtp->offers);
	return 0;
}

static int start_tls(struct smtp *smtp, const struct smtp_options *options, struct err *err)
{
	struct smtp_reply reply;
	int rc = 0;

	if (!smtp->offers.starttls)
		return err_set(err, ERR_TEMP, "STARTTLS is not offered");
	if (smtp_say(smtp, err, "STARTTLS") != 0 || expect(smtp, 220, &reply, "STARTTLS", err) != 0)
		return -1;
	/* Said before TLS by whoever sits in between, to be read behind it as if the server had said it. */
	if (smtp->in_n != smtp->in_used)
		return err_set(err, ERR_TEMP, "STARTTLS: plaintext behind the reply");
	smtp->tls = smtp_tls_new(options->trust, options->address->host, err);
	if (smtp->tls == NULL)
		return -1;
	step_begins(smtp, SMTP_COMMAND_MS);
	while ((rc = smtp_tls_handshake(smtp->tls, err)) == 0)
		if (feed_tls(smtp, err) != 0)
			return -1;
	if (rc < 0 || send_pending(smtp, err) != 0)
		return -1;
	return greet(smtp, options->name, err);
}

struct smtp *smtp_open(const struct smtp_options *options, struct err *err)
{
	struct smtp *smtp = calloc(1, sizeof(*smtp));
	struct smtp_reply reply;

	if (smtp == NULL) {
		err_memory(err);
		return NULL;
	}
	smtp->fd = -1;
	smtp->deadline_ms = options->deadline_ms;
	smtp->last = '\n';
	buf_init(&smtp->out, 0);
	if (connect_any(smtp, options->address, err) != 0 || expect(smtp, 220, &reply, "greeting", err) != 0 ||
	    greet(smtp, options->name, err) != 0)
		goto out;
	if (options->trust != NULL && start_tls(smtp, options, err) != 0)
		goto out;
	return smtp;
out:
	smtp_close(smtp);
	return NULL;
}

void smtp_close(struct smtp *smtp)
{
	if (smtp == NULL)
		return;
	smtp_tls_free(smtp->tls);
	buf_clear(&smtp->out);
	if (smtp->fd >= 0)
		close(smtp->fd);
	free(smtp);
}

void smtp_quit(struct smtp *smtp)
{
	struct err err = { 0 };

	/* Whether it arrives changes nothing. */
	smtp->until_ms = now_ms() + QUIT_MS;
	if (smtp_say(smtp, &err, "QUIT") == 0)
		(void)flush(smtp, &err);
	smtp_close(smtp);
}

const struct smtp_offers *smtp_offers(const struct smtp *smtp)
{
	return &smtp->offers;
}
