/* test_verify.c - signatures right and wrong, each trap a test of its own: what SPECS A11 rules 8 to 14 and B5 name,
 * and the table of results.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "smime/verdict.h"
#include "support/craft.h"

#define HEADER "From: Alice <alice@example.com>\r\nTo: bob@example.org\r\nSubject: test\r\n"
#define ENTITY "Content-Type: text/plain\r\n\r\nPay 10 to Bob.\r\n\r\nAlice\r\n"

static struct world {
	char directory[64];
	struct testpki *root, *sub, *stranger;	/* stranger: a CA in no collection */
	struct testpki *alice, *bob, *rsa, *under_sub;
	struct collection *trusted;
	/* for each test */
	struct arena *arena;
	struct buf mail, der;
	struct verify_env env;
	const struct collection *collections[2];
	struct layer_list layers;
	struct verdict verdict;
	struct err err;
	time_t now;
} world;

static struct collection *load(const char *name, const char *const *files, size_t n, const char *domain, int revocation,
			       const char *crl)
{
	const char *domains[] = { domain };
	const char *crls[] = { crl };
	const struct collection_settings settings = {
		.name = name, .files = { (const char **)files, n }, .domains = { domains, 1 }, .revocation = revocation,
		.crls = { crls, crl == NULL ? 0 : 1 }, .connect_ms = 1000, .total_ms = 1000,
	};
	struct err err = { 0 };
	struct collection *collection = collection_load(&settings, &(struct collection_env){ .report = NULL }, &err);

	if (collection == NULL)
		fprintf(stderr, "%s\n", err.text);
	assert_non_null(collection);
	return collection;
}

static char *path_of(struct world *w, const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", w->directory, name);
	return path;
}

static int setup_group(void **state)
{
	struct world *w = &world;
	const char *files[1];

	strcpy(w->directory, "/tmp/test_verify.XXXXXX");
	if (mkdtemp(w->directory) == NULL)
		return -1;
	w->root = testpki_root("Root");
	w->sub = testpki_sub(w->root, "Issuing CA");
	w->stranger = testpki_root("Stranger");
	w->alice = testpki_leaf(w->root, "alice@example.com");
	w->bob = testpki_leaf(w->root, "bob@example.org");
	w->rsa = testpki_leaf_rsa(w->root, "alice@example.com");
	w->under_sub = testpki_leaf(w->sub, "alice@example.com");
	files[0] = path_of(w, "root.pem");
	testpki_write_pem(files[0], w->root, TESTPKI_CERT);
	w->trusted = load("partners", files, 1, "*", REVOCATION_OFF, NULL);
	*state = w;
	return 0;
}

static int teardown_group(void **state)
{
	struct world *w = *state;
	char command[128];

	collection_free(w->trusted);
	testpki_free(w->under_sub);
	testpki_free(w->rsa);
	testpki_free(w->bob);
	testpki_free(w->alice);
	testpki_free(w->stranger);
	testpki_free(w->sub);
	testpki_free(w->root);
	snprintf(command, sizeof(command), "rm -rf %s", w->directory);
	return system(command);
}

static int setup(void **state)
{
	struct world *w = *state;

	w->arena = arena_new(0);
	w->now = time(NULL);
	w->collections[0] = w->trusted;
	w->env = (struct verify_env){ .collections = w->collections, .collection_count = 1, .at = w->now };
	w->env.limits.object_bytes = 16u << 20;
	w->env.limits.signer_infos = 16;
	w->env.limits.certificates = 64;
	w->env.limits.cms_layers = 5;
	buf_init(&w->mail, 0);
	buf_init(&w->der, 0);
	return w->arena == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	buf_clear(&w->mail);
	buf_clear(&w->der);
	arena_free(w->arena);
	return 0;
}

/* The result and its reason are those of the worst check, the first of several. */
static void checks_agree(const struct layer *layer)
{
	unsigned worst = layer->known ? RESULT_PASS : RESULT_NONE + 1;
	char reason[512] = "";

	assert_true(layer->check_count > 0);
	for (size_t i = 0; i < layer->check_count; i++) {
		const struct check *check = &layer->checks[i];

		assert_memory_equal(check->rule, "RFC ", 4);
		if (check->result >= worst)
			continue;
		worst = check->result;
		snprintf(reason, sizeof(reason), "%s: %s", check->rule, check->detail);
		if (strcmp(check->detail, layer->reason) == 0)
			snprintf(reason, sizeof(reason), "%s", check->detail);
	}
	assert_int_equal(worst, layer->result);
	assert_string_equal(reason, layer->reason);
}

/* Verifies w->mail. */
static enum result verify(struct world *w)
{
	const struct header_limits limits = { 0 };
	struct message *message = arena_alloc(w->arena, sizeof(*message));
	struct mime *mime = arena_alloc(w->arena, sizeof(*mime));

	assert_int_equal(message_parse(w->arena, buf_slice(&w->mail), &limits, message, &w->err), 0);
	assert_int_equal(mime_parse(w->arena, message, &w->env.limits.mime, mime, &w->err), 0);
	assert_int_equal(verify_message(w->arena, message, mime, &w->env, &w->layers, &w->err), 0);
	for (size_t i = 0; i < w->layers.n; i++)
		if (w->layers.items[i].type == LAYER_SIGNED)
			checks_agree(&w->layers.items[i]);
	verdict_make(&w->layers, &w->verdict);
	return w->verdict.result;
}

/* The signature of craft over ENTITY as clear-signed mail under the header. */
static void make_clear(struct world *w, const char *header, const struct craft *craft)
{
	struct craft detached = *craft;

	detached.detached = craft->other_content == NULL;
	buf_reset(&w->der);
	craft_cms(&detached, slice_of(ENTITY), &w->der);
	buf_reset(&w->mail);
	craft_clear(header, slice_of(ENTITY), buf_slice(&w->der), &w->mail);
}

static void make_opaque(struct world *w, const char *header, const struct craft *craft)
{
	buf_reset(&w->der);
	craft_cms(craft, slice_of(ENTITY), &w->der);
	buf_reset(&w->mail);
	craft_opaque(header, "signed-data", buf_slice(&w->der), &w->mail);
}

static enum result clear(struct world *w, const struct craft *craft)
{
	make_clear(w, HEADER, craft);
	return verify(w);
}

static enum result opaque(struct world *w, const struct craft *craft)
{
	make_opaque(w, HEADER, craft);
	return verify(w);
}

static enum result by(struct world *w, const struct testpki *pki)
{
	return clear(w, &(struct craft){ .signers = { { .pki = pki } } });
}

/* A leaf as spec says, its signature on a mail; *layer stays valid. */
static enum result by_spec(struct world *w, const struct testpki *issuer, const struct testpki_spec *spec)
{
	struct testpki *leaf = testpki_make(issuer, spec);
	enum result result = by(w, leaf);

	testpki_free(leaf);
	return result;
}

/* Every `what` in the mail becomes `with`, of the same length or not. */
static void replace(struct world *w, const char *what, const char *with)
{
	struct buf out;
	size_t n = strlen(what), count = 0;

	buf_init(&out, 0);
	for (size_t i = 0; i < w->mail.n;) {
		if (w->mail.n - i >= n && memcmp(w->mail.p + i, what, n) == 0) {
			assert_int_equal(buf_append_text(&out, with), 0);
			i += n;
			count++;
		} else {
			assert_int_equal(buf_append(&out, w->mail.p + i++, 1), 0);
		}
	}
	assert_true(count > 0);
	buf_reset(&w->mail);
	assert_int_equal(buf_append_slice(&w->mail, buf_slice(&out)), 0);
	buf_clear(&out);
}

