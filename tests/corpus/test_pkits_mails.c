/* test_pkits_mails.c - the 224 signed mails of NIST's PKITS (Debian: python3-cryptography-vectors), each verified as
 * `smimectl verify` does it, with the trust anchor and all CRLs as a hard collection: what PKITS wants of its default
 * settings must be a pass, everything else none. Skipped where the vectors are not installed.
 *
 * Most of the certificates name no address, so each signer is accepted for From, by the fingerprint: what is left to
 * judge are signature, chain and revocation. The table says which tests do not apply, and why.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "smime/verdict.h"

#define VECTORS "/usr/lib/python3/dist-packages/cryptography_vectors/x509/PKITS_data"
#define AT ((time_t)1577836800)		/* 2020 */
#define MAILS 224

/* Tests whose names do not say what is expected. */
static const struct {
	const char *name;
	bool valid;
} unnamed[] = {
	{ "AllCertificatesAnyPolicyTest11", true }, { "AllCertificatesNoPoliciesTest2", true },
	{ "AllCertificatesSamePoliciesTest10", true }, { "AllCertificatesSamePoliciesTest13", true },
	{ "AllCertificatesSamePolicyTest1", true }, { "AnyPolicyTest14", true },
	{ "CPSPointerQualifierTest20", true }, { "DifferentPoliciesTest3", true },
	{ "DifferentPoliciesTest4", false }, { "DifferentPoliciesTest5", false },
	{ "DifferentPoliciesTest7", false }, { "DifferentPoliciesTest8", false },
	{ "DifferentPoliciesTest9", false }, { "DifferentPoliciesTest12", false },
	{ "MissingCRLTest1", false }, { "OverlappingPoliciesTest6", true },
	{ "UserNoticeQualifierTest15", true }, { "UserNoticeQualifierTest16", true },
	{ "UserNoticeQualifierTest17", true }, { "UserNoticeQualifierTest18", true },
	{ "UserNoticeQualifierTest19", true }, { "inhibitAnyPolicyTest3", true },
};

/* All of them refused or undecided: nothing that PKITS calls invalid gets through. */
static const struct {
	const char *name, *why;
} inapplicable[] = {
	{ "ValidDSASignaturesTest4", "does not apply: DSA, over SHA-1" },
	{ "ValidDSAParameterInheritanceTest5", "does not apply: DSA, with parameters of the issuer's" },
};

struct fixture {
	struct collection *collection;
	struct arena *arena;		/* of one mail */
	struct verdict verdict;
	size_t mails, agreed, surprises;
};

static void load(struct fixture *f)
{
	const char *root = VECTORS "/certs/TrustAnchorRootCertificate.crt", *crls = VECTORS "/crls", *all = "*";
	struct collection_settings settings = { .name = "PKITS", .files = { &root, 1 }, .domains = { &all, 1 },
						.revocation = REVOCATION_HARD, .crls = { &crls, 1 } };

	f->collection = collection_load(&settings, &(struct collection_env){ .report = NULL }, NULL);
	assert_non_null(f->collection);
}

static void judge(struct fixture *f, const struct message *message, const struct mime *mime,
		  const struct verify_env *env)
{
	struct layer_list layers = { NULL, 0 };

	assert_int_equal(verify_message(f->arena, message, mime, env, &layers, NULL), 0);
	verdict_make(&layers, &f->verdict);
}

