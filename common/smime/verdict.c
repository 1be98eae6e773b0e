/* verdict.c - from layers to one result, and to the fields that tell it (INTERFACE 4, RFC 8601, RFC 7281).
 *
 * Everything that comes out of a certificate or a message is somebody else's text: it goes through authres_value, or
 * has been found to have the narrow shape that its place asks for. Called by the gate and by smimectl. Thread-safe.
 */
#include "smime/verdict.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define METHOD "smime"
#define LAYER_FIELD "X-SMIME-Layer"
#define RESULTS_FIELD "Authentication-Results"

const char *layer_type_name(enum layer_type type)
{
	static const char *const names[] = { "signed", "enveloped", "authenveloped", "compressed" };

	return names[type];
}

const char *integrity_name(enum integrity integrity)
{
	static const char *const names[] = { "good", "bad", "unchecked" };

	return names[integrity];
}

const char *algorithm_name(enum algorithm algorithm)
{
	static const char *const names[] = { "good", "weak", "unsupported" };

	return names[algorithm];
}

const char *from_match_name(enum from_match from)
{
	static const char *const names[] = { "match", "sender", "domain", "mismatch", "no-address", "ambiguous" };

	return names[from];
}

static bool is_message_signature(const struct layer *layer)
{
	return layer->type == LAYER_SIGNED && layer->covers_message;
}

void verdict_make(const struct layer_list *layers, struct verdict *verdict)
{
	*verdict = (struct verdict){ .result = RESULT_NONE, .reason = "", .layers = *layers };
	for (size_t i = 0; i < layers->n; i++) {
		const struct layer *layer = &layers->items[i];

		if (!is_message_signature(layer) || layer->result >= verdict->result)
			continue;
		verdict->result = layer->result;
		verdict->reason = layer->reason;
	}
	for (size_t i = 0; i < layers->n && verdict->result == RESULT_NONE; i++) {
		if (!layers->items[i].covers_message || layers->items[i].type == LAYER_SIGNED)
			continue;
		verdict->result = RESULT_NEUTRAL;
		verdict->reason = layers->items[i].reason;
	}
}

/* local@domain of characters that need no quoting anywhere: what body.smime-identifier may show. */
static bool is_plain_address(const char *text)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&'*+-/=?^_`{|}~";
	static const char host[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	size_t local = strspn(text, safe);

	return local != 0 && text[local] == '@' && text[local + 1] != '\0' &&
	       text[local + 1 + strspn(text + local + 1, host)] == '\0' && strlen(text) <= 254;
}

/* A field's text while it is put together; failed stays once something did not fit. */
struct text {
	struct arena *arena;
	struct buf buf;
	bool failed;
};

static void put(struct text *text, const char *name, const char *bare)
{
	if (bare != NULL && buf_printf(&text->buf, "; %s=%s", name, bare) != 0)
		text->failed = true;
}

static void put_quoted(struct text *text, const char *name, const char *value)
{
	char *safe = value == NULL ? NULL : authres_value(text->arena, value);

	if (value != NULL && safe == NULL)
		text->failed = true;
	put(text, name, safe);
}

/* The same, but in quotes whatever it is. */
static void put_text(struct text *text, const char *name, const char *value)
{
	char *safe = authres_value(text->arena, value);

	if (safe == NULL || buf_printf(&text->buf, safe[0] == '"' ? "; %s=%s" : "; %s=\"%s\"", name, safe) != 0)
		text->failed = true;
}

static void put_number(struct text *text, const char *name, unsigned value)
{
	char digits[16];

	snprintf(digits, sizeof(digits), "%u", value);
	put(text, name, digits);
}

static void put_time(struct text *text, const char *name, time_t at)
{
	char out[32];

	if (at == 0)
		return;
	clock_format(at, out, sizeof(out));
	put(text, name, out);
}

