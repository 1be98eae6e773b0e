/* From Get-SmimeConfig's JSON to a configuration: every parameter, the encodings of PowerShell, and that what comes out
 * is loaded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "milter/drivers.h"
#include "milter/exchange.h"
#include "pki/bundle.h"
#include "support/testdir.h"
#include "support/testpki.h"

struct fixture {
	struct arena *arena;
	struct exchange out;
	struct err err;
};

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

	exchange_clear(&f->out);
	arena_free(f->arena);
	free(f);
	return 0;
}

static int convert_bytes(struct fixture *f, struct slice json)
{
	exchange_clear(&f->out);
	return exchange_convert(f->arena, json, "/tmp/exchange.sst", &f->out, &f->err);
}

static int convert(struct fixture *f, const char *json)
{
	return convert_bytes(f, slice_of(json));
}

/* The line "key = value; # parameter", whatever blanks are between. */
static bool has_line(struct fixture *f, const char *setting, const char *parameter)
{
	const char *at = strstr(buf_string(&f->out.config), setting), *hash;

	for (; at != NULL; at = strstr(at + 1, setting)) {
		hash = strchr(at, '#');
		if (hash != NULL && strncmp(hash + 2, parameter, strlen(parameter)) == 0)
			return true;
	}
	return false;
}

