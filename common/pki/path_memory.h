/* path_memory.h - what a collection has proven already: "this certificate leads to one of my anchors", with the answer
 * about its revocation, so that a known signer or recipient costs no chain again. One memory belongs to one collection,
 * lives as long, and is shared between threads.
 *
 * Good chains only are remembered: what is missing today a message may bring tomorrow. And a chain that no revocation
 * speaks against was proven, whatever other certificates lie beside it: it does not need them again. Other answers
 * about revocation (revoked, unknown, stale) hold for the very same question only, untrusted certificates included,
 * since a stranger chooses these: a revoked CA certificate that he adds must not follow the signer to later messages.
 *
 * So are signatures of one certificate under another that were found good, which stay so for ever.
 *
 * An answer holds between two moments, neither included, at which any certificate that the search met, or any CRL of
 * the collection, starts or ends being valid. Questions about other moments are not answered from memory.
 */
#ifndef PKI_PATH_MEMORY_H
#define PKI_PATH_MEMORY_H

#include "base/crypt.h"
#include "pki/path.h"

struct path_memory;

#define PATH_MEMORY_KEY_BYTES CRYPT_SHA256_BYTES

struct path_span {	/* open at both ends */
	time_t after, before;
};

/* Shortens the span so that edge is not inside and at still is; at == edge leaves an empty one. */
void path_span_cut(struct path_span *span, time_t at, time_t edge);

/* For about ten thousand answers, beyond which those go that were not asked for longest. NULL: memory. */
struct path_memory *path_memory_new(void);
void path_memory_free(struct path_memory *memory);	/* NULL is fine */

/* false: not remembered for this moment. */
bool path_memory_find(struct path_memory *memory, const unsigned char key[PATH_MEMORY_KEY_BYTES], time_t at,
		      enum path_revocation *revocation);
void path_memory_keep(struct path_memory *memory, const unsigned char key[PATH_MEMORY_KEY_BYTES],
		      const struct path_span *span, enum path_revocation revocation);

#endif
