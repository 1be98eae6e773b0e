/* keystore_pkcs12.c - own keys in PKCS#12 files (RFC 7292), one key each with its certificate and chain, all under one
 * passphrase that stands in a file. In a directory, files that end in .p12 or .pfx are read. Called by gate's site
 * through the driver's table row; what comes out is a keyring. */
#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <string.h>

#include "base/file.h"
#include "pki/keyring.h"

#define LIMIT_BYTES ((size_t)4 * 1024 * 1024)
#define PASSPHRASE_BYTES 4096

struct pkcs12_settings {
	const char *type;
	const char *path;
	const char *passphrase_file;
	bool hardware_only;
};

static const struct conf_row rows[] = {
	{ .name = "type", .type = CONF_STRING, .offset = offsetof(struct pkcs12_settings, type), .required = true },
	{ .name = "path", .type = CONF_STRING, .offset = offsetof(struct pkcs12_settings, path), .required = true },
	{ .name = "passphrase_file", .type = CONF_STRING, .offset = offsetof(struct pkcs12_settings, passphrase_file) },
	{ .name = "hardware_only", .type = CONF_BOOL, .offset = offsetof(struct pkcs12_settings, hardware_only) },
	{ .name = NULL }
};

static const struct conf_table table = { .rows = rows, .size = sizeof(struct pkcs12_settings) };

/* The file's first line without its end; "" if there is no file. NULL: a finding. */
static const char *read_passphrase(struct keyring_load *load, const char *path, struct buf *passphrase)
{
	struct err err = { 0 };
	char *text;

	if (path == NULL || path[0] == '\0')
		return "";
	if (file_read_secret(path, PASSPHRASE_BYTES, passphrase, &err) != 0) {
		keyring_finding(load, "%s", err.text);
		return NULL;
	}
	text = buf_string(passphrase);
	if (text == NULL)
		keyring_finding(load, "%s: out of memory", path);
	else
		text[strcspn(text, "\r\n")] = '\0';
	return text;
}

static int take_cert(struct cert_list *certs, X509 *x509)
{
	struct cert *cert = cert_from_x509(x509, NULL);
	int rc = cert == NULL ? -1 : cert_list_add(certs, cert);

	cert_free(cert);
	return rc;
}

static void add_parsed(struct keyring_load *load, const char *path, EVP_PKEY *pkey, X509 *x509,
		       const STACK_OF(X509) *others)
{
	struct cert_list certs = { 0 };
	int rc = x509 == NULL ? 0 : take_cert(&certs, x509);

	for (int i = 0; i < sk_X509_num(others) && rc == 0; i++)
		rc = take_cert(&certs, sk_X509_value(others, i));
	if (rc != 0)
		keyring_finding(load, "%s: a certificate in it cannot be read", path);
	else if (pkey == NULL)
		keyring_finding(load, "%s: no private key in it", path);
	else
		keyring_add(load, pkey, &certs, path);
	cert_list_clear(&certs);
}

static PKCS12 *decode(struct slice der)
{
	const unsigned char *start = (const unsigned char *)der.p, *p = start;
	PKCS12 *p12 = d2i_PKCS12(NULL, &p, (long)der.n);

	if (p12 == NULL || p == start + der.n)
		return p12;
	PKCS12_free(p12);
	return NULL;
}

static void add_object(struct keyring_load *load, const char *path, struct slice der, const char *passphrase)
{
	PKCS12 *p12 = decode(der);
	STACK_OF(X509) *others = NULL;
	EVP_PKEY *pkey = NULL;
	X509 *x509 = NULL;
	char reason[120];

	if (p12 == NULL)
		keyring_finding(load, "%s: not a PKCS#12 file", path);
	else if (PKCS12_parse(p12, passphrase, &pkey, &x509, &others) == 1)
		add_parsed(load, path, pkey, x509, others);
	else
		/* "unsupported" is RC2-40, which OpenSSL 3 has in its legacy provider only. */
		keyring_finding(load, "%s: cannot be opened %s: %s", path, passphrase[0] == '\0' ?
				"without a passphrase (passphrase_file)" : "with the passphrase in passphrase_file",
				openssl_reason(reason, sizeof(reason)));
	EVP_PKEY_free(pkey);
	X509_free(x509);
	sk_X509_pop_free(others, X509_free);
	PKCS12_free(p12);
	ERR_clear_error();
}

static void add_file(struct keyring_load *load, const char *path, const char *passphrase)
{
	struct err err = { 0 };
	struct buf der;

	buf_init(&der, 0);
	if (file_read_secret(path, LIMIT_BYTES, &der, &err) != 0)
		keyring_finding(load, "%s", err.text);
	else
		add_object(load, path, buf_slice(&der), passphrase);
	buf_clear(&der);
}

static void add_files(struct keyring_load *load, const struct pkcs12_settings *settings, const char *passphrase)
{
	bool directory = file_is_directory(settings->path);
	char **paths = NULL;
	size_t n = 0;

	if (keyring_files(load, settings->path, &paths, &n) != 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (!directory || slice_ends_nocase(slice_of(paths[i]), ".p12") ||
		    slice_ends_nocase(slice_of(paths[i]), ".pfx"))
			add_file(load, paths[i], passphrase);
}

static int pkcs12_open(const void *settings, struct conf *conf, const struct conf_report *report,
		       const struct conf_report *warnings, struct keystore *store, struct err *err)
{
	const struct pkcs12_settings *own = settings;
	struct keyring_load load;
	const char *text;
	struct buf passphrase;

	if (keyring_begin(&load, conf, &own->path, report, warnings, err) != 0)
		return -1;
	keyring_refuse_hardware(&load, &own->hardware_only);
	buf_init(&passphrase, 0);
	text = read_passphrase(&load, own->passphrase_file, &passphrase);
	if (text != NULL)
		add_files(&load, own, text);
	buf_clear(&passphrase);
	return keyring_end(&load, store);
}

const struct keystore_driver keystore_pkcs12_driver = { .type = "pkcs12", .table = &table, .open = pkcs12_open };
