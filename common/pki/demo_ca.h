/* demo_ca.h - a throw-away certification authority for trying things out: one root, users' keys and certificates, made
 * anew each time. Nothing of it is for production: keys are made and written in the clear, nothing is ever revoked.
 * Called by smimectl demo-ca and by tests. RFC 5280, RFC 8550.
 */
#ifndef PKI_DEMO_CA_H
#define PKI_DEMO_CA_H

#include "base/buf.h"
#include "base/err.h"
#include "pki/cert.h"

struct demo_ca;

enum demo_key { DEMO_RSA_2048, DEMO_EC_P256 };

struct demo_user {
	const char *name;	/* CN */
	const char *address;	/* rfc822Name */
	enum demo_key key;
	int days;		/* from an hour ago on; negative: expired that long */
};

/* A self-signed P-256 root, valid for ten years. NULL: *err. */
struct demo_ca *demo_ca_new(const char *name, struct err *err);
void demo_ca_free(struct demo_ca *ca);	/* NULL is fine */
struct cert *demo_ca_cert(const struct demo_ca *ca);	/* borrowed */
/* The root's private key, PKCS#8 in PEM, appended. 0 or -1. */
int demo_ca_key(const struct demo_ca *ca, struct buf *pem, struct err *err);

/* A new key and its certificate for signing and encryption. Appends to cert_pem the certificate, to key_pem private
 * key, certificate and root, as a pem key store wants them. 0 or -1. */
int demo_ca_issue(const struct demo_ca *ca, const struct demo_user *user, struct buf *cert_pem, struct buf *key_pem,
		  struct err *err);
/* The certificate in PEM, appended. 0 or -1. */
int demo_cert_pem(const struct cert *cert, struct buf *pem, struct err *err);

#endif
