/* test_path.c - which chains are good, and what is said of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pki/evidence.h"
#include "pki/path.h"
#include "pki/pki_internal.h"
#include "pki/revocation_wanted.h"
#include "support/testpki.h"

#define DAY_S ((time_t)24 * 3600)

struct fixture {
	struct testpki *root, *sub, *leaf;
	struct arena *arena;
	struct cert_list untrusted;
	struct collection *collections[4];
	size_t n;
	bool pinned;				/* of collections loaded from now on */
	struct conf_strings policies;
	time_t at;
	struct path_result result;
	char directory[64];
};

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	f->root = testpki_root("Root");
	f->sub = testpki_sub(f->root, "Sub");
	f->leaf = testpki_leaf(f->sub, "a@example.com");
	f->arena = arena_new(0);
	f->at = time(NULL);
	snprintf(f->directory, sizeof(f->directory), "/tmp/test_path.XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < f->n; i++)
		collection_free(f->collections[i]);
	cert_list_clear(&f->untrusted);
	testpki_free(f->leaf);
	testpki_free(f->sub);
	testpki_free(f->root);
	arena_free(f->arena);
	assert_int_equal(rmdir(f->directory), 0);
	test_free(f);
	return 0;
}

static void load(struct fixture *f, const struct buf *anchors, const struct buf *crls, enum revocation_mode mode)
{
	char file[96], crl[96];
	const char *files[] = { file }, *crl_files[] = { crl }, *domains[] = { "*" };
	struct collection_settings settings = { .name = "test", .files = { files, 1 }, .domains = { domains, 1 },
						.revocation = (int)mode, .crls = { crl_files, crls == NULL ? 0 : 1 },
						.pinned = f->pinned, .policies = f->policies };
	struct err err = { 0 };

	snprintf(file, sizeof(file), "%s/ca.pem", f->directory);
	snprintf(crl, sizeof(crl), "%s/crl.pem", f->directory);
	testpki_write(file, anchors, 0644);
	if (crls != NULL)
		testpki_write(crl, crls, 0644);
	f->collections[f->n] = collection_load(&settings, &(struct collection_env){ .report = NULL }, &err);
	unlink(file);
	unlink(crl);
	if (f->collections[f->n++] == NULL)
		fail_msg("%s", err.text);
}

/* A collection of the PEM texts of the n given. */
static void trust(struct fixture *f, const struct testpki *const *pkis, size_t n)
{
	struct buf pem;

	buf_init(&pem, 0);
	for (size_t i = 0; i < n; i++)
		testpki_pem(pkis[i], TESTPKI_CERT, &pem);
	load(f, &pem, NULL, REVOCATION_OFF);
	buf_clear(&pem);
}

static void trust_one(struct fixture *f, const struct testpki *pki)
{
	trust(f, &pki, 1);
}

static void bring(struct fixture *f, const struct testpki *pki)
{
	struct cert *cert = testpki_cert(pki);

	assert_int_equal(cert_list_add(&f->untrusted, cert), 0);
	cert_free(cert);
}

static enum path_chain check(struct fixture *f, const struct testpki *pki)
{
	struct cert *cert = testpki_cert(pki);
	struct path_query query = { .cert = cert, .untrusted = &f->untrusted, .at = f->at,
				    .collections = (const struct collection *const *)f->collections,
				    .collection_count = f->n };
	struct err err = { 0 };

	if (path_check(&query, &f->result, &err) != 0)
		fail_msg("%s", err.text);
	assert_true((f->result.chain == CHAIN_GOOD) == (f->result.collection != NULL));
	assert_true(f->result.chain == CHAIN_GOOD || f->result.detail[0] != '\0');
	assert_true(f->result.chain == CHAIN_GOOD || f->result.revocation == REV_OFF);
	cert_free(cert);
	return f->result.chain;
}

/* The same for a leaf or CA made for the occasion. */
static enum path_chain check_spec(struct fixture *f, const struct testpki *issuer, const struct testpki_spec *spec)
{
	struct testpki *pki = testpki_make(issuer, spec);
	enum path_chain chain = check(f, pki);

	testpki_free(pki);
	return chain;
}

static void a_chain_to_an_anchor_is_good(void **state)
{
	struct fixture *f = *state;

	trust_one(f, f->root);
	bring(f, f->sub);
	assert_int_equal(check(f, f->leaf), CHAIN_GOOD);
	assert_ptr_equal(f->result.collection, f->collections[0]);
	assert_int_equal(f->result.revocation, REV_OFF);
	assert_int_equal(check(f, f->sub), CHAIN_GOOD);
	assert_int_equal(check(f, f->root), CHAIN_GOOD);
}

static void intermediates_come_from_the_collection_too(void **state)
{
	struct fixture *f = *state;
	const struct testpki *both[] = { f->root, f->sub };

	trust(f, both, 2);
	assert_int_equal(check(f, f->leaf), CHAIN_GOOD);
}

static void a_missing_issuer_is_incomplete(void **state)
{
	struct fixture *f = *state;

	trust_one(f, f->root);
	assert_int_equal(check(f, f->leaf), CHAIN_INCOMPLETE);
	assert_string_equal(f->result.detail, "no certificate of the issuer: CN=Sub,O=Test");
}

static void the_messages_root_is_no_anchor(void **state)
{
	struct fixture *f = *state;
	struct testpki *other = testpki_root("Other");

	trust_one(f, other);
	bring(f, f->sub);
	bring(f, f->root);
	assert_int_equal(check(f, f->leaf), CHAIN_UNTRUSTED);
	testpki_free(other);
}

static void a_self_signed_certificate_is_untrusted(void **state)
{
	struct fixture *f = *state;
	struct testpki *alone = testpki_make(NULL, &(struct testpki_spec){ .cn = "Alone", .san = "email:a@b.example" });
	const struct testpki *pinned[] = { f->root, alone };

	trust(f, pinned, 2);
	assert_int_equal(check(f, alone), CHAIN_UNTRUSTED);
	testpki_free(alone);
}

