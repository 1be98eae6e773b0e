/* test_journal.c - exactly once: retries after every step, equal mails, several processes, with each driver; damaged files
 * and a full disk; a server that is slow, gone, or has forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "milter/drivers.h"
#include "support/redis.h"
#include "support/testdir.h"

#define LEASE_S 100

static const char *const both[] = { "b@partner.example", "c@partner.example" };
static const char *const third[] = { "d@partner.example" };

struct fixture {
	char *scratch;
	char *path;
	struct testdir_clock clock;
	struct redis *redis;		/* NULL: SQLite */
	char url[200];
	int64_t mails;			/* remembered at most; 0: as many as ever */
	struct journal journal;
	struct journal_key key;
};

static struct journal_env make_env(const struct fixture *f)
{
	return (struct journal_env){ .state_dir = f->scratch, .lease_s = LEASE_S, .clock = &f->clock.clock, .url = f->url,
				     .password = slice_of(REDIS_PASSWORD), .mails = f->mails };
}

static void open_journal(struct fixture *f)
{
	const struct journal_env env = make_env(f);
	struct err err = { 0 };
	bool made;

	if (drivers_journal_open(&env, &f->journal, &made, &err) != 0)
		fail_msg("%s", err.text);
}

static void make_key(struct journal_key *key, const char *message_id, const char *body)
{
	unsigned char digest[CRYPT_SHA256_BYTES];
	const struct journal_parts parts = { slice_of("a@example.com"), slice_of(message_id),
					     slice_of("Sun, 22 Nov 2026 02:00:00 +0000"), digest, slice_of(NULL) };

	assert_int_equal(crypt_sha256(body, strlen(body), digest, NULL), 0);
	assert_int_equal(journal_key_make(&parts, key, NULL), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->redis = *state;
	if (f->redis != NULL) {
		redis_command(f->redis, "flushall");
		snprintf(f->url, sizeof(f->url), "redis+unix://%s?db=3", f->redis->socket);
	}
	f->scratch = testdir_scratch();
	f->path = testdir_path(f->scratch, "journal.sqlite");
	testdir_clock_init(&f->clock);
	f->clock.now = 1795300000;
	make_key(&f->key, "<1@example.com>", "text");
	open_journal(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	journal_close(&f->journal);
	testdir_remove(f->scratch);
	free(f->path);
	free(f);
	return 0;
}

/* A new attempt for n recipients; the bits of those that are done. -1: could not ask. */
static int begin(struct fixture *f, const char *const *recipients, size_t n, struct journal_attempt *attempt)
{
	bool done[8] = { false };
	struct err err = { 0 };
	int bits = 0;

	if (journal_begin(&f->journal, &f->key, recipients, n, done, attempt, &err) != 0) {
		assert_int_equal(err.class, ERR_TEMP);
		return -1;
	}
	assert_true(attempt->number > 0);
	for (size_t i = 0; i < n; i++)
		bits |= done[i] ? 1 << i : 0;
	return bits;
}

static int keep(struct fixture *f, const struct journal_attempt *attempt, const char *const *recipients, size_t n)
{
	struct err err = { 0 };

	return journal_keep(&f->journal, attempt, recipients, n, "4Xk2Q3", &err);
}

static void end(struct fixture *f, const struct journal_attempt *attempt, bool accepted)
{
	assert_int_equal(journal_end(&f->journal, attempt, accepted, NULL), 0);
}

static void key_is_of_all_its_parts(void **state)
{
	struct fixture *f = *state;
	unsigned char digest[CRYPT_SHA256_BYTES] = { 0 };
	struct journal_parts parts = { slice_of("a"), slice_of("bc"), slice_of("d"), digest, slice_of(NULL) };
	struct journal_key one, two;

	(void)f;
	assert_int_equal(journal_key_make(&parts, &one, NULL), 0);
	assert_true(one.unique);
	parts.sender = slice_of("ab");
	parts.message_id = slice_of("c");
	assert_int_equal(journal_key_make(&parts, &two, NULL), 0);
	assert_memory_not_equal(one.bytes, two.bytes, sizeof(one.bytes));
	parts.message_id = slice_of(" c\r\n");
	assert_int_equal(journal_key_make(&parts, &one, NULL), 0);
	assert_memory_equal(one.bytes, two.bytes, sizeof(one.bytes));
	parts.message_id = slice_of(" ");
	assert_int_equal(journal_key_make(&parts, &one, NULL), 0);
	assert_false(one.unique);
	parts.message_id = slice_of("c");
	parts.date = slice_of(NULL);
	assert_int_equal(journal_key_make(&parts, &one, NULL), 0);
	assert_false(one.unique);
	parts.more = slice_of("a subject");
	assert_int_equal(journal_key_make(&parts, &two, NULL), 0);
	assert_memory_not_equal(one.bytes, two.bytes, sizeof(one.bytes));
	assert_false(two.unique);
}

static void looking_begins_nothing(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt;
	bool done[2] = { true, true };
	struct err err = { 0 };

	assert_int_equal(journal_look(&f->journal, &f->key, both, 2, done, &err), 0);
	assert_false(done[0] || done[1]);
	assert_int_equal(begin(f, both, 2, &attempt), 0);
	assert_int_equal(journal_look(&f->journal, &f->key, both, 2, done, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_int_equal(keep(f, &attempt, both, 1), 0);
	end(f, &attempt, false);
	assert_int_equal(journal_look(&f->journal, &f->key, both, 2, done, &err), 0);
	assert_true(done[0] && !done[1]);
}

/* More than fit into one question. */
static void looking_has_no_limit(void **state)
{
	enum { MANY = 2 * JOURNAL_RECIPIENTS + 3 };
	struct fixture *f = *state;
	const char **names = calloc(MANY, sizeof(*names));
	bool *done = calloc(MANY, sizeof(*done));
	struct journal_attempt attempt;

	assert_int_equal(begin(f, both, 2, &attempt), 0);
	assert_int_equal(keep(f, &attempt, both, 2), 0);
	end(f, &attempt, true);
	for (size_t i = 0; i < MANY; i++)
		names[i] = "nobody@x.example";
	names[JOURNAL_RECIPIENTS] = both[1];
	names[MANY - 1] = both[0];
	assert_int_equal(journal_look(&f->journal, &f->key, names, MANY, done, NULL), 0);
	for (size_t i = 0; i < MANY; i++)
		assert_true(done[i] == (i == JOURNAL_RECIPIENTS || i == MANY - 1));
	free(names);
	free(done);
}

static void retry_repeats_nothing(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt;

	assert_int_equal(begin(f, both, 2, &attempt), 0);
	assert_int_equal(keep(f, &attempt, both, 1), 0);
	end(f, &attempt, false);
	assert_int_equal(begin(f, both, 2, &attempt), 1);
	assert_int_equal(keep(f, &attempt, both + 1, 1), 0);
	end(f, &attempt, false);
	/* grouped differently */
	assert_int_equal(begin(f, both + 1, 1, &attempt), 1);
	end(f, &attempt, true);
	assert_int_equal(begin(f, both, 2, &attempt), 3);
	end(f, &attempt, true);
	/* another mail */
	make_key(&f->key, "<2@example.com>", "text");
	assert_int_equal(begin(f, both, 2, &attempt), 0);
	end(f, &attempt, true);
}

static void equal_mails_both_arrive(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt;

	make_key(&f->key, NULL, "text");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(begin(f, both, 2, &attempt), 0);
		assert_int_equal(keep(f, &attempt, both, 2), 0);
		end(f, &attempt, true);
	}
}

/* Two equal mails, A and B, in turns: each recipient gets two copies in the end, whoever's retry does it. */
static void equal_mails_with_retries_are_counted(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt;

	make_key(&f->key, NULL, "text");
	assert_int_equal(begin(f, both, 2, &attempt), 0);	/* A: the first copy is sent, the second is not taken */
	assert_int_equal(keep(f, &attempt, both, 1), 0);
	end(f, &attempt, false);
	assert_int_equal(begin(f, both, 2, &attempt), 1);	/* B takes A's copy for its own */
	assert_int_equal(keep(f, &attempt, both + 1, 1), 0);
	end(f, &attempt, true);
	assert_int_equal(begin(f, both, 2, &attempt), 0);	/* A again: nothing is left over */
	assert_int_equal(keep(f, &attempt, both, 2), 0);
	end(f, &attempt, true);
	assert_int_equal(begin(f, both, 2, &attempt), 0);
	end(f, &attempt, true);
}

/* The client split the mail: what was accepted for one recipient stays when the other's part ends. */
static void equal_mails_forget_only_their_recipients(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt;

	make_key(&f->key, NULL, "text");
	assert_int_equal(begin(f, both, 2, &attempt), 0);
	assert_int_equal(keep(f, &attempt, both, 2), 0);
	end(f, &attempt, false);
	assert_int_equal(begin(f, both, 1, &attempt), 1);
	end(f, &attempt, true);
	assert_int_equal(begin(f, both + 1, 1, &attempt), 1);
	end(f, &attempt, true);
	assert_int_equal(begin(f, both, 2, &attempt), 0);
	end(f, &attempt, true);
}

static void a_held_recipient_is_busy(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt first, second, other;

	assert_int_equal(begin(f, both, 2, &first), 0);
	assert_int_equal(begin(f, both + 1, 1, &second), -1);
	/* the same mail for others, on a connection of its own */
	assert_int_equal(begin(f, third, 1, &other), 0);
	end(f, &other, true);
	end(f, &first, false);
	assert_int_equal(begin(f, both + 1, 1, &second), 0);
	end(f, &second, false);
}

static void a_lease_ends_and_is_renewed(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt first, second;

	assert_int_equal(begin(f, both, 2, &first), 0);
	f->clock.now += LEASE_S - 1;
	assert_int_equal(keep(f, &first, both, 1), 0);
	f->clock.now += LEASE_S - 1;
	assert_int_equal(begin(f, both, 2, &second), -1);
	f->clock.now += 2;
	assert_int_equal(begin(f, both, 2, &second), 1);
	/* The first one is slow, not dead: what it sent is remembered, but it is told to stop. */
	assert_int_equal(keep(f, &first, both + 1, 1), -1);
	end(f, &second, false);
	end(f, &first, false);
	assert_int_equal(begin(f, both, 2, &second), 3);
	end(f, &second, false);
}

static void kept_without_begin_counts(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt;

	assert_int_equal(begin(f, both, 2, &attempt), 0);
	assert_int_equal(keep(f, &attempt, third, 1), 0);
	end(f, &attempt, false);
	assert_int_equal(begin(f, third, 1, &attempt), 1);
	end(f, &attempt, false);
	/* an attempt that ended: the fact is kept, the caller is told */
	assert_int_equal(keep(f, &attempt, both, 2), -1);
	assert_int_equal(begin(f, both, 2, &attempt), 3);
}

/* The steps of a passage, in a process of its own that dies after `last` of them. */
static _Noreturn void pass_and_die(struct fixture *f, int last)
{
	struct journal_attempt attempt;

	open_journal(f);
	for (int step = 0; step < last; step++) {
		if (step == 0)
			(void)begin(f, both, 2, &attempt);
		if (step == 1 || step == 2)
			(void)keep(f, &attempt, both + step - 1, 1);
		if (step == 3)
			end(f, &attempt, true);
	}
	(void)raise(SIGKILL);
	_exit(99);
}

static void killed_after(struct fixture *f, int last, bool unique, int expected)
{
	struct journal_attempt attempt;
	int status = 0;
	pid_t pid;

	make_key(&f->key, unique ? "<kill@example.com>" : NULL, last == 0 ? "0" : last == 1 ? "1" : last == 2 ? "2" :
		 last == 3 ? "3" : "4");
	pid = fork();
	if (pid == 0)
		pass_and_die(f, last);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	if (last > 0 && last < 4)
		assert_int_equal(begin(f, both, 2, &attempt), -1);
	f->clock.now += LEASE_S + 1;
	assert_int_equal(begin(f, both, 2, &attempt), expected);
	end(f, &attempt, false);
}

static void killed_between_any_two_steps(void **state)
{
	struct fixture *f = *state;
	static const int unique[] = { 0, 0, 1, 3, 3 }, equal[] = { 0, 0, 1, 3, 0 };

	for (int last = 0; last <= 4; last++) {
		killed_after(f, last, true, unique[last]);
		killed_after(f, last, false, equal[last]);
	}
}

/* Tries until the mail is accepted; each copy that is sent is a byte in the file. */
static _Noreturn void send_like_a_client(struct fixture *f, const char *sent)
{
	struct journal_attempt attempt;
	int fd = open(sent, O_WRONLY | O_APPEND), done;

	open_journal(f);
	for (unsigned round = 0; round < 1000; round++) {
		done = begin(f, both, 2, &attempt);
		if (done < 0) {
			usleep(1000);
			continue;
		}
		for (int i = 0; i < 2; i++)
			if ((done & 1 << i) == 0 && (write(fd, i == 0 ? "b" : "c", 1) != 1 ||
						     keep(f, &attempt, both + i, 1) != 0))
				_exit(1);
		end(f, &attempt, round % 2 == 0);
		_exit(0);
	}
	_exit(2);
}

static void many_processes_send_one_copy(void **state)
{
	struct fixture *f = *state;
	char *sent = testdir_path(f->scratch, "sent");
	struct stat file;
	int status = 0, fd = open(sent, O_WRONLY | O_CREAT, 0600);

	close(fd);
	for (int i = 0; i < 8; i++)
		if (fork() == 0)
			send_like_a_client(f, sent);
	for (int i = 0; i < 8; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(stat(sent, &file), 0);
	assert_int_equal(file.st_size, 2);
	free(sent);
}

static void an_id_is_seen_once(void **state)
{
	struct fixture *f = *state;
	const time_t expires = f->clock.now + 60;
	int status = 0, first = 0;
	bool seen = true;

	for (int i = 0; i < 6; i++)
		if (fork() == 0) {
			open_journal(f);
			_exit(journal_seen(&f->journal, "id", expires, &seen, NULL) != 0 ? 9 : seen ? 1 : 0);
		}
	for (int i = 0; i < 6; i++) {
		assert_true(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) < 2);
		first += WEXITSTATUS(status) == 0;
	}
	assert_int_equal(first, 1);
	assert_int_equal(journal_seen(&f->journal, "other", expires, &seen, NULL), 0);
	assert_false(seen);
	f->clock.now += 61;
	assert_int_equal(journal_seen(&f->journal, "id", f->clock.now + 60, &seen, NULL), 0);
	assert_false(seen);
	assert_int_equal(journal_seen(&f->journal, "id", f->clock.now + 60, &seen, NULL), 0);
	assert_true(seen);
}

static void remember(struct fixture *f, const char *id)
{
	const struct slice slice = slice_of(id);

	assert_int_equal(journal_remember(&f->journal, &slice, 1, NULL), 0);
}

/* Is one of both remembered? */
static bool recall(struct fixture *f, const char *one, const char *other)
{
	const struct slice ids[] = { slice_of(one), slice_of(other) };
	bool known = true;

	assert_int_equal(journal_recall(&f->journal, ids, 2, &known, NULL), 0);
	return known;
}

static void an_encrypted_mail_is_remembered_for_a_time(void **state)
{
	struct fixture *f = *state;
	const struct slice two[] = { slice_of("c@x"), slice_of("d@x") };
	bool known = true;

	assert_false(recall(f, "a@x", "b@x"));
	remember(f, "a@x");
	assert_true(recall(f, "a@x", "b@x") && recall(f, "b@x", "a@x"));
	assert_false(recall(f, "A@x", "b@x"));
	assert_int_equal(journal_remember(&f->journal, two, 2, NULL), 0);
	assert_true(recall(f, "b@x", "c@x") && recall(f, "b@x", "d@x"));
	assert_int_equal(journal_recall(&f->journal, two, 0, &known, NULL), 0);
	assert_false(known);
	journal_close(&f->journal);
	open_journal(f);
	f->clock.now += JOURNAL_MAIL_LIFE_S - 1;
	assert_true(recall(f, "a@x", "b@x"));
	remember(f, "a@x");
	f->clock.now += 1;
	assert_false(recall(f, "b@x", "c@x"));
	assert_true(recall(f, "a@x", "b@x"));
	f->clock.now += JOURNAL_MAIL_LIFE_S;
	assert_false(recall(f, "a@x", "d@x"));
}

static void too_many_crowd_out_the_oldest(void **state)
{
	struct fixture *f = *state;
	char id[40];

	journal_close(&f->journal);
	f->mails = 100;
	open_journal(f);
	for (int i = 0; i < 250; i++) {
		snprintf(id, sizeof(id), "%d@x", i);
		remember(f, id);
		remember(f, id);		/* the same one takes no room */
		f->clock.now++;
	}
	assert_false(recall(f, "0@x", "149@x"));
	assert_true(recall(f, "0@x", "150@x"));
	assert_true(recall(f, "0@x", "249@x"));
}

/* One that is asked about is no copy's and no loop guard's. */
static void what_is_remembered_is_told_apart(void **state)
{
	struct fixture *f = *state;
	bool seen = true;

	remember(f, "a@x");
	assert_int_equal(journal_seen(&f->journal, "a@x", f->clock.now + 60, &seen, NULL), 0);
	assert_false(seen);
	assert_int_equal(journal_seen(&f->journal, "b@x", f->clock.now + 60, &seen, NULL), 0);
	assert_false(recall(f, "b@x", "b@x"));
}

static long long count(const struct fixture *f, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *statement = NULL;
	long long n;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	n = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return n;
}

static void old_entries_go_in_small_steps(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt;
	char name[40];
	const char *one = name;
	bool seen;

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "%d@example.com", i);
		assert_int_equal(begin(f, &one, 1, &attempt), 0);
		assert_int_equal(keep(f, &attempt, &one, 1), 0);
		end(f, &attempt, true);
		assert_int_equal(journal_seen(&f->journal, name, f->clock.now + 60, &seen, NULL), 0);
	}
	assert_int_equal(begin(f, both, 2, &attempt), 0);	/* of a process that died */
	f->clock.now += JOURNAL_LIFE_S - 1;
	assert_int_equal(begin(f, &one, 1, &attempt), 1);
	end(f, &attempt, true);
	assert_int_equal(count(f, "SELECT count(*) FROM copy"), 202);
	f->clock.now += LEASE_S + 2;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(begin(f, third, 1, &attempt), 0);
		end(f, &attempt, false);
	}
	assert_int_equal(count(f, "SELECT count(*) FROM copy"), 1);	/* the one that was asked for again */
	assert_int_equal(count(f, "SELECT count(*) FROM seen"), 0);
	assert_int_equal(count(f, "SELECT count(*) FROM attempt"), 0);
}

