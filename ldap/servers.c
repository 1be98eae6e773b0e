/* servers.c - the servers of one directory, written down or found in the DNS (RFC 2782), and their penalties. Names are
 * resolver.c's, connections pool.c's, and what is asked of whom for how long is ldap_driver.c's. Thread-safe; nothing
 * is locked while the DNS is asked.
 */
#include "ldap/servers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ldap/monitor.h"

#define PENALTY_MS 10000
#define SHORTEST_TTL_S 60
#define LONGEST_TTL_S 3600
#define AGAIN_MS 10000		/* when the DNS did not answer */
#define RENEW_MS 200		/* of a question's time, to look whether the DNS says something new */

struct known {				/* a server, as long as a source or a caller has it */
	struct server server;		/* first: a caller's server is one of these */
	struct known *next;
	size_t users;
	bool failed;
	int64_t spared_until_ms;
	char uri[300];
};

struct source {
	struct server_source given;
	struct known *list[RESOLVED_MAX];
	size_t n;
	int64_t renew_ms;		/* when the DNS is to be asked; meaningless for one that is written down */
};

struct servers {
	struct monitor monitor;
	struct resolver *resolver;
	size_t slots;
	struct source *sources;
	size_t source_count;
	struct known *known;
};

/* Inside. NULL: no memory. */
static struct known *hold(struct servers *servers, const char *uri)
{
	struct known *known = NULL;

	for (known = servers->known; known != NULL; known = known->next) {
		if (strcmp(known->uri, uri) == 0) {
			known->users++;
			return known;
		}
	}
	if (strlen(uri) >= sizeof(known->uri))
		return NULL;
	known = calloc(1, sizeof(*known));
	if (known != NULL)
		known->server.pool = pool_new(servers->slots, servers->monitor.clock, NULL);
	if (known == NULL || known->server.pool == NULL) {
		free(known);
		return NULL;
	}
	memcpy(known->uri, uri, strlen(uri));
	known->server.uri = known->uri;
	known->users = 1;
	known->next = servers->known;
	servers->known = known;
	return known;
}

/* Inside: the last to let go of a server closes its connections. */
static void let_go(struct servers *servers, struct known *known)
{
	struct known **at = &servers->known;

	if (--known->users > 0)
		return;
	while (*at != known)
		at = &(*at)->next;
	*at = known->next;
	pool_free(known->server.pool);
	free(known);
}

/* Inside: these are the source's servers now. */
static void replace(struct servers *servers, struct source *source, struct known **list, size_t n)
{
	for (size_t i = 0; i < source->n; i++)
		let_go(servers, source->list[i]);
	for (size_t i = 0; i < n; i++)
		source->list[i] = list[i];
	source->n = n;
}

/* Inside. */
static void install(struct servers *servers, struct source *source, const struct resolved *resolved)
{
	uint32_t ttl_s = resolved->ttl_s < SHORTEST_TTL_S ? SHORTEST_TTL_S : resolved->ttl_s;
	struct known *list[RESOLVED_MAX];
	char uri[300];
	size_t n = 0;

	for (size_t i = 0; i < resolved->target_count; i++) {
		const struct resolved_target *target = &resolved->targets[i];

		snprintf(uri, sizeof(uri), "%s://%s:%u", source->given.scheme, target->host, (unsigned)target->port);
		list[n] = hold(servers, uri);
		n += list[n] != NULL;
	}
	replace(servers, source, list, n);
	source->renew_ms = clock_monotonic_ms(servers->monitor.clock) +
			   (int64_t)(ttl_s > LONGEST_TTL_S ? LONGEST_TTL_S : ttl_s) * 1000;
}

static int begin(struct servers *servers, struct source *source, const struct server_source *given)
{
	source->given = *given;
	if (given->uri == NULL)
		return 0;
	source->list[0] = hold(servers, given->uri);
	source->n = source->list[0] != NULL;
	return source->n > 0 ? 0 : -1;
}

struct servers *servers_new(const struct server_source *sources, size_t n, size_t slots, struct resolver *resolver,
			    const struct clock *clock, struct err *err)
{
	struct servers *servers = calloc(1, sizeof(*servers));

	if (servers != NULL)
		servers->sources = calloc(n, sizeof(*servers->sources));
	if (servers == NULL || servers->sources == NULL || monitor_init(&servers->monitor, clock) != 0) {
		if (servers != NULL)
			free(servers->sources);
		free(servers);
		err_memory(err);
		return NULL;
	}
	servers->resolver = resolver;
	servers->slots = slots;
	servers->source_count = n;
	for (size_t i = 0; i < n; i++) {
		if (begin(servers, &servers->sources[i], &sources[i]) != 0) {
			servers_free(servers);
			err_memory(err);
			return NULL;
		}
	}
	return servers;
}

