/* prescan.c - SignedData taken apart by our own bounded reader, so that hostile objects meet few lines of code.
 *
 * Here: what RFC 5652 5 says about shape and what SPECS B6 says about numbers. Not here: signed attributes
 * (attributes.c), algorithms (algorithm.c), meaning (signer.c). Called by verify_object.c. No state, thread-safe.
 */
#include "smime/prescan_internal.h"

#define DIGEST_LIMIT 16

static int scan_digests(struct arena *arena, struct der *der, struct prescan *scan, struct err *err)
{
	struct der_item set;
	struct der inside;

	if (prescan_take(der, DER_SET, &set, "RFC 5652 5.1: digestAlgorithms", err) != 0 ||
	    prescan_counted(&set, DIGEST_LIMIT, "digest algorithms", &scan->digest_count, err) != 0)
		return -1;
	scan->digests = arena_array(arena, scan->digest_count + 1, sizeof(*scan->digests));
	if (scan->digests == NULL)
		return err_memory(err);
	inside = der_inside(&set);
	for (size_t i = 0; i < scan->digest_count; i++)
		if (prescan_take_algorithm(&inside, &scan->digests[i], "RFC 5652 5.1: digest algorithm", err) != 0)
			return -1;
	return 0;
}

static int scan_encapsulated(struct der *der, struct prescan *scan, struct err *err)
{
	struct der_item info, oid, explicit;
	struct der inside, wrapped;
	int got;

	if (prescan_take(der, DER_SEQUENCE, &info, "RFC 5652 5.2: encapContentInfo", err) != 0)
		return -1;
	inside = der_inside(&info);
	if (prescan_take(&inside, DER_OID, &oid, "RFC 5652 5.2: eContentType", err) != 0)
		return -1;
	scan->content_type = oid.content;
	got = der_take(&inside, DER_CONTEXT_CONSTRUCTED(0), &explicit);
	if (got < 0)
		return prescan_malformed(err, "RFC 5652 5.2: eContent");
	if (prescan_end(&inside, "RFC 5652 5.2: eContent", err) != 0)
		return -1;
	if (got == 0)
		return 0;
	scan->attached = true;
	wrapped = der_inside(&explicit);
	if (der_next(&wrapped, &scan->content) != 1 ||
	    (scan->content.tag != DER_OCTETS && scan->content.tag != DER_OCTETS_CONSTRUCTED))
		return err_set(err, ERR_MESSAGE, "RFC 5652 5.2: eContent is no OCTET STRING");
	return prescan_end(&wrapped, "RFC 5652 5.2: the OCTET STRING of eContent", err);
}

/* A set [number] of certificates or of CRLs: those items that are SEQUENCEs. None need be there. 0 or -1. */
static int scan_set(struct arena *arena, struct der *der, unsigned number, size_t limit, struct slice **items,
		    size_t *count, struct err *err)
{
	const char *name = number == 0 ? "certificates" : "CRLs";
	struct der_item set, item;
	struct der inside;
	size_t n;
	int got = der_take(der, DER_CONTEXT_CONSTRUCTED(number), &set);

	if (got < 0)
		return prescan_malformed(err, number == 0 ? "RFC 5652 5.1: certificates" : "RFC 5652 5.1: crls");
	if (got == 0)
		return 0;
	if (prescan_counted(&set, limit, name, &n, err) != 0)
		return -1;
	*items = arena_array(arena, n + 1, sizeof(**items));
	if (*items == NULL)
		return err_memory(err);
	inside = der_inside(&set);
	while (der_next(&inside, &item) == 1)
		if (item.tag == DER_SEQUENCE)
			(*items)[(*count)++] = item.whole;
	return 0;
}

static int scan_signer_id(struct der *der, struct prescan_signer *signer, struct err *err)
{
	struct der_item item;
	int got = der_take(der, DER_CONTEXT(0), &item);

	if (got == 1 && item.content.n != 0) {
		signer->key_id = item.content;
		return 0;
	}
	if (got != 0)
		return prescan_malformed(err, "RFC 5652 5.3: signer identifier");
	return prescan_issuer_serial(der, "RFC 5652 5.3: signer identifier", &signer->issuer, &signer->serial, err);
}

