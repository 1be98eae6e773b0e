/* prescan_envelope.c - envelopes from the outside: framing, order and number of everything but the recipients' own
 * insides (prescan_recipient.c), content cipher and its parameters, the tag. RFC 5652 6, RFC 5083 2, RFC 5084, RFC 8551
 * 3.3, 3.4; SPECS B3, B6. Called by verify.c and sealed.c. No state, thread-safe.
 *
 * What lies in front of the content is held piece by piece, the content passes by. What is well formed and yet of no
 * use to us is told as a fact, so that it is not taken for rubbish.
 */
#include "smime/prescan_internal.h"

#include "smime/attributes.h"
#include "smime/der_stream.h"

/* All that is held: so much, and for each recipient a key of RSA-16384 with a long name. */
#define HELD_BYTES ((size_t)256 << 10)
#define HELD_BYTES_RECIPIENT ((size_t)4 << 10)
#define HELD_BYTES_MAX ((size_t)64 << 20)
#define ATTRIBUTES_MAX 64
/* Less is by chance in one of 2^32 ciphertexts. */
#define READABLE_BYTES 32

struct scan {
	struct der_stream der;
	struct arena *arena;
	const struct envelope_limits *limits;
	struct envelope *envelope;
	const struct content_cipher *cipher;	/* NULL: unknown */
	struct gcm_parameters gcm;
	struct buf item;
	size_t held_bytes_left;
};

/* From 1, 0, -1 to 0, -1: what is missing is an error, with its rule as any other. */
static int must(int rc, const char *what, struct err *err)
{
	if (rc == 0)
		return err_set(err, ERR_MESSAGE, "%s missing", what);
	return rc > 0 ? 0 : err_prefix(err, "%s", what);
}

static int enter(struct scan *scan, unsigned tag, const char *what, struct err *err)
{
	return must(der_stream_enter(&scan->der, tag, err), what, err);
}

static int leave(struct scan *scan, const char *what, struct err *err)
{
	return der_stream_leave(&scan->der, err) == 0 ? 0 : err_prefix(err, "%s", what);
}

/* What was read to scan->item, for good. */
static int hold(struct scan *scan, struct der_item *item, const char *what, struct err *err)
{
	struct slice copy = arena_copy(scan->arena, buf_slice(&scan->item));
	struct der der = der_whole(copy);

	if (copy.p == NULL)
		return err_memory(err);
	scan->held_bytes_left -= copy.n;
	return der_next(&der, item) == 1 ? 0 : prescan_malformed(err, what);
}

/* 1, 0: another item stands there, -1. */
static int take_if(struct scan *scan, unsigned tag, struct der_item *item, const char *what, struct err *err)
{
	int rc;

	buf_reset(&scan->item);
	scan->item.limit_bytes = scan->held_bytes_left + 1;	/* 0 would be no limit */
	rc = der_stream_take(&scan->der, tag, &scan->item, err);
	if (rc <= 0)
		return rc == 0 ? 0 : err_prefix(err, "%s", what);
	return hold(scan, item, what, err) == 0 ? 1 : -1;
}

static int take(struct scan *scan, unsigned tag, struct der_item *item, const char *what, struct err *err)
{
	return must(take_if(scan, tag, item, what, err), what, err);
}

static void not_supported(struct scan *scan, const char *why)
{
	if (scan->envelope->unsupported == NULL)
		scan->envelope->unsupported = why;
}

/* ContentInfo { contentType, [0] … }, and into it. */
static int open_envelope(struct scan *scan, struct err *err)
{
	struct der_item oid;

	if (enter(scan, DER_SEQUENCE, "RFC 5652 3: ContentInfo", err) != 0 ||
	    take(scan, DER_OID, &oid, "RFC 5652 3: contentType", err) != 0)
		return -1;
	scan->envelope->authenticated = slice_equal(oid.content, der_oid_auth_enveloped_data);
	if (!scan->envelope->authenticated && !slice_equal(oid.content, der_oid_enveloped_data))
		return err_set(err, ERR_MESSAGE,
			       "RFC 5652 6.1: content type is neither envelopedData nor authEnvelopedData");
	if (enter(scan, DER_CONTEXT_CONSTRUCTED(0), "RFC 5652 3: content", err) != 0)
		return -1;
	return enter(scan, DER_SEQUENCE, "RFC 5652 6.1: EnvelopedData", err);
}

