/* key.c - an own private key with its certificate and chain, and the round trip that shows that they work. Where keys
 * are found is keystore*.c; signing and opening messages is smime/. Called by keystores, smime/, `smimectl keys`. */
#include "pki/key.h"

#include <openssl/err.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypt.h"
#include "pki/pki_internal.h"

#define SECRET_BYTES 32		/* a content key */
#define OUTPUT_BYTES 4096	/* of any key operation: RSA-16384 gives 2048 */

struct key {
	atomic_uint references;
	struct cert *cert;
	EVP_PKEY *pkey;
	struct cert_list chain;
	char *source;
};

static const unsigned char sample[SECRET_BYTES] = "smime-milter tests this key now";

static int copy_chain(struct key *key, const struct cert_list *chain)
{
	for (size_t i = 0; chain != NULL && i < chain->n; i++)
		if (!cert_equal(chain->items[i], key->cert) && cert_list_add(&key->chain, chain->items[i]) != 0)
			return -1;
	return 0;
}

struct key *key_new(struct cert *cert, EVP_PKEY *pkey, const struct cert_list *chain, const char *source,
		    struct err *err)
{
	struct key *key = NULL;

	if (X509_check_private_key(cert_x509(cert), pkey) != 1) {
		ERR_clear_error();
		err_set(err, ERR_CONFIG, "%s: the key does not belong to the certificate of %s", source,
			cert_info(cert)->subject);
		return NULL;
	}
	key = calloc(1, sizeof(*key));
	if (key == NULL)
		goto out;
	atomic_init(&key->references, 1);
	key->cert = cert_ref(cert);
	EVP_PKEY_up_ref(pkey);
	key->pkey = pkey;
	key->source = strdup(source);
	if (key->source != NULL && copy_chain(key, chain) == 0)
		return key;
out:
	key_free(key);
	err_memory(err);
	return NULL;
}

int key_add_ca(struct key *key, struct cert *ca)
{
	return cert_list_add(&key->chain, ca);
}

struct key *key_ref(struct key *key)
{
	atomic_fetch_add(&key->references, 1);
	return key;
}

void key_free(struct key *key)
{
	if (key == NULL || atomic_fetch_sub(&key->references, 1) != 1)
		return;
	cert_free(key->cert);
	cert_list_clear(&key->chain);
	EVP_PKEY_free(key->pkey);
	free(key->source);
	free(key);
}

static void release_key(void *key)
{
	key_free(key);
}

int key_defer(struct arena *arena, struct key *key)
{
	return arena_defer(arena, release_key, key);
}

const struct cert *key_cert(const struct key *key)
{
	return key->cert;
}

const struct cert_list *key_chain(const struct key *key)
{
	return &key->chain;
}

const char *key_source(const struct key *key)
{
	return key->source;
}

EVP_PKEY *key_pkey(const struct key *key)
{
	return key->pkey;
}

/* Signs with the private key, verifies with the certificate's. Ed25519 brings its own digest. */
static bool signs(const struct key *key, EVP_PKEY *public)
{
	const EVP_MD *digest = cert_info(key->cert)->key_kind == KEY_ED25519 ? NULL : EVP_sha256();
	EVP_MD_CTX *sign = EVP_MD_CTX_new(), *verify = EVP_MD_CTX_new();
	unsigned char signature[OUTPUT_BYTES];
	size_t n = sizeof(signature);
	bool good = false;

	if (sign == NULL || verify == NULL || EVP_DigestSignInit(sign, NULL, digest, NULL, key->pkey) != 1 ||
	    EVP_DigestSign(sign, signature, &n, sample, sizeof(sample)) != 1)
		goto out;
	good = EVP_DigestVerifyInit(verify, NULL, digest, NULL, public) == 1 &&
	       EVP_DigestVerify(verify, signature, n, sample, sizeof(sample)) == 1;
out:
	EVP_MD_CTX_free(sign);
	EVP_MD_CTX_free(verify);
	return good;
}

static bool decrypts(const struct key *key, EVP_PKEY *public)
{
	EVP_PKEY_CTX *wrap = EVP_PKEY_CTX_new(public, NULL), *unwrap = EVP_PKEY_CTX_new(key->pkey, NULL);
	unsigned char wrapped[OUTPUT_BYTES], opened[OUTPUT_BYTES];
	size_t wrapped_n = sizeof(wrapped), opened_n = sizeof(opened);
	bool good = false;

	if (wrap == NULL || unwrap == NULL || EVP_PKEY_encrypt_init(wrap) != 1 ||
	    EVP_PKEY_encrypt(wrap, wrapped, &wrapped_n, sample, sizeof(sample)) != 1 ||
	    EVP_PKEY_decrypt_init(unwrap) != 1 ||
	    EVP_PKEY_decrypt(unwrap, opened, &opened_n, wrapped, wrapped_n) != 1)
		goto out;
	good = opened_n == sizeof(sample) && memcmp(opened, sample, sizeof(sample)) == 0;
out:
	crypt_wipe(opened, sizeof(opened));
	EVP_PKEY_CTX_free(wrap);
	EVP_PKEY_CTX_free(unwrap);
	return good;
}

/* The secret that own and peer have in common; its length, 0: failed. */
static size_t derive(EVP_PKEY *own, EVP_PKEY *peer, unsigned char *secret, size_t size)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(own, NULL);

	if (context == NULL || EVP_PKEY_derive_init(context) != 1 || EVP_PKEY_derive_set_peer(context, peer) != 1 ||
	    EVP_PKEY_derive(context, secret, &size) != 1)
		size = 0;
	EVP_PKEY_CTX_free(context);
	return size;
}

static EVP_PKEY *same_curve_key(EVP_PKEY *like)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(like, NULL);
	EVP_PKEY *pkey = NULL;

	if (context == NULL || EVP_PKEY_keygen_init(context) != 1 || EVP_PKEY_keygen(context, &pkey) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(context);
	return pkey;
}

static bool agrees(const struct key *key, EVP_PKEY *public)
{
	unsigned char ours[OUTPUT_BYTES], theirs[OUTPUT_BYTES];
	EVP_PKEY *ephemeral = same_curve_key(public);
	size_t n = 0, m = 0;

	if (ephemeral != NULL) {
		n = derive(key->pkey, ephemeral, ours, sizeof(ours));
		m = derive(ephemeral, public, theirs, sizeof(theirs));
	}
	EVP_PKEY_free(ephemeral);
	return n > 0 && n == m && memcmp(ours, theirs, n) == 0;
}

int key_test(const struct key *key, struct err *err)
{
	const struct cert_info *info = cert_info(key->cert);
	EVP_PKEY *public = X509_get0_pubkey(cert_x509(key->cert));
	bool sign = cert_may_sign(key->cert), encrypt = cert_may_encrypt(key->cert);
	char reason[120];

	if (!sign && !encrypt)
		return err_set(err, ERR_CONFIG, "RFC 8550 4.4: %s may neither sign nor encrypt mail", info->subject);
	if (sign && !signs(key, public))
		return err_set(err, ERR_CONFIG, "%s: a test signature failed: %s", key->source,
			       openssl_reason(reason, sizeof(reason)));
	if (encrypt && !(info->key_kind == KEY_RSA ? decrypts(key, public) : agrees(key, public)))
		return err_set(err, ERR_CONFIG, "%s: test encryption failed: %s", key->source,
			       openssl_reason(reason, sizeof(reason)));
	return 0;
}
