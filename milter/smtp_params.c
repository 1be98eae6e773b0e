/* smtp_params.c - see smtp_params.h. Called by reinject.c and dsn.c. RFC 3461 4, Postfix's XFORWARD_README. */
#include "milter/smtp_params.h"

#include <string.h>

#define ATTRIBUTE_BYTES 255

static struct slice take_word(struct slice *rest)
{
	struct slice text = slice_trim(*rest);
	long blank = slice_find(text, ' ');
	struct slice word = blank < 0 ? text : slice_first(text, (size_t)blank);

	*rest = slice_from(text, word.n);
	return word;
}

bool smtp_param(const char *args, const char *name, struct slice *value)
{
	struct slice rest = slice_of(args), word;

	while (word = take_word(&rest), word.n > 0) {
		long equals = slice_find(word, '=');

		if (!slice_is_nocase(equals < 0 ? word : slice_first(word, (size_t)equals), name))
			continue;
		*value = equals < 0 ? slice_make("", 0) : slice_from(word, (size_t)equals + 1);
		return true;
	}
	return false;
}

int smtp_xtext(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		bool plain = c > 0x20 && c < 0x7f && c != '+' && c != '=';

		if ((plain ? buf_append_char(out, (char)c) : buf_printf(out, "+%02X", c)) != 0)
			return -1;
	}
	return 0;
}

int smtp_xtext_decode(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		int high, low;

		if (text.p[i] != '+') {
			if (buf_append_char(out, text.p[i]) != 0)
				return -1;
			continue;
		}
		if (text.n - i < 3)
			return -1;
		high = ascii_hex_value(text.p[i + 1]);
		low = ascii_hex_value(text.p[i + 2]);
		if (high < 0 || low < 0 || buf_append_char(out, (char)(high * 16 + low)) != 0)
			return -1;
		i += 2;
	}
	return 0;
}

static int keep(struct buf *out, const char *args, const char *name, struct err *err)
{
	struct slice value;

	if (!smtp_param(args, name, &value) || value.n == 0)
		return 0;
	if (buf_append_char(out, ' ') != 0 || buf_append_text(out, name) != 0 || buf_append_char(out, '=') != 0 ||
	    buf_append_slice(out, value) != 0)
		return err_memory(err);
	return 0;
}

static int check_offers(bool utf8, const struct smtp_offers *offers, const struct smtp_facts *facts, struct err *err)
{
	if (utf8 && !offers->utf8)
		return err_set(err, ERR_TEMP, "SMTPUTF8 is not offered and the message needs it");
	if (facts->eight_bit && !offers->eight_bit)
		return err_set(err, ERR_TEMP, "8BITMIME is not offered and the message needs it");
	if (offers->size_bytes != 0 && facts->size_bytes > offers->size_bytes)
		return err_set(err, ERR_TEMP, "%llu bytes, and at most %llu are taken",
			       (unsigned long long)facts->size_bytes, (unsigned long long)offers->size_bytes);
	return 0;
}

int smtp_mail_params(struct buf *out, const char *args, const struct smtp_offers *offers,
		     const struct smtp_facts *facts, struct err *err)
{
	struct slice value;
	bool utf8 = facts->utf8_needed || smtp_param(args, "SMTPUTF8", &value);

	if (check_offers(utf8, offers, facts, err) != 0)
		return -1;
	if (offers->dsn && (keep(out, args, "RET", err) != 0 || keep(out, args, "ENVID", err) != 0))
		return -1;
	if (offers->auth && keep(out, args, "AUTH", err) != 0)
		return -1;
	if (offers->eight_bit && buf_append_text(out, facts->eight_bit ? " BODY=8BITMIME" : " BODY=7BIT") != 0)
		return err_memory(err);
	if (offers->size && buf_printf(out, " SIZE=%llu", (unsigned long long)facts->size_bytes) != 0)
		return err_memory(err);
	if (utf8 && buf_append_text(out, " SMTPUTF8") != 0)
		return err_memory(err);
	return 0;
}

int smtp_rcpt_params(struct buf *out, const char *args, const struct smtp_offers *offers, struct err *err)
{
	if (!offers->dsn)
		return 0;
	return keep(out, args, "NOTIFY", err) != 0 || keep(out, args, "ORCPT", err) != 0 ? -1 : 0;
}

int smtp_xforward(struct buf *out, const struct smtp_client *client, enum smtp_attribute attribute,
		  const struct smtp_offers *offers, struct err *err)
{
	struct slice text = slice_first(slice_of(client->attributes[attribute]), ATTRIBUTE_BYTES);
	bool ipv6 = attribute == SMTP_ADDR && slice_find(text, ':') >= 0 && !slice_starts_nocase(text, "IPV6:");

	if (text.n == 0 || !offers->xforward[attribute])
		return 0;
	if (buf_printf(out, " %s=%s", smtp_attribute_names[attribute], ipv6 ? "IPV6:" : "") != 0 ||
	    smtp_xtext(out, text) != 0)
		return err_memory(err);
	return 0;
}
