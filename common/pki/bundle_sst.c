/* bundle_sst.c - serialized certificate stores, read and written (MS-OSHARED 2.3.9.1). All integers are little endian:
 *
 *	version 0, "CERT"; elements: id, encoding 1, length, bytes; end: id 0 and eight zero bytes
 *
 * Properties (other ids) come before the certificate (0x20), CRL (0x21) or CTL (0x22) that they belong to. The file
 * vouches for nothing by itself: a thumbprint property is not looked at. Called by bundle.c, `smimectl collection`. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <string.h>

#include "pki/bundle_internal.h"
#include "pki/pki_internal.h"

#define MARK "\0\0\0\0CERT"
#define MARK_BYTES 8
#define ELEMENT_BYTES 12	/* id, encoding, length */
#define END_BYTES 12
#define ENCODING_X509 1

/* Up to ID_LAST_SYSTEM properties are CryptoAPI's own (digests, key identifiers …), and say nothing to us. */
enum { ID_LAST_SYSTEM = 127 };
enum { ID_END = 0, ID_USAGE = 9, ID_FRIENDLY_NAME = 11, ID_CERT = 0x20, ID_CRL = 0x21, ID_CTL = 0x22 };

struct element {
	uint32_t id, encoding;
	struct slice value;
	size_t offset;
};

bool bundle_is_sst(struct slice bytes)
{
	return bytes.n >= MARK_BYTES && memcmp(bytes.p, MARK, MARK_BYTES) == 0;
}

static uint32_t read_u32(const char *from)
{
	const unsigned char *p = (const unsigned char *)from;

	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* 1 an element, 0 the end element, -1 the file is cut off there or goes on behind the end. */
static int next_element(struct slice bytes, size_t *at, struct element *element, struct err *err)
{
	struct slice rest = slice_from(bytes, *at);
	uint32_t length;

	if (rest.n < ELEMENT_BYTES)
		return err_set(err, ERR_MESSAGE, "MS-OSHARED 2.3.9.1: cut off at offset %zu, no end element", bytes.n);
	*element = (struct element){ .id = read_u32(rest.p), .encoding = read_u32(rest.p + 4), .offset = *at };
	length = read_u32(rest.p + 8);
	if (element->id == ID_END && (element->encoding != 0 || length != 0))
		return err_set(err, ERR_MESSAGE, "MS-OSHARED 2.3.9.1: end element with content at offset %zu", *at);
	if (element->id == ID_END && rest.n > END_BYTES)
		return err_set(err, ERR_MESSAGE, "MS-OSHARED 2.3.9.1: %zu bytes behind the end, at offset %zu",
			       rest.n - END_BYTES, *at + END_BYTES);
	if (length > rest.n - ELEMENT_BYTES)
		return err_set(err, ERR_MESSAGE,
			       "MS-OSHARED 2.3.9.1: element at offset %zu has %u bytes, the file only %zu more", *at,
			       (unsigned)length, rest.n - ELEMENT_BYTES);
	element->value = slice_first(slice_from(rest, ELEMENT_BYTES), length);
	*at += ELEMENT_BYTES + length;
	return element->id != ID_END;
}

/* UTF-16LE up to a NUL as printable ASCII: \uXXXX for the rest. NULL: memory. */
static const char *read_name(struct arena *arena, struct slice utf16)
{
	static const char digits[] = "0123456789abcdef";
	char *text = arena_alloc(arena, utf16.n / 2 * 6 + 1), *to = text;
	unsigned unit;

	for (size_t i = 0; text != NULL && i + 1 < utf16.n; i += 2) {
		unit = (unsigned)(unsigned char)utf16.p[i] | (unsigned)(unsigned char)utf16.p[i + 1] << 8;
		if (unit == 0)
			break;
		if (unit >= 0x20 && unit <= 0x7e) {
			*to++ = (char)unit;
			continue;
		}
		*to++ = '\\';
		*to++ = 'u';
		for (int shift = 12; shift >= 0; shift -= 4)
			*to++ = digits[unit >> shift & 15];
	}
	return text;
}

/* Is e-mail among the usages (a SEQUENCE OF OID)? What cannot be read allows nothing. */
static bool allows_email(struct slice der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	EXTENDED_KEY_USAGE *usages = d2i_EXTENDED_KEY_USAGE(NULL, &p, (long)der.n);
	bool email = false;
	int nid;

	for (int i = 0; i < sk_ASN1_OBJECT_num(usages); i++) {
		nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(usages, i));
		email = email || nid == NID_email_protect || nid == NID_anyExtendedKeyUsage;
	}
	sk_ASN1_OBJECT_pop_free(usages, ASN1_OBJECT_free);
	ERR_clear_error();
	return email;
}

