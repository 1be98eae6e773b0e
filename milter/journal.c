/* journal.c - from mails and addresses to digests, and on to the driver. Called by whoever sends copies, and by the tests.
 */
#include "milter/journal.h"

#include <stdlib.h>
#include <string.h>

/* A part with its length before it, so that no two lists of parts give the same bytes. */
static int add_part(struct crypt_digest *digest, struct slice part, struct err *err)
{
	unsigned char length[8];

	for (size_t i = 0; i < sizeof(length); i++)
		length[i] = (unsigned char)((uint64_t)part.n >> (56 - 8 * i) & 0xff);
	return crypt_digest_add(digest, length, sizeof(length), err) != 0 ||
	       crypt_digest_add(digest, part.p, part.n, err) != 0 ? -1 : 0;
}

static int digest_parts(const struct slice *parts, size_t n, unsigned char out[CRYPT_SHA256_BYTES], struct err *err)
{
	struct crypt_digest *digest = crypt_digest_new(err);
	int rc = -1;

	if (digest == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (add_part(digest, parts[i], err) != 0)
			goto out;
	rc = crypt_digest_end(digest, out, err);
out:
	crypt_digest_free(digest);
	return rc;
}

int journal_key_make(const struct journal_parts *parts, struct journal_key *key, struct err *err)
{
	const struct slice id = slice_trim(parts->message_id), date = slice_trim(parts->date);
	const struct slice all[] = { parts->sender, id, date, slice_make(parts->body_sha256, CRYPT_SHA256_BYTES),
				     parts->more };
	const size_t n = sizeof(all) / sizeof(all[0]);

	key->unique = id.n > 0 && date.n > 0;
	return digest_parts(all, parts->more.n > 0 ? n : n - 1, key->bytes, err);
}

static int make_id(struct slice kind, struct slice text, struct journal_id *id, struct err *err)
{
	const struct slice parts[] = { kind, text };
	unsigned char digest[CRYPT_SHA256_BYTES];

	if (digest_parts(parts, 2, digest, err) != 0)
		return -1;
	memcpy(id->bytes, digest, sizeof(id->bytes));
	return 0;
}

/* NULL: *err. */
static struct journal_id *new_ids(size_t n, const char *what, struct err *err)
{
	struct journal_id *ids = NULL;

	if (n > JOURNAL_RECIPIENTS) {
		err_set(err, ERR_LIMIT, "journal: more than %d %s", JOURNAL_RECIPIENTS, what);
		return NULL;
	}
	ids = calloc(n + 1, sizeof(*ids));
	if (ids == NULL)
		err_memory(err);
	return ids;
}

/* Under the message's key: the journal tells nobody whether a certain person ever got mail. NULL: *err. */
static struct journal_id *make_ids(const struct journal_key *key, const char *const *recipients, size_t n,
				   struct err *err)
{
	struct journal_id *ids = new_ids(n, "recipients in one message", err);

	for (size_t i = 0; ids != NULL && i < n; i++)
		if (make_id(slice_make(key->bytes, sizeof(key->bytes)), slice_of(recipients[i]), &ids[i], err) != 0) {
			free(ids);
			return NULL;
		}
	return ids;
}

int journal_look(const struct journal *journal, const struct journal_key *key, const char *const *recipients, size_t n,
		 bool *done, struct err *err)
{
	size_t from = 0, part;
	int rc = 0;

	for (; rc == 0 && from < n; from += part) {
		struct journal_id *ids = NULL;

		part = n - from < JOURNAL_RECIPIENTS ? n - from : JOURNAL_RECIPIENTS;
		ids = make_ids(key, recipients + from, part, err);
		rc = ids == NULL ? -1 : journal->class->look(journal->self, ids, part, done + from, err);
		free(ids);
	}
	return rc;
}

int journal_begin(const struct journal *journal, const struct journal_key *key, const char *const *recipients, size_t n,
		  bool *done, struct journal_attempt *attempt, struct err *err)
{
	struct journal_id *ids = make_ids(key, recipients, n, err);
	int rc;

	if (ids == NULL)
		return -1;
	*attempt = (struct journal_attempt){ .key = *key };
	rc = journal->class->begin(journal->self, ids, n, done, &attempt->number, err);
	free(ids);
	return rc;
}

int journal_keep(const struct journal *journal, const struct journal_attempt *attempt, const char *const *recipients,
		 size_t n, const char *queue_id, struct err *err)
{
	struct journal_id *ids = make_ids(&attempt->key, recipients, n, err);
	char cut[JOURNAL_QUEUE_ID_BYTES] = "";
	int rc;

	if (ids == NULL)
		return -1;
	strncat(cut, queue_id, sizeof(cut) - 1);
	rc = journal->class->keep(journal->self, attempt->number, ids, n, cut, err);
	free(ids);
	return rc;
}

int journal_end(const struct journal *journal, const struct journal_attempt *attempt, bool accepted, struct err *err)
{
	return journal->class->end(journal->self, attempt->number, accepted && !attempt->key.unique, err);
}

int journal_seen(const struct journal *journal, const char *id, time_t expires, bool *seen, struct err *err)
{
	struct journal_id digest;

	if (make_id(slice_of("seen"), slice_of(id), &digest, err) != 0)
		return -1;
	return journal->class->seen(journal->self, &digest, expires, seen, err);
}

/* NULL: *err. */
static struct journal_id *make_mail_ids(const struct slice *message_ids, size_t n, struct err *err)
{
	struct journal_id *ids = new_ids(n, "Message-IDs", err);

	for (size_t i = 0; ids != NULL && i < n; i++)
		if (make_id(slice_of("mail"), message_ids[i], &ids[i], err) != 0) {
			free(ids);
			return NULL;
		}
	return ids;
}

int journal_remember(const struct journal *journal, const struct slice *message_ids, size_t n, struct err *err)
{
	struct journal_id *ids = make_mail_ids(message_ids, n, err);
	int rc = ids == NULL ? -1 : journal->class->remember(journal->self, ids, n, err);

	free(ids);
	return rc;
}

int journal_recall(const struct journal *journal, const struct slice *message_ids, size_t n, bool *known,
		   struct err *err)
{
	struct journal_id *ids = make_mail_ids(message_ids, n, err);
	int rc = ids == NULL ? -1 : journal->class->recall(journal->self, ids, n, known, err);

	free(ids);
	return rc;
}

void journal_close(struct journal *journal)
{
	if (journal->class != NULL)
		journal->class->close(journal->self);
	*journal = (struct journal){ NULL, NULL };
}
