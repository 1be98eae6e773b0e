/* channel.h - questions of many threads in many processes to one process, each with one answer.
 *
 * A pair of sockets that the keeper makes and its children inherit. On the shared one nothing is sent but connections: a
 * thread that has none makes a pair of sockets and sends one of them along. So answers find their way, a service that was
 * started anew takes over what waits, and the end of a process is the end of its connections. A message is at most
 * CHANNEL_BYTES long and arrives whole.
 */
#ifndef MILTER_CHANNEL_H
#define MILTER_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define CHANNEL_BYTES ((size_t)128 * 1024)

enum channel_end { CHANNEL_CLIENT, CHANNEL_SERVICE };

/* ends[enum channel_end]; closed by the caller. */
int channel_pair(int ends[2], struct err *err);

struct channel;

/* The clients' side, for all threads of a process. fd: the clients' end, outlives the channel. name: of the service, for
 * errors. Connections are kept until channel_free: the service may take the end of one for the end of the process. */
struct channel *channel_new(int fd, const char *name, int timeout_ms, struct err *err);
void channel_free(struct channel *channel);	/* NULL is fine; no call may be under way */
/* Sends a request of n bytes and waits for its answer, written to answer (size bytes). Returns its length, or -1, ERR_TEMP:
 * nobody answered in time, or the service ended meanwhile. Whether the request was carried out is not known then. */
ssize_t channel_call(struct channel *channel, const void *request, size_t n, void *answer, size_t size,
		     struct err *err);

/* A question whose answer may be several messages. */
struct channel_question {
	const void *request;
	size_t n;
	int64_t end_ms;		/* CLOCK_MONOTONIC: when to give up */
	/* Called for each message of the answer. 1: it was the last; 0: there are more; -1 with *err: not what was
	 * expected, the call fails. */
	int (*take)(void *self, const void *message, size_t n, struct err *err);
	void *self;
	bool ended;		/* set when it failed because the service ended before the last message */
};

/* 0, or -1 with take's error, or ERR_TEMP as channel_call says. */
int channel_ask(struct channel *channel, struct channel_question *question, struct err *err);

/* The service's side. A new connection from the shared socket, non-blocking and closed on exec: take it with recv, answer
 * with send, one message each; -1: none waits, or what came was no connection. Does not wait. */
int channel_accept(int fd);
/* recv and send for a service whose threads wait, until end_ms (CLOCK_MONOTONIC): -1 with errno, EAGAIN when it is over;
 * channel_take: 0 when the other end was closed. A message longer than size is cut. */
ssize_t channel_take(int fd, void *p, size_t size, int64_t end_ms);
ssize_t channel_give(int fd, const void *p, size_t n, int64_t end_ms);

#endif
