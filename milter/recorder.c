/* recorder.c - takes questions from all connections, brings them to disk together, and answers. Forked by generation.c; one
 * thread. Speaks recorder_wire.h. */
#include "milter/recorder.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "milter/audit_file.h"
#include "milter/drivers.h"
#include "milter/fault.h"
#include "milter/harvester.h"
#include "milter/kept_evidence.h"
#include "milter/recorder_wire.h"
#include "policy/policy.h"

#define CONNECTIONS 1024	/* at most; further ones are turned away */
#define BATCH 32		/* questions that share a commit, at most */
#define REOPEN_MS 1000		/* between attempts to open what could not be opened */
#define LEASE_MARGIN_S 120	/* beyond limits.deadline_s: retries at the listener, the disk */

struct connection {
	int fd;
	int64_t *attempts;	/* begun here and not ended */
	size_t count, capacity;
};

struct question {
	struct connection *from;
	unsigned char bytes[CHANNEL_BYTES + 1];
	size_t n;
	struct recorder_request head;
	const struct journal_id *ids;	/* not aligned for anything but bytes */
	const char *text;
	struct recorder_answer answer;
	bool done[JOURNAL_RECIPIENTS];
	struct err err;		/* class ERR_NONE: it went well */
};

struct recorder {
	struct recorder_env env;
	struct journal journal;
	struct audit_file *audit;
	int64_t journal_due_ms, audit_due_ms;	/* when to try to open again */
	struct err journal_err, audit_err;	/* why it is not open */
	struct harvester harvester;
	struct connection connections[CONNECTIONS];
	size_t connection_count;
	size_t first;				/* whose question is taken first: everybody's turn comes */
	bool alone;				/* nobody can connect any more */
	struct pollfd wait[CONNECTIONS + 1];
	struct question questions[BATCH];
	size_t question_count;
	struct buf lines;
};

static bool wants_journal(const struct site *site)
{
	return site->settings.reinject.to != NULL || policy_asks_what_is_answered(site->rules, site->rule_count);
}

bool recorder_is_wanted(const struct site *site)
{
	return site->settings.audit.path != NULL || wants_journal(site) || policy_harvests(site->rules, site->rule_count);
}

/* Opening */

static bool is_due(int64_t due_ms)
{
	return clock_monotonic_ms(&clock_system) >= due_ms;
}

/* When an attempt has ended: one that waited in vain shall not be all that the recorder does. */
static int64_t next_due_ms(void)
{
	return clock_monotonic_ms(&clock_system) + REOPEN_MS;
}

static bool is_shared(const struct recorder *recorder)
{
	return recorder->env.journal_url != NULL && recorder->env.journal_url[0] != '\0';
}

static int open_journal(struct recorder *recorder, struct err *err)
{
	const struct journal_env env = { .state_dir = recorder->env.state_dir, .lease_s = recorder->env.lease_s,
					 .clock = &clock_system, .url = recorder->env.journal_url,
					 .password = recorder->env.journal_password };
	bool made = false;

	if (recorder->journal.class != NULL)
		return 0;
	if (is_due(recorder->journal_due_ms)) {
		if (drivers_journal_open(&env, &recorder->journal, &made, &recorder->journal_err) != 0)
			event_log(recorder->env.sink, EVENT_ERROR, "%s", recorder->journal_err.text);
		else if (made)
			event_log(recorder->env.sink, EVENT_WARNING, "a new journal was made in %s: none was there",
				  is_shared(recorder) ? env.url : recorder->env.state_dir);
		recorder->journal_due_ms = next_due_ms();
	}
	if (recorder->journal.class == NULL)
		*err = recorder->journal_err;
	return recorder->journal.class != NULL ? 0 : -1;
}

static int open_audit(struct recorder *recorder, struct err *err)
{
	const struct audit_file_env env = { recorder->env.audit_path, recorder->env.state_dir, recorder->env.audit_chain,
					    recorder->env.sink };

	if (recorder->audit != NULL)
		return 0;
	if (env.path == NULL)
		return err_set(err, ERR_BUG, "there is no audit log");
	if (is_due(recorder->audit_due_ms)) {
		recorder->audit = audit_file_open(&env, &recorder->audit_err);
		recorder->audit_due_ms = next_due_ms();
		if (recorder->audit == NULL)
			event_log(recorder->env.sink, EVENT_ERROR, "%s", recorder->audit_err.text);
	}
	if (recorder->audit == NULL)
		*err = recorder->audit_err;
	return recorder->audit != NULL ? 0 : -1;
}

