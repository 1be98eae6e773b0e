/* report.c - smimectl's reports as JSON, and jansson, which is known here only. Values are taken as they are: nothing is
 * decided here. Names and values are a contract (INTERFACE 1 and 4). Called by ctl_*.c.
 */
#include "milter/report.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/event.h"
#include "gate/envelope.h"
#include "mail/authres.h"
#include "milter/report_json.h"

/* Untrusted bytes as a JSON string; NULL as null. */
static json_t *bytes(struct slice text)
{
	char escaped[2048];
	json_t *json = NULL;

	if (text.p == NULL)
		return json_null();
	json = json_stringn(text.p, text.n);
	return json != NULL ? json : json_string(event_escape(text, escaped, sizeof(escaped)));
}

static json_t *string(const char *text)
{
	return bytes(slice_of(text));
}

/* Of a certificate's text as much as the field shows. */
static json_t *shown(const char *text)
{
	return bytes(slice_first(slice_of(text), authres_fit(text)));
}

static json_t *time_string(time_t at)
{
	char text[32];

	clock_format(at, text, sizeof(text));
	return json_string(text);
}

/* Sets a member to a new reference; value NULL is memory's failure. */
static int set(json_t *object, const char *name, json_t *value)
{
	return json_object_set_new(object, name, value);
}

/* The same where nothing is written for what is not known. */
static int set_known(json_t *object, const char *name, const char *text)
{
	return text != NULL ? set(object, name, string(text)) : 0;
}

static int set_shown(json_t *object, const char *name, const char *text)
{
	return text != NULL ? set(object, name, shown(text)) : 0;
}

/* Takes the document, also on failure. */
static int print(FILE *to, json_t *document, struct err *err)
{
	int rc = -1;

	if (document == NULL)
		return err_memory(err);
	if (json_dumpf(document, to, JSON_INDENT(2)) != 0 || fputc('\n', to) == EOF || fflush(to) != 0)
		err_set(err, ERR_TEMP, "writing a report: %s", strerror(errno));
	else
		rc = 0;
	json_decref(document);
	return rc;
}

/* The value if all went well, else NULL and the value is given back. */
static json_t *unless(int failed, json_t *value)
{
	if (failed == 0)
		return value;
	json_decref(value);
	return NULL;
}

static int set_cert(json_t *object, const struct cert *cert)
{
	const struct cert_info *info = cert_info(cert);

	return set(object, "issuer", string(info->issuer)) | set(object, "serial", string(info->serial)) |
	       set(object, "sha256", string(info->sha256));
}

/* Layers: the fields of X-SMIME-Layer, in its order. */

static int set_chain(json_t *object, const struct layer *layer)
{
	int bad = 0;

	if (!layer->chain_known)
		return 0;
	bad |= set(object, "chain", string(path_chain_name(layer->chain)));
	bad |= set_known(object, "collection", layer->collection);
	bad |= set(object, "revocation", string(path_revocation_name(layer->revocation)));
	bad |= set(object, "usage", string(layer->usage_good ? "good" : "bad"));
	bad |= set(object, "from", string(from_match_name(layer->from)));
	return bad;
}

static int set_signer(json_t *object, const struct layer *layer)
{
	int bad = set_shown(object, "signer", layer->signer);

	bad |= set_shown(object, "subject", layer->subject);
	if (layer->issuer != NULL && layer->serial != NULL) {
		bad |= set_shown(object, "issuer", layer->issuer);
		bad |= set(object, "serial", string(layer->serial));
	}
	bad |= set_known(object, "cert_sha256", layer->cert_sha256);
	for (size_t i = 0; i < layer->mismatch_count; i++)
		bad |= set(object, layer->mismatch[i].name, shown(layer->mismatch[i].text));
	bad |= set_known(object, "digest", layer->digest);
	bad |= set_known(object, "signature", layer->signature);
	if (layer->bits != 0)
		bad |= set(object, "bits", json_integer((json_int_t)layer->bits));
	if (layer->signed_at != 0)
		bad |= set(object, "signed_at", time_string(layer->signed_at));
	return bad;
}

static int set_signature(json_t *object, const struct layer *layer)
{
	int bad = set(object, "result", string(result_names[layer->result]));

	if (layer->signer_index != 0)
		bad |= set(object, "signer_index", json_integer((json_int_t)layer->signer_index));
	if (layer->known) {
		bad |= set(object, "integrity", string(integrity_name(layer->integrity)));
		bad |= set(object, "algorithm", string(algorithm_name(layer->algorithm)));
	}
	bad |= set_chain(object, layer);
	bad |= set_signer(object, layer);
	bad |= set_known(object, "headers", layer->headers);
	return bad;
}

