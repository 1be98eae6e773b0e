/* test_entry.c - attribute names, and the values that servers keep under them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <lber.h>
#include <openldap.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ldap/entry.h"
#include "support/testpki.h"

struct state {
	struct arena *arena;
	struct buf bytes;
	struct testpki *root, *sub, *alice;
	struct directory_answer answer;
};

static const struct directory_entry usual = { .attribute = "userCertificate" };
static const struct directory_entry smime = { .attribute = "userSMIMECertificate" };

static int setup(void **state)
{
	static struct state s;

	memset(&s, 0, sizeof(s));
	s.arena = arena_new(0);
	buf_init(&s.bytes, 0);
	s.root = testpki_root("Root");
	s.sub = testpki_sub(s.root, "Sub");
	s.alice = testpki_leaf(s.sub, "alice@example.com");
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	buf_clear(&s->bytes);
	testpki_free(s->alice);
	testpki_free(s->sub);
	testpki_free(s->root);
	arena_free(s->arena);
	return 0;
}

static void names_without_options_and_case(void **state)
{
	static const char *const names[] = { "userSMIMECertificate", "userCertificate", NULL };

	(void)state;
	assert_ptr_equal(entry_attribute(names, "userCertificate;binary"), names[1]);
	assert_ptr_equal(entry_attribute(names, "USERCERTIFICATE;Binary;lang-de"), names[1]);
	assert_ptr_equal(entry_attribute(names, "usersmimecertificate"), names[0]);
	assert_null(entry_attribute(names, "userCertificateX"));
	assert_null(entry_attribute(names, "userCertificat"));
	assert_null(entry_attribute(names, ";binary"));
	assert_null(entry_attribute(names, ""));
}

static void der_is_an_entry_even_of_a_ca(void **state)
{
	struct state *s = *state;

	testpki_der(s->alice, &s->bytes);
	assert_int_equal(entry_value(s->arena, &usual, buf_slice(&s->bytes), &s->answer), 0);
	buf_reset(&s->bytes);
	testpki_der(s->root, &s->bytes);
	assert_int_equal(entry_value(s->arena, &usual, buf_slice(&s->bytes), &s->answer), 0);
	assert_int_equal(s->answer.status, DIRECTORY_FOUND);
	assert_int_equal(s->answer.n, 2);
	assert_int_equal(s->answer.chain.n, 0);
	assert_string_equal(s->answer.entries[0].attribute, "userCertificate");
	assert_false(s->answer.entries[0].capabilities.known);
}

static void certs_only_gives_leaf_and_chain(void **state)
{
	struct state *s = *state;
	const struct testpki *all[] = { s->root, s->alice, s->sub };

	testpki_p7b(all, 3, false, &s->bytes);
	assert_int_equal(entry_value(s->arena, &smime, buf_slice(&s->bytes), &s->answer), 0);
	assert_int_equal(s->answer.n, 1);
	assert_false(cert_info(s->answer.entries[0].cert)->ca);
	assert_int_equal(s->answer.chain.n, 2);
	assert_int_equal(s->answer.problem_count, 0);
}

static void garbage_hides_nothing(void **state)
{
	struct state *s = *state;
	static const char *const garbage[] = {
		"", "x", "0", "hello world", "0\x82\xff\xff", "-----BEGIN CERTIFICATE-----\nAA",
	};
	struct slice der;

	testpki_der(s->alice, &s->bytes);
	der = buf_slice(&s->bytes);
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		assert_int_equal(entry_value(s->arena, &usual, slice_of(garbage[i]), &s->answer), 0);
		assert_int_equal(s->answer.status, DIRECTORY_NONE);
		assert_true(s->answer.problem_count >= i + 1);
		assert_int_equal(strncmp(s->answer.problems[i], "userCertificate: ", 17), 0);
	}
	/* Cut short at every tenth byte, then whole. */
	for (size_t n = 0; n < der.n; n += 10)
		assert_int_equal(entry_value(s->arena, &usual, slice_first(der, n), &s->answer), 0);
	assert_int_equal(s->answer.n, 0);
	assert_int_equal(entry_value(s->arena, &usual, der, &s->answer), 0);
	assert_int_equal(s->answer.n, 1);
	assert_int_equal(s->answer.status, DIRECTORY_FOUND);
}

static void crl_is_no_certificate(void **state)
{
	struct state *s = *state;

	testpki_crl(s->root, NULL, 0, 0, 0, false, &s->bytes);
	assert_int_equal(entry_value(s->arena, &usual, buf_slice(&s->bytes), &s->answer), 0);
	assert_int_equal(s->answer.status, DIRECTORY_NONE);
	assert_int_equal(s->answer.problem_count, 1);
	assert_non_null(strstr(s->answer.problems[0], "no certificate"));
}

static void no_memory(void **state)
{
	struct state *s = *state;
	struct arena *small = arena_new(64);

	testpki_der(s->alice, &s->bytes);
	assert_int_equal(entry_value(small, &usual, buf_slice(&s->bytes), &s->answer), -1);
	arena_free(small);
}

