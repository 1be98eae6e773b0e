/* generation.c - the keeper's life, and the master's handle on it. Called by master.c. No message here. */
#include "milter/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "milter/drivers.h"
#include "milter/fetch.h"
#include "milter/fetch_request.h"
#include "milter/lookup.h"
#include "milter/lookup_client.h"
#include "milter/measure.h"
#include "milter/metrics_http.h"
#include "milter/recorder.h"
#include "milter/recorder_client.h"
#include "milter/worker.h"

#define SHORT_LIFE_MS 2000
#define LONGEST_DELAY_MS 10000

struct keeper;

struct role {
	const char *name;
	void (*run)(struct keeper *keeper);	/* in the child; does not return */
};

struct slot {
	const struct role *role;
	pid_t pid;		/* 0: none runs */
	int64_t started_ms;
	int64_t delay_ms;	/* before the next start; grows while they die young */
	int64_t due_ms;
};

struct keeper {
	const struct generation_env *env;
	struct site *site;
	struct delivery delivery;
	int control;
	int ready;		/* the master waits at its other end */
	int signals;		/* signalfd */
	struct fetch_wanted wanted;	/* the site's, whose end workers write to */
	int requests;		/* the end that the fetch process reads */
	/* channel.h; both ends, so that the process can be replaced; -1: there is none */
	int recorder[2], lookup[2];
	int metrics;		/* listens for whoever scrapes them; -1: nobody may */
	int predecessor;	/* the clients' end of the former generation's lookup channel, until it was asked; -1 */
	struct slot *slots;
	unsigned count;
	bool draining;
};

static void report(void *self, const char *line)
{
	event_log(self, EVENT_ERROR, "%s", line);
}

static void report_warning(void *self, const char *line)
{
	event_log(self, EVENT_WARNING, "%s", line);
}

/* The keeper holds both ends, so that the fetch process can be replaced. */
static int open_requests(struct keeper *keeper, struct err *err)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return err_set(err, ERR_TEMP, "socket for requests: %s", strerror(errno));
	fetch_wanted_init(&keeper->wanted, ends[0]);
	keeper->requests = ends[1];
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_channels(struct keeper *keeper)
{
	for (int end = CHANNEL_CLIENT; end <= CHANNEL_SERVICE; end++) {
		close_fd(&keeper->recorder[end]);
		close_fd(&keeper->lookup[end]);
	}
}

/* From now on the lookup process is asked, and passwords for servers are wiped. */
static int replace_directories(const struct keeper *keeper, struct lookup_client *client, struct err *err)
{
	struct site *site = keeper->site;

	if (!lookup_is_wanted(site))
		return 0;
	if (lookup_client_open(client, keeper->lookup[CHANNEL_CLIENT], &site->clock, err) != 0)
		return -1;
	for (size_t i = 0; i < site->directory_count; i++)
		if (lookup_client_replace(client, (uint32_t)i, &site->directories[i], err) != 0)
			return -1;
	return 0;
}

static void run_worker(struct keeper *keeper)
{
	const struct worker_env env = { keeper->site, &keeper->delivery, keeper->env->sink, keeper->env->listener,
					keeper->control, keeper->recorder[CHANNEL_CLIENT], keeper->env->metrics };
	struct lookup_client lookup;
	struct err err = { .class = ERR_NONE };

	buf_clear(&keeper->site->journal_password);	/* the recorder's alone */
	close(keeper->requests);
	close_fd(&keeper->recorder[CHANNEL_SERVICE]);
	close_fd(&keeper->lookup[CHANNEL_SERVICE]);
	if (replace_directories(keeper, &lookup, &err) != 0) {
		event_log(keeper->env->sink, EVENT_ERROR, "worker cannot start: %s", err.text);
		_exit(1);
	}
	worker_run(&env);
}

/* It checks paths itself: that must not come back as a request. */
static void run_fetch(struct keeper *keeper)
{
	const struct fetch_env env = { keeper->site, keeper->env->sink, keeper->requests, keeper->control };

	close(keeper->env->listener);
	close(keeper->wanted.fd);
	close_channels(keeper);
	fetch_wanted_init(&keeper->wanted, -1);
	delivery_close(&keeper->delivery);
	fetch_run(&env);
}

/* What a service gives back: it needs no orders, since it ends when nobody is left who could ask. While the keeper
 * drains the listener is closed already. Returns its end of the channel. */
