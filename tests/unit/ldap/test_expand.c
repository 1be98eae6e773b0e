/* test_expand.c - groups followed to their people, in a directory made of a table: everybody once, or a failure. What a
 * real server makes of the same is tests/e2e/directory_groups.sh's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ldap/expand.h"
#include "pki/directory_driver.h"
#include "support/testdir.h"
#include "support/testpki.h"

#define BASE "dc=x"
#define NODES 1500
#define GRAPHS 300

struct node {				/* an entry: cn=NUMBER,dc=x */
	bool group, silent;		/* silent: without address */
	bool part;
	const char *other;
	const char *mail;		/* NULL: pNUMBER@x.example */
	unsigned long primary;		/* of a person: rid of a group; of a group: its own */
	size_t in[4], in_count;		/* groups that it names itself */
	const char *members[NODES];
	size_t n;
};

struct state {
	struct arena *arena;
	struct node nodes[NODES];
	size_t count;
	struct cert *cert;		/* of everybody with an even number */
	unsigned runs, searches;
	unsigned fail_at;		/* run number that finds no time any more; 0: none */
	const char *refused;		/* base of a search that the server refuses */
	struct query query;
};

static const char *dn_of(struct state *s, size_t i)
{
	return arena_printf(s->arena, "cn=%zu," BASE, i);
}

static struct query_entry *entry_of(struct state *s, size_t i)
{
	const struct node *node = &s->nodes[i];
	struct query_entry *entry = arena_alloc(s->arena, sizeof(*entry));
	const char *mail = node->mail != NULL ? node->mail : arena_printf(s->arena, "p%zu@x.example", i);
	struct address address = testdir_address(s->arena, mail);
	const struct directory_owner owner = { &address, 1 };
	const struct directory_entry cert = { .cert = s->cert, .attribute = "c" };

	*entry = (struct query_entry){ .dn = dn_of(s, i) };
	entry->group = (struct group){ .is = node->group, .members = (const char **)(uintptr_t)node->members, .n = node->n,
				       .other = node->other, .part = node->part, .rid = node->group ? node->primary : 0 };
	if (!node->silent)
		entry->owner = directory_owner_copy(s->arena, &owner);
	if (i % 2 == 0 && !node->group)
		assert_int_equal(directory_answer_add(s->arena, &entry->answer, &cert), 0);
	return entry;
}

static bool names(struct state *s, const struct node *node, const char *filter)
{
	char text[64];

	for (size_t i = 0; i < node->in_count; i++) {
		snprintf(text, sizeof(text), "(memberOf=%s)", dn_of(s, node->in[i]));
		if (strstr(filter, text) != NULL)
			return true;
	}
	snprintf(text, sizeof(text), "(primaryGroupID=%lu)", node->primary);
	return !node->group && node->primary != 0 && strstr(filter, text) != NULL;
}

static void keep(struct query_item *item, struct query_entry *entry)
{
	if (item->last != NULL)
		item->last->next = entry;
	else
		item->found = entry;
	item->last = entry;
}

static void answer_base(struct state *s, struct query_item *item)
{
	size_t i = NODES;

	if (s->refused != NULL && strcmp(item->base, s->refused) == 0)
		assert_int_equal(directory_answer_fail(s->arena, item->answer, "no"), 0);
	else if (sscanf(item->base, "%*[cC]%*[nN]=%zu", &i) == 1 && i < s->count)
		keep(item, entry_of(s, i));
	else {
		item->absent = true;
		assert_int_equal(directory_answer_fail(s->arena, item->answer, "absent"), 0);
	}
}

static void answer_item(struct state *s, const struct query *query, struct query_item *item)
{
	s->searches++;
	*item->answer = (struct directory_answer){ .status = DIRECTORY_NONE };
	assert_true(query->groups && query->apart);
	assert_int_equal(query->scope == LDAP_SCOPE_BASE, item->base != NULL);
	if (item->base != NULL)
		answer_base(s, item);
	else
		for (size_t i = 0; i < s->count; i++)
			if (names(s, &s->nodes[i], item->filter))
				keep(item, entry_of(s, i));
	item->done = true;
}

static enum outcome run(void *self, const struct search *search, int64_t deadline_ms, struct err *err)
{
	struct state *s = self;

	assert_int_equal(deadline_ms, 4711);
	if (++s->runs == s->fail_at) {
		err_set(err, ERR_TEMP, "timed out");
		return OUTCOME_ELSEWHERE;
	}
	for (size_t i = 0; i < search->n; i++)
		answer_item(s, search->query, &search->items[i]);
	return OUTCOME_DONE;
}

