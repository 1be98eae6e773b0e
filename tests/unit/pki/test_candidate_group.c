/* test_candidate_group.c - recipients that are groups: all their members have certificates, or there is no answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "pki/candidate.h"
#include "pki/directory_driver.h"
#include "support/testdir.h"
#include "support/testpki.h"

#define ROWS 16

/* What a directory knows of an address. */
struct row {
	const char *address;
	const char *cert_of;		/* NULL: none; whose */
	const char *members[8];		/* none: no group; without @: a member without address */
	const char *failure;
};

struct book {
	const struct row *rows;		/* up to one without address */
	struct state *state;
	unsigned questions, probes;
	bool remembered, away, stale;	/* stale: what was found stands in, the rest fails */
};

struct state {
	struct arena *arena;
	struct testpki *root;
	struct cert *certs[ROWS];	/* made when they are asked for */
	const char *names[ROWS];
	size_t cert_count;
	struct book books[2];
	struct directory directories[2];
	size_t directory_count;
};

static struct cert *cert_of(struct state *s, const char *name)
{
	const struct testpki_spec expired = { .cn = name, .san = "email:old@example.com", .not_after = time(NULL) - 60 };
	struct testpki *pki;
	size_t i;

	for (i = 0; i < s->cert_count; i++)
		if (strcmp(s->names[i], name) == 0)
			return s->certs[i];
	pki = strcmp(name, "old@example.com") == 0 ? testpki_make(s->root, &expired) : testpki_leaf(s->root, name);
	s->certs[i] = testpki_cert(pki);
	s->names[i] = name;
	s->cert_count++;
	testpki_free(pki);
	return s->certs[i];
}

static const struct row *row_of(const struct book *book, const struct address *address)
{
	for (const struct row *row = book->rows; row->address != NULL; row++)
		if (slice_is_nocase(address->text, row->address))
			return row;
	return NULL;
}

static void answer_row(struct book *book, struct arena *arena, const struct row *row, struct directory_answer *answer);

static void answer_member(struct book *book, struct arena *arena, const char *text, struct directory_member *member)
{
	const struct row *row;

	*member = (struct directory_member){ .answer.status = DIRECTORY_NONE };
	if (strchr(text, '@') == NULL) {
		assert_int_equal(directory_answer_problem(arena, &member->answer, text), 0);
		return;
	}
	member->address = testdir_address(arena, text);
	row = row_of(book, &member->address);
	if (row != NULL && row->members[0] == NULL)
		answer_row(book, arena, row, &member->answer);
}

static void answer_row(struct book *book, struct arena *arena, const struct row *row, struct directory_answer *answer)
{
	struct directory_entry entry = { .attribute = "cert" };
	bool all = true;

	if (row->cert_of != NULL) {
		entry.cert = cert_of(book->state, row->cert_of);
		assert_int_equal(directory_answer_add(arena, answer, &entry), 0);
	}
	answer->failure = row->failure;
	if (row->failure != NULL && answer->n == 0)
		answer->status = DIRECTORY_FAILED;
	if (row->members[0] == NULL)
		return;
	answer->group = true;
	answer->members = arena_array(arena, 8, sizeof(*answer->members));
	for (size_t i = 0; i < 8 && row->members[i] != NULL && row->failure == NULL; i++) {
		answer_member(book, arena, row->members[i], &answer->members[answer->member_count++]);
		all = all && answer->members[i].answer.status == DIRECTORY_FOUND;
	}
	if (all)
		answer->status = DIRECTORY_FOUND;
}

static int book_find(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		     struct directory_answer *answers, struct err *err)
{
	struct book *book = self;

	(void)deadline_ms, (void)err;
	book->questions++;
	for (size_t i = 0; i < n; i++) {
		const struct row *row = row_of(book, &addresses[i]);

		answers[i] = (struct directory_answer){ .status = DIRECTORY_NONE };
		if (row != NULL)
			answer_row(book, arena, row, &answers[i]);
		answers[i].remembered = book->remembered;
		if (!book->stale)
			continue;
		answers[i].stale = answers[i].status == DIRECTORY_FOUND;
		answers[i].failure = "gone";
		if (!answers[i].stale)
			assert_int_equal(directory_answer_fail(arena, &answers[i], "gone"), 0);
	}
	return 0;
}

