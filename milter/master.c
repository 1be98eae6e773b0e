/* master.c - one loop over signals, a starting generation and time. Called by main. At any time there is one current
 * generation, perhaps one that starts, and some that drain.
 */
#include "milter/master.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "milter/callbacks.h"
#include "milter/generation.h"
#include "milter/notify.h"

#define STOP_MS (100 * 1000)	/* a little more than workers take */
#define RETRY_MS 2000
#define LONGEST_RETRY_MS (60 * 1000)

struct node {
	struct generation generation;
	struct setup setup;		/* what it works by */
	bool keeper_gone;
	struct node *next;
};

struct master {
	const struct master_env *env;
	struct setup *setup;		/* of the current generation; socket and user as at the start */
	struct listener listener;
	int signals;
	struct node *current, *starting;
	struct node *draining;		/* list */
	bool reload_again;		/* asked for while one was starting */
	struct metrics *metrics;
	uid_t asker_uid;		/* who asked for the present configuration */
	pid_t asker_pid;
	bool stopping;
	int64_t stop_ms;		/* when stopping began */
	int64_t retry_ms;		/* when to start anew after a keeper died; -1: nothing to do */
	int64_t retry_delay_ms;		/* before the retry after that */
	int64_t watchdog_ms, watchdog_due_ms;
	int status;			/* to exit with */
};

static int64_t now_in_ms(void)
{
	return clock_monotonic_ms(&clock_system);
}

static void say(const struct master *master, enum event_level level, const char *text)
{
	event_log(master->env->sink, level, "%s", text);
}

static void say_serving(const struct master *master, const char *but)
{
	notify_send("READY=1\nSTATUS=serving with %u workers%s", master->setup->workers, but);
}

static void forget_node(const struct node *node)
{
	struct generation copy;

	if (node == NULL)
		return;
	copy = node->generation;
	generation_clear(&copy);
}

/* In a new keeper: the master's ends of all control sockets must not stay open there, or nobody would see them end. */
static void forget(void *self)
{
	const struct master *master = self;

	close(master->signals);
	forget_node(master->current);
	for (const struct node *node = master->draining; node != NULL; node = node->next)
		forget_node(node);
}

static int start_generation(struct master *master, const struct setup *setup)
{
	struct node *node = calloc(1, sizeof(*node));
	struct generation_env env = { .path = master->env->path, .sink = master->env->sink,
		.metrics = master->metrics, .listener = master->listener.fd, .foreground = master->env->foreground, .forget = forget,
		.forget_self = master,
		.predecessor = master->current != NULL ? master->current->generation.lookup : -1 };
	struct err err = { 0 };

	if (node == NULL)
		return -1;
	node->setup = *setup;
	env.setup = &node->setup;
	env.asked = (struct audit_event){ .what = master->current == NULL ? "start" : "reload", .uid = master->asker_uid,
					  .pid = master->asker_pid };
	if (generation_start(&env, &node->generation, &err) != 0) {
		event_log(master->env->sink, EVENT_ERROR, "cannot start workers: %s", err.text);
		free(node);
		return -1;
	}
	master->starting = node;
	return 0;
}

static void report(void *self, const char *line)
{
	event_log(self, EVENT_ERROR, "%s", line);
}

static void report_warning(void *self, const char *line)
{
	event_log(self, EVENT_WARNING, "%s", line);
}

/* The running generation goes on. Without its keeper it cannot replace workers, so that is tried again. */
static void keep_old(struct master *master)
{
	if (master->current->keeper_gone) {
		say(master, EVENT_ERROR, "configuration cannot be loaded, running workers go on, none is replaced");
		master->retry_ms = now_in_ms() + master->retry_delay_ms;
		master->retry_delay_ms *= 2;
		if (master->retry_delay_ms > LONGEST_RETRY_MS)
			master->retry_delay_ms = LONGEST_RETRY_MS;
	} else {
		say(master, EVENT_ERROR, "reload refused, the old configuration goes on");
	}
	say_serving(master, ", but by the old configuration: the one on disk was refused, see the log");
}

