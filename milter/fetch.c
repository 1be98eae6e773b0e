/* fetch.c - the fetch process: requests in, exchanges when they are due, answers that their issuer has signed onto the
 * disk. Called by generation.c in a fresh child. RFC 5280 5, RFC 6960. It has one thread, and children of its own for
 * the exchanges (fetch_job.h). */
#include "milter/fetch.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crypt.h"
#include "milter/control.h"
#include "milter/fetch_intake.h"
#include "milter/fetch_job.h"
#include "milter/fetch_request.h"
#include "milter/fetch_voice.h"
#include "milter/privileges.h"
#include "pki/ocsp.h"
#include "pki/revocation.h"

#define JOBS 4
#define REQUESTS 64			/* read in one turn */
#define CRL_BYTES ((size_t)64 * 1024 * 1024)
#define OCSP_BYTES ((size_t)64 * 1024)
#define TOUCH_S 3600			/* a time on disk may be behind by that much */
#define SWEEP_MS (3600 * 1000)

struct running {
	struct fetch_job job;
	struct fetch_entry *entry;	/* NULL: none */
};

struct fetcher {
	const struct fetch_env *env;
	struct fetch_scope scope;
	struct fetch_store store;
	struct fetch_table table;
	struct fetch_voice voice;
	struct running running[JOBS];
	time_t wanted_at;		/* of the request being taken */
	int64_t sweep_ms;		/* when to look for what has become old */
};

static int64_t now_ms(void)
{
	return clock_monotonic_ms(&clock_system);
}

static uint32_t some_number(void)
{
	uint32_t number = 0;

	(void)crypt_random(&number, sizeof(number), NULL);
	return number;
}

bool fetch_is_wanted(const struct site *site)
{
	for (size_t i = 0; i < site->collection_count; i++)
		if (fetch_is_for(site->collections[i]))
			return true;
	return false;
}

static int accept_answer(const struct fetch_entry *entry, struct slice content, struct revocation_times *times,
			 struct err *err)
{
	time_t now = clock_now(&clock_system);

	return entry->kind == FETCH_CRL ?
	       revocation_accept_crl(content, entry->cert, entry->issuer, now, times, err) :
	       revocation_accept_ocsp(content, entry->cert, entry->issuer, now, times, err);
}

static void succeeded(struct fetch_entry *entry, bool is_new, const struct revocation_times *times)
{
	time_t renew_s = fetch_renew_s(times->this_update, times->ages, clock_now(&clock_system));

	entry->this_update = times->this_update;
	fetch_entry_succeeded(entry, is_new, renew_s, some_number(), now_ms());
}

/* What a former process fetched counts as if this one had. */
static void use_stored(struct fetcher *fetcher, struct fetch_entry *entry)
{
	struct revocation_times times;
	struct buf bytes;

	buf_init(&bytes, 0);
	entry->due_ms = now_ms();
	if (fetch_store_get(&fetcher->store, entry->name, fetch_kind_name(entry->kind), &bytes, NULL) == 1 &&
	    accept_answer(entry, buf_slice(&bytes), &times, NULL) == 0) {
		succeeded(entry, true, &times);
	}
	buf_clear(&bytes);
}

static void drop(struct fetcher *fetcher, struct fetch_entry *entry)
{
	if (entry != NULL)
		fetch_store_forget(&fetcher->store, entry->name);
	fetch_entry_free(entry);
}

static struct fetch_entry *new_entry(const struct fetcher *fetcher, const struct fetch_finding *finding)
{
	struct fetch_entry *entry = calloc(1, sizeof(*entry));

	if (entry == NULL)
		return NULL;
	entry->kind = finding->kind;
	entry->url = *finding->url;
	entry->collection = finding->collection;
	entry->cert = cert_ref(finding->cert);
	entry->issuer = cert_ref(finding->issuer);
	entry->wanted_at = fetcher->wanted_at;
	if (fetch_entry_name(entry, NULL) == 0)
		return entry;
	fetch_entry_free(entry);
	return NULL;
}

static void remember(struct fetcher *fetcher, const struct fetch_entry *entry, struct slice request)
{
	struct err err;

	if (fetch_store_remember(&fetcher->store, entry->name, request, entry->wanted_at, &err) != 0)
		fetch_voice_failure(&fetcher->voice, "cannot remember", err.text, now_ms());
}

/* Another certificate names the same CRL. The one that lasts longer keeps the entry alive, and proves it after a
 * restart. */
