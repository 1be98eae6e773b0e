/* testpki.h - certificates for tests, made at run time: CAs, intermediates, leaves with any key, usage, names,
 * validity; CRLs; and the files they are kept in. Anything that fails here ends the test program with a message.
 *
 *	struct testpki *root = testpki_root("Test Root");
 *	struct testpki *sub = testpki_sub(root, "Test Issuing CA");
 *	struct testpki *alice = testpki_leaf(sub, "alice@example.com");
 *	struct testpki *odd = testpki_make(sub, &(struct testpki_spec){ .cn = "Bob", .san = "email:bob@x.example",
 *		.key = TESTPKI_RSA2048, .eku = "serverAuth", .not_after = time(NULL) - 60 });
 *	struct cert *cert = testpki_cert(alice);			// cert_free it
 *	struct key *key = testpki_key(alice);				// with its chain up to the root; key_free it
 *	testpki_write_pem("/tmp/x/alice.pem", alice, TESTPKI_CERT | TESTPKI_KEY | TESTPKI_CHAIN);
 *	testpki_free(alice); …
 */
#ifndef TESTPKI_H
#define TESTPKI_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/buf.h"
#include "pki/cert.h"
#include "pki/key.h"

enum testpki_key_type {
	TESTPKI_P256, TESTPKI_P384, TESTPKI_P521, TESTPKI_RSA2048, TESTPKI_RSA3072, TESTPKI_RSA1024, TESTPKI_RSA_PSS,
	TESTPKI_ED25519, TESTPKI_BRAINPOOL
};

/* Extension values are written as in openssl.cnf (x509v3_config(5)); NULL: the default said below, "": left out. */
struct testpki_spec {
	const char *cn;			/* NULL: "Test" */
	const char *dn_email;		/* emailAddress in the subject; NULL: none */
	const char *organisation;	/* NULL: "Test" */
	enum testpki_key_type key;
	EVP_PKEY *pkey;			/* used instead of a new key (a reference is taken) */
	bool ca;
	const char *basic;		/* basicConstraints; default: "critical,CA:TRUE" for a CA, none for a leaf */
	const char *usage;		/* keyUsage; default: "critical,keyCertSign,cRLSign" for a CA, else none */
	const char *eku;		/* extendedKeyUsage; default: left out */
	const char *san;		/* subjectAltName: "email:a@b,DNS:c"; default: left out */
	const char *utf8_mailbox;	/* SmtpUTF8Mailbox behind these, any bytes; NULL: none */
	const char *name_constraints;	/* nameConstraints; default: left out */
	const char *extra_oid;		/* one more extension: "1.2.3.4", with … */
	const char *extra_value;	/* … its value: "critical,ASN1:NULL", "DER:05:00" */
	bool no_key_ids;		/* without subject and authority key identifier */
	time_t not_before;		/* 0: a day ago */
	time_t not_after;		/* 0: in a year */
	const EVP_MD *digest;		/* of the signature; NULL: SHA-256 */
	long serial;			/* 0: random, 16 bytes */
};

struct testpki {
	X509 *x509;
	EVP_PKEY *pkey;
	const struct testpki *issuer;	/* NULL: self-signed. Must outlive testpki_key and TESTPKI_CHAIN, no more */
};

/* issuer NULL: self-signed */
struct testpki *testpki_make(const struct testpki *issuer, const struct testpki_spec *spec);
struct testpki *testpki_root(const char *cn);				/* P-256, self-signed CA */
struct testpki *testpki_sub(const struct testpki *issuer, const char *cn);	/* P-256, intermediate CA */
/* P-256, digitalSignature and keyAgreement, emailProtection, address in the SAN. */
struct testpki *testpki_leaf(const struct testpki *issuer, const char *address);
/* RSA-2048, digitalSignature and keyEncipherment, emailProtection, address in the SAN. */
struct testpki *testpki_leaf_rsa(const struct testpki *issuer, const char *address);
void testpki_free(struct testpki *pki);		/* NULL is fine */

struct cert *testpki_cert(const struct testpki *pki);	/* a new one */
struct key *testpki_key(const struct testpki *pki);	/* a new one; chain: all issuers, the root too */

/* A CRL of ca that revokes the n given; times 0: an hour ago, in a week. DER (pem false) or PEM is appended to out. */
void testpki_crl(const struct testpki *ca, const struct testpki *const *revoked, size_t n, time_t this_update,
		 time_t next_update, bool pem, struct buf *out);

/* The same with all that RFC 5280 5 knows; zero or NULL: left out, times as above. */
struct testpki_crl {
	const struct testpki *ca;	/* the issuer's name, and the key */
	const struct testpki *name;	/* another issuer's name; NULL: ca's */
	const struct testpki *const *revoked;
	size_t n;
	const struct testpki *of;	/* whose certificates these are, if not the CRL issuer's (certificateIssuer) */
	int reason;			/* of every entry: a CRL_REASON_…; 0: none said */
	const char *entry_oid;		/* a critical extension of every entry */
	time_t this_update, next_update;	/* next_update -1: none */
	long number, base;
	const char *idp;		/* as in openssl.cnf: "URI:http://…", "onlyuser" (see testpki.c) */
	const char *extra_oid;		/* one more extension, critical */
	bool no_key_id;
};
void testpki_crl_make(const struct testpki_crl *spec, struct buf *out);		/* appends DER */

/* An OCSP response about one certificate. */
struct testpki_ocsp {
	const struct testpki *cert, *issuer;	/* which is asked about */
	const struct testpki *signer;		/* NULL: the issuer */
	int status;				/* V_OCSP_CERTSTATUS_…; good is 0 */
	time_t this_update, next_update;	/* 0: an hour ago, in a week; next_update -1: none */
	bool sha256;				/* its identifiers; SHA-1 else */
	bool by_key;				/* the responder is named by its key, else by its name */
	bool no_cert;				/* without the signer's certificate */
	int response_status;			/* 0: successful */
};
void testpki_ocsp_make(const struct testpki_ocsp *spec, struct buf *out);	/* appends DER */

enum { TESTPKI_CERT = 1, TESTPKI_KEY = 2, TESTPKI_CHAIN = 4, TESTPKI_ENCRYPTED_KEY = 8 /* with "secret" */ };
void testpki_pem(const struct testpki *pki, unsigned what, struct buf *out);	/* appends */
void testpki_der(const struct testpki *pki, struct buf *out);			/* appends the certificate */
/* A PKCS#7 certs-only object with the n certificates; DER, or PEM. Appends. */
void testpki_p7b(const struct testpki *const *pkis, size_t n, bool pem, struct buf *out);
/* PKCS#12 with key, certificate and chain under the passphrase. Appends. */
void testpki_p12(const struct testpki *pki, const char *passphrase, struct buf *out);

/* Writes a file (mode 0600 when it holds a key, else 0644). */
void testpki_write(const char *path, const struct buf *bytes, unsigned mode);
void testpki_write_pem(const char *path, const struct testpki *pki, unsigned what);

#endif
