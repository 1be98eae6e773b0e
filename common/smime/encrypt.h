/* encrypt.h - an encrypted message from a message (RFC 8551 3.3, RFC 5083): application/pkcs7-mime, lazy, BER, base64.
 *
 * Certificates are taken as they are given: validity, usage, address and trust are candidate.h's business, and an empty
 * list, or a certificate whose key cannot be used for encryption, is refused here all the same (ERR_POLICY). Each
 * reader of the body gets other bytes, always the same number of them.
 */
#ifndef SMIME_ENCRYPT_H
#define SMIME_ENCRYPT_H

#include "mail/canon.h"
#include "pki/capability.h"
#include "pki/cert.h"

enum key_transport { TRANSPORT_PKCS1, TRANSPORT_OAEP };		/* OAEP: SHA-256, MGF1 with SHA-256 */
enum recipient_identifier { RECIPIENT_ISSUER_SERIAL, RECIPIENT_KEY_ID };	/* key-id falls back where there is no SKI */

struct encrypt_options {
	const struct cert *const *certs;	/* all recipients of the message; duplicates are dropped */
	size_t n;
	enum cipher cipher;
	enum key_transport key_transport;
	enum recipient_identifier recipient_identifier;
};

/* As sign_message. ECDH recipients: dhSinglePass-stdDH-sha256kdf, AES wrap of the content key's size. 0 or -1. */
int encrypt_message(struct arena *arena, const struct canon *canon, const struct encrypt_options *options,
		    struct message *out, struct err *err);

#endif
