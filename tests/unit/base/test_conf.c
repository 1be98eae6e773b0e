/* test_conf.c - settings from a file: types, defaults, places, and every kind of finding with its file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/crypt.h"

/* --- what a program would declare --- */

struct limits {
	int64_t message_mb, depth;
};

struct rule {
	const char *id;
	struct conf_strings recipient;
	int sign, reply;
	struct conf_enums digests;
};

struct files {
	const char *type, *path;
};

struct ldap {
	const char *type, *uri;
	int64_t timeout_ms;
};

struct settings {
	const char *socket, *user;
	int64_t workers;
	bool observe, chain;
	int mode;
	struct conf_strings hosts, originating;
	struct limits limits;
	struct conf_groups rules, directories;
};

static const char *const sign_names[] = { "no", "if-key", "require", NULL };
static const char *const reply_names[] = { "any", "true", "false", "encrypted", NULL };
static const char *const digest_names[] = { "sha256", "sha384", "sha512", NULL };
static const char *const mode_names[] = { "enforce", "observe", NULL };

static const struct conf_row limit_rows[] = {
	{ .name = "message_mb", .type = CONF_INT, .offset = offsetof(struct limits, message_mb), .preset = "50",
	  .min = 1, .max = 4096 },
	{ .name = "depth", .type = CONF_INT, .offset = offsetof(struct limits, depth), .min = -5, .max = 5000000000 },
	{ .name = NULL },
};
static const struct conf_table limit_table = { limit_rows, sizeof(struct limits) };

static const struct conf_row rule_rows[] = {
	{ .name = "id", .type = CONF_STRING, .offset = offsetof(struct rule, id), .required = true, .unique = true },
	{ .name = "recipient", .type = CONF_STRINGS, .offset = offsetof(struct rule, recipient) },
	{ .name = "sign", .type = CONF_ENUM, .offset = offsetof(struct rule, sign), .names = sign_names },
	{ .name = "reply", .type = CONF_ENUM, .offset = offsetof(struct rule, reply), .names = reply_names },
	{ .name = "digests", .type = CONF_ENUMS, .offset = offsetof(struct rule, digests), .names = digest_names,
	  .preset = "sha256 sha512" },
	{ .name = NULL },
};
static const struct conf_table rule_table = { rule_rows, sizeof(struct rule) };

static const struct conf_row files_rows[] = {
	{ .name = "type", .type = CONF_STRING, .offset = offsetof(struct files, type) },
	{ .name = "path", .type = CONF_STRING, .offset = offsetof(struct files, path), .required = true,
	  .unique = true },
	{ .name = NULL },
};
static const struct conf_table files_table = { files_rows, sizeof(struct files) };

static const struct conf_row ldap_rows[] = {
	{ .name = "type", .type = CONF_STRING, .offset = offsetof(struct ldap, type) },
	{ .name = "uri", .type = CONF_STRING, .offset = offsetof(struct ldap, uri) },
	{ .name = "timeout_ms", .type = CONF_INT, .offset = offsetof(struct ldap, timeout_ms), .preset = "2000" },
	{ .name = NULL },
};
static const struct conf_table ldap_table = { ldap_rows, sizeof(struct ldap) };

static const struct conf_variant variants[] = {
	{ "dane", NULL }, { "files", &files_table }, { "ldap", &ldap_table }, { NULL, NULL },
};