static int take_property(struct bundle_reader *reader, const struct element *element, struct bundle_entry *entry,
			 struct err *err)
{
	if (element->id == ID_USAGE) {
		entry->eku_restricted = true;
		entry->eku_email = allows_email(element->value);
	} else if (element->id == ID_FRIENDLY_NAME) {
		entry->friendly_name = read_name(reader->arena, element->value);
		if (entry->friendly_name == NULL)
			return err_memory(err);
	} else if (element->id > ID_LAST_SYSTEM) {
		return bundle_add_problem(reader, (struct bundle_entry){ .offset = element->offset }, err,
					  "MS-OSHARED 2.3.9.1: unknown property %u, passed over", (unsigned)element->id);
	}
	return 0;
}

static int take_element(struct bundle_reader *reader, const struct element *element, struct bundle_entry *entry,
			struct err *err)
{
	int rc;

	if (element->id != ID_CERT && element->id != ID_CRL && element->id != ID_CTL) {
		entry->offset = element->offset;
		return take_property(reader, element, entry, err);
	}
	entry->offset = element->offset;
	if (element->encoding != ENCODING_X509)
		rc = bundle_add_problem(reader, *entry, err, "MS-OSHARED 2.3.9.1: encoding type %u, not 1",
					(unsigned)element->encoding);
	else if (element->id == ID_CERT)
		rc = bundle_add_cert(reader, *entry, element->value, err);
	else if (element->id == ID_CRL)
		rc = bundle_add_crl(reader, *entry, element->value, err);
	else
		rc = bundle_add_problem(reader, *entry, err, "a certificate trust list, which is not used");
	*entry = (struct bundle_entry){ 0 };
	return rc;
}

int bundle_read_sst(struct bundle_reader *reader, struct slice bytes, struct err *err)
{
	struct bundle_entry entry = { 0 };
	struct element element = { 0 };
	size_t at = MARK_BYTES;
	int more;

	while ((more = next_element(bytes, &at, &element, err)) == 1)
		if (take_element(reader, &element, &entry, err) != 0)
			return -1;
	if (more == 0 && entry.offset != 0)
		return bundle_add_problem(reader, entry, err, "MS-OSHARED 2.3.9.1: a property that no element follows");
	return more;
}

static int write_u32(struct buf *out, size_t value)
{
	unsigned char bytes[4];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(value >> 8 * i & 0xff);
	return value > UINT32_MAX ? -1 : buf_append(out, bytes, sizeof(bytes));
}

static int write_element(struct buf *out, uint32_t id, struct slice value)
{
	return write_u32(out, id) != 0 || write_u32(out, ENCODING_X509) != 0 || write_u32(out, value.n) != 0 ||
	       buf_append_slice(out, value) != 0 ? -1 : 0;
}

static int write_usage(struct buf *out, const struct bundle_entry *entry)
{
	/* emailProtection alone, or no usage at all: what the entry remembers of the list. */
	static const char email[] = "\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x04", none[] = "\x30\x00";

	if (!entry->eku_restricted)
		return 0;
	return write_element(out, ID_USAGE, entry->eku_email ? slice_make(email, sizeof(email) - 1) :
			     slice_make(none, sizeof(none) - 1));
}

/* ASCII to UTF-16LE with the NUL; escapes of characters beyond are written as they are. */
static int write_name(struct buf *out, const char *name)
{
	struct buf utf16;
	int rc = 0;

	if (name == NULL)
		return 0;
	buf_init(&utf16, 0);
	for (const char *p = name; rc == 0; p++) {
		rc = buf_append_char(&utf16, *p) != 0 || buf_append_char(&utf16, '\0') != 0 ? -1 : 0;
		if (*p == '\0')
			break;
	}
	rc = rc == 0 ? write_element(out, ID_FRIENDLY_NAME, buf_slice(&utf16)) : -1;
	buf_clear(&utf16);
	return rc;
}

static int write_entry(struct buf *out, const struct bundle_entry *entry)
{
	if (entry->cert == NULL)
		return entry->crl_der.n == 0 ? 0 : write_element(out, ID_CRL, entry->crl_der);
	if (write_usage(out, entry) != 0 || write_name(out, entry->friendly_name) != 0)
		return -1;
	return write_element(out, ID_CERT, cert_info(entry->cert)->der);
}

int bundle_write_sst(const struct bundle_entry *entries, size_t n, struct buf *out, struct err *err)
{
	size_t before = out->n;
	bool failed = buf_append(out, MARK, MARK_BYTES) != 0;

	for (size_t i = 0; i < n && !failed; i++)
		failed = write_entry(out, &entries[i]) != 0;
	if (!failed && buf_append(out, "\0\0\0\0\0\0\0\0\0\0\0", END_BYTES) == 0)
		return 0;
	out->n = before;
	return err_set(err, ERR_TEMP, "no memory to write the certificate store");
}
