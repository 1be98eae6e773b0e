/* cert.h - a certificate, decoded once: what the rest of the program asks of it, as plain values (RFC 5280, RFC 8550).
 *
 * Immutable, counted, shared between threads. Nothing here says that a certificate may be trusted: see path.h. The
 * OpenSSL object behind it is seen by pki/ and smime/ only (pki_internal.h).
 */
#ifndef PKI_CERT_H
#define PKI_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "mail/address.h"

struct cert;

enum key_kind { KEY_RSA, KEY_RSA_PSS, KEY_EC_P256, KEY_EC_P384, KEY_EC_P521, KEY_EC_OTHER, KEY_ED25519, KEY_OTHER };

enum usage_bits {	/* as in keyUsage */
	USAGE_DIGITAL_SIGNATURE = 1, USAGE_NON_REPUDIATION = 2, USAGE_KEY_ENCIPHERMENT = 4, USAGE_KEY_AGREEMENT = 8,
	USAGE_CERT_SIGN = 16, USAGE_ENCIPHER_ONLY = 32, USAGE_DECIPHER_ONLY = 64
};

struct cert_info {
	const char *serial;		/* as `openssl x509 -serial` prints it: upper-case hex, "-" if negative */
	const char *issuer, *subject;	/* RFC 2253 one-liners, UTF-8 with control and 8-bit escaped: attacker's text */
	const char *sha256;		/* of the DER, lower-case hex */
	struct slice der;
	struct slice issuer_der, subject_der, serial_der;	/* for comparing */
	struct slice skid;		/* subject key identifier, empty: none */
	time_t not_before, not_after;
	const struct address *addresses;	/* rfc822Name, SmtpUTF8Mailbox, then DN emailAddress; no duplicates */
	size_t address_count;
	bool address_bad;		/* an address in it does not parse or holds a NUL */
	enum key_kind key_kind;
	unsigned bits;
	bool usage_given;
	unsigned usage;			/* enum usage_bits; meaningful when usage_given */
	bool eku_given, eku_email, eku_any;
	const char *purpose;		/* one that extendedKeyUsage allows and that is well known in directories:
					   "smart-card logon", "file encryption (EFS)"; NULL: none */
	bool ca;			/* basicConstraints cA */
	bool self_issued;		/* issuer equals subject */
	bool self_signed;		/* and its own key verifies it */
	bool oversized;			/* a key whose one use costs milliseconds: nothing is verified with it */
};

/* Exactly one DER certificate, nothing behind it; ERR_MESSAGE else. */
struct cert *cert_from_der(struct slice der, struct err *err);
/* How many bytes the DER object (SEQUENCE, definite length) takes that bytes begin with; 0: there is none. */
size_t cert_der_bytes(struct slice bytes);
struct cert *cert_ref(struct cert *cert);
void cert_free(struct cert *cert);	/* gives one reference back; NULL is fine */
/* Hands the caller's reference to the arena, which gives it back when it dies. -1: memory, and it is given back at
 * once. */
int cert_defer(struct arena *arena, struct cert *cert);
const struct cert_info *cert_info(const struct cert *cert);

/* RFC 8550 4.4.2, 4.4.4 - usage and EKU only, not validity, not trust. */
bool cert_may_sign(const struct cert *cert);		/* digitalSignature or nonRepudiation or none given; EKU */
bool cert_may_encrypt(const struct cert *cert);	/* RSA: keyEncipherment; EC: keyAgreement without decipherOnly; EKU */
bool cert_has_address(const struct cert *cert, const struct address *address);
/* Does it bear this issuer (a Name's DER, compared as RFC 5280 7.1 says)? */
bool cert_has_issuer(const struct cert *cert, struct slice issuer);
bool cert_equal(const struct cert *a, const struct cert *b);
bool cert_same_key(const struct cert *a, const struct cert *b);	/* the same public key, whoever certified it */
/* Did its issuer sign it with SHA-1, MD5 or the like (which path.h calls bad)? A root's own signature does not matter:
 * false. */
bool cert_signed_weakly(const struct cert *cert);

#define CERT_MAX_URLS 8
#define CERT_URL_BYTES 1024

struct cert_urls {
	char items[CERT_MAX_URLS][CERT_URL_BYTES];
	size_t n;
};

/* The http URLs of its cRLDistributionPoints (fullName), and those of OCSP responders in its authorityInfoAccess: the
 * first CERT_MAX_URLS, each once, of printable ASCII without blanks and shorter than CERT_URL_BYTES; others are left
 * out. Whoever issued the certificate wrote them: hosts and addresses are not looked at. */
void cert_crl_urls(const struct cert *cert, struct cert_urls *urls);
void cert_ocsp_urls(const struct cert *cert, struct cert_urls *urls);

/* A set without order or owner other than the list: each entry is one reference. */
struct cert_list {
	struct cert **items;
	size_t n, capacity;
};

/* Takes a reference of its own; skips one that is there. -1: memory. */
int cert_list_add(struct cert_list *list, struct cert *cert);
void cert_list_clear(struct cert_list *list);
/* References live until the arena dies; the list may be read but neither added to nor cleared from now on. -1: memory,
 * and the list is empty. */
int cert_list_defer(struct arena *arena, struct cert_list *list);

#endif
