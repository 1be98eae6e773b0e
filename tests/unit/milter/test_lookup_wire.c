/* test_lookup_wire.c - questions and answers of the lookup process: everything arrives, what does not fit is left for
 * the next question, and what was changed or cut on the way is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "milter/lookup_wire.h"
#include "pki/directory_driver.h"
#include "support/testdir.h"
#include "support/testpki.h"

struct fixture {
	struct arena *arena;
	struct cert *alice, *root;
	struct buf bytes;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct testpki *root = testpki_root("Root"), *alice = testpki_leaf(root, "alice@x.example");

	f->arena = arena_new(0);
	f->alice = testpki_cert(alice);
	f->root = testpki_cert(root);
	testpki_free(alice);
	testpki_free(root);
	buf_init(&f->bytes, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	buf_clear(&f->bytes);
	arena_free(f->arena);
	cert_free(f->alice);
	cert_free(f->root);
	free(f);
	return 0;
}

static void add(struct fixture *f, struct directory_answer *answer, struct cert *cert,
		const struct directory_owner *owner, size_t value)
{
	const struct directory_entry entry = { .cert = cert, .attribute = "userCertificate", .owner = owner,
		.value = value, .preferred = value == 1,
		.capabilities = { .known = value == 2, .ciphers = value == 2 ? 1U << CIPHER_AES128_GCM : 0 } };

	assert_int_equal(directory_answer_add(f->arena, answer, &entry), 0);
}

static const struct directory_owner *owner(struct fixture *f)
{
	struct directory_owner *made = arena_alloc(f->arena, sizeof(*made));
	struct address *addresses = arena_array(f->arena, 2, sizeof(*addresses));

	addresses[0] = testdir_address(f->arena, "alice@x.example");
	addresses[1] = testdir_address(f->arena, "a@y.example");
	*made = (struct directory_owner){ addresses, 2 };
	return made;
}

static const struct smimea *record(struct fixture *f)
{
	struct smimea *made = arena_alloc(f->arena, sizeof(*made));

	assert_int_equal(smimea_make(f->arena, f->alice, SMIMEA_DANE_EE, SMIMEA_SPKI, SMIMEA_SHA512, made, NULL), 0);
	return made;
}

/* A person with three values and a chain, nobody, a failure, and a group of the first and of one who has none. */
static void make(struct fixture *f, struct directory_answer answers[4])
{
	const struct directory_owner *alice = owner(f);

	memset(answers, 0, 4 * sizeof(*answers));
	for (size_t i = 0; i < 3; i++)
		add(f, &answers[0], i == 2 ? f->root : f->alice, i == 0 ? NULL : alice, i);
	assert_int_equal(directory_answer_chain(f->arena, &answers[0], f->root), 0);
	assert_int_equal(directory_answer_problem(f->arena, &answers[0], "userCertificate: not DER"), 0);
	answers[0].remembered = answers[0].stale = true;
	answers[0].age_ms = (int64_t)1 << 40;
	answers[0].failure = "ldap://x: away";
	answers[0].associations = record(f);
	answers[0].association_count = 1;
	assert_int_equal(directory_answer_problem(f->arena, &answers[1], "a.pem: holds no certificate"), 0);
	assert_int_equal(directory_answer_fail(f->arena, &answers[2], "timed out"), 0);
	answers[3] = (struct directory_answer){ .status = DIRECTORY_FOUND, .group = true, .member_count = 2 };
	answers[3].members = arena_array(f->arena, 2, sizeof(*answers[3].members));
	answers[3].members[0] = (struct directory_member){ testdir_address(f->arena, "alice@x.example"), answers[0] };
	answers[3].members[1].address = testdir_address(f->arena, "bob@x.example");
}

static int read_back(struct fixture *f, struct slice bytes, struct directory_answer *answers, size_t n, size_t *count)
{
	struct err err = { .class = ERR_NONE };
	int rc = lookup_read_answers(bytes, &(struct lookup_place){ f->arena, NULL }, answers, n, count, &err);

	if (rc != 0)
		assert_int_equal(err.class, ERR_BUG);
	return rc;
}