static const struct conf_row rows[] = {
	{ .name = "socket", .type = CONF_STRING, .offset = offsetof(struct settings, socket),
	  .preset = "local:/run/x" },
	{ .name = "user", .type = CONF_STRING, .offset = offsetof(struct settings, user) },
	{ .name = "workers", .type = CONF_INT, .offset = offsetof(struct settings, workers) },
	{ .name = "observe", .type = CONF_BOOL, .offset = offsetof(struct settings, observe) },
	{ .name = "chain", .type = CONF_BOOL, .offset = offsetof(struct settings, chain), .preset = "true" },
	{ .name = "mode", .type = CONF_ENUM, .offset = offsetof(struct settings, mode), .names = mode_names,
	  .preset = "observe" },
	{ .name = "hosts", .type = CONF_STRINGS, .offset = offsetof(struct settings, hosts),
	  .preset = "127.0.0.0/8  ::1" },
	{ .name = "originating", .type = CONF_STRINGS, .offset = offsetof(struct settings, originating) },
	{ .name = "limits", .type = CONF_GROUP, .offset = offsetof(struct settings, limits), .table = &limit_table },
	{ .name = "rules", .type = CONF_GROUPS, .offset = offsetof(struct settings, rules), .table = &rule_table },
	{ .name = "directories", .type = CONF_GROUPS, .offset = offsetof(struct settings, directories),
	  .variants = variants },
	{ .name = NULL },
};
static const struct conf_table top = { rows, sizeof(struct settings) };

/* --- files and findings --- */

static char directory[] = "/tmp/test_conf.XXXXXX";
static char findings[8192];

static int prepare(void **state)
{
	(void)state;
	return mkdtemp(directory) == NULL || chdir(directory) != 0 ? -1 : 0;
}

static int finish(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return chdir("/") != 0 ? -1 : system(command);
}

static void put_bytes(const char *name, const char *text, size_t n)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, n, file), n);
	fclose(file);
	assert_int_equal(chmod(name, 0644), 0);
}

static void put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

static void keep(void *self, const char *line)
{
	size_t n = strlen(findings);

	assert_null(self);
	assert_null(strchr(line, '\n'));
	snprintf(findings + n, sizeof(findings) - n, "%s\n", line);
}

static const struct conf_report keeper = { .finding = keep };

static struct conf *load(const char *text, struct settings *settings)
{
	struct conf *conf = NULL;
	struct err err = { 0 };

	put("t.conf", text);
	findings[0] = '\0';
	if (conf_load("t.conf", &top, settings, &keeper, &conf, &err) != 0)
		fail_msg("%s", findings);
	assert_string_equal(findings, "");
	assert_non_null(conf);
	return conf;
}

/* Every finding, in order, is what is expected; *err is the first. */
static void refuse_file(const char *expected)
{
	struct settings settings;
	struct conf *conf = (struct conf *)(void *)&settings;	/* it must become NULL */
	struct err err = { 0 };

	findings[0] = '\0';
	assert_int_equal(conf_load("t.conf", &top, &settings, &keeper, &conf, &err), -1);
	assert_null(conf);
	assert_string_equal(findings, expected);
	assert_int_equal(err.class, ERR_CONFIG);
	assert_int_equal(strncmp(findings, err.text, strlen(err.text)), 0);
	assert_int_equal(findings[strlen(err.text)], '\n');
	/* Nobody has to listen. */
	assert_int_equal(conf_load("t.conf", &top, &settings, NULL, &conf, NULL), -1);
}

static void refuse(const char *text, const char *expected)
{
	put("t.conf", text);
	refuse_file(expected);
}

/* --- good files --- */

static void test_defaults(void **state)
{
	struct settings s;
	struct conf *conf = load("", &s);

	(void)state;
	assert_string_equal(s.socket, "local:/run/x");
	assert_null(s.user);
	assert_int_equal(s.workers, 0);
	assert_false(s.observe);
	assert_true(s.chain);
	assert_int_equal(s.mode, 1);
	assert_int_equal(s.hosts.n, 2);
	assert_string_equal(s.hosts.items[0], "127.0.0.0/8");
	assert_string_equal(s.hosts.items[1], "::1");
	assert_int_equal(s.originating.n, 0);
	assert_int_equal(s.limits.message_mb, 50);
	assert_int_equal(s.limits.depth, 0);
	assert_int_equal(s.rules.n, 0);
	assert_false(conf_given(conf, &s.socket));
	assert_string_equal(conf_where(conf, &s.socket), "t.conf:1");
	assert_string_equal(conf_where(conf, &conf), "t.conf:1");
	assert_false(conf_given(conf, &conf));
	conf_free(conf);
	conf_free(NULL);
}

