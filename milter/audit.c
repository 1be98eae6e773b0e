/* audit.c - from an outcome to audit lines. Called at the end of a message, when all that leaves has been read to its end,
 * before the MTA is answered. RFC 8259. */
#include "milter/audit.h"

#include <stdlib.h>
#include <string.h>

#include "milter/audit_chain.h"
#include "milter/report_json.h"

static int set(json_t *object, const char *name, json_t *value)
{
	return json_object_set_new(object, name, value);
}

static int set_text(json_t *object, const char *name, const char *text)
{
	return set(object, name, report_text(slice_of(text)));
}

static int set_sha256(json_t *object, const char *name, const unsigned char *digest)
{
	char hex[2 * CRYPT_SHA256_BYTES + 1];

	if (digest == NULL)
		return set(object, name, json_null());
	crypt_hex(digest, CRYPT_SHA256_BYTES, hex);
	return set(object, name, json_string(hex));
}

static const struct recipient_outcome *outcome_of(const struct audit_entry *entry, size_t i)
{
	return i < entry->outcome->recipient_count ? &entry->outcome->recipients[i] : NULL;
}

/* The message that the recipient gets; NULL: none, or it is not known which. */
static const struct audit_message *message_of(const struct audit_entry *entry, const struct recipient_outcome *to)
{
	if (to == NULL || entry->outcome->action != ACTION_ACCEPT || to->message >= entry->out_count)
		return NULL;
	return &entry->out[to->message];
}

static const char *result_of(const struct outcome *outcome)
{
	if (outcome->action != ACTION_ACCEPT)
		return action_names[outcome->action];
	return outcome->verified ? result_names[outcome->verdict.result] : "ok";
}

static struct slice field_value(const struct header *header, const char *name)
{
	return slice_trim(header_value(header, name));
}

/* The address, not the field: display names are no business of a log. Null where there is not exactly one. */
static int set_from(json_t *object, const struct header *header)
{
	struct arena *arena = arena_new(0);
	struct address address = { 0 };
	enum mailbox_form form = MAILBOX_NONE;
	int bad = arena == NULL;

	if (!bad && header_count(header, "From") == 1)
		bad |= address_single(arena, field_value(header, "From"), &address, &form, NULL);
	bad |= set(object, "from", form == MAILBOX_SINGLE ? report_text(address.text) : json_null());
	arena_free(arena);
	return bad;
}

static int set_envelope(json_t *object, const struct audit_entry *entry)
{
	const struct envelope *envelope = entry->envelope;
	const struct slice sender = envelope->sender.text;	/* "": the null sender */
	const char *queue_id = envelope->queue_id;
	int bad = set(object, "time", report_time(entry->at));

	bad |= set(object, "attempt", entry->attempt > 0 ? json_integer((json_int_t)entry->attempt) : json_null());
	bad |= set_text(object, "queue_id", queue_id != NULL && queue_id[0] != '\0' ? queue_id : NULL);
	bad |= set(object, "message_id", report_text(field_value(entry->header, "Message-ID")));
	bad |= set_text(object, "client", envelope->client_ip);
	bad |= set_text(object, "auth", envelope->login);
	bad |= set_text(object, "daemon", envelope->daemon_name);
	bad |= set(object, "sender", report_text(slice_make(sender.n > 0 ? sender.p : "", sender.n)));
	return bad | set_from(object, entry->header);
}

static int set_signed_by(json_t *object, const struct cert *cert)
{
	const struct cert_info *info = cert_info(cert);
	int bad = set(object, "signer", info->address_count > 0 ? report_text(info->addresses[0].text) : json_null());

	bad |= set_text(object, "issuer", info->issuer);
	bad |= set_text(object, "serial", info->serial);
	bad |= set_text(object, "cert_sha256", info->sha256);
	return bad | set(object, "chain", json_null()) | set(object, "revocation", json_null()) |
	       set(object, "digest", json_null());
}

/* The signer who decided: of the message, if one covers it. */
static const struct layer *deciding_layer(const struct outcome *outcome)
{
	const struct layer *first = NULL, *layer = NULL;

	for (size_t i = 0; outcome->verified && i < outcome->verdict.layers.n; i++) {
		layer = &outcome->verdict.layers.items[i];
		if (layer->type != LAYER_SIGNED)
			continue;
		if (layer->covers_message && layer->result == outcome->verdict.result)
			return layer;
		first = first != NULL ? first : layer;
	}
	return first;
}

