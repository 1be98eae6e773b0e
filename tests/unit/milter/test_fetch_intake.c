/* test_fetch_intake.c - which URLs a request opens up: those of certificates that lead to the collection, on hosts
 * that it lists; and when a collection makes one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/fetch_intake.h"
#include "milter/fetch_request.h"
#include "pki/path.h"
#include "support/testdir.h"
#include "support/testpki.h"

#define DAY (24 * 3600)

struct fixture {
	struct testpki *root, *sub, *leaf, *other_root, *other;
	struct cert *certs[5];			/* root, sub, leaf, other_root, other */
	char *scratch;
	struct collection *collection;
	struct revocation_wanted wanted;	/* counts */
	size_t told;
	char seen[2000];			/* findings, as text */
	struct slice request;			/* of the last one, in bytes */
	struct buf bytes;
};

static void count(const struct revocation_wanted *self, const struct collection *collection,
		  const struct cert *const *chain, size_t n)
{
	struct fixture *f = (void *)((char *)(uintptr_t)self - offsetof(struct fixture, wanted));

	assert_ptr_equal(collection, f->collection);
	assert_true(n >= 2 && cert_equal(chain[0], f->certs[n - 1]) && cert_equal(chain[n - 1], f->certs[0]));
	f->told++;
}

static struct testpki *ca(const struct testpki *issuer, const char *cn, const char *urls)
{
	return testpki_make(issuer, &(struct testpki_spec){ .cn = cn, .ca = true, .extra_oid = "crlDistributionPoints",
							    .extra_value = urls });
}

static void open_collection(struct fixture *f, const char *mode, const char *crls)
{
	static const char *const hosts[] = { "crl.example", "ocsp.example:81" };
	char *path = testdir_path(f->scratch, "root.pem");
	const char *items[] = { path }, *domains[] = { "*" };
	const struct collection_env env = { .wanted = &f->wanted };
	struct collection_settings settings = { .name = "partners", .files = { items, 1 }, .domains = { domains, 1 },
		.crls = { &crls, crls != NULL ? 1 : 0 } };
	struct err err;

	settings.fetch_hosts = (struct conf_strings){ (const char **)(uintptr_t)hosts, 2 };
	settings.revocation = strcmp(mode, "soft") == 0 ? REVOCATION_SOFT : REVOCATION_OFF;
	testpki_write_pem(path, f->root, TESTPKI_CERT);
	f->collection = collection_load(&settings, &env, &err);
	assert_non_null(f->collection);
	free(path);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct testpki *all[5];

	f->scratch = testdir_scratch();
	f->wanted.want = count;
	buf_init(&f->bytes, 0);
	f->root = testpki_root("Root");
	f->sub = ca(f->root, "Sub", "URI:http://crl.example/root.crl,URI:http://crl.example:82/no,URI:ldap://x/");
	f->leaf = testpki_make(f->sub, &(struct testpki_spec){ .cn = "A", .extra_oid = "authorityInfoAccess",
		.extra_value = "OCSP;URI:http://ocsp.example:81/,caIssuers;URI:http://crl.example/ca.crt,"
			       "OCSP;URI:http://u@crl.example/" });
	f->other_root = testpki_root("Other");
	f->other = ca(f->other_root, "Sub", "URI:http://crl.example/other.crl");
	all[0] = f->root;
	all[1] = f->sub;
	all[2] = f->leaf;
	all[3] = f->other_root;
	all[4] = f->other;
	for (size_t i = 0; i < 5; i++)
		f->certs[i] = testpki_cert(all[i]);
	open_collection(f, "soft", NULL);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	collection_free(f->collection);
	for (size_t i = 0; i < 5; i++)
		cert_free(f->certs[i]);
	testpki_free(f->leaf);
	testpki_free(f->sub);
	testpki_free(f->root);
	testpki_free(f->other);
	testpki_free(f->other_root);
	buf_clear(&f->bytes);
	testdir_remove(f->scratch);
	free(f);
	return 0;
}

static void found(void *self, const struct fetch_finding *finding)
{
	struct fixture *f = self;
	size_t n = strlen(f->seen);

	snprintf(f->seen + n, sizeof(f->seen) - n, "%s %s:%u%s by %s\n", fetch_kind_name(finding->kind),
		 finding->url->host, finding->url->port, finding->url->target, cert_info(finding->issuer)->subject);
	buf_reset(&f->bytes);
	assert_int_equal(buf_append_slice(&f->bytes, finding->request), 0);
}

static void unlisted(void *self, const struct collection *collection, const struct fetch_url *url)
{
	struct fixture *f = self;
	size_t n = strlen(f->seen);

	assert_ptr_equal(collection, f->collection);
	snprintf(f->seen + n, sizeof(f->seen) - n, "unlisted %s:%u\n", url->host, url->port);
}

static int take(struct fixture *f, struct slice request, time_t now, struct err *err)
{
	const struct collection *const collections[] = { f->collection };
	const struct fetch_scope scope = { collections, 1 };
	const struct fetch_findings findings = { found, unlisted, f };

	f->seen[0] = '\0';
	return fetch_intake(&scope, request, now, &findings, err);
}

