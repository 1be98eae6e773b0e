/* test_directory.c - answers of directories: what a copy keeps when the answer itself is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "pki/directory_driver.h"
#include "support/testpki.h"

static struct cert *somebody(void)
{
	struct testpki *pki = testpki_leaf(NULL, "alice@example.com");
	struct cert *cert = testpki_cert(pki);

	testpki_free(pki);
	return cert;
}

static void addresses_of(struct arena *arena, struct directory_owner *owner)
{
	struct address *addresses = arena_array(arena, 2, sizeof(*addresses));
	struct err err;

	assert_non_null(addresses);
	assert_int_equal(address_parse(arena, slice_of("alice@example.com"), &addresses[0], &err), 0);
	assert_int_equal(address_parse(arena, slice_of("a.smith@example.com"), &addresses[1], &err), 0);
	*owner = (struct directory_owner){ addresses, 2 };
}

static void a_copy_keeps_owners_and_marks(void **state)
{
	struct arena *first = arena_new(0), *second = arena_new(0);
	struct directory_answer answer = { .status = DIRECTORY_NONE }, copy;
	struct directory_owner owner;
	struct directory_entry entry = { .cert = somebody(), .attribute = "userCertificate", .owner = &owner, .value = 3,
					 .preferred = true };

	(void)state;
	addresses_of(first, &owner);
	assert_int_equal(directory_answer_add(first, &answer, &entry), 0);
	entry.owner = NULL;
	assert_int_equal(directory_answer_add(first, &answer, &entry), 0);
	assert_int_equal(directory_answer_copy(second, &answer, &copy), 0);
	arena_free(first);
	cert_free(entry.cert);
	assert_int_equal(copy.n, 2);
	assert_true(copy.entries[0].preferred && copy.entries[0].value == 3);
	assert_int_equal(copy.entries[0].owner->n, 2);
	assert_true(slice_is(copy.entries[0].owner->addresses[1].local, "a.smith"));
	assert_null(copy.entries[1].owner);
	arena_free(second);
}

static void a_copy_keeps_members(void **state)
{
	struct arena *first = arena_new(0), *second = arena_new(0);
	struct directory_entry entry = { .cert = somebody(), .attribute = "userCertificate" };
	struct directory_answer answer = { .status = DIRECTORY_FOUND, .group = true }, copy;
	struct directory_owner owner;

	(void)state;
	addresses_of(first, &owner);
	answer.members = arena_array(first, 2, sizeof(*answer.members));
	assert_non_null(answer.members);
	answer.member_count = 2;
	answer.members[0].address = owner.addresses[0];
	assert_int_equal(directory_answer_add(first, &answer.members[0].answer, &entry), 0);
	answer.members[1].address = owner.addresses[1];
	assert_int_equal(directory_answer_fail(first, &answer.members[1].answer, "timed out"), 0);
	assert_int_equal(directory_answer_copy(second, &answer, &copy), 0);
	arena_free(first);
	cert_free(entry.cert);
	assert_true(copy.group);
	assert_int_equal(copy.member_count, 2);
	assert_true(slice_is(copy.members[0].address.text, "alice@example.com"));
	assert_int_equal(copy.members[0].answer.n, 1);
	assert_string_equal(copy.members[1].answer.failure, "timed out");
	arena_free(second);
}

static void a_copy_keeps_associations(void **state)
{
	struct arena *first = arena_new(0), *second = arena_new(0);
	const struct smimea record = { SMIMEA_DANE_EE, SMIMEA_SPKI, SMIMEA_FULL, arena_copy(first, slice_of("key")) };
	struct directory_answer answer = { .status = DIRECTORY_NONE }, copy;

	(void)state;
	answer.associations = &record;
	answer.association_count = 1;
	assert_int_equal(directory_answer_copy(second, &answer, &copy), 0);
	arena_free(first);
	assert_int_equal(copy.status, DIRECTORY_NONE);
	assert_int_equal(copy.association_count, 1);
	assert_int_equal(copy.associations[0].selector, SMIMEA_SPKI);
	assert_true(slice_is(copy.associations[0].data, "key"));
	arena_free(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_keeps_owners_and_marks),
		cmocka_unit_test(a_copy_keeps_members),
		cmocka_unit_test(a_copy_keeps_associations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
