/* Rules as they stand in a file: compiled, refused with their line, and matched: first match wins, for each recipient. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/policy.h"

struct top {
	struct conf_groups rules;
};

static const struct conf_row top_rows[] = {
	{ .name = "rules", .type = CONF_GROUPS, .offset = 0, .table = &rule_conf },
	{ .name = NULL }
};
static const struct conf_table top_table = { top_rows, sizeof(struct top) };

struct fixture {
	struct arena *arena;
	struct conf *conf;
	struct top top;
	struct rule rules[8];
	struct err err;
	char findings[2000];
	struct conf_report report;
};

static void finding(void *self, const char *line)
{
	struct fixture *f = self;

	strncat(f->findings, line, sizeof(f->findings) - strlen(f->findings) - 2);
	strcat(f->findings, "\n");
}

/* Writes rules into a file, loads and compiles them; returns what compiling said. */
static int load(struct fixture *f, const char *rules)
{
	char path[] = "/tmp/policy-XXXXXX";
	int fd = mkstemp(path), rc = 0;
	size_t i;

	assert_true(fd >= 0);
	dprintf(fd, "rules = (\n%s\n);\n", rules);
	close(fd);
	f->findings[0] = '\0';
	f->report = (struct conf_report){ finding, f };
	conf_free(f->conf);
	f->conf = NULL;
	memset(&f->top, 0, sizeof(f->top));
	rc = conf_load(path, &top_table, &f->top, &f->report, &f->conf, &f->err);
	unlink(path);
	for (i = 0; rc == 0 && i < f->top.rules.n; i++)
		rc = rule_compile(f->arena, f->top.rules.items[i], f->conf, &f->rules[i], &f->err);
	return rc;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->arena = arena_new(0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	conf_free(f->conf);
	arena_free(f->arena);
	free(f);
	return 0;
}

struct mail {
	const char *sender, *from, *client, *recipient, *header;
	bool authenticated, reply, encrypted;
	enum kind kind;
	enum direction direction;
};

static struct address address(struct fixture *f, const char *text)
{
	struct address result;

	assert_int_equal(address_parse(f->arena, slice_of(text), &result, &f->err), 0);
	return result;
}

static const char *match(struct fixture *f, const struct mail *mail)
{
	struct address sender = address(f, mail->sender != NULL ? mail->sender : "a@example.com");
	struct address recipient = address(f, mail->recipient != NULL ? mail->recipient : "b@partner.example");
	struct address from;
	struct header header = { NULL, 0 };
	struct policy_facts facts = { .sender = &sender, .client_ip = mail->client, .header = &header,
				      .authenticated = mail->authenticated, .reply = mail->reply,
				      .reply_encrypted = mail->encrypted, .kind = mail->kind };
	const struct rule *rule = NULL;
	size_t consumed = 0;

	if (mail->from != NULL) {
		from = address(f, mail->from);
		facts.from = &from;
	}
	if (mail->header != NULL)
		assert_int_equal(header_parse(f->arena, slice_of(mail->header), &(struct header_limits){ 0, 0 },
					      &header, &consumed, &f->err), 0);
	rule = policy_match(f->rules, f->top.rules.n, &facts, &recipient, mail->direction);
	return rule != NULL ? rule->id : "none";
}

#define MATCH(expected, ...) assert_string_equal(match(f, &(struct mail){ __VA_ARGS__ }), expected)

static void test_first_match_wins(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "{ id = \"one\"; recipient = \"*@partner.example\"; },"
				 "{ id = \"two\"; recipient = [ \"b@partner.example\", \"*@other.example\" ]; },"
				 "{ id = \"last\"; }"), 0);
	MATCH("one", .recipient = "b@PARTNER.example");
	MATCH("two", .recipient = "x@other.example");
	MATCH("last", .recipient = "x@sub.partner.example");
}

