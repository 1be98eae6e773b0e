/* test_encode.c - base64 and quoted-printable: there and back, at every chunk border, and what is broken. */
#include "unit/mail/mail_test.h"

#include "mail/encode.h"

static struct stream *source_of(const char *text, size_t chunk)
{
	return dribble_open(slice_of(text), chunk);
}

static char *qp(struct arena *arena, const char *text, bool is_text)
{
	return stream_text(arena, encode_quoted_printable(source_of(text, 7), is_text, NULL), NULL);
}

static char *unqp(struct arena *arena, const char *text)
{
	return stream_text(arena, decode_quoted_printable(source_of(text, 3), NULL), NULL);
}

static char *unbase64(struct arena *arena, const char *text)
{
	return stream_text(arena, decode_base64(source_of(text, 5), false, NULL), NULL);
}

static void test_base64(void **state)
{
	char *text = NULL;

	assert_string_equal(stream_text(*state, encode_base64(source_of("", 1), NULL), NULL), "");
	assert_string_equal(stream_text(*state, encode_base64(source_of("f", 1), NULL), NULL), "Zg==\r\n");
	assert_string_equal(stream_text(*state, encode_base64(source_of("fo", 1), NULL), NULL), "Zm8=\r\n");
	assert_string_equal(stream_text(*state, encode_base64(source_of("foo", 1), NULL), NULL), "Zm9v\r\n");
	text = stream_text(*state, encode_base64(source_of(
		"012345678901234567890123456789012345678901234567890123456", 2), NULL), NULL);
	assert_int_equal(strlen(text), 78);
	text = stream_text(*state, encode_base64(source_of(
		"0123456789012345678901234567890123456789012345678901234567", 2), NULL), NULL);
	assert_int_equal(strlen(text), 78 + 6);
	assert_null(encode_base64(NULL, NULL));
}

static void test_base64_lenient(void **state)
{
	assert_string_equal(unbase64(*state, "Z m\r\n9\tv"), "foo");
	assert_string_equal(unbase64(*state, "Zg==Zm9v"), "f");
	assert_string_equal(unbase64(*state, "Z*m-9v\xff"), "foo");
	assert_string_equal(unbase64(*state, "Zm8"), "fo");
	assert_string_equal(unbase64(*state, "Z"), "");
}

static void strict_refuses(const char *text)
{
	struct stream *stream = decode_base64(source_of(text, 2), true, NULL);
	struct buf buf;
	struct err err = { ERR_NONE, "" };

	assert_non_null(stream);
	buf_init(&buf, 0);
	if (stream_read_all(stream, &buf, &err) == 0)
		fail_msg("accepted: %s", text);
	assert_int_equal(err.class, ERR_MESSAGE);
	buf_clear(&buf);
	stream_close(stream);
}

