/* keyring.h - own keys that were read from files, indexed by address: what the drivers pem and pkcs12 fill when they
 * are opened and then are. For pki/ only. */
#ifndef PKI_KEYRING_H
#define PKI_KEYRING_H

#include "pki/keystore.h"
#include "pki/pki_internal.h"

struct keyring;

struct keyring_load {	/* while a driver reads */
	struct keyring *ring;
	struct arena *arena;		/* for as long as the reading lasts */
	struct conf *conf;		/* may be NULL: findings go to report without a line number then */
	const void *member;		/* of the settings: what findings point to */
	const struct conf_report *report, *warnings;
	struct err *err;		/* the first finding */
	bool bad;
};

/* 0 or -1: memory (*err). */
int keyring_begin(struct keyring_load *load, struct conf *conf, const void *member, const struct conf_report *report,
		  const struct conf_report *warnings, struct err *err);
/* A reason to refuse the keystore; reading goes on, so that all of them are named. */
void keyring_finding(struct keyring_load *load, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A word that refuses nothing. */
void keyring_warning(struct keyring_load *load, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A finding at the setting where it is true: keys in files are in no hardware. */
void keyring_refuse_hardware(struct keyring_load *load, const bool *hardware_only);
/* A key for each certificate of certs that belongs to pkey; the CAs among them are the chain. It is a finding if there
 * is none. source: the file with the key. */
void keyring_add(struct keyring_load *load, EVP_PKEY *pkey, const struct cert_list *certs, const char *source);
/* The store, or -1 if there was a finding. Releases what loading needed. */
int keyring_end(struct keyring_load *load, struct keystore *store);

/* path, or the files in it if it is a directory (which others must not write), in load->arena. 0, or -1 with a
 * finding. */
int keyring_files(struct keyring_load *load, const char *path, char ***paths, size_t *n);

#endif
