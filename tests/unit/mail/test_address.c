/* test_address.c - mailboxes, and the tricks by which two readers find different ones. */
#include "unit/mail/mail_test.h"

#include "mail/address.h"

struct single_case {
	const char *value;
	enum mailbox_form form;
	const char *text;	/* expected address, "" for none */
};

static const struct single_case singles[] = {
	{ " a@b", MAILBOX_SINGLE, "a@b" },
	{ " <a@b>", MAILBOX_SINGLE, "a@b" },
	{ " Alice <Alice@B.Example>", MAILBOX_SINGLE, "Alice@b.example" },
	{ " \"Doe, Alice\" <a@b>\r\n ", MAILBOX_SINGLE, "a@b" },
	{ " John Q. Public <a@b>", MAILBOX_SINGLE, "a@b" },
	{ " J\xc3\xbcrgen <a@b>", MAILBOX_SINGLE, "a@b" },
	{ " =?utf-8?q?J=C3=BCrgen?=\r\n =?utf-8?b?w6Q=?= <a@b>", MAILBOX_SINGLE, "a@b" },
	{ " =?iso-2022-jp?B?GyRCOzNFRBsoQg==?= <a@b>", MAILBOX_SINGLE, "a@b" },
	{ " \"a@b\" <c@d>", MAILBOX_SINGLE, "c@d" },
	{ " a@b (comment)", MAILBOX_SINGLE, "a@b" },
	{ " a@b (outer (inner) more)", MAILBOX_SINGLE, "a@b" },
	{ " (x) Alice (y) <a@b> (z)", MAILBOX_SINGLE, "a@b" },
	{ " \"a\"@b", MAILBOX_SINGLE, "a@b" },
	{ " \"a b\"@c", MAILBOX_SINGLE, "\"a b\"@c" },
	{ " a@[192.0.2.1]", MAILBOX_SINGLE, "a@[192.0.2.1]" },
	{ " a@b\xc3\xbc" "cher.example", MAILBOX_SINGLE, "a@xn--bcher-kva.example" },
	{ " \xc3\xa4@b", MAILBOX_SINGLE, "\xc3\xa4@b" },

	{ "", MAILBOX_NONE, "" },
	{ "  \r\n ", MAILBOX_NONE, "" },
	{ " Alice", MAILBOX_NONE, "" },
	{ " \"only display name\"", MAILBOX_NONE, "" },

	{ " a@b, c@d", MAILBOX_MANY, "a@b" },
	{ " Alice <a@b>, Bob <c@d>", MAILBOX_MANY, "a@b" },

	{ " a@b <c@d>", MAILBOX_AMBIGUOUS, "c@d" },
	{ " <a@b> c@d", MAILBOX_AMBIGUOUS, "a@b" },
	{ " <a@b> <c@d>", MAILBOX_AMBIGUOUS, "a@b" },
	{ " <a@b> garbage", MAILBOX_AMBIGUOUS, "a@b" },
	{ " <a@b>garbage", MAILBOX_AMBIGUOUS, "a@b" },
	{ " <<a@b>>", MAILBOX_AMBIGUOUS, "" },
	{ " <a@b", MAILBOX_AMBIGUOUS, "a@b" },
	{ " a@b>", MAILBOX_AMBIGUOUS, "" },
	{ " >a@b<", MAILBOX_AMBIGUOUS, "" },
	{ " <>", MAILBOX_AMBIGUOUS, "" },
	{ " a@b <>", MAILBOX_AMBIGUOUS, "" },
	{ " a@b@c", MAILBOX_AMBIGUOUS, "" },
	{ " \"a\tb\"@c", MAILBOX_AMBIGUOUS, "" },
	{ " \"A\t<B\" <a@c>", MAILBOX_AMBIGUOUS, "a@c" },
	{ " \"A\tB\" <a@c>", MAILBOX_SINGLE, "a@c" },
	{ " a@b c@d", MAILBOX_AMBIGUOUS, "" },
	{ " a b@c", MAILBOX_AMBIGUOUS, "ab@c" },
	{ " a @b", MAILBOX_AMBIGUOUS, "a@b" },
	{ " a@ b", MAILBOX_AMBIGUOUS, "a@b" },
	{ " a@b .c", MAILBOX_AMBIGUOUS, "a@b.c" },
	{ " a(x)@b", MAILBOX_AMBIGUOUS, "a@b" },
	{ " a@(x)b", MAILBOX_AMBIGUOUS, "a@b" },
	{ " a@b(x).c", MAILBOX_AMBIGUOUS, "a@b.c" },
	{ " <a@b (x)>", MAILBOX_AMBIGUOUS, "a@b" },
	{ " (c@d) a@b", MAILBOX_AMBIGUOUS, "a@b" },
	{ " a@b (<c@d>)", MAILBOX_AMBIGUOUS, "a@b" },
	{ " (\") <c@d> (\") a@b", MAILBOX_AMBIGUOUS, "c@d" },
	{ " (a\\) <c@d>", MAILBOX_AMBIGUOUS, "" },
	{ " a@b (unclosed", MAILBOX_AMBIGUOUS, "" },
	{ " a@b )", MAILBOX_AMBIGUOUS, "" },
	{ " \"unclosed <a@b>", MAILBOX_AMBIGUOUS, "" },
	{ " \"<a@b>\" <c@d>", MAILBOX_AMBIGUOUS, "c@d" },
	{ " \"a\\\" <x@y> \\\"\" <c@d>", MAILBOX_AMBIGUOUS, "c@d" },
	{ " \"A \\\"B\\\" C\" <c@d>", MAILBOX_SINGLE, "c@d" },
	{ " \"A, \\\"B\\\"\" <c@d>", MAILBOX_AMBIGUOUS, "c@d" },
	{ " a@b.", MAILBOX_AMBIGUOUS, "a@b" },
	{ " \"a@b\"@c", MAILBOX_AMBIGUOUS, "\"a@b\"@c" },
	{ " \"a\".b@c", MAILBOX_AMBIGUOUS, "a.b@c" },
	{ " =?utf-8?q?x=40y?=@d", MAILBOX_AMBIGUOUS, "=?utf-8?q?x=40y?=@d" },
	{ " =?utf-8?q?x=40y?=", MAILBOX_AMBIGUOUS, "" },
	{ " <=?utf-8?q?x=40y?=@d>", MAILBOX_AMBIGUOUS, "=?utf-8?q?x=40y?=@d" },
	{ " =?utf-8?q?ceo=40x=00?= <c@d>", MAILBOX_AMBIGUOUS, "c@d" },
	{ " =?utf-8?q?ceo=40x.example=00?= <c@d>", MAILBOX_AMBIGUOUS, "c@d" },
	{ " =?utf-8?b?Y2VvAA==?= <c@d>", MAILBOX_AMBIGUOUS, "c@d" },
	{ " =?utf-8?q?a?==?utf-8?q?=0A?= <c@d>", MAILBOX_AMBIGUOUS, "c@d" },
	{ " =?x =?utf-8?q?ceo=00?= <c@d>", MAILBOX_AMBIGUOUS, "c@d" },
	{ " group: a@b;", MAILBOX_AMBIGUOUS, "a@b" },
	{ " group:;", MAILBOX_AMBIGUOUS, "" },
	{ " a@b; c@d", MAILBOX_AMBIGUOUS, "a@b" },
	{ " <@x:a@b>", MAILBOX_AMBIGUOUS, "a@b" },
	{ " <@x,@y:a@b>", MAILBOX_AMBIGUOUS, "a@b" },
	{ " a@b,", MAILBOX_AMBIGUOUS, "a@b" },
	{ " , a@b", MAILBOX_AMBIGUOUS, "a@b" },
	{ " Doe, Alice <a@b>", MAILBOX_AMBIGUOUS, "a@b" },
	{ " a@b>, <c@d>", MAILBOX_AMBIGUOUS, "c@d" },
	{ " a@b:, <c@d>", MAILBOX_AMBIGUOUS, "c@d" },
	{ " a@b@c, <c@d>", MAILBOX_AMBIGUOUS, "c@d" },
	{ " c@d, a@b..c", MAILBOX_AMBIGUOUS, "c@d" },
	{ " .<a@b>", MAILBOX_AMBIGUOUS, "a@b" },
	{ " J. R. <a@b>", MAILBOX_SINGLE, "a@b" },
	{ " a..b@c", MAILBOX_AMBIGUOUS, "a..b@c" },
	{ " A <.a@c>", MAILBOX_AMBIGUOUS, ".a@c" },
	{ " a.@c", MAILBOX_AMBIGUOUS, "a.@c" },
	{ " a@xn--nday", MAILBOX_AMBIGUOUS, "a@xn--nday" },
	{ " a@b.xn---bcher-kva.c", MAILBOX_AMBIGUOUS, "a@b.xn---bcher-kva.c" },
	{ " a@b.XN--bcher-kva.c", MAILBOX_SINGLE, "a@b.xn--bcher-kva.c" },
	{ " a@a_b.xn--bcher-kva.c", MAILBOX_SINGLE, "a@a_b.xn--bcher-kva.c" },
	{ " \"a..b\"@c", MAILBOX_SINGLE, "a..b@c" },
	{ " [x] <a@b>", MAILBOX_AMBIGUOUS, "a@b" },
	{ " a@b\r\nBcc: c@d", MAILBOX_AMBIGUOUS, "c@d" },
	{ " a@b\rx", MAILBOX_AMBIGUOUS, "" },
	{ " \"a\rb\" <c@d>", MAILBOX_AMBIGUOUS, "" },
	{ " a\x01@b", MAILBOX_AMBIGUOUS, "" },
	{ " \\a@b", MAILBOX_AMBIGUOUS, "" },
	{ " a@b..c", MAILBOX_AMBIGUOUS, "" },
	{ " a@", MAILBOX_AMBIGUOUS, "" },
	{ " @b", MAILBOX_AMBIGUOUS, "" },
	{ " a@\xff", MAILBOX_AMBIGUOUS, "" },
	{ " \xff@b", MAILBOX_AMBIGUOUS, "" },
};

