/* fetch_http.h - one HTTP exchange: a GET or a POST and its answer, on a connection of its own, within a size and a
 * time.
 *
 * No redirects, no proxies, no cookies, no persistent connections, no transfer or content codings; anything but a 200
 * is an error. The answer's content is not looked at. */
#ifndef MILTER_FETCH_HTTP_H
#define MILTER_FETCH_HTTP_H

#include <stdint.h>

#include "base/buf.h"
#include "milter/fetch_url.h"

#define FETCH_HEAD_BYTES 16384

struct fetch_exchange {
	const struct fetch_url *url;
	const struct conf_strings *hosts;	/* for fetch_address_allowed */
	struct slice post;			/* an OCSP request (RFC 6960 A.1); empty: GET */
	int64_t connect_ms, total_ms;
	size_t limit_bytes;			/* of the content */
};

/* Resolves, connects to an allowed address, asks, and appends the content to body. Blocks for total_ms at most, but
 * for the resolver, which has times of its own: call it in a process that may be killed. -1: ERR_TEMP, ERR_LIMIT
 * (time, size) or ERR_POLICY (no address is allowed). */
int fetch_http(const struct fetch_exchange *exchange, struct buf *body, struct err *err);

struct fetch_head {
	bool has_length;
	uint64_t length;	/* of the content; without one it ends with the connection */
};

/* The answer's status line and fields (RFC 9112), the empty line included. -1, ERR_TEMP: a status other than 200, a
 * coding, or malformed. */
int fetch_head_parse(struct slice text, struct fetch_head *head, struct err *err);

#endif