/* A row for each parameter of signing, encrypting, Bcc, revocation and directories, each value. */
static void test_every_parameter(void **state)
{
	static const struct { const char *parameter, *value, *setting, *note; } cases[] = {
		{ "OWAAlwaysSign", "true", "sign = \"require\";", NULL },
		{ "OWAAlwaysSign", "false", "sign = \"no\";", "triggers" },
		{ "OWAAlwaysEncrypt", "true", "encrypt = \"require\";", NULL },
		{ "OWAAlwaysEncrypt", "false", "encrypt = \"no\";", "triggers" },
		{ "OWAClearSign", "true", "sign_format = \"clear\";", NULL },
		{ "OWAClearSign", "false", "sign_format = \"opaque\";", NULL },
		{ "OWASigningAlgorithms", "\"800C\"", "digests = [ \"sha256\" ];", NULL },
		{ "OWASigningAlgorithms", "\"800E; 8004;800d:384;800E\"", "digests = [ \"sha512\", \"sha384\" ];",
		  "8004 (SHA-1)" },
		{ "OWASigningAlgorithms", "\"8003\"", "digests = [ \"sha256\" ];", "the default stands" },
		{ "OWAIncludeCertificateChainAndRootCertificate", "true", "include_chain = \"chain-and-root\";", NULL },
		{ "OWAIncludeCertificateChainWithoutRootCertificate", "true", "include_chain = \"chain\";", NULL },
		{ "OWAIncludeCertificateChainWithoutRootCertificate", "false", "include_chain = \"none\";", NULL },
		{ "OWAIncludeSMIMECapabilitiesInMessage", "true", "announce_encryption = true;", NULL },
		{ "OWASignedEmailCertificateInclusion", "false", NULL, "always goes along" },
		{ "OWAEncryptionAlgorithms", "\"6610\"", "ciphers = [ \"aes256-cbc\" ];", NULL },
		{ "OWAEncryptionAlgorithms", "\"660e;6610\"", "ciphers = [ \"aes128-cbc\", \"aes256-cbc\" ];", NULL },
		{ "OWAEncryptionAlgorithms", "\"660F;6610\"", "ciphers = [ \"aes256-cbc\" ];", "660F (AES-192)" },
		{ "OWAEncryptionAlgorithms", "\"6603;6602:128;6601\"", "ciphers = [ \"aes256-cbc\" ];", "6602 (RC2)" },
		{ "OWAEncryptionAlgorithms", "\"660E,1.2.3.4\"", "ciphers = [ \"aes128-cbc\" ];", "provider's own" },
		{ "OWAEncryptionAlgorithms", "\"9999;6610\"", "ciphers = [ \"aes256-cbc\" ];", "9999 is not known" },
		{ "OWAUseKeyIdentifier", "true", "recipient_identifier = \"key-id\";", NULL },
		{ "OWATripleWrapSignedEncryptedMail", "true", "triple_wrap = true;", NULL },
		{ "OWABCCEncryptedEmailForking", "0", "bcc = \"fork-each\";", NULL },
		{ "OWABCCEncryptedEmailForking", "1", "bcc = \"fork-together\";", NULL },
		{ "OWABCCEncryptedEmailForking", "2", "bcc = \"together\";", NULL },
		{ "OWACheckCRLOnSend", "true", "send_revocation = \"hard\";", NULL },
		{ "OWACheckCRLOnSend", "\"False\"", "send_revocation = \"soft\";", NULL },
		{ "OWASenderCertificateAttributesToDisplay", "\"2.5.4.4, 2.5.4.42,1.2.3\"",
		  "mismatch_attributes = [ \"SN\", \"givenName\" ];", "1.2.3 is not known" },
		{ "OWADisableCRLCheck", "true", "revocation = \"off\";", NULL },
		{ "OWADisableCRLCheck", "false", "revocation = \"soft\";", "crls" },
		{ "OWACRLConnectionTimeout", "60000", "connect_ms = 60000;", NULL },
		{ "OWACRLConnectionTimeout", "4294967295", "connect_ms = 600000;", "range" },
		{ "OWACRLRetrievalTimeout", "10000", "total_ms = 10000;", NULL },
		{ "OWADLExpansionTimeout", "60000", "expand_ms = 60000;", NULL },
		{ "OWAUseSecondaryProxiesWhenFindingCertificates", "false", "secondary_addresses = false;", NULL },
		{ "OWAUseSecondaryProxiesWhenFindingCertificates", "true", "secondary_addresses = true;", NULL },
		{ "OWAOnlyUseSmartCard", "false", "hardware_only = false;", NULL },
		{ "OWAOnlyUseSmartCard", "true", NULL, "hardware" },
		{ "OWAAllowUserChoiceOfSigningCertificate", "true", NULL, "sign_as" },
		{ "OWAEncryptTemporaryBuffers", "false", NULL, "always encrypted" },
		{ "OWAForceSMIMEClientUpgrade", "true", NULL, "no counterpart" },
		{ "OWANewThing", "1", NULL, "not known" },
		{ "SMIMENewThing", "null", NULL, NULL },
		{ "owaalwayssign", "true", "sign = \"require\";", NULL },
	};
	struct fixture *f = *state;
	char json[300];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(json, sizeof(json), "{\"%s\": %s}", cases[i].parameter, cases[i].value);
		if (convert(f, json) != 0)
			fail_msg("%s: %s", json, f->err.text);
		if (cases[i].setting != NULL && strcmp(cases[i].parameter, "owaalwayssign") != 0 &&
		    !has_line(f, cases[i].setting, cases[i].parameter))
			fail_msg("%s: %s", json, buf_string(&f->out.config));
		if (cases[i].setting == NULL && cases[i].note == NULL && f->out.notes.n > 0)
			fail_msg("%s: %s", json, buf_string(&f->out.notes));
		if (cases[i].note != NULL && strstr(buf_string(&f->out.notes), cases[i].note) == NULL)
			fail_msg("%s: %s", json, buf_string(&f->out.notes));
		if (cases[i].note == NULL)
			assert_int_equal(f->out.notes.n, 0);
	}
	assert_true(has_line(f, "sign = \"require\";", "OWAAlwaysSign"));
}

