/* journal_sqlite.c - the journal as a SQLite database (sqlite_file.h). Called by drivers.c and the tests.
 *
 * Write-ahead log with synchronous=FULL: a commit is one fsync, and survives kill -9 and power loss.
 */
#include "milter/journal.h"

#include <stdlib.h>

#include "milter/sqlite_file.h"

#define BUSY_MS 5000		/* while another generation's recorder commits */
#define PRUNE "64"		/* old entries that an attempt takes away, at most */

static const char schema[] =
	"BEGIN;"
	"CREATE TABLE attempt(number INTEGER PRIMARY KEY AUTOINCREMENT, lease INTEGER NOT NULL);"
	"CREATE TABLE copy(id BLOB PRIMARY KEY, attempt INTEGER, kept INTEGER NOT NULL, queue_id TEXT,"
	"	expires INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX copy_attempt ON copy(attempt) WHERE attempt IS NOT NULL;"
	"CREATE INDEX copy_expires ON copy(expires);"
	"CREATE TABLE seen(id BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX seen_expires ON seen(expires);"
	"PRAGMA user_version=1;"
	"COMMIT;";

/* Journals of before may have none. A new one has the greatest number and one more: they need not be counted to be
 * bounded. */
static const char mail_schema[] =
	"CREATE TABLE IF NOT EXISTS mail(number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE,"
	"	expires INTEGER NOT NULL);"
	"CREATE INDEX IF NOT EXISTS mail_expires ON mail(expires);";

enum query {
	START, COMMIT, HOLDER, ATTEMPT, HOLD, KEEP, RENEW, FORGET, DROP, RELEASE, END, SEEN, REMEMBER, CROWD_OUT,
	RECALL, PRUNE_COPIES, PRUNE_SEEN, PRUNE_MAILS, PRUNE_ATTEMPTS, QUERY_COUNT
};

static const char *const texts[QUERY_COUNT] = {
	[START] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	/* kept, and until when somebody holds it */
	[HOLDER] = "SELECT c.kept, coalesce(a.lease, 0) FROM copy c LEFT JOIN attempt a ON a.number = c.attempt"
		   " WHERE c.id = ?1",
	[ATTEMPT] = "INSERT INTO attempt(lease) VALUES(?1) RETURNING number",
	[HOLD] = "INSERT INTO copy(id, attempt, kept, expires) VALUES(?1, ?2, 0, ?3)"
		 " ON CONFLICT(id) DO UPDATE SET attempt = excluded.attempt, expires = excluded.expires",
	[KEEP] = "INSERT INTO copy(id, attempt, kept, queue_id, expires) VALUES(?1, ?2, 1, ?4, ?3)"
		 " ON CONFLICT(id) DO UPDATE SET kept = 1, queue_id = excluded.queue_id, expires = excluded.expires"
		 " RETURNING coalesce(attempt, 0)",
	[RENEW] = "UPDATE attempt SET lease = ?2 WHERE number = ?1 RETURNING number",
	[FORGET] = "DELETE FROM copy WHERE attempt = ?1",
	[DROP] = "DELETE FROM copy WHERE attempt = ?1 AND kept = 0",
	[RELEASE] = "UPDATE copy SET attempt = NULL WHERE attempt = ?1",
	[END] = "DELETE FROM attempt WHERE number = ?1",
	/* no row: it was there, and still counts */
	[SEEN] = "INSERT INTO seen(id, expires) VALUES(?1, ?2) ON CONFLICT(id) DO UPDATE SET expires = excluded.expires"
		 " WHERE expires <= ?3 RETURNING 1",
	[PRUNE_COPIES] = "DELETE FROM copy WHERE id IN (SELECT id FROM copy WHERE expires <= ?1 LIMIT " PRUNE ")",
	[PRUNE_SEEN] = "DELETE FROM seen WHERE id IN (SELECT id FROM seen WHERE expires <= ?1 LIMIT " PRUNE ")",
	[REMEMBER] = "INSERT INTO mail(id, expires) VALUES(?1, ?2)"
		     " ON CONFLICT(id) DO UPDATE SET expires = excluded.expires RETURNING number",
	[CROWD_OUT] = "DELETE FROM mail WHERE number <= ?1",
	[RECALL] = "SELECT 1 FROM mail WHERE id = ?1 AND expires > ?2",
	[PRUNE_MAILS] = "DELETE FROM mail WHERE number IN (SELECT number FROM mail WHERE expires <= ?1 LIMIT " PRUNE ")",
	[PRUNE_ATTEMPTS] = "DELETE FROM attempt WHERE number IN (SELECT number FROM attempt WHERE lease <= ?1 LIMIT " PRUNE
			   ")",
};

