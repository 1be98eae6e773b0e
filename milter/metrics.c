/* metrics.c - see metrics.h. A table of series in shared memory: a place is claimed once and keeps its labels, so finding
 * and counting need atomic words alone. A process that is killed while it claims one leaves a place that nobody uses.
 */
#include "milter/metrics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/event.h"

#define BUCKETS 12
#define PROCESSES 512		/* that can have sessions open at a time: two generations of workers */

enum kind { KIND_COUNTER, KIND_HISTOGRAM, KIND_GAUGE, KIND_INFO };

static const struct {
	const char *name;		/* without what the kind adds to it */
	enum kind kind;
	const char *help;
} table[METRIC_COUNT] = {
	[METRIC_MESSAGES] = { "smime_milter_messages", KIND_COUNTER, "messages by what was done to them" },
	[METRIC_SECONDS] = { "smime_milter_seconds", KIND_HISTOGRAM, "time at the end of a message" },
	[METRIC_DIRECTORY_SECONDS] = { "smime_milter_directory_seconds", KIND_HISTOGRAM, "time of a directory's answers" },
	[METRIC_CACHE] = { "smime_milter_cache", KIND_COUNTER, "addresses that a directory's memory was asked for" },
	[METRIC_NOT_AFTER] = { "smime_milter_certificate_not_after_seconds", KIND_GAUGE, "end of own certificates" },
	[METRIC_LIMITS] = { "smime_milter_limits", KIND_COUNTER, "messages refused for a limit" },
	[METRIC_REVOCATION] = { "smime_milter_revocation", KIND_COUNTER, "what was known of signers' revocation" },
	[METRIC_HARVEST_CHANGED] = { "smime_milter_harvest_changed", KIND_COUNTER, "partners' keys that changed" },
	[METRIC_SESSIONS] = { "smime_milter_sessions", KIND_GAUGE, "sessions that are open" },
	[METRIC_BUILD] = { "smime_milter_build", KIND_INFO, "what runs" },
};

static const char *const kind_names[] = {
	[KIND_COUNTER] = "counter", [KIND_HISTOGRAM] = "histogram", [KIND_GAUGE] = "gauge", [KIND_INFO] = "info"
};

/* Upper ends, in microseconds; beyond the last is +Inf. */
static const int64_t bucket_us[BUCKETS] = { 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 2500000,
					    10000000, 60000000 };

enum state { STATE_FREE, STATE_CLAIMED, STATE_USED };

struct series {
	atomic_int state;
	enum metric metric;
	char labels[METRICS_LABEL_BYTES];	/* as they are printed, without braces */
	_Atomic int64_t value;			/* counter, gauge, number of durations */
	_Atomic int64_t sum_us;
	_Atomic int64_t buckets[BUCKETS];
	atomic_bool is_set;
};

struct process {
	_Atomic pid_t pid;
	_Atomic int64_t sessions;
};

struct metrics {
	struct series series[METRICS_SERIES];
	struct process processes[PROCESSES];
};

struct metrics *metrics_new(void)
{
	void *memory = mmap(NULL, sizeof(struct metrics), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory != MAP_FAILED ? memory : NULL;
}

/* Quotes and backslashes escaped, as OpenMetrics wants it, never half an escape at the end. What is not printable ASCII
 * is as in the log: half a character in one label, and a scraper refuses all metrics. */
static size_t append_value(char *out, size_t n, size_t size, const char *value)
{
	char plain[METRICS_LABEL_BYTES];

	for (value = event_escape(slice_of(value), plain, sizeof(plain)); *value != '\0' && n + 4 < size; value++) {
		if (*value == '"' || *value == '\\')
			out[n++] = '\\';
		out[n++] = *value;
	}
	return n;
}

static void write_labels(const struct metric_label *labels, size_t count, char out[METRICS_LABEL_BYTES])
{
	const size_t share = (METRICS_LABEL_BYTES - 1) / (count + (count == 0));
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		int written = snprintf(out + n, METRICS_LABEL_BYTES - n, "%s%s=\"", i == 0 ? "" : ",", labels[i].name);

		n = append_value(out, n + (size_t)written, share * (i + 1), labels[i].value);
		out[n++] = '"';
	}
	out[n] = '\0';
}

static size_t place_of(enum metric metric, const char *labels)
{
	uint32_t hash = 2166136261U ^ (uint32_t)metric;		/* FNV-1a */

	for (; *labels != '\0'; labels++)
		hash = (hash ^ (unsigned char)*labels) * 16777619U;
	return hash % METRICS_SERIES;
}

static bool claim(struct series *series, enum metric metric, const char *labels)
{
	int expected = STATE_FREE;

	if (!atomic_compare_exchange_strong(&series->state, &expected, STATE_CLAIMED))
		return false;
	series->metric = metric;
	strcpy(series->labels, labels);
	atomic_store(&series->state, STATE_USED);
	return true;
}

/* Its place, claimed if there is none yet; NULL: all are taken. Who finds a place that is being claimed waits for the
 * few instructions that it takes, but not for ever. */
static struct series *find(struct metrics *metrics, enum metric metric, const struct metric_label *labels, size_t n)
{
	char text[METRICS_LABEL_BYTES];
	size_t place;

