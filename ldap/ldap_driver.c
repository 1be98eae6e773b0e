/* ldap_driver.c - recipients' certificates from LDAP servers: which server is asked when, and for how long. The
 * settings are settings.c's, which servers there are servers.c's, connections connection.c's and pool.c's, searches
 * query.c's, values entry.c's and owner.c's. Called through pki/directory.h. Thread-safe: everything here is fixed when
 * it is opened, except for the servers and their connections.
 */
#include "ldap/ldap_driver.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "ldap/expand.h"
#include "ldap/publish.h"
#include "ldap/settings.h"
#include "pki/directory_driver.h"

struct question {
	struct ldap_directory *ldap;
	const struct search *search;
	int64_t deadline_ms;
};

/* libldap writes to sockets that the server may have closed, and a library cannot demand that its program ignores
 * SIGPIPE. So the signal is held back in this thread meanwhile, and taken away if it came. */
struct pipe_guard {
	sigset_t before;
	bool was_pending;
};

static void only_sigpipe(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGPIPE);
}

static void guard_begin(struct pipe_guard *guard)
{
	sigset_t pipe, pending;

	only_sigpipe(&pipe);
	sigpending(&pending);
	guard->was_pending = sigismember(&pending, SIGPIPE) == 1;
	pthread_sigmask(SIG_BLOCK, &pipe, &guard->before);
}

static void guard_end(struct pipe_guard *guard)
{
	const struct timespec at_once = { 0 };
	sigset_t pipe;

	only_sigpipe(&pipe);
	while (!guard->was_pending && sigtimedwait(&pipe, NULL, &at_once) == SIGPIPE)
		continue;
	pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
}

/* Joins what the servers said: the URI is named where there are several. */
static void note_failure(const struct server_order *order, const struct server *server, const struct err *why,
			 struct err *all)
{
	const char *before = all->text[0] == '\0' ? "" : "; ";

	if (order->n > 1)
		err_set(all, ERR_TEMP, "%s%s%s: %s", all->text, before, server->uri, why->text);
	else
		err_set(all, ERR_TEMP, "%s", why->text);
}

static enum outcome open_and_ask(const struct question *question, struct slot *slot, const char *uri,
				 int64_t deadline_ms, struct err *err)
{
	enum outcome outcome = connection_open(&question->ldap->connection, uri, deadline_ms, &slot->connection, err);

	return outcome == OUTCOME_DONE ? query_run(question->search, &slot->connection, deadline_ms, err) : outcome;
}

/* That an open connection broke while nobody used it says nothing about its server: once more, at once. */
static enum outcome ask_over(const struct question *question, struct slot *slot, const char *uri, int64_t deadline_ms,
			     struct err *err)
{
	enum outcome outcome = OUTCOME_LOST;

	if (slot->connection.ld != NULL)
		outcome = query_run(question->search, &slot->connection, deadline_ms, err);
	if (outcome == OUTCOME_LOST) {
		connection_close(&slot->connection);
		outcome = open_and_ask(question, slot, uri, deadline_ms, err);
	}
	if (outcome != OUTCOME_DONE)
		connection_close(&slot->connection);
	return outcome;
}

/* For the order of servers, and for the log, once each time it changes. */
static void note_outcome(struct ldap_directory *ldap, struct server *server, enum outcome outcome,
			 const struct err *why)
{
	if (outcome == OUTCOME_DONE && servers_answered(ldap->servers, server))
		event_log(ldap->sink, EVENT_INFO, "%s: answers again", server->uri);
	if ((outcome == OUTCOME_LOST || outcome == OUTCOME_ELSEWHERE) && servers_failed(ldap->servers, server))
		event_log(ldap->sink, EVENT_WARNING, "%s: %s", server->uri, why->text);
}

static enum outcome ask_server(const struct question *question, struct server *server, int64_t deadline_ms,
			       struct err *err)
{
	struct slot *slot = pool_take(server->pool, deadline_ms, err);
	enum outcome outcome;

	if (slot == NULL)
		return OUTCOME_ELSEWHERE;
	outcome = ask_over(question, slot, server->uri, deadline_ms, err);
	pool_give(server->pool, slot);
	note_outcome(question->ldap, server, outcome, err);
	return outcome;
}

/* Server by server. Each but the last has half of the time that is left, so that one that hangs leaves some for the
 * next. */
static enum outcome ask_servers(const struct question *question, const struct server_order *order, struct err *all)
{
	enum outcome outcome = OUTCOME_ELSEWHERE;

	for (size_t i = 0; i < order->n; i++) {
		int64_t left_ms = question->deadline_ms - clock_monotonic_ms(question->ldap->clock);
		int64_t share_ms = i + 1 < order->n ? left_ms / 2 : left_ms;
		struct err why = { .class = ERR_NONE };

		/* That there was no time for a server says nothing about it. */
		outcome = left_ms <= 0 ? connection_timed_out(&why)
				       : ask_server(question, order->items[i],
						    question->deadline_ms - left_ms + share_ms, &why);
		if (outcome == OUTCOME_DONE)
			return OUTCOME_DONE;
		note_failure(order, order->items[i], &why, all);
		if (outcome == OUTCOME_REFUSED || outcome == OUTCOME_EXHAUSTED)
			return outcome;
	}
	return outcome;
}

/* When all that were known failed, the DNS may know others. */
static enum outcome ask(const struct question *question, struct err *all)
{
	struct servers *servers = question->ldap->servers;
	enum outcome outcome = OUTCOME_ELSEWHERE;
	struct server_order order;
	bool more = true;

