/* exchange.c - the parameters of Set-SmimeConfig, a row each, and what they become (exchange.h). Called by
 * ctl_exchange.c. jansson reads the JSON.
 */
#include "milter/exchange.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/event.h"
#include "milter/powershell.h"
#include "pki/bundle.h"

/* The groups of the configuration, each filled by the rows that name it. */
enum place { IN_RULE, IN_INBOUND, IN_COLLECTION, IN_DIRECTORY, IN_KEYSTORE, IN_NOTHING };

struct import {
	struct arena *arena;
	json_t *settings;
	const char *sst_path;
	struct exchange *out;
	struct err *err;
	bool told;			/* notes were written: rows are run again for a second rule */
};

struct row {
	const char *name;
	enum place place;
	const char *key;
	/* A boolean's lines: values as they stand in the file; NULL: no line. */
	const char *if_true, *if_false;
	const char *note_true, *note_false;
	/* Other types: writes the line and notes itself. 0 or -1. */
	int (*write)(struct import *import, const struct row *row, const json_t *value);
};

static int bad_value(struct import *import, const struct row *row, const char *wanted)
{
	return err_set(import->err, ERR_CONFIG, "%s: not %s", row->name, wanted);
}

static int add(struct import *import, const char *text)
{
	return buf_append_text(&import->out->config, text) == 0 ? 0 : err_memory(import->err);
}

static int add_line(struct import *import, const char *key, const char *value, const char *parameter)
{
	char line[400];

	snprintf(line, sizeof(line), "%s = %s;", key, value);
	return buf_printf(&import->out->config, "    %-56s # %s\n", line, parameter) == 0 ? 0 : err_memory(import->err);
}

static int add_note(struct import *import, const char *parameter, const char *text)
{
	char escaped[500];

	if (import->told || text == NULL)
		return 0;
	event_escape(slice_of(text), escaped, sizeof(escaped));
	return buf_printf(&import->out->notes, "%s: %s\n", parameter, escaped) == 0 ? 0 : err_memory(import->err);
}

/* --- values --- */

static const json_t *value_of(const struct import *import, const char *name)
{
	void *at = NULL;

	for (at = json_object_iter(import->settings); at != NULL; at = json_object_iter_next(import->settings, at))
		if (strcasecmp(json_object_iter_key(at), name) == 0)
			return json_is_null(json_object_iter_value(at)) ? NULL : json_object_iter_value(at);
	return NULL;
}

/* 1, 0; -1: neither. */
static int boolean(const json_t *value)
{
	const char *text = json_string_value(value);

	if (json_is_boolean(value))
		return json_is_true(value);
	return text == NULL ? -1 : strcasecmp(text, "true") == 0 ? 1 : strcasecmp(text, "false") == 0 ? 0 : -1;
}

static bool is_true(const struct import *import, const char *name)
{
	const json_t *value = value_of(import, name);

	return value != NULL && boolean(value) == 1;
}

static int write_boolean(struct import *import, const struct row *row, const json_t *value)
{
	int is = boolean(value);
	const char *text = is == 1 ? row->if_true : row->if_false;

	if (is < 0)
		return bad_value(import, row, "true or false");
	if (add_note(import, row->name, is == 1 ? row->note_true : row->note_false) != 0)
		return -1;
	return text != NULL ? add_line(import, row->key, text, row->name) : 0;
}

static int write_milliseconds(struct import *import, const struct row *row, const json_t *value)
{
	json_int_t ms = json_integer_value(value);
	char text[32];

	if (!json_is_integer(value) || ms < 0 || ms > UINT32_MAX)
		return bad_value(import, row, "a number of milliseconds");
	if ((ms < 1 || ms > 600000) && add_note(import, row->name, "brought into the range from 1 to 600000") != 0)
		return -1;
	ms = ms < 1 ? 1 : ms > 600000 ? 600000 : ms;
	snprintf(text, sizeof(text), "%d", (int)ms);
	return add_line(import, row->key, text, row->name);
}

static int write_bcc(struct import *import, const struct row *row, const json_t *value)
{
	static const char *const names[] = { "\"fork-each\"", "\"fork-together\"", "\"together\"" };

	if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > 2)
		return bad_value(import, row, "0, 1 or 2");
	return add_line(import, row->key, names[json_integer_value(value)], row->name);
}

/* --- lists of algorithms and attributes --- */

struct word {
	const char *theirs;
	const char *ours;		/* NULL: there is none */
	const char *note;
};