static int scan_signer(struct der *der, struct prescan_signer *signer, struct err *err)
{
	struct der_item item;
	struct der inside;
	int got;

	if (prescan_take(der, DER_SEQUENCE, &item, "RFC 5652 5.3: SignerInfo", err) != 0)
		return -1;
	inside = der_inside(&item);
	if (prescan_version(&inside, 5, "RFC 5652 5.3: version of SignerInfo", err) != 0 ||
	    scan_signer_id(&inside, signer, err) != 0 ||
	    prescan_take_algorithm(&inside, &signer->digest, "RFC 5652 5.3: digestAlgorithm", err) != 0)
		return -1;
	got = der_take(&inside, DER_CONTEXT_CONSTRUCTED(0), &item);
	if (got < 0 || (got == 1 && item.indefinite))
		return err_set(err, ERR_MESSAGE, "RFC 5652 5.3: signedAttrs are not DER");
	if (got == 1)
		signer->attributes = item.content;
	if (prescan_take_algorithm(&inside, &signer->signature, "RFC 5652 5.3: signatureAlgorithm", err) != 0 ||
	    prescan_take(&inside, DER_OCTETS, &item, "RFC 5652 5.3: signature", err) != 0)
		return -1;
	signer->value = item.content;
	if (der_take(&inside, DER_CONTEXT_CONSTRUCTED(1), &item) < 0)	/* unsignedAttrs prove nothing: ignored */
		return prescan_malformed(err, "RFC 5652 5.3: unsignedAttrs");
	return prescan_end(&inside, "RFC 5652 5.3: a SignerInfo", err);
}

static int scan_signers(struct arena *arena, struct der *der, size_t limit, struct prescan *scan, struct err *err)
{
	struct der_item set;
	struct der inside;

	if (prescan_take(der, DER_SET, &set, "RFC 5652 5.1: signerInfos", err) != 0 ||
	    prescan_counted(&set, limit, "signers", &scan->signer_count, err) != 0)
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

	if (prescan_take(&der, DER_SEQUENCE, &info, "RFC 5652 3: ContentInfo", err) != 0 ||
	    prescan_end(&der, "RFC 5652 3: the CMS object", err) != 0)
		return -1;
	level = der_inside(&info);
	if (prescan_take(&level, DER_OID, &oid, "RFC 5652 3: contentType", err) != 0)
		return -1;
	if (!slice_equal(oid.content, der_oid_signed_data))
		return err_set(err, ERR_MESSAGE, "RFC 5652 5.1: content type is not signedData");
	if (prescan_take(&level, DER_CONTEXT_CONSTRUCTED(0), &explicit, "RFC 5652 3: content", err) != 0 ||
	    prescan_end(&level, "RFC 5652 3: the content of ContentInfo", err) != 0)
		return -1;
	level = der_inside(&explicit);
	if (prescan_take(&level, DER_SEQUENCE, &data, "RFC 5652 5.1: SignedData", err) != 0 ||
	    prescan_end(&level, "RFC 5652 5.1: SignedData", err) != 0)
		return -1;
	*inside = der_inside(&data);
	return 0;
}

int prescan_signed(struct arena *arena, struct slice der, const struct prescan_limits *limits, struct prescan *scan,
		   struct err *err)
{
	struct der inside;

	*scan = (struct prescan){ 0 };
	if (open_signed(der, &inside, err) != 0 ||
	    prescan_version(&inside, 5, "RFC 5652 5.1: version of SignedData", err) != 0 ||
	    scan_digests(arena, &inside, scan, err) != 0 || scan_encapsulated(&inside, scan, err) != 0 ||
	    scan_set(arena, &inside, 0, limits->certificates, &scan->certificates, &scan->certificate_count, err) != 0 ||
	    scan_set(arena, &inside, 1, limits->crls, &scan->crls, &scan->crl_count, err) != 0 ||
	    scan_signers(arena, &inside, limits->signer_infos, scan, err) != 0)
		return -1;
	return prescan_end(&inside, "RFC 5652 5.1: signerInfos", err);
}

static int join(const struct der_item *item, unsigned depth, struct buf *buf, struct err *err)
{
	struct der inside = der_inside(item);
	struct der_item chunk;
	int got;

	if (item->tag == DER_OCTETS)
		return buf_append_slice(buf, item->content) == 0 ? 0 : err_memory(err);
	if (item->tag != DER_OCTETS_CONSTRUCTED || depth == 0)
		return err_set(err, ERR_MESSAGE, "RFC 5652 5.2: eContent is made of something else than octets");
	while ((got = der_next(&inside, &chunk)) == 1)
		if (join(&chunk, depth - 1, buf, err) != 0)
			return -1;
	return got == 0 ? 0 : prescan_malformed(err, "RFC 5652 5.2: eContent");
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
	if (join(&scan->content, DER_CHUNK_DEPTH, buf, err) != 0)
		return -1;
	*content = buf_slice(buf);
	return 0;
}