/* Nothing was opened, so nothing was proven. */
static int set_envelope(json_t *object, const struct layer *layer)
{
	int bad = set_known(object, "result", layer->envelope_result);

	bad |= set_known(object, "cipher", layer->cipher);
	if (layer->type != LAYER_COMPRESSED)
		bad |= set(object, "authenticated", string("no"));
	return bad;
}

static json_t *check_json(const struct check *check)
{
	json_t *object = json_object();
	int bad = object == NULL;

	bad |= set(object, "check", string(check->name));
	bad |= set(object, "rule", string(check->rule));
	bad |= set(object, "result", string(result_names[check->result]));
	bad |= set(object, "detail", string(check->detail));
	return unless(bad, object);
}

static json_t *checks_json(const struct layer *layer)
{
	json_t *array = json_array();
	int bad = array == NULL;
	size_t i;

	for (i = 0; i < layer->check_count; i++)
		bad |= json_array_append_new(array, check_json(&layer->checks[i]));
	return unless(bad, array);
}

/* rule NULL: none was asked. */
static json_t *layer_json(const struct layer *layer, const char *rule, bool explain)
{
	json_t *object = json_object();
	int bad = object == NULL;

	bad |= set(object, "layer", json_integer((json_int_t)layer->layer));
	bad |= set(object, "type", string(layer_type_name(layer->type)));
	bad |= layer->type == LAYER_SIGNED ? set_signature(object, layer) : set_envelope(object, layer);
	bad |= set(object, "covers", string(layer->covers_message ? "message" : "part"));
	bad |= set_known(object, "rule", rule);
	bad |= set_known(object, "part", layer->part);
	bad |= set(object, "reason", string(layer->reason != NULL ? layer->reason : ""));
	if (explain)
		bad |= set(object, "checks", checks_json(layer));
	return unless(bad, object);
}

static json_t *layers_json(const struct layer_list *layers, const char *rule, bool explain)
{
	json_t *array = json_array();
	int bad = array == NULL;
	size_t i;

	for (i = 0; i < layers->n; i++)
		bad |= json_array_append_new(array, layer_json(&layers->items[i], rule, explain));
	return unless(bad, array);
}

static json_t *verdict_json(const struct verdict *verdict, bool explain)
{
	json_t *object = json_object();
	int bad = object == NULL;

	bad |= set(object, "result", string(result_names[verdict->result]));
	bad |= set(object, "reason", string(verdict->reason != NULL ? verdict->reason : ""));
	bad |= set(object, "layers", layers_json(&verdict->layers, NULL, explain));
	return unless(bad, object);
}

int report_verdict(FILE *to, const struct verdict *verdict, bool explain, struct err *err)
{
	return print(to, verdict_json(verdict, explain), err);
}

/* Certificates of directories */

static json_t *candidate_json(const struct candidate *candidate)
{
	const struct cert_info *info = cert_info(candidate->cert);
	json_t *object = json_object();
	int bad = object == NULL;

	bad |= set(object, "serial", string(info->serial));
	bad |= set(object, "issuer", string(info->issuer));
	bad |= set(object, "sha256", string(info->sha256));
	bad |= set(object, "source", string(candidate->source));
	bad |= set(object, "rank", json_integer((json_int_t)candidate->rank));
	bad |= set(object, "usable", json_boolean(candidate->usable));
	bad |= set(object, "reason", string(candidate->reason != NULL ? candidate->reason : ""));
	bad |= set(object, "subject", string(info->subject));
	bad |= set(object, "not_after", time_string(info->not_after));
	return unless(bad, object);
}

static json_t *candidates_json(const struct candidate_list *list)
{
	json_t *array = json_array();
	int bad = array == NULL;
	size_t i;

	for (i = 0; list != NULL && i < list->n; i++)
		bad |= json_array_append_new(array, candidate_json(&list->items[i]));
	return unless(bad, array);
}

static json_t *asked_json(const struct candidate_list *list)
{
	json_t *array = json_array();
	int bad = array == NULL;
	size_t i;

	for (i = 0; list != NULL && i < list->asked_count; i++)
		bad |= json_array_append_new(array, string(list->asked[i]));
	return unless(bad, array);
}

static json_t *member_json(const struct candidate_member *member)
{
	json_t *object = json_object();
	int bad = object == NULL;

	bad |= set(object, "address", bytes(member->address.text));
	bad |= set(object, "certificates", candidates_json(&member->list));
	bad |= set(object, "asked", asked_json(&member->list));
	return unless(bad, object);
}

