/* smimea.c - see smimea.h: RFC 8162 3 (names), RFC 6698 2.1 and 2.2 (RDATA). Called by directory_smimea.c, claim.c and
 * smimectl. Thread-safe. */
#include "pki/smimea.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/crypt.h"
#include "mail/nfc.h"
#include "pki/pki_internal.h"

#define OWNER_BYTES 28			/* of the digest of the local part */
#define HEAD_BYTES 3			/* usage, selector, matching */

const char *smimea_owner(struct arena *arena, const struct address *address, bool lower, struct err *err)
{
	struct slice local = nfc_of(arena, address->local);
	unsigned char digest[CRYPT_SHA256_BYTES];
	char hex[2 * OWNER_BYTES + 1], *folded = NULL;
	const char *name = NULL;

	if (local.p == NULL || (folded = arena_string(arena, local)) == NULL) {
		err_memory(err);
		return NULL;
	}
	if (lower)
		ascii_lower(folded, local.n);
	if (crypt_sha256(folded, local.n, digest, err) != 0)
		return NULL;
	crypt_hex(digest, OWNER_BYTES, hex);
	name = arena_printf(arena, "%s._smimecert.%.*s", hex, SLICE_ARGS(address->domain));
	if (name == NULL)
		err_memory(err);
	return name;
}

static size_t digest_bytes(enum smimea_matching matching)
{
	return matching == SMIMEA_SHA256 ? 32 : 64;
}

const char *smimea_parse(struct slice rdata, struct smimea *record)
{
	const unsigned char *p = (const unsigned char *)rdata.p;

	if (rdata.n <= HEAD_BYTES)
		return "shorter than 4 bytes";
	if (p[0] > SMIMEA_DANE_EE)
		return "unknown certificate usage";
	if (p[1] > SMIMEA_SPKI)
		return "unknown selector";
	if (p[2] > SMIMEA_SHA512)
		return "unknown matching type";
	*record = (struct smimea){ (enum smimea_usage)p[0], (enum smimea_selector)p[1], (enum smimea_matching)p[2],
				   slice_from(rdata, HEAD_BYTES) };
	if (record->matching != SMIMEA_FULL && record->data.n != digest_bytes(record->matching))
		return "digest of another length";
	return NULL;
}

/* What the record is about, in the arena or the certificate's. p == NULL: memory. */
static struct slice selected(struct arena *arena, const struct cert *cert, enum smimea_selector selector)
{
	struct slice copy = { NULL, 0 };
	unsigned char *der = NULL;
	int n;

	if (selector == SMIMEA_CERT)
		return cert_info(cert)->der;
	n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert_x509(cert)), &der);
	if (n > 0)
		copy = arena_copy(arena, slice_make(der, (size_t)n));
	else
		ERR_clear_error();
	OPENSSL_free(der);
	return copy;
}

int smimea_make(struct arena *arena, const struct cert *cert, enum smimea_usage usage, enum smimea_selector selector,
		enum smimea_matching matching, struct smimea *record, struct err *err)
{
	struct slice whole = selected(arena, cert, selector);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	*record = (struct smimea){ usage, selector, matching, whole };
	if (whole.p == NULL)
		return err_memory(err);
	if (matching == SMIMEA_FULL)
		return 0;
	if (EVP_Digest(whole.p, whole.n, digest, &n, matching == SMIMEA_SHA256 ? EVP_sha256() : EVP_sha512(),
		       NULL) != 1) {
		ERR_clear_error();
		return err_memory(err);
	}
	record->data = arena_copy(arena, slice_make(digest, n));
	return record->data.p == NULL ? err_memory(err) : 0;
}

const char *smimea_text(struct arena *arena, const struct smimea *record, size_t max_bytes)
{
	bool cut = max_bytes != 0 && record->data.n > max_bytes;
	struct slice shown = cut ? slice_first(record->data, max_bytes) : record->data;
	char *hex = arena_alloc(arena, 2 * shown.n + 1);

	if (hex == NULL)
		return NULL;
	crypt_hex((const unsigned char *)shown.p, shown.n, hex);
	return arena_printf(arena, "%d %d %d %s%s", (int)record->usage, (int)record->selector, (int)record->matching,
			    hex, cut ? "..." : "");
}

bool smimea_is_person(const struct smimea *record)
{
	return record->usage == SMIMEA_PKIX_EE || record->usage == SMIMEA_DANE_EE;
}

int smimea_matches(const struct smimea *record, const struct cert *cert)
{
	struct arena *arena = arena_new(0);
	struct smimea made;
	int matches = -1;

	if (arena != NULL &&
	    smimea_make(arena, cert, record->usage, record->selector, record->matching, &made, NULL) == 0)
		matches = slice_equal(made.data, record->data);
	arena_free(arena);
	return matches;
}
