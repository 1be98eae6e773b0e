/* metrics_none.c - in the place of metrics_http.c where there is no libmicrohttpd: metrics.listen is refused. */
#include "milter/metrics_http.h"

#include <unistd.h>

int metrics_http_check(const struct site *site, struct err *err)
{
	const char *const *listen = &site->settings.metrics.listen;

	if (*listen == NULL)
		return 0;
	return conf_finding(site->conf, listen, err, "metrics.listen: this program was built without libmicrohttpd");
}

int metrics_http_open(const struct site *site, int *fd, struct err *err)
{
	*fd = -1;
	return metrics_http_check(site, err);
}

const char *metrics_http_library(void)
{
	return "none";
}

_Noreturn void metrics_http_run(const struct metrics *metrics, const struct event_sink *sink, int fd, int control)
{
	(void)metrics, (void)sink, (void)fd, (void)control;
	_exit(1);
}
