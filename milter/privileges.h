/* privileges.h - whose rights the processes have: the configured user, found before and become after the fork. */
#ifndef MILTER_PRIVILEGES_H
#define MILTER_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct identity {
	bool change;		/* false: stay what we are (not root) */
	char name[64];
	uid_t uid;
	gid_t gid;
};

/* The user of that name. ERR_CONFIG: none has it. */
int identity_find(const char *name, struct identity *identity, struct err *err);
/* The group of that name. ERR_CONFIG: none has it. */
int identity_group(const char *name, gid_t *gid, struct err *err);
/* Becomes identity for good, supplementary groups included, and makes sure that there is no way back. */
int identity_become(const struct identity *identity, struct err *err);

/* No core dumps, no ptrace by others: keys and plaintext are in memory. More descriptors, as many as allowed. */
void process_harden(void);
/* For a child of a keeper: TERM, HUP, INT and USR1 are the master's, who gives his orders otherwise (control.h);
 * whoever signals every process of that name means him. Nothing is blocked afterwards. */
void process_ignore_signals(void);

#endif
