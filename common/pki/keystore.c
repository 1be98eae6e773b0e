/* keystore.c - all keystores asked together, and which of an address's keys is used now. Where keys come from is the
 * drivers' matter (keystore_pem.c, keystore_pkcs12.c). Called by gate's plan, `smimectl keys`. */
#include "pki/keystore.h"

#include <string.h>

/* One store's keys behind those that are there. -1: memory. */
static int join(struct arena *arena, struct key ***keys, size_t *count, struct key *const *more, size_t n)
{
	struct key **all = arena_array(arena, *count + n, sizeof(struct key *));

	if (all == NULL)
		return -1;
	if (*count > 0)
		memcpy(all, *keys, *count * sizeof(struct key *));
	memcpy(all + *count, more, n * sizeof(struct key *));
	*keys = all;
	*count += n;
	return 0;
}

int keystore_find(const struct keystore *stores, size_t store_count, struct arena *arena,
		  const struct address *address, struct key ***keys, size_t *count, struct err *err)
{
	struct key **more = NULL;
	size_t n = 0;
	int rc;

	*keys = NULL;
	*count = 0;
	for (size_t i = 0; i < store_count; i++) {
		rc = stores[i].class->find(stores[i].self, arena, address, &more, &n, err);
		if (rc < 0)
			return -1;
		if (rc > 0 && join(arena, keys, count, more, n) != 0)
			return err_memory(err);
	}
	return *count > 0;
}

/* How far a certificate gets; the reason of the one that gets furthest is told. */
enum fitness { FIT_NONE, FIT_USAGE, FIT_LATER, FIT_EXPIRED, FIT_GOOD };

static enum fitness fitness_of(const struct cert *cert, bool (*may)(const struct cert *), time_t at)
{
	const struct cert_info *info = cert_info(cert);

	if (!may(cert))
		return FIT_USAGE;
	if (at < info->not_before)
		return FIT_LATER;
	return at > info->not_after ? FIT_EXPIRED : FIT_GOOD;
}

static bool is_newer(const struct cert *a, const struct cert *b)
{
	const struct cert_info *one = cert_info(a), *other = cert_info(b);

	return one->not_before != other->not_before ? one->not_before > other->not_before :
	       one->not_after > other->not_after;
}

/* The newest good key, NULL if none is. */
static struct key *choose(struct key *const *keys, size_t n, bool (*may)(const struct cert *), time_t at,
			  enum fitness *best)
{
	struct key *chosen = NULL;
	enum fitness fitness;

	*best = FIT_NONE;
	for (size_t i = 0; i < n; i++) {
		fitness = fitness_of(key_cert(keys[i]), may, at);
		if (fitness == FIT_GOOD && (chosen == NULL || is_newer(key_cert(keys[i]), key_cert(chosen))))
			chosen = keys[i];
		if (fitness > *best)
			*best = fitness;
	}
	return chosen;
}

/* RFC 8550's word, and a key that CMS of OpenSSL 3.0 can sign with: an Ed25519 key must not hide an older RSA one. */
static bool may_sign_mail(const struct cert *cert)
{
	enum key_kind kind = cert_info(cert)->key_kind;

	return cert_may_sign(cert) && kind != KEY_ED25519 && kind != KEY_OTHER;
}

int keystore_signing_key(const struct keystore *stores, size_t store_count, struct arena *arena,
			 const struct address *address, time_t at, struct key **key, const char **reason,
			 struct err *err)
{
	static const char *const reasons[] = {
		[FIT_NONE] = "no key", [FIT_USAGE] = "no certificate that may sign", [FIT_LATER] = "not yet valid",
		[FIT_EXPIRED] = "expired", [FIT_GOOD] = "",
	};
	struct key **keys = NULL;
	enum fitness best;
	size_t n = 0;

	*key = NULL;
	*reason = reasons[FIT_NONE];
	if (keystore_find(stores, store_count, arena, address, &keys, &n, err) < 0)
		return -1;
	*key = choose(keys, n, may_sign_mail, at, &best);
	*reason = reasons[best];
	return *key != NULL;
}

int keystore_encryption_cert(const struct keystore *stores, size_t store_count, struct arena *arena,
			     const struct address *address, time_t at, const struct cert **cert, struct err *err)
{
	struct key **keys = NULL, *chosen;
	enum fitness best;
	size_t n = 0;

	*cert = NULL;
	if (keystore_find(stores, store_count, arena, address, &keys, &n, err) < 0)
		return -1;
	chosen = choose(keys, n, cert_may_encrypt, at, &best);
	if (chosen != NULL)
		*cert = key_cert(chosen);
	return chosen != NULL;
}
