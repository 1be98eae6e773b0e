/* test_canon.c - the entity that is signed: what stays, what is written anew, and that nothing is lost. */
#include "unit/mail/mail_test.h"

#include "mail/canon.h"

#define MIXED(boundary) "Content-Type: multipart/mixed; boundary=" boundary "\r\n\r\n"
#define TOP "From: a@b\r\nMIME-Version: 1.0\r\n"
#define AE "\xc3\xa4"

static struct canon made(struct arena *arena, const struct message *message, bool clear)
{
	struct mime mime;
	struct canon canon = { { NULL, 0 }, NULL, false };
	struct err err = { ERR_NONE, "" };

	if (mime_parse(arena, message, NULL, &mime, &err) < 0 || canon_make(arena, message, &mime, clear, &canon,
		&err) < 0)
		fail_msg("%s", err.text);
	return canon;
}

static const char *entity(struct arena *arena, const char *text, bool clear, bool *seven_bit)
{
	struct message message = message_of(arena, text);
	struct canon canon = made(arena, &message, clear);
	const char *bytes = body_text(arena, canon.entity);

	if (canon.entity->size_bytes != BODY_SIZE_UNKNOWN)
		assert_int_equal(canon.entity->size_bytes, strlen(bytes));
	assert_string_equal(body_text(arena, canon.entity), bytes);	/* opens again */
	*seven_bit = canon.seven_bit;
	return bytes;
}

struct canon_case {
	const char *text;
	const char *clear;	/* entity when clear signing */
	const char *opaque;	/* NULL: the same */
	bool seven_bit;		/* for clear */
};

