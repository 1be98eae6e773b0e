/* test_dn_attribute.c - attributes of a subject name, as text that cannot hurt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "pki/dn_attribute.h"
#include "support/testpki.h"

static const char *text_of(struct arena *arena, const struct testpki_spec *spec, enum dn_attribute attribute)
{
	struct testpki *root = testpki_root("Root");
	struct testpki *leaf = testpki_make(root, spec);
	struct cert *cert = testpki_cert(leaf);
	const char *text = "";

	assert_int_equal(dn_attribute_text(arena, cert, attribute, &text), 0);
	cert_free(cert);
	testpki_free(leaf);
	testpki_free(root);
	return text;
}

static void values_are_found(void **state)
{
	const struct testpki_spec spec = { .cn = "Alice \xc3\xa4", .organisation = "Example; x=y",
					   .dn_email = "alice@example.com" };

	assert_string_equal(text_of(*state, &spec, DN_CN), "Alice \xc3\xa4");
	assert_string_equal(text_of(*state, &spec, DN_O), "Example; x=y");
	assert_string_equal(text_of(*state, &spec, DN_EMAIL_ADDRESS), "alice@example.com");
	assert_null(text_of(*state, &spec, DN_OU));
}

static void control_characters_do_not_come_through(void **state)
{
	const struct testpki_spec spec = { .cn = "a\r\nX-SMIME-Layer: b\x7f\t" };

	assert_string_equal(text_of(*state, &spec, DN_CN), "a??X-SMIME-Layer: b??");
}

/* A subject with these units, raw. */
static const char *raw_text(struct arena *arena, const char *const *values, const size_t *bytes, size_t n)
{
	struct testpki *root = testpki_root("Root");
	X509 *x509 = X509_dup(root->x509);
	X509_NAME *name = X509_NAME_new();
	struct cert *cert = NULL;
	const char *text = "";
	struct err err;
	unsigned char *der = NULL;
	int der_bytes;

	for (size_t i = 0; i < n; i++)
		assert_true(X509_NAME_add_entry_by_NID(name, NID_organizationalUnitName, V_ASN1_UTF8STRING,
						       (const unsigned char *)values[i], (int)bytes[i], -1, 0) == 1);
	assert_true(X509_set_subject_name(x509, name) == 1);
	X509_NAME_free(name);
	assert_true(X509_sign(x509, root->pkey, EVP_sha256()) > 0);
	der_bytes = i2d_X509(x509, &der);
	assert_true(der_bytes > 0);
	cert = cert_from_der(slice_make(der, (size_t)der_bytes), &err);
	assert_non_null(cert);
	assert_int_equal(dn_attribute_text(arena, cert, DN_OU, &text), 0);
	cert_free(cert);
	OPENSSL_free(der);
	X509_free(x509);
	testpki_free(root);
	return text;
}

static void several_values_stand_in_their_order(void **state)
{
	static const char *const values[] = { "Sales", "R\0D" };
	static const size_t bytes[] = { 5, 3 };

	assert_string_equal(raw_text(*state, values, bytes, 2), "Sales, R?D");
}

static void every_name_has_an_attribute(void **state)
{
	const struct testpki_spec spec = { .cn = "x" };
	size_t n = 0;

	while (dn_attribute_names[n] != NULL)
		n++;
	assert_int_equal(n, DN_ORGANIZATION_IDENTIFIER + 1);
	for (size_t i = DN_OU; i < n; i++)
		assert_null(text_of(*state, &spec, (enum dn_attribute)i));
}

static int setup(void **state)
{
	*state = arena_new(0);
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	arena_free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_found), cmocka_unit_test(control_characters_do_not_come_through),
		cmocka_unit_test(several_values_stand_in_their_order), cmocka_unit_test(every_name_has_an_attribute),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
