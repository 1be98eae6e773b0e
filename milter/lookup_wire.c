/* lookup_wire.c - see lookup_wire.h. Called by lookup.c and lookup_client.c, in threads. Pure. */
#include "milter/lookup_wire.h"

#include <stdlib.h>
#include <string.h>

#include "pki/directory_driver.h"

#define HASH_NONFATAL_OOM 1	/* a failed HASH_ADD leaves hh.tbl NULL */
#include <uthash.h>

enum kind { KIND_ANSWERS = 'a', KIND_OUTCOME = 'o' };
enum ownership { OWNER_NONE, OWNER_NEW, OWNER_BEFORE };	/* before: the same as the entry's before it */

/* Writing. All return 0, or not 0 when memory or the buffer's limit is exhausted. */

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

static int put_address(struct buf *out, const struct address *address)
{
	return put_slice(out, address->text) || put_slice(out, address->local) || put_slice(out, address->domain);
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
		return put_byte(out, OWNER_NONE);
	if (owner == before)
		return put_byte(out, OWNER_BEFORE);
	if (put_byte(out, OWNER_NEW) || put_number(out, owner->n))
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

/* Where the directory could not be asked, and what it said before stands in. */
static int put_age(struct buf *out, const struct directory_answer *answer)
{
	if (put_byte(out, answer->remembered) || put_byte(out, answer->stale))
		return -1;
	if (answer->remembered && put_time(out, answer->age_ms))
		return -1;
	return answer->stale ? put_text(out, answer->failure) : 0;
}

static int put_answer(struct writer *writer, const struct directory_answer *answer);

/* Members are no groups themselves, so that this ends. */
static int put_members(struct writer *writer, const struct directory_answer *answer)
{
	if (put_byte(writer->out, answer->group) || !answer->group)
		return answer->group;
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

/* False: it does not fit, and nothing of it is there. */
static bool put_if_it_fits(struct writer *writer, const struct directory_answer *answer, size_t limit_bytes)
{
	const size_t before = writer->out->n, certs = HASH_COUNT(writer->certs), limit = writer->out->limit_bytes;
	int rc;

	writer->out->limit_bytes = limit_bytes;
	rc = put_answer(writer, answer);
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

	if (put_byte(writer->out, KIND_ANSWERS) || put_number(writer->out, count))
		return -1;
	while (count < n && put_if_it_fits(writer, &answers[count], limit_bytes))
		count++;
	if (count == 0) {
		count = 1;
		if (put_too_large(writer, limit_bytes))
			return -1;
	}
	memcpy(writer->out->p + head, &count, sizeof(count));
	return 0;
}

int lookup_write_answers(const struct directory_answer *answers, size_t n, size_t limit_bytes, struct buf *out)
{
	struct writer writer = { .out = out, .arena = arena_new(0) };
	int rc = -1;

	if (writer.arena != NULL)
		rc = put_answers(&writer, answers, n, limit_bytes);
	HASH_CLEAR(hh, writer.certs);
	arena_free(writer.arena);
	return rc;
}

static bool is_short(const struct address *address)
{
	return address->text.n <= LOOKUP_TEXT_BYTES && address->local.n <= LOOKUP_TEXT_BYTES &&
	       address->domain.n <= LOOKUP_TEXT_BYTES;
}

ssize_t lookup_write_question(const struct lookup_question *question, struct buf *out)
{
	const size_t head = out->n, limit = out->limit_bytes;
	uint32_t count = 0;

	if (put_byte(out, question->operation) || put_number(out, question->directory) ||
	    put_time(out, question->deadline_ms) || put_number(out, count))
		return -1;
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
	memcpy(out->p + head + 1 + sizeof(uint32_t) + sizeof(int64_t), &count, sizeof(count));
	return question->n > 0 && count == 0 ? -1 : (ssize_t)count;
}

int lookup_write_outcome(const struct err *why, struct buf *out)
{
	if (why == NULL)
		return put_byte(out, KIND_OUTCOME) || put_byte(out, ERR_NONE);
	return put_byte(out, KIND_OUTCOME) || put_byte(out, why->class == ERR_NONE ? ERR_BUG : why->class) ||
	       buf_append_text(out, why->text);
}

/* Reading: what is not there or not as it should be makes the reader bad, and nothing that it says after that
 * counts. */

struct reader {
	struct slice left;
	struct arena *arena;
	struct cert **certs;		/* references that the arena holds */
	size_t cert_count, cert_capacity;
	bool bad, exhausted;
};

static bool failed(const struct reader *reader)
{
	return reader->bad || reader->exhausted;
}

static struct slice get(struct reader *reader, size_t n)
{
	struct slice bytes = slice_first(reader->left, n);

	if (failed(reader) || n > reader->left.n) {
		reader->bad = true;
		return slice_make("", 0);
	}
	reader->left = slice_from(reader->left, n);
	return bytes;
}

static unsigned get_byte(struct reader *reader)
{
	struct slice byte = get(reader, 1);

	return byte.n == 1 ? (unsigned char)byte.p[0] : 0;
}

static bool get_flag(struct reader *reader)
{
	unsigned byte = get_byte(reader);

	reader->bad |= byte > 1;
	return byte == 1;
}

static uint32_t get_number(struct reader *reader)
{
	struct slice bytes = get(reader, sizeof(uint32_t));
	uint32_t number = 0;

	memcpy(&number, bytes.p, bytes.n);
	return number;
}

static int64_t get_time(struct reader *reader)
{
	struct slice bytes = get(reader, sizeof(int64_t));
	int64_t number = 0;

	memcpy(&number, bytes.p, bytes.n);
	return number;
}

/* Of things that take at least least bytes each: so that what is made room for is never more than what came. */
static size_t get_count(struct reader *reader, size_t least)
{
	size_t n = get_number(reader);

	reader->bad |= n > reader->left.n / least;
	return failed(reader) ? 0 : n;
}

static struct slice get_slice(struct reader *reader, size_t longest)
{
	size_t n = get_number(reader);

	reader->bad |= n > longest;
	return get(reader, failed(reader) ? 0 : n);
}

static const char *get_text(struct reader *reader)
{
	struct slice bytes = get_slice(reader, LOOKUP_TEXT_BYTES);
	const char *text = arena_string(reader->arena, bytes);

	reader->bad |= memchr(bytes.p, '\0', bytes.n) != NULL;
	reader->exhausted |= text == NULL;
	return text;
}

#define ADDRESS_LEAST (3 * sizeof(uint32_t))

/* Its texts stay where they are. */
static void get_address(struct reader *reader, struct address *address)
{
	address->text = get_slice(reader, LOOKUP_TEXT_BYTES);
	address->local = get_slice(reader, LOOKUP_TEXT_BYTES);
	address->domain = get_slice(reader, LOOKUP_TEXT_BYTES);
}

static void copy_slice(struct reader *reader, struct slice *bytes)
{
	*bytes = arena_copy(reader->arena, *bytes);
	reader->exhausted |= bytes->p == NULL;
}

static void get_own_address(struct reader *reader, struct address *address)
{
	get_address(reader, address);
	copy_slice(reader, &address->text);
	copy_slice(reader, &address->local);
	copy_slice(reader, &address->domain);
}

static void *get_array(struct reader *reader, size_t n, size_t size)
{
	void *array = failed(reader) ? NULL : arena_array(reader->arena, n, size);

	reader->exhausted |= array == NULL && !reader->bad;
	return array;
}

static bool make_room(struct reader *reader)
{
	const size_t capacity = reader->cert_capacity == 0 ? 16 : reader->cert_capacity * 2;
	struct cert **larger = NULL;

	if (reader->cert_count < reader->cert_capacity)
		return true;
	larger = get_array(reader, capacity, sizeof(*larger));
	if (larger == NULL)
		return false;
	if (reader->cert_count > 0)
		memcpy(larger, reader->certs, reader->cert_count * sizeof(*larger));
	reader->certs = larger;
	reader->cert_capacity = capacity;
	return true;
}

static struct cert *get_new_cert(struct reader *reader)
{
	struct slice der = get_slice(reader, reader->left.n);
	struct cert *cert = NULL;

	if (failed(reader) || !make_room(reader))
		return NULL;
	cert = cert_from_der(der, NULL);
	if (cert == NULL) {
		reader->bad = true;
		return NULL;
	}
	if (cert_defer(reader->arena, cert) != 0) {
		reader->exhausted = true;
		return NULL;
	}
	reader->certs[reader->cert_count++] = cert;
	return cert;
}

static struct cert *get_cert(struct reader *reader)
{
	size_t number = get_number(reader);

	if (failed(reader))
		return NULL;
	if (number < reader->cert_count)
		return reader->certs[number];
	if (number == reader->cert_count)
		return get_new_cert(reader);
	reader->bad = true;
	return NULL;
}

static const struct directory_owner *get_new_owner(struct reader *reader)
{
	size_t n = get_count(reader, ADDRESS_LEAST);
	struct directory_owner *owner = get_array(reader, 1, sizeof(*owner));
	struct address *addresses = get_array(reader, n, sizeof(*addresses));

	if (failed(reader))
		return NULL;
	for (size_t i = 0; i < n; i++)
		get_own_address(reader, &addresses[i]);
	*owner = (struct directory_owner){ addresses, n };
	return owner;
}

static const struct directory_owner *get_owner(struct reader *reader, const struct directory_owner *before)
{
	switch (get_byte(reader)) {
	case OWNER_NONE:
		return NULL;
	case OWNER_NEW:
		return get_new_owner(reader);
	case OWNER_BEFORE:
		reader->bad |= before == NULL;
		return before;
	default:
		reader->bad = true;
		return NULL;
	}
}

static void get_entry(struct reader *reader, struct directory_entry *entry, const struct directory_owner *before)
{
	entry->cert = get_cert(reader);
	entry->capabilities.known = get_flag(reader);
	entry->capabilities.ciphers = get_number(reader);
	entry->attribute = get_text(reader);
	entry->value = get_number(reader);
	entry->preferred = get_flag(reader);
	entry->owner = get_owner(reader, before);
	reader->bad |= entry->capabilities.ciphers >= 1U << CIPHER_COUNT;
}

#define ENTRY_LEAST (4 * sizeof(uint32_t) + 3)

static void get_entries(struct reader *reader, struct directory_answer *answer)
{
	const size_t n = get_count(reader, ENTRY_LEAST);
	struct directory_entry entry = { .owner = NULL };

	for (size_t i = 0; i < n && !failed(reader); i++) {
		get_entry(reader, &entry, entry.owner);
		if (!failed(reader))
			reader->exhausted |= directory_answer_add(reader->arena, answer, &entry) != 0;
	}
}

static void get_chain(struct reader *reader, struct directory_answer *answer)
{
	const size_t n = get_count(reader, sizeof(uint32_t));
	struct cert **items = get_array(reader, n, sizeof(*items));

	for (size_t i = 0; i < n && !failed(reader); i++)
		items[i] = get_cert(reader);
	answer->chain = (struct cert_list){ .items = items, .n = n };
}

static void get_problems(struct reader *reader, struct directory_answer *answer)
{
	const size_t n = get_count(reader, sizeof(uint32_t));

	answer->problems = get_array(reader, n, sizeof(*answer->problems));
	for (size_t i = 0; i < n && !failed(reader); i++)
		answer->problems[i] = get_text(reader);
	answer->problem_count = n;
}

#define ASSOCIATION_LEAST (sizeof(uint32_t) + 3)

static void get_associations(struct reader *reader, struct directory_answer *answer)
{
	const size_t n = get_count(reader, ASSOCIATION_LEAST);
	struct smimea *records = get_array(reader, n, sizeof(*records));

	for (size_t i = 0; i < n && !failed(reader); i++) {
		records[i].usage = (enum smimea_usage)get_byte(reader);
		records[i].selector = (enum smimea_selector)get_byte(reader);
		records[i].matching = (enum smimea_matching)get_byte(reader);
		records[i].data = get_slice(reader, reader->left.n);
		copy_slice(reader, &records[i].data);
		reader->bad |= records[i].usage > SMIMEA_DANE_EE || records[i].selector > SMIMEA_SPKI ||
			       records[i].matching > SMIMEA_SHA512;
	}
	answer->associations = records;
	answer->association_count = n;
}

static void get_answer(struct reader *reader, struct directory_answer *answer, bool of_member);

#define MEMBER_LEAST (ADDRESS_LEAST + sizeof(uint32_t) + 1)

static void get_members(struct reader *reader, struct directory_answer *answer)
{
	const size_t n = get_count(reader, MEMBER_LEAST);

	answer->members = get_array(reader, n, sizeof(*answer->members));
	for (size_t i = 0; i < n && !failed(reader); i++) {
		get_own_address(reader, &answer->members[i].address);
		get_answer(reader, &answer->members[i].answer, true);
	}
	answer->member_count = n;
}

static const char *get_failure(struct reader *reader)
{
	const char *failure = get_text(reader);

	if (failed(reader))
		return NULL;
	reader->bad |= failure[0] == '\0';
	for (const char *p = failure; *p != '\0'; p++)
		reader->bad |= *p < ' ' || *p > '~';
	return failure;
}

static void get_age(struct reader *reader, struct directory_answer *answer)
{
	answer->remembered = get_flag(reader);
	answer->stale = get_flag(reader);
	if (answer->remembered)
		answer->age_ms = get_time(reader);
	if (answer->stale)
		answer->failure = get_failure(reader);
	reader->bad |= answer->age_ms < 0 || (answer->stale && !answer->remembered);
}

/* A group's answer is "found" with members in the place of certificates; "none" holds neither, and is never stale. */
static void get_content(struct reader *reader, struct directory_answer *answer, bool found, bool of_member)
{
	get_age(reader, answer);
	get_entries(reader, answer);
	reader->bad |= !found && (answer->n > 0 || answer->stale);
	answer->status = found ? DIRECTORY_FOUND : DIRECTORY_NONE;
	get_chain(reader, answer);
	get_problems(reader, answer);
	get_associations(reader, answer);
	answer->group = get_flag(reader);
	reader->bad |= answer->group && (!found || of_member || answer->n > 0);
	if (answer->group && !failed(reader))
		get_members(reader, answer);
}

static void get_answer(struct reader *reader, struct directory_answer *answer, bool of_member)
{
	const unsigned kind = get_byte(reader);

	*answer = (struct directory_answer){ .status = DIRECTORY_FAILED };
	if (kind == 'f')
		answer->failure = get_failure(reader);
	else if (kind == 'y' || kind == 'n')
		get_content(reader, answer, kind == 'y', of_member);
	else
		reader->bad = true;
}

/* Everything read, and nothing left over? */
static int finish(struct reader *reader, const char *what, struct err *err)
{
	if (reader->bad || (!reader->exhausted && reader->left.n > 0))
		return err_set(err, ERR_BUG, "not %s", what);
	return reader->exhausted ? err_memory(err) : 0;
}

int lookup_read_answers(struct slice bytes, struct arena *arena, struct directory_answer *answers, size_t n,
			size_t *count, struct err *err)
{
	struct reader reader = { .left = bytes, .arena = arena };

	reader.bad |= get_byte(&reader) != KIND_ANSWERS;
	*count = get_number(&reader);
	reader.bad |= *count == 0 || *count > n;
	for (size_t i = 0; !failed(&reader) && i < *count; i++)
		get_answer(&reader, &answers[i], false);
	return finish(&reader, "an answer", err);
}

int lookup_read_question(struct slice bytes, struct arena *arena, struct lookup_question *question, struct err *err)
{
	struct reader reader = { .left = bytes, .arena = arena };
	struct address *addresses = NULL;

	*question = (struct lookup_question){ .operation = (enum lookup_operation)get_byte(&reader) };
	question->directory = get_number(&reader);
	question->deadline_ms = get_time(&reader);
	question->n = get_count(&reader, ADDRESS_LEAST);
	if (question->operation == LOOKUP_FIND)
		reader.bad |= question->n == 0;
	else
		reader.bad |= question->operation != LOOKUP_PROBE || question->n > 0;
	addresses = get_array(&reader, question->n, sizeof(*addresses));
	for (size_t i = 0; !failed(&reader) && i < question->n; i++)
		get_address(&reader, &addresses[i]);
	question->addresses = addresses;
	return finish(&reader, "a question", err);
}

bool lookup_is_outcome(struct slice bytes)
{
	return bytes.n > 0 && bytes.p[0] == KIND_OUTCOME;
}

int lookup_read_outcome(struct slice bytes, struct err *err)
{
	struct reader reader = { .left = bytes };
	struct slice text;
	unsigned class;

	reader.bad |= get_byte(&reader) != KIND_OUTCOME;
	class = get_byte(&reader);
	text = reader.left;
	if (failed(&reader) || class > ERR_BUG || text.n >= sizeof(err->text) || (class == ERR_NONE && text.n > 0))
		return err_set(err, ERR_BUG, "not an outcome");
	return class == ERR_NONE ? 0 : err_set(err, (enum err_class)class, "%.*s", SLICE_ARGS(text));
}
