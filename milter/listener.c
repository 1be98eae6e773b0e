/* listener.c - the milter socket. Called by setup.c (spelling), master.c (opening) and worker.c (retiring). */
#include "milter/listener.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "milter/callbacks.h"

#define BACKLOG 1024
#define SUFFIX ".new"
#define PATH_BYTES (sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof(SUFFIX) - 1)

static int bad(const char *text, const char *why, struct err *err)
{
	return err_set(err, ERR_CONFIG, "socket \"%s\": %s", text, why);
}

const char *listener_path(const struct listener_spec *spec)
{
	return spec->text + strlen("unix:");
}

static int parse_path(const char *text, const char *path, struct listener_spec *spec, struct err *err)
{
	if (path[0] != '/')
		return bad(text, "the path must begin with /", err);
	if (strlen(path) >= PATH_BYTES)
		return bad(text, "the path is too long for a unix socket", err);
	snprintf(spec->text, sizeof(spec->text), "unix:%s", path);
	spec->local = true;
	return 0;
}

static bool is_port(const char *text)
{
	char *end = NULL;
	long port = strtol(text, &end, 10);

	return isdigit((unsigned char)text[0]) && *end == '\0' && port >= 1 && port <= 65535;
}

/* Port and host of PORT@HOST, HOST:PORT or PORT; they point into rest. */
static int split(char *rest, const char **port, char **host)
{
	char *at = strchr(rest, '@'), *colon = strrchr(rest, ':');

	*host = NULL;
	*port = rest;
	if (at != NULL) {
		*at = '\0';
		*host = at + 1;
	} else if (colon != NULL) {
		*colon = '\0';
		*host = rest;
		*port = colon + 1;
	}
	return is_port(*port) && (*host == NULL || **host != '\0') ? 0 : -1;
}

static int parse_inet(const char *text, const char *family, const char *rest, struct listener_spec *spec,
		      struct err *err)
{
	char copy[200];
	const char *port;
	char *host;
	size_t n;

	if (strlen(rest) >= sizeof(copy))
		return bad(text, "too long", err);
	memcpy(copy, rest, strlen(rest) + 1);
	if (split(copy, &port, &host) != 0)
		return bad(text, "expected inet:PORT@HOST or inet:HOST:PORT", err);
	if (host == NULL || strcmp(host, "*") == 0) {
		snprintf(spec->text, sizeof(spec->text), "%s:%s", family, port);
		return 0;
	}
	n = strlen(host);
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		host++;
	}
	/* A colon can only be IPv6's, which libmilter takes in brackets. */
	if (strchr(host, ':') != NULL)
		snprintf(spec->text, sizeof(spec->text), "inet6:%s@[%s]", port, host);
	else
		snprintf(spec->text, sizeof(spec->text), "%s:%s@%s", family, port, host);
	return 0;
}

int listener_parse(const char *text, struct listener_spec *spec, struct err *err)
{
	memset(spec, 0, sizeof(*spec));
	if (text[0] == '/')
		return parse_path(text, text, spec, err);
	if (strncasecmp(text, "unix:", 5) == 0)
		return parse_path(text, text + 5, spec, err);
	if (strncasecmp(text, "local:", 6) == 0)
		return parse_path(text, text + 6, spec, err);
	if (strncasecmp(text, "inet:", 5) == 0)
		return parse_inet(text, "inet", text + 5, spec, err);
	if (strncasecmp(text, "inet6:", 6) == 0)
		return parse_inet(text, "inet6", text + 6, spec, err);
	return bad(text, "expected local:PATH, unix:PATH, inet:PORT@HOST or inet:HOST:PORT", err);
}

/* libmilter does not say where it put the socket. It is the one that listens and would be closed by exec: a listening
 * socket that came from whoever started us has survived one. */
static int find_listening(void)
{
	long limit = sysconf(_SC_OPEN_MAX);
	int fd, listening;
	socklen_t n;

	for (fd = 0; fd < limit && fd < 1024; fd++) {
		listening = 0;
		n = sizeof(listening);
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) == 0 && listening &&
		    (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0)
			return fd;
	}
	return -1;
}

