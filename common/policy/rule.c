/* rule.c - the keys of a rule (INTERFACE 2), as a table, and their compilation into patterns and bits.
 *
 * Keys that this version knows but cannot do yet stand in `later`: any value but the default is refused, since a wish
 * that is read and not fulfilled would be worse than a start that fails.
 */
#include "policy/rule.h"

#include <stddef.h>
#include <string.h>

#include "pki/dn_attribute.h"

const char *const direction_names[] = { "inbound", "outbound", "internal", NULL };

static const char *const sign_names[] = { "no", "if-key", "require", NULL };
static const char *const sign_for_names[] = { "sender", "login", "any", NULL };
static const char *const sign_format_names[] = { "clear", "opaque", NULL };
static const char *const sign_padding_names[] = { "pkcs1", "pss", NULL };
static const char *const include_chain_names[] = { "chain", "none", "chain-and-root", NULL };
static const char *const encrypt_names[] = { "no", "if-possible", "require", NULL };
static const char *const key_transport_names[] = { "pkcs1", "oaep", NULL };
static const char *const recipient_identifier_names[] = { "issuer-serial", "key-id", NULL };
static const char *const bcc_names[] = { "fork-each", "fork-together", "together", NULL };
static const char *const no_certificate_names[] = { "reject", "tempfail", "drop-recipient", NULL };
static const char *const send_revocation_names[] = { "soft", "off", "hard", NULL };
static const char *const header_protection_names[] = { "off", "clear", "cipher", NULL };
static const char *const verify_names[] = { "mark", "off", "reject", NULL };
static const char *const decrypt_names[] = { "no", "if-key", NULL };
static const char *const cbc_unsigned_names[] = { "mark", "keep-encrypted", NULL };
static const char *const remove_results_names[] = { "smime", "all", NULL };
static const char *const harvest_names[] = { "off", "pending", "on", NULL };
static const char *const protection_names[] = { "signed", "encrypted", NULL };
static const char *const reply_names[] = { "any", "true", "false", "encrypted", NULL };

#define AT(member) offsetof(struct rule_settings, member)

static const struct conf_row header_rows[] = {
	{ .name = "name", .type = CONF_STRING, .offset = 0, .required = true },
	{ .name = "value", .type = CONF_STRING, .offset = sizeof(const char *) },
	{ .name = NULL }
};
static const struct conf_table header_table = { header_rows, 2 * sizeof(const char *) };