static void reason_has(const struct world *w, const char *text)
{
	if (strstr(w->verdict.reason, text) == NULL)
		fail_msg("reason is \"%s\", without \"%s\"", w->verdict.reason, text);
}

/* ---- what passes ---- */

static void clear_signature_passes_with_every_fact(void **state)
{
	struct world *w = *state;
	const struct layer *layer;

	assert_int_equal(by(w, w->alice), RESULT_PASS);
	assert_int_equal(w->layers.n, 1);
	layer = &w->layers.items[0];
	assert_int_equal(layer->layer, 1);
	assert_int_equal(layer->signer_index, 1);
	assert_int_equal(layer->type, LAYER_SIGNED);
	assert_int_equal(layer->integrity, INTEGRITY_GOOD);
	assert_int_equal(layer->chain, CHAIN_GOOD);
	assert_int_equal(layer->revocation, REV_OFF);
	assert_int_equal(layer->algorithm, ALGORITHM_GOOD);
	assert_int_equal(layer->from, FROM_MATCH);
	assert_true(layer->known && layer->chain_known && layer->usage_good && layer->covers_message);
	assert_string_equal(layer->collection, "partners");
	assert_string_equal(layer->signer, "alice@example.com");
	assert_string_equal(layer->digest, "sha256");
	assert_string_equal(layer->signature, "ecdsa");
	assert_string_equal(layer->part, "2");
	assert_string_equal(layer->headers, "unprotected");
	assert_string_equal(layer->reason, "");
	assert_int_equal(layer->bits, 256);
	assert_true(layer->signed_at >= w->now - 5 && layer->signed_at <= w->now + 5);
	assert_non_null(layer->cert);
}

static const struct check *check_of(const struct layer *layer, const char *name)
{
	for (size_t i = 0; i < layer->check_count; i++)
		if (strcmp(layer->checks[i].name, name) == 0)
			return &layer->checks[i];
	fail_msg("no check %s", name);
	return NULL;
}

static void checks_are_told_in_order(void **state)
{
	static const char *const names[] = {
		"structure", "coverage", "content", "content_type", "digest_algorithm", "digest_listed",
		"signature_algorithm", "signed_attributes", "attribute_content_type", "algorithm_protection",
		"message_digest", "certificate", "path", "revocation", "signing_certificate", "signature", "key",
		"usage", "from",
	};
	struct world *w = *state;
	const struct layer *layer = NULL;

	assert_int_equal(by(w, w->alice), RESULT_PASS);
	layer = &w->layers.items[0];
	assert_int_equal(layer->check_count, sizeof(names) / sizeof(names[0]));
	for (size_t i = 0; i < layer->check_count; i++)
		assert_string_equal(layer->checks[i].name, names[i]);
	assert_int_equal(check_of(layer, "revocation")->result, RESULT_NONE);
	assert_string_equal(check_of(layer, "path")->detail, "to an anchor of collection partners");
}

static void a_check_that_fails_does_not_end_the_others(void **state)
{
	struct world *w = *state;
	const struct layer *layer = NULL;

	make_clear(w, HEADER, &(struct craft){ .signers = { { .pki = w->bob } } });
	replace(w, "Pay 10", "Pay 90");
	assert_int_equal(verify(w), RESULT_FAIL);
	layer = &w->layers.items[0];
	assert_int_equal(check_of(layer, "message_digest")->result, RESULT_FAIL);
	assert_string_equal(check_of(layer, "message_digest")->rule, "RFC 5652 5.6");
	assert_int_equal(check_of(layer, "path")->result, RESULT_PASS);
	assert_int_equal(check_of(layer, "from")->result, RESULT_POLICY);
}

static void opaque_signature_passes(void **state)
{
	struct world *w = *state;

	assert_int_equal(opaque(w, &(struct craft){ .signers = { { .pki = w->alice } } }), RESULT_PASS);
	assert_string_equal(w->layers.items[0].part, "1");
	replace(w, "application/pkcs7-mime", "application/x-pkcs7-mime");
	assert_int_equal(verify(w), RESULT_PASS);
	replace(w, "application/x-pkcs7-mime", "application/octet-stream");
	assert_int_equal(verify(w), RESULT_PASS);
}

static void algorithms_in_use_pass(void **state)
{
	struct world *w = *state;
	struct testpki *p384 = testpki_make(w->root, &(struct testpki_spec){ .key = TESTPKI_P384,
		.san = "email:alice@example.com" });

	assert_int_equal(by(w, w->rsa), RESULT_PASS);
	assert_string_equal(w->layers.items[0].signature, "rsa-pkcs1");
	assert_int_equal(w->layers.items[0].bits, 2048);
	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = p384, .md = EVP_sha384() } } }), RESULT_PASS);
	assert_string_equal(w->layers.items[0].digest, "sha384");
	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->rsa, .md = EVP_sha512() } } }),
		RESULT_PASS);
	testpki_free(p384);
}

static void pss_passes(void **state)
{
	struct world *w = *state;
	struct testpki *pss = testpki_make(w->root, &(struct testpki_spec){ .key = TESTPKI_RSA_PSS,
		.san = "email:alice@example.com" });

	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->rsa, .pss = true } } }), RESULT_PASS);
	assert_string_equal(w->layers.items[0].signature, "rsa-pss");
	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->rsa, .pss = true, .salt_bytes = 200 } } }),
			 RESULT_PASS);
	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = pss, .pss = true } } }), RESULT_PASS);
	testpki_free(pss);
}

static void unknown_micalg_is_no_matter(void **state)
{
	struct world *w = *state;

	make_clear(w, HEADER, &(struct craft){ .signers = { { .pki = w->alice } } });
	replace(w, "micalg=sha-256", "micalg=whirlpool");
	assert_int_equal(verify(w), RESULT_PASS);
	replace(w, "micalg=whirlpool;", "");
	assert_int_equal(verify(w), RESULT_PASS);
}

static void old_names_and_bare_protocol_pass(void **state)
{
	struct world *w = *state;

	make_clear(w, HEADER, &(struct craft){ .signers = { { .pki = w->alice } } });
	replace(w, "\"application/pkcs7-signature\"", "application/x-pkcs7-signature");
	replace(w, "Content-Type: application/pkcs7-signature", "Content-Type: application/x-pkcs7-signature");
	assert_int_equal(verify(w), RESULT_PASS);
}

static void key_id_names_the_signer(void **state)
{
	struct world *w = *state;
	struct testpki *twin = testpki_make(w->stranger, &(struct testpki_spec){ .pkey = w->alice->pkey,
		.san = "email:alice@example.com" });

	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->alice, .flags = CMS_USE_KEYID } } }),
			 RESULT_PASS);
	/* RFC 8551 2.6: another certificate with the same key id comes first or not: each is tried. */
	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = twin, .flags = CMS_USE_KEYID } },
						   .extra = { w->alice } }), RESULT_PASS);
	testpki_free(twin);
}

static void signing_certificate_is_checked(void **state)
{
	struct world *w = *state;

	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->alice, .flags = CMS_CADES } } }),
		RESULT_PASS);
	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->alice, .ess = w->alice } } }), RESULT_PASS);
	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->alice, .ess = w->bob } } }), RESULT_FAIL);
	reason_has(w, "signingCertificate");
	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->alice, .ess = w->alice,
		.ess_serial = CRAFT_ESS_SERIAL } } }), RESULT_PASS);
	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->alice, .ess = w->alice,
		.ess_serial = CRAFT_ESS_WRONG_SERIAL } } }), RESULT_FAIL);
	reason_has(w, "signingCertificate");
}

