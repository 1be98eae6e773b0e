/* test_revocation.c - what CRLs and OCSP answers say of a certificate of a proven path. Indirect CRLs and other keys of
 * a CA are test_pkits.c's and test_path.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/ocsp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pki/evidence.h"
#include "pki/revocation.h"
#include "support/dertext.h"
#include "support/testdir.h"
#include "support/testpki.h"

#define HOUR_S ((time_t)3600)
#define POINT "http://crl.example/sub.crl"

struct fixture {
	struct testpki *root, *sub, *leaf, *pointed;	/* pointed: has a cRLDistributionPoint */
	const struct testpki *about;
	char *scratch;
	unsigned files;
	struct path_memory *memory;
	unsigned signatures;
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
	f->leaf = testpki_leaf(f->sub, "a@example.com");
	f->pointed = testpki_make(f->sub, &(struct testpki_spec){ .cn = "Pointed", .extra_value = "URI:" POINT,
								  .extra_oid = "crlDistributionPoints" });
	f->about = f->leaf;
	f->scratch = testdir_scratch();
	f->memory = path_memory_new();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	path_memory_free(f->memory);
	testdir_remove(f->scratch);
	testpki_free(f->pointed);
	testpki_free(f->leaf);
	testpki_free(f->sub);
	testpki_free(f->root);
	test_free(f);
	return 0;
}

static void put(struct fixture *f, const char *ending, const struct buf *bytes)
{
	char name[32], *path;

	snprintf(name, sizeof(name), "%u.%s", f->files++, ending);
	path = testdir_path(f->scratch, name);
	testpki_write(path, bytes, 0644);
	free(path);
}

/* A CRL of sub, unless spec says another CA. */
static void crl(struct fixture *f, struct testpki_crl spec)
{
	struct buf der;

	spec.ca = spec.ca == NULL ? f->sub : spec.ca;
	spec.this_update = spec.this_update == 0 ? f->now - HOUR_S : spec.this_update;
	buf_init(&der, 0);
	testpki_crl_make(&spec, &der);
	put(f, "crl", &der);
	buf_clear(&der);
}

static void ocsp(struct fixture *f, struct testpki_ocsp spec)
{
	struct buf der;

	spec.cert = f->about;
	spec.issuer = f->sub;
	spec.this_update = spec.this_update == 0 ? f->now - HOUR_S : spec.this_update;
	buf_init(&der, 0);
	testpki_ocsp_make(&spec, &der);
	put(f, "ocsp", &der);
	buf_clear(&der);
}

static void forget_files(struct fixture *f)
{
	testdir_remove(f->scratch);
	f->scratch = testdir_scratch();
}

/* What all files together say of f->about. */
static enum path_revocation ask(struct fixture *f)
{
	struct evidence_store *store = evidence_store_new(&clock_system);
	struct cert *chain[] = { testpki_cert(f->about), testpki_cert(f->sub), testpki_cert(f->root) };
	struct revocation_query query = { .chain = (const struct cert *const *)chain, .n = 3, .at = f->now,
					  .span = &f->span, .memory = f->memory, .signatures = &f->signatures };
	struct evidence *evidence;

	assert_int_equal(evidence_store_add(store, f->scratch, false, NULL), 0);
	assert_int_equal(evidence_store_load(store, NULL, NULL), 0);
	evidence = evidence_store_get(store);
	query.evidence = evidence;
	f->signatures = 0;
	f->span = (struct path_span){ .after = 0, .before = INT64_MAX };
	revocation_check(&query, 0, &f->answer);
	evidence_free(evidence);
	evidence_store_free(store);
	for (size_t i = 0; i < 3; i++)
		cert_free(chain[i]);
	return f->answer.revocation;
}

static enum path_revocation ask_with(struct fixture *f, struct testpki_crl spec)
{
	crl(f, spec);
	ask(f);
	forget_files(f);
	return f->answer.revocation;
}

static void a_complete_crl_answers(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf, *other = f->pointed;
	struct testpki_crl list = { .revoked = &leaf, .n = 1 };

	assert_int_equal(ask(f), REV_UNKNOWN);
	assert_int_equal(f->answer.ages, 0);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .n = 0 }), REV_GOOD);
	assert_true(f->answer.current && f->answer.this_update == f->now - HOUR_S);
	assert_true(f->answer.ages > f->now && f->answer.ages < f->now + 6 * 24 * HOUR_S);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .revoked = &other, .n = 1 }), REV_GOOD);
	assert_int_equal(ask_with(f, list), REV_REVOKED);
	assert_true(f->answer.current);
	list.reason = CRL_REASON_CERTIFICATE_HOLD;
	assert_int_equal(ask_with(f, list), REV_REVOKED);
	list.reason = CRL_REASON_REMOVE_FROM_CRL;
	assert_int_equal(ask_with(f, list), REV_REVOKED);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .ca = f->root }), REV_UNKNOWN);
}