static const struct conf_row rows[] = {
	{ .name = "id", .type = CONF_STRING, .offset = AT(id), .required = true, .unique = true },
	{ .name = "direction", .type = CONF_ENUMS, .offset = AT(direction), .names = direction_names },
	{ .name = "sender", .type = CONF_STRINGS, .offset = AT(sender) },
	{ .name = "recipient", .type = CONF_STRINGS, .offset = AT(recipient) },
	{ .name = "from", .type = CONF_STRINGS, .offset = AT(from) },
	{ .name = "client", .type = CONF_STRINGS, .offset = AT(client) },
	{ .name = "authenticated", .type = CONF_BOOL, .offset = AT(authenticated) },
	{ .name = "header", .type = CONF_GROUP, .offset = AT(header), .table = &header_table },
	{ .name = "kind", .type = CONF_ENUMS, .offset = AT(kind), .names = kind_names },
	{ .name = "reply", .type = CONF_ENUM, .offset = AT(reply), .names = reply_names },
	{ .name = "sign", .type = CONF_ENUM, .offset = AT(sign), .names = sign_names },
	{ .name = "sign_for", .type = CONF_ENUM, .offset = AT(sign_for), .names = sign_for_names },
	{ .name = "sign_as", .type = CONF_STRINGS, .offset = AT(sign_as), .preset = "from" },
	{ .name = "sign_format", .type = CONF_ENUM, .offset = AT(sign_format), .names = sign_format_names },
	{ .name = "sign_padding", .type = CONF_ENUM, .offset = AT(sign_padding), .names = sign_padding_names },
	{ .name = "digests", .type = CONF_ENUMS, .offset = AT(digests), .names = digest_names,
	  .preset = "sha256 sha384 sha512" },
	{ .name = "include_chain", .type = CONF_ENUM, .offset = AT(include_chain), .names = include_chain_names },
	{ .name = "announce_encryption", .type = CONF_BOOL, .offset = AT(announce_encryption), .preset = "true" },
	{ .name = "encrypt", .type = CONF_ENUM, .offset = AT(encrypt), .names = encrypt_names },
	{ .name = "encrypt_to", .type = CONF_STRINGS, .offset = AT(encrypt_to), .preset = "recipient" },
	{ .name = "additional_recipients", .type = CONF_STRINGS, .offset = AT(additional_recipients) },
	{ .name = "ciphers", .type = CONF_ENUMS, .offset = AT(ciphers), .names = cipher_names,
	  .preset = "aes256-cbc aes128-cbc aes256-gcm aes128-gcm" },
	{ .name = "key_transport", .type = CONF_ENUM, .offset = AT(key_transport), .names = key_transport_names },
	{ .name = "recipient_identifier", .type = CONF_ENUM, .offset = AT(recipient_identifier),
	  .names = recipient_identifier_names },
	{ .name = "triple_wrap", .type = CONF_BOOL, .offset = AT(triple_wrap) },
	{ .name = "bcc", .type = CONF_ENUM, .offset = AT(bcc), .names = bcc_names },
	{ .name = "no_certificate", .type = CONF_ENUM, .offset = AT(no_certificate), .names = no_certificate_names },
	{ .name = "send_revocation", .type = CONF_ENUM, .offset = AT(send_revocation),
	  .names = send_revocation_names },
	{ .name = "header_protection", .type = CONF_ENUM, .offset = AT(header_protection),
	  .names = header_protection_names },
	{ .name = "wrap_protected", .type = CONF_BOOL, .offset = AT(wrap_protected) },
	{ .name = "verify", .type = CONF_ENUM, .offset = AT(verify), .names = verify_names },
	{ .name = "require_protection", .type = CONF_ENUMS, .offset = AT(require_protection),
	  .names = protection_names },
	{ .name = "accept_signer", .type = CONF_STRINGS, .offset = AT(accept_signer) },
	{ .name = "collection", .type = CONF_STRINGS, .offset = AT(collection) },
	{ .name = "decrypt", .type = CONF_ENUM, .offset = AT(decrypt), .names = decrypt_names },
	{ .name = "cbc_unsigned", .type = CONF_ENUM, .offset = AT(cbc_unsigned), .names = cbc_unsigned_names },
	{ .name = "remove_signature", .type = CONF_BOOL, .offset = AT(remove_signature) },
	{ .name = "remove_results", .type = CONF_ENUM, .offset = AT(remove_results), .names = remove_results_names },
	{ .name = "harvest", .type = CONF_ENUM, .offset = AT(harvest), .names = harvest_names },
	{ .name = "strip_headers", .type = CONF_STRINGS, .offset = AT(strip_headers) },
	{ .name = "mismatch_attributes", .type = CONF_ENUMS, .offset = AT(mismatch_attributes),
	  .names = dn_attribute_names },
	{ .name = NULL }
};

const struct conf_table rule_conf = { rows, sizeof(struct rule_settings) };

static int later(struct conf *conf, const void *member, const char *key, struct err *err)
{
	return conf_finding(conf, member, err, "%s: this value is known, but not available in this version", key);
}

/* One row a key whose other values come with later versions. */
static int refuse_later(const struct rule_settings *s, struct conf *conf, struct err *err)
{
	const struct { const char *key; const void *member; bool wanted; } keys[] = {
		{ "header_protection", &s->header_protection, s->header_protection != 0 },
		{ "cbc_unsigned", &s->cbc_unsigned, s->cbc_unsigned != 0 },
	};
	int rc = 0;
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].wanted)
			rc = later(conf, keys[i].member, keys[i].key, err);
	return rc;
}

static int compile_patterns(struct arena *arena, const struct conf_strings *strings, struct conf *conf,
			    struct pattern_list *list, struct err *err)
{
	struct err why;
	size_t i;

	list->items = arena_array(arena, strings->n, sizeof(*list->items));
	if (list->items == NULL)
		return err_memory(err);
	for (i = 0; i < strings->n; i++)
		if (pattern_parse_address(arena, strings->items[i], &list->items[i], &why) != 0)
			return conf_finding(conf, &strings->items[i], err, "%s", why.text);
	list->n = strings->n;
	return 0;
}

