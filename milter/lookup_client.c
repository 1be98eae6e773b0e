/* lookup_client.c - see lookup_client.h. Used by workers; speaks lookup_wire.h. */
#include "milter/lookup_client.h"

#include <stdlib.h>
#include <string.h>

#include "milter/lookup_wire.h"
#include "pki/directory_driver.h"

#define WAY_BACK_MS 100		/* of a caller's time that the process does not get: its answer shall be in time */
#define ATTEMPTS 2

struct proxy {
	const struct lookup_client *client;
	uint32_t index;
	int64_t timeout_ms;
	char name[];
};

struct collecting {			/* an answer that arrives in pieces */
	struct buf bytes;
	size_t length;			/* what it will have; 0: not known yet */
};

static int begin_answer(struct collecting *answer, struct slice *piece, struct err *err)
{
	uint32_t length = 0;

	if (piece->n < sizeof(length))
		return err_set(err, ERR_BUG, "not an answer");
	memcpy(&length, piece->p, sizeof(length));
	*piece = slice_from(*piece, sizeof(length));
	if (length == 0 || length > LOOKUP_ANSWER_BYTES)
		return err_set(err, ERR_BUG, "an answer of %lu bytes", (unsigned long)length);
	answer->length = length;
	return buf_reserve(&answer->bytes, length) != NULL ? 0 : err_memory(err);
}

static int collect(void *self, const void *message, size_t n, struct err *err)
{
	struct collecting *answer = self;
	struct slice piece = slice_make(message, n);

	if (answer->length == 0 && begin_answer(answer, &piece, err) != 0)
		return -1;
	if (piece.n > answer->length - answer->bytes.n)
		return err_set(err, ERR_BUG, "more than an answer");
	if (buf_append_slice(&answer->bytes, piece) != 0)
		return err_memory(err);
	return answer->bytes.n == answer->length;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* When to give up, on the channel's clock. */
static int64_t end_of(const struct proxy *proxy, int64_t deadline_ms)
{
	int64_t left_ms = deadline_ms - clock_monotonic_ms(proxy->client->clock);

	return clock_monotonic_ms(&clock_system) + earlier(left_ms, proxy->timeout_ms + LOOKUP_MARGIN_MS);
}

/* The answer to a written request, in pieces put together. */
static int exchange(struct channel *channel, const struct buf *request, int64_t end_ms, struct collecting *answer,
		    struct err *err)
{
	struct channel_question question = { .request = request->p, .n = request->n, .end_ms = end_ms,
		.take = collect, .self = answer, .ended = true };
	int rc = -1;

	for (int i = 0; i < ATTEMPTS && rc != 0 && question.ended; i++) {
		buf_reset(&answer->bytes);
		answer->length = 0;
		rc = channel_ask(channel, &question, err);
	}
	return rc;
}

ssize_t lookup_ask(struct channel *channel, const struct lookup_question *question, int64_t end_ms, struct buf *answer,
		   struct err *err)
{
	struct collecting collecting = { .length = 0 };
	struct buf request;
	ssize_t asked;

	buf_init(&collecting.bytes, LOOKUP_ANSWER_BYTES);
	buf_init(&request, 0);
	asked = lookup_write_question(question, &request);
	if (asked < 0)
		err_set(err, ERR_LIMIT, "an address that cannot be asked for");
	else if (exchange(channel, &request, end_ms, &collecting, err) != 0)
		asked = -1;
	buf_clear(&request);
	*answer = collecting.bytes;
	return asked;
}

/* Returns for how many addresses there is an answer, beginning with the first; -1: could not ask. */
static ssize_t ask_find(const struct proxy *proxy, struct arena *arena, const struct lookup_question *question,
			int64_t end_ms, struct directory_answer *answers, struct err *err)
{
	struct buf answer;
	const struct lookup_place place = { arena, proxy->client->certs };
	ssize_t asked = lookup_ask(proxy->client->channel, question, end_ms, &answer, err);
	struct slice bytes = buf_slice(&answer);
	size_t count = 0;
	int rc = -1;

	if (asked > 0 && lookup_is_outcome(bytes))
		rc = lookup_read_outcome(bytes, err) == 0 ? err_set(err, ERR_BUG, "no answer") : -1;
	else if (asked > 0)
		rc = lookup_read_answers(bytes, &place, answers, (size_t)asked, &count, err);
	buf_clear(&answer);
	return rc == 0 ? (ssize_t)count : -1;
}

static int proxy_find(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		      struct directory_answer *answers, struct err *err)
{
	const struct proxy *proxy = self;
	const int64_t end_ms = end_of(proxy, deadline_ms);
	struct err why = { .class = ERR_NONE };
	ssize_t count = 0;
	size_t i = 0;

	for (; i < n && count >= 0; i += count > 0 ? (size_t)count : 0) {
		const struct lookup_question question = { .operation = LOOKUP_FIND, .directory = proxy->index,
			.deadline_ms = end_ms - WAY_BACK_MS, .addresses = addresses + i, .n = n - i };

		count = ask_find(proxy, arena, &question, end_ms, answers + i, &why);
	}
	for (; i < n; i++)
		if (directory_answer_fail(arena, &answers[i], why.text) != 0)
			return err_memory(err);
	return 0;
}

static int proxy_probe(void *self, struct err *err)
{
	const struct proxy *proxy = self;
	const int64_t end_ms = end_of(proxy, INT64_MAX);
	const struct lookup_question question = { .operation = LOOKUP_PROBE, .directory = proxy->index,
		.deadline_ms = end_ms - WAY_BACK_MS };
	struct buf answer;
	int rc = -1;

	if (lookup_ask(proxy->client->channel, &question, end_ms, &answer, err) == 0)
		rc = lookup_read_outcome(buf_slice(&answer), err);
	buf_clear(&answer);
	return rc;
}

static void proxy_free(void *self)
{
	free(self);
}

static const struct directory_class proxy_class = { .find = proxy_find, .probe = proxy_probe, .free = proxy_free };

void lookup_client_close(struct lookup_client *client)
{
	channel_free(client->channel);
	cert_memory_free(client->certs);
	client->channel = NULL;
	client->certs = NULL;
}

int lookup_client_open(struct lookup_client *client, int fd, const struct clock *clock, struct err *err)
{
	client->clock = clock;
	client->channel = channel_new(fd, "lookup process", 0, err);
	client->certs = cert_memory_new(LOOKUP_CERTS, err);
	if (client->channel != NULL && client->certs != NULL)
		return 0;
	lookup_client_close(client);
	return -1;
}

int lookup_client_replace(struct lookup_client *client, uint32_t index, struct directory *directory, struct err *err)
{
	const size_t name_bytes = strlen(directory->name) + 1;
	struct proxy *proxy = calloc(1, sizeof(*proxy) + name_bytes);
	struct directory replaced = *directory;

	if (proxy == NULL)
		return err_memory(err);
	proxy->client = client;
	proxy->index = index;
	proxy->timeout_ms = directory->timeout_ms;
	memcpy(proxy->name, directory->name, name_bytes);
	directory_free(directory);
	replaced.class = &proxy_class;
	replaced.self = proxy;
	replaced.name = proxy->name;
	*directory = replaced;
	return 0;
}
