/* collection.c - a virtual certificate collection, loaded: which of a bundle's certificates are anchors, which serve as
 * intermediates, what is left out and why; the CRLs. Building and checking paths is path.c. Called by gate's site and
 * `smimectl collection`.
 *
 * Certificates stay in our own sorted arrays: an X509_STORE fills in quadratic time (SPECS B5) and would hand out every
 * certificate as a trusted one. CRLs are evidence_store.c's, who follows their files. */
#include "pki/collection.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/event.h"
#include "base/file.h"
#include "pki/evidence.h"
#include "pki/known_cas.h"
#include "pki/path_memory.h"
#include "pki/pki_internal.h"

struct cert_array {
	struct cert **items;	/* by subject */
	size_t n;
};

#define PARTS 3
#define OID_CHARACTERS 128

struct collection {
	struct arena *arena;
	const char *name;
	struct pattern_list domains;
	enum revocation_mode revocation;
	STACK_OF(ASN1_OBJECT) *policies;	/* NULL: any will do */
	struct cert_array parts[PARTS];	/* by enum collection_part */
	struct evidence_store *evidence;	/* NULL: revocation is off */
	const struct revocation_wanted *wanted;	/* NULL: nobody fetches */
	struct conf_strings fetch_hosts;
	int64_t connect_ms, total_ms;
	struct buf content;		/* of all files */
	char sha256[2 * CRYPT_SHA256_BYTES + 1];
	struct path_memory *memory;
	struct known_cas *known_cas;
};

/* A certificate that vouches for something and where it was read. */
struct found {
	struct cert *cert;
	const char *path;
	size_t order;
};

struct loading {
	const struct collection_settings *settings;
	const struct conf_report *report;
	struct collection *collection;
	struct buf found;	/* of struct found */
	size_t used_in_file;
	bool pinned;		/* what is being read, the system's store is not */
	time_t now;
};

static const char *const revocation_names[] = { "off", "soft", "hard", NULL };

#define AT(member) .offset = offsetof(struct collection_settings, member)

static const struct conf_row rows[] = {
	{ .name = "name", .type = CONF_STRING, AT(name), .required = true, .unique = true },
	{ .name = "files", .type = CONF_STRINGS, AT(files) },
	{ .name = "domains", .type = CONF_STRINGS, AT(domains), .preset = "*" },
	{ .name = "system", .type = CONF_BOOL, AT(system) },
	{ .name = "pinned", .type = CONF_BOOL, AT(pinned) },
	{ .name = "policies", .type = CONF_STRINGS, AT(policies) },
	{ .name = "revocation", .type = CONF_ENUM, AT(revocation), .names = revocation_names },
	{ .name = "crls", .type = CONF_STRINGS, AT(crls) },
	{ .name = "fetch_hosts", .type = CONF_STRINGS, AT(fetch_hosts) },
	{ .name = "connect_ms", .type = CONF_INT, AT(connect_ms), .preset = "2000", .min = 1, .max = 600000 },
	{ .name = "total_ms", .type = CONF_INT, AT(total_ms), .preset = "10000", .min = 1, .max = 600000 },
	{ .name = NULL }
};

const struct conf_table collection_conf = { .rows = rows, .size = sizeof(struct collection_settings) };

__attribute__((format(printf, 3, 4)))
static void note(const struct loading *l, const char *path, const char *format, ...)
{
	char raw[600], line[900];
	va_list args;
	int n;

	if (l->report == NULL)
		return;
	n = snprintf(raw, sizeof(raw), "%.300s: ", path);
	va_start(args, format);
	vsnprintf(raw + n, sizeof(raw) - (size_t)n, format, args);
	va_end(args);
	l->report->finding(l->report->self, event_escape(slice_of(raw), line, sizeof(line)));
}

