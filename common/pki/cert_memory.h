/* cert_memory.h - certificates that were decoded before, by what they are: who gets the same ones again and again as
 * bytes need not decode them each time, which costs more than anything else that is done with them here. Bounded; the
 * one not used for longest goes first. Says nothing of trust. Thread-safe.
 */
#ifndef PKI_CERT_MEMORY_H
#define PKI_CERT_MEMORY_H

#include "pki/cert.h"

struct cert_memory;

/* Of at most limit certificates, at least one. NULL: *err (memory). */
struct cert_memory *cert_memory_new(size_t limit, struct err *err);
void cert_memory_free(struct cert_memory *memory);	/* NULL is fine */
/* As cert_from_der, but maybe a certificate that others have too: a new reference, for the caller to give back. memory
 * NULL: always decoded. */
struct cert *cert_memory_get(struct cert_memory *memory, struct slice der, struct err *err);

#endif
