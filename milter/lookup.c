/* lookup.c - takes questions from all connections, a thread for each, asks the directories and answers. Forked by
 * generation.c. The directories are thread-safe; what they remember is pki/directory_cache.c's. Speaks lookup_wire.h.
 */
#include "milter/lookup.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "milter/lookup_inherit.h"
#include "milter/measure.h"
#include "milter/privileges.h"

#define ARENA_BYTES ((size_t)64 << 20)	/* for one question */
#define INHERIT_MS 10000		/* for a former process to tell what it remembers */
#define INHERIT_FIRST_MS 1000		/* of which nobody is answered */
#define GIVE_MS 5000			/* for a client to take an answer */
#define LONGEST_MS (600 * 1000)		/* that a question may take, whatever it says itself */

struct service {
	const struct lookup_env *env;
	pthread_mutex_t mutex;
	pthread_cond_t ended;		/* a connection was, or inheriting */
	size_t connections;
	bool inheriting;
};

struct connection {
	struct service *service;
	int fd;
	unsigned char message[CHANNEL_BYTES + 1];
};

bool lookup_is_wanted(const struct site *site)
{
	return site->directory_count > 0;
}

static int64_t now_ms(void)
{
	return clock_monotonic_ms(&clock_system);
}

/* Answering */

static int find(const struct lookup_env *env, const struct lookup_question *question, struct arena *arena,
		struct buf *out, struct err *err)
{
	const struct directory *directory = &env->directories[question->directory];
	struct directory_answer *answers = arena_array(arena, question->n, sizeof(*answers));
	const int64_t before_ms = now_ms();

	if (answers == NULL)
		return err_memory(err);
	if (directory->class->find(directory->self, arena, question->addresses, question->n, question->deadline_ms,
				   answers, err) != 0)
		return -1;
	measure_directory(env->metrics, directory, answers, question->n, (double)(now_ms() - before_ms) / 1000);
	if (lookup_write_answers(answers, question->n, LOOKUP_ANSWER_BYTES, out) != 0)
		return err_memory(err);
	return 0;
}

/* The directory of that identity, or NULL. */
static const struct directory *identified(const struct lookup_env *env, const struct lookup_identity *identity)
{
	for (size_t i = 0; env->identities != NULL && i < env->n; i++)
		if (memcmp(&env->identities[i], identity, sizeof(*identity)) == 0)
			return &env->directories[i];
	return NULL;
}

/* What a successor wants to know: all that is remembered of a directory that is configured as his. */
static int bequeath(const struct lookup_env *env, const struct lookup_question *question, struct arena *arena,
		    struct buf *out, struct err *err)
{
	const struct directory *directory = identified(env, &question->identity);
	struct directory_remembered *items = NULL;
	size_t n = 0;

	if (directory != NULL && directory_cache_list(directory, arena, &items, &n, err) != 0)
		return -1;
	return lookup_write_remembered(items, n, LOOKUP_ANSWER_BYTES, out) == 0 ? 0 : err_memory(err);
}

static int carry_out(const struct lookup_env *env, const struct lookup_question *question, struct arena *arena,
		     struct buf *out, struct err *err)
{
	const struct directory *directory = &env->directories[question->directory];

	if (question->operation == LOOKUP_INHERIT)
		return bequeath(env, question, arena, out, err);
	if (question->operation == LOOKUP_FIND)
		return find(env, question, arena, out, err);
	if (directory->class->probe(directory->self, err) != 0)
		return -1;
	return lookup_write_outcome(NULL, out);
}

