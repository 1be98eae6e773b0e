/* test_unwrap.c - signatures taken off: what comes to the top is what was signed, byte for byte, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "smime/unwrap.h"
#include "support/craft.h"

#define HEADER "From: Alice <alice@example.com>\r\nTo: bob@example.org\r\nSubject: test\r\n"
#define MIME_VERSION "MIME-Version: 1.0\r\n"	/* which craft.h adds */
#define TYPE "Content-Type: text/plain; charset=utf-8;\r\n\tformat=flowed\r\n"
#define TEXT "Pay 10 to Bob. \r\n\r\nFrom me\r\n"

static struct world {
	struct testpki *root, *alice, *bob;
	struct collection *trusted;
	/* for each test */
	struct arena *arena;
	struct buf mail;
	struct message in, out;
	struct verdict verdict;
	struct err err;
} world;

static int setup_group(void **state)
{
	char path[] = "/tmp/test_unwrap.XXXXXX";
	const char *files[] = { path }, *domains[] = { "*" };
	const struct collection_settings settings = {
		.name = "partners", .files = { files, 1 }, .domains = { domains, 1 }, .revocation = REVOCATION_OFF,
		.connect_ms = 1000, .total_ms = 1000,
	};
	struct world *w = &world;
	int fd = mkstemp(path);

	if (fd < 0)
		return -1;
	close(fd);
	w->root = testpki_root("Root");
	w->alice = testpki_leaf(w->root, "alice@example.com");
	w->bob = testpki_leaf(w->root, "bob@example.org");
	testpki_write_pem(path, w->root, TESTPKI_CERT);
	w->trusted = collection_load(&settings, &(struct collection_env){ .report = NULL }, &w->err);
	unlink(path);
	*state = w;
	return w->trusted == NULL ? -1 : 0;
}

static int teardown_group(void **state)
{
	struct world *w = *state;

	collection_free(w->trusted);
	testpki_free(w->bob);
	testpki_free(w->alice);
	testpki_free(w->root);
	return 0;
}

static int setup(void **state)
{
	struct world *w = *state;

	w->arena = arena_new(0);
	buf_init(&w->mail, 0);
	return w->arena == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	buf_clear(&w->mail);
	arena_free(w->arena);
	return 0;
}

/* w->mail, or the entity where there is none yet, becomes what is signed; header goes outside. */
static void sign(struct world *w, const char *header, const struct testpki *who, bool clear, const char *entity)
{
	struct slice inner = entity != NULL ? slice_of(entity) : arena_copy(w->arena, buf_slice(&w->mail));
	struct buf der;

	buf_init(&der, 0);
	craft_cms(&(struct craft){ .signers = { { .pki = who } }, .detached = clear }, inner, &der);
	buf_reset(&w->mail);
	if (clear)
		craft_clear(header, inner, buf_slice(&der), &w->mail);
	else
		craft_opaque(header, "signed-data", buf_slice(&der), &w->mail);
	buf_clear(&der);
}

static enum result verify(struct world *w)
{
	const struct header_limits limits = { 0 };
	const struct collection *collections[] = { w->trusted };
	const struct verify_env env = {
		.collections = collections, .collection_count = 1, .at = time(NULL),
		.limits = { .object_bytes = 1u << 20, .signer_infos = 16, .certificates = 64, .cms_layers = 5 },
	};
	struct layer_list layers = { NULL, 0 };
	struct mime mime;

	assert_int_equal(message_parse(w->arena, buf_slice(&w->mail), &limits, &w->in, &w->err), 0);
	assert_int_equal(mime_parse(w->arena, &w->in, &env.limits.mime, &mime, &w->err), 0);
	assert_int_equal(verify_message(w->arena, &w->in, &mime, &env, &layers, &w->err), 0);
	verdict_make(&layers, &w->verdict);
	return w->verdict.result;
}

/* Verified and unwrapped. True: something was taken off. */
static bool unwrap(struct world *w, enum result result)
{
	assert_int_equal(verify(w), result);
	assert_int_equal(unwrap_message(w->arena, &w->in, &w->verdict, &w->out, &w->err), 0);
	if (w->out.body != w->in.body)
		return true;
	assert_ptr_equal(w->out.header.fields, w->in.header.fields);
	assert_int_equal(w->out.header.n, w->in.header.n);
	return false;
}

