/* test_collection.c - what of a bundle may vouch, what is left out, and what is said about it. */
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

#include "pki/collection.h"
#include "pki/evidence.h"
#include "pki/pki_internal.h"
#include "support/testpki.h"

struct fixture {
	struct testpki *root, *sub, *leaf;
	struct arena *arena;
	struct collection *collection;
	struct err err;
	struct buf findings;
	char directory[64];
};

static void on_finding(void *self, const char *line)
{
	struct fixture *f = self;

	buf_append_text(&f->findings, line);
	buf_append_char(&f->findings, '\n');
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	f->root = testpki_root("Root");
	f->sub = testpki_sub(f->root, "Sub");
	f->leaf = testpki_leaf(f->sub, "a@example.com");
	f->arena = arena_new(0);
	snprintf(f->directory, sizeof(f->directory), "/tmp/test_coll.XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", f->directory);
	assert_int_equal(system(command), 0);
	collection_free(f->collection);
	buf_clear(&f->findings);
	arena_free(f->arena);
	testpki_free(f->leaf);
	testpki_free(f->sub);
	testpki_free(f->root);
	test_free(f);
	return 0;
}

static char *path_of(struct fixture *f, const char *name)
{
	return arena_printf(f->arena, "%s/%s", f->directory, name);
}

static bool load_with(struct fixture *f, struct collection_settings *settings)
{
	struct conf_report report = { on_finding, f };
	static const char *domains[] = { "*" };

	collection_free(f->collection);
	buf_reset(&f->findings);
	settings->name = "test";
	if (settings->domains.n == 0)
		settings->domains = (struct conf_strings){ domains, 1 };
	f->collection = collection_load(settings, &(struct collection_env){ .report = &report }, &f->err);
	return f->collection != NULL;
}

static bool load(struct fixture *f, const char *path)
{
	struct collection_settings settings = { .files = { &path, 1 } };

	return load_with(f, &settings);
}

static size_t count(struct fixture *f, enum collection_part part, const struct testpki *pki)
{
	size_t n = 0;

	collection_find(f->collection, part, X509_get_subject_name(pki->x509), &n);
	return n;
}

static bool said(struct fixture *f, const char *what)
{
	return strstr(buf_string(&f->findings), what) != NULL;
}

static void sorts_certificates_out(void **state)
{
	struct fixture *f = *state;
	char *path = path_of(f, "all.pem");
	struct buf pem;

	buf_init(&pem, 0);
	testpki_pem(f->leaf, TESTPKI_CERT | TESTPKI_CHAIN, &pem);
	testpki_pem(f->root, TESTPKI_CERT, &pem);
	testpki_write(path, &pem, 0644);
	buf_clear(&pem);
	assert_true(load(f, path));
	assert_string_equal(collection_name(f->collection), "test");
	assert_int_equal(count(f, COLLECTION_ANCHORS, f->root), 1);
	assert_int_equal(count(f, COLLECTION_INTERMEDIATES, f->root), 0);
	assert_int_equal(count(f, COLLECTION_ANCHORS, f->sub), 0);
	assert_int_equal(count(f, COLLECTION_INTERMEDIATES, f->sub), 1);
	assert_int_equal(count(f, COLLECTION_INTERMEDIATES, f->leaf), 0);
	assert_true(said(f, "CN=a@example.com,O=Test: not a CA"));
	assert_true(said(f, "CN=Root,O=Test: there already"));
	assert_false(said(f, "issuer"));
}

