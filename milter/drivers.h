/* drivers.h - which directories and key stores this program was built with. Constant; used by milter and smimectl. */
#ifndef MILTER_DRIVERS_H
#define MILTER_DRIVERS_H

#include "gate/site.h"

/* For site_env.drivers. */
extern const struct site_drivers drivers_all;

/* "directories: files ldap; keystores: pem pkcs12" into out (cut at size - 1). Returns out. */
char *drivers_names(char *out, size_t size);

#endif
