/* test_recorder.c - the recorder and its clients: what is answered is on disk, whoever dies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "milter/audit_chain.h"
#include "milter/harvest_store.h"
#include "milter/kept_evidence.h"
#include "milter/recorder.h"
#include "milter/recorder_client.h"
#include "milter/recorder_wire.h"
#include "support/redis.h"
#include "support/testdir.h"
#include "support/testpki.h"

#define THREADS 8
#define ROUNDS 25

static const char *const both[] = { "b@partner.example", "c@partner.example" };

struct fixture {
	char *scratch, *log;
	char url[200];			/* of the journal; "": in scratch */
	int ends[2];
	pid_t recorder;
	struct recorder_client client;
	struct journal_key key;
};

static void start(struct fixture *f)
{
	const struct recorder_env env = { .state_dir = f->scratch, .audit_path = f->log, .audit_chain = true,
					  .journal = true, .journal_url = f->url,
					  .journal_password = slice_of(REDIS_PASSWORD), .lease_s = 600, .requests = f->ends[CHANNEL_SERVICE] };

	f->recorder = fork();
	if (f->recorder == 0) {
		close(f->ends[CHANNEL_CLIENT]);
		recorder_serve(&env);
		_exit(0);
	}
	assert_true(f->recorder > 0);
}

static void wait_for_end(struct fixture *f, bool killed)
{
	int status = 0;

	assert_int_equal(waitpid(f->recorder, &status, 0), f->recorder);
	assert_int_equal(WIFSIGNALED(status), killed);
}

static void open_client(struct fixture *f)
{
	assert_int_equal(recorder_client_open(&f->client, f->ends[CHANNEL_CLIENT], 10000, NULL), 0);
}