static void test_each_criterion(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "{ id = \"direction\"; direction = [ \"inbound\" ]; },"
				 "{ id = \"null\"; sender = \"<>\"; },"
				 "{ id = \"from\"; from = \"*@.example.com\"; },"
				 "{ id = \"client\"; client = \"192.0.2.0/24\"; },"
				 "{ id = \"login\"; authenticated = true; },"
				 "{ id = \"header\"; header = { name = \"X-Class\"; value = \"secret\"; }; },"
				 "{ id = \"kind\"; kind = [ \"calendar\", \"tnef\" ]; },"
				 "{ id = \"reply\"; reply = true; }"), 0);
	MATCH("direction", .direction = DIRECTION_INBOUND);
	MATCH("null", .sender = "<>", .direction = DIRECTION_OUTBOUND);
	MATCH("from", .from = "x@sub.example.com", .direction = DIRECTION_OUTBOUND);
	MATCH("none", .from = "x@example.com", .direction = DIRECTION_OUTBOUND);
	MATCH("client", .client = "192.0.2.77", .direction = DIRECTION_OUTBOUND);
	MATCH("login", .authenticated = true, .direction = DIRECTION_INTERNAL);
	MATCH("header", .header = "X-Class: public\r\nx-class:  Secret \r\n\r\n", .direction = DIRECTION_OUTBOUND);
	MATCH("none", .header = "X-Class: secretary\r\n\r\n", .direction = DIRECTION_OUTBOUND);
	MATCH("kind", .kind = KIND_TNEF, .direction = DIRECTION_OUTBOUND);
	MATCH("reply", .reply = true, .direction = DIRECTION_OUTBOUND);
	MATCH("none", .direction = DIRECTION_OUTBOUND);
}

static void test_authenticated_false_and_reply_false(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "{ id = \"new\"; reply = false; authenticated = false; }"), 0);
	MATCH("new", .direction = DIRECTION_OUTBOUND);
	MATCH("none", .reply = true, .direction = DIRECTION_OUTBOUND);
	MATCH("none", .authenticated = true, .direction = DIRECTION_OUTBOUND);
}

/* No From, or several: no rule with `from` may be chosen by a guess. */
static void test_unclear_from_matches_no_pattern(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "{ id = \"any\"; from = \"*\"; }"), 0);
	MATCH("none", .from = NULL);
	MATCH("any", .from = "x@y.example");
}

static void test_defaults(void **state)
{
	struct fixture *f = *state;
	const struct rule_settings *s = NULL;

	assert_int_equal(load(f, "{ id = \"x\"; }"), 0);
	s = f->rules[0].settings;
	assert_int_equal(s->sign, SIGN_NO);
	assert_int_equal(s->sign_for, SIGN_FOR_SENDER);
	assert_int_equal(s->encrypt, ENCRYPT_NO);
	assert_int_equal(s->verify, VERIFY_MARK);
	assert_int_equal(s->bcc, BCC_FORK_EACH);
	assert_true(s->announce_encryption);
	assert_int_equal(s->digests.n, 3);
	assert_int_equal(s->ciphers.items[0], CIPHER_AES256_CBC);
	assert_int_equal(f->rules[0].sign_as_count, 1);
	assert_int_equal(f->rules[0].sign_as[0].who, SIGN_AS_FROM);
}

static void test_reply_to_encrypted_mail(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "{ id = \"encrypted\"; reply = \"encrypted\"; }, "
				 "{ id = \"reply\"; reply = \"true\"; }, { id = \"new\"; reply = \"false\"; }"), 0);
	MATCH("encrypted", .reply = true, .encrypted = true);
	MATCH("reply", .reply = true);
	MATCH("new", .reply = false);
	assert_true(policy_asks_what_is_answered(f->rules, 3));
	assert_false(policy_asks_what_is_answered(f->rules + 1, 2));
}

