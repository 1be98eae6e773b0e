/* test_keystore.c - own keys in PEM and PKCS#12 files: found, matched, refused; and the one that is used now. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pki/keystore.h"
#include "support/testpki.h"

#define DAY_S ((time_t)24 * 3600)

struct fixture {
	struct testpki *root, *alice, *bob;
	struct arena *arena;
	struct conf *conf;
	struct keystore store;
	struct err err;
	size_t findings;
	char last[600];
	char warnings[2000];
	char directory[64];	/* keys */
	char other[64];		/* configuration, passphrase */
};

static void on_finding(void *self, const char *line)
{
	struct fixture *f = self;

	f->findings++;
	snprintf(f->last, sizeof(f->last), "%s", line);
}

static void on_warning(void *self, const char *line)
{
	struct fixture *f = self;
	size_t n = strlen(f->warnings);

	snprintf(f->warnings + n, sizeof(f->warnings) - n, "%s\n", line);
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	f->root = testpki_root("Root");
	f->alice = testpki_leaf(f->root, "alice@example.com");
	f->bob = testpki_leaf(f->root, "bob@example.com");
	f->arena = arena_new(0);
	snprintf(f->directory, sizeof(f->directory), "/tmp/test_keys.XXXXXX");
	snprintf(f->other, sizeof(f->other), "/tmp/test_conf.XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	assert_non_null(mkdtemp(f->other));
	*state = f;
	return 0;
}

static void remove_directory(const char *path)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	assert_int_equal(system(command), 0);
}

static void close_store(struct fixture *f)
{
	if (f->store.class != NULL)
		f->store.class->free(f->store.self);
	f->store = (struct keystore){ 0 };
	conf_free(f->conf);
	f->conf = NULL;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_free(f->arena);
	close_store(f);
	remove_directory(f->directory);
	remove_directory(f->other);
	testpki_free(f->alice);
	testpki_free(f->bob);
	testpki_free(f->root);
	test_free(f);
	return 0;
}

static const char *in(const struct fixture *f, const char *name)
{
	static char paths[4][128];
	static size_t next;
	char *path = paths[next++ % 4];

	if (name[0] == '/')
		snprintf(path, sizeof(paths[0]), "%s%s", f->other, name);
	else
		snprintf(path, sizeof(paths[0]), "%s/%s", f->directory, name);
	return path;
}

static void write_text(const char *path, const char *text, unsigned mode)
{
	struct buf bytes;

	buf_init(&bytes, 0);
	buf_append_text(&bytes, text);
	testpki_write(path, &bytes, mode);
	buf_clear(&bytes);
}

/* Opens with the driver: settings are the driver's, extra are further lines of configuration. */
static int open_store(struct fixture *f, const struct keystore_driver *driver, const char *path, const char *extra)
{
	const struct conf_report report = { on_finding, f }, warnings = { on_warning, f };
	void *settings = test_calloc(1, driver->table->size);
	char text[512];
	int rc;

	close_store(f);
	f->findings = 0;
	f->warnings[0] = '\0';
	snprintf(text, sizeof(text), "type = \"%s\";\npath = \"%s\";\n%s\n", driver->type, path, extra);
	write_text(in(f, "/x.conf"), text, 0600);
	assert_int_equal(conf_load(in(f, "/x.conf"), driver->table, settings, &report, &f->conf, &f->err), 0);
	rc = driver->open(settings, f->conf, &report, &warnings, &f->store, &f->err);
	assert_int_equal(rc == 0, f->findings == 0);
	test_free(settings);
	return rc;
}

static int open_pem(struct fixture *f)
{
	return open_store(f, &keystore_pem_driver, f->directory, "");
}

