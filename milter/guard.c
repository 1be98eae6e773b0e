/* guard.c - see guard.h. Called by delivery.c. RFC 2104. */
#include "milter/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"

#define KEY_NAME "guard.key"
#define FIELDS 10
#define MAC_HEX (2 * CRYPT_SHA256_BYTES)

struct guard {
	unsigned char key[CRYPT_KEY_BYTES];
};

/* 1 read, 0 there is none, -1. */
static int read_key(const char *path, struct guard *guard, struct err *err)
{
	struct buf bytes;
	int rc = -1;

	if (access(path, F_OK) != 0 && errno == ENOENT)
		return 0;
	buf_init(&bytes, 0);
	if (file_read_secret(path, 4096, &bytes, err) != 0)
		goto out;
	if (bytes.n != sizeof(guard->key)) {
		err_set(err, ERR_CONFIG, "%s: %zu bytes, and not %zu: remove it, and it is made anew", path, bytes.n,
			sizeof(guard->key));
		goto out;
	}
	memcpy(guard->key, bytes.p, sizeof(guard->key));
	rc = 1;
out:
	buf_clear(&bytes);
	return rc;
}

static int cannot(const char *path, struct err *err)
{
	return err_set(err, ERR_TEMP, "%s: cannot be made: %s", path, strerror(errno));
}

/* Under another name, given its own when it is whole: link fails where somebody was faster, whose key then counts. */
static int make_key(const char *path, struct err *err)
{
	unsigned char key[CRYPT_KEY_BYTES];
	char made[4096];
	int fd = -1, rc = -1;

	if (crypt_random(key, sizeof(key), err) != 0)
		return -1;
	if (snprintf(made, sizeof(made), "%s.XXXXXX", path) >= (int)sizeof(made)) {
		errno = ENAMETOOLONG;
		made[0] = '\0';
		goto out;
	}
	fd = mkostemp(made, O_CLOEXEC);	/* mode 0600 */
	if (fd < 0)
		goto out;
	if (write(fd, key, sizeof(key)) != (ssize_t)sizeof(key) || fsync(fd) != 0)
		goto out;
	if (link(made, path) != 0 && errno != EEXIST)
		goto out;
	rc = 0;
out:
	if (rc != 0)
		cannot(path, err);
	if (fd >= 0) {
		close(fd);
		unlink(made);
	}
	crypt_wipe(key, sizeof(key));
	return rc;
}

struct guard *guard_open(const char *state_dir, struct err *err)
{
	struct guard *guard = calloc(1, sizeof(*guard));
	char path[4096];
	int rc;

	if (guard == NULL) {
		err_memory(err);
		return NULL;
	}
	if (snprintf(path, sizeof(path), "%s/%s", state_dir, KEY_NAME) >= (int)sizeof(path)) {
		err_set(err, ERR_CONFIG, "state_dir: too long");
		goto out;
	}
	rc = read_key(path, guard, err);
	if (rc == 0 && make_key(path, err) == 0)
		rc = read_key(path, guard, err);
	else if (rc == 0)
		rc = -1;
	if (rc == 1)
		return guard;
	if (rc == 0)
		err_set(err, ERR_TEMP, "%s: vanished", path);
out:
	guard_free(guard);
	return NULL;
}

void guard_free(struct guard *guard)
{
	if (guard == NULL)
		return;
	crypt_wipe(guard->key, sizeof(guard->key));
	free(guard);
}

static int by_bytes(const void *a, const void *b)
{
	const struct slice *one = a, *other = b;
	size_t n = one->n < other->n ? one->n : other->n;
	int order = n > 0 ? memcmp(one->p, other->p, n) : 0;

	return order != 0 ? order : (one->n > other->n) - (one->n < other->n);
}

/* Lower-cased, sorted. NULL: memory. */
static struct slice *recipient_set(struct arena *arena, const struct guard_mail *mail, size_t n)
{
	struct slice *set = arena_array(arena, n + 1, sizeof(*set));

	for (size_t i = 0; set != NULL && i < n; i++) {
		size_t at = mail->members != NULL ? mail->members[i] : i;
		char *copy = arena_string(arena, mail->envelope->recipients[at].address.text);

		if (copy == NULL)
			return NULL;
		set[i] = slice_make(copy, mail->envelope->recipients[at].address.text.n);
		ascii_lower(copy, set[i].n);
	}
	if (set != NULL)
		qsort(set, n, sizeof(*set), by_bytes);
	return set;
}

/* Each part with its length: no two mails give the same bytes. */
static int add_part(struct buf *bytes, struct slice part)
{
	return buf_printf(bytes, "%zu:", part.n) != 0 || buf_append_slice(bytes, part) != 0 ? -1 : 0;
}

