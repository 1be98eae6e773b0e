/* test_param.c - Content-Type and the like, as RFCs and as careless mailers write them. */
#include "unit/mail/mail_test.h"

#include "mail/param.h"

static struct param_list parsed(struct arena *arena, const char *text)
{
	struct param_list list;

	assert_int_equal(param_parse(arena, slice_of(text), &list, NULL), 0);
	return list;
}

static void test_plain(void **state)
{
	struct param_list list = parsed(*state, " Multipart/Signed; micalg=sha-256;\r\n"
		"\tBoundary=\"a b\\\"c\" ; x=(c)y (d;e)");

	assert_slice(list.value, "multipart/signed");
	assert_slice(param_get(&list, "micalg"), "sha-256");
	assert_slice(param_get(&list, "boundary"), "a b\"c");
	assert_slice(param_get(&list, "x"), "y");
	assert_null(param_get(&list, "nothing").p);
	assert_int_equal(list.n, 3);
	assert_false(list.malformed);
	assert_false(list.duplicate);
}

static void test_comments_around_the_value(void **state)
{
	struct param_list list = parsed(*state, " (a (b)) text (x) / (;) html (y)");

	assert_slice(list.value, "text/html");
	assert_false(list.malformed);
}

static void test_careless_values(void **state)
{
	struct param_list list = parsed(*state, "multipart/mixed; boundary=----=_Part/1; name=a b.txt; charset=utf-8;");

	assert_slice(param_get(&list, "boundary"), "----=_Part/1");
	assert_slice(param_get(&list, "name"), "a");
	assert_slice(param_get(&list, "charset"), "utf-8");
	assert_true(list.malformed && list.skipped);
	list = parsed(*state, "multipart/mixed; boundary=----=_Part/1");
	assert_true(list.malformed);
	assert_false(list.skipped);
}

static void test_garbage(void **state)
{
	struct param_list list = parsed(*state, "text/plain charset=x; =y; a; b=; \"c\"=d; e=f");

	assert_slice(list.value, "text/plain");
	assert_true(list.malformed);
	assert_true(parsed(*state, "text/pl\xe4in").malformed);
	assert_int_equal(list.n, 1);
	assert_slice(param_get(&list, "e"), "f");
	assert_true(list.skipped);
	list = parsed(*state, "a/b; c; d=e");
	assert_true(list.malformed && list.skipped);
	assert_true(parsed(*state, "a/b; c*=us-ascii'd").malformed);
	assert_false(parsed(*state, "a/b; c*=us-ascii''d; e*0*=''f; e*1*=g").malformed);
	list = parsed(*state, "a/b; c=d e; f=g");
	assert_true(list.malformed && list.skipped);
	list = parsed(*state, "a/b; c=d;; f=g; ");
	assert_false(list.malformed || list.skipped);
	list = parsed(*state, "");
	assert_int_equal(list.value.n, 0);
	list = parsed(*state, "a/b; c=\"unclosed; d=e");
	assert_true(list.malformed);
	assert_int_equal(list.n, 0);
	list = parsed(*state, "a/b (unclosed; d=e");
	assert_true(list.malformed);
	assert_int_equal(list.n, 0);
}

static void test_duplicates(void **state)
{
	struct param_list list = parsed(*state, "a/b; boundary=x; BOUNDARY=y");

	assert_true(list.duplicate);
	assert_slice(param_get(&list, "boundary"), "x");
	list = parsed(*state, "a/b; boundary=x; boundary*=us-ascii''y");
	assert_true(list.duplicate);
	list = parsed(*state, "a/b; boundary*0=x; boundary*0=y");
	assert_true(list.duplicate);
}

static void test_rfc2231(void **state)
{
	struct param_list list = parsed(*state,
		"a/b; f*1=\"cd \"; f*0*=utf-8'de'%c3%A4%; f*2*=%20e'x; g*=iso-8859-1''%e4");

	assert_slice(param_get(&list, "f"), "\xc3\xa4%cd  e'x");
	assert_slice(param_get(&list, "g"), "\xe4");
	assert_false(list.duplicate);
	list = parsed(*state, "a/b; f*1=x; g*01=y; h*x=z");
	assert_int_equal(list.n, 0);
	assert_true(list.malformed);
}

static void test_many_parameters(void **state)
{
	struct buf buf;
	struct param_list list;

	buf_init(&buf, 0);
	assert_int_equal(buf_append_text(&buf, "a/b"), 0);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(buf_printf(&buf, ";p*%d=x", i % 1000), 0);
	assert_int_equal(param_parse(*state, buf_slice(&buf), &list, NULL), 0);
	assert_true(list.malformed);
	buf_reset(&buf);
	for (int i = 0; i < 60000; i++)
		assert_int_equal(buf_append_char(&buf, '('), 0);
	assert_int_equal(param_parse(*state, buf_slice(&buf), &list, NULL), 0);
	buf_clear(&buf);
}

static void test_words(void **state)
{
	struct slice rest = slice_of("\"a\\\"b\"c d"), word;

	assert_true(word_take(*state, &rest, &word));
	assert_slice(word, "a\"b");
	assert_true(word_take(*state, &rest, &word));
	assert_slice(word, "c");
	assert_false(word_take(*state, &rest, &word));
	rest = slice_of("\"a\\\"");
	assert_false(word_take(*state, &rest, &word));
	rest = slice_of(" (a\\) (b) c) x");
	assert_true(cfws_skip(&rest));
	assert_slice(rest, "x");
	rest = slice_of("(a\\)");
	assert_false(cfws_skip(&rest));
	assert_string_equal(word_quote(*state, slice_of("abc-1")), "abc-1");
	assert_string_equal(word_quote(*state, slice_of("a\"\\\r\n;")), "\"a\\\"\\\\??;\"");
	assert_string_equal(word_quote(*state, slice_of("")), "\"\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_arena(test_plain),
		with_arena(test_comments_around_the_value),
		with_arena(test_careless_values),
		with_arena(test_garbage),
		with_arena(test_duplicates),
		with_arena(test_rfc2231),
		with_arena(test_many_parameters),
		with_arena(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
