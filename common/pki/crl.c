/* crl.c - decodes one CRL (RFC 5280 5), and finds out beforehand whether it may be used at all: critical extensions
 * that nobody here knows, a scope that contradicts itself. What it says of certificates is revocation.c's. Called by
 * evidence.c and revocation.c.
 *
 * OpenSSL's own reading of issuing distribution points and deltas is not used: it differs between 3.0 and 3.5. */
#include "pki/crl.h"

#include <limits.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "pki/pki_internal.h"

static bool is_listed(int nid, const int *nids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (nids[i] == nid)
			return true;
	return false;
}

static bool is_known(const X509_EXTENSION *extension)
{
	static const int known[] = {
		NID_issuing_distribution_point, NID_delta_crl, NID_crl_number, NID_authority_key_identifier,
		NID_freshest_crl,
	};
	int nid = OBJ_obj2nid(X509_EXTENSION_get_object((X509_EXTENSION *)extension));

	return is_listed(nid, known, sizeof(known) / sizeof(known[0]));
}

static bool has_unknown_critical(const X509_CRL *crl)
{
	for (int i = 0; i < X509_CRL_get_ext_count(crl); i++) {
		const X509_EXTENSION *extension = X509_CRL_get_ext(crl, i);

		if (X509_EXTENSION_get_critical(extension) && !is_known(extension))
			return true;
	}
	return false;
}

/* An entry that cannot be understood makes the list useless: with a certificateIssuer that cannot be read, nobody
 * knows whose serial numbers follow. */
static const char *entry_problem(X509_REVOKED *entry)
{
	static const int known[] = {
		NID_certificate_issuer, NID_crl_reason, NID_invalidity_date, NID_hold_instruction_code,
	};
	GENERAL_NAMES *issuer;
	int critical = -1;

	for (int i = 0; i < X509_REVOKED_get_ext_count(entry); i++) {
		X509_EXTENSION *extension = X509_REVOKED_get_ext(entry, i);
		int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));

		if (X509_EXTENSION_get_critical(extension) && !is_listed(nid, known, sizeof(known) / sizeof(known[0])))
			return "RFC 5280 5.3: an entry has an unknown critical extension";
		if (nid != NID_certificate_issuer)
			continue;
		issuer = X509_REVOKED_get_ext_d2i(entry, nid, &critical, NULL);
		GENERAL_NAMES_free(issuer);
		if (issuer == NULL)
			return "RFC 5280 5.3.3: an entry's certificateIssuer cannot be read";
	}
	return NULL;
}

static const char *entries_problem(X509_CRL *crl)
{
	STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(crl);
	const char *problem = NULL;

	for (int i = 0; i < sk_X509_REVOKED_num(entries) && problem == NULL; i++)
		problem = entry_problem(sk_X509_REVOKED_value(entries, i));
	return problem;
}

static const char *scope_problem(const ISSUING_DIST_POINT *idp)
{
	if ((idp->onlyuser > 0) + (idp->onlyCA > 0) + (idp->onlyattr > 0) > 1)
		return "RFC 5280 5.2.5: a scope that contradicts itself";
	return idp->onlyattr > 0 ? "RFC 5280 5.2.5: it is for attribute certificates only" : NULL;
}

unsigned crl_reasons(const ASN1_BIT_STRING *flags)
{
	unsigned mask = 0;

	if (flags == NULL)
		return CRL_ALL_REASONS;
	for (int bit = 1; bit <= 8; bit++)
		if (ASN1_BIT_STRING_get_bit(flags, bit) == 1)
			mask |= 1U << bit;
	return mask;
}

static X509_NAME *join_names(const X509_NAME *issuer, STACK_OF(X509_NAME_ENTRY) *relative)
{
	X509_NAME *name = X509_NAME_dup(issuer);

	/* RFC 5280 4.2.1.13: the fragment is one RDN more */
	for (int i = 0; name != NULL && i < sk_X509_NAME_ENTRY_num(relative); i++) {
		if (X509_NAME_add_entry(name, sk_X509_NAME_ENTRY_value(relative, i), -1, i == 0 ? 0 : 1) == 1)
			continue;
		X509_NAME_free(name);
		name = NULL;
	}
	/* encoded now, not when two threads compare it */
	if (name != NULL && i2d_X509_NAME(name, NULL) <= 0) {
		X509_NAME_free(name);
		name = NULL;
	}
	return name;
}

static GENERAL_NAMES *copy_names(const GENERAL_NAMES *from)
{
	GENERAL_NAMES *copy = GENERAL_NAMES_new();

	for (int i = 0; copy != NULL && i < sk_GENERAL_NAME_num(from); i++) {
		GENERAL_NAME *name = GENERAL_NAME_dup(sk_GENERAL_NAME_value(from, i));

		if (name != NULL && sk_GENERAL_NAME_push(copy, name) > 0)
			continue;
		GENERAL_NAME_free(name);
		GENERAL_NAMES_free(copy);
		copy = NULL;
	}
	return copy;
}

/* Takes name over. */
static GENERAL_NAMES *one_name(X509_NAME *name)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *general = GENERAL_NAME_new();

	if (names == NULL || general == NULL || name == NULL)
		goto out;
	GENERAL_NAME_set0_value(general, GEN_DIRNAME, name);
	name = NULL;
	if (sk_GENERAL_NAME_push(names, general) > 0)
		return names;
out:
	X509_NAME_free(name);
	GENERAL_NAME_free(general);
	GENERAL_NAMES_free(names);
	return NULL;
}

GENERAL_NAMES *crl_point_names(const DIST_POINT_NAME *point, const X509_NAME *issuer)
{
	if (point == NULL)
		return one_name(X509_NAME_dup(issuer));
	if (point->type == 0)
		return copy_names(point->name.fullname);
	return one_name(join_names(issuer, point->name.relativename));
}

