/* path_verify.c - lets OpenSSL check one path that was found: RFC 5280 6.1 but for revocation. Finding paths is
 * path.c's, who calls; revocation is revocation.c's.
 *
 * OpenSSL sees one path at a time, whose end is the only trusted certificate. Flags about CRLs are never set: 3.0
 * and 3.5 make different things of them.
 *
 * Security level 2: chain signatures with SHA-1 or MD5 can be collided (2017 and 2008), and RSA below 2048 bits is
 * no longer within NIST SP 800-131A; one such CA makes every name forgeable, so the chain is bad. The certificate's
 * own key is left to the callers, who report it as a weak algorithm.
 *
 * X509_V_FLAG_X509_STRICT stays off: it refuses ordinary private CAs, namely those without key identifiers, without
 * a keyUsage extension, or with basicConstraints that is not critical (see the tests). */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "pki/path_internal.h"
#include "pki/pki_internal.h"

#define SECURITY_LEVEL 2

static enum path_chain chain_of_error(int error)
{
	static const struct {
		int error;
		enum path_chain chain;
	} errors[] = {	/* every other one is bad */
		{ X509_V_OK, CHAIN_GOOD },
		{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, CHAIN_INCOMPLETE },
		{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, CHAIN_INCOMPLETE },
		{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, CHAIN_INCOMPLETE },
		{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, CHAIN_UNTRUSTED },
		{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, CHAIN_UNTRUSTED },
		{ X509_V_ERR_CERT_UNTRUSTED, CHAIN_UNTRUSTED },
		{ X509_V_ERR_CERT_HAS_EXPIRED, CHAIN_EXPIRED },
		{ X509_V_ERR_CERT_NOT_YET_VALID, CHAIN_NOT_YET_VALID },
	};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].error == error)
			return errors[i].chain;
	return CHAIN_BAD;
}

static int on_result(int ok, X509_STORE_CTX *context)
{
	struct path_fault *fault = X509_STORE_CTX_get_app_data(context);
	int error = X509_STORE_CTX_get_error(context);

	if (ok != 0)
		return ok;
	if (error != X509_V_ERR_EE_KEY_TOO_SMALL) {
		fault->error = error;
		fault->depth = X509_STORE_CTX_get_error_depth(context);
		return 0;
	}
	X509_STORE_CTX_set_error(context, X509_V_OK);
	return 1;
}

static int set_params(const struct path_trial *trial, X509_VERIFY_PARAM *param)
{
	unsigned long flags = trial->partial ? X509_V_FLAG_PARTIAL_CHAIN : X509_V_FLAG_POLICY_CHECK;

	if (trial->policies != NULL)
		flags |= X509_V_FLAG_EXPLICIT_POLICY;
	X509_VERIFY_PARAM_set_flags(param, flags);
	X509_VERIFY_PARAM_set_time(param, trial->at);
	X509_VERIFY_PARAM_set_depth(param, PATH_MAX_CERTS);
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY);
	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	/* A CN that looks like a host name is none: constraints on hosts are not for it. */
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (trial->partial)
		return 0;
	if (trial->policies != NULL)
		return X509_VERIFY_PARAM_set1_policies(param, trial->policies) == 1 ? 0 : -1;
	/* RFC 5280 6.1.1 (c): any policy will do; with an empty set, none would where a CA demands one. */
	return X509_VERIFY_PARAM_add0_policy(param, OBJ_nid2obj(NID_any_policy)) == 1 ? 0 : -1;
}

int path_verify(const struct path_trial *trial, struct path_fault *fault)
{
	STACK_OF(X509) *untrusted = sk_X509_new_null(), *trusted = sk_X509_new_null();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	int rc = -1;

	*fault = (struct path_fault){ .error = X509_V_OK };
	if (context == NULL || untrusted == NULL || trusted == NULL ||
	    sk_X509_push(trusted, cert_x509(trial->certs[trial->n - 1])) <= 0)
		goto out;
	for (size_t i = 1; i + 1 < trial->n; i++)
		if (sk_X509_push(untrusted, cert_x509(trial->certs[i])) <= 0)
			goto out;
	if (X509_STORE_CTX_init(context, NULL, cert_x509(trial->certs[0]), untrusted) != 1)
		goto out;
	X509_STORE_CTX_set0_trusted_stack(context, trusted);
	if (set_params(trial, X509_STORE_CTX_get0_param(context)) != 0)
		goto out;
	X509_STORE_CTX_set_app_data(context, fault);
	X509_STORE_CTX_set_verify_cb(context, on_result);
	if (X509_verify_cert(context) != 1 && fault->error == X509_V_OK)
		fault->error = X509_STORE_CTX_get_error(context);
	if (fault->error == X509_V_ERR_OUT_OF_MEM)
		goto out;
	if (fault->depth < 0 || (size_t)fault->depth >= trial->n)
		fault->depth = 0;
	fault->chain = chain_of_error(fault->error);
	rc = 0;
out:
	X509_STORE_CTX_free(context);
	sk_X509_free(untrusted);
	sk_X509_free(trusted);
	ERR_clear_error();
	return rc;
}
