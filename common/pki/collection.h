/* collection.h - a virtual certificate collection: which CAs may vouch, and for whose addresses (INTERFACE 2).
 *
 * Anchors are its self-signed CA certificates. Other CA certificates serve as intermediates, never as anchors (one
 * whose issuer is missing is a finding). End-entity certificates are reported and vouch for nothing or, in a `pinned`
 * collection, each for itself alone. What an SST entry's enhanced-usage property, or a CA's own EKU, keeps from e-mail
 * protection is left out. CRLs among the files serve like those of `crls`, but stay as they were read, while files of
 * `crls` are followed (evidence.h). But for these, immutable after loading, shared between threads.
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
	bool pinned;			/* end-entity certificates of the files vouch for themselves */
	struct conf_strings policies;	/* OIDs (RFC 5280 6.1.1 c): a path needs one of them; none: any */
	int revocation;			/* enum revocation_mode */
	struct conf_strings crls;	/* files or directories of files, PEM or DER */
	struct conf_strings fetch_hosts;
	int64_t connect_ms, total_ms;
};

extern const struct conf_table collection_conf;

struct collection;
struct revocation_wanted;

struct collection_env {			/* must outlive the loading; wanted the collection */
	/* A line "FILE: text" for every entry that is left out or deserves a word (expired, not a CA, duplicate). May be
	 * NULL. */
	const struct conf_report *report;
	const char *fetched_dir;	/* where the fetch process puts what it got; need not be there; NULL: nowhere */
	const struct revocation_wanted *wanted;	/* told what is to be fetched, if there are fetch_hosts; NULL: nobody */
};

/* NULL: a file cannot be read or holds nothing that may vouch, there is no anchor at all and nothing
 * pinned, or a policy is no OID (ERR_CONFIG).
 * Expiry is judged by path_check, at the time that is asked for: expired certificates stay. */
struct collection *collection_load(const struct collection_settings *settings,
				   const struct collection_env *env, struct err *err);
void collection_free(struct collection *collection);
const char *collection_name(const struct collection *collection);
/* Its `files`, one behind another, as they were read; what `system` adds is not among it. */
struct slice collection_content(const struct collection *collection);
/* Which one it was: SHA-256 of that content, lower-case hex. */
const char *collection_sha256(const struct collection *collection);
/* May this collection vouch for the address (its `domains`)? */
bool collection_covers(const struct collection *collection, const struct address *address);
enum revocation_mode collection_revocation(const struct collection *collection);
/* For the fetch process: what the settings say, borrowed. */
const struct conf_strings *collection_fetch_hosts(const struct collection *collection);
int64_t collection_connect_ms(const struct collection *collection);
int64_t collection_total_ms(const struct collection *collection);

#endif
