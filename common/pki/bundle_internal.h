/* bundle_internal.h - what the formats of bundle*.c share while one file is being read. Not for others. */
#ifndef PKI_BUNDLE_INTERNAL_H
#define PKI_BUNDLE_INTERNAL_H

#include <openssl/cms.h>

#include "pki/bundle.h"

struct bundle_reader {
	struct arena *arena;
	struct bundle *bundle;
	size_t capacity;	/* of bundle->entries */
};

/* Each adds one entry, or returns -1 (memory, too many). What entry brings along (offset, name, usage) is kept. */
int bundle_add(struct bundle_reader *reader, const struct bundle_entry *entry, struct err *err);
int bundle_add_problem(struct bundle_reader *reader, struct bundle_entry entry, struct err *err, const char *format,
		       ...)
	__attribute__((format(printf, 4, 5)));
/* DER that is or is not what it should be: an entry, or a bad entry. */
int bundle_add_cert(struct bundle_reader *reader, struct bundle_entry entry, struct slice der, struct err *err);
int bundle_add_crl(struct bundle_reader *reader, struct bundle_entry entry, struct slice der, struct err *err);

/* One format each; bytes is the whole file. 0 or -1. */
int bundle_read_sst(struct bundle_reader *reader, struct slice bytes, struct err *err);
int bundle_read_pem(struct bundle_reader *reader, struct slice bytes, struct err *err);
int bundle_read_p7b(struct bundle_reader *reader, struct slice bytes, struct err *err);
int bundle_read_der(struct bundle_reader *reader, struct slice bytes, struct err *err);
int bundle_read_base64(struct bundle_reader *reader, struct slice bytes, struct err *err);
int bundle_read_outlook(struct bundle_reader *reader, struct slice bytes, struct err *err);

bool bundle_is_sst(struct slice bytes);
bool bundle_is_pem(struct slice bytes);
bool bundle_is_p7b(struct slice bytes);
bool bundle_is_der(struct slice bytes);
bool bundle_is_base64(struct slice bytes);
bool bundle_is_outlook(struct slice bytes);

/* The SignedData in der as entries at offset; it is one bad entry if it cannot be read. */
int bundle_add_signed_data(struct bundle_reader *reader, size_t offset, struct slice der, struct err *err);
/* Fills capabilities and preferred of the n entries, which are cms's certificates, from what the first signer says. */
void bundle_note_signer(struct bundle_entry *entries, size_t n, CMS_ContentInfo *cms);

#endif