	for (int round = 0; round < 2 && more && outcome != OUTCOME_DONE; round++) {
		if (servers_take(servers, question->deadline_ms, &order, all) != 0)
			return OUTCOME_ELSEWHERE;
		outcome = ask_servers(question, &order, all);
		more = (outcome == OUTCOME_LOST || outcome == OUTCOME_ELSEWHERE) &&
		       servers_renew(servers, &order, question->deadline_ms);
		servers_give(servers, &order);
	}
	return outcome;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t latest(const struct ldap_directory *ldap, int64_t deadline_ms)
{
	return earlier(deadline_ms, clock_monotonic_ms(ldap->clock) + ldap->timeout_ms);
}

static enum outcome run(struct ldap_directory *ldap, const struct search *search, int64_t deadline_ms, struct err *all)
{
	const struct question question = { .ldap = ldap, .search = search, .deadline_ms = deadline_ms };
	enum outcome outcome;
	struct pipe_guard guard;

	guard_begin(&guard);
	outcome = ask(&question, all);
	guard_end(&guard);
	return outcome;
}

static enum outcome run_again(void *self, const struct search *search, int64_t deadline_ms, struct err *err)
{
	return run(self, search, deadline_ms, err);
}

/* Those of the addresses that are groups. 0, or -1: the arena is exhausted. */
static int expand(struct ldap_directory *ldap, const struct search *search, int64_t deadline_ms)
{
	const struct expand_env env = {
		.query = &ldap->query, .base = ldap->base_key, .run = run_again, .self = ldap,
		.deadline_ms = earlier(deadline_ms, clock_monotonic_ms(ldap->clock) + ldap->expand_ms),
	};
	int rc = 0;

	for (size_t i = 0; i < search->n && rc == 0; i++) {
		const struct query_item *item = &search->items[i];

		if (item->done && item->answer->status != DIRECTORY_FAILED && expand_is_group(item->found))
			rc = expand_groups(&env, search->arena, item->found, item->answer);
	}
	return rc;
}

static int ldap_find(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		     struct directory_answer *answers, struct err *err)
{
	struct ldap_directory *ldap = self;
	struct search search = { .query = &ldap->query, .arena = arena, .n = n };
	struct err all = { .class = ERR_NONE };

	if (n == 0)
		return 0;
	deadline_ms = latest(ldap, deadline_ms);
	search.items = arena_array(arena, n, sizeof(*search.items));
	if (search.items == NULL)
		return err_memory(err);
	for (size_t i = 0; i < n; i++) {
		search.items[i].answer = &answers[i];
		search.items[i].filter = query_filter(arena, ldap->filter, &addresses[i]);
		if (search.items[i].filter == NULL)
			return err_memory(err);
	}
	if (run(ldap, &search, deadline_ms, &all) == OUTCOME_EXHAUSTED)
		return err_memory(err);
	for (size_t i = 0; i < n; i++) {
		if (!search.items[i].done && directory_answer_fail(arena, &answers[i], all.text) != 0)
			return err_memory(err);
	}
	return expand(ldap, &search, deadline_ms) == 0 ? 0 : err_memory(err);
}

/* Is the base there, for us? */
static int probe_base(struct ldap_directory *ldap, struct arena *arena, struct err *err)
{
	static const char *const no_names[] = { NULL };
	char no_attributes[] = LDAP_NO_ATTRS;
	char *attributes[] = { no_attributes, NULL };
	struct directory_answer answer = { .status = DIRECTORY_FAILED };
	struct query_item item = { .filter = "(objectClass=*)", .answer = &answer };
	struct query query = { .base = ldap->query.base, .scope = LDAP_SCOPE_BASE, .attributes = attributes,
			       .names = no_names, .address_names = no_names };
	struct search search = { .query = &query, .arena = arena, .items = &item, .n = 1 };
	struct err all = { .class = ERR_NONE };

	run(ldap, &search, latest(ldap, INT64_MAX), &all);
	if (!item.done)
		return err_set(err, ERR_TEMP, "%s", all.text);
	return answer.status == DIRECTORY_FAILED ? err_set(err, ERR_TEMP, "%s", answer.failure) : 0;
}

static int ldap_probe(void *self, struct err *err)
{
	struct arena *arena = arena_new(0);
	int rc = arena == NULL ? err_memory(err) : probe_base(self, arena, err);

	arena_free(arena);
	return rc;
}

static int ldap_publish(void *self, struct arena *arena, const struct address *address,
			const struct directory_publication *publication, struct directory_published *published,
			struct err *err)
{
	struct pipe_guard guard;
	int rc;

	guard_begin(&guard);
	rc = publish_run(self, arena, address, publication, published, err);
	guard_end(&guard);
	return rc == 0 ? 1 : -1;
}

static void ldap_free(void *self)
{
	struct pipe_guard guard;

	guard_begin(&guard);
	settings_close(self);
	guard_end(&guard);
}

static const struct directory_class ldap_class = {
	.find = ldap_find, .probe = ldap_probe, .publish = ldap_publish, .free = ldap_free
};

static int ldap_open(const void *settings, struct conf *conf, const struct conf_report *report,
		     const struct directory_env *env, struct directory *directory, struct err *err)
{
	struct ldap_directory *ldap = settings_open(settings, conf, env, err);

	(void)report;
	if (ldap == NULL)
		return -1;
	directory->class = &ldap_class;
	directory->self = ldap;
	directory->name = ldap->name;
	directory->secondary_addresses = ((const struct ldap_settings *)settings)->secondary_addresses;
	directory->timeout_ms = ldap->timeout_ms;
	return 0;
}

const struct directory_driver ldap_directory_driver = {
	.type = "ldap", .table = &ldap_settings_table, .open = ldap_open
};
