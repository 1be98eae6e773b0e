/* ldap_driver.c - recipients' certificates from LDAP servers: which server is asked when, and for how long. The
 * settings are settings.c's, connections connection.c's and pool.c's, searches query.c's, values entry.c's and owner.c's.
 * Called through pki/directory.h. Thread-safe: everything here is fixed when it is opened, except for the pool.
 */
#include "ldap/ldap_driver.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "ldap/settings.h"
#include "pki/directory_driver.h"

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

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Joins what the servers said: the URI is named where there are several. */
static void note_failure(const struct ldap_directory *ldap, size_t server, const struct err *why, struct err *all)
{
	const char *before = all->text[0] == '\0' ? "" : "; ";

	if (ldap->uri_count > 1)
		err_set(all, ERR_TEMP, "%s%s%s: %s", all->text, before, ldap->uris[server], why->text);
	else
		err_set(all, ERR_TEMP, "%s", why->text);
}

/* Opens a connection to the server in the slot and asks. */
static enum outcome ask_server(struct ldap_directory *ldap, const struct search *search, struct slot *slot,
			       int64_t deadline_ms, struct err *err)
{
	const char *uri = ldap->uris[slot->server];
	enum outcome outcome = connection_open(&ldap->connection, uri, deadline_ms, &slot->connection, err);

	return outcome == OUTCOME_DONE ? query_run(search, &slot->connection, deadline_ms, err) : outcome;
}

/* Server by server, each with its share of the time that is left, so that one that hangs leaves some for the next. */
static enum outcome ask_servers(struct ldap_directory *ldap, const struct search *search, struct slot *slot,
				int64_t deadline_ms, struct err *all)
{
	size_t order[SETTINGS_URIS_MAX];
	enum outcome outcome = OUTCOME_ELSEWHERE;

	pool_order(ldap->pool, order);
	for (size_t i = 0; i < ldap->uri_count; i++) {
		int64_t now_ms = clock_monotonic_ms(ldap->clock);
		int64_t share_ms = (deadline_ms - now_ms) / (int64_t)(ldap->uri_count - i);
		struct err why = { .class = ERR_NONE };

		slot->server = order[i];
		outcome = ask_server(ldap, search, slot, now_ms + share_ms, &why);
		if (outcome == OUTCOME_DONE)
			return OUTCOME_DONE;
		note_failure(ldap, slot->server, &why, all);
		connection_close(&slot->connection);
		if (outcome == OUTCOME_REFUSED || outcome == OUTCOME_EXHAUSTED)
			return outcome;
		pool_penalise(ldap->pool, slot->server);
	}
	return outcome;
}

/* First over the connection that is there. That it broke while nobody used it says nothing about its server. */
static enum outcome ask(struct ldap_directory *ldap, const struct search *search, struct slot *slot,
			int64_t deadline_ms, struct err *all)
{
	int64_t now_ms = clock_monotonic_ms(ldap->clock);
	struct err why = { .class = ERR_NONE };
	enum outcome outcome;

	if (slot->connection.ld == NULL)
		return ask_servers(ldap, search, slot, deadline_ms, all);
	outcome = query_run(search, &slot->connection,
			    ldap->uri_count > 1 ? now_ms + (deadline_ms - now_ms) / 2 : deadline_ms, &why);
	if (outcome == OUTCOME_DONE)
		return OUTCOME_DONE;
	connection_close(&slot->connection);
	if (outcome == OUTCOME_ELSEWHERE) {
		pool_penalise(ldap->pool, slot->server);
		note_failure(ldap, slot->server, &why, all);
	}
	if (outcome == OUTCOME_LOST || outcome == OUTCOME_ELSEWHERE)
		return ask_servers(ldap, search, slot, deadline_ms, all);
	note_failure(ldap, slot->server, &why, all);
	return outcome;
}

static enum outcome run(struct ldap_directory *ldap, const struct search *search, int64_t deadline_ms, struct err *all)
{
	enum outcome outcome = OUTCOME_ELSEWHERE;
	struct pipe_guard guard;
	struct slot *slot;

	deadline_ms = earlier(deadline_ms, clock_monotonic_ms(ldap->clock) + ldap->timeout_ms);
	guard_begin(&guard);
	slot = pool_take(ldap->pool, deadline_ms, all);
	if (slot != NULL) {
		outcome = ask(ldap, search, slot, deadline_ms, all);
		pool_give(ldap->pool, slot);
	}
	guard_end(&guard);
	return outcome;
}

static int ldap_find(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		     struct directory_answer *answers, struct err *err)
{
	struct ldap_directory *ldap = self;
	struct search search = { .query = &ldap->query, .arena = arena, .n = n };
	struct err all = { .class = ERR_NONE };

	if (n == 0)
		return 0;
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
	return 0;
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

	run(ldap, &search, INT64_MAX, &all);
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

static void ldap_free(void *self)
{
	struct pipe_guard guard;

	guard_begin(&guard);
	settings_close(self);
	guard_end(&guard);
}

static const struct directory_class ldap_class = { .find = ldap_find, .probe = ldap_probe, .free = ldap_free };

static int ldap_open(const void *settings, struct conf *conf, const struct conf_report *report,
		     const struct directory_env *env, struct directory *directory, struct err *err)
{
	struct ldap_directory *ldap = settings_open(settings, conf, env, err);

	(void)report;
	if (ldap == NULL)
		return -1;
	directory->class = &ldap_class;
	directory->self = ldap;
	directory->name = ldap->uris[0];
	directory->secondary_addresses = ((const struct ldap_settings *)settings)->secondary_addresses;
	return 0;
}

const struct directory_driver ldap_directory_driver = {
	.type = "ldap", .table = &ldap_settings_table, .open = ldap_open
};
