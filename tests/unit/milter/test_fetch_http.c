/* test_fetch_http.c - exchanges with a server that is honest, slow, endless, dead or wrong; each keeps its size and
 * time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "milter/fetch_job.h"

#define LONG_MS 20000
#define SHORT_MS 300

enum manner { ONCE, FOREVER, SLOWLY, NEVER };

struct server {
	pid_t pid;
	int fd;
	unsigned port;
};

static void say(int fd, const char *text, enum manner manner)
{
	ssize_t n = 1;

	if (manner != NEVER)
		n = send(fd, text, strlen(text), MSG_NOSIGNAL);
	while (manner == FOREVER && n > 0)
		n = send(fd, text, strlen(text), MSG_NOSIGNAL);
	while (manner == SLOWLY && n > 0) {
		(void)poll(NULL, 0, 20);
		n = send(fd, "x", 1, MSG_NOSIGNAL);
	}
	if (manner == NEVER)
		(void)!read(fd, &n, sizeof(n));	/* until the client gives up */
}

/* Answers every connection with first once, and with text in its manner. The request comes back in X-Request. */
static struct server serve(const char *first, const char *text, enum manner manner)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct server server = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	socklen_t size = sizeof(address);
	char request[4096];
	int fd;

	assert_int_equal(bind(server.fd, (const struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(server.fd, 5), 0);
	assert_int_equal(getsockname(server.fd, (struct sockaddr *)&address, &size), 0);
	server.port = ntohs(address.sin_port);
	server.pid = fork();
	assert_true(server.pid >= 0);
	if (server.pid > 0)
		return server;
	while ((fd = accept(server.fd, NULL, NULL)) >= 0) {
		(void)!recv(fd, request, sizeof(request), 0);
		say(fd, first, ONCE);
		say(fd, text, manner);
		(void)shutdown(fd, SHUT_WR);
		while (recv(fd, request, sizeof(request), 0) > 0)
			continue;
		close(fd);
	}
	_exit(0);
}

static void end(struct server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	close(server->fd);
}

/* Asks http://127.0.0.1:PORT/x; the class of the error, or ERR_NONE with the content in out. */
static enum err_class ask(const struct server *server, int64_t total_ms, size_t limit_bytes, struct slice post,
			  struct buf *out, char why[512])
{
	const char *listed = "127.0.0.1";
	const struct conf_strings hosts = { &listed, 1 };
	struct fetch_url url = { .host = "127.0.0.1", .family = AF_INET, .port = server->port, .target = "/x" };
	const struct fetch_exchange exchange = { .url = &url, .hosts = &hosts, .post = post, .connect_ms = total_ms,
		.total_ms = total_ms, .limit_bytes = limit_bytes };
	struct slice content;
	struct fetch_job job;
	struct err err = { 0 };

	fetch_job_init(&job);
	assert_int_equal(fetch_job_start(&job, &exchange, &err), 0);
	while (!fetch_job_ended(&job, clock_monotonic_ms(&clock_system))) {
		struct pollfd wait = { .fd = job.fd, .events = POLLIN };

		(void)poll(&wait, 1, 100);
	}
	buf_reset(out);
	if (fetch_job_finish(&job, &content, &err) == 0)
		assert_int_equal(buf_append_slice(out, content), 0);
	buf_clear(&job.answer);
	snprintf(why, 512, "%s", err.text);
	return err.class;
}

struct row {
	const char *first, *text;
	enum manner manner;
	int64_t total_ms;
	enum err_class class;
	const char *wanted;		/* the content, or in the reason */
};

#define OK "HTTP/1.0 200 OK\r\n"

static const struct row rows[] = {
	{ OK "Content-Length: 5\r\n\r\n", "hello", ONCE, LONG_MS, ERR_NONE, "hello" },
	{ "HTTP/1.1 200\nA: b\ncontent-length:5\n\n", "hello", ONCE, LONG_MS, ERR_NONE, "hello" },
	{ OK "\r\n", "hello", ONCE, LONG_MS, ERR_NONE, "hello" },
	{ OK "Content-Length: 0\r\n\r\n", "", ONCE, LONG_MS, ERR_NONE, "" },
	{ OK "Content-Encoding: identity\r\n\r\n", "hello", ONCE, LONG_MS, ERR_NONE, "hello" },
	{ OK "Content-Length: 6\r\n\r\n", "hello", ONCE, LONG_MS, ERR_TEMP, "5 bytes instead of 6" },
	{ OK "Content-Length: 4\r\n\r\n", "hello", ONCE, LONG_MS, ERR_TEMP, "5 bytes instead of 4" },
	{ OK "Content-Length: 1001\r\n\r\n", "", ONCE, LONG_MS, ERR_LIMIT, "1001 bytes, more than 1000" },
	{ OK "Content-Length: 99999999999999999999999\r\n\r\n", "", ONCE, LONG_MS, ERR_TEMP,
	  "malformed Content-Length" },
	{ OK "Content-Length: -1\r\n\r\n", "", ONCE, LONG_MS, ERR_TEMP, "malformed Content-Length" },
	{ OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "hello", ONCE, LONG_MS, ERR_TEMP,
	  "malformed Content-Length" },
	{ OK "Transfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", ONCE, LONG_MS, ERR_TEMP, "coding" },
	{ OK "Content-Encoding: gzip\r\n\r\n", "hello", ONCE, LONG_MS, ERR_TEMP, "coding" },
	{ OK "no field\r\n\r\n", "hello", ONCE, LONG_MS, ERR_TEMP, "malformed header" },
	{ OK "A: b\r\n", "", ONCE, LONG_MS, ERR_TEMP, "within the header" },
	{ "", "", ONCE, LONG_MS, ERR_TEMP, "within the header" },
	{ "HTTP/1.0 301 Moved\r\nLocation: http://127.0.0.1/\r\n\r\n", "", ONCE, LONG_MS, ERR_TEMP,
	  "a redirect (301)" },
	{ "HTTP/1.0 404 Not Found\r\n\r\n", "hello", ONCE, LONG_MS, ERR_TEMP, "status 404" },
	{ "HTTP/1.0 206 Partial\r\n\r\n", "hello", ONCE, LONG_MS, ERR_TEMP, "status 206" },
	{ "HTTP/2.0 200 OK\r\n\r\n", "hello", ONCE, LONG_MS, ERR_TEMP, "no HTTP answer" },
	{ "garbage\r\n\r\n", "", ONCE, LONG_MS, ERR_TEMP, "no HTTP answer" },
	{ OK "\r\n", "endless content ", FOREVER, LONG_MS, ERR_LIMIT, "more than 1000 bytes" },
	{ OK, "A: b\r\n", FOREVER, LONG_MS, ERR_LIMIT, "header larger than" },
	{ OK "A: ", "bbbbbbbbbbbbb", FOREVER, LONG_MS, ERR_LIMIT, "header larger than" },
	{ OK "\r\n", "drip", SLOWLY, SHORT_MS, ERR_LIMIT, "not done within 300 ms" },
	{ OK "A", "drip", SLOWLY, SHORT_MS, ERR_LIMIT, "not done within 300 ms" },
	{ "", "", NEVER, SHORT_MS, ERR_LIMIT, "not done within 300 ms" },
	{ OK "Content-Length: 5\r\n\r\n", "", NEVER, SHORT_MS, ERR_LIMIT, "not done within 300 ms" },
};

static void test_exchanges(void **state)
{
	char why[512];
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct server server = serve(rows[i].first, rows[i].text, rows[i].manner);
		enum err_class class = ask(&server, rows[i].total_ms, 1000, (struct slice){ NULL, 0 }, &out, why);

		end(&server);
		if (class != rows[i].class || (class == ERR_NONE ? !slice_is(buf_slice(&out), rows[i].wanted) :
					       strstr(why, rows[i].wanted) == NULL))
			fail_msg("row %zu: class %d, %s, %s", i, class, why, buf_string(&out));
	}
	buf_clear(&out);
}

