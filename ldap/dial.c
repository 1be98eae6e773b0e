/* dial.c - sockets for connection.c. libldap could open them itself, but waits for the resolver as long as that likes,
 * and for the first address of a host as long as it may for all. */
#include "ldap/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#include <ldap.h>

#define DEFAULT_SOCKET "/var/run/slapd/ldapi"	/* of libldap */

struct dialling {
	const struct clock *clock;
	int64_t deadline_ms;
	int fd;				/* -1: not connected */
};

static int left_ms(const struct dialling *dialling, int64_t deadline_ms)
{
	int64_t ms = deadline_ms - clock_monotonic_ms(dialling->clock);

	if (ms <= 0)
		return 0;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* 0, or the errno of connecting. */
static int await(const struct dialling *dialling, int fd, int64_t deadline_ms)
{
	struct pollfd polled = { .fd = fd, .events = POLLOUT };
	int code = 0, ready;
	socklen_t n = sizeof(code);

	do
		ready = poll(&polled, 1, left_ms(dialling, deadline_ms));
	while (ready < 0 && errno == EINTR);
	if (ready == 0)
		return ETIMEDOUT;
	return ready < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &n) != 0 ? errno : code;
}

static int connect_by(const struct dialling *dialling, int fd, const struct sockaddr *address, socklen_t n,
		      int64_t deadline_ms)
{
	int code = connect(fd, address, n) == 0 ? 0 : errno;

	if (code == EINPROGRESS)
		code = await(dialling, fd, deadline_ms);
	/* From now on deadline.c waits. */
	if (code == 0 && fcntl(fd, F_SETFL, 0) != 0)
		code = errno;
	return code;
}

/* Sets dialling->fd, or *err. */
static void try_address(struct dialling *dialling, const struct sockaddr *address, socklen_t n, int64_t deadline_ms,
			struct err *err)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int code = fd >= 0 ? connect_by(dialling, fd, address, n, deadline_ms) : errno;

	if (code == 0) {
		dialling->fd = fd;
		return;
	}
	if (fd >= 0)
		close(fd);
	if (code == ETIMEDOUT)
		err_set(err, ERR_TEMP, "connecting timed out");
	else
		err_set(err, ERR_TEMP, "cannot connect: %s", strerror(code));
}

static void set_port(struct sockaddr_storage *sockaddr, int port)
{
	if (sockaddr->ss_family == AF_INET6)
		((struct sockaddr_in6 *)sockaddr)->sin6_port = htons((uint16_t)port);
	else
		((struct sockaddr_in *)sockaddr)->sin_port = htons((uint16_t)port);
}

/* A request is sent at once. An idle connection shows signs of life, so that a firewall does not forget it, and a server
 * that is gone is noticed between questions. Without these things it works, too. */
static void set_options(int fd)
{
	static const struct { int level, name, value; } options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 }, { SOL_SOCKET, SO_KEEPALIVE, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, 20 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 5 }, { IPPROTO_TCP, TCP_KEEPCNT, 3 },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(options[i].value));
}

static void dial_host(struct dialling *dialling, struct resolver *resolver, const char *host, int port,
		      struct err *err)
{
	struct resolved resolved;

	if (resolver_ask(resolver, RESOLVER_HOST, host, dialling->deadline_ms, &resolved, err) < 0)
		return;
	for (size_t i = 0; i < resolved.address_count && dialling->fd < 0; i++) {
		struct resolved_address *address = &resolved.addresses[i];
		int left = left_ms(dialling, dialling->deadline_ms);
		int64_t until_ms = dialling->deadline_ms - (i + 1 < resolved.address_count ? left / 2 : 0);

		set_port(&address->sockaddr, port);
		try_address(dialling, (struct sockaddr *)&address->sockaddr, address->n, until_ms, err);
	}
	if (dialling->fd >= 0)
		set_options(dialling->fd);
}

static void dial_socket(struct dialling *dialling, const char *path, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path)) {
		err_set(err, ERR_TEMP, "the socket's path is too long");
		return;
	}
	memcpy(address.sun_path, path, strlen(path));
	try_address(dialling, (struct sockaddr *)&address, sizeof(address), dialling->deadline_ms, err);
}

int dial(struct resolver *resolver, const struct clock *clock, const char *uri, int64_t deadline_ms, int *fd,
	 struct err *err)
{
	struct dialling dialling = { .clock = clock, .deadline_ms = deadline_ms, .fd = -1 };
	LDAPURLDesc *url = NULL;
	bool has_host;

	if (ldap_url_parse(uri, &url) != LDAP_URL_SUCCESS)
		return err_set(err, ERR_TEMP, "%s is no LDAP URI", uri);
	has_host = url->lud_host != NULL && url->lud_host[0] != '\0';
	if (strcasecmp(url->lud_scheme, "ldapi") == 0)
		dial_socket(&dialling, has_host ? url->lud_host : DEFAULT_SOCKET, err);
	else
		dial_host(&dialling, resolver, has_host ? url->lud_host : "localhost", url->lud_port, err);
	ldap_free_urldesc(url);
	*fd = dialling.fd;
	return dialling.fd >= 0 ? 0 : -1;
}
