/* kind.c - what a message is: by its MIME structure, by the first bytes of CMS objects, by the armour of inline PGP.
 * Nothing is believed because a name says so. Called by the gate (facts of a rule) and by verify.c.
 * RFC 8551 3.10, RFC 1847, RFC 3156, RFC 6522, RFC 4880 6.2. */
#include "smime/kind.h"

#include <string.h>

#include "mail/param.h"
#include "smime/der.h"
#include "smime/prescan.h"
#include "smime/sealed.h"

/* Everything down to eContent's tag; a set of digest algorithms longer than that serves no purpose but hiding. */
#define PREFIX_BYTES 16384
/* An armour line has at most 76 characters, a header of it rarely more. A longer one is none; of signed
 * text it is cut here. */
#define LINE_BYTES 256
/* Of the returned header in a report; more than that is not believed to be one. */
#define REPORT_HEADER_BYTES 131072
/* Blank lines behind the last delimiter. */
#define EPILOGUE_BYTES 4
/* "This is an OpenPGP/MIME encrypted message" */
#define PREAMBLE_BYTES 128
/* Of the first part of multipart/encrypted. */
#define CONTROL_BYTES 64

/* A detached signature with its certificates is some kilobytes. */
#define SIGNATURE_BYTES ((size_t)1 << 20)

const char *const kind_names[] = { "plain", "signed", "encrypted", "calendar", "tnef", "report", NULL };

/* SignedData (RFC 5652 5.1) down to where content begins or does not. */
static enum cms_type signed_type(struct der der)
{
	struct der_item item;

	if (der_take(&der, DER_SEQUENCE, &item) != 1)
		return CMS_UNREADABLE;
	der = der_inside(&item);
	if (der_take(&der, DER_INTEGER, &item) != 1 || der_take(&der, DER_SET, &item) != 1 || item.cut ||
	    der_take(&der, DER_SEQUENCE, &item) != 1)
		return CMS_UNREADABLE;
	der = der_inside(&item);
	if (der_take(&der, DER_OID, &item) != 1)
		return CMS_UNREADABLE;
	switch (der_take(&der, DER_CONTEXT_CONSTRUCTED(0), &item)) {
	case 1:
		return CMS_SIGNED;
	case 0:
		return CMS_CERTS_ONLY;
	default:
		return CMS_UNREADABLE;
	}
}

/* Any other type must at least hold its SEQUENCE. */
static enum cms_type sequence_type(struct der der, enum cms_type type)
{
	struct der_item item;

	return der_take(&der, DER_SEQUENCE, &item) == 1 ? type : CMS_UNREADABLE;
}

/* EnvelopedData, AuthEnvelopedData (RFC 5652 6.1, RFC 5083 2.1) down to the first recipient and, where it is at hand,
 * to encryptedContentInfo: what begins like one and goes on in readable words must not be taken for it. */
static enum cms_type enveloped_type(struct der der, enum cms_type type)
{
	struct der_item item, recipient;
	struct der recipients;

	if (der_take(&der, DER_SEQUENCE, &item) != 1)
		return CMS_UNREADABLE;
	der = der_inside(&item);
	if (der_take(&der, DER_INTEGER, &item) != 1 || der_take(&der, DER_CONTEXT_CONSTRUCTED(0), &item) < 0 ||
	    der_take(&der, DER_SET, &item) != 1)
		return CMS_UNREADABLE;
	recipients = der_inside(&item);
	if (der_next(&recipients, &recipient) != 1)
		return CMS_UNREADABLE;
	return item.cut || der_take(&der, DER_SEQUENCE, &item) == 1 ? type : CMS_UNREADABLE;
}

static enum cms_type outer_type(struct der der)
{
	struct der_item oid, content;

