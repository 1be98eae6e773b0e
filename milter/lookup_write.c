/* lookup_write.c - the writing half of lookup_wire.h. Called by lookup.c and lookup_client.c, in threads. Pure. All
 * functions return 0, or not 0 when memory or the buffer's limit is exhausted. */
#include "milter/lookup_wire.h"

#include <string.h>

#define HASH_NONFATAL_OOM 1	/* a failed HASH_ADD leaves hh.tbl NULL */
#include <uthash.h>

static int put_byte(struct buf *out, unsigned value)
{
	return buf_append_char(out, (char)value);
}

static int put_number(struct buf *out, size_t value)
{
	const uint32_t number = (uint32_t)value;

	return value <= UINT32_MAX ? buf_append(out, &number, sizeof(number)) : -1;
}

static int put_time(struct buf *out, int64_t value)
{
	return buf_append(out, &value, sizeof(value));
}

static int put_slice(struct buf *out, struct slice bytes)
{
	return put_number(out, bytes.n) || buf_append_slice(out, bytes);
}

static int put_text(struct buf *out, const char *text)
{
	return put_slice(out, slice_first(slice_of(text), LOOKUP_TEXT_BYTES));
}

/* Its parts are not said: whoever reads takes them from the text. */
static int put_address(struct buf *out, const struct address *address)
{
	return put_slice(out, address->text);
}

/* Certificates that were written already: many answers bring the same intermediates, and each is decoded but once. */
struct written {
	UT_hash_handle hh;
	const char *sha256;
	size_t number;
};

struct writer {
	struct buf *out;
	struct written *certs;
	struct arena *arena;		/* of what lies in certs */
};

static int note_cert(struct writer *writer, const struct cert_info *info)
{
	struct written *written = arena_alloc(writer->arena, sizeof(*written));

	if (written == NULL)
		return -1;
	written->sha256 = info->sha256;
	written->number = HASH_COUNT(writer->certs);
	HASH_ADD_KEYPTR(hh, writer->certs, written->sha256, strlen(written->sha256), written);
	return written->hh.tbl != NULL ? 0 : -1;
}

/* Its number; the DER follows when it is the first with that number. */
static int put_cert(struct writer *writer, const struct cert *cert)
{
	const struct cert_info *info = cert_info(cert);
	struct written *written = NULL;

	HASH_FIND(hh, writer->certs, info->sha256, strlen(info->sha256), written);
	if (written != NULL)
		return put_number(writer->out, written->number);
	if (put_number(writer->out, HASH_COUNT(writer->certs)) || put_slice(writer->out, info->der))
		return -1;
	return note_cert(writer, info);
}

/* Certificates from that number on are forgotten: what was written of them is taken back. */
static void forget_certs(struct writer *writer, size_t from)
{
	struct written *written, *next;

	HASH_ITER(hh, writer->certs, written, next)
		if (written->number >= from)
			HASH_DEL(writer->certs, written);
}

static int put_owner(struct buf *out, const struct directory_owner *owner, const struct directory_owner *before)
{
	if (owner == NULL)
		return put_byte(out, LOOKUP_OWNER_NONE);
	if (owner == before)
		return put_byte(out, LOOKUP_OWNER_BEFORE);
	if (put_byte(out, LOOKUP_OWNER_NEW) || put_number(out, owner->n))
		return -1;
	for (size_t i = 0; i < owner->n; i++)
		if (put_address(out, &owner->addresses[i]))
			return -1;
	return 0;
}

static int put_entry(struct writer *writer, const struct directory_entry *entry, const struct directory_owner *before)
{
	struct buf *out = writer->out;

	return put_cert(writer, entry->cert) || put_byte(out, entry->capabilities.known) ||
	       put_number(out, entry->capabilities.ciphers) || put_text(out, entry->attribute) ||
	       put_number(out, entry->value) || put_byte(out, entry->preferred) || put_owner(out, entry->owner, before);
}

