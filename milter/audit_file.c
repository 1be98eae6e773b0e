/* audit_file.c - the audit log, its lock, and what became of it while nobody looked: moved, cut, written by another
 * process. Called by recorder.c. */
#include "milter/audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define PATH_BYTES 4096
#define HEAD_BYTES 160
#define TAIL_BYTES ((off_t)(2 * (AUDIT_LINE_BYTES + AUDIT_FRONT_BYTES)))	/* a torn line and a whole one */

struct audit_file {
	struct audit_file_env env;
	int fd;			/* the log; -1: to be opened */
	int head;
	struct audit_last last;
	struct buf out;
};

static int failed(const char *path, struct err *err)
{
	return err_set(err, ERR_TEMP, "audit log %s: %s", path, strerror(errno));
}

static int open_log(struct audit_file *file, struct err *err)
{
	const char *path = file->env.path;
	struct stat log;

	file->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
	if (file->fd < 0)
		return failed(path, err);
	if (fstat(file->fd, &log) == 0 && !S_ISREG(log.st_mode))
		return err_set(err, ERR_TEMP, "audit log %s: not a regular file", path);
	return file_sync_name(path) == 0 ? 0 : failed(path, err);
}

/* What the head says of the log whose end it knows. */
struct head {
	struct audit_last last;
	uint64_t inode, size;
};

static void read_head(const struct audit_file *file, struct head *head)
{
	char text[HEAD_BYTES + 1] = "";
	ssize_t n = pread(file->head, text, HEAD_BYTES, 0);

	*head = (struct head){ 0 };
	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%" SCNu64 " %64[0-9a-f] %" SCNu64 " %" SCNu64 "\n", &head->last.seq, head->last.hash,
		   &head->inode, &head->size) != 4 || strlen(head->last.hash) != AUDIT_HASH_SIZE - 1) {
		*head = (struct head){ 0 };
		audit_last_init(&head->last);
	}
}

/* Of constant length, so that one write replaces it whole. */
static int write_head(const struct audit_file *file, const struct stat *log)
{
	char text[HEAD_BYTES];
	int n = snprintf(text, sizeof(text), "%020" PRIu64 " %s %020" PRIu64 " %020" PRIu64 "\n", file->last.seq,
			 file->last.hash, (uint64_t)log->st_ino, (uint64_t)log->st_size);

	return pwrite(file->head, text, (size_t)n, 0) == n ? 0 : -1;
}

/* Goes through the lines; -1: ERR_TEMP, also for what is no audit log at all. */
static int read_lines(const struct audit_file *file, struct slice rest, struct audit_last *last, struct err *err)
{
	enum audit_link link;
	struct slice line;
	size_t good = 0, bad = 0;
	long end;

	while ((end = slice_find(rest, '\n')) >= 0) {
		line = slice_first(rest, (size_t)end);
		rest = slice_from(rest, (size_t)end + 1);
		if (line.n == 0)
			continue;
		if (audit_link(last, line, &link, err) != 0)
			return -1;
		if (link == AUDIT_NO_LINE)
			bad++;
		else
			good++;
	}
	if (good == 0 && bad > 1)
		return err_set(err, ERR_TEMP, "audit log %s: holds something else than audit lines", file->env.path);
	return 0;
}

/* The end of the log: its last whole line has the seq, its last line, whole or torn, has the hash. A torn one gets its
 * line feed, and is a line of its own from now on. last comes in as what stood before the log. */
static int read_tail(struct audit_file *file, off_t size, struct audit_last *last, struct err *err)
{
	const off_t start = size > TAIL_BYTES ? size - TAIL_BYTES : 0;
	const size_t n = (size_t)(size - start);
	struct buf tail;
	int rc = -1;

	buf_init(&tail, 0);
	if (n == 0)
		return 0;
	if (buf_reserve(&tail, n + 1) == NULL) {
		err_memory(err);
		goto out;
	}
	if (pread(file->fd, tail.p, n, start) != (ssize_t)n) {
		failed(file->env.path, err);
		goto out;
	}
	tail.n = n;
	if (tail.p[n - 1] != '\n') {
		tail.p[tail.n++] = '\n';
		if (write(file->fd, "\n", 1) != 1) {
			failed(file->env.path, err);
			goto out;
		}
	}
	rc = read_lines(file, buf_slice(&tail), last, err);
out:
	buf_clear(&tail);
	return rc;
}

/* Where the chain goes on. The log itself counts, and not the head, where somebody wrote to it and died before he could say
 * so in the head; the head, where the log is new or lacks what was there. */