static void an_intermediate_in_the_collection_is_no_anchor(void **state)
{
	struct fixture *f = *state;
	struct testpki *other = testpki_root("Other");
	const struct testpki *both[] = { other, f->sub };

	trust(f, both, 2);
	assert_int_equal(check(f, f->leaf), CHAIN_INCOMPLETE);
	testpki_free(other);
}

static void another_ca_of_the_same_name_is_untrusted(void **state)
{
	struct fixture *f = *state;
	struct testpki *twin = testpki_root("Root"), *plain_twin, *plain;

	trust_one(f, f->root);
	assert_int_equal(check_spec(f, twin, &(struct testpki_spec){ .cn = "x" }), CHAIN_UNTRUSTED);
	bring(f, twin);
	assert_int_equal(check_spec(f, twin, &(struct testpki_spec){ .cn = "x" }), CHAIN_UNTRUSTED);
	/* nothing but the name */
	plain_twin = testpki_make(NULL, &(struct testpki_spec){ .cn = "Root", .ca = true, .no_key_ids = true });
	plain = testpki_make(plain_twin, &(struct testpki_spec){ .cn = "x", .no_key_ids = true });
	assert_int_equal(check(f, plain), CHAIN_UNTRUSTED);
	testpki_free(plain);
	testpki_free(plain_twin);
	testpki_free(twin);
}

/* An old and a new CA key under one name, without key identifiers: the right one is found. */
static void a_renewed_ca_is_found_by_its_signature(void **state)
{
	struct fixture *f = *state;
	const struct testpki_spec ca = { .cn = "Renewed", .ca = true, .no_key_ids = true };
	struct testpki *both[3];

	for (size_t i = 0; i < 3; i++)
		both[i] = testpki_make(NULL, &ca);
	trust(f, (const struct testpki *const *)both, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(check_spec(f, both[i], &(struct testpki_spec){ .cn = "x", .no_key_ids = true }),
				 CHAIN_GOOD);
	for (size_t i = 0; i < 3; i++)
		testpki_free(both[i]);
}

/* A cross-signed intermediate: the way to a stranger's root does not hide the one to ours. */
static void every_way_up_is_tried(void **state)
{
	struct fixture *f = *state;
	struct testpki *stranger = testpki_root("Stranger");
	struct testpki *cross = testpki_make(stranger, &(struct testpki_spec){ .cn = "Sub", .ca = true,
									      .pkey = f->sub->pkey });
	struct testpki *old = testpki_make(f->root, &(struct testpki_spec){ .cn = "Sub", .ca = true,
		.pkey = f->sub->pkey, .not_before = f->at - 9 * DAY_S, .not_after = f->at - DAY_S });

	trust_one(f, f->root);
	bring(f, stranger);
	bring(f, cross);
	bring(f, old);
	assert_int_equal(check(f, f->leaf), CHAIN_EXPIRED);
	bring(f, f->sub);
	assert_int_equal(check(f, f->leaf), CHAIN_GOOD);
	testpki_free(old);
	testpki_free(cross);
	testpki_free(stranger);
}

static void a_changed_certificate_is_bad(void **state)
{
	struct fixture *f = *state;
	struct buf der;
	struct cert *cert;
	struct path_query query = { .untrusted = &f->untrusted, .at = f->at, .collection_count = 1 };

	trust_one(f, f->root);
	bring(f, f->sub);
	buf_init(&der, 0);
	testpki_der(f->leaf, &der);
	der.p[der.n - 1] ^= 1;
	cert = cert_from_der(buf_slice(&der), NULL);
	assert_non_null(cert);
	query.cert = cert;
	query.collections = (const struct collection *const *)f->collections;
	assert_int_equal(path_check(&query, &f->result, NULL), 0);
	assert_int_equal(f->result.chain, CHAIN_BAD);
	cert_free(cert);
	buf_clear(&der);
}

static void validity_counts_at_every_depth(void **state)
{
	struct fixture *f = *state;
	struct testpki *old = testpki_make(f->root, &(struct testpki_spec){ .cn = "Old", .ca = true,
		.not_before = f->at - 9 * DAY_S, .not_after = f->at - DAY_S });

	trust_one(f, f->root);
	bring(f, old);
	bring(f, f->sub);
	assert_int_equal(check_spec(f, old, &(struct testpki_spec){ .cn = "x" }), CHAIN_EXPIRED);
	assert_non_null(strstr(f->result.detail, "expired: CN=Old"));
	assert_int_equal(check_spec(f, f->sub, &(struct testpki_spec){ .not_after = f->at - 10 }), CHAIN_EXPIRED);
	assert_int_equal(check_spec(f, f->sub, &(struct testpki_spec){ .not_before = f->at + 99 }),
			 CHAIN_NOT_YET_VALID);
	f->at += 366 * DAY_S;
	assert_int_equal(check(f, f->leaf), CHAIN_EXPIRED);
	f->at -= 400 * DAY_S;
	assert_int_equal(check(f, f->leaf), CHAIN_NOT_YET_VALID);
	testpki_free(old);
}

static void only_cas_may_issue(void **state)
{
	static const struct testpki_spec specs[] = {
		{ .cn = "Not a CA" },
		{ .cn = "CA false", .basic = "critical,CA:FALSE", .usage = "keyCertSign" },
		{ .cn = "No certSign", .ca = true, .usage = "critical,digitalSignature" },
		{ .cn = "Old digest", .ca = true, .digest = NULL },
		{ .cn = "Short", .ca = true, .key = TESTPKI_RSA1024 },
		{ .cn = "Server", .ca = true, .eku = "serverAuth" },
		{ .cn = "Odd", .ca = true, .extra_oid = "1.2.3.4", .extra_value = "critical,DER:05:00" },
		{ .cn = "Twice", .ca = true, .extra_oid = "2.5.29.19", .extra_value = "DER:30:00" },
	};
	struct fixture *f = *state;

	trust_one(f, f->root);
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct testpki_spec spec = specs[i];
		struct testpki *ca;

		if (i == 3)
			spec.digest = EVP_sha1();
		ca = testpki_make(f->root, &spec);
		bring(f, ca);
		assert_int_equal(check_spec(f, ca, &(struct testpki_spec){ .cn = "x" }), CHAIN_BAD);
		testpki_free(ca);
	}
}

