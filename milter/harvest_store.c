/* harvest_store.c - see harvest_store.h. A SQLite database (sqlite_file.h): a row for each certificate of each address.
 *
 * Changes are decided by `decide` alone, inside a transaction that keeps all other writers out. A commit does not wait
 * for the disk (synchronous=NORMAL keeps the file whole, and gives up the last moments in a power cut): what was
 * learned comes again with the next mail.
 */
#include "milter/harvest_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/sqlite_file.h"

#define BUSY_MS 5000

const char *const harvest_state_names[] = { "active", "pending", "replaced", NULL };

static const char schema[] =
	"BEGIN;"
	"CREATE TABLE harvest(address TEXT NOT NULL, sha256 TEXT NOT NULL, der BLOB NOT NULL, chain BLOB NOT NULL,"
	"	capabilities TEXT, issuer TEXT NOT NULL, collection TEXT NOT NULL, how TEXT NOT NULL,"
	"	state INTEGER NOT NULL, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,"
	"	signed_at INTEGER NOT NULL, PRIMARY KEY(address, sha256)) WITHOUT ROWID;"
	"CREATE UNIQUE INDEX harvest_active ON harvest(address) WHERE state = 0;"
	"CREATE INDEX harvest_sha256 ON harvest(sha256);"
	"PRAGMA user_version=1;"
	"COMMIT;";

#define COLUMNS \
	"address, sha256, der, chain, capabilities, issuer, collection, how, state, first_seen, last_seen, signed_at"
#define ORDER " ORDER BY address, state, signed_at DESC, sha256"

/* The numbers of the first parameters are the same everywhere. */
static const char all_rows[] = "SELECT " COLUMNS " FROM harvest WHERE ?1 = ''" ORDER;
static const char address_rows[] = "SELECT " COLUMNS " FROM harvest WHERE address = ?1" ORDER;
static const char retire[] = "UPDATE harvest SET state = 2 WHERE address = ?1 AND state = 0 AND sha256 <> ?2";
static const char keep[] =
	"INSERT INTO harvest(" COLUMNS ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11)"
	" ON CONFLICT(address, sha256) DO UPDATE SET chain = excluded.chain,"
	" capabilities = coalesce(excluded.capabilities, capabilities), collection = excluded.collection,"
	" how = CASE WHEN state = excluded.state THEN how ELSE excluded.how END, state = excluded.state,"
	" last_seen = excluded.last_seen, signed_at = max(signed_at, excluded.signed_at)";
static const char crowd_out[] =
	"DELETE FROM harvest WHERE address = ?1 AND state <> 0 AND sha256 NOT IN (SELECT sha256 FROM harvest"
	" WHERE address = ?1 ORDER BY state = 0 DESC, signed_at DESC LIMIT ?2)";
static const char approve[] = "UPDATE harvest SET state = 0, how = 'approve' WHERE address = ?1 AND sha256 = ?2";

struct harvest_store {
	struct sqlite_file file;
	sqlite3 *db;
};

static int failed(const struct harvest_store *store, struct err *err)
{
	return err_set(err, ERR_TEMP, "harvest %s/%s: %s", store->file.state_dir, store->file.name,
		       sqlite3_errmsg(store->db));
}

static struct harvest_store *store_new(const char *state_dir, int busy_ms)
{
	struct harvest_store *store = calloc(1, sizeof(*store));

	if (store != NULL)
		store->file = (struct sqlite_file){ .what = "harvest", .name = HARVEST_STORE_FILE,
						    .state_dir = state_dir, .schema = schema, .busy_ms = busy_ms };
	return store;
}

int harvest_store_open_read(const char *state_dir, int busy_ms, struct harvest_store **store, struct err *err)
{
	struct harvest_store *opened = store_new(state_dir, busy_ms);
	int rc;

	*store = NULL;
	if (opened == NULL)
		return err_memory(err);
	rc = sqlite_file_open_read(&opened->file, &opened->db, err);
	if (rc == 1)
		*store = opened;
	else
		free(opened);
	return rc;
}