/* Why a certificate cannot vouch for anybody here; NULL: it can. A pinned one's usage is judged where it is used. */
static const char *unfit(const struct loading *l, const struct bundle_entry *entry)
{
	const struct cert_info *info = cert_info(entry->cert);

	if (!info->ca && !l->pinned)
		return "not a CA certificate, vouches for nothing (for itself it would with pinned = true)";
	if (info->ca && info->usage_given && (info->usage & USAGE_CERT_SIGN) == 0)
		return "a CA whose keyUsage allows no certificates, left out";
	if (info->ca && info->eku_given && !info->eku_email && !info->eku_any)
		return "a CA whose EKU leaves out e-mail protection, left out";
	if (entry->eku_restricted && !entry->eku_email)
		return "its enhanced-usage property leaves out e-mail protection, left out";
	return NULL;
}

static int add_cert(struct loading *l, const char *path, const struct bundle_entry *entry, struct err *err)
{
	const struct cert_info *info = cert_info(entry->cert);
	const char *reason = unfit(l, entry);
	struct found found = { .cert = entry->cert, .path = path, .order = l->found.n / sizeof(found) };
	char at[32];

	if (reason != NULL) {
		note(l, path, "%s: %s", info->subject, reason);
		return 0;
	}
	clock_format(info->not_after, at, sizeof(at));
	if (info->not_after < l->now)
		note(l, path, "%s: expired %s", info->subject, at);
	l->used_in_file++;
	return buf_append(&l->found, &found, sizeof(found)) != 0 ? err_memory(err) : 0;
}

static int add_crl(struct loading *l, const char *path, const struct bundle_entry *entry, struct err *err)
{
	struct err reason;

	if (evidence_store_add_crl(l->collection->evidence, entry->crl_der, &reason) == 0)
		return 0;
	if (reason.class == ERR_TEMP)
		return err_memory(err);
	note(l, path, "at offset %zu: %s", entry->offset, reason.text);
	return 0;
}

static int add_entry(struct loading *l, const char *path, const struct bundle_entry *entry, struct err *err)
{
	if (entry->problem != NULL) {
		note(l, path, "at offset %zu: %s", entry->offset, entry->problem);
		return 0;
	}
	if (entry->cert != NULL)
		return add_cert(l, path, entry, err);
	return l->collection->evidence == NULL ? 0 : add_crl(l, path, entry, err);
}

static int load_file(struct loading *l, const char *path, struct err *err)
{
	struct bundle bundle;

	l->used_in_file = 0;
	path = arena_strdup(l->collection->arena, path);
	if (path == NULL)
		return err_memory(err);
	if (bundle_load(l->collection->arena, path, &bundle, err) != 0)
		return -1;
	for (size_t i = 0; i < bundle.n; i++)
		if (add_entry(l, path, &bundle.entries[i], err) != 0)
			return -1;
	if (l->used_in_file == 0)
		return err_set(err, ERR_CONFIG, "%s: no usable CA certificate%s", path,
			       l->pinned ? " and nothing to pin" : "");
	return 0;
}

/* OpenSSL's default: one file, or a directory with many. What other programs put there is not ours to complain of. */
static int load_system(struct loading *l, struct err *err)
{
	const struct conf_report *report = l->report;
	char **paths = NULL;
	size_t n = 0;
	int rc = -1;

	l->report = NULL;
	l->pinned = false;
	if (load_file(l, X509_get_default_cert_file(), err) == 0) {
		rc = 0;
		goto out;
	}
	if (file_list(l->collection->arena, X509_get_default_cert_dir(), &paths, &n, err) != 0)
		goto out;
	for (size_t i = 0; i < n; i++)
		load_file(l, paths[i], NULL);
	rc = l->found.n > 0 ? 0 : err_set(err, ERR_CONFIG, "%s: no usable CA certificate", X509_get_default_cert_dir());
out:
	l->report = report;
	return rc;
}