/* -1: nothing is to be answered. To a question that waited too long it is not: who asked has gone. */
static int answer_into(const struct lookup_env *env, struct slice bytes, struct arena *arena, struct buf *out)
{
	const size_t before = out->n;
	struct lookup_question question;
	struct err why = { .class = ERR_NONE };
	int rc = lookup_read_question(bytes, arena, &question, &why);

	if ((rc != 0 && why.class == ERR_BUG) || (rc == 0 && question.directory >= env->n)) {
		event_log(env->sink, EVENT_ERROR, "the lookup process was told nonsense by a worker");
		return -1;
	}
	if (rc == 0 && question.deadline_ms <= now_ms())
		return -1;
	if (rc == 0 && question.deadline_ms > now_ms() + LONGEST_MS)
		question.deadline_ms = now_ms() + LONGEST_MS;
	if (rc == 0)
		rc = carry_out(env, &question, arena, out, &why);
	if (rc == 0)
		return 0;
	out->n = before;
	return lookup_write_outcome(&why, out);
}

/* One that does not take its answer has gone. */
static int give(int fd, struct slice bytes)
{
	const int64_t end_ms = now_ms() + GIVE_MS;

	for (struct slice piece; bytes.n > 0; bytes = slice_from(bytes, piece.n)) {
		piece = slice_first(bytes, CHANNEL_BYTES);
		if (channel_give(fd, piece.p, piece.n, end_ms) != (ssize_t)piece.n)
			return -1;
	}
	return 0;
}

/* -1: the connection is over. */
static int answer(const struct connection *connection, struct slice question)
{
	struct arena *arena = arena_new(ARENA_BYTES);
	uint32_t length = 0;
	struct buf out;
	int rc = -1;

	buf_init(&out, 0);
	if (arena == NULL || buf_append(&out, &length, sizeof(length)) != 0 ||
	    answer_into(connection->service->env, question, arena, &out) != 0)
		goto out;
	length = (uint32_t)(out.n - sizeof(length));
	memcpy(out.p, &length, sizeof(length));
	rc = give(connection->fd, buf_slice(&out));
out:
	buf_clear(&out);
	arena_free(arena);
	return rc;
}

/* Connections */

static void *serve_connection(void *arg)
{
	struct connection *connection = arg;
	struct service *service = connection->service;
	ssize_t n;

	do
		n = channel_take(connection->fd, connection->message, sizeof(connection->message), now_ms() + LOOKUP_IDLE_MS);
	while (n > 0 && answer(connection, slice_make(connection->message, (size_t)n)) == 0);
	close(connection->fd);
	free(connection);
	(void)pthread_mutex_lock(&service->mutex);
	service->connections--;
	(void)pthread_cond_signal(&service->ended);
	(void)pthread_mutex_unlock(&service->mutex);
	return NULL;
}

static int start_thread(struct connection *connection)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, serve_connection, connection) != 0)
		return -1;
	(void)pthread_detach(thread);
	return 0;
}

/* One that there is no thread for is told so by its end. */
static void start_connection(struct service *service, int fd)
{
	struct connection *connection = malloc(sizeof(*connection));

	(void)pthread_mutex_lock(&service->mutex);
	service->connections++;
	(void)pthread_mutex_unlock(&service->mutex);
	if (connection != NULL) {
		connection->service = service;
		connection->fd = fd;
		if (start_thread(connection) == 0)
			return;
	}
	event_log(service->env->sink, EVENT_ERROR, "the lookup process has no room for a question");
	free(connection);
	close(fd);
	(void)pthread_mutex_lock(&service->mutex);
	service->connections--;
	(void)pthread_mutex_unlock(&service->mutex);
}

/* Waits until there are fewer connections than that. */
static void wait_for_fewer(struct service *service, size_t than)
{
	(void)pthread_mutex_lock(&service->mutex);
	while (service->connections >= than)
		(void)pthread_cond_wait(&service->ended, &service->mutex);
	(void)pthread_mutex_unlock(&service->mutex);
}

/* The former generation's process */

static void inherit_one(const struct lookup_env *env, size_t i, int64_t end_ms)
{
	const struct directory *directory = &env->directories[i];
	struct err err = { .class = ERR_NONE };
	ssize_t n = lookup_inherit(env->predecessor, &env->identities[i], directory, end_ms, &err);

	if (n < 0)
		event_log(env->sink, EVENT_WARNING, "%s: nothing is inherited: %s", directory->name, err.text);
	else if (n > 0)
		event_log(env->sink, EVENT_DEBUG, "%s: %zd answers inherited", directory->name, n);
}