static int setup(void **state)
{
	static struct state s;
	struct testpki *root = testpki_root("Root"), *alice = testpki_leaf(root, "alice@example.com");

	memset(&s, 0, sizeof(s));
	s.arena = arena_new(0);
	s.query = (struct query){ .base = BASE, .scope = LDAP_SCOPE_SUBTREE };
	s.cert = testpki_cert(alice);
	testpki_free(alice);
	testpki_free(root);
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	cert_free(s->cert);
	arena_free(s->arena);
	return 0;
}

static size_t add(struct state *s, bool group)
{
	s->nodes[s->count] = (struct node){ .group = group };
	return s->count++;
}

static void put_dn(struct state *s, size_t group, const char *dn)
{
	s->nodes[group].members[s->nodes[group].n++] = dn;
}

static void put(struct state *s, size_t group, size_t member)
{
	put_dn(s, group, dn_of(s, member));
}

/* Of the group with number 0. */
static struct directory_answer ask(struct state *s, bool own)
{
	const struct directory_entry cert = { .cert = s->cert, .attribute = "c" };
	const struct expand_env env = { .query = &s->query, .base = slice_of(BASE), .run = run, .self = s,
					.deadline_ms = 4711 };
	struct directory_answer answer = { .status = DIRECTORY_NONE };

	s->runs = s->searches = 0;
	if (own)
		assert_int_equal(directory_answer_add(s->arena, &answer, &cert), 0);
	assert_int_equal(expand_groups(&env, s->arena, entry_of(s, 0), &answer), 0);
	return answer;
}

static bool has(const struct directory_answer *answer, const char *address)
{
	for (size_t i = 0; i < answer->member_count; i++)
		if (slice_is(answer->members[i].address.text, address))
			return true;
	return false;
}

static void assert_nobody(struct state *s, const char *problem)
{
	struct directory_answer answer = ask(s, false);
	size_t i = 0;

	assert_true(answer.group);
	assert_int_equal(answer.status, DIRECTORY_NONE);
	assert_int_equal(answer.member_count, 2);
	while (i < 2 && answer.members[i].address.text.n > 0)
		i++;
	assert_int_not_equal(i, 2);
	assert_string_equal(answer.members[i].answer.problems[0], problem);
}

static void assert_failed(struct state *s, const char *failure)
{
	struct directory_answer answer = ask(s, false);

	assert_int_equal(answer.status, DIRECTORY_FAILED);
	assert_string_equal(answer.failure, failure);
	assert_int_equal(answer.member_count, 0);
	/* What the group has itself stays, and the failure says that this is not all. */
	answer = ask(s, true);
	assert_int_equal(answer.status, DIRECTORY_FOUND);
	assert_true(answer.group);
	assert_string_equal(answer.failure, failure);
	assert_int_equal(answer.n, 1);
}

static void members_of_a_group(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;

	add(s, true);
	add(s, false);
	add(s, false);
	put(s, 0, 2);
	answer = ask(s, false);
	assert_true(answer.group);
	assert_int_equal(answer.status, DIRECTORY_FOUND);
	assert_int_equal(answer.member_count, 1);
	assert_int_equal(answer.members[0].answer.n, 1);
	put(s, 0, 1);
	answer = ask(s, false);
	assert_int_equal(answer.status, DIRECTORY_NONE);
	assert_int_equal(answer.member_count, 2);
	assert_true(has(&answer, "p1@x.example") && has(&answer, "p2@x.example"));
	answer = ask(s, true);
	assert_int_equal(answer.status, DIRECTORY_FOUND);
	assert_int_equal(answer.member_count, 2);
	assert_null(answer.failure);
}

static void two_hundred_members_cost_two_round_trips(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;

	add(s, true);
	for (size_t i = 1; i <= 200; i++)
		put(s, 0, add(s, false));
	answer = ask(s, false);
	assert_int_equal(answer.member_count, 200);
	assert_int_equal(s->runs, 2);
	assert_int_equal(s->searches, 201);
	/* Who says so himself need not be asked for. */
	for (size_t i = 1; i <= 200; i++)
		s->nodes[i].in_count = 1;
	answer = ask(s, false);
	assert_int_equal(answer.member_count, 200);
	assert_int_equal(s->searches, 1);
}

static void groups_of_a_level_are_asked_for_at_once(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;

	add(s, true);
	for (size_t i = 0; i < 60; i++) {
		size_t group = add(s, true);

		put(s, 0, group);
		put(s, group, add(s, false));
	}
	answer = ask(s, false);
	assert_int_equal(answer.member_count, 60);
	assert_int_equal(s->runs, 4);
	assert_int_equal(s->searches, 1 + 60 + 1 + 60);
}