	if (der_take(&der, DER_SEQUENCE, &content) != 1)
		return CMS_UNREADABLE;
	der = der_inside(&content);
	if (der_take(&der, DER_OID, &oid) != 1 || oid.cut || der_take(&der, DER_CONTEXT_CONSTRUCTED(0), &content) != 1)
		return CMS_UNREADABLE;
	der = der_inside(&content);
	if (slice_equal(oid.content, der_oid_signed_data))
		return signed_type(der);
	if (slice_equal(oid.content, der_oid_enveloped_data))
		return enveloped_type(der, CMS_ENVELOPED);
	if (slice_equal(oid.content, der_oid_auth_enveloped_data))
		return enveloped_type(der, CMS_AUTH_ENVELOPED);
	if (slice_equal(oid.content, der_oid_compressed_data))
		return sequence_type(der, CMS_COMPRESSED);
	return CMS_OTHER;
}

/* The type of whatever the part's decoded bytes are. A transfer encoding that cannot be decoded is the part's fault. */
static int read_type(struct arena *arena, const struct message *message, const struct mime_part *part,
		     enum cms_type *type, struct err *err)
{
	const struct body *body = mime_decoded(arena, message, part), *prefix = NULL;
	struct err why = { .class = ERR_NONE };
	struct buf bytes;
	int rc = 0;

	if (body != NULL)
		prefix = body_range(arena, body, 0, PREFIX_BYTES);
	if (prefix == NULL)
		return err_memory(err);
	buf_init(&bytes, PREFIX_BYTES);
	if (body_read_all(prefix, &bytes, &why) == 0)
		*type = outer_type(bytes.n == PREFIX_BYTES ? der_prefix(buf_slice(&bytes)) :
				   der_whole(buf_slice(&bytes)));
	else if (why.class == ERR_MESSAGE)
		*type = CMS_UNREADABLE;
	else
		rc = -1;
	if (rc != 0 && err != NULL)
		*err = why;
	buf_clear(&bytes);
	return rc;
}

/* Does a name that the part bears - Content-Type's `name`, Content-Disposition's `filename` - end with one of these? */
static int is_named(struct arena *arena, const struct mime_part *part, const char *const *suffixes, bool *named,
		    struct err *err)
{
	const struct field *field = header_find(&part->header, "Content-Disposition", 0);
	struct param_list disposition = { .n = 0 };
	struct slice names[2] = { param_get(&part->type, "name") };

	if (field != NULL) {
		if (param_parse(arena, field->value, &disposition, err) != 0)
			return -1;
		names[1] = param_get(&disposition, "filename");
	}
	*named = false;
	for (; *suffixes != NULL; suffixes++)
		if (slice_ends_nocase(slice_trim(names[0]), *suffixes) ||
		    slice_ends_nocase(slice_trim(names[1]), *suffixes))
			*named = true;
	return 0;
}

/* 1: pkcs7-mime or something that may be meant so, 0, -1. */
static int may_be_cms(struct arena *arena, const struct mime_part *part, struct err *err)
{
	static const char *const suffixes[] = { ".p7m", ".p7s", ".p7c", ".p7z", NULL };
	bool named = false;

	if (mime_is(part, "application/pkcs7-mime") || mime_is(part, "application/x-pkcs7-mime"))
		return 1;
	if (!mime_is(part, "application/octet-stream"))
		return 0;
	return is_named(arena, part, suffixes, &named, err) != 0 ? -1 : named;
}

int kind_cms_type(struct arena *arena, const struct message *message, const struct mime_part *part,
		  enum cms_type *type, struct err *err)
{
	int rc = may_be_cms(arena, part, err);

	*type = CMS_NONE;
	return rc <= 0 ? rc : read_type(arena, message, part, type, err);
}

/* The two parts of a multipart/signed or multipart/encrypted; false: it has another number of them. */
static bool two_parts(const struct mime_part *container, const struct mime_part **first,
		      const struct mime_part **second)
{
	*first = container->child;
	*second = *first == NULL ? NULL : (*first)->next;
	return *second != NULL && (*second)->next == NULL;
}