static int scan_version(struct scan *scan, struct err *err)
{
	struct der_item item;
	unsigned version;

	if (take(scan, DER_INTEGER, &item, "RFC 5652 6.1: version", err) != 0)
		return -1;
	version = item.content.n == 1 ? (unsigned char)item.content.p[0] : 255;
	if (scan->envelope->authenticated && version != 0)
		return err_set(err, ERR_MESSAGE, "RFC 5083 2.1: version of AuthEnvelopedData is not 0");
	if (version > 4 || version == 1)
		return err_set(err, ERR_MESSAGE, "RFC 5652 6.1: version of EnvelopedData unknown");
	return 0;
}

/* OriginatorInfo: certificates and CRLs, which are not used. */
static int scan_originator(struct scan *scan, struct err *err)
{
	static const char what[] = "RFC 5652 6.1: originatorInfo";
	struct der_item item, set;
	struct der inside;
	size_t n;
	int got = take_if(scan, DER_CONTEXT_CONSTRUCTED(0), &item, what, err);

	if (got <= 0)
		return got;
	inside = der_inside(&item);
	got = der_take(&inside, DER_CONTEXT_CONSTRUCTED(0), &set);
	if (got < 0)
		return prescan_malformed(err, what);
	if (got == 1 && prescan_counted(&set, scan->limits->certificates, "certificates", &n, err) != 0)
		return -1;
	got = der_take(&inside, DER_CONTEXT_CONSTRUCTED(1), &set);
	if (got < 0)
		return prescan_malformed(err, what);
	if (got == 1 && prescan_counted(&set, scan->limits->crls, "CRLs", &n, err) != 0)
		return -1;
	return prescan_end(&inside, what, err);
}

/* A kind of recipient that is not for certificates spoils the envelope; an unknown algorithm, where all have one. */
static void judge_recipients(struct scan *scan)
{
	const struct envelope *envelope = scan->envelope;
	size_t usable = 0;

	for (size_t i = 0; i < envelope->recipient_count; i++) {
		if (envelope->recipients[i].kind == RECIPIENT_OTHER)
			not_supported(scan, envelope->recipients[i].unsupported);
		usable += envelope->recipients[i].unsupported == NULL;
	}
	if (usable == 0)
		not_supported(scan, envelope->recipients[0].unsupported);
}

static int scan_recipients(struct scan *scan, struct err *err)
{
	static const char what[] = "RFC 5652 6.1: recipientInfos";
	struct der_item item;
	int rc;

	if (enter(scan, DER_SET, what, err) != 0)
		return -1;
	for (;;) {
		buf_reset(&scan->item);
		scan->item.limit_bytes = scan->held_bytes_left + 1;
		rc = der_stream_next(&scan->der, &scan->item, err);
		if (rc <= 0)
			break;
		if (hold(scan, &item, what, err) != 0 ||
		    prescan_recipient(scan->arena, item.whole, scan->limits, scan->envelope, err) != 0)
			return -1;
	}
	if (rc < 0)
		return err_prefix(err, "%s", what);
	if (scan->envelope->recipient_count == 0)
		return err_set(err, ERR_MESSAGE, "%s: there is none", what);
	judge_recipients(scan);
	return leave(scan, what, err);
}

static int scan_gcm(struct scan *scan, struct err *err)
{
	if (gcm_parameters(scan->envelope->cipher.parameters, &scan->gcm) != 0)
		return prescan_malformed(err, "RFC 5084 3.2: GCMParameters");
	if (scan->gcm.nonce_bytes != 12)
		return err_set(err, ERR_MESSAGE, "RFC 5084 3.2: a nonce of %zu octets, not 12", scan->gcm.nonce_bytes);
	if (scan->gcm.tag_bytes < 12 || scan->gcm.tag_bytes > 16)
		return err_set(err, ERR_MESSAGE, "RFC 5084 3.2: ICVlen is not from 12 to 16");
	return 0;
}

