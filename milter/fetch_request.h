/* fetch_request.h - what a worker tells the fetch process: a collection's name and a proven path of certificates. One
 * datagram on a socket that the keeper made, and the form in which the fetch process remembers it.
 *
 *	"W1"  1 byte: length of the name, name  1 byte: number of certificates  each: 3 bytes length (big endian), DER
 */
#ifndef MILTER_FETCH_REQUEST_H
#define MILTER_FETCH_REQUEST_H

#include "base/buf.h"
#include "base/err.h"
#include "pki/revocation_wanted.h"

#define FETCH_REQUEST_BYTES ((size_t)64 * 1024)
#define FETCH_CHAIN 16

struct fetch_request {
	struct slice collection;
	struct slice certs[FETCH_CHAIN];	/* DER, from the one asked for upwards */
	size_t n;
};

/* Appends the request to out. -1: memory, or it is larger than FETCH_REQUEST_BYTES or longer than FETCH_CHAIN; what is
 * in out then is of no use. */
int fetch_request_write(const char *collection, const struct cert *const *chain, size_t n, struct buf *out);
/* Slices point into bytes. Not checked: whether these are certificates, and what they say. ERR_MESSAGE. */
int fetch_request_parse(struct slice bytes, struct fetch_request *request, struct err *err);

/* A worker's end. */
struct fetch_wanted {
	struct revocation_wanted wanted;	/* for site_env */
	int fd;					/* -1: nobody is told */
};

/* Sends without waiting. A request that finds the queue full, or is too large, is dropped: a later mail brings it
 * again. */
void fetch_wanted_init(struct fetch_wanted *wanted, int fd);

#endif
