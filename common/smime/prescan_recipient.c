/* prescan_recipient.c - one RecipientInfo taken apart (RFC 5652 6.2, RFC 5753): only key transport and key agreement
 * are for certificates; passwords, keys agreed on elsewhere and whatever a later standard may add are named and not used.
 *
 * A recipient whose algorithm is not known is that recipient's matter. Called by prescan_envelope.c.
 */
#include <string.h>

#include "smime/prescan_internal.h"

#define TRANSPORT DER_SEQUENCE
#define AGREEMENT DER_CONTEXT_CONSTRUCTED(1)
#define RULE_TRANSPORT "RFC 5652 6.2.1: KeyTransRecipientInfo: "
#define RULE_AGREEMENT "RFC 5652 6.2.2: KeyAgreeRecipientInfo: "
/* RFC 2631 2.1.2: partyAInfo */
#define UKM_BYTES 64
/* Of RFC 3394's wrapping: 8 more than the content key, which AES has no longer than 32. */
#define WRAPPED_BYTES_MIN 24
#define WRAPPED_BYTES_MAX 40

struct adding {
	struct arena *arena;
	const struct envelope_limits *limits;
	struct envelope *envelope;
	struct slice info;
};

static int add(const struct adding *adding, const struct envelope_recipient *recipient, struct err *err)
{
	struct envelope *envelope = adding->envelope;
	size_t capacity = envelope->recipient_capacity == 0 ? 4 : 2 * envelope->recipient_capacity;
	struct envelope_recipient *bigger;

	if (envelope->recipient_count >= adding->limits->recipients)
		return err_set(err, ERR_LIMIT, "more than %zu recipients", adding->limits->recipients);
	if (envelope->recipient_count == envelope->recipient_capacity) {
		bigger = arena_array(adding->arena, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return err_memory(err);
		if (envelope->recipient_count > 0)
			memcpy(bigger, envelope->recipients, envelope->recipient_count * sizeof(*bigger));
		envelope->recipients = bigger;
		envelope->recipient_capacity = capacity;
	}
	envelope->recipients[envelope->recipient_count] = *recipient;
	envelope->recipients[envelope->recipient_count++].info = adding->info;
	return 0;
}

/* RecipientIdentifier. */
static int take_id(struct der *der, struct envelope_recipient *recipient, const char *what, struct err *err)
{
	struct der_item item;
	int got = der_take(der, DER_CONTEXT(0), &item);

	if (got == 0)
		return prescan_issuer_serial(der, what, &recipient->issuer, &recipient->serial, err);
	if (got < 0 || item.content.n == 0)
		return prescan_malformed(err, what);
	recipient->key_id = item.content;
	return 0;
}

static int take_key(struct der *der, struct envelope_recipient *recipient, const char *what, struct err *err)
{
	struct der_item item;

	if (prescan_take(der, DER_OCTETS, &item, what, err) != 0)
		return -1;
	recipient->encrypted_key = item.content;
	return prescan_end(der, what, err);
}

static int scan_transport(const struct adding *adding, const struct der_item *item, struct err *err)
{
	struct envelope_recipient recipient = { .kind = RECIPIENT_TRANSPORT };
	struct der inside = der_inside(item);
	struct der_item version;
	bool malformed = false;

	if (prescan_take(&inside, DER_INTEGER, &version, RULE_TRANSPORT "version", err) != 0 ||
	    take_id(&inside, &recipient, RULE_TRANSPORT "recipient identifier", err) != 0 ||
	    prescan_take_algorithm(&inside, &recipient.algorithm, RULE_TRANSPORT "keyEncryptionAlgorithm", err) != 0 ||
	    take_key(&inside, &recipient, RULE_TRANSPORT "encryptedKey", err) != 0)
		return -1;
	if (!slice_equal(version.content, slice_make(recipient.key_id.n > 0 ? "\x02" : "\x00", 1)))
		return err_set(err, ERR_MESSAGE, RULE_TRANSPORT "version does not fit the recipient identifier");
	recipient.unsupported = key_transport_fault(&recipient.algorithm, &malformed);
	if (malformed)
		return err_set(err, ERR_MESSAGE, "%s", recipient.unsupported);
	if (recipient.encrypted_key.n == 0)
		return err_set(err, ERR_MESSAGE, RULE_TRANSPORT "encryptedKey is empty");
	return add(adding, &recipient, err);
}

/* RFC 5753 3.1.1: an ephemeral key; static ones are nobody's practice in mail. */
static int scan_originator(struct der *der, const char **unsupported, struct err *err)
{
	struct der_item item, key, bits;
	struct prescan_algorithm algorithm;
	struct der inside;

	if (prescan_take(der, DER_CONTEXT_CONSTRUCTED(0), &item, RULE_AGREEMENT "originator", err) != 0)
		return -1;
	inside = der_inside(&item);
	if (der_next(&inside, &key) != 1 || inside.rest.n != 0)
		return prescan_malformed(err, RULE_AGREEMENT "originator");
	if (key.tag == DER_SEQUENCE || key.tag == DER_CONTEXT(0)) {
		*unsupported = "RFC 5753 3.1.1: the originator's key is not ephemeral";
		return 0;
	}
	inside = der_inside(&key);
	if (key.tag != DER_CONTEXT_CONSTRUCTED(1) ||
	    prescan_take_algorithm(&inside, &algorithm, RULE_AGREEMENT "originator", err) != 0 ||
	    der_take(&inside, DER_BITS, &bits) != 1 || bits.content.n < 2 || bits.content.p[0] != 0 ||
	    inside.rest.n != 0)
		return prescan_malformed(err, RULE_AGREEMENT "originator");
	return 0;
}

static int scan_ukm(struct der *der, struct err *err)
{
	struct der_item item, ukm;
	struct der inside;
	int got = der_take(der, DER_CONTEXT_CONSTRUCTED(1), &item);

	if (got == 0)
		return 0;
	inside = der_inside(&item);
	if (got < 0 || der_take(&inside, DER_OCTETS, &ukm) != 1 || inside.rest.n != 0)
		return prescan_malformed(err, RULE_AGREEMENT "ukm");
	if (ukm.content.n > UKM_BYTES)
		return err_set(err, ERR_LIMIT, "RFC 2631 2.1.2: more than %d octets of keying material", UKM_BYTES);
	return 0;
}

/* RecipientEncryptedKey, whose key identifier stands in a SEQUENCE (RecipientKeyIdentifier). */
static int scan_entry(const struct der_item *entry, struct envelope_recipient *recipient, struct err *err)
{
	struct der inside = der_inside(entry), id;
	struct der_item item, key_id;
	int got;

	if (entry->tag != DER_SEQUENCE)
		return prescan_malformed(err, RULE_AGREEMENT "recipientEncryptedKeys");
	got = der_take(&inside, DER_CONTEXT_CONSTRUCTED(0), &item);
	id = got == 1 ? der_inside(&item) : inside;
	if (got < 0 || (got == 1 && (der_take(&id, DER_OCTETS, &key_id) != 1 || key_id.content.n == 0)))
		return prescan_malformed(err, RULE_AGREEMENT "recipient identifier");
	if (got == 1)
		recipient->key_id = key_id.content;
	else if (prescan_issuer_serial(&inside, RULE_AGREEMENT "recipient identifier", &recipient->issuer,
				       &recipient->serial, err) != 0)
		return -1;
	if (take_key(&inside, recipient, RULE_AGREEMENT "encryptedKey", err) != 0)
		return -1;
	if (recipient->unsupported == NULL &&
	    (recipient->encrypted_key.n % 8 != 0 || recipient->encrypted_key.n < WRAPPED_BYTES_MIN ||
	     recipient->encrypted_key.n > WRAPPED_BYTES_MAX))
		return err_set(err, ERR_MESSAGE, "RFC 3394 2.2.1: a wrapped key of %zu octets",
			       recipient->encrypted_key.n);
	return 0;
}

static int scan_entries(const struct adding *adding, struct der *der, const struct envelope_recipient *common,
			struct err *err)
{
	struct der_item list, entry;
	struct der inside;
	size_t n = 0;
	int got;

	if (prescan_take(der, DER_SEQUENCE, &list, RULE_AGREEMENT "recipientEncryptedKeys", err) != 0 ||
	    prescan_end(der, RULE_AGREEMENT "recipientEncryptedKeys", err) != 0)
		return -1;
	inside = der_inside(&list);
	while ((got = der_next(&inside, &entry)) == 1) {
		struct envelope_recipient recipient = *common;

		if (scan_entry(&entry, &recipient, err) != 0 || add(adding, &recipient, err) != 0)
			return -1;
		n++;
	}
	return got == 0 && n > 0 ? 0 : prescan_malformed(err, RULE_AGREEMENT "recipientEncryptedKeys");
}

static int scan_agreement(const struct adding *adding, const struct der_item *item, struct err *err)
{
	struct envelope_recipient common = { .kind = RECIPIENT_AGREEMENT };
	struct der inside = der_inside(item);
	struct der_item version;
	bool malformed = false;
	const char *fault;

	if (prescan_take(&inside, DER_INTEGER, &version, RULE_AGREEMENT "version", err) != 0)
		return -1;
	if (!slice_is(version.content, "\x03"))
		return err_set(err, ERR_MESSAGE, RULE_AGREEMENT "version is not 3");
	if (scan_originator(&inside, &common.unsupported, err) != 0 || scan_ukm(&inside, err) != 0 ||
	    prescan_take_algorithm(&inside, &common.algorithm, RULE_AGREEMENT "keyEncryptionAlgorithm", err) != 0)
		return -1;
	fault = key_agreement_fault(&common.algorithm, &malformed);
	if (malformed)
		return err_set(err, ERR_MESSAGE, "%s", fault);
	if (fault != NULL)
		common.unsupported = fault;
	return scan_entries(adding, &inside, &common, err);
}

/* The choices that are no certificate's. NULL: there is no such choice. */
static const char *other_kind(unsigned tag)
{
	static const char *const others[] = {
		"RFC 5652 6.2.3: a recipient by a key that was agreed on before (KEKRecipientInfo) is not supported",
		"RFC 5652 6.2.4: a recipient by password (PasswordRecipientInfo) is not supported",
		"RFC 5652 6.2.5: a recipient of another kind (OtherRecipientInfo) is not supported",
	};

	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (tag == DER_CONTEXT_CONSTRUCTED(2 + i))
			return others[i];
	return NULL;
}

int prescan_recipient(struct arena *arena, struct slice der, const struct envelope_limits *limits,
		      struct envelope *envelope, struct err *err)
{
	const struct adding adding = { arena, limits, envelope, der };
	struct envelope_recipient other = { .kind = RECIPIENT_OTHER };
	struct der whole = der_whole(der);
	struct der_item item;

	if (der_next(&whole, &item) != 1)
		return prescan_malformed(err, "RFC 5652 6.2: RecipientInfo");
	if (item.tag == TRANSPORT)
		return scan_transport(&adding, &item, err);
	if (item.tag == AGREEMENT)
		return scan_agreement(&adding, &item, err);
	other.unsupported = other_kind(item.tag);
	if (other.unsupported == NULL)
		return err_set(err, ERR_MESSAGE, "RFC 5652 6.2: RecipientInfo of no known kind");
	return add(&adding, &other, err);
}
