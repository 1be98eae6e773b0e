/* verify.c - walks the layers of a message from the outside inwards: clear and opaque signatures, envelopes.
 *
 * A layer covers the message only while nothing but layers stands around it (RFC 8551 3.7, RFC 9787 "errant"); what is
 * found below anything else is judged as well, and told as a part. One SignedData is verify_object.c's business. Called
 * by the gate through verify_message. RFC 1847, RFC 8551 3, RFC 7281.
 */
#include "smime/verify.h"

#include <openssl/err.h>
#include <string.h>

#include "smime/kind.h"
#include "smime/prescan_envelope.h"
#include "smime/verify_internal.h"

#define OBJECT_LIMIT 32u
#define RECIPIENT_LIMIT 1000u
#define ORIGINATOR_CRLS 8u
#define HEADER_BYTES 262144u
#define HEADER_FIELDS 2000u
#define BOUNDARY_CHARACTERS 70u	/* RFC 2046 5.1.1 */

const char *const result_names[] = { "fail", "permerror", "neutral", "policy", "temperror", "pass", "none", NULL };

struct entity {			/* the message, or what was inside an opaque layer */
	const struct message *message;
	const char *prefix;	/* of section numbers: "" or "1/" */
	unsigned nesting;	/* layers around it */
};

struct layer *run_layer(struct verify_run *run, enum layer_type type, bool covers_message, const char *part,
			struct err *err)
{
	size_t capacity = run->capacity == 0 ? 8 : 2 * run->capacity;
	struct layer *bigger = run->layers;

	if (run->n == run->capacity) {
		bigger = arena_array(run->arena, capacity, sizeof(*bigger));
		if (bigger == NULL) {
			err_memory(err);
			return NULL;
		}
		if (run->n != 0)
			memcpy(bigger, run->layers, run->n * sizeof(*bigger));
		run->layers = bigger;
		run->capacity = capacity;
	}
	bigger[run->n] = (struct layer){
		.layer = run->objects, .type = type, .result = RESULT_NEUTRAL, .reason = "", .part = part,
		.integrity = INTEGRITY_UNCHECKED, .chain = CHAIN_UNTRUSTED, .revocation = REV_OFF,
		.from = FROM_AMBIGUOUS, .covers_message = covers_message,
	};
	return &bigger[run->n++];
}

/* RFC 3501 6.4.5: an attached message has no number of its own if it is a multipart, else its body is part 1. NULL:
 * arena exhausted. */
static const char *section_number(struct arena *arena, const struct entity *entity, const struct mime_part *part)
{
	const char *text = "";

	for (const struct mime_part *p = part; p != NULL && text != NULL; p = p->parent) {
		bool is_message = p->parent == NULL || !mime_is(p->parent, "multipart/");

		if (is_message && mime_is(p, "multipart/"))
			continue;
		text = arena_printf(arena, "%u%s%s", is_message ? 1 : p->number, text[0] == '\0' ? "" : ".", text);
	}
	return text == NULL ? NULL : arena_printf(arena, "%s%s", entity->prefix, text[0] == '\0' ? "1" : text);
}

static int unreadable(struct verify_run *run, const struct entity *entity, const struct mime_part *part, bool covers,
		      const char *reason, struct err *err)
{
	const char *section = section_number(run->arena, entity, part);

	if (section == NULL)
		return err_memory(err);
	run->objects++;
	return run_unreadable(run, covers, section, reason, err);
}

static bool is_signature_type(struct slice type)
{
	return slice_is_nocase(slice_trim(type), "application/pkcs7-signature") ||
	       slice_is_nocase(slice_trim(type), "application/x-pkcs7-signature");
}

/* multipart/signed of S/MIME, by protocol or by what is in it; well formed or not. */
static bool is_clear(const struct mime_part *part)
{
	if (!mime_is(part, "multipart/signed"))
		return false;
	if (is_signature_type(param_get(&part->type, "protocol")))
		return true;
	for (const struct mime_part *child = part->child; child != NULL; child = child->next)
		if (is_signature_type(child->type.value))
			return true;
	return false;
}

