/* keystore.h - where own keys come from: an interface, and drivers behind it (pem, pkcs12). All keys of an address are
 * its history. In a worker this becomes a proxy to the keyholder process; nothing else changes.
 */
#ifndef PKI_KEYSTORE_H
#define PKI_KEYSTORE_H

#include "base/conf.h"
#include "pki/key.h"

struct keystore_class {
	/* Adds references to all keys whose certificate has the address to keys[0..], sets *count; the array lives in the
	 * arena. 1 found, 0 none, -1 could not ask. address NULL: all keys. */
	int (*find)(void *self, struct arena *arena, const struct address *address, struct key ***keys, size_t *count,
		    struct err *err);
	void (*free)(void *self);
};

struct keystore {
	const struct keystore_class *class;
	void *self;
};

struct keystore_driver {
	const char *type;
	const struct conf_table *table;		/* its settings struct begins with `const char *type` */
	/* -1 with findings reported: a file that cannot be read or is too open, key and certificate that do not match.
	 * warnings (may be NULL): files of which nothing comes. */
	int (*open)(const void *settings, struct conf *conf, const struct conf_report *report,
		    const struct conf_report *warnings, struct keystore *store, struct err *err);
};

extern const struct keystore_driver keystore_pem_driver;
extern const struct keystore_driver keystore_pkcs12_driver;

int keystore_find(const struct keystore *stores, size_t store_count, struct arena *arena,
		  const struct address *address, struct key ***keys, size_t *count, struct err *err);

/* The key to sign with for the address: valid at `at`, may sign, has the address; the newest. 1, 0 (*reason says why
 * none: "no key", "expired", …; a literal or in the arena), -1. The reference lives in the arena. */
int keystore_signing_key(const struct keystore *stores, size_t store_count, struct arena *arena,
			 const struct address *address, time_t at, struct key **key, const char **reason, struct err *err);
/* The certificate that others should encrypt to for the address: valid, may encrypt, newest. 1, 0, -1. */
int keystore_encryption_cert(const struct keystore *stores, size_t store_count, struct arena *arena,
			     const struct address *address, time_t at, const struct cert **cert, struct err *err);

#endif
