/* spool.c - the body of a message while it is here: the first bytes in memory, the rest in a file without a name,
 * encrypted (AES-256-GCM, the chunk's index as nonce, the key random and in this process only). Called by milter and
 * ctl while a message arrives; mail and smime see only the body. One thread writes; any number may read afterwards.
 */
#include "base/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/crypt.h"

#define CHUNK_BYTES ((size_t)64 * 1024)
#define SEALED_BYTES (CHUNK_BYTES + CRYPT_TAG_BYTES)

struct spool {
	struct arena *arena;
	const char *directory;
	size_t memory_bytes;
	uint64_t limit_bytes, size_bytes;
	struct buf memory;		/* the first memory_bytes */
	int fd;				/* -1: no file yet */
	unsigned char key[CRYPT_KEY_BYTES];
	unsigned char *chunk;		/* SEALED_BYTES: what is not in the file yet */
	size_t chunk_bytes;
	uint64_t chunks;		/* in the file */
	const struct body *body;	/* not NULL: finished */
	struct err failure;
};

static void drop_chunk(unsigned char **chunk)
{
	if (*chunk != NULL)
		crypt_wipe(*chunk, SEALED_BYTES);
	free(*chunk);
	*chunk = NULL;
}

static void release(void *object)
{
	struct spool *spool = object;

	drop_chunk(&spool->chunk);
	buf_clear(&spool->memory);
	crypt_wipe(spool->key, sizeof(spool->key));
	if (spool->fd >= 0)
		close(spool->fd);
	spool->fd = -1;
}

struct spool *spool_new(struct arena *arena, const char *directory, size_t memory_bytes, uint64_t limit_bytes,
			struct err *err)
{
	struct spool *spool = arena_alloc(arena, sizeof(*spool));

	if (spool == NULL) {
		err_memory(err);
		return NULL;
	}
	spool->arena = arena;
	spool->directory = directory;
	spool->memory_bytes = memory_bytes;
	spool->limit_bytes = limit_bytes;
	spool->fd = -1;
	buf_init(&spool->memory, memory_bytes);
	if (arena_defer(arena, release, spool) != 0) {
		err_memory(err);
		return NULL;
	}
	return spool;
}