/* Two fields, of which readers take the one or the other. */
static bool is_duplicate(const struct mime_part *part)
{
	return header_count(&part->header, "Content-Type") > 1 ||
	       header_count(&part->header, "Content-Transfer-Encoding") > 1;
}

/* RFC 2046 5.1.1 and what careless mailers write; nothing that only some readers unescape or end at. */
static bool is_boundary_character(char c, bool quoted)
{
	if (c <= ' ' || c >= 0x7f)
		return quoted && c == ' ';
	return strchr(quoted ? "\"\\" : "\"\\()<>@,;[]", c) == NULL;
}

/* What stands behind "boundary=": one word or quoted string, then the end of the parameter. */
static bool is_boundary_plain(struct slice value)
{
	struct slice rest = slice_trim(value);
	bool quoted = rest.n > 0 && rest.p[0] == '"';
	struct slice text = slice_from(rest, quoted ? 1 : 0);
	size_t n = 0;

	while (n < text.n && is_boundary_character(text.p[n], quoted))
		n++;
	if (n == 0 || n > BOUNDARY_CHARACTERS || text.p[n - 1] == ' ' ||
	    memmem(text.p, n, "=?", 2) != NULL || (quoted && (n == text.n || text.p[n] != '"')))
		return false;
	rest = slice_trim(slice_from(text, quoted ? n + 1 : n));
	return rest.n == 0 || rest.p[0] == ';';
}

/* The type itself and then parameters or the end, without comments in between and without control characters but those
 * of folds: it is what every reader takes it for. */
static bool is_type_plain(const struct mime_part *part)
{
	const struct field *field = header_find(&part->header, "Content-Type", 0);
	struct slice value = field == NULL ? slice_make("", 0) : field->value;
	struct slice rest = slice_trim(value);

	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] < ' ' && memchr("\t\r\n", value.p[i], 3) == NULL)
			return false;
	if (!slice_equal_nocase(slice_first(rest, part->type.value.n), part->type.value))
		return false;
	rest = slice_trim(slice_from(rest, part->type.value.n));
	return rest.n == 0 || rest.p[0] == ';';
}

/* "boundary" twice, with RFC 2231 marks, or such that not every reader finds the same one. */
static bool is_boundary_odd(const struct mime_part *part)
{
	static const char name[] = "boundary";
	const struct field *field = header_find(&part->header, "Content-Type", 0);
	struct slice rest = field == NULL ? slice_make("", 0) : field->value;
	size_t n = 0;

	if (part->boundary.n == 0 || part->type.duplicate || !is_type_plain(part))
		return true;
	if (memmem(rest.p, rest.n, "=?", 2) != NULL)	/* some readers decode encoded words before they look for it */
		return true;
	for (; rest.n > sizeof(name); rest = slice_from(rest, 1)) {
		struct slice behind;

		if (!slice_starts_nocase(rest, name))
			continue;
		behind = slice_trim(slice_from(rest, sizeof(name) - 1));
		if (behind.n == 0)
			break;
		if (behind.p[0] == '*' || (behind.p[0] == '=' && (n++ > 0 || !is_boundary_plain(slice_from(behind, 1)))))
			return true;
	}
	return n != 1;
}

/* Around the two parts stands something that readers who cut lines or compare boundaries otherwise take for a part. */
static bool has_hidden_part(const struct mime_part *part, const struct mime_part *signature)
{
	return (part->traits & (unsigned)(MIME_BARE_CR | MIME_FALSE_DELIMITER)) != 0 ||
	       header_breaks_oddly(&signature->header);
}