static int become_service(struct keeper *keeper, int channel[2])
{
	const int requests = channel[CHANNEL_SERVICE];

	channel[CHANNEL_SERVICE] = -1;
	close_channels(keeper);
	if (!keeper->draining)
		close(keeper->env->listener);
	close(keeper->control);
	close(keeper->requests);
	close(keeper->wanted.fd);
	fetch_wanted_init(&keeper->wanted, -1);
	delivery_close(&keeper->delivery);
	return requests;
}

static void run_recorder(struct keeper *keeper)
{
	recorder_run(keeper->site, keeper->env->sink, keeper->env->metrics, become_service(keeper, keeper->recorder));
}

static void run_lookup(struct keeper *keeper)
{
	const int requests = become_service(keeper, keeper->lookup);

	lookup_run(keeper->site, keeper->env->sink, keeper->env->metrics, requests, keeper->predecessor);
}

static void run_metrics(struct keeper *keeper)
{
	const int listener = keeper->metrics, control = keeper->control;
	const struct metrics *metrics = keeper->env->metrics;
	const struct event_sink *sink = keeper->env->sink;

	keeper->metrics = -1;
	close(keeper->env->listener);
	close(keeper->requests);
	close(keeper->wanted.fd);
	close_channels(keeper);
	delivery_close(&keeper->delivery);
	site_free(keeper->site);
	metrics_http_run(metrics, sink, listener, control);
}

static const struct role role_worker = { "worker", run_worker };
static const struct role role_fetch = { "fetch process", run_fetch };
static const struct role role_recorder = { "recorder", run_recorder };
static const struct role role_lookup = { "lookup process", run_lookup };
static const struct role role_metrics = { "metrics process", run_metrics };

/* Services first: whoever asks finds them. */
static int add_slots(struct keeper *keeper, struct err *err)
{
	if (recorder_is_wanted(keeper->site)) {
		if (channel_pair(keeper->recorder, err) != 0)
			return -1;
		keeper->slots[keeper->count++].role = &role_recorder;
	}
	if (lookup_is_wanted(keeper->site))
		keeper->slots[keeper->count++].role = &role_lookup;
	for (unsigned i = 0; i < keeper->env->setup->workers; i++)
		keeper->slots[keeper->count++].role = &role_worker;
	if (fetch_is_wanted(keeper->site))
		keeper->slots[keeper->count++].role = &role_fetch;
	if (keeper->metrics >= 0)
		keeper->slots[keeper->count++].role = &role_metrics;
	return 0;
}

static int load(struct keeper *keeper, struct err *err)
{
	void *sink = (void *)(uintptr_t)keeper->env->sink;
	const struct conf_report findings = { report, sink }, warnings = { report_warning, sink };
	const struct site_env env = { .drivers = &drivers_all, .clock = &clock_system, .sink = keeper->env->sink,
		.wanted = &keeper->wanted.wanted, .findings = &findings, .warnings = &warnings };

	if (identity_become(&keeper->env->setup->identity, err) != 0)
		return -1;
	process_harden();
	if (open_requests(keeper, err) != 0 || site_load(keeper->env->path, &env, &keeper->site, err) != 0 ||
	    setup_state(keeper->site, true, &warnings, err) != 0 || setup_audit(keeper->site, err) != 0 ||
	    setup_fetch(keeper->site, true, err) != 0 || delivery_check(keeper->site, err) != 0 ||
	    delivery_open(keeper->site, &keeper->delivery, err) != 0 ||
	    metrics_http_open(keeper->site, &keeper->metrics, err) != 0)
		return -1;
	return add_slots(keeper, err);
}

/* What holds from now on, in the audit log. Where that cannot be written, no mail is accepted either. */
static void record_start(const struct keeper *keeper)
{
	struct audit_event event = keeper->env->asked;
	struct recorder_client client = { .channel = NULL };
	struct err err = { 0 };
	struct buf line;

	if (keeper->site->settings.audit.path == NULL)
		return;
	event.at = clock_now(&clock_system);
	event.config = conf_sha256(keeper->site->conf);
	buf_init(&line, 0);
	if (recorder_client_open(&client, keeper->recorder[CHANNEL_CLIENT], RECORDER_TIMEOUT_MS, &err) != 0 ||
	    audit_event_line(&event, &line, &err) != 0 ||
	    recorder_client_audit(&client, buf_slice(&line), &err) != 0)
		event_log(keeper->env->sink, EVENT_ERROR, "%s is not in the audit log: %s", event.what, err.text);
	buf_clear(&line);
	recorder_client_close(&client);
}

