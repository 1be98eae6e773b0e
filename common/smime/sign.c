/* sign.c - a signed message as a lazy body (RFC 8551 3.5): content passes through and is digested on the way, the
 * signature (signature.c) is made when the reader gets to it. Called by the gate; decides nothing about keys.
 *
 * Every reader of the body gets the same bytes, though two signatures over the same content differ: the first one made
 * is kept. Memory does not depend on the size of the message. An error of the content's stream ends everything: what
 * closes the signed part is never written then.
 */
#include "smime/sign.h"

#include <openssl/objects.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypt.h"
#include "mail/encode.h"
#include "pki/pki_internal.h"
#include "smime/der.h"
#include "smime/smime_internal.h"

#define BOUNDARY_RANDOM_BYTES 16
#define OCTETS_BYTES 4096	/* of one OCTET STRING of opaque content; as OpenSSL writes them, read everywhere */

const char *const digest_names[] = { "sha256", "sha384", "sha512", NULL };

/* A signature that was made: over which digest value, and the detached SignedData. */
struct signature {
	struct buf digest, der;
};

/* What the body of a signed message is computed from. Lives in the arena. */
struct signing {
	struct sign_options options;
	const struct body *entity;
	struct slice before;	/* clear: the first delimiter line; opaque: what stands before the content */
	const char *boundary;	/* clear only */
	_Atomic(struct signature *) made;
};

static void signature_free(struct signature *signature)
{
	if (signature == NULL)
		return;
	buf_clear(&signature->digest);
	buf_clear(&signature->der);
	free(signature);
}

static void signing_release(void *object)
{
	struct signing *signing = object;

	signature_free(atomic_load(&signing->made));
}

/* value: the digest that content's state comes to. NULL: *err. */
static struct signature *signature_new(const struct sign_options *options, const EVP_MD_CTX *content,
				       struct slice value, struct err *err)
{
	struct signature *signature = calloc(1, sizeof(*signature));

	if (signature == NULL) {
		err_memory(err);
		return NULL;
	}
	buf_init(&signature->digest, 0);
	buf_init(&signature->der, 0);
	if (buf_append_slice(&signature->digest, value) != 0)
		err_memory(err);
	else if (signature_make(options, content, &signature->der, err) == 0)
		return signature;
	signature_free(signature);
	return NULL;
}

/* The signature's bytes over content with that digest value: the kept one if it fits, else a new one, which is kept if
 * it is the first. Content that differs from reading to reading (it was encrypted) gets a new one each time. */
static int get_signature(struct signing *signing, const EVP_MD_CTX *content, struct slice value, struct buf *der,
			 struct err *err)
{
	struct signature *kept = atomic_load(&signing->made), *made = NULL;
	int rc = 0;

	if (kept == NULL) {
		made = signature_new(&signing->options, content, value, err);
		if (made == NULL)
			return -1;
		if (atomic_compare_exchange_strong(&signing->made, &kept, made)) {
			kept = made;
			made = NULL;
		}
	}
	if (!slice_equal(buf_slice(&kept->digest), value))
		rc = signature_make(&signing->options, content, der, err);
	else if (buf_append_slice(der, buf_slice(&kept->der)) != 0)
		rc = err_memory(err);
	signature_free(made);
	return rc;
}

/* The end of the message, made when the first byte of it is asked for; owns the digest that the content feeds. */
struct tail {
	struct signing *signing;
	EVP_MD_CTX *digest;
	int (*write)(struct tail *tail, struct slice der, struct err *err);
	struct buf text;
	size_t at;
	bool made;
};

/* The value that the state comes to, the state being left as it is. */
static int digest_value(const EVP_MD_CTX *content, unsigned char value[EVP_MAX_MD_SIZE], unsigned *n, struct err *err)
{
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	int ok = copy != NULL && EVP_MD_CTX_copy_ex(copy, content) == 1 && EVP_DigestFinal_ex(copy, value, n) == 1;

	EVP_MD_CTX_free(copy);
	return ok ? 0 : wrap_openssl_error(err, ERR_TEMP, "digest failed", NULL);
}

