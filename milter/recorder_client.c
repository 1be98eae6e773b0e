/* recorder_client.c - questions to the recorder. Called by workers' threads, each waiting for its own answer. */
#include "milter/recorder_client.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "milter/recorder_wire.h"
#include "pki/directory_driver.h"

struct question {
	struct recorder_request head;
	const struct journal_id *ids;
	const char *text;
};

static int write_question(const struct question *question, struct buf *out, struct err *err)
{
	int rc = buf_append(out, &question->head, sizeof(question->head));

	rc |= buf_append(out, question->ids, question->head.count * sizeof(*question->ids));
	rc |= buf_append(out, question->text, question->head.text_bytes);
	return rc == 0 ? 0 : err_memory(err);
}

/* What was answered: extra bytes behind the answer's head, or its error. */
static int read_answer(const char *bytes, size_t n, size_t extra, struct recorder_answer *answer, struct err *err)
{
	if (n < sizeof(*answer))
		return err_set(err, ERR_BUG, "recorder: a short answer");
	memcpy(answer, bytes, sizeof(*answer));
	n -= sizeof(*answer);
	if (answer->failed != 0)
		return err_set(err, (enum err_class)answer->class, "recorder: %.*s", (int)n, bytes + sizeof(*answer));
	return n == extra ? 0 : err_set(err, ERR_BUG, "recorder: an answer of %zu bytes in place of %zu", n, extra);
}

/* extra: where the bytes behind the answer's head go, extra_bytes of them. */
static int ask(struct channel *channel, const struct question *question, struct recorder_answer *answer,
	       unsigned char *extra, size_t extra_bytes, struct err *err)
{
	char bytes[RECORDER_ANSWER_BYTES];
	struct buf request;
	ssize_t n;
	int rc = -1;

	buf_init(&request, 0);
	if (write_question(question, &request, err) != 0)
		goto out;
	n = channel_call(channel, request.p, request.n, bytes, sizeof(bytes), err);
	if (n < 0 || read_answer(bytes, (size_t)n, extra_bytes, answer, err) != 0)
		goto out;
	if (extra_bytes > 0)
		memcpy(extra, bytes + sizeof(*answer), extra_bytes);
	rc = 0;
out:
	buf_clear(&request);
	return rc;
}

/* One byte for each of n follows the answer. */
static int ask_flags(struct channel *channel, const struct question *question, size_t n, bool *done, int64_t *number,
		     struct err *err)
{
	unsigned char *flags = malloc(n + 1);
	struct recorder_answer answer;
	int rc = -1;

	if (flags == NULL)
		return err_memory(err);
	if (ask(channel, question, &answer, flags, n, err) != 0)
		goto out;
	*number = answer.number;
	for (size_t i = 0; i < n; i++)
		done[i] = flags[i] != 0;
	rc = 0;
out:
	free(flags);
	return rc;
}

static int ask_done(struct channel *channel, enum recorder_operation operation, const struct journal_id *ids, size_t n,
		    bool *done, int64_t *number, struct err *err)
{
	const struct question question = { { .operation = operation, .count = (uint32_t)n }, ids, "" };

	return ask_flags(channel, &question, n, done, number, err);
}

static int client_look(void *self, const struct journal_id *ids, size_t n, bool *done, struct err *err)
{
	int64_t none;

	return ask_done(self, RECORDER_LOOK, ids, n, done, &none, err);
}

static int client_begin(void *self, const struct journal_id *ids, size_t n, bool *done, int64_t *number, struct err *err)
{
	return ask_done(self, RECORDER_BEGIN, ids, n, done, number, err);
}

static int client_keep(void *self, int64_t number, const struct journal_id *ids, size_t n, const char *queue_id,
		       struct err *err)
{
	const struct question question = { { .operation = RECORDER_KEEP, .count = (uint32_t)n, .number = number,
					     .text_bytes = (uint32_t)strlen(queue_id) }, ids, queue_id };
	struct recorder_answer answer;

	return ask(self, &question, &answer, NULL, 0, err);
}

static int client_end(void *self, int64_t number, bool forget, struct err *err)
{
	const struct question question = { { .operation = RECORDER_END, .number = number, .forget = forget }, NULL, "" };
	struct recorder_answer answer;

	return ask(self, &question, &answer, NULL, 0, err);
}

static int client_seen(void *self, const struct journal_id *id, time_t expires, bool *seen, struct err *err)
{
	const struct question question = { { .operation = RECORDER_SEEN, .count = 1, .number = (int64_t)expires }, id, "" };
	struct recorder_answer answer;

	if (ask(self, &question, &answer, NULL, 0, err) != 0)
		return -1;
	*seen = answer.number != 0;
	return 0;
}

static int client_remember(void *self, const struct journal_id *ids, size_t n, struct err *err)
{
	const struct question question = { { .operation = RECORDER_REMEMBER, .count = (uint32_t)n }, ids, "" };
	struct recorder_answer answer;

	return ask(self, &question, &answer, NULL, 0, err);
}

static int client_recall(void *self, const struct journal_id *ids, size_t n, bool *known, struct err *err)
{
	const struct question question = { { .operation = RECORDER_RECALL, .count = (uint32_t)n }, ids, "" };
	struct recorder_answer answer;

	if (ask(self, &question, &answer, NULL, 0, err) != 0)
		return -1;
	*known = answer.number != 0;
	return 0;
}

