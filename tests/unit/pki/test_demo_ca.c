/* test_demo_ca.c - what the demonstration CA makes is what a real one would make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "pki/bundle.h"
#include "pki/demo_ca.h"

struct made {			/* of one user */
	struct demo_ca *ca;
	struct arena *arena;
	struct bundle cert, key;	/* what the two files hold */
	struct buf cert_pem, key_pem;
};

static void make(struct made *made, const struct demo_user *user)
{
	struct err err;

	memset(made, 0, sizeof(*made));
	buf_init(&made->cert_pem, 0);
	buf_init(&made->key_pem, 0);
	made->arena = arena_new(0);
	made->ca = demo_ca_new("Root", &err);
	assert_non_null(made->ca);
	assert_int_equal(demo_ca_issue(made->ca, user, &made->cert_pem, &made->key_pem, &err), 0);
	assert_int_equal(bundle_parse(made->arena, buf_slice(&made->cert_pem), &made->cert, &err), 0);
	assert_int_equal(made->cert.n, 1);
}

static void unmake(struct made *made)
{
	arena_free(made->arena);
	demo_ca_free(made->ca);
	buf_clear(&made->cert_pem);
	buf_clear(&made->key_pem);
}

static void root_is_an_anchor(void **state)
{
	struct err err;
	struct demo_ca *ca = demo_ca_new("Root", &err);
	const struct cert_info *info = NULL;
	struct buf key;

	(void)state;
	buf_init(&key, 0);
	assert_non_null(ca);
	info = cert_info(demo_ca_cert(ca));
	assert_true(info->ca && info->self_signed);
	assert_int_equal(info->usage & USAGE_CERT_SIGN, USAGE_CERT_SIGN);
	assert_true(info->not_after > time(NULL) + 3000L * 86400);
	assert_int_equal(demo_ca_key(ca, &key, &err), 0);
	assert_non_null(strstr(buf_string(&key), "BEGIN PRIVATE KEY"));
	buf_clear(&key);
	demo_ca_free(ca);
}

static void user_may_sign_and_encrypt(const struct demo_user *user, enum key_kind kind)
{
	const struct cert_info *info = NULL;
	struct address address;
	struct made made;
	struct err err;

	make(&made, user);
	info = cert_info(made.cert.entries[0].cert);
	assert_int_equal(info->key_kind, kind);
	assert_false(info->ca);
	assert_true(cert_may_sign(made.cert.entries[0].cert));
	assert_true(cert_may_encrypt(made.cert.entries[0].cert));
	assert_int_equal(address_parse(made.arena, slice_of(user->address), &address, &err), 0);
	assert_true(cert_has_address(made.cert.entries[0].cert, &address));
	assert_string_equal(info->issuer, cert_info(demo_ca_cert(made.ca))->subject);
	assert_int_equal(strlen(info->serial), 32);
	unmake(&made);
}

static void users_of_both_kinds(void **state)
{
	const struct demo_user rsa = { "A", "a@b.example", DEMO_RSA_2048, 10 }, ec = { "A", "a@b.example", DEMO_EC_P256, 10 };

	(void)state;
	user_may_sign_and_encrypt(&rsa, KEY_RSA);
	user_may_sign_and_encrypt(&ec, KEY_EC_P256);
}

static void key_file_has_key_certificate_and_root(void **state)
{
	const struct demo_user user = { "A", "a@b.example", DEMO_EC_P256, 10 };
	struct made made;
	struct err err;

	(void)state;
	make(&made, &user);
	assert_non_null(strstr(buf_string(&made.key_pem), "BEGIN PRIVATE KEY"));
	assert_int_equal(bundle_parse(made.arena, buf_slice(&made.key_pem), &made.key, &err), 0);
	assert_int_equal(made.key.n, 2);
	assert_true(cert_equal(made.key.entries[0].cert, made.cert.entries[0].cert));
	assert_true(cert_equal(made.key.entries[1].cert, demo_ca_cert(made.ca)));
	unmake(&made);
}

static void negative_days_have_expired(void **state)
{
	const struct demo_user user = { "A", "a@b.example", DEMO_EC_P256, -3 };
	const struct cert_info *info = NULL;
	struct made made;

	(void)state;
	make(&made, &user);
	info = cert_info(made.cert.entries[0].cert);
	assert_true(info->not_after < time(NULL) - 2 * 86400);
	assert_true(info->not_before < info->not_after);
	unmake(&made);
}

static void address_that_is_too_long_is_refused(void **state)
{
	char address[400];
	struct demo_user user = { "A", address, DEMO_EC_P256, 10 };
	struct err err = { ERR_NONE, "" };
	struct demo_ca *ca = demo_ca_new("Root", &err);
	struct buf cert, key;

	(void)state;
	memset(address, 'a', sizeof(address) - 1);
	address[sizeof(address) - 1] = '\0';
	buf_init(&cert, 0);
	buf_init(&key, 0);
	assert_int_equal(demo_ca_issue(ca, &user, &cert, &key, &err), -1);
	assert_int_equal(cert.n + key.n, 0);
	demo_ca_free(ca);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_is_an_anchor),
		cmocka_unit_test(users_of_both_kinds),
		cmocka_unit_test(key_file_has_key_certificate_and_root),
		cmocka_unit_test(negative_days_have_expired),
		cmocka_unit_test(address_that_is_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