static void a_crl_holds_between_its_times(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;
	const time_t this = f->now - 8 * HOUR_S;

	assert_int_equal(ask_with(f, (struct testpki_crl){ .this_update = this, .next_update = f->now }), REV_STALE);
	assert_int_equal(f->answer.ages, 0);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .this_update = this, .next_update = f->now + HOUR_S }),
			 REV_GOOD);
	assert_int_equal(f->span.before, f->now + HOUR_S);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .this_update = this, .next_update = f->now - 9,
							   .revoked = &leaf, .n = 1 }), REV_REVOKED);
	assert_false(f->answer.current);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .this_update = f->now + HOUR_S }), REV_UNKNOWN);
	assert_true(f->span.before <= f->now + HOUR_S);
	/* it says nothing of its end: for a day */
	assert_int_equal(ask_with(f, (struct testpki_crl){ .this_update = this, .next_update = -1 }), REV_GOOD);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .this_update = this - 24 * HOUR_S, .next_update = -1 }),
			 REV_STALE);
}

static void the_newest_crl_counts(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;

	crl(f, (struct testpki_crl){ .this_update = f->now - 9 * HOUR_S, .revoked = &leaf, .n = 1 });
	crl(f, (struct testpki_crl){ .this_update = f->now - 8 * HOUR_S });
	assert_int_equal(ask(f), REV_GOOD);
	crl(f, (struct testpki_crl){ .this_update = f->now - 7 * HOUR_S, .revoked = &leaf, .n = 1 });
	assert_int_equal(ask(f), REV_REVOKED);
	/* out of date already, but it was the last word */
	forget_files(f);
	crl(f, (struct testpki_crl){ .this_update = f->now - 9 * HOUR_S });
	crl(f, (struct testpki_crl){ .this_update = f->now - 8 * HOUR_S, .next_update = f->now - 7 * HOUR_S,
				     .revoked = &leaf, .n = 1 });
	assert_int_equal(ask(f), REV_REVOKED);
}

static void foreign_signatures_say_nothing(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;
	struct testpki *twin = testpki_sub(f->root, "Sub");
	struct testpki *silent = testpki_make(f->root, &(struct testpki_spec){ .cn = "Sub", .ca = true,
						.pkey = f->sub->pkey, .usage = "critical,keyCertSign" });
	struct testpki *sub = f->sub;

	assert_int_equal(ask_with(f, (struct testpki_crl){ .ca = twin, .revoked = &leaf, .n = 1 }), REV_UNKNOWN);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .ca = twin, .no_key_id = true }), REV_UNKNOWN);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .ca = f->root, .name = sub }), REV_UNKNOWN);
	/* a keyUsage without cRLSign */
	f->sub = silent;
	assert_int_equal(ask_with(f, (struct testpki_crl){ .n = 0 }), REV_UNKNOWN);
	f->sub = sub;
	assert_int_equal(ask_with(f, (struct testpki_crl){ .n = 0 }), REV_GOOD);
	testpki_free(silent);
	testpki_free(twin);
}

static void unknown_critical_extensions_make_it_useless(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf, *other = f->pointed;

	assert_int_equal(ask_with(f, (struct testpki_crl){ .extra_oid = "1.2.3.4" }), REV_UNKNOWN);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .extra_oid = "1.2.3.4", .revoked = &leaf, .n = 1 }),
			 REV_UNKNOWN);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .entry_oid = "1.2.3.4", .revoked = &other, .n = 1 }),
			 REV_UNKNOWN);
}

static void scopes_hold(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;

	assert_int_equal(ask_with(f, (struct testpki_crl){ .idp = "onlyuser" }), REV_GOOD);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .idp = "onlyCA" }), REV_UNKNOWN);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .idp = "onlyattr" }), REV_UNKNOWN);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .idp = "onlyuser,onlyCA" }), REV_UNKNOWN);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .idp = "reasons" }), REV_UNKNOWN);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .idp = "reasons", .revoked = &leaf, .n = 1 }), REV_REVOKED);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .idp = "URI:" POINT }), REV_UNKNOWN);
	f->about = f->pointed;
	assert_int_equal(ask_with(f, (struct testpki_crl){ .idp = "URI:" POINT }), REV_GOOD);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .idp = "URI:http://crl.example/other.crl" }), REV_UNKNOWN);
	assert_int_equal(ask_with(f, (struct testpki_crl){ .n = 0 }), REV_GOOD);
}

