/* test_resolver.c - names by a deadline, whatever the system's resolver does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ldap/dial.h"
#include "ldap/resolver.h"

#define SOON_MS 60
#define LATE_MS 30000

/* The resolver of these tests: "held" names wait until they are let go; "none" there is not. */
static struct script {
	atomic_bool held, none;
	atomic_uint asked, under_way;
	atomic_uint weight;		/* of the next answer */
} script;

static int answer(const char *name, struct resolved *out, struct err *err)
{
	atomic_fetch_add(&script.asked, 1);
	atomic_fetch_add(&script.under_way, 1);
	while (strncmp(name, "held", 4) == 0 && atomic_load(&script.held))
		usleep(1000);
	out->target_count = 1;
	out->targets[0].weight = (uint16_t)atomic_load(&script.weight);
	atomic_fetch_sub(&script.under_way, 1);
	return atomic_load(&script.none) ? err_set(err, ERR_TEMP, "none of that name") : 0;
}

static const struct resolver_functions functions = { .host = answer, .service = answer };

static int setup(void **state)
{
	atomic_store(&script.held, true);
	atomic_store(&script.none, false);
	atomic_store(&script.asked, 0);
	atomic_store(&script.weight, 1);
	*state = resolver_new(&functions, &clock_system, NULL);
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	resolver_free(*state);
	atomic_store(&script.held, false);
	while (atomic_load(&script.under_way) > 0)
		usleep(1000);
	return 0;
}

static int64_t in(int64_t ms)
{
	return clock_monotonic_ms(&clock_system) + ms;
}

static void answers_and_failures(void **state)
{
	struct resolved resolved;
	struct err err = { .text = "" };

	assert_int_equal(resolver_ask(*state, RESOLVER_SERVICE, "a", in(LATE_MS), &resolved, &err), 0);
	assert_int_equal(resolved.target_count, 1);
	/* What was found last serves while nothing is found. */
	atomic_store(&script.none, true);
	assert_int_equal(resolver_ask(*state, RESOLVER_SERVICE, "a", in(LATE_MS), &resolved, &err), 1);
	assert_int_equal(resolved.targets[0].weight, 1);
	assert_int_equal(resolver_ask(*state, RESOLVER_HOST, "a", in(LATE_MS), &resolved, &err), -1);
	assert_string_equal(err.text, "a: none of that name");
	atomic_store(&script.none, false);
	atomic_store(&script.weight, 2);
	assert_int_equal(resolver_ask(*state, RESOLVER_SERVICE, "a", in(LATE_MS), &resolved, &err), 0);
	assert_int_equal(resolved.targets[0].weight, 2);
}

static void deadlines_hold(void **state)
{
	int64_t start_ms = in(0);
	struct resolved resolved;
	struct err err = { .text = "" };

	/* It asks on, once for all of us. */
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(resolver_ask(*state, RESOLVER_HOST, "held", in(SOON_MS), &resolved, &err), -1);
		assert_string_equal(err.text, "held: the name is not resolved in time");
	}
	assert_true(in(0) - start_ms >= 3 * SOON_MS - 5);
	assert_int_equal(atomic_load(&script.asked), 1);
	assert_int_equal(resolver_ask(*state, RESOLVER_HOST, "other", in(LATE_MS), &resolved, &err), 0);
	atomic_store(&script.held, false);
	assert_int_equal(resolver_ask(*state, RESOLVER_HOST, "held", in(LATE_MS), &resolved, &err), 0);
}

static void earlier_answers_leave_time(void **state)
{
	struct resolved resolved;
	int64_t start_ms;
	struct err err;

	atomic_store(&script.held, false);
	assert_int_equal(resolver_ask(*state, RESOLVER_HOST, "held", in(LATE_MS), &resolved, &err), 0);
	atomic_store(&script.held, true);
	start_ms = in(0);
	assert_int_equal(resolver_ask(*state, RESOLVER_HOST, "held", start_ms + LATE_MS / 100, &resolved, &err), 1);
	assert_true(in(0) - start_ms >= LATE_MS / 200 - 5);
	assert_int_equal(resolved.targets[0].weight, 1);
}

