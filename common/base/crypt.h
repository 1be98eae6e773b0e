/* crypt.h - digest, MAC, AEAD and random bytes for the base room (libcrypto stays in crypt.c). Certificates and CMS do not
 * belong here: see pki/ and smime/. Thread-safe. */
#ifndef BASE_CRYPT_H
#define BASE_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CRYPT_SHA256_BYTES 32
#define CRYPT_KEY_BYTES 32
#define CRYPT_TAG_BYTES 16

int crypt_random(void *p, size_t n, struct err *err);
int crypt_sha256(const void *p, size_t n, unsigned char digest[CRYPT_SHA256_BYTES], struct err *err);
/* SHA-256 of bytes that come in pieces. After an error the digest cannot be had. NULL: *err. */
struct crypt_digest;
struct crypt_digest *crypt_digest_new(struct err *err);
int crypt_digest_add(struct crypt_digest *state, const void *p, size_t n, struct err *err);
int crypt_digest_end(struct crypt_digest *state, unsigned char digest[CRYPT_SHA256_BYTES], struct err *err);
void crypt_digest_free(struct crypt_digest *state);	/* NULL is fine */
/* HMAC-SHA-256 (RFC 2104). */
int crypt_hmac(const unsigned char key[CRYPT_KEY_BYTES], const void *p, size_t n, unsigned char mac[CRYPT_SHA256_BYTES],
	       struct err *err);
/* Compares in a time that does not depend on where the bytes differ. */
bool crypt_equal(const void *a, const void *b, size_t n);
/* AES-256-GCM, nonce = counter (never twice under one key). out has n + CRYPT_TAG_BYTES bytes (seal), n (open). */
int crypt_seal(const unsigned char key[CRYPT_KEY_BYTES], uint64_t counter, const void *in, size_t n, void *out,
	       struct err *err);
int crypt_open(const unsigned char key[CRYPT_KEY_BYTES], uint64_t counter, const void *in, size_t n, void *out,
	       struct err *err);	/* n: without the tag */
/* Overwrites, not optimised away. */
void crypt_wipe(void *p, size_t n);
/* Lower-case hex of n bytes, NUL-terminated: out has 2 n + 1 bytes. */
void crypt_hex(const unsigned char *p, size_t n, char *out);
/* Exactly n bytes out of 2 * n digits and nothing behind them. -1: it is not that. */
int crypt_unhex(const char *hex, unsigned char *out, size_t n);

#endif
