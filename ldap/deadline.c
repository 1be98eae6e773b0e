/* deadline.c - a sockbuf layer (lber-sockbuf(3)) between the socket and TLS that never waits beyond the deadline. Used
 * by connection.c. One thread at a time, like the connection it belongs to. */
#include "ldap/deadline.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

#define LEVEL (LBER_SBIOD_LEVEL_PROVIDER + 5)	/* above the socket, below TLS (LBER_SBIOD_LEVEL_TRANSPORT) */

static int64_t left_ms(const struct deadline *deadline)
{
	int64_t ms = deadline->at_ms - clock_monotonic_ms(deadline->clock);

	if (ms <= 0)
		return 0;
	return ms > INT_MAX ? INT_MAX : ms;
}

bool deadline_left(const struct deadline *deadline, struct timeval *left)
{
	int64_t ms = left_ms(deadline);

	left->tv_sec = (time_t)(ms / 1000);
	left->tv_usec = (suseconds_t)(ms % 1000 * 1000);
	return ms > 0;
}

/* Until the socket is ready. An error of the socket counts as ready: reading tells it. */
static int wait_for(Sockbuf_IO_Desc *layer, short events)
{
	struct deadline *deadline = layer->sbiod_pvt;
	struct pollfd polled = { .events = events };
	int ready;

	if (ber_sockbuf_ctrl(layer->sbiod_sb, LBER_SB_OPT_GET_FD, &polled.fd) != 1)
		return -1;
	do
		ready = poll(&polled, 1, (int)left_ms(deadline));
	while (ready < 0 && errno == EINTR);
	if (ready != 0)
		return ready < 0 ? -1 : 0;
	deadline->missed = true;
	/* Not EAGAIN, which means: try again. */
	errno = ETIMEDOUT;
	return -1;
}

static int layer_setup(Sockbuf_IO_Desc *layer, void *arg)
{
	layer->sbiod_pvt = arg;
	return 0;
}

static int layer_remove(Sockbuf_IO_Desc *layer)
{
	layer->sbiod_pvt = NULL;
	return 0;
}

static int layer_ctrl(Sockbuf_IO_Desc *layer, int option, void *arg)
{
	return LBER_SBIOD_CTRL_NEXT(layer, option, arg);
}

static ber_slen_t layer_read(Sockbuf_IO_Desc *layer, void *p, ber_len_t n)
{
	return wait_for(layer, POLLIN) != 0 ? -1 : LBER_SBIOD_READ_NEXT(layer, p, n);
}

static ber_slen_t layer_write(Sockbuf_IO_Desc *layer, void *p, ber_len_t n)
{
	return wait_for(layer, POLLOUT) != 0 ? -1 : LBER_SBIOD_WRITE_NEXT(layer, p, n);
}

static int layer_close(Sockbuf_IO_Desc *layer)
{
	(void)layer;
	return 0;
}

/* libldap wants it writable and does not write to it. */
static const Sockbuf_IO layer_functions = {
	.sbi_setup = layer_setup, .sbi_remove = layer_remove, .sbi_ctrl = layer_ctrl, .sbi_read = layer_read,
	.sbi_write = layer_write, .sbi_close = layer_close,
};

int deadline_attach(struct deadline *deadline, LDAP *ld)
{
	Sockbuf *sockbuf = NULL;

	if (ldap_get_option(ld, LDAP_OPT_SOCKBUF, &sockbuf) != LDAP_OPT_SUCCESS || sockbuf == NULL)
		return -1;
	return ber_sockbuf_add_io(sockbuf, (Sockbuf_IO *)&layer_functions, LEVEL, deadline);
}