/* The second time with the signer as one who may sign for From's domain. */
static void verify(struct fixture *f, const char *path)
{
	struct verify_env env = { .collections = (const struct collection *const *)&f->collection,
				  .collection_count = 1, .at = AT,
				  .limits = { .object_bytes = 1 << 20, .signer_infos = 16, .certificates = 64,
					      .cms_layers = 5 } };
	const struct header_limits limits = { 0 };
	struct pattern any;
	const struct pattern_list from = { .items = &any, .n = 1 };
	struct message message;
	struct mime mime;
	struct buf file, mail;

	buf_init(&file, 0);
	buf_init(&mail, 0);
	assert_int_equal(file_read(path, 0, &file, NULL), 0);
	assert_int_equal(message_from_file_bytes(buf_slice(&file), &mail, NULL), 0);
	assert_int_equal(message_parse(f->arena, buf_slice(&mail), &limits, &message, NULL), 0);
	assert_int_equal(mime_parse(f->arena, &message, &env.limits.mime, &mime, NULL), 0);
	judge(f, &message, &mime, &env);
	if (f->verdict.layers.n == 1 && f->verdict.layers.items[0].cert_sha256 != NULL) {
		assert_int_equal(pattern_parse_address(f->arena, "*", &any, NULL), 0);
		env.accept_from = &from;
		env.accept_sha256 = &f->verdict.layers.items[0].cert_sha256;
		env.accept_sha256_count = 1;
		judge(f, &message, &mime, &env);
	}
	buf_clear(&file);
	buf_clear(&mail);
}

static bool starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_valid(const char *name)
{
	for (size_t i = 0; i < sizeof(unnamed) / sizeof(unnamed[0]); i++)
		if (strcmp(unnamed[i].name, name) == 0)
			return unnamed[i].valid;
	if (!starts(name, "Valid") && !starts(name, "Invalid"))
		fail_msg("%s: neither valid nor invalid", name);
	return starts(name, "Valid");
}

static const char *reason_to_differ(const char *name)
{
	for (size_t i = 0; i < sizeof(inapplicable) / sizeof(inapplicable[0]); i++)
		if (strcmp(inapplicable[i].name, name) == 0)
			return inapplicable[i].why;
	return NULL;
}

/* hard: what cannot be found out is a temporary error. */
static bool is_refused(const struct verdict *verdict)
{
	return verdict->result == RESULT_FAIL || verdict->result == RESULT_PERMERROR ||
	       verdict->result == RESULT_TEMPERROR;
}

static void print_mail(const struct fixture *f, const char *name)
{
	const struct layer *layer = f->verdict.layers.n > 0 ? &f->verdict.layers.items[0] : NULL;

	print_message("%s: %s %s; chain %s revocation %s\n", name, result_names[f->verdict.result], f->verdict.reason,
		      layer == NULL ? "-" : path_chain_name(layer->chain),
		      layer == NULL ? "-" : path_revocation_name(layer->revocation));
}

static void run_mail(struct fixture *f, const char *path)
{
	const char *end = strstr(path, ".eml"), *start = strstr(path, "/smime/Signed");
	bool valid, right;
	char *name;

	if (end == NULL || start == NULL)
		return;
	f->arena = arena_new(0);
	start += strlen("/smime/Signed");
	name = arena_printf(f->arena, "%.*s", (int)(end - start), start);
	valid = is_valid(name);
	verify(f, path);
	f->mails++;
	right = valid ? f->verdict.result == RESULT_PASS : is_refused(&f->verdict);
	f->agreed += right;
	/* A listed difference that is none any more is wrong as well. */
	if (right == (reason_to_differ(name) != NULL) || (!right && !is_refused(&f->verdict))) {
		print_mail(f, name);
		f->surprises++;
	}
	arena_free(f->arena);
}

static void every_mail_is_judged_as_pkits_wants(void **state)
{
	struct fixture f = { .mails = 0 };
	struct arena *arena = arena_new(0);
	size_t n = 0;
	char **paths = NULL;

	(void)state;
	if (!file_is_directory(VECTORS)) {
		arena_free(arena);
		skip();
	}
	load(&f);
	assert_int_equal(file_list(arena, VECTORS "/smime", &paths, &n, NULL), 0);
	for (size_t i = 0; i < n; i++)
		run_mail(&f, paths[i]);
	print_message("PKITS: %zu mails, %zu agree, %zu do not apply\n", f.mails, f.agreed, f.mails - f.agreed);
	collection_free(f.collection);
	arena_free(arena);
	assert_int_equal(f.mails, MAILS);
	assert_int_equal(f.surprises, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_mail_is_judged_as_pkits_wants) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
