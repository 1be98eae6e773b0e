/* key.h - an own private key with its certificate and chain, decoded once. Counted, thread-safe, immutable once the site
 * is loaded. */
#ifndef PKI_KEY_H
#define PKI_KEY_H

#include "pki/cert.h"

struct key;

struct key *key_ref(struct key *key);
void key_free(struct key *key);	/* gives one reference back; NULL is fine */
/* Hands the caller's reference to the arena. -1: memory, and it is given back at once. */
int key_defer(struct arena *arena, struct key *key);
const struct cert *key_cert(const struct key *key);
const struct cert_list *key_chain(const struct key *key);	/* without the certificate itself; see chain.h */
const char *key_source(const struct key *key);			/* the file it came from */

/* A round trip: signs a constant and verifies (if it may sign), wraps and unwraps (if it may encrypt). */
int key_test(const struct key *key, struct err *err);

#endif
