/* known_cas.h - CA certificates that messages brought along and that stood in a good path to a collection (RFC 8550 4:
 * certificates received should be kept for building paths). A later message of the same CA may leave them out. They help
 * to build paths like any intermediate, are checked each time anew, and vouch for nothing by themselves. Belongs to one
 * collection, shared between threads.
 */
#ifndef PKI_KNOWN_CAS_H
#define PKI_KNOWN_CAS_H

#include "pki/cert.h"

struct known_cas;

#define KNOWN_CAS 64		/* remembered; the one that came first goes for a new one */

struct known_cas *known_cas_new(void);	/* NULL: memory */
void known_cas_free(struct known_cas *known);	/* NULL is fine */
void known_cas_keep(struct known_cas *known, struct cert *cert);
/* Adds all of them to list. -1: memory. */
int known_cas_add_to(struct known_cas *known, struct cert_list *list);

#endif