static int put_entries(struct writer *writer, const struct directory_answer *answer)
{
	const struct directory_owner *before = NULL;

	if (put_number(writer->out, answer->n))
		return -1;
	for (size_t i = 0; i < answer->n; i++) {
		if (put_entry(writer, &answer->entries[i], before))
			return -1;
		before = answer->entries[i].owner;
	}
	return 0;
}

static int put_chain(struct writer *writer, const struct directory_answer *answer)
{
	if (put_number(writer->out, answer->chain.n))
		return -1;
	for (size_t i = 0; i < answer->chain.n; i++)
		if (put_cert(writer, answer->chain.items[i]))
			return -1;
	return 0;
}

static int put_problems(struct writer *writer, const struct directory_answer *answer)
{
	if (put_number(writer->out, answer->problem_count))
		return -1;
	for (size_t i = 0; i < answer->problem_count; i++)
		if (put_text(writer->out, answer->problems[i]))
			return -1;
	return 0;
}

static int put_associations(struct buf *out, const struct directory_answer *answer)
{
	if (put_number(out, answer->association_count))
		return -1;
	for (size_t i = 0; i < answer->association_count; i++) {
		const struct smimea *record = &answer->associations[i];

		if (put_byte(out, record->usage) || put_byte(out, record->selector) || put_byte(out, record->matching) ||
		    put_slice(out, record->data))
			return -1;
	}
	return 0;
}

/* When it was asked, and why it could not be asked now or in part. */
static int put_age(struct buf *out, const struct directory_answer *answer)
{
	if (put_byte(out, answer->remembered) || put_byte(out, answer->stale) || put_time(out, answer->age_ms) ||
	    put_byte(out, answer->failure != NULL))
		return -1;
	return answer->failure != NULL ? put_text(out, answer->failure) : 0;
}

static int put_answer(struct writer *writer, const struct directory_answer *answer);

/* Members are no groups themselves, so that this ends. */
static int put_members(struct writer *writer, const struct directory_answer *answer)
{
	if (put_byte(writer->out, answer->group))
		return -1;
	if (!answer->group)
		return 0;
	if (put_number(writer->out, answer->member_count))
		return -1;
	for (size_t i = 0; i < answer->member_count; i++) {
		const struct directory_member *member = &answer->members[i];

		if (member->answer.group || put_address(writer->out, &member->address) ||
		    put_answer(writer, &member->answer))
			return -1;
	}
	return 0;
}

static int put_answer(struct writer *writer, const struct directory_answer *answer)
{
	struct buf *out = writer->out;

	if (answer->status == DIRECTORY_FAILED)
		return put_byte(out, 'f') || put_text(out, answer->failure);
	return put_byte(out, answer->status == DIRECTORY_FOUND ? 'y' : 'n') || put_age(out, answer) ||
	       put_entries(writer, answer) || put_chain(writer, answer) || put_problems(writer, answer) ||
	       put_associations(out, answer) || put_members(writer, answer);
}

static int put_too_large(struct writer *writer, size_t limit_bytes)
{
	struct err why;

	err_set(&why, ERR_LIMIT, "an answer of more than %zu bytes", limit_bytes);
	return put_answer(writer, &(struct directory_answer){ .status = DIRECTORY_FAILED, .failure = why.text });
}

/* address: whose answer it is, where that has to be said. False: it does not fit, and nothing of it is there. */
static bool put_if_it_fits(struct writer *writer, const struct slice *address, const struct directory_answer *answer,
			   size_t limit_bytes)
{
	const size_t before = writer->out->n, certs = HASH_COUNT(writer->certs), limit = writer->out->limit_bytes;
	int rc;

	writer->out->limit_bytes = limit_bytes;
	rc = (address != NULL && put_slice(writer->out, *address)) || put_answer(writer, answer);
	writer->out->limit_bytes = limit;
	if (rc == 0)
		return true;
	writer->out->n = before;
	forget_certs(writer, certs);
	return false;
}

