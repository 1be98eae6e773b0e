/* test_report.c - the shape of smimectl's JSON: names, types, what is null and what is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate/envelope.h"
#include "milter/report.h"
#include "pki/demo_ca.h"
#include "pki/pki_internal.h"

struct fixture {
	struct demo_ca *ca;
	struct cert *cert;
	struct key *key;
};

/* The private key of a demo user as a key of ours. */
static struct key *key_of(struct slice pem, struct cert *cert)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	const struct cert_list chain = { NULL, 0, 0 };
	struct err err;
	struct key *key = key_new(cert, pkey, &chain, "keys/alice.pem", &err);

	BIO_free(bio);
	EVP_PKEY_free(pkey);
	return key;
}

static int setup(void **state)
{
	static const struct demo_user alice = { "Alice", "alice@example.com", DEMO_EC_P256, 30 };
	struct fixture *f = calloc(1, sizeof(*f));
	struct buf cert, key;
	X509 *x509 = NULL;
	BIO *bio = NULL;
	struct err err;

	buf_init(&cert, 0);
	buf_init(&key, 0);
	f->ca = demo_ca_new("Test Root", &err);
	assert_non_null(f->ca);
	assert_int_equal(demo_ca_issue(f->ca, &alice, &cert, &key, &err), 0);
	bio = BIO_new_mem_buf(cert.p, (int)cert.n);
	x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	f->cert = cert_from_x509(x509, &err);
	assert_non_null(f->cert);
	f->key = key_of(buf_slice(&key), f->cert);
	assert_non_null(f->key);
	BIO_free(bio);
	X509_free(x509);
	buf_clear(&cert);
	buf_clear(&key);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	key_free(f->key);
	cert_free(f->cert);
	demo_ca_free(f->ca);
	free(f);
	return 0;
}

/* What was written, parsed strictly; one document and nothing behind it. */
static json_t *parsed(FILE *file)
{
	json_error_t error;
	json_t *json = NULL;

	rewind(file);
	json = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
	if (json == NULL)
		fail_msg("no JSON: %s", error.text);
	fclose(file);
	return json;
}

static const char *text(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_string(value))
		fail_msg("%s is no string", name);
	return json_string_value(value);
}

static long long number(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_integer(value))
		fail_msg("%s is no integer", name);
	return json_integer_value(value);
}

static json_t *list(const json_t *object, const char *name, size_t n)
{
	json_t *value = json_object_get(object, name);

	if (!json_is_array(value))
		fail_msg("%s is no array", name);
	assert_int_equal(json_array_size(value), n);
	return value;
}

static json_t *outcome_of(const struct outcome *outcome, const char *reply, bool explain)
{
	FILE *file = tmpfile();
	struct err err;

	assert_int_equal(report_outcome(file, outcome, reply, explain, &err), 0);
	return parsed(file);
}

static json_t *layer_of(const struct layer *layer)
{
	const struct verdict verdict = { RESULT_FAIL, "a reason", { (struct layer *)(uintptr_t)layer, 1 } };
	FILE *file = tmpfile();
	json_t *json = NULL, *only = NULL;
	struct err err;

	assert_int_equal(report_verdict(file, &verdict, layer->checks != NULL, &err), 0);
	json = parsed(file);
	assert_string_equal(text(json, "result"), "fail");
	assert_string_equal(text(json, "reason"), "a reason");
	only = json_incref(json_array_get(list(json, "layers", 1), 0));
	json_decref(json);
	return only;
}

static void outcome_of_nothing_is_try_later(void **state)
{
	const struct outcome outcome = { .reason = "" };
	json_t *json = outcome_of(&outcome, "451 4.3.0 S/MIME: internal error", false);

	(void)state;
	assert_string_equal(text(json, "action"), "tempfail");
	assert_string_equal(text(json, "reply"), "451 4.3.0 S/MIME: internal error");
	assert_string_equal(text(json, "result"), "none");
	list(json, "layers", 0);
	list(json, "recipients", 0);
	list(json, "messages", 0);
	json_decref(json);
}

