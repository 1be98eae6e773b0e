/* bundle_outlook.c - the set of security settings that Outlook keeps as a directory's value where it keeps no PKCS#7
 * object (MS-OXOABK 2.2.4.36, PidTagUserX509Certificate): settings one behind the other, integers little endian:
 *
 *	tag (2 bytes), length with these four bytes (2 bytes), data
 *
 * Unknown settings are passed over, lengths are taken at their word. Hashes name certificates on the owner's own
 * computer, so they say nothing here; capabilities (tag 2) are not taken, since nobody signed them. Called by bundle.c. */
#include "pki/bundle_internal.h"

#define HEADER_BYTES 4
#define SEQUENCE 0x30	/* a value that begins so is ASN.1 */

enum setting_tag {
	TAG_VERSION = 0x01, TAG_CAPABILITIES = 0x02, TAG_KEY_EXCHANGE_CERT = 0x03, TAG_CHAIN_CERT = 0x04,
	TAG_ENCODING = 0x06, TAG_SIGNING_CERT = 0x08, TAG_SIGNING_SHA1 = 0x09, TAG_NAME = 0x0b, TAG_DEFAULTS = 0x20,
	TAG_KEY_EXCHANGE_SHA1 = 0x22, TAG_WIDE_NAME = 0x51
};

struct setting {
	unsigned tag;
	struct slice data;
	size_t offset;
};

static unsigned read_u16(const char *from)
{
	return (unsigned)(unsigned char)from[0] | (unsigned)(unsigned char)from[1] << 8;
}

/* 1 a setting, 0 the end, -1 cut off. */
static int next_setting(struct slice bytes, size_t *at, struct setting *setting, struct err *err)
{
	struct slice rest = slice_from(bytes, *at);
	unsigned length;

	if (rest.n == 0)
		return 0;
	if (rest.n < HEADER_BYTES)
		return err_set(err, ERR_MESSAGE, "MS-OXOABK 2.2.4.36: cut off at offset %zu", bytes.n);
	length = read_u16(rest.p + 2);
	if (length < HEADER_BYTES || length > rest.n)
		return err_set(err, ERR_MESSAGE, "MS-OXOABK 2.2.4.36: setting of %u bytes at offset %zu, where %zu are left",
			       length, *at, rest.n);
	*setting = (struct setting){ .tag = read_u16(rest.p), .offset = *at };
	setting->data = slice_from(slice_first(rest, length), HEADER_BYTES);
	*at += length;
	return 1;
}

static bool is_known(unsigned tag)
{
	static const unsigned known[] = {
		TAG_VERSION, TAG_CAPABILITIES, TAG_KEY_EXCHANGE_CERT, TAG_CHAIN_CERT, TAG_ENCODING, TAG_SIGNING_CERT,
		TAG_SIGNING_SHA1, TAG_NAME, TAG_DEFAULTS, TAG_KEY_EXCHANGE_SHA1, TAG_WIDE_NAME,
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i] == tag)
			return true;
	return false;
}

/* Settings up to one that is known. */
bool bundle_is_outlook(struct slice bytes)
{
	struct setting setting;
	size_t at = 0;

	if (bytes.n == 0 || bytes.p[0] == SEQUENCE)
		return false;
	while (next_setting(bytes, &at, &setting, NULL) == 1)
		if (is_known(setting.tag))
			return true;
	return false;
}

static int take_setting(struct bundle_reader *reader, const struct setting *setting, struct err *err)
{
	struct bundle_entry entry = { .offset = setting->offset };

	switch (setting->tag) {
	case TAG_KEY_EXCHANGE_CERT:
		entry.preferred = true;
		return bundle_add_cert(reader, entry, setting->data, err);
	case TAG_CHAIN_CERT:
	case TAG_SIGNING_CERT:
		return bundle_add_cert(reader, entry, setting->data, err);
	default:
		return 0;
	}
}

int bundle_read_outlook(struct bundle_reader *reader, struct slice bytes, struct err *err)
{
	struct setting setting;
	size_t at = 0;
	int more;

	while ((more = next_setting(bytes, &at, &setting, err)) == 1)
		if (take_setting(reader, &setting, err) != 0)
			return -1;
	return more;
}
