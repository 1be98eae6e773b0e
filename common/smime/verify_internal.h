/* verify_internal.h - what verify.c (layers), verify_object.c (one SignedData), signer.c (one SignerInfo), check.c (what
 * was checked) and verify_from.c (whose address) share. Internal to smime/.
 */
#ifndef SMIME_VERIFY_INTERNAL_H
#define SMIME_VERIFY_INTERNAL_H

#include "smime/algorithm.h"
#include "smime/prescan.h"
#include "smime/verify.h"

/* Who the message says it is from. */
struct from_binding {
	bool single;			/* one From field with one clean mailbox */
	bool claims;			/* the name beside it reads like another's address: no match is told */
	struct address from;		/* text.n == 0: nothing that looks like an address */
	bool sender_single;
	struct address sender;
};

struct verify_run {			/* one call of verify_message */
	struct arena *arena;
	const struct verify_env *env;
	struct from_binding from;
	/* the collections that may vouch for the From address; all of them where there is no single one */
	const struct collection **covering;
	size_t covering_count;
	struct layer *layers;
	size_t n, capacity;
	unsigned objects;		/* CMS objects seen: the number of the last layer */
	unsigned tries;			/* certificates tried for signers: each costs a path */
	unsigned signatures;		/* verified in those paths */
	size_t certificates;		/* decoded: each may cost a signature */
	size_t crl_bytes;		/* of CRLs in the message, read or passed over */
	unsigned crl_signatures;	/* verified of them */
	bool exhausted;			/* the arena was, while a check was recorded */
	const struct mime_part *payload;	/* what is inside all layers that cover the message; NULL: not seen */
};

/* verify_from.c. 0 or -1: the arena is exhausted. */
int from_binding_read(struct arena *arena, const struct header *header, struct from_binding *binding, struct err *err);
/* *address: the certificate's address that stands for the answer, or its first; NULL: it has none. */
enum from_match from_binding_match(const struct from_binding *binding, const struct verify_env *env,
				   const struct cert *cert, const struct address **address);

enum check_id {
	CHECK_STRUCTURE, CHECK_COVERAGE, CHECK_CONTENT, CHECK_CONTENT_TYPE, CHECK_DIGEST_ALGORITHM, CHECK_DIGEST_LISTED,
	CHECK_SIGNATURE_ALGORITHM, CHECK_SIGNED_ATTRIBUTES, CHECK_ATTRIBUTE_CONTENT_TYPE, CHECK_ALGORITHM_PROTECTION,
	CHECK_MESSAGE_DIGEST, CHECK_CERTIFICATE, CHECK_PATH, CHECK_REVOCATION, CHECK_SIGNING_CERTIFICATE,
	CHECK_SIGNATURE, CHECK_KEY, CHECK_USAGE, CHECK_FROM, CHECK_HEADERS, CHECK_PROTECTED_FROM, CHECK_COUNT
};

/* check.c. Records a check, once each and layer; the worst result and its text become the layer's. text: printable, lives
 * as long as the arena; "RULE: detail" where it begins with an RFC, else the detail of the check's usual rule. Memory's
 * failure is run->exhausted. */
void run_check(struct verify_run *run, struct layer *layer, enum check_id id, enum result result, const char *text);

/* A new entry at the end of the list: type signed, result neutral, nothing known. NULL: *err. Valid until the next. */
struct layer *run_layer(struct verify_run *run, enum layer_type type, bool covers_message, const char *part,
			struct err *err);
/* A layer that cannot be judged at all, with the reason (copied). 0 or -1. */
int run_unreadable(struct verify_run *run, bool covers_message, const char *part, const char *reason, struct err *err);

struct signed_object {			/* one SignedData, found in a part */
	struct slice der;
	const struct body *detached;	/* multipart/signed: the bytes of the first part; NULL: content is inside */
	bool covers_message;		/* also what is inside it; verify_object ends that where nobody signed */
	const char *part;		/* section number of the part with the signature */
	/* filled while it is verified */
	struct prescan scan;
	struct cert_list certs;		/* the message's: signers and intermediates, never anchors */
	struct path_brought brought;	/* the message's CRLs */
	struct content_digest *digests;
	size_t digest_count;
	const char *bad;		/* why no signature in it can be good, or NULL */
	const char *unsupported;	/* why none can be judged, or NULL */
};

/* One layer entry a signer. *content: what was signed where it is inside (p == NULL: not readable, or detached); it
 * lives in the arena. A SignedData without content and signers (certificates only) gives no entry. -1: ERR_TEMP. */
int verify_object(struct verify_run *run, struct signed_object *object, struct slice *content, struct err *err);

/* Fills the entry of one signer. 0, or -1: ERR_TEMP. */
int signer_verify(struct verify_run *run, struct signed_object *object, const struct prescan_signer *signer,
		  struct layer *layer, struct err *err);

/* Whose certificate it is instead, in the words of the names that the rule asks for, where From is not the signer's. 0,
 * or -1: ERR_TEMP. */
int run_mismatch(struct verify_run *run, struct layer *layer, struct err *err);

/* protected.c. Once all layers are there: `headers` of those that cover the message, whose fields outside are given; and
 * the result of those whose protected From is another's. 0, or -1: ERR_TEMP. */
int protected_tell(struct verify_run *run, const struct header *outside, struct err *err);

#endif
