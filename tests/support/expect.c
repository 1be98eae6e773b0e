/* expect.c - see expect.h: a table of demands, each a function that says why it is not met. */
#include "support/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/reply.h"
#include "smime/verdict.h"
#include "support/words.h"

#define WHY(expect, ...) arena_printf((expect)->arena, __VA_ARGS__)

typedef const char *demand(struct expect *expect, const struct words *words);

static const char *same(struct expect *expect, const char *is, const char *wanted)
{
	if (is != NULL && strcmp(is, wanted) == 0)
		return NULL;
	return WHY(expect, "is \"%s\"", is != NULL ? is : "(none)");
}

static const char *same_number(struct expect *expect, size_t is, const char *wanted)
{
	return is == strtoul(wanted, NULL, 10) ? NULL : WHY(expect, "is %zu", is);
}

static const char *within(struct expect *expect, const char *is, const char *wanted)
{
	if (is != NULL && strstr(is, wanted) != NULL)
		return NULL;
	return WHY(expect, "is \"%s\"", is != NULL ? is : "(none)");
}

/* --- the outcome --- */

static const char *d_action(struct expect *expect, const struct words *words)
{
	const struct outcome *outcome = &expect->passage->outcome;

	if (strcmp(action_names[outcome->action], words->items[1]) == 0)
		return NULL;
	return WHY(expect, "is %s: %s %s", action_names[outcome->action],
		   outcome->reply_detail != NULL ? outcome->reply_detail : "", expect->passage->err.text);
}

static const char *d_reply(struct expect *expect, const struct words *words)
{
	struct reply_line line;

	reply_format(&expect->passage->outcome, NULL, &line);
	if (strcmp(line.code, words->items[1]) == 0 && strcmp(line.xcode, words->items[2]) == 0 &&
	    strstr(line.text, words->items[3]) != NULL)
		return NULL;
	return WHY(expect, "is %s %s %s", line.code, line.xcode, line.text);
}

static const char *d_observed(struct expect *expect, const struct words *words)
{
	(void)words;
	return expect->passage->outcome.observed ? NULL : "is not";
}

static const char *d_unchanged(struct expect *expect, const struct words *words)
{
	const struct outcome *outcome = &expect->passage->outcome;
	struct slice header, body, header_out, body_out;

	(void)words;
	oracle_split(expect->wire, &header, &body);
	oracle_split(buf_slice(&expect->output), &header_out, &body_out);
	if (outcome->changed || outcome->body_changed || outcome->edits.n > 0)
		return "says that it is changed";
	if (!slice_equal(header, header_out))
		return "the header is another";
	return slice_equal(body, body_out) ? NULL : "the body is another";
}

static const char *d_body_unchanged(struct expect *expect, const struct words *words)
{
	struct slice header, body;

	(void)words;
	oracle_split(expect->wire, &header, &body);
	if (expect->passage->outcome.body_changed)
		return "says that it is changed";
	return slice_equal(body, buf_slice(&expect->passage->body)) ? NULL : "is another";
}

static const char *d_kind(struct expect *expect, const struct words *words)
{
	return same(expect, kind_names[expect->passage->outcome.kind], words->items[1]);
}

static const char *d_edits(struct expect *expect, const struct words *words)
{
	return same_number(expect, expect->passage->outcome.edits.n, words->items[1]);
}

static const char *cert_address(const struct expect *expect, const struct cert *cert)
{
	if (cert == NULL)
		return "nobody";
	if (cert_info(cert)->address_count == 0)
		return "";
	return arena_string(expect->arena, cert_info(cert)->addresses[0].text);
}