static void outcome_of_rejection_names_no_message(void **state)
{
	const struct recipient to = { { slice_of("b@x.example"), slice_of("b"), slice_of("x.example") }, "", NULL };
	struct recipient_outcome recipient = { .recipient = &to, .direction = DIRECTION_OUTBOUND, .action = "reject",
					       .reason = "no usable certificate" };
	const struct outcome outcome = { .action = ACTION_REJECT, .reason = "", .recipients = &recipient,
					 .recipient_count = 1 };
	json_t *json = outcome_of(&outcome, "550 5.7.5 S/MIME: no", false), *first = NULL;

	(void)state;
	assert_string_equal(text(json, "action"), "reject");
	list(json, "messages", 0);
	first = json_array_get(list(json, "recipients", 1), 0);
	assert_string_equal(text(first, "address"), "b@x.example");
	assert_string_equal(text(first, "direction"), "outbound");
	assert_string_equal(text(first, "action"), "reject");
	assert_true(json_is_null(json_object_get(first, "rule")));
	assert_true(json_is_null(json_object_get(first, "signed_by")));
	assert_true(json_is_null(json_object_get(first, "cipher")));
	list(first, "encrypted_to", 0);
	assert_null(json_object_get(first, "certificates"));
	json_decref(json);
}

/* A message that was signed and encrypted for one recipient, whose certificate was looked up. */
static json_t *accepted(const struct fixture *f, bool explain)
{
	const struct recipient to = { { slice_of("b@x.example"), slice_of("b"), slice_of("x.example") }, "", NULL };
	const struct rule rule = { .id = "partner" };
	struct encrypted_to peer = { "b@x.example", f->cert, "files:/certs", "recipient" };
	struct candidate candidate = { .cert = f->cert, .source = "files:/certs", .rank = 1, .usable = true, .reason = "" };
	const char *asked[] = { "files:/certs: found 1" };
	const struct candidate_list candidates = { .status = DIRECTORY_FOUND, .items = &candidate, .n = 1,
						   .asked = asked, .asked_count = 1 };
	struct recipient_outcome recipient = {
		.recipient = &to, .direction = DIRECTION_OUTBOUND, .rule = &rule, .action = "sign+encrypt",
		.reason = "", .signed_by = f->cert, .key_source = "keys/alice.pem", .encrypted_to = &peer,
		.encrypted_count = 1, .cipher = "aes256-cbc", .candidates = &candidates };
	const struct outcome outcome = { .action = ACTION_ACCEPT, .reason = "", .changed = true,
					 .recipients = &recipient, .recipient_count = 1 };

	return outcome_of(&outcome, "", explain);
}

static void outcome_of_acceptance_has_all_members(void **state)
{
	const struct fixture *f = *state;
	const struct cert_info *info = cert_info(f->cert);
	json_t *json = accepted(f, false), *to = NULL, *peer = NULL, *message = NULL;

	assert_string_equal(text(json, "action"), "accept");
	assert_string_equal(text(json, "reply"), "");
	to = json_array_get(list(json, "recipients", 1), 0);
	assert_string_equal(text(to, "rule"), "partner");
	assert_string_equal(text(to, "signed_by"), "alice@example.com");
	assert_string_equal(text(json_object_get(to, "signing_key"), "serial"), info->serial);
	assert_string_equal(text(json_object_get(to, "signing_key"), "source"), "keys/alice.pem");
	assert_string_equal(text(to, "cipher"), "aes256-cbc");
	peer = json_array_get(list(to, "encrypted_to", 1), 0);
	assert_string_equal(text(peer, "address"), "b@x.example");
	assert_string_equal(text(peer, "issuer"), info->issuer);
	assert_string_equal(text(peer, "serial"), info->serial);
	assert_string_equal(text(peer, "sha256"), info->sha256);
	assert_string_equal(text(peer, "source"), "files:/certs");
	assert_string_equal(text(peer, "role"), "recipient");
	message = json_array_get(list(json, "messages", 1), 0);
	assert_string_equal(text(message, "file"), "0.eml");
	assert_string_equal(json_string_value(json_array_get(list(message, "recipients", 1), 0)), "b@x.example");
	json_decref(json);
}