/* Ours if we signed, else that of whoever signed what came in; null where nobody did. */
static int set_signer(json_t *object, const struct outcome *outcome, const struct recipient_outcome *to)
{
	static const struct layer none = { .chain_known = false };
	const struct layer *layer = deciding_layer(outcome);
	int bad = 0;

	if (to != NULL && to->signed_by != NULL)
		return set_signed_by(object, to->signed_by);
	layer = layer != NULL ? layer : &none;
	bad |= set_text(object, "signer", layer->signer);
	bad |= set_text(object, "issuer", layer->issuer);
	bad |= set_text(object, "serial", layer->serial);
	bad |= set_text(object, "cert_sha256", layer->cert_sha256);
	bad |= set_text(object, "chain", layer->chain_known ? path_chain_name(layer->chain) : NULL);
	bad |= set_text(object, "revocation", layer->chain_known ? path_revocation_name(layer->revocation) : NULL);
	return bad | set_text(object, "digest", layer->digest);
}

/* The reason of a message that was accepted is each recipient's own; that of one that was not is the log's, which may
 * say more than a stranger's reply. */
static int set_decision(json_t *object, const struct outcome *outcome, const struct recipient_outcome *to)
{
	const struct layer_list none = { NULL, 0 };
	const char *rule = to != NULL && to->rule != NULL ? to->rule->id : NULL;
	const char *reason = to != NULL && outcome->action == ACTION_ACCEPT ? to->reason : outcome->reason;
	int bad = set_text(object, "direction", to != NULL ? direction_names[to->direction] : NULL);

	bad |= set_text(object, "rule", rule);
	bad |= set_text(object, "action", to != NULL && to->action != NULL ? to->action : action_names[outcome->action]);
	bad |= set_text(object, "result", result_of(outcome));
	bad |= set_text(object, "reason", reason != NULL ? reason : "");
	bad |= set(object, "observed", json_boolean(outcome->observed));
	bad |= set(object, "layers", report_layers(outcome->verified ? &outcome->verdict.layers : &none,
						   outcome->verified_by != NULL ? outcome->verified_by->id : NULL));
	return bad | set_signer(object, outcome, to);
}

/* What it was encrypted to, and which directories were asked for nothing or could not all be asked. */
static int set_protection(json_t *object, const struct recipient_outcome *to)
{
	static const struct recipient_outcome nobody = { .message = OUTCOME_NONE };
	const struct recipient_outcome *whom = to != NULL ? to : &nobody;
	int bad = set_text(object, "cipher", whom->cipher);

	bad |= set(object, "recipients", report_peers(whom));
	if (whom->candidates != NULL && (whom->encrypted_count == 0 || whom->candidates->incomplete))
		bad |= set(object, "asked", report_asked(whom->candidates));
	return bad;
}

/* Of every signer's, each once: who decided may be any of them. */
static int add_evidence(json_t *list, const struct path_proof *proof)
{
	const json_t *there = NULL;
	size_t k;
	int bad = 0;

	for (size_t i = 0; i < proof->n; i++) {
		bool known = false;

		json_array_foreach(list, k, there)
			known |= strcmp(json_string_value(json_object_get(there, "sha256")), proof->items[i].sha256) == 0;
		if (!known)
			bad |= json_array_append_new(list, json_pack("{s:s, s:s}", "kind", proof->items[i].kind, "sha256",
								     proof->items[i].sha256));
	}
	return bad;
}

static int set_evidence(json_t *object, const struct outcome *outcome)
{
	const struct layer_list *layers = &outcome->verdict.layers;
	json_t *list = json_array();
	int bad = list == NULL;

	for (size_t i = 0; !bad && outcome->verified && i < layers->n; i++)
		if (layers->items[i].proof != NULL)
			bad |= add_evidence(list, layers->items[i].proof);
	return bad | set(object, "evidence", list);
}