/* Of a group; else an empty list. */
static json_t *members_json(const struct candidate_list *list)
{
	json_t *array = json_array();
	int bad = array == NULL;
	size_t i;

	for (i = 0; list != NULL && i < list->member_count; i++)
		bad |= json_array_append_new(array, member_json(&list->members[i]));
	return unless(bad, array);
}

/* Those of a group's members, each with its owner, behind its own. */
static int add_members(json_t *array, const struct candidate_list *list)
{
	int bad = 0;
	size_t i, k;

	for (i = 0; i < list->member_count; i++) {
		const struct candidate_member *member = &list->members[i];

		for (k = 0; k < member->list.n; k++) {
			json_t *object = candidate_json(&member->list.items[k]);

			bad |= object == NULL || set(object, "member", bytes(member->address.text)) != 0;
			bad |= json_array_append_new(array, object);
		}
	}
	return bad;
}

int report_candidates(FILE *to, const struct candidate_list *list, struct err *err)
{
	json_t *array = candidates_json(list);
	int bad = array == NULL || add_members(array, list) != 0;

	return print(to, unless(bad, array), err);
}

/* Outcomes */

static json_t *peer_json(const struct encrypted_to *peer)
{
	json_t *object = json_object();
	int bad = object == NULL;

	bad |= set(object, "address", string(peer->address));
	bad |= set_cert(object, peer->cert);
	bad |= set(object, "source", string(peer->source));
	bad |= set(object, "role", string(peer->role));
	return unless(bad, object);
}

static json_t *peers_json(const struct recipient_outcome *to)
{
	json_t *array = json_array();
	int bad = array == NULL;
	size_t i;

	for (i = 0; i < to->encrypted_count; i++)
		bad |= json_array_append_new(array, peer_json(&to->encrypted_to[i]));
	return unless(bad, array);
}

static json_t *signing_key_json(const struct recipient_outcome *to)
{
	json_t *object = json_object();
	int bad = object == NULL;

	bad |= set_cert(object, to->signed_by);
	bad |= set(object, "source", string(to->key_source));
	return unless(bad, object);
}

/* signed_by: the first address in the certificate; the certificate itself in a member of its own. */
static int set_signed_by(json_t *object, const struct recipient_outcome *to)
{
	const struct cert_info *info = to->signed_by != NULL ? cert_info(to->signed_by) : NULL;

	if (info == NULL)
		return set(object, "signed_by", json_null());
	return set(object, "signed_by",
		   info->address_count > 0 ? bytes(info->addresses[0].text) : string(info->subject)) |
	       set(object, "signing_key", signing_key_json(to));
}

static json_t *recipient_json(const struct recipient_outcome *to, bool explain)
{
	json_t *object = json_object();
	int bad = object == NULL;

	bad |= set(object, "address", bytes(to->recipient->address.text));
	bad |= set(object, "direction", string(direction_names[to->direction]));
	bad |= set(object, "rule", string(to->rule != NULL ? to->rule->id : NULL));
	bad |= set(object, "action", string(to->action));
	bad |= set(object, "reason", string(to->reason != NULL ? to->reason : ""));
	bad |= set_signed_by(object, to);
	bad |= set(object, "encrypted_to", peers_json(to));
	bad |= set(object, "cipher", string(to->cipher));
	if (explain) {
		bad |= set(object, "own_reason", string(to->own_reason != NULL ? to->own_reason : ""));
		bad |= set(object, "certificates_of", bytes(to->looked_up));
		bad |= set(object, "certificates", candidates_json(to->candidates));
		bad |= set(object, "asked", asked_json(to->candidates));
		bad |= set(object, "members", members_json(to->candidates));
	}
	return unless(bad, object);
}

static json_t *recipients_json(const struct outcome *outcome, bool explain)
{
	json_t *array = json_array();
	int bad = array == NULL;
	size_t i;

	for (i = 0; i < outcome->recipient_count; i++)
		bad |= json_array_append_new(array, recipient_json(&outcome->recipients[i], explain));
	return unless(bad, array);
}

static json_t *addressees_json(const struct outcome *outcome, size_t message)
{
	json_t *array = json_array();
	int bad = array == NULL;
	size_t i;

	for (i = 0; i < outcome->recipient_count; i++)
		if (outcome->recipients[i].message == message)
			bad |= json_array_append_new(array, bytes(outcome->recipients[i].recipient->address.text));
	return unless(bad, array);
}

static json_t *message_json(const struct outcome *outcome, size_t message)
{
	json_t *object = json_object();
	char file[32];
	int bad = object == NULL;

	snprintf(file, sizeof(file), "%zu.eml", message);
	bad |= set(object, "file", json_string(file));
	bad |= set(object, "recipients", addressees_json(outcome, message));
	return unless(bad, object);
}

