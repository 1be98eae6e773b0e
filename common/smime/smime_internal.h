/* smime_internal.h - what sign.c and encrypt.c share: the fields of the new message, and the CMS object of a signature.
 * Internal to smime/. */
#ifndef SMIME_INTERNAL_H
#define SMIME_INTERNAL_H

#include <openssl/evp.h>

#include "base/buf.h"
#include "smime/sign.h"

/* The Content-* fields of a protected message; values begin with a blank, folds are LF. NULL: no such field. */
struct wrap_fields {
	const char *type, *encoding, *disposition;
};

/* The header of the protected message: outside's fields, the very same memory, MIME-Version if it is missing, then the
 * new ones. 0 or -1. */
int wrap_header(struct arena *arena, const struct header *outside, const struct wrap_fields *fields,
		struct header *out, struct err *err);
/* The fields of an application/pkcs7-mime. smime_type: "enveloped-data" …; type NULL in the result: memory. */
struct wrap_fields wrap_pkcs7_mime(struct arena *arena, const char *smime_type);
/* err_set with what, the key's or certificate's name (may be NULL) and OpenSSL's reason. Returns -1. */
int wrap_openssl_error(struct err *err, enum err_class class, const char *what, const char *name);

/* One of the digests: OpenSSL's object, the name that micalg uses, the content of the OID. */
struct digest_row {
	const EVP_MD *(*md)(void);
	const char *micalg;
	struct slice oid;
};

const struct digest_row *digest_row(enum digest digest);

/* Can this key sign so? All but the private operation is tried. 0, or -1: ERR_POLICY, ERR_TEMP (memory). */
int signature_check(const struct sign_options *options, struct err *err);
/* Appends a detached SignedData (DER), all attributes and certificates in it. content: the state of its digest when all
 * content has gone in, not finished. 0 or -1. */
int signature_make(const struct sign_options *options, const EVP_MD_CTX *content, struct buf *der, struct err *err);
/* What stands in such a SignedData behind encapContentInfo: certificates and signerInfos. 0 or -1. */
int signature_tail(struct slice der, struct slice *tail, struct err *err);

#endif