/* ---- the CMS object ---- */

static void no_message_signature_is_none(void **state)
{
	struct world *w = *state;

	assert_int_equal(buf_append_text(&w->mail, HEADER "\r\nhello\r\n"), 0);
	assert_int_equal(verify(w), RESULT_NONE);
	assert_int_equal(w->layers.n, 0);
}

static void content_inside_a_detached_signature_fails(void **state)
{
	struct world *w = *state;

	assert_int_equal(clear(w,
		&(struct craft){ .signers = { { .pki = w->alice } }, .other_content = "Pay 1000000" }),
			 RESULT_FAIL);
	assert_int_equal(w->layers.items[0].integrity, INTEGRITY_BAD);
	reason_has(w, "3.5.3.1");
	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->alice } }, .other_content = ENTITY }),
			 RESULT_FAIL);
}

static void opaque_without_content_is_neutral(void **state)
{
	struct world *w = *state;

	assert_int_equal(opaque(w, &(struct craft){ .signers = { { .pki = w->alice } }, .detached = true }),
		RESULT_NEUTRAL);
	reason_has(w, "3.5.2");
}

static void opaque_with_other_content_fails(void **state)
{
	struct world *w = *state;

	assert_int_equal(opaque(w,
		&(struct craft){ .signers = { { .pki = w->alice } }, .other_content = "Pay 1000000" }),
			 RESULT_FAIL);
	assert_int_equal(w->layers.items[0].integrity, INTEGRITY_BAD);
}

static void no_signed_attributes_are_neutral(void **state)
{
	struct world *w = *state;

	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->alice, .flags = CMS_NOATTR } } }),
			 RESULT_NEUTRAL);
	reason_has(w, "no signed attributes");
	assert_int_equal(w->layers.items[0].integrity, INTEGRITY_UNCHECKED);
}

static void foreign_content_type_is_neutral(void **state)
{
	struct world *w = *state;
	const struct craft craft = { .signers = { { .pki = w->alice } }, .content_type = NID_id_smime_ct_TSTInfo };

	assert_int_equal(clear(w, &craft), RESULT_NEUTRAL);
	reason_has(w, "id-data");
	assert_int_equal(opaque(w, &craft), RESULT_NEUTRAL);
}

static void zero_signers_are_not_signed(void **state)
{
	struct world *w = *state;

	assert_int_equal(clear(w, &(struct craft){ .extra = { w->alice } }), RESULT_NONE);
	assert_int_equal(w->layers.n, 1);
	assert_int_equal(w->layers.items[0].result, RESULT_NONE);
	assert_int_equal(w->layers.items[0].signer_index, 0);
	assert_int_equal(opaque(w, &(struct craft){ .extra = { w->alice } }), RESULT_NONE);
	assert_int_equal(w->layers.n, 1);
	assert_int_equal(opaque(w, &(struct craft){ .extra = { w->alice }, .detached = true }), RESULT_NONE);
	assert_int_equal(w->layers.n, 0);
}

/* What nobody signed does not lend the whole message to the signature inside. */
static void signature_inside_nobodys_covers_a_part(void **state)
{
	struct world *w = *state;
	struct buf inner;

	buf_init(&inner, 0);
	make_clear(w, "", &(struct craft){ .signers = { { .pki = w->alice } } });
	assert_int_equal(buf_append_slice(&inner, buf_slice(&w->mail)), 0);
	buf_clear(&w->der);
	craft_cms(&(struct craft){ .extra = { w->alice } }, buf_slice(&inner), &w->der);
	buf_clear(&w->mail);
	craft_opaque(HEADER, "signed-data", buf_slice(&w->der), &w->mail);
	assert_int_equal(verify(w), RESULT_NONE);
	assert_int_equal(w->layers.n, 2);
	assert_int_equal(w->layers.items[1].result, RESULT_PASS);
	assert_false(w->layers.items[1].covers_message);
	buf_clear(&inner);
}

static void certificate_text_starts_no_field(void **state)
{
	struct world *w = *state;
	struct field *fields = NULL;
	struct slice line;
	size_t n = 0;

	assert_int_equal(by_spec(w, w->root, &(struct testpki_spec){ .san = "email:alice@example.com",
		.cn = "x\";\r\nX-SMIME-Layer: mx; from=match; y=\"", .organisation = "smime=pass; a" }), RESULT_PASS);
	assert_int_equal(verdict_fields(w->arena, &w->verdict, "mx", "r", &fields, &n, &w->err), 0);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++) {
		line = slice_first(fields[i].raw, fields[i].raw.n - 2);
		for (long at; (at = slice_find(line, '\n')) >= 0; line = slice_from(line, (size_t)at + 1))
			assert_int_equal(line.p[at + 1], ' ');
	}
}

static void of_two_signers_the_worst_decides(void **state)
{
	struct world *w = *state;
	struct testpki *mallory = testpki_leaf(w->stranger, "alice@example.com");
	struct testpki *second = testpki_leaf(w->root, "alice@example.com");

	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->alice }, { .pki = second } } }),
		RESULT_PASS);
	assert_int_equal(w->layers.n, 2);
	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->alice }, { .pki = mallory } },
						   .extra = { w->stranger } }), RESULT_FAIL);
	assert_int_equal(w->layers.n, 2);
	assert_int_not_equal(w->layers.items[0].result, w->layers.items[1].result);
	assert_int_equal(w->layers.items[0].layer, w->layers.items[1].layer);
	assert_int_equal(w->layers.items[1].signer_index, 2);
	testpki_free(second);
	testpki_free(mallory);
}

static void trailing_bytes_are_neutral(void **state)
{
	struct world *w = *state;

	craft_cms(&(struct craft){ .signers = { { .pki = w->alice } }, .detached = true }, slice_of(ENTITY), &w->der);
	assert_int_equal(buf_append_text(&w->der, "x"), 0);
	craft_clear(HEADER, slice_of(ENTITY), buf_slice(&w->der), &w->mail);
	assert_int_equal(verify(w), RESULT_NEUTRAL);
	reason_has(w, "bytes behind");
}

static void garbage_in_base64_is_neutral(void **state)
{
	struct world *w = *state;

	make_clear(w, HEADER, &(struct craft){ .signers = { { .pki = w->alice } } });
	replace(w, "base64\r\n\r\n", "base64\r\n\r\n!");
	assert_int_equal(verify(w), RESULT_NEUTRAL);
	assert_false(w->layers.items[0].known);
}

static void unreadable_objects_are_neutral(void **state)
{
	struct world *w = *state;

	craft_opaque(HEADER, "signed-data", slice_of("this is no CMS object at all"), &w->mail);
	assert_int_equal(verify(w), RESULT_NEUTRAL);
	buf_reset(&w->mail);
	craft_opaque(HEADER, "signed-data", slice_of(""), &w->mail);
	assert_int_equal(verify(w), RESULT_NEUTRAL);
	buf_reset(&w->mail);
	craft_clear(HEADER, slice_of(ENTITY), slice_of(""), &w->mail);
	assert_int_equal(verify(w), RESULT_NEUTRAL);
}

static void changed_content_fails(void **state)
{
	struct world *w = *state;

	make_clear(w, HEADER, &(struct craft){ .signers = { { .pki = w->alice } } });
	replace(w, "Pay 10 ", "Pay 99 ");
	assert_int_equal(verify(w), RESULT_FAIL);
	assert_int_equal(w->layers.items[0].integrity, INTEGRITY_BAD);
	assert_int_equal(w->layers.items[0].chain, CHAIN_GOOD);
	reason_has(w, "messageDigest");
}

