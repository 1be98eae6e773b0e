/* test_audit.c - audit lines: their members, for each recipient; hostile text; what is too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/audit.h"
#include "milter/audit_chain.h"
#include "support/testpki.h"

static const unsigned char digest[CRYPT_SHA256_BYTES] = { 0xab, 0xcd };

struct fixture {
	struct arena *arena;
	struct testpki *root, *leaf;
	struct cert *cert;
	struct header header;
	struct recipient to[2];
	struct envelope envelope;
	struct rule rule;
	struct encrypted_to peer;
	struct candidate_list none;
	const char *asked;
	struct recipient_outcome recipients[2];
	struct outcome outcome;
	struct audit_message out[2];
	struct audit_entry entry;
};

static struct address address(const char *text)
{
	return (struct address){ slice_of(text), slice_of(text), slice_of("") };
}

static void add_field(struct fixture *f, const char *name, const char *value)
{
	assert_int_equal(header_append(f->arena, &f->header, field_make(f->arena, slice_of(name), slice_of(value))), 0);
}

/* One recipient gets an encrypted copy, the other the original in plaintext, since nobody has a certificate for him. */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->arena = arena_new(0);
	f->root = testpki_root("Root");
	f->leaf = testpki_leaf(f->root, "b@partner.example");
	f->cert = testpki_cert(f->leaf);
	add_field(f, "From", " Alice Secret <a@example.com>");
	add_field(f, "Subject", " most secret");
	add_field(f, "Message-ID", " <1@example.com>");
	f->to[0] = (struct recipient){ address("b@partner.example"), "", NULL };
	f->to[1] = (struct recipient){ address("c@other.example"), "", NULL };
	f->envelope = (struct envelope){ .queue_id = "4Xk2Q3", .sender = address("a@example.com"), .recipients = f->to,
		.recipient_count = 2, .client_ip = "192.0.2.1", .login = "alice", .daemon_name = "ORIGINATING" };
	f->rule.id = "partner";
	f->peer = (struct encrypted_to){ "b@partner.example", f->cert, "files:/certs", "recipient" };
	f->asked = "ldap://dc1: none";
	f->none = (struct candidate_list){ .asked = &f->asked, .asked_count = 1 };
	f->recipients[0] = (struct recipient_outcome){ .recipient = &f->to[0], .direction = DIRECTION_OUTBOUND,
		.rule = &f->rule, .action = "sign+encrypt", .reason = "", .signed_by = f->cert, .encrypted_to = &f->peer,
		.encrypted_count = 1, .cipher = "aes256-cbc", .message = 1 };
	f->recipients[1] = (struct recipient_outcome){ .recipient = &f->to[1], .direction = DIRECTION_OUTBOUND,
		.rule = &f->rule, .action = "pass", .reason = "no certificate", .candidates = &f->none };
	f->outcome = (struct outcome){ .action = ACTION_ACCEPT, .reason = "", .recipients = f->recipients,
		.recipient_count = 2 };
	f->out[0] = (struct audit_message){ digest, 1200, NULL };
	f->out[1] = (struct audit_message){ digest, 3400, "5Zq" };
	f->entry = (struct audit_entry){ .at = 1795294517, .envelope = &f->envelope, .outcome = &f->outcome,
		.header = &f->header, .in = { digest, 1000, NULL }, .out = f->out, .out_count = 2, .attempt = 7,
		.config = "00ff", .ms = 6.1234 };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_free(f->arena);
	cert_free(f->cert);
	testpki_free(f->leaf);
	testpki_free(f->root);
	free(f);
	return 0;
}

