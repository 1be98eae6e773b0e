/* test_pkits.c - path_check against NIST's PKITS (Debian: python3-cryptography-vectors), CRLs included. A certificate
 * counts as accepted when its chain is good and no CRL is against it or missing. Cases named "Valid…" must be accepted,
 * "Invalid…" refused, but for those in the table, where we mean to differ. Skipped where the vectors are not installed. */
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

#define INDIRECT "a CRL of another issuer than the CA is not used: unknown"

/* All of them refused: nothing that PKITS calls invalid is accepted. */
static const struct {
	const char *name, *why;
} differing[] = {
	{ "ValidDSASignaturesTest4EE.crt", "SHA-1 in the chain" },
	{ "ValidDSAParameterInheritanceTest5EE.crt", "DSA is nobody's S/MIME any more" },
	{ "ValidIDPwithindirectCRLTest24EE.crt", INDIRECT },
	{ "ValidIDPwithindirectCRLTest25EE.crt", INDIRECT },
	{ "ValidcRLIssuerTest28EE.crt", INDIRECT },
	{ "ValidcRLIssuerTest29EE.crt", INDIRECT },
	{ "ValidcRLIssuerTest30EE.crt", INDIRECT },
	{ "ValidcRLIssuerTest33EE.crt", INDIRECT },
	{ "ValiddeltaCRLTest5EE.crt", "taken off hold by a delta CRL: revoked until the next complete CRL" },
	{ NULL, NULL }
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

static void load(struct fixture *f)
{
	const char *root = VECTORS "/certs/TrustAnchorRootCertificate.crt", *crls = VECTORS "/crls", *all = "*";
	struct collection_settings settings = { .name = "PKITS", .files = { &root, 1 }, .domains = { &all, 1 },
						.revocation = REVOCATION_SOFT, .crls = { &crls, 1 } };
	struct bundle bundle;

	f->collection = collection_load(&settings, NULL, NULL);
	assert_non_null(f->collection);
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

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(agrees_with_pkits) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
