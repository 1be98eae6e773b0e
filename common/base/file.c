/* file.c - whole files and directories, read when the configuration is. Not in the message path: spool.c writes the
 * only file there. Called by conf, pki, milter. Thread-safe. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypt.h"

#define DEFAULT_LIMIT_BYTES ((size_t)64 * 1024 * 1024)
#define READ_BYTES 16384
#define PASSWORD_MAX_BYTES 4096

static int failed(struct err *err, const char *path)
{
	/* The daemon looks at files as its user, whoever started it. */
	if (errno == EACCES)
		return err_set(err, ERR_CONFIG, "%s: Permission denied for user id %lu", path, (unsigned long)geteuid());
	return err_set(err, errno == ENOMEM || errno == EMFILE || errno == ENFILE ? ERR_TEMP : ERR_CONFIG, "%s: %s",
		       path, strerror(errno));
}

/* Opens a regular file. O_NONBLOCK: a FIFO put in its place must not make us wait. */
static int open_regular(const char *path, struct stat *st, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, st) != 0) {
		failed(err, path);
		goto out;
	}
	if (!S_ISREG(st->st_mode)) {
		err_set(err, ERR_CONFIG, "%s: not a regular file", path);
		goto out;
	}
	return fd;
out:
	if (fd >= 0)
		close(fd);
	return -1;
}

static int read_fd(int fd, const char *path, size_t limit_bytes, struct buf *buf, struct err *err)
{
	unsigned char chunk[READ_BYTES];
	ssize_t got;
	int rc = -1;

	while ((got = read(fd, chunk, sizeof(chunk))) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			failed(err, path);
			goto out;
		}
		if (buf->n + (size_t)got > limit_bytes) {
			err_set(err, ERR_CONFIG, "%s: larger than %zu bytes", path, limit_bytes);
			goto out;
		}
		if (buf_append(buf, chunk, (size_t)got) != 0) {
			err_set(err, ERR_TEMP, "%s: no memory to read it", path);
			goto out;
		}
	}
	rc = 0;
out:
	crypt_wipe(chunk, sizeof(chunk));
	return rc;
}

/* What was read is wiped again when the end could not be reached. */
static int read_and_close(int fd, const char *path, size_t limit_bytes, struct buf *buf, struct err *err)
{
	int rc;

	buf_reset(buf);
	rc = read_fd(fd, path, limit_bytes == 0 ? DEFAULT_LIMIT_BYTES : limit_bytes, buf, err);
	close(fd);
	if (rc != 0)
		buf_reset(buf);
	return rc;
}

int file_read(const char *path, size_t limit_bytes, struct buf *buf, struct err *err)
{
	struct stat st;
	int fd = open_regular(path, &st, err);

	return fd < 0 ? -1 : read_and_close(fd, path, limit_bytes, buf, err);
}

enum guard { GUARD_TRUSTED, GUARD_OWN, GUARD_SECRET };

/* The bits that a file's mode must not have, and what to do about them. */
static mode_t forbidden_bits(enum guard guard, uid_t owner, const char **advice)
{
	switch (guard) {
	case GUARD_TRUSTED:
		*advice = "others may write it (chmod o-w)";
		return S_IWOTH;
	case GUARD_OWN:
		*advice = "others than its owner may write it (chmod go-w)";
		return S_IWGRP | S_IWOTH;
	case GUARD_SECRET:
		break;
	}
	*advice = owner == 0 ? "others may use this secret (chmod 640)" : "others may use this secret (chmod 600)";
	return S_IRWXO | S_IWGRP | (owner == 0 ? 0 : S_IRGRP);
}

/* As file_read, but looks at the mode of what was opened. */
static int read_checked(const char *path, size_t limit_bytes, struct buf *buf, enum guard guard, struct err *err)
{
	const char *advice = NULL;
	struct stat st;
	int fd = open_regular(path, &st, err);

	if (fd < 0)
		return -1;
	if ((st.st_mode & forbidden_bits(guard, st.st_uid, &advice)) != 0) {
		close(fd);
		return err_set(err, ERR_CONFIG, "%s: its mode is %04o: %s", path, (unsigned int)(st.st_mode & 07777),
			       advice);
	}
	return read_and_close(fd, path, limit_bytes, buf, err);
}

