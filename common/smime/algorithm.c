/* algorithm.c - tables of digests, signatures, ciphers and ways of a content key, their parameters, and the public-key
 * operation of a signature.
 *
 * What is not in a table is unsupported, never "unsigned": a newer library or a new row makes it known. Strength is
 * told, not enforced: verdicts are signer.c's. Called by verify*.c, signer.c and the prescans. No state, thread-safe.
 */
#include "smime/algorithm.h"

#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "pki/pki_internal.h"

#define RSA_GOOD_BITS 2048u
#define EC_GOOD_BITS 224u
#define SALT_LIMIT 512

static const struct digest_algorithm digests[] = {
	{ NID_sha256, "sha256", false }, { NID_sha384, "sha384", false }, { NID_sha512, "sha512", false },
	{ NID_sha224, "sha224", false }, { NID_sha3_256, "sha3-256", false }, { NID_sha3_384, "sha3-384", false },
	{ NID_sha3_512, "sha3-512", false }, { NID_sha1, "sha1", true }, { NID_md5, "md5", true },
	{ NID_md4, "md4", true }, { NID_md2, "md2", true }, { NID_ripemd160, "ripemd160", true },
};

static const struct content_cipher ciphers[] = {
	{ NID_aes_128_cbc, "aes128-cbc", CIPHER_READ, false, 16 },
	{ NID_aes_192_cbc, "aes192-cbc", CIPHER_READ, false, 16 },
	{ NID_aes_256_cbc, "aes256-cbc", CIPHER_READ, false, 16 },
	{ NID_aes_128_gcm, "aes128-gcm", CIPHER_READ, true, 0 },
	{ NID_aes_192_gcm, "aes192-gcm", CIPHER_READ, true, 0 },
	{ NID_aes_256_gcm, "aes256-gcm", CIPHER_READ, true, 0 },
	{ NID_des_ede3_cbc, "3des-cbc", CIPHER_LEGACY, false, 8 },
	{ NID_rc2_cbc, "rc2-cbc", CIPHER_NOT_READ, false, 0 }, { NID_des_cbc, "des-cbc", CIPHER_NOT_READ, false, 0 },
	{ NID_chacha20_poly1305, "chacha20-poly1305", CIPHER_NOT_READ, false, 0 },
};

/* An OID's number in OpenSSL's table (whole item); NID_undef: unknown. */
static int algorithm_nid(struct slice oid)
{
	const unsigned char *p = (const unsigned char *)oid.p;
	ASN1_OBJECT *object = NULL;
	int nid = NID_undef;

	if (oid.n == 0 || oid.n > 64)
		return NID_undef;
	object = d2i_ASN1_OBJECT(NULL, &p, (long)oid.n);
	if (object != NULL)
		nid = OBJ_obj2nid(object);
	ASN1_OBJECT_free(object);
	return nid;
}

const struct content_cipher *content_cipher_find(struct slice oid)
{
	int nid = algorithm_nid(oid);

	for (size_t i = 0; nid != NID_undef && i < sizeof(ciphers) / sizeof(ciphers[0]); i++)
		if (ciphers[i].nid == nid)
			return &ciphers[i];
	return NULL;
}

int gcm_parameters(struct slice parameters, struct gcm_parameters *gcm)
{
	struct der der = der_whole(parameters);
	struct der_item item, nonce, tag;
	int got;

	*gcm = (struct gcm_parameters){ .tag_bytes = 12 };
	if (der_take(&der, DER_SEQUENCE, &item) != 1 || der.rest.n != 0)
		return -1;
	der = der_inside(&item);
	if (der_take(&der, DER_OCTETS, &nonce) != 1)
		return -1;
	gcm->nonce_bytes = nonce.content.n;
	got = der_take(&der, DER_INTEGER, &tag);
	if (got < 0 || der.rest.n != 0 || (got == 1 && tag.content.n != 1))
		return -1;
	if (got == 1)
		gcm->tag_bytes = (unsigned char)tag.content.p[0];
	return 0;
}