static int book_probe(void *self, struct err *err)
{
	struct book *book = self;

	book->probes++;
	return book->away ? err_set(err, ERR_TEMP, "gone") : 0;
}

static const struct directory_class book_class = { .find = book_find, .probe = book_probe };

static int setup(void **state)
{
	static const struct row none = { .address = NULL };
	static struct state s;

	memset(&s, 0, sizeof(s));
	s.arena = arena_new(0);
	s.root = testpki_root("Root");
	for (size_t i = 0; i < 2; i++) {
		s.books[i] = (struct book){ .rows = &none, .state = &s };
		s.directories[i] = (struct directory){ .class = &book_class, .self = &s.books[i],
						       .name = i == 0 ? "first" : "second", .trusted = true };
	}
	s.directory_count = 1;
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	for (size_t i = 0; i < s->cert_count; i++)
		cert_free(s->certs[i]);
	testpki_free(s->root);
	arena_free(s->arena);
	return 0;
}

static void ask_all(struct state *s, const char *const *texts, size_t n, struct candidate_list *lists)
{
	struct address *addresses = arena_array(s->arena, n, sizeof(*addresses));
	struct candidate_query query = { .addresses = addresses, .n = n, .directories = s->directories,
					 .directory_count = s->directory_count, .at = time(NULL) };
	struct err err = { .text = "" };

	for (size_t i = 0; i < n; i++)
		addresses[i] = testdir_address(s->arena, texts[i]);
	if (candidate_find(s->arena, &query, lists, &err) != 0)
		fail_msg("%s", err.text);
}

static struct candidate_list ask(struct state *s, const struct row *rows)
{
	static const char *const team[] = { "team@example.com" };
	struct candidate_list list;

	if (rows != NULL)
		s->books[0].rows = rows;
	ask_all(s, team, 1, &list);
	return list;
}

static void assert_chosen(struct state *s, const struct candidate_list *list, const char *const *names, size_t n)
{
	assert_int_equal(list->status, DIRECTORY_FOUND);
	assert_int_equal(list->chosen_count, n);
	for (size_t i = 0; i < n; i++) {
		assert_true(slice_is_nocase(list->chosen[i].address.text, names[i]));
		assert_true(cert_equal(list->chosen[i].used->cert, cert_of(s, names[i])));
	}
}

static void assert_none(const struct candidate_list *list, const char *missing)
{
	assert_int_equal(list->status, DIRECTORY_NONE);
	assert_true(list->group);
	assert_int_equal(list->chosen_count, 0);
	assert_string_equal(list->missing, missing);
}

static void assert_failed(const struct candidate_list *list, const char *failure)
{
	assert_int_equal(list->status, DIRECTORY_FAILED);
	assert_int_equal(list->chosen_count, 0);
	assert_string_equal(list->failure, failure);
}

#define A { .address = "a@example.com", .cert_of = "a@example.com" }
#define B { .address = "b@example.com", .cert_of = "b@example.com" }
#define TEAM(...) { .address = "team@example.com", .members = { __VA_ARGS__ } }
#define END { .address = NULL }

static void a_person_is_chosen_alone(void **state)
{
	static const struct row rows[] = { { .address = "team@example.com", .cert_of = "team@example.com" }, END };
	static const char *const names[] = { "team@example.com" };
	struct candidate_list list = ask(*state, rows);

	assert_chosen(*state, &list, names, 1);
	assert_false(list.group);
}

static void all_members_are_chosen(void **state)
{
	static const struct row rows[] = { TEAM("b@example.com", "a@example.com"), A, B, END };
	static const char *const names[] = { "b@example.com", "a@example.com" };
	struct candidate_list list = ask(*state, rows);

	assert_chosen(*state, &list, names, 2);
	assert_true(list.group);
	assert_int_equal(list.member_count, 2);
	assert_string_equal(list.asked[0], "first: a group of 2");
	assert_int_equal(((struct state *)*state)->books[0].questions, 1);
}

static void one_without_certificate_is_none(void **state)
{
	static const struct row rows[] = { TEAM("a@example.com", "c@example.com", "b@example.com"), A, B, END };
	static const struct row old[] = { TEAM("a@example.com", "old@example.com"), A,
					  { .address = "old@example.com", .cert_of = "old@example.com" }, END };
	struct candidate_list list = ask(*state, rows);

	assert_none(&list, "its member <c@example.com>: no certificate");
	list = ask(*state, old);
	assert_int_equal(list.status, DIRECTORY_NONE);
	assert_non_null(strstr(list.missing, "its member <old@example.com>: expired "));
}

