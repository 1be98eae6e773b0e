/* fetch.h - the fetch process: gets CRLs and OCSP answers over http, so that no mail waits for them. One for each
 * generation whose configuration has a collection with fetch_hosts; forked by the keeper, with its site but without
 * keys and directories. Workers tell it what mails lacked (fetch_request.h), it writes answers where the collections
 * find them (fetch_store.h). */
#ifndef MILTER_FETCH_H
#define MILTER_FETCH_H

#include "base/event.h"
#include "gate/site.h"

struct fetch_env {
	struct site *site;	/* its keys and directories are given back */
	const struct event_sink *sink;
	int requests;		/* the end at which requests arrive */
	int control;		/* see control.h */
};

/* Does any collection fetch? */
bool fetch_is_wanted(const struct site *site);
/* Fetches until the generation is to drain or stop, then ends the process: never returns. */
_Noreturn void fetch_run(const struct fetch_env *env);

#endif
