/* test_verdict.c - what layers mean together, the fields that tell it, and forged fields taken out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "smime/verdict.h"

static int setup(void **state)
{
	*state = arena_new(0);
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	arena_free(*state);
	return 0;
}

static struct layer good_layer(void)
{
	return (struct layer){
		.layer = 1, .type = LAYER_SIGNED, .signer_index = 1, .result = RESULT_PASS, .reason = "", .known = true,
		.integrity = INTEGRITY_GOOD, .chain_known = true, .chain = CHAIN_GOOD, .collection = "partners",
		.revocation = REV_GOOD, .usage_good = true, .algorithm = ALGORITHM_GOOD, .from = FROM_MATCH,
		.covers_message = true, .signer = "alice@partner.example", .subject = "CN=Alice",
		.issuer = "CN=Partner CA,O=Partner", .serial = "1A2B", .cert_sha256 = "00ff", .digest = "sha256",
		.signature = "rsa-pkcs1", .bits = 2048, .signed_at = 1795294517, .part = "2", .headers = "unprotected",
	};
}

static struct layer envelope_layer(void)
{
	return (struct layer){
		.layer = 1, .type = LAYER_ENVELOPED, .result = RESULT_NEUTRAL, .reason = "encrypted",
			.covers_message = true,
		.part = "1", .envelope_result = "kept", .cipher = "aes256-cbc",
	};
}

static struct verdict verdict_of(struct layer *layers, size_t n)
{
	const struct layer_list list = { layers, n };
	struct verdict verdict;

	verdict_make(&list, &verdict);
	return verdict;
}

/* The fields of the layers, unfolded: "Name: value" each. */
static size_t fields_of(struct arena *arena, struct layer *layers, size_t n, const char **out, size_t max)
{
	struct verdict verdict = verdict_of(layers, n);
	struct field *fields;
	struct err err;
	size_t count = 0;

	assert_int_equal(verdict_fields(arena, &verdict, "mx.example.com", "inbound", &fields, &count, &err), 0);
	assert_true(count <= max);
	for (size_t i = 0; i < count; i++) {
		struct slice value = field_unfold(arena, &fields[i]);

		assert_true(slice_ends_nocase(fields[i].raw, "\r\n"));
		out[i] = arena_printf(arena, "%.*s: %.*s", SLICE_ARGS(fields[i].name), SLICE_ARGS(value));
	}
	return count;
}

static void mismatch_attributes_are_quoted(void **state)
{
	struct layer layer = good_layer();
	char endless[600];
	struct layer_attribute mismatch[] = {
		{ "mismatch_cn", "Bob" }, { "mismatch_o", "a\"; result=pass; x=\"\\" }, { "mismatch_l", "K\xc3\xb6ln" },
		{ "mismatch_ou", endless },
	};
	const char *fields[2];

	memset(endless, 'x', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	layer.mismatch = mismatch;
	layer.mismatch_count = 4;
	assert_int_equal(fields_of(*state, &layer, 1, fields, 2), 2);
	assert_non_null(strstr(fields[1], "; mismatch_cn=\"Bob\"; "));
	assert_non_null(strstr(fields[1], "; mismatch_o=\"a\\\"; result=pass; x=\\\"\\\\\"; "));
	assert_non_null(strstr(fields[1], "; mismatch_l=\"K\\\\xc3\\\\xb6ln\"; "));
	assert_non_null(strstr(fields[1], "; mismatch_ou=\"xxx"));
	assert_true(strspn(strstr(fields[1], "xxx"), "x") == 255);
	assert_null(strstr(fields[0], "mismatch"));
}

static void results_have_the_order_of_the_contract(void **state)
{
	static const enum result order[] = {
		RESULT_FAIL, RESULT_PERMERROR, RESULT_NEUTRAL, RESULT_POLICY, RESULT_TEMPERROR, RESULT_PASS,
	};
	struct layer layers[2];

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		for (size_t k = 0; k < 6; k++) {
			layers[0] = layers[1] = good_layer();
			layers[0].result = order[i];
			layers[1].result = order[k];
			assert_int_equal(verdict_of(layers, 2).result, order[i < k ? i : k]);
		}
	}
}

static void nothing_that_covers_is_none(void **state)
{
	struct layer part = good_layer();

	(void)state;
	part.covers_message = false;
	assert_int_equal(verdict_of(&part, 1).result, RESULT_NONE);
	assert_int_equal(verdict_of(NULL, 0).result, RESULT_NONE);
	assert_string_equal(verdict_of(NULL, 0).reason, "");
	part = envelope_layer();
	part.covers_message = false;
	assert_int_equal(verdict_of(&part, 1).result, RESULT_NONE);
}

