/* prescan.c - SignedData taken apart by our own bounded reader, so that hostile objects meet few lines of code.
 *
 * Here: what RFC 5652 5 says about shape and what SPECS B6 says about numbers. Not here: signed attributes
 * (attributes.c), algorithms (algorithm.c), meaning (signer.c). Called by verify_object.c. No state, thread-safe.
 */
#include "smime/prescan.h"

/* As deep as OpenSSL follows an OCTET STRING made of OCTET STRINGs. */
#define CHUNK_DEPTH 5
#define DIGEST_LIMIT 16

static int malformed(struct err *err, const char *what)
{
	return err_set(err, ERR_MESSAGE, "RFC 5652: %s", what);
}

static int take(struct der *der, unsigned tag, struct der_item *item, const char *what, struct err *err)
{
	if (der_take(der, tag, item) != 1)
		return err_set(err, ERR_MESSAGE, "RFC 5652: %s missing or malformed", what);
	return 0;
}

static int end(const struct der *der, const char *what, struct err *err)
{
	if (der->rest.n != 0)
		return err_set(err, ERR_MESSAGE, "RFC 5652: bytes behind %s", what);
	return 0;
}

static int version(struct der *der, const char *what, struct err *err)
{
	struct der_item item;

	if (take(der, DER_INTEGER, &item, what, err) != 0)
		return -1;
	if (item.content.n != 1 || (unsigned char)item.content.p[0] > 5)
		return err_set(err, ERR_MESSAGE, "RFC 5652: %s unknown", what);
	return 0;
}

int prescan_algorithm(const struct der_item *item, struct prescan_algorithm *algorithm)
{
	struct der inside = der_inside(item);
	struct der_item oid, parameters;
	int got;

	*algorithm = (struct prescan_algorithm){ 0 };
	if (item->tag != DER_SEQUENCE || der_take(&inside, DER_OID, &oid) != 1 || oid.content.n == 0)
		return -1;
	algorithm->oid = oid.whole;
	got = der_next(&inside, &parameters);
	if (got < 0 || inside.rest.n != 0)
		return -1;
	if (got == 1)
		algorithm->parameters = parameters.whole;
	return 0;
}

static int take_algorithm(struct der *der, struct prescan_algorithm *algorithm, const char *what, struct err *err)
{
	struct der_item item;

	if (take(der, DER_SEQUENCE, &item, what, err) != 0)
		return -1;
	return prescan_algorithm(&item, algorithm) == 0 ? 0 : malformed(err, "algorithm identifier malformed");
}

/* How many items a set has, refused beyond the limit before anything is allocated for them. */
static int counted(const struct der_item *set, size_t limit, const char *what, size_t *count, struct err *err)
{
	long n = der_count(der_inside(set), limit);

	if (n < 0)
		return err_set(err, ERR_MESSAGE, "RFC 5652: %s malformed", what);
	if ((size_t)n > limit)
		return err_set(err, ERR_LIMIT, "more than %zu %s", limit, what);
	*count = (size_t)n;
	return 0;
}

static int scan_digests(struct arena *arena, struct der *der, struct prescan *scan, struct err *err)
{
	struct der_item set;
	struct der inside;

	if (take(der, DER_SET, &set, "digestAlgorithms", err) != 0 ||
	    counted(&set, DIGEST_LIMIT, "digest algorithms", &scan->digest_count, err) != 0)
		return -1;
	scan->digests = arena_array(arena, scan->digest_count + 1, sizeof(*scan->digests));
	if (scan->digests == NULL)
		return err_memory(err);
	inside = der_inside(&set);
	for (size_t i = 0; i < scan->digest_count; i++)
		if (take_algorithm(&inside, &scan->digests[i], "digest algorithm", err) != 0)
			return -1;
	return 0;
}

static int scan_encapsulated(struct der *der, struct prescan *scan, struct err *err)
{
	struct der_item info, oid, explicit;
	struct der inside, wrapped;
	int got;

	if (take(der, DER_SEQUENCE, &info, "encapContentInfo", err) != 0)
		return -1;
	inside = der_inside(&info);
	if (take(&inside, DER_OID, &oid, "eContentType", err) != 0)
		return -1;
	scan->content_type = oid.content;
	got = der_take(&inside, DER_CONTEXT_CONSTRUCTED(0), &explicit);
	if (got < 0)
		return malformed(err, "eContent malformed");
	if (end(&inside, "eContent", err) != 0)
		return -1;
	if (got == 0)
		return 0;
	scan->attached = true;
	wrapped = der_inside(&explicit);
	if (der_next(&wrapped, &scan->content) != 1 ||
	    (scan->content.tag != DER_OCTETS && scan->content.tag != DER_OCTETS_CONSTRUCTED))
		return malformed(err, "eContent is no OCTET STRING");
	return end(&wrapped, "the OCTET STRING of eContent", err);
}

