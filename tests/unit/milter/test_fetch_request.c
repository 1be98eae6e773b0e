/* test_fetch_request.c - requests to the fetch process: what is written is read, everything else is refused, and a
 * worker never waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "milter/fetch_request.h"
#include "pki/collection.h"
#include "support/testdir.h"
#include "support/testpki.h"

struct fixture {
	struct testpki *root, *sub, *leaf;
	struct cert *certs[3];
};

static int setup(void **state)
{
	static struct fixture f;

	f.root = testpki_root("Root");
	f.sub = testpki_sub(f.root, "Sub");
	f.leaf = testpki_leaf(f.sub, "a@x.example");
	f.certs[0] = testpki_cert(f.leaf);
	f.certs[1] = testpki_cert(f.sub);
	f.certs[2] = testpki_cert(f.root);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < 3; i++)
		cert_free(f->certs[i]);
	testpki_free(f->leaf);
	testpki_free(f->sub);
	testpki_free(f->root);
	return 0;
}

static void test_round_trip(void **state)
{
	struct fixture *f = *state;
	struct fetch_request request;
	struct buf bytes;
	struct err err;

	buf_init(&bytes, 0);
	assert_int_equal(fetch_request_write("partners", (const struct cert *const *)f->certs, 3, &bytes), 0);
	assert_int_equal(fetch_request_parse(buf_slice(&bytes), &request, &err), 0);
	assert_true(slice_is(request.collection, "partners"));
	assert_int_equal(request.n, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(slice_equal(request.certs[i], cert_info(f->certs[i])->der));
	/* a byte less, a byte more, another first byte */
	for (size_t n = 0; n < bytes.n; n++)
		assert_int_equal(fetch_request_parse(slice_first(buf_slice(&bytes), n), &request, &err), -1);
	assert_int_equal(buf_append_char(&bytes, 'x'), 0);
	assert_int_equal(fetch_request_parse(buf_slice(&bytes), &request, &err), -1);
	bytes.n--;
	bytes.p[0] = 'X';
	assert_int_equal(fetch_request_parse(buf_slice(&bytes), &request, &err), -1);
	assert_int_equal(err.class, ERR_MESSAGE);
	buf_clear(&bytes);
}

static void test_bounds(void **state)
{
	static const struct { const char *bytes; size_t n; } bad[] = {
		{ "", 0 }, { "W1", 2 }, { "W1\0\1\0\0\1x", 8 }, { "W1\1c\0", 5 }, { "W1\1c\1\0\0\0", 8 },
		{ "W1\1c\1\xff\xff\xffx", 9 }, { "W1\1c\x11\0\0\1x", 9 }, { "W1\xff" "c", 4 },
	};
	struct fixture *f = *state;
	const struct cert *many[FETCH_CHAIN + 1];
	struct fetch_request request;
	char name[300];
	struct buf bytes;
	struct err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(fetch_request_parse(slice_make(bad[i].bytes, bad[i].n), &request, &err), -1);
	assert_int_equal(fetch_request_parse(slice_make("W1\1c\1\0\0\1x", 9), &request, &err), 0);
	buf_init(&bytes, 0);
	for (size_t i = 0; i <= FETCH_CHAIN; i++)
		many[i] = f->certs[0];
	assert_int_equal(fetch_request_write("c", many, FETCH_CHAIN, &bytes), 0);
	assert_int_equal(fetch_request_write("c", many, FETCH_CHAIN + 1, &bytes), -1);
	assert_int_equal(fetch_request_write("c", many, 0, &bytes), -1);
	assert_int_equal(fetch_request_write("", many, 1, &bytes), -1);
	memset(name, 'c', sizeof(name));
	name[256] = '\0';
	assert_int_equal(fetch_request_write(name, many, 1, &bytes), -1);
	buf_clear(&bytes);
}

static struct collection *open_collection(const char *scratch, const struct testpki *root)
{
	char *path = testdir_path(scratch, "root.pem");
	const char *items[] = { path }, *domains[] = { "*" };
	const struct collection_settings settings = { .name = "partners", .files = { items, 1 },
		.domains = { domains, 1 } };
	struct collection *collection;
	struct err err;

	testpki_write_pem(path, root, TESTPKI_CERT);
	collection = collection_load(&settings, &(struct collection_env){ .report = NULL }, &err);
	assert_non_null(collection);
	free(path);
	return collection;
}

static void test_never_waits(void **state)
{
	struct fixture *f = *state;
	char *scratch = testdir_scratch();
	struct collection *collection = open_collection(scratch, f->root);
	unsigned char bytes[FETCH_REQUEST_BYTES];
	struct fetch_request request;
	struct fetch_wanted wanted;
	int ends[2], sent = 0;
	struct err err;
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	fetch_wanted_init(&wanted, ends[0]);
	for (int i = 0; i < 5000; i++)	/* nobody reads: the queue is full long before */
		wanted.wanted.want(&wanted.wanted, collection, (const struct cert *const *)f->certs, 3);
	while ((n = recv(ends[1], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		assert_int_equal(fetch_request_parse(slice_make(bytes, (size_t)n), &request, &err), 0);
		sent++;
	}
	assert_in_range(sent, 1, 4999);
	close(ends[1]);
	wanted.wanted.want(&wanted.wanted, collection, (const struct cert *const *)f->certs, 3);
	close(ends[0]);
	fetch_wanted_init(&wanted, -1);
	wanted.wanted.want(&wanted.wanted, collection, (const struct cert *const *)f->certs, 3);
	collection_free(collection);
	testdir_remove(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_never_waits),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