static void test_values(void **state)
{
	struct settings s;
	struct rule *rule;
	struct ldap *ldap;
	struct conf *conf = load("// a comment\n"
				 "socket = \"a\" /* two\nlines */ \"b\";  # joined\n"
				 "workers: 4; observe = TRUE; chain = false\n"
				 "mode = \"enforce\";\n"
				 "hosts = ( \"h1\",\n\t\"h2\"\n);\n"
				 "originating = \"one\";\n"
				 "limits = { message_mb = 0x10; depth = 5000000000; };\n"
				 "rules = (\n"
				 "  { id = \"a\"; recipient = [\n      \"x\",\n      \"y\"\n    ]; reply = true; },\n"
				 "  { id = \"b\"; sign = \"require\"; digests = [ \"sha512\", \"sha256\" ]; } );\n"
				 "directories = ( { type = \"files\"; path = \"p\"; },\n"
				 "  { type = \"ldap\"; uri = \"u\"; } );\n", &s);

	(void)state;
	assert_string_equal(s.socket, "ab");
	assert_int_equal(s.workers, 4);
	assert_true(s.observe);
	assert_false(s.chain);
	assert_int_equal(s.mode, 0);
	assert_int_equal(s.hosts.n, 2);
	assert_string_equal(s.hosts.items[1], "h2");
	assert_int_equal(s.originating.n, 1);
	assert_string_equal(s.originating.items[0], "one");
	assert_int_equal(s.limits.message_mb, 16);
	assert_true(s.limits.depth == 5000000000);
	assert_int_equal(s.rules.n, 2);
	rule = s.rules.items[0];
	assert_string_equal(rule->id, "a");
	assert_int_equal(rule->reply, 1);
	assert_int_equal(rule->sign, 0);
	assert_int_equal(rule->digests.n, 2);
	assert_int_equal(rule->digests.items[1], 2);
	assert_int_equal(rule->recipient.n, 2);
	assert_string_equal(conf_where(conf, &rule->recipient), "t.conf:12");
	assert_string_equal(conf_where(conf, &rule->recipient.items[0]), "t.conf:13");
	assert_string_equal(conf_where(conf, &rule->recipient.items[1]), "t.conf:14");
	assert_string_equal(conf_where(conf, &rule->reply), "t.conf:15");
	assert_string_equal(conf_where(conf, &rule->sign), "t.conf:12");
	assert_false(conf_given(conf, &rule->sign));
	assert_true(conf_given(conf, &rule->reply));
	rule = s.rules.items[1];
	assert_string_equal(conf_where(conf, rule), "t.conf:16");
	assert_int_equal(rule->sign, 2);
	assert_int_equal(rule->digests.items[0], 2);
	assert_string_equal(conf_where(conf, &rule->digests.items[1]), "t.conf:16");
	assert_string_equal(((struct files *)s.directories.items[0])->path, "p");
	ldap = s.directories.items[1];
	assert_string_equal(ldap->uri, "u");
	assert_int_equal(ldap->timeout_ms, 2000);
	assert_string_equal(conf_where(conf, &ldap->timeout_ms), "t.conf:18");
	assert_string_equal(conf_where(conf, &s.hosts.items[1]), "t.conf:7");
	assert_true(conf_given(conf, &s.limits));
	conf_free(conf);
}

static void test_integers(void **state)
{
	static const struct {
		const char *text;
		long long value;
	} good[] = {
		{ "0", 0 }, { "-5", -5 }, { "+7", 7 }, { "2147483648", 2147483648 }, { "4294967297", 4294967297 },
		{ "5000000000", 5000000000 }, { "5L", 5 }, { "0xFF", 255 }, { "0x100000000", 4294967296 },
	};
	struct settings s;
	char text[100];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(text, sizeof(text), "limits = { depth = %s; };", good[i].text);
		conf_free(load(text, &s));
		assert_true(s.limits.depth == good[i].value);
	}
}