static int setup(void **state)
{
	static const unsigned char digest[CRYPT_SHA256_BYTES];
	const struct journal_parts parts = { slice_of("a"), slice_of("<1@x>"), slice_of("today"), digest, slice_of(NULL) };
	struct fixture *f = calloc(1, sizeof(*f));

	f->scratch = testdir_scratch();
	f->log = testdir_path(f->scratch, "audit.log");
	assert_int_equal(journal_key_make(&parts, &f->key, NULL), 0);
	assert_int_equal(channel_pair(f->ends, NULL), 0);
	start(f);
	open_client(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	recorder_client_close(&f->client);
	close(f->ends[CHANNEL_CLIENT]);
	close(f->ends[CHANNEL_SERVICE]);
	wait_for_end(f, false);		/* nobody is left who could ask */
	testdir_remove(f->scratch);
	free(f->log);
	free(f);
	return 0;
}

static int begin(struct fixture *f, struct journal_attempt *attempt, bool done[2])
{
	struct err err = { 0 };
	int rc = journal_begin(&f->client.journal, &f->key, both, 2, done, attempt, &err);

	if (rc != 0)
		assert_int_equal(err.class, ERR_TEMP);
	return rc;
}

static int keep(struct fixture *f, const struct journal_attempt *attempt, size_t i)
{
	return journal_keep(&f->client.journal, attempt, both + i, 1, "4Xk2Q3", NULL);
}

static int end(struct fixture *f, const struct journal_attempt *attempt, bool accepted)
{
	return journal_end(&f->client.journal, attempt, accepted, NULL);
}

static void journal_works_through_it(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt, second;
	bool done[2] = { true, true }, seen = true;

	assert_int_equal(begin(f, &attempt, done), 0);
	assert_true(!done[0] && !done[1] && attempt.number > 0);
	assert_int_equal(begin(f, &second, done), -1);
	assert_int_equal(keep(f, &attempt, 1), 0);
	assert_int_equal(end(f, &attempt, true), 0);
	assert_int_equal(begin(f, &second, done), 0);
	assert_true(!done[0] && done[1] && second.number > attempt.number);
	assert_int_equal(end(f, &second, false), 0);
	assert_int_equal(journal_seen(&f->client.journal, "id", time(NULL) + 60, &seen, NULL), 0);
	assert_false(seen);
	assert_int_equal(journal_seen(&f->client.journal, "id", time(NULL) + 60, &seen, NULL), 0);
	assert_true(seen);
}

static void encrypted_mail_is_remembered(void **state)
{
	struct fixture *f = *state;
	const struct slice ids[] = { slice_of("a@x"), slice_of("b@x"), slice_of("c@x") };
	struct slice many[50];
	bool known = true;

	for (size_t i = 0; i < 50; i++)
		many[i] = slice_of("z@x");
	assert_int_equal(journal_recall(&f->client.journal, ids, 3, &known, NULL), 0);
	assert_false(known);
	assert_int_equal(journal_remember(&f->client.journal, ids, 2, NULL), 0);
	assert_int_equal(kill(f->recorder, SIGKILL), 0);
	wait_for_end(f, true);
	start(f);
	assert_int_equal(journal_recall(&f->client.journal, ids + 1, 2, &known, NULL), 0);
	assert_true(known);
	assert_int_equal(journal_recall(&f->client.journal, ids + 2, 1, &known, NULL), 0);
	assert_false(known);
	assert_int_equal(journal_recall(&f->client.journal, many, 50, &known, NULL), 0);
	assert_false(known);
	many[49] = ids[0];
	assert_int_equal(journal_recall(&f->client.journal, many, 50, &known, NULL), 0);
	assert_true(known);
}

static void as_many_recipients_as_the_journal_takes(void **state)
{
	struct fixture *f = *state;
	const char **many = calloc(JOURNAL_RECIPIENTS, sizeof(*many));
	bool *done = calloc(JOURNAL_RECIPIENTS, sizeof(*done));
	struct journal_attempt attempt;

	for (size_t i = 0; i < JOURNAL_RECIPIENTS; i++)
		many[i] = i % 2 == 0 ? "b@x" : "c@x";
	assert_int_equal(journal_begin(&f->client.journal, &f->key, many, JOURNAL_RECIPIENTS, done, &attempt, NULL), 0);
	assert_int_equal(journal_keep(&f->client.journal, &attempt, many, JOURNAL_RECIPIENTS, "", NULL), 0);
	assert_int_equal(end(f, &attempt, true), 0);
	assert_int_equal(journal_begin(&f->client.journal, &f->key, many, JOURNAL_RECIPIENTS, done, &attempt, NULL), 0);
	for (size_t i = 0; i < JOURNAL_RECIPIENTS; i++)
		assert_true(done[i]);
	free(many);
	free(done);
}

/* Whole lines of the log that follow each other. */
static size_t count_chained(const struct fixture *f)
{
	struct audit_last last;
	struct slice rest;
	enum audit_link link;
	struct buf bytes;
	size_t n = 0;
	long at;

	audit_last_init(&last);
	buf_init(&bytes, 0);
	assert_int_equal(file_read(f->log, 0, &bytes, NULL), 0);
	for (rest = buf_slice(&bytes); (at = slice_find(rest, '\n')) >= 0; rest = slice_from(rest, (size_t)at + 1)) {
		assert_int_equal(audit_link(&last, slice_first(rest, (size_t)at), &link, NULL), 0);
		assert_true(link == AUDIT_GOOD || link == AUDIT_FIRST);
		n++;
	}
	buf_clear(&bytes);
	return n;
}

static void an_answered_line_is_in_the_log(void **state)
{
	struct fixture *f = *state;
	struct buf lines;

	assert_int_equal(recorder_client_audit(&f->client, slice_of("{\"a\":1}\n"), NULL), 0);
	assert_int_equal(count_chained(f), 1);
	/* more than one request carries */
	buf_init(&lines, 0);
	while (lines.n < 3 * CHANNEL_BYTES)
		assert_int_equal(buf_printf(&lines, "{\"a\":\"%0999d\"}\n", 0), 0);
	assert_int_equal(recorder_client_audit(&f->client, buf_slice(&lines), NULL), 0);
	assert_int_equal(count_chained(f), 1 + lines.n / 1008);
	buf_clear(&lines);
}

static void *work(void *arg)
{
	struct fixture *f = arg;
	uintptr_t bad = 0;
	bool seen;
	char id[64];

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(id, sizeof(id), "%lx %d", (unsigned long)pthread_self(), i);
		bad += recorder_client_audit(&f->client, slice_of("{\"a\":1}\n{\"a\":2}\n"), NULL) != 0;
		bad += journal_seen(&f->client.journal, id, time(NULL) + 60, &seen, NULL) != 0 || seen;
	}
	return (void *)bad;
}

/* Threads of two processes, and two recorders, as while a generation drains. */
static void many_threads_and_two_generations(void **state)
{
	struct fixture *f = *state, g = *f;
	pthread_t threads[2 * THREADS];
	void *bad = NULL;

	assert_int_equal(channel_pair(g.ends, NULL), 0);
	start(&g);
	open_client(&g);
	for (int i = 0; i < 2 * THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, i < THREADS ? f : &g), 0);
	for (int i = 0; i < 2 * THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
	assert_int_equal(count_chained(f), 2 * THREADS * ROUNDS * 2);
	recorder_client_close(&g.client);
	close(g.ends[0]);
	close(g.ends[1]);
	wait_for_end(&g, false);
}

