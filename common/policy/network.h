/* network.h - client addresses and networks in CIDR form (RFC 4632, RFC 4291); no sockets, no DNS. */
#ifndef POLICY_NETWORK_H
#define POLICY_NETWORK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/conf.h"
#include "base/err.h"

struct network {
	unsigned char address[16];	/* IPv4 as ::ffff:a.b.c.d */
	unsigned prefix;		/* 0..128 */
};

struct network_list {
	struct network *items;
	size_t n;
};

/* "192.0.2.0/24", "::1", "[2001:db8::]/32"; host bits must be zero. ERR_CONFIG names the text. */
int network_parse(const char *text, struct network *network, struct err *err);
/* Each of the texts; one that is no network is a finding at its place in conf. 0 or -1. */
int network_list_compile(struct arena *arena, const struct conf_strings *texts, struct conf *conf,
			 struct network_list *list, struct err *err);
/* ip: "192.0.2.1", "2001:db8::1", also "IPv6:…"; NULL or unreadable: false. */
bool network_list_match(const struct network_list *list, const char *ip);

#endif