static const char *recipient_is(struct expect *expect, const struct recipient_outcome *to, const char *what,
				const char *wanted)
{
	if (strcmp(what, "action") == 0)
		return same(expect, to->action, wanted);
	if (strcmp(what, "rule") == 0)
		return same(expect, to->rule != NULL ? to->rule->id : "none", wanted);
	if (strcmp(what, "direction") == 0)
		return same(expect, direction_names[to->direction], wanted);
	if (strcmp(what, "cipher") == 0)
		return same(expect, to->cipher != NULL ? to->cipher : "none", wanted);
	if (strcmp(what, "signed-by") == 0)
		return same(expect, cert_address(expect, to->signed_by), wanted);
	if (strcmp(what, "reason") == 0)
		return within(expect, to->reason, wanted);
	if (strcmp(what, "encrypted") == 0)
		return same_number(expect, to->encrypted_count, wanted);
	if (strcmp(what, "source") == 0)
		return within(expect, to->encrypted_count > 0 ? to->encrypted_to[0].source : NULL, wanted);
	if (strcmp(what, "message") == 0 && to->message == OUTCOME_NONE)
		return same(expect, "none", wanted);
	if (strcmp(what, "message") == 0)
		return same_number(expect, to->message, wanted);
	return WHY(expect, "%s: no such thing of a recipient", what);
}

static const char *d_recipient(struct expect *expect, const struct words *words)
{
	const struct outcome *outcome = &expect->passage->outcome;

	for (size_t i = 0; i < outcome->recipient_count; i++)
		if (slice_is(outcome->recipients[i].recipient->address.text, words->items[1]))
			return recipient_is(expect, &outcome->recipients[i], words->items[2], words->items[3]);
	return "no such recipient in the outcome";
}

/* --- the verdict --- */

static const char *d_result(struct expect *expect, const struct words *words)
{
	const struct outcome *outcome = &expect->passage->outcome;
	const char *is = result_names[outcome->verdict.result];

	if (!outcome->verified)
		return "nothing was verified";
	return strcmp(is, words->items[1]) == 0 ? NULL : WHY(expect, "is %s (%s)", is, outcome->verdict.reason);
}

static const char *d_unverified(struct expect *expect, const struct words *words)
{
	(void)words;
	return expect->passage->outcome.verified ? "it was verified" : NULL;
}

static const char *d_reason(struct expect *expect, const struct words *words)
{
	return within(expect, expect->passage->outcome.verdict.reason, words->items[1]);
}

static const char *d_layers(struct expect *expect, const struct words *words)
{
	return same_number(expect, expect->passage->outcome.verdict.layers.n, words->items[1]);
}

static const char *number(struct expect *expect, unsigned value)
{
	return arena_printf(expect->arena, "%u", value);
}

static const char *layer_facts(const struct layer *layer, const char *name)
{
	if (strcmp(name, "integrity") == 0)
		return layer->known ? integrity_name(layer->integrity) : "unknown";
	if (strcmp(name, "algorithm") == 0)
		return layer->known ? algorithm_name(layer->algorithm) : "unknown";
	if (strcmp(name, "chain") == 0)
		return layer->chain_known ? path_chain_name(layer->chain) : "unknown";
	if (strcmp(name, "revocation") == 0)
		return layer->chain_known ? path_revocation_name(layer->revocation) : "unknown";
	if (strcmp(name, "usage") == 0)
		return !layer->chain_known ? "unknown" : layer->usage_good ? "good" : "bad";
	if (strcmp(name, "from") == 0)
		return layer->chain_known ? from_match_name(layer->from) : "unknown";
	return NULL;
}