	write_labels(labels, n, text);
	place = place_of(metric, text);
	for (size_t i = 0; i < METRICS_SERIES; i++) {
		struct series *series = &metrics->series[(place + i) % METRICS_SERIES];

		if (atomic_load(&series->state) == STATE_FREE && claim(series, metric, text))
			return series;
		for (int spin = 0; spin < 1000 && atomic_load(&series->state) == STATE_CLAIMED; spin++)
			continue;
		if (atomic_load(&series->state) == STATE_USED && series->metric == metric &&
		    strcmp(series->labels, text) == 0)
			return series;
	}
	return NULL;
}

void metrics_count(struct metrics *metrics, enum metric metric, const struct metric_label *labels, size_t n)
{
	struct series *series = metrics != NULL ? find(metrics, metric, labels, n) : NULL;

	if (series != NULL)
		atomic_fetch_add(&series->value, 1);
}

void metrics_observe(struct metrics *metrics, enum metric metric, const struct metric_label *labels, size_t n,
		     double seconds)
{
	struct series *series = metrics != NULL ? find(metrics, metric, labels, n) : NULL;
	const int64_t us = (int64_t)(seconds * 1e6);

	if (series == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		if (us <= bucket_us[i]) {
			atomic_fetch_add(&series->buckets[i], 1);
			break;
		}
	atomic_fetch_add(&series->sum_us, us);
	atomic_fetch_add(&series->value, 1);
}

void metrics_set(struct metrics *metrics, enum metric metric, const struct metric_label *labels, size_t n,
		 int64_t value)
{
	struct series *series = metrics != NULL ? find(metrics, metric, labels, n) : NULL;

	if (series == NULL)
		return;
	atomic_store(&series->value, value);
	atomic_store(&series->is_set, true);
}

void metrics_forget(struct metrics *metrics, enum metric metric)
{
	for (size_t i = 0; metrics != NULL && i < METRICS_SERIES; i++)
		if (atomic_load(&metrics->series[i].state) == STATE_USED && metrics->series[i].metric == metric)
			atomic_store(&metrics->series[i].is_set, false);
}

void metrics_session(struct metrics *metrics, int change)
{
	const pid_t self = getpid();

	for (size_t i = 0; metrics != NULL && i < PROCESSES; i++) {
		struct process *process = &metrics->processes[i];
		pid_t owner = 0;

		if (atomic_compare_exchange_strong(&process->pid, &owner, self) || owner == self) {
			atomic_fetch_add(&process->sessions, change);
			return;
		}
	}
}

void metrics_process_ended(struct metrics *metrics, pid_t pid)
{
	for (size_t i = 0; metrics != NULL && i < PROCESSES; i++)
		if (atomic_load(&metrics->processes[i].pid) == pid) {
			atomic_store(&metrics->processes[i].sessions, 0);
			atomic_store(&metrics->processes[i].pid, 0);
		}
}

static int64_t count_sessions(const struct metrics *metrics)
{
	int64_t n = 0;

	for (size_t i = 0; i < PROCESSES; i++)
		n += atomic_load(&metrics->processes[i].sessions);
	return n > 0 ? n : 0;
}

static int write_histogram(const struct series *series, struct buf *out)
{
	const char *name = table[series->metric].name, *comma = series->labels[0] != '\0' ? "," : "";
	const long long all = (long long)atomic_load(&series->value);
	long long below = 0;
	int bad = 0;

	for (size_t i = 0; i < BUCKETS; i++) {
		below += (long long)atomic_load(&series->buckets[i]);
		bad |= buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %lld\n", name, series->labels, comma,
				  (double)bucket_us[i] / 1e6, below);
	}
	/* What is counted while this is written may not make it smaller than what is below. */
	bad |= buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %lld\n", name, series->labels, comma, all > below ? all : below);
	bad |= buf_printf(out, "%s_count{%s} %lld\n", name, series->labels, all > below ? all : below);
	return bad | buf_printf(out, "%s_sum{%s} %.6f\n", name, series->labels,
				(double)atomic_load(&series->sum_us) / 1e6);
}

static int write_series(const struct series *series, struct buf *out)
{
	const char *name = table[series->metric].name;
	const long long value = (long long)atomic_load(&series->value);

	switch (table[series->metric].kind) {
	case KIND_COUNTER:
		return buf_printf(out, "%s_total{%s} %lld\n", name, series->labels, value);
	case KIND_HISTOGRAM:
		return write_histogram(series, out);
	case KIND_INFO:
		return buf_printf(out, "%s_info{%s} 1\n", name, series->labels);
	case KIND_GAUGE:
		break;
	}
	return atomic_load(&series->is_set) ? buf_printf(out, "%s{%s} %lld\n", name, series->labels, value) : 0;
}

int metrics_write(const struct metrics *metrics, struct buf *out, struct err *err)
{
	int bad = 0;

	for (int metric = 0; metric < METRIC_COUNT; metric++) {
		bad |= buf_printf(out, "# TYPE %s %s\n# HELP %s %s\n", table[metric].name,
				  kind_names[table[metric].kind], table[metric].name, table[metric].help);
		if (metric == METRIC_SESSIONS)
			bad |= buf_printf(out, "%s %lld\n", table[metric].name, (long long)count_sessions(metrics));
		for (size_t i = 0; i < METRICS_SERIES; i++)
			if (atomic_load(&metrics->series[i].state) == STATE_USED &&
			    metrics->series[i].metric == (enum metric)metric)
				bad |= write_series(&metrics->series[i], out);
	}
	bad |= buf_append_text(out, "# EOF\n");
	return bad == 0 ? 0 : err_memory(err);
}
