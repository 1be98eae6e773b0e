/* test_fetch_url.c - URLs that certificates carry, hosts that a collection lists, addresses that names lead to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "milter/fetch_url.h"

static void expect(const char *text, const char *host, unsigned port, const char *target)
{
	struct fetch_url url;
	struct err err = { 0 };

	assert_int_equal(fetch_url_parse(text, &url, &err), 0);
	assert_string_equal(url.host, host);
	assert_int_equal(url.port, port);
	assert_string_equal(url.target, target);
}

static void test_urls(void **state)
{
	(void)state;
	expect("http://crl.example.net/a.crl", "crl.example.net", 80, "/a.crl");
	expect("HTTP://CRL.Example.NET:8080/A.crl?b=/c", "crl.example.net", 8080, "/A.crl?b=/c");
	expect("http://crl.example.net", "crl.example.net", 80, "/");
	expect("http://crl.example.net?x", "crl.example.net", 80, "/?x");
	expect("http://192.0.2.1:1/%20", "192.0.2.1", 1, "/%20");
	expect("http://[2001:DB8::1]/", "2001:db8::1", 80, "/");
	expect("http://[::1]:65535/x@y:z", "::1", 65535, "/x@y:z");
	expect("http://a_b-c.1x/", "a_b-c.1x", 80, "/");
	expect("http://crl.example.net//../x", "crl.example.net", 80, "//../x");
}

static void test_refused(void **state)
{
	static const char *const texts[] = { "", "http://", "http:///x", "https://a.example/", "ftp://a.example/",
		"ldap:///cn=x", "file:///etc/passwd", "//a.example/", "http:a.example/", "http:/a.example/",
		" http://a.example/",
		"http://user@a.example/", "http://user:pw@a.example/", "http://a.example@127.0.0.1/",
		"http://a.example:80@b/",
		"http://a.example:/", "http://a.example:0/", "http://a.example:65536/", "http://a.example:080000/",
		"http://a.example:+80/", "http://a.example:80x/", "http://a.example:80:80/", "http://a.example./",
		"http://.a.example/", "http://a..example/", "http://-a.example/", "http://a%2eexample/", "http://%31/",
		"http://a.example%00.b/", "http://127.1/", "http://2130706433/", "http://0x7f000001/",
		"http://0x7f.0.0.1/",
		"http://0177.0.0.1/", "http://127.0.0.01/", "http://127.0.0.0x1/", "http://127.0.0.1./",
		"http://1.2.3.4.5/",
		"http://256.0.0.1/", "http://a.0x/", "http://a.1/", "http://[::1/", "http://::1/", "http://[::1]x/",
		"http://[]/", "http://[fe80::1%25lo]/", "http://[127.0.0.1]/", "http://[::1]:/", "http://a.example/ x",
		"http://a.example/\r\nHost: b", "http://a.example/\x7f", "http://a.example/\xc3\xa4",
		"http://a.example/#x",
		"http://a.example\\@b/", "http://a.example/\\x", "http://a example/", "http://a\texample/",
		"http://\xc3\xa4.example/", "http://a.example/<x>" };
	char text[FETCH_URL_BYTES + 1];
	struct fetch_url url;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (fetch_url_parse(texts[i], &url, &err) == 0)
			fail_msg("accepted: %s", texts[i]);
		assert_int_equal(err.class, ERR_MESSAGE);
	}
	memset(text, 'x', sizeof(text));
	memcpy(text, "http://a.example/", strlen("http://a.example/"));
	text[FETCH_URL_BYTES] = '\0';
	assert_int_equal(fetch_url_parse(text, &url, &err), -1);
	text[FETCH_URL_BYTES - 1] = '\0';
	assert_int_equal(fetch_url_parse(text, &url, &err), 0);
	memcpy(text, "http://xxxxxxxxxx", strlen("http://a.example/"));
	text[300] = '/';
	assert_int_equal(fetch_url_parse(text, &url, &err), -1);
}

static bool listed(const char *text, const char *host)
{
	const struct conf_strings hosts = { &host, 1 };
	struct fetch_url url;
	struct err err;

	assert_int_equal(fetch_url_parse(text, &url, &err), 0);
	return fetch_url_listed(&url, &hosts);
}

static void test_hosts(void **state)
{
	(void)state;
	assert_true(listed("http://crl.example.net/x", "crl.example.net"));
	assert_true(listed("http://crl.example.net:80/x", "CRL.Example.Net"));
	assert_true(listed("http://crl.example.net/x", "crl.example.net:80"));
	assert_true(listed("http://crl.example.net:8080/x", "crl.example.net:8080"));
	assert_false(listed("http://crl.example.net:8080/x", "crl.example.net"));
	assert_false(listed("http://crl.example.net/x", "crl.example.net:8080"));
	assert_false(listed("http://a.crl.example.net/x", "crl.example.net"));
	assert_false(listed("http://crl.example.net.evil/x", "crl.example.net"));
	assert_false(listed("http://evil/crl.example.net", "crl.example.net"));
	assert_true(listed("http://127.0.0.1:81/x", "127.0.0.1:81"));
	assert_false(listed("http://127.0.0.1:82/x", "127.0.0.1:81"));
	assert_true(listed("http://[2001:db8::1]/x", "2001:db8:0::1"));
	assert_true(listed("http://[2001:db8::1]:81/x", "[2001:DB8::0:1]:81"));
	assert_false(listed("http://[::ffff:127.0.0.1]/x", "127.0.0.1"));
	assert_false(listed("http://x.example/", "*"));
}

static void test_host_check(void **state)
{
	static const char *const bad[] = { "", "http://a.example", "a.example/", "*.example", ".example", "a.example:",
		"[::1",
		"a.example:0", "127.1", "a b", "u@a.example" };
	static const char *const good[] = { "a.example", "a.example:81", "A.Example", "127.0.0.1", "::1", "[::1]:81" };
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(fetch_host_check(bad[i], &err), -1);
		assert_int_equal(err.class, ERR_CONFIG);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(fetch_host_check(good[i], &err), 0);
}

static bool allowed(const char *text, unsigned port, const char *host)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	const struct conf_strings hosts = { &host, 1 };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return fetch_address_allowed((const struct sockaddr *)&in, port, &hosts);
	assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return fetch_address_allowed((const struct sockaddr *)&in6, port, &hosts);
}

static void test_addresses(void **state)
{
	static const char *const special[] = { "0.0.0.0", "0.1.2.3", "10.0.0.5", "100.64.0.1", "100.127.255.255",
		"127.0.0.1",
		"127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1",
		"192.168.1.1",
		"198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1",
		"255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::8.8.8.8",
		"100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1", "fc00::1", "fd12::1", "fe80::1",
		"fec0::1",
		"ff02::1" };
	static const char *const public[] = { "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1",
		"172.32.0.1",
		"192.0.1.1", "198.17.255.255", "198.20.0.1", "223.255.255.255", "2001:200::1", "2a00:1450::1",
		"2606:4700::1" };

	(void)state;
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		if (allowed(special[i], 80, "crl.example.net"))
			fail_msg("allowed: %s", special[i]);
		assert_true(allowed(special[i], 8080, special[i]));	/* listed itself */
	}
	for (size_t i = 0; i < sizeof(public) / sizeof(public[0]); i++)
		assert_true(allowed(public[i], 80, "crl.example.net"));
	assert_true(allowed("10.0.0.5", 81, "10.0.0.5:81"));
	assert_false(allowed("10.0.0.5", 80, "10.0.0.5:81"));
	assert_false(allowed("10.0.0.6", 80, "10.0.0.5"));
	assert_false(allowed("::ffff:10.0.0.5", 80, "10.0.0.5"));
	assert_true(allowed("fd00::1", 80, "[fd00:0::1]"));
}

static void test_no_other_family(void **state)
{
	const struct sockaddr address = { .sa_family = AF_UNIX };
	const struct conf_strings hosts = { NULL, 0 };

	(void)state;
	assert_false(fetch_address_allowed(&address, 80, &hosts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_host_check),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_no_other_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
