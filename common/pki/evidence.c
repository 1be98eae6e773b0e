/* evidence.c - snapshots: what the files hold, and the ways to find it, by issuer and by serial number. When which
 * file is read is evidence_store.c's. Called by that one, collection.c, revocation.c. */
#include "pki/evidence_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/event.h"
#include "pki/bundle_internal.h"
#include "pki/crl.h"
#include "pki/ocsp.h"

struct evidence {
	atomic_uint references;
	uint64_t number;
	struct evidence_file **files;
	size_t file_count;
	const struct crl **crls;	/* by issuer, the newest first */
	size_t crl_count;
	const struct ocsp **ocsp;	/* by serial number; one row for each answer */
	struct slice *serials;		/* the same rows */
	size_t ocsp_count;
	struct cert **certs;		/* the files' */
	size_t cert_count;
};

void evidence_note(const struct evidence_notes *notes, const char *format, ...)
{
	char raw[600], line[900];
	va_list args;
	int n;

	if (notes->report == NULL)
		return;
	n = snprintf(raw, sizeof(raw), "%.300s: ", notes->path);
	va_start(args, format);
	vsnprintf(raw + n, sizeof(raw) - (size_t)n, format, args);
	va_end(args);
	notes->report->finding(notes->report->self, event_escape(slice_of(raw), line, sizeof(line)));
}

static int add_crl(struct evidence_file *file, struct slice der, const struct evidence_notes *notes, struct err *err)
{
	struct crl *crl = crl_parse(der, err), **larger;

	if (crl == NULL)
		return -1;
	larger = reallocarray(file->crls, file->crl_count + 1, sizeof(*larger));
	if (larger == NULL) {
		crl_free(crl);
		return err_memory(err);
	}
	file->crls = larger;
	file->crls[file->crl_count++] = crl;
	if (crl->unusable != NULL)
		evidence_note(notes, "a CRL that is not used: %s", crl->unusable);
	else if (crl->next_update <= time(NULL))
		evidence_note(notes, "a CRL that is out of date");
	return 0;
}

static int add_entry(struct evidence_file *file, const struct bundle_entry *entry, const struct evidence_notes *notes,
		     struct err *err)
{
	struct err reason = { .class = ERR_NONE };

	if (entry->problem != NULL) {
		evidence_note(notes, "at offset %zu: %s", entry->offset, entry->problem);
		return 0;
	}
	if (entry->cert != NULL)
		return cert_list_add(&file->certs, entry->cert) == 0 ? 0 : err_memory(err);
	if (add_crl(file, entry->crl_der, notes, &reason) == 0)
		return 0;
	if (reason.class != ERR_MESSAGE)
		return err_set(err, reason.class, "%s", reason.text);
	evidence_note(notes, "at offset %zu: %s", entry->offset, reason.text);
	return 0;
}

static int read_bundle(struct evidence_file *file, struct slice bytes, const struct evidence_notes *notes,
		       struct err *err)
{
	struct arena *arena = arena_new(0);
	struct bundle bundle;
	int rc = -1;

	if (arena == NULL)
		return err_memory(err);
	if (bundle_parse(arena, bytes, &bundle, err) != 0)
		goto out;
	for (size_t i = 0; i < bundle.n; i++)
		if (add_entry(file, &bundle.entries[i], notes, err) != 0)
			goto out;
	rc = 0;
out:
	arena_free(arena);
	return rc;
}

static int read_content(struct evidence_file *file, struct slice bytes, bool ocsp, const struct evidence_notes *notes,
			struct err *err)
{
	if (crypt_sha256(bytes.p, bytes.n, file->sha256, err) != 0)
		return -1;
	if (ocsp) {
		file->ocsp = ocsp_parse(bytes, err);
		return file->ocsp == NULL ? -1 : 0;
	}
	/* the common case, without a copy of what may be large */
	if (bundle_is_der(bytes) && add_crl(file, bytes, notes, NULL) == 0)
		return 0;
	return read_bundle(file, bytes, notes, err);
}