static int set_messages(json_t *object, const struct audit_message *in, const struct audit_message *out)
{
	static const struct audit_message none;
	int bad = set_sha256(object, "body_sha256_in", in->body_sha256);

	bad |= set(object, "size_in", in->body_sha256 != NULL ? json_integer((json_int_t)in->size_bytes) : json_null());
	out = out != NULL ? out : &none;
	bad |= set_text(object, "queue_id_out", out->queue_id != NULL && out->queue_id[0] != '\0' ? out->queue_id : NULL);
	bad |= set_sha256(object, "body_sha256_out", out->body_sha256);
	return bad | set(object, "size_out",
			 out->body_sha256 != NULL ? json_integer((json_int_t)out->size_bytes) : json_null());
}

/* Not in the middle of a character. */
static json_t *cut(const json_t *value)
{
	const char *text = json_string_value(value);
	size_t n = AUDIT_TEXT_BYTES - 3;
	char out[AUDIT_TEXT_BYTES + 1];

	while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	memcpy(out, text, n);
	memcpy(out + n, "...", 4);
	return json_string(out);
}

/* Cuts long texts everywhere in it. */
static int cut_all(json_t *value)
{
	const char *name = NULL;
	json_t *member = NULL;
	size_t i;
	int bad = 0;

	json_object_foreach(value, name, member) {
		if (json_string_length(member) > AUDIT_TEXT_BYTES)
			bad |= json_object_iter_set_new(value, json_object_key_to_iter(name), cut(member));
		else
			bad |= cut_all(member);
	}
	json_array_foreach(value, i, member) {
		if (json_string_length(member) > AUDIT_TEXT_BYTES)
			bad |= json_array_set_new(value, i, cut(member));
		else
			bad |= cut_all(member);
	}
	return bad;
}

/* A string to free, or NULL: memory. */
static char *dump(json_t *object)
{
	static const char *const large[] = { "layers", "asked", "recipients", "evidence" };
	json_t *omitted = NULL;
	char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(4));

	for (size_t i = 0; text != NULL && strlen(text) > AUDIT_LINE_BYTES && i < sizeof(large) / sizeof(large[0]); i++) {
		free(text);
		text = NULL;
		omitted = json_object_get(object, "omitted");
		if (omitted == NULL && set(object, "omitted", omitted = json_array()) != 0)
			break;
		if (json_array_append_new(omitted, json_string(large[i])) != 0)
			break;
		(void)json_object_del(object, large[i]);
		text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(4));
	}
	return text;
}

static int add_line(const struct audit_entry *entry, size_t i, struct buf *out, struct err *err)
{
	const struct recipient_outcome *to = outcome_of(entry, i);
	json_t *object = json_object();
	char *text = NULL;
	int bad = object == NULL;

	bad |= set_envelope(object, entry);
	bad |= set(object, "recipient", report_text(entry->envelope->recipients[i].address.text));
	bad |= set_text(object, "config", entry->config);
	bad |= set_decision(object, entry->outcome, to);
	bad |= set_protection(object, to);
	bad |= set_evidence(object, entry->outcome);
	bad |= set_messages(object, &entry->in, message_of(entry, to));
	if (entry->token != NULL && entry->token[0] != '\0')
		bad |= set_text(object, "token", entry->token);
	bad |= set(object, "ms", json_real(entry->ms));
	bad |= set(object, "version", json_string(PACKAGE_VERSION));
	if (bad == 0 && cut_all(object) == 0)
		text = dump(object);
	bad = text == NULL || buf_append_text(out, text) != 0 || buf_append_char(out, '\n') != 0;
	free(text);
	json_decref(object);
	return bad ? err_memory(err) : 0;
}

int audit_lines(const struct audit_entry *entry, struct buf *out, struct err *err)
{
	for (size_t i = 0; i < entry->envelope->recipient_count; i++)
		if (add_line(entry, i, out, err) != 0)
			return -1;
	return 0;
}

int audit_record(const struct recorder_client *recorder, const struct audit_entry *entry, struct err *err)
{
	struct buf lines;
	int rc = -1;

	if (recorder == NULL)
		return 0;
	buf_init(&lines, 0);
	if (audit_lines(entry, &lines, err) == 0)
		rc = recorder_client_audit(recorder, buf_slice(&lines), err);
	buf_clear(&lines);
	return rc;
}