static int mac_of(struct arena *arena, const struct guard *guard, const struct guard_mail *mail, const char *id,
		  const char *expires, char hex[MAC_HEX + 1], struct err *err)
{
	size_t n = mail->members != NULL ? mail->n : mail->envelope->recipient_count;
	struct slice *set = recipient_set(arena, mail, n);
	struct buf *bytes = arena_buf(arena, 0);
	unsigned char mac[CRYPT_SHA256_BYTES];

	if (set == NULL || bytes == NULL || add_part(bytes, slice_of(GUARD_FIELD " v1")) != 0 ||
	    add_part(bytes, slice_of(id)) != 0 || add_part(bytes, slice_of(expires)) != 0 ||
	    add_part(bytes, slice_make(mail->body_sha256, CRYPT_SHA256_BYTES)) != 0)
		return err_memory(err);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && slice_equal(set[i], set[i - 1]))
			continue;
		if (add_part(bytes, set[i]) != 0)
			return err_memory(err);
	}
	if (crypt_hmac(guard->key, bytes->p, bytes->n, mac, err) != 0)
		return -1;
	crypt_hex(mac, sizeof(mac), hex);
	return 0;
}

char *guard_field(struct arena *arena, const struct guard *guard, const struct guard_mail *mail, struct err *err)
{
	unsigned char random[(GUARD_ID_BYTES - 1) / 2];
	char id[GUARD_ID_BYTES], expires[24], mac[MAC_HEX + 1];
	char *line;

	if (crypt_random(random, sizeof(random), err) != 0)
		return NULL;
	crypt_hex(random, sizeof(random), id);
	snprintf(expires, sizeof(expires), "%" PRId64, (int64_t)mail->now + GUARD_LIFE_S);
	if (mac_of(arena, guard, mail, id, expires, mac, err) != 0)
		return NULL;
	line = arena_printf(arena, GUARD_FIELD ": v1; id=%s;\r\n\texpires=%s;\r\n\tmac=%s\r\n", id, expires, mac);
	if (line == NULL)
		err_memory(err);
	return line;
}

bool guard_present(const struct header *header)
{
	return header_find(header, GUARD_FIELD, 0) != NULL;
}

/* "NAME=VALUE" at the beginning of rest, and the semicolon behind it. */
static bool take_value(struct slice *rest, const char *name, char *out, size_t size)
{
	struct slice text = slice_trim(*rest), value;
	long end;

	if (!slice_starts_nocase(text, name))
		return false;
	text = slice_from(text, strlen(name));
	end = slice_find(text, ';');
	value = end < 0 ? text : slice_first(text, (size_t)end);
	*rest = slice_from(text, value.n + 1);
	if (value.n == 0 || value.n >= size || memchr(value.p, '\0', value.n) != NULL)
		return false;
	memcpy(out, value.p, value.n);
	out[value.n] = '\0';
	return true;
}

struct pass {
	char id[GUARD_ID_BYTES], expires[24], mac[MAC_HEX + 1];
	time_t until;
};

static bool read_pass(struct slice value, struct pass *pass)
{
	struct slice rest = slice_trim(value);
	char *end = NULL;
	int64_t until;

	if (!slice_starts_nocase(rest, "v1;"))
		return false;
	rest = slice_from(rest, 3);
	if (!take_value(&rest, "id=", pass->id, sizeof(pass->id)) ||
	    !take_value(&rest, "expires=", pass->expires, sizeof(pass->expires)) ||
	    !take_value(&rest, "mac=", pass->mac, sizeof(pass->mac)) || slice_trim(rest).n > 0)
		return false;
	until = strtoll(pass->expires, &end, 10);
	pass->until = (time_t)until;
	return *end == '\0' && strlen(pass->id) == GUARD_ID_BYTES - 1 && strlen(pass->mac) == MAC_HEX;
}

/* As guard_check, for one field. The MAC comes first: the journal hears of nothing that we did not make. */
static int check_pass(struct arena *arena, const struct guard *guard, const struct guard_mail *mail,
		      const struct pass *pass, const struct journal *journal, struct err *err)
{
	char mac[MAC_HEX + 1];
	bool seen = true;

	if (mac_of(arena, guard, mail, pass->id, pass->expires, mac, err) != 0)
		return -1;
	if (!crypt_equal(mac, pass->mac, MAC_HEX) || pass->until < mail->now)
		return 0;
	if (journal_seen(journal, pass->id, pass->until, &seen, err) != 0)
		return -1;
	return seen ? 0 : 1;
}

int guard_check(struct arena *arena, const struct guard *guard, const struct guard_mail *mail,
		const struct header *header, const struct journal *journal, struct err *err)
{
	const struct field *field;
	struct pass pass;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < FIELDS && (field = header_find(header, GUARD_FIELD, i)) != NULL; i++) {
		struct slice value = field_unfold(arena, field);

		if (value.p == NULL)
			return err_memory(err);
		if (read_pass(value, &pass))
			rc = check_pass(arena, guard, mail, &pass, journal, err);
	}
	return rc;
}