static void test_single(void **state)
{
	for (size_t i = 0; i < sizeof(singles) / sizeof(singles[0]); i++) {
		struct address address;
		enum mailbox_form form = MAILBOX_SINGLE;

		assert_int_equal(address_single(*state, slice_of(singles[i].value), &address, &form, NULL), 0);
		if (form != singles[i].form)
			fail_msg("%s: form %d, want %d", singles[i].value, (int)form, (int)singles[i].form);
		if (!slice_is(address.text, singles[i].text))
			fail_msg("%s: found %.*s", singles[i].value, SLICE_ARGS(address.text));
	}
}

static void test_single_with_nul(void **state)
{
	struct address address;
	enum mailbox_form form = MAILBOX_SINGLE;

	assert_int_equal(address_single(*state, slice_make(" a@b\0.evil", 10), &address, &form, NULL), 0);
	assert_int_equal(form, MAILBOX_AMBIGUOUS);
	assert_int_equal(address_single(*state, slice_make(" \"x\0\" <a@b>", 11), &address, &form, NULL), 0);
	assert_int_equal(form, MAILBOX_AMBIGUOUS);
}

static void test_parse(void **state)
{
	static const char *const bad[] = { "", " ", "@b", "a@", "a@b@c", "a b@c", "<a@b", "a@b>", "a@b (x)", "a@b c",
					   "<a@b>\r\nX: y", "a@b..c", "a@-\x01", "<a@b><c@d>", "\"a@b", "a@b,c@d",
					   "a@b/c",
					   "a:b@c", "\"\x01\"@b" };
	static const char *const good[][2] = {
		{ "a@b", "a@b" }, { "<A@B.C>", "A@b.c" }, { "<>", "" }, { "< a@b >", "a@b" }, { "postmaster",
		  "postmaster" },
		{ "<@r,@s:a@b>", "a@b" }, { "\"a\"@b", "a@b" }, { "\"a\\\"\\ b\"@c", "\"a\\\" b\"@c" }, { "a..b@c.",
		  "a..b@c" },
		{ "a@xn--BCHER-kva.example", "a@xn--bcher-kva.example" }, { "a+b=c!#$%&'*/?^_`{|}~@d_e",
		  "a+b=c!#$%&'*/?^_`{|}~@d_e" },
		{ "a@[IPv6:2001:DB8::1]", "a@[ipv6:2001:db8::1]" },
	};
	struct address address;
	struct err err = { ERR_NONE, "" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (address_parse(*state, slice_of(bad[i]), &address, &err) == 0)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(err.class, ERR_MESSAGE);
		assert_int_equal(address.text.n, 0);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (address_parse(*state, slice_of(good[i][0]), &address, &err) < 0)
			fail_msg("refused: %s", good[i][0]);
		assert_slice(address.text, good[i][1]);
	}
	assert_int_equal(address_parse(*state, slice_of("a@b\n"), &address, &err), 0);
	assert_int_equal(address_parse(*state, slice_make("a\0@b", 4), &address, &err), -1);
	assert_int_equal(address_parse(*state, slice_of("\"a b\"@c"), &address, &err), 0);
	assert_slice(address.local, "a b");
	assert_slice(address.domain, "c");
}