static const char *layer_value(struct expect *expect, const struct layer *layer, const char *name)
{
	const struct { const char *name, *value; } values[] = {
		{ "type", layer_type_name(layer->type) },
		{ "layer", number(expect, layer->layer) },
		{ "signer_index", number(expect, layer->signer_index) },
		{ "result", layer->envelope_result != NULL ? layer->envelope_result : result_names[layer->result] },
		{ "collection", layer->collection },
		{ "covers", layer->covers_message ? "message" : "part" },
		{ "signer", layer->signer },
		{ "issuer", layer->issuer },
		{ "digest", layer->digest },
		{ "signature", layer->signature },
		{ "bits", number(expect, layer->bits) },
		{ "part", layer->part },
		{ "cipher", layer->cipher },
		{ "headers", layer->headers },
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (strcmp(values[i].name, name) == 0)
			return values[i].value != NULL ? values[i].value : "none";
	return layer_facts(layer, name);
}

static const char *d_layer(struct expect *expect, const struct words *words)
{
	const struct layer_list *layers = &expect->passage->outcome.verdict.layers;
	size_t i = strtoul(words->items[1], NULL, 10);

	if (i < 1 || i > layers->n)
		return WHY(expect, "there are %zu layers", layers->n);
	if (strcmp(words->items[2], "reason") == 0)
		return within(expect, layers->items[i - 1].reason, words->items[3]);
	return same(expect, layer_value(expect, &layers->items[i - 1], words->items[2]), words->items[3]);
}

static const char *ciphers_of(struct expect *expect, const struct capabilities *capabilities)
{
	const char *text = "";

	for (unsigned i = 0; i < CIPHER_COUNT; i++)
		if ((capabilities->ciphers & 1U << i) != 0)
			text = arena_printf(expect->arena, "%s%s%s", text, *text != '\0' ? " " : "", cipher_names[i]);
	return capabilities->known ? text : "unknown";
}

static const char *harvest_is(struct expect *expect, const struct harvest *harvest, const char *what,
			      const char *wanted)
{
	const struct testpki *pki = NULL;
	struct cert *cert = NULL;
	bool same_cert = false;

	if (strcmp(what, "address") == 0)
		return same(expect, arena_string(expect->arena, harvest->address.text), wanted);
	if (strcmp(what, "mode") == 0)
		return same(expect, harvest->at_once ? "on" : "pending", wanted);
	if (strcmp(what, "rule") == 0)
		return same(expect, harvest->rule, wanted);
	if (strcmp(what, "collection") == 0)
		return same(expect, harvest->collection, wanted);
	if (strcmp(what, "chain") == 0)
		return same_number(expect, harvest->chain_count, wanted);
	if (strcmp(what, "ciphers") == 0)
		return same(expect, ciphers_of(expect, &harvest->capabilities), wanted);
	pki = strcmp(what, "of") == 0 ? people_find(expect->people, wanted) : NULL;
	if (pki == NULL)
		return "nobody, or nothing, is called so";
	cert = testpki_cert(pki);
	same_cert = cert_equal(cert, harvest->cert);
	cert_free(cert);
	return same_cert ? NULL : WHY(expect, "is serial %s", cert_info(harvest->cert)->serial);
}

static const char *d_harvest(struct expect *expect, const struct words *words)
{
	const struct outcome *outcome = &expect->passage->outcome;
	size_t i = strtoul(words->items[1], NULL, 10);

	if (i < 1 || i > outcome->harvest_count)
		return WHY(expect, "there are %zu", outcome->harvest_count);
	return harvest_is(expect, &outcome->harvests[i - 1], words->items[2], words->items[3]);
}

static const char *d_harvests(struct expect *expect, const struct words *words)
{
	return same_number(expect, expect->passage->outcome.harvest_count, words->items[1]);
}

/* --- the message that goes on --- */

static bool has_field(struct slice entity, const char *name, const char *text)
{
	char *value = NULL;
	bool has = false;

	for (size_t i = 0; !has && (value = oracle_field(entity, name, i)) != NULL; i++) {
		has = strstr(value, text) != NULL;
		free(value);
	}
	return has;
}

static const char *show_field(struct expect *expect, struct slice entity, const char *name)
{
	char *value = oracle_field(entity, name, 0);
	const char *why = WHY(expect, "the first is \"%s\"", value != NULL ? value : "(none)");

	free(value);
	return why;
}

static const char *d_header_has(struct expect *expect, const struct words *words)
{
	struct slice output = buf_slice(&expect->output);

	return has_field(output, words->items[1], words->items[2]) ? NULL : show_field(expect, output, words->items[1]);
}

static const char *d_header_lacks(struct expect *expect, const struct words *words)
{
	struct slice output = buf_slice(&expect->output);

	return has_field(output, words->items[1], words->items[2]) ? show_field(expect, output, words->items[1]) : NULL;
}

static size_t count_fields(struct slice entity, const char *name)
{
	char *value = NULL;
	size_t n = 0;

	while ((value = oracle_field(entity, name, n)) != NULL) {
		free(value);
		n++;
	}
	return n;
}

static const char *d_header_count(struct expect *expect, const struct words *words)
{
	return same_number(expect, count_fields(buf_slice(&expect->output), words->items[1]), words->items[2]);
}

static const char *d_header_top(struct expect *expect, const struct words *words)
{
	const struct header *header = &expect->current->header;

	for (size_t i = 1; i < words->n; i++)
		if (i > header->n || !slice_is_nocase(header->fields[i - 1].name, words->items[i]))
			return WHY(expect, "%s is not the %zu. field", words->items[i], i);
	return NULL;
}

static const char *d_header_kept(struct expect *expect, const struct words *words)
{
	const struct header *before = &expect->passage->message.header;
	const struct header *after = &expect->current->header;
	const char *name = words->items[1];
	size_t n = header_count(before, name);

	if (n == 0 || n != header_count(after, name))
		return WHY(expect, "%zu came, %zu go", n, header_count(after, name));
	for (size_t i = 0; i < n; i++)
		if (!slice_equal(header_find(before, name, i)->raw, header_find(after, name, i)->raw))
			return "is changed";
	return NULL;
}

static const char *d_output_has(struct expect *expect, const struct words *words)
{
	return words_find(buf_slice(&expect->output), words->items[1]) != NULL ? NULL : "has not";
}

static const char *d_output_lacks(struct expect *expect, const struct words *words)
{
	return words_find(buf_slice(&expect->output), words->items[1]) == NULL ? NULL : "has it";
}

static const char *d_seven_bit(struct expect *expect, const struct words *words)
{
	const struct buf *output = &expect->output;

	(void)words;
	for (size_t i = 0; i < output->n; i++)
		if (output->p[i] == 0 || output->p[i] > 126)
			return WHY(expect, "byte %02x at %zu", output->p[i], i);
	return NULL;
}

static const char *d_no_line_over(struct expect *expect, const struct words *words)
{
	struct slice rest = buf_slice(&expect->output), line;
	size_t limit = strtoul(words->items[1], NULL, 10);

	while (words_next_line(&rest, &line))
		if (line.n > limit + (line.n > 0 && line.p[line.n - 1] == '\r' ? 1 : 0))
			return WHY(expect, "%zu: %.60s", line.n, line.p);
	return NULL;
}

/* --- taken apart --- */

static void inner_becomes(struct expect *expect, struct buf *next)
{
	buf_clear(&expect->inner);
	expect->inner = *next;
}

/* The gateway's own opinion of the same layer. */
static const char *own_opinion(struct expect *expect)
{
	struct slice bytes = arena_copy(expect->arena, buf_slice(&expect->inner));
	struct verify_env env = { .collections = expect->site->collections,
				  .collection_count = expect->site->collection_count,
				  .at = clock_now(&expect->site->clock),
				  .limits = { .object_bytes = 64 << 20, .signer_infos = 16, .certificates = 64,
					      .cms_layers = 5 } };
	struct layer_list layers = { NULL, 0 };
	struct message message;
	struct mime mime;
	struct err err = { .class = ERR_NONE };
	const struct layer *outer = NULL;

	if (message_parse(expect->arena, bytes, &(struct header_limits){ 0 }, &message, &err) != 0 ||
	    mime_parse(expect->arena, &message, &(struct mime_limits){ 0 }, &mime, &err) != 0 ||
	    verify_message(expect->arena, &message, &mime, &env, &layers, &err) != 0)
		return WHY(expect, "the gateway: %s", err.text);
	outer = layers.n > 0 ? &layers.items[0] : NULL;
	if (outer == NULL || outer->type != LAYER_SIGNED || !outer->covers_message)
		return "the gateway: no signature covers it";
	if (outer->integrity != INTEGRITY_GOOD || !outer->chain_known || outer->chain != CHAIN_GOOD ||
	    !outer->usage_good || outer->algorithm != ALGORITHM_GOOD)
		return WHY(expect, "the gateway: %s", outer->reason);
	return NULL;
}

static const char *d_signed_by(struct expect *expect, const struct words *words)
{
	const char *why = own_opinion(expect);
	struct buf next;

	if (why != NULL)
		return why;
	buf_init(&next, 0);
	why = oracle_verify(buf_slice(&expect->inner), expect->people->root, words->items[1], &next,
			    &expect->signature);
	inner_becomes(expect, &next);
	return why != NULL ? WHY(expect, "OpenSSL: %s", why) : NULL;
}

static const char *d_digest(struct expect *expect, const struct words *words)
{
	return same(expect, expect->signature.digest, words->items[1]);
}

static const char *d_algorithm(struct expect *expect, const struct words *words)
{
	return same(expect, expect->signature.signature, words->items[1]);
}

static const char *d_certificates(struct expect *expect, const struct words *words)
{
	return same_number(expect, expect->signature.certs, words->items[1]);
}

static const char *d_no_root(struct expect *expect, const struct words *words)
{
	(void)words;
	return expect->signature.with_root ? "it is there" : NULL;
}

static const char *d_root(struct expect *expect, const struct words *words)
{
	(void)words;
	return expect->signature.with_root ? NULL : "it is not there";
}

static const char *d_announces(struct expect *expect, const struct words *words)
{
	(void)words;
	if (!expect->signature.capabilities)
		return "no SMIMECapabilities";
	return expect->signature.preference ? NULL : "no SMIMEEncryptionKeyPreference";
}

static const char *d_announces_nothing(struct expect *expect, const struct words *words)
{
	(void)words;
	return expect->signature.preference ? "SMIMEEncryptionKeyPreference is there" : NULL;
}

static const char *decrypt(struct expect *expect, const char *name, struct buf *next)
{
	const struct testpki *who = people_find(expect->people, name);

	if (who == NULL)
		return "nobody of that name";
	return oracle_decrypt(buf_slice(&expect->inner), who, next, &expect->envelope);
}

static const char *d_decrypts_for(struct expect *expect, const struct words *words)
{
	const char *why = NULL;
	struct buf next;

	buf_init(&next, 0);
	why = decrypt(expect, words->items[1], &next);
	inner_becomes(expect, &next);
	return why;
}

static const char *d_cannot_decrypt(struct expect *expect, const struct words *words)
{
	const char *why = NULL;
	struct buf next;

	buf_init(&next, 0);
	why = decrypt(expect, words->items[1], &next);
	buf_clear(&next);
	return why != NULL && strncmp(why, "CMS_decrypt", 11) == 0 ? NULL : why != NULL ? why : "can";
}

static const char *d_cipher(struct expect *expect, const struct words *words)
{
	return same(expect, expect->envelope.cipher, words->items[1]);
}

static const char *d_recipients(struct expect *expect, const struct words *words)
{
	return same_number(expect, expect->envelope.recipients, words->items[1]);
}

static const char *d_recipients_by(struct expect *expect, const struct words *words)
{
	const struct oracle_envelope *envelope = &expect->envelope;

	return same(expect, envelope->key_ids == 0 ? "issuer-serial" :
		    envelope->key_ids == envelope->recipients ? "key-id" : "both", words->items[1]);
}

static const char *d_inner_type(struct expect *expect, const struct words *words)
{
	char *value = oracle_field(buf_slice(&expect->inner), "Content-Type", 0);
	size_t n = strlen(words->items[1]);
	bool is = value != NULL && strncmp(value, words->items[1], n) == 0 && strchr("; \t", value[n]) != NULL;
	const char *why = is ? NULL : WHY(expect, "is \"%s\"", value != NULL ? value : "(none)");

	free(value);
	return why;
}

static const char *d_inner_parameter(struct expect *expect, const struct words *words)
{
	char *value = oracle_field(buf_slice(&expect->inner), "Content-Type", 0);
	char *parameter = value != NULL ? oracle_parameter(value, words->items[1]) : NULL;
	const char *why = same(expect, parameter, words->items[2]);

	free(parameter);
	free(value);
	return why;
}

static const char *d_inner_has(struct expect *expect, const struct words *words)
{
	return words_find(buf_slice(&expect->inner), words->items[1]) != NULL ? NULL : "has not";
}

static const char *d_inner_lacks(struct expect *expect, const struct words *words)
{
	return words_find(buf_slice(&expect->inner), words->items[1]) == NULL ? NULL : "has it";
}

static const char *d_inner_header(struct expect *expect, const struct words *words)
{
	struct slice inner = buf_slice(&expect->inner);

	return has_field(inner, words->items[1], words->items[2]) ? NULL : show_field(expect, inner, words->items[1]);
}

static const char *d_inner_header_lacks(struct expect *expect, const struct words *words)
{
	struct slice inner = buf_slice(&expect->inner);

	return has_field(inner, words->items[1], "") ? show_field(expect, inner, words->items[1]) : NULL;
}

static const char *differs(struct expect *expect, struct slice is, struct slice wanted)
{
	size_t at = 0;

	if (slice_equal(is, wanted))
		return NULL;
	while (at < is.n && at < wanted.n && is.p[at] == wanted.p[at])
		at++;
	return WHY(expect, "differs at %zu of %zu (wanted %zu): \"%.*s\", wanted \"%.*s\"", at, is.n, wanted.n,
		   SLICE_ARGS(slice_first(slice_from(is, at), 40)),
		   SLICE_ARGS(slice_first(slice_from(wanted, at), 40)));
}

static const char *d_inner_text(struct expect *expect, const struct words *words)
{
	struct buf text;
	const char *why = NULL;

	buf_init(&text, 0);
	why = oracle_decode(buf_slice(&expect->inner), &text);
	if (why == NULL)
		why = differs(expect, buf_slice(&text), slice_make(words->items[1], words->bytes[1]));
	buf_clear(&text);
	return why;
}

static const char *d_inner_file(struct expect *expect, const struct words *words)
{
	struct slice file = words_file(expect->arena, expect->folder, words->items[1]);

	if (file.p == NULL)
		return "no such file";
	file = words_replace(expect->arena, file, "\r\n", slice_of("\n"));
	file = words_replace(expect->arena, file, "\n", slice_of("\r\n"));
	return differs(expect, buf_slice(&expect->inner), file);
}

static const char *d_inner_message(struct expect *expect, const struct words *words)
{
	struct slice header, body, line, wanted;
	struct buf text;
	bool content = false;
	int bad = 0;

	(void)words;
	oracle_split(expect->wire, &header, &body);
	buf_init(&text, 0);
	while (words_next_line(&header, &line)) {
		if (line.n > 0 && line.p[0] != ' ' && line.p[0] != '\t')
			content = slice_starts_nocase(line, "Content-");
		if (content)
			bad |= buf_append(&text, line.p, line.n + 1);
	}
	bad |= buf_append_text(&text, "\r\n");
	bad |= buf_append_slice(&text, body);
	wanted = arena_copy(expect->arena, buf_slice(&text));
	buf_clear(&text);
	return bad != 0 ? "memory" : differs(expect, buf_slice(&expect->inner), wanted);
}

static const char *d_outer(struct expect *expect, const struct words *words)
{
	(void)words;
	buf_reset(&expect->inner);
	return buf_append_slice(&expect->inner, buf_slice(&expect->output)) == 0 ? NULL : "memory";
}

static const char *show_message(struct expect *expect, size_t n)
{
	const struct passage *passage = expect->passage;
	const struct buf *body = n == 0 ? &passage->body : &passage->copies[n - 1];
	struct slice header;

	expect->current = n == 0 ? &passage->outcome.message : &passage->outcome.copies[n - 1];
	header = message_header_bytes(expect->arena, &expect->current->header);
	buf_reset(&expect->output);
	buf_reset(&expect->inner);
	if (header.p == NULL || buf_append_slice(&expect->output, header) != 0 ||
	    buf_append_slice(&expect->output, buf_slice(body)) != 0 ||
	    buf_append_slice(&expect->inner, buf_slice(&expect->output)) != 0)
		return "memory";
	return NULL;
}

static const char *d_message(struct expect *expect, const struct words *words)
{
	size_t n = strtoul(words->items[1], NULL, 10);

	return n <= expect->passage->copy_count ? show_message(expect, n) : "there is no such copy";
}

static const char *d_copies(struct expect *expect, const struct words *words)
{
	return same_number(expect, expect->passage->copy_count, words->items[1]);
}

static const struct row {
	const char *name;
	size_t words;			/* behind it, at least */
	demand *check;
} rows[] = {
	{ "action", 1, d_action }, { "reply", 2, d_reply }, { "observed", 0, d_observed },
	{ "unchanged", 0, d_unchanged }, { "body-unchanged", 0, d_body_unchanged }, { "kind", 1, d_kind },
	{ "edits", 1, d_edits }, { "recipient", 3, d_recipient }, { "copies", 1, d_copies }, { "message", 1, d_message },
	{ "result", 1, d_result }, { "unverified", 0, d_unverified }, { "reason", 1, d_reason },
	{ "layers", 1, d_layers }, { "layer", 3, d_layer }, { "harvests", 1, d_harvests }, { "harvest", 3, d_harvest },
	{ "header-has", 1, d_header_has }, { "header-lacks", 1, d_header_lacks }, { "header-count", 2, d_header_count },
	{ "header-top", 1, d_header_top }, { "header-kept", 1, d_header_kept },
	{ "output-has", 1, d_output_has }, { "output-lacks", 1, d_output_lacks },
	{ "seven-bit", 0, d_seven_bit }, { "no-line-over", 1, d_no_line_over },
	{ "signed-by", 1, d_signed_by }, { "digest", 1, d_digest }, { "algorithm", 1, d_algorithm },
	{ "certificates", 1, d_certificates }, { "no-root", 0, d_no_root }, { "root", 0, d_root },
	{ "announces", 0, d_announces }, { "announces-nothing", 0, d_announces_nothing },
	{ "decrypts-for", 1, d_decrypts_for }, { "cannot-decrypt", 1, d_cannot_decrypt }, { "cipher", 1, d_cipher },
	{ "recipients", 1, d_recipients }, { "recipients-by", 1, d_recipients_by },
	{ "inner-type", 1, d_inner_type }, { "inner-parameter", 2, d_inner_parameter },
	{ "inner-has", 1, d_inner_has }, { "inner-lacks", 1, d_inner_lacks }, { "inner-header", 1, d_inner_header },
	{ "inner-header-lacks", 1, d_inner_header_lacks }, { "inner-text", 1, d_inner_text },
	{ "inner-file", 1, d_inner_file }, { "inner-message", 0, d_inner_message }, { "outer", 0, d_outer },
};

static const char *check_line(struct expect *expect, const struct words *words)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].name, words->items[0]) == 0 && words->n > rows[i].words)
			return rows[i].check(expect, words);
	return "no such demand, or words are missing";
}

