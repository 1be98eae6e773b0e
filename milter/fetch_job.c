/* fetch_job.c - see fetch_job.h. Called by fetch.c. The pipe carries a byte, the error's class or 0, and then its text
 * or the content. */
#include "milter/fetch_job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define GRACE_MS 500		/* the child keeps the time itself, unless the resolver holds it */
#define CHUNK_BYTES 65536
#define PIPE 3			/* the child's end; standard output and error are below */

void fetch_job_init(struct fetch_job *job)
{
	*job = (struct fetch_job){ .fd = -1 };
	buf_init(&job->answer, 0);
}

static _Noreturn void run(const struct fetch_exchange *exchange, int fd)
{
	struct err err = { .class = ERR_NONE };
	struct slice said;
	struct buf body;
	char class;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(fd, PIPE) != PIPE)
		_exit(1);
	closefrom(PIPE + 1);
	buf_init(&body, 0);
	said = fetch_http(exchange, &body, &err) == 0 ? buf_slice(&body) : slice_of(err.text);
	class = (char)err.class;
	_exit(file_write_all(PIPE, slice_make(&class, 1)) == 0 && file_write_all(PIPE, said) == 0 ? 0 : 1);
}

int fetch_job_start(struct fetch_job *job, const struct fetch_exchange *exchange, struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_set(err, ERR_TEMP, "pipe: %s", strerror(errno));
	buf_clear(&job->answer);
	buf_init(&job->answer, exchange->limit_bytes + CHUNK_BYTES + 1);
	job->started_ms = clock_monotonic_ms(&clock_system);
	job->end_ms = job->started_ms + exchange->total_ms + GRACE_MS;
	job->pid = fork();
	if (job->pid == 0)
		run(exchange, ends[1]);
	close(ends[1]);
	if (job->pid > 0) {
		(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
		job->fd = ends[0];
		return 0;
	}
	job->pid = 0;
	close(ends[0]);
	return err_set(err, ERR_TEMP, "fork: %s", strerror(errno));
}

bool fetch_job_ended(struct fetch_job *job, int64_t now_ms)
{
	unsigned char *room = buf_reserve(&job->answer, CHUNK_BYTES);
	ssize_t n = room != NULL ? read(job->fd, room, CHUNK_BYTES) : 0;

	if (n > 0)
		job->answer.n += (size_t)n;
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return true;
	return n == 0 || now_ms >= job->end_ms;
}

/* The exit status is the proof that all was written. */
static int bury(struct fetch_job *job)
{
	int status = -1;

	(void)kill(job->pid, SIGKILL);
	while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	close(job->fd);
	job->fd = -1;
	job->pid = 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

int fetch_job_finish(struct fetch_job *job, struct slice *content, struct err *err)
{
	struct slice said;

	if (bury(job) != 0 || job->answer.n == 0)
		return err_set(err, ERR_LIMIT, "not done in time");
	said = slice_from(buf_slice(&job->answer), 1);
	if (job->answer.p[0] != ERR_NONE)
		return err_set(err, (enum err_class)job->answer.p[0], "%.*s", (int)(said.n < 300 ? said.n : 300),
			       said.p);
	*content = said;
	return 0;
}