static int scan_iv(const struct scan *scan, struct err *err)
{
	struct der der = der_whole(scan->envelope->cipher.parameters);
	struct der_item iv;

	if (der_take(&der, DER_OCTETS, &iv) != 1 || der.rest.n != 0 || iv.content.n != scan->cipher->block_bytes)
		return err_set(err, ERR_MESSAGE, "RFC 3565 4.1: the parameter of %s is no IV of %zu octets",
			       scan->cipher->name, scan->cipher->block_bytes);
	return 0;
}

static int scan_cipher(struct scan *scan, struct err *err)
{
	struct envelope *envelope = scan->envelope;
	struct der_item item;

	if (take(scan, DER_SEQUENCE, &item, "RFC 5652 6.1: contentEncryptionAlgorithm", err) != 0)
		return -1;
	if (prescan_algorithm(&item, &envelope->cipher) != 0)
		return prescan_malformed(err, "RFC 5652 6.1: contentEncryptionAlgorithm");
	scan->cipher = content_cipher_find(envelope->cipher.oid);
	envelope->cipher_name = scan->cipher != NULL ? scan->cipher->name : NULL;
	if (scan->cipher == NULL || scan->cipher->use == CIPHER_NOT_READ) {
		not_supported(scan, "RFC 8551 2.7: the content cipher is not supported");
		return 0;
	}
	envelope->sealed = true;
	if (scan->cipher->use == CIPHER_LEGACY && !scan->limits->legacy_ciphers)
		not_supported(scan, "RFC 8551 2.7: the content cipher is out of date");
	if (scan->cipher->aead && !envelope->authenticated)
		return err_set(err, ERR_MESSAGE, "RFC 5084 1.1: %s in EnvelopedData, which has no room for its tag",
			       scan->cipher->name);
	if (!scan->cipher->aead && envelope->authenticated)
		return err_set(err, ERR_MESSAGE, "RFC 5083 2.1: %s in AuthEnvelopedData, which needs a cipher that "
			       "authenticates", scan->cipher->name);
	return scan->cipher->aead ? scan_gcm(scan, err) : scan_iv(scan, err);
}

/* An envelope with words instead of ciphertext would hide nothing from anybody. */
static bool is_readable(const struct der_octets *content)
{
	size_t n = content->n < DER_SAMPLE_BYTES ? (size_t)content->n : DER_SAMPLE_BYTES;

	for (size_t i = 0; i < n; i++)
		if (content->sample[i] >= 0x80)
			return false;
	return n >= READABLE_BYTES;
}

static int scan_octets(struct scan *scan, struct err *err)
{
	static const char what[] = "RFC 8551 3.3: encryptedContent";
	struct der_octets content;

	if (must(der_stream_octets(&scan->der, DER_CONTEXT(0), &content, err), what, err) != 0)
		return -1;
	scan->envelope->content_bytes = content.n;
	if (scan->cipher != NULL && scan->cipher->block_bytes != 0 &&
	    (content.n == 0 || content.n % scan->cipher->block_bytes != 0))
		return err_set(err, ERR_MESSAGE, "RFC 5652 6.3: the encrypted content is no whole number of blocks");
	if (is_readable(&content))
		return err_set(err, ERR_MESSAGE, "RFC 5652 6.3: the encrypted content is text");
	return 0;
}

static int scan_content(struct scan *scan, struct err *err)
{
	static const char what[] = "RFC 5652 6.1: encryptedContentInfo";
	struct der_item oid;

	if (enter(scan, DER_SEQUENCE, what, err) != 0 ||
	    take(scan, DER_OID, &oid, "RFC 5652 6.1: contentType", err) != 0)
		return -1;
	if (!slice_equal(oid.content, der_oid_data))
		not_supported(scan, "RFC 8551 3.3: the content type inside is not id-data");
	if (scan_cipher(scan, err) != 0 || scan_octets(scan, err) != 0)
		return -1;
	return leave(scan, what, err);
}