static unsigned enum_bits(const struct conf_enums *enums)
{
	unsigned bits = 0;
	size_t i;

	for (i = 0; i < enums->n; i++)
		bits |= 1U << enums->items[i];
	return bits;
}

/* A whole address, domain included: nothing else can be compared with a certificate's. words: what may stand in its
 * place, for whoever mistyped one; NULL: nothing. */
static int parse_address(struct arena *arena, const char *text, const char *const *words, struct address *address,
			 struct err *err)
{
	const char *near = words != NULL ? conf_nearest(text, words) : NULL;

	if (address_parse(arena, slice_of(text), address, err) != 0)
		return -1;
	if (address->domain.n > 0)
		return 0;
	if (near != NULL)
		return err_set(err, ERR_CONFIG, "\"%s\" is no address; did you mean \"%s\"?", text, near);
	return err_set(err, ERR_CONFIG, "\"%s\" is no address", text);
}

static int compile_one_sign_as(struct arena *arena, const char *text, struct sign_as *as, struct err *err)
{
	static const char *const words[] = { "from", "domain", NULL };

	as->who = strcmp(text, "from") == 0 ? SIGN_AS_FROM : strcmp(text, "domain") == 0 ? SIGN_AS_DOMAIN :
		  SIGN_AS_ADDRESS;
	return as->who == SIGN_AS_ADDRESS ? parse_address(arena, text, words, &as->address, err) : 0;
}

static int compile_sign_as(struct arena *arena, const struct rule_settings *settings, struct conf *conf,
			   struct rule *rule, struct err *err)
{
	const struct conf_strings *as = &settings->sign_as;
	struct err why;
	size_t i;

	if (as->n == 0)
		return conf_finding(conf, as, err, "sign_as: names nobody");
	rule->sign_as = arena_array(arena, as->n, sizeof(*rule->sign_as));
	if (rule->sign_as == NULL)
		return err_memory(err);
	for (i = 0; i < as->n; i++)
		if (compile_one_sign_as(arena, as->items[i], &rule->sign_as[i], &why) != 0)
			return conf_finding(conf, &as->items[i], err, "sign_as: %s", why.text);
	rule->sign_as_count = as->n;
	return 0;
}

static int compile_encrypt_to(struct arena *arena, const struct rule_settings *settings, struct conf *conf,
			      struct rule *rule, struct err *err)
{
	static const char *const words[] = { "recipient", "domain", NULL };
	const struct conf_strings *to = &settings->encrypt_to;
	struct err why;
	size_t i;

	rule->encrypt_to = arena_array(arena, to->n, sizeof(*rule->encrypt_to));
	if (rule->encrypt_to == NULL)
		return err_memory(err);
	for (i = 0; i < to->n; i++) {
		if (strcmp(to->items[i], "recipient") == 0)
			rule->encrypt_to[i].kind = ENCRYPT_TO_RECIPIENT;
		else if (strcmp(to->items[i], "domain") == 0)
			rule->encrypt_to[i].kind = ENCRYPT_TO_DOMAIN;
		else if (parse_address(arena, to->items[i], words, &rule->encrypt_to[i].address, &why) == 0)
			rule->encrypt_to[i].kind = ENCRYPT_TO_ADDRESS;
		else
			return conf_finding(conf, &to->items[i], err, "encrypt_to: %s", why.text);
	}
	if (to->n == 0)
		return conf_finding(conf, to, err, "encrypt_to: empty, it would encrypt to nobody");
	rule->encrypt_to_count = to->n;
	return 0;
}

static int compile_additional(struct arena *arena, const struct rule_settings *settings, struct conf *conf,
			      struct rule *rule, struct err *err)
{
	static const char *const words[] = { "sender", NULL };
	const struct conf_strings *names = &settings->additional_recipients;
	struct err why;
	size_t i;

	rule->additional = arena_array(arena, names->n, sizeof(*rule->additional));
	if (rule->additional == NULL)
		return err_memory(err);
	for (i = 0; i < names->n; i++) {
		rule->additional[i].sender = strcmp(names->items[i], "sender") == 0;
		if (!rule->additional[i].sender &&
		    parse_address(arena, names->items[i], words, &rule->additional[i].address, &why) != 0)
			return conf_finding(conf, &names->items[i], err, "additional_recipients: %s", why.text);
	}
	rule->additional_count = names->n;
	return 0;
}

