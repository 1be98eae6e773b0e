/* smtp_script.c - see smtp_script.h. */
#include "support/smtp_script.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_MS 20000

static void fail(struct smtp_script *script, const char *what, const char *object)
{
	if (script->failure[0] == '\0')
		snprintf(script->failure, sizeof(script->failure), "%s %.100s", what, object);
}

static int ready(int fd, short events)
{
	struct pollfd polled = { .fd = fd, .events = events };

	return poll(&polled, 1, WAIT_MS) > 0;
}

static ssize_t receive(struct smtp_script *script, char *p, size_t n)
{
	if (script->ssl != NULL)
		return SSL_read(script->ssl, p, (int)n);
	return ready(script->fd, POLLIN) ? recv(script->fd, p, n, 0) : -1;
}

/* What the client no longer wants to hear is its business. */
static void say(struct smtp_script *script, const char *p, size_t n)
{
	if (script->ssl != NULL) {
		(void)SSL_write(script->ssl, p, (int)n);
		return;
	}
	while (n > 0) {
		ssize_t sent = ready(script->fd, POLLOUT) ? send(script->fd, p, n, MSG_NOSIGNAL) : -1;

		if (sent <= 0)
			return;
		p += sent;
		n -= (size_t)sent;
	}
}

static int fill(struct smtp_script *script)
{
	char bytes[4096];
	ssize_t got = receive(script, bytes, sizeof(bytes));

	return got > 0 && buf_append(&script->in, bytes, (size_t)got) == 0 ? 0 : -1;
}

static void take(struct smtp_script *script, size_t n, struct buf *to)
{
	buf_append(to, script->in.p, n);
	memmove(script->in.p, script->in.p + n, script->in.n - n);
	script->in.n -= n;
}

static void hear(struct smtp_script *script, const char *wanted)
{
	long lf;
	char line[120];

	while ((lf = slice_find(buf_slice(&script->in), '\n')) < 0)
		if (fill(script) != 0) {
			fail(script, "connection ended before", wanted);
			return;
		}
	snprintf(line, sizeof(line), "%.*s", (int)lf, (const char *)script->in.p);
	if (!slice_starts_nocase(slice_of(line), wanted))
		fail(script, "heard", line);
	take(script, (size_t)lf + 1, &script->heard);
}

static size_t text_length(const struct buf *in, size_t from)
{
	for (size_t i = from; i + 3 <= in->n; i++)
		if (memcmp(in->p + i, ".\r\n", 3) == 0 && (i == 0 || (i > 1 && memcmp(in->p + i - 2, "\r\n", 2) == 0)))
			return i + 3;
	return 0;
}

static void hear_text(struct smtp_script *script)
{
	size_t n, looked = 0;

	while ((n = text_length(&script->in, looked)) == 0) {
		looked = script->in.n > 3 ? script->in.n - 3 : 0;
		if (fill(script) == 0)
			continue;
		n = script->in.n;
		break;
	}
	take(script, n, &script->text);
}

static void start_tls(struct smtp_script *script)
{
	script->ssl = SSL_new(script->tls);
	SSL_set_fd(script->ssl, script->fd);
	if (SSL_accept(script->ssl) != 1)
		fail(script, "TLS", "handshake");
}

static void wait_for_end(struct smtp_script *script)
{
	char bytes[4096];

	while (receive(script, bytes, sizeof(bytes)) > 0)
		continue;
}

static void step(struct smtp_script *script, const struct smtp_step *now)
{
	char *many;

	switch (now->kind) {
	case SMTP_SAY:
		say(script, now->text, now->n > 0 ? now->n : strlen(now->text));
		break;
	case SMTP_SAY_BYTES:
		many = malloc(now->n);
		memset(many, now->text[0], now->n);
		say(script, many, now->n);
		free(many);
		break;
	case SMTP_HEAR:
		hear(script, now->text);
		break;
	case SMTP_TEXT:
		hear_text(script);
		break;
	case SMTP_TLS:
		start_tls(script);
		break;
	case SMTP_WAIT:
		wait_for_end(script);
		break;
	case SMTP_DROP:
		break;
	}
}

static void *serve(void *arg)
{
	struct smtp_script *script = arg;

	script->fd = ready(script->listening, POLLIN) ? accept(script->listening, NULL, NULL) : -1;
	if (script->fd < 0) {
		fail(script, "nobody", "connected");
		return NULL;
	}
	for (size_t i = 0; i < script->n && script->failure[0] == '\0' && script->steps[i].kind != SMTP_DROP; i++)
		step(script, &script->steps[i]);
	SSL_free(script->ssl);
	close(script->fd);
	return NULL;
}

static void check(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static void open_inet(struct smtp_script *script)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(address);

	script->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(bind(script->listening, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
	check(getsockname(script->listening, (struct sockaddr *)&address, &n) == 0, "getsockname");
	script->port = ntohs(address.sin_port);
	snprintf(script->to, sizeof(script->to), "inet:127.0.0.1:%u", script->port);
}

static void open_unix(struct smtp_script *script, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	script->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(bind(script->listening, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
	snprintf(script->to, sizeof(script->to), "unix:%s", path);
}

void smtp_script_start(struct smtp_script *script, const struct smtp_step *steps, size_t n, const char *path)
{
	SSL_CTX *tls = script->tls;

	memset(script, 0, sizeof(*script));
	script->tls = tls;
	script->steps = steps;
	script->n = n;
	buf_init(&script->in, 0);
	buf_init(&script->heard, 0);
	buf_init(&script->text, 0);
	if (path != NULL)
		open_unix(script, path);
	else
		open_inet(script);
	check(listen(script->listening, 1) == 0, "listen");
	check(pthread_create(&script->thread, NULL, serve, script) == 0, "thread");
}

const char *smtp_script_end(struct smtp_script *script)
{
	pthread_join(script->thread, NULL);
	close(script->listening);
	return script->failure;
}

void smtp_script_clear(struct smtp_script *script)
{
	buf_clear(&script->in);
	buf_clear(&script->heard);
	buf_clear(&script->text);
}