struct evidence_file *evidence_file_parse(struct slice bytes, bool ocsp, const struct evidence_notes *notes,
					  struct err *err)
{
	struct evidence_file *file = calloc(1, sizeof(*file));

	if (file == NULL) {
		err_memory(err);
		return NULL;
	}
	atomic_init(&file->references, 1);
	file->bytes = bytes.n;
	if (read_content(file, bytes, ocsp, notes, err) == 0)
		return file;
	if (err != NULL && err->class == ERR_MESSAGE)
		err->class = ERR_CONFIG;
	evidence_file_free(file);
	return NULL;
}

struct evidence_file *evidence_file_ref(struct evidence_file *file)
{
	atomic_fetch_add(&file->references, 1);
	return file;
}

void evidence_file_free(struct evidence_file *file)
{
	if (file == NULL || atomic_fetch_sub(&file->references, 1) != 1)
		return;
	for (size_t i = 0; i < file->crl_count; i++)
		crl_free(file->crls[i]);
	free(file->crls);
	ocsp_free(file->ocsp);
	cert_list_clear(&file->certs);
	free(file);
}

static int by_issuer(const void *a, const void *b)
{
	const struct crl *one = *(const struct crl *const *)a, *other = *(const struct crl *const *)b;
	int order = X509_NAME_cmp(one->issuer, other->issuer);

	if (order != 0)
		return order;
	return one->this_update > other->this_update ? -1 : one->this_update < other->this_update;
}

static int compare_slices(struct slice a, struct slice b)
{
	int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return order != 0 ? order : a.n < b.n ? -1 : a.n > b.n;
}

struct row {
	struct slice serial;
	const struct ocsp *ocsp;
};

static int by_serial(const void *a, const void *b)
{
	return compare_slices(((const struct row *)a)->serial, ((const struct row *)b)->serial);
}

static void count(struct evidence *evidence)
{
	for (size_t i = 0; i < evidence->file_count; i++) {
		evidence->crl_count += evidence->files[i]->crl_count;
		evidence->cert_count += evidence->files[i]->certs.n;
		if (evidence->files[i]->ocsp != NULL)
			evidence->ocsp_count += ocsp_count(evidence->files[i]->ocsp);
	}
}

/* calloc of nothing may be NULL */
static void *array(size_t n, size_t size)
{
	return calloc(n == 0 ? 1 : n, size);
}

static int index_crls(struct evidence *evidence)
{
	size_t n = 0;

	evidence->crls = array(evidence->crl_count, sizeof(*evidence->crls));
	if (evidence->crls == NULL)
		return -1;
	for (size_t i = 0; i < evidence->file_count; i++)
		for (size_t k = 0; k < evidence->files[i]->crl_count; k++)
			evidence->crls[n++] = evidence->files[i]->crls[k];
	qsort(evidence->crls, n, sizeof(*evidence->crls), by_issuer);
	return 0;
}

static int index_certs(struct evidence *evidence)
{
	size_t n = 0;

	evidence->certs = array(evidence->cert_count, sizeof(struct cert *));
	if (evidence->certs == NULL)
		return -1;
	for (size_t i = 0; i < evidence->file_count; i++)
		for (size_t k = 0; k < evidence->files[i]->certs.n; k++)
			evidence->certs[n++] = evidence->files[i]->certs.items[k];
	return 0;
}