/* Attempts of connections */

static void remember_attempt(struct connection *connection, int64_t number)
{
	int64_t *grown = NULL;

	if (connection->count == connection->capacity) {
		grown = realloc(connection->attempts, (connection->capacity * 2 + 4) * sizeof(*grown));
		if (grown == NULL)
			return;		/* its lease will end it */
		connection->attempts = grown;
		connection->capacity = connection->capacity * 2 + 4;
	}
	connection->attempts[connection->count++] = number;
}

/* A thread may end on one connection what it began on another. */
static void forget_attempt(struct recorder *recorder, int64_t number)
{
	struct connection *connection = NULL;

	for (size_t i = 0; i < recorder->connection_count; i++) {
		connection = &recorder->connections[i];
		for (size_t j = 0; j < connection->count; j++)
			if (connection->attempts[j] == number)
				connection->attempts[j] = connection->attempts[--connection->count];
	}
}

static void end_attempts(struct recorder *recorder, const struct connection *connection)
{
	struct err err;

	if (connection->count == 0 || recorder->journal.class == NULL)
		return;
	for (size_t i = 0; i < connection->count; i++)
		if (recorder->journal.class->end(recorder->journal.self, connection->attempts[i], false, &err) != 0)
			event_log(recorder->env.sink, EVENT_ERROR, "an attempt whose worker died: %s", err.text);
}

static void drop(struct recorder *recorder, struct connection *connection)
{
	end_attempts(recorder, connection);
	close(connection->fd);
	free(connection->attempts);
	*connection = (struct connection){ .fd = -1 };
}

static void remove_dropped(struct recorder *recorder)
{
	size_t n = 0;

	for (size_t i = 0; i < recorder->connection_count; i++)
		if (recorder->connections[i].fd >= 0)
			recorder->connections[n++] = recorder->connections[i];
	recorder->connection_count = n;
}

/* Questions */

static bool is_valid(const struct recorder_request *head)
{
	switch (head->operation) {
	case RECORDER_LOOK:
	case RECORDER_BEGIN:
	case RECORDER_REMEMBER:
	case RECORDER_RECALL:
		return head->text_bytes == 0;
	case RECORDER_KEEP:
		return head->text_bytes < JOURNAL_QUEUE_ID_BYTES;
	case RECORDER_END:
		return head->count == 0 && head->text_bytes == 0;
	case RECORDER_SEEN:
		return head->count == 1 && head->text_bytes == 0;
	case RECORDER_AUDIT:
	case RECORDER_HARVEST:
		return head->count == 0 && head->text_bytes > 0;
	case RECORDER_EVIDENCE_HAS:
		return head->count == 0 && head->text_bytes % CRYPT_SHA256_BYTES == 0 &&
		       head->text_bytes <= RECORDER_DIGESTS * CRYPT_SHA256_BYTES;
	case RECORDER_EVIDENCE_PUT:
		return head->count == 0 && head->text_bytes >= RECORDER_UPLOAD_BYTES;
	default:
		return false;
	}
}

/* False: not what a worker of ours says. */
static bool read_question(struct question *question)
{
	struct recorder_request *head = &question->head;

	if (question->n < sizeof(*head) || question->n > CHANNEL_BYTES)
		return false;
	memcpy(head, question->bytes, sizeof(*head));
	if (!is_valid(head) || head->count > JOURNAL_RECIPIENTS || head->text_bytes > CHANNEL_BYTES ||
	    question->n != sizeof(*head) + head->count * sizeof(struct journal_id) + head->text_bytes)
		return false;
	question->ids = (const struct journal_id *)(question->bytes + sizeof(*head));
	question->text = (const char *)(question->ids + head->count);
	question->bytes[question->n] = '\0';
	question->answer = (struct recorder_answer){ 0 };
	question->err = (struct err){ ERR_NONE, "" };
	return true;
}

