/* A configuration file with everything that it names: opened whole or refused with FILE:LINE, and the words of warning. */
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

#include "gate/site.h"
#include "support/testdir.h"
#include "support/testpki.h"

static const struct directory_driver *const directories[] = { &directory_files_driver, NULL };
static const struct keystore_driver *const keystores[] = { &keystore_pem_driver, &keystore_pkcs12_driver, NULL };
static const char *journal_problem(const char *url)
{
	return strcmp(url, "redis://h") == 0 ? NULL : "no such journal";
}

static const struct site_drivers drivers = { directories, keystores, journal_problem };

struct fixture {
	char *scratch, *path, *roots, *keys, *certs;
	char findings[4000], warnings[4000];
	struct site *site;
	struct err err;
};

static void collect(void *self, const char *line)
{
	char *text = self;

	strncat(text, line, 3990 - strlen(text));
	strcat(text, "\n");
}

static int load(struct fixture *f, const char *text)
{
	const struct conf_report findings = { collect, f->findings }, warnings = { collect, f->warnings };
	const struct site_env env = { &drivers, &clock_system, NULL, &findings, &warnings, NULL };
	FILE *file = fopen(f->path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	chmod(f->path, 0644);
	f->findings[0] = f->warnings[0] = '\0';
	site_free(f->site);
	f->site = NULL;
	return site_load(f->path, &env, &f->site, &f->err);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct testpki *root = testpki_root("Test Root"), *alice = testpki_leaf(root, "alice@example.com");
	char *file = NULL;

	f->scratch = testdir_scratch();
	f->path = testdir_path(f->scratch, "site.conf");
	f->roots = testdir_path(f->scratch, "roots.pem");
	f->keys = testdir_path(f->scratch, "keys");
	f->certs = testdir_path(f->scratch, "certs");
	mkdir(f->keys, 0700);
	mkdir(f->certs, 0755);
	testpki_write_pem(f->roots, root, TESTPKI_CERT);
	file = testdir_path(f->keys, "alice.pem");
	testpki_write_pem(file, alice, TESTPKI_CERT | TESTPKI_KEY);
	free(file);
	testpki_free(alice);
	testpki_free(root);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	site_free(f->site);
	testdir_remove(f->scratch);
	free(f->path);
	free(f->roots);
	free(f->keys);
	free(f->certs);
	free(f);
	return 0;
}

static void test_whole_site(void **state)
{
	struct fixture *f = *state;
	char text[2000];

	snprintf(text, sizeof(text),
		 "local_domains = [ \"example.com\" ];\nauthserv_id = \"mx.example.com\";\n"
		 "collections = ( { name = \"all\"; files = [ \"%s\" ]; } );\n"
		 "directories = ( { type = \"files\"; path = \"%s\"; } );\n"
		 "keystores = ( { type = \"pem\"; path = \"%s\"; } );\n"
		 "rules = ( { id = \"in\"; direction = \"inbound\"; collection = \"all\"; },\n"
		 "  { id = \"out\"; sign = \"if-key\"; } );\n", f->roots, f->certs, f->keys);
	if (load(f, text) != 0)
		fail_msg("%s", f->findings);
	assert_int_equal(f->site->rule_count, 2);
	assert_int_equal(f->site->rules[0].collection_count, 1);
	assert_int_equal(f->site->directory_count, 1);
	assert_int_equal(f->site->keystore_count, 1);
	assert_string_equal(f->site->authserv_id, "mx.example.com");
	assert_int_equal(f->site->settings.limits.message_mb, 50);
	assert_string_equal(f->warnings, "");
}

static void test_warnings(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "rules = ( { id = \"x\"; recipient = \"*@a.example\"; decrypt = \"if-key\"; } );\n"),
			 0);
	assert_non_null(strstr(f->warnings, "no last rule for inbound"));
	assert_non_null(strstr(f->warnings, "no last rule for outbound"));
	assert_non_null(strstr(f->warnings, "local_domains is empty"));
	assert_non_null(strstr(f->warnings, ":1: decrypt"));
	assert_int_equal(load(f, "journal = \"redis://h\";\n"), 0);
	assert_non_null(strstr(f->warnings, ":1: journal has no effect"));
	assert_int_equal(load(f, "journal = \"redis://h\"; reinject = { to = \"inet:127.0.0.1:10026\"; };\n"), 0);
	assert_null(strstr(f->warnings, "journal"));
}

