/* revocation_wanted.h - who is told that an answer about revocation is missing or ages. The collection calls
 * (pki/path.c), a fetch process answers (milter/); what it fetches comes back as files that pki/evidence.c reads. */
#ifndef PKI_REVOCATION_WANTED_H
#define PKI_REVOCATION_WANTED_H

#include <stddef.h>

struct cert;
struct collection;

struct revocation_wanted {
	/* chain: a proven path of n certificates from the one asked for upwards to its anchor, of which some
	 * certificate lacks a fresh answer, or all have one that is in use. Nothing of it may be kept beyond the call.
	 * Called from any thread, in the way of a mail: must not block. For the same certificate the collection calls
	 * at most once a minute while an answer is lacking, else once a day. */
	void (*want)(const struct revocation_wanted *self, const struct collection *collection,
		     const struct cert *const *chain, size_t n);
};

#endif