/* What nobody expected is a failure, so these are asked of every case. */
static const char *check_number(struct expect *expect, struct slice demands, const char *what, size_t n)
{
	struct words words;
	struct slice line;
	const char *wanted = "0";

	while (words_next_line(&demands, &line))
		if (words_parse(expect->arena, line, &words) == 0 && words.n == 2 && strcmp(words.items[0], what) == 0)
			wanted = words.items[1];
	return same_number(expect, n, wanted);
}

const char *expect_demands(struct expect *expect, struct slice demands)
{
	struct words words;
	struct slice line;
	const struct outcome *outcome = &expect->passage->outcome;
	const char *why = check_number(expect, demands, "copies", outcome->copy_count);
	size_t checked = 0;

	if (why != NULL)
		return WHY(expect, "copies: %s", why);
	why = check_number(expect, demands, "harvests", outcome->harvest_count);
	if (why != NULL)
		return WHY(expect, "harvests: %s", why);
	buf_init(&expect->output, 0);
	buf_init(&expect->inner, 0);
	why = show_message(expect, 0);

	while (why == NULL && words_next_line(&demands, &line)) {
		if (words_parse(expect->arena, line, &words) != 0)
			return WHY(expect, "cannot be read: %.*s", SLICE_ARGS(line));
		if (words.n == 0)
			continue;
		why = check_line(expect, &words);
		if (why != NULL)
			return WHY(expect, "%.*s: %s", SLICE_ARGS(slice_trim(line)), why);
		checked++;
	}
	return why != NULL ? why : checked == 0 ? "nothing is demanded" : NULL;
}

