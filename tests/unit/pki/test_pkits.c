/* test_pkits.c - path_check against NIST's PKITS (Debian: python3-cryptography-vectors), CRLs included. A certificate
 * counts as accepted when its chain is good and no CRL is against it or missing. Cases named "Valid…" must be accepted,
 * "Invalid…" refused, but for those in the table, where we mean to differ. Chapters 4.8 to 4.12 once more, each test
 * with the settings that PKITS prescribes for it. Skipped where the vectors are not installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "pki/path.h"

#define VECTORS "/usr/lib/python3/dist-packages/cryptography_vectors/x509/PKITS_data"
#define AT ((time_t)1577836800)		/* 2020 */

/* All of them refused: nothing that PKITS calls invalid is accepted. */
static const struct {
	const char *name, *why;
} differing[] = {
	{ "ValidDSASignaturesTest4EE.crt", "SHA-1 in the chain" },
	{ "ValidDSAParameterInheritanceTest5EE.crt", "DSA is nobody's S/MIME any more" },
	{ NULL, NULL }
};

/* A test of chapters 4.8 to 4.12 and its settings: the initial-policy-set as the last arcs of the NIST-test-policies,
 * "*" for any-policy with initial-explicit-policy, "" for PKITS's default settings. A collection with a set always
 * demands an explicit policy. */
