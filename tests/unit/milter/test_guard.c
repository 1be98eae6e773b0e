/* test_guard.c - the pass of our own reinjected mail: genuine, forged, replayed, expired; the key's file. */
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

#include "base/file.h"
#include "milter/guard.h"
#include "support/testdir.h"

struct shown {				/* a journal that knows ids only */
	struct journal_id ids[16];
	size_t n;
	bool away;
};

static int shown_seen(void *self, const struct journal_id *id, time_t expires, bool *seen, struct err *err)
{
	struct shown *shown = self;

	(void)expires;
	if (shown->away)
		return err_set(err, ERR_TEMP, "away");
	*seen = false;
	for (size_t i = 0; i < shown->n; i++)
		*seen = *seen || memcmp(&shown->ids[i], id, sizeof(*id)) == 0;
	assert_in_range(shown->n, 0, 15);
	if (!*seen)
		shown->ids[shown->n++] = *id;
	return 0;
}

static const struct journal_class shown_class = { .seen = shown_seen };

struct fixture {
	struct arena *arena;
	char *scratch;
	struct testdir_clock clock;
	struct guard *guard;
	struct shown shown;
	struct journal journal;
	struct envelope envelope;
	struct recipient recipients[3];
	unsigned char digest[CRYPT_SHA256_BYTES];
	struct guard_mail mail;
	struct err err;
};

static int setup(void **state)
{
	static const char *const addresses[] = { "bob@b.example", "Carol@c.example", "dave@d.example" };
	struct fixture *f = calloc(1, sizeof(*f));

	f->arena = arena_new(0);
	f->scratch = testdir_scratch();
	testdir_clock_init(&f->clock);
	f->guard = guard_open(f->scratch, &f->err);
	assert_non_null(f->guard);
	f->journal = (struct journal){ &shown_class, &f->shown };
	for (size_t i = 0; i < 3; i++)
		f->recipients[i] = (struct recipient){ testdir_address(f->arena, addresses[i]), "", NULL };
	f->envelope = (struct envelope){ .recipients = f->recipients, .recipient_count = 3 };
	memset(f->digest, 7, sizeof(f->digest));
	f->mail = (struct guard_mail){ .envelope = &f->envelope, .body_sha256 = f->digest, .now = f->clock.now };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	guard_free(f->guard);
	testdir_remove(f->scratch);
	arena_free(f->arena);
	free(f);
	return 0;
}

static char *make(struct fixture *f)
{
	char *line = guard_field(f->arena, f->guard, &f->mail, &f->err);

	assert_non_null(line);
	return line;
}

static struct header header_of(struct fixture *f, const char *text)
{
	struct header header;
	size_t consumed = 0;

	assert_int_equal(header_parse(f->arena, slice_of(text), &(struct header_limits){ 0 }, &header, &consumed,
				      &f->err), 0);
	return header;
}

static int check(struct fixture *f, const char *text)
{
	struct header header = header_of(f, text);

	return guard_check(f->arena, f->guard, &f->mail, &header, &f->journal, &f->err);
}

static void test_genuine_once(void **state)
{
	struct fixture *f = *state;
	char *line = make(f);

	assert_true(strncmp(line, "X-SMIME-Milter-Pass: v1; id=", 28) == 0);
	assert_int_equal(header_of(f, line).n, 1);
	assert_int_equal(check(f, line), 1);
	assert_int_equal(check(f, line), 0);
	assert_int_equal(check(f, make(f)), 1);
}

/* Order, case and repetition of recipients, other fields and another folding do not matter. */
static void test_same_mail(void **state)
{
	const size_t members[] = { 2, 0, 2 };
	struct fixture *f = *state;
	struct recipient one = f->recipients[0];
	char *line;

	f->mail.members = members;
	f->mail.n = 3;
	line = make(f);
	f->mail.members = NULL;
	f->envelope.recipient_count = 2;
	f->recipients[0] = (struct recipient){ testdir_address(f->arena, "DAVE@D.example"), "NOTIFY=NEVER", NULL };
	f->recipients[1] = one;
	for (char *p = strchr(line, '\t'); p != NULL; p = strchr(p, '\t'))
		*p = ' ';
	assert_int_equal(check(f, arena_printf(f->arena, "Received: x\r\nX-SMIME-Milter-Pass: v1; forged\r\n%s", line)),
			 1);
}

static void test_other_mail(void **state)
{
	struct fixture *f = *state;
	char *line = make(f);

	f->envelope.recipient_count = 2;
	assert_int_equal(check(f, line), 0);
	f->envelope.recipient_count = 3;
	f->recipients[0].address = testdir_address(f->arena, "eve@b.example");
	assert_int_equal(check(f, line), 0);
	f->recipients[0].address = testdir_address(f->arena, "bob@b.example");
	f->digest[31] ^= 1;
	assert_int_equal(check(f, line), 0);
	f->digest[31] ^= 1;
	f->mail.now += GUARD_LIFE_S + 1;
	assert_int_equal(check(f, line), 0);
	f->mail.now -= GUARD_LIFE_S + 1;
	/* None of these used it up. */
	assert_int_equal(check(f, line), 1);
}

