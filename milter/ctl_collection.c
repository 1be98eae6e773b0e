/* ctl_collection.c - smimectl collection list and check: what is in files of certificates, and what of it vouches for
 * nothing or soon will not. Loading for use is pki/collection.c's business, reading of formats pki/bundle.c's.
 */
#include "milter/ctl.h"

#include <string.h>
#include <unistd.h>

#include "milter/report.h"

#define WEAK_RSA_BITS 2048

struct set {				/* entries that are looked at together, as one collection */
	const char *name;		/* NULL: files of the command line */
	struct report_entry *items;
	size_t n;
	const struct collection_settings *settings;
	struct collection *loaded;	/* NULL: none of them may vouch */
};

struct findings {
	struct report_finding *items;
	size_t n, capacity;
};

static int add_file(struct arena *arena, const char *file, struct set *set, struct err *err)
{
	struct report_entry *items = NULL;
	struct bundle bundle;
	size_t i;

	if (bundle_load(arena, file, &bundle, err) != 0)
		return -1;
	items = arena_array(arena, set->n + bundle.n + 1, sizeof(*items));
	if (items == NULL)
		return err_memory(err);
	if (set->n > 0)
		memcpy(items, set->items, set->n * sizeof(*items));
	for (i = 0; i < bundle.n; i++)
		items[set->n + i] = (struct report_entry){ file, &bundle.entries[i] };
	set->items = items;
	set->n += bundle.n;
	return 0;
}

static int add_files(struct arena *arena, const struct conf_strings *files, struct set *set, struct err *err)
{
	size_t i;

	for (i = 0; i < files->n; i++)
		if (add_file(arena, files->items[i], set, err) != 0)
			return -1;
	return 0;
}

static void print_entry(const struct report_entry *item)
{
	const struct bundle_entry *entry = item->entry;
	const struct cert_info *info = entry->cert != NULL ? cert_info(entry->cert) : NULL;
	char until[32];

	if (info == NULL) {
		printf("%s\toffset %zu\t%s\n", item->file, entry->offset,
		       entry->problem != NULL ? entry->problem : "CRL");
		return;
	}
	clock_format(info->not_after, until, sizeof(until));
	printf("%s\t%s\t%s\tuntil %s\t%s%s%s\n", item->file, info->serial, info->subject, until,
	       !info->ca ? "no CA" : info->self_signed ? "root" : "intermediate",
	       entry->friendly_name != NULL ? "\t" : "", entry->friendly_name != NULL ? entry->friendly_name : "");
}

int ctl_collection_list(struct ctl *ctl, struct err *err)
{
	const struct conf_strings files = { ctl->args.operands.items, ctl->args.operands.n };
	struct set set = { .name = NULL };
	size_t i;

	if (add_files(ctl->arena, &files, &set, err) != 0)
		return -1;
	if (ctl->json)
		return report_entries(stdout, set.items, set.n, err);
	for (i = 0; i < set.n; i++)
		print_entry(&set.items[i]);
	return CTL_DONE;
}

static int add_finding(struct arena *arena, struct findings *findings, const struct report_finding *finding,
		       struct err *err)
{
	const size_t capacity = findings->capacity > 0 ? 2 * findings->capacity : 16;
	struct report_finding *items = NULL;

	if (findings->n == findings->capacity) {
		items = arena_array(arena, capacity, sizeof(*items));
		if (items == NULL)
			return err_memory(err);
		if (findings->n > 0)
			memcpy(items, findings->items, findings->n * sizeof(*items));
		findings->items = items;
		findings->capacity = capacity;
	}
	findings->items[findings->n++] = *finding;
	return 0;
}

/* What is asked of one entry, in a run down a table: NULL, or what there is to say about it. */
struct question {
	struct arena *arena;
	const struct set *set;
	size_t index;
	time_t now;
};

static const struct cert_info *info_of(const struct question *q)
{
	return cert_info(q->set->items[q->index].entry->cert);
}

/* A finding is never lost for lack of words. */
static const char *said(const char *text)
{
	return text != NULL ? text : "out of memory";
}

static const char *time_text(const struct question *q, time_t at)
{
	char text[32];

	clock_format(at, text, sizeof(text));
	return said(arena_strdup(q->arena, text));
}

static const char *ask_expired(const struct question *q)
{
	return info_of(q)->not_after < q->now ? time_text(q, info_of(q)->not_after) : NULL;
}

static const char *ask_not_yet(const struct question *q)
{
	return info_of(q)->not_before > q->now ? time_text(q, info_of(q)->not_before) : NULL;
}

