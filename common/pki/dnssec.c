/* dnssec.c - see dnssec.h. libunbound has one thread for a process, which asks and validates; whoever waits for answers
 * takes turns in fetching them from it, for all others too. Called by directory_smimea.c. Thread-safe: a mutex guards
 * all that libunbound gives back; its callbacks run under it.
 */
#include "pki/dnssec.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>
#include <unistd.h>

#define CLASS_IN 1
#define RCODE_NXDOMAIN 3
#define TYPE_DNSKEY 48
#define MAX_RECORDS 200			/* of one name; more than that nobody has, and nobody has to read */

struct dnssec {
	pthread_mutex_t mutex;
	pthread_cond_t fetched;		/* answers, or the turn to fetch them */
	bool fetching;			/* somebody waits for libunbound */
	struct ub_ctx *context;		/* NULL: nobody has asked yet */
	pid_t owner;			/* whose the context is: a fork does not take its thread along */
	char **anchors, **addresses;	/* each ends with NULL */
	const struct clock *clock;
};

struct flight {				/* a question on its way */
	struct ub_result *result;
	int id, error;
	bool done;
};

static const struct { const char *name, *value; } options[] = {
	/* a library's presets are for one question at a time: a message has hundreds */
	{ "outgoing-range:", "64" },
	{ "outgoing-num-tcp:", "16" },
	/* who was away for long is asked again within seconds, not a quarter of an hour; so is what was bogus */
	{ "infra-keep-probing:", "yes" },
	{ "infra-host-ttl:", "60" },
	{ "val-bogus-ttl:", "5" },
};

static int configure(struct ub_ctx *context, const struct dnssec *dnssec, struct err *err)
{
	int rc = ub_ctx_debugout(context, NULL);

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]) && rc == 0; i++)
		rc = ub_ctx_set_option(context, options[i].name, options[i].value);
	if (rc == 0)
		rc = ub_ctx_async(context, 1);
	for (char **anchor = dnssec->anchors; *anchor != NULL && rc == 0; anchor++)
		rc = ub_ctx_add_ta(context, *anchor);
	if (rc != 0)
		return err_set(err, ERR_BUG, "libunbound: %s", ub_strerror(rc));
	for (char **address = dnssec->addresses; *address != NULL; address++)
		if (ub_ctx_set_fwd(context, *address) != 0)
			return err_set(err, ERR_BUG, "libunbound does not take %s", *address);
	if (dnssec->addresses[0] == NULL && (rc = ub_ctx_resolvconf(context, NULL)) != 0)
		return err_set(err, ERR_TEMP, "/etc/resolv.conf: %s", ub_strerror(rc));
	return 0;
}

/* NULL: *err. */
static struct ub_ctx *context_new(const struct dnssec *dnssec, struct err *err)
{
	struct ub_ctx *context = ub_ctx_create();

	if (context == NULL) {
		err_memory(err);
		return NULL;
	}
	if (configure(context, dnssec, err) == 0)
		return context;
	ub_ctx_delete(context);
	return NULL;
}

static void texts_free(char **texts)
{
	for (size_t i = 0; texts != NULL && texts[i] != NULL; i++)
		free(texts[i]);
	free(texts);
}

static char **copy_addresses(const struct conf_strings *addresses)
{
	char **copy = calloc(addresses->n + 1, sizeof(*copy));

	for (size_t i = 0; copy != NULL && i < addresses->n; i++) {
		copy[i] = strdup(addresses->items[i]);
		if (copy[i] == NULL) {
			texts_free(copy);
			return NULL;
		}
	}
	return copy;
}

/* Takes the next line that says something, without its comment. p == NULL: there is none. */
static struct slice take_line(struct slice *text)
{
	while (text->n > 0) {
		long end = slice_find(*text, '\n'), comment;
		struct slice line = end < 0 ? *text : slice_first(*text, (size_t)end);

		*text = slice_from(*text, end < 0 ? text->n : (size_t)end + 1);
		comment = slice_find(line, ';');
		line = slice_trim(comment < 0 ? line : slice_first(line, (size_t)comment));
		if (line.n > 0)
			return line;
	}
	return slice_make(NULL, 0);
}

static size_t count_lines(struct slice text)
{
	size_t n = 0;

	while (take_line(&text).p != NULL)
		n++;
	return n;
}

static char **copy_anchors(struct slice text)
{
	char **copy = calloc(count_lines(text) + 1, sizeof(*copy));
	struct slice line = take_line(&text);

	for (size_t i = 0; copy != NULL && line.p != NULL; i++, line = take_line(&text)) {
		copy[i] = strndup(line.p, line.n);
		if (copy[i] == NULL) {
			texts_free(copy);
			return NULL;
		}
	}
	return copy;
}

