/* key_preference.c - see key_preference.h. Pure. */
#include "pki/key_preference.h"

#include <openssl/asn1.h>
#include <openssl/err.h>

#define LIMIT_BYTES 65536
#define CONTEXT 0x80
#define CONSTRUCTED 0x20
#define SEQUENCE (CONSTRUCTED | V_ASN1_SEQUENCE)

struct item {
	int identifier;		/* class, constructed bit and tag, as the octet has them */
	struct slice content, whole;
};

/* The next item of definite length, off the front of rest. -1: none. */
static int take(struct slice *rest, struct item *item)
{
	const unsigned char *start = (const unsigned char *)rest->p, *p = start;
	int tag = 0, class = 0, form;
	long n = 0;

	if (rest->n == 0 || rest->n > LIMIT_BYTES)
		return -1;
	form = ASN1_get_object(&p, &n, &tag, &class, (long)rest->n);
	if ((form & ~CONSTRUCTED) != 0 || tag > 30) {	/* an error, or indefinite */
		ERR_clear_error();
		return -1;
	}
	item->identifier = class | form | tag;
	item->content = slice_make(p, (size_t)n);
	item->whole = slice_first(*rest, (size_t)(p - start) + (size_t)n);
	*rest = slice_from(*rest, item->whole.n);
	return 0;
}

static int take_issuer_and_serial(struct slice content, struct key_preference *preference)
{
	struct item issuer, serial;

	if (take(&content, &issuer) != 0 || issuer.identifier != SEQUENCE || take(&content, &serial) != 0 ||
	    serial.identifier != V_ASN1_INTEGER || content.n != 0)
		return -1;
	preference->issuer = issuer.whole;
	preference->serial = serial.whole;
	return 0;
}

static int take_recipient_key_id(struct slice content, struct key_preference *preference)
{
	struct item id;

	if (take(&content, &id) != 0 || id.identifier != V_ASN1_OCTET_STRING)
		return -1;
	preference->key_id = id.content;
	return 0;
}

static int take_choice(const struct item *choice, struct key_preference *preference)
{
	switch (choice->identifier) {
	case CONTEXT | CONSTRUCTED | 0:
	case SEQUENCE:
		return take_issuer_and_serial(choice->content, preference);
	case CONTEXT | CONSTRUCTED | 1:
		return take_recipient_key_id(choice->content, preference);
	case CONTEXT | 2:
		preference->key_id = choice->content;
		return 0;
	default:
		return -1;
	}
}

int key_preference_parse(struct slice der, struct key_preference *preference, struct err *err)
{
	struct item choice;

	*preference = (struct key_preference){ .key_id = { NULL, 0 } };
	if (take(&der, &choice) == 0 && der.n == 0 && take_choice(&choice, preference) == 0 &&
	    (preference->serial.n != 0 || preference->key_id.n != 0))
		return 0;
	*preference = (struct key_preference){ .key_id = { NULL, 0 } };
	return err_set(err, ERR_MESSAGE, "RFC 8551 2.5.3: SMIMEEncryptionKeyPreference is malformed");
}

bool key_preference_names(const struct key_preference *preference, const struct cert *cert)
{
	const struct cert_info *info = cert_info(cert);

	if (preference->key_id.n != 0)
		return slice_equal(info->skid, preference->key_id);
	return preference->serial.n != 0 && slice_equal(info->serial_der, preference->serial) &&
	       cert_has_issuer(cert, preference->issuer);
}