static const struct word ciphers[] = {
	{ "6610", "aes256-cbc", NULL },
	{ "660F", "aes256-cbc", "660F (AES-192) is written as aes256-cbc, which is no weaker" },
	{ "660E", "aes128-cbc", NULL },
	{ "6603", NULL, "6603 (3DES) has no counterpart: nothing is encrypted with it" },
	{ "6602", NULL, "6602 (RC2) has no counterpart: nothing is encrypted with it" },
	{ "6601", NULL, "6601 (DES) has no counterpart: nothing is encrypted with it" },
	{ NULL, NULL, NULL }
};
static const struct word digests[] = {
	{ "800C", "sha256", NULL }, { "800D", "sha384", NULL }, { "800E", "sha512", NULL },
	{ "8004", NULL, "8004 (SHA-1) has no counterpart: nothing is signed with it" },
	{ "8003", NULL, "8003 (MD5) has no counterpart: nothing is signed with it" },
	{ NULL, NULL, NULL }
};
static const struct word attributes[] = {
	{ "2.5.4.3", "CN", NULL }, { "1.2.840.113549.1.9.1", "emailAddress", NULL }, { "2.5.4.10", "O", NULL },
	{ "2.5.4.11", "OU", NULL }, { "2.5.4.6", "C", NULL }, { "2.5.4.8", "ST", NULL }, { "2.5.4.7", "L", NULL },
	{ "2.5.4.12", "title", NULL }, { "2.5.4.42", "givenName", NULL }, { "2.5.4.4", "SN", NULL },
	{ "2.5.4.43", "initials", NULL }, { "2.5.4.65", "pseudonym", NULL }, { "2.5.4.5", "serialNumber", NULL },
	{ "0.9.2342.19200300.100.1.1", "UID", NULL }, { "0.9.2342.19200300.100.1.25", "DC", NULL },
	{ "2.5.4.97", "organizationIdentifier", NULL }, { NULL, NULL, NULL }
};

struct list {
	const struct word *words;
	char separator;
	bool algorithms;		/* items may be ID:LENGTH and ID,OID */
	const char *preset;		/* ours where nothing is left; NULL: no line then */
};

static const struct word *word_find(const struct word *words, struct slice text)
{
	for (; words->theirs != NULL; words++)
		if (slice_is_nocase(text, words->theirs))
			return words;
	return NULL;
}

/* "6610", "6602:128", "6603,1.2.3": what stands before. */
static struct slice algorithm_id(struct slice item)
{
	size_t n = 0;

	while (n < item.n && item.p[n] != ':' && item.p[n] != ',')
		n++;
	return slice_trim(slice_first(item, n));
}

/* "a", "b" with quotes and commas; nothing stands twice. */
static int join(struct import *import, struct buf *joined, const char *ours)
{
	const char *quoted = arena_printf(import->arena, "\"%s\"", ours);
	const char *before = buf_string(joined);

	if (quoted == NULL || before == NULL)
		return err_memory(import->err);
	if (strstr(before, quoted) != NULL)
		return 0;
	return buf_printf(joined, "%s%s", joined->n > 0 ? ", " : "", quoted) == 0 ? 0 : err_memory(import->err);
}

static int take_item(struct import *import, const struct row *row, const struct list *list, struct slice item,
		     struct buf *joined)
{
	struct slice id = list->algorithms ? algorithm_id(item) : item;
	const struct word *word = word_find(list->words, id);
	char what[100];

	if (item.n == 0)
		return 0;
	if (word == NULL)
		return add_note(import, row->name, arena_printf(import->arena, "%s is not known",
								event_escape(item, what, sizeof(what))));
	if (id.n < item.n && slice_find(item, ',') >= 0 &&
	    add_note(import, row->name, arena_printf(import->arena, "the provider's own algorithm in %s has no counterpart",
						     event_escape(item, what, sizeof(what)))) != 0)
		return -1;
	if (add_note(import, row->name, word->note) != 0)
		return -1;
	return word->ours != NULL ? join(import, joined, word->ours) : 0;
}

static int take_items(struct import *import, const struct row *row, const struct list *list, struct slice text,
		      struct buf *joined)
{
	struct slice item;
	long end;

	while (text.n > 0) {
		end = slice_find(text, list->separator);
		item = end < 0 ? text : slice_first(text, (size_t)end);
		text = slice_from(text, item.n + 1);
		if (take_item(import, row, list, slice_trim(item), joined) != 0)
			return -1;
	}
	return 0;
}

