/* keyring.c - keys in memory, found by address; and what the drivers that read them from files have in common. Called
 * by keystore_pem.c and keystore_pkcs12.c. Immutable once loaded, so shared by threads. */
#include "pki/keyring.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/event.h"
#include "base/file.h"

/* One address of one key. */
struct row {
	const struct address *address;
	struct key *key;
};

struct keyring {
	struct buf keys;	/* of struct key *, a reference each */
	struct buf rows;	/* of struct row, sorted */
};

static struct key **keys_of(const struct keyring *ring, size_t *n)
{
	*n = ring->keys.n / sizeof(struct key *);
	return (struct key **)(void *)ring->keys.p;
}

static void keyring_free(void *self)
{
	struct keyring *ring = self;
	size_t n = 0;
	struct key **keys;

	if (ring == NULL)
		return;
	keys = keys_of(ring, &n);
	for (size_t i = 0; i < n; i++)
		key_free(keys[i]);
	buf_clear(&ring->keys);
	buf_clear(&ring->rows);
	free(ring);
}

static int compare_nocase(struct slice a, struct slice b)
{
	for (size_t i = 0; i < a.n && i < b.n; i++) {
		int difference = ascii_tolower((unsigned char)a.p[i]) - ascii_tolower((unsigned char)b.p[i]);

		if (difference != 0)
			return difference;
	}
	return a.n < b.n ? -1 : a.n > b.n;
}

/* An order that calls equal what address_equal calls equal. */
static int compare_addresses(const struct address *a, const struct address *b)
{
	int order = compare_nocase(a->domain, b->domain);

	return order != 0 ? order : compare_nocase(a->local, b->local);
}

static int by_address(const void *a, const void *b)
{
	const struct row *one = a, *other = b;

	return compare_addresses(one->address, other->address);
}

/* The rows with the address: *n from the one returned on. */
static const struct row *find_rows(const struct keyring *ring, const struct address *address, size_t *n)
{
	const struct row *rows = (const struct row *)(const void *)ring->rows.p;
	size_t count = ring->rows.n / sizeof(*rows), low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_addresses(rows[middle].address, address) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (high = low; high < count && compare_addresses(rows[high].address, address) == 0; high++)
		;
	*n = high - low;
	return rows == NULL ? NULL : rows + low;
}

static int keyring_find(void *self, struct arena *arena, const struct address *address, struct key ***keys,
			size_t *count, struct err *err)
{
	const struct keyring *ring = self;
	const struct row *rows = NULL;
	size_t n = 0;
	struct key **all = keys_of(ring, &n), **list;

	*keys = NULL;
	*count = 0;
	if (address != NULL)
		rows = find_rows(ring, address, &n);
	if (n == 0)
		return 0;
	list = arena_array(arena, n, sizeof(struct key *));
	if (list == NULL)
		return err_memory(err);
	for (size_t i = 0; i < n; i++) {
		list[i] = key_ref(address != NULL ? rows[i].key : all[i]);
		if (key_defer(arena, list[i]) != 0)
			return err_memory(err);
	}
	*keys = list;
	*count = n;
	return 1;
}

static const struct keystore_class keyring_class = { .find = keyring_find, .free = keyring_free };

int keyring_begin(struct keyring_load *load, struct conf *conf, const void *member, const struct conf_report *report,
		  const struct conf_report *warnings, struct err *err)
{
	*load = (struct keyring_load){ .conf = conf, .member = member, .report = report, .warnings = warnings,
				       .err = err };
	load->ring = calloc(1, sizeof(*load->ring));
	load->arena = arena_new(0);
	if (load->ring != NULL && load->arena != NULL)
		return 0;
	free(load->ring);
	arena_free(load->arena);
	return err_memory(err);
}

void keyring_finding(struct keyring_load *load, const char *format, ...)
{
	char text[400], line[900];
	struct err later, *err = load->bad ? &later : load->err;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	load->bad = true;
	if (load->conf != NULL) {
		conf_finding(load->conf, load->member, err, "%s", text);
		return;
	}
	err_set(err, ERR_CONFIG, "%s", text);
	if (load->report != NULL)
		load->report->finding(load->report->self, event_escape(slice_of(text), line, sizeof(line)));
}

