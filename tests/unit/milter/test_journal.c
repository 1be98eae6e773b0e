/* test_journal.c - exactly once: retries after every step, equal mails, several processes, damaged files, a full disk. */
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

#include "milter/journal.h"
#include "support/testdir.h"

#define LEASE_S 100

static const char *const both[] = { "b@partner.example", "c@partner.example" };
static const char *const third[] = { "d@partner.example" };

struct fixture {
	char *scratch;
	char *path;
	struct testdir_clock clock;
	struct journal journal;
	struct journal_key key;
};

static void open_journal(struct fixture *f)
{
	const struct journal_env env = { f->scratch, LEASE_S, &f->clock.clock };
	struct err err = { 0 };
	bool made;

	if (journal_sqlite_open(&env, &f->journal, &made, &err) != 0)
		fail_msg("%s", err.text);
}

static void make_key(struct journal_key *key, const char *message_id, const char *body)
{
	unsigned char digest[CRYPT_SHA256_BYTES];
	const struct journal_parts parts = { slice_of("a@example.com"), slice_of(message_id),
					     slice_of("Sun, 22 Nov 2026 02:00:00 +0000"), digest };

	assert_int_equal(crypt_sha256(body, strlen(body), digest, NULL), 0);
	assert_int_equal(journal_key_make(&parts, key, NULL), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

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
	struct journal_parts parts = { slice_of("a"), slice_of("bc"), slice_of("d"), digest };
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
	const struct journal_env env = { f->scratch, LEASE_S, &f->clock.clock };
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
	const struct journal_env env = { f->scratch, LEASE_S, &f->clock.clock };

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
	const struct journal_env env = { "/nonexistent", LEASE_S, &f->clock.clock };
	struct journal journal;
	struct err err = { 0 };
	bool made;

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(key_is_of_all_its_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(looking_begins_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(looking_has_no_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(retry_repeats_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(equal_mails_both_arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(equal_mails_with_retries_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(equal_mails_forget_only_their_recipients, setup, teardown),
		cmocka_unit_test_setup_teardown(a_held_recipient_is_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lease_ends_and_is_renewed, setup, teardown),
		cmocka_unit_test_setup_teardown(kept_without_begin_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(killed_between_any_two_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(many_processes_send_one_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(an_id_is_seen_once, setup, teardown),
		cmocka_unit_test_setup_teardown(old_entries_go_in_small_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(a_group_is_whole_or_not_at_all, setup, teardown),
		cmocka_unit_test_setup_teardown(file_is_private_and_tells_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_file_is_never_an_empty_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_removed_file_is_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_is_try_later, setup, teardown),
		cmocka_unit_test_setup_teardown(no_directory_is_try_later, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_recipients_are_over_a_limit, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
