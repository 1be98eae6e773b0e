/* generate_header.c - the grammar of header fields: mailboxes with everything that RFC 5322 and its obsolete syntax
 * allow, structured values with RFC 2231 and RFC 2047, fields twice and misspelled. Called by generate.c.
 */
#include <stdio.h>
#include <string.h>

#include "dice.h"

static void cfws(struct dice *dice)
{
	static const char *const odd[] = {
		" ", "\t", "\r\n ", "\r\n\t", "(x)", " (a (b) c) ", "(<eve@evil.example>)", "(a\\)b)",
		"(eve@evil.example)", "(\")", " ", " (=?utf-8?q?=29?=) ", "(,)", "\r\n (f)\r\n "
	};

	if (dice_odd(dice))
		dice_token(dice, DICE_ONE_OF(dice, odd));
}

static void atom(struct dice *dice)
{
	static const char *const atoms[] = {
		"a", "bob", "alice", "x-y", "a+b", "UPPER", "o'neil", "{z}", "a_b", "1"
	};
	static const char *const odd[] = {
		"\xc3\xbc", "=?utf-8?q?a=40b?=", "a=b", "\xe4", "=?utf-8?b?YUBi?=", "a?b"
	};

	dice_token(dice, dice_odd(dice) ? DICE_ONE_OF(dice, odd) : DICE_ONE_OF(dice, atoms));
}

static void local_part(struct dice *dice)
{
	static const char *const quoted[] = {
		"\"a b\"", "\"bob\"", "\"eve@evil.example\"", "\"a\\\"b\"", "\"\"", "\"a\\\\b\"", "\".\"",
		"\"a\r\n b\"", "\"(c)\"", "\"<\"", "\"a,b\""
	};

	if (dice_odd(dice)) {
		dice_token(dice, DICE_ONE_OF(dice, quoted));
		if (!dice_odd(dice))
			return;
		dice_token(dice, ".");
	}
	atom(dice);
	while (dice_chance(dice, 25)) {
		cfws(dice);
		dice_token(dice, ".");
		cfws(dice);
		atom(dice);
	}
	if (dice_odd(dice) && dice_odd(dice))
		dice_token(dice, ".");
}

static void domain(struct dice *dice)
{
	static const char *const names[] = {
		"example.com", "partner.example", "mail.example.org", "Example.COM", "a.b.c.d.example"
	};
	static const char *const odd[] = {
		"[192.0.2.1]", "b\303\274cher.example", "xn--bcher-kva.example", "example.com.", "example",
		"example . com", "example.(x)com", "[IPv6:2001:db8::1]", "a..b.example", ".example",
		"under_score.example", "[ 192.0.2.1 ]", "example,com", "\"example.com\"", "ex\xe4mple.com",
		"-a.example"
	};

	dice_token(dice, dice_odd(dice) ? DICE_ONE_OF(dice, odd) : DICE_ONE_OF(dice, names));
}

static void addr_spec(struct dice *dice)
{
	local_part(dice);
	cfws(dice);
	dice_token(dice, "@");
	cfws(dice);
	domain(dice);
}

static void phrase(struct dice *dice)
{
	static const char *const words[] = {
		"Alice", "Bob", "\"Smith, John\"", "\"a \\\"b\\\" c\"", "J.", "=?utf-8?q?J=C3=BCrgen?=",
		"=?iso-8859-1?B?SvxyZ2Vu?=", "van", "\"\""
	};
	static const char *const odd[] = {
		"\"eve@evil.example\"", "=?utf-8?q?eve=40evil.example?=", "=?utf-8?q?=22=3Ceve=40evil.example=3E?=",
		"eve@evil.example", "\xc3\xbc", "\xfc", "\"<eve@evil.example>\"", "\"a\r\n b\"", "(c)", "a,", "[x]",
		"=?utf-8?q?a=00b?=", "\"a\\\\\"", "=?utf-8?q?a,_b?=", "=?utf-8?q?broken"
	};

	do {
		dice_token(dice, dice_odd(dice) ? DICE_ONE_OF(dice, odd) : DICE_ONE_OF(dice, words));
		if (!dice_odd(dice))
			dice_put(dice, " ");
		cfws(dice);
	} while (dice_chance(dice, 40));
}

static void route(struct dice *dice)
{
	dice_token(dice, "@");
	domain(dice);
	while (dice_chance(dice, 30)) {
		dice_token(dice, ",");
		cfws(dice);
		dice_token(dice, "@");
		domain(dice);
	}
	dice_token(dice, ":");
}

