/* site.c - opens what the configuration names. Every finding is reported, the first one is the error; a site is whole or
 * it is not there.
 */
#include "gate/site.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "pki/chain.h"
#include "policy/overlap.h"

#define AUTHSERV_ID_CHARACTERS \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

static int report(const struct site *site, const void *member, const struct conf_report *to, const char *text)
{
	char line[700];
	int n = snprintf(line, sizeof(line), "%s: %s", conf_where(site->conf, member), text);

	if (to != NULL && to->finding != NULL && n > 0)
		to->finding(to->self, line);
	return -1;
}

/* Keys of the top level whose function comes with later versions: a wish that would be read and not fulfilled. */
static int refuse_later(struct site *site, struct err *err)
{
	const struct settings *s = &site->settings;
	const struct { const char *key; const void *member; bool wanted; } keys[] = {
		{ "legacy_ciphers", &s->legacy_ciphers, s->legacy_ciphers },
	};
	int rc = 0;
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].wanted)
			rc = conf_finding(site->conf, keys[i].member, err,
					  "%s: known, but not available in this version", keys[i].key);
	return rc;
}

static int check_triggers(const struct site *site, struct err *err)
{
	const char *const *name = &site->settings.triggers.header;
	const char *problem = *name != NULL ? rule_strip_problem(*name) : NULL;

	return problem == NULL ? 0 : conf_finding(site->conf, name, err, "triggers.header: \"%s\" %s", *name, problem);
}

static int load_domains(struct site *site, struct err *err)
{
	const struct conf_strings *names = &site->settings.local_domains;
	struct pattern_list *list = &site->local_domains;
	struct err why;
	size_t i;

	list->items = arena_array(site->arena, names->n, sizeof(*list->items));
	if (list->items == NULL)
		return err_memory(err);
	for (i = 0; i < names->n; i++)
		if (pattern_parse_domain(site->arena, names->items[i], &list->items[i], &why) != 0)
			return conf_finding(site->conf, &names->items[i], err, "%s", why.text);
	list->n = names->n;
	return 0;
}

/* RFC 8601 2.2: the identifier as a token, so that every reader finds the same one. */
static int load_authserv_id(struct site *site, struct err *err)
{
	const char *given = site->settings.authserv_id;
	char host[256] = "";

	if (given != NULL && (*given == '\0' || given[strspn(given, AUTHSERV_ID_CHARACTERS)] != '\0'))
		return conf_finding(site->conf, &site->settings.authserv_id, err,
				    "authserv_id: \"%s\" is no host name or token", given);
	site->authserv_id = given;
	if (given != NULL)
		return 0;
	if (gethostname(host, sizeof(host) - 1) != 0 || host[0] == '\0')
		return err_set(err, ERR_CONFIG, "authserv_id is not set and the host has no name");
	site->authserv_id = arena_strdup(site->arena, host);
	return site->authserv_id != NULL ? 0 : err_memory(err);
}

/* Only a collection for which something is fetched looks at what was fetched. */
static struct collection *load_collection(const struct site *site, const struct collection_settings *settings,
					  const struct site_env *env, struct err *err)
{
	struct collection_env collection_env = { .report = env->warnings, .wanted = env->wanted };

	if (settings->fetch_hosts.n > 0) {
		collection_env.fetched_dir = arena_printf(site->arena, "%s/revocation", site->settings.state_dir);
		if (collection_env.fetched_dir == NULL) {
			err_memory(err);
			return NULL;
		}
	}
	return collection_load(settings, &collection_env, err);
}

/* The finding does not quote the URL: a password may be in it. */
static int check_journal(struct site *site, const struct site_env *env, struct err *err)
{
	const char *const *url = &site->settings.journal;
	const char *problem = NULL;

	if (*url == NULL || **url == '\0')
		return 0;
	problem = env->drivers->journal_problem != NULL ? env->drivers->journal_problem(*url) : NULL;
	return problem == NULL ? 0 : conf_finding(site->conf, url, err, "journal: %s", problem);
}

static int load_journal_password(struct site *site, struct err *err)
{
	const char *const *path = &site->settings.journal_password_file;
	struct buf *password = &site->journal_password;
	struct err why;

	if (*path == NULL || **path == '\0')
		return 0;
	return file_read_password(*path, password, &why) == 0 ? 0 :
	       conf_finding(site->conf, path, err, "journal_password_file: %s", why.text);
}

