/* bundle.c - files with certificates: which format a file has, and the entries that all formats fill. The formats are
 * bundle_sst.c, bundle_pem.c, bundle_p7b.c, bundle_outlook.c, and a single DER object here; a new one is a function and a
 * row. What the certificates are good for is collection.c's and the directories' matter, who call this. */
#include "pki/bundle.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/event.h"
#include "base/file.h"
#include "pki/bundle_internal.h"
#include "pki/pki_internal.h"

#define LIMIT_BYTES ((size_t)64 * 1024 * 1024)
#define LIMIT_ENTRIES 100000
#define FIRST_ENTRIES 8

/* Asked in this order: SST and PEM have marks of their own, P7B is a kind of DER. */
static const struct {
	enum bundle_format format;
	bool (*is)(struct slice bytes);
	int (*read)(struct bundle_reader *reader, struct slice bytes, struct err *err);
} formats[] = {
	{ BUNDLE_SST, bundle_is_sst, bundle_read_sst },
	{ BUNDLE_P7B, bundle_is_p7b, bundle_read_p7b },
	{ BUNDLE_DER, bundle_is_der, bundle_read_der },
	{ BUNDLE_PEM, bundle_is_pem, bundle_read_pem },
	{ BUNDLE_PEM, bundle_is_base64, bundle_read_base64 },
	{ BUNDLE_OUTLOOK, bundle_is_outlook, bundle_read_outlook },
};

static int enlarge(struct bundle_reader *reader)
{
	size_t capacity = reader->capacity == 0 ? FIRST_ENTRIES : reader->capacity * 2;
	struct bundle_entry *larger = arena_array(reader->arena, capacity, sizeof(*larger));

	if (larger == NULL)
		return -1;
	if (reader->capacity > 0)
		memcpy(larger, reader->bundle->entries, reader->capacity * sizeof(*larger));
	reader->bundle->entries = larger;
	reader->capacity = capacity;
	return 0;
}

int bundle_add(struct bundle_reader *reader, const struct bundle_entry *entry, struct err *err)
{
	struct bundle *bundle = reader->bundle;

	if (bundle->n >= LIMIT_ENTRIES)
		return err_set(err, ERR_LIMIT, "more than %d certificates in one file", LIMIT_ENTRIES);
	if (bundle->n == reader->capacity && enlarge(reader) != 0)
		return err_memory(err);
	bundle->entries[bundle->n++] = *entry;
	return 0;
}

int bundle_add_problem(struct bundle_reader *reader, struct bundle_entry entry, struct err *err, const char *format,
		       ...)
{
	char raw[256], line[256];
	va_list args;

	va_start(args, format);
	vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	entry.cert = NULL;
	entry.problem = arena_strdup(reader->arena, event_escape(slice_of(raw), line, sizeof(line)));
	return entry.problem == NULL ? err_memory(err) : bundle_add(reader, &entry, err);
}

int bundle_add_cert(struct bundle_reader *reader, struct bundle_entry entry, struct slice der, struct err *err)
{
	struct err reason = { 0 };

	entry.cert = cert_from_der(der, &reason);
	if (entry.cert == NULL && reason.class == ERR_MESSAGE)
		return bundle_add_problem(reader, entry, err, "%s", reason.text);
	if (entry.cert == NULL || cert_defer(reader->arena, entry.cert) != 0)
		return err_memory(err);
	return bundle_add(reader, &entry, err);
}

/* 1 a CRL and nothing behind it, 0 not. */
static int is_crl(struct slice der)
{
	const unsigned char *start = (const unsigned char *)der.p, *p = start;
	X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)der.n);
	int is = crl != NULL && p == start + der.n;

	X509_CRL_free(crl);
	ERR_clear_error();
	return is;
}

int bundle_add_crl(struct bundle_reader *reader, struct bundle_entry entry, struct slice der, struct err *err)
{
	if (!is_crl(der))
		return bundle_add_problem(reader, entry, err, "RFC 5280 5.1: not a certificate revocation list");
	entry.crl_der = arena_copy(reader->arena, der);
	return entry.crl_der.p == NULL ? err_memory(err) : bundle_add(reader, &entry, err);
}

/* A SEQUENCE with a long length: no text begins so, and no certificate is shorter than 128 bytes. */
bool bundle_is_der(struct slice bytes)
{
	return bytes.n > 2 && bytes.p[0] == 0x30 && ((unsigned char)bytes.p[1] & 0x80) != 0;
}

int bundle_read_der(struct bundle_reader *reader, struct slice bytes, struct err *err)
{
	struct bundle_entry entry = { 0 };

	if (is_crl(bytes))
		return bundle_add_crl(reader, entry, bytes, err);
	entry.cert = cert_from_der(bytes, err);
	if (entry.cert == NULL)
		return -1;
	if (cert_defer(reader->arena, entry.cert) != 0)
		return err_memory(err);
	return bundle_add(reader, &entry, err);
}

int bundle_parse(struct arena *arena, struct slice bytes, struct bundle *bundle, struct err *err)
{
	struct bundle_reader reader = { .arena = arena, .bundle = bundle };

	*bundle = (struct bundle){ 0 };
	if (bytes.n > LIMIT_BYTES)
		return err_set(err, ERR_LIMIT, "larger than %zu bytes", LIMIT_BYTES);
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (!formats[i].is(bytes))
			continue;
		bundle->format = formats[i].format;
		return formats[i].read(&reader, bytes, err);
	}
	return err_set(err, ERR_MESSAGE, "neither PEM, DER, P7B nor SST at offset 0");
}

int bundle_load(struct arena *arena, const char *path, struct bundle *bundle, struct err *err)
{
	struct buf bytes;
	int rc = -1;

	buf_init(&bytes, 0);
	if (file_read(path, LIMIT_BYTES, &bytes, err) != 0)
		goto out;
	if (bundle_parse(arena, buf_slice(&bytes), bundle, err) != 0) {
		if (err != NULL && err->class == ERR_MESSAGE)
			err->class = ERR_CONFIG;
		err_prefix(err, "%s", path);
		goto out;
	}
	rc = 0;
out:
	buf_clear(&bytes);
	return rc;
}
