/* drivers.h - which directories, key stores and journals this program was built with. Constant; used by milter and
 * smimectl. */
#ifndef MILTER_DRIVERS_H
#define MILTER_DRIVERS_H

#include "gate/site.h"
#include "milter/journal.h"

/* For site_env.drivers. */
extern const struct site_drivers drivers_all;

/* Opens the journal that env names, a file or a server. -1 as the driver says. */
int drivers_journal_open(const struct journal_env *env, struct journal *journal, bool *made, struct err *err);

/* "directories: files ldap; keystores: pem pkcs12; journals: sqlite redis" into out (cut at size - 1). Returns out. */
char *drivers_names(char *out, size_t size);

#endif
