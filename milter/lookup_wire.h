/* lookup_wire.h - what lookup.c and lookup_client.c say to each other over a channel: questions, and answers of any
 * size. Both sides read strictly, since the one parses hostile mail and the other what strangers keep in directories:
 * what is not exactly a question or an answer is refused whole. Nothing here asks or decides.
 *
 * A question is one message of the channel. An answer is its length, then so many bytes, in messages of at most
 * CHANNEL_BYTES. Numbers are in the machine's order: nobody else reads them.
 */
#ifndef MILTER_LOOKUP_WIRE_H
#define MILTER_LOOKUP_WIRE_H

#include "base/crypt.h"
#include "milter/channel.h"
#include "pki/cert_memory.h"
#include "pki/directory_cache.h"

#define LOOKUP_ANSWER_BYTES ((size_t)32 << 20)	/* of one answer; what does not fit is asked for again */
#define LOOKUP_TEXT_BYTES 4096			/* of an address or a text, at most */

struct lookup_identity {			/* what tells a directory from one that is configured otherwise */
	unsigned char bytes[CRYPT_SHA256_BYTES];
};

enum lookup_operation { LOOKUP_FIND = 1, LOOKUP_PROBE, LOOKUP_INHERIT };
/* What an answer begins with, and how an entry's owner is told: the same as the entry's before it, or anew. */
enum lookup_kind { LOOKUP_KIND_ANSWERS = 'a', LOOKUP_KIND_OUTCOME = 'o', LOOKUP_KIND_REMEMBERED = 'r' };
enum lookup_owner { LOOKUP_OWNER_NONE, LOOKUP_OWNER_NEW, LOOKUP_OWNER_BEFORE };

struct lookup_question {
	enum lookup_operation operation;
	uint32_t directory;		/* FIND, PROBE: its index in the site */
	int64_t deadline_ms;		/* CLOCK_MONOTONIC, which all processes share */
	const struct address *addresses;	/* FIND: n of them, at least one; else none */
	size_t n;
	struct lookup_identity identity;	/* INHERIT: of the directory whose memory is wanted */
};

/* Appends a question about as many of the addresses as fit into one message. Returns how many (FIND alone has any), or
 * -1: the first is too long, or memory is exhausted. */
ssize_t lookup_write_question(const struct lookup_question *question, struct buf *out);
/* Addresses live in the arena. ERR_BUG: not a question; ERR_TEMP: memory. That the directory exists is not checked. */
int lookup_read_question(struct slice bytes, struct arena *arena, struct lookup_question *question, struct err *err);

/* Appends what find answered, as far as it fits into limit_bytes, at least the first; a first one that is larger alone
 * is told as "could not ask". 0, or -1: memory. */
int lookup_write_answers(const struct directory_answer *answers, size_t n, size_t limit_bytes, struct buf *out);
struct lookup_place {			/* where what is read lives */
	struct arena *arena;		/* with references of its own */
	struct cert_memory *certs;	/* that were decoded before; NULL: each is decoded */
};

/* Reads answers to at most n addresses; *count: how many there were, at least one. Read only. ERR_BUG: not answers;
 * ERR_TEMP: memory. */
int lookup_read_answers(struct slice bytes, const struct lookup_place *place, struct directory_answer *answers,
			size_t n, size_t *count, struct err *err);

/* Appends what a directory's cache remembers (directory_cache_list), as far as it fits into limit_bytes: if not all,
 * those used last. 0, or -1: memory. */
int lookup_write_remembered(const struct directory_remembered *items, size_t n, size_t limit_bytes, struct buf *out);
/* In the same order as it was listed. Texts of addresses lie in bytes, the rest in the arena. ERR_BUG: not that;
 * ERR_TEMP: memory. */
int lookup_read_remembered(struct slice bytes, struct arena *arena, struct directory_remembered **items, size_t *n,
			   struct err *err);

/* Appends what probe answered, or that find could not: why is NULL when all is well. */
int lookup_write_outcome(const struct err *why, struct buf *out);
/* 0: all is well; -1: the error that was told, or ERR_BUG: not an outcome. */
int lookup_read_outcome(struct slice bytes, struct err *err);
/* Is it an outcome, not answers? */
bool lookup_is_outcome(struct slice bytes);

#endif