static void checks_stand_in_their_order(void **state)
{
	struct check checks[] = {
		{ "structure", "RFC 8551 3.5", RESULT_PASS, "" },
		{ "from", "RFC 8550 3", RESULT_POLICY, "no \"address\"" },
	};
	const struct layer layer = { .layer = 1, .type = LAYER_SIGNED, .reason = "", .checks = checks, .check_count = 2 };
	struct layer_attribute mismatch = { "mismatch_cn", "Ab\xc3\xa4" };
	const struct layer named = { .layer = 1, .type = LAYER_SIGNED, .reason = "", .mismatch = &mismatch,
				     .mismatch_count = 1 };
	const struct layer unasked = { .layer = 1, .type = LAYER_SIGNED, .reason = "" };
	json_t *json = layer_of(&layer), *second = NULL;

	(void)state;
	second = json_array_get(list(json, "checks", 2), 1);
	assert_string_equal(text(second, "check"), "from");
	assert_string_equal(text(second, "rule"), "RFC 8550 3");
	assert_string_equal(text(second, "result"), "policy");
	assert_string_equal(text(second, "detail"), "no \"address\"");
	json_decref(json);
	json = layer_of(&unasked);
	assert_null(json_object_get(json, "checks"));
	json_decref(json);
	json = layer_of(&named);
	assert_string_equal(text(json, "mismatch_cn"), "Ab\xc3\xa4");
	json_decref(json);
}

static void explain_adds_what_was_looked_at(void **state)
{
	json_t *json = accepted(*state, true), *to = NULL;

	to = json_array_get(list(json, "recipients", 1), 0);
	list(to, "certificates", 1);
	assert_string_equal(json_string_value(json_array_get(list(to, "asked", 1), 0)), "files:/certs: found 1");
	json_decref(json);
}

static void layer_has_the_field_s_names(void **state)
{
	const struct layer layer = {
		.layer = 1, .type = LAYER_SIGNED, .signer_index = 2, .result = RESULT_FAIL, .reason = "broken",
		.known = true, .integrity = INTEGRITY_BAD, .chain_known = true, .chain = CHAIN_GOOD,
		.collection = "partners", .revocation = REV_OFF, .usage_good = true, .algorithm = ALGORITHM_GOOD,
		.from = FROM_MATCH, .covers_message = true, .signer = "a@b.example", .subject = "CN=A",
		.issuer = "CN=CA", .serial = "1A2B", .cert_sha256 = "00ff", .digest = "sha256",
		.signature = "rsa-pkcs1", .bits = 2048, .signed_at = 1795294517, .part = "2", .headers = "unprotected" };
	static const char *const pairs[][2] = {
		{ "type", "signed" }, { "result", "fail" }, { "integrity", "bad" }, { "chain", "good" },
		{ "collection", "partners" }, { "revocation", "off" }, { "usage", "good" }, { "algorithm", "good" },
		{ "from", "match" }, { "covers", "message" }, { "signer", "a@b.example" }, { "subject", "CN=A" },
		{ "issuer", "CN=CA" }, { "serial", "1A2B" }, { "cert_sha256", "00ff" }, { "digest", "sha256" },
		{ "signature", "rsa-pkcs1" }, { "signed_at", "2026-11-21T20:55:17Z" }, { "headers", "unprotected" },
		{ "reason", "broken" } };
	json_t *json = layer_of(&layer);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_string_equal(text(json, pairs[i][0]), pairs[i][1]);
	assert_int_equal(number(json, "layer"), 1);
	assert_int_equal(number(json, "signer_index"), 2);
	assert_int_equal(number(json, "bits"), 2048);
	assert_null(json_object_get(json, "rule"));
	json_decref(json);
}

/* A certificate's text is told as far as the field tells it. */
static void layer_caps_names(void **state)
{
	char name[1000] = "CN=";
	const struct layer layer = {
		.layer = 1, .type = LAYER_SIGNED, .result = RESULT_PASS, .reason = "", .subject = name, .issuer = name,
		.serial = "01", .signer = name,
	};
	json_t *json = NULL;

	(void)state;
	memset(name + 3, 'x', sizeof(name) - 4);
	json = layer_of(&layer);
	assert_int_equal(json_string_length(json_object_get(json, "subject")), 255);
	assert_int_equal(json_string_length(json_object_get(json, "issuer")), 255);
	assert_int_equal(json_string_length(json_object_get(json, "signer")), 255);
	json_decref(json);
}

static void layer_leaves_out_what_is_not_known(void **state)
{
	const struct layer layer = { .layer = 1, .type = LAYER_SIGNED, .result = RESULT_NEUTRAL, .reason = "unreadable" };
	static const char *const absent[] = { "integrity", "chain", "collection", "revocation", "usage", "algorithm",
		"from", "signer", "subject", "issuer", "serial", "cert_sha256", "bits", "signed_at", "signer_index" };
	json_t *json = layer_of(&layer);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		assert_null(json_object_get(json, absent[i]));
	assert_string_equal(text(json, "covers"), "part");
	json_decref(json);
}

