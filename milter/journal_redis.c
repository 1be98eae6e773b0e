/* journal_redis.c - the journal on a Redis server that several gateways share, the only file that knows hiredis. Called by
 * drivers.c for the recorder, and by the tests; whoever calls ignores SIGPIPE.
 *
 * Each operation is one script, which the server runs whole and alone. Leases are in the callers' time: gateways that share a
 * journal need clocks that agree to within half a lease. Keys, all below PREFIX, whose life the server ends by itself:
 *     version           says that a journal is there; a server that lost its memory has none
 *     number            of the last attempt
 *     lease:NUMBER      until when that attempt holds its recipients
 *     held:NUMBER       the ids that it took
 *     copy:ID           holder (an attempt), kept, queue_id
 *     seen:ID           until when
 *     mails             of each Message-ID that is remembered: until when
 */
#include "milter/journal.h"

#include <hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define PREFIX "smime-milter:journal:"
#define FORMAT "1"
#define PORT 6379
#define WAIT_S 2		/* for a connection, and for each answer */
#define NUMBER_SIZE 24
#define FIXED_ARGUMENTS 8	/* besides ids, at most */

/* Which of the ids from ARGV[from] on are done; busy: somebody holds one. */
#define LOOK(from) \
	"local p, now, done = KEYS[1], tonumber(ARGV[1]), {}\n" \
	"for i = " from ", #ARGV do\n" \
	"  local copy = redis.call('HMGET', p .. 'copy:' .. ARGV[i], 'holder', 'kept')\n" \
	"  local lease = copy[1] and redis.call('GET', p .. 'lease:' .. copy[1])\n" \
	"  if lease and tonumber(lease) > now then return {'busy', ''} end\n" \
	"  done[#done + 1] = copy[2] and '1' or '0'\n" \
	"end\n"

static const char look_script[] = LOOK("2") "return {'0', table.concat(done)}\n";

/* A number is never used twice, even by a server that lost its memory: it is the server's time, in microseconds, where that
 * is ahead of the last. */
static const char begin_script[] =
	LOOK("4")
	"local last = tonumber(redis.call('GET', p .. 'number') or '0')\n"
	"local time = redis.call('TIME')\n"
	"local number = string.format('%.0f', math.max(last + 1, time[1] * 1000000 + time[2]))\n"
	"redis.call('SET', p .. 'number', number)\n"
	"redis.call('SET', p .. 'lease:' .. number, string.format('%.0f', now + ARGV[2]), 'EX', ARGV[3])\n"
	"for i = 4, #ARGV do\n"
	"  redis.call('HSET', p .. 'copy:' .. ARGV[i], 'holder', number)\n"
	"  redis.call('EXPIRE', p .. 'copy:' .. ARGV[i], ARGV[3])\n"
	"  redis.call('SADD', p .. 'held:' .. number, ARGV[i])\n"
	"end\n"
	"redis.call('EXPIRE', p .. 'held:' .. number, ARGV[3])\n"
	"return {number, table.concat(done)}\n";

/* What the listener has accepted is kept, whoever holds the recipient by now. */
static const char keep_script[] =
	"local p, number, lost = KEYS[1], ARGV[4], '0'\n"
	"if redis.call('EXISTS', p .. 'lease:' .. number) == 0 then lost = '1'\n"
	"else redis.call('SET', p .. 'lease:' .. number, string.format('%.0f', ARGV[1] + ARGV[2]), 'EX', ARGV[3]) end\n"
	"for i = 6, #ARGV do\n"
	"  local copy = p .. 'copy:' .. ARGV[i]\n"
	"  if redis.call('EXISTS', copy) == 0 then\n"
	"    redis.call('HSET', copy, 'holder', number)\n"
	"    redis.call('SADD', p .. 'held:' .. number, ARGV[i])\n"
	"  elseif redis.call('HGET', copy, 'holder') ~= number then lost = '1' end\n"
	"  redis.call('HSET', copy, 'kept', '1', 'queue_id', ARGV[5])\n"
	"  redis.call('EXPIRE', copy, ARGV[3])\n"
	"end\n"
	"redis.call('EXPIRE', p .. 'held:' .. number, ARGV[3])\n"
	"return {lost}\n";

