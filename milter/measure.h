/* measure.h - what is counted: of messages, of directories' answers, of own certificates. How numbers are kept is
 * metrics.h's matter. metrics may be NULL everywhere.
 */
#ifndef MILTER_MEASURE_H
#define MILTER_MEASURE_H

#include "gate/site.h"
#include "milter/log.h"
#include "milter/metrics.h"

/* A message that was answered. */
void measure_message(struct metrics *metrics, const struct log_entry *entry);
/* One question to a directory, of n addresses. */
void measure_directory(struct metrics *metrics, const struct directory *directory,
		       const struct directory_answer *answers, size_t n, double seconds);
/* What holds for a configuration: the version, and how long own certificates do. In place of what held before. */
void measure_site(struct metrics *metrics, const struct site *site);

#endif