static void lone_line_feeds_are_not_mended(void **state)
{
	struct world *w = *state;

	make_clear(w, HEADER, &(struct craft){ .signers = { { .pki = w->alice } } });
	replace(w, "Bob.\r\n", "Bob.\n");
	assert_int_equal(verify(w), RESULT_FAIL);
	assert_int_equal(w->layers.items[0].integrity, INTEGRITY_BAD);
}

/* Changes a byte of the object and builds the mail again. */
static void damage(struct world *w, const char *behind, size_t n, size_t distance)
{
	size_t i = 0;

	craft_cms(&(struct craft){ .signers = { { .pki = w->alice } }, .detached = true }, slice_of(ENTITY), &w->der);
	while (i + n < w->der.n && memcmp(w->der.p + i, behind, n) != 0)
		i++;
	assert_true(i + n < w->der.n);
	w->der.p[i + n + distance] ^= 1;
	craft_clear(HEADER, slice_of(ENTITY), buf_slice(&w->der), &w->mail);
}

static void changed_attributes_fail(void **state)
{
	struct world *w = *state;

	damage(w, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05\x31\x0f\x17\x0d", 13, 5);	/* signingTime, a digit */
	assert_int_equal(verify(w), RESULT_FAIL);
	reason_has(w, "5.6");
	buf_reset(&w->mail);
	buf_reset(&w->der);
	damage(w, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04\x31\x22\x04\x20", 13, 7);	/* messageDigest */
	assert_int_equal(verify(w), RESULT_FAIL);
}

static void changed_signature_fails(void **state)
{
	struct world *w = *state;

	craft_cms(&(struct craft){ .signers = { { .pki = w->alice } }, .detached = true }, slice_of(ENTITY), &w->der);
	w->der.p[w->der.n - 1] ^= 1;
	craft_clear(HEADER, slice_of(ENTITY), buf_slice(&w->der), &w->mail);
	assert_int_equal(verify(w), RESULT_FAIL);
	assert_int_equal(w->layers.items[0].integrity, INTEGRITY_BAD);
}

static void missing_certificate_is_permerror(void **state)
{
	struct world *w = *state;

	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->alice, .flags = CMS_NOCERTS } },
						   .extra = { w->bob } }), RESULT_PERMERROR);
	assert_false(w->layers.items[0].chain_known);
	replace(w, "Pay 10 ", "Pay 99 ");
	assert_int_equal(verify(w), RESULT_FAIL);
}

static void weak_algorithms_are_policy(void **state)
{
	struct world *w = *state;
	struct testpki *small = testpki_make(w->root, &(struct testpki_spec){ .key = TESTPKI_RSA1024,
		.san = "email:alice@example.com" });
	struct testpki *sha1 = testpki_make(w->root, &(struct testpki_spec){ .digest = EVP_sha1(),
		.san = "email:alice@example.com" });

	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->rsa, .md = EVP_sha1() } } }),
		RESULT_POLICY);
	assert_int_equal(w->layers.items[0].integrity, INTEGRITY_GOOD);
	assert_int_equal(w->layers.items[0].algorithm, ALGORITHM_WEAK);
	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->rsa, .md = EVP_md5() } } }), RESULT_POLICY);
	assert_string_equal(w->layers.items[0].digest, "md5");
	assert_int_equal(by(w, small), RESULT_POLICY);
	assert_int_equal(w->layers.items[0].bits, 1024);
	assert_int_equal(by(w, sha1), RESULT_FAIL);	/* the CA's signature, not the signer's, is weak */
	assert_int_equal(w->layers.items[0].chain, CHAIN_BAD);
	testpki_free(sha1);
	testpki_free(small);
}

static void unknown_algorithm_is_neutral(void **state)
{
	struct world *w = *state;
	static const char oid[] = "\x2a\x86\x48\xce\x3d\x04\x03\x02\x04";	/* end of ecdsa-with-SHA256 */
	size_t i = 0;

	craft_cms(&(struct craft){ .signers = { { .pki = w->alice } }, .detached = true }, slice_of(ENTITY), &w->der);
	for (i = w->der.n - 9; i > 0 && memcmp(w->der.p + i, oid, 9) != 0; i--)
		;
	assert_true(i > 0);
	w->der.p[i + 7] = 0x63;
	craft_clear(HEADER, slice_of(ENTITY), buf_slice(&w->der), &w->mail);
	assert_int_equal(verify(w), RESULT_NEUTRAL);
	assert_int_equal(w->layers.items[0].algorithm, ALGORITHM_UNSUPPORTED);
	assert_int_equal(w->layers.items[0].integrity, INTEGRITY_UNCHECKED);
	w->der.p[i + 7] = 0x03;		/* ecdsa-with-SHA384 over a SHA-256 */
	buf_reset(&w->mail);
	craft_clear(HEADER, slice_of(ENTITY), buf_slice(&w->der), &w->mail);
	assert_int_equal(verify(w), RESULT_NEUTRAL);
}

static void over_a_limit_is_neutral(void **state)
{
	struct world *w = *state;
	struct testpki *second = testpki_leaf(w->root, "alice@example.com");

	w->env.limits.signer_infos = 1;
	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->alice }, { .pki = second } } }),
		RESULT_NEUTRAL);
	reason_has(w, "more than 1 signers");
	w->env.limits.signer_infos = 2;
	w->env.limits.object_bytes = 200;
	assert_int_equal(opaque(w, &(struct craft){ .signers = { { .pki = w->alice } } }), RESULT_NEUTRAL);
	testpki_free(second);
}

/* Signers that all name the same key identifier, certificates that all bear it, and that many times over. */
static void tries_are_bounded(void **state)
{
	struct world *w = *state;
	struct testpki *twin = testpki_make(w->stranger, &(struct testpki_spec){ .pkey = w->alice->pkey,
		.san = "email:alice@example.com" });
	const struct craft_signer first = { .pki = w->alice, .flags = CMS_USE_KEYID };
	const struct craft_signer other = { .pki = w->alice, .flags = CMS_USE_KEYID | CMS_NOCERTS };
	struct buf part;

	make_clear(w, "", &(struct craft){ .signers = { first, other, other, other }, .extra = { twin } });
	buf_init(&part, 0);
	assert_int_equal(buf_append_slice(&part, buf_slice(&w->mail)), 0);
	buf_reset(&w->mail);
	assert_int_equal(buf_append_text(&w->mail, HEADER "Content-Type: multipart/mixed; boundary=b\r\n\r\n"), 0);
	for (int i = 0; i < 30; i++)
		assert_int_equal(buf_append_text(&w->mail, "\r\n--b\r\n") |
				 buf_append_slice(&w->mail, buf_slice(&part)), 0);
	assert_int_equal(buf_append_text(&w->mail, "\r\n--b--\r\n"), 0);
	buf_clear(&part);
	verify(w);
	assert_int_equal(w->layers.n, 120);
	assert_int_equal(w->layers.items[0].result, RESULT_PASS);
	assert_int_equal(w->layers.items[119].result, RESULT_PERMERROR);
	assert_string_equal(w->layers.items[119].reason, "too many signers and certificates of one name");
	testpki_free(twin);
}

/* ---- trust ---- */

