/* dnssec.h - the DNS as DNSSEC proves it: what is there, what is not, and what nobody can say. The only door to
 * libunbound, which validates and remembers.
 */
#ifndef PKI_DNSSEC_H
#define PKI_DNSSEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/slice.h"

enum dns_status {
	DNS_FAILED = -1,	/* no answer in time, none at all, or a bogus one */
	DNS_NONE = 0,		/* proven: there is no such record */
	DNS_FOUND = 1,		/* proven */
	DNS_UNSIGNED = 2	/* answered, and proven that no trust anchor leads to the zone: whatever was said */
};

struct dns_question {
	const char *name;	/* without final dot */
	int type;
	enum dns_status status;	/* from here on: the answer */
	const char *failure;	/* FAILED: why */
	const struct slice *data;	/* FOUND: RDATA of n records */
	size_t n;
	bool aliased;		/* the answer is about another name, to which CNAME or DNAME led */
};

struct dnssec;

struct dnssec_settings {
	struct slice anchors;		/* text: a DS or DNSKEY record a line */
	const struct conf_strings *addresses;	/* of resolvers; none: those of /etc/resolv.conf */
	const struct clock *clock;
};

/* Is it ADDRESS or ADDRESS@PORT (IPv4 or IPv6)? */
bool dnssec_may_ask(const char *address);

/* Copies the settings, and has the anchors read, without asking anybody. NULL: *err; ERR_CONFIG: the anchors are
 * none. */
struct dnssec *dnssec_new(const struct dnssec_settings *settings, struct err *err);
void dnssec_free(struct dnssec *dnssec);	/* NULL is fine */

/* Asks all n questions at once and waits until clock_monotonic_ms says deadline_ms; for those behind the first needed
 * ones only if one of these failed. Answers live in the arena. Thread-safe; after a fork the child asks for itself.
 * 0, or -1: memory. */
int dnssec_ask(struct dnssec *dnssec, struct arena *arena, struct dns_question *questions, size_t n, size_t needed,
		 int64_t deadline_ms, struct err *err);

/* Can the first trust anchor's zone be asked for its keys, which all else rests on? 0, or -1: *err. */
int dnssec_probe(struct dnssec *dnssec, int64_t deadline_ms, struct err *err);

#endif