/* What goes on: the original transaction and the copies, if it does. */
static json_t *messages_json(const struct outcome *outcome)
{
	json_t *array = json_array();
	int bad = array == NULL;
	size_t i;

	for (i = 0; outcome->action == ACTION_ACCEPT && i <= outcome->copy_count; i++)
		bad |= json_array_append_new(array, message_json(outcome, i));
	return unless(bad, array);
}

static json_t *ciphers_json(const struct capabilities *capabilities)
{
	json_t *array = json_array();
	int bad = array == NULL;

	if (!capabilities->known) {
		json_decref(array);
		return json_null();
	}
	for (unsigned i = 0; i < CIPHER_COUNT; i++)
		if ((capabilities->ciphers & 1U << i) != 0)
			bad |= json_array_append_new(array, json_string(cipher_names[i]));
	return unless(bad, array);
}

/* What the signature teaches. */
static json_t *harvests_json(const struct outcome *outcome)
{
	json_t *array = json_array();
	int all = array == NULL;

	for (size_t i = 0; i < outcome->harvest_count; i++) {
		const struct harvest *harvest = &outcome->harvests[i];
		json_t *object = json_object();
		int bad = object == NULL;

		bad |= set(object, "address", bytes(harvest->address.text));
		bad |= set_cert(object, harvest->cert);
		bad |= set(object, "signed_at", time_string(harvest->signed_at));
		bad |= set(object, "ciphers", ciphers_json(&harvest->capabilities));
		bad |= set(object, "collection", string(harvest->collection));
		bad |= set(object, "rule", string(harvest->rule));
		bad |= set(object, "harvest", string(harvest->at_once ? "on" : "pending"));
		all |= json_array_append_new(array, unless(bad, object));
	}
	return unless(all, array);
}

static json_t *outcome_json(const struct outcome *outcome, const char *reply, bool explain)
{
	const struct layer_list none = { NULL, 0 };
	const enum result result = outcome->verified ? outcome->verdict.result : RESULT_NONE;
	json_t *object = json_object();
	int bad = object == NULL;

	bad |= set(object, "action", string(action_names[outcome->action]));
	bad |= set(object, "reply", string(reply));
	bad |= set(object, "reason", string(outcome->reason != NULL ? outcome->reason : ""));
	bad |= set(object, "kind", string(kind_names[outcome->kind]));
	if (explain)
		bad |= set(object, "encryption_asked", json_boolean(outcome->encryption_asked));
	bad |= set(object, "observed", json_boolean(outcome->observed));
	bad |= set(object, "changed", json_boolean(outcome->changed));
	bad |= set(object, "result", string(result_names[result]));
	bad |= set(object, "layers", layers_json(outcome->verified ? &outcome->verdict.layers : &none,
						 outcome->verified_by != NULL ? outcome->verified_by->id : "none", explain));
	if (outcome->harvest_count > 0)
		bad |= set(object, "harvests", harvests_json(outcome));
	bad |= set(object, "recipients", recipients_json(outcome, explain));
	bad |= set(object, "messages", messages_json(outcome));
	return unless(bad, object);
}

int report_outcome(FILE *to, const struct outcome *outcome, const char *reply, bool explain, struct err *err)
{
	return print(to, outcome_json(outcome, reply, explain), err);
}

/* Own keys and collections */

static json_t *addresses_json(const struct cert_info *info)
{
	json_t *array = json_array();
	int bad = array == NULL;
	size_t i;

	for (i = 0; i < info->address_count; i++)
		bad |= json_array_append_new(array, bytes(info->addresses[i].text));
	return unless(bad, array);
}

static json_t *usage_json(const struct cert *cert)
{
	json_t *array = json_array();
	int bad = array == NULL;

	if (cert_may_sign(cert))
		bad |= json_array_append_new(array, json_string("sign"));
	if (cert_may_encrypt(cert))
		bad |= json_array_append_new(array, json_string("encrypt"));
	return unless(bad, array);
}

static json_t *key_json(const struct report_key *item)
{
	const struct cert *cert = key_cert(item->key);
	const struct cert_info *info = cert_info(cert);
	json_t *object = json_object();
	int bad = object == NULL;

	bad |= set(object, "address", info->address_count > 0 ? bytes(info->addresses[0].text) : json_null());
	bad |= set(object, "addresses", addresses_json(info));
	bad |= set_cert(object, cert);
	bad |= set(object, "not_before", time_string(info->not_before));
	bad |= set(object, "not_after", time_string(info->not_after));
	bad |= set(object, "days_left", json_integer((json_int_t)item->days_left));
	bad |= set(object, "usage", usage_json(cert));
	bad |= set(object, "source", string(key_source(item->key)));
	if (item->tested) {
		bad |= set(object, "works", json_boolean(item->failure == NULL));
		bad |= set(object, "reason", string(item->failure != NULL ? item->failure : ""));
	}
	return unless(bad, object);
}

