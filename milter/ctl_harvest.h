/* ctl_harvest.h - what smimectl's harvest commands share. Internal to milter/ctl_harvest*.c. */
#ifndef MILTER_CTL_HARVEST_H
#define MILTER_CTL_HARVEST_H

#include "milter/audit_file.h"
#include "milter/ctl.h"
#include "milter/harvest_store.h"

struct ctl_store {			/* open for changes */
	struct harvest_store *store;
	struct audit_file *audit;	/* NULL: no audit log is configured */
	uid_t uid;			/* of whoever called */
};

/* Becomes the gateway's user where root called, so that files are made with the rights that the gateway has; opens the
 * store, and the audit log before anything is changed. Behind ctl_settings or ctl_site. 0 or -1. */
int ctl_store_open(struct ctl *ctl, struct ctl_store *store, struct err *err);
void ctl_store_close(struct ctl_store *store);

/* Tells of a change, and records it where another certificate is used from now on. what: as in audit_event.h. 0, or -1:
 * it was made, but could not be recorded. */
int ctl_store_tell(struct ctl *ctl, const struct ctl_store *store, const char *what, struct slice address,
		   const struct harvest_change *change, const struct cert *cert, struct err *err);

#endif