static void test_harvest(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "{ id = \"x\"; }, { id = \"y\"; harvest = \"off\"; }"), 0);
	assert_false(policy_harvests(f->rules, 2));
	assert_int_equal(load(f, "{ id = \"x\"; }, { id = \"y\"; harvest = \"pending\"; }"), 0);
	assert_true(policy_harvests(f->rules, 2));
	assert_int_equal(f->rules[1].settings->harvest, HARVEST_PENDING);
	assert_int_equal(load(f, "{ id = \"x\"; verify = \"off\";\n harvest = \"on\"; }"), -1);
	assert_non_null(strstr(f->findings, ":3: harvest needs verify"));
}

static void test_what_comes_later_is_refused(void **state)
{
	static const char *const keys[] = {
		"header_protection = \"cipher\";", "cbc_unsigned = \"keep-encrypted\";",
	};
	struct fixture *f = *state;
	char rule[200];
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		snprintf(rule, sizeof(rule), "{ id = \"x\";\n %s }", keys[i]);
		assert_int_equal(load(f, rule), -1);
		assert_non_null(strstr(f->findings, ":3: "));
		assert_non_null(strstr(f->findings, "not available in this version"));
	}
}

static void test_bad_values_name_their_line(void **state)
{
	static const struct { const char *rule, *text; } bad[] = {
		{ "{ id = \"x\"; }, { id = \"x\"; }", "x" },
		{ "{ id = \"x\"; singn = \"require\"; }", "sign" },
		{ "{ id = \"x\"; sign = \"requir\"; }", "require" },
		{ "{ id = \"x\"; recipient = \"no address\"; }", "no address" },
		{ "{ id = \"x\"; sign_as = \"gateway\"; }", "gateway" },
		{ "{ id = \"x\"; sign_as = [ \"From\" ]; }", "did you mean \"from\"" },
		{ "{ id = \"x\"; encrypt_to = \"recipients\"; }", "did you mean \"recipient\"" },
		{ "{ id = \"x\"; additional_recipients = \"Sender\"; }", "did you mean \"sender\"" },
		{ "{ id = \"x\"; sign_as = [ ]; }", "names nobody" },
		{ "{ id = \"x\"; from = \"*\"; accept_signer = \"abc123\"; }", "abc123" },
		{ "{ id = \"x\"; client = \"10.0.0.1/8\"; }", "10.0.0.1/8" },
		{ "{ id = \"x\"; sign = 1; }", "sign" },
		{ "{ sign = \"no\"; }", "id" },
		{ "{ id = \"x\"; accept_signer = \"gw@partner.example\"; }", "from" },
		{ "{ id = \"x\"; mismatch_attributes = [ \"CN\", \"emailAdress\" ]; }", "emailAddress" },
		{ "{ id = \"x\"; verify = \"off\"; remove_signature = true; }", "remove_signature needs verify" },
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(load(f, bad[i].rule), -1);
		if (strstr(f->findings, ":2: ") == NULL || strstr(f->findings, bad[i].text) == NULL)
			fail_msg("%s: %s", bad[i].rule, f->findings);
	}
}

static void test_accept_signer_forms(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "{ id = \"x\"; from = \"*@partner.example\"; accept_signer = [ \"gw@partner.example\","
				 "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\" ]; }"), 0);
	assert_int_equal(f->rules[0].accept_address_count, 1);
	assert_int_equal(f->rules[0].accept_sha256_count, 1);
	assert_int_equal(f->rules[0].accept_sha256[0][0], 'a');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_match_wins),
		cmocka_unit_test(test_each_criterion),
		cmocka_unit_test(test_authenticated_false_and_reply_false),
		cmocka_unit_test(test_reply_to_encrypted_mail),
		cmocka_unit_test(test_unclear_from_matches_no_pattern),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_harvest),
		cmocka_unit_test(test_what_comes_later_is_refused),
		cmocka_unit_test(test_bad_values_name_their_line),
		cmocka_unit_test(test_accept_signer_forms),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
