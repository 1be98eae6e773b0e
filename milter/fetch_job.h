/* fetch_job.h - one exchange in a child process: the resolver waits as long as it likes, and a time that is up is kept
 * by killing. The child reads a stranger's answer; it has nothing but its socket and a pipe to say what came. */
#ifndef MILTER_FETCH_JOB_H
#define MILTER_FETCH_JOB_H

#include <sys/types.h>

#include "milter/fetch_http.h"

struct fetch_job {
	pid_t pid;		/* 0: none runs */
	int fd;			/* readable when something came, or the child has ended */
	int64_t started_ms, end_ms;
	struct buf answer;
};

/* Must be the first call for a job. */
void fetch_job_init(struct fetch_job *job);
/* Forks. Only for a process without threads. */
int fetch_job_start(struct fetch_job *job, const struct fetch_exchange *exchange, struct err *err);
/* Takes what is there. True: the job has ended, fetch_job_finish says how. */
bool fetch_job_ended(struct fetch_job *job, int64_t now_ms);
/* Buries the child, killing it if need be. 0 and the content, which lives until the job is started again; or -1 with
 * the reason. */
int fetch_job_finish(struct fetch_job *job, struct slice *content, struct err *err);

#endif