static bool is_sha256(const char *text)
{
	return strlen(text) == 64 && strspn(text, "0123456789abcdefABCDEF") == 64;
}

static int compile_one_accept_signer(struct arena *arena, const char *text, struct rule *rule, struct err *err)
{
	char *copy = NULL;

	if (!is_sha256(text))
		return parse_address(arena, text, NULL, &rule->accept_addresses[rule->accept_address_count++], err);
	copy = arena_strdup(arena, text);
	if (copy == NULL)
		return err_memory(err);
	ascii_lower(copy, 64);
	rule->accept_sha256[rule->accept_sha256_count++] = copy;
	return 0;
}

static int compile_accept_signer(struct arena *arena, const struct rule_settings *settings, struct conf *conf,
				 struct rule *rule, struct err *err)
{
	const struct conf_strings *accept = &settings->accept_signer;
	struct err why;
	size_t i;

	rule->accept_addresses = arena_array(arena, accept->n, sizeof(*rule->accept_addresses));
	rule->accept_sha256 = arena_array(arena, accept->n, sizeof(*rule->accept_sha256));
	if (rule->accept_addresses == NULL || rule->accept_sha256 == NULL)
		return err_memory(err);
	for (i = 0; i < accept->n; i++)
		if (compile_one_accept_signer(arena, accept->items[i], rule, &why) != 0)
			return conf_finding(conf, &accept->items[i], err, "accept_signer: %s", why.text);
	if (accept->n > 0 && settings->from.n == 0)
		return conf_finding(conf, accept, err,
				    "accept_signer needs `from`: it vouches for the senders that `from` names");
	return 0;
}

const char *rule_strip_problem(const char *name)
{
	/* Without these, what is left is no message, or another one. */
	static const char *const needed[] = { "From", "Date", "MIME-Version" };
	size_t i;

	if (*name == '\0' || name[strcspn(name, " \t:\r\n")] != '\0')
		return "is no field name";
	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (slice_is_nocase(slice_of(name), needed[i]))
			return "cannot be spared";
	return slice_starts_nocase(slice_of(name), "Content-") ? "cannot be spared" : NULL;
}

static int check_strip_headers(const struct rule_settings *settings, struct conf *conf, struct err *err)
{
	const struct conf_strings *names = &settings->strip_headers;
	const char *problem = NULL;
	size_t i;

	for (i = 0; i < names->n; i++) {
		problem = rule_strip_problem(names->items[i]);
		if (problem != NULL)
			return conf_finding(conf, &names->items[i], err, "strip_headers: \"%s\" %s", names->items[i],
					    problem);
	}
	return 0;
}

int rule_compile(struct arena *arena, const struct rule_settings *settings, struct conf *conf, struct rule *rule,
		 struct err *err)
{
	int bad = 0;

	memset(rule, 0, sizeof(*rule));
	rule->settings = settings;
	rule->id = settings->id;
	rule->directions = enum_bits(&settings->direction);
	rule->kinds = enum_bits(&settings->kind);
	rule->authenticated = conf_given(conf, &settings->authenticated) ? settings->authenticated : -1;
	bad |= compile_patterns(arena, &settings->sender, conf, &rule->sender, err);
	bad |= compile_patterns(arena, &settings->recipient, conf, &rule->recipient, err);
	bad |= compile_patterns(arena, &settings->from, conf, &rule->from, err);
	bad |= network_list_compile(arena, &settings->client, conf, &rule->client, err);
	bad |= compile_sign_as(arena, settings, conf, rule, err);
	bad |= compile_encrypt_to(arena, settings, conf, rule, err);
	bad |= compile_additional(arena, settings, conf, rule, err);
	bad |= check_strip_headers(settings, conf, err);
	bad |= compile_accept_signer(arena, settings, conf, rule, err);
	if (settings->remove_signature && settings->verify == VERIFY_OFF)
		bad |= conf_finding(conf, &settings->remove_signature, err,
				    "remove_signature needs verify: what was proven would be told nowhere");
	if (settings->harvest != HARVEST_OFF && settings->verify == VERIFY_OFF)
		bad |= conf_finding(conf, &settings->harvest, err,
				    "harvest needs verify: certificates are learned from signatures that pass");
	bad |= refuse_later(settings, conf, err);
	return bad == 0 ? 0 : -1;
}
