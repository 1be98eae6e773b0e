/* fetch_store.c - see fetch_store.h. Called by fetch.c, and by setup.c before the fetch process runs.
 * What the files hold is not looked at here. */
#include "milter/fetch_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define PATH_SIZE 1200
#define TEMPORARY "new"	/* no digest is called so */

static int failed(struct err *err, const char *path)
{
	return err_set(err, ERR_TEMP, "%s: %s", path, strerror(errno));
}

static int try_directory(const char *path, bool make, struct err *err)
{
	if (make && mkdir(path, 0700) != 0 && errno != EEXIST)
		return failed(err, path);
	if (access(path, R_OK | W_OK | X_OK) == 0)
		return file_check_directory(path, err);
	return !make && errno == ENOENT ? 0 : failed(err, path);
}

int fetch_store_open(const char *state_dir, bool make, struct fetch_store *store, struct err *err)
{
	int n = snprintf(store->wanted, sizeof(store->wanted), "%s/revocation/wanted", state_dir);

	if (n < 0 || (size_t)n >= sizeof(store->wanted))
		return err_set(err, ERR_CONFIG, "state_dir: path too long");
	snprintf(store->answers, sizeof(store->answers), "%s/revocation", state_dir);
	if (try_directory(store->answers, make, err) != 0 || try_directory(store->wanted, make, err) != 0)
		return -1;
	return 0;
}

static void path_of(char out[PATH_SIZE], const char *directory, const char *name, const char *suffix)
{
	snprintf(out, PATH_SIZE, "%s/%s%s%s", directory, name, suffix[0] != '\0' ? "." : "", suffix);
}

int fetch_store_get(const struct fetch_store *store, const char *name, const char *suffix, struct buf *out,
		    struct err *err)
{
	char path[PATH_SIZE];

	path_of(path, store->answers, name, suffix);
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return 0;
	return file_read(path, 0, out, err) == 0 ? 1 : -1;
}

/* 0, or -1 with errno. */
static int write_file(const char *path, struct slice bytes, time_t modified_at)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = modified_at } };
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), rc, number;

	if (fd < 0)
		return -1;
	rc = file_write_all(fd, bytes);
	if (rc == 0 && ((modified_at != 0 && futimens(fd, times) != 0) || fsync(fd) != 0))
		rc = -1;
	number = errno;
	close(fd);
	errno = number;
	return rc;
}

/* By way of a file in `wanted`, so that collections, which watch the other directory, see it change once. */
static int put(const struct fetch_store *store, const char *path, const char *name, struct slice bytes,
	       time_t modified_at, struct err *err)
{
	char temporary[PATH_SIZE];
	int number;

	path_of(temporary, store->wanted, TEMPORARY, name);
	if (write_file(temporary, bytes, modified_at) == 0 && rename(temporary, path) == 0)
		return 0;
	number = errno;
	(void)unlink(temporary);
	errno = number;
	return failed(err, path);
}

int fetch_store_put(const struct fetch_store *store, const char *name, const char *suffix, struct slice bytes,
		    struct err *err)
{
	char path[PATH_SIZE];

	path_of(path, store->answers, name, suffix);
	return put(store, path, name, bytes, 0, err);
}

int fetch_store_remember(const struct fetch_store *store, const char *name, struct slice request, time_t wanted_at,
			 struct err *err)
{
	char path[PATH_SIZE];

	path_of(path, store->wanted, name, "");
	return put(store, path, name, request, wanted_at, err);
}

void fetch_store_touch(const struct fetch_store *store, const char *name, time_t wanted_at)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = wanted_at } };
	char path[PATH_SIZE];

	path_of(path, store->wanted, name, "");
	(void)utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

void fetch_store_forget(const struct fetch_store *store, const char *name)
{
	static const char *const suffixes[] = { "crl", "ocsp" };
	char path[PATH_SIZE];

	path_of(path, store->wanted, name, "");
	(void)unlink(path);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		path_of(path, store->answers, name, suffixes[i]);
		(void)unlink(path);
	}
}

int fetch_store_each(const struct fetch_store *store, size_t limit_bytes,
		     void (*each)(void *self, struct slice request, time_t wanted_at), void *self, struct err *err)
{
	struct arena *arena = arena_new(0);
	char **paths = NULL;
	struct stat st;
	struct buf bytes;
	size_t n = 0;
	int rc = -1;

	buf_init(&bytes, 0);
	if (arena == NULL) {
		err_memory(err);
		goto out;
	}
	if (file_list(arena, store->wanted, &paths, &n, err) != 0)
		goto out;
	for (size_t i = 0; i < n; i++)
		if (stat(paths[i], &st) == 0 && file_read(paths[i], limit_bytes, &bytes, NULL) == 0)
			each(self, buf_slice(&bytes), st.st_mtime);
	rc = 0;
out:
	buf_clear(&bytes);
	arena_free(arena);
	return rc;
}

static void clean(const char *directory, bool (*is_known)(const void *self, const char *name), const void *self)
{
	struct arena *arena = arena_new(0);
	char **paths = NULL, name[FETCH_NAME_SIZE];
	const char *base;
	size_t n = 0;

	if (arena == NULL || file_list(arena, directory, &paths, &n, NULL) != 0)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		base = strrchr(paths[i], '/') + 1;
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(base, "."), base);
		if (!is_known(self, name))
			(void)unlink(paths[i]);
	}
	arena_free(arena);
}

void fetch_store_clean(const struct fetch_store *store, bool (*is_known)(const void *self, const char *name),
		       const void *self)
{
	clean(store->answers, is_known, self);
	clean(store->wanted, is_known, self);
}