static int load_logins(struct site *site, struct err *err)
{
	const char *const *path = &site->settings.sender_login;

	if (*path == NULL || **path == '\0')
		return 0;
	return login_load(site->arena, *path, site->conf, path, &site->logins, err);
}

static int load_collections(struct site *site, const struct site_env *env, struct err *err)
{
	const struct conf_groups *groups = &site->settings.collections;
	struct collection *collection = NULL;
	struct err why;
	size_t i;
	int rc = 0;

	site->collections = arena_array(site->arena, groups->n, sizeof(*site->collections));
	if (site->collections == NULL)
		return err_memory(err);
	for (i = 0; i < groups->n; i++) {
		collection = load_collection(site, groups->items[i], env, &why);
		if (collection == NULL) {
			rc = conf_finding(site->conf, groups->items[i], err, "%s", why.text);
			continue;
		}
		site->collections[site->collection_count++] = collection;
	}
	return rc;
}

static const struct directory_driver *directory_driver_find(const struct site_drivers *drivers, const char *type)
{
	size_t i;

	for (i = 0; drivers->directories[i] != NULL; i++)
		if (strcmp(drivers->directories[i]->type, type) == 0)
			return drivers->directories[i];
	return NULL;
}

static const struct keystore_driver *keystore_driver_find(const struct site_drivers *drivers, const char *type)
{
	size_t i;

	for (i = 0; drivers->keystores[i] != NULL; i++)
		if (strcmp(drivers->keystores[i]->type, type) == 0)
			return drivers->keystores[i];
	return NULL;
}

static int load_directories(struct site *site, const struct site_env *env, struct err *err)
{
	const struct directory_env directory_env = { &site->clock, site->sink, site->arena,
							site->settings.state_dir };
	const struct conf_groups *groups = &site->settings.directories;
	const struct directory_settings *settings = NULL;
	const struct directory_driver *driver = NULL;
	size_t i;
	int rc = 0;

	site->directories = arena_array(site->arena, groups->n, sizeof(*site->directories));
	if (site->directories == NULL)
		return err_memory(err);
	for (i = 0; i < groups->n; i++) {
		settings = groups->items[i];
		driver = directory_driver_find(env->drivers, settings->type);
		if (driver == NULL || directory_open(driver, settings, site->conf, env->findings, &directory_env,
						     &site->directories[site->directory_count], err) != 0)
			rc = -1;
		else
			site->directory_count++;
	}
	return rc;
}

static int load_keystores(struct site *site, const struct site_env *env, struct err *err)
{
	const struct conf_groups *groups = &site->settings.keystores;
	const struct keystore_driver *driver = NULL;
	size_t i;
	int rc = 0;

	site->keystores = arena_array(site->arena, groups->n, sizeof(*site->keystores));
	if (site->keystores == NULL)
		return err_memory(err);
	for (i = 0; i < groups->n; i++) {
		driver = keystore_driver_find(env->drivers, *(const char *const *)groups->items[i]);
		if (driver == NULL || driver->open(groups->items[i], site->conf, env->findings, env->warnings,
						   &site->keystores[site->keystore_count], err) != 0)
			rc = -1;
		else
			site->keystore_count++;
	}
	return rc;
}

/* Where a key's file holds the leaf alone, readers would have to find the CAs between it and their root themselves. */
static int complete_chains(struct site *site, struct err *err)
{
	struct arena *arena = arena_new(0);
	struct key **keys = NULL;
	size_t n = 0;
	int rc = -1;

	if (arena == NULL)
		return err_memory(err);
	if (keystore_find(site->keystores, site->keystore_count, arena, NULL, &keys, &n, err) >= 0)
		rc = chain_complete(keys, n, site->collections, site->collection_count, err);
	arena_free(arena);
	return rc;
}

static const struct collection *collection_find(const struct site *site, const char *name)
{
	size_t i;

	for (i = 0; i < site->collection_count; i++)
		if (strcmp(collection_name(site->collections[i]), name) == 0)
			return site->collections[i];
	return NULL;
}

