/* verify.h - are the signatures on a message good, and whose are they? Own per-signer verification (SPECS B5), every
 * doubt against the message. Facts come out here; what they mean together is verdict.h.
 *
 * Nothing is opened that is encrypted (a later room); an envelope is a layer of its own with result `kept`, or `failed`
 * where it breaks a rule that shows from outside.
 */
#ifndef SMIME_VERIFY_H
#define SMIME_VERIFY_H

#include "mail/mime.h"
#include "mail/pattern.h"
#include "pki/path.h"

enum layer_type { LAYER_SIGNED, LAYER_ENVELOPED, LAYER_AUTH_ENVELOPED, LAYER_COMPRESSED };
enum integrity { INTEGRITY_GOOD, INTEGRITY_BAD, INTEGRITY_UNCHECKED };
enum algorithm { ALGORITHM_GOOD, ALGORITHM_WEAK, ALGORITHM_UNSUPPORTED };
enum from_match { FROM_MATCH, FROM_SENDER, FROM_DOMAIN, FROM_MISMATCH, FROM_NO_ADDRESS, FROM_AMBIGUOUS };

/* in the order of precedence of INTERFACE 4, worst first */
enum result { RESULT_FAIL, RESULT_PERMERROR, RESULT_NEUTRAL, RESULT_POLICY, RESULT_TEMPERROR, RESULT_PASS, RESULT_NONE };
extern const char *const result_names[];	/* "fail" … NULL */

struct check {			/* one step of a verification; all text printable ASCII */
	const char *name;		/* "message_digest" */
	const char *rule;		/* "RFC 5652 5.6" */
	enum result result;		/* what it alone makes of the signer; RESULT_NONE: there was nothing to check */
	const char *detail;		/* "" where the name says it all */
};

struct layer_attribute {
	const char *name;		/* of the field's parameter: "mismatch_cn" */
	const char *text;		/* UTF-8 without control characters, of any length */
};

struct layer {			/* one signer of one layer, or one envelope; all text printable ASCII, in the arena */
	unsigned layer;			/* 1: outermost; each CMS object has the next number, for all its signers */
	enum layer_type type;
	unsigned signer_index;		/* from 1; 0: an envelope, or a SignedData without signers or not readable */
	enum result result;		/* of this signer alone; envelopes: RESULT_NEUTRAL */
	const char *reason;		/* the rule that was broken: "RFC 8550 3: no address …"; "" for pass */
	bool known;			/* the fields from integrity to bits mean something (a CMS object could be read) */
	enum integrity integrity;
	bool chain_known;		/* a signer's certificate was found, chain and revocation and usage were checked */
	enum path_chain chain;
	const char *collection;		/* NULL: none vouches */
	enum path_revocation revocation;
	bool usage_good;
	enum algorithm algorithm;
	enum from_match from;
	bool covers_message;		/* the whole top-level entity; else a part */
	const char *signer;		/* address in the certificate that matched, or its first; NULL */
	const char *subject, *issuer, *serial, *cert_sha256;	/* NULL: no certificate found */
	const char *digest, *signature;	/* "sha256", "rsa-pkcs1" "rsa-pss" "ecdsa" …; NULL: unknown */
	unsigned bits;
	time_t signed_at;		/* the signer's claim; 0: none */
	/* IMAP section number (RFC 7281) of the part with the signature: "2" (clear), "1" (opaque), "3.2"; inside an
	 * opaque layer, which IMAP cannot look into, behind that layer's as RFC 7281 does it for envelopes: "1/2". */
	const char *part;
	const char *headers;		/* RFC 9788: "unprotected" "protected" "differs"; NULL: not known */
	const char *envelope_result;	/* envelopes: "kept" "failed"; NULL for signatures */
	/* envelopes: one indeed, by a cipher that hides what is inside; nothing but a key could tell more */
	bool sealed;
	const char *cipher;		/* envelopes: "aes256-cbc" …, or NULL */
	const struct cert *cert;	/* the signer's, or NULL */
	const struct path_proof *proof;	/* what chain and revocation rest on, where that was asked for; NULL: not */
	/* what the signer tells of himself under his signature, for those who encrypt to him: SMIMECapabilities and
	 * SMIMEEncryptionKeyPreference, DER, unread; n == 0: not told. And the certificates beside it, unchecked */
	struct slice capabilities, key_preference;
	const struct cert_list *certs;	/* NULL: no signer's certificate found */
	struct layer_attribute *mismatch;	/* mismatch_attributes that the signer's name has, if not From's */
	size_t mismatch_count;
	/* what was signed, as an entity: a part of that message; NULL: none that could be read */
	const struct message *content_of;
	const struct mime_part *content;
	struct check *checks;		/* in the order made; the worst is `result`. Envelopes have none */
	size_t check_count;
};

struct layer_list {
	struct layer *items;
	size_t n;
};

struct verify_env {
	const struct collection *const *collections;
	size_t collection_count;
	time_t at;
	bool prove;			/* layers get their proof */
	/* accept_signer: a gateway that signs for its domain. Matched: its certificate has one of accept_addresses or
	 * accept_sha256, and From matches accept_from (the rule's `from`; empty: never). */
	const struct address *accept_addresses;
	size_t accept_address_count;
	const char *const *accept_sha256;
	size_t accept_sha256_count;
	const struct pattern_list *accept_from;
	/* enum dn_attribute: told of a signer whose certificate has no address, or not From's */
	const int *mismatch_attributes;
	size_t mismatch_attribute_count;
	struct {
		size_t object_bytes;	/* a CMS object held in memory (opaque); over it: neutral */
		size_t signer_infos, certificates, cms_layers;
		size_t recipient_infos;	/* 0: 1000 */
		struct mime_limits mime;
	} limits;
};

/* All signature and envelope layers of the message, outermost first; signed parts inside other things with
 * covers_message = false. A message without any: n == 0; certificates alone (certs-only) are none. SignedData with
 * content but without signers is a layer with signer_index 0 and RESULT_NONE; whatever says it is CMS and cannot be
 * read, one with RESULT_NEUTRAL. At most 32 CMS objects are looked at. -1: ERR_TEMP (a stream or memory failed) only;
 * whatever the message does is a layer's result. */
int verify_message(struct arena *arena, const struct message *message, const struct mime *mime,
		   const struct verify_env *env, struct layer_list *layers, struct err *err);

#endif
