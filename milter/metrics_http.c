/* metrics_http.c - see metrics_http.h. The only file that knows libmicrohttpd. Forked by generation.c. */
#include "milter/metrics_http.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "milter/control.h"
#include "milter/smtp.h"

#define CONNECTIONS 16
#define TIMEOUT_S 5
#define BACKLOG 16
#define CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Both generations listen during a drain: SO_REUSEPORT, which the kernel grants to the same user alone. */
static int listen_on(const struct smtp_address *address)
{
	const struct sockaddr *at = (const void *)&address->at[0].bytes;
	const int on = 1;
	int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), number;

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0 &&
	    bind(fd, at, address->at[0].n) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	number = errno;
	if (fd >= 0)
		close(fd);
	errno = number;
	return -1;
}

static int read_address(const struct site *site, struct smtp_address *address, struct err *err)
{
	const char *const *listen = &site->settings.metrics.listen;
	struct err why;

	if (smtp_address_parse(*listen, address, &why) != 0)
		return conf_finding(site->conf, listen, err, "metrics.listen: %s", why.text);
	if (address->local || address->n == 0)
		return conf_finding(site->conf, listen, err, "metrics.listen: inet:PORT@HOST is wanted");
	return 0;
}

int metrics_http_check(const struct site *site, struct err *err)
{
	struct smtp_address address;

	return site->settings.metrics.listen == NULL ? 0 : read_address(site, &address, err);
}

int metrics_http_open(const struct site *site, int *fd, struct err *err)
{
	struct smtp_address address;

	*fd = -1;
	if (site->settings.metrics.listen == NULL)
		return 0;
	if (read_address(site, &address, err) != 0)
		return -1;
	*fd = listen_on(&address);
	return *fd >= 0 ? 0 : conf_finding(site->conf, &site->settings.metrics.listen, err, "metrics.listen: %s",
					   strerror(errno));
}

static struct MHD_Response *respond(const struct metrics *metrics)
{
	struct MHD_Response *response = NULL;
	struct buf text;

	buf_init(&text, 0);
	if (metrics_write(metrics, &text, NULL) == 0)
		response = MHD_create_response_from_buffer(text.n, text.p, MHD_RESPMEM_MUST_COPY);
	buf_clear(&text);
	if (response != NULL)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, CONTENT_TYPE);
	return response;
}

static enum MHD_Result answer(void *self, struct MHD_Connection *connection, const char *url, const char *method,
			      const char *version, const char *upload, size_t *upload_bytes, void **request)
{
	const bool known = strcmp(url, "/metrics") == 0;
	const bool reads = strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
	const unsigned status = !known ? MHD_HTTP_NOT_FOUND : reads ? MHD_HTTP_OK : MHD_HTTP_METHOD_NOT_ALLOWED;
	struct MHD_Response *response = NULL;
	enum MHD_Result rc;

	(void)version, (void)upload, (void)upload_bytes, (void)request;
	response = status == MHD_HTTP_OK ? respond(self) : MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	if (response == NULL)
		return MHD_NO;
	rc = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return rc;
}

const char *metrics_http_library(void)
{
	return "libmicrohttpd";
}

_Noreturn void metrics_http_run(const struct metrics *metrics, const struct event_sink *sink, int fd, int control)
{
	struct pollfd wait = { .fd = control, .events = POLLIN };
	struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL, answer,
						     (void *)(uintptr_t)metrics, MHD_OPTION_LISTEN_SOCKET, fd,
						     MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
						     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_END);

	(void)prctl(PR_SET_NAME, "smime-metrics");
	if (daemon == NULL) {
		event_log(sink, EVENT_ERROR, "metrics cannot be shown: %s", strerror(errno));
		_exit(1);
	}
	while (control_order(control) == CONTROL_SERVE)
		(void)poll(&wait, 1, -1);
	MHD_stop_daemon(daemon);
	_exit(0);
}