static void usage_follows_rfc_8550(void **state)
{
	struct world *w = *state;
	const char *san = "email:alice@example.com";

	assert_int_equal(by_spec(w, w->root, &(struct testpki_spec){ .san = san, .eku = "serverAuth" }), RESULT_FAIL);
	assert_false(w->layers.items[0].usage_good);
	assert_int_equal(by_spec(w, w->root, &(struct testpki_spec){ .san = san, .eku = "anyExtendedKeyUsage" }),
			 RESULT_PASS);
	assert_int_equal(by_spec(w, w->root, &(struct testpki_spec){ .san = san, .usage = "critical,keyEncipherment" }),
			 RESULT_FAIL);
	assert_int_equal(by_spec(w, w->root, &(struct testpki_spec){ .san = san, .usage = "critical,nonRepudiation" }),
			 RESULT_PASS);
	assert_int_equal(by_spec(w, w->root, &(struct testpki_spec){ .san = san }), RESULT_PASS);
}

static void intermediate_may_come_from_message_or_collection(void **state)
{
	struct world *w = *state;
	const char *files[2] = { path_of(w, "root.pem"), path_of(w, "sub.pem") };
	struct collection *both;

	testpki_write_pem(files[1], w->sub, TESTPKI_CERT);
	both = load("both", files, 2, "*", REVOCATION_OFF, NULL);
	assert_int_equal(by(w, w->under_sub), RESULT_PERMERROR);
	assert_int_equal(w->layers.items[0].chain, CHAIN_INCOMPLETE);
	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = w->under_sub } }, .extra = { w->sub } }),
			 RESULT_PASS);
	w->collections[0] = both;
	assert_int_equal(by(w, w->under_sub), RESULT_PASS);
	collection_free(both);
}

static void validity_is_checked_at_the_given_time(void **state)
{
	struct world *w = *state;
	const char *san = "email:alice@example.com";

	assert_int_equal(by_spec(w, w->root, &(struct testpki_spec){ .san = san, .not_after = w->now - 60 }),
		RESULT_FAIL);
	assert_int_equal(w->layers.items[0].chain, CHAIN_EXPIRED);
	assert_int_equal(by_spec(w, w->root, &(struct testpki_spec){ .san = san, .not_before = w->now + 3600 }),
			 RESULT_FAIL);
	assert_int_equal(w->layers.items[0].chain, CHAIN_NOT_YET_VALID);
	w->env.at = w->now + 2 * 365 * 86400;
	assert_int_equal(by(w, w->alice), RESULT_FAIL);
	assert_int_equal(w->layers.items[0].chain, CHAIN_EXPIRED);
}

static void certificates_of_the_message_are_no_anchors(void **state)
{
	struct world *w = *state;
	struct testpki *mallory = testpki_leaf(w->stranger, "alice@example.com");
	struct testpki *self = testpki_make(NULL, &(struct testpki_spec){ .san = "email:alice@example.com" });

	assert_int_equal(clear(w, &(struct craft){ .signers = { { .pki = mallory } }, .extra = { w->stranger } }),
			 RESULT_FAIL);
	assert_int_equal(w->layers.items[0].chain, CHAIN_UNTRUSTED);
	assert_int_equal(w->layers.items[0].integrity, INTEGRITY_GOOD);
	assert_null(w->layers.items[0].collection);
	assert_int_equal(by(w, self), RESULT_FAIL);
	w->env.collection_count = 0;
	assert_int_equal(by(w, w->alice), RESULT_FAIL);
	testpki_free(self);
	testpki_free(mallory);
}

static void revocation_decides(void **state)
{
	struct world *w = *state;
	const char *files[1] = { path_of(w, "root.pem") };
	const char *crl = path_of(w, "root.crl");
	const struct testpki *revoked[1] = { w->alice };
	struct collection *soft, *hard;
	struct buf bytes;

	buf_init(&bytes, 0);
	testpki_crl(w->root, revoked, 1, 0, 0, true, &bytes);
	testpki_write(crl, &bytes, 0644);
	soft = load("soft", files, 1, "*", REVOCATION_SOFT, crl);
	w->collections[0] = soft;
	assert_int_equal(by(w, w->alice), RESULT_FAIL);
	assert_int_equal(w->layers.items[0].revocation, REV_REVOKED);
	assert_int_equal(by(w, w->rsa), RESULT_PASS);
	assert_int_equal(w->layers.items[0].revocation, REV_GOOD);
	hard = load("hard", files, 1, "*", REVOCATION_HARD, NULL);
	w->collections[0] = hard;
	assert_int_equal(by(w, w->rsa), RESULT_TEMPERROR);
	assert_int_equal(w->layers.items[0].revocation, REV_UNKNOWN);
	collection_free(soft);
	collection_free(hard);
	buf_clear(&bytes);
}

/* The list went out of date a day ago: soft lets that pass, hard tries later. */
static void what_is_out_of_date_is_stale(void **state)
{
	struct world *w = *state;
	const char *files[1] = { path_of(w, "root.pem") };
	const char *crl = path_of(w, "root.crl");
	const time_t day_s = 24 * 3600;
	struct collection *collections[] = { NULL, NULL, NULL };
	struct buf bytes;

	buf_init(&bytes, 0);
	testpki_crl(w->root, NULL, 0, time(NULL) - 9 * day_s, time(NULL) - day_s, true, &bytes);
	testpki_write(crl, &bytes, 0644);
	collections[0] = load("soft", files, 1, "*", REVOCATION_SOFT, crl);
	collections[1] = load("hard", files, 1, "*", REVOCATION_HARD, crl);
	collections[2] = load("soft", files, 1, "*", REVOCATION_SOFT, NULL);
	w->collections[0] = collections[0];
	assert_int_equal(by(w, w->rsa), RESULT_PASS);
	assert_int_equal(w->layers.items[0].revocation, REV_STALE);
	w->collections[0] = collections[1];
	assert_int_equal(by(w, w->rsa), RESULT_TEMPERROR);
	assert_int_equal(w->layers.items[0].revocation, REV_STALE);
	w->collections[0] = collections[2];
	assert_int_equal(by(w, w->rsa), RESULT_PASS);
	assert_int_equal(w->layers.items[0].revocation, REV_UNKNOWN);
	for (size_t i = 0; i < 3; i++)
		collection_free(collections[i]);
	buf_clear(&bytes);
}

static void a_collection_vouches_for_its_domains_only(void **state)
{
	struct world *w = *state;
	const char *files[1] = { path_of(w, "root.pem") };
	const char *stranger_files[1] = { path_of(w, "stranger.pem") };
	struct collection *other = load("other", files, 1, "partner.example", REVOCATION_OFF, NULL);
	struct collection *stranger = NULL;

	testpki_write_pem(stranger_files[0], w->stranger, TESTPKI_CERT);
	stranger = load("stranger", stranger_files, 1, "*", REVOCATION_OFF, NULL);
	w->collections[0] = other;
	assert_int_equal(by(w, w->alice), RESULT_FAIL);
	assert_int_equal(w->layers.items[0].chain, CHAIN_UNTRUSTED);
	reason_has(w, "no collection may vouch");
	w->collections[1] = w->trusted;
	w->env.collection_count = 2;
	assert_int_equal(by(w, w->alice), RESULT_PASS);
	assert_string_equal(w->layers.items[0].collection, "partners");
	w->collections[1] = stranger;		/* may vouch, but cannot: the issuer is known all the same */
	assert_int_equal(by(w, w->alice), RESULT_FAIL);
	assert_int_equal(w->layers.items[0].chain, CHAIN_UNTRUSTED);
	reason_has(w, "no collection may vouch");
	collection_free(stranger);
	collection_free(other);
}

