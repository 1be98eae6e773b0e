/* encrypt.c - an encrypted message as a lazy body (RFC 8551 3.3, RFC 5652 6, RFC 5083): OpenSSL's CMS encrypts what is
 * pushed through it, the reader pulls what has gathered in a memory BIO, in base64 lines. Called by the gate. Which
 * certificates may be used is candidate.h's business.
 *
 * Each reader of the body gets a new content key, so other bytes - but always the same number of them. The first one's
 * is encrypted to everybody while the body is made: what a certificate's key cannot do shows then, not when half the
 * message is sent. Memory does not depend on the size of the message; the one buffer that holds plaintext is wiped.
 */
#include "smime/encrypt.h"

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/crypt.h"
#include "mail/encode.h"
#include "pki/pki_internal.h"
#include "smime/smime_internal.h"

#define CHUNK_BYTES ((size_t)16 * 1024)

/* What the body is computed from. Lives in the arena. */
struct sealing {
	struct encrypt_options options;		/* certs: without duplicates */
	const struct body *entity;
	_Atomic(struct seal *) *first;		/* for the first reader; NULL in it: taken */
};

static const struct cipher_row {
	const EVP_CIPHER *(*cipher)(void);
	const char *smime_type;
} ciphers[CIPHER_COUNT] = {
	[CIPHER_AES256_CBC] = { EVP_aes_256_cbc, "enveloped-data" },
	[CIPHER_AES128_CBC] = { EVP_aes_128_cbc, "enveloped-data" },
	[CIPHER_AES256_GCM] = { EVP_aes_256_gcm, "authEnveloped-data" },
	[CIPHER_AES128_GCM] = { EVP_aes_128_gcm, "authEnveloped-data" },
};

/* OpenSSL's defaults are SHA-1 for OAEP and for ECDH's key derivation. The key wrap follows the content cipher. */
static int set_parameters(CMS_RecipientInfo *recipient, enum key_transport key_transport)
{
	EVP_PKEY_CTX *ctx = CMS_RecipientInfo_get0_pkey_ctx(recipient);

	if (ctx == NULL)
		return -1;
	if (CMS_RecipientInfo_type(recipient) == CMS_RECIPINFO_AGREE)
		return EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, EVP_sha256()) > 0 ? 0 : -1;
	if (key_transport == TRANSPORT_PKCS1)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0 ? 0 : -1;
	if (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) <= 0)
		return -1;
	return 0;
}

static int add_recipient(CMS_ContentInfo *object, const struct cert *cert, const struct encrypt_options *options)
{
	bool key_id = options->recipient_identifier == RECIPIENT_KEY_ID && cert_info(cert)->skid.n > 0;
	unsigned flags = CMS_KEY_PARAM | (key_id ? (unsigned)CMS_USE_KEYID : 0u);
	CMS_RecipientInfo *recipient = CMS_add1_recipient_cert(object, cert_x509(cert), flags);

	return recipient == NULL ? -1 : set_parameters(recipient, options->key_transport);
}

/* The object with all recipients, without content. NULL: *err names the certificate at fault. */
static CMS_ContentInfo *object_new(const struct encrypt_options *options, struct err *err)
{
	const unsigned flags = CMS_STREAM | CMS_PARTIAL | CMS_BINARY;
	CMS_ContentInfo *object = NULL;

	ERR_clear_error();
	object = CMS_encrypt(NULL, NULL, ciphers[options->cipher].cipher(), flags);
	if (object == NULL) {
		wrap_openssl_error(err, ERR_TEMP, "encrypting failed", NULL);
		return NULL;
	}
	for (size_t i = 0; i < options->n; i++)
		if (add_recipient(object, options->certs[i], options) != 0) {
			wrap_openssl_error(err, ERR_POLICY, "cannot encrypt to this certificate",
					   cert_info(options->certs[i])->subject);
			CMS_ContentInfo_free(object);
			return NULL;
		}
	return object;
}

/* One message being encrypted: source -> front (OpenSSL's filters) -> gathered. */
struct seal {
	struct stream *source;
	CMS_ContentInfo *object;
	BIO *front, *gathered;
	bool ended;
	unsigned char plain[CHUNK_BYTES];
};

/* Full chunks, however little the source gives at a time: so the framing, and the size, is the same each time. */
static ssize_t fill(struct seal *seal, struct err *err)
{
	size_t n = 0;
	ssize_t got = 0;

	while (n < CHUNK_BYTES && (got = stream_read(seal->source, seal->plain + n, CHUNK_BYTES - n, err)) > 0)
		n += (size_t)got;
	return got < 0 ? -1 : (ssize_t)n;
}

static int push(struct seal *seal, struct err *err)
{
	ssize_t n = fill(seal, err);
	size_t written = 0;
	int ok;

	if (n < 0)
		return -1;
	ERR_clear_error();
	if (n > 0) {
		ok = BIO_write_ex(seal->front, seal->plain, (size_t)n, &written) == 1 && written == (size_t)n;
	} else {
		ok = BIO_flush(seal->front) > 0;
		seal->ended = true;
	}
	return ok ? 0 : wrap_openssl_error(err, ERR_TEMP, "encrypting failed", NULL);
}

