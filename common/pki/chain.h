/* chain.h - the CA certificates that go along with an own key's signatures, where the key's file does not hold them. */
#ifndef PKI_CHAIN_H
#define PKI_CHAIN_H

#include "pki/collection.h"
#include "pki/key.h"

/* Follows each key's certificate upwards, and adds the CAs that the collections know and the key's own chain lacks, up
 * to and including a self-signed one; an own CA always goes before a collection's. An issuer that nobody knows ends the
 * chain: no error. Before any other thread sees the keys. 0, or -1: memory. */
int chain_complete(struct key *const *keys, size_t n, const struct collection *const *collections,
		   size_t collection_count, struct err *err);

#endif
