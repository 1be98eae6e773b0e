/* fetch_http.c - see fetch_http.h. Called by fetch_job.c, in a process of its own. RFC 9110, RFC 9112; HTTP/1.0 is
 * spoken, so that no server may answer in chunks.
 *
 * OpenSSL's client (OSSL_HTTP_*) was measured and left: a server that floods it with header lines keeps 3.0 inside one
 * call for as long as it likes, whatever time the caller wanted to take (DESIGN 4).
 */
#include "milter/fetch_http.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define MAX_ADDRESSES 4
#define CHUNK_BYTES 16384

struct connection {
	int fd;
	int64_t end_ms;		/* of the whole exchange */
	int64_t total_ms;
};

static int64_t now_ms(void)
{
	return clock_monotonic_ms(&clock_system);
}

/* 0: ready; -1: not until then. */
static int wait_until(int fd, short events, int64_t end_ms)
{
	struct pollfd wait = { .fd = fd, .events = events };
	int64_t left_ms;
	int rc;

	do {
		left_ms = end_ms - now_ms();
		if (left_ms <= 0)
			return -1;
		rc = poll(&wait, 1, (int)(left_ms < INT32_MAX ? left_ms : INT32_MAX));
	} while (rc == 0 || (rc < 0 && errno == EINTR));
	return rc > 0 ? 0 : -1;
}

static int late(const struct connection *connection, struct err *err)
{
	return err_set(err, ERR_LIMIT, "not done within %" PRId64 " ms", connection->total_ms);
}

/* The descriptor, connected; or -1. */
static int connect_one(const struct addrinfo *address, int64_t end_ms, struct err *err)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), number = 0;
	socklen_t size = sizeof(number);

	if (fd < 0)
		return err_set(err, ERR_TEMP, "socket: %s", strerror(errno));
	if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
		return fd;
	if (errno != EINPROGRESS)
		err_set(err, ERR_TEMP, "connect: %s", strerror(errno));
	else if (wait_until(fd, POLLOUT, end_ms) != 0)
		err_set(err, ERR_LIMIT, "no connection in time");
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) != 0 || number != 0)
		err_set(err, ERR_TEMP, "connect: %s", strerror(number != 0 ? number : errno));
	else
		return fd;
	close(fd);
	return -1;
}

/* The addresses share the time: one that is dead must not keep us from the others. */
static int connect_any(const struct fetch_exchange *exchange, const struct addrinfo *list, int64_t end_ms,
		       struct err *err)
{
	const struct addrinfo *allowed[MAX_ADDRESSES];
	int n = 0, fd = -1;

	end_ms = end_ms < now_ms() + exchange->connect_ms ? end_ms : now_ms() + exchange->connect_ms;
	for (const struct addrinfo *at = list; at != NULL && n < MAX_ADDRESSES; at = at->ai_next)
		if (fetch_address_allowed(at->ai_addr, exchange->url->port, exchange->hosts))
			allowed[n++] = at;
	if (n == 0)
		return err_set(err, ERR_POLICY, "its address is not public, and not listed itself in fetch_hosts");
	for (int i = 0; i < n && fd < 0; i++)
		fd = connect_one(allowed[i], now_ms() + (end_ms - now_ms()) / (n - i), err);
	return fd;
}

static int resolve_and_connect(const struct fetch_exchange *exchange, int64_t end_ms, struct err *err)
{
	const struct addrinfo hints = { .ai_family = exchange->url->family, .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | (exchange->url->family != AF_UNSPEC ? AI_NUMERICHOST : 0) };
	struct addrinfo *list = NULL;
	char port[8];
	int rc, fd;

	snprintf(port, sizeof(port), "%u", exchange->url->port);
	rc = getaddrinfo(exchange->url->host, port, &hints, &list);
	if (rc != 0)
		return err_set(err, ERR_TEMP, "resolver: %s", gai_strerror(rc));
	fd = connect_any(exchange, list, end_ms, err);
	freeaddrinfo(list);
	return fd;
}

