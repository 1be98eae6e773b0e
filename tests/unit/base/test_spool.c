/* test_spool.c - the spool: memory and file, several readers, ranges, limits, tampering, and no plaintext in the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/spool.h"

#define SEALED_BYTES (64 * 1024 + 16)

static char directory[] = "/tmp/test_spool.XXXXXX";
static unsigned char content[300001];

static int prepare(void **state)
{
	static const char words[] = "This is plaintext that nobody may find. ";

	(void)state;
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (unsigned char)(i % 1000 == 999 ? i / 1000 : (size_t)words[i % (sizeof(words) - 1)]);
	return mkdtemp(directory) == NULL ? -1 : 0;
}

static int finish(void **state)
{
	(void)state;
	/* Nothing may be left in it. */
	return rmdir(directory);
}

static const struct body *fill(struct arena *arena, size_t memory_bytes, size_t n, size_t step)
{
	struct err err = { 0 };
	struct spool *spool = spool_new(arena, directory, memory_bytes, 0, &err);

	assert_non_null(spool);
	for (size_t i = 0; i < n; i += step)
		assert_int_equal(spool_write(spool, content + i, n - i < step ? n - i : step, &err), 0);
	return spool_finish(spool, &err);
}

static void assert_content(const struct body *body, size_t offset, size_t n)
{
	struct err err = { 0 };
	struct buf buf;

	assert_non_null(body);
	buf_init(&buf, 0);
	assert_int_equal(body_read_all(body, &buf, &err), 0);
	assert_int_equal(buf.n, n);
	if (n > 0)
		assert_memory_equal(buf.p, content + offset, n);
	buf_clear(&buf);
}

/* The spool's file among our descriptors, -1: none. */
static int spool_descriptor(void)
{
	char path[64], target[512];
	int found = -1;

	for (int fd = 3; fd < 64; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (strncmp(target, directory, strlen(directory)) == 0)
			found = fd;
	}
	return found;
}

static void test_memory_only(void **state)
{
	struct arena *arena = arena_new(0);

	(void)state;
	assert_content(fill(arena, 1000, 0, 1), 0, 0);
	assert_content(fill(arena, 1000, 1000, 7), 0, 1000);
	assert_int_equal(spool_descriptor(), -1);
	assert_content(fill(arena, 1000, 1001, 7), 0, 1001);
	assert_true(spool_descriptor() >= 0);
	arena_free(arena);
	assert_int_equal(spool_descriptor(), -1);
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = { 1, 65535, 65536, 65537, 131072, 131073, 131572, 300001 };
	static const size_t memory[] = { 0, 1, 500, 65536, 100000 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (size_t j = 0; j < sizeof(memory) / sizeof(memory[0]); j++) {
			struct arena *arena = arena_new(0);
			const struct body *body = fill(arena, memory[j], sizes[i], 40007);

			assert_int_equal(body->size_bytes, sizes[i]);
			assert_content(body, 0, sizes[i]);
			assert_content(body, 0, sizes[i]);
			arena_free(arena);
		}
}

static void test_range(void **state)
{
	static const size_t offsets[] = { 0, 1, 999, 1000, 1001, 66535, 66536, 66537, 200000, 299999, 300000 };
	struct arena *arena = arena_new(0);
	const struct body *body = fill(arena, 1000, 300000, 65536);

	(void)state;
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
		for (size_t n = 0; n < 80000; n += 19999) {
			size_t left = 300000 - offsets[i];

			assert_content(body_range(arena, body, offsets[i], n), offsets[i], n < left ? n : left);
		}
	arena_free(arena);
}

static void test_interleaved(void **state)
{
	struct arena *arena = arena_new(0);
	const struct body *body = fill(arena, 1000, 300000, 65536);
	struct stream *slow = body_open(body, NULL), *fast = body_open(body, NULL);
	size_t slow_at = 0, fast_at = 0;
	unsigned char p[4096];
	ssize_t n;

	(void)state;
	while ((n = stream_read(fast, p, sizeof(p), NULL)) > 0) {
		assert_memory_equal(p, content + fast_at, (size_t)n);
		fast_at += (size_t)n;
		n = stream_read(slow, p, 777, NULL);
		assert_true(n > 0);
		assert_memory_equal(p, content + slow_at, (size_t)n);
		slow_at += (size_t)n;
	}
	assert_int_equal(n, 0);
	assert_int_equal(fast_at, 300000);
	stream_close(slow);
	stream_close(fast);
	arena_free(arena);
}

static void *read_in_thread(void *arg)
{
	const struct body *body = arg;
	void *good = NULL;
	struct buf buf;

	for (int i = 0; i < 5; i++) {
		buf_init(&buf, 0);
		good = body_read_all(body, &buf, NULL) == 0 && buf.n == 300000 &&
		       memcmp(buf.p, content, buf.n) == 0 ? arg : NULL;
		buf_clear(&buf);
		if (good == NULL)
			break;
	}
	return good;
}

static void test_threads(void **state)
{
	struct arena *arena = arena_new(0);
	const struct body *body = fill(arena, 1000, 300000, 65536);
	pthread_t threads[4];
	void *good;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_in_thread, (void *)(uintptr_t)body), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &good), 0);
		assert_non_null(good);
	}
	arena_free(arena);
}

