/* recipe.c - see recipe.h. The S/MIME in it is OpenSSL's, through craft.h. */
#include "support/recipe.h"

#include <stdlib.h>
#include <string.h>

#include "support/craft.h"
#include "support/dertext.h"
#include "support/oracle.h"
#include "support/words.h"

#define RECIPIENTS_MAX 8

static int wrong(struct recipe *recipe, const char *what, const char *object)
{
	recipe->wrong = arena_printf(recipe->arena, "%s: %s", what, object);
	return -1;
}

/* The message's fields: those that stay outside into outer, Content-* into inner. */
static void part_fields(struct slice message, struct buf *outer, struct buf *inner)
{
	struct slice header, body, line;
	bool content = false;
	int bad = 0;

	oracle_split(message, &header, &body);
	while (words_next_line(&header, &line)) {
		if (line.n > 0 && line.p[0] != ' ' && line.p[0] != '\t')
			content = slice_starts_nocase(line, "Content-");
		if (slice_starts_nocase(line, "MIME-Version:"))
			continue;
		bad |= buf_append(content ? inner : outer, line.p, line.n);
		bad |= buf_append_char(content ? inner : outer, '\n');
	}
	bad |= buf_append_text(inner, "\r\n");
	bad |= buf_append_slice(inner, body);
	bad |= buf_append_char(outer, '\0');
	if (bad != 0)
		abort();
}

static void add_extra(struct craft *craft, const struct testpki *pki)
{
	size_t n = 0;

	while (n < 8 && craft->extra[n] != NULL)
		n++;
	if (n < 8)
		craft->extra[n] = pki;
}

/* The first signer's issuers: without the self-signed one, or with it. */
static void add_issuers(struct craft *craft, bool root)
{
	for (const struct testpki *up = craft->signers[0].pki->issuer; up != NULL; up = up->issuer)
		if (root || up->issuer != NULL)
			add_extra(craft, up);
}

static int read_preference(struct recipe *recipe, const char *how, const char *name, struct craft_signer *signer)
{
	static const char *const words[] = { [CRAFT_PREFERS_SERIAL] = "serial", [CRAFT_PREFERS_KEY_ID] = "key-id",
					     [CRAFT_PREFERS_ALT_KEY_ID] = "alt-key-id",
					     [CRAFT_PREFERS_OUTLOOK] = "outlook", [CRAFT_PREFERS_JUNK] = "junk" };

	signer->prefers = people_find(recipe->people, name);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && signer->prefers != NULL; i++) {
		if (strcmp(how, words[i]) != 0)
			continue;
		signer->preference = (enum craft_preference)i;
		return 0;
	}
	return wrong(recipe, "prefers", how);
}

/* What the signer tells of himself. 1: word was none of it. */
static int read_announcement(struct recipe *recipe, const struct words *words, size_t *i, struct craft *craft)
{
	struct craft_signer *signer = &craft->signers[0];
	const char *word = words->items[*i];

	if (strcmp(word, "with") == 0)
		add_extra(craft, people_find(recipe->people, words->items[++*i]));
	else if (strcmp(word, "gcm") == 0)
		signer->gcm = true;
	else if (strcmp(word, "signed-at") == 0)
		signer->signed_at = time(NULL) + strtol(words->items[++*i], NULL, 10);
	else if (strcmp(word, "prefers") != 0)
		return 1;
	else if (read_preference(recipe, words->items[*i + 1], words->items[*i + 2], signer) != 0)
		return -1;
	else
		*i += 2;
	return 0;
}

static int read_flags(struct recipe *recipe, const struct words *words, struct craft *craft)
{
	struct craft_signer *signer = &craft->signers[0];

	for (size_t i = 3; i < words->n; i++) {
		const char *word = words->items[i];

		if (strcmp(word, "sha1") == 0)
			signer->md = EVP_sha1();
		else if (strcmp(word, "sha384") == 0)
			signer->md = EVP_sha384();
		else if (strcmp(word, "sha512") == 0)
			signer->md = EVP_sha512();
		else if (strcmp(word, "noattr") == 0)
			signer->flags |= CMS_NOATTR;
		else if (strcmp(word, "nocerts") == 0)
			signer->flags |= CMS_NOCERTS;
		else if (strcmp(word, "keyid") == 0)
			signer->flags |= CMS_USE_KEYID;
		else if (strcmp(word, "pss") == 0)
			signer->pss = true;
		else if (strcmp(word, "receipt") == 0)
			craft->content_type = NID_id_smime_ct_receipt;
		else if (strcmp(word, "chain") == 0 || strcmp(word, "root") == 0)
			add_issuers(craft, strcmp(word, "root") == 0);
		else if (strcmp(word, "content") == 0)
			craft->other_content = words->items[++i];
		else if (strcmp(word, "field") == 0)
			recipe->field = words->items[++i];
		else if (strcmp(word, "crls") == 0)
			craft->crl_file = arena_printf(recipe->arena, "%s/%s", recipe->people->dir,
						       words->items[++i]);
		else if (strcmp(word, "twice") == 0)
			craft->signers[1].pki = people_find(recipe->people, words->items[++i]);
		else if (read_announcement(recipe, words, &i, craft) != 0)
			return wrong(recipe, "sign", word);
	}
	return 0;
}

