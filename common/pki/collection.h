/* collection.h - a virtual certificate collection: which CAs may vouch, and for whose addresses (INTERFACE 2).
 *
 * Anchors are its self-signed CA certificates. Other CA certificates serve as intermediates, never as anchors (one
 * whose issuer is missing is a finding); end-entity certificates are reported and vouch for nothing. A CA that an SST
 * entry's enhanced-usage property or its own EKU keeps from e-mail protection is left out. CRLs among the files serve
 * like those of `crls`. Immutable after loading, shared between threads.
 */
#ifndef PKI_COLLECTION_H
#define PKI_COLLECTION_H

#include "base/conf.h"
#include "mail/pattern.h"
#include "pki/bundle.h"

enum revocation_mode { REVOCATION_OFF, REVOCATION_SOFT, REVOCATION_HARD };

struct collection_settings {
	const char *name;
	struct conf_strings files;
	struct conf_strings domains;	/* preset "*" */
	bool system;
	int revocation;			/* enum revocation_mode */
	struct conf_strings crls;	/* files or directories of files, PEM or DER */
	struct conf_strings fetch_hosts;
	int64_t connect_ms, total_ms;
};

extern const struct conf_table collection_conf;

struct collection;

/* report (may be NULL): a line "FILE: text" for every entry that is left out or deserves a word (expired, not a CA,
 * duplicate). NULL: a file cannot be read or holds no usable CA certificate, or there is no anchor at all (ERR_CONFIG).
 * Expiry is judged by path_check, at the time that is asked for: expired certificates stay. */
struct collection *collection_load(const struct collection_settings *settings,
				   const struct conf_report *report, struct err *err);
void collection_free(struct collection *collection);
const char *collection_name(const struct collection *collection);
/* May this collection vouch for the address (its `domains`)? */
bool collection_covers(const struct collection *collection, const struct address *address);
enum revocation_mode collection_revocation(const struct collection *collection);

#endif