static void put_certificate(struct text *text, const struct layer *layer)
{
	put_quoted(text, "signer", layer->signer);
	put_quoted(text, "subject", layer->subject);
	if (layer->issuer != NULL && layer->serial != NULL) {
		put_quoted(text, "issuer", layer->issuer);
		put_quoted(text, "serial", layer->serial);
	}
	put(text, "cert_sha256", layer->cert_sha256);
	for (size_t i = 0; i < layer->mismatch_count; i++)
		put_text(text, layer->mismatch[i].name, layer->mismatch[i].text);
}

static void put_chain(struct text *text, const struct layer *layer)
{
	if (!layer->chain_known)
		return;
	put(text, "chain", path_chain_name(layer->chain));
	put_quoted(text, "collection", layer->collection);
	put(text, "revocation", path_revocation_name(layer->revocation));
	put(text, "usage", layer->usage_good ? "good" : "bad");
}

static void put_signature(struct text *text, const struct layer *layer)
{
	if (layer->known)
		put(text, "integrity", integrity_name(layer->integrity));
	put_chain(text, layer);
	if (layer->known)
		put(text, "algorithm", algorithm_name(layer->algorithm));
	if (layer->chain_known)
		put(text, "from", from_match_name(layer->from));
	put(text, "covers", layer->covers_message ? "message" : "part");
	put_certificate(text, layer);
	put(text, "digest", layer->digest);
	put(text, "signature", layer->signature);
	if (layer->bits != 0)
		put_number(text, "bits", layer->bits);
	put_time(text, "signed_at", layer->signed_at);
	put(text, "headers", layer->headers);
}

static void put_layer(struct text *text, const struct layer *layer)
{
	put_number(text, "layer", layer->layer);
	put(text, "type", layer_type_name(layer->type));
	if (layer->type != LAYER_SIGNED) {
		put(text, "result", layer->envelope_result);
		put(text, "cipher", layer->cipher);
		if (layer->envelope_result != NULL && strcmp(layer->envelope_result, "failed") == 0)
			put_quoted(text, "reason", layer->reason);
		if (layer->type != LAYER_COMPRESSED)
			put(text, "authenticated", "no");	/* nothing was opened, so nothing was proven */
		if (!layer->covers_message)
			put(text, "covers", "part");
		return;
	}
	if (layer->signer_index != 0)
		put_number(text, "signer_index", layer->signer_index);
	put(text, "result", result_names[layer->result]);
	put_signature(text, layer);
	if (layer->reason[0] != '\0')
		put_quoted(text, "reason", layer->reason);
}

static int layer_field(struct arena *arena, const struct layer *layer, const char *authserv_id, const char *rule,
		       struct field *field, struct err *err)
{
	struct text text = { .arena = arena };
	char *folded = NULL, *id = authres_value(arena, authserv_id);

	buf_init(&text.buf, 0);
	if (id == NULL || buf_append_text(&text.buf, id) != 0)
		text.failed = true;
	put_layer(&text, layer);
	put_quoted(&text, "rule", rule);
	if (!text.failed)
		folded = authres_fold(arena, buf_string(&text.buf));
	buf_clear(&text.buf);
	if (folded == NULL)
		return err_memory(err);
	*field = field_make(arena, slice_of(LAYER_FIELD), slice_of(folded));
	return field->raw.p == NULL ? err_memory(err) : 0;
}

/* A certificate's text must not look like a result, be it in quotes: not every reader minds those. */
static bool is_harmless(const char *text)
{
	return !authres_mentions(slice_of(text), METHOD);
}

/* RFC 7281 3.2: the address where it can stand bare; issuer and serial, both or neither. */
static int signer_result(struct arena *arena, const struct layer *layer, struct authres_result *result)
{
	struct authres_property *properties = arena_array(arena, 4, sizeof(*properties));
	size_t n = 0;

	if (properties == NULL)
		return -1;
	if (layer->part != NULL)
		properties[n++] = (struct authres_property){ "body.smime-part", layer->part };
	if (layer->signer != NULL && is_plain_address(layer->signer) && is_harmless(layer->signer))
		properties[n++] = (struct authres_property){ "body.smime-identifier", layer->signer };
	if (layer->serial != NULL && layer->issuer != NULL && is_harmless(layer->issuer)) {
		properties[n++] = (struct authres_property){ "body.smime-serial", layer->serial };
		properties[n++] = (struct authres_property){ "body.smime-issuer", layer->issuer };
	}
	*result = (struct authres_result){
		METHOD, result_names[layer->result],
		layer->reason[0] == '\0' || !is_harmless(layer->reason) ? NULL : layer->reason, properties, n,
	};
	return 0;
}