static void old_mails_go_in_small_steps(void **state)
{
	struct fixture *f = *state;
	char id[40];

	for (int i = 0; i < 200; i++) {
		snprintf(id, sizeof(id), "%d@x", i);
		remember(f, id);
	}
	f->clock.now += JOURNAL_MAIL_LIFE_S;
	for (int i = 0; i < 4; i++)
		remember(f, "new@x");
	assert_int_equal(count(f, "SELECT count(*) FROM mail"), 1);
}

/* Those of before did not remember mails. */
static void an_older_journal_learns_to_remember(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt;
	sqlite3 *db = NULL;

	assert_int_equal(begin(f, both, 2, &attempt), 0);
	journal_close(&f->journal);
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "DROP TABLE mail", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	open_journal(f);
	remember(f, "a@x");
	assert_true(recall(f, "a@x", "b@x"));
	assert_int_equal(begin(f, both, 2, &attempt), -1);
}

static void a_group_is_whole_or_not_at_all(void **state)
{
	struct fixture *f = *state, g = *f;
	const struct journal_class *class = f->journal.class;
	struct journal_attempt attempt;
	struct err err = { 0 };

	assert_int_equal(class->start(f->journal.self, &err), 0);
	assert_int_equal(begin(f, both, 2, &attempt), 0);
	assert_int_equal(keep(f, &attempt, both, 2), 0);
	end(f, &attempt, true);
	assert_int_equal(count(f, "SELECT count(*) FROM copy"), 0);
	assert_int_equal(class->commit(f->journal.self, &err), 0);
	assert_int_equal(count(f, "SELECT count(*) FROM copy"), 2);
	/* busy is an answer: the group goes on */
	assert_int_equal(class->start(f->journal.self, &err), 0);
	assert_int_equal(begin(f, both, 2, &attempt), 3);
	assert_int_equal(begin(f, both, 2, &attempt), -1);
	assert_int_equal(begin(f, third, 1, &attempt), 0);
	assert_int_equal(class->commit(f->journal.self, &err), 0);
	open_journal(&g);
	assert_int_equal(begin(&g, third, 1, &attempt), -1);
	journal_close(&g.journal);
}