/* The rule for replies stands first, and has everything but the signature. */
static void test_no_sign_on_reply(void **state)
{
	struct fixture *f = *state;
	const char *text;

	assert_int_equal(convert(f, "{\"NoSignOnReply\":true,\"OWAAlwaysSign\":true,\"OWAAlwaysEncrypt\":true,"
				    "\"OWAEncryptionAlgorithms\":\"6603;660E\"}"), 0);
	text = buf_string(&f->out.config);
	assert_true(has_line(f, "reply = \"true\";", "NoSignOnReply"));
	assert_true(has_line(f, "sign = \"no\";", "NoSignOnReply"));
	assert_true(has_line(f, "sign = \"require\";", "OWAAlwaysSign"));
	assert_true(strstr(text, "id = \"replies\"") < strstr(text, "id = \"exchange\""));
	assert_non_null(strstr(strstr(text, "encrypt = \"require\"") + 1, "encrypt = \"require\""));
	text = strstr(buf_string(&f->out.notes), "6603");
	assert_non_null(text);
	assert_null(strstr(text + 1, "6603"));
	assert_int_equal(convert(f, "{\"NoSignOnReply\":false,\"OWAAlwaysSign\":true}"), 0);
	assert_null(strstr(buf_string(&f->out.config), "replies"));
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"", "x", "[]", "[{},{}]", "3", "{\"OWAAlwaysSign\": 1}", "{\"OWABCCEncryptedEmailForking\": 3}",
		"{\"OWABCCEncryptedEmailForking\": \"0\"}", "{\"OWACRLRetrievalTimeout\": -1}",
		"{\"OWAEncryptionAlgorithms\": 6610}", "{\"SMIMECertificateIssuingCA\": \"!!\"}",
		"{\"SMIMECertificateIssuingCA\": \"aGVsbG8=\"}", "{\"SMIMECertificateIssuingCA\": [256]}",
		"{\"OWAAlwaysSign\": true, \"OWAAlwaysSign\": false}", "\xff\xfe{", "\xff\xfe\x00\xd8",
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (convert(f, texts[i]) == 0)
			fail_msg("%s is accepted", texts[i]);
		assert_int_equal(f->err.class, ERR_CONFIG);
	}
	assert_int_equal(convert(f, "{\"OWAAlwaysSign\": \"#\\n\"}"), -1);
}

/* ConvertTo-Json > FILE: UTF-16 with a mark in Windows PowerShell, UTF-8 in PowerShell 7, with a mark or without. */
static void test_encodings(void **state)
{
	static const char json[] = "[ {\"Name\": \"caf\\u00e9 \xe2\x82\xac \xf0\x9f\x94\x92\", \"OWAClearSign\": false} ]";
	static const char utf16[] = "[{\"N\":\"\xac\x20\x3d\xd8\x12\xdd\",\"OWAClearSign\":false}]";
	struct fixture *f = *state;
	struct buf bytes;
	int big, mark;
	size_t i;

	assert_int_equal(convert(f, json), 0);
	assert_true(has_line(f, "sign_format = \"opaque\";", "OWAClearSign"));
	buf_init(&bytes, 0);
	assert_int_equal(buf_printf(&bytes, "\xef\xbb\xbf%s\r\n", json), 0);
	assert_int_equal(convert_bytes(f, buf_slice(&bytes)), 0);
	for (big = 0; big < 2; big++)
		for (mark = 0; mark < 2; mark++) {
			buf_reset(&bytes);
			if (mark == 1)
				buf_append(&bytes, big == 1 ? "\xfe\xff" : "\xff\xfe", 2);
			for (i = 0; i < sizeof(utf16) - 1; i++) {
				bool unit = i >= 7 && i < 13;	/* these are units already, little endian */
				char low = utf16[i], high = unit ? utf16[++i] : '\0';

				buf_append_char(&bytes, big == 1 ? high : low);
				buf_append_char(&bytes, big == 1 ? low : high);
			}
			if (convert_bytes(f, buf_slice(&bytes)) != 0)
				fail_msg("big %d mark %d: %s", big, mark, f->err.text);
			assert_true(has_line(f, "sign_format = \"opaque\";", "OWAClearSign"));
		}
	buf_clear(&bytes);
}

static void collect(void *self, const char *line)
{
	char *text = self;

	strncat(text, line, 3990 - strlen(text));
	strcat(text, "\n");
}

static void replace(struct buf *text, const char *old, const char *new)
{
	char *at = strstr(buf_string(text), old);
	struct buf out;

	assert_non_null(at);
	buf_init(&out, 0);
	assert_int_equal(buf_printf(&out, "%.*s%s%s", (int)(at - (char *)text->p), (char *)text->p, new,
				    at + strlen(old)), 0);
	buf_reset(text);
	assert_int_equal(buf_append_slice(text, buf_slice(&out)), 0);
	buf_clear(&out);
}