int file_read_trusted(const char *path, size_t limit_bytes, struct buf *buf, struct err *err)
{
	return read_checked(path, limit_bytes, buf, GUARD_TRUSTED, err);
}

int file_read_own(const char *path, size_t limit_bytes, struct buf *buf, struct err *err)
{
	return read_checked(path, limit_bytes, buf, GUARD_OWN, err);
}

int file_read_secret(const char *path, size_t limit_bytes, struct buf *buf, struct err *err)
{
	return read_checked(path, limit_bytes, buf, GUARD_SECRET, err);
}

int file_read_password(const char *path, struct buf *password, struct err *err)
{
	if (file_read_secret(path, PASSWORD_MAX_BYTES, password, err) != 0)
		return -1;
	if (password->n > 0 && password->p[password->n - 1] == '\n')
		password->n--;
	if (password->n > 0 && password->p[password->n - 1] == '\r')
		password->n--;
	return password->n > 0 ? 0 : err_set(err, ERR_CONFIG, "%s is empty", path);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Room for one path more: arrays double, outgrown ones stay in the arena. */
static char **enlarge(struct arena *arena, char **paths, size_t count, size_t *capacity)
{
	char **larger;

	if (count < *capacity)
		return paths;
	larger = arena_array(arena, *capacity == 0 ? 16 : *capacity * 2, sizeof(*larger));
	if (larger == NULL)
		return NULL;
	if (count > 0)
		memcpy(larger, paths, count * sizeof(*larger));
	*capacity = *capacity == 0 ? 16 : *capacity * 2;
	return larger;
}

static bool is_wanted(DIR *dir, const char *name)
{
	struct stat st;

	return name[0] != '.' && fstatat(dirfd(dir), name, &st, 0) == 0 && S_ISREG(st.st_mode);
}

int file_list(struct arena *arena, const char *directory, char ***paths, size_t *count, struct err *err)
{
	const char *slash = directory[0] != '\0' && directory[strlen(directory) - 1] == '/' ? "" : "/";
	DIR *dir = opendir(directory);
	char **list = NULL;
	size_t n = 0, capacity = 0;
	struct dirent *entry;
	int rc = -1;

	if (dir == NULL)
		return failed(err, directory);
	while (errno = 0, (entry = readdir(dir)) != NULL) {
		if (!is_wanted(dir, entry->d_name))
			continue;
		list = enlarge(arena, list, n, &capacity);
		if (list != NULL)
			list[n] = arena_printf(arena, "%s%s%s", directory, slash, entry->d_name);
		if (list == NULL || list[n] == NULL) {
			err_memory(err);
			goto out;
		}
		n++;
	}
	if (errno != 0) {
		failed(err, directory);
		goto out;
	}
	if (n > 1)
		qsort(list, n, sizeof(*list), by_name);
	*paths = list;
	*count = n;
	rc = 0;
out:
	closedir(dir);
	return rc;
}

int file_write_all(int fd, struct slice bytes)
{
	ssize_t n;

	while (bytes.n > 0) {
		n = write(fd, bytes.p, bytes.n);
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			bytes = slice_from(bytes, (size_t)n);
	}
	return 0;
}

int file_sync_name(const char *path)
{
	char parent[PATH_MAX];
	char *slash;
	int fd, rc;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (slash == NULL)
		snprintf(parent, sizeof(parent), ".");
	else
		slash[slash == parent] = '\0';
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

bool file_is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int file_check_directory(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return failed(err, path);
	if ((st.st_mode & S_IWOTH) == 0)
		return 0;
	return err_set(err, ERR_CONFIG, "%s: its mode is %04o: others may put files there (chmod o-w)", path,
		       (unsigned int)(st.st_mode & 07777));
}