static const char end_script[] =
	"local p, number = KEYS[1], ARGV[1]\n"
	"for _, id in ipairs(redis.call('SMEMBERS', p .. 'held:' .. number)) do\n"
	"  local copy = redis.call('HMGET', p .. 'copy:' .. id, 'holder', 'kept')\n"
	"  if copy[1] == number then\n"
	"    if ARGV[2] == '1' or not copy[2] then redis.call('DEL', p .. 'copy:' .. id)\n"
	"    else redis.call('HDEL', p .. 'copy:' .. id, 'holder') end\n"
	"  end\n"
	"end\n"
	"redis.call('DEL', p .. 'held:' .. number, p .. 'lease:' .. number)\n"
	"return {'0'}\n";

static const char seen_script[] =
	"local key, now, expires = KEYS[1] .. 'seen:' .. ARGV[3], tonumber(ARGV[1]), tonumber(ARGV[2])\n"
	"local was = redis.call('GET', key)\n"
	"if was and tonumber(was) > now then return {'1'} end\n"
	"redis.call('SET', key, ARGV[2], 'EX', string.format('%.0f', math.max(1, expires - now)))\n"
	"return {'0'}\n";

/* A list in the order of their ends: the ones that go first are easily found, few at a time. */
static const char remember_script[] =
	"local mails, now, life, most = KEYS[1] .. 'mails', tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])\n"
	"for i = 4, #ARGV do redis.call('ZADD', mails, string.format('%.0f', now + life), ARGV[i]) end\n"
	"local old = redis.call('ZRANGEBYSCORE', mails, '-inf', string.format('%.0f', now), 'LIMIT', '0', '64')\n"
	"for _, id in ipairs(old) do redis.call('ZREM', mails, id) end\n"
	"local many = redis.call('ZCARD', mails) - most\n"
	"if many > 0 then redis.call('ZREMRANGEBYRANK', mails, '0', string.format('%.0f', many - 1)) end\n"
	"redis.call('EXPIRE', mails, ARGV[2])\n"
	"return {'0'}\n";

static const char recall_script[] =
	"local mails, now = KEYS[1] .. 'mails', tonumber(ARGV[1])\n"
	"for i = 2, #ARGV do\n"
	"  local expires = redis.call('ZSCORE', mails, ARGV[i])\n"
	"  if expires and tonumber(expires) > now then return {'1'} end\n"
	"end\n"
	"return {'0'}\n";

struct target {				/* what a URL says */
	char user[128], host[256];
	char path[108];			/* of a socket; "": host and port */
	int port, database;
};

struct driver {
	struct journal_env env;
	struct target target;
	redisContext *context;
};

struct command {
	const char **argv;
	size_t *lengths;
	int count;
};

/* The URL */

static int read_number(const char *text, long max, int *out)
{
	char *end = NULL;
	long number = strtol(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || number > max)
		return -1;
	*out = (int)number;
	return 0;
}

static int copy_part(char *out, size_t size, const char *from, size_t n)
{
	if (n == 0 || n >= size)
		return -1;
	memcpy(out, from, n);
	out[n] = '\0';
	return 0;
}

/* PATH[?db=N] */
static const char *read_socket(const char *text, struct target *target)
{
	const char *query = strchr(text, '?');
	size_t n = query != NULL ? (size_t)(query - text) : strlen(text);

	if (text[0] != '/' || copy_part(target->path, sizeof(target->path), text, n) != 0)
		return "redis+unix:// wants the path of a socket, of at most 107 bytes";
	if (query != NULL && (strncmp(query, "?db=", 4) != 0 || read_number(query + 4, 65535, &target->database) != 0))
		return "behind the socket's path only ?db=NUMBER may stand";
	return NULL;
}