static void test_own_finding(void **state)
{
	struct settings s;
	struct err err = { 0 };
	struct conf *conf = load("\n\nworkers = 3;\nhosts = [ \"a\",\n \"b\" ];", &s);

	(void)state;
	assert_int_equal(conf_finding(conf, &s.workers, &err, "no %s", "good"), -1);
	assert_int_equal(err.class, ERR_CONFIG);
	assert_string_equal(err.text, "t.conf:3: no good");
	assert_int_equal(conf_finding(conf, &s.hosts.items[1], NULL, "bad"), -1);
	assert_int_equal(conf_finding(conf, &s.hosts.items[1], &err, "bad"), -1);
	assert_string_equal(err.text, "t.conf:3: no good");	/* the first one counts */
	assert_string_equal(findings, "t.conf:3: no good\nt.conf:5: bad\nt.conf:5: bad\n");
	conf_free(conf);
}

/* --- findings --- */

static void test_all_findings(void **state)
{
	(void)state;
	refuse("sokcet = \"x\";\nworkers = \"four\";\nobserve = 1;\nmode = \"observ\";\nzzzzzzzz = 5;\n"
	       "limits = { mesage_mb = 5;\n  depth = 1.5; };\nuser = [ \"a\" ];\nhosts = 5;\n",
	       "t.conf:1: unknown key \"sokcet\"; did you mean \"socket\"?\n"
	       "t.conf:5: unknown key \"zzzzzzzz\"\n"
	       "t.conf:8: user must be a string, not a list\n"
	       "t.conf:2: workers must be an integer, not a string\n"
	       "t.conf:3: observe must be true or false, not an integer\n"
	       "t.conf:4: mode = \"observ\" is none of enforce, observe; did you mean \"observe\"?\n"
	       "t.conf:9: hosts must be a list of strings, not an integer\n"
	       "t.conf:6: unknown key \"mesage_mb\"; did you mean \"message_mb\"?\n"
	       "t.conf:7: depth must be an integer, not a fraction\n");
}

static void test_range(void **state)
{
	(void)state;
	refuse("workers = 4294967297;", "t.conf:1: workers = 4294967297 is out of range (0 to 2147483647)\n");
	refuse("workers = 2147483648;", "t.conf:1: workers = 2147483648 is out of range (0 to 2147483647)\n");
	refuse("workers = -1;", "t.conf:1: workers = -1 is out of range (0 to 2147483647)\n");
	refuse("workers =\n 99999999999999999999;",
	       "t.conf:1: workers = 99999999999999999999 is out of range (0 to 2147483647)\n");
	refuse("workers = 0xFFFFFFFF;", "t.conf:1: workers = 0xFFFFFFFF is out of range (0 to 2147483647)\n");
	refuse("workers = 18446744073709551617L;",
	       "t.conf:1: workers = 18446744073709551617L is out of range (0 to 2147483647)\n");
	refuse("limits = { message_mb = 0; depth = 5000000001; };",
	       "t.conf:1: message_mb = 0 is out of range (1 to 4096)\n"
	       "t.conf:1: depth = 5000000001 is out of range (-5 to 5000000000)\n");
	refuse("workers = 010;", "t.conf:1: workers = 010 is not a plain integer\n");
	/* Numbers in strings and comments are none: each value keeps its own text. */
	refuse("user = \"7\"; /* 8 */ limits = { depth = 9; } # 10\nworkers = 4294967298;",
	       "t.conf:2: workers = 4294967298 is out of range (0 to 2147483647)\n");
}

static void test_strings(void **state)
{
	(void)state;
	refuse("user = \"a\\nb\";", "t.conf:1: user holds a control character\n");
	refuse("user = \"a\nb\";", "t.conf:1: user holds a control character\n");
	refuse("user = \"a\\x00b\";", "t.conf:1: user holds a control character\n");
	refuse("user = \"a\" \"b\\x00\";", "t.conf:1: user holds a control character\n");
	refuse("user = \"\\x7f\";", "t.conf:1: user holds a control character\n");
	refuse("hosts = [ \"a\",\n \"\\x1b[0m\",\n \"c\\t\"\n ];",
	       "t.conf:2: hosts holds a control character\nt.conf:3: hosts holds a control character\n");
	refuse("hosts = ( \"a\",\n 5,\n { } );",
	       "t.conf:2: hosts must be a string, not an integer\n"
	       "t.conf:3: hosts must be a string, not a group { }\n");
}