static void file_is_private_and_tells_nothing(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt;
	struct stat file;
	char command[400];

	assert_int_equal(begin(f, both, 2, &attempt), 0);
	assert_int_equal(keep(f, &attempt, both, 2), 0);
	assert_int_equal(stat(f->path, &file), 0);
	assert_int_equal(file.st_mode & 0777, 0600);
	snprintf(command, sizeof(command), "! grep -q -a -e partner -e example %s/*", f->scratch);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "test -z \"$(find %s -type f -perm /077)\"", f->scratch);
	assert_int_equal(system(command), 0);
}

static void spoil(const struct fixture *f, const char *how)
{
	char command[600];

	snprintf(command, sizeof(command), "cd %s && %s", f->scratch, how);
	assert_int_equal(system(command), 0);
}

static void make_other_database(const struct fixture *f)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE copy(id)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void a_damaged_file_is_never_an_empty_one(void **state)
{
	static const char *const ways[] = {
		": > journal.sqlite",
		"echo text > journal.sqlite",
		"head -c 5000 journal.sqlite > x && cp x journal.sqlite",
		"head -c 8192 /dev/urandom | dd of=journal.sqlite bs=4096 seek=1 conv=notrunc 2> x",
		"rm journal.sqlite",	/* and another database in its place */
	};
	struct fixture *f = *state;
	const struct journal_env env = make_env(f);
	struct journal_attempt attempt;
	struct err err = { 0 };
	bool made = true;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		assert_int_equal(begin(f, both, 2, &attempt), 0);
		journal_close(&f->journal);
		spoil(f, ways[i]);
		if (i + 1 == sizeof(ways) / sizeof(ways[0]))
			make_other_database(f);
		assert_int_equal(journal_sqlite_open(&env, &f->journal, &made, &err), -1);
		assert_int_equal(err.class, ERR_TEMP);
		assert_non_null(strstr(err.text, "journal.sqlite"));
		assert_false(made);
		spoil(f, "rm -f journal.sqlite*");
		assert_int_equal(journal_sqlite_open(&env, &f->journal, &made, &err), 0);
		assert_true(made);
	}
}