static int scan_certificates(struct arena *arena, struct der *der, size_t limit, struct prescan *scan, struct err *err)
{
	struct der_item set, item;
	struct der inside;
	size_t n;
	int got = der_take(der, DER_CONTEXT_CONSTRUCTED(0), &set);

	if (got < 0)
		return malformed(err, "certificates malformed");
	if (got == 0)
		return 0;
	if (counted(&set, limit, "certificates", &n, err) != 0)
		return -1;
	scan->certificates = arena_array(arena, n + 1, sizeof(*scan->certificates));
	if (scan->certificates == NULL)
		return err_memory(err);
	inside = der_inside(&set);
	while (der_next(&inside, &item) == 1)
		if (item.tag == DER_SEQUENCE)
			scan->certificates[scan->certificate_count++] = item.whole;
	return 0;
}

static int scan_crls(struct der *der, size_t limit, struct prescan *scan, struct err *err)
{
	struct der_item set;
	int got = der_take(der, DER_CONTEXT_CONSTRUCTED(1), &set);

	if (got < 0)
		return malformed(err, "crls malformed");
	return got == 0 ? 0 : counted(&set, limit, "CRLs", &scan->crls, err);
}

static int scan_signer_id(struct der *der, struct prescan_signer *signer, struct err *err)
{
	struct der_item item, name, serial;
	struct der inside;
	int got = der_take(der, DER_CONTEXT(0), &item);

	if (got == 1 && item.content.n != 0) {
		signer->key_id = item.content;
		return 0;
	}
	if (got != 0 || take(der, DER_SEQUENCE, &item, "signer identifier", err) != 0)
		return malformed(err, "signer identifier malformed");
	inside = der_inside(&item);
	if (take(&inside, DER_SEQUENCE, &name, "issuer", err) != 0 ||
	    take(&inside, DER_INTEGER, &serial, "serial number", err) != 0 ||
	    end(&inside, "issuerAndSerialNumber", err) != 0)
		return -1;
	signer->issuer = name.whole;
	signer->serial = serial.whole;
	return 0;
}

static int scan_signer(struct der *der, struct prescan_signer *signer, struct err *err)
{
	struct der_item item;
	struct der inside;
	int got;

	if (take(der, DER_SEQUENCE, &item, "SignerInfo", err) != 0)
		return -1;
	inside = der_inside(&item);
	if (version(&inside, "version of SignerInfo", err) != 0 || scan_signer_id(&inside, signer, err) != 0 ||
	    take_algorithm(&inside, &signer->digest, "digestAlgorithm", err) != 0)
		return -1;
	got = der_take(&inside, DER_CONTEXT_CONSTRUCTED(0), &item);
	if (got < 0 || (got == 1 && item.indefinite))
		return malformed(err, "signedAttrs are not DER (5.3)");
	if (got == 1)
		signer->attributes = item.content;
	if (take_algorithm(&inside, &signer->signature, "signatureAlgorithm", err) != 0 ||
	    take(&inside, DER_OCTETS, &item, "signature", err) != 0)
		return -1;
	signer->value = item.content;
	if (der_take(&inside, DER_CONTEXT_CONSTRUCTED(1), &item) < 0)	/* unsignedAttrs prove nothing: ignored */
		return malformed(err, "unsignedAttrs malformed");
	return end(&inside, "a SignerInfo", err);
}

static int scan_signers(struct arena *arena, struct der *der, size_t limit, struct prescan *scan, struct err *err)
{
	struct der_item set;
	struct der inside;

	if (take(der, DER_SET, &set, "signerInfos", err) != 0 ||
	    counted(&set, limit, "signers", &scan->signer_count, err) != 0)
		return -1;
	scan->signers = arena_array(arena, scan->signer_count + 1, sizeof(*scan->signers));
	if (scan->signers == NULL)
		return err_memory(err);
	inside = der_inside(&set);
	for (size_t i = 0; i < scan->signer_count; i++)
		if (scan_signer(&inside, &scan->signers[i], err) != 0)
			return -1;
	return 0;
}