/* Why this multipart/signed cannot be judged (RFC 1847 2.1, RFC 8551 3.5.3), or NULL. */
static const char *clear_fault(const struct mime_part *part)
{
	const struct mime_part *content = part->child;
	const struct mime_part *signature = content == NULL ? NULL : content->next;
	struct slice protocol = param_get(&part->type, "protocol");

	if (is_duplicate(part) || (signature != NULL && is_duplicate(signature)))
		return "RFC 5322 3.6: a Content-* field stands twice";
	if (part->type.skipped)
		return "RFC 2045 5.1: a parameter of Content-Type cannot be read";
	if (is_boundary_odd(part))
		return "RFC 2046 5.1.1: boundary missing, twice, or written so that readers differ";
	if (part->encoding == CTE_BASE64 || part->encoding == CTE_QUOTED_PRINTABLE || part->encoding == CTE_UNKNOWN)
		return "RFC 2045 6.4: a multipart with a transfer encoding";
	if (signature == NULL || signature->next != NULL)
		return "RFC 1847 2.1: multipart/signed has not exactly two parts";
	if (!is_signature_type(signature->type.value))
		return "RFC 8551 3.5.3: the second part is not application/pkcs7-signature";
	if (protocol.p != NULL && !is_signature_type(protocol))
		return "RFC 1847 2.1: protocol and the second part's type differ";
	if (!part->closed)
		return "RFC 2046 5.1.1: the closing delimiter is missing";
	return has_hidden_part(part, signature) ? "RFC 2046 5.1.1: outside the parts stands what some readers show" : NULL;
}

static struct stream *open_object(struct verify_run *run, const struct message *message, const struct mime_part *part,
				  struct err *err)
{
	const struct body *body = mime_body(run->arena, message, part);
	struct stream *stream = NULL;

	if (part->encoding == CTE_UNKNOWN) {
		err_set(err, ERR_MESSAGE, "RFC 2045 6: unknown transfer encoding");
		return NULL;
	}
	if (body == NULL)
		err_memory(err);
	else
		stream = body_open(body, err);
	if (part->encoding == CTE_BASE64)
		return decode_base64(stream, true, err);
	return decode_transfer(stream, part->encoding, err);
}

/* The CMS object of a part, in memory. 1, 0: not readable as *err says, -1: ERR_TEMP. */
static int read_object(struct verify_run *run, const struct message *message, const struct mime_part *part,
		       struct slice *der, struct err *err)
{
	struct buf *buf = arena_buf(run->arena, run->env->limits.object_bytes);
	struct stream *stream = NULL;
	int rc = -1;

	if (buf == NULL)
		return err_memory(err);
	stream = open_object(run, message, part, err);
	if (stream != NULL)
		rc = stream_read_all(stream, buf, err);
	stream_close(stream);
	if (rc != 0)
		return err->class == ERR_TEMP ? -1 : 0;
	*der = buf_slice(buf);
	return 1;
}

static int walk_part(struct verify_run *run, const struct entity *entity, const struct mime_part *part, bool covers,
		     struct err *err);

static int walk_children(struct verify_run *run, const struct entity *entity, const struct mime_part *part,
			 struct err *err)
{
	for (const struct mime_part *child = part->child; child != NULL; child = child->next)
		if (walk_part(run, entity, child, false, err) != 0)
			return -1;
	return 0;
}

/* To the signers of the object that was verified last: what they signed. */
static void tell_content(struct verify_run *run, const struct message *message, const struct mime_part *part)
{
	for (size_t i = run->n; i > 0 && run->layers[i - 1].layer == run->objects; i--) {
		run->layers[i - 1].content_of = message;
		run->layers[i - 1].content = part;
	}
}

/* The entity that an opaque layer held. Content that is none has no layers. */
static int walk_content(struct verify_run *run, const struct entity *around, const char *section, struct slice content,
			bool covers, struct err *err)
{
	const struct header_limits limits = { HEADER_BYTES, HEADER_FIELDS };
	struct message *message = arena_alloc(run->arena, sizeof(*message));
	struct mime *mime = arena_alloc(run->arena, sizeof(*mime));
	struct entity entity = { message, arena_printf(run->arena, "%s/", section), around->nesting + 1 };
	int rc;

	if (message == NULL || mime == NULL || entity.prefix == NULL)
		return err_memory(err);
	rc = message_parse(run->arena, content, &limits, message, err);
	if (rc == 0)
		rc = mime_parse(run->arena, message, &run->env->limits.mime, mime, err);
	if (rc == 0) {
		tell_content(run, message, mime->root);
		return walk_part(run, &entity, mime->root, covers, err);
	}
	if (err->class == ERR_TEMP)
		return -1;
	if (err->class != ERR_LIMIT)
		return 0;
	run->objects++;
	return run_unreadable(run, covers, section, err->text, err);
}