static int put_answers(struct writer *writer, const struct directory_answer *answers, size_t n, size_t limit_bytes)
{
	const size_t head = writer->out->n + 1;
	uint32_t count = 0;

	if (put_byte(writer->out, LOOKUP_KIND_ANSWERS) || put_number(writer->out, count))
		return -1;
	while (count < n && put_if_it_fits(writer, NULL, &answers[count], limit_bytes))
		count++;
	if (count == 0) {
		count = 1;
		if (put_too_large(writer, limit_bytes))
			return -1;
	}
	memcpy(writer->out->p + head, &count, sizeof(count));
	return 0;
}

static int writer_init(struct writer *writer, struct buf *out)
{
	*writer = (struct writer){ .out = out, .arena = arena_new(0) };
	return writer->arena != NULL ? 0 : -1;
}

static void writer_clear(struct writer *writer)
{
	HASH_CLEAR(hh, writer->certs);
	arena_free(writer->arena);
}

int lookup_write_answers(const struct directory_answer *answers, size_t n, size_t limit_bytes, struct buf *out)
{
	struct writer writer;
	int rc = -1;

	if (writer_init(&writer, out) == 0)
		rc = put_answers(&writer, answers, n, limit_bytes);
	writer_clear(&writer);
	return rc;
}

/* From the last to the first, so that those that were used last are there. */
static int put_remembered(struct writer *writer, const struct directory_remembered *items, size_t n,
			  size_t limit_bytes)
{
	const size_t head = writer->out->n + 1;
	uint32_t count = 0;

	if (put_byte(writer->out, LOOKUP_KIND_REMEMBERED) || put_number(writer->out, count))
		return -1;
	for (; count < n; count++) {
		const struct directory_remembered *item = &items[n - 1 - count];

		if (!put_if_it_fits(writer, &item->address, &item->answer, limit_bytes))
			break;
	}
	memcpy(writer->out->p + head, &count, sizeof(count));
	return 0;
}

int lookup_write_remembered(const struct directory_remembered *items, size_t n, size_t limit_bytes, struct buf *out)
{
	struct writer writer;
	int rc = -1;

	if (writer_init(&writer, out) == 0)
		rc = put_remembered(&writer, items, n, limit_bytes);
	writer_clear(&writer);
	return rc;
}

static bool is_short(const struct address *address)
{
	return address->text.n <= LOOKUP_TEXT_BYTES;
}

static int put_identity(struct buf *out, const struct lookup_question *question)
{
	return question->operation == LOOKUP_INHERIT ? buf_append(out, &question->identity, sizeof(question->identity)) : 0;
}

ssize_t lookup_write_question(const struct lookup_question *question, struct buf *out)
{
	const size_t head = out->n, limit = out->limit_bytes;
	uint32_t count = 0;
	size_t counted;

	if (put_byte(out, question->operation) || put_number(out, question->directory) ||
	    put_time(out, question->deadline_ms) || put_identity(out, question) || put_number(out, count))
		return -1;
	counted = out->n - sizeof(count);
	out->limit_bytes = head + CHANNEL_BYTES;
	while (count < question->n && is_short(&question->addresses[count])) {
		const size_t before = out->n;

		if (put_address(out, &question->addresses[count]) != 0) {
			out->n = before;
			break;
		}
		count++;
	}
	out->limit_bytes = limit;
	memcpy(out->p + counted, &count, sizeof(count));
	return question->n > 0 && count == 0 ? -1 : (ssize_t)count;
}

int lookup_write_outcome(const struct err *why, struct buf *out)
{
	if (why == NULL)
		return put_byte(out, LOOKUP_KIND_OUTCOME) || put_byte(out, ERR_NONE);
	return put_byte(out, LOOKUP_KIND_OUTCOME) || put_byte(out, why->class == ERR_NONE ? ERR_BUG : why->class) ||
	       buf_append_text(out, why->text);
}