static void test_list(void **state)
{
	struct address *list = NULL;
	size_t n = 0;

	assert_int_equal(address_list(*state, slice_of(" a@b, \"x, y\" <c@d>, nonsense, Group: e@f, g <h@i>;,\r\n"
		" j@k (l),"
		" m @ n, <@r:o@p>, <q@r@s>, t@u (unclosed, v@w"), &list, &n, NULL), 0);
	assert_int_equal(n, 7);
	assert_slice(list[0].text, "a@b");
	assert_slice(list[1].text, "c@d");
	assert_slice(list[2].text, "e@f");
	assert_slice(list[3].text, "h@i");
	assert_slice(list[4].text, "j@k");
	assert_slice(list[5].text, "m@n");
	assert_slice(list[6].text, "o@p");
	assert_int_equal(address_list(*state, slice_of(""), &list, &n, NULL), 0);
	assert_int_equal(n, 0);
	assert_int_equal(address_list(*state, slice_of("undisclosed-recipients:;"), &list, &n, NULL), 0);
	assert_int_equal(n, 0);
}

static void test_hostile_sizes(void **state)
{
	static char many[60002];
	struct address *list = NULL, address;
	enum mailbox_form form = MAILBOX_SINGLE;
	size_t n = 0;
	static const char each[] = ":(<\"[@,;\\";

	for (size_t i = 0; i < sizeof(each) - 1; i++) {
		memset(many, each[i], sizeof(many) - 1);
		assert_int_equal(address_list(*state, slice_of(many), &list, &n, NULL), 0);
		assert_int_equal(n, 0);
		assert_int_equal(address_single(*state, slice_of(many), &address, &form, NULL), 0);
		if (form != MAILBOX_AMBIGUOUS)
			fail_msg("%c: form %d", each[i], (int)form);
	}
}