static void some_reasons_leave_others_open(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;

	crl(f, (struct testpki_crl){ .idp = "reasons", .this_update = f->now - 2 * HOUR_S });
	crl(f, (struct testpki_crl){ .this_update = f->now - 3 * HOUR_S, .next_update = f->now - HOUR_S });
	assert_int_equal(ask(f), REV_STALE);
	crl(f, (struct testpki_crl){ .this_update = f->now - 3 * HOUR_S });
	assert_int_equal(ask(f), REV_GOOD);
	assert_int_equal(f->answer.this_update, f->now - 3 * HOUR_S);
	crl(f, (struct testpki_crl){ .idp = "reasons", .revoked = &leaf, .n = 1 });
	assert_int_equal(ask(f), REV_REVOKED);
}

/* Complete number 5 from five hours ago, with leaf on hold or not; then a delta. */
static enum path_revocation ask_delta(struct fixture *f, bool on_hold, struct testpki_crl delta)
{
	const struct testpki *leaf = f->leaf;

	crl(f, (struct testpki_crl){ .number = 5, .this_update = f->now - 5 * HOUR_S, .revoked = &leaf, .n = on_hold,
				     .reason = CRL_REASON_CERTIFICATE_HOLD });
	return ask_with(f, delta);
}

static void deltas_change_what_a_complete_crl_says(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;
	struct testpki_crl delta = { .number = 6, .base = 5, .revoked = &leaf, .n = 1 };

	assert_int_equal(ask_delta(f, false, delta), REV_REVOKED);
	delta.reason = CRL_REASON_REMOVE_FROM_CRL;
	assert_int_equal(ask_delta(f, true, delta), REV_GOOD);
	delta.base = 3;
	assert_int_equal(ask_delta(f, true, delta), REV_GOOD);
	delta.n = 0;
	assert_int_equal(ask_delta(f, true, delta), REV_REVOKED);
	assert_int_equal(ask_delta(f, false, delta), REV_GOOD);
	assert_int_equal(f->answer.this_update, f->now - HOUR_S);
}

static void deltas_that_do_not_fit_change_nothing(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;
	const struct testpki_crl fits = { .number = 6, .base = 5, .revoked = &leaf, .n = 1 };
	struct testpki *twin = testpki_sub(f->root, "Sub");
	struct testpki_crl delta = fits;

	delta.base = 6;
	delta.number = 7;
	assert_int_equal(ask_delta(f, false, delta), REV_GOOD);
	delta.base = 4;
	delta.number = 5;
	assert_int_equal(ask_delta(f, false, delta), REV_GOOD);
	delta = fits;
	delta.number = 0;
	assert_int_equal(ask_delta(f, false, delta), REV_GOOD);
	delta = fits;
	delta.idp = "onlyuser";
	assert_int_equal(ask_delta(f, false, delta), REV_GOOD);
	delta = fits;
	delta.this_update = f->now + HOUR_S;
	assert_int_equal(ask_delta(f, false, delta), REV_GOOD);
	delta = fits;
	delta.ca = twin;
	assert_int_equal(ask_delta(f, false, delta), REV_GOOD);
	/* nor does one alone tell anything */
	assert_int_equal(ask_with(f, fits), REV_UNKNOWN);
	testpki_free(twin);
}

static void a_stale_delta_frees_nobody(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;
	struct testpki_crl delta = { .number = 6, .base = 5, .revoked = &leaf, .n = 1,
				     .this_update = f->now - 3 * HOUR_S, .next_update = f->now - HOUR_S };

	assert_int_equal(ask_delta(f, false, delta), REV_REVOKED);
	delta.reason = CRL_REASON_REMOVE_FROM_CRL;
	assert_int_equal(ask_delta(f, true, delta), REV_REVOKED);
}

/* RFC 5280 5.2.4: both together are as new as the delta. */
static void a_delta_keeps_an_old_complete_crl_alive(void **state)
{
	struct fixture *f = *state;

	crl(f, (struct testpki_crl){ .number = 5, .this_update = f->now - 9 * HOUR_S, .next_update = f->now - HOUR_S });
	assert_int_equal(ask(f), REV_STALE);
	crl(f, (struct testpki_crl){ .number = 6, .base = 5 });
	assert_int_equal(ask(f), REV_GOOD);
}