static void envelope_layer_has_its_own_result(void **state)
{
	const struct layer layer = { .layer = 1, .type = LAYER_ENVELOPED, .result = RESULT_NEUTRAL, .reason = "encrypted",
				     .envelope_result = "kept", .cipher = "aes256-cbc", .covers_message = true };
	json_t *json = layer_of(&layer);

	(void)state;
	assert_string_equal(text(json, "type"), "enveloped");
	assert_string_equal(text(json, "result"), "kept");
	assert_string_equal(text(json, "cipher"), "aes256-cbc");
	assert_null(json_object_get(json, "integrity"));
	json_decref(json);
}

static void bytes_that_are_no_utf8_are_escaped(void **state)
{
	const struct recipient to = { { slice_of("b\xff\xfe@x.example"), slice_of("b"), slice_of("x.example") }, "", NULL };
	struct recipient_outcome recipient = { .recipient = &to, .action = "pass", .reason = "" };
	const struct outcome outcome = { .action = ACTION_ACCEPT, .reason = "", .recipients = &recipient,
					 .recipient_count = 1 };
	json_t *json = outcome_of(&outcome, "", false);

	(void)state;
	assert_string_equal(text(json_array_get(list(json, "recipients", 1), 0), "address"),
			    "b\\xff\\xfe@x.example");
	json_decref(json);
}

static void candidates_are_a_list(void **state)
{
	const struct fixture *f = *state;
	struct candidate items[] = {
		{ .cert = f->cert, .source = "files:/certs", .rank = 1, .usable = true, .reason = "" },
		{ .cert = f->cert, .source = "ldap://dc1", .usable = false, .reason = "expired" } };
	const struct candidate_list found = { .status = DIRECTORY_FOUND, .items = items, .n = 2 };
	FILE *file = tmpfile();
	json_t *json = NULL, *second = NULL;
	struct err err;

	assert_int_equal(report_candidates(file, &found, &err), 0);
	json = parsed(file);
	assert_true(json_is_array(json) && json_array_size(json) == 2);
	assert_int_equal(number(json_array_get(json, 0), "rank"), 1);
	assert_true(json_is_true(json_object_get(json_array_get(json, 0), "usable")));
	second = json_array_get(json, 1);
	assert_true(json_is_false(json_object_get(second, "usable")));
	assert_string_equal(text(second, "reason"), "expired");
	assert_string_equal(text(second, "source"), "ldap://dc1");
	assert_string_equal(text(second, "serial"), cert_info(f->cert)->serial);
	assert_string_equal(text(second, "issuer"), cert_info(f->cert)->issuer);
	assert_string_equal(text(second, "sha256"), cert_info(f->cert)->sha256);
	json_decref(json);
}

/* Behind a group's own stand its members', each with whose it is. */
static void members_have_their_certificates(void **state)
{
	const struct fixture *f = *state;
	struct candidate item = { .cert = f->cert, .source = "ldap://dc1", .rank = 1, .usable = true, .reason = "" };
	const char *ghost[] = { "cn=ghost: no such entry" }, *asked[] = { "ldap://dc1: 1 certificate" };
	struct candidate_member members[] = {
		{ .list = { .asked = ghost, .asked_count = 1 } },
		{ { slice_of("b@x.example"), slice_of("b"), slice_of("x.example") },
		  { .status = DIRECTORY_FOUND, .items = &item, .n = 1, .asked = asked, .asked_count = 1 } } };
	const struct candidate_list group = { .group = true, .members = members, .member_count = 2 };
	const struct recipient to = { { slice_of("g@x.example"), slice_of("g"), slice_of("x.example") }, "", NULL };
	struct recipient_outcome recipient = { .recipient = &to, .direction = DIRECTION_OUTBOUND, .action = "reject",
					       .reason = "", .candidates = &group };
	const struct outcome outcome = { .action = ACTION_REJECT, .reason = "", .recipients = &recipient,
					 .recipient_count = 1 };
	FILE *file = tmpfile();
	json_t *json = NULL, *second = NULL;
	struct err err;

	assert_int_equal(report_candidates(file, &group, &err), 0);
	json = parsed(file);
	assert_int_equal(json_array_size(json), 1);
	assert_string_equal(text(json_array_get(json, 0), "member"), "b@x.example");
	assert_int_equal(number(json_array_get(json, 0), "rank"), 1);
	json_decref(json);
	json = outcome_of(&outcome, "", true);
	list(json_array_get(list(json, "recipients", 1), 0), "certificates", 0);
	second = json_array_get(list(json_array_get(list(json, "recipients", 1), 0), "members", 2), 1);
	assert_string_equal(text(second, "address"), "b@x.example");
	list(second, "certificates", 1);
	list(second, "asked", 1);
	json_decref(json);
}