struct harvest_store *harvest_store_open(const char *state_dir, struct err *err)
{
	struct harvest_store *store = store_new(state_dir, BUSY_MS);
	bool made = false;

	if (store == NULL) {
		err_memory(err);
		return NULL;
	}
	store->db = sqlite_file_open(&store->file, &made, err);
	if (store->db == NULL || sqlite3_exec(store->db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL) == SQLITE_OK)
		goto out;
	failed(store, err);
	(void)sqlite3_close(store->db);
	store->db = NULL;
out:
	if (store->db != NULL)
		return store;
	free(store);
	return NULL;
}

void harvest_store_close(struct harvest_store *store)
{
	if (store == NULL)
		return;
	(void)sqlite3_close(store->db);
	free(store);
}

/* Rows */

static const char *column_text(struct arena *arena, sqlite3_stmt *statement, int i)
{
	const char *text = (const char *)sqlite3_column_text(statement, i);

	return arena_strdup(arena, text != NULL ? text : "");
}

static struct slice column_blob(struct arena *arena, sqlite3_stmt *statement, int i)
{
	const void *p = sqlite3_column_blob(statement, i);

	return arena_copy(arena, slice_make(p, p != NULL ? (size_t)sqlite3_column_bytes(statement, i) : 0));
}

/* Names, so that the file does not depend on our numbers: "aes256-gcm aes128-cbc". */
static const char *write_capabilities(const struct capabilities *capabilities, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < CIPHER_COUNT && used < size; i++)
		if ((capabilities->ciphers & 1U << i) != 0)
			used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? " " : "",
						 cipher_name((enum cipher)i));
	return capabilities->known ? out : NULL;
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (; *text != '\0'; text += strcspn(text, " "), text += strspn(text, " "))
		if (strncmp(text, word, n) == 0 && (text[n] == ' ' || text[n] == '\0'))
			return true;
	return false;
}

static void read_capabilities(const char *text, struct capabilities *capabilities)
{
	*capabilities = (struct capabilities){ .known = text != NULL };
	for (unsigned i = 0; text != NULL && i < CIPHER_COUNT; i++)
		if (has_word(text, cipher_name((enum cipher)i)))
			capabilities->ciphers |= 1U << i;
}

static int read_row(struct arena *arena, sqlite3_stmt *statement, struct harvested *row, struct err *err)
{
	int state = sqlite3_column_int(statement, 8);

	row->address = column_text(arena, statement, 0);
	row->sha256 = column_text(arena, statement, 1);
	row->der = column_blob(arena, statement, 2);
	row->chain = column_blob(arena, statement, 3);
	read_capabilities((const char *)sqlite3_column_text(statement, 4), &row->capabilities);
	row->issuer = column_text(arena, statement, 5);
	row->collection = column_text(arena, statement, 6);
	row->how = column_text(arena, statement, 7);
	row->state = state == 0 ? HARVEST_STATE_ACTIVE : state == 1 ? HARVEST_STATE_PENDING : HARVEST_STATE_REPLACED;
	row->first_seen = (time_t)sqlite3_column_int64(statement, 9);
	row->last_seen = (time_t)sqlite3_column_int64(statement, 10);
	row->signed_at = (time_t)sqlite3_column_int64(statement, 11);
	return row->address == NULL || row->sha256 == NULL || row->der.p == NULL || row->chain.p == NULL ||
	       row->issuer == NULL || row->collection == NULL || row->how == NULL ? err_memory(err) : 0;
}

