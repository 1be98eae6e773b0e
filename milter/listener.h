/* listener.h - the socket on which the MTA finds us: spelling, opening through libmilter, taking it away from a process
 * that is to end. libmilter keeps the descriptor to itself; DESIGN 4 tells what was measured about it.
 */
#ifndef MILTER_LISTENER_H
#define MILTER_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"

struct listener_spec {
	char text[256];		/* as libmilter wants it: "unix:PATH", "inet:PORT@HOST", "inet6:PORT@HOST" */
	bool local;		/* a unix socket: its path is listener_path's */
};

/* Reads any of local:PATH, unix:PATH, PATH, inet:PORT@HOST, inet:HOST:PORT (Postfix), inet:PORT, inet6 likewise; IPv6
 * addresses in brackets. ERR_CONFIG says what is wrong. */
int listener_parse(const char *text, struct listener_spec *spec, struct err *err);

/* The path of a unix socket. */
const char *listener_path(const struct listener_spec *spec);

struct listener {
	int fd;
	struct listener_spec spec;
	struct stat made;	/* the unix socket as we made it */
};

struct listener_access {
	mode_t mode;
	bool has_group;
	gid_t group;
};

/* Opens libmilter's listening socket (callbacks_register first), non-blocking and TCP_NODELAY. A unix socket appears
 * under its path with its final mode and group at once, over a stale one; one that answers is ERR_TEMP: somebody else
 * serves it. */
int listener_open(const struct listener_spec *spec, const struct listener_access *access, struct listener *listener,
		  struct err *err);
/* Removes the path if it is still the socket that we made. */
void listener_remove(const struct listener *listener);

/* Puts an idle socket in the descriptor's place: libmilter goes on listening, and nobody ever connects. Sessions that
 * wait in the queue stay for the other processes. 0 or -1. */
int listener_retire(int fd, struct err *err);
/* How many connections this process has taken from the listener (fd: the one listener_open gave, before retiring) are
 * still open. address: listener_address's. */
struct listener_address {
	unsigned char bytes[128];
	unsigned n;
};
int listener_address(int fd, struct listener_address *address, struct err *err);
size_t listener_sessions(const struct listener_address *address);

#endif