static void load_anew(struct master *master)
{
	void *sink = (void *)(uintptr_t)master->env->sink;
	const struct conf_report findings = { report, sink }, warnings = { report_warning, sink };
	struct setup setup;
	struct err err = { 0 };

	master->retry_ms = -1;
	if (setup_read(master->env->path, &findings, &warnings, &setup, &err) != 0) {
		event_log(master->env->sink, EVENT_ERROR, "%s", err.text);
		keep_old(master);
		return;
	}
	if (setup_differs(&setup, master->setup))
		say(master, EVENT_WARNING, "socket or user changed: that needs a restart, the old ones stay");
	setup.socket = master->setup->socket;
	setup.access = master->setup->access;
	setup.identity = master->setup->identity;
	if (start_generation(master, &setup) != 0)
		keep_old(master);
}

static void begin_reload(struct master *master)
{
	if (master->starting != NULL) {
		master->reload_again = true;
		return;
	}
	notify_reloading();
	say(master, EVENT_INFO, "reloading");
	load_anew(master);
}

static void drain(struct master *master, struct node *node)
{
	control_give(node->generation.control, CONTROL_DRAIN);
	generation_release(&node->generation);
	node->next = master->draining;
	master->draining = node;
}

static void stop(struct generation *generation)
{
	control_give(generation->control, CONTROL_STOP);
	generation_release(generation);
}

static void activate(struct master *master)
{
	bool first = master->current == NULL;

	if (!first)
		drain(master, master->current);
	master->current = master->starting;
	master->starting = NULL;
	master->retry_delay_ms = RETRY_MS;
	*master->setup = master->current->setup;
	event_log(master->env->sink, EVENT_INFO, "%s, version %s, serving on %s with %u workers%s",
		  first ? "started" : "reloaded", PACKAGE_VERSION, master->listener.spec.text, master->setup->workers,
		  master->setup->observe ? ", observing only: no mail is changed or refused" : "");
	event_log(master->env->sink, EVENT_INFO, "configuration: %s", master->env->path);
	say_serving(master, "");
	if (first)
		master->env->started(master->env->started_self);
}

