/* test_prescan_envelope.c - what an envelope may look like from outside: each rule broken by itself, honest ones by
 * OpenSSL and by this program, and the inputs that once brought down readers of CMS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smime/encrypt.h"
#include "smime/prescan_envelope.h"
#include "smime_test.h"
#include "support/craft.h"
#include "support/dertext.h"

#define NAME "30{ 31{ 30{ @CN 0c{ \"Root\" } } } }"
#define ISSUER_SERIAL "30{ " NAME " 02{ 1234 } }"
#define KEY_ID "80{ ~20 }"
#define RSA "30{ @rsaEncryption 05{} }"
#define KTRI_WITH(version, id, algorithm) "30{ 02{ " version " } " id " " algorithm " 04{ ~256 } }"
#define KTRI KTRI_WITH("00", ISSUER_SERIAL, RSA)
#define WRAP "30{ @id-aes256-wrap }"
#define ECDH_WITH(parameters) "30{ @dhSinglePass-stdDH-sha256kdf-scheme " parameters " }"
#define ECDH ECDH_WITH(WRAP)
#define ORIGINATOR "a0{ a1{ 30{ @id-ecPublicKey } 03{ 00 04 ~64 } } }"
#define ENTRY "30{ " ISSUER_SERIAL " 04{ ~40 } }"
#define KARI_WITH(version, originator, ukm, algorithm, entries) \
	"a1{ 02{ " version " } " originator " " ukm " " algorithm " 30{ " entries " } }"
#define KARI KARI_WITH("03", ORIGINATOR, "", ECDH, ENTRY)
#define CBC "30{ @AES-256-CBC 04{ ~16 } }"
#define GCM_WITH(parameters) "30{ @id-aes256-GCM " parameters " }"
#define GCM GCM_WITH("30{ 04{ ~12 } 02{ 10 } }")
#define CONTENT "80{ ~48 }"
#define INFO(cipher, content) "30{ @pkcs7-data " cipher " " content " }"
#define BODY(recipients) "02{ 00 } 31{ " recipients " } " INFO(CBC, CONTENT)
#define OUTER(type, body) "30{ @" type " a0{ 30{ " body " } } }"
#define ENVELOPED(body) OUTER("pkcs7-envelopedData", body)
#define AUTHENTICATED(info, tail) \
	OUTER("id-smime-ct-authEnvelopedData", "02{ 00 } 31{ " KTRI " } " info " " tail)
#define TO(recipients) ENVELOPED(BODY(recipients))
#define WITH(info) ENVELOPED("02{ 00 } 31{ " KTRI " } " info)
#define GCM_INFO INFO(GCM, "80{ ~47 }")
#define MAC "04{ ~16 }"
#define FIRMWARE_TYPE "30{ @1.2.840.113549.1.9.3 31{ @1.2.840.113549.1.9.16.1.16 } }"

static const struct envelope_limits usual = { .recipients = 3, .certificates = 2, .crls = 1 };

struct fixture {
	struct testpki *rsa, *ec;
	struct arena *arena;
	struct buf der;
	struct envelope_limits limits;
	struct envelope envelope;
	struct err err;
};

static struct fixture fixture;

static int setup_group(void **state)
{
	fixture.rsa = testpki_leaf_rsa(NULL, "r@example.com");
	fixture.ec = testpki_leaf(NULL, "e@example.com");
	*state = &fixture;
	return 0;
}

static int teardown_group(void **state)
{
	struct fixture *f = *state;

	testpki_free(f->rsa);
	testpki_free(f->ec);
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = *state;

	f->arena = arena_new(0);
	f->limits = usual;
	buf_init(&f->der, 0);
	return f->arena == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	buf_clear(&f->der);
	arena_free(f->arena);
	return 0;
}

static int scan_bytes(struct fixture *f, struct slice bytes)
{
	struct stream *stream = stream_from_slice(bytes, NULL);
	int rc;

	f->err = (struct err){ .class = ERR_NONE };
	rc = prescan_envelope(f->arena, stream, &f->limits, &f->envelope, &f->err);
	stream_close(stream);
	assert_int_equal(rc == 0, f->err.class == ERR_NONE);
	return rc;
}

static int scan(struct fixture *f, const char *text)
{
	buf_reset(&f->der);
	dertext(text, &f->der);
	return scan_bytes(f, buf_slice(&f->der));
}

struct row {
	const char *text;
	enum err_class class;		/* ERR_NONE: well formed, but not supported, or where why is NULL good */
	const char *why;
};

static void check_rows(struct fixture *f, const struct row *rows, size_t n)
{
	const char *said;

	for (size_t i = 0; i < n; i++) {
		said = scan(f, rows[i].text) == 0 ? f->envelope.unsupported : f->err.text;
		if (f->err.class != rows[i].class || (said == NULL) != (rows[i].why == NULL) ||
		    (said != NULL && strstr(said, rows[i].why) == NULL))
			fail_msg("%zu: not \"%s\" but \"%s\": %s", i, rows[i].why == NULL ? "" : rows[i].why,
				 said == NULL ? "" : said, rows[i].text);
		assert_true(said == NULL || strncmp(said, "RFC ", 4) == 0 || rows[i].class == ERR_LIMIT);
	}
}

