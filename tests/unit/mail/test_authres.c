/* test_authres.c - Authentication-Results: forged results in every dress, and what we write ourselves. */
#include "unit/mail/mail_test.h"

#include "mail/authres.h"

struct clean_case {
	const char *value;
	enum authres_verdict verdict;
	const char *left;	/* value of the replacement */
};

static const struct clean_case cases[] = {
	/* ours, our method alone */
	{ " mx.example.com; smime=pass", AUTHRES_DELETE, NULL },
	{ " MX.Example.COM ; smime = pass (x) body.smime-part=2", AUTHRES_DELETE, NULL },
	{ " (a (b)) \"mx.example.com\" 1; SMIME/1=pass", AUTHRES_DELETE, NULL },
	{ " mx.example.com.; smime=pass", AUTHRES_DELETE, NULL },
	{ " mx.example.com;\r\n\tsmime=pass\r\n\treason=\"a; b\"", AUTHRES_DELETE, NULL },
	{ " mx.example.com; smime=pass; smime=fail;", AUTHRES_DELETE, NULL },
	{ " mx.example.com; (c) smime (c) / (c) 1 (c) = (c) pass", AUTHRES_DELETE, NULL },
	/* ours, with others' results */
	{ " mx.example.com; dkim=pass header.d=x; smime=pass; spf=fail", AUTHRES_REPLACE,
	  " mx.example.com; dkim=pass header.d=x; spf=fail" },
	{ " mx.example.com 1; dkim=pass reason=\"; spf=fail\" (; spf=x); smime=pass", AUTHRES_REPLACE,
	  " mx.example.com 1; dkim=pass reason=\"; spf=fail\" (;\r\n spf=x)" },
	{ " mx.example.com; dkim=pass reason=\"; SMIME = pass\"; spf=pass", AUTHRES_REPLACE,
	  " mx.example.com; spf=pass" },
	{ " mx.example.com; dkim=pass header.b=ab/c+d=; smime=pass", AUTHRES_REPLACE,
	  " mx.example.com; dkim=pass header.b=ab/c+d=" },
	/* ours, without our method */
	{ " mx.example.com; dkim=pass header.i=@x; dmarc=pass (p=none dis=none) header.from=x", AUTHRES_KEEP, NULL },
	{ " mx.example.com; none", AUTHRES_KEEP, NULL },
	{ " mx.example.com; dkim=pass (smime=pass)", AUTHRES_DELETE, NULL },	/* Sieve's :contains minds no comments */
	{ " mx.example.com; dkim=pass (smime: pass)", AUTHRES_KEEP, NULL },
	{ " mx.example.com; smime-x=pass", AUTHRES_KEEP, NULL },
	{ " mx.example.com; dmarc=fail action=none header.from=a", AUTHRES_KEEP, NULL },
	/* another server's */
	{ " other.example.com; smime=pass", AUTHRES_KEEP, NULL },
	{ " mx.example.com.evil; smime=pass", AUTHRES_KEEP, NULL },
	{ " (mx.example.com;) other; smime=pass", AUTHRES_KEEP, NULL },
	{ " other; whatever they write = here", AUTHRES_KEEP, NULL },
	/* not understood */
	{ "", AUTHRES_DELETE, NULL },
	{ " ; smime=pass", AUTHRES_DELETE, NULL },
	{ " mx.example.com", AUTHRES_DELETE, NULL },
	{ " mx.example.com smime=pass", AUTHRES_DELETE, NULL },
	{ " mx.example.com 2; dkim=pass", AUTHRES_DELETE, NULL },
	{ " mx.example.com; dkim=pass smime=pass", AUTHRES_DELETE, NULL },
	{ " mx.example.com; dkim=pass reason=\"x\"smime=pass", AUTHRES_DELETE, NULL },
	{ " mx.example.com; \"smime\"=pass; dkim=pass", AUTHRES_DELETE, NULL },
	{ " mx.example.com; smime; dkim=pass", AUTHRES_DELETE, NULL },
	{ " mx.example.com; dkim=pass \"unclosed; smime=pass", AUTHRES_DELETE, NULL },
	{ " mx.example.com; dkim=pass (unclosed; smime=pass", AUTHRES_DELETE, NULL },
	{ " other (mx.example.com; smime=pass", AUTHRES_DELETE, NULL },
	{ " mx(x).example.com; smime=pass", AUTHRES_DELETE, NULL },
	{ " smime=pass", AUTHRES_DELETE, NULL },
	{ " mx.example.com; dkim=pass\rsmime=pass", AUTHRES_DELETE, NULL },
	{ " mx.example.com\x01; smime=pass", AUTHRES_DELETE, NULL },
};

static enum authres_verdict clean(struct arena *arena, const char *value, bool all, struct field *left)
{
	struct field field = field_make(arena, slice_of("Authentication-Results"), slice_of(value));
	enum authres_verdict verdict = AUTHRES_KEEP;

	assert_int_equal(authres_clean(arena, &field, "mx.example.com", "smime", all, &verdict, left, NULL), 0);
	return verdict;
}

static void test_clean(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct field left;
		enum authres_verdict verdict = clean(*state, cases[i].value, false, &left);

		if (verdict != cases[i].verdict)
			fail_msg("%s: %d, want %d", cases[i].value, (int)verdict, (int)cases[i].verdict);
		if (cases[i].left != NULL)
			assert_slice(left.value, cases[i].left);
	}
}