static void test_base64_strict(void **state)
{
	static const char *const good[] = { "Zm9v", "Zm8=\r\n", "Zg==", "Z g\r\n= =\r\n\r\n" };
	static const char *const bad[] = { "Zm9v!", "Zg==Zg==", "Zg=", "Zg", "Z", "Zm9v=", "Z===", "====", "Zg===",
		"=Zg=" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		stream_text(*state, decode_base64(source_of(good[i], 2), true, NULL), NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		strict_refuses(bad[i]);
}

static void test_qp_text(void **state)
{
	assert_string_equal(qp(*state, "a=b\r\n\xc3\xa4\tx\r\n", true), "a=3Db\r\n=C3=A4\tx\r\n");
	assert_string_equal(qp(*state, "a \r\nb\t\r\n \r\nc ", true), "a=20\r\nb=09\r\n=20\r\nc=20");
	assert_string_equal(qp(*state, "a\rb\nc\r\r\n\n", true), "a=0Db=0Ac=0D\r\n=0A");
	assert_string_equal(qp(*state, "a\r\nb", false), "a=0D=0Ab");
	assert_string_equal(qp(*state, "From x\r\nFrom\r\n From y\r\n>From", true),
		"=46rom x\r\nFrom\r\n From y\r\n>From");
	assert_string_equal(qp(*state, ".\r\n..\r\n.x\r\n.", true), "=2E\r\n..\r\n.x\r\n=2E");
	assert_string_equal(qp(*state, "", true), "");
	assert_string_equal(qp(*state, "no break", true), "no break");
}

/* No line over 76, none that ends with a blank, begins with "From " or is a dot, and no soft break at the end. */
static void assert_transportable(const char *text)
{
	const char *line = text;

	while (*line != '\0') {
		size_t n = strcspn(line, "\r");

		assert_true(n <= 76);
		assert_true(n == 0 || (line[n - 1] != ' ' && line[n - 1] != '\t'));
		assert_true(strncmp(line, "From ", 5) != 0);
		assert_false(n == 1 && line[0] == '.');
		if (line[n] == '\0')
			return;
		assert_int_equal(line[n + 1], '\n');
		line += n + 2;
	}
	assert_true(strlen(text) < 3 || strcmp(text + strlen(text) - 3, "=\r\n") != 0);
}

static void test_qp_long_lines(void **state)
{
	char line[400];
	char *coded = NULL;

	for (size_t n = 60; n < 240; n++) {
		static const char *const units[] = { "x", "\xff", "From ", " ", ".", "=.", "x " };

		for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
			size_t used = 0, width = strlen(units[u]);

			for (; used + width <= n; used += width)
				memcpy(line + used, units[u], width);
			memcpy(line + used, "\r\n", 3);
			coded = qp(*state, line, true);
			assert_transportable(coded);
			assert_string_equal(unqp(*state, coded), line);
			line[used] = '\0';
			coded = qp(*state, line, true);
			assert_transportable(coded);
			assert_string_equal(unqp(*state, coded), line);
		}
	}
	memset(line, 'x', 76);
	memcpy(line + 76, "\r\n", 3);
	assert_string_equal(qp(*state, line, true), line);
}

static void test_qp_decode(void **state)
{
	assert_string_equal(unqp(*state, "a=3Db=c3=A4=\r\nc"), "a=b\xc3\xa4" "c");
	assert_string_equal(unqp(*state, "a \t\r\nb  "), "a\r\nb");
	assert_string_equal(unqp(*state, "a= \t\r\nb=\nc="), "abc");
	assert_string_equal(unqp(*state, "a\nb"), "a\r\nb");
	assert_string_equal(unqp(*state, "a=zz=4=\r\n=4"), "a=zz=4=4");
	assert_string_equal(unqp(*state, "a\rb"), "a\rb");
}

static unsigned next_random(unsigned *seed)
{
	*seed = *seed * 1103515245U + 12345U;
	return *seed >> 16;
}

static void test_round_trips(void **state)
{
	static char data[70000];
	unsigned seed = 1;
	size_t n = 0;

	for (int round = 0; round < 12; round++) {
		size_t size = round < 8 ? next_random(&seed) % 300 : 60000 + next_random(&seed) % 10000;
		char *got = NULL;

		for (size_t i = 0; i < size; i++)
			data[i] = (char)(round % 2 == 0 ? next_random(&seed) : (unsigned)" \t\r\n"
				".=Fx"[next_random(&seed) % 8]);
		got = stream_text(*state, decode_base64(encode_base64(dribble_open(slice_make(data, size),
			1 + (unsigned)round * 97), NULL),
							true, NULL), &n);
		assert_int_equal(n, size);
		assert_memory_equal(got, data, size);
		for (int text = 0; text < 2; text++) {
			got = stream_text(*state, decode_quoted_printable(encode_quoted_printable(
				dribble_open(slice_make(data, size), 1 + (unsigned)round * 97), text == 1, NULL),
					NULL), &n);
			assert_int_equal(n, size);
			assert_memory_equal(got, data, size);
		}
	}
}

static void test_many_blanks(void **state)
{
	static char line[40004];

	memset(line, ' ', 40000);
	memcpy(line + 40000, "x\r\n", 4);
	assert_string_equal(unqp(*state, line), line);
	memset(line, ' ', 1000);
	memcpy(line + 1000, "\r\nx", 4);
	assert_string_equal(unqp(*state, line), "\r\nx");
}

static void test_names(void **state)
{
	static const char *const unknown[] = { "8-bit", "x-uuencode", "base64 x", "\"base64\"", "base64;", "(base64" };

	(void)state;
	assert_int_equal(encode_parse_cte(slice_of(" Base64 (really)")), CTE_BASE64);
	assert_int_equal(encode_parse_cte(slice_of("(x)QUOTED-printable")), CTE_QUOTED_PRINTABLE);
	assert_int_equal(encode_parse_cte(slice_of("7bit")), CTE_7BIT);
	assert_int_equal(encode_parse_cte(slice_of("8BIT\r\n ")), CTE_8BIT);
	assert_int_equal(encode_parse_cte(slice_of("binary")), CTE_BINARY);
	assert_int_equal(encode_parse_cte(slice_of(" \r\n ")), CTE_7BIT);
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_int_equal(encode_parse_cte(slice_of(unknown[i])), CTE_UNKNOWN);
	assert_string_equal(encode_cte_name(CTE_QUOTED_PRINTABLE), "quoted-printable");
}

static ssize_t broken_read(void *self, void *p, size_t n, struct err *err)
{
	(void)self;
	(void)p;
	(void)n;
	return err_set(err, ERR_TEMP, "disk");
}

static void broken_close(void *self)
{
	(void)self;
}

static void test_source_fails(void **state)
{
	static const struct stream_class broken = { broken_read, broken_close };
	struct err err = { ERR_NONE, "" };
	struct buf buf;
	struct stream *stream = encode_quoted_printable(stream_new(&broken, &err, NULL), true, NULL);

	(void)state;
	buf_init(&buf, 0);
	assert_int_equal(stream_read_all(stream, &buf, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	stream_close(stream);
	buf_clear(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_arena(test_base64),
		with_arena(test_base64_lenient),
		with_arena(test_base64_strict),
		with_arena(test_qp_text),
		with_arena(test_qp_long_lines),
		with_arena(test_qp_decode),
		with_arena(test_round_trips),
		with_arena(test_many_blanks),
		with_arena(test_names),
		with_arena(test_source_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