static int index_ocsp(struct evidence *evidence)
{
	struct row *rows = array(evidence->ocsp_count, sizeof(*rows));
	size_t n = 0;

	evidence->ocsp = array(evidence->ocsp_count, sizeof(*evidence->ocsp));
	evidence->serials = array(evidence->ocsp_count, sizeof(*evidence->serials));
	if (rows == NULL || evidence->ocsp == NULL || evidence->serials == NULL) {
		free(rows);
		return -1;
	}
	for (size_t i = 0; i < evidence->file_count; i++) {
		const struct ocsp *ocsp = evidence->files[i]->ocsp;

		for (size_t k = 0; ocsp != NULL && k < ocsp_count(ocsp); k++)
			rows[n++] = (struct row){ .serial = ocsp_serial(ocsp, k), .ocsp = ocsp };
	}
	qsort(rows, n, sizeof(*rows), by_serial);
	for (size_t i = 0; i < n; i++) {
		evidence->ocsp[i] = rows[i].ocsp;
		evidence->serials[i] = rows[i].serial;
	}
	free(rows);
	return 0;
}

struct evidence *evidence_new(struct evidence_file *const *files, size_t n, uint64_t number)
{
	struct evidence *evidence = calloc(1, sizeof(*evidence));

	if (evidence == NULL)
		return NULL;
	atomic_init(&evidence->references, 1);
	evidence->number = number;
	evidence->files = array(n, sizeof(struct evidence_file *));
	if (evidence->files == NULL)
		goto out;
	for (size_t i = 0; i < n; i++)
		if (files[i] != NULL)
			evidence->files[evidence->file_count++] = evidence_file_ref(files[i]);
	count(evidence);
	if (index_crls(evidence) == 0 && index_certs(evidence) == 0 && index_ocsp(evidence) == 0)
		return evidence;
out:
	evidence_free(evidence);
	return NULL;
}

struct evidence *evidence_of_crls(const struct slice *ders, size_t n)
{
	const struct evidence_notes silent = { .report = NULL };
	struct evidence_file *file = calloc(1, sizeof(*file));
	struct evidence *evidence = NULL;
	struct err err = { .class = ERR_NONE };

	if (file == NULL)
		return NULL;
	atomic_init(&file->references, 1);
	for (size_t i = 0; i < n; i++)
		if (add_crl(file, ders[i], &silent, &err) != 0 && err.class != ERR_MESSAGE)
			goto out;
	evidence = evidence_new(&file, 1, 0);
out:
	evidence_file_free(file);
	return evidence;
}

struct evidence *evidence_ref(struct evidence *evidence)
{
	atomic_fetch_add(&evidence->references, 1);
	return evidence;
}

void evidence_free(struct evidence *evidence)
{
	if (evidence == NULL || atomic_fetch_sub(&evidence->references, 1) != 1)
		return;
	for (size_t i = 0; i < evidence->file_count; i++)
		evidence_file_free(evidence->files[i]);
	free(evidence->files);
	free(evidence->crls);
	free(evidence->ocsp);
	free(evidence->serials);
	free(evidence->certs);
	free(evidence);
}

const struct crl *const *evidence_crls(const struct evidence *evidence, const X509_NAME *issuer, size_t *n)
{
	size_t low = 0, high = evidence->crl_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (X509_NAME_cmp(evidence->crls[middle]->issuer, issuer) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	while (high < evidence->crl_count && X509_NAME_cmp(evidence->crls[high]->issuer, issuer) == 0)
		high++;
	*n = high - low;
	return evidence->crls + low;
}

const struct ocsp *const *evidence_ocsp(const struct evidence *evidence, struct slice serial_der, size_t *n)
{
	size_t low = 0, high = evidence->ocsp_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_slices(evidence->serials[middle], serial_der) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	while (high < evidence->ocsp_count && slice_equal(evidence->serials[high], serial_der))
		high++;
	*n = high - low;
	return evidence->ocsp + low;
}

struct cert *const *evidence_certs(const struct evidence *evidence, size_t *n)
{
	*n = evidence->cert_count;
	return evidence->certs;
}

uint64_t evidence_number(const struct evidence *evidence)
{
	return evidence->number;
}

size_t evidence_size(const struct evidence *evidence)
{
	return evidence->crl_count + evidence->ocsp_count;
}