int report_keys(FILE *to, const struct report_key *keys, size_t n, struct err *err)
{
	json_t *array = json_array();
	int bad = array == NULL;
	size_t i;

	for (i = 0; i < n; i++)
		bad |= json_array_append_new(array, key_json(&keys[i]));
	return print(to, unless(bad, array), err);
}

static json_t *harvested_json(const struct harvested *row)
{
	json_t *object = json_object();
	int bad = object == NULL;

	bad |= set(object, "address", string(row->address));
	bad |= set(object, "state", string(harvest_state_names[row->state]));
	bad |= set(object, "sha256", string(row->sha256));
	bad |= set(object, "issuer", string(row->issuer));
	bad |= set(object, "first_seen", time_string(row->first_seen));
	bad |= set(object, "last_seen", time_string(row->last_seen));
	bad |= set(object, "signed_at", time_string(row->signed_at));
	bad |= set(object, "ciphers", ciphers_json(&row->capabilities));
	bad |= set(object, "how", string(row->how));
	bad |= set(object, "collection", row->collection[0] != '\0' ? string(row->collection) : json_null());
	return unless(bad, object);
}

int report_harvested(FILE *to, const struct harvested *rows, size_t n, struct err *err)
{
	json_t *array = json_array();
	int bad = array == NULL;

	for (size_t i = 0; i < n; i++)
		bad |= json_array_append_new(array, harvested_json(&rows[i]));
	return print(to, unless(bad, array), err);
}

static int set_entry(json_t *object, const struct report_entry *item)
{
	const struct cert_info *info = item->entry->cert != NULL ? cert_info(item->entry->cert) : NULL;
	int bad = set(object, "file", string(item->file));

	bad |= set(object, "offset", json_integer((json_int_t)item->entry->offset));
	if (info == NULL)
		return bad;
	bad |= set_cert(object, item->entry->cert);
	bad |= set(object, "subject", string(info->subject));
	bad |= set(object, "not_before", time_string(info->not_before));
	bad |= set(object, "not_after", time_string(info->not_after));
	bad |= set(object, "ca", json_boolean(info->ca));
	bad |= set(object, "self_signed", json_boolean(info->self_signed));
	return bad;
}

static json_t *entry_json(const struct report_entry *item)
{
	const struct bundle_entry *entry = item->entry;
	json_t *object = json_object();
	int bad = object == NULL;

	bad |= set_entry(object, item);
	bad |= set(object, "type",
		   json_string(entry->cert != NULL ? "certificate" : entry->crl_der.n > 0 ? "crl" : "bad"));
	bad |= set(object, "friendly_name", string(entry->friendly_name));
	bad |= set(object, "reason", string(entry->problem != NULL ? entry->problem : ""));
	return unless(bad, object);
}

int report_entries(FILE *to, const struct report_entry *entries, size_t n, struct err *err)
{
	json_t *array = json_array();
	int bad = array == NULL;
	size_t i;

	for (i = 0; i < n; i++)
		bad |= json_array_append_new(array, entry_json(&entries[i]));
	return print(to, unless(bad, array), err);
}

static json_t *finding_json(const struct report_finding *finding)
{
	json_t *object = json_object();
	int bad = object == NULL;

	bad |= set(object, "finding", string(finding->finding));
	bad |= set(object, "reason", string(finding->detail));
	bad |= set(object, "collection", string(finding->collection));
	bad |= set_entry(object, finding->at);
	return unless(bad, object);
}

int report_findings(FILE *to, const struct report_finding *findings, size_t n, struct err *err)
{
	json_t *array = json_array();
	int bad = array == NULL;
	size_t i;

	for (i = 0; i < n; i++)
		bad |= json_array_append_new(array, finding_json(&findings[i]));
	return print(to, unless(bad, array), err);
}

/* For audit.c */

json_t *report_text(struct slice text)
{
	return bytes(text);
}

json_t *report_time(time_t at)
{
	return time_string(at);
}

json_t *report_layers(const struct layer_list *layers, const char *rule)
{
	return layers_json(layers, rule, false);
}

json_t *report_peers(const struct recipient_outcome *to)
{
	return peers_json(to);
}

json_t *report_asked(const struct candidate_list *list)
{
	return asked_json(list);
}