/* ---- identity ---- */

static enum result from(struct world *w, const char *header)
{
	make_clear(w, header, &(struct craft){ .signers = { { .pki = w->alice } } });
	return verify(w);
}

static void from_is_compared_without_case(void **state)
{
	struct world *w = *state;

	assert_int_equal(from(w, "From: ALICE@EXAMPLE.com\r\n"), RESULT_PASS);
	assert_int_equal(from(w, "FROM: \"Smith, Alice\" <Alice@example.COM>\r\n"), RESULT_PASS);
}

static void other_address_is_policy(void **state)
{
	struct world *w = *state;

	assert_int_equal(from(w, "From: ceo@example.com\r\n"), RESULT_POLICY);
	assert_int_equal(w->layers.items[0].from, FROM_MISMATCH);
	assert_string_equal(w->layers.items[0].signer, "alice@example.com");
	assert_int_equal(from(w, "From: \"alice@example.com\" <ceo@example.com>\r\n"), RESULT_POLICY);
	assert_int_equal(w->layers.items[0].from, FROM_MISMATCH);
	assert_int_equal(from(w, "From: ceo@example.com\r\nReply-To: alice@example.com\r\n"), RESULT_POLICY);
	assert_int_equal(w->layers.items[0].from, FROM_MISMATCH);
}

static void sender_alone_is_policy(void **state)
{
	struct world *w = *state;

	assert_int_equal(from(w, "From: ceo@example.com\r\nSender: alice@example.com\r\n"), RESULT_POLICY);
	assert_int_equal(w->layers.items[0].from, FROM_SENDER);
	assert_int_equal(from(w, "From: alice@example.com\r\nSender: list@example.net\r\n"), RESULT_PASS);
	assert_int_equal(from(w, "From: ceo@example.com\r\nSender: alice@example.com\r\nSender: x@example.com\r\n"),
			 RESULT_POLICY);
	assert_int_equal(w->layers.items[0].from, FROM_MISMATCH);
}

static void from_tricks_are_ambiguous(void **state)
{
	struct world *w = *state;
	static const char *const headers[] = {
		"From: alice@example.com\r\nFrom: ceo@example.com\r\n",
			"From: ceo@example.com\r\nFrom: alice@example.com\r\n",
		"From: alice@example.com, ceo@example.com\r\n", "From: ceo@example.com, alice@example.com\r\n",
		"From: staff: alice@example.com;\r\n", "From: alice@example.com <ceo@example.com>\r\n",
		"From: <alice@example.com> <ceo@example.com>\r\n", "From: =?utf-8?q?alice=40example=2Ecom?=\r\n",
		"From: alice@example.com\x01\r\n", "From:\r\n", "Subject: no From at all\r\n",
		"From: alice@example.com\r\nFROM: alice@example.com\r\n",
		"From: \"ceo@example.com\" <alice@example.com>\r\n", "From: alice@example.com (ceo@example.com)\r\n",
		"From: =?utf-8?q?ceo=40example=2Ecom?= <alice@example.com>\r\n", "From: alice@example.com.\r\n",
	};

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		assert_int_equal(from(w, headers[i]), RESULT_POLICY);
		if (w->layers.items[0].from != FROM_AMBIGUOUS)
			fail_msg("from is %s for %s", from_match_name(w->layers.items[0].from), headers[i]);
	}
}

static void certificate_without_address_is_policy(void **state)
{
	struct world *w = *state;

	assert_int_equal(by_spec(w, w->root, &(struct testpki_spec){ .cn = "alice@example.com" }), RESULT_POLICY);
	assert_int_equal(w->layers.items[0].from, FROM_NO_ADDRESS);
	assert_null(w->layers.items[0].signer);
}

static void address_in_the_name_counts(void **state)
{
	struct world *w = *state;

	assert_int_equal(by_spec(w, w->root, &(struct testpki_spec){ .dn_email = "alice@example.com" }), RESULT_PASS);
	assert_int_equal(by_spec(w, w->root,
		&(struct testpki_spec){ .san = "email:bob@example.org,email:alice@example.com" }),
			 RESULT_PASS);
	assert_string_equal(w->layers.items[0].signer, "alice@example.com");
}

static void accepted_gateways_sign_for_their_domain(void **state)
{
	struct world *w = *state;
	struct testpki *gateway = testpki_leaf(w->root, "gateway@partner.example");
	const char *header = "From: anybody@partner.example\r\n";
	struct pattern pattern;
	const struct pattern_list list = { &pattern, 1 };
	struct address address;
	const char *sha256[1];
	struct cert *cert = testpki_cert(gateway);

	assert_int_equal(address_parse(w->arena, slice_of("gateway@partner.example"), &address, &w->err), 0);
	assert_int_equal(pattern_parse_address(w->arena, "*@partner.example", &pattern, &w->err), 0);
	w->env.accept_addresses = &address;
	w->env.accept_address_count = 1;
	make_clear(w, header, &(struct craft){ .signers = { { .pki = gateway } } });
	assert_int_equal(verify(w), RESULT_POLICY);	/* the rule has no `from` */
	w->env.accept_from = &list;
	assert_int_equal(verify(w), RESULT_PASS);
	assert_int_equal(w->layers.items[0].from, FROM_DOMAIN);
	w->env.accept_address_count = 0;
	assert_int_equal(verify(w), RESULT_POLICY);
	sha256[0] = cert_info(cert)->sha256;
	w->env.accept_sha256 = sha256;
	w->env.accept_sha256_count = 1;
	assert_int_equal(verify(w), RESULT_PASS);
	replace(w, "anybody@partner.example", "alice@example.com");
	assert_int_equal(verify(w), RESULT_POLICY);
	assert_int_equal(w->layers.items[0].from, FROM_MISMATCH);
	cert_free(cert);
	testpki_free(gateway);
}

/* ---- coverage and shape ---- */

static void wrap_signed(struct world *w, const char *before, const char *after)
{
	struct buf inner;

	buf_init(&inner, 0);
	make_clear(w, "", &(struct craft){ .signers = { { .pki = w->alice } } });
	assert_int_equal(buf_append_slice(&inner, buf_slice(&w->mail)), 0);
	buf_reset(&w->mail);
	assert_int_equal(buf_append_text(&w->mail, before), 0);
	assert_int_equal(buf_append_slice(&w->mail, buf_slice(&inner)), 0);
	assert_int_equal(buf_append_text(&w->mail, after), 0);
	buf_clear(&inner);
}

static void signed_part_in_mixed_covers_a_part(void **state)
{
	struct world *w = *state;

	wrap_signed(w, HEADER "Content-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\n\r\nPay 1000000!\r\n"
		    "--outer\r\n", "\r\n--outer--\r\n");
	assert_int_equal(verify(w), RESULT_NONE);
	assert_int_equal(w->layers.n, 1);
	assert_false(w->layers.items[0].covers_message);
	assert_int_equal(w->layers.items[0].result, RESULT_PASS);
	assert_string_equal(w->layers.items[0].part, "2.2");
}

static void lone_part_of_a_mixed_covers_a_part(void **state)
{
	struct world *w = *state;

	wrap_signed(w, HEADER "Content-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\n", "\r\n--outer--\r\n");
	assert_int_equal(verify(w), RESULT_NONE);
	assert_false(w->layers.items[0].covers_message);
}

