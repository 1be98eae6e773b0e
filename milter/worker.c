/* worker.c - a worker's life. libmilter runs in a thread of its own; the first thread waits for orders and sees to it
 * that the sessions end well, which libmilter itself cannot do (DESIGN 4). Called by generation.c in a fresh child.
 */
#include "milter/worker.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "milter/callbacks.h"
#include "milter/listener.h"
#include "milter/privileges.h"

#define TIMEOUT_S 1800		/* of an MTA that neither speaks nor ends */
#define STEP_MS 50
#define DRAIN_MS (600 * 1000)
#define STOP_MS (90 * 1000)
#define STOP_IDLE_MS (5 * 1000)

static void *serve(void *arg)
{
	struct worker *worker = arg;

	callbacks_serve(TIMEOUT_S);
	event_log(worker->sink, EVENT_ERROR, "libmilter gave up");
	/* Not exit: libmilter would clean up what belongs to all workers. */
	_exit(1);
}

static int start(struct worker *worker, struct err *err)
{
	pthread_t thread;
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, NULL, serve, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return err_set(err, ERR_TEMP, "no thread for libmilter");
	(void)pthread_detach(thread);
	return 0;
}

struct draining {
	int64_t started_ms, stop_ms;	/* stop_ms: when stop was ordered, -1: not yet */
	unsigned quiet;			/* times in a row that no session was open */
};

/* May the process end? Two looks in a row, because a session is in no table between the kernel's accept and the
 * descriptor. */
static bool drained(struct draining *draining, const struct worker *worker, size_t sessions, int64_t now_ms)
{
	draining->quiet = sessions == 0 ? draining->quiet + 1 : 0;
	if (draining->quiet >= 2)
		return true;
	if (draining->stop_ms < 0)
		return now_ms - draining->started_ms > DRAIN_MS;
	if (now_ms - draining->stop_ms > STOP_MS)
		return true;
	return now_ms - draining->stop_ms > STOP_IDLE_MS && atomic_load(&worker->messages) == 0;
}

static void drain(const struct worker *worker, const struct worker_env *env, const struct listener_address *address)
{
	struct draining draining = { clock_monotonic_ms(&clock_system), -1, 0 };
	size_t sessions = 0;
	int64_t now_ms = draining.started_ms;
	struct err err;

	if (listener_retire(env->listener, &err) != 0) {
		event_log(env->sink, EVENT_ERROR, "worker cannot retire, sessions are cut: %s", err.text);
		return;
	}
	do {
		(void)poll(NULL, 0, STEP_MS);
		now_ms = clock_monotonic_ms(&clock_system);
		if (draining.stop_ms < 0 && control_order(env->control) == CONTROL_STOP)
			draining.stop_ms = now_ms;
		sessions = listener_sessions(address);
	} while (!drained(&draining, worker, sessions, now_ms));
	event_log(env->sink, sessions > 0 ? EVENT_WARNING : EVENT_DEBUG, "worker ends, %zu sessions cut", sessions);
}

static int open_recorder(struct worker *worker, struct recorder_client *client, int fd, struct err *err)
{
	if (fd < 0)
		return 0;
	if (recorder_client_open(client, fd, RECORDER_TIMEOUT_MS, err) != 0)
		return -1;
	worker->recorder = client;
	worker->delivery.journal = client->journal;
	return 0;
}

_Noreturn void worker_run(const struct worker_env *env)
{
	struct recorder_client recorder;
	struct worker worker = { .site = env->site, .sink = env->sink, .delivery = *env->delivery,
				 .metrics = env->metrics };
	struct pollfd wait = { .fd = env->control, .events = POLLIN };
	struct listener_address address;
	struct err err = { 0 };

	worker.budget.limit_bytes = (size_t)env->site->settings.limits.total_memory_mb * 1024 * 1024;
	process_ignore_signals();
	callbacks_bind(&worker);
	if (listener_address(env->listener, &address, &err) != 0 ||
	    open_recorder(&worker, &recorder, env->recorder, &err) != 0 || start(&worker, &err) != 0) {
		event_log(env->sink, EVENT_ERROR, "worker cannot start: %s", err.text);
		_exit(1);
	}
	while (control_order(env->control) == CONTROL_SERVE)
		(void)poll(&wait, 1, -1);
	drain(&worker, env, &address);
	_exit(0);
}