/* The certificates with these indices. */
static int ask(struct fixture *f, const char *name, const char *indices, struct err *err)
{
	const struct cert *chain[FETCH_CHAIN];
	struct buf request;
	int rc;

	buf_init(&request, 0);
	for (size_t i = 0; indices[i] != '\0'; i++)
		chain[i] = f->certs[indices[i] - '0'];
	assert_int_equal(fetch_request_write(name, chain, strlen(indices), &request), 0);
	rc = take(f, buf_slice(&request), time(NULL), err);
	buf_clear(&request);
	return rc;
}

static void test_findings(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };
	struct buf remembered;

	assert_int_equal(ask(f, "partners", "210", &err), 0);
	assert_string_equal(f->seen, "ocsp ocsp.example:81/ by CN=Sub,O=Test\n"
			    "crl crl.example:80/root.crl by CN=Root,O=Test\nunlisted crl.example:82\n");
	/* what is remembered finds the same again, and no more */
	buf_init(&remembered, 0);
	assert_int_equal(buf_append_slice(&remembered, buf_slice(&f->bytes)), 0);
	assert_int_equal(take(f, buf_slice(&remembered), time(NULL), &err), 0);
	assert_string_equal(f->seen, "crl crl.example:80/root.crl by CN=Root,O=Test\nunlisted crl.example:82\n");
	/* not when the certificates have expired */
	assert_int_equal(take(f, buf_slice(&remembered), time(NULL) + 400 * DAY, &err), -1);
	assert_string_equal(f->seen, "");
	buf_clear(&remembered);
	/* an anchor alone: nobody to ask, and no harm */
	assert_int_equal(ask(f, "partners", "0", &err), 0);
	assert_string_equal(f->seen, "");
}

static void test_refused(void **state)
{
	static const struct { const char *name, *indices; enum err_class class; } rows[] = {
		{ "others", "210", ERR_POLICY },	/* no such collection */
		{ "partner", "210", ERR_POLICY },
		{ "partners", "43", ERR_POLICY },	/* another CA's */
		{ "partners", "2410", ERR_MESSAGE },	/* that CA's certificate brought along: by name it fits … */
		{ "partners", "243", ERR_POLICY },	/* … but without a path */
		{ "partners", "20", ERR_MESSAGE },	/* no path */
		{ "partners", "2110", ERR_MESSAGE },
		{ "partners", "012", ERR_MESSAGE },
	};
	struct fixture *f = *state;
	struct err err = { 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (ask(f, rows[i].name, rows[i].indices, &err) == 0 || f->seen[0] != '\0' ||
		    err.class != rows[i].class)
			fail_msg("row %zu: %d %s: %s", i, err.class, err.text, f->seen);
	}
	assert_int_equal(take(f, slice_of("W1\x08partners\x01"), time(NULL), &err), -1);
	assert_int_equal(take(f, slice_make("W1\x08partners\x01\0\0\x02xx", 17), time(NULL), &err), -1);
	assert_int_equal(err.class, ERR_MESSAGE);
}

static void test_off(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };

	collection_free(f->collection);
	open_collection(f, "off", NULL);
	assert_false(fetch_is_for(f->collection));
	assert_int_equal(ask(f, "partners", "210", &err), -1);
	assert_int_equal(err.class, ERR_POLICY);
}

static void check_at(const struct fixture *f, time_t at, enum path_revocation revocation)
{
	const struct collection *const collections[] = { f->collection };
	struct cert *items[] = { f->certs[1] };
	const struct cert_list untrusted = { items, 1, 1 };
	const struct path_query query = { .cert = f->certs[2], .untrusted = &untrusted, .collections = collections,
		.collection_count = 1, .at = at };
	struct path_result result;
	struct err err;

	assert_int_equal(path_check(&query, &result, &err), 0);
	assert_int_equal(result.chain, CHAIN_GOOD);
	assert_int_equal(result.revocation, revocation);
}

/* While something is lacking once a minute; else once a day, so that what is used stays wanted. */
static void test_told(void **state)
{
	struct fixture *f = *state;
	time_t now = time(NULL);
	char *path = testdir_path(f->scratch, "crls.pem");
	struct buf crls;

	check_at(f, now, REV_UNKNOWN);
	check_at(f, now + 1, REV_UNKNOWN);
	assert_int_equal(f->told, 1);
	check_at(f, now + 61, REV_UNKNOWN);
	assert_int_equal(f->told, 2);
	buf_init(&crls, 0);
	testpki_crl(f->root, NULL, 0, now - 60, now + 100 * DAY, true, &crls);
	testpki_crl(f->sub, NULL, 0, now - 60, now + 100 * DAY, true, &crls);
	testpki_write(path, &crls, 0644);
	collection_free(f->collection);
	open_collection(f, "soft", path);
	f->told = 0;
	check_at(f, now, REV_GOOD);
	check_at(f, now + 3600, REV_GOOD);
	assert_int_equal(f->told, 1);
	check_at(f, now + DAY + 1, REV_GOOD);
	assert_int_equal(f->told, 2);
	check_at(f, now + 80 * DAY, REV_GOOD);		/* aged: a minute again */
	check_at(f, now + 80 * DAY + 61, REV_GOOD);
	assert_int_equal(f->told, 4);
	buf_clear(&crls);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_findings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_told, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
