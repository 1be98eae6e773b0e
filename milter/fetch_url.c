/* fetch_url.c - see fetch_url.h. Called by fetch_intake.c (URLs), fetch_http.c (addresses), setup.c (fetch_hosts). RFC 3986,
 * RFC 6890. */
#include "milter/fetch_url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"

#define SCHEME "http://"
#define DEFAULT_PORT 80

struct place {			/* HOST or HOST:PORT */
	char host[254];
	int family;
	unsigned port;		/* 0: none given */
};

static bool is_digits(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
	return text.n > 0;
}

static bool is_label(struct slice label)
{
	if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", label.p[i]) == NULL || label.p[i] == '\0')
			return false;
	return true;
}

/* A name whose last label looks like a number is an IPv4 address to some resolvers ("127.1", "0x7f000001"). */
static bool is_name(struct slice host)
{
	struct slice label;
	long dot;

	do {
		dot = slice_find(host, '.');
		label = dot < 0 ? host : slice_first(host, (size_t)dot);
		if (!is_label(label))
			return false;
		host = slice_from(host, label.n + 1);
	} while (dot >= 0);
	return !is_digits(label) && !slice_starts_nocase(label, "0x");
}

/* Lower-cased into place->host; 0 or -1. */
static int take_host(struct slice host, bool bracketed, struct place *place)
{
	unsigned char bytes[16];

	if (host.n == 0 || host.n >= sizeof(place->host) || memchr(host.p, '\0', host.n) != NULL)
		return -1;
	memcpy(place->host, host.p, host.n);
	place->host[host.n] = '\0';
	ascii_lower(place->host, host.n);
	place->family = AF_UNSPEC;
	if (bracketed) {
		place->family = AF_INET6;
		return inet_pton(AF_INET6, place->host, bytes) == 1 ? 0 : -1;
	}
	if (inet_pton(AF_INET, place->host, bytes) == 1) {
		place->family = AF_INET;
		return 0;
	}
	return is_name(slice_of(place->host)) ? 0 : -1;
}

static int take_port(struct slice text, unsigned *port)
{
	char digits[6];

	if (!is_digits(text) || text.n >= sizeof(digits))
		return -1;
	memcpy(digits, text.p, text.n);
	digits[text.n] = '\0';
	*port = (unsigned)strtoul(digits, NULL, 10);
	return *port >= 1 && *port <= 65535 ? 0 : -1;
}

/* HOST, HOST:PORT, [IPV6], [IPV6]:PORT */
static int place_parse(struct slice text, struct place *place)
{
	bool bracketed = text.n > 0 && text.p[0] == '[';
	long end = bracketed ? slice_find(text, ']') : slice_find(text, ':');
	struct slice host = bracketed ? slice_from(slice_first(text, end < 0 ? 0 : (size_t)end), 1) :
			    end < 0 ? text : slice_first(text, (size_t)end);
	struct slice rest = end < 0 ? slice_from(text, text.n) : slice_from(text, (size_t)end + (bracketed ? 1 : 0));

	place->port = 0;
	if ((bracketed && end < 0) || take_host(host, bracketed, place) != 0)
		return -1;
	if (rest.n == 0)
		return 0;
	return rest.p[0] == ':' ? take_port(slice_from(rest, 1), &place->port) : -1;
}

/* As fetch_hosts are written: an IPv6 address may stand without brackets. */
static int listed_parse(const char *text, struct place *place)
{
	unsigned char bytes[16];

	if (inet_pton(AF_INET6, text, bytes) != 1)
		return place_parse(slice_of(text), place);
	place->port = 0;
	return take_host(slice_of(text), true, place);
}

int fetch_host_check(const char *text, struct err *err)
{
	struct place place;

	if (listed_parse(text, &place) == 0)
		return 0;
	return err_set(err, ERR_CONFIG, "\"%s\": expected HOST or HOST:PORT, without http:// and path", text);
}

/* Where the target begins: at the '/', at a '?' without one, or at the end. */
static size_t authority_length(struct slice text)
{
	size_t n = 0;

	while (n < text.n && text.p[n] != '/' && text.p[n] != '?')
		n++;
	return n;
}

static bool is_target(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= 0x20 || text.p[i] >= 0x7f || strchr("#\\\"<>^`{|}", text.p[i]) != NULL)
			return false;
	return true;
}