static void a_value_of_any_size_is_no_reason_to_read_it(void **state)
{
	struct state *s = *state;
	size_t n = (size_t)1024 * 1024;

	testpki_pem(s->alice, TESTPKI_CERT, &s->bytes);
	while (s->bytes.n < n)
		assert_int_equal(buf_append_char(&s->bytes, '\n'), 0);
	assert_int_equal(entry_value(s->arena, &usual, buf_slice(&s->bytes), &s->answer), 0);
	assert_int_equal(s->answer.n, 1);
	assert_int_equal(buf_append_char(&s->bytes, '\n'), 0);
	assert_int_equal(entry_value(s->arena, &usual, buf_slice(&s->bytes), &s->answer), 0);
	assert_int_equal(s->answer.n, 1);
	assert_int_equal(s->answer.problem_count, 1);
	assert_string_equal(s->answer.problems[0], "userCertificate: 1048577 bytes: more than 1048576");
}

struct attribute {
	const char *description;
	struct testpki *values[2];
};

static void write_attribute(BerElement *ber, const struct attribute *attribute)
{
	struct buf der;

	assert_true(ber_printf(ber, "{s[", attribute->description) >= 0);
	for (size_t i = 0; i < 2 && attribute->values[i] != NULL; i++) {
		buf_init(&der, 0);
		testpki_der(attribute->values[i], &der);
		assert_true(ber_printf(ber, "o", (const char *)der.p, (ber_len_t)der.n) >= 0);
		buf_clear(&der);
	}
	assert_true(ber_printf(ber, "]}") >= 0);
}

/* A server answers the one search with an entry of these attributes, which entry_read reads. */
static int read_entry(struct state *s, const struct attribute *attributes, size_t n)
{
	static const char *const names[] = { "userSMIMECertificate", "userCertificate", NULL };
	BerElement *ber = ber_alloc_t(LBER_USE_DER);
	struct berval *bytes = NULL;
	LDAPMessage *message = NULL;
	LDAP *ld = NULL;
	int ends[2], id = 0, rc;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(ldap_init_fd(ends[0], LDAP_PROTO_IPC, "ldap://test", &ld), LDAP_SUCCESS);
	assert_int_equal(ldap_search_ext(ld, "", LDAP_SCOPE_BASE, "(a=b)", NULL, 0, NULL, NULL, NULL, 0, &id),
			 LDAP_SUCCESS);
	assert_true(ber_printf(ber, "{it{s{", id, (ber_tag_t)LDAP_RES_SEARCH_ENTRY, "cn=alice") >= 0);
	for (size_t i = 0; i < n; i++)
		write_attribute(ber, &attributes[i]);
	assert_true(ber_printf(ber, "}}}") >= 0);
	assert_int_equal(ber_flatten(ber, &bytes), 0);
	assert_int_equal(write(ends[1], bytes->bv_val, bytes->bv_len), (ssize_t)bytes->bv_len);
	assert_int_equal(ldap_result(ld, id, LDAP_MSG_ONE, NULL, &message), LDAP_RES_SEARCH_ENTRY);
	rc = entry_read(s->arena, ld, message, names, NULL, &s->answer);
	ldap_msgfree(message);
	ber_bvfree(bytes);
	ber_free(ber, 1);
	ldap_unbind_ext(ld, NULL, NULL);
	close(ends[1]);
	return rc;
}

/* Whatever the server's order is. */
static void attributes_are_read_in_the_configured_order(void **state)
{
	struct state *s = *state;
	struct testpki *renewed = testpki_leaf(s->sub, "alice@example.com");
	const struct attribute attributes[] = {
		{ "mail", { NULL } }, { "userCertificate;binary", { s->alice, s->root } },
		{ "USERSMIMECERTIFICATE", { renewed, s->alice } },
	};

	assert_int_equal(read_entry(s, attributes, 3), 0);
	assert_int_equal(s->answer.n, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(s->answer.entries[i].value, i);
		assert_string_equal(s->answer.entries[i].attribute, i < 2 ? "userSMIMECertificate" : "userCertificate");
	}
	testpki_free(renewed);
}

static void a_range_is_not_the_attribute(void **state)
{
	struct state *s = *state;
	const struct { const char *description; int rc; } cases[] = {
		{ "userCertificate;range=0-1499", ENTRY_PART }, { "userCertificate;binary;Range=0-0", ENTRY_PART },
		{ "userCertificate;range=", ENTRY_PART }, { "userCertificate;range=0-*", 0 },
		{ "userCertificate;ranged=0-1", 0 }, { "member;range=0-1499", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* The server says the name twice: once bare and empty. */
		const struct attribute attributes[] = {
			{ "userCertificate", { NULL } }, { cases[i].description, { s->alice } },
		};

		assert_int_equal(read_entry(s, attributes, 2), cases[i].rc);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_without_options_and_case), TEST(der_is_an_entry_even_of_a_ca),
		TEST(certs_only_gives_leaf_and_chain), TEST(garbage_hides_nothing), TEST(crl_is_no_certificate),
		TEST(no_memory), TEST(a_value_of_any_size_is_no_reason_to_read_it),
		TEST(attributes_are_read_in_the_configured_order), TEST(a_range_is_not_the_attribute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
