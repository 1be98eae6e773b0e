/* collection.h - a virtual certificate collection: which CAs may vouch, and for whose addresses (INTERFACE 2).
 *
 * Anchors are its self-signed CA certificates. Other CA certificates serve as intermediates, never as anchors (one whose
 * issuer is missing is a finding); end-entity certificates are reported and vouch for nothing. An SST entry whose
 * enhanced-usage property leaves out e-mail protection is no anchor for us. Immutable after loading, shared between threads.
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

/* finding: called for every entry that is left out or deserves a word (expired, not a CA, duplicate), may be NULL.
 * -1: a file cannot be read or holds no usable CA certificate (ERR_CONFIG). */
struct collection *collection_load(const struct collection_settings *settings,
				   const struct conf_report *report, struct err *err);
void collection_free(struct collection *collection);
const char *collection_name(const struct collection *collection);
/* May this collection vouch for the address (its `domains`)? */
bool collection_covers(const struct collection *collection, const struct address *address);
enum revocation_mode collection_revocation(const struct collection *collection);

#endif