static void check_alice(const struct fixture *f, const struct directory_answer *answer)
{
	assert_int_equal(answer->status, DIRECTORY_FOUND);
	assert_int_equal(answer->n, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct directory_entry *entry = &answer->entries[i];

		assert_true(cert_equal(entry->cert, i == 2 ? f->root : f->alice));
		assert_string_equal(entry->attribute, "userCertificate");
		assert_int_equal(entry->value, i);
		assert_int_equal(entry->preferred, i == 1);
		assert_int_equal(entry->capabilities.known, i == 2);
		assert_int_equal(entry->capabilities.ciphers, i == 2 ? 1U << CIPHER_AES128_GCM : 0);
	}
	assert_null(answer->entries[0].owner);
	assert_ptr_equal(answer->entries[1].owner, answer->entries[2].owner);
	assert_int_equal(answer->entries[1].owner->n, 2);
	assert_true(slice_is(answer->entries[1].owner->addresses[0].local, "alice"));
	assert_true(slice_is(answer->entries[1].owner->addresses[1].text, "a@y.example"));
	assert_int_equal(answer->chain.n, 1);
	assert_true(cert_equal(answer->chain.items[0], f->root));
	assert_int_equal(answer->problem_count, 1);
	assert_string_equal(answer->problems[0], "userCertificate: not DER");
	assert_true(answer->remembered && answer->stale && !answer->group);
	assert_true(answer->age_ms == (int64_t)1 << 40);
	assert_string_equal(answer->failure, "ldap://x: away");
	assert_int_equal(answer->association_count, 1);
	assert_true(answer->associations[0].usage == SMIMEA_DANE_EE && smimea_matches(answer->associations, f->alice) == 1);
}

static void everything_arrives(void **state)
{
	struct fixture *f = *state;
	struct directory_answer answers[4], got[4];
	size_t count = 0;

	make(f, answers);
	assert_int_equal(lookup_write_answers(answers, 4, LOOKUP_ANSWER_BYTES, &f->bytes), 0);
	assert_int_equal(read_back(f, buf_slice(&f->bytes), got, 4, &count), 0);
	assert_int_equal(count, 4);
	check_alice(f, &got[0]);
	assert_int_equal(got[1].status, DIRECTORY_NONE);
	assert_int_equal(got[1].problem_count, 1);
	assert_false(got[1].remembered);
	assert_int_equal(got[2].status, DIRECTORY_FAILED);
	assert_string_equal(got[2].failure, "timed out");
	assert_true(got[3].group);
	assert_int_equal(got[3].member_count, 2);
	assert_true(slice_is(got[3].members[0].address.domain, "x.example"));
	check_alice(f, &got[3].members[0].answer);
	assert_int_equal(got[3].members[1].answer.status, DIRECTORY_NONE);
	/* each certificate was sent once */
	assert_true(f->bytes.n < cert_info(f->alice)->der.n + cert_info(f->root)->der.n + 1000);
}

