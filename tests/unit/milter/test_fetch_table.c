/* test_fetch_table.c - when the fetch process asks, what it keeps, what it forgets; and the files in which it keeps
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "milter/fetch_voice.h"
#include "support/testdir.h"
#include "support/testpki.h"

#define NOW ((time_t)1800000000)

struct fixture {
	struct testpki *root, *leaf, *other;
	struct cert *issuer, *cert, *another;
	char *scratch;
	struct collection *collection;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *items[1], *domains[] = { "*" };
	struct collection_settings settings = { .name = "partners", .files = { items, 1 }, .domains = { domains, 1 } };
	struct err err;
	char *path;

	f->root = testpki_root("Root");
	f->leaf = testpki_make(f->root, &(struct testpki_spec){ .cn = "A", .not_after = NOW + 3600 });
	f->other = testpki_make(f->root, &(struct testpki_spec){ .cn = "B", .not_after = NOW + 3600 });
	f->issuer = testpki_cert(f->root);
	f->cert = testpki_cert(f->leaf);
	f->another = testpki_cert(f->other);
	f->scratch = testdir_scratch();
	path = testdir_path(f->scratch, "root.pem");
	testpki_write_pem(path, f->root, TESTPKI_CERT);
	items[0] = path;
	f->collection = collection_load(&settings, &(struct collection_env){ .report = NULL }, &err);
	assert_non_null(f->collection);
	free(path);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	collection_free(f->collection);
	cert_free(f->issuer);
	cert_free(f->cert);
	cert_free(f->another);
	testpki_free(f->leaf);
	testpki_free(f->other);
	testpki_free(f->root);
	testdir_remove(f->scratch);
	free(f);
	return 0;
}

static struct fetch_entry *entry(const struct fixture *f, enum fetch_kind kind, const char *url, struct cert *cert)
{
	struct fetch_entry *entry = calloc(1, sizeof(*entry));
	struct err err;

	entry->kind = kind;
	assert_int_equal(fetch_url_parse(url, &entry->url, &err), 0);
	entry->collection = f->collection;
	entry->cert = cert_ref(cert);
	entry->issuer = cert_ref(f->issuer);
	entry->wanted_at = NOW;
	assert_int_equal(fetch_entry_name(entry, &err), 0);
	return entry;
}

static void test_names(void **state)
{
	const struct fixture *f = *state;
	struct fetch_entry *entries[] = {
		entry(f, FETCH_CRL, "http://a.example/x", f->cert), entry(f, FETCH_CRL, "http://a.example/y", f->cert),
		entry(f, FETCH_CRL, "http://a.example:81/x", f->cert),
		entry(f, FETCH_OCSP, "http://a.example/x", f->cert),
		entry(f, FETCH_OCSP, "http://a.example/x", f->another),
	};
	struct fetch_entry *same = entry(f, FETCH_CRL, "http://A.example:80/x", f->another);
	const size_t n = sizeof(entries) / sizeof(entries[0]);

	assert_int_equal(strlen(same->name), FETCH_NAME_SIZE - 1);
	assert_string_equal(same->name, entries[0]->name);	/* a CRL serves all certificates */
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(entries[i]->name, entries[k]->name);
	for (size_t i = 0; i < n; i++)
		fetch_entry_free(entries[i]);
	fetch_entry_free(same);
}

static void test_order(void **state)
{
	const struct fixture *f = *state;
	struct fetch_table *table = calloc(1, sizeof(*table));
	struct fetch_entry *a = entry(f, FETCH_CRL, "http://a.example/x", f->cert),
			   *b = entry(f, FETCH_CRL, "http://a.example/y", f->cert),
			   *c = entry(f, FETCH_CRL, "http://c.example/", f->cert);

	a->due_ms = 3000;
	b->due_ms = 2000;
	c->due_ms = 4000;
	assert_true(fetch_table_next_ms(table) == INT64_MAX);
	assert_null(fetch_table_add(table, a));
	assert_null(fetch_table_add(table, b));
	assert_null(fetch_table_add(table, c));
	assert_ptr_equal(fetch_table_find(table, b->name), b);
	assert_null(fetch_table_find(table, "x"));
	assert_true(fetch_table_next_ms(table) == 2000);
	assert_null(fetch_table_due(table, 1999));
	assert_ptr_equal(fetch_table_due(table, 5000), b);
	b->running = true;			/* its host is busy, a's too */
	assert_true(fetch_table_next_ms(table) == 4000);
	assert_ptr_equal(fetch_table_due(table, 5000), c);
	c->running = true;
	assert_null(fetch_table_due(table, 5000));
	b->running = false;
	b->due_ms = 9000;
	assert_ptr_equal(fetch_table_due(table, 5000), a);
	fetch_table_clear(table);
	free(table);
}