/* The i-th of n lines, parsed; each is what the recorder takes. */
static json_t *line_of(const struct fixture *f, size_t i, size_t n)
{
	json_t *json = NULL;
	struct slice rest, line;
	struct buf lines;
	size_t count = 0;

	buf_init(&lines, 0);
	assert_int_equal(audit_lines(&f->entry, &lines, NULL), 0);
	for (rest = buf_slice(&lines); rest.n > 0; count++) {
		line = slice_first(rest, (size_t)slice_find(rest, '\n'));
		rest = slice_from(rest, line.n + 1);
		assert_true(audit_line_check(line));
		if (count == i)
			json = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, NULL);
	}
	assert_int_equal(count, n);
	assert_null(strstr(buf_string(&lines), "ecret"));
	buf_clear(&lines);
	assert_non_null(json);
	return json;
}

static void assert_text(const json_t *object, const char *name, const char *wanted)
{
	const json_t *value = json_object_get(object, name);

	if (wanted == NULL ? !json_is_null(value) : !json_is_string(value) || strcmp(json_string_value(value), wanted) != 0)
		fail_msg("%s is %s", name, value == NULL ? "missing" : json_is_string(value) ? json_string_value(value) : "else");
}

static void assert_number(const json_t *object, const char *name, long long wanted)
{
	assert_int_equal(json_integer_value(json_object_get(object, name)), wanted);
}

static void a_line_has_all_members(void **state)
{
	static const char *const names[] = { "time", "attempt", "queue_id", "queue_id_out", "message_id", "direction", "client",
		"auth", "daemon", "sender", "from", "recipient", "rule", "config", "action", "result", "reason", "layers",
		"signer", "issuer", "serial", "cert_sha256", "chain", "revocation", "digest", "cipher", "recipients",
		"evidence", "body_sha256_in", "body_sha256_out", "size_in", "size_out", "ms", "version", "observed" };
	json_t *json = line_of(*state, 0, 2);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (json_object_get(json, names[i]) == NULL)
			fail_msg("%s is missing", names[i]);
	assert_int_equal(json_object_size(json), sizeof(names) / sizeof(names[0]));
	json_decref(json);
}

/* Two signers of one chain: each item once. */
static void evidence_is_named_once(void **state)
{
	struct fixture *f = *state;
	const struct path_proof proof = { .n = 2, .items = { { .kind = "certificate", .sha256 = "aa" },
							     { .kind = "crl", .sha256 = "bb" } } };
	struct layer layers[2] = { { .proof = &proof }, { .proof = &proof } };
	json_t *json = NULL, *list = NULL;

	f->outcome.verified = true;
	f->outcome.verdict.layers = (struct layer_list){ layers, 2 };
	json = line_of(f, 0, 2);
	list = json_object_get(json, "evidence");
	assert_int_equal(json_array_size(list), 2);
	assert_text(json_array_get(list, 1), "kind", "crl");
	assert_text(json_array_get(list, 1), "sha256", "bb");
	json_decref(json);
}

static void an_encrypted_copy(void **state)
{
	const struct fixture *f = *state;
	const struct cert_info *info = cert_info(f->cert);
	json_t *json = line_of(f, 0, 2), *peer = NULL;

	assert_text(json, "time", "2026-11-21T20:55:17Z");
	assert_number(json, "attempt", 7);
	assert_text(json, "queue_id", "4Xk2Q3");
	assert_text(json, "queue_id_out", "5Zq");
	assert_text(json, "message_id", "<1@example.com>");
	assert_text(json, "direction", "outbound");
	assert_text(json, "client", "192.0.2.1");
	assert_text(json, "auth", "alice");
	assert_text(json, "daemon", "ORIGINATING");
	assert_text(json, "sender", "a@example.com");
	assert_text(json, "from", "a@example.com");
	assert_text(json, "recipient", "b@partner.example");
	assert_text(json, "rule", "partner");
	assert_text(json, "config", "00ff");
	assert_text(json, "action", "sign+encrypt");
	assert_text(json, "result", "ok");
	assert_text(json, "signer", "b@partner.example");
	assert_text(json, "cert_sha256", info->sha256);
	assert_text(json, "chain", NULL);
	assert_text(json, "cipher", "aes256-cbc");
	assert_number(json, "size_in", 1000);
	assert_number(json, "size_out", 3400);
	peer = json_array_get(json_object_get(json, "recipients"), 0);
	assert_text(peer, "sha256", info->sha256);
	assert_text(peer, "issuer", info->issuer);
	assert_text(peer, "serial", info->serial);
	assert_text(peer, "source", "files:/certs");
	assert_text(peer, "role", "recipient");
	json_decref(json);
}

