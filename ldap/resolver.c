/* resolver.c - see resolver.h. DNS messages are srv.c's. Used by dial.c and servers.c. Thread-safe.
 *
 * A thread that hangs in the system's resolver is left there; it keeps the resolver's memory until it returns. */
#include "ldap/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "ldap/monitor.h"
#include "ldap/srv.h"

#define QUESTIONS_MAX 64		/* names remembered, when more than that were asked for */

struct question {
	struct resolver *resolver;
	struct question *next;
	enum resolver_kind kind;
	char name[256];
	bool under_way;
	bool known;			/* answer is one, be it an earlier one */
	unsigned waiting;		/* threads */
	struct resolved answer;
	struct err err;			/* of the last time; class ERR_NONE: it went well */
};

struct resolver {
	struct monitor monitor;
	const struct resolver_functions *functions;
	struct question *questions;
	size_t count;
	size_t users;			/* the owner, and each thread under way */
};

static int system_host(const char *name, struct resolved *out, struct err *err)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *found = NULL;
	int rc = getaddrinfo(name, NULL, &hints, &found);

	/* An address of a family that no interface has is an address nevertheless. */
	if (rc != 0)
		rc = getaddrinfo(name, NULL, &(struct addrinfo){ .ai_socktype = SOCK_STREAM,
								   .ai_flags = AI_NUMERICHOST }, &found);
	if (rc != 0)
		return err_set(err, ERR_TEMP, "%s", gai_strerror(rc));
	out->address_count = 0;
	for (const struct addrinfo *a = found; a != NULL && out->address_count < RESOLVED_MAX; a = a->ai_next) {
		struct resolved_address *address = &out->addresses[out->address_count];

		if (a->ai_addrlen > sizeof(address->sockaddr))
			continue;
		memcpy(&address->sockaddr, a->ai_addr, a->ai_addrlen);
		address->n = a->ai_addrlen;
		out->address_count++;
	}
	freeaddrinfo(found);
	return out->address_count > 0 ? 0 : err_set(err, ERR_TEMP, "no address");
}

const struct resolver_functions resolver_system = { .host = system_host, .service = srv_lookup };

struct resolver *resolver_new(const struct resolver_functions *functions, const struct clock *clock, struct err *err)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (resolver == NULL || monitor_init(&resolver->monitor, clock) != 0) {
		free(resolver);
		err_memory(err);
		return NULL;
	}
	resolver->functions = functions;
	resolver->users = 1;
	return resolver;
}

static void destroy(struct resolver *resolver)
{
	while (resolver->questions != NULL) {
		struct question *question = resolver->questions;

		resolver->questions = question->next;
		free(question);
	}
	monitor_destroy(&resolver->monitor);
	free(resolver);
}

/* Leaves the monitor, for good. */
static void leave_for_good(struct resolver *resolver)
{
	bool is_last = --resolver->users == 0;

	monitor_leave(&resolver->monitor);
	if (is_last)
		destroy(resolver);
}

void resolver_free(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	monitor_enter(&resolver->monitor);
	leave_for_good(resolver);
}

static void *look_up(void *arg)
{
	struct question *question = arg;
	struct resolver *resolver = question->resolver;
	const struct resolver_functions *functions = resolver->functions;
	struct resolved *answer = calloc(1, sizeof(*answer));
	struct err err = { .class = ERR_NONE };
	int rc = -1;

	if (answer == NULL)
		err_memory(&err);
	else if (question->kind == RESOLVER_HOST)
		rc = functions->host(question->name, answer, &err);
	else
		rc = functions->service(question->name, answer, &err);
	monitor_enter(&resolver->monitor);
	question->err = err;
	if (rc == 0) {
		question->answer = *answer;
		question->known = true;
	}
	question->under_way = false;
	monitor_wake(&resolver->monitor);
	leave_for_good(resolver);
	free(answer);
	return NULL;
}

/* Signals are for the program's own threads. */
static void start(struct resolver *resolver, struct question *question)
{
	sigset_t all, before;
	pthread_t thread;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, NULL, look_up, question);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		err_set(&question->err, ERR_TEMP, "no thread for it: %s", strerror(rc));
		return;
	}
	pthread_detach(thread);
	question->under_way = true;
	resolver->users++;
}

static void forget_one(struct resolver *resolver)
{
	for (struct question **at = &resolver->questions; *at != NULL; at = &(*at)->next) {
		struct question *question = *at;

		if (question->under_way || question->waiting > 0)
			continue;
		*at = question->next;
		resolver->count--;
		free(question);
		return;
	}
}

static struct question *question_of(struct resolver *resolver, enum resolver_kind kind, const char *name)
{
	struct question *question = NULL;

	for (question = resolver->questions; question != NULL; question = question->next) {
		if (question->kind == kind && strcmp(question->name, name) == 0)
			return question;
	}
	if (resolver->count >= QUESTIONS_MAX)
		forget_one(resolver);
	question = strlen(name) < sizeof(question->name) ? calloc(1, sizeof(*question)) : NULL;
	if (question == NULL)
		return NULL;
	question->resolver = resolver;
	question->kind = kind;
	memcpy(question->name, name, strlen(name));
	question->next = resolver->questions;
	resolver->questions = question;
	resolver->count++;
	return question;
}

static void wait_for(struct resolver *resolver, struct question *question, int64_t deadline_ms)
{
	int64_t now_ms = clock_monotonic_ms(resolver->monitor.clock);
	int64_t until_ms = question->known && deadline_ms > now_ms ? now_ms + (deadline_ms - now_ms) / 2 : deadline_ms;

	if (!question->under_way)
		start(resolver, question);
	question->waiting++;
	while (question->under_way && monitor_wait(&resolver->monitor, until_ms))
		continue;
	question->waiting--;
}

int resolver_ask(struct resolver *resolver, enum resolver_kind kind, const char *name, int64_t deadline_ms,
		 struct resolved *out, struct err *err)
{
	struct question *question = NULL;
	int rc = -1;

	monitor_enter(&resolver->monitor);
	question = question_of(resolver, kind, name);
	if (question == NULL) {
		err_set(err, ERR_TEMP, "%s: too long, or no memory", name);
		goto out;
	}
	wait_for(resolver, question, deadline_ms);
	if (question->known) {
		*out = question->answer;
		rc = question->under_way || question->err.class != ERR_NONE;
	} else if (question->under_way) {
		err_set(err, ERR_TEMP, "%s: the name is not resolved in time", name);
	} else {
		err_set(err, ERR_TEMP, "%s: %s", name, question->err.text);
	}
out:
	monitor_leave(&resolver->monitor);
	return rc;
}
