/* metrics.h - numbers that all processes count together (INTERFACE 5), in memory that they share: made by the master,
 * so that they go on over a reload and over the death of whoever counts. Who shows them is metrics_http.c.
 *
 * Each function takes metrics == NULL and does nothing then. No locks: threads and processes count at the same time.
 */
#ifndef MILTER_METRICS_H
#define MILTER_METRICS_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

enum metric {
	METRIC_MESSAGES,		/* action, result, rule */
	METRIC_SECONDS,			/* at the end of a message */
	METRIC_DIRECTORY_SECONDS,	/* directory, result: one question, of however many addresses */
	METRIC_CACHE,			/* cache, result: of an address */
	METRIC_NOT_AFTER,		/* name: an own certificate's file; seconds since 1970 */
	METRIC_LIMITS,			/* limit: a message was refused for it */
	METRIC_REVOCATION,		/* result: of a signature's chain */
	METRIC_HARVEST_CHANGED,		/* partners' keys that changed: each is an alarm in the log, too */
	METRIC_SESSIONS,
	METRIC_BUILD,			/* version */
	METRIC_COUNT
};

struct metric_label {
	const char *name, *value;
};

#define METRICS_SERIES 1024		/* combinations of labels at most; further ones are not counted */
#define METRICS_LABEL_BYTES 192		/* of one, escaped; longer values are cut */

struct metrics;

/* For the life of the process and of those that it forks. NULL: memory. */
struct metrics *metrics_new(void);

/* Counters and the sums of them. n labels, in the order of the table above. */
void metrics_count(struct metrics *metrics, enum metric metric, const struct metric_label *labels, size_t n);
/* One duration of a histogram. */
void metrics_observe(struct metrics *metrics, enum metric metric, const struct metric_label *labels, size_t n,
		     double seconds);
/* A value that holds now. */
void metrics_set(struct metrics *metrics, enum metric metric, const struct metric_label *labels, size_t n,
		 int64_t value);
/* All values of the metric are gone until they are set again. */
void metrics_forget(struct metrics *metrics, enum metric metric);

/* A session of this process begins (1) or ends (-1). */
void metrics_session(struct metrics *metrics, int change);
/* The process has ended, and what it had open with it. */
void metrics_process_ended(struct metrics *metrics, pid_t pid);

/* Appends all of it as OpenMetrics text, to its "# EOF". 0 or -1: memory. */
int metrics_write(const struct metrics *metrics, struct buf *out, struct err *err);

#endif