/* Two fields, of which readers take the one or the other. */
static bool is_ambiguous(const struct mime_part *part)
{
	return header_count(&part->header, "Content-Type") > 1 ||
	       header_count(&part->header, "Content-Transfer-Encoding") > 1;
}

/* Does the part's SignedData bear a SignerInfo at least? One without any, or one that nobody can read, would let a message
 * pass for signed that is not. 1, 0, -1. */
static int has_signer(struct arena *arena, const struct message *message, const struct mime_part *part, struct err *err)
{
	static const struct prescan_limits limits = { 1000, 1000, 1000 };
	const struct body *body = mime_decoded(arena, message, part);
	struct err why = { .class = ERR_NONE };
	struct prescan scan;
	struct buf bytes;
	int rc;

	if (body == NULL)
		return err_memory(err);
	buf_init(&bytes, SIGNATURE_BYTES);
	rc = body_read_all(body, &bytes, &why);
	if (rc == 0)
		rc = prescan_signed(arena, buf_slice(&bytes), &limits, &scan, &why);
	if (rc == 0)
		rc = scan.signer_count > 0;
	else if (why.class != ERR_TEMP)
		rc = 0;
	else
		rc = err_set(err, ERR_TEMP, "%s", why.text);
	buf_clear(&bytes);
	return rc;
}

/* 1: its second part is a signature, for S/MIME one that can be read; 0, -1. */
static int is_multipart_signed(struct arena *arena, const struct message *message, const struct mime_part *root,
			       struct err *err)
{
	const struct mime_part *content, *signature;
	enum cms_type type = CMS_NONE;

	if (!mime_is(root, "multipart/signed") || !two_parts(root, &content, &signature))
		return 0;
	if (mime_is(signature, "application/pgp-signature"))
		return 1;
	if (mime_is(signature, "application/pkcs7-signature") || mime_is(signature, "application/x-pkcs7-signature")) {
		if (read_type(arena, message, signature, &type, err) != 0)
			return -1;
	} else if (kind_cms_type(arena, message, signature, &type, err) != 0) {
		return -1;
	}
	return type == CMS_SIGNED || type == CMS_CERTS_ONLY ? has_signer(arena, message, signature, err) : 0;
}

/* Inline PGP, read line by line: nothing but blank lines may stand around the armour, and inside it nothing but armour,
 * so that a message with one readable word in it is not taken for an encrypted one. */
struct armour {
	enum {
		ARMOUR_BEFORE, ARMOUR_HEADERS, ARMOUR_DATA, ARMOUR_TEXT, ARMOUR_SIGNATURE, ARMOUR_AFTER, ARMOUR_NOT
	} state;
	bool is_signed;
	bool has_packet;	/* of a message: its first packet says that the rest is encrypted */
	char line[LINE_BYTES];
	size_t n;
};

static bool is_armour_line(struct slice line)
{
	for (size_t i = 0; i < line.n; i++) {
		char c = line.p[i];

		if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '+' &&
		    c != '/' && c != '=')
			return false;
	}
	return true;
}

static void armour_begin(struct armour *armour, struct slice line)
{
	if (line.n == 0)
		return;
	armour->state = ARMOUR_NOT;
	if (slice_is(line, "-----BEGIN PGP MESSAGE-----"))
		armour->state = ARMOUR_HEADERS;
	armour->is_signed = slice_is(line, "-----BEGIN PGP SIGNED MESSAGE-----");
	if (armour->is_signed)
		armour->state = ARMOUR_TEXT;
}

/* "Version: …" and the like, up to the empty line. */
static void armour_header(struct armour *armour, struct slice line)
{
	if (line.n == 0)
		armour->state = ARMOUR_DATA;
	else if (slice_find(line, ':') < 1)
		armour->state = ARMOUR_NOT;
}

static unsigned sextet(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (unsigned)(at - digits) : 0;
}

/* RFC 9580 4.3, 10.3: an encrypted message begins with a session key or with encrypted data. A PGP message may as well be
 * signed or compressed only, and then anybody reads it. */
