/* fuzz_fetch.c - what the fetch process reads of others: requests of workers, URLs of certificates, heads of HTTP
 * answers. The first byte says which. */
#include "fuzz.h"

#include <string.h>
#include <sys/socket.h>

#include "milter/fetch_http.h"
#include "milter/fetch_request.h"

static bool is_within(struct slice part, struct slice whole)
{
	return part.p >= whole.p && part.n <= whole.n && part.p + part.n <= whole.p + whole.n;
}

static void fuzz_request(struct slice bytes)
{
	struct fetch_request request;

	if (fetch_request_parse(bytes, &request, NULL) != 0)
		return;
	PROMISE(request.n >= 1 && request.n <= FETCH_CHAIN && request.collection.n > 0);
	PROMISE(is_within(request.collection, bytes));
	for (size_t i = 0; i < request.n; i++)
		PROMISE(request.certs[i].n > 0 && is_within(request.certs[i], bytes));
}

/* What was taken for a URL means the same when it is written out, to whoever reads it. */
static void fuzz_url(const char *text)
{
	char again[2 * FETCH_URL_BYTES];
	struct fetch_url url, other;
	const char *listed = url.host;
	const struct conf_strings hosts = { &listed, 1 };

	if (fetch_url_parse(text, &url, NULL) != 0)
		return;
	PROMISE(url.host[0] != '\0' && strpbrk(url.host, "@/\\%[] ") == NULL && url.target[0] == '/');
	PROMISE(url.port >= 1 && url.port <= 65535);
	PROMISE(fetch_host_check(url.host, NULL) == 0);
	PROMISE(url.port != 80 || fetch_url_listed(&url, &hosts));
	snprintf(again, sizeof(again), url.family == AF_INET6 ? "http://[%s]:%u%s" : "http://%s:%u%s", url.host,
		 url.port, url.target);
	if (strlen(again) >= FETCH_URL_BYTES)
		return;
	PROMISE(fetch_url_parse(again, &other, NULL) == 0);
	PROMISE(strcmp(url.host, other.host) == 0 && url.port == other.port && strcmp(url.target, other.target) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_make(data + 1, size > 0 ? size - 1 : 0);
	struct fetch_head head;
	char *text;

	if (size == 0)
		return 0;
	if (data[0] == 'r')
		fuzz_request(bytes);
	if (data[0] == 'h')
		(void)fetch_head_parse(bytes, &head, NULL);
	if (data[0] != 'u')
		return 0;
	text = strndup(bytes.p, bytes.n);
	if (text != NULL)
		fuzz_url(text);
	free(text);
	return 0;
}