static void what_does_not_fit_is_left(void **state)
{
	struct fixture *f = *state;
	struct directory_answer answers[4], got[4];
	size_t count = 0;

	make(f, answers);
	answers[1] = answers[0];
	assert_int_equal(lookup_write_answers(answers, 1, LOOKUP_ANSWER_BYTES, &f->bytes), 0);
	count = f->bytes.n;
	buf_reset(&f->bytes);
	/* room for the first; the second needs less, since its certificates are there, but more than this */
	assert_int_equal(lookup_write_answers(answers, 4, count + 20, &f->bytes), 0);
	assert_int_equal(f->bytes.n, count);
	assert_int_equal(read_back(f, buf_slice(&f->bytes), got, 4, &count), 0);
	assert_int_equal(count, 1);
	check_alice(f, &got[0]);
	/* certificates that were taken back are sent with the next answer that has them */
	buf_reset(&f->bytes);
	assert_int_equal(lookup_write_answers(answers, 4, 200, &f->bytes), 0);
	assert_int_equal(read_back(f, buf_slice(&f->bytes), got, 4, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(got[0].status, DIRECTORY_FAILED);
	assert_non_null(strstr(got[0].failure, "more than 200 bytes"));
}

static void cut_or_lengthened_answers_are_refused(void **state)
{
	struct fixture *f = *state;
	struct directory_answer answers[4], got[4];
	size_t count = 0;

	make(f, answers);
	assert_int_equal(lookup_write_answers(answers, 4, LOOKUP_ANSWER_BYTES, &f->bytes), 0);
	for (size_t n = 0; n < f->bytes.n; n++)
		assert_int_equal(read_back(f, slice_first(buf_slice(&f->bytes), n), got, 4, &count), -1);
	assert_int_equal(read_back(f, buf_slice(&f->bytes), got, 3, &count), -1);
	assert_int_equal(buf_append_char(&f->bytes, 'f'), 0);
	assert_int_equal(read_back(f, buf_slice(&f->bytes), got, 4, &count), -1);
}

/* Whatever a byte becomes, the answer is refused or is one that a directory may give. */
static void changed_answers_are_harmless(void **state)
{
	struct fixture *f = *state;
	struct directory_answer answers[4], got[4];
	size_t count = 0;

	make(f, answers);
	assert_int_equal(lookup_write_answers(answers, 4, LOOKUP_ANSWER_BYTES, &f->bytes), 0);
	for (size_t i = 0; i < f->bytes.n; i++) {
		const unsigned char before = f->bytes.p[i];

		for (unsigned change = 1; change <= 0x80; change *= 0x80) {
			f->bytes.p[i] = (unsigned char)(before ^ change);
			if (read_back(f, buf_slice(&f->bytes), got, 4, &count) != 0)
				continue;
			for (size_t k = 0; k < count; k++)
				assert_true(got[k].status != DIRECTORY_NONE || (got[k].n == 0 && !got[k].stale));
		}
		f->bytes.p[i] = before;
	}
}

/* One with a member whose address nobody knows, so none; one with a certificate of its own, not asked to its end. */
static void groups_arrive(void **state)
{
	struct fixture *f = *state;
	struct directory_member member = { .answer = { .status = DIRECTORY_NONE } };
	struct directory_answer answers[2] = { { .status = DIRECTORY_NONE }, { .status = DIRECTORY_NONE } }, got[2];
	size_t count = 0;

	answers[0].group = true;
	answers[0].members = &member;
	answers[0].member_count = 1;
	assert_int_equal(directory_answer_problem(f->arena, &member.answer, "cn=printer: without address"), 0);
	add(f, &answers[1], f->alice, NULL, 0);
	answers[1].group = true;
	answers[1].failure = "its members: timed out";
	assert_int_equal(lookup_write_answers(answers, 2, LOOKUP_ANSWER_BYTES, &f->bytes), 0);
	assert_int_equal(read_back(f, buf_slice(&f->bytes), got, 2, &count), 0);
	assert_int_equal(got[0].status, DIRECTORY_NONE);
	assert_true(got[0].group && got[0].member_count == 1);
	assert_int_equal(got[0].members[0].address.text.n, 0);
	assert_string_equal(got[0].members[0].answer.problems[0], "cn=printer: without address");
	assert_int_equal(got[1].status, DIRECTORY_FOUND);
	assert_true(got[1].group && got[1].n == 1 && got[1].member_count == 0);
	assert_string_equal(got[1].failure, "its members: timed out");
}

static void impossible_answers_are_refused(void **state)
{
	struct fixture *f = *state;
	struct directory_answer answer = { .status = DIRECTORY_FOUND, .group = true, .member_count = 1 }, got;
	struct directory_member member = { .answer = { .status = DIRECTORY_NONE } };
	size_t count = 0;

	/* a group in a group cannot be written, none with certificates and an empty reason cannot be read */
	member.answer.group = true;
	answer.members = &member;
	assert_int_equal(lookup_write_answers(&answer, 1, LOOKUP_ANSWER_BYTES, &f->bytes), 0);
	assert_int_equal(read_back(f, buf_slice(&f->bytes), &got, 1, &count), 0);
	assert_int_equal(got.status, DIRECTORY_FAILED);
	answer = (struct directory_answer){ .status = DIRECTORY_NONE };
	add(f, &answer, f->alice, NULL, 0);
	answer.status = DIRECTORY_NONE;
	buf_reset(&f->bytes);
	assert_int_equal(lookup_write_answers(&answer, 1, LOOKUP_ANSWER_BYTES, &f->bytes), 0);
	assert_int_equal(read_back(f, buf_slice(&f->bytes), &got, 1, &count), -1);
	for (size_t i = 0; i < 3; i++) {
		static const char *const reasons[] = { "", "two\nlines", "\xc3\xa4" };

		answer = (struct directory_answer){ .status = DIRECTORY_FAILED, .failure = reasons[i] };
		buf_reset(&f->bytes);
		assert_int_equal(lookup_write_answers(&answer, 1, LOOKUP_ANSWER_BYTES, &f->bytes), 0);
		assert_int_equal(read_back(f, buf_slice(&f->bytes), &got, 1, &count), -1);
	}
}

static void memory_is_handed_over(void **state)
{
	struct fixture *f = *state;
	struct directory_answer answers[4];
	struct directory_remembered items[4], *got = NULL;
	struct err err = { .class = ERR_NONE };
	size_t n = 0, all;

	make(f, answers);
	for (size_t i = 0; i < 4; i++)
		items[i] = (struct directory_remembered){ slice_of("alice@x.example"), answers[i] };
	items[2] = (struct directory_remembered){ slice_of("bob@x.example"), answers[1] };
	assert_int_equal(lookup_write_remembered(items, 4, LOOKUP_ANSWER_BYTES, &f->bytes), 0);
	all = f->bytes.n;
	assert_int_equal(lookup_read_remembered(buf_slice(&f->bytes), f->arena, &got, &n, &err), 0);
	assert_int_equal(n, 4);
	check_alice(f, &got[0].answer);
	assert_true(slice_is(got[2].address, "bob@x.example") && got[3].answer.group);
	for (size_t i = 0; i < all; i++)
		assert_int_equal(lookup_read_remembered(slice_first(buf_slice(&f->bytes), i), f->arena, &got, &n, &err), -1);
	/* what was used last is what fits */
	buf_reset(&f->bytes);
	assert_int_equal(lookup_write_remembered(items, 4, all - 100, &f->bytes), 0);
	assert_int_equal(lookup_read_remembered(buf_slice(&f->bytes), f->arena, &got, &n, &err), 0);
	assert_true(n > 0 && n < 4 && got[n - 1].answer.group);
	/* a failure is nothing to remember */
	buf_reset(&f->bytes);
	items[0].answer = (struct directory_answer){ .status = DIRECTORY_FAILED, .failure = "timed out" };
	assert_int_equal(lookup_write_remembered(items, 1, LOOKUP_ANSWER_BYTES, &f->bytes), 0);
	assert_int_equal(lookup_read_remembered(buf_slice(&f->bytes), f->arena, &got, &n, &err), -1);
	assert_int_equal(err.class, ERR_BUG);
	buf_reset(&f->bytes);
	assert_int_equal(lookup_write_remembered(NULL, 0, LOOKUP_ANSWER_BYTES, &f->bytes), 0);
	assert_int_equal(lookup_read_remembered(buf_slice(&f->bytes), f->arena, &got, &n, &err), 0);
	assert_int_equal(n, 0);
}

static void questions(void **state)
{
	struct fixture *f = *state;
	struct address addresses[2] = { testdir_address(f->arena, "alice@x.example"),
		testdir_address(f->arena, "bob@x.example") };
	struct lookup_question question = { .operation = LOOKUP_FIND, .directory = 7,
		.deadline_ms = 123456789012, .addresses = addresses, .n = 2 }, got;
	struct err err = { .class = ERR_NONE };

	assert_int_equal(lookup_write_question(&question, &f->bytes), 2);
	assert_int_equal(lookup_read_question(buf_slice(&f->bytes), f->arena, &got, &err), 0);
	assert_true(got.operation == LOOKUP_FIND && got.directory == 7 && got.deadline_ms == 123456789012 && got.n == 2);
	assert_true(address_equal(&got.addresses[1], &addresses[1]));
	assert_true(slice_is(got.addresses[1].text, "bob@x.example"));
	for (size_t n = 0; n < f->bytes.n; n++) {
		assert_int_equal(lookup_read_question(slice_first(buf_slice(&f->bytes), n), f->arena, &got, &err), -1);
		assert_int_equal(err.class, ERR_BUG);
	}
	f->bytes.p[0] = LOOKUP_PROBE;
	assert_int_equal(lookup_read_question(buf_slice(&f->bytes), f->arena, &got, &err), -1);
	buf_reset(&f->bytes);
	question = (struct lookup_question){ .operation = LOOKUP_PROBE };
	assert_int_equal(lookup_write_question(&question, &f->bytes), 0);
	assert_int_equal(lookup_read_question(buf_slice(&f->bytes), f->arena, &got, &err), 0);
	f->bytes.p[0] = LOOKUP_FIND;
	assert_int_equal(lookup_read_question(buf_slice(&f->bytes), f->arena, &got, &err), -1);
	f->bytes.p[0] = 99;
	assert_int_equal(lookup_read_question(buf_slice(&f->bytes), f->arena, &got, &err), -1);
	buf_reset(&f->bytes);
	question = (struct lookup_question){ .operation = LOOKUP_INHERIT, .identity.bytes = "which one" };
	assert_int_equal(lookup_write_question(&question, &f->bytes), 0);
	assert_int_equal(lookup_read_question(buf_slice(&f->bytes), f->arena, &got, &err), 0);
	assert_memory_equal(&got.identity, &question.identity, sizeof(got.identity));
}

/* An answer is remembered under the text, while some directories ask for its parts. */
static void an_address_is_its_text(void **state)
{
	static const char *const texts[] = { "bob@X.example", "bob@x.example\0eve@y.example", "<bob@x.example>", "bob@",
		"bob@x.example, eve@y.example" };
	struct fixture *f = *state;
	struct address address = testdir_address(f->arena, "bob@x.example");
	const struct lookup_question question = { .operation = LOOKUP_FIND, .addresses = &address, .n = 1 };
	struct lookup_question got;
	struct err err = { .class = ERR_NONE };

	address.local = slice_of("eve");
	address.domain = slice_of("y.example");
	assert_int_equal(lookup_write_question(&question, &f->bytes), 1);
	assert_int_equal(lookup_read_question(buf_slice(&f->bytes), f->arena, &got, &err), 0);
	assert_true(slice_is(got.addresses[0].text, "bob@x.example"));
	assert_true(slice_is(got.addresses[0].local, "bob") && slice_is(got.addresses[0].domain, "x.example"));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		address.text = slice_make(texts[i], i == 1 ? 27 : strlen(texts[i]));
		buf_reset(&f->bytes);
		assert_int_equal(lookup_write_question(&question, &f->bytes), 1);
		assert_int_equal(lookup_read_question(buf_slice(&f->bytes), f->arena, &got, &err), -1);
		assert_int_equal(err.class, ERR_BUG);
	}
}

static void a_question_is_one_message(void **state)
{
	struct fixture *f = *state;
	struct address *addresses = arena_array(f->arena, 5000, sizeof(*addresses));
	char *text = arena_alloc(f->arena, 2 * LOOKUP_TEXT_BYTES);
	struct lookup_question question = { .operation = LOOKUP_FIND, .addresses = addresses, .n = 5000 }, got;
	ssize_t n;

	for (size_t i = 0; i < 5000; i++)
		addresses[i] = testdir_address(f->arena, "somebody.with.a.name@some.where.example");
	n = lookup_write_question(&question, &f->bytes);
	assert_true(n > 1000 && n < 5000 && f->bytes.n <= CHANNEL_BYTES);
	assert_int_equal(lookup_read_question(buf_slice(&f->bytes), f->arena, &got, NULL), 0);
	assert_int_equal(got.n, n);
	memset(text, 'a', 2 * LOOKUP_TEXT_BYTES - 1);
	addresses[1].text = slice_of(text);
	assert_int_equal(lookup_write_question(&question, &f->bytes), 1);
	addresses[0] = addresses[1];
	assert_int_equal(lookup_write_question(&question, &f->bytes), -1);
}

static void outcomes(void **state)
{
	struct fixture *f = *state;
	struct err err = { ERR_TEMP, "ldap://x: refused" }, got = { .class = ERR_NONE };

	assert_int_equal(lookup_write_outcome(NULL, &f->bytes), 0);
	assert_true(lookup_is_outcome(buf_slice(&f->bytes)));
	assert_int_equal(lookup_read_outcome(buf_slice(&f->bytes), &got), 0);
	assert_int_equal(buf_append_char(&f->bytes, 'x'), 0);
	assert_int_equal(lookup_read_outcome(buf_slice(&f->bytes), &got), -1);
	assert_int_equal(got.class, ERR_BUG);
	buf_reset(&f->bytes);
	assert_int_equal(lookup_write_outcome(&err, &f->bytes), 0);
	assert_int_equal(lookup_read_outcome(buf_slice(&f->bytes), &got), -1);
	assert_int_equal(got.class, ERR_TEMP);
	assert_string_equal(got.text, err.text);
	f->bytes.p[1] = 99;
	assert_int_equal(lookup_read_outcome(buf_slice(&f->bytes), &got), -1);
	assert_int_equal(got.class, ERR_BUG);
	assert_int_equal(lookup_read_outcome(slice_of(""), &got), -1);
	assert_false(lookup_is_outcome(slice_of("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everything_arrives, setup, teardown),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_left, setup, teardown),
		cmocka_unit_test_setup_teardown(cut_or_lengthened_answers_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(changed_answers_are_harmless, setup, teardown),
		cmocka_unit_test_setup_teardown(groups_arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(impossible_answers_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_is_handed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(questions, setup, teardown),
		cmocka_unit_test_setup_teardown(an_address_is_its_text, setup, teardown),
		cmocka_unit_test_setup_teardown(a_question_is_one_message, setup, teardown),
		cmocka_unit_test_setup_teardown(outcomes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