static const char *nearest_collection(struct site *site, const char *name)
{
	const char **names = arena_array(site->arena, site->collection_count + 1, sizeof(*names));
	const char *nearest = NULL;
	size_t i;

	for (i = 0; names != NULL && i < site->collection_count; i++)
		names[i] = collection_name(site->collections[i]);
	nearest = names != NULL ? conf_nearest(name, names) : NULL;
	return nearest != NULL ? nearest : "none that could be loaded is near";
}

/* A rule without `collection` uses every one. */
static int resolve_collections(struct site *site, struct rule *rule, struct err *err)
{
	const struct conf_strings *names = &rule->settings->collection;
	size_t i;

	rule->collections = site->collections;
	rule->collection_count = site->collection_count;
	if (names->n == 0)
		return 0;
	rule->collections = arena_array(site->arena, names->n, sizeof(*rule->collections));
	if (rule->collections == NULL)
		return err_memory(err);
	rule->collection_count = names->n;
	for (i = 0; i < names->n; i++) {
		rule->collections[i] = collection_find(site, names->items[i]);
		if (rule->collections[i] == NULL)
			return conf_finding(site->conf, &names->items[i], err,
					    "no collection is named \"%s\"; nearest: %s", names->items[i],
					    nearest_collection(site, names->items[i]));
	}
	return 0;
}

static int load_rules(struct site *site, struct err *err)
{
	const struct conf_groups *groups = &site->settings.rules;
	size_t i;
	int rc = 0;

	site->rules = arena_array(site->arena, groups->n, sizeof(*site->rules));
	if (site->rules == NULL)
		return err_memory(err);
	for (i = 0; i < groups->n; i++)
		if (rule_compile(site->arena, groups->items[i], site->conf, &site->rules[i], err) != 0 ||
		    resolve_collections(site, &site->rules[i], err) != 0)
			rc = -1;
	site->rule_count = groups->n;
	return rc;
}

/* Does the rule act on mail of that direction? */
static bool rule_meets(const struct rule *rule, enum direction direction)
{
	return rule->directions == 0 || (rule->directions & (1U << direction)) != 0;
}

/* Does a rule take every message of that direction? */
static bool rule_is_last(const struct rule *rule, enum direction direction)
{
	return rule_meets(rule, direction) && rule->sender.n == 0 &&
	       rule->recipient.n == 0 && rule->from.n == 0 && rule->client.n == 0 && rule->authenticated < 0 &&
	       rule->kinds == 0 && rule->settings->header.name == NULL && rule->settings->reply == REPLY_ANY;
}

static void warn_no_last_rule(const struct site *site, const struct conf_report *warnings)
{
	static const char *const texts[] = {
		"no last rule for inbound mail: where none matches it is verified against every collection and marked",
		"no last rule for outbound mail: where none matches it goes on unchanged",
		"no last rule for internal mail: where none matches it goes on unchanged",
	};
	int direction;
	size_t i;

	for (direction = DIRECTION_INBOUND; direction <= DIRECTION_INTERNAL; direction++) {
		for (i = 0; i < site->rule_count; i++)
			if (rule_is_last(&site->rules[i], (enum direction)direction))
				break;
		if (i == site->rule_count)
			report(site, &site->settings.rules, warnings, texts[direction]);
	}
}

static bool any_trusted_directory(const struct site *site)
{
	size_t i;

	for (i = 0; i < site->directory_count; i++)
		if (site->directories[i].trusted)
			return true;
	return false;
}

static bool any_harvested_directory(const struct site *site)
{
	const struct conf_groups *groups = &site->settings.directories;
	size_t i;

	for (i = 0; i < groups->n; i++)
		if (strcmp(((const struct directory_settings *)groups->items[i])->type, "harvested") == 0)
			return true;
	return false;
}

static bool any_never_asks(const struct rule *rule)
{
	size_t i;

	for (i = 0; i < rule->collection_count; i++)
		if (collection_revocation(rule->collections[i]) == REVOCATION_OFF)
			return true;
	return false;
}