int harvest_chain_read(struct slice der, struct cert_list *list, struct err *err)
{
	struct cert *cert = NULL;
	size_t n;
	int rc = 0;

	for (; der.n > 0 && rc == 0; der = slice_from(der, n)) {
		n = cert_der_bytes(der);
		cert = n > 0 ? cert_from_der(slice_first(der, n), err) : NULL;
		if (cert == NULL)
			return n > 0 ? -1 : err_set(err, ERR_MESSAGE, "harvest: a chain cannot be read");
		rc = cert_list_add(list, cert) == 0 ? 0 : err_memory(err);
		cert_free(cert);
	}
	return rc;
}

/* Room for one more behind n. */
static struct harvested *grow(struct arena *arena, struct harvested *rows, size_t n)
{
	struct harvested *larger = rows;

	if (n != 0 && (n < 16 || (n & (n - 1)) != 0))
		return rows;
	larger = arena_array(arena, n == 0 ? 16 : 2 * n, sizeof(*larger));
	if (larger != NULL && n > 0)
		memcpy(larger, rows, n * sizeof(*larger));
	return larger;
}

static sqlite3_stmt *prepare(struct harvest_store *store, const char *sql, struct slice address, struct err *err)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK ||
	    sqlite3_bind_text(statement, 1, address.n > 0 ? address.p : "", (int)address.n, SQLITE_STATIC) != SQLITE_OK) {
		failed(store, err);
		(void)sqlite3_finalize(statement);
		return NULL;
	}
	return statement;
}

int harvest_store_rows(struct harvest_store *store, struct arena *arena, struct slice address, struct harvested **rows,
		       size_t *n, struct err *err)
{
	sqlite3_stmt *statement = prepare(store, address.n > 0 ? address_rows : all_rows, address, err);
	int step = SQLITE_ERROR, rc = -1;

	*rows = NULL;
	*n = 0;
	if (statement == NULL)
		return -1;
	while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
		*rows = grow(arena, *rows, *n);
		if (*rows == NULL) {
			err_memory(err);
			goto out;
		}
		if (read_row(arena, statement, &(*rows)[*n], err) != 0)
			goto out;
		++*n;
	}
	rc = step == SQLITE_DONE ? 0 : failed(store, err);
out:
	(void)sqlite3_finalize(statement);
	return rc;
}

/* Changes */

/* Runs a statement to its end, which gives no rows. */
static int finish(struct harvest_store *store, sqlite3_stmt *statement, struct err *err)
{
	int rc = sqlite3_step(statement) == SQLITE_DONE ? 0 : failed(store, err);

	(void)sqlite3_finalize(statement);
	return rc;
}

static int execute(struct harvest_store *store, const char *sql, struct err *err)
{
	return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(store, err);
}

static int with_sha256(struct harvest_store *store, const char *sql, struct slice address, const char *sha256,
		       struct err *err)
{
	sqlite3_stmt *statement = prepare(store, sql, address, err);

	if (statement == NULL)
		return -1;
	(void)sqlite3_bind_text(statement, 2, sha256, -1, SQLITE_STATIC);
	return finish(store, statement, err);
}

static void bind_blob(sqlite3_stmt *statement, int i, struct slice bytes)
{
	(void)sqlite3_bind_blob(statement, i, bytes.n > 0 ? bytes.p : "", (int)bytes.n, SQLITE_STATIC);
}

