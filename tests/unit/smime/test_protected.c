/* test_protected.c - header protection (RFC 9788) of signed mail: what `headers` tells, and a protected From. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "smime/verdict.h"
#include "support/craft.h"
#include "support/testdir.h"

#define FROM "From: Alice <alice@example.com>\r\n"
#define REST "To: bob@example.org\r\nSubject: on  the\r\n way\r\nDate: Sat, 21 Nov 2026 20:00:00 +0000\r\n" \
	     "Message-ID: <1@example.com>\r\n"
#define TYPE "Content-Type: text/plain"
#define HP TYPE "; hp=\"clear\"\r\n"

static struct world {
	struct testpki *root, *alice, *both;	/* both: alice@example.com and ceo@partner.example */
	struct collection *wide, *narrow;	/* narrow: may vouch for example.com */
	const struct collection *collection;
	struct arena *arena;
	struct layer_list layers;
	struct verdict verdict;
} world;

static struct collection *load(const char *file, const char *domain)
{
	const char *files[] = { file }, *domains[] = { domain };
	const struct collection_settings settings = { .name = domain, .files = { files, 1 }, .domains = { domains, 1 },
						      .revocation = REVOCATION_OFF };
	struct collection *collection = collection_load(&settings, &(struct collection_env){ .report = NULL }, NULL);

	assert_non_null(collection);
	return collection;
}

static int setup_group(void **state)
{
	struct world *w = &world;
	char *scratch = testdir_scratch(), *file = testdir_path(scratch, "root.pem");

	w->root = testpki_root("Root");
	w->alice = testpki_leaf(w->root, "alice@example.com");
	w->both = testpki_make(w->root, &(struct testpki_spec){ .cn = "Alice", .eku = "emailProtection",
				.san = "email:alice@example.com,email:ceo@partner.example" });
	testpki_write_pem(file, w->root, TESTPKI_CERT);
	w->wide = load(file, "*");
	w->narrow = load(file, "example.com");
	free(file);
	testdir_remove(scratch);
	*state = w;
	return 0;
}

static int teardown_group(void **state)
{
	struct world *w = *state;

	collection_free(w->narrow);
	collection_free(w->wide);
	testpki_free(w->both);
	testpki_free(w->alice);
	testpki_free(w->root);
	return 0;
}

static int setup(void **state)
{
	struct world *w = *state;

	w->arena = arena_new(0);
	w->collection = w->wide;
	return w->arena == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	arena_free(((struct world *)*state)->arena);
	return 0;
}

static void verify(struct world *w, struct slice mail)
{
	const struct header_limits limits = { 0 };
	struct message *message = arena_alloc(w->arena, sizeof(*message));
	struct mime *mime = arena_alloc(w->arena, sizeof(*mime));
	struct verify_env env = { .collections = &w->collection, .collection_count = 1, .at = time(NULL) };

	env.limits.object_bytes = 1u << 20;
	env.limits.signer_infos = 16;
	env.limits.certificates = 64;
	env.limits.cms_layers = 5;
	mail = arena_copy(w->arena, mail);
	assert_int_equal(message_parse(w->arena, mail, &limits, message, NULL), 0);
	assert_int_equal(mime_parse(w->arena, message, &env.limits.mime, mime, NULL), 0);
	assert_int_equal(verify_message(w->arena, message, mime, &env, &w->layers, NULL), 0);
	verdict_make(&w->layers, &w->verdict);
}

/* A clear signature of that one over an entity with those fields. */
static const struct layer *sign(struct world *w, const struct testpki *pki, const char *inside, const char *outside)
{
	const char *entity = arena_printf(w->arena, "%s\r\nPay 10 to Bob.\r\n", inside);
	struct buf der, mail;

	buf_init(&der, 0);
	buf_init(&mail, 0);
	craft_cms(&(struct craft){ .signers = { { .pki = pki } }, .detached = true }, slice_of(entity), &der);
	craft_clear(outside, slice_of(entity), buf_slice(&der), &mail);
	verify(w, buf_slice(&mail));
	buf_clear(&der);
	buf_clear(&mail);
	assert_int_equal(w->layers.n, 1);
	return &w->layers.items[0];
}