static const struct digest_algorithm *digest_by_nid(int nid)
{
	for (size_t i = 0; nid != NID_undef && i < sizeof(digests) / sizeof(digests[0]); i++)
		if (digests[i].nid == nid)
			return &digests[i];
	return NULL;
}

const struct digest_algorithm *digest_algorithm_find(const struct prescan_algorithm *algorithm)
{
	return digest_by_nid(algorithm_nid(algorithm->oid));
}

struct digesting {
	EVP_MD_CTX **contexts;		/* NULL entries: cannot be computed */
	size_t n;
};

static int digest_sink(void *arg, const void *p, size_t n, struct err *err)
{
	struct digesting *digesting = arg;

	for (size_t i = 0; i < digesting->n; i++)
		if (digesting->contexts[i] != NULL && EVP_DigestUpdate(digesting->contexts[i], p, n) != 1)
			return err_set(err, ERR_TEMP, "a digest could not be computed");
	return 0;
}

static EVP_MD_CTX *digest_start(const struct digest_algorithm *algorithm)
{
	const EVP_MD *md = EVP_get_digestbynid(algorithm->nid);
	EVP_MD_CTX *context = md == NULL ? NULL : EVP_MD_CTX_new();

	if (context != NULL && EVP_DigestInit_ex(context, md, NULL) != 1) {
		EVP_MD_CTX_free(context);
		context = NULL;
	}
	return context;
}

static int digest_stream(const struct body *content, struct digesting *digesting, struct err *err)
{
	struct stream *stream = body_open(content, err);
	int rc = -1;

	if (stream != NULL)
		rc = stream_drain(stream, digest_sink, digesting, err);
	stream_close(stream);
	return rc;
}

int content_digest_all(const struct body *content, struct content_digest *all, size_t count, struct err *err)
{
	struct digesting digesting = { .contexts = NULL, .n = count };
	int rc = -1;

	if (count == 0)
		return 0;
	digesting.contexts = OPENSSL_zalloc(count * sizeof(EVP_MD_CTX *));
	if (digesting.contexts == NULL)
		return err_memory(err);
	for (size_t i = 0; i < count; i++)
		digesting.contexts[i] = digest_start(all[i].algorithm);
	if (digest_stream(content, &digesting, err) != 0)
		goto out;
	for (size_t i = 0; i < count; i++)
		if (digesting.contexts[i] == NULL ||
		    EVP_DigestFinal_ex(digesting.contexts[i], all[i].value, &all[i].n) != 1)
			all[i].n = 0;
	rc = 0;
out:
	for (size_t i = 0; i < count; i++)
		EVP_MD_CTX_free(digesting.contexts[i]);
	OPENSSL_free(digesting.contexts);
	return rc;
}

/* An EXPLICIT [n] of parameters, if it stands there: 1, 0, -1. */
static int explicit_field(struct der *der, unsigned n, unsigned tag, struct der_item *inner)
{
	struct der_item item;
	struct der inside;
	int got = der_take(der, DER_CONTEXT_CONSTRUCTED(n), &item);

	if (got != 1)
		return got;
	inside = der_inside(&item);
	return der_take(&inside, tag, inner) == 1 && inside.rest.n == 0 ? 1 : -1;
}

/* The digest named by an AlgorithmIdentifier of hash or, with mgf, of MGF1 over a hash. */
static int named_digest(const struct der_item *item, bool mgf)
{
	struct prescan_algorithm algorithm;
	struct der parameters;
	struct der_item inner;

	if (prescan_algorithm(item, &algorithm) != 0)
		return NID_undef;
	if (!mgf)
		return algorithm_nid(algorithm.oid);
	parameters = der_whole(algorithm.parameters);
	if (algorithm_nid(algorithm.oid) != NID_mgf1 || der_next(&parameters, &inner) != 1 ||
	    prescan_algorithm(&inner, &algorithm) != 0)
		return NID_undef;
	return algorithm_nid(algorithm.oid);
}

static int small_integer(const struct der_item *item)
{
	if (item->content.n == 1)
		return (signed char)item->content.p[0];
	if (item->content.n == 2)
		return (signed char)item->content.p[0] * 256 + (unsigned char)item->content.p[1];
	return -1;
}