static int start_child(struct keeper *keeper, struct slot *slot)
{
	slot->started_ms = clock_monotonic_ms(&clock_system);
	slot->pid = fork();
	if (slot->pid == 0) {
		close(keeper->signals);
		close(keeper->ready);	/* still open in the first ones, as is the next */
		if (slot->role != &role_lookup)
			close_fd(&keeper->predecessor);
		if (slot->role != &role_metrics)
			close_fd(&keeper->metrics);
		slot->role->run(keeper);
		_exit(1);
	}
	if (slot->pid > 0)
		return 0;
	slot->pid = 0;
	slot->due_ms = slot->started_ms + LONGEST_DELAY_MS;
	return -1;
}

static unsigned count_workers(const struct keeper *keeper)
{
	unsigned n = 0;

	for (unsigned i = 0; i < keeper->count; i++)
		n += keeper->slots[i].role == &role_worker && keeper->slots[i].pid != 0;
	return n;
}

static bool is_service(const struct slot *slot)
{
	return slot->role == &role_recorder || slot->role == &role_lookup;
}

/* Is it to be started? While a generation drains only services are, for its last sessions. */
static bool is_missing(const struct keeper *keeper, const struct slot *slot)
{
	if (slot->pid != 0)
		return false;
	return !keeper->draining || (is_service(slot) && count_workers(keeper) > 0);
}

static void start_due(struct keeper *keeper)
{
	int64_t now_ms = clock_monotonic_ms(&clock_system);

	for (unsigned i = 0; i < keeper->count; i++)
		if (is_missing(keeper, &keeper->slots[i]) && keeper->slots[i].due_ms <= now_ms &&
		    start_child(keeper, &keeper->slots[i]) != 0)
			event_log(keeper->env->sink, EVENT_ERROR, "cannot fork a %s: %s", keeper->slots[i].role->name,
				  strerror(errno));
}

/* One that dies at once would die again at once: wait longer each time. */
static void bury(struct keeper *keeper, struct slot *slot, int status)
{
	int64_t now_ms = clock_monotonic_ms(&clock_system);
	pid_t pid;

	if (now_ms - slot->started_ms >= SHORT_LIFE_MS)
		slot->delay_ms = 0;
	else
		slot->delay_ms = slot->delay_ms == 0 ? 100 : slot->delay_ms * 2;
	if (slot->delay_ms > LONGEST_DELAY_MS)
		slot->delay_ms = LONGEST_DELAY_MS;
	slot->due_ms = now_ms + slot->delay_ms;
	pid = slot->pid;
	slot->pid = 0;
	metrics_process_ended(keeper->env->metrics, pid);
	if (is_missing(keeper, slot))
		event_log(keeper->env->sink, EVENT_ERROR, "%s %ld %s %d, replaced in %lld ms", slot->role->name, (long)pid,
			  WIFSIGNALED(status) ? "killed by signal" : "ended with status",
			  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), (long long)slot->delay_ms);
}

/* Returns how many children are left. */
static unsigned reap(struct keeper *keeper)
{
	unsigned left = 0, i;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < keeper->count; i++)
			if (keeper->slots[i].pid == pid)
				bury(keeper, &keeper->slots[i], status);
	for (i = 0; i < keeper->count; i++)
		left += keeper->slots[i].pid != 0;
	return left;
}

static int next_due_ms(const struct keeper *keeper)
{
	int64_t now_ms = clock_monotonic_ms(&clock_system), next_ms = -1;

	for (unsigned i = 0; i < keeper->count; i++) {
		int64_t wait_ms = keeper->slots[i].due_ms - now_ms;

		if (!is_missing(keeper, &keeper->slots[i]))
			continue;
		wait_ms = wait_ms < 1 ? 1 : wait_ms;
		next_ms = next_ms < 0 || wait_ms < next_ms ? wait_ms : next_ms;
	}
	return (int)next_ms;
}

static void keep(struct keeper *keeper)
{
	struct pollfd wait[2] = { { .fd = keeper->signals, .events = POLLIN },
		{ .fd = keeper->control, .events = POLLIN } };
	struct signalfd_siginfo info;
	unsigned left = keeper->count;

	while (left > 0 || !keeper->draining) {
		(void)poll(wait, keeper->draining ? 1 : 2, next_due_ms(keeper));
		while (read(keeper->signals, &info, sizeof(info)) > 0)
			continue;
		if (!keeper->draining && control_order(keeper->control) != CONTROL_SERVE) {
			keeper->draining = true;
			close(keeper->env->listener);
		}
		left = reap(keeper);
		start_due(keeper);
		if (keeper->draining && count_workers(keeper) == 0)
			close_channels(keeper);
	}
}