/* A wish that nothing can fulfil would be plaintext that nobody expects. */
static void test_warnings_of_rules(void **state)
{
	static const struct { const char *rule, *word; } rules[] = {
		{ "direction = \"inbound\"; encrypt = \"require\";", "encrypt: has no effect on inbound" },
		{ "direction = \"inbound\"; sign = \"require\";", "sign: has no effect on inbound" },
		{ "direction = \"outbound\"; verify = \"reject\";", "have no effect on outbound" },
		{ "sign = \"if-key\";", "no keystore is configured" },
		{ "encrypt = \"if-possible\";", "no directory is configured" },
		{ "encrypt = \"require\";", "no collection vouches" },
	};
	struct fixture *f = *state;
	char text[300];
	size_t i;

	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		snprintf(text, sizeof(text), "\nrules = ( { id = \"x\"; %s } );\n", rules[i].rule);
		assert_int_equal(load(f, text), 0);
		if (strstr(f->warnings, rules[i].word) == NULL)
			fail_msg("%s: %s", rules[i].rule, f->warnings);
		assert_non_null(strstr(f->warnings, ":2: "));
	}
}

static void test_warnings_of_collections(void **state)
{
	static const struct { const char *keys, *word; } rows[] = {
		{ "revocation = \"soft\";", "\"soft\" with neither crls nor fetch_hosts" },
		{ "revocation = \"hard\";", "\"hard\" with neither crls nor fetch_hosts" },
		{ "fetch_hosts = [ \"crl.example.net\" ];", "fetch_hosts has no effect: revocation is" },
		{ "revocation = \"soft\"; fetch_hosts = [ \"crl.example.net\" ];", NULL },
	};
	struct fixture *f = *state;
	char text[500];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "\ncollections = ( { name = \"all\"; files = [ \"%s\" ];\n%s } );\n", f->roots,
			 rows[i].keys);
		assert_int_equal(load(f, text), 0);
		if (rows[i].word != NULL && strstr(f->warnings, rows[i].word) == NULL)
			fail_msg("%s: %s", rows[i].keys, f->warnings);
		assert_true((strstr(f->warnings, ":3: ") != NULL) == (rows[i].word != NULL));
	}
}