static size_t count_keys(struct fixture *f, const char *address)
{
	struct address parsed;
	struct key **keys = NULL;
	size_t n = 0;
	int rc;

	if (address != NULL)
		assert_int_equal(address_parse(f->arena, slice_of(address), &parsed, NULL), 0);
	rc = keystore_find(&f->store, 1, f->arena, address == NULL ? NULL : &parsed, &keys, &n, &f->err);
	assert_int_equal(rc, n > 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(key_test(keys[i], NULL), 0);
	return n;
}

static void reads_one_file_and_pairs(void **state)
{
	struct fixture *f = *state;

	testpki_write_pem(in(f, "alice.pem"), f->alice, TESTPKI_KEY | TESTPKI_CERT | TESTPKI_CHAIN);
	testpki_write_pem(in(f, "bob.crt"), f->bob, TESTPKI_CERT | TESTPKI_CHAIN);
	testpki_write_pem(in(f, "bob.key"), f->bob, TESTPKI_KEY);
	testpki_write_pem(in(f, "ca.pem"), f->root, TESTPKI_CERT);
	write_text(in(f, "README"), "Keys of people\n", 0644);
	write_text(in(f, ".hidden.key"), "-----BEGIN PRIVATE KEY-----\n", 0644);
	assert_int_equal(open_pem(f), 0);
	assert_int_equal(count_keys(f, NULL), 2);
	assert_int_equal(count_keys(f, "ALICE@Example.com"), 1);
	assert_int_equal(count_keys(f, "bob@example.com"), 1);
	assert_int_equal(count_keys(f, "carol@example.com"), 0);
	assert_int_equal(count_keys(f, "alice@example.org"), 0);
	assert_non_null(strstr(f->warnings, "ca.pem: a certificate without a key"));
	assert_int_equal(unlink(in(f, "ca.pem")), 0);
	assert_int_equal(open_pem(f), 0);
	assert_string_equal(f->warnings, "");
}

static void keeps_chain_and_source(void **state)
{
	struct fixture *f = *state;
	struct key **keys = NULL;
	size_t n = 0;

	testpki_write_pem(in(f, "bob.cer"), f->bob, TESTPKI_CHAIN | TESTPKI_CERT);
	testpki_write_pem(in(f, "bob.key"), f->bob, TESTPKI_KEY);
	assert_int_equal(open_pem(f), 0);
	assert_int_equal(keystore_find(&f->store, 1, f->arena, NULL, &keys, &n, NULL), 1);
	assert_string_equal(cert_info(key_cert(keys[0]))->subject, "CN=bob@example.com,O=Test");
	assert_int_equal(key_chain(keys[0])->n, 1);
	assert_string_equal(key_source(keys[0]), in(f, "bob.key"));
}

static void reads_a_single_file(void **state)
{
	struct fixture *f = *state;

	testpki_write_pem(in(f, "alice"), f->alice, TESTPKI_KEY | TESTPKI_CERT);
	assert_int_equal(open_store(f, &keystore_pem_driver, in(f, "alice"), ""), 0);
	assert_int_equal(count_keys(f, "alice@example.com"), 1);
	assert_int_equal(open_store(f, &keystore_pem_driver, in(f, "missing"), ""), -1);
	assert_int_equal(f->err.class, ERR_CONFIG);
}

static void an_empty_directory_is_a_keystore(void **state)
{
	struct fixture *f = *state;
	const char *reason = NULL;
	struct key *key = NULL;
	struct address address;

	assert_int_equal(open_pem(f), 0);
	assert_int_equal(count_keys(f, NULL), 0);
	assert_int_equal(address_parse(f->arena, slice_of("a@b.example"), &address, NULL), 0);
	assert_int_equal(keystore_signing_key(&f->store, 1, f->arena, &address, 0, &key, &reason, NULL), 0);
	assert_string_equal(reason, "no key");
}

static void findings_name_file_and_line(void **state)
{
	struct fixture *f = *state;

	testpki_write_pem(in(f, "alice.key"), f->alice, TESTPKI_KEY);
	assert_int_equal(open_pem(f), -1);
	assert_non_null(strstr(f->last, "x.conf:2: "));
	assert_non_null(strstr(f->last, "alice.key"));
	assert_non_null(strstr(f->last, "without a certificate"));
	testpki_write_pem(in(f, "alice.crt"), f->bob, TESTPKI_CERT);
	assert_int_equal(open_pem(f), -1);
	assert_non_null(strstr(f->last, "belongs to none"));
	testpki_write_pem(in(f, "bob.key"), f->bob, TESTPKI_KEY);
	assert_int_equal(open_pem(f), -1);
	assert_int_equal(f->findings, 2);
	assert_non_null(strstr(f->err.text, "alice.key"));
}

static void refuses_encrypted_keys(void **state)
{
	struct fixture *f = *state;

	testpki_write_pem(in(f, "alice.pem"), f->alice, TESTPKI_ENCRYPTED_KEY | TESTPKI_CERT);
	assert_int_equal(open_pem(f), -1);
	assert_non_null(strstr(f->last, "encrypted"));
}

static void refuses_open_files(void **state)
{
	struct fixture *f = *state;

	testpki_write_pem(in(f, "alice.pem"), f->alice, TESTPKI_KEY | TESTPKI_CERT);
	assert_int_equal(chmod(in(f, "alice.pem"), 0644), 0);
	assert_int_equal(open_pem(f), -1);
	assert_non_null(strstr(f->last, "0644"));
}

static void warns_of_files_without_use(void **state)
{
	struct fixture *f = *state;

	write_text(in(f, "empty.pem"), "", 0644);
	write_text(in(f, "odd.key"), "a\n", 0644);
	write_text(in(f, "notes"), "a\n", 0644);
	testpki_write_pem(in(f, "bob.crt"), f->bob, TESTPKI_CERT);
	testpki_write_pem(in(f, "alice.pem"), f->alice, TESTPKI_KEY | TESTPKI_CERT);
	write_text(in(f, "alice.crt"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0644);
	assert_int_equal(open_pem(f), 0);
	assert_int_equal(count_keys(f, NULL), 1);
	assert_non_null(strstr(f->warnings, "x.conf:2: "));
	assert_non_null(strstr(f->warnings, "/empty.pem: neither a key nor a certificate"));
	assert_non_null(strstr(f->warnings, "/odd.key: neither a key nor a certificate"));
	assert_non_null(strstr(f->warnings, "/alice.crt: neither a key nor a certificate"));
	assert_non_null(strstr(f->warnings, "/bob.crt: a certificate without a key"));
	assert_null(strstr(f->warnings, "notes"));
	assert_null(strstr(f->warnings, "alice.pem"));
}

static void refuses_open_directories(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(chmod(f->directory, 0770), 0);
	assert_int_equal(open_pem(f), 0);
	assert_int_equal(chmod(f->directory, 01777), 0);
	assert_int_equal(open_pem(f), -1);
	assert_non_null(strstr(f->last, "1777"));
	assert_int_equal(open_store(f, &keystore_pkcs12_driver, f->directory, ""), -1);
	assert_non_null(strstr(f->last, "1777"));
}

static void refuses_broken_keys(void **state)
{
	struct fixture *f = *state;

	testpki_write_pem(in(f, "alice.crt"), f->alice, TESTPKI_CERT);
	write_text(in(f, "alice.key"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0600);
	assert_int_equal(open_pem(f), -1);
	assert_non_null(strstr(f->last, "alice.key"));
	write_text(in(f, "alice.key"), "-----BEGIN PRIVATE KEY-----\nAAAA\n", 0600);
	assert_int_equal(open_pem(f), -1);
}

static void reads_pkcs12(void **state)
{
	struct fixture *f = *state;
	struct buf bytes;
	char extra[200];

	buf_init(&bytes, 0);
	testpki_p12(f->alice, "secret", &bytes);
	testpki_write(in(f, "alice.p12"), &bytes, 0600);
	buf_reset(&bytes);
	testpki_p12(f->bob, "secret", &bytes);
	testpki_write(in(f, "bob.PFX"), &bytes, 0600);
	write_text(in(f, "notes.txt"), "x", 0644);
	write_text(in(f, "/pass"), "secret\n", 0600);
	snprintf(extra, sizeof(extra), "passphrase_file = \"%s\";", in(f, "/pass"));
	assert_int_equal(open_store(f, &keystore_pkcs12_driver, f->directory, extra), 0);
	assert_int_equal(count_keys(f, NULL), 2);
	assert_int_equal(count_keys(f, "bob@example.com"), 1);
	assert_int_equal(open_store(f, &keystore_pkcs12_driver, in(f, "alice.p12"), extra), 0);
	assert_int_equal(count_keys(f, NULL), 1);
	write_text(in(f, "/pass"), "wrong", 0600);
	assert_int_equal(open_store(f, &keystore_pkcs12_driver, f->directory, extra), -1);
	assert_int_equal(f->findings, 2);
	assert_null(strstr(f->last, "wrong"));
	assert_int_equal(open_store(f, &keystore_pkcs12_driver, f->directory, ""), -1);
	write_text(in(f, "/pass"), "secret", 0644);
	assert_int_equal(open_store(f, &keystore_pkcs12_driver, f->directory, extra), -1);
	buf_clear(&bytes);
}

static void refuses_other_pkcs12(void **state)
{
	struct fixture *f = *state;

	write_text(in(f, "alice.p12"), "0hello", 0600);
	assert_int_equal(open_store(f, &keystore_pkcs12_driver, f->directory, ""), -1);
	assert_non_null(strstr(f->last, "not a PKCS#12"));
	assert_int_equal(chmod(in(f, "alice.p12"), 0644), 0);
	assert_int_equal(open_store(f, &keystore_pkcs12_driver, f->directory, ""), -1);
	assert_non_null(strstr(f->last, "0644"));
}

/* A key of a@example.com with a certificate as spec says, in a file of its own. */
static void add_history(struct fixture *f, const char *name, struct testpki_spec spec)
{
	struct testpki *pki;

	spec.cn = name;
	spec.san = "email:a@example.com";
	pki = testpki_make(f->root, &spec);
	testpki_write_pem(in(f, name), pki, TESTPKI_KEY | TESTPKI_CERT);
	testpki_free(pki);
}

static void chooses_the_key_for_now(void **state)
{
	struct fixture *f = *state;
	time_t now = time(NULL);
	const char *reason = NULL;
	const struct cert *cert = NULL;
	struct key *key = NULL;
	struct address a;

	assert_int_equal(address_parse(f->arena, slice_of("A@example.com"), &a, NULL), 0);
	add_history(f, "enc", (struct testpki_spec){ .usage = "keyAgreement" });
	assert_int_equal(open_pem(f), 0);
	assert_int_equal(keystore_signing_key(&f->store, 1, f->arena, &a, now, &key, &reason, NULL), 0);
	assert_string_equal(reason, "no certificate that may sign");
	add_history(f, "old", (struct testpki_spec){ .usage = "digitalSignature", .not_before = now - 9 * DAY_S,
						     .not_after = now - DAY_S });
	assert_int_equal(open_pem(f), 0);
	assert_int_equal(keystore_signing_key(&f->store, 1, f->arena, &a, now, &key, &reason, NULL), 0);
	assert_string_equal(reason, "expired");
	assert_int_equal(keystore_signing_key(&f->store, 1, f->arena, &a, now - 2 * DAY_S, &key, &reason, NULL), 1);
	add_history(f, "sig1", (struct testpki_spec){ .usage = "digitalSignature", .not_before = now - 5 * DAY_S });
	add_history(f, "sig2", (struct testpki_spec){ .usage = "digitalSignature", .not_before = now - 3 * DAY_S });
	add_history(f, "sig3", (struct testpki_spec){ .usage = "digitalSignature", .not_before = now + DAY_S });
	add_history(f, "ed", (struct testpki_spec){ .key = TESTPKI_ED25519, .not_before = now - DAY_S });
	assert_int_equal(open_pem(f), 0);
	assert_int_equal(keystore_signing_key(&f->store, 1, f->arena, &a, now, &key, &reason, NULL), 1);
	assert_string_equal(cert_info(key_cert(key))->subject, "CN=sig2,O=Test");
	assert_string_equal(reason, "");
	assert_int_equal(keystore_signing_key(&f->store, 1, f->arena, &a, now + 2 * DAY_S, &key, &reason, NULL), 1);
	assert_string_equal(cert_info(key_cert(key))->subject, "CN=sig3,O=Test");
	assert_int_equal(keystore_encryption_cert(&f->store, 1, f->arena, &a, now, &cert, NULL), 1);
	assert_string_equal(cert_info(cert)->subject, "CN=enc,O=Test");
	assert_int_equal(count_keys(f, "a@example.com"), 6);
}

static int cannot_ask(void *self, struct arena *arena, const struct address *address, struct key ***keys, size_t *count,
		      struct err *err)
{
	(void)self;
	(void)arena;
	(void)address;
	(void)keys;
	(void)count;
	return err_set(err, ERR_TEMP, "keyholder is away");
}

static void no_answer_is_not_none(void **state)
{
	static const struct keystore_class class = { .find = cannot_ask };
	struct fixture *f = *state;
	struct keystore both[2] = { { 0 }, { &class, NULL } };
	const struct cert *cert = NULL;
	const char *reason = NULL;
	struct key *key = NULL, **keys = NULL;
	struct address a;
	size_t n = 0;

	testpki_write_pem(in(f, "alice"), f->alice, TESTPKI_KEY | TESTPKI_CERT);
	assert_int_equal(open_pem(f), 0);
	both[0] = f->store;
	assert_int_equal(address_parse(f->arena, slice_of("alice@example.com"), &a, NULL), 0);
	assert_int_equal(keystore_find(both, 2, f->arena, &a, &keys, &n, &f->err), -1);
	assert_int_equal(f->err.class, ERR_TEMP);
	assert_int_equal(keystore_signing_key(both, 2, f->arena, &a, 0, &key, &reason, NULL), -1);
	assert_int_equal(keystore_encryption_cert(both, 2, f->arena, &a, 0, &cert, NULL), -1);
	both[1] = f->store;
	assert_int_equal(keystore_find(both, 2, f->arena, &a, &keys, &n, NULL), 1);
	assert_int_equal(n, 2);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_one_file_and_pairs), TEST(keeps_chain_and_source), TEST(reads_a_single_file),
		TEST(an_empty_directory_is_a_keystore), TEST(findings_name_file_and_line), TEST(refuses_encrypted_keys),
		TEST(refuses_open_files), TEST(warns_of_files_without_use), TEST(refuses_open_directories),
		TEST(refuses_broken_keys), TEST(reads_pkcs12), TEST(refuses_other_pkcs12),
		TEST(chooses_the_key_for_now), TEST(no_answer_is_not_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
