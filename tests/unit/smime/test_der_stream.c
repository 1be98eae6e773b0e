/* test_der_stream.c - items that come by in a stream, in pieces of any size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "smime/der_stream.h"
#include "support/dertext.h"

/* A stream of those bytes, so many at a time. */
struct drops {
	struct slice rest;
	size_t at_a_time;
};

static ssize_t drops_read(void *self, void *p, size_t n, struct err *err)
{
	struct drops *drops = self;
	size_t most = drops->at_a_time < n ? drops->at_a_time : n;
	struct slice now = slice_first(drops->rest, most);

	(void)err;
	if (now.n > 0)
		memcpy(p, now.p, now.n);
	drops->rest = slice_from(drops->rest, now.n);
	return (ssize_t)now.n;
}

static struct stream *open_drops(struct slice bytes, size_t at_a_time)
{
	static const struct stream_class class = { .read = drops_read, .close = free };
	struct drops *drops = calloc(1, sizeof(*drops));

	assert_non_null(drops);
	*drops = (struct drops){ bytes, at_a_time };
	return stream_new(&class, drops, NULL);
}

struct fixture {
	struct buf bytes, item;
	struct stream *stream;
	struct der_stream der;
	struct der_octets octets;
	struct err err;
};

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	buf_init(&f->bytes, 0);
	buf_init(&f->item, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	stream_close(f->stream);
	buf_clear(&f->bytes);
	buf_clear(&f->item);
	test_free(f);
	return 0;
}

static void start(struct fixture *f, const char *text, size_t at_a_time)
{
	stream_close(f->stream);
	buf_reset(&f->bytes);
	buf_reset(&f->item);
	dertext(text, &f->bytes);
	f->stream = open_drops(buf_slice(&f->bytes), at_a_time);
	der_stream_init(&f->der, f->stream);
	f->err = (struct err){ .class = ERR_NONE };
}

static void walks_in_pieces_of_any_size(void **state)
{
	static const char *const texts[] = {
		"30{ 02{ 05 } a0{ 04{ ~9000 } } 31{ 06{ 2a } 05{} } }",
		"30[ 02{ 05 } a0[ 04{ ~9000 } ] 31[ 06{ 2a } 05{} ] ]",
		"30{ 02{ 05 } a0[ 24[ 04{ ~4000 } 24{ 04{ ~4999 } } 04{ ~1 } ] ] 31{ 06{ 2a } 05{} } }",
	};
	struct fixture *f = *state;

	for (size_t text = 0; text < sizeof(texts) / sizeof(texts[0]); text++)
		for (size_t n = 1; n < 20000; n = 2 * n + 1) {
			start(f, texts[text], n);
			assert_int_equal(der_stream_enter(&f->der, DER_SET, &f->err), 0);
			assert_int_equal(der_stream_enter(&f->der, DER_SEQUENCE, &f->err), 1);
			assert_int_equal(der_stream_take(&f->der, DER_OID, &f->item, &f->err), 0);
			assert_int_equal(der_stream_take(&f->der, DER_INTEGER, &f->item, &f->err), 1);
			assert_memory_equal(f->item.p, "\x02\x01\x05", 3);
			assert_int_equal(der_stream_enter(&f->der, DER_CONTEXT_CONSTRUCTED(0), &f->err), 1);
			assert_int_equal(der_stream_octets(&f->der, DER_OCTETS, &f->octets, &f->err), 1);
			assert_int_equal(f->octets.n, 9000);
			assert_int_equal(der_stream_leave(&f->der, &f->err), 0);
			buf_reset(&f->item);
			assert_int_equal(der_stream_next(&f->der, &f->item, &f->err), 1);
			assert_int_equal(f->item.p[0], DER_SET);
			assert_int_equal(der_stream_next(&f->der, &f->item, &f->err), 0);
			assert_int_equal(der_stream_enter(&f->der, DER_SET, &f->err), 0);
			assert_int_equal(der_stream_leave(&f->der, &f->err), 0);
			assert_int_equal(der_stream_finish(&f->der, false, &f->err), 0);
		}
}

static void the_sample_is_the_first_octets(void **state)
{
	struct fixture *f = *state;

	start(f, "a0[ 04{ \"ab\" } 04{} 04{ \"cd\" } ]", 3);
	assert_int_equal(der_stream_octets(&f->der, DER_CONTEXT(0), &f->octets, &f->err), 1);
	assert_int_equal(f->octets.n, 4);
	assert_memory_equal(f->octets.sample, "abcd", 4);
	start(f, "80{ ~100 }", 7);
	assert_int_equal(der_stream_octets(&f->der, DER_CONTEXT(0), &f->octets, &f->err), 1);
	assert_int_equal(f->octets.n, 100);
	assert_memory_equal(f->octets.sample, f->bytes.p + 2, DER_SAMPLE_BYTES);
	start(f, "04{}", 7);
	assert_int_equal(der_stream_octets(&f->der, DER_CONTEXT(0), &f->octets, &f->err), 0);
}