#define CHECK(f, rows) check_rows(f, rows, sizeof(rows) / sizeof((rows)[0]))

static void the_frame_has_its_rules(void **state)
{
	static const struct row rows[] = {
		{ TO(KTRI), ERR_NONE, NULL },
		{ "", ERR_MESSAGE, "RFC 5652 3: ContentInfo missing" },
		{ "04{ 00 }", ERR_MESSAGE, "RFC 5652 3: ContentInfo missing" },
		{ "30{ 02{ 00 } }", ERR_MESSAGE, "RFC 5652 3: contentType missing" },
		{ OUTER("pkcs7-signedData", BODY(KTRI)), ERR_MESSAGE, "RFC 5652 6.1: content type is neither" },
		{ "30{ @pkcs7-envelopedData }", ERR_MESSAGE, "RFC 5652 3: content missing" },
		{ "30{ @pkcs7-envelopedData a0{ 31{} } }", ERR_MESSAGE, "RFC 5652 6.1: EnvelopedData missing" },
		{ ENVELOPED("02{ 01 } 31{ " KTRI " } " INFO(CBC, CONTENT)), ERR_MESSAGE, "version of EnvelopedData" },
		{ ENVELOPED("02{ 05 } 31{ " KTRI " } " INFO(CBC, CONTENT)), ERR_MESSAGE, "version of EnvelopedData" },
		{ ENVELOPED("02{ 0000 } 31{ " KTRI " } " INFO(CBC, CONTENT)), ERR_MESSAGE, "version of EnvelopedData" },
		{ ENVELOPED("02{ 02 } 31{ " KTRI " } " INFO(CBC, CONTENT)), ERR_NONE, NULL },
		{ ENVELOPED("31{ " KTRI " } " INFO(CBC, CONTENT)), ERR_MESSAGE, "RFC 5652 6.1: version missing" },
		{ ENVELOPED("02{ 00 } " INFO(CBC, CONTENT)), ERR_MESSAGE, "RFC 5652 6.1: recipientInfos missing" },
		{ TO(""), ERR_MESSAGE, "RFC 5652 6.1: recipientInfos: there is none" },
		{ ENVELOPED("02{ 00 } 31{ " KTRI " }"), ERR_MESSAGE, "RFC 5652 6.1: encryptedContentInfo missing" },
		{ TO(KTRI) " 00", ERR_MESSAGE, "RFC 5652 3: the CMS object: bytes behind" },
		{ TO(KTRI) " 0d0a", ERR_MESSAGE, "RFC 5652 3: the CMS object: bytes behind" },
		{ "30{ @pkcs7-envelopedData a0{ 30{ " BODY(KTRI) " } } 05{} }",
		  ERR_MESSAGE, "RFC 5652 3: ContentInfo:" },
		{ "30{ @pkcs7-envelopedData a0{ 30{ " BODY(KTRI) " } 05{} } }", ERR_MESSAGE, "RFC 5652 3: content:" },
		{ ENVELOPED(BODY(KTRI) " 05{}"), ERR_MESSAGE, "RFC 5652 6.1: EnvelopedData:" },
		{ ENVELOPED(BODY(KTRI) " a1{ 30{ @1.2.3 31{ 05{} } } }"), ERR_NONE, NULL },
		{ ENVELOPED(BODY(KTRI) " a1{ 30 05 }"), ERR_MESSAGE, "attributes malformed" },
		{ ENVELOPED(BODY(KTRI) " a1{ 30{} } a1{ 30{} }"), ERR_MESSAGE, "RFC 5652 6.1: EnvelopedData:" },
		{ WITH("30{ " CBC " " CONTENT " }"), ERR_MESSAGE, "RFC 5652 6.1: contentType missing" },
		{ WITH("30{ @pkcs7-data " CONTENT " }"), ERR_MESSAGE, "contentEncryptionAlgorithm missing" },
		{ WITH("30{ @pkcs7-data " CBC " " CONTENT " 05{} }"),
		  ERR_MESSAGE, "RFC 5652 6.1: encryptedContentInfo:" },
		{ WITH("30{ @pkcs7-signedData " CBC " " CONTENT " }"),
		  ERR_NONE, "RFC 8551 3.3: the content type inside" },
		{ "30[ @pkcs7-envelopedData a0[ 30[ 02{ 00 } 31[ " KTRI " ] 30[ @pkcs7-data " CBC
		  " a0[ 04{ ~16 } 24[ 04{ ~20 } ] 04{ ~12 } ] ] ] ] ]", ERR_NONE, NULL },
	};

	CHECK(*state, rows);
}