static int keep_row(struct harvest_store *store, const struct harvest_lesson *lesson, enum harvest_state state,
		    time_t now, struct err *err)
{
	const struct cert_info *info = cert_info(lesson->cert);
	sqlite3_stmt *statement = prepare(store, keep, lesson->address, err);
	char ciphers[100];

	if (statement == NULL)
		return -1;
	(void)sqlite3_bind_text(statement, 2, info->sha256, -1, SQLITE_STATIC);
	bind_blob(statement, 3, info->der);
	bind_blob(statement, 4, lesson->chain);
	(void)sqlite3_bind_text(statement, 5, write_capabilities(&lesson->capabilities, ciphers, sizeof(ciphers)), -1,
				SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 6, info->issuer, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 7, lesson->collection.n > 0 ? lesson->collection.p : "",
				(int)lesson->collection.n, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 8, lesson->how, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int(statement, 9, (int)state);
	(void)sqlite3_bind_int64(statement, 10, (sqlite3_int64)now);
	(void)sqlite3_bind_int64(statement, 11, (sqlite3_int64)lesson->signed_at);
	return finish(store, statement, err);
}

static int prune(struct harvest_store *store, struct slice address, struct err *err)
{
	sqlite3_stmt *statement = prepare(store, crowd_out, address, err);

	if (statement == NULL)
		return -1;
	(void)sqlite3_bind_int(statement, 2, HARVEST_ROWS_MAX);
	return finish(store, statement, err);
}

/* What is known of an address. */
struct known {
	const struct harvested *active;		/* NULL: none */
	const struct harvested *same;		/* this very certificate; NULL: never seen */
	time_t newest;				/* signing time of them all */
	struct cert *active_cert;		/* NULL: none */
};

static int look(struct harvest_store *store, struct arena *arena, const struct harvest_lesson *lesson,
		struct known *known, struct err *err)
{
	const char *sha256 = cert_info(lesson->cert)->sha256;
	struct harvested *rows = NULL;
	size_t n = 0;

	if (harvest_store_rows(store, arena, lesson->address, &rows, &n, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (rows[i].state == HARVEST_STATE_ACTIVE)
			known->active = &rows[i];
		if (strcmp(rows[i].sha256, sha256) == 0)
			known->same = &rows[i];
		if (rows[i].signed_at > known->newest)
			known->newest = rows[i].signed_at;
	}
	if (known->active == NULL)
		return 0;
	known->active_cert = cert_from_der(known->active->der, err);
	if (known->active_cert == NULL || cert_defer(arena, known->active_cert) != 0)
		return err_set(err, ERR_TEMP, "harvest: the certificate in use of <%s> cannot be read", known->active->address);
	return 0;
}

/* By the same issuer, as far as names tell, and the collection that vouched for the one in use. */
static bool is_of_same_issuer(const struct known *known, const struct harvest_lesson *lesson)
{
	const char *collection = known->active->collection;

	return cert_has_issuer(lesson->cert, cert_info(known->active_cert)->issuer_der) &&
	       (collection[0] == '\0' || slice_is(lesson->collection, collection));
}

/* What is new about a certificate, and whether it is used from now on. */
static enum harvest_news decide(const struct known *known, const struct harvest_lesson *lesson)
{
	bool waits;

	if (!lesson->given && known->newest >= lesson->signed_at)
		return HARVEST_NEWS_NONE;
	if (known->active != NULL && known->active == known->same)
		return HARVEST_NEWS_SEEN;
	if (known->active == NULL && (lesson->at_once || lesson->given))
		return HARVEST_NEWS_FIRST;
	if (known->active != NULL && cert_same_key(known->active_cert, lesson->cert))
		return HARVEST_NEWS_RENEWED;
	waits = !lesson->given && !(known->active != NULL && lesson->at_once && is_of_same_issuer(known, lesson));
	if (waits && known->same != NULL && known->same->state == HARVEST_STATE_PENDING)
		return HARVEST_NEWS_SEEN;
	if (known->active == NULL)
		return HARVEST_NEWS_FIRST_WAITS;
	return waits ? HARVEST_NEWS_CHANGED_WAITS : HARVEST_NEWS_CHANGED;
}

static enum harvest_state state_after(const struct known *known, enum harvest_news news)
{
	if (news == HARVEST_NEWS_SEEN)
		return known->same->state;
	return news == HARVEST_NEWS_FIRST_WAITS || news == HARVEST_NEWS_CHANGED_WAITS ? HARVEST_STATE_PENDING :
										      HARVEST_STATE_ACTIVE;
}

static void tell(const struct known *known, const char *sha256, enum harvest_news news, struct harvest_change *change)
{
	change->news = news;
	snprintf(change->before, sizeof(change->before), "%s", known->active != NULL ? known->active->sha256 : "");
	snprintf(change->now, sizeof(change->now), "%s", sha256);
}

struct task {				/* what is done in one transaction */
	const struct harvest_lesson *lesson;	/* to learn */
	time_t now;
	struct slice address;			/* to approve */
	const char *sha256;
};

static int learn(struct harvest_store *store, struct arena *arena, const struct task *task,
		 struct harvest_change *change, struct err *err)
{
	const struct harvest_lesson *lesson = task->lesson;
	const time_t now = task->now;
	const char *sha256 = cert_info(lesson->cert)->sha256;
	struct known known = { .active = NULL };
	enum harvest_state state;

	if (look(store, arena, lesson, &known, err) != 0)
		return -1;
	tell(&known, sha256, decide(&known, lesson), change);
	if (change->news == HARVEST_NEWS_NONE)
		return 0;
	state = state_after(&known, change->news);
	if (state == HARVEST_STATE_ACTIVE && with_sha256(store, retire, lesson->address, sha256, err) != 0)
		return -1;
	return keep_row(store, lesson, state, now, err) != 0 ? -1 : prune(store, lesson->address, err);
}

/* Brings a transaction to its end; rc is what came of the work in it. */
static int end(struct harvest_store *store, int rc, struct err *err)
{
	if (rc == 0)
		rc = execute(store, "COMMIT", err);
	if (!sqlite3_get_autocommit(store->db))
		(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

static int begin(struct harvest_store *store, struct err *err)
{
	return sqlite_file_in_place(&store->file, store->db, err) != 0 ? -1 : execute(store, "BEGIN IMMEDIATE", err);
}

static int in_transaction(struct harvest_store *store,
			  int (*work)(struct harvest_store *store, struct arena *arena, const struct task *task,
				      struct harvest_change *change, struct err *err),
			  const struct task *task, struct harvest_change *change, struct err *err)
{
	struct arena *arena = arena_new(0);
	int rc = -1;

	*change = (struct harvest_change){ .news = HARVEST_NEWS_NONE };
	if (arena == NULL)
		return err_memory(err);
	if (begin(store, err) == 0)
		rc = end(store, work(store, arena, task, change, err), err);
	arena_free(arena);
	return rc;
}

int harvest_store_learn(struct harvest_store *store, const struct harvest_lesson *lesson, time_t now,
			struct harvest_change *change, struct err *err)
{
	const struct task task = { .lesson = lesson, .now = now };

	return in_transaction(store, learn, &task, change, err);
}

static int approve_row(struct harvest_store *store, struct arena *arena, const struct task *task,
		       struct harvest_change *change, struct err *err)
{
	const struct slice address = task->address;
	const char *sha256 = task->sha256;
	struct known known = { .active = NULL };
	struct harvested *rows = NULL;
	size_t n = 0;

	if (harvest_store_rows(store, arena, address, &rows, &n, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (rows[i].state == HARVEST_STATE_ACTIVE)
			known.active = &rows[i];
		if (strcmp(rows[i].sha256, sha256) == 0)
			known.same = &rows[i];
	}
	if (known.same == NULL || known.same == known.active)
		return err_set(err, ERR_POLICY, "%s", known.same == NULL ? "no such certificate was learned" :
			       "this certificate is in use already");
	tell(&known, sha256, known.active != NULL ? HARVEST_NEWS_CHANGED : HARVEST_NEWS_FIRST, change);
	return with_sha256(store, retire, address, sha256, err) != 0 ? -1 :
	       with_sha256(store, approve, address, sha256, err);
}

int harvest_store_approve(struct harvest_store *store, struct slice address, const char *sha256,
			  struct harvest_change *change, struct err *err)
{
	const struct task task = { .address = address, .sha256 = sha256 };

	return in_transaction(store, approve_row, &task, change, err);
}
