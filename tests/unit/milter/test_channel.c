/* test_channel.c - calls from many threads and processes, a service that dies, is slow, or gets nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "milter/channel.h"

#define CONNECTIONS 64

struct fixture {
	int ends[2];
	struct channel *channel;
	pid_t service;
};

/* What it does with a message that begins so: E sends it back, S says nothing, D dies. */
static void serve_one(int *fd)
{
	static char message[CHANNEL_BYTES + 1];
	ssize_t n = recv(*fd, message, sizeof(message), 0);

	if (n > 0 && message[0] == 'D')
		_exit(0);
	if (n > 0 && message[0] == 'E')
		(void)!send(*fd, message, (size_t)n, MSG_NOSIGNAL);
	if (n <= 0) {
		close(*fd);
		*fd = -1;
	}
}

static _Noreturn void serve(const struct fixture *f)
{
	struct pollfd wait[CONNECTIONS] = { { .fd = f->ends[CHANNEL_SERVICE], .events = POLLIN } };
	nfds_t n = 1;
	int fd;

	close(f->ends[CHANNEL_CLIENT]);
	while (poll(wait, n, -1) > 0) {
		for (nfds_t i = 1; i < n; i++)
			if (wait[i].revents != 0)
				serve_one(&wait[i].fd);
		if ((wait[0].revents & POLLIN) != 0 && n < CONNECTIONS && (fd = channel_accept(wait[0].fd)) >= 0)
			wait[n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
		else if ((wait[0].revents & POLLHUP) != 0)
			_exit(0);
	}
	_exit(1);
}

static void start(struct fixture *f)
{
	f->service = fork();
	if (f->service == 0)
		serve(f);
	assert_true(f->service > 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(channel_pair(f->ends, NULL), 0);
	f->channel = channel_new(f->ends[CHANNEL_CLIENT], "service", 5000, NULL);
	assert_non_null(f->channel);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	channel_free(f->channel);
	close(f->ends[CHANNEL_CLIENT]);
	close(f->ends[CHANNEL_SERVICE]);
	if (f->service > 0)	/* it ends when nobody can ask any more */
		assert_int_equal(waitpid(f->service, NULL, 0), f->service);
	free(f);
	return 0;
}

static ssize_t call(struct fixture *f, const char *text, struct err *err)
{
	char answer[100];
	ssize_t n = channel_call(f->channel, text, strlen(text), answer, sizeof(answer), err);

	if (n >= 0)
		assert_memory_equal(answer, text, (size_t)n);
	return n;
}

static void an_answer_comes_back(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	char *large = malloc(CHANNEL_BYTES), *answer = malloc(CHANNEL_BYTES);

	start(f);
	for (int i = 0; i < 100; i++)
		assert_int_equal(call(f, "Echo", &err), 4);
	memset(large, 'E', CHANNEL_BYTES);
	assert_int_equal(channel_call(f->channel, large, CHANNEL_BYTES, answer, CHANNEL_BYTES, &err), CHANNEL_BYTES);
	assert_int_equal(channel_call(f->channel, large, CHANNEL_BYTES + 1, answer, 1, &err), -1);
	assert_int_equal(err.class, ERR_BUG);
	free(large);
	free(answer);
}

static void *call_often(void *arg)
{
	struct fixture *f = arg;
	char text[32], answer[32];
	uintptr_t bad = 0;

	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "E %lx %d", (unsigned long)pthread_self(), i);
		if (channel_call(f->channel, text, strlen(text) + 1, answer, sizeof(answer), NULL) !=
		    (ssize_t)strlen(text) + 1 || strcmp(text, answer) != 0)
			bad++;
	}
	return (void *)bad;
}

static void threads_and_processes_get_their_own_answers(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[8];
	void *bad = NULL;
	int status = 0;
	pid_t child;

	start(f);
	child = fork();
	if (child == 0)
		_exit(call_often(f) != NULL);
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_often, f), 0);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void a_new_service_takes_over(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };

	start(f);
	assert_int_equal(call(f, "Echo", &err), 4);
	assert_int_equal(call(f, "Die", &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_int_equal(waitpid(f->service, NULL, 0), f->service);
	start(f);
	assert_int_equal(call(f, "Echo", &err), 4);
	/* one that died while nobody asked: the old connection is noticed before the request is believed sent */
	assert_int_equal(kill(f->service, SIGKILL), 0);
	assert_int_equal(waitpid(f->service, NULL, 0), f->service);
	start(f);
	assert_int_equal(call(f, "Echo", &err), 4);
}

static void silence_is_try_later(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	struct channel *hasty = channel_new(f->ends[CHANNEL_CLIENT], "service", 50, &err);
	char answer[8];

	/* nobody there, somebody silent */
	assert_int_equal(channel_call(hasty, "E", 1, answer, sizeof(answer), &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_non_null(strstr(err.text, "no answer in "));
	start(f);
	assert_int_equal(channel_call(hasty, "S", 1, answer, sizeof(answer), &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_int_equal(call(f, "Echo", &err), 4);
	channel_free(hasty);
}

static void send_odd(int to, const int *fds, size_t n)
{
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	char text[] = "nonsense";
	struct iovec data = { text, sizeof(text) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
	struct cmsghdr *header = NULL;

	if (n > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(n * sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(header), fds, n * sizeof(int));
	}
	assert_int_equal(sendmsg(to, &message, 0), sizeof(text));
}

static int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void nonsense_is_no_connection(void **state)
{
	struct fixture *f = *state;
	int fds[8], before, fd;

	for (int i = 0; i < 8; i++)
		fds[i] = dup(f->ends[0]);
	before = open_descriptors();
	assert_int_equal(channel_accept(f->ends[CHANNEL_SERVICE]), -1);
	send_odd(f->ends[CHANNEL_CLIENT], fds, 0);
	assert_int_equal(channel_accept(f->ends[CHANNEL_SERVICE]), -1);
	send_odd(f->ends[CHANNEL_CLIENT], fds, 3);
	fd = channel_accept(f->ends[CHANNEL_SERVICE]);
	assert_true(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	close(fd);
	send_odd(f->ends[CHANNEL_CLIENT], fds, 8);
	fd = channel_accept(f->ends[CHANNEL_SERVICE]);
	if (fd >= 0)
		close(fd);
	assert_int_equal(open_descriptors(), before);
	for (int i = 0; i < 8; i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_answer_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(threads_and_processes_get_their_own_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_service_takes_over, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_is_try_later, setup, teardown),
		cmocka_unit_test_setup_teardown(nonsense_is_no_connection, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