static int tail_make(struct tail *tail, struct err *err)
{
	unsigned char value[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	struct buf der;
	int rc = -1;

	buf_init(&der, 0);
	if (digest_value(tail->digest, value, &n, err) == 0 &&
	    get_signature(tail->signing, tail->digest, slice_make(value, n), &der, err) == 0)
		rc = tail->write(tail, buf_slice(&der), err);
	buf_clear(&der);
	tail->made = true;
	return rc;
}

static ssize_t tail_read(void *self, void *p, size_t n, struct err *err)
{
	struct tail *tail = self;

	if (!tail->made && tail_make(tail, err) != 0)
		return -1;
	if (n > tail->text.n - tail->at)
		n = tail->text.n - tail->at;
	if (n > 0)
		memcpy(p, tail->text.p + tail->at, n);
	tail->at += n;
	return (ssize_t)n;
}

static void tail_close(void *self)
{
	struct tail *tail = self;

	EVP_MD_CTX_free(tail->digest);
	buf_clear(&tail->text);
	free(tail);
}

static const struct stream_class tail_class = { .read = tail_read, .close = tail_close };

static struct tail *tail_new(const struct signing *signing,
			     int (*write)(struct tail *tail, struct slice der, struct err *err), struct err *err)
{
	struct tail *tail = calloc(1, sizeof(*tail));

	if (tail == NULL) {
		err_memory(err);
		return NULL;
	}
	/* Bodies are const to readers; the signature that is kept is the one thing that a reading may leave behind. */
	tail->signing = (struct signing *)signing;
	tail->write = write;
	buf_init(&tail->text, 0);
	tail->digest = EVP_MD_CTX_new();
	if (tail->digest != NULL &&
	    EVP_DigestInit_ex(tail->digest, digest_row(signing->options.digest)->md(), NULL) == 1)
		return tail;
	wrap_openssl_error(err, ERR_TEMP, "digest failed", NULL);
	tail_close(tail);
	return NULL;
}

/* The content, digested as it passes. The digest belongs to the tail, which is closed later. */
struct tee {
	struct stream *source;
	EVP_MD_CTX *digest;
};

static ssize_t tee_read(void *self, void *p, size_t n, struct err *err)
{
	struct tee *tee = self;
	ssize_t got = stream_read(tee->source, p, n, err);

	if (got > 0 && EVP_DigestUpdate(tee->digest, p, (size_t)got) != 1)
		return wrap_openssl_error(err, ERR_TEMP, "digest failed", NULL);
	return got;
}

static void tee_close(void *self)
{
	struct tee *tee = self;

	stream_close(tee->source);
	free(tee);
}

static const struct stream_class tee_class = { .read = tee_read, .close = tee_close };

/* Takes source (NULL gives NULL). */
static struct stream *tee_open(struct stream *source, EVP_MD_CTX *digest, struct err *err)
{
	struct tee *tee = NULL;

	if (source == NULL)
		return NULL;
	tee = calloc(1, sizeof(*tee));
	if (tee == NULL) {
		stream_close(source);
		err_memory(err);
		return NULL;
	}
	tee->source = source;
	tee->digest = digest;
	return stream_new(&tee_class, tee, err);
}

/* Content as a row of OCTET STRINGs, all full but the last, however much is read at a time. */
struct octets {
	struct stream *source;
	unsigned char bytes[4 + OCTETS_BYTES];
	size_t at, n;
};

/* 1: bytes hold the next item, 0: no more, -1. */
static int octets_fill(struct octets *octets, struct err *err)
{
	size_t n = 0;
	ssize_t got = 0;

	while (n < OCTETS_BYTES &&
	       (got = stream_read(octets->source, octets->bytes + 4 + n, OCTETS_BYTES - n, err)) > 0)
		n += (size_t)got;
	if (got < 0)
		return -1;
	octets->bytes[0] = DER_OCTETS;
	octets->bytes[1] = 0x82;
	octets->bytes[2] = (unsigned char)(n >> 8);
	octets->bytes[3] = (unsigned char)n;
	octets->at = 0;
	octets->n = n == 0 ? 0 : n + 4;
	return n > 0;
}

static ssize_t octets_read(void *self, void *p, size_t n, struct err *err)
{
	struct octets *octets = self;
	int rc = octets->at < octets->n ? 1 : octets_fill(octets, err);

	if (rc <= 0)
		return rc;
	if (n > octets->n - octets->at)
		n = octets->n - octets->at;
	memcpy(p, octets->bytes + octets->at, n);
	octets->at += n;
	return (ssize_t)n;
}

static void octets_close(void *self)
{
	struct octets *octets = self;

	stream_close(octets->source);
	crypt_wipe(octets->bytes, sizeof(octets->bytes));
	free(octets);
}

static const struct stream_class octets_class = { .read = octets_read, .close = octets_close };

/* Takes source (NULL gives NULL). */
static struct stream *octets_open(struct stream *source, struct err *err)
{
	struct octets *octets = NULL;

	if (source == NULL)
		return NULL;
	octets = calloc(1, sizeof(*octets));
	if (octets == NULL) {
		stream_close(source);
		err_memory(err);
		return NULL;
	}
	octets->source = source;
	return stream_new(&octets_class, octets, err);
}

/* What stands before the content, the content (in OCTET STRINGs if opaque), the tail. */
static struct stream *signed_open(const struct signing *signing, bool opaque,
				  int (*write)(struct tail *tail, struct slice der, struct err *err), struct err *err)
{
	struct tail *tail = tail_new(signing, write, err);
	struct stream *content = NULL, *parts[3];

	if (tail == NULL)
		return NULL;
	parts[2] = stream_new(&tail_class, tail, err);
	if (parts[2] == NULL)
		return NULL;
	content = tee_open(body_open(signing->entity, err), tail->digest, err);
	parts[0] = content == NULL ? NULL : stream_from_slice(signing->before, err);
	parts[1] = opaque ? octets_open(content, err) : content;
	return stream_concat(parts, 3, err);
}

static int write_base64(struct buf *text, struct slice der, struct err *err)
{
	struct stream *stream = encode_base64(stream_from_slice(der, err), err);
	int rc = stream == NULL ? -1 : stream_read_all(stream, text, err);

	stream_close(stream);
	return rc;
}

/* The CRLF before each delimiter belongs to the delimiter (RFC 2046 5.1.1), so it is not in the digest. */
static int write_clear(struct tail *tail, struct slice der, struct err *err)
{
	const char *boundary = tail->signing->boundary;

	if (buf_printf(&tail->text,
		       "\r\n--%s\r\n"
		       "Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n"
		       "Content-Transfer-Encoding: base64\r\n"
		       "Content-Disposition: attachment; filename=\"smime.p7s\"\r\n"
		       "\r\n", boundary) != 0)
		return err_memory(err);
	if (write_base64(&tail->text, der, err) != 0)
		return -1;
	return buf_printf(&tail->text, "\r\n--%s--\r\n", boundary) != 0 ? err_memory(err) : 0;
}

static struct stream *clear_open(const void *self, uint64_t offset, struct err *err)
{
	(void)offset;
	return signed_open(self, false, write_clear, err);
}

static const struct body_class clear_class = { .open = clear_open };

/* Three ends of contents close eContent, three more the SignedData. */
static int write_opaque(struct tail *tail, struct slice der, struct err *err)
{
	static const unsigned char ends[6] = { 0 };
	struct slice rest;

	if (signature_tail(der, &rest, err) != 0)
		return -1;
	if (buf_append(&tail->text, ends, sizeof(ends)) != 0 || buf_append_slice(&tail->text, rest) != 0 ||
	    buf_append(&tail->text, ends, sizeof(ends)) != 0)
		return err_memory(err);
	return 0;
}

static struct stream *opaque_open(const void *self, uint64_t offset, struct err *err)
{
	(void)offset;
	return encode_base64(signed_open(self, true, write_opaque, err), err);
}

static const struct body_class opaque_class = { .open = opaque_open };

/* ContentInfo down to the first OCTET STRING, lengths indefinite: nobody knows yet how long the content is. */
static int write_opaque_head(enum digest digest, struct buf *out)
{
	static const unsigned char version[] = { 0x02, 0x01, 0x01 };
	struct buf oid, algorithm;
	int rc = -1;

	buf_init(&oid, 0);
	buf_init(&algorithm, 0);
	if (der_write(&oid, DER_OID, digest_row(digest)->oid) == 0 &&
	    der_write(&algorithm, DER_SEQUENCE, buf_slice(&oid)) == 0 &&
	    buf_append(out, "\x30\x80", 2) == 0 && der_write(out, DER_OID, der_oid_signed_data) == 0 &&
	    buf_append(out, "\xa0\x80\x30\x80", 4) == 0 && buf_append(out, version, sizeof(version)) == 0 &&
	    der_write(out, DER_SET, buf_slice(&algorithm)) == 0 && buf_append(out, "\x30\x80", 2) == 0 &&
	    der_write(out, DER_OID, der_oid_data) == 0 && buf_append(out, "\xa0\x80\x24\x80", 4) == 0)
		rc = 0;
	buf_clear(&oid);
	buf_clear(&algorithm);
	return rc;
}

static int prepare_clear(struct arena *arena, struct signing *signing, struct err *err)
{
	unsigned char random[BOUNDARY_RANDOM_BYTES];
	char hex[2 * BOUNDARY_RANDOM_BYTES + 1];

	if (crypt_random(random, sizeof(random), err) != 0)
		return -1;
	crypt_hex(random, sizeof(random), hex);
	/* "=_" can stand neither in quoted-printable nor in base64 (RFC 2045 6.7). */
	signing->boundary = arena_printf(arena, "=_%s", hex);
	if (signing->boundary == NULL)
		return err_memory(err);
	signing->before = slice_of(arena_printf(arena, "--%s\r\n", signing->boundary));
	return signing->before.p == NULL ? err_memory(err) : 0;
}

static int prepare_opaque(struct arena *arena, struct signing *signing, struct err *err)
{
	struct buf head;

	buf_init(&head, 0);
	if (write_opaque_head(signing->options.digest, &head) == 0)
		signing->before = arena_copy(arena, buf_slice(&head));
	buf_clear(&head);
	return signing->before.p == NULL ? err_memory(err) : 0;
}

static struct wrap_fields clear_fields(struct arena *arena, const struct signing *signing)
{
	return (struct wrap_fields){
		.type = arena_printf(arena, " multipart/signed; protocol=\"application/pkcs7-signature\";\n"
				     "\tmicalg=%s; boundary=\"%s\"", digest_row(signing->options.digest)->micalg,
				     signing->boundary),
	};
}

/* NULL: *err. */
static struct signing *signing_new(struct arena *arena, const struct canon *canon, const struct sign_options *options,
				   struct err *err)
{
	struct signing *signing = arena_alloc(arena, sizeof(*signing));

	if (signing == NULL) {
		err_memory(err);
		return NULL;
	}
	signing->options = *options;
	signing->entity = canon->entity;
	atomic_init(&signing->made, NULL);
	if (!canon->seven_bit)
		signing->options.format = SIGN_OPAQUE;
	if (arena_defer(arena, signing_release, signing) == 0)
		return signing;
	err_memory(err);
	return NULL;
}

int sign_message(struct arena *arena, const struct canon *canon, const struct sign_options *options,
		 struct message *out, struct err *err)
{
	struct signing *signing = NULL;
	struct wrap_fields fields;
	bool clear;

	if (signature_check(options, err) != 0)
		return -1;
	signing = signing_new(arena, canon, options, err);
	if (signing == NULL)
		return -1;
	clear = signing->options.format == SIGN_CLEAR;
	if ((clear ? prepare_clear(arena, signing, err) : prepare_opaque(arena, signing, err)) != 0)
		return -1;
	fields = clear ? clear_fields(arena, signing) : wrap_pkcs7_mime(arena, "signed-data");
	out->body = body_new(arena, clear ? &clear_class : &opaque_class, signing, BODY_SIZE_UNKNOWN);
	if (fields.type == NULL || out->body == NULL)
		return err_memory(err);
	return wrap_header(arena, &canon->outside, &fields, &out->header, err);
}

/* RFC 5753 and common readers: not shorter than the curve; an RSASSA-PSS key may name the only one it takes. */
static bool digest_fits(const struct key *key, enum digest digest)
{
	enum key_kind kind = cert_info(key_cert(key))->key_kind;
	int only = NID_undef;

	if (kind == KEY_EC_P384)
		return digest >= DIGEST_SHA384;
	if (kind == KEY_EC_P521)
		return digest == DIGEST_SHA512;
	if (kind == KEY_RSA_PSS && EVP_PKEY_get_default_digest_nid(key_pkey(key), &only) == 2)
		return only == EVP_MD_get_type(digest_row(digest)->md());
	return true;
}

enum digest sign_choose_digest(const struct key *key, const enum digest *listed, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (digest_fits(key, listed[i]))
			return listed[i];
	for (int digest = DIGEST_SHA256; digest < DIGEST_SHA512; digest++)
		if (digest_fits(key, (enum digest)digest))
			return (enum digest)digest;
	return DIGEST_SHA512;
}