int fetch_url_parse(const char *text, struct fetch_url *url, struct err *err)
{
	struct slice rest = slice_of(text), target;
	struct place place;

	if (rest.n >= FETCH_URL_BYTES)
		return err_set(err, ERR_MESSAGE, "URL of %zu bytes", rest.n);
	if (!slice_starts_nocase(rest, SCHEME))
		return err_set(err, ERR_MESSAGE, "not an http URL");
	rest = slice_from(rest, strlen(SCHEME));
	target = slice_from(rest, authority_length(rest));
	if (place_parse(slice_first(rest, rest.n - target.n), &place) != 0)
		return err_set(err, ERR_MESSAGE, "URL without a plain host");
	if (!is_target(target))
		return err_set(err, ERR_MESSAGE, "URL with a character that must be encoded, or a fragment");
	memcpy(url->host, place.host, sizeof(url->host));
	url->family = place.family;
	url->port = place.port == 0 ? DEFAULT_PORT : place.port;
	snprintf(url->target, sizeof(url->target), "%s%.*s", target.n > 0 && target.p[0] == '/' ? "" : "/",
		 SLICE_ARGS(target));
	return 0;
}

/* Literal addresses are compared as such: IPv6 has many spellings. */
static bool same_host(const struct place *place, int family, const char *host)
{
	unsigned char one[16] = { 0 }, other[16] = { 0 };

	if (place->family != family)
		return false;
	if (family == AF_UNSPEC)
		return strcmp(place->host, host) == 0;
	return inet_pton(family, place->host, one) == 1 && inet_pton(family, host, other) == 1 &&
	       memcmp(one, other, sizeof(one)) == 0;
}

bool fetch_url_listed(const struct fetch_url *url, const struct conf_strings *hosts)
{
	struct place place;

	for (size_t i = 0; i < hosts->n; i++)
		if (listed_parse(hosts->items[i], &place) == 0 && same_host(&place, url->family, url->host) &&
		    (place.port == 0 ? DEFAULT_PORT : place.port) == url->port)
			return true;
	return false;
}

struct block {
	unsigned char bytes[16];
	unsigned bits;
};

static bool in_block(const unsigned char *address, const struct block *block)
{
	unsigned whole = block->bits / 8, rest = block->bits % 8;

	return memcmp(address, block->bytes, whole) == 0 &&
	       (rest == 0 || ((address[whole] ^ block->bytes[whole]) >> (8 - rest)) == 0);
}

/* RFC 6890 2.2.2 and what came to the registry since; multicast and class E. */
static bool is_special4(const unsigned char *address)
{
	static const struct block blocks[] = {
		{ { 0 }, 8 }, { { 10 }, 8 }, { { 100, 64 }, 10 }, { { 127 }, 8 }, { { 169, 254 }, 16 },
		{ { 172, 16 }, 12 }, { { 192, 0, 0 }, 24 }, { { 192, 0, 2 }, 24 }, { { 192, 88, 99 }, 24 },
		{ { 192, 168 }, 16 },
		{ { 198, 18 }, 15 }, { { 198, 51, 100 }, 24 }, { { 203, 0, 113 }, 24 }, { { 224 }, 3 },
	};

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		if (in_block(address, &blocks[i]))
			return true;
	return false;
}

/* Only 2000::/3 is global unicast; in it, those that carry an IPv4 address (Teredo, 6to4) or lead nowhere. */
static bool is_special6(const unsigned char *address)
{
	static const struct block global = { { 0x20 }, 3 }, blocks[] = {
		{ { 0x20, 0x01, 0 }, 23 }, { { 0x20, 0x01, 0x0d, 0xb8 }, 32 }, { { 0x20, 0x02 }, 16 },
		{ { 0x3f, 0xff }, 20 },
	};

	if (!in_block(address, &global))
		return true;
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		if (in_block(address, &blocks[i]))
			return true;
	return false;
}

static bool is_listed_address(int family, const char *text, unsigned port, const struct conf_strings *hosts)
{
	struct place place;

	for (size_t i = 0; i < hosts->n; i++)
		if (listed_parse(hosts->items[i], &place) == 0 && same_host(&place, family, text) &&
		    (place.port == 0 || place.port == port))
			return true;
	return false;
}

bool fetch_address_allowed(const struct sockaddr *address, unsigned port, const struct conf_strings *hosts)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;
	char text[INET6_ADDRSTRLEN];
	bool special;

	if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
		return false;
	special = address->sa_family == AF_INET ? is_special4((const void *)&in->sin_addr) :
						  is_special6(in6->sin6_addr.s6_addr);
	if (!special)
		return true;
	if (inet_ntop(address->sa_family, address->sa_family == AF_INET ? (const void *)&in->sin_addr :
		      (const void *)&in6->sin6_addr, text, sizeof(text)) == NULL)
		return false;
	return is_listed_address(address->sa_family, text, port, hosts);
}