static void many_names_are_not_kept(void **state)
{
	struct resolved resolved;
	struct err err;
	char name[32];

	for (unsigned i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "host%u", i);
		assert_int_equal(resolver_ask(*state, RESOLVER_HOST, name, in(LATE_MS), &resolved, &err), 0);
	}
	memset(name, 'x', sizeof(name));
	for (unsigned i = 0; i < 70; i++) {
		snprintf(name, sizeof(name), "held%u", i);
		assert_int_equal(resolver_ask(*state, RESOLVER_HOST, name, 0, &resolved, &err), -1);
	}
}

static void the_system_knows_this_machine(void **state)
{
	struct resolver *resolver = resolver_new(&resolver_system, &clock_system, NULL);
	struct resolved resolved;
	struct err err = { .text = "" };

	(void)state;
	assert_int_equal(resolver_ask(resolver, RESOLVER_HOST, "127.0.0.1", in(LATE_MS), &resolved, &err), 0);
	assert_int_equal(resolved.address_count, 1);
	assert_int_equal(resolved.addresses[0].sockaddr.ss_family, AF_INET);
	assert_int_equal(resolver_ask(resolver, RESOLVER_HOST, "::1", in(LATE_MS), &resolved, &err), 0);
	assert_int_equal(resolved.addresses[0].sockaddr.ss_family, AF_INET6);
	resolver_free(resolver);
}

/* The first address of a host says nothing, the second one is there. */
static struct sockaddr_in there;

static int two_addresses(const char *name, struct resolved *out, struct err *err)
{
	struct sockaddr_in silent = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201) };	/* RFC 5737 */

	(void)name;
	(void)err;
	out->address_count = 2;
	memcpy(&out->addresses[0].sockaddr, &silent, sizeof(silent));
	memcpy(&out->addresses[1].sockaddr, &there, sizeof(there));
	out->addresses[0].n = out->addresses[1].n = sizeof(there);
	return 0;
}

static void every_address_is_dialled(void **state)
{
	static const struct resolver_functions two = { .host = two_addresses, .service = answer };
	struct resolver *resolver = resolver_new(&two, &clock_system, NULL);
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = -1;
	socklen_t n = sizeof(there);
	struct err err = { .text = "" };
	char uri[64];

	(void)state;
	there = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(listening, (struct sockaddr *)&there, sizeof(there)), 0);
	assert_int_equal(listen(listening, 5), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&there, &n), 0);
	snprintf(uri, sizeof(uri), "ldap://dc.example.com:%d", ntohs(there.sin_port));
	if (dial(resolver, &clock_system, uri, in(2000), &fd, &err) != 0)
		fail_msg("%s", err.text);
	close(fd);
	close(listening);
	assert_int_equal(dial(resolver, &clock_system, uri, in(200), &fd, &err), -1);
	assert_int_equal(fd, -1);
	assert_int_equal(dial(resolver, &clock_system, "ldapi://%2fnowhere%2fldapi", in(200), &fd, &err), -1);
	assert_string_equal(err.text, "cannot connect: No such file or directory");
	resolver_free(resolver);
}

static void brackets_of_an_ipv6_address(void **state)
{
	struct resolver *resolver = resolver_new(&resolver_system, &clock_system, NULL);
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int listening = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = -1;
	socklen_t n = sizeof(address);
	struct err err = { .text = "" };
	char uri[64];

	(void)state;
	if (listening < 0 || bind(listening, (struct sockaddr *)&address, sizeof(address)) != 0) {
		resolver_free(resolver);
		close(listening);
		skip();
	}
	assert_int_equal(listen(listening, 5), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &n), 0);
	snprintf(uri, sizeof(uri), "ldaps://[::1]:%d", ntohs(address.sin6_port));
	if (dial(resolver, &clock_system, uri, in(LATE_MS), &fd, &err) != 0)
		fail_msg("%s", err.text);
	close(fd);
	close(listening);
	resolver_free(resolver);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_and_failures), TEST(deadlines_hold), TEST(earlier_answers_leave_time),
		TEST(many_names_are_not_kept), TEST(the_system_knows_this_machine), TEST(every_address_is_dialled),
		TEST(brackets_of_an_ipv6_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