static void ocsp_answers_without_crls(void **state)
{
	struct fixture *f = *state;

	ocsp(f, (struct testpki_ocsp){ .status = V_OCSP_CERTSTATUS_UNKNOWN });
	assert_int_equal(ask(f), REV_UNKNOWN);
	ocsp(f, (struct testpki_ocsp){ .this_update = f->now - 9 * HOUR_S, .next_update = f->now - HOUR_S });
	assert_int_equal(ask(f), REV_STALE);
	ocsp(f, (struct testpki_ocsp){ .status = V_OCSP_CERTSTATUS_GOOD });
	assert_int_equal(ask(f), REV_GOOD);
	ocsp(f, (struct testpki_ocsp){ .status = V_OCSP_CERTSTATUS_REVOKED });
	assert_int_equal(ask(f), REV_REVOKED);
}

static void ocsp_and_crls_are_weighed(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;

	/* good and out of date: good */
	crl(f, (struct testpki_crl){ .this_update = f->now - 9 * HOUR_S, .next_update = f->now - HOUR_S });
	ocsp(f, (struct testpki_ocsp){ .status = V_OCSP_CERTSTATUS_GOOD });
	assert_int_equal(ask(f), REV_GOOD);
	crl(f, (struct testpki_crl){ .revoked = &leaf, .n = 1 });
	assert_int_equal(ask(f), REV_REVOKED);
	forget_files(f);
	crl(f, (struct testpki_crl){ .n = 0 });
	ocsp(f, (struct testpki_ocsp){ .status = V_OCSP_CERTSTATUS_REVOKED });
	assert_int_equal(ask(f), REV_REVOKED);
	/* revoked, said an answer that is out of date: a CRL from before knows nothing of it, a later one does */
	forget_files(f);
	ocsp(f, (struct testpki_ocsp){ .status = V_OCSP_CERTSTATUS_REVOKED, .this_update = f->now - 5 * HOUR_S,
				       .next_update = f->now - 4 * HOUR_S });
	crl(f, (struct testpki_crl){ .this_update = f->now - 9 * HOUR_S });
	assert_int_equal(ask(f), REV_REVOKED);
	crl(f, (struct testpki_crl){ .this_update = f->now - 3 * HOUR_S });
	assert_int_equal(ask(f), REV_GOOD);
}

/* The word of a responder whose certificate is revoked is worth nothing, unless the CA said not to ask. */
static void a_responder_may_be_revoked(void **state)
{
	struct fixture *f = *state;
	struct testpki *plain = testpki_make(f->sub, &(struct testpki_spec){ .cn = "R", .eku = "OCSPSigning" });
	struct testpki *nocheck = testpki_make(f->sub, &(struct testpki_spec){ .cn = "R", .eku = "OCSPSigning",
				.extra_oid = "1.3.6.1.5.5.7.48.1.5", .extra_value = "DER:05:00" });
	const struct testpki *both[] = { plain, nocheck };

	ocsp(f, (struct testpki_ocsp){ .signer = plain });
	assert_int_equal(ask(f), REV_GOOD);
	forget_files(f);
	crl(f, (struct testpki_crl){ .revoked = both, .n = 2 });
	ocsp(f, (struct testpki_ocsp){ .signer = plain, .status = V_OCSP_CERTSTATUS_REVOKED });
	assert_int_equal(ask(f), REV_GOOD);
	ocsp(f, (struct testpki_ocsp){ .signer = nocheck, .status = V_OCSP_CERTSTATUS_REVOKED });
	assert_int_equal(ask(f), REV_REVOKED);
	testpki_free(plain);
	testpki_free(nocheck);
}

static void signatures_are_verified_once(void **state)
{
	struct fixture *f = *state;

	crl(f, (struct testpki_crl){ .number = 5, .this_update = f->now - 2 * HOUR_S });
	crl(f, (struct testpki_crl){ .number = 6, .base = 5 });
	assert_int_equal(ask(f), REV_GOOD);
	assert_int_equal(f->signatures, 2);
	assert_int_equal(ask(f), REV_GOOD);
	assert_int_equal(f->signatures, 0);
}

static int accept(const struct fixture *f, struct testpki_crl spec)
{
	struct cert *leaf = testpki_cert(f->leaf), *sub = testpki_cert(f->sub);
	struct err err = { .class = ERR_NONE };
	struct revocation_times times;
	struct buf der;
	int rc;

	spec.ca = spec.ca == NULL ? f->sub : spec.ca;
	spec.this_update = spec.this_update == 0 ? f->now - HOUR_S : spec.this_update;
	buf_init(&der, 0);
	testpki_crl_make(&spec, &der);
	rc = revocation_accept_crl(buf_slice(&der), leaf, sub, f->now, &times, &err);
	assert_true(rc != 0 || (times.this_update == f->now - HOUR_S && times.ages > f->now));
	assert_int_equal(err.class, rc == 0 ? ERR_NONE : ERR_MESSAGE);
	buf_clear(&der);
	cert_free(sub);
	cert_free(leaf);
	return rc;
}

