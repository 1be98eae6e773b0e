/* generate_body.c - the grammar of entities: leaves in every transfer encoding, whole or damaged, multiparts with
 * honest and with misleading delimiters, messages in messages, signed things. Called by generate.c.
 */
#include <stdio.h>
#include <string.h>

#include "dice.h"
#include "fuzz/fuzz.h"

#define DEPTH_MAX 5

static void text_line(struct dice *dice)
{
	static const char *const lines[] = {
		"Hello,", "a line of text", "", "-- ", "dots...", ".", "From here", "tab\there", "=20", "--",
		"trailing  ", "Content-Type: text/html", " leading", "--x"
	};
	static const char *const odd[] = {
		"caf\xc3\xa9", "\xff\xfe", "cr\rin line", "lf\nin line", "\r", "----", "From: eve@evil.example"
	};

	dice_token(dice, dice_odd(dice) ? DICE_ONE_OF(dice, odd) : DICE_ONE_OF(dice, lines));
	if (dice_odd(dice) && dice_chance(dice, 5))
		dice_byte(dice, '\0');
	if (dice_odd(dice) && dice_chance(dice, 3))
		for (int i = 0; i < 1100; i++)
			dice_byte(dice, 'x');
}

/* A line that is nearly, or at the wrong place really, a delimiter of a multipart around. */
static void misleading_line(struct dice *dice)
{
	static const char *const before[] = { "--", "--", "--", " --", "-", "---", "\t--" };
	static const char *const behind[] = {
		"", "--", "x", "--x", " ", "\t ", "-- ", "-", " x", "-- --", "--\r", "\r", "\x0b", "(c)"
	};
	const char *boundary = dice->depth > 0 ? dice->boundaries[dice_pick(dice, dice->depth)] : "none";

	dice_put(dice, DICE_ONE_OF(dice, before));
	dice_put(dice, boundary);
	dice_put(dice, DICE_ONE_OF(dice, behind));
}

static void text_lines(struct dice *dice)
{
	while (dice_chance(dice, 70)) {
		if (dice_odd(dice) && dice_chance(dice, 20))
			misleading_line(dice);
		else
			text_line(dice);
		dice_line_end(dice);
	}
}

static void base64_body(struct dice *dice)
{
	static const char *const groups[] = { "SGVs", "bG8s", "IHdv", "cmxk", "AAEC", "/+8=", "AAAA" };
	static const char *const odd[] = {
		"=", "==", "A", "AB", "-_", "!", " ", "\t", "AB==", "=AB", "\xc3", "\r\n\r\n", "A===", "(c)"
	};

	for (size_t lines = dice_pick(dice, 4); lines > 0; lines--) {
		for (size_t n = dice_pick(dice, 19); n > 0; n--)
			dice_token(dice, dice_odd(dice) && dice_odd(dice) ? DICE_ONE_OF(dice, odd)
									  : groups[dice_pick(dice, 5)]);
		dice_line_end(dice);
	}
	if (dice_chance(dice, 50)) {
		dice_token(dice, DICE_ONE_OF(dice, groups));
		dice_line_end(dice);
	}
}

static void quoted_body(struct dice *dice)
{
	static const char *const pieces[] = {
		"text", " ", "=3D", "=C3=A9", "=\r\n", "=20", "\r\n", "=0D=0A", "a b", "=2E"
	};
	static const char *const odd[] = {
		"=", "=X", "=XY", "= \r\n", "=\n", "=c3", "\t\r\n", " \r\n", "=\t \r\n", "\xc3\xa9", "\n", "=3",
		"==", "=\r", "=3D=", "\r", "=00"
	};

	while (dice_chance(dice, 85))
		dice_token(dice, dice_odd(dice) ? DICE_ONE_OF(dice, odd) : DICE_ONE_OF(dice, pieces));
	dice_line_end(dice);
}

static void encoded_body(struct dice *dice, const char *encoding)
{
	if (dice_odd(dice) && dice_chance(dice, 20))
		text_lines(dice);
	else if (strcmp(encoding, "base64") == 0)
		base64_body(dice);
	else if (strcmp(encoding, "quoted-printable") == 0)
		quoted_body(dice);
	else
		text_lines(dice);
}

static void empty_line(struct dice *dice)
{
	if (!dice_odd(dice) || !dice_chance(dice, 5))
		dice_line_end(dice);
}

static void leaf(struct dice *dice)
{
	static const char *const types[] = {
		"text/plain", "text/html", "application/octet-stream", "TEXT/Plain", "image/png",
		"application/pkcs7-mime", "text/calendar"
	};
	static const char *const odd[] = {
		"text", "text/", "/plain", "text/plain/x", "text / plain", "a/b c", "", "text/(x)plain",
		"text;plain", "message/rfc822", "multipart/mixed", "message/partial", "text/pl\xc3\xa4in"
	};
	static const char *const encodings[] = { "7bit", "8bit", "binary", "base64", "quoted-printable" };
	const char *encoding = DICE_ONE_OF(dice, encodings);
	bool declared = dice_chance(dice, 60);

	if (dice_chance(dice, 80))
		generate_type(dice,
			      dice_odd(dice) && dice_odd(dice) ? DICE_ONE_OF(dice, odd) : DICE_ONE_OF(dice, types),
			      NULL, NULL);
	if (declared)
		generate_encoding(dice, encoding);
	if (dice_odd(dice) && dice_chance(dice, 10))
		generate_encoding(dice, DICE_ONE_OF(dice, encodings));
	if (dice_odd(dice) && dice_chance(dice, 10))
		generate_type(dice, DICE_ONE_OF(dice, types), NULL, NULL);
	empty_line(dice);
	encoded_body(dice, declared ? encoding : "7bit");
}