static bool begins_encrypted(struct slice line)
{
	unsigned octet = line.n < 2 ? 0 : sextet(line.p[0]) << 2 | sextet(line.p[1]) >> 4;
	unsigned tag = (octet & 0x40) != 0 ? octet & 0x3f : octet >> 2 & 0x0f;

	return (octet & 0x80) != 0 && (tag == 1 || tag == 3 || tag == 9 || tag == 18 || tag == 20);
}

static void armour_data(struct armour *armour, struct slice line)
{
	if (slice_is(line, "-----END PGP MESSAGE-----"))
		armour->state = armour->has_packet ? ARMOUR_AFTER : ARMOUR_NOT;
	else if (!is_armour_line(line) || (!armour->has_packet && line.n > 0 && !begins_encrypted(line)))
		armour->state = ARMOUR_NOT;
	else
		armour->has_packet = armour->has_packet || line.n > 0;
}

static void armour_line(struct armour *armour)
{
	struct slice line = slice_trim(slice_make(armour->line, armour->n));

	armour->n = 0;
	switch (armour->state) {
	case ARMOUR_BEFORE:
		armour_begin(armour, line);
		return;
	case ARMOUR_HEADERS:
		armour_header(armour, line);
		return;
	case ARMOUR_DATA:
		armour_data(armour, line);
		return;
	case ARMOUR_TEXT:
		if (slice_is(line, "-----BEGIN PGP SIGNATURE-----"))
			armour->state = ARMOUR_SIGNATURE;
		return;
	case ARMOUR_SIGNATURE:
		if (slice_is(line, "-----END PGP SIGNATURE-----"))
			armour->state = ARMOUR_AFTER;
		return;
	case ARMOUR_AFTER:
		if (line.n > 0)
			armour->state = ARMOUR_NOT;
		return;
	case ARMOUR_NOT:
		return;
	}
}

/* Ends the reading, as a body that cannot be decoded does, at the first line that is not armour: of most messages that
 * is the first. */
static int armour_feed(void *arg, const void *p, size_t n, struct err *err)
{
	struct armour *armour = arg;
	const char *bytes = p;

	for (size_t i = 0; i < n && armour->state != ARMOUR_NOT; i++) {
		if (bytes[i] == '\n')
			armour_line(armour);
		else if (armour->n < sizeof(armour->line))
			armour->line[armour->n++] = bytes[i];
		else if (armour->state != ARMOUR_TEXT)
			armour->state = ARMOUR_NOT;
	}
	return armour->state != ARMOUR_NOT ? 0 : err_set(err, ERR_MESSAGE, "no PGP armour");
}

/* Reads the part as armour. A body that cannot be decoded is none. 0 or -1. */
static int read_armour(struct arena *arena, const struct message *message, const struct mime_part *part,
		       struct armour *armour, struct err *err)
{
	const struct body *body = mime_decoded(arena, message, part);
	struct stream *stream = NULL;
	struct err why = { .class = ERR_NONE };
	int rc;

	if (body == NULL)
		return err_memory(err);
	stream = body_open(body, err);
	if (stream == NULL)
		return -1;
	rc = stream_drain(stream, armour_feed, armour, &why);
	stream_close(stream);
	if (rc == 0 && armour->n > 0)
		armour_line(armour);
	if (rc == 0)
		return 0;
	armour->state = ARMOUR_NOT;
	if (why.class != ERR_MESSAGE && err != NULL)
		*err = why;
	return why.class != ERR_MESSAGE ? -1 : 0;
}

/* *kind is set if the text is inline PGP. 0 or -1. */
static int find_armour(struct arena *arena, const struct message *message, const struct mime_part *root,
		       enum kind *kind, struct err *err)
{
	struct armour armour = { .state = ARMOUR_BEFORE };