/* HOST[:PORT] or [ADDRESS][:PORT], n bytes. */
static const char *read_host(const char *text, size_t n, struct target *target)
{
	char digits[8] = "";
	const char *close = text[0] == '[' ? memchr(text, ']', n) : NULL;
	const char *after = close != NULL ? close + 1 : memchr(text, ':', n);
	size_t host = after != NULL ? (size_t)(after - text) : n;

	if (close != NULL ? copy_part(target->host, sizeof(target->host), text + 1, host - 2) != 0 :
	    copy_part(target->host, sizeof(target->host), text, host) != 0)
		return "redis:// wants a host";
	if (host == n)
		return NULL;
	if (text[host] != ':' || copy_part(digits, sizeof(digits), text + host + 1, n - host - 1) != 0 ||
	    read_number(digits, 65535, &target->port) != 0 || target->port == 0)
		return "behind the host only :PORT and /DATABASE may stand";
	return NULL;
}

/* [USER@]HOST[:PORT][/DATABASE] */
static const char *read_network(const char *text, struct target *target)
{
	const char *at = strrchr(text, '@'), *slash;

	if (at != NULL && memchr(text, ':', (size_t)(at - text)) != NULL)
		return "a password does not belong here, but into journal_password_file";
	if (at != NULL && copy_part(target->user, sizeof(target->user), text, (size_t)(at - text)) != 0)
		return "the user's name before the @ is missing or too long";
	text = at != NULL ? at + 1 : text;
	slash = strchr(text, '/');
	if (slash != NULL && slash[1] != '\0' && read_number(slash + 1, 65535, &target->database) != 0)
		return "behind the / stands the number of a database, and nothing else";
	return read_host(text, slash != NULL ? (size_t)(slash - text) : strlen(text), target);
}

static const char *read_url(const char *url, struct target *target)
{
	static const char network[] = "redis://", local[] = "redis+unix://";

	*target = (struct target){ .port = PORT };
	if (strncmp(url, local, sizeof(local) - 1) == 0)
		return read_socket(url + sizeof(local) - 1, target);
	if (strncmp(url, network, sizeof(network) - 1) == 0)
		return read_network(url + sizeof(network) - 1, target);
	return "neither \"\" (a file in state_dir) nor redis://[USER@]HOST[:PORT][/DATABASE] or redis+unix:///PATH[?db=N]";
}

const char *journal_redis_problem(const char *url)
{
	struct target target;

	return read_url(url, &target);
}

/* Talking to the server */

static int failed(const struct driver *driver, struct err *err, const char *why)
{
	const struct target *target = &driver->target;

	if (target->path[0] != '\0')
		return err_set(err, ERR_TEMP, "journal redis+unix://%s: %s", target->path, why);
	return err_set(err, ERR_TEMP, "journal redis://%s:%d: %s", target->host, target->port, why);
}