/* Has libunbound read the anchors, which it does when it begins. A context of its own that nobody asks anything. */
static int check(const struct dnssec *dnssec, struct err *err)
{
	struct ub_ctx *context = NULL;
	int rc = 0;

	if (dnssec->anchors[0] == NULL)
		return err_set(err, ERR_CONFIG, "no DS or DNSKEY record in it");
	context = context_new(dnssec, err);
	if (context == NULL)
		return -1;
	if (ub_ctx_zone_remove(context, "invalid") != 0)
		rc = err_set(err, ERR_CONFIG, "a line of it is no DS or DNSKEY record");
	ub_ctx_delete(context);
	return rc;
}

bool dnssec_may_ask(const char *address)
{
	struct ub_ctx *context = ub_ctx_create();
	bool may = context != NULL && ub_ctx_debugout(context, NULL) == 0 && ub_ctx_set_fwd(context, address) == 0;

	if (context != NULL)
		ub_ctx_delete(context);
	return may;
}

struct dnssec *dnssec_new(const struct dnssec_settings *settings, struct err *err)
{
	struct dnssec *dnssec = calloc(1, sizeof(*dnssec));

	if (dnssec == NULL || pthread_mutex_init(&dnssec->mutex, NULL) != 0) {
		free(dnssec);
		err_memory(err);
		return NULL;
	}
	if (clock_condition(&dnssec->fetched) != 0) {
		pthread_mutex_destroy(&dnssec->mutex);
		free(dnssec);
		err_memory(err);
		return NULL;
	}
	dnssec->clock = settings->clock;
	dnssec->anchors = copy_anchors(settings->anchors);
	dnssec->addresses = copy_addresses(settings->addresses);
	if (dnssec->anchors == NULL || dnssec->addresses == NULL)
		err_memory(err);
	else if (check(dnssec, err) == 0)
		return dnssec;
	dnssec_free(dnssec);
	return NULL;
}

void dnssec_free(struct dnssec *dnssec)
{
	if (dnssec == NULL)
		return;
	if (dnssec->context != NULL && dnssec->owner == getpid())
		ub_ctx_delete(dnssec->context);
	texts_free(dnssec->anchors);
	texts_free(dnssec->addresses);
	pthread_cond_destroy(&dnssec->fetched);
	pthread_mutex_destroy(&dnssec->mutex);
	free(dnssec);
}

static void on_answer(void *self, int error, struct ub_result *result)
{
	struct flight *flight = self;

	flight->error = error;
	flight->result = result;
	flight->done = true;
}

/* Its thread must not take the signals that this program waits for, nor die of one. */
static int start(struct ub_ctx *context, const struct dns_question *question, struct flight *flight)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = ub_resolve_async(context, question->name, question->type, CLASS_IN, flight, on_answer, &flight->id);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

/* The mutex is held. What cannot be sent on its way has its error. */
static int start_all(struct dnssec *dnssec, const struct dns_question *questions, struct flight *flights, size_t n,
		     struct err *err)
{
	if (dnssec->context == NULL || dnssec->owner != getpid()) {
		dnssec->context = context_new(dnssec, err);
		dnssec->owner = getpid();
		if (dnssec->context == NULL)
			return -1;
	}
	for (size_t i = 0; i < n; i++) {
		flights[i].error = start(dnssec->context, &questions[i], &flights[i]);
		flights[i].done = flights[i].error != 0;
	}
	return 0;
}

static bool all_done(const struct flight *flights, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!flights[i].done)
			return false;
	return true;
}

static bool has_failed(const struct flight *flight)
{
	return !flight->done || flight->error != 0 || flight->result == NULL || flight->result->bogus ||
	       (flight->result->rcode != 0 && flight->result->rcode != RCODE_NXDOMAIN);
}

static bool any_failed(const struct flight *flights, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (has_failed(&flights[i]))
			return true;
	return false;
}

/* Takes the turn to wait for libunbound, with the mutex given away meanwhile. */
static void fetch(struct dnssec *dnssec, int64_t left_ms)
{
	struct pollfd ready = { .fd = ub_fd(dnssec->context), .events = POLLIN };

	dnssec->fetching = true;
	pthread_mutex_unlock(&dnssec->mutex);
	poll(&ready, 1, left_ms < INT32_MAX ? (int)left_ms : INT32_MAX);
	pthread_mutex_lock(&dnssec->mutex);
	ub_process(dnssec->context);
	dnssec->fetching = false;
	pthread_cond_broadcast(&dnssec->fetched);
}

/* The mutex is held. */
static void wait_for(struct dnssec *dnssec, const struct flight *flights, size_t n, int64_t deadline_ms)
{
	while (!all_done(flights, n)) {
		int64_t left_ms = deadline_ms - clock_monotonic_ms(dnssec->clock);
		struct timespec until = clock_moment(dnssec->clock, deadline_ms);

		if (left_ms <= 0)
			return;
		if (dnssec->fetching)
			pthread_cond_timedwait(&dnssec->fetched, &dnssec->mutex, &until);
		else
			fetch(dnssec, left_ms);
	}
}