static void a_dead_worker_holds_nothing(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt;
	bool done[2];
	int status, tries = 0;
	pid_t worker = fork();

	if (worker == 0) {
		open_client(f);
		if (begin(f, &attempt, done) == 0 && keep(f, &attempt, 0) == 0)
			(void)raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(worker, &status, 0), worker);
	assert_true(WIFSIGNALED(status));
	while (begin(f, &attempt, done) != 0 && tries++ < 500)
		(void)poll(NULL, 0, 10);
	assert_true(done[0] && !done[1]);
	assert_int_equal(end(f, &attempt, false), 0);
}

static void a_dead_recorder_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt, second;
	bool done[2];

	assert_int_equal(begin(f, &attempt, done), 0);
	assert_int_equal(keep(f, &attempt, 0), 0);
	assert_int_equal(recorder_client_audit(&f->client, slice_of("{\"a\":1}\n"), NULL), 0);
	assert_int_equal(kill(f->recorder, SIGKILL), 0);
	wait_for_end(f, true);
	start(f);
	/* the attempt goes on where it was */
	assert_int_equal(begin(f, &second, done), -1);
	assert_int_equal(keep(f, &attempt, 1), 0);
	assert_int_equal(end(f, &attempt, false), 0);
	assert_int_equal(begin(f, &second, done), 0);
	assert_true(done[0] && done[1]);
	assert_int_equal(recorder_client_audit(&f->client, slice_of("{\"a\":2}\n"), NULL), 0);
	assert_int_equal(count_chained(f), 2);
}