static void renew(struct fetcher *fetcher, struct fetch_entry *known, struct fetch_entry *again, struct slice request)
{
	struct cert *cert = known->cert;
	time_t before = known->wanted_at;

	if (again->wanted_at > known->wanted_at)
		known->wanted_at = again->wanted_at;
	if (cert_info(again->cert)->not_after > cert_info(cert)->not_after) {
		known->cert = again->cert;
		again->cert = cert;
		remember(fetcher, known, request);
	} else if (known->wanted_at - before >= TOUCH_S) {
		fetch_store_touch(&fetcher->store, known->name, known->wanted_at);
	} else {
		known->wanted_at = before;	/* so that these differences add up */
	}
}

static void found(void *self, const struct fetch_finding *finding)
{
	struct fetcher *fetcher = self;
	struct fetch_entry *entry = new_entry(fetcher, finding), *known;

	if (entry == NULL)
		return;
	known = fetch_table_find(&fetcher->table, entry->name);
	if (known != NULL) {
		renew(fetcher, known, entry, finding->request);
		fetch_entry_free(entry);
		return;
	}
	use_stored(fetcher, entry);
	drop(fetcher, fetch_table_add(&fetcher->table, entry));
	remember(fetcher, entry, finding->request);
}

static void unlisted(void *self, const struct collection *collection, const struct fetch_url *url)
{
	struct fetcher *fetcher = self;

	fetch_voice_unlisted(&fetcher->voice, collection, url);
}

static int take(struct fetcher *fetcher, struct slice request, time_t wanted_at, struct err *err)
{
	const struct fetch_findings findings = { found, unlisted, fetcher };

	fetcher->wanted_at = wanted_at;
	return fetch_intake(&fetcher->scope, request, clock_now(&clock_system), &findings, err);
}

static void take_requests(struct fetcher *fetcher)
{
	unsigned char bytes[FETCH_REQUEST_BYTES];
	struct err err;
	ssize_t n;

	for (int i = 0; i < REQUESTS; i++) {
		n = recv(fetcher->env->requests, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n <= 0)
			break;
		if (take(fetcher, slice_make(bytes, (size_t)n), clock_now(&clock_system), &err) != 0)
			fetch_voice_failure(&fetcher->voice, "request refused", err.text, now_ms());
	}
}

/* What is not good any longer (another configuration, an expired certificate) is forgotten by the clean-up after it. */
static void take_remembered(void *self, struct slice request, time_t wanted_at)
{
	struct fetcher *fetcher = self;
	time_t now = clock_now(&clock_system);

	wanted_at = wanted_at < now ? wanted_at : now;
	if (now - wanted_at <= FETCH_WANTED_S)
		(void)take(fetcher, request, wanted_at, NULL);
}

static bool is_known(const void *self, const char *name)
{
	const struct fetcher *fetcher = self;

	return fetch_table_find(&fetcher->table, name) != NULL;
}

/* An older answer must not take a newer one's place: it may not know yet of a revocation. */
static int keep(struct fetcher *fetcher, struct fetch_entry *entry, struct slice content, const char **word,
		struct err *err)
{
	struct revocation_times times;
	bool is_new;

	if (accept_answer(entry, content, &times, err) != 0)
		return -1;
	if (times.this_update < entry->this_update)
		return err_set(err, ERR_MESSAGE, "older than the answer at hand");
	is_new = times.this_update > entry->this_update;
	if (is_new && fetch_store_put(&fetcher->store, entry->name, fetch_kind_name(entry->kind), content, err) != 0)
		return -1;
	*word = is_new ? "stored" : "unchanged";
	succeeded(entry, is_new, &times);
	return 0;
}

static void finish(struct fetcher *fetcher, struct running *running)
{
	struct fetch_entry *entry = running->entry;
	struct slice content = { NULL, 0 };
	struct fetch_result result = { .entry = entry, .word = "failed", .ms = now_ms() - running->job.started_ms };
	struct err err = { .class = ERR_NONE };

	running->entry = NULL;
	entry->running = false;
	if (fetch_job_finish(&running->job, &content, &err) != 0 ||
	    keep(fetcher, entry, content, &result.word, &err) != 0) {
		result.reason = err.text;
		fetch_entry_failed(entry, some_number(), now_ms());
	}
	result.bytes = content.n;
	fetch_voice_result(&fetcher->voice, &result, now_ms());
	buf_clear(&running->job.answer);
}

static int start(struct running *running, struct fetch_entry *entry, struct err *err)
{
	struct fetch_exchange exchange = { .url = &entry->url, .hosts = collection_fetch_hosts(entry->collection),
		.connect_ms = collection_connect_ms(entry->collection),
		.total_ms = collection_total_ms(entry->collection),
		.limit_bytes = entry->kind == FETCH_CRL ? CRL_BYTES : OCSP_BYTES };
	struct buf question;
	int rc = -1;

	buf_init(&question, 0);
	if (entry->kind == FETCH_CRL || ocsp_request(entry->cert, entry->issuer, &question, err) == 0) {
		exchange.post = buf_slice(&question);
		rc = fetch_job_start(&running->job, &exchange, err);
	}
	buf_clear(&question);
	return rc;
}