struct pss {
	int digest, mgf_digest, salt_bytes, trailer;
};

/* RFC 4055 3.1, with its defaults. 0, or -1: malformed. */
static int pss_parse(struct slice parameters, struct pss *pss)
{
	struct der der = der_whole(parameters);
	struct der_item item;
	int got[4];

	*pss = (struct pss){ NID_sha1, NID_sha1, 20, 1 };
	if (der_take(&der, DER_SEQUENCE, &item) != 1 || der.rest.n != 0)
		return -1;
	der = der_inside(&item);
	got[0] = explicit_field(&der, 0, DER_SEQUENCE, &item);
	if (got[0] == 1)
		pss->digest = named_digest(&item, false);
	got[1] = explicit_field(&der, 1, DER_SEQUENCE, &item);
	if (got[1] == 1)
		pss->mgf_digest = named_digest(&item, true);
	got[2] = explicit_field(&der, 2, DER_INTEGER, &item);
	if (got[2] == 1)
		pss->salt_bytes = small_integer(&item);
	got[3] = explicit_field(&der, 3, DER_INTEGER, &item);
	if (got[3] == 1)
		pss->trailer = small_integer(&item);
	return got[0] < 0 || got[1] < 0 || got[2] < 0 || got[3] < 0 || der.rest.n != 0 ? -1 : 0;
}

static void find_pss(const struct prescan_algorithm *algorithm, const struct digest_algorithm *digest,
		     struct signature_algorithm *found)
{
	struct pss pss;

	if (algorithm->parameters.n == 0 || pss_parse(algorithm->parameters, &pss) != 0)
		found->fault = "RFC 4056 3: RSASSA-PSS parameters missing or malformed";
	else if (digest == NULL || pss.digest != digest->nid || pss.mgf_digest != digest->nid)
		found->fault = "RFC 4056 3: RSASSA-PSS with a hash other than digestAlgorithm";
	else if (pss.trailer != 1 || pss.salt_bytes < 0 || pss.salt_bytes > SALT_LIMIT)
		found->fault = "RFC 4055 3.1: RSASSA-PSS salt length or trailer out of range";
	else
		found->salt_bytes = pss.salt_bytes;
}

/* [2] of RSAES-OAEP-params. RFC 3560 3 wants the label to be empty; NSS has been seen to write one, which harms nobody. */
static bool is_label(const struct der_item *item)
{
	struct prescan_algorithm source;
	struct der parameters;
	struct der_item label;

	if (prescan_algorithm(item, &source) != 0 || algorithm_nid(source.oid) != NID_pSpecified)
		return false;
	parameters = der_whole(source.parameters);
	return der_take(&parameters, DER_OCTETS, &label) == 1 && parameters.rest.n == 0;
}

/* RFC 4055 4.1, whose defaults are SHA-1, MGF1 with it, and no label. */
static const char *oaep_fault(struct slice parameters, bool *malformed)
{
	struct der der = der_whole(parameters);
	struct der_item item, hash, mgf, label;
	bool known;
	int got[3];

	*malformed = true;
	if (der_take(&der, DER_SEQUENCE, &item) != 1 || der.rest.n != 0)
		return "RFC 3560 3: RSAES-OAEP parameters missing or malformed";
	der = der_inside(&item);
	got[0] = explicit_field(&der, 0, DER_SEQUENCE, &hash);
	got[1] = explicit_field(&der, 1, DER_SEQUENCE, &mgf);
	got[2] = explicit_field(&der, 2, DER_SEQUENCE, &label);
	if (got[0] < 0 || got[1] < 0 || got[2] < 0 || der.rest.n != 0)
		return "RFC 3560 3: RSAES-OAEP parameters missing or malformed";
	*malformed = false;
	known = (got[0] == 0 || digest_by_nid(named_digest(&hash, false)) != NULL) &&
		(got[1] == 0 || digest_by_nid(named_digest(&mgf, true)) != NULL);
	known = known && (got[2] == 0 || is_label(&label));
	return known ? NULL : "RFC 3560 3: RSAES-OAEP with a hash, or a source of the label, that is not known";
}