static void no_recorder_is_try_later(void **state)
{
	struct fixture *f = *state;
	struct recorder_client hasty;
	struct err err = { 0 };

	assert_int_equal(recorder_client_open(&hasty, f->ends[CHANNEL_CLIENT], 50, NULL), 0);
	assert_int_equal(kill(f->recorder, SIGSTOP), 0);
	assert_int_equal(recorder_client_audit(&hasty, slice_of("{\"a\":1}\n"), &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_int_equal(kill(f->recorder, SIGCONT), 0);
	recorder_client_close(&hasty);
	assert_int_equal(recorder_client_audit(&f->client, slice_of("{\"a\":1}\n"), NULL), 0);
}

/* Of each operation: too short, too long, a wrong number of ids, and what no worker says. */
static void nonsense_ends_a_connection_only(void **state)
{
	struct fixture *f = *state;
	struct { struct recorder_request head; char rest[100]; } message;
	char answer[RECORDER_ANSWER_BYTES];
	struct err err = { 0 };

	for (uint32_t operation = 0; operation < 12; operation++)
		for (uint32_t kind = 0; kind < 6; kind++) {
			size_t n = sizeof(message.head) + (kind == 3 ? 1 : 0);

			memset(&message, 0, sizeof(message));
			message.head.operation = operation;
			message.head.count = kind == 0 ? UINT32_MAX : kind == 1 ? JOURNAL_RECIPIENTS + 1 : kind == 2 ? 3 : 0;
			message.head.text_bytes = kind == 4 ? UINT32_MAX : kind == 5 ? 200 : 0;
			assert_int_equal(channel_call(f->client.channel, &message, kind == 2 ? 5 : n, answer, sizeof(answer),
						      &err), -1);
			assert_int_equal(err.class, ERR_TEMP);
		}
	assert_int_equal(recorder_client_audit(&f->client, slice_of("no line\n"), &err), -1);
	assert_int_equal(recorder_client_audit(&f->client, slice_of("{\"a\":1}"), &err), -1);
	assert_int_equal(recorder_client_audit(&f->client, slice_of("{\"a\":1}\n"), &err), 0);
	assert_int_equal(count_chained(f), 1);
}

static bool is_kept(struct fixture *f, const unsigned char *sha256)
{
	bool has[2] = { true, true };
	unsigned char both_digests[2 * CRYPT_SHA256_BYTES] = { 0 };

	memcpy(both_digests + CRYPT_SHA256_BYTES, sha256, CRYPT_SHA256_BYTES);
	assert_int_equal(recorder_client_has(&f->client, both_digests, 2, has, NULL), 0);
	assert_false(has[0]);
	return has[1];
}

static void evidence_is_kept_by_content(void **state)
{
	static const size_t sizes[] = { 1, CHANNEL_BYTES, 3 * CHANNEL_BYTES + 17, 0 };
	struct fixture *f = *state;
	unsigned char sha256[CRYPT_SHA256_BYTES], *bytes = test_calloc(1, 4 * CHANNEL_BYTES);
	char hex[2 * CRYPT_SHA256_BYTES + 1], name[sizeof(hex) + 16], *path = NULL;
	struct buf kept;

	buf_init(&kept, 0);
	assert_int_equal(crypt_random(bytes, 4 * CHANNEL_BYTES, NULL), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(crypt_sha256(bytes, sizes[i], sha256, NULL), 0);
		assert_false(is_kept(f, sha256));
		assert_int_equal(recorder_client_put(&f->client, sha256, slice_make((char *)bytes, sizes[i]), NULL), 0);
		assert_true(is_kept(f, sha256));
		crypt_hex(sha256, sizeof(sha256), hex);
		snprintf(name, sizeof(name), "evidence/%s", hex);
		path = testdir_path(f->scratch, name);
		assert_int_equal(file_read(path, 0, &kept, NULL), 0);
		assert_true(slice_equal(buf_slice(&kept), slice_make((char *)bytes, sizes[i])));
		/* again is no error, and what was removed comes back */
		assert_int_equal(recorder_client_put(&f->client, sha256, slice_make((char *)bytes, sizes[i]), NULL), 0);
		assert_int_equal(unlink(path), 0);
		assert_false(is_kept(f, sha256));
		free(path);
	}
	buf_clear(&kept);
	test_free(bytes);
}

static void evidence_is_what_its_digest_says(void **state)
{
	struct fixture *f = *state;
	unsigned char sha256[CRYPT_SHA256_BYTES];
	struct kept_evidence_part part = { .sha256 = sha256, .upload = sha256, .bytes = slice_of("ab") };
	struct err err;
	char *path = NULL;

	assert_int_equal(crypt_sha256("abcd", 4, sha256, NULL), 0);
	assert_int_equal(recorder_client_put(&f->client, sha256, slice_of("abce"), &err), -1);
	assert_int_equal(err.class, ERR_MESSAGE);
	assert_false(is_kept(f, sha256));
	/* pieces in another order, and one that is missing */
	part.offset = 2;
	assert_int_equal(kept_evidence_put(f->scratch, &part, &err), -1);
	part.offset = 0;
	assert_int_equal(kept_evidence_put(f->scratch, &part, &err), 0);
	part.offset = 3;
	assert_int_equal(kept_evidence_put(f->scratch, &part, &err), -1);
	assert_int_equal(err.class, ERR_MESSAGE);
	assert_false(is_kept(f, sha256));
	path = testdir_path(f->scratch, "evidence");
	assert_int_equal(rmdir(path), 0);	/* nothing is left of it */
	free(path);
}

static void spoil(const struct fixture *f, const char *how)
{
	char command[600];

	snprintf(command, sizeof(command), "cd %s && %s", f->scratch, how);
	assert_int_equal(system(command), 0);
}

static void a_removed_journal_is_begun_anew(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt;
	bool done[2];
	int tries = 0;

	assert_int_equal(begin(f, &attempt, done), 0);
	assert_int_equal(end(f, &attempt, true), 0);
	spoil(f, "rm journal.sqlite");
	assert_int_equal(begin(f, &attempt, done), -1);
	while (begin(f, &attempt, done) != 0 && tries++ < 500)
		(void)poll(NULL, 0, 10);
	assert_true(tries < 500);
}

static void a_damaged_journal_is_try_later_until_mended(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt;
	bool done[2];
	int tries = 0;

	assert_int_equal(begin(f, &attempt, done), 0);
	assert_int_equal(kill(f->recorder, SIGKILL), 0);
	wait_for_end(f, true);
	spoil(f, "cp journal.sqlite good && echo text > journal.sqlite");
	start(f);
	assert_int_equal(begin(f, &attempt, done), -1);
	assert_int_equal(recorder_client_audit(&f->client, slice_of("{\"a\":1}\n"), NULL), 0);
	spoil(f, "rm journal.sqlite* && cp good journal.sqlite");
	while (begin(f, &attempt, done) != 0 && tries++ < 500)
		(void)poll(NULL, 0, 10);
	assert_true(tries < 500);
}

/* The recorder connects again by itself: a mail fails only while the server is away. */
static void a_journal_on_a_server_outlives_connections(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt;
	struct redis redis;
	bool done[2];
	int tries = 0;

#ifndef HAVE_HIREDIS
	print_message("skip - built without hiredis\n");
	skip();
#endif
	if (redis_start(&redis) != 0) {
		print_message("skip - redis-server is not installed\n");
		skip();
	}
	assert_int_equal(kill(f->recorder, SIGKILL), 0);
	wait_for_end(f, true);
	snprintf(f->url, sizeof(f->url), "redis+unix://%s", redis.socket);
	start(f);
	assert_int_equal(begin(f, &attempt, done), 0);
	assert_int_equal(keep(f, &attempt, 0), 0);
	assert_int_equal(end(f, &attempt, false), 0);
	(void)poll(NULL, 0, 1100);	/* the first connection may be replaced by now */
	redis_command(&redis, "client kill type normal skipme yes");
	assert_int_equal(begin(f, &attempt, done), 0);
	assert_true(done[0] && !done[1]);
	assert_int_equal(end(f, &attempt, false), 0);
	redis_kill(&redis);
	for (int i = 0; i < 3; i++)
		assert_int_equal(begin(f, &attempt, done), -1);
	assert_int_equal(recorder_client_audit(&f->client, slice_of("{\"a\":1}\n"), NULL), 0);
	redis_restart(&redis);
	while (begin(f, &attempt, done) != 0 && tries++ < 500)
		(void)poll(NULL, 0, 10);
	assert_true(tries < 500);
	redis_stop(&redis);
}

static void what_mail_taught_is_kept(void **state)
{
	struct fixture *f = *state;
	struct arena *arena = arena_new(0);
	struct testpki *root = testpki_root("Root"), *ca = testpki_sub(root, "CA"), *bob = testpki_leaf(ca, "bob@x.example");
	struct cert *cert = testpki_cert(bob), *chain = testpki_cert(ca);
	const struct harvest harvest = {
		.address = testdir_address(arena, "Bob@X.example"), .cert = cert, .chain = { chain }, .chain_count = 1,
		.capabilities = { true, 1U << CIPHER_AES256_GCM }, .signed_at = 1795300000, .collection = "partners",
		.rule = "in", .at_once = true,
	};
	struct harvest_store *store = NULL;
	struct harvested *rows = NULL;
	size_t n = 0;

	assert_int_equal(recorder_client_harvest(&f->client, arena, &harvest, NULL), 0);
	assert_int_equal(harvest_store_open_read(f->scratch, 0, &store, NULL), 1);
	assert_int_equal(harvest_store_rows(store, arena, slice_of("bob@x.example"), &rows, &n, NULL), 0);
	harvest_store_close(store);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].state, HARVEST_STATE_ACTIVE);
	assert_true(slice_equal(rows[0].der, cert_info(cert)->der) && slice_equal(rows[0].chain, cert_info(chain)->der));
	assert_true(rows[0].capabilities.known && rows[0].capabilities.ciphers == 1U << CIPHER_AES256_GCM);
	assert_true(rows[0].signed_at == 1795300000);
	assert_string_equal(rows[0].collection, "partners");
	assert_string_equal(rows[0].how, "mail");
	cert_free(cert);
	cert_free(chain);
	testpki_free(bob);
	testpki_free(ca);
	testpki_free(root);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(journal_works_through_it, setup, teardown),
		cmocka_unit_test_setup_teardown(encrypted_mail_is_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(as_many_recipients_as_the_journal_takes, setup, teardown),
		cmocka_unit_test_setup_teardown(an_answered_line_is_in_the_log, setup, teardown),
		cmocka_unit_test_setup_teardown(many_threads_and_two_generations, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dead_worker_holds_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dead_recorder_is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(no_recorder_is_try_later, setup, teardown),
		cmocka_unit_test_setup_teardown(evidence_is_kept_by_content, setup, teardown),
		cmocka_unit_test_setup_teardown(evidence_is_what_its_digest_says, setup, teardown),
		cmocka_unit_test_setup_teardown(what_mail_taught_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(nonsense_ends_a_connection_only, setup, teardown),
		cmocka_unit_test_setup_teardown(a_removed_journal_is_begun_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_journal_is_try_later_until_mended, setup, teardown),
		cmocka_unit_test_setup_teardown(a_journal_on_a_server_outlives_connections, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