/* Own files first: what the fetch process brings does not keep them away, when there is too much. */
static int load_evidence(struct loading *l, const struct collection_env *env, struct err *err)
{
	const struct conf_strings *crls = &l->settings->crls;
	struct evidence_store *store = l->collection->evidence;

	if (store == NULL)
		return 0;
	for (size_t i = 0; i < crls->n; i++)
		if (evidence_store_add(store, crls->items[i], false, err) != 0)
			return -1;
	if (env->fetched_dir != NULL && evidence_store_add(store, env->fetched_dir, true, err) != 0)
		return -1;
	return evidence_store_load(store, l->report, err);
}

static int identify(struct loading *l, struct err *err)
{
	const struct conf_strings *files = &l->settings->files;
	struct buf *content = &l->collection->content;
	unsigned char sum[CRYPT_SHA256_BYTES];
	struct buf bytes;
	int rc = -1;

	buf_init(&bytes, 0);
	for (size_t i = 0; i < files->n; i++) {
		if (file_read(files->items[i], 0, &bytes, err) != 0)
			goto out;
		if (buf_append_slice(content, buf_slice(&bytes)) != 0) {
			err_memory(err);
			goto out;
		}
	}
	if (crypt_sha256(content->p, content->n, sum, err) != 0)
		goto out;
	crypt_hex(sum, sizeof(sum), l->collection->sha256);
	rc = 0;
out:
	buf_clear(&bytes);
	return rc;
}

static int load_all(struct loading *l, const struct collection_env *env, struct err *err)
{
	const struct collection_settings *settings = l->settings;

	for (size_t i = 0; i < settings->files.n; i++)
		if (load_file(l, settings->files.items[i], err) != 0)
			return -1;
	if (settings->system && load_system(l, err) != 0)
		return -1;
	if (identify(l, err) != 0)
		return -1;
	return load_evidence(l, env, err);
}

static int by_bytes(const void *a, const void *b)
{
	const struct found *one = a, *other = b;
	int order = strcmp(cert_info(one->cert)->sha256, cert_info(other->cert)->sha256);

	return order != 0 ? order : one->order < other->order ? -1 : 1;
}

static const X509_NAME *subject_of(const struct cert *cert)
{
	return X509_get_subject_name(cert_x509(cert));
}

static int by_subject(const void *a, const void *b)
{
	struct cert *const *one = a, *const *other = b;

	return X509_NAME_cmp(subject_of(*one), subject_of(*other));
}

static enum collection_part part_of(const struct cert *cert)
{
	if (!cert_info(cert)->ca)
		return COLLECTION_PINNED;
	return cert_info(cert)->self_signed ? COLLECTION_ANCHORS : COLLECTION_INTERMEDIATES;
}

/* Each certificate once, to the part it belongs to. */
static int sort_out(struct loading *l, struct err *err)
{
	struct found *found = (struct found *)(void *)l->found.p;
	size_t n = l->found.n / sizeof(*found);

	if (n > 1)
		qsort(found, n, sizeof(*found), by_bytes);
	for (int i = 0; i < PARTS; i++) {
		l->collection->parts[i].items = arena_array(l->collection->arena, n, sizeof(struct cert *));
		if (l->collection->parts[i].items == NULL)
			return err_memory(err);
	}
	for (size_t i = 0; i < n; i++) {
		struct cert_array *part = &l->collection->parts[part_of(found[i].cert)];

		if (i > 0 && cert_equal(found[i - 1].cert, found[i].cert))
			note(l, found[i].path, "%s: there already", cert_info(found[i].cert)->subject);
		else
			part->items[part->n++] = found[i].cert;
	}
	for (struct cert_array *part = l->collection->parts; part < l->collection->parts + PARTS; part++)
		if (part->n > 1)
			qsort(part->items, part->n, sizeof(struct cert *), by_subject);
	return 0;
}