static void plaintext_says_who_was_asked(void **state)
{
	json_t *json = line_of(*state, 1, 2), *asked = json_object_get(json, "asked");

	assert_string_equal(json_string_value(json_array_get(asked, 0)), "ldap://dc1: none");
	assert_text(json, "reason", "no certificate");
	assert_text(json, "cipher", NULL);
	assert_text(json, "signer", NULL);
	assert_text(json, "queue_id_out", NULL);
	assert_number(json, "size_out", 1200);
	json_decref(json);
}

/* Encrypted, but with what a directory had before, or while another one could not be asked. */
static void so_does_what_not_every_directory_was_asked_for(void **state)
{
	struct fixture *f = *state;
	struct candidate_list *list = &f->none;
	json_t *json = NULL;

	f->asked = "ldap://dc1: 1 certificate; stale: asked 700 s ago, and the directory is away: timed out";
	f->recipients[0].candidates = list;
	json = line_of(f, 0, 2);
	assert_null(json_object_get(json, "asked"));
	json_decref(json);
	list->incomplete = true;
	json = line_of(f, 0, 2);
	assert_string_equal(json_string_value(json_array_get(json_object_get(json, "asked"), 0)), f->asked);
	json_decref(json);
}

/* The log's reason is the first that there is: it does not become another recipient's. */
static void reasons_are_each_ones_own(void **state)
{
	struct fixture *f = *state;
	json_t *json = NULL;

	f->outcome.reason = "no certificate";
	json = line_of(f, 0, 2);
	assert_text(json, "reason", "");
	json_decref(json);
	f->outcome.action = ACTION_REJECT;
	f->outcome.reason = "not signed: sign_for";
	f->recipients[1].reason = "no usable signing key";
	f->entry.out_count = 0;
	json = line_of(f, 1, 2);
	assert_text(json, "reason", "not signed: sign_for");
	json_decref(json);
}

static void verified_mail_has_its_signer(void **state)
{
	struct fixture *f = *state;
	struct layer layers[] = {
		{ .layer = 1, .type = LAYER_ENVELOPED, .result = RESULT_NEUTRAL },
		{ .layer = 2, .type = LAYER_SIGNED, .result = RESULT_PASS, .signer = "x@y", .cert_sha256 = "aa" },
		{ .layer = 3, .type = LAYER_SIGNED, .result = RESULT_FAIL, .covers_message = true, .signer = "s@p",
		  .issuer = "CN=CA", .serial = "1A", .cert_sha256 = "bb", .digest = "sha256", .chain_known = true,
		  .chain = CHAIN_EXPIRED, .revocation = REV_GOOD } };
	json_t *json = NULL;

	f->outcome.verified = true;
	f->outcome.verdict = (struct verdict){ RESULT_FAIL, "expired", { layers, 3 } };
	json = line_of(f, 1, 2);
	assert_text(json, "result", "fail");
	assert_text(json, "signer", "s@p");
	assert_text(json, "chain", "expired");
	assert_text(json, "revocation", "good");
	assert_text(json, "digest", "sha256");
	assert_int_equal(json_array_size(json_object_get(json, "layers")), 3);
	json_decref(json);
}