static void originators_are_counted(void **state)
{
#define ORIGINATED(info) ENVELOPED("02{ 02 } a0{ " info " } 31{ " KTRI " } " INFO(CBC, CONTENT))
	static const struct row rows[] = {
		{ ORIGINATED(""), ERR_NONE, NULL },
		{ ORIGINATED("a0{ 30{} 30{} } a1{ 30{} }"), ERR_NONE, NULL },
		{ ORIGINATED("a0{ 30{} 30{} 30{} }"), ERR_LIMIT, "more than 2 certificates" },
		{ ORIGINATED("a1{ 30{} 30{} }"), ERR_LIMIT, "more than 1 CRLs" },
		{ ORIGINATED("a0{ 30 }"), ERR_MESSAGE, "certificates malformed" },
		{ ORIGINATED("a1{} a0{}"), ERR_MESSAGE, "RFC 5652 6.1: originatorInfo has bytes behind" },
		{ ORIGINATED("a0 05"), ERR_MESSAGE, "RFC 5652 6.1: originatorInfo malformed" },
	};

	CHECK(*state, rows);
}

static void key_transport_has_its_rules(void **state)
{
#define OAEP(parameters) KTRI_WITH("00", ISSUER_SERIAL, "30{ @RSAES-OAEP " parameters " }")
#define SHA256 "30{ @SHA256 }"
	static const struct row rows[] = {
		{ TO(KTRI_WITH("02", KEY_ID, RSA)), ERR_NONE, NULL },
		{ TO(KTRI_WITH("00", KEY_ID, RSA)), ERR_MESSAGE, "RFC 5652 6.2.1: KeyTransRecipientInfo: version" },
		{ TO(KTRI_WITH("02", ISSUER_SERIAL, RSA)), ERR_MESSAGE, "version does not fit" },
		{ TO(KTRI_WITH("01", ISSUER_SERIAL, RSA)), ERR_MESSAGE, "version does not fit" },
		{ TO(KTRI_WITH("00", "80{}", RSA)), ERR_MESSAGE, "recipient identifier malformed" },
		{ TO(KTRI_WITH("00", "30{ " NAME " }", RSA)), ERR_MESSAGE, "recipient identifier malformed" },
		{ TO(KTRI_WITH("00", "30{ 02{ 01 } " NAME " }", RSA)), ERR_MESSAGE, "recipient identifier malformed" },
		{ TO(KTRI_WITH("00", "30{ " NAME " 02{ 01 } 05{} }", RSA)), ERR_MESSAGE, "identifier malformed" },
		{ TO("30{ 02{ 00 } " ISSUER_SERIAL " " RSA " 04{} }"), ERR_MESSAGE, "encryptedKey is empty" },
		{ TO("30{ 02{ 00 } " ISSUER_SERIAL " " RSA " }"), ERR_MESSAGE, "encryptedKey missing" },
		{ TO("30{ 02{ 00 } " ISSUER_SERIAL " " RSA " 04{ ~9 } 05{} }"), ERR_MESSAGE, "encryptedKey has bytes" },
		{ TO("30{ " ISSUER_SERIAL " " RSA " 04{ ~9 } }"), ERR_MESSAGE, "version missing" },
		{ TO(KTRI_WITH("00", ISSUER_SERIAL, "30{ @rsaEncryption }")), ERR_MESSAGE, "RFC 3370 4.2.1" },
		{ TO(KTRI_WITH("00", ISSUER_SERIAL, "30{ @rsaEncryption 30{} }")), ERR_MESSAGE, "RFC 3370 4.2.1" },
		{ TO(KTRI_WITH("00", ISSUER_SERIAL, "30{ @1.2.3 }")), ERR_NONE, "RFC 8551 2.3: key transport by" },
		{ TO(KTRI_WITH("00", ISSUER_SERIAL, "30{ @1.2.3 }") KTRI), ERR_NONE, NULL },
		{ TO(OAEP("30{}")), ERR_NONE, NULL },
		{ TO(OAEP("30{ a0{ " SHA256 " } a1{ 30{ @MGF1 " SHA256 " } } a2{ 30{ @PSPECIFIED 04{} } } }")),
		  ERR_NONE,
		  NULL },
		{ TO(OAEP("30{ a2{ 30{ @PSPECIFIED 04{ 01 } } } }")), ERR_NONE, NULL },
		{ TO(OAEP("30{ a2{ 30{ @1.2.3 04{} } } }")), ERR_NONE, "RFC 3560 3: RSAES-OAEP with a hash, or" },
		{ TO(OAEP("30{ a0{ 30{ @1.2.3 } } }")), ERR_NONE, "RFC 3560 3" },
		{ TO(OAEP("30{ a1{ 30{ @1.2.3 } } }")), ERR_NONE, "RFC 3560 3" },
		{ TO(OAEP("30{ a3{ 02{ 01 } } }")), ERR_MESSAGE, "RFC 3560 3: RSAES-OAEP parameters" },
		{ TO(OAEP("05{}")), ERR_MESSAGE, "RFC 3560 3: RSAES-OAEP parameters" },
	};

	CHECK(*state, rows);
}

