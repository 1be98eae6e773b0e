/* site.h - everything configured, immutable after loading, shared by all threads of a worker (DESIGN 5).
 *
 * settings.c has the table of keys; site.c opens what they name: collections, directories, key stores, rules.
 */
#ifndef GATE_SITE_H
#define GATE_SITE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/event.h"
#include "gate/login.h"
#include "gate/settings.h"
#include "pki/collection.h"
#include "pki/directory.h"
#include "pki/keystore.h"
#include "policy/rule.h"

struct site_drivers {			/* which drivers this program was built with: NULL-terminated arrays */
	const struct directory_driver *const *directories;
	const struct keystore_driver *const *keystores;
	const char *(*journal_problem)(const char *url);	/* what is wrong with journal; NULL: nothing */
};

struct site {
	struct arena *arena;
	struct conf *conf;
	struct settings settings;
	struct clock clock;
	const struct event_sink *sink;
	const char *authserv_id;
	struct pattern_list local_domains;
	struct network_list internal_hosts, signing_hosts, trusted_results;
	struct login_table logins;	/* sender_login */
	struct buf journal_password;
	const struct collection **collections;
	size_t collection_count;
	struct directory *directories;
	size_t directory_count;
	struct keystore *keystores;
	size_t keystore_count;
	struct rule *rules;
	size_t rule_count;
};

struct site_env {
	const struct site_drivers *drivers;
	const struct clock *clock;
	const struct event_sink *sink;
	const struct conf_report *findings;	/* errors: the site is refused */
	const struct conf_report *warnings;	/* worth a word: no last rule, an expired anchor … */
	const struct revocation_wanted *wanted;	/* told what is to be fetched; outlives the site; NULL: nobody fetches */
};

/* Loads path. -1: *err is the first finding. */
int site_load(const char *path, const struct site_env *env, struct site **site, struct err *err);
void site_free(struct site *site);	/* NULL is fine */
/* Gives back keys and the journal's password, which are wiped, and directories: for a process that needs neither and
 * shares the site with none. */
void site_forget_secrets(struct site *site);
/* Gives back everything but directories, keys wiped: for the process that asks them. It has no rules and no collections
 * then. */
void site_keep_directories(struct site *site);

#endif