static const char *ask_ca(const struct question *q)
{
	if (info_of(q)->ca || q->set->settings->pinned)
		return NULL;
	return "not a CA certificate: it vouches for nothing, unless the collection says pinned = true";
}

static const char *ask_duplicate(const struct question *q)
{
	const struct cert *cert = q->set->items[q->index].entry->cert;
	size_t i;

	for (i = 0; i < q->index; i++)
		if (q->set->items[i].entry->cert != NULL && cert_equal(q->set->items[i].entry->cert, cert))
			return said(arena_printf(q->arena, "stands in %s too", q->set->items[i].file));
	return NULL;
}

static const char *ask_weak(const struct question *q)
{
	const struct cert_info *info = info_of(q);

	if ((info->key_kind == KEY_RSA || info->key_kind == KEY_RSA_PSS) && info->bits < WEAK_RSA_BITS)
		return said(arena_printf(q->arena, "RSA key of %u bits", info->bits));
	if (info->key_kind == KEY_EC_OTHER && info->bits < 256)
		return said(arena_printf(q->arena, "elliptic curve key of %u bits", info->bits));
	if (info->key_kind == KEY_OTHER)
		return "a kind of key that is not supported";
	return cert_signed_weakly(q->set->items[q->index].entry->cert) ?
	       "its issuer has signed it by an algorithm that can be forged: no chain through it is good" : NULL;
}

/* Roots are their own chain; of others the set itself must hold the way to a root. */
static const char *ask_chain(const struct question *q)
{
	const struct collection *const collections[] = { q->set->loaded };
	const struct path_query query = { .cert = q->set->items[q->index].entry->cert, .collections = collections,
					  .collection_count = 1, .at = q->now };
	struct path_result result;

	if (!info_of(q)->ca || info_of(q)->self_signed)
		return NULL;
	if (q->set->loaded == NULL)
		return "no root that could vouch for it";
	if (path_check(&query, &result, NULL) != 0)
		return "the chain could not be checked";
	if (result.chain != CHAIN_INCOMPLETE && result.chain != CHAIN_UNTRUSTED && result.chain != CHAIN_BAD)
		return NULL;
	return said(arena_strdup(q->arena, result.detail));
}

static const char *ask_usage(const struct question *q)
{
	const struct bundle_entry *entry = q->set->items[q->index].entry;
	const struct cert_info *info = info_of(q);

	if (info->ca && info->usage_given && (info->usage & USAGE_CERT_SIGN) == 0)
		return "a CA whose keyUsage allows no certificates";
	if (info->ca && info->eku_given && !info->eku_email && !info->eku_any)
		return "a CA whose EKU leaves out e-mail protection";
	return entry->eku_restricted && !entry->eku_email ? "its SST entry leaves out e-mail protection" : NULL;
}

/* Of a pinned one nothing but this depends on others. */
static const char *ask_revocation(const struct question *q)
{
	const struct collection *const collections[] = { q->set->loaded };
	const struct path_query query = { .cert = q->set->items[q->index].entry->cert, .collections = collections,
					  .collection_count = 1, .at = q->now };
	struct path_result result;

	if (info_of(q)->ca || !q->set->settings->pinned || q->set->loaded == NULL)
		return NULL;
	if (path_check(&query, &result, NULL) != 0)
		return "it could not be checked";
	if (result.chain != CHAIN_GOOD || result.revocation == REV_GOOD || result.revocation == REV_OFF)
		return NULL;
	return result.revocation == REV_REVOKED ? "pinned, and revoked by its CA" :
	       result.revocation == REV_STALE ? "pinned, and its CA's CRL is out of date" :
	       "pinned, and neither its CA nor a CRL in the collection tells whether it is revoked";
}

static const struct {
	const char *finding;
	const char *(*ask)(const struct question *);
} questions[] = {
	{ "expired", ask_expired },
	{ "not-yet-valid", ask_not_yet },
	{ "non-CA", ask_ca },
	{ "duplicate", ask_duplicate },
	{ "weak", ask_weak },
	{ "chain-incomplete", ask_chain },
	{ "revocation", ask_revocation },
	{ "usage", ask_usage },
};

static int check_entry(const struct question *q, struct findings *findings, struct err *err)
{
	const struct report_entry *at = &q->set->items[q->index];
	struct report_finding finding = { q->set->name, at, "bad", at->entry->problem };
	size_t i;

	if (at->entry->problem != NULL)
		return add_finding(q->arena, findings, &finding, err);
	if (at->entry->cert == NULL)
		return 0;
	for (i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		finding.finding = questions[i].finding;
		finding.detail = questions[i].ask(q);
		if (finding.detail != NULL && add_finding(q->arena, findings, &finding, err) != 0)
			return -1;
	}
	return 0;
}