static void signature(struct dice *dice)
{
	generate_type(dice, "application/pkcs7-signature", NULL, NULL);
	generate_encoding(dice, "base64");
	empty_line(dice);
	PROMISE(buf_append_slice(dice->out, dice->stock->signature) == 0);
	dice_put(dice, "\r\n");
}

static void opaque(struct dice *dice)
{
	generate_type(dice, "application/pkcs7-mime", NULL, NULL);
	generate_encoding(dice, "base64");
	empty_line(dice);
	PROMISE(buf_append_slice(dice->out, dice->stock->signature) == 0);
	dice_put(dice, "\r\n");
}

static void boundary_choose(struct dice *dice)
{
	static const char *const names[] = {
		"b1", "=_next", "----=_Part_1", "a b", "x'y", "0", "(paren)", "a:b", "Apple-Mail=_A"
	};
	static const char *const odd[] = {
		"b ", "\xc3\xbc", "--", "b--", "a\"b", "a\\b", "", "b%41", "=?utf-8?q?b?=",
		"123456789012345678901234567890"
	};
	char *boundary = dice->boundaries[dice->depth];
	const char *name = dice_odd(dice) && dice_odd(dice) ? DICE_ONE_OF(dice, odd) : DICE_ONE_OF(dice, names);
	unsigned around = dice->depth;

	if (around > 0 && dice_odd(dice)) { /* the same as outside, or one that begins so */
		memcpy(boundary, dice->boundaries[around - 1], sizeof(dice->boundaries[0]));
		if (dice_chance(dice, 50) && strlen(boundary) < 40)
			strcat(boundary, "x");
	} else {
		snprintf(boundary, sizeof(dice->boundaries[0]), "%s%u", name, around);
	}
}

static void delimiter(struct dice *dice, const char *end)
{
	dice_token(dice, "--");
	dice_token(dice, dice->boundaries[dice->depth - 1]);
	dice_token(dice, end);
	if (dice_odd(dice) && dice_chance(dice, 15))
		dice_put(dice, dice_chance(dice, 50) ? " " : "\t ");
	dice_line_end(dice);
}

static void part_end(struct dice *dice)
{
	if (!dice_odd(dice) || !dice_chance(dice, 10))
		dice_line_end(dice);
}

static void multipart_body(struct dice *dice, bool is_signed)
{
	size_t parts = is_signed ? 2 : dice_pick(dice, 4);

	if (is_signed && dice_odd(dice) && dice_odd(dice))
		parts = 1 + dice_pick(dice, 3);
	if (dice_chance(dice, 20))
		text_lines(dice);
	for (size_t i = 0; i < parts; i++) {
		delimiter(dice, "");
		if (is_signed && i == 1)
			signature(dice);
		else
			generate_entity(dice);
		part_end(dice);
	}
	if (!dice_odd(dice) || dice_chance(dice, 80))
		delimiter(dice, "--");
	if (dice_chance(dice, 15))
		text_lines(dice);
}

static void multipart(struct dice *dice, const char *type, bool is_signed)
{
	boundary_choose(dice);
	generate_type(dice, type, dice->boundaries[dice->depth], is_signed ? "application/pkcs7-signature" : NULL);
	if (dice_odd(dice) && dice_chance(dice, 30))
		generate_encoding(dice, dice_chance(dice, 80) ? "7bit" : "base64");
	if (dice_odd(dice) && dice_chance(dice, 5))
		generate_type(dice, type, "second", NULL);
	empty_line(dice);
	dice->depth++;
	multipart_body(dice, is_signed);
	dice->depth--;
}

static void attached(struct dice *dice)
{
	generate_type(dice, dice_chance(dice, 90) ? "message/rfc822" : "Message/RFC822", NULL, NULL);
	if (dice_odd(dice) && dice_chance(dice, 30))
		generate_encoding(dice, dice_chance(dice, 60) ? "7bit" : "base64");
	empty_line(dice);
	generate_fields(dice);
	dice->depth++;
	snprintf(dice->boundaries[dice->depth - 1], sizeof(dice->boundaries[0]), "%s", "none");
	generate_entity(dice);
	dice->depth--;
}

void generate_entity(struct dice *dice)
{
	static const char *const types[] = {
		"multipart/mixed", "multipart/alternative", "multipart/digest", "Multipart/Related",
		"multipart/report"
	};
	size_t kind = dice_pick(dice, 100);

	if (dice->depth >= DEPTH_MAX || kind < (dice->depth == 0 ? 25U : 55U))
		leaf(dice);
	else if (kind < 75)
		multipart(dice, DICE_ONE_OF(dice, types), false);
	else if (kind < 89)
		multipart(dice, "multipart/signed", true);
	else if (kind < 95)
		attached(dice);
	else
		opaque(dice);
}