/* For file systems that know no O_TMPFILE: the name exists for a moment, with nothing in the file. */
static int open_named(const char *directory)
{
	char path[4096];
	int fd;

	if (snprintf(path, sizeof(path), "%s/.spool-XXXXXX", directory) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static int open_file(struct spool *spool, struct err *err)
{
	spool->chunk = malloc(SEALED_BYTES);
	if (spool->chunk == NULL)
		return err_memory(err);
	if (crypt_random(spool->key, sizeof(spool->key), err) != 0)
		return -1;
	/* O_EXCL: nobody gives it a name later. */
	spool->fd = open(spool->directory, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (spool->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
		spool->fd = open_named(spool->directory);
	if (spool->fd < 0)
		return err_set(err, ERR_TEMP, "no spool file in %s: %s", spool->directory, strerror(errno));
	return 0;
}

static int write_at(int fd, const unsigned char *p, size_t n, uint64_t offset, struct err *err)
{
	ssize_t done;

	while (n > 0) {
		done = pwrite(fd, p, n, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return err_set(err, ERR_TEMP, "writing a spool file: %s", strerror(done == 0 ? ENOSPC : errno));
		p += done;
		n -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

static int flush_chunk(struct spool *spool, struct err *err)
{
	size_t n = spool->chunk_bytes;

	if (n == 0)
		return 0;
	if (crypt_seal(spool->key, spool->chunks, spool->chunk, n, spool->chunk, err) != 0 ||
	    write_at(spool->fd, spool->chunk, n + CRYPT_TAG_BYTES, spool->chunks * SEALED_BYTES, err) != 0)
		return -1;
	spool->chunks++;
	spool->chunk_bytes = 0;
	return 0;
}

static int write_file(struct spool *spool, struct slice bytes, struct err *err)
{
	size_t part;

	if (spool->fd < 0 && open_file(spool, err) != 0)
		return -1;
	while (bytes.n > 0) {
		part = CHUNK_BYTES - spool->chunk_bytes;
		if (part > bytes.n)
			part = bytes.n;
		memcpy(spool->chunk + spool->chunk_bytes, bytes.p, part);
		spool->chunk_bytes += part;
		bytes = slice_from(bytes, part);
		if (spool->chunk_bytes == CHUNK_BYTES && flush_chunk(spool, err) != 0)
			return -1;
	}
	return 0;
}

static int write_bytes(struct spool *spool, struct slice bytes, struct err *err)
{
	size_t room = spool->memory_bytes - spool->memory.n;
	struct slice first = slice_first(bytes, room);

	if (spool->limit_bytes != 0 && bytes.n > spool->limit_bytes - spool->size_bytes)
		return err_set(err, ERR_LIMIT, "more than %llu bytes", (unsigned long long)spool->limit_bytes);
	if (buf_append_slice(&spool->memory, first) != 0)
		return err_memory(err);
	bytes = slice_from(bytes, first.n);
	if (bytes.n > 0 && write_file(spool, bytes, err) != 0)
		return -1;
	spool->size_bytes += first.n + bytes.n;
	return 0;
}

static int give_failure(const struct spool *spool, struct err *err)
{
	if (err != NULL)
		*err = spool->failure;
	return -1;
}

int spool_write(struct spool *spool, const void *p, size_t n, struct err *err)
{
	if (spool->failure.class != ERR_NONE)
		return give_failure(spool, err);
	if (spool->body != NULL)
		return err_set(err, ERR_BUG, "written to a finished spool");
	if (write_bytes(spool, slice_make(p, n), &spool->failure) != 0)
		return give_failure(spool, err);
	return 0;
}

struct reader {
	const struct spool *spool;
	uint64_t offset;		/* of the next byte */
	unsigned char *chunk;		/* SEALED_BYTES, NULL: none loaded */
	uint64_t index;			/* of the chunk loaded */
};

static ssize_t read_fully(int fd, unsigned char *p, size_t n, uint64_t offset)
{
	size_t done = 0;
	ssize_t got;

	while (done < n) {
		got = pread(fd, p + done, n - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -1 : (ssize_t)done;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

/* Has chunk `index`, of n bytes, in reader->chunk. */
static int load(struct reader *reader, uint64_t index, size_t n, struct err *err)
{
	const struct spool *spool = reader->spool;
	ssize_t got;

	if (reader->chunk != NULL && reader->index == index)
		return 0;
	if (reader->chunk == NULL && (reader->chunk = malloc(SEALED_BYTES)) == NULL)
		return err_memory(err);
	reader->index = UINT64_MAX;
	got = read_fully(spool->fd, reader->chunk, n + CRYPT_TAG_BYTES, index * SEALED_BYTES);
	if (got < 0)
		return err_set(err, ERR_TEMP, "reading a spool file: %s", strerror(errno));
	if ((size_t)got != n + CRYPT_TAG_BYTES)
		return err_set(err, ERR_TEMP, "a spool file was cut short");
	if (crypt_open(spool->key, index, reader->chunk, n, reader->chunk, err) != 0)
		return err_prefix(err, "a spool file");
	reader->index = index;
	return 0;
}

static ssize_t read_file(struct reader *reader, void *p, size_t n, struct err *err)
{
	uint64_t size = reader->spool->size_bytes - reader->spool->memory.n;
	uint64_t at = reader->offset - reader->spool->memory.n;
	uint64_t index = at / CHUNK_BYTES, start = index * CHUNK_BYTES;
	size_t within = (size_t)(at - start);
	size_t chunk_bytes = size - start < CHUNK_BYTES ? (size_t)(size - start) : CHUNK_BYTES;

	if (load(reader, index, chunk_bytes, err) != 0)
		return -1;
	if (n > chunk_bytes - within)
		n = chunk_bytes - within;
	memcpy(p, reader->chunk + within, n);
	return (ssize_t)n;
}

static ssize_t reader_read(void *self, void *p, size_t n, struct err *err)
{
	struct reader *reader = self;
	const struct buf *memory = &reader->spool->memory;
	ssize_t got;

	if (reader->offset >= reader->spool->size_bytes)
		return 0;
	if (reader->offset < memory->n) {
		struct slice rest = slice_first(slice_from(buf_slice(memory), (size_t)reader->offset), n);

		memcpy(p, rest.p, rest.n);
		got = (ssize_t)rest.n;
	} else {
		got = read_file(reader, p, n, err);
	}
	if (got > 0)
		reader->offset += (uint64_t)got;
	return got;
}

static void reader_close(void *self)
{
	struct reader *reader = self;

	drop_chunk(&reader->chunk);
	free(reader);
}

static const struct stream_class reader_class = { .read = reader_read, .close = reader_close };

static struct stream *reader_open(const void *self, uint64_t offset, struct err *err)
{
	struct reader *reader = calloc(1, sizeof(*reader));

	if (reader == NULL) {
		err_memory(err);
		return NULL;
	}
	reader->spool = self;
	reader->offset = offset;
	return stream_new(&reader_class, reader, err);
}

static const struct body_class spool_class = { .open = reader_open, .seekable = true };

const struct body *spool_finish(struct spool *spool, struct err *err)
{
	if (spool->failure.class == ERR_NONE && spool->body == NULL) {
		if (flush_chunk(spool, &spool->failure) == 0) {
			spool->body = body_new(spool->arena, &spool_class, spool, spool->size_bytes);
			if (spool->body == NULL)
				err_memory(&spool->failure);
		}
		drop_chunk(&spool->chunk);
	}
	if (spool->body == NULL)
		give_failure(spool, err);
	return spool->body;
}