static void key_agreement_has_its_rules(void **state)
{
#define KARI_ID(id) KARI_WITH("03", ORIGINATOR, "", ECDH, "30{ " id " 04{ ~24 } }")
#define KARI_FROM(originator) KARI_WITH("03", originator, "", ECDH, ENTRY)
#define KARI_BY(algorithm) KARI_WITH("03", ORIGINATOR, "", algorithm, ENTRY)
	static const struct row rows[] = {
		{ TO(KARI), ERR_NONE, NULL },
		{ TO(KARI_WITH("02", ORIGINATOR, "", ECDH, ENTRY)),
		  ERR_MESSAGE, "KeyAgreeRecipientInfo: version is not 3" },
		{ TO(KARI_WITH("03", ORIGINATOR, "a1{ 04{ ~64 } }", ECDH, ENTRY)), ERR_NONE, NULL },
		{ TO(KARI_WITH("03", ORIGINATOR, "a1{ 04{ ~65 } }", ECDH, ENTRY)), ERR_LIMIT, "RFC 2631 2.1.2" },
		{ TO(KARI_WITH("03", ORIGINATOR, "a1{ 02{ 00 } }", ECDH, ENTRY)), ERR_MESSAGE, "ukm malformed" },
		{ TO(KARI_FROM("")), ERR_MESSAGE, "originator missing" },
		{ TO(KARI_FROM("a0{}")), ERR_MESSAGE, "originator malformed" },
		{ TO(KARI_FROM("a0{ a1{ 30{ @id-ecPublicKey } } }")), ERR_MESSAGE, "originator malformed" },
		{ TO(KARI_FROM("a0{ a1{ 30{ @id-ecPublicKey } 03{ 00 } } }")), ERR_MESSAGE, "originator malformed" },
		{ TO(KARI_FROM("a0{ a1{ 30{ @id-ecPublicKey } 03{ 01 04 ~9 } } }")),
		  ERR_MESSAGE, "originator malformed" },
		{ TO(KARI_FROM("a0{ a1{ 30{ @id-ecPublicKey } 03{ 00 04 } } 05{} }")), ERR_MESSAGE, "originator malf" },
		{ TO(KARI_FROM("a0{ " ISSUER_SERIAL " }")), ERR_NONE, "RFC 5753 3.1.1: the originator's key" },
		{ TO(KARI_FROM("a0{ " KEY_ID " }")), ERR_NONE, "RFC 5753 3.1.1: the originator's key" },
		{ TO(KARI_BY("30{ @1.2.3 " WRAP " }")), ERR_NONE, "RFC 5753 7.1.4: key agreement by an unknown" },
		{ TO(KARI_BY(ECDH_WITH("30{ @id-aes128-wrap 05{} }"))), ERR_NONE, NULL },
		{ TO(KARI_BY(ECDH_WITH("30{ @id-aes128-wrap 04{ 00 } }"))), ERR_MESSAGE, "RFC 3565 2.3.2" },
		{ TO(KARI_BY(ECDH_WITH("05{}"))), ERR_MESSAGE, "RFC 5753 7.1.4: the key wrap algorithm" },
		{ TO(KARI_ID("a0{ 04{ ~20 } }")), ERR_NONE, NULL },
		{ TO(KARI_ID("a0{ 04{ ~20 } 18{ \"20260101000000Z\" } }")), ERR_NONE, NULL },
		{ TO(KARI_ID("a0{}")), ERR_MESSAGE, "recipient identifier malformed" },
		{ TO(KARI_ID("a0{ 04{} }")), ERR_MESSAGE, "recipient identifier malformed" },
		{ TO(KARI_WITH("03", ORIGINATOR, "", ECDH, "")), ERR_MESSAGE, "recipientEncryptedKeys malformed" },
		{ TO(KARI_WITH("03", ORIGINATOR, "", ECDH, "05{}")), ERR_MESSAGE, "recipientEncryptedKeys malformed" },
		{ TO(KARI_WITH("03", ORIGINATOR, "", ECDH, "30{ " ISSUER_SERIAL " 04{ ~16 } }")), ERR_MESSAGE,
		  "RFC 3394 2.2.1: a wrapped key of 16 octets" },
		{ TO(KARI_WITH("03", ORIGINATOR, "", ECDH, "30{ " ISSUER_SERIAL " 04{ ~41 } }")), ERR_MESSAGE,
		  "RFC 3394 2.2.1: a wrapped key of 41 octets" },
		{ TO("a1{ 02{ 03 } " ORIGINATOR " " ECDH " 30{ " ENTRY " } 05{} }"), ERR_MESSAGE, "has bytes behind" },
	};

	CHECK(*state, rows);
}

static void recipients_are_counted(void **state)
{
	static const struct row rows[] = {
		{ TO(KTRI KTRI KARI), ERR_NONE, NULL },
		{ TO(KTRI KTRI KTRI KTRI), ERR_LIMIT, "more than 3 recipients" },
		{ TO(KTRI KARI_WITH("03", ORIGINATOR, "", ECDH, ENTRY ENTRY ENTRY)),
		  ERR_LIMIT, "more than 3 recipients" },
		{ TO("a3{} a3{} a3{} a3{}"), ERR_LIMIT, "more than 3 recipients" },
		{ TO("a5{}"), ERR_MESSAGE, "RFC 5652 6.2: RecipientInfo of no known kind" },
		{ TO("31{}"), ERR_MESSAGE, "RFC 5652 6.2: RecipientInfo of no known kind" },
		{ TO("a2{ 02{ 04 } }"), ERR_NONE, "RFC 5652 6.2.3: a recipient by a key" },
		{ TO(KTRI "a3{ 02{ 00 } }"), ERR_NONE, "RFC 5652 6.2.4: a recipient by password" },
		{ TO("a4{ @1.2.3 }" KTRI), ERR_NONE, "RFC 5652 6.2.5: a recipient of another kind" },
	};

	CHECK(*state, rows);
}