static int write_list(struct import *import, const struct row *row, const struct list *list, const json_t *value)
{
	struct slice text = slice_make(json_string_value(value), json_string_length(value));
	struct buf joined;
	int rc = -1;

	buf_init(&joined, 0);
	if (!json_is_string(value)) {
		bad_value(import, row, "a text");
		goto out;
	}
	if (take_items(import, row, list, text, &joined) != 0)
		goto out;
	if (joined.n == 0 && list->preset != NULL &&
	    (add_note(import, row->name, "nothing in it can be used: the default stands") != 0 ||
	     join(import, &joined, list->preset) != 0))
		goto out;
	rc = joined.n == 0 ? 0 : add_line(import, row->key, arena_printf(import->arena, "[ %s ]", buf_string(&joined)),
					  row->name);
out:
	buf_clear(&joined);
	return rc;
}

static int write_ciphers(struct import *import, const struct row *row, const json_t *value)
{
	static const struct list list = { ciphers, ';', true, "aes256-cbc" };

	return write_list(import, row, &list, value);
}

static int write_digests(struct import *import, const struct row *row, const json_t *value)
{
	static const struct list list = { digests, ';', true, "sha256" };

	return write_list(import, row, &list, value);
}

static int write_attributes(struct import *import, const struct row *row, const json_t *value)
{
	static const struct list list = { attributes, ',', false, NULL };

	return write_list(import, row, &list, value);
}

/* --- certificates --- */

/* Two parameters, one key: with the root wins, without any it is the signer's alone. */
static int write_chain(struct import *import, const struct row *row, const json_t *value)
{
	static const char with_root[] = "OWAIncludeCertificateChainAndRootCertificate";
	static const char without_root[] = "OWAIncludeCertificateChainWithoutRootCertificate";

	if (boolean(value) < 0)
		return bad_value(import, row, "true or false");
	if (is_true(import, with_root) != (strcmp(row->name, with_root) == 0))
		return 0;
	if (is_true(import, with_root))
		return add_line(import, row->key, "\"chain-and-root\"", row->name);
	return add_line(import, row->key, is_true(import, without_root) ? "\"chain\"" : "\"none\"", row->name);
}

/* What is wrong with a message's bytes elsewhere is wrong with the configuration here. */
static int bad_store(struct import *import, const struct row *row)
{
	if (import->err->class == ERR_MESSAGE)
		import->err->class = ERR_CONFIG;
	return err_prefix(import->err, "%s", row->name);
}

static int write_issuers(struct import *import, const struct row *row, const json_t *value)
{
	struct bundle bundle;

	if (powershell_bytes(value, &import->out->sst, import->err) != 0)
		return bad_store(import, row);
	if (import->out->sst.n == 0)
		return 0;
	if (bundle_parse(import->arena, buf_slice(&import->out->sst), &bundle, import->err) != 0)
		return bad_store(import, row);
	return add_line(import, row->key, arena_printf(import->arena, "\"%s\"", import->sst_path), row->name);
}

/* --- the table --- */