static void constraints_hold(void **state)
{
	struct fixture *f = *state;
	struct testpki *last = testpki_make(f->root, &(struct testpki_spec){ .cn = "Last", .ca = true,
									   .basic = "critical,CA:TRUE,pathlen:0" });
	struct testpki *below = testpki_sub(last, "Below");
	struct testpki *bound = testpki_make(f->root, &(struct testpki_spec){
		.cn = "Bound", .ca = true, .name_constraints = "critical,permitted;email:good.example" });

	trust_one(f, f->root);
	bring(f, last);
	bring(f, below);
	bring(f, bound);
	assert_int_equal(check_spec(f, last, &(struct testpki_spec){ .cn = "x" }), CHAIN_GOOD);
	assert_int_equal(check_spec(f, below, &(struct testpki_spec){ .cn = "x" }), CHAIN_BAD);
	assert_int_equal(check_spec(f, bound, &(struct testpki_spec){ .san = "email:a@good.example" }), CHAIN_GOOD);
	assert_int_equal(check_spec(f, bound, &(struct testpki_spec){ .san = "email:a@bad.example" }), CHAIN_BAD);
	assert_int_equal(check_spec(f, bound, &(struct testpki_spec){ .dn_email = "a@bad.example" }), CHAIN_BAD);
	testpki_free(bound);
	testpki_free(below);
	testpki_free(last);
}

static void the_leafs_strength_and_usage_are_others_matter(void **state)
{
	struct fixture *f = *state;
	struct testpki *rsa = testpki_make(f->root, &(struct testpki_spec){ .cn = "RSA", .ca = true,
									  .key = TESTPKI_RSA2048 });

	trust_one(f, f->root);
	bring(f, rsa);
	assert_int_equal(check_spec(f, rsa, &(struct testpki_spec){ .cn = "x" }), CHAIN_GOOD);
	assert_int_equal(check_spec(f, rsa, &(struct testpki_spec){ .digest = EVP_md5() }), CHAIN_BAD);
	testpki_free(rsa);
	assert_int_equal(check_spec(f, f->root, &(struct testpki_spec){ .key = TESTPKI_RSA1024 }), CHAIN_GOOD);
	assert_int_equal(check_spec(f, f->root, &(struct testpki_spec){ .eku = "serverAuth" }), CHAIN_GOOD);
	assert_int_equal(check_spec(f, f->root, &(struct testpki_spec){ .eku = "anyExtendedKeyUsage" }), CHAIN_GOOD);
	assert_int_equal(check_spec(f, f->root, &(struct testpki_spec){ .usage = "keyAgreement" }), CHAIN_GOOD);
	assert_int_equal(check_spec(f, f->root, &(struct testpki_spec){ .cn = "www.example.com" }), CHAIN_GOOD);
	assert_int_equal(check_spec(f, f->root, &(struct testpki_spec){ .digest = EVP_sha1() }), CHAIN_BAD);
	assert_int_equal(check_spec(f, f->root, &(struct testpki_spec){ .extra_oid = "1.2.3.4",
				    .extra_value = "critical,DER:05:00" }), CHAIN_BAD);
	/* a keyUsage that cannot be read */
	assert_int_equal(check_spec(f, f->root, &(struct testpki_spec){ .extra_oid = "2.5.29.15",
				    .extra_value = "DER:04:01:FF" }), CHAIN_BAD);
}

