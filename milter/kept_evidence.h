/* kept_evidence.h - what verdicts rest on, kept by content below state_dir: evidence/SHA256, in hex, so that the digests of
 * an audit line lead to certificates, CRLs, OCSP answers and collections as they were. For the recorder; one thread, but
 * several recorders may write at the same time.
 *
 * Nothing is ever removed here; a file that somebody removes is written again when it is needed next.
 */
#ifndef MILTER_KEPT_EVIDENCE_H
#define MILTER_KEPT_EVIDENCE_H

#include <stdbool.h>

#include "base/crypt.h"
#include "base/err.h"
#include "base/slice.h"

#define KEPT_EVIDENCE_MAX_BYTES ((uint64_t)128 * 1024 * 1024)	/* of one; a collection may have several files */

struct kept_evidence_part {		/* contents come piece by piece, in order */
	const unsigned char *sha256;	/* of the whole */
	const unsigned char *upload;	/* as long; the same for all its pieces, of nobody else's */
	uint64_t offset;
	bool last;
	struct slice bytes;
};

/* Removes what was begun and not ended in the last hour. */
void kept_evidence_tidy(const char *state_dir);
bool kept_evidence_has(const char *state_dir, const unsigned char sha256[CRYPT_SHA256_BYTES]);
/* On disk when it returns 0 for the last piece. ERR_MESSAGE: pieces are missing, too long, or not what sha256 says; ERR_TEMP:
 * disk. What was begun is gone then. */
int kept_evidence_put(const char *state_dir, const struct kept_evidence_part *part, struct err *err);

#endif