	if (!mime_is(root, "text/plain"))
		return 0;
	if (read_armour(arena, message, root, &armour, err) != 0)
		return -1;
	if (armour.state == ARMOUR_AFTER)
		*kind = armour.is_signed ? KIND_SIGNED : KIND_ENCRYPTED;
	return 0;
}

/* RFC 3156 4: "Version: 1" and nothing else. 1, 0, -1. */
static int is_control(struct arena *arena, const struct message *message, const struct mime_part *part, struct err *err)
{
	const struct body *body = mime_decoded(arena, message, part);
	struct err why = { .class = ERR_NONE };
	struct buf text;
	int rc;

	if (body == NULL)
		return err_memory(err);
	buf_init(&text, CONTROL_BYTES);
	rc = body_read_all(body, &text, &why) == 0 ? slice_is_nocase(slice_trim(buf_slice(&text)), "Version: 1") : 0;
	buf_clear(&text);
	if (why.class != ERR_TEMP)
		return rc;
	if (err != NULL)
		*err = why;
	return -1;
}

/* RFC 1847 2.2, RFC 3156 3, 4: of two parts the first has the type that `protocol` names, and the second is an armoured
 * PGP message and nothing else; around them stands no more than a line for old readers. 1, 0, -1. */
static int is_multipart_encrypted(struct arena *arena, const struct message *message, const struct mime_part *root,
				  struct err *err)
{
	const struct mime_part *control, *content;
	struct slice protocol = param_get(&root->type, "protocol");
	struct armour armour = { .state = ARMOUR_BEFORE };
	int rc;

	if (!mime_is(root, "multipart/encrypted") || !two_parts(root, &control, &content) || !root->closed ||
	    root->content_start - root->body_start > PREAMBLE_BYTES ||
	    root->body_end - root->content_end > EPILOGUE_BYTES || !mime_is(control, "application/pgp-encrypted") ||
	    (protocol.p != NULL && !slice_equal_nocase(slice_trim(protocol), control->type.value)))
		return 0;
	rc = is_control(arena, message, control, err);
	if (rc <= 0)
		return rc;
	if (read_armour(arena, message, content, &armour, err) != 0)
		return -1;
	return armour.state == ARMOUR_AFTER && !armour.is_signed;
}

/* *kind is set if the top level is signed or encrypted. 0 or -1. */
static int find_protection(struct arena *arena, const struct message *message, const struct mime_part *root,
			   enum kind *kind, struct err *err)
{
	enum cms_type type = CMS_NONE;
	int rc;

	if (is_ambiguous(root))
		return 0;
	rc = is_multipart_signed(arena, message, root, err);
	if (rc != 0) {
		*kind = KIND_SIGNED;
		return rc > 0 ? 0 : -1;
	}
	if (kind_cms_type(arena, message, root, &type, err) != 0)
		return -1;
	rc = type == CMS_ENVELOPED || type == CMS_AUTH_ENVELOPED ? sealed_is(message, root, err) :
	     is_multipart_encrypted(arena, message, root, err);
	if (rc != 0) {
		*kind = KIND_ENCRYPTED;
		return rc > 0 ? 0 : -1;
	}
	if (type != CMS_SIGNED)
		return find_armour(arena, message, root, kind, err);
	*kind = KIND_SIGNED;
	return 0;
}

/* The part behind this one in order of appearance, without those of attached messages; NULL: it was the last. */
static const struct mime_part *next_part(const struct mime_part *part)
{
	if (part->child != NULL && mime_is(part, "multipart/"))
		return part->child;
	while (part != NULL && part->next == NULL)
		part = part->parent;
	return part == NULL ? NULL : part->next;
}

static bool is_calendar(const struct mime_part *part)
{
	return mime_is(part, "text/calendar");
}

static bool is_tnef(const struct mime_part *part)
{
	return mime_is(part, "application/ms-tnef") || mime_is(part, "application/vnd.ms-tnef");
}