static void forwarded_message_covers_a_part(void **state)
{
	struct world *w = *state;

	wrap_signed(w, HEADER "Content-Type: message/rfc822\r\n\r\n" HEADER, "");
	assert_int_equal(verify(w), RESULT_NONE);
	assert_int_equal(w->layers.n, 1);
	assert_false(w->layers.items[0].covers_message);
}

static void shape_of_multipart_signed(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *what, *with, *reason;
	} cases[] = {
		{ "\r\n--=-cut--", "\r\n--=-cut\r\n\r\nthird\r\n--=-cut--", "exactly two parts" },
		{ "\r\n--=-cut--\r\n", "\r\n", "closing delimiter" },
		{ "MIME-Version: 1.0\r\n", "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n",
			"transfer encoding" },
		{ "\r\n\r\nThis is a signed message.", "\r\nContent-Type: text/plain\r\n\r\nx", "twice" },
		{ "boundary=\"=-cut\"", "boundary=\"=-cut\"; boundary=\"=-other\"", "boundary" },
		{ "boundary=\"=-cut\"", "boundary*=us-ascii''%3D-cut", "boundary" },
		{ "boundary=", "x=\"=?utf-8?q?=22=3B_boundary=3Dz=3B?=\"; boundary=", "boundary" },
		{ "boundary=", "x; boundary=", "parameter" },
		{ "boundary=", "x=y z; boundary=", "parameter" },
		{ "This is a signed message.", "x\r\n--=-cut\r\r\n\r\ny", "some readers show" },
		{ "Content-Type: application/pkcs7-signature", "Content-Type: application/pgp-signature",
			"second part" },
		{ "protocol=\"application/pkcs7-signature\"", "protocol=\"application/pgp-signature\"", "protocol" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make_clear(w, HEADER, &(struct craft){ .signers = { { .pki = w->alice } } });
		replace(w, cases[i].what, cases[i].with);
		assert_int_equal(verify(w), RESULT_NEUTRAL);
		reason_has(w, cases[i].reason);
	}
}

static void first_type_of_two_does_not_hide_a_signature(void **state)
{
	struct world *w = *state;

	make_opaque(w, HEADER, &(struct craft){ .signers = { { .pki = w->alice } } });
	replace(w, "name=smime.p7m\r\n", "name=smime.p7m\r\nContent-Type: text/html\r\n");
	assert_int_equal(verify(w), RESULT_NEUTRAL);
	replace(w, "Content-Type: text/html\r\n", "");
	replace(w, "MIME-Version: 1.0\r\n", "MIME-Version: 1.0\r\nContent-Type: text/html\r\n");
	assert_true(verify(w) == RESULT_NONE || verify(w) == RESULT_NEUTRAL);
}

static void type_of_an_object_is_plain(void **state)
{
	struct world *w = *state;

	make_opaque(w, HEADER, &(struct craft){ .signers = { { .pki = w->alice } } });
	assert_int_equal(verify(w), RESULT_PASS);
	replace(w, "application/pkcs7-mime", "(=?utf-8?q?=29_text/html=3B?=) application/pkcs7-mime");
	assert_int_equal(verify(w), RESULT_NEUTRAL);
	reason_has(w, "readers differ");
}

static void preamble_and_epilogue_are_no_matter(void **state)
{
	struct world *w = *state;

	make_clear(w, HEADER, &(struct craft){ .signers = { { .pki = w->alice } } });
	assert_int_equal(buf_append_text(&w->mail, "an epilogue\r\n"), 0);
	assert_int_equal(verify(w), RESULT_PASS);
}

/* ---- layers ---- */

static void nested_signatures_both_cover(void **state)
{
	struct world *w = *state;
	struct buf inner;

	buf_init(&inner, 0);
	make_opaque(w, "", &(struct craft){ .signers = { { .pki = w->alice } } });
	assert_int_equal(buf_append_slice(&inner, buf_slice(&w->mail)), 0);
	buf_reset(&w->der);
	craft_cms(&(struct craft){ .signers = { { .pki = w->rsa } } }, buf_slice(&inner), &w->der);
	buf_reset(&w->mail);
	craft_opaque(HEADER, "signed-data", buf_slice(&w->der), &w->mail);
	assert_int_equal(verify(w), RESULT_PASS);
	assert_int_equal(w->layers.n, 2);
	assert_int_equal(w->layers.items[1].layer, 2);
	assert_true(w->layers.items[1].covers_message);
	assert_string_equal(w->layers.items[1].part, "1/1");
	w->env.limits.cms_layers = 1;
	assert_int_equal(verify(w), RESULT_NEUTRAL);
	reason_has(w, "cms_layers");
	buf_clear(&inner);
}

static void clear_inside_clear(void **state)
{
	struct world *w = *state;
	struct buf inner;

	buf_init(&inner, 0);
	make_clear(w, "", &(struct craft){ .signers = { { .pki = w->bob } } });
	replace(w, "=-cut", "=-inner");
	assert_int_equal(buf_append_slice(&inner, buf_slice(&w->mail)), 0);
	buf_reset(&w->der);
	craft_cms(&(struct craft){ .signers = { { .pki = w->alice } }, .detached = true }, buf_slice(&inner), &w->der);
	buf_reset(&w->mail);
	craft_clear(HEADER, buf_slice(&inner), buf_slice(&w->der), &w->mail);
	assert_int_equal(verify(w), RESULT_POLICY);	/* the worst decides: Bob's address is not From's */
	assert_int_equal(w->layers.n, 2);
	assert_int_equal(w->layers.items[0].result, RESULT_PASS);
	assert_int_equal(w->layers.items[1].from, FROM_MISMATCH);
	assert_string_equal(w->layers.items[1].part, "1.2");
	buf_clear(&inner);
}

static void unopened_envelope_is_neutral(void **state)
{
	struct world *w = *state;

	craft_envelope(w->rsa, EVP_aes_256_cbc(), slice_of(ENTITY), &w->der);
	craft_opaque(HEADER, "enveloped-data", buf_slice(&w->der), &w->mail);
	assert_int_equal(verify(w), RESULT_NEUTRAL);
	assert_string_equal(w->verdict.reason, "encrypted");
	assert_int_equal(w->layers.items[0].type, LAYER_ENVELOPED);
	assert_string_equal(w->layers.items[0].cipher, "aes256-cbc");
	assert_string_equal(w->layers.items[0].envelope_result, "kept");
	buf_reset(&w->der);
	buf_reset(&w->mail);
	craft_envelope(w->rsa, EVP_aes_128_gcm(), slice_of(ENTITY), &w->der);
	craft_opaque(HEADER, "authEnveloped-data", buf_slice(&w->der), &w->mail);
	assert_int_equal(verify(w), RESULT_NEUTRAL);
	assert_int_equal(w->layers.items[0].type, LAYER_AUTH_ENVELOPED);
	assert_string_equal(w->layers.items[0].cipher, "aes128-gcm");
}