static struct address address(struct arena *arena, const char *text)
{
	struct address result;

	assert_int_equal(address_parse(arena, slice_of(text), &result, NULL), 0);
	return result;
}

static bool equal(struct arena *arena, const char *a, const char *b)
{
	struct address one = address(arena, a), two = address(arena, b);

	return address_equal(&one, &two);
}

static void test_equal(void **state)
{
	assert_true(equal(*state, "Alice@Example.COM", "alice@example.com"));
	assert_true(equal(*state, "\"alice\"@example.com", "alice@example.com"));
	assert_true(equal(*state, "a@b\xc3\xbc" "cher.example", "a@xn--bcher-kva.example"));
	assert_true(equal(*state, "a@B\xc3\x9c" "CHER.example", "a@xn--bcher-kva.example"));
	assert_false(equal(*state, "\xc3\xa4@b", "\xc3\x84@b"));
	assert_false(equal(*state, "a@b", "a@b.c"));
	assert_false(equal(*state, "a@b", "aa@b"));
	assert_false(equal(*state, "a", "a@b"));
	assert_false(equal(*state, "<>", "<>"));
	assert_false(equal(*state, "a@stra\xc3\x9f" "e.example", "a@strasse.example"));
}

static void test_base(void **state)
{
	static const struct { const char *whole, *delimiter, *base; } rows[] = {
		{ "bob+tag-x@c", "-+", "bob@c" },
		{ "bob-x+tag@c", "-+", "bob@c" },
		{ "bob+tag@c", "", "bob+tag@c" },
		{ "bob+tag@c", NULL, "bob+tag@c" },
		{ "bob=tag@c", "-+", "bob=tag@c" },
		{ "+tag@c", "+", "+tag@c" },
		{ "bob+@c", "+", "bob@c" },
		{ "b\xc3\xb6" "b+t\xc3\xa4g@c", "+", "b\xc3\xb6" "b@c" },
		{ "\"bob+tag\"@c", "+", "bob@c" },
		{ "\"bob smith+tag\"@c", "+", "\"bob smith+tag\"@c" },
	};
	struct address null = address(*state, "<>"), base;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct address whole = address(*state, rows[i].whole), wanted = address(*state, rows[i].base);

		assert_int_equal(address_base(*state, &whole, rows[i].delimiter, &base), 0);
		assert_slice(base.text, rows[i].base);
		assert_true(address_equal(&base, &wanted));
	}
	assert_int_equal(address_base(*state, &null, "+", &base), 0);
	assert_int_equal(base.text.n, 0);
}

static void test_domain(void **state)
{
	static const char *const bad[] = { "", ".", "a..b", ".a", "a b", "a@b", "a/b", "[", "[]", "[a b]", "\xff",
		"a\x01",
					   "\xe2\x84\x80.example" /* maps to a/c */ };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (domain_ascii(*state, slice_of(bad[i])).p != NULL)
			fail_msg("accepted: %s", bad[i]);
	}
	assert_slice(domain_ascii(*state, slice_of("EXAMPLE.com.")), "example.com");
	assert_slice(domain_ascii(*state, slice_of("m\xc3\xbcller.de")), "xn--mller-kva.de");
	assert_null(domain_ascii(*state, slice_make("a\0b", 3)).p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_arena(test_single),
		with_arena(test_single_with_nul),
		with_arena(test_parse),
		with_arena(test_list),
		with_arena(test_hostile_sizes),
		with_arena(test_equal),
		with_arena(test_base),
		with_arena(test_domain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