struct cert *const *collection_find(const struct collection *collection, enum collection_part part,
				    const X509_NAME *name, size_t *n)
{
	const struct cert_array *array = &collection->parts[part];
	size_t low = 0, high = array->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (X509_NAME_cmp(subject_of(array->items[middle]), name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (high = low; high < array->n && X509_NAME_cmp(subject_of(array->items[high]), name) == 0; high++)
		;
	*n = high - low;
	return array->items + low;
}

static void note_without_issuer(const struct loading *l, enum collection_part part, const char *consequence)
{
	const struct cert_array *array = &l->collection->parts[part];
	size_t anchors = 0, others = 0;

	for (size_t i = 0; i < array->n; i++) {
		const X509_NAME *issuer = X509_get_issuer_name(cert_x509(array->items[i]));

		collection_find(l->collection, COLLECTION_ANCHORS, issuer, &anchors);
		collection_find(l->collection, COLLECTION_INTERMEDIATES, issuer, &others);
		if (anchors + others == 0)
			note(l, l->collection->name, "%s: its issuer is not in the collection: %s",
			     cert_info(array->items[i])->subject, consequence);
	}
}

static void note_incomplete(const struct loading *l)
{
	note_without_issuer(l, COLLECTION_INTERMEDIATES, "it vouches for nothing");
	if (l->collection->revocation != REVOCATION_OFF)
		note_without_issuer(l, COLLECTION_PINNED, "nobody tells whether it is revoked");
}

static int parse_domains(struct collection *collection, const struct conf_strings *domains, struct err *err)
{
	struct pattern *items = arena_array(collection->arena, domains->n, sizeof(*items));

	if (items == NULL)
		return err_memory(err);
	for (size_t i = 0; i < domains->n; i++)
		if (pattern_parse_domain(collection->arena, domains->items[i], &items[i], err) != 0)
			return -1;
	collection->domains = (struct pattern_list){ .items = items, .n = domains->n };
	return 0;
}

/* OpenSSL reads more than the one spelling of an OID: blanks, leading zeros, too many arcs. NULL: memory, or no OID. */
static ASN1_OBJECT *read_oid(const char *text)
{
	ASN1_OBJECT *oid = strlen(text) < OID_CHARACTERS ? OBJ_txt2obj(text, 1) : NULL;
	char again[OID_CHARACTERS];

	if (oid != NULL && (OBJ_obj2txt(again, sizeof(again), oid, 1) <= 0 || strcmp(again, text) != 0)) {
		ASN1_OBJECT_free(oid);
		oid = NULL;
	}
	ERR_clear_error();
	return oid;
}

static int read_policies(struct collection *collection, const struct conf_strings *policies, struct err *err)
{
	ASN1_OBJECT *oid;

	if (policies->n == 0)
		return 0;
	collection->policies = sk_ASN1_OBJECT_new_null();
	if (collection->policies == NULL)
		return err_memory(err);
	for (size_t i = 0; i < policies->n; i++) {
		oid = read_oid(policies->items[i]);
		if (oid == NULL)
			return err_set(err, ERR_CONFIG, "policies: \"%.150s\" is no object identifier",
				       policies->items[i]);
		if (sk_ASN1_OBJECT_push(collection->policies, oid) <= 0) {
			ASN1_OBJECT_free(oid);
			return err_memory(err);
		}
	}
	return 0;
}

static int copy_strings(struct arena *arena, const struct conf_strings *from, struct conf_strings *to)
{
	to->items = arena_array(arena, from->n, sizeof(*to->items));
	for (to->n = 0; to->items != NULL && to->n < from->n; to->n++)
		if ((to->items[to->n] = arena_strdup(arena, from->items[to->n])) == NULL)
			return -1;
	return to->items == NULL ? -1 : 0;
}

static int fill(struct collection *collection, const struct collection_settings *settings,
		const struct collection_env *env)
{
	buf_init(&collection->content, 0);
	collection->arena = arena_new(0);
	collection->memory = path_memory_new();
	collection->known_cas = known_cas_new();
	if (collection->arena == NULL || collection->memory == NULL ||
	    (collection->name = arena_strdup(collection->arena, settings->name)) == NULL ||
	    copy_strings(collection->arena, &settings->fetch_hosts, &collection->fetch_hosts) != 0)
		return -1;
	collection->connect_ms = settings->connect_ms;
	collection->total_ms = settings->total_ms;
	collection->revocation = (enum revocation_mode)settings->revocation;
	if (collection->revocation == REVOCATION_OFF)
		return 0;
	if (settings->fetch_hosts.n > 0)
		collection->wanted = env->wanted;
	collection->evidence = evidence_store_new(&clock_system);
	return collection->evidence == NULL ? -1 : 0;
}

static struct collection *create(const struct collection_settings *settings, const struct collection_env *env,
				 struct err *err)
{
	struct collection *collection = calloc(1, sizeof(*collection));

	if (collection != NULL && fill(collection, settings, env) == 0)
		return collection;
	collection_free(collection);
	err_memory(err);
	return NULL;
}

struct collection *collection_load(const struct collection_settings *settings, const struct collection_env *env,
				   struct err *err)
{
	struct collection *collection = create(settings, env, err);
	struct loading l = { .settings = settings, .report = env->report, .collection = collection,
			     .pinned = settings->pinned, .now = time(NULL) };

	if (collection == NULL)
		return NULL;
	buf_init(&l.found, 0);
	if (parse_domains(collection, &settings->domains, err) != 0 ||
	    read_policies(collection, &settings->policies, err) != 0 || load_all(&l, env, err) != 0 ||
	    sort_out(&l, err) != 0)
		goto out;
	if (collection->parts[COLLECTION_ANCHORS].n + collection->parts[COLLECTION_PINNED].n == 0) {
		err_set(err, ERR_CONFIG, "collection %s has no self-signed CA certificate", settings->name);
		goto out;
	}
	note_incomplete(&l);
	buf_clear(&l.found);
	return collection;
out:
	buf_clear(&l.found);
	collection_free(collection);
	return NULL;
}

void collection_free(struct collection *collection)
{
	if (collection == NULL)
		return;
	path_memory_free(collection->memory);
	known_cas_free(collection->known_cas);
	buf_clear(&collection->content);
	evidence_store_free(collection->evidence);
	sk_ASN1_OBJECT_pop_free(collection->policies, ASN1_OBJECT_free);
	arena_free(collection->arena);
	free(collection);
}

const char *collection_name(const struct collection *collection)
{
	return collection->name;
}

struct slice collection_content(const struct collection *collection)
{
	return buf_slice(&collection->content);
}

const char *collection_sha256(const struct collection *collection)
{
	return collection->sha256;
}

bool collection_covers(const struct collection *collection, const struct address *address)
{
	return pattern_list_match(&collection->domains, address);
}

enum revocation_mode collection_revocation(const struct collection *collection)
{
	return collection->revocation;
}

STACK_OF(ASN1_OBJECT) *collection_policies(const struct collection *collection)
{
	return collection->policies;
}

const struct conf_strings *collection_fetch_hosts(const struct collection *collection)
{
	return &collection->fetch_hosts;
}

int64_t collection_connect_ms(const struct collection *collection)
{
	return collection->connect_ms;
}

int64_t collection_total_ms(const struct collection *collection)
{
	return collection->total_ms;
}

struct evidence *collection_evidence(const struct collection *collection)
{
	return collection->evidence == NULL ? NULL : evidence_store_get(collection->evidence);
}

struct evidence_store *collection_evidence_store(const struct collection *collection)
{
	return collection->evidence;
}

const struct revocation_wanted *collection_wanted(const struct collection *collection)
{
	return collection->wanted;
}

struct known_cas *collection_known_cas(const struct collection *collection)
{
	return collection->known_cas;
}

struct path_memory *collection_memory(const struct collection *collection)
{
	return collection->memory;
}
