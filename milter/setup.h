/* setup.h - the few settings that the master itself needs, read without opening anything that they name. The site
 * (keys, certificates, directories) is loaded by a generation, as the user.
 */
#ifndef MILTER_SETUP_H
#define MILTER_SETUP_H

#include "gate/settings.h"
#include "milter/listener.h"
#include "milter/privileges.h"

struct setup {
	struct listener_spec socket;
	struct listener_access access;
	struct identity identity;
	unsigned workers;		/* at least 1 */
	bool observe;			/* mode = "observe": told at start, since nothing else would show it */
};

/* Reads path. Findings (FILE:LINE) and warnings go to their reports; -1: *err is the first finding. */
int setup_read(const char *path, const struct conf_report *findings, const struct conf_report *warnings,
	       struct setup *setup, struct err *err);

/* True when what only a restart can change (socket, its access, user) differs. */
bool setup_differs(const struct setup *a, const struct setup *b);

struct site;

/* Can large bodies be spooled in state_dir with the rights that this process has? A missing directory is made (make) or
 * could be. A finding when the configuration names it; a mere warning, and 0, where the default stands: the gateway
 * serves all the same, but defers what does not fit into memory. Findings go where site_load's went: call it as long as
 * that report lives. */
int setup_state(const struct site *site, bool make, const struct conf_report *warnings, struct err *err);

/* Can the audit log, if there is to be one, be written with the rights that this process has? Nothing is made. Findings
 * as above. */
int setup_audit(const struct site *site, struct err *err);

/* Are all fetch_hosts what they may be, and is there a place for what is fetched, made if make? Where something is
 * fetched, it is an error that it cannot be kept. Findings as above. */
int setup_fetch(const struct site *site, bool make, struct err *err);

#endif
