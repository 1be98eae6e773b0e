/* channel.c - connections over a shared socket, and calls over them. Called by recorder.c, lookup.c and their
 * clients. unix(7), cmsg(3). */
#include "milter/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define BUFFER_BYTES (2 * (int)CHANNEL_BYTES)
#define DESCRIPTORS 4		/* that one message may smuggle in before the rest is lost */

struct channel {
	int fd;
	const char *name;
	int timeout_ms;
	pthread_mutex_t lock;
	int *idle;
	size_t idle_count, capacity;
};

int channel_pair(int ends[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return err_set(err, ERR_TEMP, "socketpair: %s", strerror(errno));
	return 0;
}

struct channel *channel_new(int fd, const char *name, int timeout_ms, struct err *err)
{
	struct channel *channel = calloc(1, sizeof(*channel));

	if (channel == NULL) {
		err_memory(err);
		return NULL;
	}
	channel->fd = fd;
	channel->name = name;
	channel->timeout_ms = timeout_ms;
	(void)pthread_mutex_init(&channel->lock, NULL);
	return channel;
}

void channel_free(struct channel *channel)
{
	if (channel == NULL)
		return;
	for (size_t i = 0; i < channel->idle_count; i++)
		close(channel->idle[i]);
	free(channel->idle);
	(void)pthread_mutex_destroy(&channel->lock);
	free(channel);
}

static int left_ms(int64_t end_ms)
{
	int64_t left = end_ms - clock_monotonic_ms(&clock_system);

	return left > 0 ? (int)left : 0;
}

/* 0, or -1 with errno: EAGAIN when the time is up. */
static int wait_for(int fd, short events, int64_t end_ms)
{
	struct pollfd wait = { .fd = fd, .events = events };
	int n;

	do
		n = poll(&wait, 1, left_ms(end_ms));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = EAGAIN;
	return n > 0 ? 0 : -1;
}

static ssize_t send_in_time(int fd, const struct msghdr *message, int64_t end_ms)
{
	ssize_t n;

	do
		n = sendmsg(fd, message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && (errno == EINTR || (errno == EAGAIN && wait_for(fd, POLLOUT, end_ms) == 0)));
	return n;
}

ssize_t channel_take(int fd, void *p, size_t size, int64_t end_ms)
{
	ssize_t n;

	do
		n = recv(fd, p, size, MSG_DONTWAIT);
	while (n < 0 && (errno == EINTR || (errno == EAGAIN && wait_for(fd, POLLIN, end_ms) == 0)));
	return n;
}

ssize_t channel_give(int fd, const void *p, size_t n, int64_t end_ms)
{
	struct iovec data = { (void *)(uintptr_t)p, n };
	const struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	return send_in_time(fd, &message, end_ms);
}

/* The fd travels with a byte, since a message of none reads as the end of the stream. */
static int send_descriptor(int to, int fd, int64_t end_ms)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte = 'C';
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *header = NULL;

	memset(&control, 0, sizeof(control));
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return send_in_time(to, &message, end_ms) == 1 ? 0 : -1;
}

/* A new connection, or -1 with errno. */
static int make_connection(const struct channel *channel, int64_t end_ms)
{
	const int bytes = BUFFER_BYTES;
	int pair[2], rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	rc = send_descriptor(channel->fd, pair[1], end_ms);
	close(pair[1]);
	if (rc == 0)
		return pair[0];
	rc = errno;
	close(pair[0]);
	errno = rc;
	return -1;
}

/* One that was used before, or -1. */
static int take_idle(struct channel *channel)
{
	int fd = -1;

	(void)pthread_mutex_lock(&channel->lock);
	if (channel->idle_count > 0)
		fd = channel->idle[--channel->idle_count];
	(void)pthread_mutex_unlock(&channel->lock);
	return fd;
}

static void put_idle(struct channel *channel, int fd)
{
	int *grown = NULL;
	size_t capacity;

	(void)pthread_mutex_lock(&channel->lock);
	if (channel->idle_count == channel->capacity) {
		capacity = channel->capacity * 2 + 8;
		grown = realloc(channel->idle, capacity * sizeof(*grown));
		if (grown != NULL) {
			channel->idle = grown;
			channel->capacity = capacity;
		}
	}
	if (channel->idle_count < channel->capacity)
		channel->idle[channel->idle_count++] = fd;
	else
		close(fd);
	(void)pthread_mutex_unlock(&channel->lock);
}