static void test_expire(void **state)
{
	const struct fixture *f = *state;
	struct fetch_table *table = calloc(1, sizeof(*table));
	struct fetch_entry *a = entry(f, FETCH_CRL, "http://a.example/x", f->cert), *gone;

	fetch_table_add(table, a);
	assert_null(fetch_table_expire(table, NOW + 3600));
	a->running = true;
	assert_null(fetch_table_expire(table, NOW + 3601));
	a->running = false;
	assert_ptr_equal(fetch_table_expire(table, NOW + 3601), a);	/* the certificate has expired */
	a->wanted_at = NOW - FETCH_WANTED_S;
	fetch_table_add(table, a);
	assert_null(fetch_table_expire(table, NOW));
	gone = fetch_table_expire(table, NOW + 1);
	assert_ptr_equal(gone, a);
	assert_int_equal(table->n, 0);
	fetch_entry_free(gone);
	free(table);
}

static void test_full(void **state)
{
	const struct fixture *f = *state;
	struct fetch_table *table = calloc(1, sizeof(*table));
	struct fetch_entry *gone, *more = entry(f, FETCH_CRL, "http://a.example/more", f->cert);
	char url[64];

	for (int i = 0; i < FETCH_ENTRIES; i++) {
		snprintf(url, sizeof(url), "http://a.example/%d", i);
		assert_null(fetch_table_add(table, entry(f, FETCH_CRL, url, f->cert)));
	}
	table->items[6]->wanted_at = NOW - 2;
	table->items[6]->running = true;
	table->items[7]->wanted_at = NOW - 1;
	gone = fetch_table_add(table, more);
	assert_non_null(gone);
	assert_string_equal(gone->url.target, "/7");
	assert_int_equal(table->n, FETCH_ENTRIES);
	assert_ptr_equal(fetch_table_find(table, more->name), more);
	fetch_entry_free(gone);
	fetch_table_clear(table);
	free(table);
}

static void test_times(void **state)
{
	const struct fixture *f = *state;
	struct fetch_entry *e = entry(f, FETCH_CRL, "http://a.example/x", f->cert);
	int64_t before_ms = 0;

	fetch_entry_succeeded(e, true, 7200, 0, 1000);
	assert_true(e->due_ms == 1000 + 7200 * 1000);
	fetch_entry_succeeded(e, true, 7200, 1023, 1000);
	assert_true(e->due_ms < 1000 + 7200 * 1000 && e->due_ms >= 1000 + 7200 * 900);
	fetch_entry_succeeded(e, true, (time_t)1 << 40, 0, 0);
	assert_true(e->due_ms == FETCH_LONGEST_MS);
	fetch_entry_succeeded(e, true, -5, 0, 0);
	assert_true(e->due_ms == FETCH_EAGER_MS);
	fetch_entry_succeeded(e, false, -5, 0, 0);
	assert_true(e->due_ms == FETCH_SHORTEST_MS);
	for (int i = 0; i < 40; i++) {
		fetch_entry_failed(e, 0, 0);
		assert_true(e->due_ms >= before_ms && e->due_ms <= FETCH_FAILING_MS);
		assert_true(i > 0 || e->due_ms == FETCH_SHORTEST_MS);
		assert_true(i > 1 || e->due_ms == FETCH_SHORTEST_MS << i);
		before_ms = e->due_ms;
	}
	assert_true(e->due_ms == FETCH_FAILING_MS);
	fetch_entry_succeeded(e, true, 7200, 0, 0);
	assert_int_equal(e->failures, 0);
	fetch_entry_free(e);
}

static void test_renewal(void **state)
{
	(void)state;
	assert_int_equal(fetch_renew_s(NOW, NOW + 300, NOW), 300);	/* lives 400 s */
	assert_int_equal(fetch_renew_s(NOW, NOW + 300, NOW + 290), 27);
	assert_int_equal(fetch_renew_s(NOW, NOW + 300, NOW + 300), 25);
	assert_int_equal(fetch_renew_s(NOW, NOW + 300, NOW + 380), 5);
	assert_true(fetch_renew_s(NOW, NOW + 300, NOW + 1000) <= 0);
}

struct heard {
	unsigned lines, results;
	char last[1000];
};

static void hear(void *self, enum event_level level, const char *line)
{
	struct heard *heard = self;

	(void)level;
	heard->lines++;
	heard->results += strncmp(line, "fetch=", 6) == 0;
	snprintf(heard->last, sizeof(heard->last), "%s", line);
}

