/* ctl_certs_import.c - smimectl certs import: a list of recipients as files of certificates, for a directory of type
 * "files" that a running gateway reads. A file appears whole or not at all, and what has not changed is not touched. What
 * becomes of what is recipients.c's business.
 */
#include "milter/ctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "milter/recipients.h"

#define LIMIT_BYTES ((size_t)1 << 30)

struct counts {
	size_t written, kept, removed;
};

static int failed(const char *path, struct err *err)
{
	return err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
}

static bool is_there(const char *path, struct slice content)
{
	struct buf bytes;
	bool same;

	buf_init(&bytes, 0);
	same = access(path, F_OK) == 0 && file_read(path, 0, &bytes, NULL) == 0 &&
	       slice_equal(buf_slice(&bytes), content);
	buf_clear(&bytes);
	return same;
}

/* Hidden files are none of the directory's. */
static int write_file(struct ctl *ctl, const char *path, struct slice content, struct err *err)
{
	const char *fresh = arena_printf(ctl->arena, "%s/.import", ctl->args.out);
	int fd = fresh != NULL ? open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644) : -1;
	int rc;

	if (fd < 0)
		return fresh != NULL ? failed(fresh, err) : err_memory(err);
	rc = file_write_all(fd, content) == 0 && fsync(fd) == 0 ? 0 : -1;
	if (close(fd) != 0 || rc != 0 || rename(fresh, path) != 0)
		return failed(fresh, err);
	return 0;
}

static int write_all(struct ctl *ctl, const struct recipients *recipients, struct counts *counts, struct err *err)
{
	if (mkdir(ctl->args.out, 0755) != 0 && errno != EEXIST)
		return failed(ctl->args.out, err);
	for (size_t i = 0; i < recipients->n; i++) {
		const struct recipients_file *file = &recipients->files[i];
		const char *path = arena_printf(ctl->arena, "%s/%s", ctl->args.out, file->name);

		if (path == NULL)
			return err_memory(err);
		if (is_there(path, file->content)) {
			counts->kept++;
			continue;
		}
		if (write_file(ctl, path, file->content, err) != 0)
			return -1;
		counts->written++;
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct recipients_file *one = a, *other = b;

	return strcmp(one->name, other->name);
}

/* The files are sorted. */
static bool is_named(const struct recipients *recipients, const char *name)
{
	const struct recipients_file wanted = { .name = name };

	return recipients->n > 0 &&
	       bsearch(&wanted, recipients->files, recipients->n, sizeof(wanted), by_name) != NULL;
}

/* Ours are those whose names we could have given. */
static bool is_ours(const char *name)
{
	return name[0] != '.' && strchr(name, '@') != NULL &&
	       (strstr(name, "-usercertificate-") != NULL || strstr(name, "-usersmimecertificate-") != NULL);
}

static int remove_rest(const struct ctl *ctl, struct recipients *recipients, struct counts *counts, struct err *err)
{
	DIR *directory = opendir(ctl->args.out);
	const struct dirent *entry = NULL;
	int rc = 0;

	if (directory == NULL)
		return failed(ctl->args.out, err);
	if (recipients->n > 0)
		qsort(recipients->files, recipients->n, sizeof(*recipients->files), by_name);
	while (rc == 0 && (entry = readdir(directory)) != NULL) {
		if (!is_ours(entry->d_name) || is_named(recipients, entry->d_name))
			continue;
		rc = unlinkat(dirfd(directory), entry->d_name, 0);
		counts->removed += rc == 0;
	}
	if (rc != 0)
		failed(entry->d_name, err);
	closedir(directory);
	return rc;
}

int ctl_certs_import(struct ctl *ctl, struct err *err)
{
	const char *file = ctl->args.operands.items[0];
	struct counts counts = { 0, 0, 0 };
	struct recipients recipients;
	struct buf json;
	int rc = -1;

	buf_init(&json, 0);
	if (file_read(file, LIMIT_BYTES, &json, err) != 0)
		goto out;
	if (recipients_read(ctl->arena, buf_slice(&json), &recipients, err) != 0) {
		err_prefix(err, "%s", file);
		goto out;
	}
	for (size_t i = 0; i < recipients.problem_count; i++)
		fprintf(stderr, "left out: %s\n", recipients.problems[i]);
	/* An export that has lost its values would empty the directory, and mail that may go plain would. */
	if ((ctl->args.given & OPTION_REMOVE) != 0 && recipients.n == 0) {
		err_set(err, ERR_CONFIG, "%s: no certificate at all: nothing is removed", file);
		goto out;
	}
	if (write_all(ctl, &recipients, &counts, err) != 0)
		goto out;
	if ((ctl->args.given & OPTION_REMOVE) != 0 && remove_rest(ctl, &recipients, &counts, err) != 0)
		goto out;
	printf("%zu recipients, %zu values: %zu written, %zu as they were, %zu left out, %zu files removed\n",
	       recipients.recipient_count, recipients.n + recipients.problem_count, counts.written, counts.kept,
	       recipients.problem_count, counts.removed);
	rc = recipients.problem_count == 0 ? CTL_DONE : CTL_NOT_PASSED;
out:
	buf_clear(&json);
	return rc;
}