/* The client is the channel's owner, not the journal. */
static void client_close(void *self)
{
	(void)self;
}

static const struct journal_class client_class = { client_look, client_begin, client_keep, client_end, client_seen,
						   client_remember, client_recall, NULL, NULL, client_close };

int recorder_client_open(struct recorder_client *client, int fd, int timeout_ms, struct err *err)
{
	client->channel = channel_new(fd, "recorder", timeout_ms, err);
	client->journal = (struct journal){ &client_class, client->channel };
	return client->channel != NULL ? 0 : -1;
}

void recorder_client_close(struct recorder_client *client)
{
	channel_free(client->channel);
	client->channel = NULL;
}

/* As many whole lines as fit into one request. */
static struct slice first_lines(struct slice lines)
{
	struct slice fit = slice_first(lines, CHANNEL_BYTES - sizeof(struct recorder_request));

	return slice_first(fit, (size_t)(slice_find_last(fit, '\n') + 1));
}

int recorder_client_audit(const struct recorder_client *client, struct slice lines, struct err *err)
{
	struct question question = { { .operation = RECORDER_AUDIT }, NULL, NULL };
	struct recorder_answer answer;
	struct slice part;

	for (; lines.n > 0; lines = slice_from(lines, part.n)) {
		part = first_lines(lines);
		if (part.n == 0)
			return err_set(err, ERR_BUG, "recorder: an audit line without end");
		question.text = part.p;
		question.head.text_bytes = (uint32_t)part.n;
		if (ask(client->channel, &question, &answer, NULL, 0, err) != 0)
			return -1;
	}
	return 0;
}

int recorder_client_has(const struct recorder_client *client, const unsigned char *sha256, size_t n, bool *has,
			struct err *err)
{
	const struct question question = { { .operation = RECORDER_EVIDENCE_HAS,
					     .text_bytes = (uint32_t)(n * CRYPT_SHA256_BYTES) }, NULL, (const char *)sha256 };
	int64_t none;

	return ask_flags(client->channel, &question, n, has, &none, err);
}

/* Pieces of one upload may go over several connections, but one after the other. */
int recorder_client_put(const struct recorder_client *client, const unsigned char sha256[CRYPT_SHA256_BYTES],
			struct slice content, struct err *err)
{
	const size_t room = CHANNEL_BYTES - sizeof(struct recorder_request) - RECORDER_UPLOAD_BYTES;
	unsigned char names[RECORDER_UPLOAD_BYTES];
	struct question question = { { .operation = RECORDER_EVIDENCE_PUT }, NULL, NULL };
	struct recorder_answer answer;
	struct slice piece;
	struct buf text;
	int rc;

	memcpy(names, sha256, CRYPT_SHA256_BYTES);
	rc = crypt_random(names + CRYPT_SHA256_BYTES, CRYPT_SHA256_BYTES, err);
	buf_init(&text, 0);
	while (rc == 0 && question.head.forget == 0) {
		piece = slice_first(content, room);
		content = slice_from(content, piece.n);
		buf_reset(&text);
		if (buf_append(&text, names, sizeof(names)) != 0 || buf_append_slice(&text, piece) != 0) {
			rc = err_memory(err);
			break;
		}
		question.text = (const char *)text.p;
		question.head.text_bytes = (uint32_t)text.n;
		question.head.forget = content.n == 0;
		rc = ask(client->channel, &question, &answer, NULL, 0, err);
		question.head.number += (int64_t)piece.n;
	}
	buf_clear(&text);
	return rc;
}

static int write_harvest(const struct harvest *harvest, struct slice address, struct buf *out)
{
	const struct slice der = cert_info(harvest->cert)->der, collection = slice_of(harvest->collection);
	const struct recorder_harvest head = {
		.signed_at = (int64_t)harvest->signed_at, .address_bytes = (uint32_t)address.n,
		.collection_bytes = (uint32_t)collection.n, .cert_bytes = (uint32_t)der.n,
		.ciphers = harvest->capabilities.ciphers, .ciphers_known = harvest->capabilities.known,
		.at_once = harvest->at_once,
	};
	int rc = buf_append(out, &head, sizeof(head));

	rc |= buf_append_slice(out, address) | buf_append_slice(out, collection) | buf_append_slice(out, der);
	for (size_t i = 0; i < harvest->chain_count; i++)
		rc |= buf_append_slice(out, cert_info(harvest->chain[i])->der);
	return rc;
}

int recorder_client_harvest(const struct recorder_client *client, struct arena *arena, const struct harvest *harvest,
			    struct err *err)
{
	const struct slice address = directory_key(arena, &harvest->address);
	struct question question = { { .operation = RECORDER_HARVEST }, NULL, NULL };
	struct recorder_answer answer;
	struct buf text;
	int rc = -1;

	buf_init(&text, 0);
	if (address.p == NULL || write_harvest(harvest, address, &text) != 0) {
		err_memory(err);
		goto out;
	}
	question.text = (const char *)text.p;
	question.head.text_bytes = (uint32_t)text.n;
	rc = ask(client->channel, &question, &answer, NULL, 0, err);
out:
	buf_clear(&text);
	return rc;
}
