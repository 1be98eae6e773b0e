/* fetch_intake.h - from a request to the URLs that may be asked. The fetch process does not trust the workers, which
 * parse hostile mail: here it proves anew that the certificates lead to the collection, before it looks at any URL in
 * them. */
#ifndef MILTER_FETCH_INTAKE_H
#define MILTER_FETCH_INTAKE_H

#include <time.h>

#include "milter/fetch_table.h"

#define FETCH_URLS 4		/* looked at in a certificate, of each kind */

struct fetch_scope {
	const struct collection *const *collections;
	size_t n;
};

/* Has it fetch_hosts, and a use for answers? */
bool fetch_is_for(const struct collection *collection);

struct fetch_finding {
	enum fetch_kind kind;
	const struct fetch_url *url;
	struct cert *cert;			/* that names the URL */
	struct cert *issuer;
	const struct collection *collection;
	struct slice request;			/* to find just this again */
};

/* All borrowed for the time of the call. */
struct fetch_findings {
	void (*found)(void *self, const struct fetch_finding *finding);
	void (*unlisted)(void *self, const struct collection *collection, const struct fetch_url *url);
	void *self;
};

/* Every URL of every certificate of the request that has a path to the request's collection, now, and an issuer next
 * to it by name: found, or unlisted where the collection does not name its host. Anchors are not asked about.
 * Collections with revocation off or without fetch_hosts ask nobody. -1: ERR_MESSAGE, ERR_POLICY (a certificate is not
 * the collection's), ERR_TEMP; nothing was found then. */
int fetch_intake(const struct fetch_scope *scope, struct slice request, time_t now,
		 const struct fetch_findings *findings, struct err *err);

#endif
