/* collection.c - a virtual certificate collection, loaded: which of a bundle's certificates are anchors, which serve as
 * intermediates, what is left out and why; the CRLs. Building and checking paths is path.c. Called by gate's site and
 * `smimectl collection`.
 *
 * Certificates stay in our own sorted arrays: an X509_STORE fills in quadratic time (SPECS B5) and would hand out every
 * certificate as a trusted one. Only the CRLs are in a store. */
#include "pki/collection.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/event.h"
#include "base/file.h"
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
	X509_STORE *crls;
	STACK_OF(X509_CRL) *deltas;	/* delta CRLs: not in crls, see collection_delta_revokes */
	struct buf crl_times;	/* of time_t */
	struct path_memory *memory;
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
	{ .name = "connect_ms", .type = CONF_INT, AT(connect_ms), .preset = "2000" },
	{ .name = "total_ms", .type = CONF_INT, AT(total_ms), .preset = "10000" },
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

/* A time that cannot be read is the same at all times. */
static int add_crl_time(struct loading *l, const ASN1_TIME *from)
{
	time_t at = 0;

	if (from == NULL || cert_read_time(from, &at) != 0)
		return 0;
	return buf_append(&l->collection->crl_times, &at, sizeof(at));
}

/* A CRL for looking serials up, or one that tells what came since another one. Takes a reference. */
static int keep_crl(struct collection *collection, X509_CRL *crl)
{
	if (X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) < 0)
		return X509_STORE_add_crl(collection->crls, crl) == 1 ? 0 : -1;
	if (X509_CRL_up_ref(crl) != 1)
		return -1;
	if (sk_X509_CRL_push(collection->deltas, crl) > 0)
		return 0;
	X509_CRL_free(crl);
	return -1;
}

static int add_crl(struct loading *l, const char *path, struct slice der, struct err *err)
{
	const unsigned char *p = (const unsigned char *)der.p;
	X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)der.n);
	const ASN1_TIME *next;
	int rc = -1;

	if (crl == NULL || keep_crl(l->collection, crl) != 0 ||
	    add_crl_time(l, X509_CRL_get0_lastUpdate(crl)) != 0 || add_crl_time(l, X509_CRL_get0_nextUpdate(crl)) != 0) {
		err_memory(err);
		goto out;
	}
	next = X509_CRL_get0_nextUpdate(crl);
	if (next != NULL && ASN1_TIME_cmp_time_t(next, l->now) == -1)
		note(l, path, "a CRL that is out of date");
	rc = 0;
out:
	X509_CRL_free(crl);
	ERR_clear_error();
	return rc;
}