static void is_message(struct world *w, const char *text)
{
	struct stream *stream = message_open(w->arena, &w->out, &w->err);
	struct buf buf;

	buf_init(&buf, 0);
	assert_non_null(stream);
	assert_int_equal(stream_read_all(stream, &buf, &w->err), 0);
	stream_close(stream);
	assert_string_equal(buf_string(&buf), text);
	buf_clear(&buf);
}

static void clear_signature_comes_off(void **state)
{
	struct world *w = *state;

	sign(w, HEADER, w->alice, true, TYPE "\r\n" TEXT);
	assert_true(unwrap(w, RESULT_PASS));
	is_message(w, HEADER MIME_VERSION TYPE "\r\n" TEXT);
}

static void opaque_signature_comes_off(void **state)
{
	struct world *w = *state;

	sign(w, HEADER "Content-Language: de\r\nX-After: 1\r\n", w->alice, false, TYPE "\r\n" TEXT);
	assert_true(unwrap(w, RESULT_PASS));
	is_message(w, HEADER "X-After: 1\r\n" MIME_VERSION TYPE "\r\n" TEXT);
}

static void mime_version_is_added(void **state)
{
	struct world *w = *state;

	sign(w, "From: alice@example.com\r\n", w->alice, true, "\r\n" TEXT);
	memcpy(memmem(w->mail.p, w->mail.n, "MIME-V", 6), "X-MIME", 6);
	assert_true(unwrap(w, RESULT_PASS));
	is_message(w, "From: alice@example.com\r\nX-MIMEersion: 1.0\r\n" MIME_VERSION "\r\n" TEXT);
}

static void a_multipart_keeps_every_byte(void **state)
{
	static const char mixed[] = "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble \r\n--b\r\n\r\none\r\n--b  \r\n"
				    "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\nend";
	struct world *w = *state;

	sign(w, HEADER, w->alice, true, mixed);
	assert_true(unwrap(w, RESULT_PASS));
	is_message(w, arena_printf(w->arena, "%s%s", HEADER MIME_VERSION, mixed));
}

static void only_content_fields_come_out(void **state)
{
	struct world *w = *state;

	for (int clear = 0; clear < 2; clear++) {
		sign(w, HEADER, w->alice, clear != 0,
		     "Authentication-Results: mx.example.com; smime=pass\r\nX-SMIME-Layer: mx.example.com; layer=1\r\n"
		     "Subject: forged\r\nFrom: mallory@example.net\r\n" TYPE "Content-Description: a\r\n\r\n" TEXT);
		assert_true(unwrap(w, RESULT_PASS));
		is_message(w, HEADER MIME_VERSION TYPE "Content-Description: a\r\n\r\n" TEXT);
	}
}

static void nested_signatures_all_come_off(void **state)
{
	struct world *w = *state;

	for (int order = 0; order < 4; order++) {
		sign(w, "", w->alice, (order & 1) != 0, TYPE "\r\n" TEXT);
		for (size_t i = 0; i + 5 < w->mail.n; i++)	/* another boundary than outside */
			if (memcmp(w->mail.p + i, "=-cut", 5) == 0)
				memcpy(w->mail.p + i, "=-inn", 5);
		sign(w, HEADER, w->alice, (order & 2) != 0, NULL);
		assert_true(unwrap(w, RESULT_PASS));
		assert_int_equal(w->verdict.layers.n, 2);
		is_message(w, HEADER MIME_VERSION TYPE "\r\n" TEXT);
	}
}

/* The worst decides, and it is no pass: nothing is removed. */
static void a_layer_that_does_not_pass_keeps_all(void **state)
{
	struct world *w = *state;

	sign(w, "", w->bob, false, TYPE "\r\n" TEXT);
	sign(w, HEADER, w->alice, true, NULL);
	assert_false(unwrap(w, RESULT_POLICY));
	sign(w, HEADER, w->bob, true, TYPE "\r\n" TEXT);
	assert_false(unwrap(w, RESULT_POLICY));
	sign(w, HEADER, w->alice, true, TYPE "\r\n" TEXT);
	*(char *)memmem(w->mail.p, w->mail.n, "Pay 10", 6) = 'p';
	assert_false(unwrap(w, RESULT_FAIL));
}