static int send_all(const struct connection *connection, struct slice bytes, struct err *err)
{
	ssize_t n;

	while (bytes.n > 0) {
		if (wait_until(connection->fd, POLLOUT, connection->end_ms) != 0)
			return late(connection, err);
		n = send(connection->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_set(err, ERR_TEMP, "send: %s", strerror(errno));
		if (n > 0)
			bytes = slice_from(bytes, (size_t)n);
	}
	return 0;
}

static int send_request(const struct connection *connection, const struct fetch_exchange *exchange, struct err *err)
{
	const struct fetch_url *url = exchange->url;
	const char *open = url->family == AF_INET6 ? "[" : "", *close = url->family == AF_INET6 ? "]" : "";
	char port[8] = "";
	struct buf request;
	int rc = -1;

	if (url->port != 80)
		snprintf(port, sizeof(port), ":%u", url->port);
	buf_init(&request, 0);
	if (buf_printf(&request,
		       "%s %s HTTP/1.0\r\nHost: %s%s%s%s\r\nUser-Agent: smime-milter\r\nConnection: close\r\n",
		       exchange->post.n > 0 ? "POST" : "GET", url->target, open, url->host, close, port) != 0 ||
	    (exchange->post.n > 0 && buf_printf(&request, "Content-Type: application/ocsp-request\r\n"
						"Content-Length: %zu\r\n", exchange->post.n) != 0) ||
	    buf_append_text(&request, "\r\n") != 0 || buf_append_slice(&request, exchange->post) != 0)
		err_memory(err);
	else
		rc = send_all(connection, buf_slice(&request), err);
	buf_clear(&request);
	return rc;
}

/* How many bytes came, 0 at the end; or -1. */
static ssize_t receive(const struct connection *connection, void *bytes, size_t size, struct err *err)
{
	ssize_t n;

	do {
		if (wait_until(connection->fd, POLLIN, connection->end_ms) != 0)
			return late(connection, err);
		n = recv(connection->fd, bytes, size, 0);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR));
	return n >= 0 ? n : err_set(err, ERR_TEMP, "receive: %s", strerror(errno));
}

/* One line off the front, without its end; an answer's lines may end with LF alone (RFC 9112 2.2). -1: no line. */
static int take_line(struct slice *text, struct slice *line)
{
	long end = slice_find(*text, '\n');

	if (end < 0)
		return -1;
	*line = slice_first(*text, (size_t)end);
	*text = slice_from(*text, (size_t)end + 1);
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	return 0;
}

static int parse_status(struct slice line, struct err *err)
{
	if (line.n < 12 || !slice_is(slice_first(line, 7), "HTTP/1.") || line.p[7] < '0' || line.p[7] > '9' ||
	    line.p[8] != ' ' || (line.n > 12 && line.p[12] != ' '))
		return err_set(err, ERR_TEMP, "no HTTP answer");
	if (line.p[9] == '3')
		return err_set(err, ERR_TEMP, "a redirect (%.3s), not followed", line.p + 9);
	if (!slice_is(slice_first(slice_from(line, 9), 3), "200"))
		return err_set(err, ERR_TEMP, "status %.3s", line.p + 9);
	return 0;
}

static int parse_length(struct slice value, struct fetch_head *head, struct err *err)
{
	uint64_t length = 0;

	if (head->has_length || value.n == 0 || value.n > 18)
		return err_set(err, ERR_TEMP, "malformed Content-Length");
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return err_set(err, ERR_TEMP, "malformed Content-Length");
		length = length * 10 + (uint64_t)(value.p[i] - '0');
	}
	head->has_length = true;
	head->length = length;
	return 0;
}

