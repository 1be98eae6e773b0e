/* test_query.c - filters: nothing in an address can become grammar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ldap/query.h"

static int setup(void **state)
{
	*state = arena_new(0);
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	arena_free(*state);
	return 0;
}

static size_t unescape(struct slice text, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		char hex[3] = "";

		if (text.p[i] != '\\') {
			out[n++] = text.p[i];
			continue;
		}
		assert_true(i + 2 < text.n);
		memcpy(hex, text.p + i + 1, 2);
		assert_true(isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1]));
		out[n++] = (char)strtol(hex, NULL, 16);
		i += 2;
	}
	return n;
}

/* What the filter makes of the value, for which it has one placeholder. */
static struct slice escape(struct arena *arena, const char *filter, struct slice value)
{
	const struct address address = { .text = value, .local = value, .domain = value };

	return slice_of(query_filter(arena, filter, &address));
}

/* RFC 4515 3: NUL, '(', ')', '*', '\' and whatever is no UTF-8 must be escaped, everything may be. */
static void every_byte_comes_back_and_none_is_grammar(void **state)
{
	static const char *const filters[] = { "%{local}", "%{domain}", "%{address}" };

	for (unsigned i = 0; i < 3 * 256; i++) {
		unsigned c = i % 256;
		char byte = (char)c, back[4];
		struct slice escaped = escape(*state, filters[i / 256], slice_make(&byte, 1));

		assert_non_null(escaped.p);
		assert_int_equal(unescape(escaped, back), 1);
		assert_int_equal(back[0], byte);
		if (strchr("()*\\ \"<>|", byte) != NULL || c < 0x20 || c > 0x7e)
			assert_int_equal(escaped.n, 3);
		if (isalnum((int)c) && c < 0x80)
			assert_int_equal(escaped.n, 1);
	}
}

/* As addresses come: whatever parses, in the local part as in the domain, is found again behind the first '('. */
static void every_byte_in_an_address(void **state)
{
	for (unsigned i = 0; i < 3 * 256; i++) {
		static const char *const forms[] = { "a%sb@c.example", "\"a\\%sb\"@c.example", "a@c%sd.example" };
		char text[64], byte[2] = { (char)(i % 256), '\0' }, back[200];
		const char *filter;
		struct address address;
		struct err err;
		size_t n;

		snprintf(text, sizeof(text), forms[i / 256], byte);
		if (address_parse(*state, slice_of(text), &address, &err) != 0)
			continue;
		filter = query_filter(*state, "(x=%{address})", &address);
		n = strlen(filter);
		assert_int_equal(strcspn(filter + 1, "()*"), n - 2);
		n = unescape(slice_make(filter + 3, n - 4), back);
		assert_true(slice_equal(slice_make(back, n), address.text));
	}
}

static void both_spellings_of_a_domain(void **state)
{
	static const char *const same[] = { "j\xc3\xb6@m\xc3\xbcller.example", "j\xc3\xb6@XN--mller-kva.example" };
	struct address address;
	struct err err;

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(address_parse(*state, slice_of(same[i]), &address, &err), 0);
		assert_string_equal(query_filter(*state, "(|(mail=%{address})(x=%{local}%{domain}))", &address),
				    "(|(|(mail=j\\c3\\b6@xn--mller-kva.example)(x=j\\c3\\b6xn--mller-kva.example))"
				    "(|(mail=j\\c3\\b6@m\\c3\\bcller.example)(x=j\\c3\\b6m\\c3\\bcller.example)))");
	}
	/* What only looks like an A-label has no other spelling. */
	address = (struct address){ slice_of("a@xn--a-.example"), slice_of("a"), slice_of("xn--a-.example") };
	assert_string_equal(query_filter(*state, "(mail=%{address})", &address), "(mail=a@xn--a-.example)");
}

