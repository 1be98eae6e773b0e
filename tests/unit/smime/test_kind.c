/* test_kind.c - what a message is, and what merely looks so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smime/encrypt.h"
#include "smime/kind.h"
#include "smime/sign.h"
#include "smime_test.h"
#include "support/testpki.h"

static struct testpki *root, *leaf;

static int setup(void **state)
{
	(void)state;
	root = testpki_root("Test Root");
	leaf = testpki_leaf(root, "alice@example.com");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testpki_free(leaf);
	testpki_free(root);
	return 0;
}

struct parsed {
	struct message message;
	struct mime mime;
};

static struct parsed parse(struct arena *arena, struct slice text)
{
	struct header_limits header_limits = { .bytes = 0 };
	struct mime_limits limits = { .depth = 0 };
	struct parsed parsed;
	struct err err = { .class = ERR_NONE };

	assert_int_equal(message_parse(arena, text, &header_limits, &parsed.message, &err), 0);
	assert_int_equal(mime_parse(arena, &parsed.message, &limits, &parsed.mime, &err), 0);
	return parsed;
}

static void kind_of(struct slice text, enum kind wanted, enum cms_type type)
{
	struct arena *arena = arena_new(0);
	struct parsed parsed = parse(arena, text);
	enum kind kind = KIND_PLAIN;
	enum cms_type found = CMS_NONE;
	struct err err = { .class = ERR_NONE };

	assert_int_equal(kind_find(arena, &parsed.message, &parsed.mime, &kind, &err), 0);
	if (kind != wanted)
		fail_msg("%s, not %s: %.*s", kind_names[kind], kind_names[wanted], SLICE_ARGS(text));
	assert_int_equal(kind_cms_type(arena, &parsed.message, parsed.mime.root, &found, &err), 0);
	if (found != type)
		fail_msg("type %d, not %d: %.*s", (int)found, (int)type, SLICE_ARGS(text));
	arena_free(arena);
}

static void is(const char *text, enum kind wanted)
{
	kind_of(slice_of(text), wanted, CMS_NONE);
}

/* A message with that Content-Type and base64 of the bytes. */
static void is_cms(const char *fields, struct slice der, enum kind wanted, enum cms_type type)
{
	struct stream *stream = encode_base64(stream_from_slice(der, NULL), NULL);
	struct buf text;

	buf_init(&text, 0);
	assert_int_equal(buf_printf(&text, "From: a@b.example\r\n%s\r\n"
				    "Content-Transfer-Encoding: base64\r\n\r\n", fields), 0);
	assert_int_equal(stream_read_all(stream, &text, NULL), 0);
	stream_close(stream);
	kind_of(buf_slice(&text), wanted, type);
	buf_clear(&text);
}

#define PKCS7 "Content-Type: application/pkcs7-mime"

/* DER of a SignedData with or without content, an EnvelopedData, made by OpenSSL in one piece. */
static struct buf object(int what)
{
	BIO *in = BIO_new_mem_buf(ENTITY, -1);
	STACK_OF(X509) *certs = sk_X509_new_null();
	CMS_ContentInfo *cms = NULL;
	unsigned char *p = NULL;
	struct buf buf;
	int n;

	sk_X509_push(certs, leaf->x509);
	if (what == CMS_SIGNED)
		cms = CMS_sign(leaf->x509, leaf->pkey, NULL, in, CMS_BINARY);
	else if (what == CMS_CERTS_ONLY)
		cms = CMS_sign(NULL, NULL, certs, NULL, CMS_BINARY | CMS_DETACHED | CMS_PARTIAL);
	else if (what == CMS_ENVELOPED)
		cms = CMS_encrypt(certs, in, EVP_aes_128_cbc(), CMS_BINARY);
	else if (what == CMS_AUTH_ENVELOPED)
		cms = CMS_encrypt(certs, in, EVP_aes_128_gcm(), CMS_BINARY);
	else
		cms = CMS_digest_create(in, EVP_sha256(), CMS_BINARY);
	assert_non_null(cms);
	n = i2d_CMS_ContentInfo(cms, &p);
	buf_init(&buf, 0);
	assert_int_equal(buf_append(&buf, p, (size_t)n), 0);
	OPENSSL_free(p);
	CMS_ContentInfo_free(cms);
	sk_X509_free(certs);
	BIO_free(in);
	return buf;
}