static void fields_are_compared(void **state)
{
	static const struct {
		const char *inside, *outside, *headers;
	} cases[] = {
		{ HP FROM REST, FROM REST, "protected" },
		{ TYPE "; hp=cipher\r\n" FROM REST, FROM REST, "protected" },
		{ TYPE "; HP=\"Clear\"\r\n" FROM REST, FROM REST "Received: x\r\nX-New: y\r\n", "protected" },
		{ HP FROM REST "HP-Outer: Subject: [...]\r\n", FROM REST, "protected" },
		{ HP "from:\tAlice\r\n  <alice@example.com>\r\n" REST, FROM REST, "protected" },
		{ HP FROM REST "X-A: 1\r\nX-A: 2\r\n", FROM REST "X-A: 1\r\nX-A: 2\r\n", "protected" },
		/* hp is missing, or something else */
		{ TYPE "\r\n" FROM REST, FROM REST, "unprotected" },
		{ TYPE "; hp=\"later\"\r\n" FROM REST, FROM REST, "unprotected" },
		{ TYPE "; protected-headers=\"v1\"\r\n" FROM REST, FROM REST, "unprotected" },
		{ "Content-Type: message/rfc822; forwarded=no\r\n\r\n" FROM REST, FROM REST, "unprotected" },
		/* not the same */
		{ HP "From: Alicia <alice@example.com>\r\n" REST, FROM REST, "differs" },
		{ HP FROM REST, FROM REST "Subject: another\r\n", "differs" },
		{ HP FROM REST, FROM REST "Cc: eve@example.org\r\n", "differs" },
		{ HP FROM REST "Reply-To: eve@example.org\r\n", FROM REST, "differs" },
		{ HP FROM REST "X-A: 1\r\n", FROM REST, "differs" },
		{ HP FROM REST "X-A: 1\r\n", FROM REST "X-A: 2\r\n", "differs" },
		{ HP FROM REST "X-A: 1\r\nX-A: 2\r\n", FROM REST "X-A: 2\r\nX-A: 1\r\n", "differs" },
		{ HP FROM REST "Subject: =?utf-8?q?on_the_way?=\r\n", FROM REST, "differs" },
		{ HP REST, FROM REST, "differs" },
		{ HP, FROM REST, "differs" },
		/* a second Content-Type, of which a reader may take hp */
		{ TYPE "\r\n" HP FROM "Subject: x\r\n", FROM REST, "differs" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct layer *layer = sign(*state, world.alice, cases[i].inside, cases[i].outside);

		if (strcmp(layer->headers, cases[i].headers) != 0)
			fail_msg("case %zu: headers=%s", i, layer->headers);
		assert_int_equal(layer->result, RESULT_PASS);
		assert_int_equal(layer->from, FROM_MATCH);
	}
}

static void the_field_that_differs_is_named(void **state)
{
	const struct layer *layer = sign(*state, world.alice, HP FROM REST "X-A: 1\r\n", FROM REST);
	const struct check *check = &layer->checks[layer->check_count - 2];

	assert_string_equal(check->name, "headers");
	assert_string_equal(check->rule, "RFC 9788 4.5");
	assert_int_equal(check->result, RESULT_NONE);
	assert_string_equal(check->detail, "X-A is not the same inside and outside");
}

/* Who honours the protection shows that From as verified. */
static void a_protected_from_of_another_is_no_pass(void **state)
{
	static const struct {
		const char *from;
		enum from_match match;
	} cases[] = {
		{ "From: CEO <ceo@partner.example>\r\n", FROM_MISMATCH },
		{ "From: \"ceo@partner.example\" <alice@example.com>\r\n", FROM_AMBIGUOUS },
		{ FROM "From: ceo@partner.example\r\n", FROM_AMBIGUOUS },
		{ "From: alice@example.com, ceo@partner.example\r\n", FROM_AMBIGUOUS },
		{ "From : ceo@partner.example\r\n", FROM_MISMATCH },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct layer *layer = sign(*state, world.alice,
						 arena_printf(world.arena, HP "%s" REST, cases[i].from), FROM REST);

		assert_int_equal(layer->result, RESULT_POLICY);
		assert_int_equal(layer->from, cases[i].match);
		assert_string_equal(layer->headers, "differs");
		assert_non_null(strstr(world.verdict.reason, "RFC 9788 4.4"));
	}
	/* without hp nobody looks there */
	assert_int_equal(sign(*state, world.alice, TYPE "\r\nFrom: ceo@partner.example\r\n", FROM REST)->result,
			 RESULT_PASS);
}

/* Unless it speaks for both, and may. */
static void a_certificate_may_have_both(void **state)
{
	struct world *w = *state;
	const char *inside = HP "From: ceo@partner.example\r\n" REST;

	assert_int_equal(sign(w, w->both, inside, FROM REST)->result, RESULT_PASS);
	assert_int_equal(w->layers.items[0].from, FROM_MATCH);
	assert_string_equal(w->layers.items[0].headers, "differs");
	w->collection = w->narrow;
	assert_int_equal(sign(w, w->both, inside, FROM REST)->result, RESULT_POLICY);
	assert_int_equal(sign(w, w->both, HP FROM REST, FROM REST)->result, RESULT_PASS);
}

/* Nothing is protected by a signature that is not good. */
static void a_bad_signature_protects_nothing(void **state)
{
	struct world *w = *state;
	const struct craft craft = { .signers = { { .pki = w->alice } }, .detached = true };
	const char *signed_one = HP FROM REST "\r\nPay 10.\r\n", *shown = HP FROM REST "\r\nPay 99.\r\n";
	struct buf der, mail;

	buf_init(&der, 0);
	buf_init(&mail, 0);
	craft_cms(&craft, slice_of(signed_one), &der);
	craft_clear(FROM REST, slice_of(shown), buf_slice(&der), &mail);
	verify(w, buf_slice(&mail));
	assert_int_equal(w->verdict.result, RESULT_FAIL);
	assert_string_equal(w->layers.items[0].headers, "unprotected");
	buf_clear(&der);
	buf_clear(&mail);
}

/* hp below anything but layers means nothing, and is told of no layer that does not cover the message. */
static void only_the_payload_speaks(void **state)
{
	const struct layer *layer = sign(*state, world.alice, "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
					 HP "From: ceo@partner.example\r\n\r\nhi\r\n--x--\r\n", FROM REST);

	assert_string_equal(layer->headers, "unprotected");
	assert_int_equal(layer->result, RESULT_PASS);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fields_are_compared), TEST(the_field_that_differs_is_named),
		TEST(a_protected_from_of_another_is_no_pass), TEST(a_certificate_may_have_both),
		TEST(a_bad_signature_protects_nothing), TEST(only_the_payload_speaks),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