static int walk_object(struct verify_run *run, const struct entity *entity, const struct mime_part *part,
		       struct signed_object *object, struct slice *content, struct err *err)
{
	int rc = read_object(run, entity->message, part, &object->der, err);

	*content = (struct slice){ 0 };
	object->part = section_number(run->arena, entity, part);
	if (object->part == NULL)
		return err_memory(err);
	if (rc < 0)
		return -1;
	if (rc == 0) {
		run->objects++;
		return run_unreadable(run, object->covers_message, object->part, err->text, err);
	}
	return verify_object(run, object, content, err);
}

static struct signed_object *object_new(struct verify_run *run, bool covers)
{
	struct signed_object *object = arena_alloc(run->arena, sizeof(*object));

	if (object != NULL)
		object->covers_message = covers;
	return object;
}

static int walk_clear(struct verify_run *run, const struct entity *entity, const struct mime_part *part, bool covers,
		      struct err *err)
{
	struct entity inner = { entity->message, entity->prefix, entity->nesting + 1 };
	const char *fault = clear_fault(part);
	const struct mime_part *named = part->child != NULL && part->child->next != NULL ? part->child->next : part;
	struct signed_object *object = object_new(run, covers);
	struct slice none;

	if (object == NULL)
		return err_memory(err);
	if (fault != NULL)
		return unreadable(run, entity, named, covers, fault, err) != 0 ? -1 :
		       walk_children(run, &inner, part, err);
	object->detached = mime_entity(run->arena, entity->message, part->child);
	if (object->detached == NULL)
		return err_memory(err);
	if (walk_object(run, entity, part->child->next, object, &none, err) != 0)
		return -1;
	tell_content(run, entity->message, part->child);
	return walk_part(run, &inner, part->child, object->covers_message, err);
}

static int walk_opaque(struct verify_run *run, const struct entity *entity, const struct mime_part *part, bool covers,
		       struct err *err)
{
	struct signed_object *object = object_new(run, covers);
	struct slice content;

	if (object == NULL)
		return err_memory(err);
	if (is_duplicate(part))
		return unreadable(run, entity, part, covers, "RFC 5322 3.6: a Content-* field stands twice", err);
	if (!is_type_plain(part))
		return unreadable(run, entity, part, covers, "RFC 2045 5.1: Content-Type is written so that readers differ",
				  err);
	if (walk_object(run, entity, part, object, &content, err) != 0)
		return -1;
	return content.p == NULL ? 0 : walk_content(run, entity, object->part, content, object->covers_message, err);
}

/* What shows of an envelope without a key. 0, or -1: ERR_TEMP. */
static int scan_envelope(struct verify_run *run, const struct message *message, const struct mime_part *part,
			 struct layer *layer, struct err *err)
{
	const size_t recipients = run->env->limits.recipient_infos;
	const struct envelope_limits limits = {
		.recipients = recipients != 0 ? recipients : RECIPIENT_LIMIT, .crls = ORIGINATOR_CRLS,
		.certificates = run->env->limits.certificates, .line_end = part->encoding != CTE_BASE64,
	};
	const struct body *body = mime_decoded(run->arena, message, part);
	struct arena *scratch = arena_new(0);
	struct stream *stream = body != NULL && scratch != NULL ? body_open(body, err) : NULL;
	struct envelope envelope;
	struct err why = { .class = ERR_NONE };
	int rc = -1;

	if (stream == NULL) {
		arena_free(scratch);
		return body == NULL || scratch == NULL ? err_memory(err) : -1;
	}
	rc = prescan_envelope(scratch, stream, &limits, &envelope, &why);
	layer->cipher = envelope.cipher_name;
	layer->sealed = rc == 0 && envelope.sealed;
	layer->envelope_result = rc != 0 || envelope.unsupported != NULL ? "failed" : "kept";
	layer->reason = rc == 0 && envelope.unsupported == NULL ? "encrypted" :
			arena_strdup(run->arena, rc != 0 ? why.text : envelope.unsupported);
	stream_close(stream);
	arena_free(scratch);
	return why.class != ERR_TEMP && layer->reason != NULL ? 0 : err_set(err, ERR_TEMP, "%s", why.text);
}

