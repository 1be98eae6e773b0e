/* test_subject_tag.c - the tag in plain and encoded Subjects, and what is left without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mail/subject_tag.h"

#include <string.h>

static void check(const char *value, int found, const char *wanted)
{
	struct arena *arena = arena_new(0);
	struct field field = field_make(arena, slice_of("Subject"), slice_of(value)), without;

	assert_int_equal(subject_tag_cut(arena, &field, "[encrypt]", &without), found);
	if (!slice_is(without.value, wanted))
		fail_msg("\"%s\" gives \"%.*s\" instead of \"%s\"", value, SLICE_ARGS(without.value), wanted);
	arena_free(arena);
}

static void test_plain(void **state)
{
	(void)state;
	check(" [encrypt] Offer", 1, " Offer");
	check(" Offer [encrypt]", 1, " Offer");
	check(" Our [encrypt] offer", 1, " Our offer");
	check(" Re: [ENCRYPT] Re: [Encrypt] offer", 1, " Re: Re: offer");
	check(" [encrypt]Offer", 1, " Offer");
	check(" a[encrypt] b", 1, " a b");
	check("[encrypt] Offer", 1, "Offer");
	check(" [encrypt]", 1, "");
	check(" Offer\r\n [encrypt]\r\n for you", 1, " Offer\r\n for you");
}

static void test_absent(void **state)
{
	(void)state;
	check(" Offer", 0, " Offer");
	check("", 0, "");
	check(" [ encrypt ]", 0, " [ encrypt ]");
	check(" [encryp", 0, " [encryp");
	check(" =?utf-8?q?[encryp?= t]", 0, " =?utf-8?q?[encryp?= t]");
	check(" =?broken", 0, " =?broken");
	check(" =?utf-8?x?[decrypt]?=", 0, " =?utf-8?x?[decrypt]?=");
}

static void test_encoded(void **state)
{
	(void)state;
	check(" =?utf-8?q?[encrypt]_Gr=C3=BC=C3=9Fe?=", 1, " =?utf-8?q?Gr=C3=BC=C3=9Fe?=");
	check(" =?UTF-8?B?W2VuY3J5cHRdIEdyw7zDn2U=?=", 1, " =?UTF-8?B?R3LDvMOfZQ==?=");
	check(" =?iso-8859-1?Q?Gr=FC=DFe_=5BEncrypt=5D?=", 1, " =?iso-8859-1?Q?Gr=FC=DFe?=");
	check(" [encrypt] =?utf-8?q?Gr=C3=BC=C3=9Fe?=", 1, " =?utf-8?q?Gr=C3=BC=C3=9Fe?=");
	check(" =?utf-8?q?Gr=C3=BC=C3=9Fe?= [encrypt]", 1, " =?utf-8?q?Gr=C3=BC=C3=9Fe?=");
}

/* Readers join encoded words that stand side by side: so does the search. */
static void test_across_words(void **state)
{
	(void)state;
	check(" =?utf-8?q?[enc?=\r\n =?utf-8?q?rypt]_=C3=9C?=", 1, " =?utf-8?q?=C3=9C?=");
	check(" =?utf-8?q?=C3=9C_[enc?= =?utf-8?b?cnlwdF0=?=", 1, " =?utf-8?q?=C3=9C?=");
}

static void test_no_tag(void **state)
{
	struct arena *arena = arena_new(0);
	struct field field = field_make(arena, slice_of("Subject"), slice_of(" x")), without;

	(void)state;
	assert_int_equal(subject_tag_cut(arena, &field, "", &without), 0);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain), cmocka_unit_test(test_absent), cmocka_unit_test(test_encoded),
		cmocka_unit_test(test_across_words), cmocka_unit_test(test_no_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