static bool is_null(struct slice parameters)
{
	return slice_equal(parameters, slice_make("\x05\x00", 2));
}

const char *key_transport_fault(const struct prescan_algorithm *algorithm, bool *malformed)
{
	*malformed = false;
	switch (algorithm_nid(algorithm->oid)) {
	case NID_rsaEncryption:
		*malformed = !is_null(algorithm->parameters);
		return *malformed ? "RFC 3370 4.2.1: the parameters of rsaEncryption are not NULL" : NULL;
	case NID_rsaesOaep:
		return oaep_fault(algorithm->parameters, malformed);
	default:
		return "RFC 8551 2.3: key transport by an unknown algorithm";
	}
}

/* RFC 5753 7.1.4: ECDH with one of X9.63's key derivations. */
static bool is_ecdh(int nid)
{
	static const int nids[] = {
		NID_dhSinglePass_stdDH_sha256kdf_scheme, NID_dhSinglePass_stdDH_sha384kdf_scheme,
		NID_dhSinglePass_stdDH_sha512kdf_scheme, NID_dhSinglePass_stdDH_sha224kdf_scheme,
		NID_dhSinglePass_stdDH_sha1kdf_scheme,
	};

	for (size_t i = 0; i < sizeof(nids) / sizeof(nids[0]); i++)
		if (nids[i] == nid)
			return true;
	return false;
}

/* RFC 3565 2.3.2 wants no parameters; some write NULL. */
static const char *wrap_fault(const struct prescan_algorithm *wrap, bool *malformed)
{
	switch (algorithm_nid(wrap->oid)) {
	case NID_id_aes128_wrap:
	case NID_id_aes192_wrap:
	case NID_id_aes256_wrap:
		*malformed = wrap->parameters.n > 0 && !is_null(wrap->parameters);
		return *malformed ? "RFC 3565 2.3.2: AES key wrap with parameters" : NULL;
	default:
		return "RFC 5753 7.1.5: a key wrap that is not AES without padding";
	}
}

const char *key_agreement_fault(const struct prescan_algorithm *algorithm, bool *malformed)
{
	struct der der = der_whole(algorithm->parameters);
	struct prescan_algorithm wrap;
	struct der_item item;

	*malformed = false;
	if (!is_ecdh(algorithm_nid(algorithm->oid)))
		return "RFC 5753 7.1.4: key agreement by an unknown algorithm";
	if (der_take(&der, DER_SEQUENCE, &item) != 1 || prescan_algorithm(&item, &wrap) != 0) {
		*malformed = true;
		return "RFC 5753 7.1.4: the key wrap algorithm of the key agreement missing or malformed";
	}
	return wrap_fault(&wrap, malformed);
}

static const struct {
	int key_nid;
	enum signature_kind kind;
	const char *name;
} signatures[] = {
	{ NID_rsaEncryption, SIGNATURE_RSA_PKCS1, "rsa-pkcs1" },
	{ NID_X9_62_id_ecPublicKey, SIGNATURE_ECDSA, "ecdsa" },
	{ NID_dsa, SIGNATURE_DSA, "dsa" },
};

void signature_algorithm_find(const struct prescan_algorithm *algorithm, const struct digest_algorithm *digest,
			      struct signature_algorithm *found)
{
	int nid = algorithm_nid(algorithm->oid);
	int key_nid = nid, digest_nid = NID_undef;

	*found = (struct signature_algorithm){ .kind = SIGNATURE_UNKNOWN };
	if (nid == NID_rsassaPss) {
		found->kind = SIGNATURE_RSA_PSS;
		found->name = "rsa-pss";
		find_pss(algorithm, digest, found);
		return;
	}
	OBJ_find_sigid_algs(nid, &digest_nid, &key_nid);
	for (size_t i = 0; nid != NID_undef && i < sizeof(signatures) / sizeof(signatures[0]); i++) {
		if (signatures[i].key_nid == key_nid) {
			found->kind = signatures[i].kind;
			found->name = signatures[i].name;
		}
	}
	if (found->kind == SIGNATURE_UNKNOWN)
		found->fault = "unsupported signature algorithm";
	else if (digest_nid != NID_undef && (digest == NULL || digest->nid != digest_nid))
		found->fault = "RFC 8933: digestAlgorithm and signatureAlgorithm disagree";
}