/* What is wrong with an envelope shows in its field, and a limit is one of the configuration. */
static void broken_envelope_is_named(void **state)
{
	struct world *w = *state;
	struct field *fields = NULL;
	size_t n = 0;

	craft_envelope(w->rsa, EVP_aes_256_cbc(), slice_of(ENTITY), &w->der);
	assert_int_equal(buf_append_text(&w->der, "plain"), 0);
	craft_opaque(HEADER, "enveloped-data", buf_slice(&w->der), &w->mail);
	assert_int_equal(verify(w), RESULT_NEUTRAL);
	reason_has(w, "RFC 5652 3: the CMS object");
	assert_string_equal(w->layers.items[0].envelope_result, "failed");
	assert_string_equal(w->layers.items[0].cipher, "aes256-cbc");
	assert_false(w->layers.items[0].sealed);
	assert_int_equal(verdict_fields(w->arena, &w->verdict, "mx", "in", &fields, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_non_null(strstr(arena_string(w->arena, fields[1].raw), "result=failed"));
	assert_non_null(strstr(arena_string(w->arena, fields[1].raw), "reason=\"RFC 5652 3"));
	buf_reset(&w->der);
	buf_reset(&w->mail);
	craft_envelope(w->rsa, EVP_des_ede3_cbc(), slice_of(ENTITY), &w->der);
	craft_opaque(HEADER, "enveloped-data", buf_slice(&w->der), &w->mail);
	assert_int_equal(verify(w), RESULT_NEUTRAL);
	reason_has(w, "RFC 8551 2.7");
	assert_string_equal(w->layers.items[0].envelope_result, "failed");
	assert_true(w->layers.items[0].sealed);
}

static void signature_around_an_envelope_counts(void **state)
{
	struct world *w = *state;
	struct buf inner;

	buf_init(&inner, 0);
	craft_envelope(w->rsa, EVP_aes_256_cbc(), slice_of(ENTITY), &w->der);
	craft_opaque("", "enveloped-data", buf_slice(&w->der), &inner);
	buf_reset(&w->der);
	craft_cms(&(struct craft){ .signers = { { .pki = w->alice } }, .detached = true }, buf_slice(&inner), &w->der);
	craft_clear(HEADER, buf_slice(&inner), buf_slice(&w->der), &w->mail);
	assert_int_equal(verify(w), RESULT_PASS);
	assert_int_equal(w->layers.n, 2);
	assert_string_equal(w->layers.items[1].part, "1");
	assert_null(w->layers.items[0].headers);
	buf_clear(&inner);
}

static void many_certificates_are_bounded(void **state)
{
	struct world *w = *state;
	struct buf part;

	make_opaque(w, "", &(struct craft){ .signers = { { .pki = w->alice } } });
	buf_init(&part, 0);
	assert_int_equal(buf_append_slice(&part, buf_slice(&w->mail)), 0);
	buf_reset(&w->mail);
	assert_int_equal(buf_append_text(&w->mail, HEADER "Content-Type: multipart/mixed; boundary=b\r\n\r\n"), 0);
	for (int i = 0; i < 9; i++)
		assert_int_equal(buf_append_text(&w->mail, "--b\r\n") | buf_append_slice(&w->mail, buf_slice(&part)), 0);
	assert_int_equal(buf_append_text(&w->mail, "--b--\r\n"), 0);
	buf_clear(&part);
	w->env.limits.certificates = 2;
	verify(w);
	assert_int_equal(w->layers.n, 9);
	assert_int_equal(w->layers.items[7].result, RESULT_PASS);
	assert_int_equal(w->layers.items[8].result, RESULT_NEUTRAL);
	assert_string_equal(w->layers.items[8].reason, "too many certificates in one message");
}

static void many_objects_are_bounded(void **state)
{
	struct world *w = *state;

	make_opaque(w, "", &(struct craft){ .signers = { { .pki = w->alice } } });
	{
		struct buf part;

		buf_init(&part, 0);
		assert_int_equal(buf_append_slice(&part, buf_slice(&w->mail)), 0);
		buf_reset(&w->mail);
		assert_int_equal(buf_append_text(&w->mail, HEADER "Content-Type: multipart/mixed; boundary=b\r\n\r\n"),
			0);
		for (int i = 0; i < 60; i++) {
			assert_int_equal(buf_append_text(&w->mail, "--b\r\n"), 0);
			assert_int_equal(buf_append_slice(&w->mail, buf_slice(&part)), 0);
		}
		assert_int_equal(buf_append_text(&w->mail, "--b--\r\n"), 0);
		buf_clear(&part);
	}
	assert_int_equal(verify(w), RESULT_NONE);
	assert_int_equal(w->layers.n, 33);
	assert_int_equal(w->layers.items[32].result, RESULT_NEUTRAL);
}

static void detached_verification_does_not_hold_the_content(void **state)
{
	struct world *w = *state;
	struct buf entity;

	buf_init(&entity, 0);
	assert_int_equal(buf_append_text(&entity, "Content-Type: text/plain\r\n\r\n"), 0);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(buf_append_text(&entity,
			"a line of text that is signed with all the others.......\r\n"), 0);
	craft_cms(&(struct craft){ .signers = { { .pki = w->alice } }, .detached = true }, buf_slice(&entity), &w->der);
	craft_clear(HEADER, buf_slice(&entity), buf_slice(&w->der), &w->mail);
	assert_int_equal(verify(w), RESULT_PASS);
	assert_true(arena_used(w->arena) < 100000);
	buf_clear(&entity);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(clear_signature_passes_with_every_fact), TEST(checks_are_told_in_order), TEST(a_check_that_fails_does_not_end_the_others),
		TEST(opaque_signature_passes),
			TEST(algorithms_in_use_pass),
		TEST(pss_passes), TEST(unknown_micalg_is_no_matter), TEST(old_names_and_bare_protocol_pass),
		TEST(key_id_names_the_signer), TEST(signing_certificate_is_checked), TEST(no_message_signature_is_none),
		TEST(content_inside_a_detached_signature_fails), TEST(opaque_without_content_is_neutral),
		TEST(opaque_with_other_content_fails), TEST(no_signed_attributes_are_neutral),
		TEST(foreign_content_type_is_neutral), TEST(zero_signers_are_not_signed), TEST(signature_inside_nobodys_covers_a_part),
		TEST(certificate_text_starts_no_field), TEST(of_two_signers_the_worst_decides),
			TEST(trailing_bytes_are_neutral),
		TEST(garbage_in_base64_is_neutral), TEST(unreadable_objects_are_neutral), TEST(changed_content_fails),
		TEST(lone_line_feeds_are_not_mended), TEST(changed_attributes_fail), TEST(changed_signature_fails),
		TEST(missing_certificate_is_permerror), TEST(weak_algorithms_are_policy),
			TEST(unknown_algorithm_is_neutral),
		TEST(over_a_limit_is_neutral), TEST(tries_are_bounded), TEST(usage_follows_rfc_8550),
		TEST(intermediate_may_come_from_message_or_collection), TEST(validity_is_checked_at_the_given_time),
		TEST(certificates_of_the_message_are_no_anchors), TEST(revocation_decides),
		TEST(what_is_out_of_date_is_stale),
		TEST(a_collection_vouches_for_its_domains_only), TEST(from_is_compared_without_case),
		TEST(other_address_is_policy), TEST(sender_alone_is_policy), TEST(from_tricks_are_ambiguous),
		TEST(certificate_without_address_is_policy), TEST(address_in_the_name_counts),
		TEST(accepted_gateways_sign_for_their_domain), TEST(signed_part_in_mixed_covers_a_part),
		TEST(lone_part_of_a_mixed_covers_a_part), TEST(forwarded_message_covers_a_part),
		TEST(shape_of_multipart_signed), TEST(first_type_of_two_does_not_hide_a_signature),
		TEST(type_of_an_object_is_plain),
		TEST(preamble_and_epilogue_are_no_matter), TEST(nested_signatures_both_cover), TEST(clear_inside_clear),
		TEST(unopened_envelope_is_neutral), TEST(broken_envelope_is_named), TEST(signature_around_an_envelope_counts),
		TEST(many_certificates_are_bounded), TEST(many_objects_are_bounded), TEST(detached_verification_does_not_hold_the_content),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