static void parts_do_not_spoil_or_save_the_message(void **state)
{
	struct layer layers[2] = { good_layer(), good_layer() };

	(void)state;
	layers[1].covers_message = false;
	layers[1].result = RESULT_FAIL;
	assert_int_equal(verdict_of(layers, 2).result, RESULT_PASS);
	layers[0].result = RESULT_FAIL;
	layers[1].result = RESULT_PASS;
	assert_int_equal(verdict_of(layers, 2).result, RESULT_FAIL);
}

static void unopened_envelope_is_neutral(void **state)
{
	struct layer layers[2] = { envelope_layer(), good_layer() };

	(void)state;
	assert_int_equal(verdict_of(layers, 1).result, RESULT_NEUTRAL);
	assert_string_equal(verdict_of(layers, 1).reason, "encrypted");
	assert_int_equal(verdict_of(layers, 2).result, RESULT_PASS);
}

static void fields_of_a_good_signature(void **state)
{
	struct layer layer = good_layer();
	const char *fields[2];

	assert_int_equal(fields_of(*state, &layer, 1, fields, 2), 2);
	assert_string_equal(fields[0], "Authentication-Results: mx.example.com; smime=pass body.smime-part=2 "
			    "body.smime-identifier=alice@partner.example body.smime-serial=1A2B "
			    "body.smime-issuer=\"CN=Partner CA,O=Partner\"");
	assert_string_equal(fields[1],
		"X-SMIME-Layer: mx.example.com; layer=1; type=signed; signer_index=1; result=pass; "
			    "integrity=good; chain=good; collection=partners; revocation=good; usage=good; algorithm=good; "
			    "from=match; covers=message; signer=alice@partner.example; subject=\"CN=Alice\"; "
			    "issuer=\"CN=Partner CA,O=Partner\"; serial=1A2B; cert_sha256=00ff; digest=sha256; "
			    "signature=rsa-pkcs1; bits=2048; signed_at=2026-11-21T20:55:17Z; headers=unprotected; "
			    "rule=inbound");
}

static void fields_of_nothing(void **state)
{
	const char *fields[1];

	assert_int_equal(fields_of(*state, NULL, 0, fields, 1), 1);
	assert_string_equal(fields[0], "Authentication-Results: mx.example.com; smime=none");
}

static void fields_of_an_envelope(void **state)
{
	struct layer layer = envelope_layer();
	const char *fields[2];

	assert_int_equal(fields_of(*state, &layer, 1, fields, 2), 2);
	assert_string_equal(fields[0], "Authentication-Results: mx.example.com; smime=neutral reason=\"encrypted\"");
	assert_string_equal(fields[1], "X-SMIME-Layer: mx.example.com; layer=1; type=enveloped; result=kept; "
			    "cipher=aes256-cbc; authenticated=no; rule=inbound");
}

static void what_is_not_known_is_left_out(void **state)
{
	struct layer layer = { .layer = 1, .result = RESULT_NEUTRAL, .reason = "bytes behind", .covers_message = true,
		.part = "1" };
	const char *fields[2];

	assert_int_equal(fields_of(*state, &layer, 1, fields, 2), 2);
	assert_string_equal(fields[0], "Authentication-Results: mx.example.com; smime=neutral reason=\"bytes behind\" "
			    "body.smime-part=1");
	assert_string_equal(fields[1], "X-SMIME-Layer: mx.example.com; layer=1; type=signed; result=neutral; "
			    "covers=message; reason=\"bytes behind\"; rule=inbound");
	layer.serial = "01";	/* without issuer */
	fields_of(*state, &layer, 1, fields, 2);
	assert_null(strstr(fields[0], "serial"));
	assert_null(strstr(fields[1], "serial"));
}

static void one_result_for_each_signer_of_the_message(void **state)
{
	struct layer layers[3] = { good_layer(), good_layer(), good_layer() };
	const char *fields[4];

	layers[1].signer_index = 2;
	layers[1].result = RESULT_FAIL;
	layers[1].reason = "because";
	layers[2].covers_message = false;
	assert_int_equal(fields_of(*state, layers, 3, fields, 4), 4);
	assert_non_null(strstr(fields[0], "smime=pass"));
	assert_non_null(strstr(fields[0], "smime=fail reason=\"because\""));
	assert_null(strstr(strstr(fields[0], "smime=fail") + 1, "smime=pass"));
	assert_non_null(strstr(fields[3], "covers=part"));
}

