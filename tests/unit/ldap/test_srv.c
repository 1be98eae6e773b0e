/* test_srv.c - SRV records: what is read from a DNS message, and the order of RFC 2782. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "ldap/srv.h"

static void number(struct buf *out, unsigned value)
{
	assert_int_equal(buf_append_char(out, (char)(value >> 8)), 0);
	assert_int_equal(buf_append_char(out, (char)(value & 0xff)), 0);
}

static void name(struct buf *out, const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, ".");

		assert_int_equal(buf_append_char(out, (char)n), 0);
		assert_int_equal(buf_append(out, text, n), 0);
		text += n + (text[n] == '.');
	}
	assert_int_equal(buf_append_char(out, '\0'), 0);
}

static void header(struct buf *out, unsigned answers)
{
	number(out, 7);
	number(out, 0x8180);
	number(out, 1);
	number(out, answers);
	number(out, 0);
	number(out, 0);
	name(out, "_ldap._tcp.example.com");
	number(out, 33);
	number(out, 1);
}

static void record(struct buf *out, unsigned type, unsigned ttl_s, const unsigned fields[3], const char *target)
{
	size_t at;

	number(out, 0xc00c);		/* the question's name */
	number(out, type);
	number(out, 1);
	number(out, ttl_s >> 16);
	number(out, ttl_s & 0xffff);
	at = out->n;
	number(out, 0);
	for (size_t i = 0; i < 3; i++)
		number(out, fields[i]);
	name(out, target);
	out->p[at] = (unsigned char)((out->n - at - 2) >> 8);
	out->p[at + 1] = (unsigned char)((out->n - at - 2) & 0xff);
}

static void records_are_read(void **state)
{
	struct resolved resolved;
	struct buf message;

	(void)state;
	buf_init(&message, 0);
	header(&message, 7);
	record(&message, 33, 600, (const unsigned[]){ 10, 60, 389 }, "dc1.example.com");
	record(&message, 33, 300, (const unsigned[]){ 65535, 0, 3268 }, "DC-2.example.com");
	record(&message, 33, 5, (const unsigned[]){ 0, 0, 0 }, "");
	record(&message, 33, 5, (const unsigned[]){ 1, 1, 389 }, "evil/..@host");
	record(&message, 33, 5, (const unsigned[]){ 1, 1, 389 }, "evil host.x");
	record(&message, 16, 5, (const unsigned[]){ 1, 1, 389 }, "text.example.com");
	record(&message, 33, 900, (const unsigned[]){ 0, 1, 389 }, "third.example.com");
	assert_int_equal(srv_parse(message.p, message.n, &resolved), 0);
	assert_int_equal(resolved.target_count, 3);
	assert_string_equal(resolved.targets[0].host, "dc1.example.com");
	assert_int_equal(resolved.targets[0].priority, 10);
	assert_int_equal(resolved.targets[0].weight, 60);
	assert_int_equal(resolved.targets[0].port, 389);
	assert_string_equal(resolved.targets[1].host, "DC-2.example.com");
	assert_int_equal(resolved.targets[1].port, 3268);
	assert_int_equal(resolved.targets[1].priority, 65535);
	assert_string_equal(resolved.targets[2].host, "third.example.com");
	assert_int_equal(resolved.ttl_s, 300);
	/* Cut anywhere it is either no message, or says less. */
	for (size_t n = 0; n < message.n; n++)
		assert_true(srv_parse(message.p, n, &resolved) != 0 ||
			    resolved.target_count < 3);
	buf_clear(&message);
}

static void no_more_than_there_is_room_for(void **state)
{
	struct resolved resolved;
	struct buf message;

	(void)state;
	buf_init(&message, 0);
	header(&message, RESOLVED_MAX + 5);
	for (unsigned i = 0; i < RESOLVED_MAX + 5; i++)
		record(&message, 33, 600, (const unsigned[]){ i, 0, 389 }, "dc1.example.com");
	assert_int_equal(srv_parse(message.p, message.n, &resolved), 0);
	assert_int_equal(resolved.target_count, RESOLVED_MAX);
	buf_clear(&message);
}

/* Counts up through all numbers, so that each is drawn equally often. */
static uint32_t choose_next(void *self, uint32_t most)
{
	uint32_t *next = self;

	return (*next)++ % (most + 1);
}

static struct resolved_target target(const char *host, uint16_t priority, uint16_t weight)
{
	struct resolved_target target = { .priority = priority, .weight = weight, .port = 389 };

	strcpy(target.host, host);
	return target;
}

static void priorities_come_first(void **state)
{
	struct resolved resolved = { .target_count = 4 };
	uint32_t next = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		resolved.targets[0] = target("c", 30, 100);
		resolved.targets[1] = target("a", 10, 1);
		resolved.targets[2] = target("d", 40, 0);
		resolved.targets[3] = target("b", 20, 65535);
		srv_order(&resolved, choose_next, &next);
		for (size_t j = 0; j < 4; j++)
			assert_int_equal(resolved.targets[j].host[0], 'a' + (char)j);
	}
}

static void weights_are_shares(void **state)
{
	struct resolved resolved = { .target_count = 3 };
	unsigned first[3] = { 0 };

	(void)state;
	for (uint32_t i = 0; i <= 100; i++) {
		uint32_t next = i;

		resolved.targets[0] = target("a", 1, 75);
		resolved.targets[1] = target("b", 1, 25);
		resolved.targets[2] = target("c", 1, 0);
		srv_order(&resolved, choose_next, &next);
		first[resolved.targets[0].host[0] - 'a']++;
		/* Each is there once. */
		assert_int_equal(resolved.targets[0].host[0] + resolved.targets[1].host[0] +
				 resolved.targets[2].host[0], 'a' + 'b' + 'c');
	}
	assert_int_equal(first[0], 75);
	assert_int_equal(first[1], 25);
	assert_int_equal(first[2], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_read), cmocka_unit_test(no_more_than_there_is_room_for),
		cmocka_unit_test(priorities_come_first), cmocka_unit_test(weights_are_shares),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