static void what_failed_early_has_a_line_too(void **state)
{
	struct fixture *f = *state;
	json_t *json = NULL;

	f->outcome = (struct outcome){ .reason = "out of memory" };
	f->entry.out_count = 0;
	f->entry.in.body_sha256 = NULL;
	f->entry.token = "AB12";
	f->entry.config = NULL;
	f->entry.attempt = 0;
	f->envelope.queue_id = "";
	f->envelope.sender = address("");
	f->envelope.client_ip = f->envelope.login = NULL;
	f->header.n = 0;
	json = line_of(f, 1, 2);
	assert_text(json, "recipient", "c@other.example");
	assert_text(json, "action", "tempfail");
	assert_text(json, "result", "tempfail");
	assert_text(json, "reason", "out of memory");
	assert_text(json, "token", "AB12");
	assert_text(json, "sender", "");
	assert_text(json, "from", NULL);
	assert_text(json, "message_id", NULL);
	assert_text(json, "direction", NULL);
	assert_text(json, "client", NULL);
	assert_text(json, "queue_id", NULL);
	assert_text(json, "attempt", NULL);
	assert_text(json, "body_sha256_in", NULL);
	assert_text(json, "size_out", NULL);
	json_decref(json);
}

static void refused_mail_has_no_message_out(void **state)
{
	struct fixture *f = *state;
	json_t *json = NULL;

	f->outcome.action = ACTION_REJECT;
	json = line_of(f, 0, 2);
	assert_text(json, "queue_id_out", NULL);
	assert_text(json, "body_sha256_out", NULL);
	json_decref(json);
	f->outcome.action = ACTION_ACCEPT;
	f->recipients[0].message = OUTCOME_NONE;
	json = line_of(f, 0, 2);
	assert_text(json, "body_sha256_out", NULL);
	json_decref(json);
}

static void hostile_text_stays_in_its_place(void **state)
{
	struct fixture *f = *state;
	json_t *json = NULL;

	f->to[0].address = address("\"},\n{\"seq\":1\x7f\x01\xff@x");
	f->header.n = 0;
	add_field(f, "Message-ID", " <a\r\n \"},{\"b>");
	json = line_of(f, 0, 2);
	assert_text(json, "recipient", "\"},\\x0a{\"seq\":1\\x7f\\x01\\xff@x");
	assert_text(json, "message_id", "<a\r\n \"},{\"b>");
	json_decref(json);
}

static void long_text_is_cut_and_a_long_line_leaves_layers_out(void **state)
{
	struct fixture *f = *state;
	struct layer layers[200];
	char *large = calloc(1, 5001);
	json_t *json = NULL;

	for (size_t i = 0; i < 5000; i += 2)
		memcpy(large + i, "\xc3\xa4", 2);
	f->to[0].address = address(large);
	json = line_of(f, 0, 2);
	assert_int_equal(json_string_length(json_object_get(json, "recipient")), 396 + 3);
	json_decref(json);
	for (size_t i = 0; i < 200; i++)
		layers[i] = (struct layer){ .layer = 1, .type = LAYER_SIGNED, .subject = large, .issuer = large, .serial = "1" };
	f->outcome.verified = true;
	f->outcome.verdict.layers = (struct layer_list){ layers, 200 };
	json = line_of(f, 0, 2);
	assert_null(json_object_get(json, "layers"));
	assert_string_equal(json_string_value(json_array_get(json_object_get(json, "omitted"), 0)), "layers");
	json_decref(json);
	free(large);
}

static void without_a_recorder_nothing_is_recorded(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(audit_record(NULL, &f->entry, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_line_has_all_members, setup, teardown),
		cmocka_unit_test_setup_teardown(an_encrypted_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(evidence_is_named_once, setup, teardown),
		cmocka_unit_test_setup_teardown(plaintext_says_who_was_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(so_does_what_not_every_directory_was_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(reasons_are_each_ones_own, setup, teardown),
		cmocka_unit_test_setup_teardown(verified_mail_has_its_signer, setup, teardown),
		cmocka_unit_test_setup_teardown(what_failed_early_has_a_line_too, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_mail_has_no_message_out, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_text_stays_in_its_place, setup, teardown),
		cmocka_unit_test_setup_teardown(long_text_is_cut_and_a_long_line_leaves_layers_out, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_recorder_nothing_is_recorded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