static void recipients_are_named(void **state)
{
	struct fixture *f = *state;
	const struct envelope_recipient *recipients;

	assert_int_equal(scan(f, TO(KTRI KARI_WITH("03", ORIGINATOR, "", ECDH, "30{ a0{ 04{ \"id\" } } 04{ ~40 } }")
				    "30{ 02{ 02 } " KEY_ID " 30{ @1.2.3 } 04{ \"key\" } }")), 0);
	recipients = f->envelope.recipients;
	assert_int_equal(f->envelope.recipient_count, 3);
	assert_int_equal(recipients[0].kind, RECIPIENT_TRANSPORT);
	assert_true(slice_is(recipients[0].serial, "\x02\x02\x12\x34"));
	assert_int_equal(recipients[0].issuer.p[0], 0x30);
	assert_int_equal(recipients[0].encrypted_key.n, 256);
	assert_int_equal(recipients[0].key_id.n, 0);
	assert_int_equal(recipients[1].kind, RECIPIENT_AGREEMENT);
	assert_true(slice_is(recipients[1].key_id, "id"));
	assert_int_equal((unsigned char)recipients[1].info.p[0], 0xa1);
	assert_null(recipients[1].unsupported);
	assert_int_equal(recipients[2].key_id.n, 20);
	assert_true(slice_is(recipients[2].encrypted_key, "key"));
	assert_non_null(recipients[2].unsupported);
	assert_string_equal(f->envelope.cipher_name, "aes256-cbc");
	assert_int_equal(f->envelope.content_bytes, 48);
	assert_true(f->envelope.sealed);
	assert_null(f->envelope.unsupported);
}

static void ciphers_have_their_rules(void **state)
{
	static const struct row rows[] = {
		{ WITH(INFO("30{ @AES-128-CBC 04{ ~16 } }", CONTENT)), ERR_NONE, NULL },
		{ WITH(INFO("30{ @AES-192-CBC 04{ ~16 } }", CONTENT)), ERR_NONE, NULL },
		{ WITH(INFO("30{ @AES-256-CBC }", CONTENT)), ERR_MESSAGE, "RFC 3565 4.1" },
		{ WITH(INFO("30{ @AES-256-CBC 05{} }", CONTENT)), ERR_MESSAGE, "RFC 3565 4.1" },
		{ WITH(INFO("30{ @AES-256-CBC 04{ ~15 } }", CONTENT)), ERR_MESSAGE, "RFC 3565 4.1" },
		{ WITH(INFO("30{ @AES-256-CBC 04{ ~64 } }", CONTENT)), ERR_MESSAGE, "RFC 3565 4.1" },
		{ WITH(INFO("30{ @AES-256-CBC 04{ ~16 } 05{} }", CONTENT)),
		  ERR_MESSAGE, "contentEncryptionAlgorithm malf" },
		{ WITH(INFO("30{ @DES-EDE3-CBC 04{ ~8 } }", CONTENT)),
		  ERR_NONE, "RFC 8551 2.7: the content cipher is out" },
		{ WITH(INFO("30{ @DES-EDE3-CBC 04{ ~16 } }", CONTENT)), ERR_MESSAGE, "no IV of 8 octets" },
		{ WITH(INFO("30{ @AES-256-OFB 04{ ~16 } }", CONTENT)),
		  ERR_NONE, "RFC 8551 2.7: the content cipher is not" },
		{ WITH(INFO("30{ @RC2-CBC 30{ 02{ 3a } 04{ ~8 } } }", CONTENT)), ERR_NONE, "RFC 8551 2.7" },
		{ WITH(INFO("30{ @1.2.3 }", CONTENT)), ERR_NONE, "RFC 8551 2.7" },
		{ WITH(INFO(CBC, "")), ERR_MESSAGE, "RFC 8551 3.3: encryptedContent missing" },
		{ WITH(INFO(CBC, "04{ ~48 }")), ERR_MESSAGE, "RFC 8551 3.3: encryptedContent missing" },
		{ WITH(INFO(CBC, "80{}")), ERR_MESSAGE, "RFC 5652 6.3: the encrypted content is no whole" },
		{ WITH(INFO(CBC, "80{ ~47 }")), ERR_MESSAGE, "RFC 5652 6.3: the encrypted content is no whole" },
		{ WITH(INFO(CBC, "a0{ 04{ ~40 } }")), ERR_MESSAGE, "RFC 5652 6.3: the encrypted content is no whole" },
		{ WITH(INFO(CBC, "a0{ 02{ 00 } }")), ERR_MESSAGE, "RFC 8551 3.3: encryptedContent: octets are made" },
		{ WITH(INFO(CBC, "80{ \"The secret is 4711, and no more.\" }")),
		  ERR_MESSAGE, "RFC 5652 6.3: the encrypted "
		  "content is text" },
		{ WITH(INFO(CBC, "a0{ 04{ \"The secret is \" } 04{ \"4711, and no more.\" } }")),
		  ERR_MESSAGE, "is text" },
	};

	CHECK(*state, rows);
}

