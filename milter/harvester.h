/* harvester.h - the recorder's part in what mail teaches: takes certificates from workers into the store, and raises
 * the alarm when somebody's key changes. One thread.
 */
#ifndef MILTER_HARVESTER_H
#define MILTER_HARVESTER_H

#include <stdint.h>

#include "base/event.h"
#include "milter/harvest_store.h"
#include "milter/metrics.h"

struct harvester {
	const char *state_dir;
	const struct event_sink *sink;
	struct metrics *metrics;
	struct harvest_store *store;	/* NULL: not open */
	int64_t due_ms;			/* when to try to open it again */
	struct err why;			/* why it is not open */
};

/* metrics may be NULL. */
void harvester_init(struct harvester *harvester, const char *state_dir, const struct event_sink *sink,
		    struct metrics *metrics);
void harvester_close(struct harvester *harvester);
/* Opens the store if it is not open, at most once a second; makes it where there is none. 0 or -1. */
int harvester_open(struct harvester *harvester, struct err *err);
/* text: as recorder_wire.h says; what a worker says is not believed where it can be looked at: lengths, and whether it
 * is a certificate. That a mail proved it is the worker's word, and is proven anew when it is used. 0 or -1. */
int harvester_learn(struct harvester *harvester, struct slice text, struct err *err);

/* What a change means for whoever reads the log or the terminal; NULL: nothing worth a line. In the arena. */
const char *harvest_news_text(struct arena *arena, struct slice address, const struct harvest_change *change,
			      const struct cert *cert);

#endif
