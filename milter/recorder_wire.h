/* recorder_wire.h - what a worker and the recorder say to each other over a channel; for recorder.c and recorder_client.c.
 * Both are forks of one program, so these are its own structs. The recorder checks every length all the same: a worker
 * reads strangers' mail.
 */
#ifndef MILTER_RECORDER_WIRE_H
#define MILTER_RECORDER_WIRE_H

#include "milter/channel.h"
#include "base/crypt.h"
#include "milter/journal.h"
#include "smime/harvest.h"

enum recorder_operation {
	RECORDER_LOOK = 1, RECORDER_BEGIN, RECORDER_KEEP, RECORDER_END, RECORDER_SEEN, RECORDER_AUDIT,
	RECORDER_REMEMBER, RECORDER_RECALL, RECORDER_EVIDENCE_HAS, RECORDER_EVIDENCE_PUT, RECORDER_HARVEST
};

#define RECORDER_DIGESTS 64		/* of one EVIDENCE_HAS, at most */
#define RECORDER_UPLOAD_BYTES ((size_t)2 * CRYPT_SHA256_BYTES)	/* before the bytes of EVIDENCE_PUT: digest, upload */

struct recorder_request {
	uint32_t operation;
	uint32_t count;			/* of struct journal_id that follow: SEEN 1; END, AUDIT, HARVEST, EVIDENCE_… 0; else any */
	int64_t number;			/* the attempt; SEEN: expires; END: see forget; EVIDENCE_PUT: the offset */
	uint32_t forget;		/* END; EVIDENCE_PUT: it is the last piece */
	uint32_t text_bytes;		/* that follow the ids: KEEP the queue id, AUDIT lines, EVIDENCE_HAS digests,
					   HARVEST see below */
};

/* HARVEST: a certificate that a mail has taught. Address, collection, certificate and chain follow, without anything in
 * between; the chain is what remains. */
struct recorder_harvest {
	int64_t signed_at;
	uint32_t address_bytes, collection_bytes, cert_bytes;
	uint32_t ciphers;		/* of struct capabilities */
	uint8_t ciphers_known, at_once, unused[6];
};

struct recorder_answer {
	uint32_t failed;		/* then the error's text follows */
	uint32_t class;
	int64_t number;			/* BEGIN: the attempt; SEEN: was it? RECALL: is one known? */
	/* LOOK, BEGIN: one byte a recipient follows, 1: done; EVIDENCE_HAS: one a digest, 1: it is there */
};

#define RECORDER_ANSWER_BYTES (sizeof(struct recorder_answer) + JOURNAL_RECIPIENTS)

_Static_assert(sizeof(struct recorder_request) + sizeof(struct recorder_harvest) + 4096 +
	       (1 + HARVEST_CHAIN) * HARVEST_CERT_BYTES <= CHANNEL_BYTES, "the largest lesson fits");
_Static_assert(sizeof(struct recorder_request) + JOURNAL_RECIPIENTS * sizeof(struct journal_id) + JOURNAL_QUEUE_ID_BYTES <=
	       CHANNEL_BYTES, "the largest question fits");

#endif