static int find_end(struct audit_file *file, struct stat *log, struct err *err)
{
	struct audit_last last;
	struct head head;

	read_head(file, &head);
	if (fstat(file->fd, log) != 0)
		return failed(file->env.path, err);
	file->last = last = head.last;
	if (head.inode == (uint64_t)log->st_ino && head.size == (uint64_t)log->st_size)
		return 0;
	if (read_tail(file, log->st_size, &last, err) != 0)
		return -1;
	if (last.seq >= head.last.seq)
		file->last = last;
	else
		event_log(file->env.sink, EVENT_ERROR, "audit log %s ends with seq %" PRIu64 ", but %" PRIu64 " was there",
			  file->env.path, last.seq, head.last.seq);
	return fstat(file->fd, log) == 0 ? 0 : failed(file->env.path, err);
}

/* Was the log moved away, or is there none any more? */
static bool is_moved(const struct audit_file *file)
{
	struct stat open, there;

	return stat(file->env.path, &there) != 0 || fstat(file->fd, &open) != 0 || there.st_ino != open.st_ino ||
	       there.st_dev != open.st_dev;
}

/* The end of the chain must be on disk in the head before its log is left behind. */
static int follow(struct audit_file *file, struct err *err)
{
	struct stat log;

	if (file->fd >= 0 && !is_moved(file))
		return 0;
	if (file->fd >= 0) {
		if (find_end(file, &log, err) != 0)
			return -1;
		if (write_head(file, &log) != 0 || fsync(file->head) != 0)
			return failed(file->env.state_dir, err);
		close(file->fd);
		file->fd = -1;
	}
	return open_log(file, err);
}

static int chain_lines(struct audit_file *file, struct slice lines, struct err *err)
{
	struct slice line;
	long end;

	buf_reset(&file->out);
	while (lines.n > 0) {
		end = slice_find(lines, '\n');
		line = slice_first(lines, end < 0 ? 0 : (size_t)end);
		if (!audit_line_check(line))
			return err_set(err, ERR_MESSAGE, "not an audit line");
		if (audit_line_write(&file->last, file->env.chain, line, &file->out, err) != 0)
			return -1;
		lines = slice_from(lines, (size_t)end + 1);
	}
	return 0;
}

/* All or nothing: what a full disk left of it is taken back. */
static int write_out(struct audit_file *file, struct stat *log, struct err *err)
{
	const struct slice out = buf_slice(&file->out);
	const off_t before = log->st_size;
	ssize_t n = write(file->fd, out.p, out.n);

	if (n == (ssize_t)out.n && fdatasync(file->fd) == 0 && fstat(file->fd, log) == 0) {
		/* If this fails, the next one reads the end of the log. */
		(void)write_head(file, log);
		return 0;
	}
	if (n >= 0 && n < (ssize_t)out.n)
		errno = ENOSPC;
	failed(file->env.path, err);
	(void)!ftruncate(file->fd, before);
	return -1;
}

int audit_file_append(struct audit_file *file, struct slice lines, struct err *err)
{
	struct stat log;
	int rc = -1;

	if (flock(file->head, LOCK_EX) != 0)
		return failed(file->env.state_dir, err);
	if (follow(file, err) == 0 && find_end(file, &log, err) == 0 && chain_lines(file, lines, err) == 0)
		rc = write_out(file, &log, err);
	(void)flock(file->head, LOCK_UN);
	return rc;
}

struct audit_file *audit_file_open(const struct audit_file_env *env, struct err *err)
{
	struct audit_file *file = calloc(1, sizeof(*file));
	char path[PATH_BYTES];

	if (file == NULL) {
		err_memory(err);
		return NULL;
	}
	file->env = *env;
	file->fd = file->head = -1;
	buf_init(&file->out, 0);
	if (snprintf(path, sizeof(path), "%s/audit.head", env->state_dir) >= (int)sizeof(path)) {
		err_set(err, ERR_TEMP, "state_dir: the path is too long");
		goto fail;
	}
	file->head = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file->head < 0) {
		failed(path, err);
		goto fail;
	}
	if (audit_file_append(file, slice_of(""), err) == 0)
		return file;
fail:
	audit_file_close(file);
	return NULL;
}

void audit_file_close(struct audit_file *file)
{
	if (file == NULL)
		return;
	if (file->fd >= 0)
		close(file->fd);
	if (file->head >= 0)
		close(file->head);
	buf_clear(&file->out);
	free(file);
}