/* The mutex is held: who is not done now never will be. */
static void cancel(struct dnssec *dnssec, const struct flight *flights, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!flights[i].done)
			ub_cancel(dnssec->context, flights[i].id);
}

static const char *failure_of(struct arena *arena, const struct flight *flight)
{
	struct err text;

	if (!flight->done)
		return "no answer in time";
	if (flight->error != 0 || flight->result == NULL)
		return ub_strerror(flight->error);
	if (!flight->result->bogus)
		return arena_printf(arena, "the resolver answers with error %d", flight->result->rcode);
	err_set(&text, ERR_TEMP, "bogus%s%s", flight->result->why_bogus != NULL ? ": " : "",
		flight->result->why_bogus != NULL ? flight->result->why_bogus : "");
	return arena_strdup(arena, text.text);
}

static int copy_data(struct arena *arena, const struct ub_result *result, struct dns_question *question)
{
	struct slice *data = arena_array(arena, MAX_RECORDS, sizeof(*data));
	size_t n = 0;

	if (data == NULL)
		return -1;
	for (; n < MAX_RECORDS && result->data[n] != NULL; n++) {
		data[n] = arena_copy(arena, slice_make(result->data[n], (size_t)result->len[n]));
		if (data[n].p == NULL)
			return -1;
	}
	if (result->data[n] != NULL) {
		question->failure = "too many records";
		return 0;
	}
	question->status = DNS_FOUND;
	question->data = data;
	question->n = n;
	return 0;
}

static bool is_aliased(const struct ub_result *result)
{
	struct slice canonical = slice_of(result->canonname);

	if (canonical.n > 0 && canonical.p[canonical.n - 1] == '.')
		canonical.n--;
	return canonical.n > 0 && !slice_equal_nocase(canonical, slice_of(result->qname));
}

static int conclude(struct arena *arena, const struct flight *flight, struct dns_question *question)
{
	const struct ub_result *result = flight->result;

	if (flight->done && flight->error == UB_SYNTAX) {	/* a name that cannot be */
		question->status = DNS_NONE;
		return 0;
	}
	question->status = DNS_FAILED;
	if (has_failed(flight)) {
		question->failure = failure_of(arena, flight);
		return question->failure == NULL ? -1 : 0;
	}
	question->aliased = is_aliased(result);
	if (result->secure && result->havedata)
		return copy_data(arena, result, question);
	question->status = result->secure ? DNS_NONE : DNS_UNSIGNED;
	return 0;
}

/* Nothing could be asked. */
static int fail_all(struct arena *arena, struct dns_question *questions, size_t n, const char *why)
{
	const char *failure = arena_strdup(arena, why);

	for (size_t i = 0; i < n; i++) {
		questions[i].status = DNS_FAILED;
		questions[i].failure = failure;
	}
	return failure == NULL ? -1 : 0;
}

int dnssec_ask(struct dnssec *dnssec, struct arena *arena, struct dns_question *questions, size_t n, size_t needed,
		 int64_t deadline_ms, struct err *err)
{
	struct flight *flights = arena_array(arena, n, sizeof(*flights));
	struct err why = { .class = ERR_NONE };
	int rc;

	if (flights == NULL)
		return err_memory(err);
	pthread_mutex_lock(&dnssec->mutex);
	rc = start_all(dnssec, questions, flights, n, &why);
	if (rc == 0) {
		wait_for(dnssec, flights, needed, deadline_ms);
		if (any_failed(flights, needed))
			wait_for(dnssec, flights, n, deadline_ms);
		cancel(dnssec, flights, n);
	}
	pthread_mutex_unlock(&dnssec->mutex);
	if (rc != 0)
		return fail_all(arena, questions, n, why.text) == 0 ? 0 : err_memory(err);
	for (size_t i = 0; i < n; i++) {
		if (rc == 0 && conclude(arena, &flights[i], &questions[i]) != 0)
			rc = err_memory(err);
		ub_resolve_free(flights[i].result);
	}
	return rc;
}

int dnssec_probe(struct dnssec *dnssec, int64_t deadline_ms, struct err *err)
{
	struct arena *arena = arena_new(0);
	struct slice anchor = slice_of(dnssec->anchors[0]);
	struct dns_question question = { .type = TYPE_DNSKEY };
	int rc = -1;

	if (arena != NULL)
		question.name = arena_string(arena, slice_first(anchor, strcspn(anchor.p, " \t")));
	if (question.name == NULL)
		err_memory(err);
	else if (dnssec_ask(dnssec, arena, &question, 1, 1, deadline_ms, err) != 0)
		rc = -1;
	else if (question.status == DNS_FAILED)
		err_set(err, ERR_TEMP, "%s: %s", question.name, question.failure);
	else
		rc = 0;
	arena_free(arena);
	return rc;
}
