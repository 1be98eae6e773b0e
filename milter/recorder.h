/* recorder.h - the process that remembers: audit lines, the journal and the certificates that mail has taught, for all
 * workers of a generation. It answers "on disk"; questions that wait together share one commit. It holds no keys and sees
 * no mail: digests, queue ids, audit lines and certificates are all it is told.
 *
 * One for each generation whose configuration wants an audit log, sends copies, asks what is answered, or harvests; forked by
 * the keeper, who forks another when it dies. It serves until nobody is left who could ask. While a generation drains
 * there are two of them.
 */
#ifndef MILTER_RECORDER_H
#define MILTER_RECORDER_H

#include "base/event.h"
#include "gate/site.h"
#include "milter/metrics.h"

struct recorder_env {
	const char *state_dir;
	const char *audit_path;		/* NULL: no audit log */
	bool audit_chain;
	bool journal;			/* is there anything to remember? */
	bool harvest;			/* does a rule want certificates kept? */
	const char *journal_url;	/* NULL or "": in state_dir */
	struct slice journal_password;
	int64_t lease_s;		/* of the journal's attempts */
	const struct event_sink *sink;
	struct metrics *metrics;	/* may be NULL */
	int requests;			/* the service's end of a channel */
};

bool recorder_is_wanted(const struct site *site);
/* Serves until no client is left. Attempts of a connection that ends are ended as not accepted. */
void recorder_serve(const struct recorder_env *env);
/* The process: gives the site back, keys and all, serves, and ends. */
_Noreturn void recorder_run(struct site *site, const struct event_sink *sink, struct metrics *metrics, int requests);

#endif