static void mailbox(struct dice *dice)
{
	cfws(dice);
	if (dice_chance(dice, 40)) {
		addr_spec(dice);
		cfws(dice);
		return;
	}
	if (dice_chance(dice, 85))
		phrase(dice);
	dice_token(dice, "<");
	cfws(dice);
	if (dice_odd(dice) && dice_chance(dice, 30))
		route(dice);
	addr_spec(dice);
	cfws(dice);
	dice_token(dice, ">");
	cfws(dice);
}

static void address(struct dice *dice)
{
	if (!dice_odd(dice) || !dice_chance(dice, 40)) {
		mailbox(dice);
		return;
	}
	phrase(dice);
	dice_token(dice, ":");
	while (dice_chance(dice, 50)) {
		mailbox(dice);
		if (dice_chance(dice, 50))
			dice_token(dice, ",");
	}
	dice_token(dice, ";");
}

static void address_list_value(struct dice *dice, unsigned more)
{
	dice_put(dice, " ");
	if (!dice_odd(dice) || !dice_chance(dice, 10))
		address(dice);
	while (dice_chance(dice, more)) {
		dice_token(dice, ",");
		if (dice_odd(dice) && dice_odd(dice))
			dice_token(dice, ",");
		dice_token(dice, dice_odd(dice) ? "\r\n\t" : " ");
		address(dice);
	}
}

static void name(struct dice *dice, const char *text)
{
	static const char *const odd[] = { " :", "\t:", ":", "::", "" };

	dice_token(dice, text);
	dice_put(dice, dice_odd(dice) && dice_odd(dice) ? DICE_ONE_OF(dice, odd) : ":");
}

static void addresses(struct dice *dice, const char *field, unsigned more)
{
	name(dice, field);
	address_list_value(dice, more);
	dice_line_end(dice);
}

static void from_fields(struct dice *dice)
{
	static const char *const names[] = { "From", "From", "From", "FROM", "from" };
	unsigned more = dice_odd(dice) ? 30 : 0;

	addresses(dice, DICE_ONE_OF(dice, names), more);
	if (dice_odd(dice) && dice_chance(dice, 25))
		addresses(dice, DICE_ONE_OF(dice, names), more);
	if (dice_chance(dice, 15))
		addresses(dice, "Sender", more);
}

static void other_field(struct dice *dice)
{
	static const char *const fields[] = {
		"Subject: plain", "Subject: =?utf-8?q?caf=C3=A9?=\r\n continued",
		"Date: Sun, 1 Nov 2026 10:00:00 +0000", "Message-ID: <1@example.com>", "X-Empty:",
		"Received: by a; now", "Subject:\r\n  folded", "Reply-To: eve@evil.example",
		"MIME-Version: 1.0 (x)", "X-Blank:   ", "X-Fold: a\r\n\tb\r\n  c"
	};
	static const char *const odd[] = {
		"X-8bit: \xfc", "no colon here", ">From x", "From x y z", "X Y: z", ": empty name", " fold first",
		"X-Cr: a\rFrom: eve@evil.example", "X-Blank-Fold: a\r\n \r\n b", "X-Lf: a\nb: c", "X\x01: y",
		"X-Fold-Only:\r\n ", "Subject: a\r\n  \r\n"
	};

	dice_token(dice, dice_odd(dice) ? DICE_ONE_OF(dice, odd) : DICE_ONE_OF(dice, fields));
	dice_line_end(dice);
}

void generate_fields(struct dice *dice)
{
	while (dice_chance(dice, 40))
		other_field(dice);
	from_fields(dice);
	if (dice_chance(dice, 80))
		addresses(dice, "To", 30);
	if (dice_chance(dice, 30))
		addresses(dice, "Cc", 50);
	while (dice_chance(dice, 40))
		other_field(dice);
	if (dice_odd(dice) && dice_chance(dice, 20))
		addresses(dice, "To", 30);
}

/* The value of a parameter: bare where it may be, else quoted; oddly escaped or encoded. */
static void parameter_value(struct dice *dice, const char *value)
{
	bool bare = strpbrk(value, "()<>@,;:\\\"/[]?= ") == NULL;

	if (dice_odd(dice) && dice_odd(dice)) {
		dice_token(dice, "\"");
		for (; *value != '\0'; value++) {
			if (dice_odd(dice))
				dice_byte(dice, '\\');
			dice_byte(dice, *value);
		}
		dice_token(dice, "\"");
		return;
	}
	bare = dice_odd(dice) ? !bare : bare && dice_chance(dice, 40);
	dice_token(dice, bare ? "" : "\"");
	dice_token(dice, value);
	dice_token(dice, bare ? "" : "\"");
}