static ssize_t seal_read(void *self, void *p, size_t n, struct err *err)
{
	struct seal *seal = self;
	size_t got = 0;

	while (BIO_ctrl_pending(seal->gathered) == 0) {
		if (seal->ended)
			return 0;
		if (push(seal, err) != 0)
			return -1;
	}
	if (BIO_read_ex(seal->gathered, p, n, &got) != 1)
		return wrap_openssl_error(err, ERR_TEMP, "encrypting failed", NULL);
	return (ssize_t)got;
}

static void seal_close(void *self)
{
	struct seal *seal = self;

	/* front ends in gathered, unless it was never made. */
	BIO_free_all(seal->front != NULL ? seal->front : seal->gathered);
	CMS_ContentInfo_free(seal->object);
	stream_close(seal->source);
	crypt_wipe(seal->plain, sizeof(seal->plain));
	free(seal);
}

static const struct stream_class seal_class = { .read = seal_read, .close = seal_close };

/* Here the content key is made and encrypted to everybody. NULL: *err */
static struct seal *seal_new(const struct encrypt_options *options, struct err *err)
{
	const char *subject = options->n == 1 ? cert_info(options->certs[0])->subject : NULL;
	struct seal *seal = calloc(1, sizeof(*seal));

	if (seal == NULL) {
		err_memory(err);
		return NULL;
	}
	seal->object = object_new(options, err);
	if (seal->object == NULL)
		goto out;
	seal->gathered = BIO_new(BIO_s_mem());
	if (seal->gathered != NULL)
		seal->front = BIO_new_CMS(seal->gathered, seal->object);
	if (seal->front != NULL)
		return seal;
	wrap_openssl_error(err, seal->gathered == NULL ? ERR_TEMP : ERR_POLICY, "cannot encrypt to these certificates",
			   subject);
out:
	seal_close(seal);
	return NULL;
}

static struct stream *sealed_open(const void *self, uint64_t offset, struct err *err)
{
	const struct sealing *sealing = self;
	struct seal *seal = atomic_exchange(sealing->first, NULL);

	(void)offset;
	if (seal == NULL)
		seal = seal_new(&sealing->options, err);
	if (seal == NULL)
		return NULL;
	seal->source = body_open(sealing->entity, err);
	if (seal->source == NULL) {
		seal_close(seal);
		return NULL;
	}
	return encode_base64(stream_new(&seal_class, seal, err), err);
}

static const struct body_class sealed_class = { .open = sealed_open };

static void release_first(void *first)
{
	struct seal *seal = atomic_exchange((_Atomic(struct seal *) *)first, NULL);

	if (seal != NULL)
		seal_close(seal);
}

static int prepare_first(struct arena *arena, struct sealing *sealing, struct err *err)
{
	struct seal *seal = seal_new(&sealing->options, err);

	if (seal == NULL)
		return -1;
	sealing->first = arena_alloc(arena, sizeof(*sealing->first));
	if (sealing->first == NULL) {
		seal_close(seal);
		return err_memory(err);
	}
	atomic_init(sealing->first, seal);
	return arena_defer(arena, release_first, sealing->first) != 0 ? err_memory(err) : 0;
}

static int check_kind(const struct cert *cert, struct err *err)
{
	switch (cert_info(cert)->key_kind) {
	case KEY_RSA: case KEY_EC_P256: case KEY_EC_P384: case KEY_EC_P521: case KEY_EC_OTHER:
		return 0;
	case KEY_RSA_PSS: case KEY_ED25519: case KEY_OTHER:
		break;
	}
	return err_set(err, ERR_POLICY, "a key of this kind cannot be encrypted to (%s)", cert_info(cert)->subject);
}

static bool is_among(const struct cert *const *certs, size_t n, const struct cert *cert)
{
	for (size_t i = 0; i < n; i++)
		if (cert_equal(certs[i], cert))
			return true;
	return false;
}

/* Takes over the options, each certificate once. NULL: *err. */
static struct sealing *sealing_new(struct arena *arena, const struct body *entity,
				   const struct encrypt_options *options, struct err *err)
{
	struct sealing *sealing = arena_alloc(arena, sizeof(*sealing));
	const struct cert **certs = arena_array(arena, options->n, sizeof(certs[0]));
	size_t n = 0;

	if (sealing == NULL || certs == NULL) {
		err_memory(err);
		return NULL;
	}
	for (size_t i = 0; i < options->n; i++) {
		if (check_kind(options->certs[i], err) != 0)
			return NULL;
		if (!is_among(certs, n, options->certs[i]))
			certs[n++] = options->certs[i];
	}
	sealing->options = *options;
	sealing->options.certs = certs;
	sealing->options.n = n;
	sealing->entity = entity;
	return sealing;
}

int encrypt_message(struct arena *arena, const struct canon *canon, const struct encrypt_options *options,
		    struct message *out, struct err *err)
{
	struct sealing *sealing = NULL;
	struct wrap_fields fields;

	if (options->n == 0)
		return err_set(err, ERR_POLICY, "no certificate to encrypt to");
	sealing = sealing_new(arena, canon->entity, options, err);
	if (sealing == NULL || prepare_first(arena, sealing, err) != 0)
		return -1;
	fields = wrap_pkcs7_mime(arena, ciphers[options->cipher].smime_type);
	out->body = body_new(arena, &sealed_class, sealing, BODY_SIZE_UNKNOWN);
	if (fields.type == NULL || out->body == NULL)
		return err_memory(err);
	return wrap_header(arena, &canon->outside, &fields, &out->header, err);
}