void expect_clear(struct expect *expect)
{
	buf_clear(&expect->output);
	buf_clear(&expect->inner);
}

/* --- always --- */

struct lines {			/* header fields as an MTA keeps them */
	struct field *items;
	size_t n;
};

static void line_remove(struct lines *lines, size_t at)
{
	memmove(&lines->items[at], &lines->items[at + 1], (lines->n - at - 1) * sizeof(lines->items[0]));
	lines->n--;
}

static void line_insert(struct lines *lines, size_t at, struct field field)
{
	at = at > lines->n ? lines->n : at;
	memmove(&lines->items[at + 1], &lines->items[at], (lines->n - at) * sizeof(lines->items[0]));
	lines->items[at] = field;
	lines->n++;
}

static const char *apply_edit(struct expect *expect, const struct edit *edit, struct lines *lines)
{
	struct field field;
	unsigned seen = 0;

	if (edit->kind != EDIT_DELETE) {
		if (strpbrk(edit->value, "\r") != NULL || strpbrk(edit->name, " \t\r\n:") != NULL)
			return WHY(expect, "edit of %s could start another field", edit->name);
		field = field_make(expect->arena, slice_of(edit->name), slice_of(edit->value));
	}
	if (edit->kind == EDIT_INSERT || edit->kind == EDIT_ADD) {
		line_insert(lines, edit->kind == EDIT_INSERT ? edit->index : lines->n, field);
		return NULL;
	}
	for (size_t i = 0; i < lines->n; i++)
		if (slice_is_nocase(lines->items[i].name, edit->name) && ++seen == edit->index) {
			if (edit->kind == EDIT_CHANGE)
				lines->items[i] = field;
			else
				line_remove(lines, i);
			return NULL;
		}
	return WHY(expect, "edit names %s number %u, which is not there", edit->name, edit->index);
}

