/* evidence.h - what is at hand to tell of revocation: CRLs and OCSP answers of a collection's files and directories,
 * and of those that the fetch process writes. A snapshot of it is immutable; the store puts a new one together when
 * a file has changed. Whether anything of it is genuine, revocation.c finds out. For the sources of pki/.
 *
 * Names ending in ".ocsp" hold one DER OCSP response, all others are read as bundle.h says; certificates among CRLs
 * may be those of the CRLs' signers. Files may be added, replaced (best by a rename) and removed at any time. One
 * that cannot be read takes no other away, and while it stands there damaged, what was read of it before still
 * counts.
 *
 * At most 64 MiB a file, 256 MiB and 20,000 files in all, in the order of their names; the rest is left out. In
 * memory a CRL takes several times its size, in each worker. */
#ifndef PKI_EVIDENCE_H
#define PKI_EVIDENCE_H

#include <openssl/x509.h>

#include "base/clock.h"
#include "base/conf.h"
#include "pki/cert.h"

struct crl;
struct ocsp;
struct evidence;		/* a snapshot: counted, shared by threads */
struct evidence_store;		/* shared by threads once it is loaded */

/* A snapshot of n DER CRLs that no file holds; those that cannot be read are left out. NULL: memory. */
struct evidence *evidence_of_crls(const struct slice *ders, size_t n);
/* The CRLs of that issuer, deltas too, the newest first: *n of them from the pointer returned on. */
const struct crl *const *evidence_crls(const struct evidence *evidence, const X509_NAME *issuer, size_t *n);
/* The OCSP responses with an answer about that serial number (as cert_info's serial_der), of whatever issuer. */
const struct ocsp *const *evidence_ocsp(const struct evidence *evidence, struct slice serial_der, size_t *n);
/* The certificates that stood among CRLs. */
struct cert *const *evidence_certs(const struct evidence *evidence, size_t *n);
/* Each snapshot of a store has another one. */
uint64_t evidence_number(const struct evidence *evidence);
size_t evidence_size(const struct evidence *evidence);	/* CRLs and OCSP responses in it */
void evidence_free(struct evidence *evidence);		/* gives the reference back; NULL is fine */

/* clock is kept, and asked for monotonic time only. NULL: memory. */
struct evidence_store *evidence_store_new(const struct clock *clock);
void evidence_store_free(struct evidence_store *store);	/* snapshots may outlive it; NULL is fine */
/* A CRL that stays. ERR_MESSAGE: it is none. */
int evidence_store_add_crl(struct evidence_store *store, struct slice der, struct err *err);
/* A file or a directory of files. One that is not optional must be there when the store is loaded, a file of it be
 * readable. -1: memory. */
int evidence_store_add(struct evidence_store *store, const char *path, bool optional, struct err *err);
/* Reads everything for the first time; report (may be NULL) gets a line "FILE: text" for what is left out or
 * deserves a word. -1: ERR_CONFIG, ERR_TEMP. Before any other thread sees the store. */
int evidence_store_load(struct evidence_store *store, const struct conf_report *report, struct err *err);
/* A reference to the newest snapshot, never NULL after loading. Once a second the caller who comes first looks at
 * the files (size, times, inode), reads what has changed, and others meanwhile get the snapshot that there is. */
struct evidence *evidence_store_get(struct evidence_store *store);
/* Looks now, whatever the time; not while another thread does (for tests). */
void evidence_store_look(struct evidence_store *store);

#endif