static const struct canon_case cases[] = {
	/* without Content-Type */
	{ TOP "\r\nhello\r\n", "Content-Type: text/plain; charset=us-ascii\r\n\r\nhello\r\n", NULL, true },
	{ TOP "\r\nhello", "Content-Type: text/plain; charset=us-ascii\r\n\r\nhello", NULL, true },
	{ TOP "\r\n", "Content-Type: text/plain; charset=us-ascii\r\n\r\n", NULL, true },
	{ TOP, "Content-Type: text/plain; charset=us-ascii\r\n\r\n", NULL, true },
	{ TOP "\r\n" AE "\r\n", "Content-Type: text/plain; charset=unknown-8bit\r\n"
	  "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n", NULL, true },
	/* Content-* fields move byte for byte, wherever they stand */
	{ "Content-ID:<x>\r\nFrom: a@b\r\ncontent-type:\ttext/plain;\r\n  charset=utf-8\r\nX: y\r\nContent-Foo: z\r\n"
	  "\r\nhello\r\n",
	  "Content-ID:<x>\r\ncontent-type:\ttext/plain;\r\n  charset=utf-8\r\nContent-Foo: z\r\n\r\nhello\r\n", NULL,
	  true },
	/* what is encoded and clean stays, also with a final line that has no end */
	{ TOP "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD",
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD", NULL, true },
	/* 7bit, 8bit, nothing declared, with 8-bit bytes */
	{ TOP "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\nContent-X: y\r\n\r\n"
	  AE "=\r\n",
	  "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-X: y\r\n"
	  "\r\n=C3=A4=3D\r\n",
	  NULL, true },
	{ TOP "Content-Type: application/pdf\r\nContent-Transfer-Encoding: binary\r\n\r\n%P\xff\n\r\nx",
	  "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVD/Cg0KeA==\r\n", NULL, true },
	/* declared 8bit but is not */
	{ TOP "Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\n",
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\nx\r\n",
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\n", true },
	/* trailing blanks and From lines matter to clear signing alone */
	{ TOP "Content-Type: text/plain\r\n\r\nFrom x \r\n-- \r\n",
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=46rom x=20\r\n--=20\r\n",
	  "Content-Type: text/plain\r\n\r\nFrom x \r\n-- \r\n", true },
	/* bare CR and LF are data */
	{ TOP "Content-Type: text/plain\r\n\r\na\nb\rc\r\n",
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=0Ab=0Dc\r\n", NULL, true },
	/* quoted-printable that needs mending, text and other */
	{ TOP "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3D" AE "\nb \r\n",
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3D=C3=A4\r\nb\r\n", NULL,
	  true },
	{ TOP "Content-Type: image/x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na\r\n" AE "\r\n",
	  "Content-Type: image/x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=0D=0A=C3=A4=0D=0A", NULL,
	  true },
	{ TOP "Content-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJ \nD\r\n",
	  "Content-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n", NULL, true },
	/* an encoding nobody knows is left alone */
	{ TOP "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-y\r\n\r\nhi\r\n",
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-y\r\n\r\nhi\r\n", NULL, true },
	{ TOP "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-y\r\n\r\n" AE "\r\n",
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-y\r\n\r\n" AE "\r\n", NULL, false },
	/* 8-bit in a field that moves inside */
	{ TOP "Content-Type: text/plain; name=" AE "\r\n\r\nhi\r\n",
	  "Content-Type: text/plain; name=" AE "\r\n\r\nhi\r\n", NULL, false },
	/* multipart: preamble and epilogue stay outside, the rest byte for byte */
	{ TOP MIXED("b") "pre" AE "\r\n--b \r\n\r\none \t\r\n--b\r\nX: y\r\nContent-Type: text/html\r\n\r\n\r\n"
	  "--b--\r\nepi\r\n",
	  MIXED("b") "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\none =09\r\n--b\r\n"
	  "X: y\r\nContent-Type: text/html\r\n\r\n\r\n--b--\r\n",
	  MIXED("b") "--b\r\n\r\none \t\r\n--b\r\nX: y\r\nContent-Type: text/html\r\n\r\n\r\n--b--\r\n", true },
	{ TOP MIXED("b") "pre\r\n--b \r\n\r\none\r\n--b--\r\nepi", MIXED("b") "--b \r\n\r\none\r\n--b--\r\n", NULL,
	  true },
	{ TOP MIXED("b") "--b\r\n\r\none\r\n--b--", MIXED("b") "--b\r\n\r\none\r\n--b--", NULL, true },
	/* containers that say 8bit */
	{ TOP "Content-Transfer-Encoding: 8bit\r\n" MIXED("b") "--b\r\nContent-Type: text/plain\r\n"
	  "Content-Transfer-Encoding: 8bit\r\n\r\n" AE "\r\n--b\r\nContent-Type: image/x\r\n\r\n\xff\r\n--b--\r\n",
	  "Content-Transfer-Encoding: 7bit\r\n" MIXED("b") "--b\r\nContent-Type: text/plain\r\n"
	  "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n--b\r\nContent-Type: image/x\r\n"
	  "Content-Transfer-Encoding: base64\r\n\r\n/w==\r\n\r\n--b--\r\n", NULL, true },
	/* nested: the inner preamble stays while it is harmless */
	{ TOP MIXED("a") "--a\r\n" MIXED("b") "in\r\n--b\r\n\r\n" AE "\r\n--b--\r\nner\r\n--a--\r\n",
	  MIXED("a") "--a\r\n" MIXED("b") "in\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n"
	  	"--b--\r\nner\r\n--a--\r\n",
	  NULL, true },
	{ TOP MIXED("a") "--a\r\n" MIXED("b") "in" AE "\r\n--b\r\n\r\none\r\n--b\r\n--b--\r\nner\r\n--a--\r\n",
	  MIXED("a") "--a\r\n" MIXED("b") "--b\r\n\r\none\r\n--b\r\n\r\n--b--\r\n\r\n--a--\r\n", NULL, true },
	/* line ends of delimiters and part headers */
	{ TOP MIXED("b") "--b\nX: y\n\none\n--b\r\n\r\ntwo\r\n--b--\n",
	  MIXED("b") "--b\r\nX: y\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n", NULL, true },
	/* messages inside: their leaves are converted, they themselves never */
	{ TOP "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: x\r\n"
	  "Content-Type: text/plain\r\n"
	  "Content-Transfer-Encoding: 8bit\r\n\r\n" AE "\r\n",
	  "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: x\r\n"
	  "Content-Type: text/plain\r\n"
	  "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n", NULL, true },
	{ TOP MIXED("b") "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: " AE "\r\n\r\n" AE "\r\n--b--\r\n",
	  MIXED("b") "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: " AE "\r\n"
	  	"Content-Transfer-Encoding: quoted-printable\r\n"
	  "\r\n=C3=A4\r\n--b--\r\n", NULL, false },
	{ TOP "Content-Type: message/partial\r\n\r\n" AE "\r\n", "Content-Type: message/partial\r\n\r\n" AE "\r\n",
	  NULL, false },
	/* what is protected already is not touched */
	{ TOP MIXED("a") "--a\r\nContent-Type: multipart/signed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	  "--b\r\n\r\n" AE " \r\n"
	  "--b--\r\n--a\r\n\r\n" AE "\r\n--a--\r\n",
	  MIXED("a") "--a\r\nContent-Type: multipart/signed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	  	"--b\r\n\r\n" AE " \r\n"
	  "--b--\r\n--a\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n--a--\r\n", NULL, false },
	{ TOP "Content-Type: multipart/signed; boundary=b\r\n\r\npre\r\n--b\r\n\r\nFrom x \r\n--b\r\n\r\nsig\r\n"
	  "--b--\r\n",
	  "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nFrom x \r\n--b\r\n\r\nsig\r\n--b--\r\n", NULL,
	  true },
	/* broken ones lose nothing */
	{ TOP MIXED("b") "--b\r\n\r\n" AE "\r\n", MIXED("b") "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n"
	  "\r\n=C3=A4\r\n", NULL, true },
	{ TOP MIXED("b") "no " AE "\r\n", MIXED("b") "no " AE "\r\n", NULL, false },
	{ TOP MIXED("b") "--b\r\nContent-Type: text/html\r\nbody " AE "\r\n--b--\r\n",
	  MIXED("b") "--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	  	"body =C3=A4\r\n--b--\r\n", NULL, true },
	{ TOP MIXED("b") "--b\r\nContent-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	  AE "\r\n--b--\r\n",
	  MIXED("b") "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n--b--\r\n", NULL, true },
	{ TOP "Content-Type: text/plain\r\n\r\n=\r\n\r\n", "Content-Type: text/plain\r\n\r\n=\r\n\r\n", NULL, true },
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int clear = 0; clear < 2; clear++) {
			bool seven_bit = false;
			const char *want = clear == 1 || cases[i].opaque == NULL ? cases[i].clear : cases[i].opaque;
			const char *got = entity(*state, cases[i].text, clear == 1, &seven_bit);

			if (strcmp(got, want) != 0 || (clear == 1 && seven_bit != cases[i].seven_bit))
				fail_msg("case %zu, clear %d, seven_bit %d:\n%s\nwant:\n%s", i, clear, (int)seven_bit,
					got, want);
		}
	}
}

static void test_outside(void **state)
{
	struct message message = message_of(*state, "A: b\r\nContent-Type: text/plain\r\nMIME-Version: 1.0\r\n"
		"CONTENT-x: y\r\n\r\nz");
	struct canon canon = made(*state, &message, true);

	assert_int_equal(canon.outside.n, 2);
	assert_ptr_equal(canon.outside.fields[0].raw.p, message.header.fields[0].raw.p);
	assert_ptr_equal(canon.outside.fields[1].raw.p, message.header.fields[2].raw.p);
}

static void test_duplicates(void **state)
{
	static const char *const texts[] = { "Content-Type: a/b\r\ncontent-type: a/b\r\n\r\nx",
					     "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: 7bit\r\n"
					     "\r\nx" };

	for (size_t i = 0; i < 2; i++) {
		struct message message = message_of(*state, texts[i]);
		struct mime mime;
		struct canon canon;
		struct err err = { ERR_NONE, "" };

		assert_int_equal(mime_parse(*state, &message, NULL, &mime, &err), 0);
		assert_int_equal(canon_make(*state, &message, &mime, true, &canon, &err), -1);
		assert_int_equal(err.class, ERR_MESSAGE);
	}
}

static void test_nul_and_long_lines(void **state)
{
	struct message message = message_of(*state, "Content-Type: text/plain\r\n\r\n");
	struct canon canon;
	char line[2100];

	message.body = body_from_slice(*state, slice_make("a\0b\r\n", 5));
	canon = made(*state, &message, true);
	assert_true(canon.seven_bit);
	assert_string_equal(body_text(*state, canon.entity),
			    "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nYQBiDQo=\r\n");
	memset(line, 'x', sizeof(line));
	message.body = body_from_slice(*state, slice_make(line, sizeof(line)));
	canon = made(*state, &message, false);
	assert_non_null(strstr(body_text(*state, canon.entity), "xxx=\r\nxxx"));
	message.body = body_from_slice(*state, slice_make(line, 998));
	canon = made(*state, &message, true);
	assert_non_null(canon.entity);
	assert_null(strstr(body_text(*state, canon.entity), "Encoding"));
}

/* A clean message's content: made of random lines, all that is between the first and the last delimiter stays. */
static void test_nothing_is_lost(void **state)
{
	static const char *const pieces[] = { "--a\r\n", "--a\r\n\r\n", "--b\r\n", "--b--\r\n", "--a--\r\n", "x\r\n",
		"\r\n", "Y: z\r\n",
					      "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
					      "Content-Type: message/rfc822\r\n\r\n",
					      "Content-Transfer-Encoding: base64\r\n\r\n" };
	unsigned seed = 7;

	for (int round = 0; round < 400; round++) {
		char *body = arena_strdup(*state, "--a\r\n");
		struct message message = message_of(*state, MIXED("a"));
		struct mime mime;
		struct canon canon;

		for (int i = 0; i < 14; i++) {
			seed = seed * 1103515245U + 12345U;
			body = arena_printf(*state, "%s%s", body,
				pieces[(seed >> 16) % (sizeof(pieces) / sizeof(pieces[0]))]);
		}
		message.body = dribble_body(*state, slice_of(body), 1 + (unsigned)round % 9);
		assert_int_equal(mime_parse(*state, &message, NULL, &mime, NULL), 0);
		assert_int_equal(canon_make(*state, &message, &mime, true, &canon, NULL), 0);
		body[mime.root->content_end] = '\0';
		assert_true(canon.seven_bit);
		assert_string_equal(body_text(*state, canon.entity), arena_printf(*state, "%s%s", MIXED("a"), body));
	}
}

/* Parsed again, a repaired message has no fragile trait left and the same skeleton. */
static void test_repaired_parses_alike(void **state)
{
	static const char *const pieces[] = { "--a\r\n", "--a\n\n", "--b\r\n\r\n", "--b--\n", "x" AE "\r\n", "\r\n",
		"Y: z\n", "y\rz\n",
					      "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
					      "Content-Type: message/rfc822\r\n\r\n",
					      "Content-Transfer-Encoding: quoted-printable\n\n", "x \r\n" };
	unsigned seed = 3;

	for (int round = 0; round < 600; round++) {
		char *body = arena_strdup(*state, "--a\r\n");
		struct message message = message_of(*state, MIXED("a")), again;
		struct mime mime, second;
		struct canon canon;

		for (int i = 0; i < 12; i++) {
			seed = seed * 1103515245U + 12345U;
			body = arena_printf(*state, "%s%s", body,
				pieces[(seed >> 16) % (sizeof(pieces) / sizeof(pieces[0]))]);
		}
		body = arena_printf(*state, "%s\r\n--a--\r\n", body);
		message.body = body_from_slice(*state, slice_of(body));
		assert_int_equal(mime_parse(*state, &message, NULL, &mime, NULL), 0);
		assert_int_equal(canon_make(*state, &message, &mime, true, &canon, NULL), 0);
		if (!canon.seven_bit)
			continue;
		again = message_of(*state, body_text(*state, canon.entity));
		assert_int_equal(mime_parse(*state, &again, NULL, &second, NULL), 0);
		if (mime.parts != second.parts)
			fail_msg("%s\nbecame\n%s", body, body_text(*state, canon.entity));
		assert_int_equal(canon_make(*state, &again, &second, true, &canon, NULL), 0);
		assert_true(canon.seven_bit);
		for (const char *p = body_text(*state, canon.entity), *all = p; *p != '\0'; p++) {
			if ((unsigned char)*p > 0x7f || (*p == '\n' && p[-1] != '\r') || (*p == '\r' && p[1] != '\n'))
				fail_msg("%s\nbecame\n%s, byte %td", body, all, p - all);
		}
	}
}

static void test_memory_runs_out(void **state)
{
	struct message message = message_of(*state, TOP MIXED("b") "--b\r\n\r\n" AE "\r\n--b\r\n\r\n" AE "\r\n"
		"--b--\r\n");
	struct mime mime;

	assert_int_equal(mime_parse(*state, &message, NULL, &mime, NULL), 0);
	for (size_t size = 1; size < 3000; size += 31) {
		struct arena *small = arena_new(size);
		struct canon canon;
		struct err err = { ERR_NONE, "" };

		if (canon_make(small, &message, &mime, true, &canon, &err) < 0)
			assert_int_equal(err.class, ERR_TEMP);
		arena_free(small);
	}
}

/* What a step of ours made is split as it is: not parsed, not mended. */
static void test_split(void **state)
{
	struct message message = message_of(*state, "From: a@b\r\nContent-Type: multipart/signed; boundary=x\r\n"
		"Subject: s\r\nMIME-Version: 1.0\r\ncontent-description: d\r\n\r\n--x\r\nnever looked at \r\n");
	struct canon canon;

	assert_int_equal(canon_split(*state, &message, &canon, NULL), 0);
	assert_true(canon.seven_bit);
	assert_int_equal(canon.outside.n, 3);
	assert_slice(canon.outside.fields[0].raw, "From: a@b\r\n");
	assert_slice(canon.outside.fields[2].raw, "MIME-Version: 1.0\r\n");
	for (int reader = 0; reader < 2; reader++)
		assert_string_equal(stream_text(*state, body_open(canon.entity, NULL), NULL),
				    "Content-Type: multipart/signed; boundary=x\r\ncontent-description: d\r\n\r\n"
				    "--x\r\nnever looked at \r\n");
	for (size_t size = 1; size < 1500; size += 31) {
		struct arena *small = arena_new(size);
		struct err err = { ERR_NONE, "" };

		if (canon_split(small, &message, &canon, &err) < 0)
			assert_int_equal(err.class, ERR_TEMP);
		arena_free(small);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_arena(test_cases),
		with_arena(test_outside),
		with_arena(test_duplicates),
		with_arena(test_nul_and_long_lines),
		with_arena(test_nothing_is_lost),
		with_arena(test_repaired_parses_alike),
		with_arena(test_memory_runs_out),
		with_arena(test_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