static bool is_ec(enum key_kind kind)
{
	return kind == KEY_EC_P256 || kind == KEY_EC_P384 || kind == KEY_EC_P521 || kind == KEY_EC_OTHER;
}

enum algorithm algorithm_of_cert(const struct cert *cert)
{
	const struct cert_info *info = cert_info(cert);

	if (info->key_kind == KEY_RSA || info->key_kind == KEY_RSA_PSS)
		return info->bits >= RSA_GOOD_BITS ? ALGORITHM_GOOD : ALGORITHM_WEAK;
	if (is_ec(info->key_kind))
		return info->bits >= EC_GOOD_BITS ? ALGORITHM_GOOD : ALGORITHM_WEAK;
	return EVP_PKEY_is_a(X509_get0_pubkey(cert_x509(cert)), "DSA") ? ALGORITHM_WEAK : ALGORITHM_UNSUPPORTED;
}

static bool key_fits(const struct cert *cert, EVP_PKEY *key, enum signature_kind kind)
{
	enum key_kind key_kind = cert_info(cert)->key_kind;

	switch (kind) {
	case SIGNATURE_RSA_PKCS1:
		return key_kind == KEY_RSA;
	case SIGNATURE_RSA_PSS:
		return key_kind == KEY_RSA || key_kind == KEY_RSA_PSS;
	case SIGNATURE_ECDSA:
		return is_ec(key_kind);
	case SIGNATURE_DSA:
		return EVP_PKEY_is_a(key, "DSA") == 1;
	case SIGNATURE_UNKNOWN:
		break;
	}
	return false;
}

static bool set_pss(EVP_PKEY_CTX *context, const struct signature_algorithm *algorithm, const EVP_MD *md)
{
	if (algorithm->kind != SIGNATURE_RSA_PSS)
		return true;
	return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md(context, md) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(context, algorithm->salt_bytes) == 1;
}

/* The signature covers the attributes under their universal tag (RFC 5652 5.4). */
static int verify_value(EVP_PKEY *key, const struct signature_algorithm *algorithm, const EVP_MD *md,
			const struct prescan_signer *signer, enum signature_check *check, struct err *err)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *key_context = NULL;
	struct buf set;
	int rc = -1;

	buf_init(&set, 0);
	if (context == NULL || der_write(&set, DER_SET, signer->attributes) != 0) {
		err_memory(err);
		goto out;
	}
	/* Refused before anything was computed, as some systems refuse SHA-1: that says nothing of the value. */
	if (EVP_DigestVerifyInit(context, &key_context, md, NULL, key) != 1)
		*check = SIGNATURE_CANNOT;
	else if (set_pss(key_context, algorithm, md) &&
		 EVP_DigestVerify(context, (const unsigned char *)signer->value.p, signer->value.n, set.p, set.n) == 1)
		*check = SIGNATURE_GOOD;
	rc = 0;
out:
	buf_clear(&set);
	EVP_MD_CTX_free(context);
	return rc;
}

int signature_verify(const struct cert *cert, const struct signature_algorithm *algorithm,
		     const struct digest_algorithm *digest, const struct prescan_signer *signer,
		     enum signature_check *check, struct err *err)
{
	EVP_PKEY *key = X509_get0_pubkey(cert_x509(cert));
	const EVP_MD *md = EVP_get_digestbynid(digest->nid);

	*check = SIGNATURE_BAD;
	if (key == NULL || md == NULL || cert_info(cert)->oversized || EVP_PKEY_missing_parameters(key) == 1) {
		*check = SIGNATURE_CANNOT;
		return 0;
	}
	if (!key_fits(cert, key, algorithm->kind))
		return 0;
	return verify_value(key, algorithm, md, signer, check, err);
}
