/* network.c - networks in CIDR form as 128-bit prefixes; IPv4 is mapped, so that one comparison serves both. */
#include "policy/network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const unsigned char mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* Reads an address without prefix; *bits: 32 or 128. */
static bool address_read(const char *text, unsigned char address[16], unsigned *bits)
{
	struct in_addr v4;

	if (strncasecmp(text, "IPv6:", 5) == 0)
		text += 5;
	if (inet_pton(AF_INET, text, &v4) == 1) {
		memcpy(address, mapped_prefix, sizeof(mapped_prefix));
		memcpy(address + 12, &v4, 4);
		*bits = 32;
		return true;
	}
	*bits = 128;
	return inet_pton(AF_INET6, text, address) == 1;
}

static bool prefix_read(const char *text, unsigned bits, unsigned *prefix)
{
	char *end = NULL;
	unsigned long value = bits;

	if (text != NULL) {
		value = strtoul(text, &end, 10);
		if (*text < '0' || *text > '9' || *end != '\0' || value > bits)
			return false;
	}
	*prefix = (unsigned)value + 128 - bits;
	return true;
}

static bool prefix_equal(const unsigned char *a, const unsigned char *b, unsigned prefix)
{
	unsigned bytes = prefix / 8, rest = prefix % 8;

	if (memcmp(a, b, bytes) != 0)
		return false;
	return rest == 0 || ((a[bytes] ^ b[bytes]) >> (8 - rest)) == 0;
}

static bool host_bits_zero(const struct network *network)
{
	unsigned i;

	for (i = network->prefix; i < 128; i++)
		if (network->address[i / 8] & (0x80U >> (i % 8)))
			return false;
	return true;
}

/* "[v6]/n" and "v6/n" alike: the brackets fall. */
static bool network_split(const char *text, char *address, size_t size, const char **prefix)
{
	const char *slash = strchr(text, '/');
	size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);

	if (n > 1 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n == 0 || n >= size)
		return false;
	memcpy(address, text, n);
	address[n] = '\0';
	*prefix = slash != NULL ? slash + 1 : NULL;
	return true;
}

int network_parse(const char *text, struct network *network, struct err *err)
{
	char address[64];
	const char *prefix = NULL;
	unsigned bits = 0;

	if (!network_split(text, address, sizeof(address), &prefix) ||
	    !address_read(address, network->address, &bits) || !prefix_read(prefix, bits, &network->prefix))
		return err_set(err, ERR_CONFIG, "\"%s\" is no network: write 192.0.2.0/24 or 2001:db8::/32", text);
	if (!host_bits_zero(network))
		return err_set(err, ERR_CONFIG, "\"%s\" has host bits behind its prefix", text);
	return 0;
}

int network_list_compile(struct arena *arena, const struct conf_strings *texts, struct conf *conf,
			 struct network_list *list, struct err *err)
{
	struct err why;
	size_t i;

	list->items = arena_array(arena, texts->n, sizeof(*list->items));
	if (list->items == NULL)
		return err_memory(err);
	for (i = 0; i < texts->n; i++)
		if (network_parse(texts->items[i], &list->items[i], &why) != 0)
			return conf_finding(conf, &texts->items[i], err, "%s", why.text);
	list->n = texts->n;
	return 0;
}

bool network_list_match(const struct network_list *list, const char *ip)
{
	unsigned char address[16];
	unsigned bits = 0;
	size_t i;

	if (ip == NULL || !address_read(ip, address, &bits))
		return false;
	for (i = 0; i < list->n; i++)
		if (prefix_equal(address, list->items[i].address, list->items[i].prefix))
			return true;
	return false;
}
