/* file.h - reading files and directories for configuration, keys and certificates. Not in the message path. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* Reads a regular file of at most limit_bytes (0: 64 MiB) into buf. ERR_CONFIG names the path and why. 0 or -1. */
int file_read(const char *path, size_t limit_bytes, struct buf *buf, struct err *err);
/* The same, but refuses a file that others may write: whoever can, decides what the gateway does. */
int file_read_trusted(const char *path, size_t limit_bytes, struct buf *buf, struct err *err);
/* The same, but refuses a file that its group may write, too: what stands in it gives rights to persons. */
int file_read_own(const char *path, size_t limit_bytes, struct buf *buf, struct err *err);
/* The same as file_read for a file that holds a secret: refuses one that group (unless readable by group only and owned
 * by root) or others may read or write, naming the mode. */
int file_read_secret(const char *path, size_t limit_bytes, struct buf *buf, struct err *err);
/* A password alone in such a file, without the line end that editors put behind it. Refuses an empty one: to many servers
 * that is nobody's. */
int file_read_password(const char *path, struct buf *password, struct err *err);
/* Regular files in a directory, full paths sorted by name, hidden ones skipped, not recursive. 0 or -1. */
int file_list(struct arena *arena, const char *directory, char ***paths, size_t *count, struct err *err);
/* Writes all of it, however often write(2) takes less. 0, or -1 with errno. */
int file_write_all(int fd, struct slice bytes);
/* A file's new name is on disk only when its directory is: brings that there. 0, or -1 with errno. */
int file_sync_name(const char *path);
bool file_is_directory(const char *path);
/* Refuses a directory that others may write, naming the mode. 0 or -1. */
int file_check_directory(const char *path, struct err *err);

#endif