const char *expect_edits(struct expect *expect)
{
	const struct outcome *outcome = &expect->passage->outcome;
	const struct header *before = &expect->passage->message.header, *after = &outcome->message.header;
	struct lines lines = { arena_array(expect->arena, before->n + outcome->edits.n + 1, sizeof(struct field)),
			       before->n };
	const char *why = NULL;
	size_t i, k;

	if (before->n > 0)
		memcpy(lines.items, before->fields, before->n * sizeof(lines.items[0]));
	for (i = 0; i < outcome->edits.n && why == NULL; i++)
		why = apply_edit(expect, &outcome->edits.items[i], &lines);
	if (why != NULL || lines.n != after->n)
		return why != NULL ? why : WHY(expect, "edits give %zu fields instead of %zu", lines.n, after->n);
	for (i = 0; i < after->n; i++) {
		for (k = 0; k < lines.n && !slice_equal(lines.items[k].raw, after->fields[i].raw); k++)
			;
		if (k == lines.n)
			return WHY(expect, "edits do not give %.*s", SLICE_ARGS(after->fields[i].raw));
		line_remove(&lines, k);
	}
	return NULL;
}

static const char *lines_end_well(struct expect *expect)
{
	const struct outcome *outcome = &expect->passage->outcome;
	const struct buf *body = &expect->passage->body;

	for (size_t i = 0; outcome->body_changed && i < body->n; i++)
		if ((body->p[i] == '\n' && (i == 0 || body->p[i - 1] != '\r')) ||
		    (body->p[i] == '\r' && (i + 1 == body->n || body->p[i + 1] != '\n')))
			return WHY(expect, "a bare CR or LF at %zu of the new body", i);
	return NULL;
}

const char *expect_always(struct expect *expect)
{
	const struct outcome *outcome = &expect->passage->outcome;
	struct reply_line line;
	const char *why = NULL;

	if (outcome->action != ACTION_ACCEPT) {
		reply_format(outcome, NULL, &line);
		if (line.code[0] != (outcome->action == ACTION_REJECT ? '5' : '4'))
			return "reply and action differ";
		return NULL;
	}
	if (!outcome->changed)
		return d_unchanged(expect, NULL);
	why = expect_edits(expect);
	return why != NULL ? why : lines_end_well(expect);
}