static void a_primary_group(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;

	s->nodes[add(s, true)].primary = 513;
	s->nodes[add(s, false)].primary = 513;
	s->nodes[add(s, false)].primary = 5130;
	answer = ask(s, false);
	assert_int_equal(answer.member_count, 1);
	assert_true(has(&answer, "p1@x.example"));
}

static void who_leads_nowhere_is_a_member_without_certificate(void **state)
{
	struct state *s = *state;

	add(s, true);
	put(s, 0, add(s, false));
	put_dn(s, 0, "cn=ghost,dc=x");
	assert_nobody(s, "cn=ghost,dc=x: no such entry");
	s->nodes[0].members[1] = "cn=1,dc=y";
	assert_nobody(s, "cn=1,dc=y: outside the directory's base");
	s->nodes[0].members[1] = "cn=1,ddc=x";
	assert_nobody(s, "cn=1,ddc=x: outside the directory's base");
	s->nodes[0].members[1] = "nobody";
	assert_nobody(s, "nobody: not a DN");
	s->nodes[0].members[1] = dn_of(s, 2);
	s->nodes[add(s, false)].silent = true;
	assert_nobody(s, "cn=2,dc=x: no address");
	s->nodes[2] = (struct node){ .group = true, .other = "memberURL" };
	assert_nobody(s, "cn=2,dc=x: its members cannot be followed");
}

static void a_group_of_nobody_is_no_group(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;

	add(s, true);
	put(s, 0, add(s, true));
	put(s, 1, 0);
	answer = ask(s, false);
	assert_int_equal(answer.status, DIRECTORY_NONE);
	assert_false(answer.group);
	assert_string_equal(answer.problems[0], "a group without members");
}

/* As the global catalogue has it that is of another domain. */
static void a_group_in_which_nobody_can_be_seen(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;

	add(s, true);
	put(s, 0, add(s, false));
	put(s, 0, add(s, true));
	put(s, 0, add(s, true));
	assert_int_equal(ask(s, false).member_count, 3);
	s->nodes[3].n = 0;
	put(s, 3, 1);
	assert_nobody(s, "cn=2,dc=x: a group in which nobody can be seen");
	s->nodes[add(s, false)].in[0] = 2;
	s->nodes[4].in_count = 1;
	answer = ask(s, false);
	assert_int_equal(answer.member_count, 2);
	assert_true(has(&answer, "p1@x.example") && has(&answer, "p4@x.example"));
}

static void what_is_not_seen_to_its_end_fails(void **state)
{
	struct state *s = *state;

	add(s, true);
	put(s, 0, add(s, false));
	put(s, 0, add(s, true));
	put(s, 2, add(s, false));
	for (s->fail_at = 1; s->fail_at <= 4; s->fail_at++)
		assert_failed(s, "its members: timed out");
	s->fail_at = 0;
	s->refused = "cn=3,dc=x";
	assert_failed(s, "its members: no");
	s->refused = NULL;
	s->nodes[2].part = true;
	assert_failed(s, "its members: cn=2,dc=x has more than 1000, or than the server gives at once");
}

static void a_thousand_entries_at_most(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;

	add(s, true);
	while (s->count < GROUP_MEMBERS_MAX)
		put(s, 0, add(s, false));
	answer = ask(s, false);
	assert_int_equal(answer.member_count, GROUP_MEMBERS_MAX - 1);
	put(s, 0, add(s, false));
	assert_failed(s, "its members: more than 1000");
	/* Or by saying so themselves. */
	s->nodes[0].n = 0;
	for (size_t i = 1; i < s->count; i++)
		s->nodes[i].in_count = 1;
	assert_failed(s, "its members: more than 1000");
}

static void one_person_is_one_member(void **state)
{
	struct state *s = *state;
	struct directory_answer answer;

	add(s, true);
	put(s, 0, add(s, false));
	put(s, 0, add(s, false));
	put(s, 0, add(s, false));
	s->nodes[1].mail = s->nodes[2].mail = "one@x.example";
	put_dn(s, 0, "CN=3, DC=X");
	answer = ask(s, false);
	assert_int_equal(answer.member_count, 2);
	assert_true(has(&answer, "one@x.example") && has(&answer, "p3@x.example"));
	assert_int_equal(answer.members[0].answer.n, 1);
	assert_int_equal(answer.members[0].answer.status, DIRECTORY_FOUND);
}

/* Of graphs by chance, everybody who can be reached is there, and nobody else. */
static unsigned chance(unsigned *state, unsigned n)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state % n;
}