static void names_what_is_wrong(void **state)
{
	struct fixture *f = *state;
	struct testpki *old = testpki_make(NULL, &(struct testpki_spec){ .cn = "Old", .ca = true,
									 .not_before = 1000000000,
									 .not_after = 1100000000 });
	struct testpki *server = testpki_make(NULL, &(struct testpki_spec){ .cn = "Server", .ca = true,
									    .eku = "serverAuth" });
	struct testpki *idle = testpki_make(NULL, &(struct testpki_spec){ .cn = "Idle", .ca = true,
									  .usage = "cRLSign" });
	struct testpki *pinned = testpki_make(NULL, &(struct testpki_spec){ .cn = "Pinned\n" });
	const struct testpki *all[] = { old, server, idle, pinned, f->sub };
	char *path = path_of(f, "all.pem");
	struct buf pem;

	buf_init(&pem, 0);
	buf_append_text(&pem, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	for (size_t i = 0; i < 5; i++)
		testpki_pem(all[i], TESTPKI_CERT, &pem);
	testpki_write(path, &pem, 0644);
	assert_true(load(f, path));
	assert_true(said(f, "all.pem: at offset 0: "));
	assert_true(said(f, "CN=Old,O=Test: expired 2004-11-09T11:33:20Z"));
	assert_true(said(f, "CN=Server,O=Test: a CA whose EKU"));
	assert_true(said(f, "CN=Idle,O=Test: a CA whose keyUsage"));
	assert_true(said(f, "CN=Pinned\\0A,O=Test: not a CA"));
	assert_true(said(f, "CN=Sub,O=Test: its issuer is not in the collection"));
	assert_int_equal(count(f, COLLECTION_ANCHORS, old), 1);
	assert_int_equal(count(f, COLLECTION_ANCHORS, server), 0);
	buf_clear(&pem);
	testpki_free(old);
	testpki_free(server);
	testpki_free(idle);
	testpki_free(pinned);
}

static void obeys_sst_properties(void **state)
{
	struct fixture *f = *state;
	struct testpki *web = testpki_root("Web");
	struct bundle_entry entries[2] = { { .cert = testpki_cert(f->root), .eku_restricted = true, .eku_email = true },
					   { .cert = testpki_cert(web), .eku_restricted = true } };
	char *path = path_of(f, "roots.sst");
	struct buf sst;

	buf_init(&sst, 0);
	assert_int_equal(bundle_write_sst(entries, 2, &sst, NULL), 0);
	testpki_write(path, &sst, 0644);
	assert_true(load(f, path));
	assert_int_equal(count(f, COLLECTION_ANCHORS, f->root), 1);
	assert_int_equal(count(f, COLLECTION_ANCHORS, web), 0);
	assert_true(said(f, "CN=Web,O=Test: its enhanced-usage property"));
	sst.n -= 5;
	testpki_write(path, &sst, 0644);
	assert_false(load(f, path));
	assert_non_null(strstr(f->err.text, "roots.sst"));
	buf_clear(&sst);
	cert_free(entries[0].cert);
	cert_free(entries[1].cert);
	testpki_free(web);
}

static void refuses_files_without_cas(void **state)
{
	struct fixture *f = *state;
	char *path = path_of(f, "x.pem");
	struct collection_settings none = { 0 };

	assert_false(load(f, path));
	assert_int_equal(f->err.class, ERR_CONFIG);
	testpki_write_pem(path, f->leaf, TESTPKI_CERT);
	assert_false(load(f, path));
	assert_int_equal(f->err.class, ERR_CONFIG);
	testpki_write_pem(path, f->sub, TESTPKI_CERT);
	assert_false(load(f, path));
	assert_non_null(strstr(f->err.text, "no self-signed CA"));
	assert_false(load_with(f, &none));
}

static void pins_what_it_is_told_to(void **state)
{
	struct fixture *f = *state;
	const char *path = path_of(f, "x.pem"), *crls = path_of(f, "crls");
	struct collection_settings settings = { .files = { &path, 1 }, .pinned = true };
	struct buf pem;

	testpki_write_pem(path, f->leaf, TESTPKI_CERT);
	assert_true(load_with(f, &settings));
	assert_int_equal(count(f, COLLECTION_PINNED, f->leaf), 1);
	assert_int_equal(count(f, COLLECTION_ANCHORS, f->leaf), 0);
	assert_int_equal(count(f, COLLECTION_INTERMEDIATES, f->leaf), 0);
	assert_int_equal(f->findings.n, 0);
	assert_int_equal(mkdir(crls, 0755), 0);
	settings.revocation = REVOCATION_SOFT;
	settings.crls = (struct conf_strings){ &crls, 1 };
	assert_true(load_with(f, &settings));
	assert_true(said(f, "its issuer is not in the collection: nobody tells"));
	buf_init(&pem, 0);
	testpki_pem(f->leaf, TESTPKI_CERT, &pem);
	testpki_pem(f->root, TESTPKI_CERT, &pem);
	testpki_write(path, &pem, 0644);
	buf_clear(&pem);
	assert_true(load(f, path));
	assert_true(said(f, "pinned = true"));
	assert_int_equal(count(f, COLLECTION_PINNED, f->leaf), 0);
}

static void policies_are_oids(void **state)
{
	struct fixture *f = *state;
	const char *path = path_of(f, "x.pem"), *policy = NULL;
	struct collection_settings settings = { .files = { &path, 1 }, .policies = { &policy, 1 } };
	static const char *const good[] = { "2.16.840.1.101.3.2.1.48.1", "1.2", "2.999.1", "2.5.29.32.0" };
	static const char *const bad[] = { "", "1", "1.2.3.", ".1.2", "1..2", "3.1", "1.40", "1.2.03", "1 2 3", "1.2 ",
					   "anyPolicy", "X509v3 Any Policy", "1.2.-3", "1.2.x" };
	char long_one[300] = "1.2";

	testpki_write_pem(path, f->root, TESTPKI_CERT);
	assert_true(load_with(f, &(struct collection_settings){ .files = { &path, 1 } }));
	assert_null(collection_policies(f->collection));
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		policy = good[i];
		assert_true(load_with(f, &settings));
		assert_int_equal(sk_ASN1_OBJECT_num(collection_policies(f->collection)), 1);
	}
	for (size_t i = 0; i <= sizeof(bad) / sizeof(bad[0]); i++) {
		policy = i < sizeof(bad) / sizeof(bad[0]) ? bad[i] : long_one;
		if (policy == long_one)
			for (size_t k = 3; k + 2 < sizeof(long_one); k += 2)
				memcpy(long_one + k, ".1", 3);
		if (load_with(f, &settings))
			fail_msg("%s taken for an OID", policy);
		assert_int_equal(f->err.class, ERR_CONFIG);
		assert_non_null(strstr(f->err.text, "policies: \""));
	}
}

