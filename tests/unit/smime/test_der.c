/* test_der.c - framing of DER and BER: what is an item, where it ends, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "smime/der.h"

#define BYTES(text) slice_make(text, sizeof(text) - 1)

static void definite(void **state)
{
	struct der der = der_whole(BYTES("\x30\x06\x02\x01\x05\x04\x01" "a" "\x05\x00")), inner;
	struct der_item item;

	(void)state;
	assert_int_equal(der_count(der, 10), 2);
	assert_int_equal(der_count(der, 1), 2);
	assert_int_equal(der_take(&der, DER_SET, &item), 0);
	assert_int_equal(der_take(&der, DER_SEQUENCE, &item), 1);
	assert_int_equal(item.whole.n, 8);
	inner = der_inside(&item);
	assert_int_equal(der_next(&inner, &item), 1);
	assert_int_equal(item.tag, DER_INTEGER);
	assert_true(slice_is(item.content, "\x05"));
	assert_int_equal(der_next(&inner, &item), 1);
	assert_true(slice_is(item.content, "a"));
	assert_int_equal(der_next(&inner, &item), 0);
	assert_int_equal(der_take(&inner, DER_INTEGER, &item), 0);
	assert_int_equal(der_next(&der, &item), 1);
	assert_int_equal(item.content.n, 0);
	assert_int_equal(der_next(&der, &item), 0);
}

static void indefinite(void **state)
{
	/* SEQUENCE { [0] { OCTETS { "ab" } } } NULL, all lengths open; "ab" itself looks like an end. */
	struct slice bytes = BYTES("\x30\x80\xa0\x80\x24\x80\x04\x02\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00");
	struct der der = der_whole(bytes);
	struct der_item item;

	(void)state;
	assert_int_equal(der_take(&der, DER_SEQUENCE, &item), 1);
	assert_true(item.indefinite);
	assert_int_equal(item.whole.n, bytes.n - 2);
	assert_int_equal(item.content.n, bytes.n - 6);
	der = der_inside(&item);
	assert_int_equal(der_take(&der, DER_CONTEXT_CONSTRUCTED(0), &item), 1);
	assert_int_equal(der.rest.n, 0);
	der = der_inside(&item);
	assert_int_equal(der_take(&der, DER_OCTETS_CONSTRUCTED, &item), 1);
	der = der_inside(&item);
	assert_int_equal(der_take(&der, DER_OCTETS, &item), 1);
	assert_int_equal(item.content.n, 2);
	assert_int_equal(der_next(&der, &item), 0);
}

static void malformed(void **state)
{
	static const struct { const char *bytes; size_t n; } rows[] = {
		{ "\x30", 1 },					/* no length */
		{ "\x30\x02\x05", 3 },				/* too short */
		{ "\x30\x82\x01", 3 },				/* length cut */
		{ "\x04\x80\x00\x00", 4 },			/* primitive without a length */
		{ "\x30\x80\x05\x00", 4 },			/* no end */
		{ "\x30\x80\x05\x00\x00", 5 },			/* half an end */
		{ "\x30\x80\x05\x03\x00\x00", 6 },		/* its content ends behind it */
		{ "\x1f\x81\x01\x00", 4 },			/* a tag above 30 */
		{ "\x00\x00", 2 },				/* an end of nothing */
		{ "\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff", 10 },
		{ "\x30\x87\xff\xff\xff\xff\xff\xff\xff", 9 },
		{ "\x30\x80\x30\x87\xff\xff\xff\xff\xff\xff\xff\x00\x00", 13 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct der der = der_whole(slice_make(rows[i].bytes, rows[i].n));
		struct der_item item;

		assert_int_equal(der_count(der, 10), -1);
		assert_int_equal(der_next(&der, &item), -1);
	}
}

static void depth_is_bounded(void **state)
{
	char bytes[400];
	struct der_item item;
	struct der der;

	(void)state;
	for (size_t depth = DER_INDEFINITE_DEPTH; depth <= DER_INDEFINITE_DEPTH + 1; depth++) {
		memset(bytes, 0, sizeof(bytes));
		for (size_t i = 0; i < depth; i++)
			memcpy(bytes + 2 * i, "\x30\x80", 2);
		der = der_whole(slice_make(bytes, 4 * depth));
		assert_int_equal(der_next(&der, &item), depth == DER_INDEFINITE_DEPTH ? 1 : -1);
	}
}

/* Of a prefix, whatever its length, an item is never more than what is there, and said to be cut. */
static void prefixes(void **state)
{
	struct slice bytes = BYTES("\x30\x80\x06\x01\x2a\xa0\x80\x30\x82\x01\x00\x02\x01\x01");
	struct der_item item;

	(void)state;
	for (size_t n = 0; n <= bytes.n; n++) {
		struct der der = der_prefix(slice_first(bytes, n));
		int rc = der_next(&der, &item);

		assert_int_equal(rc, n < 2 ? -1 : 1);
		if (rc < 0)
			continue;
		assert_true(item.cut);
		assert_int_equal(item.content.n, n - 2);
		der = der_inside(&item);
		rc = der_take(&der, DER_OID, &item);
		assert_int_equal(rc, n < 4 ? -1 : 1);
		if (rc > 0)
			assert_int_equal(item.cut, n < 5);
	}
}

static void writing(void **state)
{
	static const size_t sizes[] = { 0, 1, 127, 128, 255, 256, 65535, 65536 };
	static const size_t headers[] = { 2, 2, 2, 3, 3, 4, 4, 5 };
	static char content[65536];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct buf buf;
		struct der der;
		struct der_item item;

		buf_init(&buf, 0);
		assert_int_equal(der_write(&buf, DER_SEQUENCE, slice_make(content, sizes[i])), 0);
		assert_int_equal(buf.n, headers[i] + sizes[i]);
		der = der_whole(buf_slice(&buf));
		assert_int_equal(der_take(&der, DER_SEQUENCE, &item), 1);
		assert_int_equal(item.content.n, sizes[i]);
		assert_int_equal(der.rest.n, 0);
		buf_clear(&buf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(definite), cmocka_unit_test(indefinite), cmocka_unit_test(malformed),
		cmocka_unit_test(depth_is_bounded), cmocka_unit_test(prefixes), cmocka_unit_test(writing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