static void link_nodes(struct state *s, unsigned *random, bool edges[40][40])
{
	for (size_t i = 0; i < 60; i++) {
		size_t from = chance(random, 12), to = chance(random, 40);

		if (!s->nodes[from].group)
			continue;
		edges[from][to] = true;
		if (chance(random, 2) == 0)
			put(s, from, to);
		else if (s->nodes[to].in_count < 4)
			s->nodes[to].in[s->nodes[to].in_count++] = from;
		else
			put(s, from, to);
	}
}

static size_t reach(struct state *s, bool edges[40][40], bool reached[40])
{
	size_t people = 0;
	bool more = true;

	reached[0] = true;
	while (more) {
		more = false;
		for (size_t i = 0; i < 40; i++)
			for (size_t k = 0; k < 40; k++)
				if (reached[i] && edges[i][k] && !reached[k])
					more = reached[k] = true;
	}
	for (size_t i = 0; i < 40; i++) {
		bool somebody = !s->nodes[i].group;

		/* An empty group is in the place of who is not seen in it. */
		for (size_t k = 0; k < 40 && !somebody; k++)
			somebody = edges[i][k];
		people += reached[i] && (!s->nodes[i].group || !somebody);
	}
	return people;
}

static void everybody_who_can_be_reached(void **state)
{
	struct state *s = *state;
	unsigned random = 20261122;

	for (int graph = 0; graph < GRAPHS; graph++) {
		bool edges[40][40] = { { false } }, reached[40] = { false };
		struct directory_answer answer;
		char address[32];
		size_t people;

		s->count = 0;
		while (s->count < 40)
			add(s, s->count == 0 || (s->count < 12 && chance(&random, 3) != 0));
		link_nodes(s, &random, edges);
		people = reach(s, edges, reached);
		answer = ask(s, false);
		assert_int_equal(answer.member_count, people);
		for (size_t i = 0; i < 40; i++) {
			snprintf(address, sizeof(address), "p%zu@x.example", i);
			assert_int_equal(has(&answer, address), reached[i] && !s->nodes[i].group);
		}
	}
}

static void keys_of_dns(void **state)
{
	static const char *const same[] = { "cn=A B,dc=x", "CN=a b,DC=X", "cn = A B , dc = x", "cn=A\\20B,dc=x" };
	static const char *const bad[] = { "nobody", "cn", "cn=a,,dc=x", "=a" };
	struct state *s = *state;
	struct slice first, key;

	assert_int_equal(group_key(s->arena, same[0], &first), 0);
	for (size_t i = 1; i < sizeof(same) / sizeof(same[0]); i++) {
		assert_int_equal(group_key(s->arena, same[i], &key), 0);
		assert_true(slice_equal(key, first));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(group_key(s->arena, bad[i], &key), 1);
	assert_true(group_is_below(first, slice_of("dc=x")) && group_is_below(first, slice_of("")));
	assert_true(group_is_below(first, first));
	assert_false(group_is_below(first, slice_of("c=x")));
	assert_false(group_is_below(slice_of("dc=x"), first));
}

static void a_dn_is_no_grammar_in_a_filter(void **state)
{
	const struct group group = { .rid = 0 };
	struct buf filter;

	(void)state;
	buf_init(&filter, 0);
	assert_int_equal(group_filter(&filter, "cn=a)(b*\\2c,dc=x", &group), 0);
	assert_string_equal(buf_string(&filter), "(memberOf=cn=a\\29\\28b\\2a\\5c2c,dc=x)");
	buf_clear(&filter);
}

static void no_memory(void **state)
{
	struct state *s = *state;
	struct directory_answer answer = { .status = DIRECTORY_NONE };
	const struct expand_env env = { .query = &s->query, .base = slice_of(BASE), .run = run, .self = s,
					.deadline_ms = 4711 };
	struct arena *small = arena_new(4096);

	add(s, true);
	put(s, 0, add(s, false));
	assert_int_equal(expand_groups(&env, small, entry_of(s, 0), &answer), -1);
	arena_free(small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(members_of_a_group), TEST(two_hundred_members_cost_two_round_trips),
		TEST(groups_of_a_level_are_asked_for_at_once), TEST(a_primary_group),
		TEST(who_leads_nowhere_is_a_member_without_certificate), TEST(a_group_of_nobody_is_no_group),
		TEST(a_group_in_which_nobody_can_be_seen),
		TEST(what_is_not_seen_to_its_end_fails), TEST(a_thousand_entries_at_most), TEST(one_person_is_one_member),
		TEST(everybody_who_can_be_reached), TEST(keys_of_dns), TEST(a_dn_is_no_grammar_in_a_filter), TEST(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