/* 0, or -1: memory. */
static int read_scope(struct crl *crl)
{
	int critical = -1;

	crl->reasons = CRL_ALL_REASONS;
	crl->idp = X509_CRL_get_ext_d2i(crl->x509, NID_issuing_distribution_point, &critical, NULL);
	if (crl->idp == NULL) {
		if (critical != -1)
			crl->unusable = "RFC 5280 5.2.5: its issuing distribution point cannot be read";
		return 0;
	}
	crl->unusable = scope_problem(crl->idp);
	crl->reasons = crl_reasons(crl->idp->onlysomereasons);
	if (crl->idp->distpoint == NULL)
		return 0;
	crl->names = crl_point_names(crl->idp->distpoint, crl->issuer);
	return crl->names == NULL ? -1 : 0;
}

static void read_numbers(struct crl *crl)
{
	int number = -1, base = -1;

	crl->number = X509_CRL_get_ext_d2i(crl->x509, NID_crl_number, &number, NULL);
	crl->base = X509_CRL_get_ext_d2i(crl->x509, NID_delta_crl, &base, NULL);
	/* -1: there is none */
	if ((crl->number == NULL && number != -1) || (crl->base == NULL && base != -1))
		crl->unusable = "RFC 5280 5.2: its number cannot be read";
	else if (crl->base != NULL && crl->number == NULL)
		crl->unusable = "RFC 5280 5.2.4: a delta CRL without a number";
}

static int read_times(struct crl *crl)
{
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl->x509);

	if (cert_read_time(X509_CRL_get0_lastUpdate(crl->x509), &crl->this_update) != 0)
		return -1;
	crl->next_update = crl->this_update + REVOCATION_UNBOUNDED_S;
	return next == NULL ? 0 : cert_read_time(next, &crl->next_update);
}

static int fill(struct crl *crl, struct slice der, struct err *err)
{
	X509_REVOKED *entry = NULL;
	const char *problem;

	crl->issuer = X509_CRL_get_issuer(crl->x509);
	if (read_times(crl) != 0)
		return err_set(err, ERR_MESSAGE, "RFC 5280 5.1.2: the CRL's times cannot be read");
	if (read_scope(crl) != 0 || crypt_sha256(der.p, der.n, crl->sha256, NULL) != 0)
		return err_memory(err);
	read_numbers(crl);
	if (has_unknown_critical(crl->x509))
		crl->unusable = "RFC 5280 5.2: an unknown critical extension";
	problem = entries_problem(crl->x509);
	if (problem != NULL)
		crl->unusable = problem;
	/* The first look sorts the entries; later ones, by any thread, only read. */
	if (sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl->x509)) > 0)
		X509_CRL_get0_by_serial(crl->x509, &entry, X509_REVOKED_get0_serialNumber(
					sk_X509_REVOKED_value(X509_CRL_get_REVOKED(crl->x509), 0)));
	return 0;
}

struct crl *crl_parse(struct slice der, struct err *err)
{
	const unsigned char *start = (const unsigned char *)der.p, *p = start;
	struct crl *crl = calloc(1, sizeof(*crl));

	if (crl == NULL) {
		err_memory(err);
		return NULL;
	}
	if (der.n == 0 || der.n > LONG_MAX || (crl->x509 = d2i_X509_CRL(NULL, &p, (long)der.n)) == NULL)
		err_set(err, ERR_MESSAGE, "RFC 5280 5.1: not a certificate revocation list");
	else if (p != start + der.n)
		err_set(err, ERR_MESSAGE, "RFC 5280 5.1: %zu bytes behind the CRL", (size_t)(start + der.n - p));
	else if (fill(crl, der, err) == 0)
		goto out;
	crl_free(crl);
	crl = NULL;
out:
	ERR_clear_error();
	return crl;
}

void crl_free(struct crl *crl)
{
	if (crl == NULL)
		return;
	X509_CRL_free(crl->x509);
	ASN1_INTEGER_free(crl->number);
	ASN1_INTEGER_free(crl->base);
	ISSUING_DIST_POINT_free(crl->idp);
	GENERAL_NAMES_free(crl->names);
	free(crl);
}

bool crl_has_begun(const struct crl *crl, time_t at)
{
	return crl->this_update <= at + REVOCATION_SKEW_S;
}

bool crl_is_current(const struct crl *crl, time_t at)
{
	return crl_has_begun(crl, at) && at < crl->next_update;
}

/* The same extension in both, or in none. */
static bool is_same_extension(const X509_CRL *a, const X509_CRL *b, int nid)
{
	int i = X509_CRL_get_ext_by_NID(a, nid, -1), k = X509_CRL_get_ext_by_NID(b, nid, -1);

	if (i < 0 || k < 0)
		return i < 0 && k < 0;
	return ASN1_STRING_cmp(X509_EXTENSION_get_data(X509_CRL_get_ext(a, i)),
			       X509_EXTENSION_get_data(X509_CRL_get_ext(b, k))) == 0;
}

bool crl_delta_fits(const struct crl *delta, const struct crl *complete)
{
	return delta->base != NULL && complete->base == NULL && complete->number != NULL && delta->unusable == NULL &&
	       X509_NAME_cmp(delta->issuer, complete->issuer) == 0 &&
	       is_same_extension(delta->x509, complete->x509, NID_issuing_distribution_point) &&
	       is_same_extension(delta->x509, complete->x509, NID_authority_key_identifier) &&
	       ASN1_INTEGER_cmp(complete->number, delta->base) >= 0 &&
	       ASN1_INTEGER_cmp(complete->number, delta->number) < 0;
}