static int prepare(int fd, struct err *err)
{
	int flags = fcntl(fd, F_GETFL), on = 1;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return err_set(err, ERR_TEMP, "listening socket: %s", strerror(errno));
	/* Inherited by what is accepted; says no for a unix socket. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return 0;
}

static struct sockaddr_un unix_address(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, path, strnlen(path, sizeof(address.sun_path) - 1));
	return address;
}

/* -1: somebody answers there, or something that is no socket has the name. */
static int check_free(const char *path, struct err *err)
{
	struct sockaddr_un address = unix_address(path);
	struct stat status;
	int fd, answered;

	if (lstat(path, &status) != 0)
		return 0;
	if (!S_ISSOCK(status.st_mode))
		return err_set(err, ERR_CONFIG, "%s exists and is no socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, ERR_TEMP, "socket: %s", strerror(errno));
	answered = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return answered ? err_set(err, ERR_TEMP, "%s is served by another process", path) : 0;
}

/* libmilter says why only in syslog: try what it tried, for the reason. */
static int explain_inet(const struct listener_spec *spec, struct err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE,
		.ai_family = strncmp(spec->text, "inet6", 5) == 0 ? AF_INET6 : AF_INET };
	struct addrinfo *list = NULL;
	char copy[256];
	const char *port;
	char *host;
	int fd, rc, on = 1;

	memcpy(copy, strchr(spec->text, ':') + 1, strlen(strchr(spec->text, ':') + 1) + 1);
	if (split(copy, &port, &host) != 0)
		return err_set(err, ERR_CONFIG, "cannot listen on %s", spec->text);
	if (host != NULL && host[0] == '[') {
		host++;
		host[strcspn(host, "]")] = '\0';
	}
	rc = getaddrinfo(host, port, &hints, &list);
	if (rc != 0)
		return err_set(err, ERR_CONFIG, "cannot listen on %s: %s", spec->text, gai_strerror(rc));
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	errno = 0;
	(void)bind(fd, list->ai_addr, list->ai_addrlen);
	err_set(err, ERR_TEMP, "cannot listen on %s: %s", spec->text, errno != 0 ? strerror(errno) : "see syslog");
	if (fd >= 0)
		close(fd);
	freeaddrinfo(list);
	return -1;
}

static int explain_unix(const char *path, struct err *err)
{
	struct sockaddr_un address = unix_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	errno = 0;
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		unlink(path);
	err_set(err, ERR_TEMP, "cannot listen on %s: %s", path, errno != 0 ? strerror(errno) : "see syslog");
	if (fd >= 0)
		close(fd);
	return -1;
}

static int open_with_libmilter(const char *conn)
{
	return callbacks_listen(conn, BACKLOG) == 0 ? find_listening() : -1;
}

static int dress(const char *path, const struct listener_access *access, struct err *err)
{
	gid_t group = access->has_group ? access->group : (gid_t)-1;

	if (chown(path, (uid_t)-1, group) != 0)
		return err_set(err, ERR_CONFIG, "%s: cannot give it to the group: %s", path, strerror(errno));
	if (chmod(path, access->mode) != 0)
		return err_set(err, ERR_TEMP, "%s: cannot set its mode: %s", path, strerror(errno));
	return 0;
}

/* Made under another name and renamed when it is complete: the path never leads to nothing or to a socket with the
 * wrong mode, and libmilter, which removes the name that it knows when a worker ends, finds none. */
static int open_unix(struct listener *listener, const struct listener_access *access, struct err *err)
{
	const char *path = listener_path(&listener->spec);
	char text[256 + sizeof(SUFFIX)], *made = text + strlen("unix:");
	mode_t mask;

	if (check_free(path, err) != 0)
		return -1;
	snprintf(text, sizeof(text), "%s%s", listener->spec.text, SUFFIX);
	(void)unlink(made);
	mask = umask(0177);
	listener->fd = open_with_libmilter(text);
	umask(mask);
	if (listener->fd < 0)
		return explain_unix(made, err);
	if (dress(made, access, err) != 0 || stat(made, &listener->made) != 0 || rename(made, path) != 0) {
		(void)unlink(made);
		return err->class != ERR_NONE ? -1 : err_set(err, ERR_TEMP, "%s: %s", path, strerror(errno));
	}
	return 0;
}

int listener_open(const struct listener_spec *spec, const struct listener_access *access, struct listener *listener,
		  struct err *err)
{
	listener->fd = -1;
	listener->spec = *spec;
	err->class = ERR_NONE;
	if (spec->local) {
		if (open_unix(listener, access, err) != 0)
			return -1;
	} else {
		listener->fd = open_with_libmilter(spec->text);
		if (listener->fd < 0)
			return explain_inet(spec, err);
	}
	return prepare(listener->fd, err);
}

void listener_remove(const struct listener *listener)
{
	struct stat now;

	const char *path = listener_path(&listener->spec);

	if (!listener->spec.local || lstat(path, &now) != 0)
		return;
	if (now.st_dev == listener->made.st_dev && now.st_ino == listener->made.st_ino)
		(void)unlink(path);
}

int listener_retire(int fd, struct err *err)
{
	/* Bound to a name of the kernel's choice in the abstract space: nobody connects who does not search. */
	const struct sockaddr_un address = { .sun_family = AF_UNIX };
	int idle = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc = -1;

	if (idle < 0)
		return err_set(err, ERR_TEMP, "socket: %s", strerror(errno));
	if (bind(idle, (const struct sockaddr *)&address, sizeof(address.sun_family)) != 0 || listen(idle, 1) != 0) {
		err_set(err, ERR_TEMP, "idle socket: %s", strerror(errno));
		goto out;
	}
	if (dup3(idle, fd, O_CLOEXEC) < 0) {
		err_set(err, ERR_TEMP, "dup: %s", strerror(errno));
		goto out;
	}
	rc = 0;
out:
	close(idle);
	return rc;
}

int listener_address(int fd, struct listener_address *address, struct err *err)
{
	socklen_t n = sizeof(address->bytes);

	if (getsockname(fd, (struct sockaddr *)(void *)address->bytes, &n) != 0 || n > sizeof(address->bytes))
		return err_set(err, ERR_TEMP, "getsockname: %s", strerror(errno));
	address->n = (unsigned)n;
	return 0;
}

static bool same_listener(const struct sockaddr *a, const struct sockaddr *b)
{
	if (a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET)	/* the address differs when the listener has any */
		return ((const struct sockaddr_in *)(const void *)a)->sin_port ==
		       ((const struct sockaddr_in *)(const void *)b)->sin_port;
	if (a->sa_family == AF_INET6)
		return ((const struct sockaddr_in6 *)(const void *)a)->sin6_port ==
		       ((const struct sockaddr_in6 *)(const void *)b)->sin6_port;
	return strcmp(((const struct sockaddr_un *)(const void *)a)->sun_path,
		      ((const struct sockaddr_un *)(const void *)b)->sun_path) == 0;
}

static bool is_session(int fd, const struct listener_address *address)
{
	struct listener_address other = { { 0 }, 0 };
	int listening = 1;
	socklen_t n = sizeof(listening);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) != 0 || listening)
		return false;
	if (listener_address(fd, &other, NULL) != 0)
		return false;
	return same_listener((const struct sockaddr *)(const void *)other.bytes,
			     (const struct sockaddr *)(const void *)address->bytes);
}

size_t listener_sessions(const struct listener_address *address)
{
	DIR *directory = opendir("/proc/self/fd");
	const struct dirent *entry;
	size_t n = 0;

	if (directory == NULL)
		return 1;	/* unknown: only the cap ends the wait */
	while ((entry = readdir(directory)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]) && is_session(atoi(entry->d_name), address))
			n++;
	closedir(directory);
	return n;
}