static const struct {
	const char *number, *name, *policies;
	bool valid;
} settings_of[] = {
	{ "4.8.1.1", "ValidCertificatePathTest1EE.crt", "*", true },
	{ "4.8.1.2", "ValidCertificatePathTest1EE.crt", "1", true },
	{ "4.8.1.3", "ValidCertificatePathTest1EE.crt", "2", false },
	{ "4.8.1.4", "ValidCertificatePathTest1EE.crt", "12", true },
	{ "4.8.2.1", "AllCertificatesNoPoliciesTest2EE.crt", "", true },
	{ "4.8.2.2", "AllCertificatesNoPoliciesTest2EE.crt", "*", false },
	{ "4.8.3.1", "DifferentPoliciesTest3EE.crt", "", true },
	{ "4.8.3.2", "DifferentPoliciesTest3EE.crt", "*", false },
	{ "4.8.3.3", "DifferentPoliciesTest3EE.crt", "12", false },
	{ "4.8.4", "DifferentPoliciesTest4EE.crt", "", false },
	{ "4.8.5", "DifferentPoliciesTest5EE.crt", "", false },
	{ "4.8.6.1", "OverlappingPoliciesTest6EE.crt", "", true },
	{ "4.8.6.2", "OverlappingPoliciesTest6EE.crt", "1", true },
	{ "4.8.6.3", "OverlappingPoliciesTest6EE.crt", "2", false },
	{ "4.8.7", "DifferentPoliciesTest7EE.crt", "", false },
	{ "4.8.8", "DifferentPoliciesTest8EE.crt", "", false },
	{ "4.8.9", "DifferentPoliciesTest9EE.crt", "", false },
	{ "4.8.10.1", "AllCertificatesSamePoliciesTest10EE.crt", "", true },
	{ "4.8.10.2", "AllCertificatesSamePoliciesTest10EE.crt", "1", true },
	{ "4.8.10.3", "AllCertificatesSamePoliciesTest10EE.crt", "2", true },
	{ "4.8.11.1", "AllCertificatesanyPolicyTest11EE.crt", "", true },
	{ "4.8.11.2", "AllCertificatesanyPolicyTest11EE.crt", "1", true },
	{ "4.8.12", "DifferentPoliciesTest12EE.crt", "", false },
	{ "4.8.13.1", "AllCertificatesSamePoliciesTest13EE.crt", "1", true },
	{ "4.8.13.2", "AllCertificatesSamePoliciesTest13EE.crt", "2", true },
	{ "4.8.13.3", "AllCertificatesSamePoliciesTest13EE.crt", "3", true },
	{ "4.8.14.1", "AnyPolicyTest14EE.crt", "1", true },
	{ "4.8.14.2", "AnyPolicyTest14EE.crt", "2", false },
	{ "4.8.15", "UserNoticeQualifierTest15EE.crt", "", true },
	{ "4.8.16", "UserNoticeQualifierTest16EE.crt", "", true },
	{ "4.8.17", "UserNoticeQualifierTest17EE.crt", "", true },
	{ "4.8.18.1", "UserNoticeQualifierTest18EE.crt", "1", true },
	{ "4.8.18.2", "UserNoticeQualifierTest18EE.crt", "2", true },
	{ "4.8.19", "UserNoticeQualifierTest19EE.crt", "", true },
	{ "4.8.20", "CPSPointerQualifierTest20EE.crt", "", true },
	{ "4.9.1", "ValidrequireExplicitPolicyTest1EE.crt", "", true },
	{ "4.9.2", "ValidrequireExplicitPolicyTest2EE.crt", "", true },
	{ "4.9.3", "InvalidrequireExplicitPolicyTest3EE.crt", "", false },
	{ "4.9.4", "ValidrequireExplicitPolicyTest4EE.crt", "", true },
	{ "4.9.5", "InvalidrequireExplicitPolicyTest5EE.crt", "", false },
	{ "4.9.6", "ValidSelfIssuedrequireExplicitPolicyTest6EE.crt", "", true },
	{ "4.9.7", "InvalidSelfIssuedrequireExplicitPolicyTest7EE.crt", "", false },
	{ "4.9.8", "InvalidSelfIssuedrequireExplicitPolicyTest8EE.crt", "", false },
	{ "4.10.1.1", "ValidPolicyMappingTest1EE.crt", "1", true },
	{ "4.10.1.2", "ValidPolicyMappingTest1EE.crt", "2", false },
	/* 4.10.1.3, 4.10.2.2: initial-policy-mapping-inhibit, which no collection can ask for */
	{ "4.10.2.1", "InvalidPolicyMappingTest2EE.crt", "", false },
	{ "4.10.3.1", "ValidPolicyMappingTest3EE.crt", "1", false },
	{ "4.10.3.2", "ValidPolicyMappingTest3EE.crt", "2", true },
	{ "4.10.4", "InvalidPolicyMappingTest4EE.crt", "", false },
	{ "4.10.5.1", "ValidPolicyMappingTest5EE.crt", "1", true },
	{ "4.10.5.2", "ValidPolicyMappingTest5EE.crt", "6", false },
	{ "4.10.6.1", "ValidPolicyMappingTest6EE.crt", "1", true },
	{ "4.10.6.2", "ValidPolicyMappingTest6EE.crt", "6", false },
	{ "4.10.7", "InvalidMappingFromanyPolicyTest7EE.crt", "", false },
	{ "4.10.8", "InvalidMappingToanyPolicyTest8EE.crt", "", false },
	{ "4.10.9", "ValidPolicyMappingTest9EE.crt", "", true },
	{ "4.10.10", "InvalidPolicyMappingTest10EE.crt", "", false },
	{ "4.10.11", "ValidPolicyMappingTest11EE.crt", "", true },
	{ "4.10.12.1", "ValidPolicyMappingTest12EE.crt", "1", true },
	{ "4.10.12.2", "ValidPolicyMappingTest12EE.crt", "2", true },
	{ "4.10.13", "ValidPolicyMappingTest13EE.crt", "", true },
	{ "4.10.14", "ValidPolicyMappingTest14EE.crt", "", true },
	{ "4.11.1", "InvalidinhibitPolicyMappingTest1EE.crt", "", false },
	{ "4.11.2", "ValidinhibitPolicyMappingTest2EE.crt", "", true },
	{ "4.11.3", "InvalidinhibitPolicyMappingTest3EE.crt", "", false },
	{ "4.11.4", "ValidinhibitPolicyMappingTest4EE.crt", "", true },
	{ "4.11.5", "InvalidinhibitPolicyMappingTest5EE.crt", "", false },
	{ "4.11.6", "InvalidinhibitPolicyMappingTest6EE.crt", "", false },
	{ "4.11.7", "ValidSelfIssuedinhibitPolicyMappingTest7EE.crt", "", true },
	{ "4.11.8", "InvalidSelfIssuedinhibitPolicyMappingTest8EE.crt", "", false },
	{ "4.11.9", "InvalidSelfIssuedinhibitPolicyMappingTest9EE.crt", "", false },
	{ "4.11.10", "InvalidSelfIssuedinhibitPolicyMappingTest10EE.crt", "", false },
	{ "4.11.11", "InvalidSelfIssuedinhibitPolicyMappingTest11EE.crt", "", false },
	{ "4.12.1", "InvalidinhibitAnyPolicyTest1EE.crt", "", false },
	{ "4.12.2", "ValidinhibitAnyPolicyTest2EE.crt", "", true },
	/* 4.12.3.2: initial-inhibit-any-policy, which no collection can ask for */
	{ "4.12.3.1", "inhibitAnyPolicyTest3EE.crt", "", true },
	{ "4.12.4", "InvalidinhibitAnyPolicyTest4EE.crt", "", false },
	{ "4.12.5", "InvalidinhibitAnyPolicyTest5EE.crt", "", false },
	{ "4.12.6", "InvalidinhibitAnyPolicyTest6EE.crt", "", false },
	{ "4.12.7", "ValidSelfIssuedinhibitAnyPolicyTest7EE.crt", "", true },
	{ "4.12.8", "InvalidSelfIssuedinhibitAnyPolicyTest8EE.crt", "", false },
	{ "4.12.9", "ValidSelfIssuedinhibitAnyPolicyTest9EE.crt", "", true },
	{ "4.12.10", "InvalidSelfIssuedinhibitAnyPolicyTest10EE.crt", "", false },
};

