/* journal.h - which copies of a message the reinjection listener has accepted, so that a retry repeats none of them;
 * and which messages came or went encrypted, for rules that ask what is answered.
 *
 * An interface, and drivers behind it: journal_sqlite.c (a file in state_dir), journal_redis.c (a server that
 * gateways share), and in a worker the recorder's proxy (recorder_client.h). Entries are kept for each recipient: a
 * retry whose recipients are grouped differently, because the configuration changed meanwhile, repeats nothing
 * either. Nothing of the mail is kept but digests and queue ids.
 *
 * An attempt is one passage of a message through the gateway, from journal_begin to journal_end. It holds its
 * recipients for a time, the lease; each journal_keep renews it. One whose process died ends when its lease does (the
 * recorder notices earlier).
 *
 * Where two mails cannot be told apart (no Message-ID or no Date: key.unique is false) they must both arrive: then
 * what an attempt has accepted is forgotten when it ends well, and only what was left behind by others counts as
 * done. Three equal mails are three mails, in whatever order their retries come.
 */
#ifndef MILTER_JOURNAL_H
#define MILTER_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/crypt.h"
#include "base/err.h"
#include "base/slice.h"

#define JOURNAL_LIFE_S ((int64_t)10 * 24 * 3600)	/* beyond an MTA's queue time: five days everywhere */
#define JOURNAL_ID_BYTES 16
#define JOURNAL_QUEUE_ID_BYTES 128			/* longer ones are cut */
#define JOURNAL_RECIPIENTS 8000				/* of one call */
#define JOURNAL_MAIL_LIFE_S ((int64_t)90 * 24 * 3600)	/* how long an encrypted message is remembered */
#define JOURNAL_MAILS ((int64_t)1000000)		/* of which there are no more than these: the oldest go first */

struct journal_key {
	unsigned char bytes[CRYPT_SHA256_BYTES];
	bool unique;			/* Message-ID and Date are both there */
};

struct journal_id {			/* a recipient of a message, an id of the loop guard, a Message-ID: a digest */
	unsigned char bytes[JOURNAL_ID_BYTES];
};

struct journal_attempt {
	struct journal_key key;
	int64_t number;			/* positive, never used twice */
};

struct journal_class {
	/* As the functions below, with digests in place of text; n at most JOURNAL_RECIPIENTS. */
	int (*look)(void *self, const struct journal_id *ids, size_t n, bool *done, struct err *err);
	int (*begin)(void *self, const struct journal_id *ids, size_t n, bool *done, int64_t *number, struct err *err);
	int (*keep)(void *self, int64_t number, const struct journal_id *ids, size_t n, const char *queue_id,
		    struct err *err);
	/* forget: accepted, and the key is not unique */
	int (*end)(void *self, int64_t number, bool forget, struct err *err);
	int (*seen)(void *self, const struct journal_id *id, time_t expires, bool *seen, struct err *err);
	int (*remember)(void *self, const struct journal_id *ids, size_t n, struct err *err);
	int (*recall)(void *self, const struct journal_id *ids, size_t n, bool *known, struct err *err);
	/* What is called between start and commit is durable when commit returns 0; -1: none of it happened. start -1:
	 * the journal is not what it was; close it and open it again. NULL, both: the driver has no such thing. */
	int (*start)(void *self, struct err *err);
	int (*commit)(void *self, struct err *err);
	void (*close)(void *self);
};

struct journal {
	const struct journal_class *class;
	void *self;
};

/* Values of the fields, blanks around them do not count; n == 0: there is no such field. body_sha256: of the body as it
 * came. -1: libcrypto. */
struct journal_parts {
	struct slice sender, message_id, date;
	const unsigned char *body_sha256;
	struct slice more;		/* tells mails apart as well, but makes none unique; n == 0: nothing */
};
int journal_key_make(const struct journal_parts *parts, struct journal_key *key, struct err *err);

/* What journal_begin would find, without beginning anything or waiting for a disk: for a message that needs no copies,
 * whose earlier attempt may have needed some. Any number of recipients. */
int journal_look(const struct journal *journal, const struct journal_key *key, const char *const *recipients, size_t n,
		 bool *done, struct err *err);
/* A new attempt. done[i]: that recipient's copy has been accepted before and must not be sent again. Recipients are
 * compared byte for byte. -1, ERR_TEMP: could not ask, or one of the recipients is held by another attempt right now (the
 * client has tried again on a second connection); ERR_LIMIT: too many recipients. Nothing is held then. */
int journal_begin(const struct journal *journal, const struct journal_key *key, const char *const *recipients, size_t n,
		  bool *done, struct journal_attempt *attempt, struct err *err);
/* The listener has accepted a copy for these recipients, as queue_id ("" if it named none). On disk when it returns 0. -1:
 * not known to be on disk; or it is, but the attempt's lease ended and another attempt may hold the recipients: stop. */
int journal_keep(const struct journal *journal, const struct journal_attempt *attempt, const char *const *recipients,
		 size_t n, const char *queue_id, struct err *err);
/* The attempt is over. accepted: the gateway's answer to this message is going to be accept; tell it before answering. */
int journal_end(const struct journal *journal, const struct journal_attempt *attempt, bool accepted, struct err *err);
/* Was this id seen before? Remembers it until expires. Of several askers at once exactly one is told false. */
int journal_seen(const struct journal *journal, const char *id, time_t expires, bool *seen, struct err *err);
/* These messages came or went encrypted: Message-IDs, n at most JOURNAL_RECIPIENTS. Kept for JOURNAL_MAIL_LIFE_S from
 * the last time on, unless there are too many. On disk when it returns 0. */
int journal_remember(const struct journal *journal, const struct slice *message_ids, size_t n, struct err *err);
/* Is one of them remembered? Changes nothing. */
int journal_recall(const struct journal *journal, const struct slice *message_ids, size_t n, bool *known,
		   struct err *err);
void journal_close(struct journal *journal);	/* one that was never opened (all zero) is fine */

struct journal_env {
	const char *state_dir;
	int64_t lease_s;		/* longer than a message may take between two calls */
	const struct clock *clock;	/* outlives the journal */
	const char *url;		/* of a server; NULL or "": a file in state_dir. These two outlive the journal */
	struct slice password;		/* for the server; n == 0: none */
	int64_t mails;			/* remembered at most; 0: JOURNAL_MAILS */
};

/* Opens state_dir/journal.sqlite, making it (mode 0600) where there is none: *made tells. Not for use across a fork, and
 * by one thread at a time; several processes may have it open. -1, ERR_TEMP: it cannot be opened, or is damaged; a damaged
 * journal is never replaced by an empty one. */
int journal_sqlite_open(const struct journal_env *env, struct journal *journal, bool *made, struct err *err);

/* Connects to the server at env->url, in at most two seconds but for the time that a name server takes; *made: it held no
 * journal, which is begun. Each operation waits for two seconds at most; one that failed in any other way than "busy" ends
 * the connection, and with it the journal. By one thread at a time, SIGPIPE ignored. -1, ERR_TEMP: not reachable, or it
 * refuses; ERR_CONFIG: no such URL. */
int journal_redis_open(const struct journal_env *env, struct journal *journal, bool *made, struct err *err);
/* What is wrong with a URL, for people; NULL: nothing. The text does not quote it. */
const char *journal_redis_problem(const char *url);

#endif
