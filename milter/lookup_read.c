/* lookup_read.c - the reading half of lookup_wire.h: what is not there or not as it should be makes the reader bad, and
 * nothing that it says after that counts. Called by lookup.c and lookup_client.c, in threads. Pure. */
#include "milter/lookup_wire.h"

#include <string.h>

#include "pki/directory_driver.h"

struct reader {
	struct slice left;
	struct arena *arena;
	struct cert_memory *memory;
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
		reader->bad |= !reader->exhausted;
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

static void copy_slice(struct reader *reader, struct slice *bytes)
{
	*bytes = arena_copy(reader->arena, *bytes);
	reader->exhausted |= bytes->p == NULL;
}

#define ADDRESS_LEAST sizeof(uint32_t)

/* In the arena. A worker that says one address and means another would have the answer remembered for all workers under
 * the wrong one: so there is but one text, and parts are what it says. Empty: none. */
static void get_address(struct reader *reader, struct address *address)
{
	struct slice text = get_slice(reader, LOOKUP_TEXT_BYTES);
	struct err why = { .class = ERR_NONE };

	*address = (struct address){ .text = { "", 0 } };
	copy_slice(reader, &text);
	if (failed(reader) || text.n == 0)
		return;
	if (address_parse(reader->arena, text, address, &why) == 0)
		reader->bad |= !slice_equal(address->text, text);
	else if (why.class == ERR_MESSAGE)
		reader->bad = true;
	else
		reader->exhausted = true;
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
	cert = cert_memory_get(reader->memory, der, NULL);
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
		get_address(reader, &addresses[i]);
	*owner = (struct directory_owner){ addresses, n };
	return owner;
}

static const struct directory_owner *get_owner(struct reader *reader, const struct directory_owner *before)
{
	switch (get_byte(reader)) {
	case LOOKUP_OWNER_NONE:
		return NULL;
	case LOOKUP_OWNER_NEW:
		return get_new_owner(reader);
	case LOOKUP_OWNER_BEFORE:
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
		get_address(reader, &answer->members[i].address);
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
	answer->age_ms = get_time(reader);
	if (get_flag(reader))
		answer->failure = get_failure(reader);
	reader->bad |= answer->age_ms < 0 || (answer->stale && !answer->remembered);
}

/* "None" holds no certificate and is never stale; a group may be one, where members have none. */
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
	reader->bad |= answer->group && of_member;
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

int lookup_read_answers(struct slice bytes, const struct lookup_place *place, struct directory_answer *answers,
			size_t n, size_t *count, struct err *err)
{
	struct reader reader = { .left = bytes, .arena = place->arena, .memory = place->certs };

	reader.bad |= get_byte(&reader) != LOOKUP_KIND_ANSWERS;
	*count = get_number(&reader);
	reader.bad |= *count == 0 || *count > n;
	for (size_t i = 0; !failed(&reader) && i < *count; i++)
		get_answer(&reader, &answers[i], false);
	return finish(&reader, "an answer", err);
}

#define REMEMBERED_LEAST (sizeof(uint32_t) + 1)

int lookup_read_remembered(struct slice bytes, struct arena *arena, struct directory_remembered **items, size_t *n,
			   struct err *err)
{
	struct reader reader = { .left = bytes, .arena = arena };

	reader.bad |= get_byte(&reader) != LOOKUP_KIND_REMEMBERED;
	*n = get_count(&reader, REMEMBERED_LEAST);
	*items = get_array(&reader, *n, sizeof(**items));
	for (size_t i = *n; !failed(&reader) && i-- > 0;) {
		(*items)[i].address = get_slice(&reader, LOOKUP_TEXT_BYTES);
		get_answer(&reader, &(*items)[i].answer, false);
		reader.bad |= (*items)[i].answer.status == DIRECTORY_FAILED;
	}
	return finish(&reader, "what is remembered", err);
}

static void get_identity(struct reader *reader, struct lookup_question *question)
{
	struct slice bytes = get(reader, sizeof(question->identity));

	memcpy(question->identity.bytes, bytes.p, bytes.n);
}

int lookup_read_question(struct slice bytes, struct arena *arena, struct lookup_question *question, struct err *err)
{
	struct reader reader = { .left = bytes, .arena = arena };
	struct address *addresses = NULL;

	*question = (struct lookup_question){ .operation = (enum lookup_operation)get_byte(&reader) };
	question->directory = get_number(&reader);
	question->deadline_ms = get_time(&reader);
	if (question->operation == LOOKUP_INHERIT)
		get_identity(&reader, question);
	question->n = get_count(&reader, ADDRESS_LEAST);
	if (question->operation == LOOKUP_FIND)
		reader.bad |= question->n == 0;
	else
		reader.bad |= question->n > 0 ||
			      (question->operation != LOOKUP_PROBE && question->operation != LOOKUP_INHERIT);
	addresses = get_array(&reader, question->n, sizeof(*addresses));
	for (size_t i = 0; !failed(&reader) && i < question->n; i++)
		get_address(&reader, &addresses[i]);
	question->addresses = addresses;
	return finish(&reader, "a question", err);
}

bool lookup_is_outcome(struct slice bytes)
{
	return bytes.n > 0 && bytes.p[0] == LOOKUP_KIND_OUTCOME;
}

int lookup_read_outcome(struct slice bytes, struct err *err)
{
	struct reader reader = { .left = bytes };
	struct slice text;
	unsigned class;

	reader.bad |= get_byte(&reader) != LOOKUP_KIND_OUTCOME;
	class = get_byte(&reader);
	text = reader.left;
	if (failed(&reader) || class > ERR_BUG || text.n >= sizeof(err->text) || (class == ERR_NONE && text.n > 0))
		return err_set(err, ERR_BUG, "not an outcome");
	return class == ERR_NONE ? 0 : err_set(err, (enum err_class)class, "%.*s", SLICE_ARGS(text));
}