/* Rules that a sender can choose by what he writes, before one that requires more. */
static void test_warnings_of_overlap(void **state)
{
	static const struct { const char *earlier, *later, *lost; } rules[] = {
		{ "header = { name = \"X\"; };", "encrypt = \"require\";", "requires encryption" },
		{ "kind = \"report\";", "sign = \"require\";", "requires a signature" },
		{ "reply = \"true\"; encrypt = \"if-possible\";", "encrypt = \"require\";", "requires encryption" },
		{ "from = \"a@b.example\";", "encrypt = \"require\";", "requires encryption" },
		{ "reply = \"true\";", "reply = \"encrypted\"; encrypt = \"require\";", "requires encryption" },
		{ "reply = \"encrypted\";", "reply = \"true\"; encrypt = \"require\";", "requires encryption" },
		{ "kind = \"plain\"; recipient = \"*@.a.example\";",
		  "recipient = [ \"*@c.example\", \"x@y.a.example\" ]; encrypt = \"require\";", "requires encryption" },
		{ "direction = \"inbound\"; header = { name = \"X\"; };", "require_protection = \"signed\";",
		  "requires require_protection" },
		{ "kind = \"plain\"; recipient = \"*@.a.example\";", "recipient = \"*@.b.a.example\"; sign = \"require\";",
		  "requires a signature" },
		/* not in the sender's hands, not weaker, not the same mail */
		{ "client = \"10.0.0.0/8\";", "encrypt = \"require\";", NULL },
		{ "recipient = \"a@b.example\";", "encrypt = \"require\";", NULL },
		{ "kind = \"plain\"; encrypt = \"require\";", "encrypt = \"require\";", NULL },
		{ "kind = \"plain\"; direction = \"inbound\";", "encrypt = \"require\";", NULL },
		{ "kind = \"plain\"; recipient = \"*@a.example\";", "recipient = \"*@.a.example\"; encrypt = \"require\";",
		  NULL },
		{ "kind = \"plain\"; recipient = \"x@a.example\";", "recipient = \"*@b.example\"; encrypt = \"require\";",
		  NULL },
		{ "kind = \"plain\";", "kind = \"calendar\"; encrypt = \"require\";", NULL },
		{ "reply = \"encrypted\";", "reply = \"false\"; encrypt = \"require\";", NULL },
		{ "reply = \"true\";", "reply = \"false\"; encrypt = \"require\";", NULL },
		{ "kind = \"plain\"; authenticated = true;", "authenticated = false; encrypt = \"require\";", NULL },
		{ "kind = \"plain\"; sender = \"<>\";", "sender = \"*@a.example\"; encrypt = \"require\";", NULL },
	};
	struct fixture *f = *state;
	char text[500];
	size_t i;

	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		snprintf(text, sizeof(text), "\nrules = (\n{ id = \"x\"; %s },\n{ id = \"y\"; %s } );\n", rules[i].earlier,
			 rules[i].later);
		if (load(f, text) != 0)
			fail_msg("%s", f->findings);
		if (rules[i].lost == NULL && strstr(f->warnings, "comes before") != NULL)
			fail_msg("%s: %s", text, f->warnings);
		if (rules[i].lost != NULL && (strstr(f->warnings, "rule x comes before rule y") == NULL ||
					      strstr(f->warnings, rules[i].lost) == NULL))
			fail_msg("%s: %s", text, f->warnings);
	}
}

static void test_warnings_without_reinject(void **state)
{
	static const char differ[] = "recipients need different treatment";
	struct fixture *f = *state;

	assert_int_equal(load(f, "rules = ( { id = \"x\"; encrypt = \"if-possible\"; } );\n"), 0);
	assert_non_null(strstr(f->warnings, differ));
	assert_int_equal(load(f, "reinject = { to = \"inet:127.0.0.1:10026\"; };\n"
				 "rules = ( { id = \"x\"; encrypt = \"if-possible\"; } );\n"), 0);
	assert_null(strstr(f->warnings, differ));
	assert_int_equal(load(f, "rules = ( { id = \"x\"; sign = \"if-key\"; } );\n"), 0);
	assert_null(strstr(f->warnings, differ));
	assert_int_equal(load(f, "rules = ( { id = \"y\"; recipient = \"a@b.example\"; },\n"
				 "{ id = \"x\"; sign = \"if-key\"; } );\n"), 0);
	assert_non_null(strstr(f->warnings, differ));
	assert_int_equal(load(f, "rules = ( { id = \"x\";\nno_certificate = \"drop-recipient\"; } );\n"), 0);
	assert_non_null(strstr(f->warnings, ":2: no_certificate"));
}

