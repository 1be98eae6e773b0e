/* harvest_store.h - the certificates that were learned: which one an address is encrypted to, which one waits for
 * approval, and what becomes of those when a new one is seen (RFC 8551 2.7.1). A file below state_dir.
 *
 * The recorder writes what mail teaches, smimectl what the administrator says; directory readers open it for themselves
 * at each question, so that what was written is there at the next one. Addresses are texts as directory_key makes them.
 * An open store belongs to one thread and one process.
 */
#ifndef MILTER_HARVEST_STORE_H
#define MILTER_HARVEST_STORE_H

#include "pki/capability.h"
#include "pki/cert.h"

#define HARVEST_STORE_FILE "harvest.sqlite"
#define HARVEST_ROWS_MAX 16		/* of an address; the oldest that is not in use goes first */

/* active: encrypted to, one an address; pending: waits for approval; replaced: was active once. */
enum harvest_state { HARVEST_STATE_ACTIVE, HARVEST_STATE_PENDING, HARVEST_STATE_REPLACED };
extern const char *const harvest_state_names[];		/* "active" … NULL */

struct harvested {			/* a row; everything in the arena */
	const char *address, *sha256;
	struct slice der;
	struct slice chain;		/* DER certificates, one behind the other */
	struct capabilities capabilities;
	const char *issuer, *collection;	/* collection "": the administrator gave it */
	const char *how;		/* "mail" "import" "approve": whose word it is that it is active, or who brought it */
	enum harvest_state state;
	time_t first_seen, last_seen, signed_at;
};

struct harvest_store;

/* 1; 0: there is none yet (*store NULL); -1, ERR_TEMP: locked, damaged, not to be read. */
int harvest_store_open_read(const char *state_dir, int busy_ms, struct harvest_store **store, struct err *err);
/* For writing too; made where there is none. NULL, ERR_TEMP. state_dir outlives it. */
struct harvest_store *harvest_store_open(const char *state_dir, struct err *err);
void harvest_store_close(struct harvest_store *store);	/* NULL is fine */

/* All rows of an address (text.n == 0: of everybody), those in use first, then by signing time. 0, or -1: ERR_TEMP. */
int harvest_store_rows(struct harvest_store *store, struct arena *arena, struct slice address, struct harvested **rows,
		       size_t *n, struct err *err);

struct harvest_lesson {			/* what is to be learned */
	struct slice address, collection, chain;	/* chain: as in struct harvested */
	const struct cert *cert;
	struct capabilities capabilities;
	time_t signed_at;
	bool at_once;			/* used without approval: the first one, and another key of the same issuer */
	bool given;			/* the administrator's word: used whatever was there */
	const char *how;
};

enum harvest_news {
	HARVEST_NEWS_NONE,		/* not newer than what is known */
	HARVEST_NEWS_SEEN,		/* the same certificate again */
	HARVEST_NEWS_FIRST,		/* used from now on: there was none */
	HARVEST_NEWS_FIRST_WAITS,
	HARVEST_NEWS_RENEWED,		/* another certificate of the same key, used from now on */
	HARVEST_NEWS_CHANGED,		/* another key, used from now on */
	HARVEST_NEWS_CHANGED_WAITS	/* another key than the one in use, seen for the first time */
};

struct harvest_change {
	enum harvest_news news;
	char before[65], now[65];	/* sha256; before "": there was none in use */
};

/* One certificate of an address. What is not newer (signing time) than all that is known of the address changes
 * nothing, unless it is given. On disk, or as good as on disk (a power cut may undo the last ones), when it returns 0;
 * -1: ERR_TEMP. */
int harvest_store_learn(struct harvest_store *store, const struct harvest_lesson *lesson, time_t now,
			struct harvest_change *change, struct err *err);

/* The certificates of a chain as it is kept, each added to list. -1: one cannot be read, or memory. */
int harvest_chain_read(struct slice der, struct cert_list *list, struct err *err);

/* Makes a certificate that is pending or replaced the active one. -1: ERR_POLICY when there is none such, ERR_TEMP. */
int harvest_store_approve(struct harvest_store *store, struct slice address, const char *sha256,
			  struct harvest_change *change, struct err *err);

#endif