static void test_groups(void **state)
{
	(void)state;
	refuse("rules = ( { id = \"a\"; },\n { },\n { id = \"b\"; },\n { id = \"a\"; },\n 5 );",
	       "t.conf:2: key \"id\" is missing\n"
	       "t.conf:4: duplicate id \"a\", first at t.conf:1\n"
	       "t.conf:5: rules: each member must be a group { }, not an integer\n");
	refuse("rules = { id = \"a\"; };", "t.conf:1: rules must be a list of groups ( { }, { } ), not a group { }\n");
	refuse("limits = ( );", "t.conf:1: limits must be a group { }, not a list\n");
	refuse("rules = ( { id = \"a\"; digests = [ \"sha256\",\n\"md5\", \"sha256\" ];\n"
	       " reply = \"tru\"; sign = true; } );",
	       "t.conf:3: sign must be a string, not true or false\n"
	       "t.conf:3: reply = \"tru\" is none of any, true, false, encrypted; did you mean \"true\"?\n"
	       "t.conf:2: digests = \"md5\" is none of sha256, sha384, sha512\n"
	       "t.conf:2: digests has \"sha256\" twice\n");
}

static void test_variants(void **state)
{
	(void)state;
	refuse("directories = (\n { path = \"x\"; },\n { type = \"lpad\"; },\n { type = \"files\"; },\n"
	       " { type = \"files\"; path = \"p\"; uri = \"u\"; },\n { type = \"files\"; path = \"p\"; },\n"
	       " { type = 5; },\n { type = \"dane\"; host = \"h\"; } );",
	       "t.conf:2: a group in directories needs the key \"type\"\n"
	       "t.conf:3: type = \"lpad\" is none of files, ldap; did you mean \"ldap\"?\n"
	       "t.conf:4: key \"path\" is missing\n"
	       "t.conf:5: unknown key \"uri\"\n"
	       "t.conf:6: duplicate path \"p\", first at t.conf:5\n"
	       "t.conf:7: type must be a string, not an integer\n"
	       "t.conf:8: type = \"dane\": known, but not available in this version\n");
}

/* What the text's first rule says when it is written. */
static void write_rule(const char *text, struct buf *out)
{
	struct settings settings;
	struct conf *conf = load(text, &settings);

	buf_reset(out);
	assert_int_equal(conf_write(&rule_table, settings.rules.items[0], out), 0);
	conf_free(conf);
}

#define TEN(text) text text text text text text text text text text

static void test_write(void **state)
{
	static const char *const others[] = {
		"rules = ( { id = \"b\"; recipient = [ \"x\", \"y\" ]; } );", "rules = ( { id = \"a\"; recipient = \"x,y\"; } );",
		"rules = ( { id = \"a\"; recipient = [ \"x\" ]; } );", "rules = ( { id = \"a\"; recipient = [ \"x\", \"z\" ]; } );",
		"rules = ( { id = \"a\"; recipient = [ \"x\", \"y\" ]; reply = \"true\"; } );",
		"rules = ( { id = \"a\"; recipient = [ \"x\", \"y\" ]; digests = [ \"sha512\", \"sha256\" ]; } );",
	};
	struct buf one, other;

	(void)state;
	buf_init(&one, 0);
	buf_init(&other, 0);
	write_rule("rules = ( { id = \"a\"; recipient = [ \"x\", \"y\" ]; } );", &one);
	write_rule("# the same\nworkers = 3;\nrules = (\n  { recipient = ( \"x\", \"y\" );\n"
		   "    digests = [ \"sha256\", \"sha512\" ]; id = \"a\"; } );", &other);
	assert_true(slice_equal(buf_slice(&one), buf_slice(&other)));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		write_rule(others[i], &other);
		assert_false(slice_equal(buf_slice(&one), buf_slice(&other)));
	}
	/* A value that looks like others behind it. */
	write_rule("rules = ( { id = \"a\"; recipient = [ \"aaaaaaaaaa" TEN("8:aaaaaaaa") "\" ]; } );", &one);
	write_rule("rules = ( { id = \"a\"; recipient = [ \"aaaaaaaaaa\"" TEN(", \"aaaaaaaa\"") " ]; } );", &other);
	assert_false(slice_equal(buf_slice(&one), buf_slice(&other)));
	assert_int_equal(conf_write(&top, &(struct settings){ 0 }, &other), -1);	/* it has lists of groups */
	buf_clear(&one);
	buf_clear(&other);
}