struct driver {
	struct sqlite_file file;
	struct journal_env env;
	sqlite3 *db;
	sqlite3_stmt *queries[QUERY_COUNT];
	bool grouped;		/* between start and commit */
	bool broken;		/* something failed since: nothing of it may be kept */
};

/* Says why, and sees to it that the transaction goes no further. */
static int failed(struct driver *driver, struct err *err)
{
	driver->broken = true;
	return err_set(err, ERR_TEMP, "journal %s/%s: %s", driver->file.state_dir, driver->file.name,
		       sqlite3_errmsg(driver->db));
}

static void rollback(struct driver *driver)
{
	if (!sqlite3_get_autocommit(driver->db))
		(void)sqlite3_exec(driver->db, "ROLLBACK", NULL, NULL, NULL);
}

static sqlite3_stmt *prepare(struct driver *driver, enum query query)
{
	sqlite3_stmt *statement = driver->queries[query];

	(void)sqlite3_reset(statement);
	(void)sqlite3_clear_bindings(statement);
	return statement;
}

static void bind_id(sqlite3_stmt *statement, const struct journal_id *id)
{
	(void)sqlite3_bind_blob(statement, 1, id->bytes, sizeof(id->bytes), SQLITE_STATIC);
}

/* Runs it. 1: the first row's first n columns; 0: no row; -1. */
static int fetch(struct driver *driver, sqlite3_stmt *statement, int64_t *columns, int n, struct err *err)
{
	int rc = sqlite3_step(statement);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return failed(driver, err);
	for (int i = 0; rc == SQLITE_ROW && i < n; i++)
		columns[i] = sqlite3_column_int64(statement, i);
	(void)sqlite3_reset(statement);
	return rc == SQLITE_ROW;
}

static int run(struct driver *driver, enum query query, int64_t argument, struct err *err)
{
	sqlite3_stmt *statement = prepare(driver, query);

	if (sqlite3_bind_parameter_count(statement) > 0)
		(void)sqlite3_bind_int64(statement, 1, argument);
	return fetch(driver, statement, NULL, 0, err) < 0 ? -1 : 0;
}

/* A journal that was removed while open would swallow entries and lose them. */
static int start(struct driver *driver, struct err *err)
{
	driver->broken = false;
	if (sqlite_file_in_place(&driver->file, driver->db, err) != 0)
		return -1;
	return run(driver, START, 0, err);
}

static int commit(struct driver *driver, struct err *err)
{
	int rc = -1;

	if (driver->broken)
		err_set(err, ERR_TEMP, "journal %s/%s: a query of the group failed", driver->file.state_dir,
			driver->file.name);
	else
		rc = run(driver, COMMIT, 0, err);
	rollback(driver);
	return rc;
}

/* Begins a transaction of its own unless a group has one. */
static int enter(struct driver *driver, struct err *err)
{
	return driver->grouped ? 0 : start(driver, err);
}

/* Ends it; rc is what came of the work. An answer of -1 that left everything whole is kept: see keep. */
static int leave(struct driver *driver, int rc, struct err *err)
{
	struct err why = { 0 };

	if (driver->grouped)
		return rc;
	if (driver->broken) {
		rollback(driver);
		return -1;
	}
	if (commit(driver, &why) == 0)
		return rc;
	return err_set(err, why.class, "%s", why.text);
}

static int64_t now(const struct driver *driver)
{
	return (int64_t)clock_now(driver->env.clock);
}

static int prune(struct driver *driver, struct err *err)
{
	return run(driver, PRUNE_COPIES, now(driver), err) != 0 || run(driver, PRUNE_SEEN, now(driver), err) != 0 ||
	       run(driver, PRUNE_ATTEMPTS, now(driver) - JOURNAL_LIFE_S, err) != 0 ? -1 : 0;
}

static int look(struct driver *driver, const struct journal_id *id, bool *done, struct err *err)
{
	sqlite3_stmt *statement = prepare(driver, HOLDER);
	int64_t columns[2] = { 0, 0 };

	bind_id(statement, id);
	if (fetch(driver, statement, columns, 2, err) < 0)
		return -1;
	if (columns[1] > now(driver))
		return err_set(err, ERR_TEMP, "the same mail for the same recipient is in work already");
	*done = columns[0] != 0;
	return 0;
}

