/* capability.c - SMIMECapabilities read (RFC 8551 2.5.2), and the cipher chosen for a message from those of its
 * recipients. Which ciphers exist is the table below; encrypting with one is smime/encrypt.c. Called by bundle.c,
 * directories, gate. Pure. */
#include "pki/capability.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#define LIMIT_BYTES 65536

static const struct {
	int nid;
	int strength;	/* more is chosen first */
} ciphers[CIPHER_COUNT] = {
	[CIPHER_AES256_CBC] = { NID_aes_256_cbc, 2 },
	[CIPHER_AES128_CBC] = { NID_aes_128_cbc, 1 },
	[CIPHER_AES256_GCM] = { NID_aes_256_gcm, 4 },
	[CIPHER_AES128_GCM] = { NID_aes_128_gcm, 3 },
};

const char *const cipher_names[] = { "aes256-cbc", "aes128-cbc", "aes256-gcm", "aes128-gcm", NULL };

const char *cipher_name(enum cipher cipher)
{
	return (unsigned)cipher < CIPHER_COUNT ? cipher_names[cipher] : "unknown";
}

static unsigned bit_of(const X509_ALGOR *algorithm)
{
	const ASN1_OBJECT *object = NULL;
	int nid;

	X509_ALGOR_get0(&object, NULL, NULL, algorithm);
	nid = OBJ_obj2nid(object);
	for (unsigned i = 0; i < CIPHER_COUNT; i++)
		if (ciphers[i].nid == nid)
			return 1U << i;
	return 0;
}

int capabilities_parse(struct slice der, struct capabilities *capabilities, struct err *err)
{
	const unsigned char *start = (const unsigned char *)der.p, *p = start;
	X509_ALGORS *list = NULL;
	int rc = -1;

	*capabilities = (struct capabilities){ 0 };
	if (der.n == 0 || der.n > LIMIT_BYTES || (list = d2i_X509_ALGORS(NULL, &p, (long)der.n)) == NULL ||
	    p != start + der.n) {
		err_set(err, ERR_MESSAGE, "RFC 8551 2.5.2: SMIMECapabilities is not a sequence of algorithms");
		goto out;
	}
	for (int i = 0; i < sk_X509_ALGOR_num(list); i++)
		capabilities->ciphers |= bit_of(sk_X509_ALGOR_value(list, i));
	capabilities->known = true;
	rc = 0;
out:
	sk_X509_ALGOR_pop_free(list, X509_ALGOR_free);
	ERR_clear_error();
	return rc;
}

/* The ciphers that every peer can read; 0 when one of them never said. */
static unsigned common_ciphers(const struct capabilities *peers, size_t peer_count)
{
	unsigned common = peer_count == 0 ? 0 : ~0U;

	for (size_t i = 0; i < peer_count; i++)
		common &= peers[i].known ? peers[i].ciphers : 0;
	return common;
}

enum cipher cipher_choose(const enum cipher *listed, size_t n, const struct capabilities *peers, size_t peer_count)
{
	unsigned common = common_ciphers(peers, peer_count);
	enum cipher chosen = n > 0 ? listed[0] : CIPHER_AES256_CBC;
	int strength = 0;

	for (size_t i = 0; i < n; i++) {
		if ((common & 1U << listed[i]) == 0 || ciphers[listed[i]].strength <= strength)
			continue;
		chosen = listed[i];
		strength = ciphers[chosen].strength;
	}
	return chosen;
}

bool cipher_readable(enum cipher cipher, const struct capabilities *peers, size_t peer_count)
{
	for (size_t i = 0; i < peer_count; i++)
		if (peers[i].known && (peers[i].ciphers & 1U << cipher) == 0)
			return false;
	return true;
}