static void test_syntax(void **state)
{
	(void)state;
	refuse("workers = 1;\n\nworkers = 2;\n", "t.conf:3: duplicate setting name \"workers\"\n");
	refuse("workers = 1;\nuser = ;\n", "t.conf:2: syntax error\n");
	refuse("workers = 1;\nuser = \"abc;\n\n", "t.conf:2: a string without an end begins here\n");
	refuse("\n/* workers = 1;\n", "t.conf:2: a comment without an end begins here\n");
	refuse("hosts = [ \"a\", 5 ];", "t.conf:1: mismatched element type in array\n");
	put_bytes("t.conf", "workers = 1;\n\0x", 15);
	refuse_file("t.conf:2: a NUL byte\n");
}

static void test_deep(void **state)
{
	char text[40001];
	struct settings settings;
	struct conf *conf = NULL;
	struct err err = { 0 };

	(void)state;
	memset(text, '(', sizeof(text) - 1);
	memcpy(text, "hosts = ", 8);
	text[sizeof(text) - 1] = '\0';
	put("t.conf", text);
	assert_int_equal(conf_load("t.conf", &top, &settings, NULL, &conf, &err), -1);
	assert_int_equal(strncmp(err.text, "t.conf:1: ", 10), 0);
}

/* --- files --- */

/* Which configuration it was: an included file counts, as what it says. */
static void test_sha256(void **state)
{
	char first[65];
	struct settings s;
	struct conf *conf;

	(void)state;
	put("h.conf", "workers = 3;\n");
	conf = load("@include \"h.conf\"\n", &s);
	assert_int_equal(strlen(conf_sha256(conf)), 64);
	memcpy(first, conf_sha256(conf), sizeof(first));
	conf_free(conf);
	put("h.conf", "workers = 4;\n");
	conf = load("@include \"h.conf\"\n", &s);
	assert_string_not_equal(conf_sha256(conf), first);
	conf_free(conf);
}

static void test_include(void **state)
{
	struct settings s;
	struct conf *conf;

	(void)state;
	assert_int_equal(mkdir("sub", 0700), 0);
	put("sub/limits.conf", "\n message_mb = 7;\n depth = 2;");
	put("sub/rules.conf", "{ id = \"a\"; },\n# last\n{ id = \"b\"; sign = \"no\"; }\n");
	put("sub/main.conf", "user = \"@include \\\"none\\\"\";\n"
			     "/*\n@include \"none\"\n*/\n"
			     "limits = {\n  @include \"limits.conf\"\n};\n"
			     "rules = (\n@include \"rules.conf\"\n); workers = 5;\n");
	assert_int_equal(conf_load("sub/main.conf", &top, &s, &keeper, &conf, NULL), 0);
	assert_string_equal(s.user, "@include \"none\"");
	assert_int_equal(s.limits.message_mb, 7);
	assert_string_equal(conf_where(conf, &s.limits.depth), "sub/limits.conf:3");
	assert_string_equal(conf_where(conf, s.rules.items[1]), "sub/rules.conf:3");
	assert_string_equal(conf_where(conf, &s.rules), "sub/main.conf:8");
	assert_string_equal(conf_where(conf, &s.workers), "sub/main.conf:10");
	conf_free(conf);
	/* The line goes on behind the directive. */
	put("i.conf", "workers = 3;\nuser = \"x\"");
	conf = load("\n@include \"i.conf\" observe = true;\nchain = true;\n", &s);
	assert_string_equal(conf_where(conf, &s.user), "i.conf:2");
	assert_string_equal(conf_where(conf, &s.observe), "t.conf:2");
	assert_string_equal(conf_where(conf, &s.chain), "t.conf:3");
	conf_free(conf);
}