static void test_voice(void **state)
{
	const struct fixture *f = *state;
	struct heard heard = { .lines = 0 };
	const struct event_sink sink = { hear, &heard };
	struct fetch_entry *e = entry(f, FETCH_CRL, "http://[2001:db8::1]:81/x", f->cert);
	const struct fetch_result good = { .entry = e, .bytes = 7, .ms = 3, .word = "stored" },
				  bad = { .entry = e, .bytes = 7, .ms = 3, .word = "failed", .reason = "status 404" };
	struct fetch_voice voice;

	fetch_voice_init(&voice, &sink);
	fetch_voice_result(&voice, &bad, 1000);
	assert_string_equal(heard.last,
			    "fetch=crl collection=partners host=[2001:db8::1]:81 path=/x bytes=7 ms=3 result=failed "
			    "reason=\"status 404\"");
	for (unsigned i = 0; i < FETCH_COMPLAINTS + 4; i++)
		fetch_voice_result(&voice, &bad, 2000);
	assert_int_equal(heard.lines, FETCH_COMPLAINTS);
	fetch_voice_result(&voice, &good, 2000);		/* answers are told however many there are */
	assert_string_equal(heard.last,
			    "fetch=crl collection=partners host=[2001:db8::1]:81 path=/x bytes=7 ms=3 result=stored");
	fetch_voice_failure(&voice, "request refused", "why", 61000);
	assert_string_equal(heard.last, "fetch: request refused: why");
	assert_int_equal(heard.lines, FETCH_COMPLAINTS + 3);	/* and one for the five */
	fetch_voice_unlisted(&voice, f->collection, &e->url);
	fetch_voice_unlisted(&voice, f->collection, &e->url);
	assert_int_equal(heard.lines, FETCH_COMPLAINTS + 4);
	fetch_entry_free(e);
}

struct walk {
	char text[200];
};

static void note(void *self, struct slice request, time_t wanted_at)
{
	struct walk *walk = self;
	size_t n = strlen(walk->text);

	snprintf(walk->text + n, sizeof(walk->text) - n, "%.*s@%ld ", SLICE_ARGS(request), (long)(wanted_at - NOW));
}

static bool is_a(const void *self, const char *name)
{
	(void)self;
	return strcmp(name, "a") == 0;
}

static bool exists(const char *scratch, const char *name)
{
	char *path = testdir_path(scratch, name);
	bool found = access(path, F_OK) == 0;

	free(path);
	return found;
}

static void test_store(void **state)
{
	const struct fixture *f = *state;
	struct walk walk = { "" };
	struct fetch_store store;
	struct err err = { 0 };
	struct buf bytes;
	struct stat st;
	char *path = testdir_path(f->scratch, "revocation");

	buf_init(&bytes, 0);
	assert_int_equal(fetch_store_open(f->scratch, false, &store, &err), 0);
	assert_false(exists(f->scratch, "revocation"));
	assert_int_equal(fetch_store_open(f->scratch, true, &store, &err), 0);
	assert_int_equal(fetch_store_open(f->scratch, true, &store, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fetch_store_get(&store, "a", "crl", &bytes, &err), 0);
	assert_int_equal(fetch_store_put(&store, "a", "crl", slice_of("one"), &err), 0);
	assert_int_equal(fetch_store_put(&store, "a", "crl", slice_of("two"), &err), 0);
	assert_int_equal(fetch_store_get(&store, "a", "crl", &bytes, &err), 1);
	assert_true(slice_is(buf_slice(&bytes), "two"));
	assert_int_equal(fetch_store_get(&store, "a", "ocsp", &bytes, &err), 0);
	assert_int_equal(fetch_store_put(&store, "b", "ocsp", slice_of("three"), &err), 0);
	assert_int_equal(fetch_store_remember(&store, "a", slice_of("A"), NOW, &err), 0);
	assert_int_equal(fetch_store_remember(&store, "b", slice_of("BBBB"), NOW, &err), 0);
	fetch_store_touch(&store, "a", NOW + 5);
	assert_int_equal(fetch_store_each(&store, 3, note, &walk, &err), 0);	/* b is too large */
	assert_string_equal(walk.text, "A@5 ");
	assert_true(exists(f->scratch, "revocation/wanted/b"));
	fetch_store_clean(&store, is_a, NULL);
	assert_false(exists(f->scratch, "revocation/wanted/b"));
	assert_false(exists(f->scratch, "revocation/b.ocsp"));
	assert_true(exists(f->scratch, "revocation/a.crl"));
	fetch_store_forget(&store, "a");
	assert_false(exists(f->scratch, "revocation/a.crl"));
	assert_false(exists(f->scratch, "revocation/wanted/a"));
	assert_int_equal(chmod(path, 0707), 0);
	assert_int_equal(fetch_store_open(f->scratch, true, &store, &err), -1);
	assert_int_equal(chmod(path, 0700), 0);
	buf_clear(&bytes);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expire, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_times, setup, teardown),
		cmocka_unit_test(test_renewal),
		cmocka_unit_test_setup_teardown(test_voice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