#define ALWAYS_SIGNS "in OWA each user decides; here rules do, or triggers raise the protection"
static const struct row rows[] = {
	{ .name = "OWAAlwaysSign", .place = IN_RULE, .key = "sign", .if_true = "\"require\"", .if_false = "\"no\"",
	  .note_false = ALWAYS_SIGNS },
	{ .name = "OWAAlwaysEncrypt", .place = IN_RULE, .key = "encrypt", .if_true = "\"require\"",
	  .if_false = "\"no\"", .note_false = ALWAYS_SIGNS },
	{ .name = "OWAClearSign", .place = IN_RULE, .key = "sign_format", .if_true = "\"clear\"",
	  .if_false = "\"opaque\"" },
	{ .name = "OWASigningAlgorithms", .place = IN_RULE, .key = "digests", .write = write_digests },
	{ .name = "OWAIncludeCertificateChainAndRootCertificate", .place = IN_RULE, .key = "include_chain",
	  .write = write_chain },
	{ .name = "OWAIncludeCertificateChainWithoutRootCertificate", .place = IN_RULE, .key = "include_chain",
	  .write = write_chain },
	{ .name = "OWAIncludeSMIMECapabilitiesInMessage", .place = IN_RULE, .key = "announce_encryption",
	  .if_true = "true", .if_false = "false" },
	{ .name = "OWASignedEmailCertificateInclusion", .place = IN_NOTHING,
	  .note_false = "the signer's certificate always goes along: without it readers could verify nothing" },
	{ .name = "OWAEncryptionAlgorithms", .place = IN_RULE, .key = "ciphers", .write = write_ciphers },
	{ .name = "OWAUseKeyIdentifier", .place = IN_RULE, .key = "recipient_identifier", .if_true = "\"key-id\"",
	  .if_false = "\"issuer-serial\"" },
	{ .name = "OWATripleWrapSignedEncryptedMail", .place = IN_RULE, .key = "triple_wrap", .if_true = "true",
	  .if_false = "false" },
	{ .name = "OWABCCEncryptedEmailForking", .place = IN_RULE, .key = "bcc", .write = write_bcc },
	{ .name = "OWACheckCRLOnSend", .place = IN_RULE, .key = "send_revocation", .if_true = "\"hard\"",
	  .if_false = "\"soft\"" },
	{ .name = "OWASenderCertificateAttributesToDisplay", .place = IN_INBOUND, .key = "mismatch_attributes",
	  .write = write_attributes },
	{ .name = "SMIMECertificateIssuingCA", .place = IN_COLLECTION, .key = "files", .write = write_issuers },
	{ .name = "OWADisableCRLCheck", .place = IN_COLLECTION, .key = "revocation", .if_true = "\"off\"",
	  .if_false = "\"soft\"",
	  .note_false = "name crls, or fetch_hosts from which they may be had: without, every answer is unknown" },
	{ .name = "OWACRLConnectionTimeout", .place = IN_COLLECTION, .key = "connect_ms", .write = write_milliseconds },
	{ .name = "OWACRLRetrievalTimeout", .place = IN_COLLECTION, .key = "total_ms", .write = write_milliseconds },
	{ .name = "OWADLExpansionTimeout", .place = IN_DIRECTORY, .key = "expand_ms", .write = write_milliseconds },
	{ .name = "OWAUseSecondaryProxiesWhenFindingCertificates", .place = IN_DIRECTORY, .key = "secondary_addresses",
	  .if_true = "true", .if_false = "false" },
	{ .name = "OWAOnlyUseSmartCard", .place = IN_KEYSTORE, .key = "hardware_only", .if_false = "false",
	  .note_true = "key stores in hardware are not available in this version" },
	{ .name = "OWAAllowUserChoiceOfSigningCertificate", .place = IN_NOTHING,
	  .note_true = "a rule with `header` and its own sign_as lets a sender choose: write one for each choice" },
	{ .name = "NoSignOnReply", .place = IN_NOTHING,
	  .note_true = "replies have a rule of their own, where OWAAlwaysSign signs: without it they are signed too" },
	{ .name = "OWAEncryptTemporaryBuffers", .place = IN_NOTHING,
	  .note_false = "spool files are always encrypted" },
	{ .name = "OWACopyRecipientHeaders", .place = IN_NOTHING, .note_true = "reserved by Microsoft: no counterpart" },
	{ .name = "OWAForceSMIMEClientUpgrade", .place = IN_NOTHING,
	  .note_true = "there is no client that could be upgraded: no counterpart" },
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

/* sign is "no" in the rule for replies, whatever the table says. */
static int write_place(struct import *import, enum place place, const char *but)
{
	const json_t *value = NULL;
	size_t i;

	for (i = 0; i < ROW_COUNT; i++) {
		value = rows[i].place == place ? value_of(import, rows[i].name) : NULL;
		if (value == NULL || (but != NULL && strcmp(rows[i].key, but) == 0))
			continue;
		if ((rows[i].write != NULL ? rows[i].write : write_boolean)(import, &rows[i], value) != 0)
			return -1;
	}
	return 0;
}

/* What begins like a parameter and is none that we know; the rest is what every object of Exchange has. */
static int note_unknown(struct import *import)
{
	const char *name = NULL;
	char escaped[100];
	void *at = NULL;
	size_t i;

	for (at = json_object_iter(import->settings); at != NULL; at = json_object_iter_next(import->settings, at)) {
		name = json_object_iter_key(at);
		for (i = 0; i < ROW_COUNT && strcasecmp(rows[i].name, name) != 0; i++)
			;
		if (i < ROW_COUNT || json_is_null(json_object_iter_value(at)) ||
		    (strncasecmp(name, "OWA", 3) != 0 && strncasecmp(name, "SMIME", 5) != 0))
			continue;
		if (add_note(import, event_escape(slice_of(name), escaped, sizeof(escaped)), "not known") != 0)
			return -1;
	}
	return 0;
}

static int write_rules(struct import *import)
{
	bool unsigned_replies = is_true(import, "NoSignOnReply") && is_true(import, "OWAAlwaysSign");

	if (add(import, "rules = (\n  { id = \"inbound\"; direction = \"inbound\"; verify = \"mark\";\n") != 0 ||
	    write_place(import, IN_INBOUND, NULL) != 0 || add(import, "  },\n") != 0)
		return -1;
	if (unsigned_replies && (add(import, "  { id = \"replies\"; direction = [ \"outbound\", \"internal\" ];\n") != 0 ||
				 add_line(import, "reply", "\"true\"", "NoSignOnReply") != 0 ||
				 add_line(import, "sign", "\"no\"", "NoSignOnReply") != 0 ||
				 write_place(import, IN_RULE, "sign") != 0 || add(import, "  },\n") != 0))
		return -1;
	import->told = unsigned_replies;
	if (add(import, "  { id = \"exchange\"; direction = [ \"outbound\", \"internal\" ];\n") != 0 ||
	    write_place(import, IN_RULE, NULL) != 0)
		return -1;
	import->told = false;
	return add(import, "  }\n);\n");
}

/* Where no store was given, Exchange trusts what its machine trusts. */
static int write_collection(struct import *import)
{
	if (add(import, "collections = (\n  { name = \"exchange\";\n") != 0 ||
	    write_place(import, IN_COLLECTION, NULL) != 0)
		return -1;
	if (import->out->sst.n == 0 && add_line(import, "system", "true", "no SMIMECertificateIssuingCA") != 0)
		return -1;
	return add(import, "  }\n);\n");
}

static int write_all(struct import *import)
{
	if (add(import, "# from Get-SmimeConfig. local_domains, paths and the directory's uri are yours to fill in.\n"
			"local_domains = [ ];\n") != 0 || write_collection(import) != 0)
		return -1;
	if (add(import, "directories = (\n  { type = \"ldap\"; uri = \"ldaps://dc.example.com\"; "
			"base = \"dc=example,dc=com\";\n") != 0 ||
	    write_place(import, IN_DIRECTORY, NULL) != 0 || add(import, "  }\n);\n") != 0)
		return -1;
	if (add(import, "keystores = (\n  { type = \"pem\"; path = \"/etc/smime-milter/keys\";\n") != 0 ||
	    write_place(import, IN_KEYSTORE, NULL) != 0 || add(import, "  }\n);\n") != 0)
		return -1;
	if (write_rules(import) != 0 || write_place(import, IN_NOTHING, NULL) != 0)
		return -1;
	return note_unknown(import);
}

/* The notes as comments, too. */
static int append_notes(struct import *import)
{
	struct slice notes = buf_slice(&import->out->notes), line;
	long end;

	while ((end = slice_find(notes, '\n')) >= 0) {
		line = slice_first(notes, (size_t)end);
		notes = slice_from(notes, line.n + 1);
		if (buf_printf(&import->out->config, "# %.*s\n", SLICE_ARGS(line)) != 0)
			return err_memory(import->err);
	}
	return 0;
}

int exchange_convert(struct arena *arena, struct slice json, const char *sst_path, struct exchange *exchange,
		     struct err *err)
{
	struct import import = { .arena = arena, .sst_path = sst_path, .out = exchange, .err = err };
	json_t *root = NULL;
	int rc = -1;

	buf_init(&exchange->config, 0);
	buf_init(&exchange->notes, 0);
	buf_init(&exchange->sst, 0);
	root = powershell_parse(json, err);
	if (root == NULL)
		goto out;
	import.settings = json_is_array(root) && json_array_size(root) == 1 ? json_array_get(root, 0) : root;
	if (!json_is_object(import.settings)) {
		err_set(err, ERR_CONFIG, "not one object: write it by Get-SmimeConfig | ConvertTo-Json");
		goto out;
	}
	if (write_all(&import) != 0 || append_notes(&import) != 0)
		goto out;
	rc = 0;
out:
	json_decref(root);
	return rc;
}

void exchange_clear(struct exchange *exchange)
{
	buf_clear(&exchange->config);
	buf_clear(&exchange->notes);
	buf_clear(&exchange->sst);
}
