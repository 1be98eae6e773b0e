/* evidence_internal.h - files of evidence and snapshots of them: what evidence.c makes and evidence_store.c puts
 * together. */
#ifndef PKI_EVIDENCE_INTERNAL_H
#define PKI_EVIDENCE_INTERNAL_H

#include <stdatomic.h>

#include "base/crypt.h"
#include "pki/evidence.h"

#define EVIDENCE_FILE_BYTES ((size_t)64 * 1024 * 1024)

struct evidence_file {			/* what was read of one file: immutable, counted */
	atomic_uint references;
	unsigned char sha256[CRYPT_SHA256_BYTES];
	size_t bytes;
	struct crl **crls;
	size_t crl_count;
	struct ocsp *ocsp;		/* NULL: none */
	struct cert_list certs;
};

/* Who is told of what is wrong in a file. */
struct evidence_notes {
	const struct conf_report *report;	/* NULL: nobody */
	const char *path;
};

/* notes may say more than err: of single entries, and of CRLs that are out of date. ERR_CONFIG: nothing in it can be
 * used; the text does not name the file. */
struct evidence_file *evidence_file_parse(struct slice bytes, bool ocsp, const struct evidence_notes *notes,
					  struct err *err);
struct evidence_file *evidence_file_ref(struct evidence_file *file);
void evidence_file_free(struct evidence_file *file);

/* Of the n files (each may be NULL), of which it takes references. NULL: memory. */
struct evidence *evidence_new(struct evidence_file *const *files, size_t n, uint64_t number);
struct evidence *evidence_ref(struct evidence *evidence);
void evidence_note(const struct evidence_notes *notes, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
