/* control.c - orders from the master to a generation. Called by master.c, generation.c and worker.c. */
#include "milter/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

int control_open(int ends[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return err_set(err, ERR_TEMP, "control socket: %s", strerror(errno));
	return 0;
}

void control_give(int fd, enum control_order order)
{
	(void)send(fd, order == CONTROL_STOP ? "S" : "D", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

enum control_order control_order(int fd)
{
	char bytes[16];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? CONTROL_SERVE : CONTROL_DRAIN;
	return n > 0 && memchr(bytes, 'S', (size_t)n) != NULL ? CONTROL_STOP : CONTROL_DRAIN;
}
