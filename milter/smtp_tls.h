/* smtp_tls.h - TLS for our own SMTP client (RFC 3207), between bytes in memory: who feeds and sends them is smtp.c's
 * business, so no call here waits or raises a signal. The server is always checked: a chain to a trusted CA and its
 * name (RFC 7817, RFC 9525). The one file of the milter room that knows libssl.
 */
#ifndef MILTER_SMTP_TLS_H
#define MILTER_SMTP_TLS_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/slice.h"

/* What to trust: immutable, for any number of connections in any threads. */
struct smtp_trust;
/* ca_file: PEM certificates that may vouch for the server; NULL or "": the system's. ERR_CONFIG names the file. NULL:
 * *err. */
struct smtp_trust *smtp_trust_new(const char *ca_file, struct err *err);
void smtp_trust_free(struct smtp_trust *trust);		/* NULL is fine */

/* One connection; one thread at a time. */
struct smtp_tls;
/* host: the name (dNSName) or literal address (iPAddress) that the server's certificate must bear. NULL: *err. */
struct smtp_tls *smtp_tls_new(const struct smtp_trust *trust, const char *host, struct err *err);
void smtp_tls_free(struct smtp_tls *tls);		/* NULL is fine */

/* Bytes that came from the server. 0 or -1. */
int smtp_tls_feed(struct smtp_tls *tls, const void *p, size_t n, struct err *err);
/* Goes on with the handshake: 1 done, 0 more bytes are needed (or have to be sent first), -1 it failed: *err says
 * why. */
int smtp_tls_handshake(struct smtp_tls *tls, struct err *err);
/* Text that the server sent: its length, 0: more bytes are needed, -1: broken, or the server ended it. */
ssize_t smtp_tls_read(struct smtp_tls *tls, void *p, size_t n, struct err *err);
/* Text for the server; taken whole. 0 or -1. */
int smtp_tls_write(struct smtp_tls *tls, const void *p, size_t n, struct err *err);
/* Bytes that are to be sent now, valid until the next call; empty: none. smtp_tls_sent tells how many have been. */
struct slice smtp_tls_pending(struct smtp_tls *tls);
void smtp_tls_sent(struct smtp_tls *tls, size_t n);

#endif