static int add_envelope(struct verify_run *run, const struct entity *entity, const struct mime_part *part,
			enum layer_type type, bool covers, struct err *err)
{
	const char *section = section_number(run->arena, entity, part);
	struct layer *layer = NULL;

	if (section == NULL)
		return err_memory(err);
	run->objects++;
	layer = run_layer(run, type, covers, section, err);
	if (layer == NULL)
		return -1;
	if (type != LAYER_COMPRESSED)
		return scan_envelope(run, entity->message, part, layer, err);
	layer->envelope_result = "kept";
	layer->reason = "compressed";
	return 0;
}

/* A leaf or container that is no layer. */
static int walk_plain(struct verify_run *run, const struct entity *entity, const struct mime_part *part, bool covers,
		      struct err *err)
{
	if (covers)
		run->payload = part;
	return walk_children(run, entity, part, err);
}

static int walk_cms(struct verify_run *run, const struct entity *entity, const struct mime_part *part,
		    enum cms_type type, bool covers, struct err *err)
{
	switch (type) {
	case CMS_SIGNED:
	case CMS_CERTS_ONLY:
		return walk_opaque(run, entity, part, covers, err);
	case CMS_ENVELOPED:
		return add_envelope(run, entity, part, LAYER_ENVELOPED, covers, err);
	case CMS_AUTH_ENVELOPED:
		return add_envelope(run, entity, part, LAYER_AUTH_ENVELOPED, covers, err);
	case CMS_COMPRESSED:
		return add_envelope(run, entity, part, LAYER_COMPRESSED, covers, err);
	case CMS_UNREADABLE:
		if (!mime_is(part, "application/octet-stream"))
			return unreadable(run, entity, part, covers, "RFC 5652: the CMS object cannot be read", err);
		break;
	case CMS_OTHER:
	case CMS_NONE:
		break;
	}
	return walk_plain(run, entity, part, covers, err);
}

static int walk_part(struct verify_run *run, const struct entity *entity, const struct mime_part *part, bool covers,
		     struct err *err)
{
	enum cms_type type = CMS_NONE;
	bool clear = is_clear(part);

	if (!clear && kind_cms_type(run->arena, entity->message, part, &type, err) != 0)
		return -1;
	if (!clear && type == CMS_NONE)
		return walk_plain(run, entity, part, covers, err);
	if (run->objects > OBJECT_LIMIT)
		return 0;
	if (run->objects == OBJECT_LIMIT)
		return unreadable(run, entity, part, covers, "too many CMS objects in one message", err);
	if (entity->nesting >= run->env->limits.cms_layers)
		return unreadable(run, entity, part, covers, "over limits.cms_layers", err);
	return clear ? walk_clear(run, entity, part, covers, err) : walk_cms(run, entity, part, type, covers, err);
}

static int find_covering(struct verify_run *run, struct err *err)
{
	const struct verify_env *env = run->env;

	run->covering = arena_array(run->arena, env->collection_count + 1, sizeof(*run->covering));
	if (run->covering == NULL)
		return err_memory(err);
	for (size_t i = 0; i < env->collection_count; i++)
		if (!run->from.single || collection_covers(env->collections[i], &run->from.from))
			run->covering[run->covering_count++] = env->collections[i];
	return 0;
}

int verify_message(struct arena *arena, const struct message *message, const struct mime *mime,
		   const struct verify_env *env, struct layer_list *layers, struct err *err)
{
	struct verify_run run = { .arena = arena, .env = env };
	const struct entity entity = { message, "", 0 };
	struct err why = { .class = ERR_NONE };
	int rc = from_binding_read(arena, &message->header, &run.from, &why);

	*layers = (struct layer_list){ NULL, 0 };
	if (rc == 0)
		rc = find_covering(&run, &why);
	if (rc == 0)
		rc = walk_part(&run, &entity, mime->root, true, &why);
	if (rc == 0)
		rc = protected_tell(&run, &message->header, &why);
	if (rc == 0 && run.exhausted)
		rc = err_memory(&why);
	ERR_clear_error();
	if (rc != 0)
		return err_set(err, ERR_TEMP, "%s", why.text);
	*layers = (struct layer_list){ run.layers, run.n };
	return 0;
}