/* The log of a removed journal must not become the new one's. */
static void a_removed_file_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt;
	struct err err = { 0 };
	bool done[2], made;
	const struct journal_env env = make_env(f);

	assert_int_equal(begin(f, both, 2, &attempt), 0);
	assert_int_equal(keep(f, &attempt, both, 2), 0);
	spoil(f, "cp journal.sqlite-wal old && rm journal.sqlite");
	assert_int_equal(journal_begin(&f->journal, &f->key, third, 1, done, &attempt, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_non_null(strstr(err.text, "removed"));
	journal_close(&f->journal);
	spoil(f, "mv old journal.sqlite-wal");
	assert_int_equal(journal_sqlite_open(&env, &f->journal, &made, &err), 0);
	assert_true(made);
	assert_int_equal(begin(f, both, 2, &attempt), 0);
}

static void a_full_disk_is_try_later(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit = { 0, 0 }, before;
	struct journal_attempt attempt;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(begin(f, both, 2, &attempt), 0);
	limit.rlim_cur = 100000;
	limit.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(keep(f, &attempt, both, 1), 0);
	while (keep(f, &attempt, both, 1) == 0)
		continue;
	assert_int_equal(keep(f, &attempt, both + 1, 1), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	end(f, &attempt, false);
	assert_int_equal(begin(f, both, 2, &attempt), 1);
	end(f, &attempt, false);
}

static void no_directory_is_try_later(void **state)
{
	const struct fixture *f = *state;
	struct journal_env env = make_env(f);
	struct journal journal;
	struct err err = { 0 };
	bool made;

	env.state_dir = "/nonexistent";
	assert_int_equal(journal_sqlite_open(&env, &journal, &made, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	journal_close(&journal);
}

static void too_many_recipients_are_over_a_limit(void **state)
{
	struct fixture *f = *state;
	const char **many = calloc(JOURNAL_RECIPIENTS + 1, sizeof(*many));
	struct journal_attempt attempt;
	struct err err = { 0 };

	assert_int_equal(journal_begin(&f->journal, &f->key, many, JOURNAL_RECIPIENTS + 1, NULL, &attempt, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	free(many);
}

static void recipients_as_many_as_it_takes(void **state)
{
	struct fixture *f = *state;
	const char **many = calloc(JOURNAL_RECIPIENTS, sizeof(*many));
	bool *done = calloc(JOURNAL_RECIPIENTS, sizeof(*done));
	struct journal_attempt attempt;

	for (size_t i = 0; i < JOURNAL_RECIPIENTS; i++)
		many[i] = i % 2 == 0 ? both[0] : both[1];
	assert_int_equal(journal_begin(&f->journal, &f->key, many, JOURNAL_RECIPIENTS, done, &attempt, NULL), 0);
	assert_int_equal(journal_keep(&f->journal, &attempt, many, JOURNAL_RECIPIENTS, "", NULL), 0);
	end(f, &attempt, true);
	assert_int_equal(journal_begin(&f->journal, &f->key, many, JOURNAL_RECIPIENTS, done, &attempt, NULL), 0);
	assert_true(done[0] && done[JOURNAL_RECIPIENTS - 1]);
	free(many);
	free(done);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TESTS_OF_BOTH \
	TEST(looking_begins_nothing), TEST(looking_has_no_limit), TEST(retry_repeats_nothing), \
	TEST(equal_mails_both_arrive), TEST(equal_mails_with_retries_are_counted), \
	TEST(equal_mails_forget_only_their_recipients), TEST(a_held_recipient_is_busy), \
	TEST(a_lease_ends_and_is_renewed), TEST(kept_without_begin_counts), TEST(killed_between_any_two_steps), \
	TEST(many_processes_send_one_copy), TEST(an_id_is_seen_once), TEST(recipients_as_many_as_it_takes), \
	TEST(an_encrypted_mail_is_remembered_for_a_time), TEST(too_many_crowd_out_the_oldest), \
	TEST(what_is_remembered_is_told_apart)

#ifdef HAVE_HIREDIS
static void urls(void **state)
{
	static const char *const good[] = {
		"redis://redis.example.com", "redis://redis.example.com:6380/15", "redis://gateway@[2001:db8::1]:6379/0",
		"redis://[::1]", "redis://127.0.0.1/", "redis+unix:///run/redis.sock", "redis+unix:///run/redis.sock?db=2",
	};
	static const struct { const char *url, *problem; } bad[] = {
		{ "sqlite:///x", "redis://" }, { "rediss://h", "redis://" }, { "redis:h", "redis://" },
		{ "redis://", "host" }, { "redis://:6379", "host" }, { "redis://[]", "host" }, { "redis://h:", "PORT" },
		{ "redis://h:0", "PORT" }, { "redis://h:65536", "PORT" }, { "redis://h:+1", "PORT" },
		{ "redis://[::1]6379", "PORT" }, { "redis://h/x", "number" }, { "redis://h/1?x=y", "number" },
		{ "redis://user:hush@h", "journal_password_file" }, { "redis://:hush@h", "journal_password_file" },
		{ "redis://@h", "name" }, { "redis+unix://run/x", "path" }, { "redis+unix:///x?password=hush", "db=" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(journal_redis_problem(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_non_null(journal_redis_problem(bad[i].url));
		if (strstr(journal_redis_problem(bad[i].url), bad[i].problem) == NULL)
			fail_msg("%s: %s", bad[i].url, journal_redis_problem(bad[i].url));
		assert_null(strstr(journal_redis_problem(bad[i].url), "hush"));
	}
}

static void cannot_open(const struct journal_env *env, const char *why)
{
	struct journal journal;
	struct err err = { 0 };
	bool made = true;

	assert_int_equal(journal_redis_open(env, &journal, &made, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_false(made);
	assert_null(journal.class);
	if (strstr(err.text, why) == NULL)
		fail_msg("%s", err.text);
}

static void a_server_that_refuses_is_try_later(void **state)
{
	const struct fixture *f = *state;
	struct journal_env env = make_env(f);

	env.password = slice_of("wrong");
	cannot_open(&env, "WRONGPASS");
	env.password = slice_of("");
	cannot_open(&env, "NOAUTH");
	env = make_env(f);
	env.url = "redis+unix:///nonexistent";
	cannot_open(&env, "/nonexistent");
	redis_command(f->redis, "-n 3 set smime-milter:journal:version 2");
	env = make_env(f);
	cannot_open(&env, "another version");
}

static void nothing_works(struct fixture *f, const struct journal_attempt *first)
{
	const struct slice id = slice_of("a@x");
	struct journal_attempt attempt;
	struct err err = { 0 };
	bool seen;

	assert_int_equal(begin(f, third, 1, &attempt), -1);
	assert_int_equal(keep(f, first, both, 1), -1);
	assert_int_equal(journal_end(&f->journal, first, true, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_int_equal(journal_seen(&f->journal, "id", f->clock.now + 60, &seen, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_int_equal(journal_remember(&f->journal, &id, 1, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_int_equal(journal_recall(&f->journal, &id, 1, &seen, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_int_equal(f->journal.class->start(f->journal.self, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
}

static void a_server_that_is_silent_is_try_later(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt first, attempt;

	assert_int_equal(begin(f, both, 2, &first), 0);
	assert_int_equal(kill(f->redis->pid, SIGSTOP), 0);
	nothing_works(f, &first);
	assert_int_equal(kill(f->redis->pid, SIGCONT), 0);
	/* an answer that comes too late is no other question's */
	nothing_works(f, &first);
	journal_close(&f->journal);
	open_journal(f);
	assert_int_equal(begin(f, both, 2, &attempt), -1);
	assert_int_equal(keep(f, &first, both, 1), 0);
	end(f, &first, false);
	assert_int_equal(begin(f, both, 2, &attempt), 1);
}

static void a_server_that_dies_is_try_later(void **state)
{
	struct fixture *f = *state;
	const struct journal_env env = make_env(f);
	struct journal_attempt first, attempt;
	struct err err = { 0 };
	bool made = false;

	assert_int_equal(begin(f, both, 2, &first), 0);
	redis_kill(f->redis);
	nothing_works(f, &first);
	journal_close(&f->journal);
	cannot_open(&env, "refused");
	redis_restart(f->redis);
	/* It kept nothing on disk: that is told, and no number is used twice. */
	assert_int_equal(journal_redis_open(&env, &f->journal, &made, &err), 0);
	assert_true(made);
	assert_int_equal(begin(f, third, 1, &attempt), 0);
	assert_int_equal(keep(f, &first, both, 1), -1);
}

static void a_server_that_forgot_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };

	assert_int_equal(f->journal.class->start(f->journal.self, &err), 0);
	assert_int_equal(f->journal.class->commit(f->journal.self, &err), 0);
	redis_command(f->redis, "flushall");
	assert_int_equal(f->journal.class->start(f->journal.self, &err), -1);
	assert_non_null(strstr(err.text, "no journal any more"));
}

static void a_server_that_may_not_write_is_try_later(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt;

	redis_command(f->redis, "config set maxmemory 1");
	assert_int_equal(begin(f, both, 2, &attempt), -1);
	redis_command(f->redis, "config set maxmemory 0");
	journal_close(&f->journal);
	open_journal(f);
	assert_int_equal(begin(f, both, 2, &attempt), 0);
}

/* Nothing outlives its use by more than the server's own forgetting, and names nobody. */
static void every_key_ends_and_tells_nothing(void **state)
{
	struct fixture *f = *state;
	struct journal_attempt attempt;
	bool seen;

	assert_int_equal(begin(f, both, 2, &attempt), 0);
	assert_int_equal(keep(f, &attempt, both, 1), 0);
	assert_int_equal(keep(f, &attempt, third, 1), 0);
	assert_int_equal(journal_seen(&f->journal, "id@example.com", f->clock.now - 1, &seen, NULL), 0);
	remember(f, "mail@example.com");
	redis_command(f->redis, "-n 3 eval \"for _, key in ipairs(redis.call('keys', '*')) do"
		      " if key:find('example') then return redis.error_reply(key) end"
		      " if redis.call('ttl', key) < 1 and not key:find('version$') and not key:find('number$') then"
		      " return redis.error_reply(key) end end return 'OK'\" 0 | grep -qx OK");
	end(f, &attempt, true);
}

static int start_redis(void **state)
{
	struct redis *redis = calloc(1, sizeof(*redis));

	signal(SIGPIPE, SIG_IGN);
	*state = redis;
	return redis_start(redis);
}

static int stop_redis(void **state)
{
	redis_stop(*state);
	free(*state);
	return 0;
}

static int run_redis_tests(void)
{
	const struct CMUnitTest tests[] = {
		TESTS_OF_BOTH, cmocka_unit_test(urls), TEST(a_server_that_refuses_is_try_later),
		TEST(a_server_that_is_silent_is_try_later), TEST(a_server_that_dies_is_try_later),
		TEST(a_server_that_forgot_is_noticed), TEST(a_server_that_may_not_write_is_try_later),
		TEST(every_key_ends_and_tells_nothing),
	};

	if (system("command -v redis-server redis-cli > /dev/null") != 0) {
		printf("skip - the journal on Redis: redis-server is not installed\n");
		return 0;
	}
	return cmocka_run_group_tests_name("redis", tests, start_redis, stop_redis);
}

#else
static int run_redis_tests(void)
{
	printf("skip - the journal on Redis: built without hiredis\n");
	return 0;
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTS_OF_BOTH, TEST(key_is_of_all_its_parts), TEST(old_entries_go_in_small_steps),
		TEST(old_mails_go_in_small_steps), TEST(an_older_journal_learns_to_remember),
		TEST(a_group_is_whole_or_not_at_all), TEST(file_is_private_and_tells_nothing),
		TEST(a_damaged_file_is_never_an_empty_one), TEST(a_removed_file_is_noticed), TEST(a_full_disk_is_try_later),
		TEST(no_directory_is_try_later), TEST(too_many_recipients_are_over_a_limit),
	};
	int bad = cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);

	return bad + run_redis_tests();
}