static void *inherit(void *arg)
{
	struct service *service = arg;
	const struct lookup_env *env = service->env;
	const int64_t end_ms = now_ms() + INHERIT_MS;

	for (size_t i = 0; i < env->n; i++)
		inherit_one(env, i, end_ms);
	close(env->predecessor);
	(void)pthread_mutex_lock(&service->mutex);
	service->inheriting = false;
	(void)pthread_cond_broadcast(&service->ended);
	(void)pthread_mutex_unlock(&service->mutex);
	return NULL;
}

/* True: the thread has to be joined. */
static bool begin_inheriting(struct service *service, pthread_t *thread)
{
	const struct timespec until = clock_moment(&clock_system, now_ms() + INHERIT_FIRST_MS);
	int rc = 0;

	if (service->env->predecessor < 0)
		return false;
	service->inheriting = true;
	if (service->env->identities == NULL || pthread_create(thread, NULL, inherit, service) != 0) {
		close(service->env->predecessor);
		return false;
	}
	(void)pthread_mutex_lock(&service->mutex);
	while (service->inheriting && rc == 0)
		rc = pthread_cond_timedwait(&service->ended, &service->mutex, &until);
	(void)pthread_mutex_unlock(&service->mutex);
	return true;
}

static void serve(struct service *service)
{
	struct pollfd wait = { .fd = service->env->requests, .events = POLLIN };
	int fd;

	for (;;) {
		wait_for_fewer(service, LOOKUP_CONNECTIONS);
		if (poll(&wait, 1, -1) < 0)
			continue;
		fd = channel_accept(service->env->requests);
		if (fd >= 0)
			start_connection(service, fd);
		else if ((wait.revents & POLLHUP) != 0)
			break;
	}
	wait_for_fewer(service, 1);
}

int lookup_serve(const struct lookup_env *env, struct err *err)
{
	struct service service = { .env = env };
	pthread_t thread;
	bool inherits;

	if (pthread_mutex_init(&service.mutex, NULL) != 0)
		return err_memory(err);
	if (clock_condition(&service.ended) != 0) {
		(void)pthread_mutex_destroy(&service.mutex);
		return err_memory(err);
	}
	inherits = begin_inheriting(&service, &thread);
	serve(&service);
	if (inherits)
		(void)pthread_join(thread, NULL);
	(void)pthread_cond_destroy(&service.ended);
	(void)pthread_mutex_destroy(&service.mutex);
	return 0;
}

static struct lookup_identity *identify_all(const struct site *site, struct err *err)
{
	struct lookup_identity *identities = arena_array(site->arena, site->directory_count, sizeof(*identities));

	if (identities == NULL) {
		err_memory(err);
		return NULL;
	}
	for (size_t i = 0; i < site->directory_count; i++)
		if (lookup_identify(site, i, &identities[i], err) != 0)
			return NULL;
	return identities;
}

_Noreturn void lookup_run(struct site *site, const struct event_sink *sink, struct metrics *metrics, int requests,
			  int predecessor)
{
	struct lookup_env env = { .directories = site->directories, .n = site->directory_count, .sink = sink,
				  .metrics = metrics, .requests = requests, .predecessor = predecessor };
	struct err err = { .class = ERR_NONE };

	(void)prctl(PR_SET_NAME, "smime-lookup");
	process_ignore_signals();
	site_keep_directories(site);
	env.identities = identify_all(site, &err);
	if (env.identities == NULL || lookup_serve(&env, &err) != 0) {
		event_log(sink, EVENT_ERROR, "lookup process cannot start: %s", err.text);
		_exit(1);
	}
	site_free(site);
	_exit(0);
}