/* RFC 2231: name*=charset'language'value, name*0*=…, name*0=…; name*1=… */
static void parameter_extended(struct dice *dice, const char *parameter, const char *value)
{
	size_t half = strlen(value) / 2;
	char text[96];

	switch (dice_pick(dice, 3)) {
	case 0: snprintf(text, sizeof(text), "%s*=us-ascii'en'%s", parameter, value); break;
	case 1:
		snprintf(text, sizeof(text), "%s*0=\"%.*s\";\r\n %s*1=\"%s\"", parameter, (int)half, value, parameter,
			 value + half);
		break;
	default:
		snprintf(text, sizeof(text), "%s*0*=''%.*s; %s*1*=%s", parameter, (int)half, value, parameter,
			 value + half);
	}
	dice_token(dice, text);
}

static void parameter(struct dice *dice, const char *parameter, const char *value)
{
	static const char *const gaps[] = { " ", "\r\n\t", "", "\r\n  ", " (c) " };

	dice_token(dice, ";");
	dice_put(dice, dice_chance(dice, 50) ? " " : DICE_ONE_OF(dice, gaps));
	if (dice_odd(dice) && dice_odd(dice)) {
		parameter_extended(dice, parameter, value);
		return;
	}
	dice_token(dice, parameter);
	cfws(dice);
	dice_token(dice, "=");
	cfws(dice);
	parameter_value(dice, value);
	cfws(dice);
}

static void other_parameter(struct dice *dice)
{
	static const char *const charsets[] = { "utf-8", "us-ascii", "ISO-8859-1", "utf-16" };
	static const char *const names[] = { "smime.p7s", "a b.txt", "x.p7m", "\xc3\xbc.txt", "=?utf-8?q?x.p7m?=" };
	static const char *const odd[] = {
		";", "; ;", "; x", "; =y", "; boundary", "; boundary=", "; boundary=\"", "; x=y=z", "; x*5=z",
		"; \"x\"=y", "; x=(c)y", "; name*=utf-8''x%2Ep7m", "; name*0=a; name*2=c", "; x=a b", "; x='a;b'",
		"; x=\"=?utf-8?q?=22=3B_boundary=3Dother=3B?=\"", "; x==?utf-8?b?eDsgYm91bmRhcnk9b3RoZXI7?=",
		"; x=a%3Bb"
	};

	switch (dice_pick(dice, 5)) {
	case 0: parameter(dice, "charset", DICE_ONE_OF(dice, charsets)); break;
	case 1: parameter(dice, "name", DICE_ONE_OF(dice, names)); break;
	case 2: parameter(dice, "micalg", dice_chance(dice, 50) ? "sha-256" : "sha1, md5"); break;
	case 3:
		if (dice_odd(dice))
			dice_token(dice, DICE_ONE_OF(dice, odd));
		break;
	default: parameter(dice, "format", "flowed");
	}
}

void generate_type(struct dice *dice, const char *type, const char *boundary, const char *protocol)
{
	name(dice, dice_chance(dice, 90) ? "Content-Type" : "CONTENT-type");
	dice_put(dice, " ");
	cfws(dice);
	dice_token(dice, type);
	cfws(dice);
	if (dice_chance(dice, 30))
		other_parameter(dice);
	if (protocol != NULL && dice_chance(dice, 90))
		parameter(dice, "protocol", protocol);
	if (boundary != NULL)
		parameter(dice, dice_chance(dice, 90) ? "boundary" : "Boundary", boundary);
	if (boundary != NULL && dice_odd(dice) && dice_odd(dice))
		parameter(dice, "boundary", "other");
	if (dice_chance(dice, 30))
		other_parameter(dice);
	if (dice_odd(dice) && dice_chance(dice, 20))
		dice_token(dice, ";");
	dice_line_end(dice);
}

void generate_encoding(struct dice *dice, const char *encoding)
{
	static const char *const odd[] = {
		"BASE64", "Base64 (x)", "(x) quoted-printable", "\"base64\"", "8bit;", "x-uuencode", "", "7 bit",
		"quoted-printable\r\n ", "base64 base64"
	};

	name(dice, "Content-Transfer-Encoding");
	dice_put(dice, " ");
	cfws(dice);
	dice_token(dice, dice_odd(dice) && dice_odd(dice) ? DICE_ONE_OF(dice, odd) : encoding);
	dice_line_end(dice);
}