static bool has_part(const struct mime_part *root, bool (*is)(const struct mime_part *))
{
	for (const struct mime_part *part = root; part != NULL; part = next_part(part))
		if (is(part))
			return true;
	return false;
}

int kind_find(struct arena *arena, const struct message *message, const struct mime *mime, enum kind *kind,
	      struct err *err)
{
	*kind = KIND_PLAIN;
	if (find_protection(arena, message, mime->root, kind, err) != 0)
		return -1;
	if (*kind != KIND_PLAIN)
		return 0;
	if (mime_is(mime->root, "multipart/report"))
		*kind = KIND_REPORT;
	else if (has_part(mime->root, is_calendar))
		*kind = KIND_CALENDAR;
	else if (has_part(mime->root, is_tnef))
		*kind = KIND_TNEF;
	return 0;
}

/* What a report says in words of its own: text, or alternatives of it. */
static bool is_notice(const struct mime_part *part)
{
	const struct mime_part *child = part->child;

	if (!mime_is(part, "multipart/alternative"))
		return mime_is(part, "text/");
	while (child != NULL && mime_is(child, "text/"))
		child = child->next;
	return child == NULL;
}

/* What it says to programs (RFC 3464, 8098, 6533, 5965). */
static bool is_status(const struct mime_part *part)
{
	static const char *const types[] = {
		"message/delivery-status", "message/global-delivery-status", "message/disposition-notification",
		"message/global-disposition-notification", "message/feedback-report", NULL
	};

	for (size_t i = 0; types[i] != NULL; i++)
		if (mime_is(part, types[i]))
			return true;
	return false;
}

/* Header fields and nothing behind them, within reason. 1, 0, -1. */
static int is_header_text(struct arena *arena, const struct message *message, const struct mime_part *part,
			  struct err *err)
{
	const struct header_limits limits = { .bytes = REPORT_HEADER_BYTES };
	const struct body *body = mime_decoded(arena, message, part);
	struct err why = { .class = ERR_NONE };
	struct header header;
	size_t consumed = 0;
	struct buf text;
	int rc = 0;

	if (body == NULL)
		return err_memory(err);
	buf_init(&text, REPORT_HEADER_BYTES);
	if (body_read_all(body, &text, &why) != 0)
		rc = why.class == ERR_TEMP ? -1 : 0;
	else if (header_parse(arena, buf_slice(&text), &limits, &header, &consumed, &why) != 0)
		rc = why.class == ERR_TEMP ? -1 : 0;
	else
		rc = slice_trim(slice_from(buf_slice(&text), consumed)).n == 0;
	buf_clear(&text);
	if (rc < 0 && err != NULL)
		*err = why;
	return rc;
}

/* A returned message of which only the header is left. 1, 0, -1. */
static int is_headers_only(struct arena *arena, const struct message *message, const struct mime_part *part,
			   struct err *err)
{
	if (mime_is(part, "text/rfc822-headers") || mime_is(part, "message/global-headers"))
		return is_header_text(arena, message, part, err);
	return mime_is(part, "message/rfc822") && part->child != NULL &&
	       part->child->body_start >= part->child->body_end;
}

int kind_report_is_headers_only(struct arena *arena, const struct message *message, const struct mime *mime,
				bool *only, struct err *err)
{
	const struct mime_part *root = mime->root, *notice = root->child;
	const struct mime_part *status = notice != NULL ? notice->next : NULL;
	const struct mime_part *returned = status != NULL ? status->next : NULL;
	int rc = 1;

	*only = false;
	if (!mime_is(root, "multipart/report") || is_ambiguous(root) || status == NULL || !root->closed ||
	    root->content_start - root->body_start > PREAMBLE_BYTES ||
	    root->body_end - root->content_end > EPILOGUE_BYTES || !is_notice(notice) || !is_status(status))
		return 0;
	if (returned != NULL)
		rc = returned->next == NULL ? is_headers_only(arena, message, returned, err) : 0;
	*only = rc == 1;
	return rc < 0 ? -1 : 0;
}
