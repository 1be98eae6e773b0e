/* metrics_http.h - the process that shows the metrics to whoever scrapes them: HTTP on metrics.listen, nothing else. It
 * has neither keys nor mails nor a network beyond its socket. One for each generation; while one drains both answer the
 * same.
 */
#ifndef MILTER_METRICS_HTTP_H
#define MILTER_METRICS_HTTP_H

#include "gate/site.h"
#include "milter/metrics.h"

/* Can metrics.listen be what it says? Opens nothing. 0, or -1, ERR_CONFIG: no inet address, or this program was built
 * without libmicrohttpd. */
int metrics_http_check(const struct site *site, struct err *err);
/* *fd: listens there; -1 where there is no such setting. 0, or -1, ERR_CONFIG: as above; no address of this host, or
 * somebody else's. */
int metrics_http_open(const struct site *site, int *fd, struct err *err);
/* What metrics are shown with, for -V: "libmicrohttpd", "none". */
const char *metrics_http_library(void);
/* Serves on fd until control says otherwise, then ends the process. */
_Noreturn void metrics_http_run(const struct metrics *metrics, const struct event_sink *sink, int fd, int control);

#endif