static void test_include_findings(void **state)
{
	char text[300];

	(void)state;
	put("i.conf", "\nworkers = 5000000000;\nwrkers = 1;\n");
	refuse("# c\n@include \"i.conf\"\nuser = 5;\n",
	       "i.conf:3: unknown key \"wrkers\"; did you mean \"workers\"?\n"
	       "t.conf:3: user must be a string, not an integer\n"
	       "i.conf:2: workers = 5000000000 is out of range (0 to 2147483647)\n");
	put("i.conf", "\nworkers = ;\n");
	refuse("@include \"i.conf\"\n", "i.conf:2: syntax error\n");
	put("i.conf", "workers = 1;\n");
	refuse("workers = 2;\n@include \"i.conf\"\n", "i.conf:1: duplicate setting name \"workers\"\n");
	put("i.conf", "user = \"x\n");
	refuse("@include \"i.conf\"\n\";", "i.conf:1: a string without an end begins here\n");
	refuse("\n@include \"none.conf\"\n", "t.conf:2: @include: none.conf: No such file or directory\n");
	assert_int_equal(mkdir("d.conf", 0700), 0);
	refuse("\n@include \"d.conf\"\n", "t.conf:2: @include: d.conf: not a regular file\n");
	refuse("@include \"t.conf\"\n", "t.conf:1: @include: files nest too deep\n");
	refuse("\n@include \"x\n\"\n", "t.conf:2: @include needs a file name in quotes\n");
	refuse("@include \"x", "t.conf:1: @include needs a file name in quotes\n");
	put("i.conf", "");
	assert_int_equal(chmod("i.conf", 0666), 0);
	snprintf(text, sizeof(text), "@include \"%s/i.conf\"\n", directory);
	put("t.conf", text);
	snprintf(text, sizeof(text), "t.conf:1: @include: %s/i.conf: its mode is 0666: %s\n", directory,
		 "others may write it (chmod o-w)");
	refuse_file(text);
}

static void test_main_file(void **state)
{
	(void)state;
	unlink("t.conf");
	refuse_file("t.conf: No such file or directory\n");
	put("t.conf", "");
	assert_int_equal(chmod("t.conf", 0602), 0);
	refuse_file("t.conf: its mode is 0602: others may write it (chmod o-w)\n");
	unlink("t.conf");
	assert_int_equal(mkdir("t.conf", 0700), 0);
	refuse_file("t.conf: not a regular file\n");
	assert_int_equal(rmdir("t.conf"), 0);
}

static void test_nearest(void **state)
{
	static const char *const names[] = { "socket", "workers", "body_in_memory_kb", "sign", NULL };
	static const char *const none[] = { NULL };
	char large[200];

	(void)state;
	assert_string_equal(conf_nearest("sokcet", names), "socket");
	assert_string_equal(conf_nearest("worker", names), "workers");
	assert_string_equal(conf_nearest("body-in-memory-kb", names), "body_in_memory_kb");
	assert_string_equal(conf_nearest("sgin", names), "sign");
	assert_null(conf_nearest("quarantine", names));
	assert_null(conf_nearest("xyz", names));
	assert_null(conf_nearest("sign", none));
	assert_null(conf_nearest("", names));
	memset(large, 's', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	assert_null(conf_nearest(large, names));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_values), cmocka_unit_test(test_integers),
		cmocka_unit_test(test_own_finding), cmocka_unit_test(test_all_findings),
		cmocka_unit_test(test_range), cmocka_unit_test(test_strings), cmocka_unit_test(test_groups),
		cmocka_unit_test(test_variants), cmocka_unit_test(test_write), cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_include), cmocka_unit_test(test_sha256), cmocka_unit_test(test_include_findings),
		cmocka_unit_test(test_main_file), cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, prepare, finish);
}