static int parse_field(struct slice line, struct fetch_head *head, struct err *err)
{
	long colon = slice_find(line, ':');
	struct slice name, value;

	if (colon <= 0)
		return err_set(err, ERR_TEMP, "malformed header field");
	name = slice_first(line, (size_t)colon);
	value = slice_trim(slice_from(line, (size_t)colon + 1));
	if (slice_is_nocase(name, "Content-Length"))
		return parse_length(value, head, err);
	if (slice_is_nocase(name, "Transfer-Encoding") ||
	    (slice_is_nocase(name, "Content-Encoding") && !slice_is_nocase(value, "identity")))
		return err_set(err, ERR_TEMP, "content in a coding that was not asked for");
	return 0;
}

int fetch_head_parse(struct slice text, struct fetch_head *head, struct err *err)
{
	struct slice line = { NULL, 0 };

	*head = (struct fetch_head){ .has_length = false };
	if (take_line(&text, &line) != 0)
		return err_set(err, ERR_TEMP, "no HTTP answer");
	if (parse_status(line, err) != 0)
		return -1;
	while (take_line(&text, &line) == 0 && line.n > 0)
		if (parse_field(line, head, err) != 0)
			return -1;
	return 0;
}

/* Length of the head with its empty line; 0: not complete. */
static size_t head_length(struct slice text)
{
	struct slice rest = text, line;

	while (take_line(&rest, &line) == 0)
		if (line.n == 0)
			return text.n - rest.n;
	return 0;
}

/* Reads until the head is complete; what follows it in the same bytes goes to body. */
static int receive_head(const struct connection *connection, struct fetch_head *head, struct buf *body, struct err *err)
{
	char bytes[FETCH_HEAD_BYTES];
	size_t n = 0, length = 0;
	ssize_t got;

	while ((length = head_length(slice_make(bytes, n))) == 0) {
		if (n == sizeof(bytes))
			return err_set(err, ERR_LIMIT, "header larger than %d bytes", FETCH_HEAD_BYTES);
		got = receive(connection, bytes + n, sizeof(bytes) - n, err);
		if (got < 0)
			return -1;
		if (got == 0)
			return err_set(err, ERR_TEMP, "connection closed within the header");
		n += (size_t)got;
	}
	if (fetch_head_parse(slice_make(bytes, length), head, err) != 0)
		return -1;
	return buf_append(body, bytes + length, n - length) == 0 ? 0 : err_memory(err);
}

static int receive_body(const struct connection *connection, const struct fetch_head *head, size_t limit_bytes,
			struct buf *body, struct err *err)
{
	size_t wanted = head->has_length ? (size_t)head->length : limit_bytes + 1;
	unsigned char *room;
	ssize_t got = 1;

	if (head->has_length && head->length > limit_bytes)
		return err_set(err, ERR_LIMIT, "%" PRIu64 " bytes, more than %zu", head->length, limit_bytes);
	while (body->n < wanted && got > 0) {
		room = buf_reserve(body, CHUNK_BYTES);
		if (room == NULL)
			return err_memory(err);
		got = receive(connection, room, CHUNK_BYTES, err);
		if (got < 0)
			return -1;
		body->n += (size_t)got;
	}
	if (body->n > limit_bytes)
		return err_set(err, ERR_LIMIT, "more than %zu bytes", limit_bytes);
	if (head->has_length && body->n != head->length)
		return err_set(err, ERR_TEMP, "%zu bytes instead of %" PRIu64, body->n, head->length);
	return 0;
}

int fetch_http(const struct fetch_exchange *exchange, struct buf *body, struct err *err)
{
	struct connection connection = { .fd = -1, .end_ms = now_ms() + exchange->total_ms,
		.total_ms = exchange->total_ms };
	struct fetch_head head;
	int rc = -1;

	buf_reset(body);
	connection.fd = resolve_and_connect(exchange, connection.end_ms, err);
	if (connection.fd < 0)
		return -1;
	if (send_request(&connection, exchange, err) == 0 && receive_head(&connection, &head, body, err) == 0)
		rc = receive_body(&connection, &head, exchange->limit_bytes, body, err);
	close(connection.fd);
	return rc;
}
