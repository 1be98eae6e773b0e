/* spool.h - takes a body as it arrives: in memory up to a limit, beyond that in an unlinked file, encrypted.
 *
 * The file lies in state_dir (or the directory given), has no name, and is written in chunks under AES-256-GCM with a
 * random key that lives only in this process: no plaintext on disk, and a changed file is an error, never other text.
 */
#ifndef BASE_SPOOL_H
#define BASE_SPOOL_H

#include <stddef.h>

#include "base/arena.h"
#include "base/body.h"
#include "base/err.h"

struct spool;

/* memory_bytes: kept in memory; limit_bytes: of the whole (0: none); directory: for the file, must outlive the spool.
 * Freed with the arena, memory wiped. NULL: *err. */
struct spool *spool_new(struct arena *arena, const char *directory, size_t memory_bytes, uint64_t limit_bytes,
			struct err *err);
/* Appends. 0, or -1: ERR_LIMIT over limit_bytes, ERR_TEMP disk or memory; the spool stays failed then. */
int spool_write(struct spool *spool, const void *p, size_t n, struct err *err);
/* No more writes. The body lives as long as the arena. NULL: *err. */
const struct body *spool_finish(struct spool *spool, struct err *err);

#endif