static void authenticated_envelopes_have_their_rules(void **state)
{
#define AUTH(tail) AUTHENTICATED(GCM_INFO, tail)
#define GCM_PARAMETERS(parameters, mac) AUTHENTICATED(INFO(GCM_WITH(parameters), CONTENT), mac)
	static const struct row rows[] = {
		{ AUTH(MAC), ERR_NONE, NULL },
		{ AUTH("a1{ " FIRMWARE_TYPE " } " MAC " a2{ 30{} }"), ERR_NONE, NULL },
		{ AUTH("a1{} " MAC), ERR_MESSAGE, "RFC 5083 2.1: authAttrs: not DER" },
		{ AUTH("a1[ " FIRMWARE_TYPE " ] " MAC), ERR_MESSAGE, "RFC 5083 2.1: authAttrs: not DER" },
		{ AUTH("a1{ 30[ @1.2.3 31{ 05{} } ] } " MAC), ERR_MESSAGE, "RFC 5083 2.1: authAttrs: not DER" },
		{ AUTH("a1{ 30{ @1.2.3 31[ 05{} ] } } " MAC), ERR_MESSAGE, "RFC 5083 2.1: authAttrs: not DER" },
		{ AUTH("a1{ 30{ @1.2.3 } } " MAC), ERR_MESSAGE, "RFC 5083 2.1: authAttrs: an attribute is malformed" },
		{ AUTH(""), ERR_MESSAGE, "RFC 5083 2.1: mac missing" },
		{ AUTH("24{ 04{ ~16 } }"), ERR_MESSAGE, "RFC 5083 2.1: mac missing" },
		{ AUTH(MAC " 05{}"), ERR_MESSAGE, "EnvelopedData: bytes behind" },
		{ AUTH(MAC " a2{ 30 }"), ERR_MESSAGE, "attributes malformed" },
		{ OUTER("id-smime-ct-authEnvelopedData", "02{ 02 } 31{ " KTRI " } " GCM_INFO MAC), ERR_MESSAGE,
		  "RFC 5083 2.1: version of AuthEnvelopedData is not 0" },
		{ AUTHENTICATED(INFO(CBC, CONTENT), MAC),
		  ERR_MESSAGE, "RFC 5083 2.1: aes256-cbc in AuthEnvelopedData" },
		{ WITH(GCM_INFO), ERR_MESSAGE, "RFC 5084 1.1: aes256-gcm in EnvelopedData" },
		{ GCM_PARAMETERS("", MAC), ERR_MESSAGE, "RFC 5084 3.2: GCMParameters malformed" },
		{ GCM_PARAMETERS("04{ ~12 }", MAC), ERR_MESSAGE, "RFC 5084 3.2: GCMParameters malformed" },
		{ GCM_PARAMETERS("30{ 04{ ~12 } 04{ 10 } }", MAC),
		  ERR_MESSAGE, "RFC 5084 3.2: GCMParameters malformed" },
		{ GCM_PARAMETERS("30{ 04{ ~12 } 02{ 0010 } }", MAC),
		  ERR_MESSAGE, "RFC 5084 3.2: GCMParameters malformed" },
		{ GCM_PARAMETERS("30{ 04{ ~11 } 02{ 10 } }", MAC), ERR_MESSAGE, "a nonce of 11 octets, not 12" },
		{ GCM_PARAMETERS("30{ 04{ ~12 } 02{ 04 } }", "04{ ~4 }"), ERR_MESSAGE, "ICVlen is not from 12 to 16" },
		{ GCM_PARAMETERS("30{ 04{ ~12 } 02{ 11 } }", "04{ ~17 }"), ERR_MESSAGE, "ICVlen is not from 12 to 16" },
		{ GCM_PARAMETERS("30{ 04{ ~12 } }", "04{ ~12 }"),
		  ERR_NONE, "RFC 5084 3.2: the mac is shorter than 16" },
		{ GCM_PARAMETERS("30{ 04{ ~12 } }", MAC), ERR_MESSAGE, "a mac of 16 octets, but ICVlen is 12" },
		{ AUTH("04{ \"The secret is 4711\" }"), ERR_MESSAGE, "a mac of 18 octets, but ICVlen is 16" },
	};

	CHECK(*state, rows);
}

static void options_let_more_pass(void **state)
{
	struct fixture *f = *state;

	f->limits.legacy_ciphers = f->limits.line_end = true;
	assert_int_equal(scan(f, WITH(INFO("30{ @DES-EDE3-CBC 04{ ~8 } }", CONTENT)) " 0d0a"), 0);
	assert_null(f->envelope.unsupported);
	assert_int_equal(scan(f, TO(KTRI) " 0d0a 0d0a"), -1);
}