static void free_loaded(void *collection)
{
	collection_free(collection);
}

/* files: those of settings. A set without a usable root is one with findings, which is no error; settings that cannot
 * be used are. */
static int check_set(struct ctl *ctl, const struct collection_settings *settings, struct set *set,
		     struct findings *findings, struct err *err)
{
	struct question question = { ctl->arena, set, 0, clock_now(&clock_system) };
	const size_t before = findings->n;
	struct err why;

	if (add_files(ctl->arena, &settings->files, set, err) != 0)
		return -1;
	set->settings = settings;
	set->loaded = collection_load(settings, &(struct collection_env){ .report = NULL }, &why);
	if (set->loaded != NULL && arena_defer(ctl->arena, free_loaded, set->loaded) != 0)
		return err_memory(err);
	for (question.index = 0; question.index < set->n; question.index++)
		if (check_entry(&question, findings, err) != 0)
			return -1;
	if (set->loaded == NULL && findings->n == before)
		return err_set(err, why.class, "%s", why.text);
	return 0;
}

static int check_configured(struct ctl *ctl, const struct collection_settings *settings, struct findings *findings,
			    struct err *err)
{
	struct set set = { .name = settings->name };

	return check_set(ctl, settings, &set, findings, err);
}

static int check_all(struct ctl *ctl, struct findings *findings, struct err *err)
{
	const struct conf_groups *groups = &ctl->settings->collections;
	size_t i;

	for (i = 0; i < groups->n; i++)
		if (check_configured(ctl, groups->items[i], findings, err) != 0)
			return -1;
	return 0;
}

/* A path, or something that is there under that name. */
static bool is_file(const char *word)
{
	return strchr(word, '/') != NULL || access(word, F_OK) == 0;
}

/* Names are checked each for itself, files together; only names need a configuration. */
static int check_words(struct ctl *ctl, struct findings *findings, struct err *err)
{
	const struct ctl_words *words = &ctl->args.operands;
	const struct collection_settings *settings = NULL;
	static const char *any[] = { "*" };
	struct collection_settings files = { .name = "files", .domains = { any, 1 }, .revocation = REVOCATION_OFF };
	struct set set = { .name = NULL };
	size_t i;

	files.files.items = arena_array(ctl->arena, words->n, sizeof(*files.files.items));
	if (files.files.items == NULL)
		return err_memory(err);
	for (i = 0; i < words->n; i++) {
		if (is_file(words->items[i])) {
			files.files.items[files.files.n++] = words->items[i];
			continue;
		}
		settings = ctl_collection_named(ctl, words->items[i]);
		if (settings == NULL)
			return err_set(err, ERR_CONFIG, "%s: neither a file nor a configured collection",
				       words->items[i]);
		if (check_configured(ctl, settings, findings, err) != 0)
			return -1;
	}
	return files.files.n > 0 ? check_set(ctl, &files, &set, findings, err) : 0;
}

static bool all_files(const struct ctl_words *words)
{
	size_t i;

	for (i = 0; i < words->n; i++)
		if (!is_file(words->items[i]))
			return false;
	return words->n > 0;
}

static void print_finding(const struct report_finding *finding)
{
	const struct bundle_entry *entry = finding->at->entry;
	const struct cert_info *info = entry->cert != NULL ? cert_info(entry->cert) : NULL;

	printf("%s: ", finding->at->file);
	if (info != NULL)
		printf("%s (serial %s): ", info->subject, info->serial);
	else
		printf("offset %zu: ", entry->offset);
	printf("%s: %s\n", finding->finding, finding->detail);
}

static int show(const struct ctl *ctl, const struct findings *findings, struct err *err)
{
	size_t i;

	if (ctl->json)
		return report_findings(stdout, findings->items, findings->n, err);
	for (i = 0; i < findings->n; i++)
		print_finding(&findings->items[i]);
	return 0;
}

int ctl_collection_check(struct ctl *ctl, struct err *err)
{
	const struct ctl_words *words = &ctl->args.operands;
	struct findings findings = { .n = 0 };
	int rc = -1;

	if (!all_files(words) && ctl_settings(ctl, err) != 0)
		return -1;
	rc = words->n > 0 ? check_words(ctl, &findings, err) : check_all(ctl, &findings, err);
	if (rc != 0 || show(ctl, &findings, err) != 0)
		return -1;
	return findings.n > 0 ? CTL_NOT_PASSED : CTL_DONE;
}