static void covers_domains(void **state)
{
	struct fixture *f = *state;
	const char *path = path_of(f, "x.pem"), *domains[] = { "example.com", ".example.org" }, *bad[] = { "a b" };
	struct collection_settings settings = { .files = { &path, 1 }, .domains = { domains, 2 } };
	static const struct {
		const char *address;
		bool covered;
	} cases[] = {
		{ "a@example.com", true }, { "a@EXAMPLE.com", true }, { "a@x.example.com", false },
		{ "a@x.example.org", true }, { "a@example.org", false },
	};
	struct address address;

	testpki_write_pem(path, f->root, TESTPKI_CERT);
	assert_true(load_with(f, &settings));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(address_parse(f->arena, slice_of(cases[i].address), &address, NULL), 0);
		assert_int_equal(collection_covers(f->collection, &address), cases[i].covered);
	}
	settings.domains = (struct conf_strings){ bad, 1 };
	assert_false(load_with(f, &settings));
	assert_int_equal(f->err.class, ERR_CONFIG);
}

static size_t evidence_count(const struct fixture *f)
{
	struct evidence *evidence = collection_evidence(f->collection);
	size_t n = evidence_size(evidence);

	evidence_free(evidence);
	return n;
}

static void reads_crls(void **state)
{
	struct fixture *f = *state;
	const char *path = path_of(f, "x.pem"), *crls = path_of(f, "crls");
	struct collection_settings settings = { .files = { &path, 1 }, .crls = { &crls, 1 },
						.revocation = REVOCATION_HARD };
	struct buf crl, bad;

	buf_init(&crl, 0);
	buf_init(&bad, 0);
	testpki_write_pem(path, f->root, TESTPKI_CERT);
	assert_false(load_with(f, &settings));
	assert_int_equal(mkdir(crls, 0755), 0);
	testpki_crl(f->root, NULL, 0, 0, 0, false, &crl);
	testpki_write(path_of(f, "crls/a.crl"), &crl, 0644);
	buf_reset(&crl);
	testpki_crl(f->root, NULL, 0, 1000000000, 1100000000, true, &crl);
	testpki_write(path_of(f, "crls/b.pem"), &crl, 0644);
	buf_append_text(&bad, "no CRL");
	testpki_write(path_of(f, "crls/c"), &bad, 0644);
	assert_true(load_with(f, &settings));
	assert_int_equal(evidence_count(f), 2);
	assert_true(said(f, "out of date"));
	assert_true(said(f, "crls/c"));
	assert_int_equal(collection_revocation(f->collection), REVOCATION_HARD);
	settings.revocation = REVOCATION_OFF;
	assert_true(load_with(f, &settings));
	assert_null(collection_evidence_store(f->collection));
	assert_null(collection_evidence(f->collection));
	buf_clear(&crl);
	buf_clear(&bad);
}

static void takes_the_systems_store(void **state)
{
	struct fixture *f = *state;
	const char *path = path_of(f, "x.pem");
	struct collection_settings settings = { .files = { &path, 1 }, .system = true };

	if (access(X509_get_default_cert_file(), R_OK) != 0)
		skip();
	testpki_write_pem(path, f->root, TESTPKI_CERT);
	assert_true(load_with(f, &settings));
	assert_int_equal(count(f, COLLECTION_ANCHORS, f->root), 1);
	assert_int_equal(f->findings.n, 0);
}

#define MANY 3000

/* An X509_STORE would take a second for these; ours sorts. */
static void many_certificates_are_no_trouble(void **state)
{
	struct fixture *f = *state;
	struct testpki_spec spec = { .ca = true, .pkey = f->sub->pkey };
	char *path = path_of(f, "many.pem"), cn[32];
	struct testpki *pki = NULL;
	struct buf pem;
	size_t n = 0;

	buf_init(&pem, 0);
	testpki_pem(f->root, TESTPKI_CERT, &pem);
	for (int i = 0; i < MANY; i++) {
		snprintf(cn, sizeof(cn), "CA %d", i % 1000);
		spec.cn = cn;
		pki = testpki_make(f->root, &spec);
		testpki_pem(pki, TESTPKI_CERT, &pem);
		if (i + 1 < MANY)
			testpki_free(pki);
	}
	testpki_write(path, &pem, 0644);
	buf_clear(&pem);
	assert_true(load(f, path));
	collection_find(f->collection, COLLECTION_INTERMEDIATES, X509_get_subject_name(pki->x509), &n);
	assert_int_equal(n, 3);
	testpki_free(pki);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sorts_certificates_out), TEST(names_what_is_wrong), TEST(obeys_sst_properties),
		TEST(refuses_files_without_cas), TEST(pins_what_it_is_told_to), TEST(policies_are_oids),
		TEST(covers_domains), TEST(reads_crls), TEST(takes_the_systems_store),
		TEST(many_certificates_are_no_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