/* A set of attributes, if it stands there. der: authenticated ones, since the tag covers their DER. */
static int scan_attributes(struct scan *scan, unsigned tag, bool der, const char *what, struct err *err)
{
	struct der_item item, attribute, values;
	struct slice oid;
	struct der inside;
	size_t n;
	int got = take_if(scan, tag, &item, what, err);

	if (got <= 0)
		return got;
	if (prescan_counted(&item, ATTRIBUTES_MAX, "attributes", &n, err) != 0)
		return -1;
	if (!der)
		return 0;
	if (item.indefinite || n == 0)
		return err_set(err, ERR_MESSAGE, "%s: not DER", what);
	inside = der_inside(&item);
	while (der_next(&inside, &attribute) == 1)
		if (attribute_open(&attribute, what, &oid, &values, err) != 0)
			return -1;
	return 0;
}

static int scan_mac(struct scan *scan, struct err *err)
{
	struct der_item mac;

	if (take(scan, DER_OCTETS, &mac, "RFC 5083 2.1: mac", err) != 0)
		return -1;
	scan->envelope->mac = mac.content;
	if (scan->cipher == NULL || !scan->cipher->aead)
		return 0;
	if (mac.content.n != scan->gcm.tag_bytes)
		return err_set(err, ERR_MESSAGE, "RFC 5084 3.2: a mac of %zu octets, but ICVlen is %zu", mac.content.n,
			       scan->gcm.tag_bytes);
	if (mac.content.n != 16)
		not_supported(scan, "RFC 5084 3.2: the mac is shorter than 16 octets");
	return 0;
}

static int scan_tail(struct scan *scan, struct err *err)
{
	if (!scan->envelope->authenticated)
		return scan_attributes(scan, DER_CONTEXT_CONSTRUCTED(1), false, "RFC 5652 6.1: unprotectedAttrs", err);
	if (scan_attributes(scan, DER_CONTEXT_CONSTRUCTED(1), true, "RFC 5083 2.1: authAttrs", err) != 0 ||
	    scan_mac(scan, err) != 0)
		return -1;
	return scan_attributes(scan, DER_CONTEXT_CONSTRUCTED(2), false, "RFC 5083 2.1: unauthAttrs", err);
}

static int close_envelope(struct scan *scan, struct err *err)
{
	if (leave(scan, "RFC 5652 6.1: EnvelopedData", err) != 0 ||
	    leave(scan, "RFC 5652 3: content", err) != 0 || leave(scan, "RFC 5652 3: ContentInfo", err) != 0)
		return -1;
	if (der_stream_finish(&scan->der, scan->limits->line_end, err) != 0)
		return err_prefix(err, "RFC 5652 3: the CMS object");
	return 0;
}

static size_t held_bytes(const struct envelope_limits *limits)
{
	size_t most = (HELD_BYTES_MAX - HELD_BYTES) / HELD_BYTES_RECIPIENT;

	return HELD_BYTES + HELD_BYTES_RECIPIENT * (limits->recipients < most ? limits->recipients : most);
}

int prescan_envelope(struct arena *arena, struct stream *stream, const struct envelope_limits *limits,
		     struct envelope *envelope, struct err *err)
{
	struct scan scan = { .arena = arena, .limits = limits, .envelope = envelope,
			     .held_bytes_left = held_bytes(limits) };
	struct err why = { .class = ERR_NONE };
	int rc = -1;

	*envelope = (struct envelope){ .authenticated = false };
	der_stream_init(&scan.der, stream);
	buf_init(&scan.item, 0);
	if (open_envelope(&scan, &why) == 0 && scan_version(&scan, &why) == 0 && scan_originator(&scan, &why) == 0 &&
	    scan_recipients(&scan, &why) == 0 && scan_content(&scan, &why) == 0 && scan_tail(&scan, &why) == 0)
		rc = close_envelope(&scan, &why);
	buf_clear(&scan.item);
	return rc == 0 ? 0 : err_set(err, why.class, "%s", why.text);
}
