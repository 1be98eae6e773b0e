/* harvester.c - see harvester.h. Called by recorder.c; the texts by smimectl too. */
#include "milter/harvester.h"

#include <string.h>

#include "base/clock.h"
#include "milter/recorder_wire.h"

#define REOPEN_MS 1000
#define ADDRESS_BYTES 1000

void harvester_init(struct harvester *harvester, const char *state_dir, const struct event_sink *sink,
		    struct metrics *metrics)
{
	*harvester = (struct harvester){ .state_dir = state_dir, .sink = sink, .metrics = metrics };
}

void harvester_close(struct harvester *harvester)
{
	harvest_store_close(harvester->store);
	harvester->store = NULL;
}

int harvester_open(struct harvester *harvester, struct err *err)
{
	if (harvester->store == NULL && clock_monotonic_ms(&clock_system) >= harvester->due_ms) {
		harvester->store = harvest_store_open(harvester->state_dir, &harvester->why);
		harvester->due_ms = clock_monotonic_ms(&clock_system) + REOPEN_MS;
		if (harvester->store == NULL)
			event_log(harvester->sink, EVENT_ERROR, "%s", harvester->why.text);
	}
	if (harvester->store != NULL)
		return 0;
	*err = harvester->why;
	return -1;
}

/* The next n bytes; p == NULL: there are not so many. */
static struct slice take(struct slice *rest, size_t n)
{
	struct slice taken = slice_first(*rest, n);

	if (n == 0 || taken.n != n)
		return (struct slice){ NULL, 0 };
	*rest = slice_from(*rest, n);
	return taken;
}

/* 0, or -1: not what a worker of ours says. lesson->cert is a reference of the caller's. */
static int read_lesson(struct slice text, struct harvest_lesson *lesson, struct err *err)
{
	struct recorder_harvest head;
	struct slice rest = slice_from(text, sizeof(head)), der;

	if (text.n < sizeof(head))
		return err_set(err, ERR_BUG, "harvest: a short lesson");
	memcpy(&head, text.p, sizeof(head));
	*lesson = (struct harvest_lesson){ .signed_at = (time_t)head.signed_at, .at_once = head.at_once != 0, .how = "mail",
					   .capabilities = { head.ciphers_known != 0, head.ciphers } };
	lesson->address = take(&rest, head.address_bytes);
	lesson->collection = take(&rest, head.collection_bytes);
	der = take(&rest, head.cert_bytes);
	lesson->chain = rest;
	if (lesson->address.p == NULL || lesson->address.n > ADDRESS_BYTES || lesson->collection.p == NULL || der.p == NULL)
		return err_set(err, ERR_BUG, "harvest: a lesson without address, collection or certificate");
	lesson->cert = cert_from_der(der, err);
	return lesson->cert != NULL ? 0 : -1;
}

static int check_chain(struct slice der, struct err *err)
{
	struct cert_list list = { NULL, 0, 0 };
	int rc = harvest_chain_read(der, &list, err);

	cert_list_clear(&list);
	return rc;
}

/* Another key than before. */
static bool is_alarm(enum harvest_news news)
{
	return news == HARVEST_NEWS_CHANGED || news == HARVEST_NEWS_CHANGED_WAITS;
}

const char *harvest_news_text(struct arena *arena, struct slice address, const struct harvest_change *change,
			      const struct cert *cert)
{
	const char *issuer = cert_info(cert)->issuer;
	char who[300];

	(void)event_escape(address, who, sizeof(who));
	switch (change->news) {
	case HARVEST_NEWS_FIRST:
		return arena_printf(arena, "harvest: <%s>: first certificate, in use: sha256=%s issuer=\"%.120s\"", who,
				    change->now, issuer);
	case HARVEST_NEWS_FIRST_WAITS:
		return arena_printf(arena, "harvest: <%s>: first certificate, waits for approval: sha256=%s issuer=\"%.120s\"",
				    who, change->now, issuer);
	case HARVEST_NEWS_RENEWED:
		return arena_printf(arena, "harvest: <%s>: same key, new certificate, in use: sha256=%s before=%s", who,
				    change->now, change->before);
	case HARVEST_NEWS_CHANGED:
		return arena_printf(arena, "harvest: key of <%s> changed, in use: sha256=%s before=%s issuer=\"%.120s\"", who,
				    change->now, change->before, issuer);
	case HARVEST_NEWS_CHANGED_WAITS:
		return arena_printf(arena, "harvest: key of <%s> changed, waits for approval: sha256=%s in_use=%s "
				    "issuer=\"%.120s\"", who, change->now, change->before, issuer);
	case HARVEST_NEWS_NONE:
	case HARVEST_NEWS_SEEN:
		break;
	}
	return NULL;
}

static void tell(const struct harvester *harvester, const struct harvest_lesson *lesson,
		 const struct harvest_change *change)
{
	struct arena *arena = arena_new(0);
	const char *text = arena != NULL ? harvest_news_text(arena, lesson->address, change, lesson->cert) : NULL;

	if (is_alarm(change->news))
		metrics_count(harvester->metrics, METRIC_HARVEST_CHANGED, NULL, 0);
	if (text != NULL)
		event_log(harvester->sink, is_alarm(change->news) ? EVENT_WARNING : EVENT_INFO, "%s", text);
	arena_free(arena);
}

int harvester_learn(struct harvester *harvester, struct slice text, struct err *err)
{
	struct harvest_lesson lesson = { .cert = NULL };
	struct harvest_change change;
	int rc = -1;

	if (read_lesson(text, &lesson, err) != 0 || check_chain(lesson.chain, err) != 0 ||
	    harvester_open(harvester, err) != 0)
		goto out;
	rc = harvest_store_learn(harvester->store, &lesson, clock_now(&clock_system), &change, err);
	if (rc == 0)
		tell(harvester, &lesson, &change);
	else
		harvester_close(harvester);	/* it may have been removed: the next one finds out */
out:
	cert_free((struct cert *)(uintptr_t)lesson.cert);
	return rc;
}
