/* directory.h - where recipients' certificates come from: an interface, and drivers behind it (files; ldap in ldap/).
 *
 * Three answers that never share a value: found, none, could not ask.
 */
#ifndef PKI_DIRECTORY_H
#define PKI_DIRECTORY_H

#include "base/clock.h"
#include "base/conf.h"
#include "base/event.h"
#include "mail/pattern.h"
#include "pki/capability.h"
#include "pki/cert.h"
#include "pki/smimea.h"

struct directory_owner {			/* the person, or whatever has a mailbox, that a directory's entry is about */
	const struct address *addresses;	/* n of them, the primary one first; in the arena */
	size_t n;
};

struct directory_entry {
	struct cert *cert;			/* reference held by the answer's arena */
	struct capabilities capabilities;
	const char *attribute;			/* "userSMIMECertificate", a file name; in the arena */
	const struct directory_owner *owner;	/* NULL: the directory does not say */
	size_t value;				/* which value of the answer it came from, counted from 0 in the directory's order */
	bool preferred;				/* its owner marked it, among those of its value, for being encrypted to */
};

enum directory_status { DIRECTORY_NONE = 0, DIRECTORY_FOUND = 1, DIRECTORY_FAILED = -1 };

struct directory_answer {			/* a member more is one more in milter/lookup_wire.h */
	enum directory_status status;
	struct directory_entry *entries;	/* unordered, unchecked: candidate.h ranks them */
	size_t n;
	struct cert_list chain;			/* further certificates that came along: intermediates, untrusted */
	const char **problems;			/* values that are no certificate: "userCertificate: not DER at offset 0" */
	size_t problem_count;
	const struct smimea *associations;	/* what the address's domain says by DNSSEC about certificates, NONE too */
	size_t association_count;
	const char *failure;			/* FAILED, or stale: why it could not ask; printable ASCII, no secret. FOUND
						   of a group with certificates of its own: why not for its members */
	bool remembered;			/* from a cache: the directory itself was not asked now */
	int64_t age_ms;				/* remembered: since it was asked */
	bool stale;				/* remembered for longer than cache_s, and the directory could not be asked */
	struct directory_member *members;	/* the address is a group's: everybody in it, once each; entries are the
						   group's own. FOUND: with entries, or each member has some */
	size_t member_count;
	bool group;
};

struct directory_member {
	struct address address;			/* primary; in the arena; empty: has none, and problems[0] says who it is */
	struct directory_answer answer;		/* his own; no group */
};

struct directory_publication {		/* what somebody of ours wants others to find */
	const struct cert *const *certs;	/* n, at least 1; the one that others should use first */
	size_t n;
	struct slice value;			/* of userSMIMECertificate (RFC 2798), with certs[0]; empty: none */
	const char *bind_dn;			/* who may write; NULL: whoever reads */
	struct slice password;
};

struct directory_published {
	const char *where;			/* the entry, in the arena */
	size_t added, there;			/* values */
};

struct directory_class {
	/* Fills answers[i] for addresses[i], all in as few questions as possible, until clock_monotonic_ms says
	 * deadline_ms. What they point to may be shared with other threads: read only. Failure to ask is in
	 * answers[i].status; the function itself returns -1 only when the arena is exhausted. Thread-safe. */
	int (*find)(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		    struct directory_answer *answers, struct err *err);
	/* Is it there? 0 or -1 with *err: for `smimectl check` and `-n`. */
	int (*probe)(void *self, struct err *err);
	/* Adds to the entry of the address what it does not have. 1; 0: this kind of directory cannot be written to, as
	 * NULL says too; -1: ERR_POLICY (no entry, or several), ERR_TEMP. */
	int (*publish)(void *self, struct arena *arena, const struct address *address,
		       const struct directory_publication *publication, struct directory_published *published,
		       struct err *err);
	void (*free)(void *self);
};

struct directory {
	const struct directory_class *class;
	void *self;
	const char *name;		/* "files:/path", "ldap://host": named in explain, log, audit; no secret */
	bool trusted;			/* what it returns needs no collection */
	bool by_association;		/* of that, what its associations name by usage 3 alone (RFC 8162) */
	bool secondary_addresses;	/* a certificate may have any address of its owner, not the primary one alone */
	struct pattern_list domains;	/* whose addresses it is asked for; empty: all */
	int64_t timeout_ms;		/* find and probe are done within it, for all addresses of a question together */
};

#define DIRECTORY_TIMEOUT_MS 10000	/* of a directory whose driver sets no other when it is opened */

struct directory_env {			/* what a driver may use; outlives the directory */
	const struct clock *clock;
	const struct event_sink *sink;
	struct arena *arena;		/* for the site's lifetime */
	const char *state_dir;		/* where the program keeps what it has learned */
};

struct directory_driver {
	const char *type;
	const struct conf_table *table;	/* its settings struct begins with struct directory_settings */
	/* Opens without asking the network: a directory that is down at start is no error. Sets class, self, name;
	 * timeout_ms and secondary_addresses where they are not the default. */
	int (*open)(const void *settings, struct conf *conf, const struct conf_report *report,
		    const struct directory_env *env, struct directory *directory, struct err *err);
};

struct directory_settings {		/* common to all drivers */
	const char *type;
	bool trusted;
	struct conf_strings domains;	/* preset "*" */
	int64_t cache_s, negative_cache_s;	/* 0: such answers are not remembered; both 0: no cache */
	int64_t stale_s;		/* how much longer than cache_s found may stand in for a directory that is away */
	int64_t cache_mb;		/* memory for answers */
};

extern const struct directory_driver directory_files_driver;
extern const struct directory_driver directory_smimea_driver;	/* where libunbound is (HAVE_UNBOUND) */

/* directory_open: the driver's open, domains parsed, wrapped into a cache (directory_cache.h) when cache_s or
 * negative_cache_s is set. */
int directory_open(const struct directory_driver *driver, const struct directory_settings *settings, struct conf *conf,
		   const struct conf_report *report, const struct directory_env *env, struct directory *directory,
		   struct err *err);
void directory_free(struct directory *directory);
/* Is it to be asked about the address? */
bool directory_is_responsible(const struct directory *directory, const struct address *address);

#endif