/* Wishes of a rule that nothing in this configuration can fulfil. */
static void warn_rule(const struct site *site, const struct rule *rule, const struct conf_report *warnings)
{
	const struct rule_settings *s = rule->settings;
	bool sends = rule_meets(rule, DIRECTION_OUTBOUND) || rule_meets(rule, DIRECTION_INTERNAL);
	bool receives = rule_meets(rule, DIRECTION_INBOUND) || rule_meets(rule, DIRECTION_INTERNAL);
	bool verifies = s->verify == VERIFY_REJECT || s->require_protection.n > 0 || s->accept_signer.n > 0 ||
			s->harvest != HARVEST_OFF;
	const struct { const void *member; const char *text; bool wanted; } rows[] = {
		{ &s->sign, "sign: has no effect on inbound mail, for which alone this rule is",
		  s->sign != SIGN_NO && !sends },
		{ &s->encrypt, "encrypt: has no effect on inbound mail, for which alone this rule is",
		  s->encrypt != ENCRYPT_NO && !sends },
		{ s, "verify, require_protection, accept_signer, harvest: have no effect on outbound mail, for which alone "
		  "this rule is", verifies && !receives },
		{ &s->harvest, "harvest: no directory of type \"harvested\" uses what is learned",
		  s->harvest != HARVEST_OFF && !any_harvested_directory(site) },
		{ &s->sign, "sign: no keystore is configured", s->sign != SIGN_NO && site->keystore_count == 0 },
		{ &s->sign_for, "sign_for = \"login\" without sender_login: nothing will be signed",
		  s->sign_for == SIGN_FOR_LOGIN && site->logins.n == 0 },
		{ &s->encrypt, "encrypt: no directory is configured",
		  s->encrypt != ENCRYPT_NO && site->directory_count == 0 },
		{ &s->send_revocation, "send_revocation = \"hard\": a collection of this rule has revocation = \"off\": "
		  "for whom it vouches there will be no certificate but \"try later\"",
		  s->encrypt != ENCRYPT_NO && s->send_revocation == SEND_REVOCATION_HARD && any_never_asks(rule) },
		{ &s->encrypt, "encrypt: no collection vouches for certificates and no directory is trusted",
		  s->encrypt != ENCRYPT_NO && rule->collection_count == 0 && !any_trusted_directory(site) },
		{ &s->decrypt, "decrypt: not available in this version, encrypted mail is delivered as it came",
		  s->decrypt != 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].wanted)
			report(site, rows[i].member, warnings, rows[i].text);
}

/* An earlier rule that a sender can choose by what he writes, and that protects less. */
static void warn_overlap(const struct site *site, size_t index, const struct conf_report *warnings)
{
	const struct rule *rule = &site->rules[index];
	const char *lost = NULL;
	char text[400];
	size_t i;

	for (i = index + 1; i < site->rule_count; i++) {
		lost = overlap_weakens(rule, &site->rules[i]);
		if (lost == NULL)
			continue;
		snprintf(text, sizeof(text), "rule %s comes before rule %s, which requires %s: by its header, kind, reply or "
			 "from, which a sender can choose, a message gets past it", rule->id, site->rules[i].id, lost);
		report(site, rule->settings, warnings, text);
	}
}

/* Whose recipients may need another message than others? */
static bool may_differ(const struct site *site)
{
	const struct rule_settings *s = NULL, *first = NULL;
	size_t i;

	for (i = 0; i < site->rule_count; i++) {
		s = site->rules[i].settings;
		if (!rule_meets(&site->rules[i], DIRECTION_OUTBOUND) && !rule_meets(&site->rules[i], DIRECTION_INTERNAL))
			continue;
		if (s->encrypt != ENCRYPT_NO || (first != NULL && s->sign != first->sign))
			return true;
		first = s;
	}
	return false;
}

static void warn_reinject(const struct site *site, const struct conf_report *warnings)
{
	size_t i;

	if (site->settings.reinject.to != NULL)
		return;
	if (may_differ(site))
		report(site, &site->settings.reinject, warnings, "reinject.to is not set: a message whose recipients need "
		       "different treatment is refused");
	for (i = 0; i < site->rule_count; i++)
		if (site->rules[i].settings->no_certificate == NO_CERTIFICATE_DROP_RECIPIENT)
			report(site, &site->rules[i].settings->no_certificate, warnings,
			       "no_certificate = \"drop-recipient\" without reinject.to: nobody could tell the sender, so "
			       "the message is refused");
}