static void what_is_worth_keeping(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;

	assert_int_equal(accept(f, (struct testpki_crl){ .n = 0 }), 0);
	assert_int_equal(accept(f, (struct testpki_crl){ .revoked = &leaf, .n = 1 }), 0);
	assert_int_equal(accept(f, (struct testpki_crl){ .ca = f->root }), -1);
	assert_int_equal(accept(f, (struct testpki_crl){ .ca = f->root, .name = f->sub }), -1);
	assert_int_equal(accept(f, (struct testpki_crl){ .next_update = f->now - 1 }), -1);
	assert_int_equal(accept(f, (struct testpki_crl){ .this_update = f->now + HOUR_S }), -1);
	assert_int_equal(accept(f, (struct testpki_crl){ .extra_oid = "1.2.3.4" }), -1);
}

/* ---- CVEs: what OpenSSL once read wrongly (SPECS B1) ---- */

/* Such a delta CRL is not applied, and the one beside it is. */
static void cve_2026_28388_delta_crl_without_number(void **state)
{
	struct fixture *f = *state;
	const struct testpki *leaf = f->leaf;
	const struct testpki_crl unnumbered = { .base = 5, .revoked = &leaf, .n = 1 };

	assert_int_equal(ask_delta(f, false, unnumbered), REV_GOOD);
	assert_int_equal(ask_with(f, unnumbered), REV_UNKNOWN);
	crl(f, unnumbered);
	assert_int_equal(ask_delta(f, false, (struct testpki_crl){ .number = 6, .base = 5, .revoked = &leaf, .n = 1 }),
			 REV_REVOKED);
}

/* cRLDistributionPoints with a name that is relative to its issuer's, right ones and wrong ones. */
static void cve_2026_35189_relative_distribution_point(void **state)
{
	static const struct {
		const char *points;
		enum path_revocation about;	/* by a CRL that is for all points */
	} rows[] = {
		{ "30{ 30{ a0{ a1{ 30{ @CN 0c{ \"part 1\" } } } } } }", REV_GOOD },
		{ "30{ 30{ a0{ a1{ 30{ @CN 0c{ \"part\" } } 30{ @OU 0c{ \"1\" } } } } } }", REV_GOOD },
		{ "30{ 30{ a0{ a1{ 30{ @CN 0c{ \"part 1\" } } } } 81{ 01fe } } }", REV_GOOD },
		{ "30{ 30{ a0{ a1{} } } }", REV_GOOD },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char hex[400] = "DER:";
		struct testpki *leaf;
		struct buf der;

		buf_init(&der, 0);
		dertext(rows[i].points, &der);
		for (size_t k = 0; k < der.n; k++)
			snprintf(hex + 4 + 2 * k, 3, "%02x", der.p[k]);
		buf_clear(&der);
		leaf = testpki_make(f->sub, &(struct testpki_spec){ .cn = "Relative", .extra_value = hex,
								    .extra_oid = "crlDistributionPoints" });
		f->about = leaf;
		assert_int_equal(ask_with(f, (struct testpki_crl){ .n = 0 }), rows[i].about);
		assert_int_equal(ask_with(f, (struct testpki_crl){ .idp = "URI:" POINT }), REV_UNKNOWN);
		testpki_free(leaf);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_complete_crl_answers), TEST(a_crl_holds_between_its_times), TEST(the_newest_crl_counts),
		TEST(foreign_signatures_say_nothing), TEST(unknown_critical_extensions_make_it_useless),
		TEST(scopes_hold), TEST(some_reasons_leave_others_open), TEST(deltas_change_what_a_complete_crl_says),
		TEST(deltas_that_do_not_fit_change_nothing), TEST(a_stale_delta_frees_nobody),
		TEST(a_delta_keeps_an_old_complete_crl_alive), TEST(ocsp_answers_without_crls),
		TEST(ocsp_and_crls_are_weighed), TEST(a_responder_may_be_revoked), TEST(signatures_are_verified_once),
		TEST(what_is_worth_keeping), TEST(cve_2026_28388_delta_crl_without_number),
		TEST(cve_2026_35189_relative_distribution_point),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
