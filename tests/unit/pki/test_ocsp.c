/* test_ocsp.c - which OCSP responses count for a certificate, and the request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/ocsp.h>
#include <string.h>

#include "pki/ocsp.h"
#include "support/testpki.h"

#define HOUR_S ((time_t)3600)
#define NOCHECK "1.3.6.1.5.5.7.48.1.5"

struct fixture {
	struct testpki *root, *sub, *leaf, *twin;	/* twin: the same serial number of another CA */
	struct cert *sub_cert, *leaf_cert, *delegate;
	struct path_span span;
	struct revocation_answer answer;
	time_t now;
};

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	f->now = time(NULL);
	f->root = testpki_root("Root");
	f->sub = testpki_sub(f->root, "Sub");
	f->leaf = testpki_make(f->sub, &(struct testpki_spec){ .cn = "Leaf", .serial = 77 });
	f->twin = testpki_make(f->root, &(struct testpki_spec){ .cn = "Twin", .serial = 77 });
	f->sub_cert = testpki_cert(f->sub);
	f->leaf_cert = testpki_cert(f->leaf);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	cert_free(f->delegate);
	cert_free(f->sub_cert);
	cert_free(f->leaf_cert);
	testpki_free(f->twin);
	testpki_free(f->leaf);
	testpki_free(f->sub);
	testpki_free(f->root);
	test_free(f);
	return 0;
}

/* What the response says of the leaf; leaf and sub where spec leaves them out. */
static enum path_revocation ask(struct fixture *f, struct testpki_ocsp spec)
{
	struct ocsp *ocsp;
	struct buf der;

	spec.cert = spec.cert == NULL ? f->leaf : spec.cert;
	spec.issuer = spec.issuer == NULL ? f->sub : spec.issuer;
	spec.this_update = spec.this_update == 0 ? f->now - HOUR_S : spec.this_update;
	buf_init(&der, 0);
	testpki_ocsp_make(&spec, &der);
	ocsp = ocsp_parse(buf_slice(&der), NULL);
	assert_non_null(ocsp);
	f->span = (struct path_span){ .after = 0, .before = INT64_MAX };
	cert_free(f->delegate);
	ocsp_check(ocsp, f->leaf_cert, f->sub_cert, f->now, &f->span, &f->answer, &f->delegate);
	ocsp_free(ocsp);
	buf_clear(&der);
	return f->answer.revocation;
}

/* The response is signed by a certificate made like that. */
static enum path_revocation ask_delegate(struct fixture *f, const struct testpki *issuer,
					 const struct testpki_spec *spec)
{
	struct testpki *signer = testpki_make(issuer, spec);
	enum path_revocation result = ask(f, (struct testpki_ocsp){ .signer = signer });

	testpki_free(signer);
	return result;
}

static void the_issuer_answers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, (struct testpki_ocsp){ .status = V_OCSP_CERTSTATUS_GOOD }), REV_GOOD);
	assert_true(f->answer.current && f->answer.this_update == f->now - HOUR_S);
	assert_null(f->delegate);
	assert_int_equal(ask(f, (struct testpki_ocsp){ .sha256 = true, .by_key = true }), REV_GOOD);
	assert_int_equal(ask(f, (struct testpki_ocsp){ .no_cert = true }), REV_GOOD);
	assert_int_equal(ask(f, (struct testpki_ocsp){ .status = V_OCSP_CERTSTATUS_REVOKED }), REV_REVOKED);
	assert_int_equal(ask(f, (struct testpki_ocsp){ .status = V_OCSP_CERTSTATUS_UNKNOWN }), REV_UNKNOWN);
}

