/* bundle.h - files and directories' values with certificates: PEM, DER, P7B (PKCS#7: certs-only, or signed as RFC 2798
 * 2.8 has it), SST (MS-OSHARED 2.3.9.1) and Outlook's settings (MS-OXOABK 2.2.4.36), recognised by content. One bad entry
 * does not hide the others: it is reported and left out. */
#ifndef PKI_BUNDLE_H
#define PKI_BUNDLE_H

#include "base/buf.h"
#include "pki/capability.h"
#include "pki/cert.h"

enum bundle_format { BUNDLE_PEM, BUNDLE_DER, BUNDLE_P7B, BUNDLE_SST, BUNDLE_OUTLOOK };

struct bundle_entry {
	struct cert *cert;		/* owned by the bundle; NULL: a CRL or a bad entry */
	struct slice crl_der;		/* a CRL, empty else */
	size_t offset;			/* where in the file it stands */
	const char *friendly_name;	/* SST property 11, printable ASCII; or NULL */
	bool eku_restricted;		/* SST property 9 is there: this anchor vouches only for the usages it lists */
	bool eku_email;			/* and emailProtection (or any) is among them */
	struct capabilities capabilities;	/* that its own key signed in the object it stands in */
	bool preferred;			/* the object says that its owner wants to be encrypted to it */
	const char *problem;		/* why it is bad; NULL: good */
};

struct bundle {
	enum bundle_format format;
	struct bundle_entry *entries;
	size_t n;
};

/* At most 64 MiB and 100,000 entries (ERR_LIMIT). Everything lives in the arena (certificates by reference). 0, or -1:
 * not a bundle at all, a PEM text without certificate or CRL, cut off (ERR_MESSAGE with offset). Entries may still be
 * bad one by one. */
int bundle_parse(struct arena *arena, struct slice bytes, struct bundle *bundle, struct err *err);
/* Reads path and parses. ERR_CONFIG with path. */
int bundle_load(struct arena *arena, const char *path, struct bundle *bundle, struct err *err);

/* Appends an SST with the certificates and CRLs of the n entries (bad ones are left out) and their friendly names; of
 * an enhanced-usage property only e-mail protection or nothing is written. 0, or -1 ERR_TEMP: memory, out as it was. */
int bundle_write_sst(const struct bundle_entry *entries, size_t n, struct buf *out, struct err *err);

#endif