static void a_signed_part_keeps_its_signature(void **state)
{
	static const char before[] = HEADER "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n";
	struct world *w = *state;
	struct slice inner;

	sign(w, "", w->alice, true, TYPE "\r\n" TEXT);
	inner = arena_copy(w->arena, buf_slice(&w->mail));
	buf_reset(&w->mail);
	assert_int_equal(buf_append_text(&w->mail, before) | buf_append_slice(&w->mail, inner) |
			 buf_append_text(&w->mail, "\r\n--m--\r\n"), 0);
	assert_false(unwrap(w, RESULT_NONE));
}

/* The layer around it comes off, it stays: a part says nothing of the message. */
static void signed_parts_inside_stay(void **state)
{
	struct world *w = *state;
	struct slice inner;
	char *mixed = NULL;

	sign(w, "", w->bob, false, TYPE "\r\n" TEXT);
	inner = arena_copy(w->arena, buf_slice(&w->mail));
	mixed = arena_printf(w->arena, "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n%.*s\r\n--m--\r\n",
			     SLICE_ARGS(inner));
	sign(w, HEADER, w->alice, true, mixed);
	assert_true(unwrap(w, RESULT_PASS));
	is_message(w, arena_printf(w->arena, "%s%s", HEADER MIME_VERSION, mixed));
}

static void what_cannot_stand_at_the_top_stays(void **state)
{
	static const char *const entities[] = {
		TYPE "\r\nlone\nfeed\r\n", TYPE "\r\nlone\rreturn\r\n",
		"Content-Type: text/plain\nContent-Description: b\n\nlone\r\n",
		TYPE "Content-Type: text/html\r\n\r\n" TEXT, TYPE "Content-Type : text/html\r\n\r\n" TEXT,
		"Content-Type: text/plain\vX-SMIME-Layer: mx.example.com\r\n\r\n" TEXT,
		"Content-Type: text/plain\rX-SMIME-Layer: mx.example.com\r\n\r\n" TEXT,
		TYPE "no field\r\n\r\n" TEXT,
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
		sign(w, HEADER, w->alice, false, entities[i]);
		if (unwrap(w, verify(w)))
			fail_msg("opaque %s", entities[i]);
		sign(w, HEADER, w->alice, true, entities[i]);
		if (unwrap(w, verify(w)))
			fail_msg("clear %s", entities[i]);
	}
}

static void an_envelope_inside_comes_to_the_top(void **state)
{
	struct world *w = *state;
	struct buf der;
	struct slice envelope;

	buf_init(&der, 0);
	craft_envelope(w->bob, EVP_aes_256_cbc(), slice_of(TYPE "\r\n" TEXT), &der);
	craft_opaque("", "enveloped-data", buf_slice(&der), &w->mail);
	buf_clear(&der);
	envelope = arena_copy(w->arena, buf_slice(&w->mail));
	sign(w, HEADER, w->alice, false, NULL);
	assert_true(unwrap(w, RESULT_PASS));
	assert_non_null(header_find(&w->out.header, "Content-Type", 0));
	assert_non_null(memmem(header_find(&w->out.header, "Content-Type", 0)->value.p, 40, "pkcs7-mime", 10));
	assert_true(w->out.body->size_bytes < envelope.n);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(clear_signature_comes_off), TEST(opaque_signature_comes_off), TEST(mime_version_is_added),
		TEST(a_multipart_keeps_every_byte), TEST(only_content_fields_come_out),
		TEST(nested_signatures_all_come_off), TEST(a_layer_that_does_not_pass_keeps_all),
		TEST(a_signed_part_keeps_its_signature), TEST(signed_parts_inside_stay),
		TEST(what_cannot_stand_at_the_top_stays), TEST(an_envelope_inside_comes_to_the_top),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
