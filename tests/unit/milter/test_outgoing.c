/* test_outgoing.c - messages ready to be sent: lines, digest, size, and that what is read later is what was read first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "milter/outgoing.h"

static const struct outgoing_room room = { .directory = "/tmp", .memory_bytes = 1024 };

/* A body that comes in pieces of so many bytes, and as other bytes when it is opened again. */
struct odd {
	struct slice bytes;
	size_t piece;
	unsigned opened;
	bool fails;
};

struct odd_stream {
	struct odd *odd;
	size_t at;
};

static ssize_t odd_read(void *self, void *p, size_t n, struct err *err)
{
	struct odd_stream *stream = self;
	struct slice rest = slice_from(stream->odd->bytes, stream->at);

	if (rest.n == 0)
		return stream->odd->fails ? err_set(err, ERR_POLICY, "late") : 0;
	rest = slice_first(rest, stream->odd->piece < n ? stream->odd->piece : n);
	memcpy(p, rest.p, rest.n);
	if (stream->odd->opened > 1)
		memset(p, 'X', rest.n);
	stream->at += rest.n;
	return (ssize_t)rest.n;
}

static void odd_close(void *self)
{
	((struct odd_stream *)self)->at = 0;
}

static struct stream *odd_open(const void *self, uint64_t offset, struct err *err)
{
	static const struct stream_class class = { .read = odd_read, .close = odd_close };
	static struct odd_stream stream;

	(void)offset;
	stream = (struct odd_stream){ .odd = (struct odd *)(uintptr_t)self };
	stream.odd->opened++;
	return stream_new(&class, &stream, err);
}

static const struct body_class odd_class = { .open = odd_open };

static struct outgoing make(struct arena *arena, const char *header, struct slice body, size_t piece)
{
	struct odd *odd = arena_alloc(arena, sizeof(*odd));
	struct message message = { 0 };
	struct outgoing outgoing;
	struct err err = { 0 };
	size_t consumed = 0;

	*odd = (struct odd){ .bytes = body, .piece = piece };
	assert_int_equal(header_parse(arena, slice_of(header), &(struct header_limits){ 0 }, &message.header, &consumed,
				      &err), 0);
	message.body = body_new(arena, &odd_class, odd, BODY_SIZE_UNKNOWN);
	assert_int_equal(outgoing_make(arena, &room, &message, &outgoing, &err), 0);
	return outgoing;
}

static void test_lines(void **state)
{
	static const struct { const char *body, *expected; } rows[] = {
		{ "", "" }, { "a\r\n", "a\r\n" }, { "a", "a\r\n" }, { "a\r", "a\r\n" }, { "\n", "\r\n" },
		{ "a\nb\r\n\nc\rd", "a\r\nb\r\n\r\nc\rd\r\n" }, { "\r\r\n", "\r\r\n" }, { "\n.\n", "\r\n.\r\n" },
		{ ".\r\n..\r\n", ".\r\n..\r\n" },
	};
	unsigned char digest[CRYPT_SHA256_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t piece = 1; piece < 4; piece++) {
			struct arena *arena = arena_new(0);
			struct outgoing outgoing = make(arena, "A: b\r\n\r\n", slice_of(rows[i].body), piece);
			struct buf *out = arena_buf(arena, 0);

			assert_int_equal(body_read_all(outgoing.body, out, NULL), 0);
			assert_true(slice_is(buf_slice(out), rows[i].expected));
			assert_true(slice_is(outgoing.header, "A: b\r\n\r\n"));
			assert_int_equal(outgoing.size_bytes, outgoing.header.n + out->n);
			assert_int_equal(crypt_sha256(out->p, out->n, digest, NULL), 0);
			assert_memory_equal(digest, outgoing.body_sha256, sizeof(digest));
			memset(digest, 0, sizeof(digest));
			assert_int_equal(outgoing_digest(body_from_slice(arena, slice_of(rows[i].body)), digest, NULL), 0);
			assert_memory_equal(digest, outgoing.body_sha256, sizeof(digest));
			arena_free(arena);
		}
}

static void test_header(void **state)
{
	struct arena *arena = arena_new(0);
	struct outgoing outgoing = make(arena, "A: b\nC: d\r\n\te\n\n", slice_of("x\xe4\r\n"), 9);

	(void)state;
	assert_true(slice_is(outgoing.header, "A: b\r\nC: d\r\n\te\r\n\r\n"));
	assert_true(outgoing.eight_bit);
	outgoing = make(arena, "A: \xe4\r\n\r\n", slice_of("x\x7f\r\n"), 9);
	assert_false(outgoing.eight_bit);
	arena_free(arena);
}

/* Read once, settled for ever: in memory, and over its limit in a file. */
static void test_settled(void **state)
{
	static char bytes[300000];
	struct arena *arena = arena_new(0);
	struct outgoing outgoing;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i % 70 == 68 ? '\r' : i % 70 == 69 ? '\n' : (char)('a' + i % 26);
	memcpy(bytes + sizeof(bytes) - 2, "\r\n", 2);
	outgoing = make(arena, "A: b\r\n\r\n", slice_make(bytes, sizeof(bytes)), 777);
	for (size_t i = 0; i < 2; i++) {
		struct buf *out = arena_buf(arena, 0);

		assert_int_equal(body_read_all(outgoing.body, out, NULL), 0);
		assert_true(slice_equal(buf_slice(out), slice_make(bytes, sizeof(bytes))));
	}
	arena_free(arena);
}

static void test_failures(void **state)
{
	struct arena *arena = arena_new(0);
	struct odd odd = { .bytes = slice_of("x\r\n"), .piece = 5, .fails = true };
	struct message message = { .body = body_new(arena, &odd_class, &odd, BODY_SIZE_UNKNOWN) };
	const struct outgoing_room small = { .directory = "/tmp", .memory_bytes = 10, .limit_bytes = 2 };
	const struct outgoing_room missing = { .directory = "/nonexistent" };
	struct outgoing outgoing;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(outgoing_make(arena, &room, &message, &outgoing, &err), -1);
	assert_int_equal(err.class, ERR_POLICY);
	assert_string_equal(err.text, "late");
	odd.fails = false;
	assert_int_equal(outgoing_make(arena, &small, &message, &outgoing, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(outgoing_make(arena, &missing, &message, &outgoing, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines), cmocka_unit_test(test_header), cmocka_unit_test(test_settled),
		cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