static void test_file(void **state)
{
	struct arena *arena = arena_new(0);
	unsigned char *stored;
	struct stat st;
	int fd;

	(void)state;
	assert_content(fill(arena, 1000, 300000, 65536), 0, 300000);
	fd = spool_descriptor();
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_mode & 077, 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(st.st_size, 299000 + 5 * 16);
	stored = malloc((size_t)st.st_size);
	assert_non_null(stored);
	assert_int_equal(pread(fd, stored, (size_t)st.st_size, 0), st.st_size);
	assert_null(memmem(stored, (size_t)st.st_size, "plaintext", 9));
	assert_null(memmem(stored, (size_t)st.st_size, "nobody", 6));
	free(stored);
	arena_free(arena);
}

static void test_keys_differ(void **state)
{
	unsigned char one[1000], other[1000];
	struct arena *arena = arena_new(0);

	(void)state;
	fill(arena, 0, 2000, 2000);
	assert_int_equal(pread(spool_descriptor(), one, sizeof(one), 0), sizeof(one));
	fill(arena, 0, 2000, 2000);
	assert_int_equal(pread(spool_descriptor(), other, sizeof(other), 0), sizeof(other));
	assert_memory_not_equal(one, other, sizeof(one));
	arena_free(arena);
}

static void assert_refused(const struct body *body)
{
	struct err err = { 0 };
	struct buf buf;

	buf_init(&buf, 0);
	assert_int_equal(body_read_all(body, &buf, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	/* What came before was the true text. */
	assert_memory_equal(buf.p, content, buf.n);
	buf_clear(&buf);
}

static void test_tampering(void **state)
{
	struct arena *arena = arena_new(0);
	const struct body *body = fill(arena, 1000, 300000, 65536);
	static const off_t places[] = { 0, 40000, 65536, SEALED_BYTES, 3 * SEALED_BYTES + 5, 299079 };
	static unsigned char first[SEALED_BYTES], second[SEALED_BYTES];
	unsigned char byte;
	int fd = spool_descriptor();

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		assert_int_equal(pread(fd, &byte, 1, places[i]), 1);
		byte ^= 0x40;
		assert_int_equal(pwrite(fd, &byte, 1, places[i]), 1);
		assert_refused(body);
		byte ^= 0x40;
		assert_int_equal(pwrite(fd, &byte, 1, places[i]), 1);
	}
	assert_content(body, 0, 300000);
	/* Whole chunks in another order. */
	assert_int_equal(pread(fd, first, SEALED_BYTES, 0), SEALED_BYTES);
	assert_int_equal(pread(fd, second, SEALED_BYTES, SEALED_BYTES), SEALED_BYTES);
	assert_int_equal(pwrite(fd, second, SEALED_BYTES, 0), SEALED_BYTES);
	assert_int_equal(pwrite(fd, first, SEALED_BYTES, SEALED_BYTES), SEALED_BYTES);
	assert_refused(body);
	assert_int_equal(pwrite(fd, first, SEALED_BYTES, 0), SEALED_BYTES);
	assert_int_equal(pwrite(fd, second, SEALED_BYTES, SEALED_BYTES), SEALED_BYTES);
	assert_content(body, 0, 300000);
	/* Cut short: within a chunk, and between two. */
	assert_int_equal(ftruncate(fd, 299000), 0);
	assert_refused(body);
	assert_int_equal(ftruncate(fd, SEALED_BYTES), 0);
	assert_refused(body);
	arena_free(arena);
}

static void test_limit(void **state)
{
	struct arena *arena = arena_new(0);
	struct err err = { 0 };
	struct spool *spool = spool_new(arena, directory, 10, 100, &err);

	(void)state;
	assert_int_equal(spool_write(spool, content, 99, &err), 0);
	assert_int_equal(spool_write(spool, content, 1, &err), 0);
	assert_int_equal(spool_write(spool, content, 0, &err), 0);
	assert_int_equal(spool_write(spool, content, 1, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	/* Failed stays failed. */
	err.class = ERR_NONE;
	assert_int_equal(spool_write(spool, content, 0, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_null(spool_finish(spool, &err));
	assert_int_equal(err.class, ERR_LIMIT);
	arena_free(arena);
}

static void test_errors(void **state)
{
	struct arena *arena = arena_new(0), *full = arena_new(16);
	struct err err = { 0 };
	struct spool *spool = spool_new(arena, "/nonexistent/place", 10, 0, &err);
	const struct body *body;

	(void)state;
	assert_int_equal(spool_write(spool, content, 10, &err), 0);
	assert_int_equal(spool_write(spool, content, 1, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_non_null(strstr(err.text, "/nonexistent/place"));
	assert_null(spool_finish(spool, NULL));
	assert_null(spool_new(full, directory, 10, 0, &err));
	assert_int_equal(err.class, ERR_TEMP);
	spool = spool_new(arena, directory, 10, 0, &err);
	body = spool_finish(spool, &err);
	assert_ptr_equal(spool_finish(spool, &err), body);
	assert_int_equal(spool_write(spool, content, 1, &err), -1);
	assert_int_equal(err.class, ERR_BUG);
	arena_free(full);
	arena_free(arena);
}

static void test_disk_full(void **state)
{
	struct arena *arena = arena_new(0);
	struct err err = { 0 };
	struct spool *spool = spool_new(arena, directory, 0, 0, &err);
	int null;

	(void)state;
	assert_int_equal(spool_write(spool, content, 1000, &err), 0);
	/* The device that is always full takes the file's place. */
	null = open("/dev/full", O_RDWR | O_CLOEXEC);
	if (null < 0)
		skip();
	assert_true(dup2(null, spool_descriptor()) >= 0);
	close(null);
	assert_int_equal(spool_write(spool, content, 200000, &err), -1);
	assert_int_equal(err.class, ERR_TEMP);
	assert_non_null(strstr(err.text, "No space"));
	assert_null(spool_finish(spool, &err));
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_only), cmocka_unit_test(test_sizes), cmocka_unit_test(test_range),
		cmocka_unit_test(test_interleaved), cmocka_unit_test(test_threads), cmocka_unit_test(test_file),
		cmocka_unit_test(test_keys_differ), cmocka_unit_test(test_tampering), cmocka_unit_test(test_limit),
		cmocka_unit_test(test_errors), cmocka_unit_test(test_disk_full),
	};

	return cmocka_run_group_tests(tests, prepare, finish);
}