static int add_entry(struct loading *l, const char *path, const struct bundle_entry *entry, struct err *err)
{
	if (entry->problem != NULL) {
		note(l, path, "at offset %zu: %s", entry->offset, entry->problem);
		return 0;
	}
	if (entry->cert != NULL)
		return add_cert(l, path, entry, err);
	return l->collection->revocation == REVOCATION_OFF ? 0 : add_crl(l, path, entry->crl_der, err);
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

static int load_crl_file(struct loading *l, const char *path, struct err *err)
{
	struct bundle bundle;
	int rc = 0;

	if (bundle_load(l->collection->arena, path, &bundle, err) != 0)
		return -1;
	for (size_t i = 0; i < bundle.n && rc == 0; i++) {
		if (bundle.entries[i].problem != NULL)
			note(l, path, "at offset %zu: %s", bundle.entries[i].offset, bundle.entries[i].problem);
		else if (bundle.entries[i].cert == NULL)
			rc = add_crl(l, path, bundle.entries[i].crl_der, err);
	}
	return rc;
}

/* A bad file among many does not take the good ones' CRLs away: certificates of its CA are "unknown" then. */
static int load_crls(struct loading *l, const char *path, struct err *err)
{
	struct err reason = { 0 };
	char **paths = NULL;
	size_t n = 0;

	if (!file_is_directory(path))
		return load_crl_file(l, path, err);
	if (file_list(l->collection->arena, path, &paths, &n, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (load_crl_file(l, paths[i], &reason) == 0)
			continue;
		if (reason.class != ERR_CONFIG)
			return err_set(err, reason.class, "%s", reason.text);
		note(l, path, "%s", reason.text);
	}
	return 0;
}

static int load_all(struct loading *l, struct err *err)
{
	const struct collection_settings *settings = l->settings;

	for (size_t i = 0; i < settings->files.n; i++)
		if (load_file(l, settings->files.items[i], err) != 0)
			return -1;
	if (settings->system && load_system(l, err) != 0)
		return -1;
	for (size_t i = 0; i < settings->crls.n && settings->revocation != REVOCATION_OFF; i++)
		if (load_crls(l, settings->crls.items[i], err) != 0)
			return -1;
	if (settings->fetch_hosts.n > 0)
		note(l, settings->name, "fetch_hosts has no effect: CRLs are read from `crls` only");
	return 0;
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

static struct collection *create(const struct collection_settings *settings, struct err *err)
{
	struct collection *collection = calloc(1, sizeof(*collection));

	if (collection == NULL)
		goto out;
	collection->arena = arena_new(0);
	collection->crls = X509_STORE_new();
	collection->deltas = sk_X509_CRL_new_null();
	collection->memory = path_memory_new();
	if (collection->crls != NULL)
		X509_STORE_set_get_issuer(collection->crls, path_crl_anchor);
	buf_init(&collection->crl_times, 0);
	if (collection->arena == NULL || collection->crls == NULL || collection->deltas == NULL || collection->memory == NULL ||
	    (collection->name = arena_strdup(collection->arena, settings->name)) == NULL)
		goto out;
	collection->revocation = (enum revocation_mode)settings->revocation;
	return collection;
out:
	collection_free(collection);
	err_memory(err);
	return NULL;
}

struct collection *collection_load(const struct collection_settings *settings, const struct conf_report *report,
				   struct err *err)
{
	struct collection *collection = create(settings, err);
	struct loading l = { .settings = settings, .report = report, .collection = collection,
			     .pinned = settings->pinned, .now = time(NULL) };

	if (collection == NULL)
		return NULL;
	buf_init(&l.found, 0);
	if (parse_domains(collection, &settings->domains, err) != 0 ||
	    read_policies(collection, &settings->policies, err) != 0 || load_all(&l, err) != 0 ||
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
	buf_clear(&collection->crl_times);
	X509_STORE_free(collection->crls);
	sk_X509_CRL_pop_free(collection->deltas, X509_CRL_free);
	sk_ASN1_OBJECT_pop_free(collection->policies, ASN1_OBJECT_free);
	arena_free(collection->arena);
	free(collection);
}

const char *collection_name(const struct collection *collection)
{
	return collection->name;
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

X509_STORE *collection_crls(const struct collection *collection)
{
	return collection->crls;
}

bool collection_delta_revokes(const struct collection *collection, X509 *cert, X509 *issuer)
{
	X509_REVOKED *entry = NULL;

	for (int i = 0; i < sk_X509_CRL_num(collection->deltas); i++) {
		X509_CRL *delta = sk_X509_CRL_value(collection->deltas, i);

		/* 2 would be removeFromCRL: who was on hold waits for the next complete CRL. */
		if (X509_NAME_cmp(X509_CRL_get_issuer(delta), X509_get_subject_name(issuer)) == 0 &&
		    X509_CRL_get0_by_cert(delta, &entry, cert) == 1 &&
		    X509_CRL_verify(delta, X509_get0_pubkey(issuer)) == 1)
			return true;
	}
	return false;
}

const time_t *collection_crl_times(const struct collection *collection, size_t *n)
{
	*n = collection->crl_times.n / sizeof(time_t);
	return (const time_t *)(const void *)collection->crl_times.p;
}

struct path_memory *collection_memory(const struct collection *collection)
{
	return collection->memory;
}