/* After a failure nobody knows what the server will answer next: this connection is over. */
static redisReply *refused(struct driver *driver, redisReply *reply, struct err *err)
{
	char why[200];

	snprintf(why, sizeof(why), "%s", reply == NULL && driver->context->errstr[0] != '\0' ? driver->context->errstr :
		 reply == NULL ? "no answer" :
		 reply->type == REDIS_REPLY_ERROR ? reply->str :
		 reply->type == REDIS_REPLY_NIL ? "the server has no journal any more" : "an answer of the wrong type");
	for (char *c = why; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
			*c = '?';
	failed(driver, err, why);
	freeReplyObject(reply);
	redisFree(driver->context);
	driver->context = NULL;
	return NULL;
}

/* The answer if it is of that type; NULL: *err. */
static redisReply *ask(struct driver *driver, const struct command *command, int type, struct err *err)
{
	redisReply *reply = NULL;

	if (driver->context == NULL) {
		failed(driver, err, "the connection was lost");
		return NULL;
	}
	reply = redisCommandArgv(driver->context, command->count, command->argv, command->lengths);
	return reply != NULL && reply->type == type ? reply : refused(driver, reply, err);
}

static redisReply *ask_words(struct driver *driver, const char *const *words, int n, int type, struct err *err)
{
	const char *argv[FIXED_ARGUMENTS];
	size_t lengths[FIXED_ARGUMENTS];
	const struct command command = { argv, lengths, n };

	for (int i = 0; i < n; i++) {
		argv[i] = words[i];
		lengths[i] = strlen(words[i]);
	}
	return ask(driver, &command, type, err);
}

/* Runs a script with words and ids as its arguments. Its answer is a list of n strings at least; NULL: *err. */
static redisReply *run(struct driver *driver, const char *script, const char *const *words, size_t word_count,
		       const struct journal_id *ids, size_t id_count, size_t n, struct err *err)
{
	const char *const fixed[] = { "EVAL", script, "1", PREFIX };
	const size_t fixed_count = sizeof(fixed) / sizeof(fixed[0]), count = fixed_count + word_count + id_count;
	struct command command = { malloc(count * sizeof(*command.argv)), malloc(count * sizeof(*command.lengths)),
				   (int)count };
	redisReply *reply = NULL;

	if (command.argv == NULL || command.lengths == NULL) {
		err_memory(err);
		goto out;
	}
	for (size_t i = 0; i < fixed_count + word_count; i++) {
		command.argv[i] = i < fixed_count ? fixed[i] : words[i - fixed_count];
		command.lengths[i] = strlen(command.argv[i]);
	}
	for (size_t i = 0; i < id_count; i++) {
		command.argv[fixed_count + word_count + i] = (const char *)ids[i].bytes;
		command.lengths[fixed_count + word_count + i] = sizeof(ids[i].bytes);
	}
	reply = ask(driver, &command, REDIS_REPLY_ARRAY, err);
	if (reply != NULL && reply->elements < n)
		reply = refused(driver, reply, err);
	for (size_t i = 0; reply != NULL && i < n; i++)
		if (reply->element[i]->type != REDIS_REPLY_STRING)
			reply = refused(driver, reply, err);
out:
	free(command.argv);
	free(command.lengths);
	return reply;
}

static const char *number_text(int64_t number, char out[NUMBER_SIZE])
{
	snprintf(out, NUMBER_SIZE, "%" PRId64, number);
	return out;
}

/* now, the lease, the life: the first arguments of begin and keep */
struct times {
	char now[NUMBER_SIZE], lease[NUMBER_SIZE], life[NUMBER_SIZE];
};

static void tell_times(const struct driver *driver, struct times *times)
{
	number_text((int64_t)clock_now(driver->env.clock), times->now);
	number_text(driver->env.lease_s, times->lease);
	number_text(JOURNAL_LIFE_S, times->life);
}

/* The operations */

/* number: of the attempt that was begun, else 0. */
static int look(struct driver *driver, const char *script, const struct times *times, const struct journal_id *ids,
		size_t n, bool *done, int64_t *number, struct err *err)
{
	const char *const words[] = { times->now, times->lease, times->life };
	redisReply *reply = run(driver, script, words, script == look_script ? 1 : 3, ids, n, 2, err);
	int rc = -1;

	if (reply == NULL)
		return -1;
	*number = strtoll(reply->element[0]->str, NULL, 10);
	if (strcmp(reply->element[0]->str, "busy") == 0) {
		err_set(err, ERR_TEMP, "the same mail for the same recipient is in work already");
		goto out;
	}
	if ((size_t)reply->element[1]->len != n) {
		failed(driver, err, "an answer of the wrong length");
		goto out;
	}
	for (size_t i = 0; i < n; i++)
		done[i] = reply->element[1]->str[i] == '1';
	rc = 0;
out:
	freeReplyObject(reply);
	return rc;
}

static int driver_look(void *self, const struct journal_id *ids, size_t n, bool *done, struct err *err)
{
	struct times times;
	int64_t number = 0;

	tell_times(self, &times);
	return look(self, look_script, &times, ids, n, done, &number, err);
}

static int driver_begin(void *self, const struct journal_id *ids, size_t n, bool *done, int64_t *number, struct err *err)
{
	struct driver *driver = self;
	struct times times;

	tell_times(driver, &times);
	if (look(driver, begin_script, &times, ids, n, done, number, err) != 0)
		return -1;
	return *number > 0 ? 0 : failed(driver, err, "an attempt without a number");
}

static int driver_keep(void *self, int64_t number, const struct journal_id *ids, size_t n, const char *queue_id,
		       struct err *err)
{
	struct driver *driver = self;
	char attempt[NUMBER_SIZE];
	struct times times;
	const char *const words[] = { times.now, times.lease, times.life, number_text(number, attempt), queue_id };
	redisReply *reply = NULL;
	bool lost;

	tell_times(driver, &times);
	reply = run(driver, keep_script, words, 5, ids, n, 1, err);
	if (reply == NULL)
		return -1;
	lost = strcmp(reply->element[0]->str, "0") != 0;
	freeReplyObject(reply);
	return lost ? err_set(err, ERR_TEMP, "the attempt took too long: another one may hold its recipients") : 0;
}

static int driver_end(void *self, int64_t number, bool forget, struct err *err)
{
	char attempt[NUMBER_SIZE];
	const char *const words[] = { number_text(number, attempt), forget ? "1" : "0" };
	redisReply *reply = run(self, end_script, words, 2, NULL, 0, 1, err);

	freeReplyObject(reply);
	return reply != NULL ? 0 : -1;
}

static int driver_seen(void *self, const struct journal_id *id, time_t expires, bool *seen, struct err *err)
{
	struct driver *driver = self;
	char now[NUMBER_SIZE], until[NUMBER_SIZE];
	const char *const words[] = { number_text((int64_t)clock_now(driver->env.clock), now),
				      number_text((int64_t)expires, until) };
	redisReply *reply = run(driver, seen_script, words, 2, id, 1, 1, err);

	if (reply == NULL)
		return -1;
	*seen = strcmp(reply->element[0]->str, "0") != 0;
	freeReplyObject(reply);
	return 0;
}

static int driver_remember(void *self, const struct journal_id *ids, size_t n, struct err *err)
{
	struct driver *driver = self;
	char now[NUMBER_SIZE], life[NUMBER_SIZE], most[NUMBER_SIZE];
	const char *const words[] = { number_text((int64_t)clock_now(driver->env.clock), now),
				      number_text(JOURNAL_MAIL_LIFE_S, life),
				      number_text(driver->env.mails > 0 ? driver->env.mails : JOURNAL_MAILS, most) };
	redisReply *reply = run(driver, remember_script, words, 3, ids, n, 1, err);

	freeReplyObject(reply);
	return reply != NULL ? 0 : -1;
}

static int driver_recall(void *self, const struct journal_id *ids, size_t n, bool *known, struct err *err)
{
	struct driver *driver = self;
	char now[NUMBER_SIZE];
	const char *const words[] = { number_text((int64_t)clock_now(driver->env.clock), now) };
	redisReply *reply = run(driver, recall_script, words, 1, ids, n, 1, err);

	if (reply == NULL)
		return -1;
	*known = strcmp(reply->element[0]->str, "0") != 0;
	freeReplyObject(reply);
	return 0;
}

/* Each operation is durable by itself, as far as the server makes it so. But one whose server has gone meanwhile, or lost
 * what it knew, is told before anything is asked. */
static int driver_start(void *self, struct err *err)
{
	static const char *const words[] = { "GET", PREFIX "version" };
	struct driver *driver = self;
	redisReply *reply = ask_words(driver, words, 2, REDIS_REPLY_STRING, err);

	freeReplyObject(reply);
	return reply != NULL ? 0 : -1;
}

static int driver_commit(void *self, struct err *err)
{
	(void)self;
	(void)err;
	return 0;
}

static void driver_close(void *self)
{
	struct driver *driver = self;

	if (driver->context != NULL)
		redisFree(driver->context);
	free(driver);
}

static const struct journal_class redis_class = { driver_look, driver_begin, driver_keep, driver_end, driver_seen,
						  driver_remember, driver_recall, driver_start, driver_commit,
						  driver_close };

/* Opening */

static int connect_server(struct driver *driver, struct err *err)
{
	const struct timeval wait = { WAIT_S, 0 };
	const struct target *target = &driver->target;

	driver->context = target->path[0] != '\0' ? redisConnectUnixWithTimeout(target->path, wait) :
			  redisConnectWithTimeout(target->host, target->port, wait);
	if (driver->context == NULL)
		return err_memory(err);
	if (driver->context->err == 0 && redisSetTimeout(driver->context, wait) == REDIS_OK)
		return 0;
	refused(driver, NULL, err);
	return -1;
}

static int log_in(struct driver *driver, struct err *err)
{
	const struct slice password = driver->env.password;
	const char *const user = driver->target.user;
	const char *argv[] = { "AUTH", user, password.n > 0 ? password.p : "" };
	size_t lengths[] = { 4, strlen(user), password.n };
	struct command command = { argv, lengths, 3 };
	redisReply *reply = NULL;

	if (user[0] == '\0' && password.n == 0)
		return 0;
	if (user[0] == '\0') {
		argv[1] = argv[2];
		lengths[1] = lengths[2];
		command.count = 2;
	}
	reply = ask(driver, &command, REDIS_REPLY_STATUS, err);
	freeReplyObject(reply);
	return reply != NULL ? 0 : -1;
}

static int choose_database(struct driver *driver, struct err *err)
{
	char number[NUMBER_SIZE];
	const char *const words[] = { "SELECT", number_text(driver->target.database, number) };
	redisReply *reply = NULL;

	if (driver->target.database == 0)
		return 0;
	reply = ask_words(driver, words, 2, REDIS_REPLY_STATUS, err);
	freeReplyObject(reply);
	return reply != NULL ? 0 : -1;
}

static int check_version(struct driver *driver, bool *made, struct err *err)
{
	static const char *const set[] = { "SETNX", PREFIX "version", FORMAT }, *const get[] = { "GET", PREFIX "version" };
	redisReply *reply = ask_words(driver, set, 3, REDIS_REPLY_INTEGER, err);
	int rc = -1;

	if (reply == NULL)
		return -1;
	*made = reply->integer == 1;
	freeReplyObject(reply);
	reply = ask_words(driver, get, 2, REDIS_REPLY_STRING, err);
	if (reply == NULL)
		return -1;
	rc = strcmp(reply->str, FORMAT) == 0 ? 0 : failed(driver, err, "made by another version");
	freeReplyObject(reply);
	return rc;
}

int journal_redis_open(const struct journal_env *env, struct journal *journal, bool *made, struct err *err)
{
	struct driver *driver = calloc(1, sizeof(*driver));
	const char *problem;

	*made = false;
	*journal = (struct journal){ NULL, NULL };
	if (driver == NULL)
		return err_memory(err);
	driver->env = *env;
	problem = read_url(env->url, &driver->target);
	if (problem != NULL) {
		free(driver);
		return err_set(err, ERR_CONFIG, "journal: %s", problem);
	}
	if (connect_server(driver, err) != 0 || log_in(driver, err) != 0 || choose_database(driver, err) != 0 ||
	    check_version(driver, made, err) != 0) {
		driver_close(driver);
		return -1;
	}
	*journal = (struct journal){ &redis_class, driver };
	return 0;
}