/* What X509_V_FLAG_X509_STRICT would refuse. */
static void ordinary_private_cas_are_good(void **state)
{
	static const struct testpki_spec specs[] = {
		{ .cn = "No ids", .ca = true, .no_key_ids = true },
		{ .cn = "No usage", .ca = true, .usage = "" },
		{ .cn = "Not critical", .ca = true, .basic = "CA:TRUE", .usage = "keyCertSign" },
		{ .cn = "Ed25519", .ca = true, .key = TESTPKI_ED25519 },
		{ .cn = "RSA", .ca = true, .key = TESTPKI_RSA2048 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct testpki *root = testpki_make(NULL, &specs[i]);

		f->n = 0;
		trust_one(f, root);
		assert_int_equal(check_spec(f, root, &(struct testpki_spec){ .cn = "x", .no_key_ids = i == 0 }),
				 CHAIN_GOOD);
		collection_free(f->collections[0]);
		f->n = 0;
		testpki_free(root);
	}
}

static void the_best_collection_counts(void **state)
{
	struct fixture *f = *state;
	struct testpki *other = testpki_root("Other");

	bring(f, f->sub);
	assert_int_equal(check(f, f->leaf), CHAIN_UNTRUSTED);
	trust_one(f, other);
	assert_int_equal(check(f, f->leaf), CHAIN_INCOMPLETE);
	trust_one(f, f->root);
	trust_one(f, other);
	assert_int_equal(check(f, f->leaf), CHAIN_GOOD);
	assert_ptr_equal(f->result.collection, f->collections[1]);
	testpki_free(other);
}

/* leaf's revocation with CRLs of root and sub as given. */
static enum path_revocation revocation(struct fixture *f, const struct buf *crls, enum revocation_mode mode)
{
	struct buf pem;

	buf_init(&pem, 0);
	testpki_pem(f->root, TESTPKI_CERT, &pem);
	load(f, &pem, crls, mode);
	buf_clear(&pem);
	assert_int_equal(check(f, f->leaf), CHAIN_GOOD);
	collection_free(f->collections[0]);
	f->n = 0;
	return f->result.revocation;
}

static void revocation_is_a_fact_of_its_own(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf, *sub = f->sub;
	struct buf root_crl, good, both;

	bring(f, f->sub);
	buf_init(&root_crl, 0);
	buf_init(&good, 0);
	buf_init(&both, 0);
	testpki_crl(f->root, NULL, 0, 0, 0, true, &root_crl);
	assert_int_equal(revocation(f, &root_crl, REVOCATION_OFF), REV_OFF);
	assert_int_equal(revocation(f, NULL, REVOCATION_SOFT), REV_UNKNOWN);
	assert_int_equal(revocation(f, &root_crl, REVOCATION_SOFT), REV_UNKNOWN);
	buf_append_slice(&good, buf_slice(&root_crl));
	testpki_crl(f->sub, NULL, 0, 0, 0, true, &good);
	assert_int_equal(revocation(f, &good, REVOCATION_SOFT), REV_GOOD);
	assert_int_equal(revocation(f, &good, REVOCATION_HARD), REV_GOOD);
	buf_append_slice(&both, buf_slice(&root_crl));
	testpki_crl(f->sub, &leaf, 1, 0, 0, true, &both);
	assert_int_equal(revocation(f, &both, REVOCATION_SOFT), REV_REVOKED);
	buf_reset(&both);
	buf_append_slice(&both, buf_slice(&root_crl));
	testpki_crl(f->sub, NULL, 0, f->at - 9 * DAY_S, f->at - DAY_S, true, &both);
	assert_int_equal(revocation(f, &both, REVOCATION_SOFT), REV_STALE);
	buf_reset(&both);
	buf_append_slice(&both, buf_slice(&root_crl));
	testpki_crl(f->sub, &leaf, 1, f->at - 9 * DAY_S, f->at - DAY_S, true, &both);
	assert_int_equal(revocation(f, &both, REVOCATION_SOFT), REV_REVOKED);
	buf_reset(&both);
	testpki_crl(f->sub, NULL, 0, 0, 0, true, &both);
	testpki_crl(f->root, &sub, 1, 0, 0, true, &both);
	assert_int_equal(revocation(f, &both, REVOCATION_SOFT), REV_REVOKED);
	buf_clear(&root_crl);
	buf_clear(&good);
	buf_clear(&both);
}

static void is_item(const struct path_proof *proof, size_t i, const char *kind, struct slice bytes)
{
	unsigned char sum[CRYPT_SHA256_BYTES];
	char hex[2 * CRYPT_SHA256_BYTES + 1];
	struct buf content;

	assert_int_equal(crypt_sha256(bytes.p, bytes.n, sum, NULL), 0);
	crypt_hex(sum, sizeof(sum), hex);
	assert_true(i < proof->n);
	assert_string_equal(proof->items[i].kind, kind);
	assert_string_equal(proof->items[i].sha256, hex);
	buf_init(&content, 0);
	assert_int_equal(path_proof_content(&proof->items[i], &content, NULL), 0);
	assert_true(slice_equal(buf_slice(&content), bytes));
	buf_clear(&content);
}

static void is_certificate(const struct path_proof *proof, size_t i, const struct testpki *pki)
{
	struct cert *cert = testpki_cert(pki);

	is_item(proof, i, "certificate", cert_info(cert)->der);
	cert_free(cert);
}

/* The chain, the CRL, the collection's file; the same when the result was remembered. */
static void a_proof_has_all_that_counted(void **state)
{
	struct fixture *f = *state;
	struct cert *cert = testpki_cert(f->leaf);
	struct path_query query = { .cert = cert, .untrusted = &f->untrusted, .at = f->at,
				    .collections = (const struct collection *const *)f->collections };
	struct buf root, of_sub;
	struct path_proof proof;

	bring(f, f->sub);
	buf_init(&root, 0);
	buf_init(&of_sub, 0);
	testpki_pem(f->root, TESTPKI_CERT, &root);
	testpki_crl(f->sub, NULL, 0, 0, 0, false, &of_sub);
	load(f, &root, &of_sub, REVOCATION_SOFT);
	query.collection_count = f->n;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(path_check(&query, &f->result, NULL), 0);
		assert_int_equal(f->result.revocation, REV_UNKNOWN);
		assert_int_equal(path_prove(&query, &f->result, f->arena, &proof, NULL), 0);
		assert_int_equal(proof.n, 5);
		is_certificate(&proof, 0, f->leaf);
		is_certificate(&proof, 1, f->sub);
		is_certificate(&proof, 2, f->root);
		is_item(&proof, 3, "crl", buf_slice(&of_sub));
		is_item(&proof, 4, "collection", buf_slice(&root));
	}
	f->result.chain = CHAIN_UNTRUSTED;
	assert_int_equal(path_prove(&query, &f->result, f->arena, &proof, NULL), 0);
	assert_int_equal(proof.n, 0);
	cert_free(cert);
	buf_clear(&root);
	buf_clear(&of_sub);
}

/* A CRL by somebody else of the CA's name neither clears nor revokes. */
static void a_forged_crl_says_nothing(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;
	/* without key identifiers, which would tell already */
	struct testpki *forger = testpki_make(f->root, &(struct testpki_spec){ .cn = "Sub", .ca = true,
									       .no_key_ids = true });
	struct buf crls;

	bring(f, f->sub);
	buf_init(&crls, 0);
	testpki_crl(f->root, NULL, 0, 0, 0, true, &crls);
	testpki_crl(forger, &leaf, 1, 0, 0, true, &crls);
	assert_int_equal(revocation(f, &crls, REVOCATION_SOFT), REV_UNKNOWN);
	buf_clear(&crls);
	testpki_free(forger);
}