/* Any byte of the value that is changed makes it nobody's; so does another installation's key. */
static void test_forged(void **state)
{
	struct fixture *f = *state;
	char *line = make(f), *other_dir = testdir_scratch();
	struct guard *other = guard_open(other_dir, &f->err);
	struct header header = header_of(f, line);

	assert_int_equal(guard_check(f->arena, other, &f->mail, &header, &f->journal, &f->err), 0);
	for (size_t i = strlen(GUARD_FIELD) + 2; i + 2 < strlen(line); i++) {
		char before = line[i];

		if (strchr(" \t\r\n", before) != NULL)
			continue;
		line[i] = before == '0' ? '1' : '0';
		assert_int_equal(check(f, line), 0);
		line[i] = before;
	}
	assert_int_equal(check(f, GUARD_FIELD ":\r\n"), 0);
	assert_int_equal(check(f, GUARD_FIELD ": v1; id=; expires=; mac=\r\n"), 0);
	assert_int_equal(check(f, GUARD_FIELD ": v1; id=x\r\n"), 0);
	assert_int_equal(check(f, arena_printf(f->arena, "%.*s; more=1\r\n", (int)strlen(line) - 2, line)), 0);
	assert_int_equal(check(f, line), 1);
	guard_free(other);
	testdir_remove(other_dir);
}

static void test_journal_away(void **state)
{
	struct fixture *f = *state;
	char *line = make(f);

	f->shown.away = true;
	assert_int_equal(check(f, line), -1);
	assert_int_equal(check(f, GUARD_FIELD ": v1\r\n"), 0);
	f->shown.away = false;
	assert_int_equal(check(f, line), 1);
}

static void test_present(void **state)
{
	struct fixture *f = *state;
	struct header header = header_of(f, "A: b\r\nX-smime-milter-PASS : x\r\n"), other = header_of(f, "A: b\r\n");

	assert_true(guard_present(&header));
	assert_false(guard_present(&other));
}

static void write_file(const char *path, const char *bytes, size_t n, mode_t mode)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void test_key_file(void **state)
{
	struct fixture *f = *state;
	char *path = testdir_path(f->scratch, "guard.key"), *line = make(f), **files = NULL;
	struct guard *again = guard_open(f->scratch, &f->err);
	struct header header = header_of(f, line);
	struct stat status;
	size_t n = 0;

	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(status.st_size, CRYPT_KEY_BYTES);
	assert_int_equal(file_list(f->arena, f->scratch, &files, &n, &f->err), 0);
	assert_int_equal(n, 1);
	assert_non_null(again);
	assert_int_equal(guard_check(f->arena, again, &f->mail, &header, &f->journal, &f->err), 1);
	guard_free(again);
	write_file(path, "short", 5, 0600);
	assert_null(guard_open(f->scratch, &f->err));
	assert_int_equal(f->err.class, ERR_CONFIG);
	write_file(path, "0123456789abcdef0123456789abcdef", 32, 0644);
	assert_null(guard_open(f->scratch, &f->err));
	assert_int_equal(f->err.class, ERR_CONFIG);
	assert_null(guard_open("/nonexistent", &f->err));
	assert_int_equal(f->err.class, ERR_TEMP);
	free(path);
}

struct racer {
	pthread_t thread;
	const char *directory;
	struct guard *guard;
};

static void *race(void *arg)
{
	struct racer *racer = arg;

	racer->guard = guard_open(racer->directory, NULL);
	return NULL;
}

/* Many that find no key at once end with the same one. */
static void test_race(void **state)
{
	struct fixture *f = *state;
	char *directory = testdir_scratch();
	struct racer racers[8];
	char *line;

	for (size_t i = 0; i < 8; i++) {
		racers[i] = (struct racer){ .directory = directory };
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	}
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
		assert_non_null(racers[i].guard);
	}
	for (size_t i = 0; i < 4; i++) {
		struct header header;

		line = guard_field(f->arena, racers[0].guard, &f->mail, &f->err);
		header = header_of(f, line);
		assert_int_equal(guard_check(f->arena, racers[7 - i].guard, &f->mail, &header, &f->journal, &f->err), 1);
	}
	for (size_t i = 0; i < 8; i++)
		guard_free(racers[i].guard);
	testdir_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_genuine_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same_mail, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_mail, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_journal_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_present, setup, teardown),
		cmocka_unit_test_setup_teardown(test_key_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_race, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
