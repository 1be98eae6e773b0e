/* capability.h - SMIMECapabilities (RFC 8551 2.5.2): which content ciphers a peer can read, and ours announced. */
#ifndef PKI_CAPABILITY_H
#define PKI_CAPABILITY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/slice.h"

enum cipher { CIPHER_AES256_CBC, CIPHER_AES128_CBC, CIPHER_AES256_GCM, CIPHER_AES128_GCM, CIPHER_COUNT };

const char *cipher_name(enum cipher);	/* "aes256-cbc" */
extern const char *const cipher_names[];	/* in enum order, NULL-terminated, for conf rows */

struct capabilities {
	bool known;			/* false: nothing was said */
	unsigned ciphers;		/* bit 1 << enum cipher */
};

/* The DER value of the attribute (a SEQUENCE OF). Unknown entries are ignored; not DER: ERR_MESSAGE. */
int capabilities_parse(struct slice der, struct capabilities *capabilities, struct err *err);

/* The cipher for a message (INTERFACE 2, `ciphers`): peers are all its recipients. All known: the strongest common one
 * (aes256-gcm, aes128-gcm, aes256-cbc, aes128-cbc) that is listed; one unknown, or nothing common: the first listed. */
enum cipher cipher_choose(const enum cipher *listed, size_t n, const struct capabilities *peers, size_t peer_count);
/* Can every peer that said what it can read, read this one? */
bool cipher_readable(enum cipher cipher, const struct capabilities *peers, size_t peer_count);

#endif
