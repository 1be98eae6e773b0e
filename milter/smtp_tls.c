/* smtp_tls.c - see smtp_tls.h. Called by smtp.c and reinject.c. TLS 1.2 and 1.3, no renegotiation. Leaves no entry in
 * the library's error queue. RFC 3207, RFC 7817, RFC 9325. */
#include "milter/smtp_tls.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

struct smtp_trust {
	SSL_CTX *context;
};

struct smtp_tls {
	SSL *ssl;
	BIO *in, *out;		/* the ssl's */
};

/* The reason that the library names first. */
static int failed(struct err *err, enum err_class class, const char *what)
{
	unsigned long code = ERR_peek_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

	err_set(err, class, "%s%s%s", what, reason != NULL ? ": " : "", reason != NULL ? reason : "");
	ERR_clear_error();
	return -1;
}

struct smtp_trust *smtp_trust_new(const char *ca_file, struct err *err)
{
	struct smtp_trust *trust = calloc(1, sizeof(*trust));
	int ok;

	if (trust == NULL) {
		err_memory(err);
		return NULL;
	}
	ERR_clear_error();
	trust->context = SSL_CTX_new(TLS_client_method());
	if (trust->context == NULL) {
		failed(err, ERR_TEMP, "TLS cannot be set up");
		goto out;
	}
	SSL_CTX_set_verify(trust->context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_options(trust->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set_session_cache_mode(trust->context, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_set_min_proto_version(trust->context, TLS1_2_VERSION) != 1) {
		failed(err, ERR_TEMP, "TLS cannot be set up");
		goto out;
	}
	if (ca_file != NULL && ca_file[0] != '\0')
		ok = SSL_CTX_load_verify_file(trust->context, ca_file);
	else
		ok = SSL_CTX_set_default_verify_paths(trust->context);
	if (ok == 1)
		return trust;
	failed(err, ERR_CONFIG, "no CA certificates can be read");
	if (ca_file != NULL && ca_file[0] != '\0')
		err_prefix(err, "%s", ca_file);
out:
	smtp_trust_free(trust);
	return NULL;
}

void smtp_trust_free(struct smtp_trust *trust)
{
	if (trust == NULL)
		return;
	SSL_CTX_free(trust->context);
	free(trust);
}

/* An address stands in the certificate as iPAddress and is not sent as server name (RFC 6066 3). A dNSName alone
 * counts: never the subject's common name. */
static int expect_name(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	unsigned char bytes[16];

	if (inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(param, host);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
					X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set_tlsext_host_name(ssl, host) == 1 && X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

struct smtp_tls *smtp_tls_new(const struct smtp_trust *trust, const char *host, struct err *err)
{
	struct smtp_tls *tls = calloc(1, sizeof(*tls));

	if (tls == NULL) {
		err_memory(err);
		return NULL;
	}
	ERR_clear_error();
	tls->ssl = SSL_new(trust->context);
	tls->in = BIO_new(BIO_s_mem());
	tls->out = BIO_new(BIO_s_mem());
	if (tls->ssl == NULL || tls->in == NULL || tls->out == NULL) {
		BIO_free(tls->in);
		BIO_free(tls->out);
		goto out;
	}
	/* Empty means "no more yet", not the end. */
	BIO_set_mem_eof_return(tls->in, -1);
	SSL_set_bio(tls->ssl, tls->in, tls->out);
	SSL_set_connect_state(tls->ssl);
	if (expect_name(tls->ssl, host) == 1)
		return tls;
out:
	failed(err, ERR_TEMP, "TLS cannot be set up");
	smtp_tls_free(tls);
	return NULL;
}

void smtp_tls_free(struct smtp_tls *tls)
{
	if (tls == NULL)
		return;
	SSL_free(tls->ssl);
	free(tls);
}

int smtp_tls_feed(struct smtp_tls *tls, const void *p, size_t n, struct err *err)
{
	size_t taken = 0;

	ERR_clear_error();
	if (BIO_write_ex(tls->in, p, n, &taken) != 1 || taken != n)
		return failed(err, ERR_TEMP, "TLS");
	return 0;
}

/* 0: it only wants more bytes. */
static int stopped(struct smtp_tls *tls, int rc, const char *what, struct err *err)
{
	long verdict = SSL_get_verify_result(tls->ssl);

	switch (SSL_get_error(tls->ssl, rc)) {
	case SSL_ERROR_WANT_READ: case SSL_ERROR_WANT_WRITE:
		ERR_clear_error();
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		return failed(err, ERR_TEMP, "the server ended TLS");
	default:
		break;
	}
	if (verdict == X509_V_OK)
		return failed(err, ERR_TEMP, what);
	ERR_clear_error();
	return err_set(err, ERR_TEMP, "%s: the server's certificate: %s", what, X509_verify_cert_error_string(verdict));
}

int smtp_tls_handshake(struct smtp_tls *tls, struct err *err)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(tls->ssl);
	return rc == 1 ? 1 : stopped(tls, rc, "TLS handshake", err);
}

ssize_t smtp_tls_read(struct smtp_tls *tls, void *p, size_t n, struct err *err)
{
	size_t got = 0;
	int rc;

	ERR_clear_error();
	rc = SSL_read_ex(tls->ssl, p, n, &got);
	return rc == 1 ? (ssize_t)got : stopped(tls, rc, "TLS", err);
}

int smtp_tls_write(struct smtp_tls *tls, const void *p, size_t n, struct err *err)
{
	size_t taken = 0;

	ERR_clear_error();
	if (n == 0)
		return 0;
	/* Memory never makes it wait, and renegotiation is off: anything but all is an error. */
	if (SSL_write_ex(tls->ssl, p, n, &taken) != 1 || taken != n)
		return failed(err, ERR_TEMP, "TLS");
	return 0;
}

struct slice smtp_tls_pending(struct smtp_tls *tls)
{
	char *p = NULL;
	long n = BIO_get_mem_data(tls->out, &p);

	return slice_make(p, n > 0 ? (size_t)n : 0);
}

void smtp_tls_sent(struct smtp_tls *tls, size_t n)
{
	char bin[1024];
	size_t got = 0;

	for (; n > 0 && BIO_read_ex(tls->out, bin, n < sizeof(bin) ? n : sizeof(bin), &got) == 1; n -= got)
		continue;
}