/* outer, then what `wrap` makes of inner, becomes the message. */
static void take(struct recipe *recipe, struct buf *made)
{
	buf_clear(&recipe->message);
	recipe->message = *made;
}

static int order_sign(struct recipe *recipe, const struct words *words)
{
	bool clear = strcmp(words->items[2], "clear") == 0;
	const struct testpki *who = people_find(recipe->people, words->items[1]);
	struct craft craft = { .signers = { { .pki = who } }, .detached = clear };
	bool nobody = strcmp(words->items[1], "none") == 0;
	struct buf outer, inner, der, made;

	if ((who == NULL && !nobody) || (!clear && strcmp(words->items[2], "opaque") != 0))
		return wrong(recipe, "sign", words->items[1]);
	if (read_flags(recipe, words, &craft) != 0)
		return -1;
	buf_init(&outer, 0);
	buf_init(&inner, 0);
	buf_init(&der, 0);
	buf_init(&made, 0);
	if (recipe->field != NULL && buf_printf(&inner, "%s\r\n", recipe->field) != 0)
		return wrong(recipe, "memory", "");
	recipe->field = NULL;
	part_fields(buf_slice(&recipe->message), &outer, &inner);
	craft_cms(&craft, buf_slice(&inner), &der);
	if (clear)
		craft_clear((const char *)outer.p, buf_slice(&inner), buf_slice(&der), &made);
	else
		craft_opaque((const char *)outer.p, "signed-data", buf_slice(&der), &made);
	buf_clear(&outer);
	buf_clear(&inner);
	buf_clear(&der);
	take(recipe, &made);
	return 0;
}

/* NULL: no such cipher. */
static const EVP_CIPHER *cipher_by_name(const char *name)
{
	if (strcmp(name, "gcm") == 0)
		return EVP_aes_256_gcm();
	if (strcmp(name, "3des") == 0)
		return EVP_des_ede3_cbc();
	return strcmp(name, "cbc") == 0 ? EVP_aes_256_cbc() : NULL;
}

static int order_encrypt(struct recipe *recipe, const struct words *words)
{
	const struct testpki *who[RECIPIENTS_MAX] = { people_find(recipe->people, words->items[1]) };
	const EVP_CIPHER *cipher = cipher_by_name(words->items[2]);
	const char *type = cipher == EVP_aes_256_gcm() ? "authEnveloped-data" : "enveloped-data";
	struct buf outer, inner, der, made;
	bool key_id = false;
	size_t n = 1;

	for (size_t i = 3; i < words->n && n < RECIPIENTS_MAX; i++)
		if (strcmp(words->items[i], "key-id") == 0)
			key_id = true;
		else
			who[n++] = people_find(recipe->people, words->items[i]);
	for (size_t i = 0; i < n; i++)
		if (who[i] == NULL || cipher == NULL)
			return wrong(recipe, "encrypt", words->items[1]);
	buf_init(&outer, 0);
	buf_init(&inner, 0);
	buf_init(&der, 0);
	buf_init(&made, 0);
	part_fields(buf_slice(&recipe->message), &outer, &inner);
	craft_envelope_for(who, n, key_id, cipher, buf_slice(&inner), &der);
	craft_opaque((const char *)outer.p, type, buf_slice(&der), &made);
	buf_clear(&outer);
	buf_clear(&inner);
	buf_clear(&der);
	take(recipe, &made);
	return 0;
}

static int order_der(struct recipe *recipe, const struct words *words)
{
	struct buf outer, inner, der, made;
	struct slice header, body;

	buf_init(&outer, 0);
	buf_init(&inner, 0);
	buf_init(&der, 0);
	buf_init(&made, 0);
	part_fields(buf_slice(&recipe->message), &outer, &inner);
	oracle_split(buf_slice(&recipe->message), &header, &body);
	dertext(arena_string(recipe->arena, body), &der);
	craft_opaque((const char *)outer.p, words->items[1], buf_slice(&der), &made);
	buf_clear(&outer);
	buf_clear(&inner);
	buf_clear(&der);
	take(recipe, &made);
	return 0;
}

static int order_mix(struct recipe *recipe, const struct words *words)
{
	struct buf outer, inner, made;
	int bad = 0;

	buf_init(&outer, 0);
	buf_init(&inner, 0);
	buf_init(&made, 0);
	part_fields(buf_slice(&recipe->message), &outer, &inner);
	bad |= buf_printf(&made, "%sMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=-mix\"\r\n\r\n"
			  "--=-mix\r\nContent-Type: text/plain\r\n\r\n%s\r\n--=-mix\r\n",
			  (const char *)outer.p, words->items[1]);
	bad |= buf_append_slice(&made, buf_slice(&inner));
	bad |= buf_append_text(&made, "\r\n--=-mix--\r\n");
	buf_clear(&outer);
	buf_clear(&inner);
	take(recipe, &made);
	return bad;
}

