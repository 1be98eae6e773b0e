/* fetch_request.c - see fetch_request.h. Written by workers, which parse hostile mail; read by fetch.c, which does not
 * trust them. Thread-safe. */
#include "milter/fetch_request.h"

#include <string.h>
#include <sys/socket.h>

#include "pki/cert.h"
#include "pki/collection.h"

#define MAGIC "W1"
#define LONGEST_NAME 255

static int write_cert(struct slice der, struct buf *out)
{
	const unsigned char length[3] = { (unsigned char)(der.n >> 16), (unsigned char)(der.n >> 8),
		(unsigned char)der.n };

	if (der.n > FETCH_REQUEST_BYTES || buf_append(out, length, sizeof(length)) != 0)
		return -1;
	return buf_append_slice(out, der);
}

int fetch_request_write(const char *collection, const struct cert *const *chain, size_t n, struct buf *out)
{
	size_t before = out->n, length = strlen(collection);

	if (length == 0 || length > LONGEST_NAME || n == 0 || n > FETCH_CHAIN)
		return -1;
	if (buf_append_text(out, MAGIC) != 0 || buf_append_char(out, (char)length) != 0 ||
	    buf_append_text(out, collection) != 0 || buf_append_char(out, (char)n) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (write_cert(cert_info(chain[i])->der, out) != 0)
			return -1;
	return out->n - before <= FETCH_REQUEST_BYTES ? 0 : -1;
}

/* Takes n bytes off the front. -1: there are fewer. */
static int take(struct slice *bytes, size_t n, struct slice *taken)
{
	if (n > bytes->n)
		return -1;
	*taken = slice_first(*bytes, n);
	*bytes = slice_from(*bytes, n);
	return 0;
}

static int take_number(struct slice *bytes, size_t size, size_t *number)
{
	struct slice digits;

	if (take(bytes, size, &digits) != 0)
		return -1;
	*number = 0;
	for (size_t i = 0; i < size; i++)
		*number = *number << 8 | (unsigned char)digits.p[i];
	return 0;
}

static int parse(struct slice bytes, struct fetch_request *request)
{
	struct slice magic;
	size_t length = 0;

	if (take(&bytes, strlen(MAGIC), &magic) != 0 || !slice_is(magic, MAGIC))
		return -1;
	if (take_number(&bytes, 1, &length) != 0 || length == 0 || take(&bytes, length, &request->collection) != 0)
		return -1;
	if (take_number(&bytes, 1, &request->n) != 0 || request->n == 0 || request->n > FETCH_CHAIN)
		return -1;
	for (size_t i = 0; i < request->n; i++)
		if (take_number(&bytes, 3, &length) != 0 || length == 0 ||
		    take(&bytes, length, &request->certs[i]) != 0)
			return -1;
	return bytes.n == 0 ? 0 : -1;
}

int fetch_request_parse(struct slice bytes, struct fetch_request *request, struct err *err)
{
	memset(request, 0, sizeof(*request));
	if (bytes.n <= FETCH_REQUEST_BYTES && parse(bytes, request) == 0)
		return 0;
	return err_set(err, ERR_MESSAGE, "malformed request of %zu bytes", bytes.n);
}

static void want(const struct revocation_wanted *self, const struct collection *collection,
		 const struct cert *const *chain, size_t n)
{
	const struct fetch_wanted *wanted = (const void *)self;
	struct buf bytes;

	if (wanted->fd < 0)
		return;
	buf_init(&bytes, 2 * FETCH_REQUEST_BYTES);
	if (fetch_request_write(collection_name(collection), chain, n, &bytes) == 0)
		(void)send(wanted->fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	buf_clear(&bytes);
}

void fetch_wanted_init(struct fetch_wanted *wanted, int fd)
{
	*wanted = (struct fetch_wanted){ .wanted = { want }, .fd = fd };
}