static void test_refused_with_line(void **state)
{
	static const struct { const char *text, *line, *word; } bad[] = {
		{ "\nmodee = \"observe\";\n", ":2: ", "mode" },
		{ "workers = \"two\";\n", ":1: ", "workers" },
		{ "\n\nlimits = { message_mb = 99999; };\n", ":3: ", "message_mb" },
		{ "limits = { message_mb = 4294967297; };\n", ":1: ", "message_mb" },
		{ "internal_hosts = [ \"10.0.0.0/8\",\n \"10.0.0.300\" ];\n", ":2: ", "10.0.0.300" },
		{ "local_domains = [ \"a b\" ];\n", ":1: ", "a b" },
		{ "\ncollections = ( { name = \"x\"; files = \"x\"; policies = [ \"1.2.x\" ]; } );\n", ":2: ",
		  "policies: \"1.2.x\"" },
		{ "\nrules = ( { id = \"x\"; collection = \"partner\"; } );\n", ":2: ", "partner" },
		{ "\n\ncollections = ( { name = \"x\"; files = [ \"/nonexistent\" ]; } );\n", ":3: ", "/nonexistent" },
		{ "directories = ( { type = \"lpad\"; } );\n", ":1: ", "lpad" },
		{ "\nkeystores = ( { type = \"pem\"; path = \"/nonexistent\"; } );\n", ":2: ", "/nonexistent" },
		{ "\ntriggers = { header = \"X Encrypt\"; };\n", ":2: ", "is no field name" },
		{ "\ntriggers = { header = \"from\"; };\n", ":2: ", "cannot be spared" },
		{ "\nrules = ( { id = \"x\"; strip_headers = \"Content-Type\"; } );\n", ":2: ", "cannot be spared" },
		{ "\nkeystores = ( { type = \"pkcs11\"; uri = \"pkcs11:token=x\"; } );\n", ":2: ",
		  "pkcs11\": known, but not available" },
		{ "\ndirectories = ( { type = \"smimea\"; } );\n", ":2: ", "smimea\": known, but not available" },
		{ "\nkeystores = ( { type = \"pkcs1\"; } );\n", ":2: ", "is none of pem, pkcs12; did" },
		{ "keystores = ( { type = \"pem\"; path = \"/nonexistent\";\n hardware_only = true; } );\n", ":2: ",
		  "hardware_only: known, but not available" },
		{ "keystores = ( { type = \"pkcs12\"; path = \"/nonexistent\";\n hardware_only = true; } );\n", ":2: ",
		  "hardware_only: known, but not available" },
		{ "mode = \"obsrve\";\n", ":1: ", "observe" },
		{ "\nauthserv_id = \"a b\";\n", ":2: ", "a b" },
		{ "\nauthserv_id = \"\";\n", ":2: ", "authserv_id" },
		{ "\njournal = \"redis://:hush@h\";\n", ":2: ", "no such journal" },
		{ "journal = \"redis://h\";\njournal_password_file = \"/nonexistent\";\n", ":2: ", "/nonexistent" },
		{ "journal = \"redis://h\";\njournal_password_file = \"/dev/null\";\n", ":2: ", "regular" },
		{ "mode = \n", ":", "syntax" },
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(load(f, bad[i].text), -1);
		assert_null(f->site);
		if (strstr(f->findings, bad[i].line) == NULL || strstr(f->findings, bad[i].word) == NULL)
			fail_msg("%s: \"%s\" (%s)", bad[i].text, f->findings, f->err.text);
	}
}

static void test_all_findings_are_reported(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, "local_domains = [ \"a b\" ];\ninternal_hosts = [ \"x\" ];\n"
				 "rules = ( { id = \"r\"; collection = \"none\"; } );\n"), -1);
	assert_non_null(strstr(f->findings, ":1: "));
	assert_non_null(strstr(f->findings, ":2: "));
	assert_non_null(strstr(f->findings, ":3: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_site),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_warnings_of_rules),
		cmocka_unit_test(test_warnings_of_collections),
		cmocka_unit_test(test_warnings_of_overlap), cmocka_unit_test(test_warnings_without_reinject),
		cmocka_unit_test(test_refused_with_line),
		cmocka_unit_test(test_all_findings_are_reported),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