static void pieces_are_octets_and_not_too_deep(void **state)
{
	static const char *const bad[] = {
		"24[ 02{ 00 } ]", "24[ 04{ 00 } 30{} ]", "24[ 24[ 24[ 24[ 24[ 24[ 04{ 00 } ] ] ] ] ] ]",
		"24{ 24{ 24{ 24{ 24{ 24{} } } } } }", "24{ 04 05 00 }", "24 80 04 01",
		"04 80 00 00", "04 05 00",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start(f, bad[i], 5);
		if (der_stream_octets(&f->der, DER_OCTETS, &f->octets, &f->err) != -1)
			fail_msg("%s", bad[i]);
		assert_int_equal(f->err.class, ERR_MESSAGE);
		assert_non_null(strstr(f->err.text, "at offset"));
	}
	start(f, "24{ 24{ 24{ 24{ 24{ 04{ 00 } } } } } }", 5);
	assert_int_equal(der_stream_octets(&f->der, DER_OCTETS, &f->octets, &f->err), 1);
}

static void lengths_stay_within_what_is_around(void **state)
{
	static const char *const bad[] = {
		"30 03 02 02 00", "30 02 30 80 00 00", "30 04 30 80 04 05 00", "30 04 02 84 7f ff", "30 01 02",
		"30 80", "30 80 00", "30 02 1f 01",
	};
	struct fixture *f = *state;
	int rc;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start(f, bad[i], 1);
		assert_int_equal(der_stream_enter(&f->der, DER_SEQUENCE, &f->err), 1);
		rc = der_stream_next(&f->der, &f->item, &f->err);
		if (rc == 0)
			rc = der_stream_leave(&f->der, &f->err);
		if (rc != -1)
			fail_msg("%s", bad[i]);
		assert_int_equal(f->err.class, ERR_MESSAGE);
	}
}

static void nothing_is_left_behind(void **state)
{
	struct fixture *f = *state;

	start(f, "30{ 02{ 05 } }", 100);
	assert_int_equal(der_stream_enter(&f->der, DER_SEQUENCE, &f->err), 1);
	assert_int_equal(der_stream_leave(&f->der, &f->err), -1);
	start(f, "30{} 0d0a", 100);
	assert_int_equal(der_stream_take(&f->der, DER_SEQUENCE, &f->item, &f->err), 1);
	assert_int_equal(der_stream_finish(&f->der, true, &f->err), 0);
	assert_int_equal(der_stream_finish(&f->der, false, &f->err), -1);
	start(f, "30{} 0d0a00", 100);
	assert_int_equal(der_stream_take(&f->der, DER_SEQUENCE, &f->item, &f->err), 1);
	assert_int_equal(der_stream_finish(&f->der, true, &f->err), -1);
}

static void what_is_taken_is_bounded(void **state)
{
	static const char *const texts[] = {
		"30{ 04{ ~100 } }", "30[ 04{ ~100 } ]", "30[ 24[ 04{ ~49 } 04{ ~49 } ] ]"
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		start(f, texts[i], 100);
		f->item.limit_bytes = 100;
		assert_int_equal(der_stream_take(&f->der, DER_SEQUENCE, &f->item, &f->err), -1);
		assert_int_equal(f->err.class, ERR_LIMIT);
	}
}

static void depth_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct buf text;
	int rc = 1;

	buf_init(&text, 0);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(buf_append_text(&text, "3080"), 0);
	start(f, buf_string(&text), 100);
	assert_int_equal(der_stream_take(&f->der, DER_SEQUENCE, &f->item, &f->err), -1);
	start(f, buf_string(&text), 100);
	for (size_t i = 0; i < 100 && rc == 1; i++)
		rc = der_stream_enter(&f->der, DER_SEQUENCE, &f->err);
	assert_int_equal(rc, -1);
	buf_clear(&text);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(walks_in_pieces_of_any_size), TEST(the_sample_is_the_first_octets),
		TEST(pieces_are_octets_and_not_too_deep), TEST(lengths_stay_within_what_is_around),
		TEST(nothing_is_left_behind), TEST(what_is_taken_is_bounded), TEST(depth_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
