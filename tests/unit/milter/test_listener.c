/* test_listener.c - the spellings of a socket, orders to a generation, and a unix socket's fate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "milter/control.h"
#include "milter/listener.h"

static void expect(const char *text, const char *wanted)
{
	struct listener_spec spec;
	struct err err = { 0 };

	assert_int_equal(listener_parse(text, &spec, &err), 0);
	assert_string_equal(spec.text, wanted);
	assert_int_equal(spec.local, strncmp(wanted, "unix:", 5) == 0);
	if (spec.local)
		assert_string_equal(listener_path(&spec), wanted + 5);
}

static void test_spellings(void **state)
{
	(void)state;
	expect("local:/run/m.sock", "unix:/run/m.sock");
	expect("unix:/run/m.sock", "unix:/run/m.sock");
	expect("UNIX:/run/m.sock", "unix:/run/m.sock");
	expect("/run/m.sock", "unix:/run/m.sock");
	expect("inet:8891@127.0.0.1", "inet:8891@127.0.0.1");
	expect("inet:127.0.0.1:8891", "inet:8891@127.0.0.1");
	expect("inet:localhost:8891", "inet:8891@localhost");
	expect("inet:[::1]:8891", "inet6:8891@[::1]");
	expect("inet:8891@[::1]", "inet6:8891@[::1]");
	expect("inet:8891@[127.0.0.1]", "inet:8891@127.0.0.1");
	expect("inet6:8891@localhost", "inet6:8891@localhost");
	expect("inet:8891", "inet:8891");
	expect("inet:*:8891", "inet:8891");
}

static void test_refused(void **state)
{
	static const char *const texts[] = { "", "x", "tcp:8891@127.0.0.1", "unix:", "unix:relative", "local:./x",
		"inet:", "inet:0@127.0.0.1", "inet:65536@127.0.0.1", "inet:-1@127.0.0.1", "inet:88x@127.0.0.1",
		"inet:8891@", "inet:127.0.0.1", "inet:smtp@127.0.0.1", "inet: 8891@127.0.0.1" };
	struct listener_spec spec;
	char path[300], text[310];
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(listener_parse(texts[i], &spec, &err), -1);
		assert_int_equal(err.class, ERR_CONFIG);
	}
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[104] = '\0';
	snprintf(text, sizeof(text), "unix:%s", path);
	assert_int_equal(listener_parse(text, &spec, &err), -1);
	memset(path + 104, 'x', sizeof(path) - 105);
	path[sizeof(path) - 1] = '\0';
	snprintf(text, sizeof(text), "inet:8891@%s", path);
	assert_int_equal(listener_parse(text, &spec, &err), -1);
}

static void test_orders(void **state)
{
	int ends[2];
	struct err err;

	(void)state;
	assert_int_equal(control_open(ends, &err), 0);
	assert_int_equal(control_order(ends[1]), CONTROL_SERVE);
	control_give(ends[0], CONTROL_DRAIN);
	assert_int_equal(control_order(ends[1]), CONTROL_DRAIN);
	assert_int_equal(control_order(ends[1]), CONTROL_DRAIN);	/* for the next process too */
	control_give(ends[0], CONTROL_STOP);
	assert_int_equal(control_order(ends[1]), CONTROL_STOP);
	close(ends[0]);
	assert_int_equal(control_order(ends[1]), CONTROL_STOP);
	close(ends[1]);
}

static void test_the_master_is_gone(void **state)
{
	int ends[2];
	struct err err;

	(void)state;
	assert_int_equal(control_open(ends, &err), 0);
	close(ends[0]);
	assert_int_equal(control_order(ends[1]), CONTROL_DRAIN);
	close(ends[1]);
}

static void test_retire(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct listener_address known;
	socklen_t n = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0), kept, client, session;
	struct err err;

	(void)state;
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
	assert_int_equal(listener_address(fd, &known, &err), 0);
	assert_int_equal(listener_sessions(&known), 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (const struct sockaddr *)&address, sizeof(address)), 0);
	session = accept(fd, NULL, NULL);
	assert_true(session >= 0);
	kept = dup(fd);		/* as another process has it */
	assert_int_equal(listener_retire(fd, &err), 0);
	assert_int_equal(listener_sessions(&known), 1);
	assert_int_equal(accept(fd, NULL, NULL), -1);	/* at once: it does not block */
	close(session);
	assert_int_equal(listener_sessions(&known), 0);
	close(client);
	client = socket(AF_INET, SOCK_STREAM, 0);	/* the queue still works for others */
	assert_int_equal(connect(client, (const struct sockaddr *)&address, sizeof(address)), 0);
	session = accept(kept, NULL, NULL);
	assert_true(session >= 0);
	close(session);
	close(client);
	close(kept);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_the_master_is_gone),
		cmocka_unit_test(test_retire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