static void one_without_address_is_none(void **state)
{
	static const struct row rows[] = { TEAM("a@example.com", "cn=ghost: no such entry"), A, END };
	struct candidate_list list = ask(*state, rows);

	assert_none(&list, "its member cn=ghost: no such entry");
	assert_int_equal(list.members[1].address.text.n, 0);
	assert_string_equal(list.members[1].list.asked[0], "cn=ghost: no such entry");
}

static void one_that_cannot_be_asked_for_counts_before_one_that_has_none(void **state)
{
	static const struct row rows[] = { TEAM("c@example.com", "d@example.com", "a@example.com"), A,
					   { .address = "d@example.com", .failure = "timed out" }, END };
	struct candidate_list list = ask(*state, rows);

	assert_failed(&list, "its member <d@example.com>: first: timed out");
}

static void an_own_certificate_is_used(void **state)
{
	static const struct row rows[] = {
		{ .address = "team@example.com", .cert_of = "team@example.com", .members = { "c@example.com" } }, END };
	static const char *const names[] = { "team@example.com" };
	struct candidate_list list = ask(*state, rows);

	assert_chosen(*state, &list, names, 1);
	assert_false(list.group);
}

static void an_own_certificate_that_is_not_usable_hides_nobody(void **state)
{
	static const struct row rows[] = {
		{ .address = "team@example.com", .cert_of = "old@example.com", .members = { "a@example.com" } }, A, END };
	static const char *const names[] = { "a@example.com" };
	struct candidate_list list = ask(*state, rows);

	assert_chosen(*state, &list, names, 1);
	assert_int_equal(list.n, 1);
	assert_string_equal(list.asked[0], "first: 1 certificate");
}

static void members_that_could_not_be_asked_for(void **state)
{
	static const struct row usable[] = { { .address = "team@example.com", .cert_of = "team@example.com",
					       .members = { "a@example.com" }, .failure = "too many" }, END };
	static const struct row old[] = { { .address = "team@example.com", .cert_of = "old@example.com",
					    .members = { "a@example.com" }, .failure = "too many" }, END };
	static const char *const names[] = { "team@example.com" };
	struct candidate_list list = ask(*state, usable);

	assert_chosen(*state, &list, names, 1);
	list = ask(*state, old);
	assert_failed(&list, "first: too many");
	assert_string_equal(list.asked[0], "first: 1 certificate; could not ask who is in it: too many");
}

static void members_are_looked_for_everywhere(void **state)
{
	static const struct row groups[] = {
		TEAM("a@example.com", "b@example.com"), A,
		{ .address = "others@example.com", .members = { "b@example.com", "c@example.com" } }, END };
	static const struct row people[] = { B, { .address = "c@example.com", .cert_of = "c@example.com" }, END };
	static const char *const both[] = { "team@example.com", "others@example.com" };
	static const char *const team[] = { "a@example.com", "b@example.com" };
	static const char *const others[] = { "b@example.com", "c@example.com" };
	struct candidate_list lists[2];
	struct state *s = *state;

	s->books[0].rows = groups;
	s->books[1].rows = people;
	s->directory_count = 2;
	ask_all(s, both, 2, lists);
	assert_chosen(s, &lists[0], team, 2);
	assert_chosen(s, &lists[1], others, 2);
	assert_int_equal(s->books[0].questions, 1);
	/* For the groups, and then for everybody in them. */
	assert_int_equal(s->books[1].questions, 2);
}

static void who_is_in_the_groups_of_two_directories_is_there_once(void **state)
{
	static const struct row first[] = { TEAM("a@example.com"), A, END };
	static const struct row second[] = { TEAM("A@Example.com", "b@example.com"), A, B, END };
	static const char *const names[] = { "a@example.com", "b@example.com" };
	struct state *s = *state;
	struct candidate_list list;

	s->books[1].rows = second;
	s->directory_count = 2;
	list = ask(s, first);
	assert_chosen(s, &list, names, 2);
	assert_int_equal(list.member_count, 2);
}

