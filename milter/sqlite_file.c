/* sqlite_file.c - see sqlite_file.h. */
#include "milter/sqlite_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PATH_BYTES 4096

static int path_of(const struct sqlite_file *file, char out[PATH_BYTES], struct err *err)
{
	/* -wal, -shm and .new stand behind it. */
	if (snprintf(out, PATH_BYTES, "%s/%s", file->state_dir, file->name) >= PATH_BYTES - 16)
		return err_set(err, ERR_TEMP, "state_dir: the path is too long");
	return 0;
}

static int failed(const struct sqlite_file *file, sqlite3 *db, struct err *err)
{
	return err_set(err, ERR_TEMP, "%s %s/%s: %s", file->what, file->state_dir, file->name,
		       db != NULL ? sqlite3_errmsg(db) : "out of memory");
}

static int failed_system(const struct sqlite_file *file, struct err *err)
{
	return err_set(err, ERR_TEMP, "%s %s/%s: %s", file->what, file->state_dir, file->name, strerror(errno));
}

/* The database file, made whole under another name: 0, or -1. */
static int make_file(const struct sqlite_file *file, const char *path, struct err *err)
{
	sqlite3 *db = NULL;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc = -1;

	if (fd < 0)
		return failed_system(file, err);
	close(fd);
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
	    sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(db, file->schema, NULL, NULL, NULL) != SQLITE_OK)
		failed(file, db, err);
	else
		rc = 0;
	/* Closing brings the write-ahead log home. */
	if (sqlite3_close(db) != SQLITE_OK && rc == 0)
		rc = err_set(err, ERR_TEMP, "%s %s: cannot be closed", file->what, path);
	return rc;
}

static void remove_beside(const char *path, const char *suffix)
{
	char beside[PATH_BYTES + 16];

	snprintf(beside, sizeof(beside), "%s%s", path, suffix);
	(void)unlink(beside);
}

/* Called with the directory locked. A write-ahead log without its database is of one that somebody removed: SQLite
 * would take it for the new one's. */
static int make(const struct sqlite_file *file, const char *path, int directory, struct err *err)
{
	char new[PATH_BYTES + 8];
	int rc = -1;

	snprintf(new, sizeof(new), "%s.new", path);
	(void)unlink(new);
	remove_beside(new, "-wal");
	remove_beside(new, "-shm");
	remove_beside(path, "-wal");
	remove_beside(path, "-shm");
	if (make_file(file, new, err) != 0)
		goto out;
	if (link(new, path) != 0 || fsync(directory) != 0)
		failed_system(file, err);
	else
		rc = 0;
out:
	(void)unlink(new);
	return rc;
}

/* Two generations may start at the same time. */
static int make_missing(const struct sqlite_file *file, const char *path, bool *made, struct err *err)
{
	int directory = -1, rc = -1;

	if (access(path, F_OK) == 0)
		return 0;
	directory = open(file->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 || flock(directory, LOCK_EX) != 0) {
		failed_system(file, err);
		goto out;
	}
	rc = 0;
	if (access(path, F_OK) != 0) {
		rc = make(file, path, directory, err);
		*made = rc == 0;
	}
out:
	if (directory >= 0)
		close(directory);
	return rc;
}

/* The first row of a query without arguments; "" for none. */
static int ask(const struct sqlite_file *file, sqlite3 *db, const char *sql, char *out, size_t size, struct err *err)
{
	sqlite3_stmt *statement = NULL;
	int rc = -1;

	out[0] = '\0';
	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW) {
		failed(file, db, err);
		goto out;
	}
	snprintf(out, size, "%s", (const char *)sqlite3_column_text(statement, 0));
	rc = 0;
out:
	(void)sqlite3_finalize(statement);
	return rc;
}

static int check_version(const struct sqlite_file *file, sqlite3 *db, struct err *err)
{
	char text[20];

	if (ask(file, db, "PRAGMA user_version", text, sizeof(text), err) != 0)
		return -1;
	if (strcmp(text, "1") != 0)
		return err_set(err, ERR_TEMP, "%s %s/%s: damaged, or made by another version", file->what, file->state_dir,
			       file->name);
	return 0;
}

static int check_whole(const struct sqlite_file *file, sqlite3 *db, struct err *err)
{
	char text[200];

	if (check_version(file, db, err) != 0 ||
	    ask(file, db, "PRAGMA quick_check(1)", text, sizeof(text), err) != 0)
		return -1;
	if (strcmp(text, "ok") != 0)
		return err_set(err, ERR_TEMP, "%s %s/%s: damaged: %s", file->what, file->state_dir, file->name, text);
	return 0;
}

/* NULL: *err. */
static sqlite3 *open_database(const struct sqlite_file *file, const char *path, int how,
			      int (*check)(const struct sqlite_file *, sqlite3 *, struct err *), struct err *err)
{
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(path, &db, how | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		failed(file, db, err);
		goto fail;
	}
	(void)sqlite3_busy_timeout(db, file->busy_ms);
	if (check(file, db, err) == 0)
		return db;
fail:
	(void)sqlite3_close(db);
	return NULL;
}

sqlite3 *sqlite_file_open(const struct sqlite_file *file, bool *made, struct err *err)
{
	char path[PATH_BYTES];

	*made = false;
	if (path_of(file, path, err) != 0 || make_missing(file, path, made, err) != 0)
		return NULL;
	return open_database(file, path, SQLITE_OPEN_READWRITE, check_whole, err);
}

int sqlite_file_open_read(const struct sqlite_file *file, sqlite3 **db, struct err *err)
{
	char path[PATH_BYTES];

	*db = NULL;
	if (path_of(file, path, err) != 0)
		return -1;
	if (access(path, F_OK) != 0)
		return errno == ENOENT ? 0 : failed_system(file, err);
	*db = open_database(file, path, SQLITE_OPEN_READONLY, check_version, err);
	return *db != NULL ? 1 : -1;
}

int sqlite_file_in_place(const struct sqlite_file *file, sqlite3 *db, struct err *err)
{
	int moved = 0;

	(void)sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
	if (moved == 0)
		return 0;
	return err_set(err, ERR_TEMP, "%s %s/%s: the file was removed or replaced", file->what, file->state_dir, file->name);
}