static void starting_failed(struct master *master)
{
	int status = 0;

	(void)waitpid(master->starting->generation.pid, &status, 0);
	generation_clear(&master->starting->generation);
	free(master->starting);
	master->starting = NULL;
	if (master->current != NULL) {
		keep_old(master);
		return;
	}
	master->stopping = true;
	master->stop_ms = now_in_ms();
	master->status = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void look_at_starting(struct master *master)
{
	int ready = generation_ready(&master->starting->generation);

	if (ready < 0)
		return;
	if (ready == 0)
		starting_failed(master);
	else
		activate(master);
	if (master->stopping && master->current != NULL)
		stop(&master->current->generation);
	if (master->reload_again && !master->stopping && master->starting == NULL) {
		master->reload_again = false;
		begin_reload(master);
	}
}

static void kill_all(const struct master *master)
{
	if (master->current != NULL)
		generation_kill(&master->current->generation);
	if (master->starting != NULL)
		generation_kill(&master->starting->generation);
	for (const struct node *node = master->draining; node != NULL; node = node->next)
		generation_kill(&node->generation);
}

/* The path goes first: from now on the MTA is told at once that nobody is there. */
static void begin_stop(struct master *master)
{
	if (master->stopping) {
		kill_all(master);	/* asked twice */
		return;
	}
	notify_send("STOPPING=1\nSTATUS=waiting for sessions to end");
	say(master, EVENT_INFO, "stopping");
	master->stopping = true;
	master->stop_ms = now_in_ms();
	listener_remove(&master->listener);
	close(master->listener.fd);
	if (master->current != NULL)
		stop(&master->current->generation);
	if (master->starting != NULL)
		stop(&master->starting->generation);
	for (struct node *node = master->draining; node != NULL; node = node->next)
		stop(&node->generation);
}

static void prune(struct master *master)
{
	struct node **link = &master->draining, *node;

	while ((node = *link) != NULL) {
		if (generation_alive(&node->generation)) {
			link = &node->next;
			continue;
		}
		*link = node->next;
		generation_clear(&node->generation);
		free(node);
	}
	if (master->stopping && master->current != NULL && !generation_alive(&master->current->generation)) {
		generation_clear(&master->current->generation);
		free(master->current);
		master->current = NULL;
	}
}

/* The keeper of a starting generation is waited for in starting_failed. Workers come here when their keeper died. */
static void reap(struct master *master)
{
	siginfo_t info;

	for (;;) {
		memset(&info, 0, sizeof(info));
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
			break;
		if (master->starting != NULL && info.si_pid == master->starting->generation.pid)
			break;
		(void)waitpid(info.si_pid, NULL, 0);
		if (master->current == NULL || info.si_pid != master->current->generation.pid || master->stopping)
			continue;
		say(master, EVENT_ERROR, "the keeper of the configuration died; loading it anew");
		master->current->keeper_gone = true;
		master->retry_delay_ms = RETRY_MS;
		master->retry_ms = now_in_ms();
	}
	prune(master);
}

static void obey_signals(struct master *master)
{
	struct signalfd_siginfo info;

	while (read(master->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			begin_stop(master);
		if ((info.ssi_signo != SIGHUP && info.ssi_signo != SIGUSR1) || master->stopping)
			continue;
		master->asker_uid = (uid_t)info.ssi_uid;
		master->asker_pid = (pid_t)info.ssi_pid;
		begin_reload(master);
	}
	reap(master);
}

static int wait_ms(const struct master *master)
{
	int64_t now_ms = now_in_ms(), next_ms = -1;

	if (master->stopping || master->draining != NULL)
		next_ms = 200;
	if (master->retry_ms >= 0 && master->starting == NULL && (next_ms < 0 || master->retry_ms - now_ms < next_ms))
		next_ms = master->retry_ms > now_ms ? master->retry_ms - now_ms : 0;
	if (master->watchdog_ms > 0 && (next_ms < 0 || master->watchdog_due_ms - now_ms < next_ms))
		next_ms = master->watchdog_due_ms > now_ms ? master->watchdog_due_ms - now_ms : 0;
	return (int)next_ms;
}

static void obey_time(struct master *master)
{
	int64_t now_ms = now_in_ms();

	if (master->watchdog_ms > 0 && now_ms >= master->watchdog_due_ms) {
		notify_send("WATCHDOG=1");
		master->watchdog_due_ms = now_ms + master->watchdog_ms;
	}
	if (master->retry_ms >= 0 && now_ms >= master->retry_ms && master->starting == NULL && !master->stopping)
		load_anew(master);
	if (master->stopping && now_ms - master->stop_ms > STOP_MS)
		kill_all(master);
	prune(master);
}

static bool ended(const struct master *master)
{
	return master->stopping && master->current == NULL && master->starting == NULL && master->draining == NULL;
}

static void loop(struct master *master)
{
	while (!ended(master)) {
		struct pollfd wait[2] = { { .fd = master->signals, .events = POLLIN }, { .fd = -1, .events = POLLIN } };

		if (master->starting != NULL)
			wait[1].fd = master->starting->generation.ready;
		(void)poll(wait, 2, wait_ms(master));
		obey_signals(master);
		if (master->starting != NULL)
			look_at_starting(master);
		obey_time(master);
	}
}

static int prepare_signals(struct master *master, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD };
	sigset_t mask;

	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		signal(signals[i], SIG_DFL);
		sigaddset(&mask, signals[i]);
	}
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	master->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (master->signals < 0)
		return err_set(err, ERR_TEMP, "signalfd: %s", strerror(errno));
	/* Workers whose keeper died come to us, or we would not know when they have ended. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	return 0;
}

int master_run(const struct master_env *env, struct setup *setup)
{
	struct master master = { .env = env, .setup = setup, .signals = -1, .retry_ms = -1, .retry_delay_ms = RETRY_MS,
		.watchdog_ms = notify_watchdog_ms(), .listener = { .fd = -1 }, .asker_uid = getuid(),
		.asker_pid = getppid() };
	struct err err = { 0 };
	int rc = 1;

	master.metrics = metrics_new();
	if (prepare_signals(&master, &err) != 0 || callbacks_register(&err) != 0 ||
	    listener_open(&setup->socket, &setup->access, &master.listener, &err) != 0) {
		event_log(env->sink, EVENT_ERROR, "%s", err.text);
		rc = err.class == ERR_CONFIG ? GENERATION_REFUSED : 1;
		goto out;
	}
	if (start_generation(&master, setup) != 0)
		goto out;
	loop(&master);
	rc = master.status;
	if (rc == 0)
		event_log(env->sink, EVENT_INFO, "stopped");
out:
	if (master.listener.fd >= 0)
		listener_remove(&master.listener);
	if (master.signals >= 0)
		close(master.signals);
	return rc;
}