/* Only a cipher that is known to hide the content seals it; for whom is no matter. */
static void sealed_is_what_a_cipher_hides(void **state)
{
	static const struct {
		const char *text;
		bool sealed;
	} rows[] = {
		{ TO(KTRI), true }, { AUTH(MAC), true }, { TO("a3{ 02{ 00 } }"), true },
		{ WITH(INFO("30{ @DES-EDE3-CBC 04{ ~8 } }", CONTENT)), true },
		{ WITH(INFO("30{ @RC2-CBC 30{ 02{ 3a } 04{ ~8 } } }", CONTENT)), false },
		{ WITH(INFO("30{ @1.2.3 }", CONTENT)), false },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(scan(f, rows[i].text), 0);
		assert_int_equal(f->envelope.sealed, rows[i].sealed);
	}
}

/* ---- CVEs: what the library once read wrongly does not get to it (SPECS B1) ---- */

static void cve_2025_15467_oversized_iv_of_an_aead(void **state)
{
	static const struct row rows[] = {
		{ GCM_PARAMETERS("30{ 04{ ~64 } 02{ 10 } }", MAC), ERR_MESSAGE, "RFC 5084 3.2: a nonce of 64 octets" },
		{ GCM_PARAMETERS("30{ 04{ ~5000 } 02{ 10 } }", MAC),
		  ERR_MESSAGE, "RFC 5084 3.2: a nonce of 5000 octets" },
		{ GCM_PARAMETERS("04{ ~64 }", MAC), ERR_MESSAGE, "RFC 5084 3.2: GCMParameters malformed" },
	};

	CHECK(*state, rows);
}

static void cve_2026_28389_key_agreement_without_parameters(void **state)
{
	static const struct row rows[] = {
		{ TO(KARI_BY(ECDH_WITH(""))), ERR_MESSAGE, "RFC 5753 7.1.4: the key wrap algorithm" },
		{ TO(KARI_BY(ECDH_WITH("30{}"))), ERR_MESSAGE, "RFC 5753 7.1.4: the key wrap algorithm" },
		{ TO(KARI_FROM("a0{ a1{ 30{} 03{ 00 04 ~64 } } }")), ERR_MESSAGE, "originator malformed" },
	};

	CHECK(*state, rows);
}

static void cve_2026_28390_key_transport_without_parameters(void **state)
{
	static const struct row rows[] = {
		{ TO(OAEP("")), ERR_MESSAGE, "RFC 3560 3: RSAES-OAEP parameters missing" },
		{ TO(OAEP("30{ a2{ 30{ @PSPECIFIED } } }")), ERR_NONE, "RFC 3560 3" },
		{ TO(OAEP("30{ a1{ 30{ @MGF1 } } }")), ERR_NONE, "RFC 3560 3" },
	};

	CHECK(*state, rows);
}

static void cve_2026_34182_length_of_the_tag(void **state)
{
	static const struct row rows[] = {
		{ AUTH("04{ ~1 }"), ERR_MESSAGE, "a mac of 1 octets, but ICVlen is 16" },
		{ AUTH("04{ ~4 }"), ERR_MESSAGE, "a mac of 4 octets, but ICVlen is 16" },
		{ AUTH("04{}"), ERR_MESSAGE, "a mac of 0 octets, but ICVlen is 16" },
		{ AUTHENTICATED(INFO("30{ @AES-256-CBC 04{ ~16 } }", CONTENT), "04{ ~4 }"),
		  ERR_MESSAGE, "RFC 5083 2.1" },
	};

	CHECK(*state, rows);
}

static void cve_2026_9076_and_42766_passwords(void **state)
{
#define PWRI(wrap, key) "a3{ 02{ 00 } a0{ @PBKDF2 30{ 04{ ~8 } 02{ 0400 } } } 30{ @id-alg-PWRI-KEK " wrap " } " key " }"
	static const struct row rows[] = {
		{ TO(PWRI(CBC, "04{ ~1 }")), ERR_NONE, "RFC 5652 6.2.4: a recipient by password" },
		{ TO(PWRI("", "04{ ~32 }")), ERR_NONE, "RFC 5652 6.2.4: a recipient by password" },
	};

	CHECK(*state, rows);
}

static void cve_2026_63072_padded_key_wrap(void **state)
{
	static const struct row rows[] = {
		{ TO(KARI_WITH("03", ORIGINATOR, "", ECDH_WITH("30{ @id-aes256-wrap-pad }"), "30{ " ISSUER_SERIAL " 04{ ~16 } }")),
		  ERR_NONE, "RFC 5753 7.1.5: a key wrap that is not AES without padding" },
		{ TO(KARI_WITH("03", ORIGINATOR, "", ECDH, "30{ " ISSUER_SERIAL " 04{ ~16 } }")),
		  ERR_MESSAGE, "RFC 3394" },
	};

	CHECK(*state, rows);
}

/* ---- honest ones ---- */

