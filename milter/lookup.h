/* lookup.h - the process that asks directories for all workers of a generation: it alone has connections to their
 * servers, the passwords for them, and the memory of their answers. It holds no keys and sees no mail: addresses are
 * all that it is told.
 *
 * One for each generation whose configuration has a directory; forked by the keeper, who forks another when it dies. It
 * serves until nobody is left who could ask. While a generation drains there are two of them.
 */
#ifndef MILTER_LOOKUP_H
#define MILTER_LOOKUP_H

#include "base/event.h"
#include "gate/site.h"
#include "milter/lookup_wire.h"
#include "milter/metrics.h"

#define LOOKUP_CONNECTIONS 256	/* at a time, each with its thread; further ones wait */
#define LOOKUP_IDLE_MS 1000	/* then a connection gives its thread back: clients make another */

struct lookup_env {
	const struct directory *directories;	/* the site's, in its order */
	size_t n;
	/* Of each of them; NULL: nothing is inherited, neither by this process nor from it. */
	const struct lookup_identity *identities;
	const struct event_sink *sink;
	struct metrics *metrics;	/* may be NULL */
	int requests;			/* the service's end of a channel */
	int predecessor;		/* the clients' end of a former generation's, closed when it is done; -1: none */
};

bool lookup_is_wanted(const struct site *site);
/* Serves until no client is left. Begins with what its predecessor remembers, for which it waits a second before it
 * answers anybody; what comes later is taken all the same. -1: it cannot. */
int lookup_serve(const struct lookup_env *env, struct err *err);
/* The process: gives back of the site what is no directory, keys and all, serves, and ends. requests and predecessor:
 * as in lookup_env. */
_Noreturn void lookup_run(struct site *site, const struct event_sink *sink, struct metrics *metrics, int requests,
			  int predecessor);

#endif