static void keys_say_use_and_days(void **state)
{
	const struct fixture *f = *state;
	const struct report_key items[] = { { .key = f->key, .days_left = 29 },
					    { .key = f->key, .days_left = -1, .tested = true, .failure = "no" } };
	FILE *file = tmpfile();
	json_t *json = NULL, *first = NULL;
	struct err err;

	assert_int_equal(report_keys(file, items, 2, &err), 0);
	json = parsed(file);
	first = json_array_get(json, 0);
	assert_string_equal(text(first, "address"), "alice@example.com");
	assert_int_equal(number(first, "days_left"), 29);
	list(first, "usage", 2);
	assert_string_equal(text(first, "source"), "keys/alice.pem");
	assert_null(json_object_get(first, "works"));
	assert_true(json_is_false(json_object_get(json_array_get(json, 1), "works")));
	assert_int_equal(number(json_array_get(json, 1), "days_left"), -1);
	json_decref(json);
}

static void entries_and_findings_name_file_and_certificate(void **state)
{
	const struct fixture *f = *state;
	const struct bundle_entry good = { .cert = f->cert }, bad = { .offset = 7, .problem = "not DER" };
	const struct report_entry entries[] = { { "a.pem", &good }, { "b.sst", &bad } };
	const struct report_finding finding = { "partners", &entries[0], "non-CA", "it vouches for nothing" };
	FILE *file = tmpfile();
	json_t *json = NULL;
	struct err err;

	assert_int_equal(report_entries(file, entries, 2, &err), 0);
	json = parsed(file);
	assert_string_equal(text(json_array_get(json, 0), "file"), "a.pem");
	assert_true(json_is_false(json_object_get(json_array_get(json, 0), "ca")));
	assert_string_equal(text(json_array_get(json, 1), "type"), "bad");
	assert_string_equal(text(json_array_get(json, 1), "reason"), "not DER");
	assert_int_equal(number(json_array_get(json, 1), "offset"), 7);
	json_decref(json);
	file = tmpfile();
	assert_int_equal(report_findings(file, &finding, 1, &err), 0);
	json = parsed(file);
	assert_string_equal(text(json_array_get(json, 0), "finding"), "non-CA");
	assert_string_equal(text(json_array_get(json, 0), "collection"), "partners");
	assert_string_equal(text(json_array_get(json, 0), "serial"), cert_info(f->cert)->serial);
	json_decref(json);
}

static void full_disk_is_an_error(void **state)
{
	const struct outcome outcome = { .reason = "" };
	FILE *file = fopen("/dev/full", "w");
	struct err err = { ERR_NONE, "" };

	(void)state;
	if (file == NULL)
		skip();
	assert_int_equal(report_outcome(file, &outcome, "", false, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outcome_of_nothing_is_try_later),
		cmocka_unit_test(outcome_of_rejection_names_no_message),
		cmocka_unit_test(outcome_of_acceptance_has_all_members),
		cmocka_unit_test(explain_adds_what_was_looked_at),
		cmocka_unit_test(checks_stand_in_their_order),
		cmocka_unit_test(layer_has_the_field_s_names),
		cmocka_unit_test(layer_caps_names),
		cmocka_unit_test(layer_leaves_out_what_is_not_known),
		cmocka_unit_test(envelope_layer_has_its_own_result),
		cmocka_unit_test(bytes_that_are_no_utf8_are_escaped),
		cmocka_unit_test(candidates_are_a_list),
		cmocka_unit_test(members_have_their_certificates),
		cmocka_unit_test(keys_say_use_and_days),
		cmocka_unit_test(entries_and_findings_name_file_and_certificate),
		cmocka_unit_test(full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