static void cms_objects(void **state)
{
	static const struct { enum cms_type type; enum kind kind; } rows[] = {
		{ CMS_SIGNED, KIND_SIGNED }, { CMS_CERTS_ONLY, KIND_PLAIN }, { CMS_ENVELOPED, KIND_ENCRYPTED },
		{ CMS_AUTH_ENVELOPED, KIND_ENCRYPTED }, { CMS_OTHER, KIND_PLAIN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf der = object((int)rows[i].type);
		struct slice bytes = buf_slice(&der);

		is_cms(PKCS7, bytes, rows[i].kind, rows[i].type);
		is_cms(PKCS7 "; smime-type=certs-only", bytes, rows[i].kind, rows[i].type);
		is_cms(PKCS7 "; smime-type=enveloped-data", bytes, rows[i].kind, rows[i].type);
		is_cms("content-type: Application/X-PKCS7-MIME", bytes, rows[i].kind, rows[i].type);
		is_cms("Content-Type: application/octet-stream; name=\"smime.P7M\"", bytes, rows[i].kind, rows[i].type);
		is_cms("Content-Type: application/octet-stream\r\nContent-Disposition: attachment;\r\n filename=a.p7z",
		       bytes, rows[i].kind, rows[i].type);
		is_cms("Content-Type: application/octet-stream; name=smime.p7m.txt", bytes, KIND_PLAIN, CMS_NONE);
		is_cms("Content-Type: application/octet-stream", bytes, KIND_PLAIN, CMS_NONE);
		is_cms("Content-Type: text/plain; name=smime.p7m", bytes, KIND_PLAIN, CMS_NONE);
		buf_clear(&der);
	}
}

static void compressed(void **state)
{
	static const char der[] = "\x30\x80\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09"
		"\xa0\x80\x30\x80\x02\x01\x00"
		"\x00\x00\x00\x00\x00\x00";

	(void)state;
	is_cms(PKCS7, slice_make(der, sizeof(der) - 1), KIND_PLAIN, CMS_COMPRESSED);
}

/* An object cut anywhere is not taken for anything else, and never for more than it was. */
static void broken_objects(void **state)
{
	static const char not_sequence[] = "\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"
		"\xa0\x80\x04\x01\x00\x00\x00\x00\x00";
	struct buf der = object(CMS_ENVELOPED);

	(void)state;
	is_cms(PKCS7, slice_of("garbage"), KIND_PLAIN, CMS_UNREADABLE);
	is_cms(PKCS7, slice_of(""), KIND_PLAIN, CMS_UNREADABLE);
	is_cms(PKCS7, slice_of("0\x80"), KIND_PLAIN, CMS_UNREADABLE);
	is_cms(PKCS7, slice_make(not_sequence, sizeof(not_sequence) - 1), KIND_PLAIN, CMS_UNREADABLE);
	for (size_t n = 0; n < der.n; n += 7)
		is_cms(PKCS7, slice_first(buf_slice(&der), n), KIND_PLAIN, CMS_UNREADABLE);
	buf_clear(&der);
	kind_of(slice_of(PKCS7 "; smime-type=enveloped-data\r\n\r\nHello, this is no CMS.\r\n"),
		KIND_PLAIN, CMS_UNREADABLE);
}

/* What this program makes, large and small, streamed. */
/* What stands behind an object is not encrypted, nor is what only some readers take for one. */
static void objects_with_text(void **state)
{
	struct buf der = object(CMS_ENVELOPED), raw;

	(void)state;
	is_cms(PKCS7 "\r\nContent-Type: text/plain", buf_slice(&der), KIND_PLAIN, CMS_ENVELOPED);
	is_cms(PKCS7, buf_slice(&der), KIND_ENCRYPTED, CMS_ENVELOPED);
	buf_init(&raw, 0);
	assert_int_equal(buf_printf(&raw, PKCS7 "\r\nContent-Transfer-Encoding: binary\r\n\r\n"), 0);
	assert_int_equal(buf_append_slice(&raw, buf_slice(&der)), 0);
	kind_of(buf_slice(&raw), KIND_ENCRYPTED, CMS_ENVELOPED);
	assert_int_equal(buf_append_text(&raw, "\r\n"), 0);
	kind_of(buf_slice(&raw), KIND_ENCRYPTED, CMS_ENVELOPED);
	assert_int_equal(buf_append_text(&raw, "plain\r\n"), 0);
	kind_of(buf_slice(&raw), KIND_PLAIN, CMS_ENVELOPED);
	assert_int_equal(buf_append_text(&der, "plain"), 0);
	is_cms(PKCS7, buf_slice(&der), KIND_PLAIN, CMS_ENVELOPED);
	buf_clear(&raw);
	buf_clear(&der);
}

/* Of indefinite length, as streams are written. */
static void streamed_objects(void **state)
{
	BIO *in = BIO_new_mem_buf(ENTITY, -1), *out = BIO_new(BIO_s_mem());
	STACK_OF(X509) *certs = sk_X509_new_null();
	CMS_ContentInfo *cms;
	char *p = NULL;
	struct buf buf;
	long n;

	(void)state;
	sk_X509_push(certs, leaf->x509);
	cms = CMS_encrypt(certs, in, EVP_aes_256_cbc(), CMS_BINARY | CMS_STREAM);
	assert_non_null(cms);
	assert_int_equal(i2d_CMS_bio_stream(out, cms, in, CMS_BINARY | CMS_STREAM), 1);
	n = BIO_get_mem_data(out, &p);
	assert_memory_equal(p, "\x30\x80", 2);
	is_cms(PKCS7, slice_make(p, (size_t)n), KIND_ENCRYPTED, CMS_ENVELOPED);
	buf_init(&buf, 0);
	assert_int_equal(buf_append(&buf, p, (size_t)n), 0);
	assert_int_equal(buf_append_text(&buf, "plain"), 0);
	is_cms(PKCS7, buf_slice(&buf), KIND_PLAIN, CMS_ENVELOPED);
	buf_clear(&buf);
	CMS_ContentInfo_free(cms);
	sk_X509_free(certs);
	BIO_free(out);
	BIO_free(in);
}

/* The frame of an envelope around something that is not encrypted, or by nothing that is known to encrypt. */
static void frames_without_ciphertext(void **state)
{
	static const char text[] = "the secret is 4711, and that is all, 48 octets..";
	static const struct { const char *cipher; size_t n; enum kind kind; } rows[] = {
		{ "aes-128-cbc", 0, KIND_ENCRYPTED },
		{ "aes-128-cbc", sizeof(text) - 1, KIND_PLAIN },	/* readable */
		{ "aes-128-cbc", 15, KIND_PLAIN },			/* no whole block */
		{ "des-ede3-cbc", 0, KIND_ENCRYPTED },
		{ "des-cbc", 0, KIND_PLAIN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		BIO *in = BIO_new_mem_buf("01234567890123456789012345678901234567890", 41);
		STACK_OF(X509) *certs = sk_X509_new_null();
		CMS_ContentInfo *cms;
		unsigned char *p = NULL;
		int n;

		sk_X509_push(certs, leaf->x509);
		cms = CMS_encrypt(certs, in, EVP_get_cipherbyname(rows[i].cipher), CMS_BINARY);
		if (cms == NULL) {	/* DES needs the legacy provider */
			assert_string_equal(rows[i].cipher, "des-cbc");
		} else {
			if (rows[i].n > 0)
				ASN1_STRING_set(*CMS_get0_content(cms), text, (int)rows[i].n);
			n = i2d_CMS_ContentInfo(cms, &p);
			is_cms(PKCS7, slice_make(p, (size_t)n), rows[i].kind, CMS_ENVELOPED);
		}
		OPENSSL_free(p);
		CMS_ContentInfo_free(cms);
		sk_X509_free(certs);
		BIO_free(in);
	}
	ERR_clear_error();
}

static void own_messages(void **state)
{
	(void)state;
	for (int n = 0; n < 6; n++) {
		struct arena *arena = arena_new(0);
		struct key *key = testpki_key(leaf);
		const struct cert *cert = key_cert(key);
		const struct body *entity = n & 1 ? test_lines_body(arena, 100000, false) :
					    body_from_slice(arena, slice_of(ENTITY));
		struct canon canon = test_canon(arena, "From: a@b.example\r\n", entity);
		struct sign_options sign = { .key = key, .format = n < 2 ? SIGN_CLEAR : SIGN_OPAQUE };
		struct encrypt_options encrypt = { .certs = &cert, .n = 1, .cipher = n & 1 ? CIPHER_AES128_GCM :
			CIPHER_AES128_CBC };
		struct message message;
		struct mime_limits limits = { .depth = 0 };
		struct mime mime;
		enum kind kind = KIND_PLAIN;

		if (n < 4)
			assert_int_equal(sign_message(arena, &canon, &sign, &message, NULL), 0);
		else
			assert_int_equal(encrypt_message(arena, &canon, &encrypt, &message, NULL), 0);
		assert_int_equal(mime_parse(arena, &message, &limits, &mime, NULL), 0);
		/* Of the clear one, the lines are no entity. */
		assert_int_equal(mime.facts, n == 1 ? MIME_MALFORMED : 0);
		assert_int_equal(kind_find(arena, &message, &mime, &kind, NULL), 0);
		assert_int_equal(kind, n < 4 ? KIND_SIGNED : KIND_ENCRYPTED);
		key_free(key);
		arena_free(arena);
	}
}

/* multipart/signed with that second part, and perhaps a third. */
static void is_multipart(const char *type, struct slice der, bool third, enum kind wanted)
{
	struct stream *stream = encode_base64(stream_from_slice(der, NULL), NULL);
	struct buf text;

	buf_init(&text, 0);
	assert_int_equal(buf_printf(&text, "Content-Type: multipart/signed; boundary=b\r\n\r\n"
				    "--b\r\n\r\ntext\r\n--b\r\n"
				    "Content-Type: %s\r\nContent-Transfer-Encoding: base64\r\n\r\n", type), 0);
	assert_int_equal(stream_read_all(stream, &text, NULL), 0);
	stream_close(stream);
	assert_int_equal(buf_append_text(&text, third ? "\r\n--b\r\n\r\nmore\r\n--b--\r\n" : "\r\n--b--\r\n"), 0);
	kind_of(buf_slice(&text), wanted, CMS_NONE);
	buf_clear(&text);
}

/* A detached signature with a signer; whether it fits the content is not kind's business. */
static struct buf signature_of_leaf(void)
{
	BIO *content = BIO_new_mem_buf("text", 4);
	CMS_ContentInfo *cms = CMS_sign(leaf->x509, leaf->pkey, NULL, content, CMS_DETACHED | CMS_BINARY);
	unsigned char *der = NULL;
	struct buf bytes;
	int n = i2d_CMS_ContentInfo(cms, &der);

	assert_true(n > 0);
	buf_init(&bytes, 0);
	assert_int_equal(buf_append(&bytes, der, (size_t)n), 0);
	OPENSSL_free(der);
	CMS_ContentInfo_free(cms);
	BIO_free(content);
	return bytes;
}

static void multipart_signed(void **state)
{
	struct buf signature = signature_of_leaf(), envelope = object(CMS_ENVELOPED);
	struct buf nobody = object(CMS_CERTS_ONLY);

	(void)state;
	is_multipart("application/pkcs7-signature", buf_slice(&signature), false, KIND_SIGNED);
	is_multipart("application/x-pkcs7-signature", buf_slice(&signature), false, KIND_SIGNED);
	is_multipart("application/octet-stream; name=smime.p7s", buf_slice(&signature), false, KIND_SIGNED);
	is_multipart("application/pgp-signature", slice_of("x"), false, KIND_SIGNED);
	is_multipart("application/pkcs7-signature", buf_slice(&signature), true, KIND_PLAIN);
	is_multipart("application/pkcs7-signature", buf_slice(&envelope), false, KIND_PLAIN);
	is_multipart("application/pkcs7-signature", slice_of("x"), false, KIND_PLAIN);
	is_multipart("application/pkcs7-signature", buf_slice(&nobody), false, KIND_PLAIN);
	is_multipart("text/plain", buf_slice(&signature), false, KIND_PLAIN);
	is("Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b--\r\n", KIND_PLAIN);
	is("Content-Type: multipart/signed\r\n\r\ntext\r\n", KIND_PLAIN);
	buf_clear(&signature);
	buf_clear(&envelope);
	buf_clear(&nobody);
}

#define PGP "-----BEGIN PGP MESSAGE-----\r\nVersion: x\r\n\r\nhQEMA7Z+/w==\r\n=abcd\r\n-----END PGP MESSAGE-----"

static void multipart_encrypted(void **state)
{
	(void)state;
	is("Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n--b\r\n"
	   "Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\n"
	   "Content-Type: application/octet-stream\r\n\r\n" PGP "\r\n--b--\r\n", KIND_ENCRYPTED);
	is("Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\n"
	   "Version: 1\r\n--b\r\n\r\n" PGP "\r\n--b--\r\n", KIND_ENCRYPTED);
	is("Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n--b\r\n"
	   "Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\n"
	   "Content-Type: application/octet-stream\r\n\r\na secret\r\n--b--\r\n", KIND_PLAIN);
	is("Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b\r\n\r\na secret\r\n--b--\r\n", KIND_PLAIN);
	is("Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n--b\r\n"
	   "Content-Type: text/plain\r\n\r\na secret\r\n--b\r\n\r\nanother\r\n--b--\r\n", KIND_PLAIN);
}

static void inline_pgp(void **state)
{
	(void)state;
	is("Subject: x\r\n\r\n" PGP "\r\n", KIND_ENCRYPTED);
	is("Subject: x\r\n\r\n" PGP, KIND_ENCRYPTED);
	is("Content-Type: text/plain; charset=utf-8\r\n\r\n\r\n \r\n" PGP "  \r\n\r\n\r\n", KIND_ENCRYPTED);
	is("Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	   "-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA7Z+/w=3D=3D\r\n-----END PGP MESSAGE-----\r\n", KIND_ENCRYPTED);
	is("Subject: x\r\n\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\ntext\r\n"
	   "-----BEGIN PGP SIGNATURE-----\r\n\r\nabcd\r\n-----END PGP SIGNATURE-----\r\n", KIND_SIGNED);
	/* gpg --sign --armor, gpg --store --armor, nothing at all: anybody reads them */
	is("Subject: x\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nowEBTgGx/pANAwAI\r\n-----END PGP MESSAGE-----\r\n", KIND_PLAIN);
	is("Subject: x\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nrBFiAGkhjxphIHNl\r\n-----END PGP MESSAGE-----\r\n", KIND_PLAIN);
	is("Subject: x\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nkA0DAAgBTgGx/pAB\r\n-----END PGP MESSAGE-----\r\n", KIND_PLAIN);
	is("Subject: x\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\n\r\n-----END PGP MESSAGE-----\r\n", KIND_PLAIN);
	/* by a passphrase; new packet format, session key and data */
	is("Subject: x\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\njA0ECQMCabcd\r\n-----END PGP MESSAGE-----\r\n", KIND_ENCRYPTED);
	is("Subject: x\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nwcBMA0abcd\r\n-----END PGP MESSAGE-----\r\n", KIND_ENCRYPTED);
	is("Subject: x\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\n0joBabcd\r\n-----END PGP MESSAGE-----\r\n", KIND_ENCRYPTED);
	is("Subject: x\r\n\r\nRead this:\r\n" PGP "\r\n", KIND_PLAIN);
	is("Subject: x\r\n\r\n" PGP "\r\nPS: a secret\r\n", KIND_PLAIN);
	is("Subject: x\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\na secret, in words\r\n-----END PGP MESSAGE-----\r\n",
	   KIND_PLAIN);
	is("Subject: x\r\n\r\n-----BEGIN PGP MESSAGE-----\r\na secret\r\n\r\n-----END PGP MESSAGE-----\r\n",
	   KIND_PLAIN);
	is("Subject: x\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nabcd\r\n", KIND_PLAIN);
	is("Subject: x\r\n\r\n" PGP "\r\n" PGP "\r\n", KIND_PLAIN);
	is("Content-Type: text/html\r\n\r\n" PGP "\r\n", KIND_PLAIN);
	is("Subject: x\r\n\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\n\r\ntext\r\n", KIND_PLAIN);
}

#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n"

static void other_kinds(void **state)
{
	(void)state;
	is("Subject: x\r\n\r\ntext\r\n", KIND_PLAIN);
	is("\r\n", KIND_PLAIN);
	is("Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n", KIND_CALENDAR);
	is(MIXED "Content-Type: multipart/alternative; boundary=c\r\n\r\n"
	   "--c\r\nContent-Type: text/html\r\n\r\nx\r\n--c\r\n"
	   "Content-Type: text/calendar\r\n\r\nx\r\n--c--\r\n--b--\r\n", KIND_CALENDAR);
	is(MIXED "Content-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b\r\n"
	   "Content-Type: application/ms-tnef; name=winmail.dat\r\n\r\nx\r\n--b--\r\n", KIND_TNEF);
	is("Content-Type: application/ms-tnef\r\n\r\nx\r\n", KIND_TNEF);
	is(MIXED "Content-Type: application/ms-tnef\r\n\r\nx\r\n"
	   "--b\r\nContent-Type: text/calendar\r\n\r\nx\r\n--b--\r\n",
	   KIND_CALENDAR);
	is(MIXED "Content-Type: message/rfc822\r\n\r\nContent-Type: text/calendar\r\n\r\nx\r\n--b--\r\n", KIND_PLAIN);
	is("Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: text/calendar\r\n\r\nx\r\n--b--\r\n",
	   KIND_REPORT);
}

static void headers_only(const char *body, bool wanted)
{
	struct arena *arena = arena_new(0);
	char *text = arena_printf(arena, "Content-Type: multipart/report; boundary=b\r\n\r\n"
				  "--b\r\n\r\nfailed\r\n--b\r\n"
				  "Content-Type: message/delivery-status\r\n\r\nAction: failed\r\n%s--b--\r\n", body);
	struct parsed parsed = parse(arena, slice_of(text));

	bool only = !wanted;

	assert_int_equal(kind_report_is_headers_only(arena, &parsed.message, &parsed.mime, &only, NULL), 0);
	assert_int_equal(only, wanted);
	arena_free(arena);
}

static void reports(void **state)
{
	struct arena *arena = arena_new(0);
	struct parsed plain = parse(arena, slice_of("Subject: x\r\n\r\ntext\r\n"));

	bool only = true;

	(void)state;
	assert_int_equal(kind_report_is_headers_only(arena, &plain.message, &plain.mime, &only, NULL), 0);
	assert_false(only);
	arena_free(arena);
	headers_only("", true);
	headers_only("--b\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n", true);
	headers_only("--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n", true);
	headers_only("--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\na secret\r\n", false);
	headers_only("--b\r\nContent-Type: text/plain\r\n\r\na secret\r\n", false);
	headers_only("--b\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n\r\na secret\r\n", false);
	headers_only("--b\r\nContent-Type: text/rfc822-headers\r\n\r\na secret\r\n", false);
	headers_only("--b\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n--b\r\n\r\na secret\r\n", false);
}

static void failing_stream(void **state)
{
	struct arena *arena = arena_new(0);
	struct parsed parsed = parse(arena, slice_of(PKCS7 "\r\n\r\nx\r\n"));
	struct err err = { .class = ERR_NONE };
	enum cms_type type = CMS_NONE;
	enum kind kind = KIND_PLAIN;

	(void)state;
	parsed.message.body = test_lines_body(arena, 0, true);
	assert_int_equal(kind_cms_type(arena, &parsed.message, parsed.mime.root, &type, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	err.class = ERR_NONE;
	assert_int_equal(kind_find(arena, &parsed.message, &parsed.mime, &kind, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cms_objects), cmocka_unit_test(compressed), cmocka_unit_test(broken_objects),
		cmocka_unit_test(objects_with_text), cmocka_unit_test(streamed_objects),
		cmocka_unit_test(frames_without_ciphertext),
		cmocka_unit_test(own_messages), cmocka_unit_test(multipart_signed),
		cmocka_unit_test(multipart_encrypted),
		cmocka_unit_test(inline_pgp), cmocka_unit_test(other_kinds), cmocka_unit_test(reports),
		cmocka_unit_test(failing_stream),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