static int order_forward(struct recipe *recipe, const struct words *words)
{
	struct buf made;
	int bad = 0;

	buf_init(&made, 0);
	bad |= buf_printf(&made, "From: %s\r\nTo: alice@example.com\r\nMIME-Version: 1.0\r\n"
			  "Content-Type: message/rfc822\r\n\r\n", words->items[1]);
	bad |= buf_append_slice(&made, buf_slice(&recipe->message));
	take(recipe, &made);
	return bad;
}

static int order_certs_only(struct recipe *recipe, const struct words *words)
{
	const struct testpki *who = people_find(recipe->people, words->items[1]);
	struct buf outer, inner, der, made;

	if (who == NULL)
		return wrong(recipe, "certs-only", words->items[1]);
	buf_init(&outer, 0);
	buf_init(&inner, 0);
	buf_init(&der, 0);
	buf_init(&made, 0);
	part_fields(buf_slice(&recipe->message), &outer, &inner);
	testpki_p7b(&who, 1, false, &der);
	craft_opaque((const char *)outer.p, "certs-only", buf_slice(&der), &made);
	buf_clear(&outer);
	buf_clear(&inner);
	buf_clear(&der);
	take(recipe, &made);
	return 0;
}

static int replace_all(struct recipe *recipe, const char *from, struct slice to)
{
	struct slice bytes = buf_slice(&recipe->message);

	if (words_find(bytes, from) == NULL)
		return wrong(recipe, "replace: not found", from);
	bytes = words_replace(recipe->arena, bytes, from, to);
	buf_reset(&recipe->message);
	return buf_append_slice(&recipe->message, bytes);
}

static int order_replace(struct recipe *recipe, const struct words *words)
{
	return replace_all(recipe, words->items[1], slice_make(words->items[2], words->bytes[2]));
}

static int order_grow(struct recipe *recipe, const struct words *words)
{
	long count = strtol(words->items[2], NULL, 10);
	struct buf grown;
	int rc = 0;

	buf_init(&grown, 0);
	for (long i = 0; i < count && rc == 0; i++)
		rc = buf_append(&grown, words->items[3], words->bytes[3]);
	if (rc == 0)
		rc = replace_all(recipe, words->items[1], buf_slice(&grown));
	buf_clear(&grown);
	return rc;
}

/* The whole message as one quoted word. */
static int order_unescape(struct recipe *recipe, const struct words *words)
{
	struct slice quoted;
	struct words one;

	(void)words;
	quoted = words_replace(recipe->arena, buf_slice(&recipe->message), "\"", slice_of("\\\""));
	quoted = slice_of(arena_printf(recipe->arena, "\"%.*s\"", SLICE_ARGS(quoted)));
	if (words_parse(recipe->arena, quoted, &one) != 0 || one.n != 1)
		return wrong(recipe, "unescape", "a broken escape");
	buf_reset(&recipe->message);
	return buf_append(&recipe->message, one.items[0], one.bytes[0]);
}

static int order_lf(struct recipe *recipe, const struct words *words)
{
	(void)words;
	return replace_all(recipe, "\r\n", slice_of("\n"));
}

static int order_vanish(struct recipe *recipe, const struct words *words)
{
	recipe->vanish = words->items[1];
	return 0;
}

static const struct order {
	const char *name;
	size_t words;			/* at least, itself counted */
	int (*run)(struct recipe *recipe, const struct words *words);
} table[] = {
	{ "sign", 3, order_sign },
	{ "encrypt", 3, order_encrypt },
	{ "der", 2, order_der },
	{ "mix", 2, order_mix },
	{ "forward", 2, order_forward },
	{ "certs-only", 2, order_certs_only },
	{ "replace", 3, order_replace },
	{ "grow", 4, order_grow },
	{ "unescape", 1, order_unescape },
	{ "lf", 1, order_lf },
	{ "vanish", 2, order_vanish },
};

static int carry_out(struct recipe *recipe, const struct words *words)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].name, words->items[0]) == 0 && words->n >= table[i].words)
			return table[i].run(recipe, words);
	return wrong(recipe, "no such order, or words are missing", words->items[0]);
}

int recipe_make(struct recipe *recipe, struct slice orders)
{
	struct words words;
	struct slice line;

	recipe->wrong = "";
	while (words_next_line(&orders, &line)) {
		if (words_parse(recipe->arena, line, &words) != 0)
			return wrong(recipe, "cannot be read", arena_string(recipe->arena, line));
		if (words.n > 0 && carry_out(recipe, &words) != 0)
			return -1;
	}
	return 0;
}