static int hold(struct driver *driver, const struct journal_id *id, int64_t number, struct err *err)
{
	sqlite3_stmt *statement = prepare(driver, HOLD);

	bind_id(statement, id);
	(void)sqlite3_bind_int64(statement, 2, number);
	(void)sqlite3_bind_int64(statement, 3, now(driver) + JOURNAL_LIFE_S);
	return fetch(driver, statement, NULL, 0, err) < 0 ? -1 : 0;
}

static int look_all(struct driver *driver, const struct journal_id *ids, size_t n, bool *done, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (look(driver, &ids[i], &done[i], err) != 0)
			return -1;
	return 0;
}

static int driver_look(void *self, const struct journal_id *ids, size_t n, bool *done, struct err *err)
{
	struct driver *driver = self;

	if (enter(driver, err) != 0)
		return -1;
	return leave(driver, look_all(driver, ids, n, done, err), err);
}

static int begin_all(struct driver *driver, const struct journal_id *ids, size_t n, bool *done, int64_t *number,
		     struct err *err)
{
	sqlite3_stmt *statement;

	if (prune(driver, err) != 0 || look_all(driver, ids, n, done, err) != 0)
		return -1;
	statement = prepare(driver, ATTEMPT);
	(void)sqlite3_bind_int64(statement, 1, now(driver) + driver->env.lease_s);
	if (fetch(driver, statement, number, 1, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (hold(driver, &ids[i], *number, err) != 0)
			return -1;
	return 0;
}

static int driver_begin(void *self, const struct journal_id *ids, size_t n, bool *done, int64_t *number, struct err *err)
{
	struct driver *driver = self;

	if (enter(driver, err) != 0)
		return -1;
	return leave(driver, begin_all(driver, ids, n, done, number, err), err);
}

/* 1: kept, and the attempt holds it; 0: kept, somebody else holds it; -1 */
static int keep_one(struct driver *driver, const struct journal_id *id, int64_t number, const char *queue_id,
		    struct err *err)
{
	sqlite3_stmt *statement = prepare(driver, KEEP);
	int64_t holder = 0;

	bind_id(statement, id);
	(void)sqlite3_bind_int64(statement, 2, number);
	(void)sqlite3_bind_int64(statement, 3, now(driver) + JOURNAL_LIFE_S);
	(void)sqlite3_bind_text(statement, 4, queue_id, -1, SQLITE_STATIC);
	if (fetch(driver, statement, &holder, 1, err) < 0)
		return -1;
	return holder == number;
}

static int keep_all(struct driver *driver, int64_t number, const struct journal_id *ids, size_t n, const char *queue_id,
		    struct err *err)
{
	sqlite3_stmt *statement = prepare(driver, RENEW);
	int held;
	bool lost;

	(void)sqlite3_bind_int64(statement, 1, number);
	(void)sqlite3_bind_int64(statement, 2, now(driver) + driver->env.lease_s);
	held = fetch(driver, statement, NULL, 0, err);
	lost = held == 0;
	for (size_t i = 0; held >= 0 && i < n; i++) {
		held = keep_one(driver, &ids[i], number, queue_id, err);
		lost |= held == 0;
	}
	if (held < 0)
		return -1;
	return lost ? err_set(err, ERR_TEMP, "the attempt took too long: another one may hold its recipients") : 0;
}

static int driver_keep(void *self, int64_t number, const struct journal_id *ids, size_t n, const char *queue_id,
		       struct err *err)
{
	struct driver *driver = self;

	if (enter(driver, err) != 0)
		return -1;
	return leave(driver, keep_all(driver, number, ids, n, queue_id, err), err);
}

static int end_all(struct driver *driver, int64_t number, bool forget, struct err *err)
{
	if (forget && run(driver, FORGET, number, err) != 0)
		return -1;
	return run(driver, DROP, number, err) != 0 || run(driver, RELEASE, number, err) != 0 ||
	       run(driver, END, number, err) != 0 ? -1 : 0;
}

static int driver_end(void *self, int64_t number, bool forget, struct err *err)
{
	struct driver *driver = self;

	if (enter(driver, err) != 0)
		return -1;
	return leave(driver, end_all(driver, number, forget, err), err);
}

static int look_seen(struct driver *driver, const struct journal_id *id, time_t expires, bool *seen, struct err *err)
{
	sqlite3_stmt *statement;
	int added;

	if (prune(driver, err) != 0)
		return -1;
	statement = prepare(driver, SEEN);
	bind_id(statement, id);
	(void)sqlite3_bind_int64(statement, 2, (int64_t)expires);
	(void)sqlite3_bind_int64(statement, 3, now(driver));
	added = fetch(driver, statement, NULL, 0, err);
	*seen = added == 0;
	return added < 0 ? -1 : 0;
}

static int driver_seen(void *self, const struct journal_id *id, time_t expires, bool *seen, struct err *err)
{
	struct driver *driver = self;

	if (enter(driver, err) != 0)
		return -1;
	return leave(driver, look_seen(driver, id, expires, seen, err), err);
}

static int remember_all(struct driver *driver, const struct journal_id *ids, size_t n, struct err *err)
{
	const int64_t most = driver->env.mails > 0 ? driver->env.mails : JOURNAL_MAILS;
	sqlite3_stmt *statement = NULL;
	int64_t number = 0;

	if (run(driver, PRUNE_MAILS, now(driver), err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		statement = prepare(driver, REMEMBER);
		bind_id(statement, &ids[i]);
		(void)sqlite3_bind_int64(statement, 2, now(driver) + JOURNAL_MAIL_LIFE_S);
		if (fetch(driver, statement, &number, 1, err) < 0 || run(driver, CROWD_OUT, number - most, err) != 0)
			return -1;
	}
	return 0;
}

static int driver_remember(void *self, const struct journal_id *ids, size_t n, struct err *err)
{
	struct driver *driver = self;

	if (enter(driver, err) != 0)
		return -1;
	return leave(driver, remember_all(driver, ids, n, err), err);
}

static int recall_any(struct driver *driver, const struct journal_id *ids, size_t n, bool *known, struct err *err)
{
	sqlite3_stmt *statement = NULL;
	int found = 0;

	for (size_t i = 0; found == 0 && i < n; i++) {
		statement = prepare(driver, RECALL);
		bind_id(statement, &ids[i]);
		(void)sqlite3_bind_int64(statement, 2, now(driver));
		found = fetch(driver, statement, NULL, 0, err);
	}
	*known = found == 1;
	return found < 0 ? -1 : 0;
}

static int driver_recall(void *self, const struct journal_id *ids, size_t n, bool *known, struct err *err)
{
	struct driver *driver = self;

	if (enter(driver, err) != 0)
		return -1;
	return leave(driver, recall_any(driver, ids, n, known, err), err);
}

static int driver_start(void *self, struct err *err)
{
	struct driver *driver = self;

	if (start(driver, err) != 0)
		return -1;
	driver->grouped = true;
	return 0;
}

static int driver_commit(void *self, struct err *err)
{
	struct driver *driver = self;

	driver->grouped = false;
	return commit(driver, err);
}

static void driver_close(void *self)
{
	struct driver *driver = self;

	for (size_t i = 0; i < QUERY_COUNT; i++)
		(void)sqlite3_finalize(driver->queries[i]);
	(void)sqlite3_close(driver->db);
	free(driver);
}

static const struct journal_class sqlite_class = { driver_look, driver_begin, driver_keep, driver_end, driver_seen,
						   driver_remember, driver_recall, driver_start, driver_commit,
						   driver_close };

static int open_database(struct driver *driver, bool *made, struct err *err)
{
	driver->db = sqlite_file_open(&driver->file, made, err);
	if (driver->db == NULL)
		return -1;
	if (sqlite3_exec(driver->db, "PRAGMA synchronous=FULL", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(driver->db, mail_schema, NULL, NULL, NULL) != SQLITE_OK)
		return failed(driver, err);
	for (size_t i = 0; i < QUERY_COUNT; i++)
		if (sqlite3_prepare_v3(driver->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &driver->queries[i], NULL) !=
		    SQLITE_OK)
			return failed(driver, err);
	return 0;
}

int journal_sqlite_open(const struct journal_env *env, struct journal *journal, bool *made, struct err *err)
{
	struct driver *driver = calloc(1, sizeof(*driver));

	*made = false;
	*journal = (struct journal){ NULL, NULL };
	if (driver == NULL)
		return err_memory(err);
	driver->env = *env;
	driver->file = (struct sqlite_file){ .what = "journal", .name = "journal.sqlite", .state_dir = env->state_dir,
					     .schema = schema, .busy_ms = BUSY_MS };
	if (open_database(driver, made, err) != 0) {
		driver_close(driver);
		return -1;
	}
	*journal = (struct journal){ &sqlite_class, driver };
	return 0;
}