/* The request is on its way when it returns: a connection, or -1 with errno. An old one may lead to a service that has
 * ended since; it is told so at once, and then nobody has read the request. */
static int send_request(struct channel *channel, const void *request, size_t n, int64_t end_ms)
{
	int fd = take_idle(channel), number;

	while (fd >= 0) {
		if (channel_give(fd, request, n, end_ms) == (ssize_t)n)
			return fd;
		close(fd);
		fd = take_idle(channel);
	}
	fd = make_connection(channel, end_ms);
	if (fd < 0 || channel_give(fd, request, n, end_ms) == (ssize_t)n)
		return fd;
	number = errno;
	close(fd);
	errno = number;
	return -1;
}

static int say_failed(const struct channel *channel, int64_t started_ms, struct err *err)
{
	if (errno == EAGAIN)
		return err_set(err, ERR_TEMP, "%s: no answer in %lld ms", channel->name,
			       (long long)(clock_monotonic_ms(&clock_system) - started_ms));
	return err_set(err, ERR_TEMP, "%s: %s", channel->name, strerror(errno));
}

/* Takes messages of at most size bytes until the last. */
static int take_answer(const struct channel *channel, struct channel_question *question, int fd, void *buffer,
		       size_t size, struct err *err)
{
	const int64_t started_ms = clock_monotonic_ms(&clock_system);
	ssize_t n;
	int rc = 0;

	while (rc == 0) {
		n = channel_take(fd, buffer, size, question->end_ms);
		question->ended = n == 0 || (n < 0 && errno == ECONNRESET);
		if (question->ended)
			return err_set(err, ERR_TEMP, "%s: the process ended before it answered", channel->name);
		if (n < 0)
			return say_failed(channel, started_ms, err);
		rc = question->take(question->self, buffer, (size_t)n, err);
	}
	return rc > 0 ? 0 : -1;
}

/* buffer: for the messages of the answer. */
static int ask(struct channel *channel, struct channel_question *question, void *buffer, size_t size, struct err *err)
{
	const int64_t started_ms = clock_monotonic_ms(&clock_system);
	int fd;

	if (question->n == 0 || question->n > CHANNEL_BYTES)
		return err_set(err, ERR_BUG, "%s: a request of %zu bytes", channel->name, question->n);
	fd = send_request(channel, question->request, question->n, question->end_ms);
	if (fd < 0)
		return say_failed(channel, started_ms, err);
	if (take_answer(channel, question, fd, buffer, size, err) != 0) {
		close(fd);
		return -1;
	}
	put_idle(channel, fd);
	return 0;
}

int channel_ask(struct channel *channel, struct channel_question *question, struct err *err)
{
	void *buffer = malloc(CHANNEL_BYTES);
	int rc = buffer == NULL ? err_memory(err) : ask(channel, question, buffer, CHANNEL_BYTES, err);

	free(buffer);
	return rc;
}

static int take_only(void *self, const void *message, size_t n, struct err *err)
{
	(void)message;
	(void)err;
	*(size_t *)self = n;
	return 1;
}

ssize_t channel_call(struct channel *channel, const void *request, size_t n, void *answer, size_t size, struct err *err)
{
	size_t got = 0;
	struct channel_question question = { .request = request, .n = n, .take = take_only, .self = &got,
		.end_ms = clock_monotonic_ms(&clock_system) + channel->timeout_ms };

	return ask(channel, &question, answer, size, err) == 0 ? (ssize_t)got : -1;
}

/* All descriptors that came along: the first of them, the others closed. */
static int first_descriptor(struct msghdr *message)
{
	int first = -1, fd;
	size_t n;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
			if (first < 0)
				first = fd;
			else
				close(fd);
		}
	}
	return first;
}

int channel_accept(int fd)
{
	union {
		char bytes[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	const int bytes = BUFFER_BYTES;
	int connection;

	if (recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
		return -1;
	connection = first_descriptor(&message);
	if (connection < 0)
		return -1;
	if (fcntl(connection, F_SETFL, O_NONBLOCK) != 0) {
		close(connection);
		return -1;
	}
	(void)setsockopt(connection, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return connection;
}