static void revoked_in_one_collection_is_revoked(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf, *root = f->root;
	struct buf pem, crls;

	bring(f, f->sub);
	buf_init(&pem, 0);
	buf_init(&crls, 0);
	testpki_pem(root, TESTPKI_CERT, &pem);
	testpki_crl(f->root, NULL, 0, 0, 0, true, &crls);
	testpki_crl(f->sub, &leaf, 1, 0, 0, true, &crls);
	load(f, &pem, NULL, REVOCATION_HARD);
	assert_int_equal(check(f, f->leaf), CHAIN_GOOD);
	assert_int_equal(f->result.revocation, REV_UNKNOWN);
	load(f, &pem, NULL, REVOCATION_OFF);
	assert_int_equal(check(f, f->leaf), CHAIN_GOOD);
	assert_int_equal(f->result.revocation, REV_OFF);
	load(f, &pem, &crls, REVOCATION_SOFT);
	assert_int_equal(check(f, f->leaf), CHAIN_GOOD);
	assert_int_equal(f->result.revocation, REV_REVOKED);
	buf_clear(&pem);
	buf_clear(&crls);
}

/* Two CAs with many certificates for each other, and no way out: the search ends. */
static void a_crowd_of_cas_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct testpki *other = testpki_root("Other"), *twin = testpki_sub(f->sub, "Twin"), *pki;

	trust_one(f, other);
	for (size_t i = 0; i < 20; i++) {
		pki = testpki_make(f->sub, &(struct testpki_spec){ .cn = "Twin", .ca = true, .pkey = twin->pkey });
		bring(f, pki);
		testpki_free(pki);
		pki = testpki_make(twin, &(struct testpki_spec){ .cn = "Sub", .ca = true, .pkey = f->sub->pkey });
		bring(f, pki);
		testpki_free(pki);
	}
	assert_int_equal(check(f, f->leaf), CHAIN_BAD);
	assert_non_null(strstr(f->result.detail, "too"));
	testpki_free(twin);
	testpki_free(other);
}

/* After a change of keys: two certificates of one CA, and the newer key signs the CRL. */
static void a_crl_by_the_cas_other_key_counts(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;
	struct testpki *other = testpki_root("Other"), *newer = testpki_sub(f->root, "Sub");
	struct testpki *stranger = testpki_sub(other, "Sub");
	struct buf good, bad, strange;

	buf_init(&good, 0);
	buf_init(&bad, 0);
	buf_init(&strange, 0);
	testpki_crl(f->root, NULL, 0, 0, 0, true, &good);
	testpki_crl(newer, NULL, 0, 0, 0, true, &good);
	testpki_crl(f->root, NULL, 0, 0, 0, true, &bad);
	testpki_crl(newer, &leaf, 1, 0, 0, true, &bad);
	testpki_crl(f->root, NULL, 0, 0, 0, true, &strange);
	testpki_crl(stranger, NULL, 0, 0, 0, true, &strange);
	bring(f, f->sub);
	assert_int_equal(revocation(f, &good, REVOCATION_SOFT), REV_UNKNOWN);
	bring(f, stranger);
	assert_int_equal(revocation(f, &strange, REVOCATION_SOFT), REV_UNKNOWN);
	bring(f, newer);
	assert_int_equal(revocation(f, &strange, REVOCATION_SOFT), REV_UNKNOWN);
	assert_int_equal(revocation(f, &good, REVOCATION_SOFT), REV_GOOD);
	assert_int_equal(revocation(f, &bad, REVOCATION_SOFT), REV_REVOKED);
	buf_clear(&good);
	buf_clear(&bad);
	buf_clear(&strange);
	testpki_free(newer);
	testpki_free(stranger);
	testpki_free(other);
}

/* The certificate that signs the CRLs must be valid and good itself. */
static void a_crl_by_a_revoked_or_expired_key_says_nothing(void **state)
{
	struct fixture *f = *state;
	struct testpki *newer = testpki_sub(f->root, "Sub");
	struct testpki *expired = testpki_make(f->root, &(struct testpki_spec){ .cn = "Sub", .ca = true,
										.not_after = f->at - 60 });
	const struct testpki *revoked = newer;
	struct buf by_revoked, by_expired, anchors;

	buf_init(&anchors, 0);
	buf_init(&by_revoked, 0);
	buf_init(&by_expired, 0);
	testpki_crl(f->root, &revoked, 1, 0, 0, true, &by_revoked);
	testpki_crl(newer, NULL, 0, 0, 0, true, &by_revoked);
	testpki_crl(f->root, NULL, 0, 0, 0, true, &by_expired);
	testpki_crl(expired, NULL, 0, 0, 0, true, &by_expired);
	bring(f, f->sub);
	bring(f, newer);
	bring(f, expired);
	assert_int_equal(revocation(f, &by_revoked, REVOCATION_SOFT), REV_UNKNOWN);
	assert_int_equal(revocation(f, &by_expired, REVOCATION_SOFT), REV_UNKNOWN);
	/* nor is it remembered for longer than the key is good */
	testpki_pem(f->root, TESTPKI_CERT, &anchors);
	load(f, &anchors, &by_expired, REVOCATION_SOFT);
	f->at -= 1800;
	assert_int_equal(check(f, f->leaf), CHAIN_GOOD);
	assert_int_equal(f->result.revocation, REV_GOOD);
	f->at += 1800;
	assert_int_equal(check(f, f->leaf), CHAIN_GOOD);
	assert_int_equal(f->result.revocation, REV_UNKNOWN);
	buf_clear(&anchors);
	buf_clear(&by_revoked);
	buf_clear(&by_expired);
	testpki_free(newer);
	testpki_free(expired);
}