static void warn_collection(const struct site *site, const struct collection_settings *collection,
			    const struct conf_report *warnings)
{
	if (collection->revocation == REVOCATION_OFF && collection->fetch_hosts.n > 0)
		report(site, &collection->fetch_hosts, warnings, "fetch_hosts has no effect: revocation is \"off\"");
	if (collection->crls.n > 0 || collection->fetch_hosts.n > 0)
		return;
	if (collection->revocation == REVOCATION_SOFT)
		report(site, &collection->revocation, warnings,
		       "revocation = \"soft\" with neither crls nor fetch_hosts: every answer will be unknown");
	if (collection->revocation == REVOCATION_HARD)
		report(site, &collection->revocation, warnings,
		       "revocation = \"hard\" with neither crls nor fetch_hosts: no signature will pass, no certificate "
		       "will be used");
}

static void warn(const struct site *site, const struct conf_report *warnings)
{
	const struct settings *s = &site->settings;
	size_t i;

	warn_no_last_rule(site, warnings);
	for (i = 0; i < site->rule_count; i++)
		warn_rule(site, &site->rules[i], warnings);
	for (i = 0; i < site->rule_count; i++)
		warn_overlap(site, i, warnings);
	warn_reinject(site, warnings);
	for (i = 0; i < s->collections.n; i++)
		warn_collection(site, s->collections.items[i], warnings);
	if (s->local_domains.n == 0)
		report(site, &s->local_domains, warnings, "local_domains is empty: no recipient counts as internal");
	if (s->journal != NULL && s->journal[0] != '\0' && s->reinject.to == NULL)
		report(site, &s->journal, warnings, "journal has no effect: without reinject.to no copies are sent");
}

static int site_open(struct site *site, const char *path, const struct site_env *env, struct err *err)
{
	const struct conf_table *table = settings_table(site->arena, env->drivers);
	struct settings *s = &site->settings;
	int bad = 0;

	if (table == NULL)
		return err_memory(err);
	if (conf_load(path, table, s, env->findings, &site->conf, err) != 0)
		return -1;
	bad |= refuse_later(site, err);
	bad |= check_triggers(site, err);
	bad |= load_authserv_id(site, err);
	bad |= load_domains(site, err);
	bad |= network_list_compile(site->arena, &s->internal_hosts, site->conf, &site->internal_hosts, err);
	bad |= network_list_compile(site->arena, &s->signing_hosts, site->conf, &site->signing_hosts, err);
	bad |= network_list_compile(site->arena, &s->trusted_results, site->conf, &site->trusted_results, err);
	bad |= check_journal(site, env, err);
	bad |= load_journal_password(site, err);
	bad |= load_logins(site, err);
	bad |= load_collections(site, env, err);
	bad |= load_directories(site, env, err);
	bad |= load_keystores(site, env, err);
	bad |= complete_chains(site, err);
	bad |= load_rules(site, err);
	if (bad != 0)
		return -1;
	warn(site, env->warnings);
	return 0;
}

int site_load(const char *path, const struct site_env *env, struct site **site, struct err *err)
{
	struct arena *arena = arena_new(0);
	struct site *new = arena != NULL ? arena_alloc(arena, sizeof(*new)) : NULL;

	*site = NULL;
	if (new == NULL) {
		arena_free(arena);
		return err_memory(err);
	}
	new->arena = arena;
	new->clock = *env->clock;
	new->sink = env->sink;
	buf_init(&new->journal_password, 0);
	if (site_open(new, path, env, err) != 0) {
		site_free(new);
		return -1;
	}
	*site = new;
	return 0;
}

static void forget_keys(struct site *site)
{
	size_t i;

	for (i = 0; i < site->keystore_count; i++)
		site->keystores[i].class->free(site->keystores[i].self);
	site->keystore_count = 0;
	buf_clear(&site->journal_password);
}

static void free_collections(struct site *site)
{
	size_t i;

	for (i = 0; i < site->collection_count; i++)
		collection_free((struct collection *)(uintptr_t)site->collections[i]);
	site->collection_count = 0;
}

void site_forget_secrets(struct site *site)
{
	size_t i;

	forget_keys(site);
	for (i = 0; i < site->directory_count; i++)
		directory_free(&site->directories[i]);
	site->directory_count = 0;
}

void site_keep_directories(struct site *site)
{
	forget_keys(site);
	free_collections(site);
	site->rule_count = 0;
}

void site_free(struct site *site)
{
	struct conf *conf = NULL;

	if (site == NULL)
		return;
	site_forget_secrets(site);
	free_collections(site);
	conf = site->conf;
	arena_free(site->arena);
	conf_free(conf);
}
