/* kept_evidence.c - see kept_evidence.h. A content gets its name when it is whole and its digest is right, so that what bears
 * a digest's name has it. Called by recorder.c. */
#include "milter/kept_evidence.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/crypt.h"
#include "base/file.h"

#define PATH_BYTES 4096
#define HEX_BYTES (2 * CRYPT_SHA256_BYTES + 1)
#define ABANDONED_S 3600

static int failed(const char *path, struct err *err)
{
	return err_set(err, ERR_TEMP, "%s: %s", path, strerror(errno));
}

static void name_of(const char *state_dir, const unsigned char *sha256, char path[PATH_BYTES])
{
	char hex[HEX_BYTES];

	crypt_hex(sha256, CRYPT_SHA256_BYTES, hex);
	snprintf(path, PATH_BYTES, "%s/evidence/%s", state_dir, hex);
}

static void name_of_upload(const char *state_dir, const unsigned char *upload, char path[PATH_BYTES])
{
	char hex[HEX_BYTES];

	crypt_hex(upload, CRYPT_SHA256_BYTES, hex);
	snprintf(path, PATH_BYTES, "%s/evidence/.%s", state_dir, hex);
}

static bool is_abandoned(int directory, const char *name)
{
	struct stat file;

	return name[0] == '.' && strlen(name) == HEX_BYTES && fstatat(directory, name, &file, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(file.st_mode) && time(NULL) - file.st_mtime > ABANDONED_S;
}

void kept_evidence_tidy(const char *state_dir)
{
	const struct dirent *entry = NULL;
	char path[PATH_BYTES];
	DIR *directory = NULL;

	snprintf(path, sizeof(path), "%s/evidence", state_dir);
	directory = opendir(path);
	if (directory == NULL)
		return;
	while ((entry = readdir(directory)) != NULL)
		if (is_abandoned(dirfd(directory), entry->d_name))
			(void)unlinkat(dirfd(directory), entry->d_name, 0);
	closedir(directory);
}

bool kept_evidence_has(const char *state_dir, const unsigned char sha256[CRYPT_SHA256_BYTES])
{
	char path[PATH_BYTES];

	name_of(state_dir, sha256, path);
	return access(path, F_OK) == 0;
}

static int make_directory(const char *state_dir, struct err *err)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%s/evidence", state_dir);
	return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : failed(path, err);
}

/* At the end of what came before it. */
static int append(const char *path, const struct kept_evidence_part *part, struct err *err)
{
	int flags = part->offset == 0 ? O_CREAT | O_EXCL : 0;
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	struct stat file;
	int rc = -1;

	if (fd < 0)
		return failed(path, err);
	if (fstat(fd, &file) != 0)
		failed(path, err);
	else if ((uint64_t)file.st_size != part->offset || part->bytes.n > KEPT_EVIDENCE_MAX_BYTES - part->offset)
		err_set(err, ERR_MESSAGE, "evidence: a piece at %llu behind %lld bytes", (unsigned long long)part->offset,
			(long long)file.st_size);
	else if (file_write_all(fd, part->bytes) != 0 || (part->last && fsync(fd) != 0))
		failed(path, err);
	else
		rc = 0;
	close(fd);
	return rc;
}

static int check(const char *path, const unsigned char *sha256, struct err *err)
{
	unsigned char sum[CRYPT_SHA256_BYTES];
	struct buf content;
	int rc;

	buf_init(&content, 0);
	rc = file_read(path, (size_t)KEPT_EVIDENCE_MAX_BYTES, &content, err);
	if (rc == 0)
		rc = crypt_sha256(content.p, content.n, sum, err);
	if (rc == 0 && memcmp(sum, sha256, sizeof(sum)) != 0)
		rc = err_set(err, ERR_MESSAGE, "evidence: a content that is not what its digest says");
	buf_clear(&content);
	return rc;
}

static int give_name(const char *state_dir, const char *path, const unsigned char *sha256, struct err *err)
{
	char name[PATH_BYTES];

	name_of(state_dir, sha256, name);
	return rename(path, name) == 0 && file_sync_name(name) == 0 ? 0 : failed(name, err);
}

int kept_evidence_put(const char *state_dir, const struct kept_evidence_part *part, struct err *err)
{
	char path[PATH_BYTES];
	int rc;

	if (part->offset == 0 && make_directory(state_dir, err) != 0)
		return -1;
	name_of_upload(state_dir, part->upload, path);
	rc = append(path, part, err);
	if (rc == 0 && part->last)
		rc = check(path, part->sha256, err) == 0 ? give_name(state_dir, path, part->sha256, err) : -1;
	if (rc != 0)
		(void)unlink(path);
	return rc;
}