static void test_clean_all(void **state)
{
	struct field left;

	assert_int_equal(clean(*state, " mx.example.com; dkim=pass", true, &left), AUTHRES_DELETE);
	assert_int_equal(clean(*state, " other; dkim=pass", true, &left), AUTHRES_KEEP);
}

static void test_clean_idn(void **state)
{
	struct field field = field_make(*state, slice_of("Authentication-Results"),
					slice_of(" m\xc3\xbcller.example; smime=pass")), left;
	enum authres_verdict verdict = AUTHRES_KEEP;

	assert_int_equal(authres_clean(*state, &field, "xn--mller-kva.EXAMPLE", "smime", false, &verdict, &left,
		NULL), 0);
	assert_int_equal(verdict, AUTHRES_DELETE);
}

static void test_clean_folds_what_is_left(void **state)
{
	struct field left;

	assert_int_equal(clean(*state, " mx.example.com; smime=pass; dkim=pass header.d=some.long.name.example"
		" header.i=@some.long.name.example; spf=pass smtp.mailfrom=somebody@some.long.name.example", false,
		&left),
		AUTHRES_REPLACE);
	assert_slice(left.raw, "Authentication-Results: mx.example.com; dkim=pass\r\n header.d=some.long.name.example"
		     " header.i=@some.long.name.example; spf=pass\r\n"
		     " smtp.mailfrom=somebody@some.long.name.example\r\n");
}

static void test_value(void **state)
{
	char text[400] = "";
	char longest[400];

	assert_string_equal(authres_value(*state, "abc-1.2"), "abc-1.2");
	assert_string_equal(authres_value(*state, "alice@partner.example"), "alice@partner.example");
	assert_string_equal(authres_value(*state, "a@b@c"), "\"a@b@c\"");
	assert_string_equal(authres_value(*state, "@b"), "\"@b\"");
	assert_string_equal(authres_value(*state, "a@"), "\"a@\"");
	assert_string_equal(authres_value(*state, "1/2"), "\"1/2\"");
	assert_string_equal(authres_value(*state, ""), "\"\"");
	assert_string_equal(authres_value(*state, "CN=x; smime=pass"), "\"CN=x; smime=pass\"");
	assert_string_equal(authres_value(*state, "a\r\nBcc: b\"\\\x7f"), "\"a??Bcc: b\\\"\\\\?\"");
	assert_string_equal(authres_value(*state, "\xc3\xa4"), "\"\\\\xc3\\\\xa4\"");
	assert_int_equal(authres_fit("Al\xc3\xad" "ce"), 6);
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(authres_fit(text), 255);
	memcpy(text + 250, "\xc3\xa4", 2);		/* takes ten characters, and is not cut in two */
	assert_int_equal(authres_fit(text), 250);
	assert_int_equal(strlen(authres_value(*state, text)), 250);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(strlen(authres_value(*state, longest)), 255);
	memset(longest, '\xc3', sizeof(longest) - 1);
	assert_int_equal(strlen(authres_value(*state, longest)), 2 + 51 * 5);
}

static void test_make(void **state)
{
	const struct authres_property properties[] = {
		{ "body.smime-part", "2" }, { "body.smime-identifier", "alice@partner.example" },
		{ "body.smime-serial", "1A2B" }, { "body.smime-issuer", "CN=Partner CA,O=Part\"ner" } };
	const struct authres_result results[] = { { "smime", "pass", NULL, properties, 4 },
						  { "smime", "neutral", "encrypted", NULL, 0 } };
	struct field field = authres_make(*state, "mx.example.com", results, 2);

	assert_slice(field.raw, "Authentication-Results: mx.example.com; smime=pass body.smime-part=2\r\n"
		     " body.smime-identifier=alice@partner.example body.smime-serial=1A2B\r\n"
		     " body.smime-issuer=\"CN=Partner CA,O=Part\\\"ner\"; smime=neutral\r\n reason=\"encrypted\"\r\n");
	field = authres_make(*state, "mx", NULL, 0);
	assert_slice(field.raw, "Authentication-Results: mx; none\r\n");
}

static void test_fold(void **state)
{
	char text[200];
	char *folded = NULL;

	assert_string_equal(authres_fold(*state, "a; b"), " a; b");
	assert_string_equal(authres_fold(*state, " a;b;c"), " a;b;c");
	memset(text, 'x', sizeof(text));
	memcpy(text, "a=\"b c;", 7);
	memcpy(text + 150, "\";y z", 6);
	folded = authres_fold(*state, text);
	assert_null(strstr(folded, "c;\r\n"));
	assert_non_null(strstr(folded, "\";\r\n y z"));
}

static void test_our_own_field_is_recognised(void **state)
{
	const struct authres_property property = { "body.smime-issuer", "CN=\\\"; dkim=pass (" };
	const struct authres_result result = { "smime", "pass", "\xc3\xa4 \"; x", &property, 1 };
	struct field field = authres_make(*state, "mx.example.com", &result, 1), left;
	enum authres_verdict verdict = AUTHRES_KEEP;

	assert_int_equal(authres_clean(*state, &field, "mx.example.com", "smime", false, &verdict, &left, NULL), 0);
	assert_int_equal(verdict, AUTHRES_DELETE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_arena(test_clean),
		with_arena(test_clean_all),
		with_arena(test_clean_idn),
		with_arena(test_clean_folds_what_is_left),
		with_arena(test_value),
		with_arena(test_make),
		with_arena(test_fold),
		with_arena(test_our_own_field_is_recognised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