static int results_field(struct arena *arena, const struct verdict *verdict, const char *authserv_id,
			 struct field *field, struct err *err)
{
	struct authres_result *results = arena_array(arena, verdict->layers.n + 1, sizeof(*results));
	size_t n = 0;

	if (results == NULL)
		return err_memory(err);
	for (size_t i = 0; i < verdict->layers.n; i++)
		if (is_message_signature(&verdict->layers.items[i]) &&
		    signer_result(arena, &verdict->layers.items[i], &results[n++]) != 0)
			return err_memory(err);
	if (n == 0) {
		results[0].method = METHOD;
		results[0].result = result_names[verdict->result];
		results[0].reason = verdict->reason[0] == '\0' ? NULL : verdict->reason;
		n = 1;
	}
	*field = authres_make(arena, authserv_id, results, n);
	return field->raw.p == NULL ? err_memory(err) : 0;
}

int verdict_fields(struct arena *arena, const struct verdict *verdict, const char *authserv_id, const char *rule,
		   struct field **fields, size_t *n, struct err *err)
{
	struct field *made = arena_array(arena, verdict->layers.n + 1, sizeof(*made));

	if (made == NULL)
		return err_memory(err);
	if (results_field(arena, verdict, authserv_id, &made[0], err) != 0)
		return -1;
	for (size_t i = 0; i < verdict->layers.n; i++)
		if (layer_field(arena, &verdict->layers.items[i], authserv_id, rule, &made[i + 1], err) != 0)
			return -1;
	*fields = made;
	*n = verdict->layers.n + 1;
	return 0;
}

/* Does a field of that name stand in another one, behind a CR or the like that some readers take for a line end? */
static bool hides(const struct field *field, const char *name)
{
	struct slice raw = field->raw;

	for (size_t i = 0; i < raw.n; i++) {
		unsigned char c = (unsigned char)raw.p[i];

		if (c < ' ' && c != '\t' && slice_starts_nocase(slice_from(raw, i + 1), name))
			return true;
	}
	return false;
}

/* What becomes of one field: *kept is it, or what replaces it. 1 unchanged, 0 changed or dropped (*keep), -1. */
static int clean_field(struct arena *arena, const struct field *field, const char *authserv_id, bool remove_all,
		       struct field *kept, bool *keep, struct err *err)
{
	enum authres_verdict verdict = AUTHRES_DELETE;

	*kept = *field;
	*keep = !field_is(field, LAYER_FIELD) && !hides(field, LAYER_FIELD) && !hides(field, RESULTS_FIELD);
	if (!*keep || !field_is(field, RESULTS_FIELD))
		return *keep;
	if (authres_clean(arena, field, authserv_id, METHOD, remove_all, &verdict, kept, err) != 0)
		return -1;
	*keep = verdict != AUTHRES_DELETE;
	if (verdict == AUTHRES_KEEP)
		*kept = *field;
	return verdict == AUTHRES_KEEP;
}

int verdict_clean_header(struct arena *arena, const struct header *from, const char *authserv_id, bool remove_all,
			 struct header *to, size_t *removed, struct err *err)
{
	struct field *fields = arena_array(arena, from->n + 1, sizeof(*fields));
	size_t at = from->n;
	bool keep = false;

	*removed = 0;
	if (fields == NULL)
		return err_memory(err);
	for (size_t i = from->n; i-- > 0;) {
		struct field kept;
		int unchanged = clean_field(arena, &from->fields[i], authserv_id, remove_all, &kept, &keep, err);

		if (unchanged < 0)
			return -1;
		if (unchanged == 0)
			++*removed;
		if (keep)
			fields[--at] = kept;
	}
	*to = (struct header){ fields + at, from->n - at };
	return 0;
}