struct fixture {
	struct arena *arena;
	struct collection *collection;
	struct cert_list untrusted;
	char **paths;
	size_t n;
};

static const char *name_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

static bool is_end_entity(const char *path)
{
	return strstr(path, "EE.crt") != NULL;
}

static void load_collection(struct fixture *f, const struct conf_strings *policies)
{
	const char *root = VECTORS "/certs/TrustAnchorRootCertificate.crt", *crls = VECTORS "/crls", *all = "*";
	struct collection_settings settings = { .name = "PKITS", .files = { &root, 1 }, .domains = { &all, 1 },
						.revocation = REVOCATION_SOFT, .crls = { &crls, 1 },
						.policies = *policies };

	collection_free(f->collection);
	f->collection = collection_load(&settings, &(struct collection_env){ .report = NULL }, NULL);
	assert_non_null(f->collection);
}

static void load(struct fixture *f)
{
	struct bundle bundle;

	load_collection(f, &(struct conf_strings){ NULL, 0 });
	assert_int_equal(file_list(f->arena, VECTORS "/certs", &f->paths, &f->n, NULL), 0);
	for (size_t i = 0; i < f->n; i++) {
		if (is_end_entity(f->paths[i]) || bundle_load(f->arena, f->paths[i], &bundle, NULL) != 0)
			continue;
		assert_int_equal(cert_list_add(&f->untrusted, bundle.entries[0].cert), 0);
	}
}

/* *why: the field's words for the result. */
static bool accepts(struct fixture *f, const char *path, char *why, size_t size)
{
	struct path_query query = { .untrusted = &f->untrusted, .collection_count = 1, .at = AT,
				    .collections = (const struct collection *const *)&f->collection };
	struct path_result result;
	struct bundle bundle;

	snprintf(why, size, "not a certificate");
	if (bundle_load(f->arena, path, &bundle, NULL) != 0)
		return false;
	query.cert = bundle.entries[0].cert;
	assert_int_equal(path_check(&query, &result, NULL), 0);
	snprintf(why, size, "chain=%s revocation=%s %s", path_chain_name(result.chain),
		 path_revocation_name(result.revocation), result.detail);
	return result.chain == CHAIN_GOOD && result.revocation == REV_GOOD;
}

static const char *reason_to_differ(const char *name)
{
	for (size_t i = 0; differing[i].name != NULL; i++)
		if (strcmp(differing[i].name, name) == 0)
			return differing[i].why;
	return NULL;
}

static void agrees_with_pkits(void **state)
{
	struct fixture f = { .arena = arena_new(0) };
	size_t agreed = 0, differed = 0, surprises = 0;
	char why[256];

	(void)state;
	if (!file_is_directory(VECTORS)) {
		arena_free(f.arena);
		skip();
	}
	load(&f);
	for (size_t i = 0; i < f.n; i++) {
		const char *name = name_of(f.paths[i]);
		bool valid = strncmp(name, "Valid", 5) == 0, agrees;

		if (!is_end_entity(name) || (!valid && strncmp(name, "Invalid", 7) != 0))
			continue;
		agrees = accepts(&f, f.paths[i], why, sizeof(why)) == valid;
		agreed += agrees;
		differed += !agrees;
		if (agrees != (reason_to_differ(name) != NULL))
			continue;
		print_message("%s: %s\n", name, why);
		surprises++;
	}
	print_message("PKITS: %zu agree, %zu differ\n", agreed, differed);
	cert_list_clear(&f.untrusted);
	collection_free(f.collection);
	arena_free(f.arena);
	assert_int_equal(surprises, 0);
}

static void load_for(struct fixture *f, const char *policies)
{
	const char *items[4];
	struct conf_strings list = { items, 0 };

	for (; *policies != '\0'; policies++)
		items[list.n++] = *policies == '*' ? "2.5.29.32.0" :
				  arena_printf(f->arena, "2.16.840.1.101.3.2.1.48.%c", *policies);
	load_collection(f, &list);
}

static void policies_are_judged_as_pkits_prescribes(void **state)
{
	struct fixture f = { .arena = arena_new(0) };
	size_t surprises = 0;
	char why[256];

	(void)state;
	if (!file_is_directory(VECTORS)) {
		arena_free(f.arena);
		skip();
	}
	load(&f);
	for (size_t i = 0; i < sizeof(settings_of) / sizeof(settings_of[0]); i++) {
		load_for(&f, settings_of[i].policies);
		if (accepts(&f, arena_printf(f.arena, VECTORS "/certs/%s", settings_of[i].name), why, sizeof(why)) ==
		    settings_of[i].valid)
			continue;
		print_message("%s {%s}: %s\n", settings_of[i].number, settings_of[i].policies, why);
		surprises++;
	}
	cert_list_clear(&f.untrusted);
	collection_free(f.collection);
	arena_free(f.arena);
	assert_int_equal(surprises, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_pkits), cmocka_unit_test(policies_are_judged_as_pkits_prescribes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
