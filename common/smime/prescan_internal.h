/* prescan_internal.h - steps that the scans of signed and of enveloped objects share; internal to prescan*.c. `what`
 * names rule and thing, "RFC 5652 5.3: signature", and begins the error's text. ERR_MESSAGE where nothing else is said.
 */
#ifndef SMIME_PRESCAN_INTERNAL_H
#define SMIME_PRESCAN_INTERNAL_H

#include "smime/algorithm.h"
#include "smime/prescan.h"
#include "smime/prescan_envelope.h"

int prescan_malformed(struct err *err, const char *what);	/* -1 */
/* The next item must have that tag, not be missing. 0 or -1. */
int prescan_take(struct der *der, unsigned tag, struct der_item *item, const char *what, struct err *err);
/* Nothing may stand there any more. 0 or -1. */
int prescan_end(const struct der *der, const char *what, struct err *err);
/* An INTEGER from 0 to highest. 0 or -1. */
int prescan_version(struct der *der, unsigned highest, const char *what, struct err *err);
int prescan_take_algorithm(struct der *der, struct prescan_algorithm *algorithm, const char *what, struct err *err);
/* IssuerAndSerialNumber: both as whole items. 0 or -1. */
int prescan_issuer_serial(struct der *der, const char *what, struct slice *issuer, struct slice *serial,
			  struct err *err);
/* How many items a set has, refused beyond the limit (ERR_LIMIT) before anything is allocated for them. what: their
 * plain name. 0 or -1. */
int prescan_counted(const struct der_item *set, size_t limit, const char *what, size_t *count, struct err *err);

/* prescan_recipient.c. One RecipientInfo (RFC 5652 6.2): each of its recipients is added to the envelope's, at most
 * limits->recipients in all. der: the whole item, which outlives the envelope. 0 or -1: ERR_LIMIT, ERR_TEMP. */
int prescan_recipient(struct arena *arena, struct slice der, const struct envelope_limits *limits,
		      struct envelope *envelope, struct err *err);

#endif