/* A collection that follows the directory, and tells the listener what is lacking. */
static void follow(struct fixture *f, const struct revocation_wanted *wanted)
{
	char file[96];
	const char *files[] = { file }, *crls[] = { f->directory }, *domains[] = { "*" }, *hosts[] = { "crl.example" };
	struct collection_settings settings = { .name = "test", .files = { files, 1 }, .domains = { domains, 1 },
						.revocation = REVOCATION_SOFT, .crls = { crls, 1 },
						.fetch_hosts = { hosts, 1 } };
	const struct collection_env env = { .wanted = wanted };

	snprintf(file, sizeof(file), "%s/ca.pem", f->directory);
	testpki_write_pem(file, f->root, TESTPKI_CERT);
	f->collections[f->n] = collection_load(&settings, &env, NULL);
	assert_non_null(f->collections[f->n]);
	f->n++;
	assert_int_equal(unlink(file), 0);
	assert_int_equal(collection_fetch_hosts(f->collections[0])->n, 1);
	assert_string_equal(collection_fetch_hosts(f->collections[0])->items[0], "crl.example");
}

/* Puts bytes in place of the file, and has the collection look. */
static void replace(struct fixture *f, const char *name, struct buf *bytes)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", f->directory, name);
	testpki_write(path, bytes, 0644);
	buf_reset(bytes);
	evidence_store_look(collection_evidence_store(f->collections[0]));
	assert_int_equal(unlink(path), 0);
}

static enum path_revocation ask(struct fixture *f)
{
	assert_int_equal(check(f, f->leaf), CHAIN_GOOD);
	return f->result.revocation;
}

static void new_evidence_counts_at_once(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;
	struct buf crls;

	buf_init(&crls, 0);
	bring(f, f->sub);
	follow(f, NULL);
	assert_int_equal(ask(f), REV_UNKNOWN);
	testpki_crl(f->root, NULL, 0, 0, 0, true, &crls);
	testpki_crl(f->sub, NULL, 0, 0, 0, true, &crls);
	replace(f, "both.pem", &crls);
	assert_int_equal(ask(f), REV_GOOD);
	testpki_crl(f->root, NULL, 0, 0, 0, true, &crls);
	testpki_crl(f->sub, &leaf, 1, 0, 0, true, &crls);
	replace(f, "both.pem", &crls);
	assert_int_equal(ask(f), REV_REVOKED);
	evidence_store_look(collection_evidence_store(f->collections[0]));
	assert_int_equal(ask(f), REV_UNKNOWN);
	buf_clear(&crls);
}

/* The key that signs the CRLs stands beside them. */
static void a_signers_certificate_may_stand_among_the_crls(void **state)
{
	struct fixture *f = *state;
	struct testpki *newer = testpki_sub(f->root, "Sub");
	struct buf crls;

	buf_init(&crls, 0);
	bring(f, f->sub);
	testpki_crl(f->root, NULL, 0, 0, 0, true, &crls);
	testpki_crl(newer, NULL, 0, 0, 0, true, &crls);
	assert_int_equal(revocation(f, &crls, REVOCATION_HARD), REV_UNKNOWN);
	testpki_pem(newer, TESTPKI_CERT, &crls);
	assert_int_equal(revocation(f, &crls, REVOCATION_HARD), REV_GOOD);
	buf_clear(&crls);
	testpki_free(newer);
}

/* So many certificates beside the signer's that the search for his path has used up its signatures: what CRLs need is
 * counted apart, else whoever was revoked could make that unknown. */
static void a_crowd_does_not_hide_a_revocation(void **state)
{
	struct fixture *f = *state;
	const struct testpki_spec junk = { .cn = "Sub", .ca = true, .no_key_ids = true };
	const struct testpki *leaf = f->leaf;
	struct testpki *newer = testpki_sub(f->root, "Sub"), *pki;
	struct buf crls;

	buf_init(&crls, 0);
	testpki_crl(f->root, NULL, 0, 0, 0, true, &crls);
	testpki_crl(newer, &leaf, 1, 0, 0, true, &crls);
	testpki_pem(newer, TESTPKI_CERT, &crls);
	for (int i = 0; i < 98; i++) {
		pki = testpki_make(f->root, &junk);
		bring(f, pki);
		testpki_free(pki);
	}
	bring(f, f->sub);
	assert_int_equal(revocation(f, &crls, REVOCATION_SOFT), REV_REVOKED);
	buf_clear(&crls);
	testpki_free(newer);
}

struct listener {
	struct revocation_wanted wanted;
	const struct fixture *f;
	unsigned times;
};

static void on_wanted(const struct revocation_wanted *self, const struct collection *collection,
		      const struct cert *const *chain, size_t n)
{
	struct listener *listener = (struct listener *)(uintptr_t)self;

	assert_ptr_equal(collection, listener->f->collections[0]);
	assert_int_equal(n, 3);
	assert_true(X509_cmp(cert_x509(chain[0]), listener->f->leaf->x509) == 0);
	assert_true(X509_cmp(cert_x509(chain[2]), listener->f->root->x509) == 0);
	listener->times++;
}

/* How often somebody was told while that was asked for. */
static unsigned told(struct fixture *f, struct listener *listener, enum path_revocation expected)
{
	unsigned before = listener->times;

	assert_int_equal(ask(f), expected);
	assert_int_equal(ask(f), expected);
	return listener->times - before;
}