/* ContentInfo { signedData, [0] SignedData }, nothing behind either. */
static int open_signed(struct slice bytes, struct der *inside, struct err *err)
{
	struct der der = der_whole(bytes);
	struct der_item info, oid, explicit, data;
	struct der level;

	if (take(&der, DER_SEQUENCE, &info, "ContentInfo", err) != 0 || end(&der, "the CMS object", err) != 0)
		return -1;
	level = der_inside(&info);
	if (take(&level, DER_OID, &oid, "contentType", err) != 0)
		return -1;
	if (!slice_equal(oid.content, der_oid_signed_data))
		return malformed(err, "content type is not signedData");
	if (take(&level, DER_CONTEXT_CONSTRUCTED(0), &explicit, "content", err) != 0 ||
	    end(&level, "the content of ContentInfo", err) != 0)
		return -1;
	level = der_inside(&explicit);
	if (take(&level, DER_SEQUENCE, &data, "SignedData", err) != 0 || end(&level, "SignedData", err) != 0)
		return -1;
	*inside = der_inside(&data);
	return 0;
}

int prescan_signed(struct arena *arena, struct slice der, const struct prescan_limits *limits, struct prescan *scan,
		   struct err *err)
{
	struct der inside;

	*scan = (struct prescan){ 0 };
	if (open_signed(der, &inside, err) != 0 || version(&inside, "version of SignedData", err) != 0 ||
	    scan_digests(arena, &inside, scan, err) != 0 || scan_encapsulated(&inside, scan, err) != 0 ||
	    scan_certificates(arena, &inside, limits->certificates, scan, err) != 0 ||
	    scan_crls(&inside, limits->crls, scan, err) != 0 ||
	    scan_signers(arena, &inside, limits->signer_infos, scan, err) != 0)
		return -1;
	return end(&inside, "signerInfos", err);
}

static int join(const struct der_item *item, unsigned depth, struct buf *buf, struct err *err)
{
	struct der inside = der_inside(item);
	struct der_item chunk;
	int got;

	if (item->tag == DER_OCTETS)
		return buf_append_slice(buf, item->content) == 0 ? 0 : err_memory(err);
	if (item->tag != DER_OCTETS_CONSTRUCTED || depth == 0)
		return malformed(err, "eContent is made of something else than octets");
	while ((got = der_next(&inside, &chunk)) == 1)
		if (join(&chunk, depth - 1, buf, err) != 0)
			return -1;
	return got == 0 ? 0 : malformed(err, "eContent malformed");
}

int prescan_content(struct arena *arena, const struct prescan *scan, struct slice *content, struct err *err)
{
	struct buf *buf;

	if (scan->content.tag == DER_OCTETS) {
		*content = scan->content.content;
		return 0;
	}
	buf = arena_buf(arena, scan->content.content.n + 1);
	if (buf == NULL)
		return err_memory(err);
	if (join(&scan->content, CHUNK_DEPTH, buf, err) != 0)
		return -1;
	*content = buf_slice(buf);
	return 0;
}

struct slice prescan_cipher(struct slice first_bytes)
{
	const struct slice none = { 0 };
	struct der der = der_prefix(first_bytes);
	struct der_item item;
	struct prescan_algorithm cipher;

	if (der_take(&der, DER_SEQUENCE, &item) != 1)
		return none;
	der = der_inside(&item);
	if (der_take(&der, DER_OID, &item) != 1 || der_take(&der, DER_CONTEXT_CONSTRUCTED(0), &item) != 1)
		return none;
	der = der_inside(&item);
	if (der_take(&der, DER_SEQUENCE, &item) != 1)
		return none;
	der = der_inside(&item);
	if (der_take(&der, DER_INTEGER, &item) != 1 || der_take(&der, DER_CONTEXT_CONSTRUCTED(0), &item) < 0 ||
	    der_take(&der, DER_SET, &item) != 1 || der_take(&der, DER_SEQUENCE, &item) != 1)
		return none;
	der = der_inside(&item);
	if (der_take(&der, DER_OID, &item) != 1 || der_take(&der, DER_SEQUENCE, &item) != 1 ||
	    prescan_algorithm(&item, &cipher) != 0)
		return none;
	return cipher.oid;
}
