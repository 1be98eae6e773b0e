/* test_servers.c - the order of servers: as configured or as the DNS says, those that failed last for a while. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "ldap/servers.h"
#include "support/testdir.h"

/* What the DNS says now: blank-separated hosts; NULL: it does not answer. One thread asks at a time here. */
static const char *dns;
static unsigned asked;

static int service(const char *name, struct resolved *out, struct err *err)
{
	const char *at = dns;

	asked++;
	assert_string_equal(name, "_ldap._tcp.example.com");
	if (dns == NULL)
		return err_set(err, ERR_TEMP, "the DNS does not answer");
	out->ttl_s = 120;
	while (*at != '\0') {
		struct resolved_target *target = &out->targets[out->target_count++];
		size_t n = strcspn(at, " ");

		memcpy(target->host, at, n);
		target->port = 389;
		at += n + (at[n] == ' ');
	}
	return 0;
}

static const struct resolver_functions functions = { .host = service, .service = service };

struct state {
	struct testdir_clock clock;
	struct resolver *resolver;
	struct servers *servers;
	struct server_order order;
	char text[256];
};

static int setup(void **state)
{
	static struct state s;

	memset(&s, 0, sizeof(s));
	testdir_clock_init(&s.clock);
	s.resolver = resolver_new(&functions, &clock_system, NULL);
	dns = NULL;
	asked = 0;
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	servers_free(s->servers);
	resolver_free(s->resolver);
	return 0;
}

static const struct server_source three[] = { { .uri = "a" }, { .uri = "b" }, { .uri = "c" } };
static const struct server_source found[] = {
	{ .scheme = "ldap", .service = "_ldap._tcp.example.com" }, { .uri = "z" }
};

static void make(struct state *s, const struct server_source *sources, size_t n)
{
	s->servers = servers_new(sources, n, 2, s->resolver, &s->clock.clock, NULL);
	assert_non_null(s->servers);
}

/* The order, as text; it is given back unless `keep`. */
static const char *order(struct state *s, bool keep)
{
	struct err err = { .text = "" };

	s->text[0] = '\0';
	if (servers_take(s->servers, clock_monotonic_ms(&clock_system) + 60000, &s->order, &err) != 0) {
		strcpy(s->text, err.text);
		return s->text;
	}
	for (size_t i = 0; i < s->order.n; i++) {
		strcat(s->text, i > 0 ? " " : "");
		strcat(s->text, s->order.items[i]->uri);
	}
	if (!keep)
		servers_give(s->servers, &s->order);
	return s->text;
}

static void those_that_failed_come_last_for_a_while(void **state)
{
	struct state *s = *state;
	struct server_order all;

	make(s, three, 3);
	assert_string_equal(order(s, true), "a b c");
	all = s->order;
	servers_failed(s->servers, all.items[0]);
	assert_string_equal(order(s, false), "b c a");
	servers_failed(s->servers, all.items[2]);
	servers_failed(s->servers, all.items[1]);
	assert_string_equal(order(s, false), "a b c");
	s->clock.monotonic_ms += 60000;
	servers_failed(s->servers, all.items[1]);
	/* One caller tries them, the next one does not wait for what may hang. */
	assert_string_equal(order(s, false), "a c b");
	assert_string_equal(order(s, false), "a b c");
	servers_answered(s->servers, all.items[2]);
	assert_string_equal(order(s, false), "c a b");
	servers_answered(s->servers, all.items[0]);
	servers_answered(s->servers, all.items[1]);
	assert_string_equal(order(s, false), "a b c");
	servers_give(s->servers, &all);
}

/* The first who asked did not wait for it. */
static void an_answer_that_came_late_serves_too(void **state)
{
	struct state *s = *state;
	struct resolved late;

	make(s, found, 1);
	dns = "h1";
	assert_int_equal(resolver_ask(s->resolver, RESOLVER_SERVICE, found[0].service,
				      clock_monotonic_ms(&clock_system) + 60000, &late, NULL), 0);
	dns = NULL;
	assert_string_equal(order(s, false), "ldap://h1:389");
}

static void servers_twice_are_asked_once(void **state)
{
	static const struct server_source twice[] = { { .uri = "a" }, { .uri = "b" }, { .uri = "a" } };
	struct state *s = *state;

	make(s, twice, 3);
	assert_string_equal(order(s, false), "a b");
}

static void the_dns_names_them(void **state)
{
	struct state *s = *state;

	make(s, found, 1);
	assert_string_equal(order(s, false), "_ldap._tcp.example.com: the DNS does not answer");
	dns = "one two";
	assert_string_equal(order(s, false), "ldap://one:389 ldap://two:389");
	assert_int_equal(asked, 2);
	s->clock.monotonic_ms += 119000;
	assert_string_equal(order(s, false), "ldap://one:389 ldap://two:389");
	assert_int_equal(asked, 2);
}

static void others_stand_in_for_the_dns(void **state)
{
	struct state *s = *state;

	make(s, found, 2);
	assert_string_equal(order(s, false), "z");
	dns = "one";
	assert_string_equal(order(s, false), "ldap://one:389 z");
}

/* When all have failed: is there another one? What stays keeps its penalty, what is in use stays there. */
static void renewed_when_all_failed(void **state)
{
	struct server_order before;
	struct state *s = *state;

	make(s, found, 1);
	dns = "one two";
	assert_string_equal(order(s, true), "ldap://one:389 ldap://two:389");
	before = s->order;
	servers_failed(s->servers, before.items[0]);
	servers_failed(s->servers, before.items[1]);
	assert_false(servers_renew(s->servers, &before, clock_monotonic_ms(&clock_system) + 60000));
	dns = "two three";
	assert_true(servers_renew(s->servers, &before, clock_monotonic_ms(&clock_system) + 60000));
	assert_string_equal(order(s, false), "ldap://three:389 ldap://two:389");
	assert_string_equal(before.items[0]->uri, "ldap://one:389");
	servers_give(s->servers, &before);
	dns = NULL;
	assert_string_equal(order(s, true), "ldap://three:389 ldap://two:389");
	assert_false(servers_renew(s->servers, &s->order, clock_monotonic_ms(&clock_system) + 60000));
	servers_give(s->servers, &s->order);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(those_that_failed_come_last_for_a_while), TEST(servers_twice_are_asked_once),
		TEST(an_answer_that_came_late_serves_too),
		TEST(the_dns_names_them), TEST(others_stand_in_for_the_dns), TEST(renewed_when_all_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
