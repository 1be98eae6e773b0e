/* pattern.h - which addresses and domains are meant: the patterns of rules (INTERFACE 2).
 *
 * Address patterns: an address, "*@domain", "*@.domain" (subdomains, not the domain), "*", "<>" (null sender).
 * Domain patterns (local_domains, collections' and directories' domains): "x", ".x" (every subdomain of x), "*".
 */
#ifndef MAIL_PATTERN_H
#define MAIL_PATTERN_H

#include "mail/address.h"

struct pattern {
	enum { PATTERN_ANY, PATTERN_NULL, PATTERN_ADDRESS, PATTERN_DOMAIN, PATTERN_SUBDOMAINS } form;
	struct address address;	/* PATTERN_ADDRESS; domain alone for the two others */
};

struct pattern_list {
	struct pattern *items;
	size_t n;
};

/* ERR_CONFIG names the text that is no pattern. */
int pattern_parse_address(struct arena *arena, const char *text, struct pattern *pattern, struct err *err);
int pattern_parse_domain(struct arena *arena, const char *text, struct pattern *pattern, struct err *err);

bool pattern_match(const struct pattern *pattern, const struct address *address);
/* True if any matches; an empty list matches nothing. */
bool pattern_list_match(const struct pattern_list *list, const struct address *address);

#endif
