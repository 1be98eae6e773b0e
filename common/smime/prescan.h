/* prescan.h - a strict look at a CMS SignedData before any other code sees it (RFC 5652, RFC 8551; SPECS B6).
 *
 * Framing, order and number of everything are checked; nothing is copied, no signature is verified, and OpenSSL is not
 * involved. Internal to smime/: used by verify_object.c.
 */
#ifndef SMIME_PRESCAN_H
#define SMIME_PRESCAN_H

#include "base/arena.h"
#include "base/err.h"
#include "smime/der.h"

struct prescan_limits {
	size_t signer_infos, certificates, crls;
};

struct prescan_algorithm {		/* an AlgorithmIdentifier */
	struct slice oid;		/* the whole item */
	struct slice parameters;	/* the whole item; n == 0: absent */
};

/* item: the SEQUENCE. 0 or -1. */
int prescan_algorithm(const struct der_item *item, struct prescan_algorithm *algorithm);

struct prescan_signer {			/* one SignerInfo (RFC 5652 5.3) */
	struct slice issuer;		/* the whole Name; n == 0: named by key_id */
	struct slice serial;		/* the whole INTEGER */
	struct slice key_id;		/* subject key identifier */
	struct prescan_algorithm digest, signature;
	struct slice attributes;	/* content of signedAttrs; p == NULL: there are none */
	struct slice value;		/* the signature */
};

struct prescan {			/* one SignedData (RFC 5652 5.1); slices point into the bytes scanned */
	struct slice content_type;	/* eContentType: content of the OID */
	bool attached;			/* eContent is there */
	struct der_item content;	/* its OCTET STRING */
	struct prescan_algorithm *digests;
	size_t digest_count;
	struct slice *certificates;	/* whole items; other kinds of certificate are counted and left out */
	size_t certificate_count;
	struct slice *crls;		/* whole items; other kinds of revocation information are counted and left out */
	size_t crl_count;
	struct prescan_signer *signers;
	size_t signer_count;
};

/* der: all bytes of the object. ERR_MESSAGE names the rule that is broken (trailing bytes are one), ERR_LIMIT the
 * limit, ERR_TEMP: the arena is exhausted. 0 or -1. */
int prescan_signed(struct arena *arena, struct slice der, const struct prescan_limits *limits, struct prescan *scan,
		   struct err *err);

/* The eContent in one piece: the object's own bytes where they lie together, else joined (wiped with the arena). Only
 * when attached. 0 or -1 as above. */
int prescan_content(struct arena *arena, const struct prescan *scan, struct slice *content, struct err *err);

#endif
