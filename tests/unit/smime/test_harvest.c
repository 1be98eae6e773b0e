/* test_harvest.c - which certificate a verdict teaches, and why there is none: each condition alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smime/harvest.h"
#include "support/testdir.h"
#include "support/testpki.h"

#define BOB "bob@partner.example"
#define EC "critical,digitalSignature,keyAgreement"

/* Bob's: one for both, for signing alone, for both and newer, expired, by a stranger; Carol's; the CAs. */
enum who { DUAL, SIGNS, NEWEST, EXPIRED, STRANGE, CAROL, CA, SUB, PEOPLE };

struct fixture {
	char *scratch, *roots;
	struct arena *arena;
	struct testpki *root, *strange_root, *pkis[PEOPLE];
	struct cert *certs[PEOPLE];
	struct collection *collection;
	/* what is asked; tests change it */
	struct cert_list brought;
	struct layer layers[2];
	struct verdict verdict;
	struct address from;
	struct harvest_query query;
	struct harvest harvest;
	const char *why;
};

static struct testpki *person(const struct testpki *ca, const char *address, const char *usage, time_t from,
			      time_t until)
{
	char san[64];

	snprintf(san, sizeof(san), "email:%s", address);
	return testpki_make(ca, &(struct testpki_spec){ .cn = "x", .san = san, .usage = usage, .not_before = from,
							.not_after = until });
}

static void make_people(struct fixture *f)
{
	const time_t now = time(NULL);

	f->root = testpki_root("Root");
	f->strange_root = testpki_root("Stranger");
	f->pkis[CA] = testpki_sub(f->root, "CA");
	f->pkis[SUB] = testpki_sub(f->pkis[CA], "Sub");
	f->pkis[DUAL] = person(f->pkis[SUB], BOB, EC, now - 3000, 0);
	f->pkis[SIGNS] = person(f->pkis[SUB], BOB, "critical,digitalSignature", now - 3000, 0);
	f->pkis[NEWEST] = person(f->pkis[CA], BOB, EC, now - 1000, 0);
	f->pkis[EXPIRED] = person(f->pkis[CA], BOB, EC, now - 500, now - 100);
	f->pkis[STRANGE] = person(f->strange_root, BOB, EC, now - 100, 0);
	f->pkis[CAROL] = person(f->pkis[CA], "carol@partner.example", EC, now - 100, 0);
	for (int i = 0; i < PEOPLE; i++)
		f->certs[i] = testpki_cert(f->pkis[i]);
}

static int make_world(void **state)
{
	static struct fixture f;
	struct collection_settings settings = { .name = "partners" };
	const struct collection_env env = { .report = NULL };
	struct err err;

	make_people(&f);
	f.scratch = testdir_scratch();
	f.roots = testdir_path(f.scratch, "roots.pem");
	testpki_write_pem(f.roots, f.root, TESTPKI_CERT);
	settings.files.items = (const char *[]){ f.roots };
	settings.files.n = 1;
	settings.domains.items = (const char *[]){ "*" };
	settings.domains.n = 1;
	f.collection = collection_load(&settings, &env, &err);
	if (f.collection == NULL)
		fail_msg("%s", err.text);
	*state = &f;
	return 0;
}

static int free_world(void **state)
{
	struct fixture *f = *state;

	collection_free(f->collection);
	for (int i = 0; i < PEOPLE; i++) {
		cert_free(f->certs[i]);
		testpki_free(f->pkis[i]);
	}
	testpki_free(f->root);
	testpki_free(f->strange_root);
	free(f->roots);
	testdir_remove(f->scratch);
	return 0;
}

static void bring(struct fixture *f, enum who who)
{
	assert_int_equal(cert_list_add(&f->brought, f->certs[who]), 0);
}

/* A good message that Bob has signed with that certificate. */
static void signed_by(struct fixture *f, enum who who)
{
	f->layers[0] = (struct layer){
		.layer = 1, .type = LAYER_SIGNED, .signer_index = 1, .result = RESULT_PASS, .reason = "", .known = true,
		.from = FROM_MATCH, .covers_message = true, .collection = "partners", .signed_at = time(NULL) - 10,
		.cert = f->certs[who], .certs = &f->brought,
	};
	f->layers[1] = f->layers[0];
	f->verdict = (struct verdict){ .result = RESULT_PASS, .reason = "", .layers = { f->layers, 1 } };
	bring(f, who);
	bring(f, SUB);
	bring(f, CA);
}

static int setup(void **state)
{
	static const struct pattern_list nobody;
	struct fixture *f = *state;

	f->arena = arena_new(0);
	f->from = testdir_address(f->arena, BOB);
	f->brought = (struct cert_list){ NULL, 0, 0 };
	f->query = (struct harvest_query){
		.verdict = &f->verdict, .from = &f->from, .local_domains = &nobody,
		.collections = (const struct collection *const *)&f->collection, .collection_count = 1, .at = time(NULL),
	};
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	cert_list_clear(&f->brought);
	arena_free(f->arena);
	return 0;
}

