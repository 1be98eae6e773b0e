/* srv.c - DNS SRV records (RFC 2782), asked for through the C library's resolver, which is known to this file alone.
 * Called by resolver.c in a thread of its own.
 *
 * libldap has ldap_domain2hostlist for this. It keeps TTLs to itself, and while it waits for a silent name server it
 * holds a mutex that every other connection of the process needs to find its server's address. */
#include "ldap/srv.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define FIXED_BYTES 6		/* of a record: priority, weight, port */
#define LONGEST_TTL_S 86400

/* It becomes part of a URI. A target "." says that the service is not there. */
static bool is_host(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	return name[0] != '\0' && name[0] != '.' && strspn(name, letters) == strlen(name);
}

static void add(const ns_msg *message, const ns_rr *record, struct resolved *out)
{
	const unsigned char *data = ns_rr_rdata(*record);
	struct resolved_target *target = &out->targets[out->target_count];
	uint32_t ttl_s = ns_rr_ttl(*record);

	if (ns_rr_type(*record) != ns_t_srv || ns_rr_rdlen(*record) <= FIXED_BYTES ||
	    out->target_count == RESOLVED_MAX)
		return;
	*target = (struct resolved_target){ .priority = (uint16_t)(data[0] << 8 | data[1]),
					    .weight = (uint16_t)(data[2] << 8 | data[3]),
					    .port = (uint16_t)(data[4] << 8 | data[5]) };
	if (dn_expand(ns_msg_base(*message), ns_msg_end(*message), data + FIXED_BYTES, target->host,
		      sizeof(target->host)) < 0 || !is_host(target->host))
		return;
	if (ttl_s < out->ttl_s)
		out->ttl_s = ttl_s;
	out->target_count++;
}

int srv_parse(const unsigned char *message, size_t n, struct resolved *out)
{
	ns_msg parsed;
	ns_rr record;

	out->target_count = 0;
	out->ttl_s = LONGEST_TTL_S;
	if (ns_initparse(message, (int)n, &parsed) != 0)
		return -1;
	for (int i = 0; i < ns_msg_count(parsed, ns_s_an); i++) {
		if (ns_parserr(&parsed, ns_s_an, i, &record) != 0)
			return -1;
		add(&parsed, &record, out);
	}
	return 0;
}

/* RFC 2782: those without weight stand first, so that they are drawn now and then. */
static int compare(const void *a, const void *b)
{
	const struct resolved_target *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	return (x->weight > 0) - (y->weight > 0);
}

/* The place of the next one among n of one priority. */
static size_t draw(const struct resolved_target *targets, size_t n, uint32_t (*choose)(void *self, uint32_t most),
		   void *self)
{
	uint32_t sum = 0, chosen, reached = 0;

	for (size_t i = 0; i < n; i++)
		sum += targets[i].weight;
	chosen = choose(self, sum);
	for (size_t i = 0; i < n; i++) {
		reached += targets[i].weight;
		if (reached >= chosen)
			return i;
	}
	return n - 1;
}

void srv_order(struct resolved *resolved, uint32_t (*choose)(void *self, uint32_t most), void *self)
{
	struct resolved_target *targets = resolved->targets;

	qsort(targets, resolved->target_count, sizeof(*targets), compare);
	for (size_t i = 0; i < resolved->target_count; i++) {
		struct resolved_target drawn;
		size_t n = 1, at;

		while (i + n < resolved->target_count && targets[i + n].priority == targets[i].priority)
			n++;
		at = i + draw(targets + i, n, choose, self);
		drawn = targets[at];
		memmove(targets + i + 1, targets + i, (at - i) * sizeof(*targets));
		targets[i] = drawn;
	}
}

/* Where servers share the load it need not be fair to the last bit. */
static uint32_t choose_any(void *self, uint32_t most)
{
	uint32_t number = 0;

	(void)self;
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return 0;
	return (uint32_t)(number % ((uint64_t)most + 1));
}

static int explain(int code, struct err *err)
{
	switch (code) {
	case HOST_NOT_FOUND:
		return err_set(err, ERR_TEMP, "no such name in the DNS");
	case NO_DATA:
		return err_set(err, ERR_TEMP, "no SRV record in the DNS");
	default:
		return err_set(err, ERR_TEMP, "the DNS does not answer");
	}
}

static int query(const char *name, struct resolved *out, struct err *err)
{
	unsigned char message[NS_MAXMSG];
	struct __res_state state;
	int n, code;

	memset(&state, 0, sizeof(state));
	if (res_ninit(&state) != 0)
		return err_set(err, ERR_TEMP, "the resolver does not start");
	n = res_nquery(&state, name, ns_c_in, ns_t_srv, message, (int)sizeof(message));
	code = state.res_h_errno;
	res_nclose(&state);
	if (n < 0)
		return explain(code, err);
	if (n > (int)sizeof(message) || srv_parse(message, (size_t)n, out) != 0)
		return err_set(err, ERR_TEMP, "the DNS answers with what is no answer");
	return out->target_count > 0 ? 0 : err_set(err, ERR_TEMP, "the DNS says that there is no such service");
}

int srv_lookup(const char *name, struct resolved *out, struct err *err)
{
	if (query(name, out, err) != 0)
		return -1;
	srv_order(out, choose_any, NULL);
	return 0;
}
