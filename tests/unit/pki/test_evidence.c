/* test_evidence.c - which evidence is at hand while files come, change and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pki/evidence.h"
#include "support/testdir.h"
#include "support/testpki.h"

struct fixture {
	struct testpki *root, *sub, *leaf;
	struct testdir_clock clock;
	struct evidence_store *store;
	struct buf findings, bytes;
	struct err err;
	char *scratch;
};

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	f->root = testpki_root("Root");
	f->sub = testpki_sub(f->root, "Sub");
	f->leaf = testpki_leaf(f->sub, "a@example.com");
	testdir_clock_init(&f->clock);
	f->store = evidence_store_new(&f->clock.clock);
	assert_non_null(f->store);
	buf_init(&f->findings, 0);
	buf_init(&f->bytes, 0);
	f->scratch = testdir_scratch();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	evidence_store_free(f->store);
	testdir_remove(f->scratch);
	buf_clear(&f->findings);
	buf_clear(&f->bytes);
	testpki_free(f->leaf);
	testpki_free(f->sub);
	testpki_free(f->root);
	test_free(f);
	return 0;
}

static void on_finding(void *self, const char *line)
{
	struct fixture *f = self;

	buf_append_text(&f->findings, line);
	buf_append_char(&f->findings, '\n');
}

static bool said(struct fixture *f, const char *text)
{
	return strstr(buf_string(&f->findings), text) != NULL;
}

static int load(struct fixture *f)
{
	const struct conf_report report = { on_finding, f };

	buf_reset(&f->findings);
	return evidence_store_load(f->store, &report, &f->err);
}

static void watch(struct fixture *f, const char *name, bool optional)
{
	char *path = testdir_path(f->scratch, name);

	assert_int_equal(evidence_store_add(f->store, path, optional, NULL), 0);
	free(path);
}

static void write_bytes(struct fixture *f, const char *name)
{
	char *path = testdir_path(f->scratch, name);

	testpki_write(path, &f->bytes, 0644);
	free(path);
	buf_reset(&f->bytes);
}

static void write_crl(struct fixture *f, const char *name, const struct testpki *ca, bool pem)
{
	testpki_crl(ca, NULL, 0, 0, 0, pem, &f->bytes);
	write_bytes(f, name);
}

static void write_text(struct fixture *f, const char *name, const char *text)
{
	buf_append_text(&f->bytes, text);
	write_bytes(f, name);
}

static void move(struct fixture *f, const char *from, const char *to)
{
	char *one = testdir_path(f->scratch, from), *other = testdir_path(f->scratch, to);

	assert_int_equal(rename(one, other), 0);
	free(one);
	free(other);
}

static void delete(struct fixture *f, const char *name)
{
	char *path = testdir_path(f->scratch, name);

	assert_int_equal(unlink(path), 0);
	free(path);
}

static void make_directory(struct fixture *f, const char *name)
{
	char *path = testdir_path(f->scratch, name);

	assert_int_equal(mkdir(path, 0755), 0);
	free(path);
}

static size_t size(struct fixture *f)
{
	struct evidence *evidence = evidence_store_get(f->store);
	size_t n = evidence_size(evidence);

	evidence_free(evidence);
	return n;
}

/* After more than a second. */
static size_t size_later(struct fixture *f)
{
	f->clock.monotonic_ms += 1500;
	return size(f);
}

static uint64_t number(struct fixture *f)
{
	struct evidence *evidence = evidence_store_get(f->store);
	uint64_t n = evidence_number(evidence);

	evidence_free(evidence);
	return n;
}

