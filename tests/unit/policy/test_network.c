/* Networks: what parses, what is refused, what matches; IPv4 and IPv6, mapped and plain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/network.h"

static bool matches(const char *network, const char *ip)
{
	struct network item;
	const struct network_list list = { &item, 1 };
	struct err err;

	assert_int_equal(network_parse(network, &item, &err), 0);
	return network_list_match(&list, ip);
}

static void test_ipv4(void **state)
{
	(void)state;
	assert_true(matches("127.0.0.0/8", "127.1.2.3"));
	assert_false(matches("127.0.0.0/8", "128.0.0.1"));
	assert_true(matches("192.0.2.7", "192.0.2.7"));
	assert_false(matches("192.0.2.7", "192.0.2.6"));
	assert_true(matches("192.0.2.128/25", "192.0.2.255"));
	assert_false(matches("192.0.2.128/25", "192.0.2.127"));
	assert_true(matches("0.0.0.0/0", "203.0.113.9"));
	assert_false(matches("0.0.0.0/0", "2001:db8::1"));
}

static void test_ipv6(void **state)
{
	(void)state;
	assert_true(matches("::1", "::1"));
	assert_true(matches("::1", "IPv6:::1"));
	assert_true(matches("2001:db8::/32", "2001:db8:ffff::1"));
	assert_false(matches("2001:db8::/32", "2001:db9::1"));
	assert_true(matches("[2001:db8::]/32", "2001:db8::1"));
	assert_true(matches("::ffff:192.0.2.1", "192.0.2.1"));
	assert_true(matches("::/0", "192.0.2.1"));
}

static void test_refused(void **state)
{
	static const char *const bad[] = { "", "x", "192.0.2.1/33", "192.0.2.1/24", "192.0.2.0/", "192.0.2.0/-1",
					   "2001:db8::/129", "2001:db8::1/32", "[::1", "192.0.2", "192.0.2.0/8x",
					   "localhost" };
	struct network network;
	struct err err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(network_parse(bad[i], &network, &err), -1);
		assert_int_equal(err.class, ERR_CONFIG);
	}
}

static void test_no_address_matches_nothing(void **state)
{
	(void)state;
	assert_false(matches("0.0.0.0/0", NULL));
	assert_false(matches("::/0", "unknown"));
	assert_false(matches("::/0", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_address_matches_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