static void what_is_lacking_is_wanted_once_a_minute(void **state)
{
	struct fixture *f = *state;
	struct listener listener = { { on_wanted }, f, 0 };
	const time_t next = f->at + 4 * 3600;
	struct buf crls;

	buf_init(&crls, 0);
	bring(f, f->sub);
	follow(f, &listener.wanted);
	assert_int_equal(told(f, &listener, REV_UNKNOWN), 1);
	f->at += 50;
	assert_int_equal(told(f, &listener, REV_UNKNOWN), 0);
	f->at += 20;
	assert_int_equal(told(f, &listener, REV_UNKNOWN), 1);
	testpki_crl(f->root, NULL, 0, f->at - 3600, f->at + 365 * DAY_S, true, &crls);
	testpki_crl(f->sub, NULL, 0, next - 8 * 3600, next, true, &crls);
	replace(f, "both.pem", &crls);
	/* that it is in use, then nothing until three quarters of its time are over */
	assert_int_equal(told(f, &listener, REV_GOOD), 1);
	f->at = next - 2 * 3600 - 10;
	assert_int_equal(told(f, &listener, REV_GOOD), 0);
	f->at += 10;
	assert_int_equal(told(f, &listener, REV_GOOD), 1);
	f->at += 61;
	assert_int_equal(told(f, &listener, REV_GOOD), 1);
	f->at = next;
	assert_int_equal(told(f, &listener, REV_STALE), 1);
	buf_clear(&crls);
}

static void nobody_is_told_without_fetch_hosts(void **state)
{
	struct fixture *f = *state;
	struct listener listener = { { on_wanted }, f, 0 };
	const struct collection_env env = { .wanted = &listener.wanted };
	char file[96];
	const char *files[] = { file }, *domains[] = { "*" };
	struct collection_settings settings = { .name = "test", .files = { files, 1 }, .domains = { domains, 1 },
						.revocation = REVOCATION_SOFT };

	snprintf(file, sizeof(file), "%s/ca.pem", f->directory);
	testpki_write_pem(file, f->root, TESTPKI_CERT);
	f->collections[f->n++] = collection_load(&settings, &env, NULL);
	assert_int_equal(unlink(file), 0);
	bring(f, f->sub);
	assert_int_equal(told(f, &listener, REV_UNKNOWN), 0);
}

#define THREADS 4

static void a_pinned_certificate_vouches_for_itself(void **state)
{
	struct fixture *f = *state;
	struct testpki *own = testpki_make(NULL, &(struct testpki_spec){ .cn = "own" });
	struct testpki *odd = testpki_make(NULL, &(struct testpki_spec){ .cn = "odd", .extra_oid = "1.2.3.4",
									 .extra_value = "critical,DER:05:00" });
	const struct testpki *all[] = { f->leaf, own, odd };
	const struct testpki_spec renewed = { .cn = "a@example.com", .pkey = f->leaf->pkey, .san = "email:a@example.com" };
	const struct testpki_spec again = { .cn = "own", .pkey = own->pkey };

	f->pinned = true;
	trust(f, all, 3);
	assert_int_equal(check(f, f->leaf), CHAIN_GOOD);
	assert_int_equal(f->result.revocation, REV_OFF);
	assert_int_equal(check(f, own), CHAIN_GOOD);
	assert_int_equal(check(f, odd), CHAIN_BAD);
	bring(f, f->sub);
	/* the same name and key in another certificate; the CA's other certificates; what it issues itself */
	assert_int_equal(check_spec(f, f->sub, &renewed), CHAIN_INCOMPLETE);
	assert_int_equal(check_spec(f, NULL, &again), CHAIN_UNTRUSTED);
	assert_int_equal(check_spec(f, own, &(struct testpki_spec){ .cn = "x" }), CHAIN_INCOMPLETE);
	f->at += 2 * 365 * DAY_S;
	assert_int_equal(check(f, f->leaf), CHAIN_EXPIRED);
	f->at = time(NULL) - 2 * DAY_S;
	assert_int_equal(check(f, f->leaf), CHAIN_NOT_YET_VALID);
	testpki_free(odd);
	testpki_free(own);
}

/* The collection's PEM text: pinned leaf, and ca where it is not NULL. Each in a collection of its own. */
static enum path_revocation pinned_revocation(struct fixture *f, const struct testpki *ca, const struct buf *crls)
{
	struct buf pem;

	buf_init(&pem, 0);
	testpki_pem(f->leaf, TESTPKI_CERT, &pem);
	if (ca != NULL)
		testpki_pem(ca, TESTPKI_CERT, &pem);
	f->pinned = true;
	load(f, &pem, crls, REVOCATION_SOFT);
	buf_clear(&pem);
	assert_int_equal(check(f, f->leaf), CHAIN_GOOD);
	collection_free(f->collections[--f->n]);
	return f->result.revocation;
}

static void a_pinned_certificate_may_be_revoked(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;
	struct testpki *old = testpki_make(f->root, &(struct testpki_spec){
		.cn = "Sub", .ca = true, .pkey = f->sub->pkey, .not_before = f->at - 9 * DAY_S,
		.not_after = f->at - DAY_S });
	struct testpki *forger = testpki_make(f->root, &(struct testpki_spec){ .cn = "Sub", .ca = true,
									       .no_key_ids = true });
	struct buf good, revoking, forged;

	buf_init(&good, 0);
	buf_init(&revoking, 0);
	buf_init(&forged, 0);
	testpki_crl(f->sub, NULL, 0, 0, 0, true, &good);
	testpki_crl(f->sub, &leaf, 1, 0, 0, true, &revoking);
	testpki_crl(forger, &leaf, 1, 0, 0, true, &forged);
	assert_int_equal(pinned_revocation(f, NULL, NULL), REV_UNKNOWN);
	assert_int_equal(pinned_revocation(f, NULL, &revoking), REV_UNKNOWN);
	assert_int_equal(pinned_revocation(f, f->sub, NULL), REV_UNKNOWN);
	assert_int_equal(pinned_revocation(f, f->sub, &good), REV_GOOD);
	assert_int_equal(pinned_revocation(f, f->sub, &revoking), REV_REVOKED);
	assert_int_equal(pinned_revocation(f, old, &revoking), REV_REVOKED);
	assert_int_equal(pinned_revocation(f, old, &good), REV_UNKNOWN);
	assert_int_equal(pinned_revocation(f, f->sub, &forged), REV_UNKNOWN);
	bring(f, forger);
	bring(f, f->sub);
	assert_int_equal(pinned_revocation(f, NULL, &good), REV_GOOD);
	assert_int_equal(pinned_revocation(f, NULL, &revoking), REV_REVOKED);
	assert_int_equal(pinned_revocation(f, NULL, &forged), REV_UNKNOWN);
	buf_clear(&good);
	buf_clear(&revoking);
	buf_clear(&forged);
	testpki_free(forger);
	testpki_free(old);
}