/* All parameters at once, the store as bytes: with its paths made, it is a configuration. */
static void test_is_a_configuration(void **state)
{
	static const char all[] =
		"{\"OWAAlwaysSign\":true,\"OWAAlwaysEncrypt\":true,\"OWAClearSign\":true,\"NoSignOnReply\":true,"
		"\"OWASigningAlgorithms\":\"800C;8004\",\"OWAIncludeCertificateChainAndRootCertificate\":false,"
		"\"OWAIncludeCertificateChainWithoutRootCertificate\":true,\"OWASignedEmailCertificateInclusion\":true,"
		"\"OWAIncludeSMIMECapabilitiesInMessage\":true,\"OWAEncryptionAlgorithms\":\"6610;660E\","
		"\"OWAUseKeyIdentifier\":false,\"OWATripleWrapSignedEncryptedMail\":true,"
		"\"OWABCCEncryptedEmailForking\":1,\"OWACheckCRLOnSend\":true,\"OWADisableCRLCheck\":false,"
		"\"OWASenderCertificateAttributesToDisplay\":\"2.5.4.3\",\"OWACRLConnectionTimeout\":60000,"
		"\"OWACRLRetrievalTimeout\":10000,\"OWADLExpansionTimeout\":60000,\"OWAOnlyUseSmartCard\":false,"
		"\"OWAUseSecondaryProxiesWhenFindingCertificates\":false,\"OWAEncryptTemporaryBuffers\":true,"
		"\"Identity\":\"S/MIME \\\"x\\\"\",\"SMIMECertificateIssuingCA\":[";
	struct fixture *f = *state;
	struct testpki *root = testpki_root("Test Root"), *alice = testpki_leaf(root, "alice@example.com");
	struct bundle_entry entry = { .cert = testpki_cert(root) };
	char *scratch = testdir_scratch(), *path = testdir_path(scratch, "site.conf");
	char *sst_path = testdir_path(scratch, "x.sst"), *keys = testdir_path(scratch, "keys");
	char *key = testdir_path(keys, "alice.pem"), findings[4000] = "";
	const struct conf_report report = { collect, findings };
	const struct site_env env = { .drivers = &drivers_all, .clock = &clock_system, .findings = &report };
	struct site *site = NULL;
	struct buf sst, json;
	size_t i;

	mkdir(keys, 0700);
	testpki_write_pem(key, alice, TESTPKI_CERT | TESTPKI_KEY);
	buf_init(&sst, 0);
	buf_init(&json, 0);
	assert_int_equal(bundle_write_sst(&entry, 1, &sst, NULL), 0);
	assert_int_equal(buf_append_text(&json, all), 0);
	for (i = 0; i < sst.n; i++)
		assert_int_equal(buf_printf(&json, "%s%u", i > 0 ? "," : "", sst.p[i]), 0);
	assert_int_equal(buf_append_text(&json, "]}"), 0);
	if (exchange_convert(f->arena, buf_slice(&json), sst_path, &f->out, &f->err) != 0)
		fail_msg("%s", f->err.text);
	assert_true(slice_equal(buf_slice(&f->out.sst), buf_slice(&sst)));
	testpki_write(sst_path, &f->out.sst, 0644);
	replace(&f->out.config, "/etc/smime-milter/keys", keys);
	testpki_write(path, &f->out.config, 0644);
	if (site_load(path, &env, &site, &f->err) != 0)
		fail_msg("%s\n%s", findings, buf_string(&f->out.config));
	assert_int_equal(site->rule_count, 3);
	assert_int_equal(site->rules[2].settings->send_revocation, SEND_REVOCATION_HARD);
	assert_int_equal(site->rules[1].settings->reply, REPLY_TRUE);
	assert_int_equal(site->rules[1].settings->encrypt, ENCRYPT_REQUIRE);
	assert_int_equal(site->rules[0].settings->mismatch_attributes.n, 1);
	site_free(site);
	buf_clear(&sst);
	buf_clear(&json);
	cert_free(entry.cert);
	testpki_free(alice);
	testpki_free(root);
	testdir_remove(scratch);
	free(path);
	free(sst_path);
	free(keys);
	free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_parameter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_sign_on_reply, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_encodings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_is_a_configuration, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