static void quotes_are_in_the_address_alone(void **state)
{
	struct address address;
	struct err err;

	assert_int_equal(address_parse(*state, slice_of("\"john smith\"@c.example"), &address, &err), 0);
	assert_string_equal(query_filter(*state, "(|(mail=%{address})(uid=%{local}))", &address),
			    "(|(mail=\\22john\\20smith\\22@c.example)(uid=john\\20smith))");
	assert_int_equal(address_parse(*state, slice_of("\"john\"@c.example"), &address, &err), 0);
	assert_string_equal(query_filter(*state, "(mail=%{address})", &address), "(mail=john@c.example)");
}

static void escaped_is_hex_of_the_bytes(void **state)
{
	const char bytes[] = "a\0*)(\\\xc3\xa4";
	struct slice escaped = escape(*state, "%{local}", slice_make(bytes, sizeof(bytes) - 1));

	assert_true(slice_is(escaped, "a\\00\\2a\\29\\28\\5c\\c3\\a4"));
	assert_int_equal(escape(*state, "%{local}", slice_of("")).n, 0);
}

static struct address address_of(const char *text, const char *local, const char *domain)
{
	return (struct address){ slice_of(text), slice_of(local), slice_of(domain) };
}

static void placeholders_are_replaced(void **state)
{
	struct address address = address_of("o'b+x@ex.example", "o'b+x", "ex.example");

	assert_string_equal(query_filter(*state, "(|(mail=%{address})(proxyAddresses=smtp:%{address}))", &address),
			    "(|(mail=o'b+x@ex.example)(proxyAddresses=smtp:o'b+x@ex.example))");
	assert_string_equal(query_filter(*state, "(&(uid=%{local})(dc=%{domain})(x=100%))", &address),
			    "(&(uid=o'b+x)(dc=ex.example)(x=100%))");
}

static void addresses_cannot_change_the_filter(void **state)
{
	struct address address = address_of("*)(uid=*@x", "*)(uid=*", "x");
	/* What is put in is not looked at for placeholders again. */
	struct address nested = address_of("%{domain}@x", "%{domain}", "x");

	assert_string_equal(query_filter(*state, "(mail=%{address})", &address), "(mail=\\2a\\29\\28uid=\\2a@x)");
	assert_string_equal(query_filter(*state, "(uid=%{local})", &nested), "(uid=%{domain})");
}

static void filters_are_checked(void **state)
{
	static const char *const good[] = {
		"(mail=%{address})", "(|(mail=%{address})(proxyAddresses=smtp:%{address}))",
		"(&(objectClass=*)(uid=%{local})(!(dc=%{domain})))",
	};
	static const char *const bad[] = {
		"", "mail=%{address}", "(mail=%{address}", "(mail=%{address}))", ")mail=%{address}(",
		"(mail=%{address})(uid=%{local})", "(mail=*)", "(mail=%{addres})", "(mail=%{address})(x=%{})",
		"(mail=%{ADDRESS})", "(mail=\\%{local})", "(mail=\\2%{local})", "(mail=\\", "(=%{address})",
		"(%{address}=x)", "(mail:%{local}:=x)", "(&(mail=%{address})x)", "(!(mail=%{local})(cn=x))",
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(query_check_filter(good[i], &err), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(query_check_filter(bad[i], &err), -1);
		assert_int_equal(err.class, ERR_CONFIG);
	}
}

static void no_memory(void **state)
{
	struct arena *small = arena_new(16);
	struct address address = address_of("alice-with-a-long-name@ex.example", "alice", "ex.example");

	(void)state;
	assert_null(query_filter(small, "(mail=%{address})", &address));
	arena_free(small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_byte_comes_back_and_none_is_grammar), TEST(every_byte_in_an_address),
		TEST(both_spellings_of_a_domain), TEST(quotes_are_in_the_address_alone), TEST(escaped_is_hex_of_the_bytes),
		TEST(placeholders_are_replaced), TEST(addresses_cannot_change_the_filter),
		TEST(filters_are_checked), TEST(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