#define POLICIES "2.5.29.32"
#define ONE "DER:30:07:30:05:06:03:2A:03:01"		/* 1.2.3.1 */
#define ANY_POLICY "DER:30:08:30:06:06:04:55:1D:20:00"

static void one_of_the_policies_is_needed(void **state)
{
	struct fixture *f = *state;
	struct testpki *sub = testpki_make(f->root, &(struct testpki_spec){
		.cn = "P", .ca = true, .extra_oid = POLICIES, .extra_value = ANY_POLICY });
	const struct testpki_spec one = { .cn = "x", .extra_oid = POLICIES, .extra_value = ONE }, none = { .cn = "y" };
	static const struct {
		const char *policies[2];
		size_t n;
		enum path_chain with_one;
	} cases[] = {
		{ { "1.2.3.1" }, 1, CHAIN_GOOD }, { { "1.2.3.2" }, 1, CHAIN_BAD },
		{ { "1.2.3.2", "1.2.3.1" }, 2, CHAIN_GOOD }, { { "2.5.29.32.0" }, 1, CHAIN_GOOD },
	};

	bring(f, sub);
	bring(f, f->sub);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *items[] = { cases[i].policies[0], cases[i].policies[1] };

		f->policies = (struct conf_strings){ items, cases[i].n };
		trust_one(f, f->root);
		assert_int_equal(check_spec(f, sub, &one), cases[i].with_one);
		assert_int_equal(check_spec(f, sub, &none), CHAIN_BAD);
		assert_int_equal(check_spec(f, f->sub, &one), CHAIN_BAD);
		assert_int_equal(check(f, f->root), CHAIN_BAD);
		collection_free(f->collections[--f->n]);
	}
	f->policies = (struct conf_strings){ NULL, 0 };
	trust_one(f, f->root);
	assert_int_equal(check_spec(f, sub, &none), CHAIN_GOOD);
	testpki_free(sub);
}

static void *check_often(void *argument)
{
	const struct path_query *query = argument;
	struct path_result result;
	uintptr_t good = 0;

	for (int i = 0; i < 50; i++)
		good += path_check(query, &result, NULL) == 0 && result.chain == CHAIN_GOOD &&
			result.revocation == REV_REVOKED;
	return (void *)good;
}

static void threads_share_certificates(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;
	struct cert *cert = testpki_cert(f->leaf);
	struct path_query query = { .cert = cert, .untrusted = &f->untrusted, .at = f->at, .collection_count = 1,
				    .collections = (const struct collection *const *)f->collections };
	pthread_t threads[THREADS];
	struct buf pem, crls;
	void *good = NULL;

	buf_init(&pem, 0);
	buf_init(&crls, 0);
	testpki_pem(f->root, TESTPKI_CERT, &pem);
	testpki_crl(f->sub, &leaf, 1, 0, 0, true, &crls);
	load(f, &pem, &crls, REVOCATION_SOFT);
	bring(f, f->sub);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, check_often, &query), 0);
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &good), 0);
		assert_int_equal((uintptr_t)good, 50);
	}
	buf_clear(&pem);
	buf_clear(&crls);
	cert_free(cert);
}

static void names_are_those_of_the_field(void **state)
{
	(void)state;
	assert_string_equal(path_chain_name(CHAIN_NOT_YET_VALID), "not-yet-valid");
	assert_string_equal(path_chain_name(CHAIN_GOOD), "good");
	assert_string_equal(path_revocation_name(REV_STALE), "stale");
	assert_string_equal(path_revocation_name(REV_OFF), "off");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_pinned_certificate_vouches_for_itself), TEST(a_pinned_certificate_may_be_revoked),
		TEST(one_of_the_policies_is_needed),
		TEST(a_chain_to_an_anchor_is_good), TEST(intermediates_come_from_the_collection_too),
		TEST(a_missing_issuer_is_incomplete), TEST(the_messages_root_is_no_anchor),
		TEST(a_self_signed_certificate_is_untrusted), TEST(an_intermediate_in_the_collection_is_no_anchor),
		TEST(another_ca_of_the_same_name_is_untrusted), TEST(a_renewed_ca_is_found_by_its_signature),
		TEST(every_way_up_is_tried), TEST(a_changed_certificate_is_bad), TEST(validity_counts_at_every_depth),
		TEST(only_cas_may_issue), TEST(constraints_hold), TEST(the_leafs_strength_and_usage_are_others_matter),
		TEST(ordinary_private_cas_are_good), TEST(the_best_collection_counts),
		TEST(revocation_is_a_fact_of_its_own), TEST(a_proof_has_all_that_counted), TEST(a_forged_crl_says_nothing),
		TEST(a_crl_by_the_cas_other_key_counts), TEST(a_crl_by_a_revoked_or_expired_key_says_nothing),
		TEST(revoked_in_one_collection_is_revoked), TEST(a_crowd_of_cas_is_bounded),
		TEST(new_evidence_counts_at_once), TEST(a_signers_certificate_may_stand_among_the_crls),
		TEST(a_crowd_does_not_hide_a_revocation),
		TEST(what_is_lacking_is_wanted_once_a_minute), TEST(nobody_is_told_without_fetch_hosts),
		TEST(threads_share_certificates), TEST(names_are_those_of_the_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
