/* measure.c - see measure.h. Called by callbacks.c, lookup.c and generation.c. */
#include "milter/measure.h"

#include <string.h>

#include "pki/directory_cache.h"

#define LABELS(labels) (labels), sizeof(labels) / sizeof((labels)[0])

/* Which of `limits` a reply tells of; NULL: none. */
static const char *limit_of(enum reply reply)
{
	switch (reply) {
	case REPLY_TOO_BIG:
		return "size";
	case REPLY_MALFORMED:
		return "structure";
	case REPLY_BUSY:
		return "busy";
	default:
		return NULL;
	}
}

static void measure_limits(struct metrics *metrics, const struct outcome *outcome)
{
	const struct metric_label labels[] = { { "limit", limit_of(outcome->reply) } };

	if (outcome->action != ACTION_ACCEPT && labels[0].value != NULL)
		metrics_count(metrics, METRIC_LIMITS, LABELS(labels));
}

static void measure_revocation(struct metrics *metrics, const struct outcome *outcome)
{
	const struct layer_list *layers = &outcome->verdict.layers;

	for (size_t i = 0; outcome->verified && i < layers->n; i++) {
		const struct metric_label labels[] = { { "result", path_revocation_name(layers->items[i].revocation) } };

		if (layers->items[i].chain_known)
			metrics_count(metrics, METRIC_REVOCATION, LABELS(labels));
	}
}

void measure_message(struct metrics *metrics, const struct log_entry *entry)
{
	const struct outcome *outcome = entry->outcome;
	const struct metric_label labels[] = { { "action", log_action(outcome) }, { "result", log_result(outcome) },
					       { "rule", log_rule(outcome) } };

	metrics_count(metrics, METRIC_MESSAGES, LABELS(labels));
	metrics_observe(metrics, METRIC_SECONDS, NULL, 0, entry->ms / 1000);
	measure_limits(metrics, outcome);
	measure_revocation(metrics, outcome);
}

static const char *status_name(enum directory_status status)
{
	return status == DIRECTORY_FOUND ? "found" : status == DIRECTORY_NONE ? "none" : "failed";
}

/* The worst of all addresses is the question's result; what is stale could not be asked. */
static const char *question_result(const struct directory_answer *answers, size_t n)
{
	enum directory_status worst = DIRECTORY_FOUND;

	for (size_t i = 0; i < n; i++) {
		if (answers[i].status == DIRECTORY_FAILED || answers[i].stale)
			return status_name(DIRECTORY_FAILED);
		if (answers[i].status == DIRECTORY_NONE)
			worst = DIRECTORY_NONE;
	}
	return status_name(worst);
}

void measure_directory(struct metrics *metrics, const struct directory *directory,
		       const struct directory_answer *answers, size_t n, double seconds)
{
	const struct metric_label asked[] = { { "directory", directory->name }, { "result", question_result(answers, n) } };

	metrics_observe(metrics, METRIC_DIRECTORY_SECONDS, LABELS(asked), seconds);
	for (size_t i = 0; i < n && directory_cache_is(directory); i++) {
		const char *how = answers[i].stale ? "stale" : answers[i].remembered ? "hit" : "miss";
		const struct metric_label remembered[] = { { "cache", directory->name }, { "result", how } };

		metrics_count(metrics, METRIC_CACHE, LABELS(remembered));
	}
}

static void measure_key(struct metrics *metrics, const struct key *key)
{
	const struct metric_label labels[] = { { "name", key_source(key) } };

	metrics_set(metrics, METRIC_NOT_AFTER, LABELS(labels), (int64_t)cert_info(key_cert(key))->not_after);
}

void measure_site(struct metrics *metrics, const struct site *site)
{
	const struct metric_label version[] = { { "version", PACKAGE_VERSION } };
	struct arena *arena = arena_new(0);
	struct key **keys = NULL;
	struct err err;
	size_t n = 0;

	metrics_set(metrics, METRIC_BUILD, LABELS(version), 1);
	metrics_forget(metrics, METRIC_NOT_AFTER);
	if (arena == NULL)
		return;
	if (keystore_find(site->keystores, site->keystore_count, arena, NULL, &keys, &n, &err) == 1)
		for (size_t i = 0; i < n; i++)
			measure_key(metrics, keys[i]);
	arena_free(arena);
}