static void start_due(struct fetcher *fetcher)
{
	struct fetch_entry *entry;
	struct err err;

	for (struct running *running = fetcher->running; running < fetcher->running + JOBS; running++) {
		if (running->entry != NULL)
			continue;
		entry = fetch_table_due(&fetcher->table, now_ms());
		if (entry == NULL)
			return;
		if (start(running, entry, &err) != 0) {
			fetch_voice_failure(&fetcher->voice, "cannot ask", err.text, now_ms());
			fetch_entry_failed(entry, some_number(), now_ms());
			continue;
		}
		running->entry = entry;
		entry->running = true;
	}
}

static void sweep(struct fetcher *fetcher)
{
	struct fetch_entry *entry;

	if (now_ms() < fetcher->sweep_ms)
		return;
	fetcher->sweep_ms = now_ms() + SWEEP_MS;
	while ((entry = fetch_table_expire(&fetcher->table, clock_now(&clock_system))) != NULL)
		drop(fetcher, entry);
}

/* Milliseconds until something is to be done without anybody's asking. */
static int wait_ms(const struct fetcher *fetcher)
{
	int64_t until_ms = fetcher->sweep_ms, next_ms = fetch_table_next_ms(&fetcher->table);
	size_t busy = 0;

	for (size_t i = 0; i < JOBS; i++) {
		if (fetcher->running[i].entry == NULL)
			continue;
		busy++;
		until_ms = fetcher->running[i].job.end_ms < until_ms ? fetcher->running[i].job.end_ms : until_ms;
	}
	if (busy < JOBS && next_ms < until_ms)
		until_ms = next_ms;
	until_ms -= now_ms();
	return until_ms < 0 ? 0 : (int)until_ms;
}

static void wait_and_see(struct fetcher *fetcher)
{
	struct pollfd wait[JOBS + 2] = { { .fd = fetcher->env->control, .events = POLLIN },
		{ .fd = fetcher->env->requests, .events = POLLIN } };

	for (size_t i = 0; i < JOBS; i++)
		wait[i + 2] = (struct pollfd){ .events = POLLIN,
			.fd = fetcher->running[i].entry != NULL ? fetcher->running[i].job.fd : -1 };
	(void)poll(wait, JOBS + 2, wait_ms(fetcher));
	take_requests(fetcher);
	for (size_t i = 0; i < JOBS; i++)
		if (fetcher->running[i].entry != NULL && fetch_job_ended(&fetcher->running[i].job, now_ms()))
			finish(fetcher, &fetcher->running[i]);
}

static int prepare(struct fetcher *fetcher, struct err *err)
{
	struct site *site = fetcher->env->site;

	site_forget_secrets(site);
	fetcher->scope = (struct fetch_scope){ .collections = site->collections, .n = site->collection_count };
	fetch_voice_init(&fetcher->voice, fetcher->env->sink);
	for (size_t i = 0; i < JOBS; i++)
		fetch_job_init(&fetcher->running[i].job);
	if (fetch_store_open(site->settings.state_dir, true, &fetcher->store, err) != 0 ||
	    fetch_store_each(&fetcher->store, FETCH_REQUEST_BYTES, take_remembered, fetcher, err) != 0)
		return -1;
	fetch_store_clean(&fetcher->store, is_known, fetcher);
	return 0;
}

static void stop(struct fetcher *fetcher)
{
	for (size_t i = 0; i < JOBS; i++)
		if (fetcher->running[i].entry != NULL)
			(void)fetch_job_finish(&fetcher->running[i].job, &(struct slice){ NULL, 0 }, NULL);
}

_Noreturn void fetch_run(const struct fetch_env *env)
{
	struct fetcher *fetcher = calloc(1, sizeof(*fetcher));
	struct err err = { .class = ERR_NONE };

	(void)prctl(PR_SET_NAME, "smime-fetch");
	process_ignore_signals();
	if (fetcher == NULL)
		_exit(1);
	fetcher->env = env;
	if (prepare(fetcher, &err) != 0) {
		event_log(env->sink, EVENT_ERROR, "fetch process cannot start: %s", err.text);
		_exit(1);
	}
	while (control_order(env->control) == CONTROL_SERVE) {
		sweep(fetcher);
		start_due(fetcher);
		wait_and_see(fetcher);
	}
	stop(fetcher);
	_exit(0);
}
