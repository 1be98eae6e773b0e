/* sqlite_file.h - a SQLite database of ours below state_dir: made whole, opened, and looked at for damage. For
 * journal_sqlite.c and harvest_store.c, who alone know SQLite otherwise.
 *
 * Write-ahead log: readers and the one who writes do not wait for each other. Who opens must not fork with it.
 */
#ifndef MILTER_SQLITE_FILE_H
#define MILTER_SQLITE_FILE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/err.h"

struct sqlite_file {
	const char *what;		/* "journal": begins errors */
	const char *name;		/* "journal.sqlite" */
	const char *state_dir;
	const char *schema;		/* statements that make its tables, and set user_version to 1 */
	int busy_ms;			/* how long a lock of another process is waited for */
};

/* For writing. One that is missing is made under another name and linked into place whole (*made), so that a file
 * without tables is never a new one, but one that lost them. NULL, ERR_TEMP: it cannot be opened, or is damaged. */
sqlite3 *sqlite_file_open(const struct sqlite_file *file, bool *made, struct err *err);

/* For reading alone. 1, 0: there is no such file; -1, ERR_TEMP. It is not looked through for damage. */
int sqlite_file_open_read(const struct sqlite_file *file, sqlite3 **db, struct err *err);

/* ERR_TEMP when the file was removed or replaced while open: what is written then would be lost. 0 or -1. */
int sqlite_file_in_place(const struct sqlite_file *file, sqlite3 *db, struct err *err);

#endif