void keyring_warning(struct keyring_load *load, const char *format, ...)
{
	char text[400], line[900], escaped[900];
	va_list args;

	if (load->warnings == NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(line, sizeof(line), "%s%s%s", load->conf == NULL ? "" : conf_where(load->conf, load->member),
		 load->conf == NULL ? "" : ": ", text);
	load->warnings->finding(load->warnings->self, event_escape(slice_of(line), escaped, sizeof(escaped)));
}

void keyring_refuse_hardware(struct keyring_load *load, const bool *hardware_only)
{
	const void *member = load->member;

	if (!*hardware_only)
		return;
	load->member = hardware_only;
	keyring_finding(load, "hardware_only: known, but not available in this version");
	load->member = member;
}

static int add_key(struct keyring *ring, struct key *key)
{
	const struct cert_info *info = cert_info(key_cert(key));
	struct row row = { .key = key };

	if (buf_append(&ring->keys, &key, sizeof(struct key *)) != 0) {
		key_free(key);
		return -1;
	}
	for (size_t i = 0; i < info->address_count; i++) {
		row.address = &info->addresses[i];
		if (buf_append(&ring->rows, &row, sizeof(row)) != 0)
			return -1;
	}
	return 0;
}

static int take_cas(struct cert_list *cas, const struct cert_list *certs)
{
	for (size_t i = 0; i < certs->n; i++)
		if (cert_info(certs->items[i])->ca && cert_list_add(cas, certs->items[i]) != 0)
			return -1;
	return 0;
}

/* How many of certs belong to pkey, each a key now; -1: memory. */
static int add_matching(struct keyring_load *load, EVP_PKEY *pkey, const struct cert_list *certs,
			const struct cert_list *cas, const char *source)
{
	int count = 0;

	for (size_t i = 0; i < certs->n; i++) {
		struct key *key;

		if (X509_check_private_key(cert_x509(certs->items[i]), pkey) != 1)
			continue;
		key = key_new(certs->items[i], pkey, cas, source, NULL);
		if (key == NULL || add_key(load->ring, key) != 0)
			return -1;
		count++;
	}
	ERR_clear_error();
	return count;
}

void keyring_add(struct keyring_load *load, EVP_PKEY *pkey, const struct cert_list *certs, const char *source)
{
	struct cert_list cas = { 0 };
	int count = take_cas(&cas, certs) != 0 ? -1 : add_matching(load, pkey, certs, &cas, source);

	cert_list_clear(&cas);
	if (count < 0)
		keyring_finding(load, "%s: out of memory", source);
	else if (count == 0 && certs->n == 0)
		keyring_finding(load, "%s: a key without a certificate, in the same file or in NAME.crt", source);
	else if (count == 0)
		keyring_finding(load, "%s: the key belongs to none of the certificates beside it", source);
}

int keyring_end(struct keyring_load *load, struct keystore *store)
{
	arena_free(load->arena);
	if (load->bad) {
		keyring_free(load->ring);
		return -1;
	}
	if (load->ring->rows.n > sizeof(struct row))
		qsort(load->ring->rows.p, load->ring->rows.n / sizeof(struct row), sizeof(struct row), by_address);
	*store = (struct keystore){ .class = &keyring_class, .self = load->ring };
	return 0;
}

int keyring_files(struct keyring_load *load, const char *path, char ***paths, size_t *n)
{
	struct err err = { 0 };
	char **one;

	if (!file_is_directory(path)) {
		one = arena_alloc(load->arena, sizeof(*one));
		if (one == NULL || (one[0] = arena_strdup(load->arena, path)) == NULL) {
			keyring_finding(load, "%s: out of memory", path);
			return -1;
		}
		*paths = one;
		*n = 1;
		return 0;
	}
	if (file_check_directory(path, &err) != 0 || file_list(load->arena, path, paths, n, &err) != 0) {
		keyring_finding(load, "%s", err.text);
		return -1;
	}
	return 0;
}
