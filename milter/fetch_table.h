/* fetch_table.h - what the fetch process knows: which answers were wanted, and when each is to be asked for next. No
 * file and no socket here; time comes in as a parameter. */
#ifndef MILTER_FETCH_TABLE_H
#define MILTER_FETCH_TABLE_H

#include <stdint.h>

#include "milter/fetch_store.h"
#include "milter/fetch_url.h"
#include "pki/cert.h"
#include "pki/collection.h"

#define FETCH_ENTRIES 2048			/* beyond: the one that was not wanted for longest goes */
#define FETCH_WANTED_S ((time_t)30 * 24 * 3600)	/* an answer is kept fresh that long after a mail wanted it */

/* Between two questions for the same answer, in milliseconds. */
#define FETCH_EAGER_MS ((int64_t)2 * 1000)	/* at least, after an answer that was new */
#define FETCH_SHORTEST_MS ((int64_t)60 * 1000)	/* at least, after one that was not, or a failure */
#define FETCH_FAILING_MS ((int64_t)3600 * 1000)	/* at most, while it fails */
#define FETCH_LONGEST_MS ((int64_t)4 * 3600 * 1000)	/* at most */

enum fetch_kind { FETCH_CRL, FETCH_OCSP };

struct fetch_entry {
	enum fetch_kind kind;
	char name[FETCH_NAME_SIZE];
	struct fetch_url url;
	const struct collection *collection;
	struct cert *cert, *issuer;	/* references of its own */
	time_t wanted_at;
	time_t this_update;		/* of the answer at hand; 0: none */
	int64_t due_ms;			/* monotonic */
	unsigned failures;		/* in a row */
	bool running;
};

struct fetch_table {
	struct fetch_entry *items[FETCH_ENTRIES];
	size_t n;
};

/* "crl" "ocsp": in the log, and the suffix of the file. */
const char *fetch_kind_name(enum fetch_kind kind);

/* What makes an entry another one: kind, collection, URL and issuer; for OCSP the certificate too. Fills entry->name
 * from these members. -1: memory. */
int fetch_entry_name(struct fetch_entry *entry, struct err *err);
void fetch_entry_free(struct fetch_entry *entry);

/* The entry of that name, or NULL. */
struct fetch_entry *fetch_table_find(const struct fetch_table *table, const char *name);
/* Puts it in, from now on the table's. Returns the entry that had to go for it, taken out, the caller's now; NULL: none
 * had. One that runs never goes. */
struct fetch_entry *fetch_table_add(struct fetch_table *table, struct fetch_entry *entry);
/* Takes out an entry that may not be kept any longer: not wanted for FETCH_WANTED_S, or its certificate has expired.
 * NULL: there is none. */
struct fetch_entry *fetch_table_expire(struct fetch_table *table, time_t now);
/* The one that has been due longest, whose host is not being asked; NULL: none. */
struct fetch_entry *fetch_table_due(const struct fetch_table *table, int64_t now_ms);
/* When fetch_table_due has something to say at the earliest, unless an entry that runs ends before; INT64_MAX: not. */
int64_t fetch_table_next_ms(const struct fetch_table *table);
void fetch_table_clear(struct fetch_table *table);

/* In how many seconds to renew an answer: when it ages, at 3/4 of its life; if that is over, after a quarter of what is
 * left, so that an issuer who is punctual and no more is not asked every minute. */
time_t fetch_renew_s(time_t this_update, time_t ages, time_t now);
/* When to ask next, within the bounds above. random: any number, so that not all ask at once. */
void fetch_entry_succeeded(struct fetch_entry *entry, bool is_new, time_t renew_s, uint32_t random, int64_t now_ms);
void fetch_entry_failed(struct fetch_entry *entry, uint32_t random, int64_t now_ms);

#endif