static void finds_by_issuer_and_serial(void **state)
{
	struct fixture *f = *state;
	struct cert *leaf = testpki_cert(f->leaf), *sub = testpki_cert(f->sub);
	struct evidence *evidence;
	size_t n = 0;

	make_directory(f, "d");
	watch(f, "d", false);
	write_crl(f, "d/a.crl", f->sub, false);
	testpki_crl(f->root, NULL, 0, 0, 0, true, &f->bytes);
	testpki_pem(f->sub, TESTPKI_CERT, &f->bytes);
	write_crl(f, "d/b.pem", f->sub, true);
	testpki_ocsp_make(&(struct testpki_ocsp){ .cert = f->leaf, .issuer = f->sub }, &f->bytes);
	write_bytes(f, "d/c.ocsp");
	assert_int_equal(load(f), 0);
	evidence = evidence_store_get(f->store);
	assert_int_equal(evidence_size(evidence), 4);
	evidence_crls(evidence, X509_get_subject_name(f->sub->x509), &n);
	assert_int_equal(n, 2);
	evidence_crls(evidence, X509_get_subject_name(f->root->x509), &n);
	assert_int_equal(n, 1);
	evidence_crls(evidence, X509_get_subject_name(f->leaf->x509), &n);
	assert_int_equal(n, 0);
	evidence_ocsp(evidence, cert_info(leaf)->serial_der, &n);
	assert_int_equal(n, 1);
	evidence_ocsp(evidence, cert_info(sub)->serial_der, &n);
	assert_int_equal(n, 0);
	assert_true(n == 0 && cert_equal(evidence_certs(evidence, &n)[0], sub) && n == 1);
	evidence_free(evidence);
	cert_free(leaf);
	cert_free(sub);
}

static void files_come_change_and_go(void **state)
{
	struct fixture *f = *state;
	uint64_t first;

	make_directory(f, "d");
	watch(f, "d", false);
	assert_int_equal(load(f), 0);
	assert_int_equal(size(f), 0);
	first = number(f);
	write_crl(f, "d/b.crl", f->sub, false);
	assert_int_equal(size(f), 0);	/* not before a second has passed */
	assert_int_equal(size_later(f), 1);
	assert_true(number(f) > first);
	write_crl(f, "new", f->root, false);
	move(f, "new", "d/a.crl");
	assert_int_equal(size_later(f), 2);
	testpki_crl(f->root, NULL, 0, 0, 0, true, &f->bytes);
	write_crl(f, "d/b.crl", f->sub, true);	/* in its place, two CRLs now */
	assert_int_equal(size_later(f), 3);
	delete(f, "d/a.crl");
	assert_int_equal(size_later(f), 2);
	delete(f, "d/b.crl");
	assert_int_equal(size_later(f), 0);
}

static void nothing_new_is_no_new_snapshot(void **state)
{
	struct fixture *f = *state;
	uint64_t first;

	make_directory(f, "d");
	watch(f, "d", false);
	write_crl(f, "d/a.crl", f->sub, false);
	write_text(f, "d/bad", "no CRL");
	assert_int_equal(load(f), 0);
	first = number(f);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(size_later(f), 1);
		assert_int_equal(number(f), first);
	}
}

static void a_bad_file_takes_no_other_away(void **state)
{
	struct fixture *f = *state;

	make_directory(f, "d");
	watch(f, "d", false);
	write_text(f, "d/a", "no CRL");
	write_text(f, "d/b.ocsp", "no answer");
	write_crl(f, "d/c.crl", f->sub, false);
	testpki_crl(f->sub, NULL, 0, 1000000000, 1100000000, true, &f->bytes);
	write_bytes(f, "d/d.pem");
	assert_int_equal(load(f), 0);
	assert_int_equal(size(f), 2);
	assert_true(said(f, "d/a: ") && said(f, "d/b.ocsp: ") && said(f, "d/d.pem: a CRL that is out of date"));
	assert_false(said(f, "c.crl"));
}