static void teaches(struct fixture *f, enum who who)
{
	struct err err = { 0 };
	int rc = harvest_find(f->arena, &f->query, &f->harvest, &f->why, &err);

	if (rc != 1)
		fail_msg("%d: %s%s", rc, rc == 0 ? f->why : "", err.text);
	assert_true(cert_equal(f->harvest.cert, f->certs[who]));
	assert_true(address_equal(&f->harvest.address, &f->from));
	assert_string_equal(f->harvest.collection, "partners");
}

static void teaches_nothing(struct fixture *f, const char *why)
{
	struct err err = { 0 };
	int rc = harvest_find(f->arena, &f->query, &f->harvest, &f->why, &err);

	assert_int_equal(rc, 0);
	if (strstr(f->why, why) == NULL)
		fail_msg("%s, not %s", f->why, why);
}

static void one_for_both(void **state)
{
	static const char capabilities[] = "\x30\x0d\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2e";
	struct fixture *f = *state;

	signed_by(f, DUAL);
	bring(f, NEWEST);
	f->layers[0].capabilities = slice_make(capabilities, sizeof(capabilities) - 1);
	teaches(f, DUAL);
	assert_int_equal(f->harvest.chain_count, 2);
	assert_true(cert_equal(f->harvest.chain[0], f->certs[SUB]));
	assert_true(cert_equal(f->harvest.chain[1], f->certs[CA]));
	assert_true(f->harvest.capabilities.known);
	assert_int_equal(f->harvest.capabilities.ciphers, 1U << CIPHER_AES256_GCM);
	assert_true(f->harvest.signed_at == f->layers[0].signed_at);
	f->layers[0].capabilities.n--;
	teaches(f, DUAL);
	assert_false(f->harvest.capabilities.known);
}

static void another_of_the_same_address(void **state)
{
	struct fixture *f = *state;

	signed_by(f, SIGNS);
	teaches_nothing(f, "keyUsage does not allow keyAgreement");
	bring(f, EXPIRED);
	bring(f, STRANGE);
	bring(f, CAROL);
	teaches_nothing(f, "");
	bring(f, NEWEST);
	teaches(f, NEWEST);
	assert_int_equal(f->harvest.chain_count, 1);
	bring(f, DUAL);
	teaches(f, NEWEST);
}

/* [2], the key identifier alone. */
static void prefer(struct fixture *f, enum who who)
{
	struct slice id = cert_info(f->certs[who])->skid;
	const char head[] = { '\x82', (char)id.n };
	struct buf *der = arena_buf(f->arena, 0);

	assert_int_equal(buf_append(der, head, 2), 0);
	assert_int_equal(buf_append_slice(der, id), 0);
	f->layers[0].key_preference = buf_slice(der);
}

static void what_the_signer_prefers(void **state)
{
	struct fixture *f = *state;

	signed_by(f, DUAL);
	prefer(f, NEWEST);
	teaches_nothing(f, "prefers is not in the message");
	bring(f, NEWEST);
	bring(f, EXPIRED);
	bring(f, STRANGE);
	bring(f, CAROL);
	teaches(f, NEWEST);
	prefer(f, DUAL);
	teaches(f, DUAL);
	prefer(f, EXPIRED);
	teaches_nothing(f, "expired");
	prefer(f, STRANGE);
	teaches_nothing(f, "not trusted");
	prefer(f, CAROL);
	teaches_nothing(f, "no address equals");
	prefer(f, SUB);
	teaches_nothing(f, "");
	f->layers[0].key_preference.n--;
	teaches_nothing(f, "malformed");
}

static void each_condition(void **state)
{
	struct fixture *f = *state;
	struct pattern_list local = { .n = 1 };
	struct pattern pattern;

	signed_by(f, DUAL);
	f->layers[0].signed_at = f->query.at + HARVEST_SKEW_S;
	teaches(f, DUAL);
	f->layers[0].signed_at++;
	teaches_nothing(f, "in the future");
	f->layers[0].signed_at = 0;
	teaches_nothing(f, "no signing time");
	f->layers[0].signed_at = f->query.at;
	f->layers[0].from = FROM_DOMAIN;
	teaches_nothing(f, "From's address");
	f->layers[0].from = FROM_MATCH;
	f->verdict.result = RESULT_POLICY;
	teaches_nothing(f, "not pass");
	f->verdict.result = RESULT_PASS;
	f->verdict.layers.n = 2;
	teaches_nothing(f, "more than one signature");
	f->layers[1].covers_message = false;
	teaches(f, DUAL);
	assert_int_equal(pattern_parse_domain(f->arena, "partner.example", &pattern, NULL), 0);
	local.items = &pattern;
	f->query.local_domains = &local;
	teaches_nothing(f, "local_domains");
	f->query.local_domains = &(struct pattern_list){ .n = 0 };
	f->query.collection_count = 0;
	teaches_nothing(f, "not trusted");
	f->query.collection_count = 1;
	f->query.at += 2 * 366 * 24 * 3600;
	teaches_nothing(f, "expired");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_for_both, setup, teardown),
		cmocka_unit_test_setup_teardown(another_of_the_same_address, setup, teardown),
		cmocka_unit_test_setup_teardown(what_the_signer_prefers, setup, teardown),
		cmocka_unit_test_setup_teardown(each_condition, setup, teardown),
	};

	return cmocka_run_group_tests(tests, make_world, free_world);
}