static void another_directory_that_is_away_may_know_more_members(void **state)
{
	static const struct row first[] = { TEAM("a@example.com"), A, END };
	static const struct row second[] = { { .address = "team@example.com", .failure = "gone" }, END };
	struct state *s = *state;
	struct candidate_list list;

	s->books[1].rows = second;
	s->directory_count = 2;
	list = ask(s, first);
	assert_failed(&list, "second: gone");
}

static void a_directory_speaks_for_its_domains_alone(void **state)
{
	static const struct row rows[] = { TEAM("a@example.com", "e@else.example"), A,
					   { .address = "e@else.example", .cert_of = "e@else.example" }, END };
	struct state *s = *state;
	struct candidate_list list;
	struct err err;

	s->directories[0].domains.items = arena_array(s->arena, 1, sizeof(struct pattern));
	s->directories[0].domains.n = 1;
	assert_int_equal(pattern_parse_domain(s->arena, "example.com", s->directories[0].domains.items, &err), 0);
	list = ask(s, rows);
	assert_none(&list, "its member <e@else.example>: no certificate");
}

static void a_group_of_another_directory_is_not_followed(void **state)
{
	static const struct row first[] = { TEAM("a@example.com", "others@example.com"), A, END };
	static const struct row second[] = { { .address = "others@example.com", .members = { "b@example.com" } }, B, END };
	struct state *s = *state;
	struct candidate_list list;

	s->books[1].rows = second;
	s->directory_count = 2;
	list = ask(s, first);
	assert_none(&list, "its member <others@example.com>: a group of another directory");
}

static void what_is_remembered_says_none_while_the_directory_is_there_alone(void **state)
{
	static const struct row whole[] = { TEAM("a@example.com"), A, END };
	static const struct row part[] = { TEAM("a@example.com", "c@example.com"), A, END };
	static const struct row ghost[] = { TEAM("a@example.com", "cn=ghost: no such entry"), A, END };
	static const char *const names[] = { "a@example.com" };
	struct state *s = *state;
	struct candidate_list list;

	s->books[0].remembered = true;
	list = ask(s, part);
	assert_none(&list, "its member <c@example.com>: no certificate");
	s->books[0].away = true;
	list = ask(s, part);
	assert_failed(&list, "first: gone");
	list = ask(s, ghost);
	assert_failed(&list, "first: gone");
	s->books[0].probes = 0;
	list = ask(s, whole);
	assert_chosen(s, &list, names, 1);
	assert_int_equal(s->books[0].probes, 0);
}

static void a_group_that_was_found_stands_in_while_the_directory_is_away(void **state)
{
	static const struct row whole[] = { TEAM("a@example.com"), A, END };
	static const struct row part[] = { TEAM("a@example.com", "c@example.com"), A, END };
	static const struct row old[] = { TEAM("a@example.com", "old@example.com"), A,
					  { .address = "old@example.com", .cert_of = "old@example.com" }, END };
	static const char *const names[] = { "a@example.com" };
	struct state *s = *state;
	struct candidate_list list;

	s->books[0].stale = s->books[0].remembered = s->books[0].away = true;
	list = ask(s, whole);
	assert_chosen(s, &list, names, 1);
	assert_true(list.incomplete);
	list = ask(s, part);
	assert_failed(&list, "first: gone");
	list = ask(s, old);
	assert_failed(&list, "its member <old@example.com>: first: gone (stale: asked 0 s ago)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_person_is_chosen_alone), TEST(all_members_are_chosen), TEST(one_without_certificate_is_none),
		TEST(one_without_address_is_none), TEST(one_that_cannot_be_asked_for_counts_before_one_that_has_none),
		TEST(an_own_certificate_is_used), TEST(an_own_certificate_that_is_not_usable_hides_nobody),
		TEST(members_that_could_not_be_asked_for), TEST(members_are_looked_for_everywhere),
		TEST(who_is_in_the_groups_of_two_directories_is_there_once),
		TEST(another_directory_that_is_away_may_know_more_members), TEST(a_directory_speaks_for_its_domains_alone),
		TEST(a_group_of_another_directory_is_not_followed),
		TEST(what_is_remembered_says_none_while_the_directory_is_there_alone),
		TEST(a_group_that_was_found_stands_in_while_the_directory_is_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
