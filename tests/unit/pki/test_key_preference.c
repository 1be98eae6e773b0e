/* test_key_preference.c - SMIMEEncryptionKeyPreference in its three choices and in Outlook's form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pki/key_preference.h"
#include "support/testpki.h"

struct world {
	struct testpki *ca, *other_ca, *ours, *sibling, *namesake;
	struct cert *cert, *sibling_cert, *namesake_cert;
	struct buf der;
};

static struct testpki *make(const struct testpki *ca, long serial)
{
	return testpki_make(ca, &(struct testpki_spec){ .cn = "a", .san = "email:a@x.example", .serial = serial });
}

static int setup(void **state)
{
	static struct world world;

	world.ca = testpki_root("One");
	world.other_ca = testpki_root("Other");
	world.ours = make(world.ca, 0x123456);
	world.sibling = make(world.ca, 0x123457);
	world.namesake = make(world.other_ca, 0x123456);
	world.cert = testpki_cert(world.ours);
	world.sibling_cert = testpki_cert(world.sibling);
	world.namesake_cert = testpki_cert(world.namesake);
	buf_init(&world.der, 0);
	*state = &world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	struct testpki *pkis[] = { world->ours, world->sibling, world->namesake, world->ca, world->other_ca };
	struct cert *certs[] = { world->cert, world->sibling_cert, world->namesake_cert };

	for (size_t i = 0; i < sizeof(pkis) / sizeof(pkis[0]); i++)
		testpki_free(pkis[i]);
	for (size_t i = 0; i < sizeof(certs) / sizeof(certs[0]); i++)
		cert_free(certs[i]);
	buf_clear(&world->der);
	return 0;
}

/* tag and length in front of what stands behind `from`. */
static void enclose(struct buf *der, size_t from, unsigned char tag)
{
	struct slice content = slice_from(buf_slice(der), from);
	unsigned char head[3] = { tag, 0x81, (unsigned char)content.n };
	struct buf copy;

	assert_true(content.n < 256);
	buf_init(&copy, 0);
	assert_int_equal(buf_append_slice(&copy, slice_first(buf_slice(der), from)), 0);
	assert_int_equal(buf_append(&copy, content.n < 128 ? (unsigned char[]){ tag, (unsigned char)content.n } : head,
				    content.n < 128 ? 2 : 3), 0);
	assert_int_equal(buf_append_slice(&copy, content), 0);
	buf_clear(der);
	*der = copy;
}

static void issuer_and_serial(struct world *world, unsigned char tag)
{
	buf_reset(&world->der);
	assert_int_equal(buf_append_slice(&world->der, cert_info(world->cert)->issuer_der), 0);
	assert_int_equal(buf_append_slice(&world->der, cert_info(world->cert)->serial_der), 0);
	enclose(&world->der, 0, tag);
}

static void names_ours_alone(struct world *world)
{
	struct key_preference preference;

	assert_int_equal(key_preference_parse(buf_slice(&world->der), &preference, NULL), 0);
	assert_true(key_preference_names(&preference, world->cert));
	assert_false(key_preference_names(&preference, world->sibling_cert));
	assert_false(key_preference_names(&preference, world->namesake_cert));
}

static void by_issuer_and_serial(void **state)
{
	issuer_and_serial(*state, 0xa0);
	names_ours_alone(*state);
}

static void by_outlooks_attribute(void **state)
{
	issuer_and_serial(*state, 0x30);
	names_ours_alone(*state);
}

static void by_recipient_key_id(void **state)
{
	static const char date[] = "\x18\x0f" "20260101000000Z";
	struct world *world = *state;

	for (int dated = 0; dated < 2; dated++) {
		buf_reset(&world->der);
		assert_int_equal(buf_append_slice(&world->der, cert_info(world->cert)->skid), 0);
		enclose(&world->der, 0, 0x04);
		if (dated)
			assert_int_equal(buf_append(&world->der, date, sizeof(date) - 1), 0);
		enclose(&world->der, 0, 0xa1);
		names_ours_alone(world);
	}
}

static void by_subject_alt_key_id(void **state)
{
	struct world *world = *state;

	buf_reset(&world->der);
	assert_int_equal(buf_append_slice(&world->der, cert_info(world->cert)->skid), 0);
	enclose(&world->der, 0, 0x82);
	names_ours_alone(world);
}

static void refuses_garbage(void **state)
{
	static const struct { const char *bytes; size_t n; } bad[] = {
		{ "", 0 }, { "\x82\x00", 2 }, { "\xa1\x02\x04\x00", 4 }, { "\xa1\x03\x02\x01\x05", 5 }, { "\xa0\x00", 2 },
		{ "\xa0\x80\x00\x00", 4 }, { "\xa2\x03\x04\x01x", 5 }, { "\xa3\x00", 2 }, { "\x04\x01x", 3 },
		{ "\x82\x01xx", 4 },
	};
	struct world *world = *state;
	struct key_preference preference;
	struct err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(key_preference_parse(slice_make(bad[i].bytes, bad[i].n), &preference, &err), -1);
		assert_int_equal(err.class, ERR_MESSAGE);
		assert_false(key_preference_names(&preference, world->cert));
	}
	issuer_and_serial(world, 0xa0);
	for (size_t n = 0; n < world->der.n; n++)
		assert_int_equal(key_preference_parse(slice_make(world->der.p, n), &preference, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_issuer_and_serial),
		cmocka_unit_test(by_outlooks_attribute),
		cmocka_unit_test(by_recipient_key_id),
		cmocka_unit_test(by_subject_alt_key_id),
		cmocka_unit_test(refuses_garbage),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
