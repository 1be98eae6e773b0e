/* test_key.c - own keys: key and certificate belong together, and the round trip notices when they do not work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "pki/pki_internal.h"
#include "support/testpki.h"

static void round_trips(void **state)
{
	static const enum testpki_key_type types[] = { TESTPKI_P256, TESTPKI_P384, TESTPKI_RSA2048, TESTPKI_RSA_PSS,
						       TESTPKI_ED25519, TESTPKI_BRAINPOOL };
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct testpki *pki = testpki_make(NULL, &(struct testpki_spec){ .key = types[i] });
		struct key *key = testpki_key(pki);

		assert_int_equal(key_test(key, &err), 0);
		key_free(key);
		testpki_free(pki);
	}
}

static void tells_useless_keys(void **state)
{
	struct testpki *pki = testpki_make(NULL, &(struct testpki_spec){ .eku = "serverAuth" });
	struct key *key = testpki_key(pki);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(key_test(key, &err), -1);
	assert_int_equal(err.class, ERR_CONFIG);
	key_free(key);
	testpki_free(pki);
}

static void refuses_strangers(void **state)
{
	struct testpki *a = testpki_root("A"), *b = testpki_root("B");
	struct cert *cert = testpki_cert(a);
	struct err err = { 0 };

	(void)state;
	assert_null(key_new(cert, b->pkey, NULL, "x.pem", &err));
	assert_int_equal(err.class, ERR_CONFIG);
	assert_non_null(strstr(err.text, "x.pem"));
	cert_free(cert);
	testpki_free(a);
	testpki_free(b);
}

static void keeps_its_chain(void **state)
{
	struct testpki *root = testpki_root("Root"), *sub = testpki_sub(root, "Sub");
	struct testpki *leaf = testpki_leaf(sub, "a@example.com");
	struct key *key = testpki_key(leaf), *again = key_ref(key);
	struct arena *arena = arena_new(0);

	(void)state;
	testpki_free(leaf);
	testpki_free(sub);
	testpki_free(root);
	assert_int_equal(key_defer(arena, key), 0);
	assert_int_equal(key_chain(again)->n, 2);
	assert_string_equal(cert_info(key_chain(again)->items[1])->subject, "CN=Root,O=Test");
	assert_string_equal(key_source(again), "testpki");
	assert_string_equal(cert_info(key_cert(again))->subject, "CN=a@example.com,O=Test");
	arena_free(arena);
	assert_non_null(key_pkey(again));
	key_free(again);
	key_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips), cmocka_unit_test(tells_useless_keys),
		cmocka_unit_test(refuses_strangers), cmocka_unit_test(keeps_its_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
