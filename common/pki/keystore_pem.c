/* keystore_pem.c - own keys in PEM files: key, certificate and chain in one, or key and certificates in files that
 * share a name (alice.key, alice.crt). Other files are passed over, with a word where their name says that they should
 * hold something. No passphrase is ever asked for. Called by gate's site through the driver's table row; what comes out
 * is a keyring. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "pki/bundle.h"
#include "pki/keyring.h"
#include "pki/pem.h"

#define LIMIT_BYTES ((size_t)4 * 1024 * 1024)

struct pem_settings {
	const char *type;
	const char *path;
	bool hardware_only;
};

/* A file, the part of its name that it may share with others, and what is in it. */
struct named {
	struct slice stem;
	const char *path;
	size_t certs, keys;
	bool unread;
};

static const struct conf_row rows[] = {
	{ .name = "type", .type = CONF_STRING, .offset = offsetof(struct pem_settings, type), .required = true },
	{ .name = "path", .type = CONF_STRING, .offset = offsetof(struct pem_settings, path), .required = true },
	{ .name = "hardware_only", .type = CONF_BOOL, .offset = offsetof(struct pem_settings, hardware_only) },
	{ .name = NULL }
};

static const struct conf_table table = { .rows = rows, .size = sizeof(struct pem_settings) };

/* A daemon has nobody to ask. */
static int refuse_passphrase(char *out, int size, int writing, void *asked)
{
	(void)out;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static void add_block(struct keyring_load *load, const struct pem_block *block, const struct cert_list *certs,
		      const char *path)
{
	BIO *bio = BIO_new_mem_buf(block->whole.p, (int)block->whole.n);
	EVP_PKEY *pkey = NULL;
	bool encrypted = false;
	char reason[120];

	if (bio != NULL)
		pkey = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &encrypted);
	if (pkey != NULL)
		keyring_add(load, pkey, certs, path);
	else if (encrypted)
		keyring_finding(load, "%s: the key is encrypted: keep it in PKCS#12 with a passphrase_file", path);
	else
		keyring_finding(load, "%s: the key at offset %zu cannot be read: %s", path, block->offset,
				openssl_reason(reason, sizeof(reason)));
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	ERR_clear_error();
}

static bool is_key(const struct pem_block *block)
{
	return slice_ends_nocase(block->label, "PRIVATE KEY");
}

static size_t count_keys(struct slice text)
{
	struct pem_block block;
	size_t at = 0, n = 0;

	while (pem_next(text, &at, &block))
		n += is_key(&block);
	return n;
}

/* Whether a file holds a secret shows only when it has been read; then its mode counts. */
static int read_keys(struct named *file, struct buf *text, struct err *err)
{
	if (file_read(file->path, LIMIT_BYTES, text, err) != 0)
		return -1;
	file->keys = count_keys(buf_slice(text));
	return file->keys == 0 ? 0 : file_read_secret(file->path, LIMIT_BYTES, text, err);
}

static void add_keys(struct keyring_load *load, struct named *file, const struct cert_list *certs)
{
	struct pem_block block;
	struct err err = { 0 };
	struct buf text;
	size_t at = 0;

	buf_init(&text, 0);
	file->unread = read_keys(file, &text, &err) != 0;
	if (file->unread)
		keyring_finding(load, "%s", err.text);
	else
		while (pem_next(buf_slice(&text), &at, &block))
			if (is_key(&block))
				add_block(load, &block, certs, file->path);
	buf_clear(&text);
}

/* Certificates of a file, if it is one with certificates. -1: memory. */
static int take_certs(struct keyring_load *load, struct named *file, struct cert_list *certs)
{
	struct bundle bundle;

	if (bundle_load(load->arena, file->path, &bundle, NULL) != 0)
		return 0;
	for (size_t i = 0; i < bundle.n; i++) {
		if (bundle.entries[i].cert == NULL)
			continue;
		if (cert_list_add(certs, bundle.entries[i].cert) != 0)
			return -1;
		file->certs++;
	}
	return 0;
}

/* Somebody who put a file here expects something of it. A README is none of those. */
static void warn_of(struct keyring_load *load, const struct named *file, size_t keys)
{
	bool named_so = file->stem.n < strlen(file->path);

	if (file->unread)
		return;
	if (file->certs == 0 && file->keys == 0 && named_so)
		keyring_warning(load, "%s: neither a key nor a certificate in it that can be read", file->path);
	if (file->certs > 0 && keys == 0)
		keyring_warning(load, "%s: a certificate without a key, passed over", file->path);
}

static void add_group(struct keyring_load *load, struct named *files, size_t n)
{
	struct cert_list certs = { 0 };
	size_t keys = 0;

	for (size_t i = 0; i < n; i++)
		if (take_certs(load, &files[i], &certs) != 0)
			keyring_finding(load, "%s: out of memory", files[i].path);
	for (size_t i = 0; i < n; i++) {
		add_keys(load, &files[i], &certs);
		keys += files[i].keys;
	}
	for (size_t i = 0; i < n; i++)
		warn_of(load, &files[i], keys);
	cert_list_clear(&certs);
}

static struct slice stem_of(const char *path)
{
	static const char *const suffixes[] = { ".crt", ".cer", ".cert", ".pem", ".key", ".chain" };
	struct slice whole = slice_of(path);

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (slice_ends_nocase(whole, suffixes[i]))
			return slice_first(whole, whole.n - strlen(suffixes[i]));
	return whole;
}

static int by_stem(const void *a, const void *b)
{
	const struct named *one = a, *other = b;
	size_t n = one->stem.n < other->stem.n ? one->stem.n : other->stem.n;
	int order = memcmp(one->stem.p, other->stem.p, n);

	if (order == 0)
		order = (one->stem.n > n) - (other->stem.n > n);
	return order != 0 ? order : strcmp(one->path, other->path);
}

static void add_files(struct keyring_load *load, char **paths, size_t n)
{
	struct named *files = arena_array(load->arena, n, sizeof(*files));
	size_t end;

	if (files == NULL) {
		keyring_finding(load, "out of memory");
		return;
	}
	for (size_t i = 0; i < n; i++)
		files[i] = (struct named){ .stem = stem_of(paths[i]), .path = paths[i] };
	if (n > 1)
		qsort(files, n, sizeof(*files), by_stem);
	for (size_t start = 0; start < n; start = end) {
		for (end = start + 1; end < n && slice_equal(files[end].stem, files[start].stem); end++)
			;
		add_group(load, files + start, end - start);
	}
}

static int pem_open(const void *settings, struct conf *conf, const struct conf_report *report,
		    const struct conf_report *warnings, struct keystore *store, struct err *err)
{
	const struct pem_settings *own = settings;
	struct keyring_load load;
	char **paths = NULL;
	size_t n = 0;

	if (keyring_begin(&load, conf, &own->path, report, warnings, err) != 0)
		return -1;
	keyring_refuse_hardware(&load, &own->hardware_only);
	if (keyring_files(&load, own->path, &paths, &n) == 0)
		add_files(&load, paths, n);
	return keyring_end(&load, store);
}

const struct keystore_driver keystore_pem_driver = { .type = "pem", .table = &table, .open = pem_open };