/* A server that says back what it was asked. */
static struct server echo(void)
{
	struct server server = serve("", "", ONCE);
	char request[4096];
	ssize_t n;
	int fd;

	kill(server.pid, SIGKILL);
	waitpid(server.pid, NULL, 0);
	server.pid = fork();
	if (server.pid != 0)
		return server;
	fd = accept(server.fd, NULL, NULL);
	n = recv(fd, request, sizeof(request), 0);
	(void)!write(fd, OK "\r\n", strlen(OK "\r\n"));
	(void)!write(fd, request, n > 0 ? (size_t)n : 0);
	(void)shutdown(fd, SHUT_WR);
	_exit(0);
}

static void test_requests(void **state)
{
	struct server server = echo();
	char why[512], host[64];
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	assert_int_equal(ask(&server, LONG_MS, 1000, (struct slice){ NULL, 0 }, &out, why), ERR_NONE);
	snprintf(host, sizeof(host), "\r\nHost: 127.0.0.1:%u\r\n", server.port);
	assert_non_null(strstr(buf_string(&out), host));
	assert_int_equal(strncmp(buf_string(&out), "GET /x HTTP/1.0\r\n", 17), 0);
	end(&server);
	server = echo();
	assert_int_equal(ask(&server, LONG_MS, 1000, slice_of("question"), &out, why), ERR_NONE);
	assert_int_equal(strncmp(buf_string(&out), "POST /x HTTP/1.0\r\n", 18), 0);
	assert_non_null(strstr(buf_string(&out),
			       "\r\nContent-Type: application/ocsp-request\r\nContent-Length: 8\r\n\r\nquestion"));
	end(&server);
	buf_clear(&out);
}

/* Nobody listens; nobody may be asked. */
static void test_no_connection(void **state)
{
	struct server server = serve("", "", ONCE);
	struct fetch_url url = { .host = "127.0.0.1", .family = AF_INET, .port = server.port, .target = "/" };
	const struct conf_strings none = { NULL, 0 };
	const struct fetch_exchange exchange = { .url = &url, .hosts = &none, .connect_ms = LONG_MS,
		.total_ms = LONG_MS, .limit_bytes = 10 };
	char why[512];
	struct err err = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	assert_int_equal(fetch_http(&exchange, &out, &err), -1);
	assert_int_equal(err.class, ERR_POLICY);
	snprintf(url.host, sizeof(url.host), "localhost");
	url.family = AF_UNSPEC;
	assert_int_equal(fetch_http(&exchange, &out, &err), -1);
	assert_int_equal(err.class, ERR_POLICY);
	end(&server);
	assert_int_equal(ask(&server, LONG_MS, 10, (struct slice){ NULL, 0 }, &out, why), ERR_TEMP);
	assert_non_null(strstr(why, "connect: "));
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchanges),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_no_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