static void time_matters(void **state)
{
	struct fixture *f = *state;
	const time_t this = f->now - 4 * HOUR_S, next = f->now + 4 * HOUR_S;

	assert_int_equal(ask(f, (struct testpki_ocsp){ .this_update = this, .next_update = next }), REV_GOOD);
	assert_int_equal(f->answer.ages, this + 6 * HOUR_S);
	assert_int_equal(f->span.before, next);
	assert_true(f->span.after < f->now && f->span.after > this - HOUR_S);
	assert_int_equal(ask(f, (struct testpki_ocsp){ .this_update = this, .next_update = f->now - 60 }), REV_STALE);
	assert_int_equal(ask(f, (struct testpki_ocsp){ .this_update = this, .next_update = f->now - 60,
						       .status = V_OCSP_CERTSTATUS_REVOKED }), REV_REVOKED);
	assert_false(f->answer.current);
	assert_int_equal(ask(f, (struct testpki_ocsp){ .this_update = f->now + HOUR_S }), REV_UNKNOWN);
	/* a clock that is somewhat ahead */
	assert_int_equal(ask(f, (struct testpki_ocsp){ .this_update = f->now + 60 }), REV_GOOD);
	/* without an end, for a day */
	assert_int_equal(ask(f, (struct testpki_ocsp){ .this_update = this, .next_update = -1 }), REV_GOOD);
	assert_int_equal(ask(f, (struct testpki_ocsp){ .this_update = f->now - 25 * HOUR_S, .next_update = -1 }),
			 REV_STALE);
	/* made after the moment that is asked about */
	f->now -= HOUR_S / 2;
	assert_int_equal(ask(f, (struct testpki_ocsp){ .cert = NULL }), REV_UNKNOWN);
}

static void others_answers_are_not_the_leafs(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, (struct testpki_ocsp){ .cert = f->twin, .issuer = f->root }), REV_UNKNOWN);
	assert_int_equal(ask(f, (struct testpki_ocsp){ .cert = f->sub, .issuer = f->root }), REV_UNKNOWN);
	/* the issuer's issuer is no responder for the leaf */
	assert_int_equal(ask(f, (struct testpki_ocsp){ .signer = f->root }), REV_UNKNOWN);
	assert_int_equal(ask(f, (struct testpki_ocsp){ .signer = f->leaf }), REV_UNKNOWN);
}

static void delegates_are_the_issuers_own(void **state)
{
	struct fixture *f = *state;
	const struct testpki_spec good = { .cn = "R", .eku = "OCSPSigning" };
	struct testpki *twin = testpki_make(f->root, &(struct testpki_spec){ .cn = "Sub", .ca = true });

	assert_int_equal(ask_delegate(f, f->sub, &good), REV_GOOD);
	assert_non_null(f->delegate);
	assert_int_equal(ask_delegate(f, f->sub, &(struct testpki_spec){ .eku = "OCSPSigning", .extra_oid = NOCHECK,
									.extra_value = "DER:05:00" }), REV_GOOD);
	assert_null(f->delegate);
	assert_int_equal(ask_delegate(f, f->root, &good), REV_UNKNOWN);
	/* another key of the same name: not the one that issued the leaf */
	assert_int_equal(ask_delegate(f, twin, &good), REV_UNKNOWN);
	testpki_free(twin);
}