/* Half a file, while somebody writes it: what was there before still counts. */
static void a_damaged_file_keeps_what_it_said(void **state)
{
	struct fixture *f = *state;

	watch(f, "a.crl", false);
	write_crl(f, "a.crl", f->sub, false);
	assert_int_equal(load(f), 0);
	testpki_crl(f->sub, NULL, 0, 0, 0, false, &f->bytes);
	f->bytes.n /= 2;
	write_bytes(f, "a.crl");
	assert_int_equal(size_later(f), 1);
	testpki_crl(f->root, NULL, 0, 0, 0, true, &f->bytes);
	write_crl(f, "a.crl", f->sub, true);
	assert_int_equal(size_later(f), 2);
	delete(f, "a.crl");
	assert_int_equal(size_later(f), 0);
}

static void what_is_named_must_be_there(void **state)
{
	struct fixture *f = *state;

	watch(f, "optional", true);
	assert_int_equal(load(f), 0);
	watch(f, "missing", false);
	assert_int_equal(load(f), -1);
	assert_int_equal(f->err.class, ERR_CONFIG);
	assert_non_null(strstr(f->err.text, "/missing: No such file"));
	write_text(f, "missing", "no CRL");
	assert_int_equal(load(f), -1);
	assert_non_null(strstr(f->err.text, "/missing: "));
	write_crl(f, "missing", f->sub, true);
	assert_int_equal(load(f), 0);
	/* later it comes to be */
	make_directory(f, "optional");
	write_crl(f, "optional/x.crl", f->sub, false);
	assert_int_equal(size_later(f), 2);
}

static void fixed_crls_stay(void **state)
{
	struct fixture *f = *state;

	testpki_crl(f->sub, NULL, 0, 0, 0, false, &f->bytes);
	assert_int_equal(evidence_store_add_crl(f->store, buf_slice(&f->bytes), &f->err), 0);
	assert_int_equal(evidence_store_add_crl(f->store, slice_of("no CRL"), &f->err), -1);
	assert_int_equal(load(f), 0);
	assert_int_equal(size_later(f), 1);
}

static void a_snapshot_outlives_its_store(void **state)
{
	struct fixture *f = *state;
	struct evidence *evidence;
	size_t n = 0;

	watch(f, "a.crl", false);
	write_crl(f, "a.crl", f->sub, false);
	assert_int_equal(load(f), 0);
	evidence = evidence_store_get(f->store);
	delete(f, "a.crl");
	assert_int_equal(size_later(f), 0);
	evidence_store_free(f->store);
	f->store = NULL;
	evidence_crls(evidence, X509_get_subject_name(f->sub->x509), &n);
	assert_int_equal(n, 1);
	evidence_free(evidence);
}

#define THREADS 4

static void *get_often(void *store)
{
	uintptr_t n = 0;

	for (int i = 0; i < 200; i++) {
		struct evidence *evidence = evidence_store_get(store);

		n += evidence_size(evidence);
		evidence_free(evidence);
	}
	return (void *)n;
}

/* Each call is due to look: the clock jumps a second with every reading. */
static int64_t leaping_ms(void *self)
{
	static int64_t now_ms;

	(void)self;
	return __atomic_add_fetch(&now_ms, 1500, __ATOMIC_RELAXED);
}

static void threads_share_a_store(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[THREADS];
	void *n = NULL;

	f->clock.clock.monotonic_ms = leaping_ms;
	make_directory(f, "d");
	watch(f, "d", false);
	write_crl(f, "d/a.crl", f->sub, false);
	assert_int_equal(load(f), 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, get_often, f->store), 0);
	for (int i = 0; i < 10; i++) {
		write_crl(f, "new", f->sub, false);
		move(f, "new", "d/a.crl");
	}
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &n), 0);
		assert_int_equal((uintptr_t)n, 200);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(finds_by_issuer_and_serial), TEST(files_come_change_and_go), TEST(nothing_new_is_no_new_snapshot),
		TEST(a_bad_file_takes_no_other_away), TEST(a_damaged_file_keeps_what_it_said),
		TEST(what_is_named_must_be_there), TEST(fixed_crls_stay), TEST(a_snapshot_outlives_its_store),
		TEST(threads_share_a_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
