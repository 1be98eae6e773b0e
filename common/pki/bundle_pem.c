/* bundle_pem.c - certificates, CRLs and PKCS#7 objects in a PEM text (RFC 7468). Blocks of other kinds (keys, say) and
 * the text between are passed over. And base64 without any BEGIN, as people put it into directories. Called by bundle.c.
 */
#include <string.h>

#include "pki/bundle_internal.h"
#include "pki/pem.h"

enum block_kind { BLOCK_OTHER, BLOCK_CERT, BLOCK_TRUSTED, BLOCK_CRL, BLOCK_PKCS7 };

static const struct {
	const char *label;
	enum block_kind kind;
} labels[] = {
	{ "CERTIFICATE", BLOCK_CERT }, { "X509 CERTIFICATE", BLOCK_CERT }, { "TRUSTED CERTIFICATE", BLOCK_TRUSTED },
	{ "X509 CRL", BLOCK_CRL }, { "CRL", BLOCK_CRL }, { "PKCS7", BLOCK_PKCS7 }, { "CMS", BLOCK_PKCS7 },
	{ "PKCS #7 SIGNED DATA", BLOCK_PKCS7 },
};

static enum block_kind kind_of(struct slice label)
{
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		if (slice_is(label, labels[i].label))
			return labels[i].kind;
	return BLOCK_OTHER;
}

/* Any BEGIN line will do: whether something useful is behind it, reading shows. */
bool bundle_is_pem(struct slice bytes)
{
	struct pem_block block;
	size_t at = 0;

	return pem_next(bytes, &at, &block);
}

static int add_decoded(struct bundle_reader *reader, enum block_kind kind, size_t offset, struct slice der,
		       struct err *err)
{
	struct bundle_entry entry = { .offset = offset };

	switch (kind) {
	case BLOCK_CERT:
		return bundle_add_cert(reader, entry, der, err);
	case BLOCK_CRL:
		return bundle_add_crl(reader, entry, der, err);
	case BLOCK_PKCS7:
		return bundle_add_signed_data(reader, offset, der, err);
	case BLOCK_TRUSTED:
		return bundle_add_problem(reader, entry, err,
					  "TRUSTED CERTIFICATE is OpenSSL's own form: write it as CERTIFICATE");
	case BLOCK_OTHER:
		break;
	}
	return 0;
}

static int add_block(struct bundle_reader *reader, enum block_kind kind, const struct pem_block *block, struct err *err)
{
	struct bundle_entry entry = { .offset = block->offset };
	struct buf der;
	int rc;

	if (!block->finished)
		return bundle_add_problem(reader, entry, err, "RFC 7468 3: BEGIN %.*s without its END line",
					  SLICE_ARGS(block->label));
	buf_init(&der, 0);
	rc = pem_decode(block, &der) != 0 ? bundle_add_problem(reader, entry, err, "RFC 7468 3: not base64") :
	     add_decoded(reader, kind, block->offset, buf_slice(&der), err);
	buf_clear(&der);
	return rc;
}

int bundle_read_pem(struct bundle_reader *reader, struct slice bytes, struct err *err)
{
	bool pkcs7 = false, other = false;
	enum block_kind kind;
	struct pem_block block;
	size_t at = 0;

	while (pem_next(bytes, &at, &block)) {
		kind = kind_of(block.label);
		if (kind == BLOCK_OTHER)
			continue;
		if (add_block(reader, kind, &block, err) != 0)
			return -1;
		pkcs7 = pkcs7 || kind == BLOCK_PKCS7;
		other = other || kind != BLOCK_PKCS7;
	}
	if (!pkcs7 && !other)
		return err_set(err, ERR_MESSAGE, "no certificate in the PEM text");
	if (!other)
		reader->bundle->format = BUNDLE_P7B;
	return 0;
}

/* A SEQUENCE with a long length, in letters, and nothing but letters behind it. */
bool bundle_is_base64(struct slice bytes)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\r\n";
	struct slice text = slice_trim(bytes);

	if (text.n < 2 || text.p[0] != 'M' || text.p[1] != 'I')
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '\0' || strchr(letters, text.p[i]) == NULL)
			return false;
	return true;
}

int bundle_read_base64(struct bundle_reader *reader, struct slice bytes, struct err *err)
{
	const struct pem_block block = { .body = slice_trim(bytes) };
	struct slice object;
	struct buf der;
	int rc;

	buf_init(&der, 0);
	rc = pem_decode(&block, &der);
	object = buf_slice(&der);
	if (rc != 0)
		err_set(err, ERR_MESSAGE, "RFC 4648 4: not base64 at offset 0");
	else
		rc = bundle_is_p7b(object) ? bundle_read_p7b(reader, object, err) : bundle_read_der(reader, object, err);
	buf_clear(&der);
	return rc;
}