static void certificate_text_stays_inside_its_quotes(void **state)
{
	struct layer layer = good_layer();
	const char *fields[2];
	char huge[600];
	const char *at;

	layer.subject = "CN=x\"; result=pass; y=\"\\\r\nX-SMIME-Layer: forged";
	layer.issuer = "CN=a; dkim=pass\nb";
	layer.signer = "x\"; from=match; y=\"@z";
	fields_of(*state, &layer, 1, fields, 2);
	assert_non_null(strstr(fields[1], "subject=\"CN=x\\\"; result=pass; y=\\\"\\\\??X-SMIME-Layer: forged\""));
	assert_non_null(strstr(fields[1], "signer=\"x\\\"; from=match; y=\\\"@z\""));
	assert_null(strstr(fields[0], "smime-identifier"));
	assert_non_null(strstr(fields[0], "body.smime-issuer=\"CN=a; dkim=pass?b\""));
	memset(huge, 'A', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	layer.subject = huge;
	fields_of(*state, &layer, 1, fields, 2);
	at = strstr(fields[1], "subject=");
	assert_non_null(at);
	assert_int_equal(strspn(at + strlen("subject="), "A"), 255);
}

/* Not every reader minds quotes. */
static void certificate_text_looks_like_no_result(void **state)
{
	struct layer layer = good_layer();
	const char *fields[2];

	layer.result = RESULT_FAIL;
	layer.issuer = "CN=SMIME = pass";
	layer.signer = "smime=pass@evil.example";
	layer.reason = "issuer not found: CN=smime=pass";
	fields_of(*state, &layer, 1, fields, 2);
	assert_non_null(strstr(fields[0], "smime=fail"));
	assert_null(strcasestr(fields[0], "pass"));
	assert_null(strstr(fields[0], "smime-serial"));
	assert_non_null(strstr(fields[1], "issuer=\"CN=SMIME = pass\""));
}

static void identifier_has_the_shape_of_an_address(void **state)
{
	static const char *const odd[] = { "alice", "@example.com", "alice@", "a b@example.com", "a@b@c", "a@b;c",
		"a(c)@b", "a@[1.2.3.4]" };
	struct layer layer = good_layer();
	const char *fields[2];

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		layer.signer = odd[i];
		fields_of(*state, &layer, 1, fields, 2);
		assert_null(strstr(fields[0], "smime-identifier"));
	}
}

static void cleaned(struct arena *arena, const char *text, bool all, const char *expected, size_t count)
{
	const struct header_limits limits = { 0 };
	struct header header, clean;
	struct err err;
	size_t consumed = 0, removed = 0;
	const char *names = "";

	assert_int_equal(header_parse(arena, slice_of(text), &limits, &header, &consumed, &err), 0);
	assert_int_equal(verdict_clean_header(arena, &header, "mx.example.com", all, &clean, &removed, &err), 0);
	for (size_t i = 0; i < clean.n; i++)
		names = arena_printf(arena, "%s%.*s|", names, SLICE_ARGS(field_unfold(arena, &clean.fields[i])));
	assert_string_equal(names, expected);
	assert_int_equal(removed, count);
}

static void forged_fields_go(void **state)
{
	cleaned(*state, "A: 1\r\nX-SMIME-Layer: mx.example.com; result=pass\r\nx-smime-layer: a\r\nB: 2\r\n\r\n", false,
		"1|2|", 2);
	cleaned(*state, "Authentication-Results: mx.example.com; smime=pass\r\nB: 2\r\n"
		"Authentication-Results: (x) \"MX.example.com\" 1; smime=pass\r\n\r\n", false, "2|", 2);
	cleaned(*state, "Authentication-Results: mx.example.com; dkim=pass; smime=pass\r\n\r\n", false,
		"mx.example.com; dkim=pass|", 1);
	cleaned(*state, "Authentication-Results: other.example; smime=pass\r\n\r\n", false,
		"other.example; smime=pass|", 0);
	cleaned(*state, "Authentication-Results: mx.example.com; dkim=pass\r\n\r\n", false,
		"mx.example.com; dkim=pass|", 0);
	cleaned(*state, "Authentication-Results: mx.example.com; dkim=pass\r\nA: 1\r\n\r\n", true, "1|", 1);
	cleaned(*state, "A: 1\r\n\r\n", false, "1|", 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mismatch_attributes_are_quoted),
		TEST(results_have_the_order_of_the_contract), TEST(nothing_that_covers_is_none),
		TEST(parts_do_not_spoil_or_save_the_message), TEST(unopened_envelope_is_neutral),
		TEST(fields_of_a_good_signature), TEST(fields_of_nothing), TEST(fields_of_an_envelope),
		TEST(what_is_not_known_is_left_out), TEST(one_result_for_each_signer_of_the_message),
		TEST(certificate_text_stays_inside_its_quotes), TEST(identifier_has_the_shape_of_an_address),
		TEST(certificate_text_looks_like_no_result), TEST(identifier_has_the_shape_of_an_address),
		TEST(forged_fields_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