static int prepare_signals(struct err *err)
{
	sigset_t mask;
	int fd;

	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd >= 0 ? fd : err_set(err, ERR_TEMP, "signalfd: %s", strerror(errno));
}

/* The terminal is needed until the findings are out; workers must not keep it open. */
static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0)
		return;
	for (int fd = 0; fd <= 2; fd++)
		(void)dup2(null, fd);
	if (null > 2)
		close(null);
}

static _Noreturn void keeper_run(const struct generation_env *env, int control, int ready, const int lookup[2])
{
	struct keeper keeper = { .env = env, .control = control, .ready = ready, .requests = -1,
				 .recorder = { -1, -1 }, .lookup = { lookup[0], lookup[1] }, .metrics = -1,
				 .predecessor = -1 };
	struct err err = { 0 };

	(void)setpgid(0, 0);
	if (env->predecessor >= 0)
		keeper.predecessor = fcntl(env->predecessor, F_DUPFD_CLOEXEC, 0);
	env->forget(env->forget_self);
	keeper.signals = prepare_signals(&err);
	keeper.slots = calloc((size_t)env->setup->workers + 4, sizeof(*keeper.slots));	/* and the services */
	if (keeper.signals < 0 || keeper.slots == NULL)
		_exit(1);
	if (load(&keeper, &err) != 0) {
		event_log(env->sink, EVENT_ERROR, "configuration refused: %s", err.text);
		_exit(GENERATION_REFUSED);
	}
	if (!env->foreground)
		leave_terminal();
	start_due(&keeper);
	close_fd(&keeper.predecessor);
	measure_site(env->metrics, keeper.site);
	record_start(&keeper);
	(void)!write(ready, "R", 1);
	close(ready);
	keeper.ready = -1;
	keep(&keeper);
	delivery_close(&keeper.delivery);
	site_free(keeper.site);
	_exit(0);
}

int generation_start(const struct generation_env *env, struct generation *generation, struct err *err)
{
	int control[2] = { -1, -1 }, ready[2] = { -1, -1 }, lookup[2] = { -1, -1 };

	if (control_open(control, err) != 0)
		return -1;
	if (channel_pair(lookup, err) != 0)
		goto fail;
	if (pipe2(ready, O_CLOEXEC) != 0) {
		err_set(err, ERR_TEMP, "pipe: %s", strerror(errno));
		goto fail;
	}
	generation->pid = fork();
	if (generation->pid == 0) {
		close(control[0]);
		close(ready[0]);
		keeper_run(env, control[1], ready[1], lookup);
	}
	if (generation->pid < 0) {
		err_set(err, ERR_TEMP, "fork: %s", strerror(errno));
		goto fail;
	}
	(void)setpgid(generation->pid, generation->pid);
	close(control[1]);
	close(ready[1]);
	close(lookup[CHANNEL_SERVICE]);
	generation->control = control[0];
	generation->ready = ready[0];
	generation->lookup = lookup[CHANNEL_CLIENT];
	return 0;
fail:
	for (int i = 0; i < 2; i++) {
		close_fd(&control[i]);
		close_fd(&ready[i]);
		close_fd(&lookup[i]);
	}
	return -1;
}

int generation_ready(struct generation *generation)
{
	struct pollfd wait = { .fd = generation->ready, .events = POLLIN };
	char byte;
	ssize_t n;

	if (poll(&wait, 1, 0) <= 0)
		return -1;
	n = read(generation->ready, &byte, 1);
	if (n < 0)
		return -1;
	close(generation->ready);
	generation->ready = -1;
	return n > 0;
}

bool generation_alive(const struct generation *generation)
{
	return kill(-generation->pid, 0) == 0 || errno != ESRCH;
}

void generation_kill(const struct generation *generation)
{
	(void)kill(-generation->pid, SIGKILL);
}

void generation_release(struct generation *generation)
{
	close_fd(&generation->lookup);
}

void generation_clear(struct generation *generation)
{
	close_fd(&generation->control);
	close_fd(&generation->ready);
	close_fd(&generation->lookup);
}