/* False: the connection is over. */
static bool take_question(struct recorder *recorder, struct connection *connection)
{
	struct question *question = &recorder->questions[recorder->question_count];
	ssize_t n = recv(connection->fd, question->bytes, CHANNEL_BYTES, MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	question->n = (size_t)n;
	question->from = connection;
	if (!read_question(question)) {
		event_log(recorder->env.sink, EVENT_ERROR, "the recorder was told nonsense by a worker");
		return false;
	}
	recorder->question_count++;
	return true;
}

static void ask_journal(const struct journal *journal, struct question *question)
{
	const struct recorder_request *head = &question->head;
	struct recorder_answer *answer = &question->answer;
	struct err *err = &question->err;
	bool known = false;
	int rc = 0;

	if (head->operation == RECORDER_LOOK)
		rc = journal->class->look(journal->self, question->ids, head->count, question->done, err);
	else if (head->operation == RECORDER_BEGIN)
		rc = journal->class->begin(journal->self, question->ids, head->count, question->done, &answer->number, err);
	else if (head->operation == RECORDER_KEEP)
		rc = journal->class->keep(journal->self, head->number, question->ids, head->count, question->text, err);
	else if (head->operation == RECORDER_END)
		rc = journal->class->end(journal->self, head->number, head->forget != 0, err);
	else if (head->operation == RECORDER_REMEMBER)
		rc = journal->class->remember(journal->self, question->ids, head->count, err);
	else if (head->operation == RECORDER_RECALL)
		rc = journal->class->recall(journal->self, question->ids, head->count, &known, err);
	else
		rc = journal->class->seen(journal->self, question->ids, (time_t)head->number, &known, err);
	if (head->operation == RECORDER_SEEN || head->operation == RECORDER_RECALL)
		answer->number = known;
	if (rc != 0 && err->class == ERR_NONE)
		err->class = ERR_BUG;
}

enum shelf { SHELF_JOURNAL, SHELF_AUDIT, SHELF_EVIDENCE, SHELF_HARVEST };	/* where it belongs */

static enum shelf shelf_of(const struct question *question)
{
	switch (question->head.operation) {
	case RECORDER_AUDIT:
		return SHELF_AUDIT;
	case RECORDER_EVIDENCE_HAS:
	case RECORDER_EVIDENCE_PUT:
		return SHELF_EVIDENCE;
	case RECORDER_HARVEST:
		return SHELF_HARVEST;
	default:
		return SHELF_JOURNAL;
	}
}

/* The same failure for all that the journal was asked, or all that was for the log. */
static void fail_all(struct recorder *recorder, enum shelf shelf, const struct err *err)
{
	for (size_t i = 0; i < recorder->question_count; i++)
		if (shelf_of(&recorder->questions[i]) == shelf)
			recorder->questions[i].err = *err;
}

/* Attempts are noted when they are on disk, and forgotten when they are not any more. */
static void note_attempts(struct recorder *recorder)
{
	for (size_t i = 0; i < recorder->question_count; i++) {
		const struct question *question = &recorder->questions[i];

		if (question->err.class != ERR_NONE)
			continue;
		if (question->head.operation == RECORDER_BEGIN)
			remember_attempt(question->from, question->answer.number);
		if (question->head.operation == RECORDER_END)
			forget_attempt(recorder, question->head.number);
	}
}

/* One that was removed, or whose server went, is opened again at once where that is due. */
static int start_journal(struct recorder *recorder, struct err *err)
{
	const struct journal *journal = &recorder->journal;
	const bool was_open = journal->class != NULL;

	if (open_journal(recorder, err) != 0)
		return -1;
	if (journal->class->start(journal->self, err) == 0)
		return 0;
	recorder->journal_err = *err;	/* until it can be opened again */
	journal_close(&recorder->journal);
	if (!was_open || !is_shared(recorder) || open_journal(recorder, err) != 0)
		return -1;
	return journal->class->start(journal->self, err);
}

static void do_journal(struct recorder *recorder)
{
	const struct journal *journal = &recorder->journal;
	struct err err = { 0 };

	if (start_journal(recorder, &err) != 0) {
		fail_all(recorder, SHELF_JOURNAL, &err);
		return;
	}
	for (size_t i = 0; i < recorder->question_count; i++)
		if (shelf_of(&recorder->questions[i]) == SHELF_JOURNAL)
			ask_journal(journal, &recorder->questions[i]);
	fault_point("recorder-commit");
	if (journal->class->commit(journal->self, &err) != 0)
		fail_all(recorder, SHELF_JOURNAL, &err);
	note_attempts(recorder);
}

static bool lines_are_good(struct slice lines)
{
	long end;

	while (lines.n > 0) {
		end = slice_find(lines, '\n');
		if (end < 0 || !audit_line_check(slice_first(lines, (size_t)end)))
			return false;
		lines = slice_from(lines, (size_t)end + 1);
	}
	return true;
}

static void do_audit(struct recorder *recorder)
{
	struct err err = { 0 };

	buf_reset(&recorder->lines);
	for (size_t i = 0; i < recorder->question_count; i++) {
		struct question *question = &recorder->questions[i];
		const struct slice lines = slice_make(question->text, question->head.text_bytes);

		if (shelf_of(question) != SHELF_AUDIT)
			continue;
		if (!lines_are_good(lines))
			err_set(&question->err, ERR_BUG, "not an audit line");
		else if (buf_append_slice(&recorder->lines, lines) != 0)
			err_memory(&question->err);
	}
	if (open_audit(recorder, &err) != 0 ||
	    audit_file_append(recorder->audit, buf_slice(&recorder->lines), &err) != 0)
		fail_all(recorder, SHELF_AUDIT, &err);
}

static void do_evidence(const struct recorder *recorder, struct question *question)
{
	const unsigned char *text = (const unsigned char *)question->text;
	const size_t n = question->head.text_bytes;
	const struct kept_evidence_part part = {
		.sha256 = text, .upload = text + CRYPT_SHA256_BYTES, .offset = (uint64_t)question->head.number,
		.last = question->head.forget != 0,
		.bytes = slice_from(slice_make(question->text, n), RECORDER_UPLOAD_BYTES),
	};

	if (question->head.operation == RECORDER_EVIDENCE_PUT)
		(void)kept_evidence_put(recorder->env.state_dir, &part, &question->err);
	else
		for (size_t i = 0; i < n / CRYPT_SHA256_BYTES; i++)
			question->done[i] = kept_evidence_has(recorder->env.state_dir, text + i * CRYPT_SHA256_BYTES);
}

static void do_harvest(struct recorder *recorder, struct question *question)
{
	(void)harvester_learn(&recorder->harvester, slice_make(question->text, question->head.text_bytes), &question->err);
}

/* How many flags the answer has. */
static size_t flag_count(const struct question *question)
{
	switch (question->head.operation) {
	case RECORDER_LOOK:
	case RECORDER_BEGIN:
		return question->head.count;
	case RECORDER_EVIDENCE_HAS:
		return question->head.text_bytes / CRYPT_SHA256_BYTES;
	default:
		return 0;
	}
}

/* One that does not take its answer has gone, or asks twice before it listens. */
static void answer(struct recorder *recorder, struct question *question)
{
	unsigned char bytes[RECORDER_ANSWER_BYTES];
	size_t n = sizeof(question->answer), more = 0;

	question->answer.failed = question->err.class != ERR_NONE;
	question->answer.class = question->err.class;
	memcpy(bytes, &question->answer, n);
	if (question->answer.failed) {
		more = strlen(question->err.text);
		memcpy(bytes + n, question->err.text, more);
	} else {
		for (; more < flag_count(question); more++)
			bytes[n + more] = question->done[more];
	}
	if (send(question->from->fd, bytes, n + more, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)(n + more))
		drop(recorder, question->from);
}

static void do_questions(struct recorder *recorder)
{
	bool audit = false, journal = false;

	for (size_t i = 0; i < recorder->question_count; i++) {
		enum shelf shelf = shelf_of(&recorder->questions[i]);

		audit |= shelf == SHELF_AUDIT;
		journal |= shelf == SHELF_JOURNAL;
		if (shelf == SHELF_EVIDENCE)
			do_evidence(recorder, &recorder->questions[i]);
		if (shelf == SHELF_HARVEST)
			do_harvest(recorder, &recorder->questions[i]);
	}
	if (journal)
		do_journal(recorder);
	if (audit)
		do_audit(recorder);
	if (recorder->question_count > 0)
		fault_point("recorder-answer");
	for (size_t i = 0; i < recorder->question_count; i++)
		answer(recorder, &recorder->questions[i]);
	recorder->question_count = 0;
}

/* The process */

static void accept_all(struct recorder *recorder)
{
	int fd;

	while ((fd = channel_accept(recorder->env.requests)) >= 0) {
		if (recorder->connection_count < CONNECTIONS)
			recorder->connections[recorder->connection_count++] = (struct connection){ .fd = fd };
		else
			close(fd);
	}
}

static void take_questions(struct recorder *recorder, size_t n)
{
	size_t i, taken = 0;

	for (; taken < n && recorder->question_count < BATCH; taken++) {
		i = (recorder->first + taken) % n;
		if (recorder->wait[i].revents != 0 && !take_question(recorder, &recorder->connections[i]))
			drop(recorder, &recorder->connections[i]);
	}
	recorder->first += taken;
}

/* Waits for what comes, and takes it. */
static void gather(struct recorder *recorder)
{
	const size_t n = recorder->connection_count;

	recorder->wait[n] = (struct pollfd){ .fd = recorder->alone ? -1 : recorder->env.requests, .events = POLLIN };
	for (size_t i = 0; i < n; i++)
		recorder->wait[i] = (struct pollfd){ .fd = recorder->connections[i].fd, .events = POLLIN };
	if (poll(recorder->wait, (nfds_t)n + 1, -1) < 0)
		return;
	if ((recorder->wait[n].revents & POLLIN) != 0)
		accept_all(recorder);
	recorder->alone |= (recorder->wait[n].revents & POLLHUP) != 0;
	take_questions(recorder, n);
}

static struct recorder *recorder_new(const struct recorder_env *env)
{
	struct recorder *recorder = calloc(1, sizeof(*recorder));

	if (recorder == NULL)
		return NULL;
	recorder->env = *env;
	harvester_init(&recorder->harvester, env->state_dir, env->sink, env->metrics);
	buf_init(&recorder->lines, 0);
	return recorder;
}

static void recorder_free(struct recorder *recorder)
{
	journal_close(&recorder->journal);
	audit_file_close(recorder->audit);
	harvester_close(&recorder->harvester);
	buf_clear(&recorder->lines);
	free(recorder);
}

void recorder_serve(const struct recorder_env *env)
{
	struct recorder *recorder = recorder_new(env);
	struct err err;

	if (recorder == NULL)
		return;
	signal(SIGXFSZ, SIG_IGN);	/* a file that may grow no more is a full disk */
	signal(SIGPIPE, SIG_IGN);	/* a journal's server that goes */
	/* What is wrong is in the log before the first mail. */
	if (env->journal)
		(void)open_journal(recorder, &err);
	if (env->audit_path != NULL) {
		(void)open_audit(recorder, &err);
		kept_evidence_tidy(env->state_dir);
	}
	if (env->harvest)
		(void)harvester_open(&recorder->harvester, &err);
	while (!recorder->alone || recorder->connection_count > 0) {
		gather(recorder);
		do_questions(recorder);
		remove_dropped(recorder);
	}
	recorder_free(recorder);
}

_Noreturn void recorder_run(struct site *site, const struct event_sink *sink, struct metrics *metrics, int requests)
{
	const struct settings *settings = &site->settings;
	char *state_dir = strdup(settings->state_dir);
	char *audit_path = settings->audit.path != NULL ? strdup(settings->audit.path) : NULL;
	char *url = settings->journal != NULL ? strdup(settings->journal) : NULL;
	struct buf password = site->journal_password;
	const struct recorder_env env = { .state_dir = state_dir, .audit_path = audit_path,
		.audit_chain = settings->audit.chain, .journal = wants_journal(site),
		.harvest = policy_harvests(site->rules, site->rule_count),
		.journal_url = url, .journal_password = buf_slice(&password),
		.lease_s = settings->limits.deadline_s + LEASE_MARGIN_S, .sink = sink, .metrics = metrics,
		.requests = requests };

	(void)prctl(PR_SET_NAME, "smime-recorder");
	if (state_dir == NULL || (audit_path == NULL && settings->audit.path != NULL) ||
	    (url == NULL && settings->journal != NULL))
		_exit(1);
	buf_init(&site->journal_password, 0);	/* it is ours now */
	site_free(site);
	recorder_serve(&env);
	free(state_dir);
	free(audit_path);
	free(url);
	buf_clear(&password);
	_exit(0);
}
