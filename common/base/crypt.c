/* crypt.c - the base room's only look at libcrypto: SHA-256, HMAC, AES-256-GCM (NIST SP 800-38D), random bytes,
 * wiping. Certificates, keys of people and CMS do not belong here. Called by buf, arena, spool, conf, and whoever needs a
 * digest. Thread-safe; leaves no entry in libcrypto's error queue. */
#include "base/crypt.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#define NONCE_BYTES 12

static int failed(struct err *err, const char *what)
{
	ERR_clear_error();
	return err_set(err, ERR_TEMP, "%s failed", what);
}

int crypt_random(void *p, size_t n, struct err *err)
{
	if (n > INT_MAX || RAND_bytes(p, (int)n) != 1)
		return failed(err, "random number generator");
	return 0;
}

int crypt_sha256(const void *p, size_t n, unsigned char digest[CRYPT_SHA256_BYTES], struct err *err)
{
	if (EVP_Digest(p, n, digest, NULL, EVP_sha256(), NULL) != 1)
		return failed(err, "SHA-256");
	return 0;
}

/* The context of libcrypto under a name that says nothing of it. */
struct crypt_digest *crypt_digest_new(struct err *err)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	if (context == NULL) {
		err_memory(err);
		return NULL;
	}
	if (EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
		EVP_MD_CTX_free(context);
		failed(err, "SHA-256");
		return NULL;
	}
	return (struct crypt_digest *)context;
}

int crypt_digest_add(struct crypt_digest *state, const void *p, size_t n, struct err *err)
{
	return EVP_DigestUpdate((EVP_MD_CTX *)state, p, n) == 1 ? 0 : failed(err, "SHA-256");
}

int crypt_digest_end(struct crypt_digest *state, unsigned char digest[CRYPT_SHA256_BYTES], struct err *err)
{
	return EVP_DigestFinal_ex((EVP_MD_CTX *)state, digest, NULL) == 1 ? 0 : failed(err, "SHA-256");
}

void crypt_digest_free(struct crypt_digest *state)
{
	EVP_MD_CTX_free((EVP_MD_CTX *)state);
}

int crypt_hmac(const unsigned char key[CRYPT_KEY_BYTES], const void *p, size_t n, unsigned char mac[CRYPT_SHA256_BYTES],
	       struct err *err)
{
	return HMAC(EVP_sha256(), key, CRYPT_KEY_BYTES, p, n, mac, NULL) != NULL ? 0 : failed(err, "HMAC");
}

bool crypt_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

static void make_nonce(uint64_t counter, unsigned char nonce[NONCE_BYTES])
{
	for (int i = NONCE_BYTES - 1; i >= 0; i--) {
		nonce[i] = (unsigned char)(counter & 0xff);
		counter >>= 8;
	}
}

int crypt_seal(const unsigned char key[CRYPT_KEY_BYTES], uint64_t counter, const void *in, size_t n, void *out,
	       struct err *err)
{
	unsigned char nonce[NONCE_BYTES], *to = out;
	EVP_CIPHER_CTX *context = NULL;
	int rc = -1, part = 0, last = 0;

	make_nonce(counter, nonce);
	if (n > INT_MAX - CRYPT_TAG_BYTES || (context = EVP_CIPHER_CTX_new()) == NULL)
		goto out;
	if (EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) != 1 ||
	    (n > 0 && EVP_EncryptUpdate(context, to, &part, in, (int)n) != 1) ||
	    EVP_EncryptFinal_ex(context, to + part, &last) != 1 ||
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, CRYPT_TAG_BYTES, to + n) != 1)
		goto out;
	rc = 0;
out:
	EVP_CIPHER_CTX_free(context);
	return rc == 0 ? 0 : failed(err, "encryption");
}

int crypt_open(const unsigned char key[CRYPT_KEY_BYTES], uint64_t counter, const void *in, size_t n, void *out,
	       struct err *err)
{
	unsigned char nonce[NONCE_BYTES], tag[CRYPT_TAG_BYTES], *to = out;
	const unsigned char *from = in;
	EVP_CIPHER_CTX *context = NULL;
	int rc = -1, part = 0, last = 0;

	make_nonce(counter, nonce);
	if (n > INT_MAX - CRYPT_TAG_BYTES || (context = EVP_CIPHER_CTX_new()) == NULL)
		goto out;
	for (size_t i = 0; i < CRYPT_TAG_BYTES; i++)
		tag[i] = from[n + i];
	if (EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) != 1 ||
	    (n > 0 && EVP_DecryptUpdate(context, to, &part, from, (int)n) != 1) ||
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, CRYPT_TAG_BYTES, tag) != 1 ||
	    EVP_DecryptFinal_ex(context, to + part, &last) != 1)
		goto out;
	rc = 0;
out:
	EVP_CIPHER_CTX_free(context);
	if (rc == 0)
		return 0;
	/* Nobody may use what did not prove genuine. */
	crypt_wipe(out, n);
	return failed(err, "decryption (changed bytes)");
}

void crypt_wipe(void *p, size_t n)
{
	if (p != NULL && n > 0)
		OPENSSL_cleanse(p, n);
}

void crypt_hex(const unsigned char *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * n] = '\0';
}

int crypt_unhex(const char *hex, unsigned char *out, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(hex) != 2 * n)
		return -1;
	for (size_t i = 0; i < 2 * n; i++) {
		const char *digit = strchr(digits, hex[i]);

		if (digit == NULL)
			return -1;
		out[i / 2] = (unsigned char)(i % 2 == 0 ? (digit - digits) << 4 : out[i / 2] | (digit - digits));
	}
	return 0;
}