void servers_free(struct servers *servers)
{
	if (servers == NULL)
		return;
	for (size_t i = 0; i < servers->source_count; i++)
		replace(servers, &servers->sources[i], NULL, 0);
	monitor_destroy(&servers->monitor);
	free(servers->sources);
	free(servers);
}

/* Inside, left while the DNS is asked. */
static void renew(struct servers *servers, struct source *source, int64_t deadline_ms, struct err *err)
{
	int64_t now_ms = clock_monotonic_ms(servers->monitor.clock);
	struct resolved resolved;
	int rc;

	source->renew_ms = now_ms + AGAIN_MS;
	monitor_leave(&servers->monitor);
	rc = resolver_ask(servers->resolver, RESOLVER_SERVICE, source->given.service, deadline_ms, &resolved, err);
	monitor_enter(&servers->monitor);
	/* An earlier answer is better than none. */
	if (rc != 0 && (rc < 0 || source->n > 0))
		return;
	install(servers, source, &resolved);
	if (source->n == 0)
		err_memory(err);
}

static void renew_what_is_due(struct servers *servers, int64_t deadline_ms, struct err *err)
{
	int64_t now_ms = clock_monotonic_ms(servers->monitor.clock);

	for (size_t i = 0; i < servers->source_count; i++) {
		struct source *source = &servers->sources[i];

		if (source->given.uri != NULL)
			continue;
		if (source->n == 0)
			renew(servers, source, deadline_ms, err);
		else if (source->renew_ms <= now_ms)
			renew(servers, source, now_ms + RENEW_MS, err);
	}
}

static bool has(const struct server_order *order, const struct known *known)
{
	for (size_t i = 0; i < order->n; i++) {
		if (order->items[i] == &known->server)
			return true;
	}
	return false;
}

/* Inside: those that are spared, or those that are not. */
static void add(struct servers *servers, bool spared, struct server_order *order)
{
	int64_t now_ms = clock_monotonic_ms(servers->monitor.clock);

	for (size_t i = 0; i < servers->source_count; i++) {
		const struct source *source = &servers->sources[i];

		for (size_t j = 0; j < source->n && order->n < SERVERS_MAX; j++) {
			struct known *known = source->list[j];

			if (has(order, known) || (known->failed && known->spared_until_ms > now_ms) != spared)
				continue;
			/* One caller tries it; the others do not wait for a server that may still hang. */
			if (known->failed && !spared)
				known->spared_until_ms = now_ms + PENALTY_MS;
			known->users++;
			order->items[order->n++] = &known->server;
		}
	}
}

int servers_take(struct servers *servers, int64_t deadline_ms, struct server_order *order, struct err *err)
{
	order->n = 0;
	monitor_enter(&servers->monitor);
	renew_what_is_due(servers, deadline_ms, err);
	add(servers, false, order);
	add(servers, true, order);
	monitor_leave(&servers->monitor);
	return order->n > 0 ? 0 : -1;
}

void servers_give(struct servers *servers, struct server_order *order)
{
	monitor_enter(&servers->monitor);
	for (size_t i = 0; i < order->n; i++)
		let_go(servers, (struct known *)order->items[i]);
	monitor_leave(&servers->monitor);
	order->n = 0;
}

bool servers_answered(struct servers *servers, struct server *server)
{
	struct known *known = (struct known *)server;
	bool is_new;

	monitor_enter(&servers->monitor);
	is_new = known->failed;
	known->failed = false;
	monitor_leave(&servers->monitor);
	return is_new;
}

bool servers_failed(struct servers *servers, struct server *server)
{
	struct known *known = (struct known *)server;
	bool is_new;

	monitor_enter(&servers->monitor);
	is_new = !known->failed;
	known->failed = true;
	known->spared_until_ms = clock_monotonic_ms(servers->monitor.clock) + PENALTY_MS;
	monitor_leave(&servers->monitor);
	pool_abandon(server->pool);
	return is_new;
}

bool servers_renew(struct servers *servers, const struct server_order *order, int64_t deadline_ms)
{
	bool more = false;

	monitor_enter(&servers->monitor);
	for (size_t i = 0; i < servers->source_count; i++) {
		struct source *source = &servers->sources[i];

		if (source->given.uri != NULL)
			continue;
		renew(servers, source, deadline_ms, NULL);
		for (size_t j = 0; j < source->n; j++)
			more = more || !has(order, source->list[j]);
	}
	monitor_leave(&servers->monitor);
	return more;
}