static void delegates_must_be_good_for_it(void **state)
{
	static const struct testpki_spec specs[] = {
		{ .cn = "none" }, { .eku = "emailProtection" }, { .eku = "anyExtendedKeyUsage" },
		{ .eku = "OCSPSigning", .usage = "critical,keyEncipherment" },
		{ .eku = "OCSPSigning", .key = TESTPKI_RSA1024 },
		{ .eku = "OCSPSigning", .extra_oid = "1.2.3.4", .extra_value = "critical,DER:05:00" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
		assert_int_equal(ask_delegate(f, f->sub, &specs[i]), REV_UNKNOWN);
	assert_int_equal(ask_delegate(f, f->sub, &(struct testpki_spec){ .eku = "OCSPSigning",
					.not_after = f->now - 60 }), REV_UNKNOWN);
	assert_int_equal(ask_delegate(f, f->sub, &(struct testpki_spec){ .eku = "OCSPSigning",
					.not_before = f->now + 60 }), REV_UNKNOWN);
	assert_int_equal(ask_delegate(f, f->sub, &(struct testpki_spec){ .eku = "OCSPSigning",
					.digest = EVP_sha1() }), REV_UNKNOWN);
	/* its end is the answer's */
	assert_int_equal(ask_delegate(f, f->sub, &(struct testpki_spec){ .eku = "OCSPSigning",
					.not_after = f->now + 60 }), REV_GOOD);
	assert_int_equal(f->span.before, f->now + 60);
}

static void a_changed_response_says_nothing(void **state)
{
	struct fixture *f = *state;
	struct ocsp *ocsp;
	struct buf der;

	buf_init(&der, 0);
	testpki_ocsp_make(&(struct testpki_ocsp){ .cert = f->leaf, .issuer = f->sub, .no_cert = true }, &der);
	der.p[der.n - 1] ^= 1;
	ocsp = ocsp_parse(buf_slice(&der), NULL);
	assert_non_null(ocsp);
	ocsp_check(ocsp, f->leaf_cert, f->sub_cert, f->now, &f->span, &f->answer, NULL);
	assert_int_equal(f->answer.revocation, REV_UNKNOWN);
	ocsp_free(ocsp);
	buf_clear(&der);
}

static void what_is_no_response_is_refused(void **state)
{
	struct fixture *f = *state;
	struct err err = { .class = ERR_NONE };
	struct buf der;

	buf_init(&der, 0);
	testpki_ocsp_make(&(struct testpki_ocsp){ .cert = f->leaf, .issuer = f->sub,
						  .response_status = OCSP_RESPONSE_STATUS_TRYLATER }, &der);
	assert_null(ocsp_parse(buf_slice(&der), &err));
	assert_int_equal(err.class, ERR_MESSAGE);
	assert_non_null(strstr(err.text, "status 3"));
	buf_reset(&der);
	testpki_ocsp_make(&(struct testpki_ocsp){ .cert = f->leaf, .issuer = f->sub }, &der);
	buf_append_char(&der, 'x');
	assert_null(ocsp_parse(buf_slice(&der), &err));
	assert_non_null(strstr(err.text, "behind"));
	assert_null(ocsp_parse(slice_first(buf_slice(&der), 40), &err));
	assert_null(ocsp_parse(slice_of(""), &err));
	buf_clear(&der);
	ocsp_free(NULL);
}

static void asks_for_one_certificate(void **state)
{
	struct fixture *f = *state;
	OCSP_REQUEST *request;
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), f->leaf->x509, f->sub->x509);
	const unsigned char *p;
	struct buf der;

	buf_init(&der, 0);
	assert_int_equal(ocsp_request(f->leaf_cert, f->sub_cert, &der, NULL), 0);
	p = der.p;
	request = d2i_OCSP_REQUEST(NULL, &p, (long)der.n);
	assert_non_null(request);
	assert_ptr_equal(p, der.p + der.n);
	assert_int_equal(OCSP_request_onereq_count(request), 1);
	assert_int_equal(OCSP_id_cmp(OCSP_onereq_get0_id(OCSP_request_onereq_get0(request, 0)), id), 0);
	assert_int_equal(OCSP_REQUEST_get_ext_count(request), 0);
	OCSP_CERTID_free(id);
	OCSP_REQUEST_free(request);
	buf_clear(&der);
}

static int accept(const struct fixture *f, const struct testpki_ocsp *spec)
{
	struct err err = { .class = ERR_NONE };
	struct revocation_times times;
	struct buf der;
	int rc;

	buf_init(&der, 0);
	testpki_ocsp_make(spec, &der);
	rc = revocation_accept_ocsp(buf_slice(&der), f->leaf_cert, f->sub_cert, f->now, &times, &err);
	assert_true(rc != 0 || (times.this_update == f->now - HOUR_S && times.ages > f->now));
	assert_int_equal(err.class, rc == 0 ? ERR_NONE : ERR_MESSAGE);
	buf_clear(&der);
	return rc;
}

static void what_is_worth_keeping(void **state)
{
	struct fixture *f = *state;
	struct testpki_ocsp spec = { .cert = f->leaf, .issuer = f->sub, .this_update = f->now - HOUR_S };

	assert_int_equal(accept(f, &spec), 0);
	spec.status = V_OCSP_CERTSTATUS_REVOKED;
	assert_int_equal(accept(f, &spec), 0);
	spec.next_update = f->now - 1;
	assert_int_equal(accept(f, &spec), -1);
	spec.next_update = 0;
	spec.status = V_OCSP_CERTSTATUS_UNKNOWN;
	assert_int_equal(accept(f, &spec), -1);
	spec = (struct testpki_ocsp){ .cert = f->twin, .issuer = f->root };
	assert_int_equal(accept(f, &spec), -1);
	spec.response_status = OCSP_RESPONSE_STATUS_INTERNALERROR;
	assert_int_equal(accept(f, &spec), -1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_issuer_answers), TEST(time_matters), TEST(others_answers_are_not_the_leafs),
		TEST(delegates_are_the_issuers_own), TEST(delegates_must_be_good_for_it),
		TEST(a_changed_response_says_nothing), TEST(what_is_no_response_is_refused),
		TEST(asks_for_one_certificate), TEST(what_is_worth_keeping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