static void honest_envelopes_by_openssl(void **state)
{
	struct fixture *f = *state;
	const struct testpki *people[] = { f->rsa, f->ec };
	const struct {
		const EVP_CIPHER *cipher;
		const char *name;
	} ciphers[] = {
		{ EVP_aes_128_cbc(), "aes128-cbc" }, { EVP_aes_192_cbc(), "aes192-cbc" },
		{ EVP_aes_256_cbc(), "aes256-cbc" }, { EVP_aes_128_gcm(), "aes128-gcm" },
		{ EVP_aes_192_gcm(), "aes192-gcm" }, { EVP_aes_256_gcm(), "aes256-gcm" },
	};

	for (size_t i = 0; i < 12; i++) {
		buf_reset(&f->der);
		craft_envelope(people[i % 2], ciphers[i / 2].cipher, slice_of(ENTITY), &f->der);
		if (scan_bytes(f, buf_slice(&f->der)) != 0)
			fail_msg("%s", f->err.text);
		assert_null(f->envelope.unsupported);
		assert_string_equal(f->envelope.cipher_name, ciphers[i / 2].name);
		assert_int_equal(f->envelope.authenticated, i >= 6);
		assert_int_equal(f->envelope.recipients[0].kind,
				 i % 2 == 0 ? RECIPIENT_TRANSPORT : RECIPIENT_AGREEMENT);
	}
}

static void no_truncation_passes(void **state)
{
	struct fixture *f = *state;
	const EVP_CIPHER *ciphers[] = { EVP_aes_128_cbc(), EVP_aes_256_gcm() };

	for (size_t i = 0; i < 2; i++) {
		buf_reset(&f->der);
		craft_envelope(i == 0 ? f->rsa : f->ec, ciphers[i], slice_of(ENTITY), &f->der);
		for (size_t n = 0; n < f->der.n; n++) {
			assert_int_equal(scan_bytes(f, slice_make(f->der.p, n)), -1);
			assert_int_equal(f->err.class, ERR_MESSAGE);
		}
	}
}

static void every_changed_byte_is_survived(void **state)
{
	struct fixture *f = *state;

	craft_envelope(f->ec, EVP_aes_256_gcm(), slice_of(ENTITY), &f->der);
	for (size_t i = 0; i < 8 * f->der.n; i++) {
		f->der.p[i / 8] ^= (unsigned char)(1u << i % 8);
		(void)scan_bytes(f, buf_slice(&f->der));
		f->der.p[i / 8] ^= (unsigned char)(1u << i % 8);
	}
}

#define LARGE ((uint64_t)25 << 20)

/* What this program encrypts, streamed, in chunks of indefinite length. */
static void large_envelopes_take_no_memory(void **state)
{
	struct fixture *f = *state;
	struct cert *certs[] = { testpki_cert(f->rsa), testpki_cert(f->ec) };
	static const enum cipher ciphers[] = { CIPHER_AES256_CBC, CIPHER_AES256_GCM };

	for (size_t i = 0; i < 2; i++) {
		struct arena *arena = arena_new(0);
		struct canon canon = test_canon(arena, "From: a@b.example\r\n", test_lines_body(arena, LARGE, false));
		struct encrypt_options options = { .certs = (const struct cert *const *)certs, .n = 2,
						   .cipher = ciphers[i] };
		struct rusage before, after;
		struct message message;
		struct stream *stream;

		assert_int_equal(encrypt_message(arena, &canon, &options, &message, &f->err), 0);
		stream = decode_base64(body_open(message.body, NULL), true, NULL);
		assert_non_null(stream);
		getrusage(RUSAGE_SELF, &before);
		if (prescan_envelope(f->arena, stream, &f->limits, &f->envelope, &f->err) != 0)
			fail_msg("%s", f->err.text);
		getrusage(RUSAGE_SELF, &after);
		stream_close(stream);
		assert_null(f->envelope.unsupported);
		assert_true(f->envelope.content_bytes >= LARGE);
		assert_in_range(arena_used(f->arena), 1, 64 << 10);
		assert_in_range(after.ru_maxrss - before.ru_maxrss, 0, 2048);
		arena_free(arena);
	}
	cert_free(certs[0]);
	cert_free(certs[1]);
}

/* A head of more than 256 KiB and 4 KiB for each recipient that may be is not held. */
static void what_is_held_is_bounded(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(scan(f, TO("30{ 02{ 00 } " ISSUER_SERIAL " " RSA " 04{ ~300000 } }")), -1);
	assert_int_equal(f->err.class, ERR_LIMIT);
	assert_int_equal(scan(f, TO("30{ 02{ 00 } " ISSUER_SERIAL " " RSA " 04{ ~200000 } }")), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_frame_has_its_rules), TEST(originators_are_counted), TEST(key_transport_has_its_rules),
		TEST(key_agreement_has_its_rules), TEST(recipients_are_counted), TEST(recipients_are_named),
		TEST(ciphers_have_their_rules), TEST(authenticated_envelopes_have_their_rules),
		TEST(options_let_more_pass), TEST(sealed_is_what_a_cipher_hides),
		TEST(cve_2025_15467_oversized_iv_of_an_aead), TEST(cve_2026_28389_key_agreement_without_parameters),
		TEST(cve_2026_28390_key_transport_without_parameters), TEST(cve_2026_34182_length_of_the_tag),
		TEST(cve_2026_9076_and_42766_passwords), TEST(cve_2026_63072_padded_key_wrap),
		TEST(honest_envelopes_by_openssl), TEST(no_truncation_passes), TEST(every_changed_byte_is_survived),
		TEST(large_envelopes_take_no_memory), TEST(what_is_held_is_bounded),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
