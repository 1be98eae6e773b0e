/* ldap_driver.h - the directory driver over libldap: what a list of drivers needs to know of the room ldap/.
 *
 * Keys of a directory of type "ldap" besides those of all directories (cache_s is preset 600, negative_cache_s 60): see
 * struct ldap_settings in settings.h.
 */
#ifndef LDAP_LDAP_DRIVER_H
#define LDAP_LDAP_DRIVER_H

#include "pki/directory.h"

/* Opening initialises libldap, which is not thread-safe: open before there are threads. The connections are made
 * later, one by one when they are needed; a process that forks must do so before the first question. */
extern const struct directory_driver ldap_directory_driver;

#endif
