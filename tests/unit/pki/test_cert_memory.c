/* test_cert_memory.c - what was decoded before is the same object, what is no certificate is none, and how many are
 * kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "pki/cert_memory.h"
#include "support/testpki.h"

#define LIMIT 3

struct fixture {
	struct cert_memory *memory;
	struct cert *certs[LIMIT + 1];
};

static int setup(void **state)
{
	static struct fixture f;

	f.memory = cert_memory_new(LIMIT, NULL);
	assert_non_null(f.memory);
	for (size_t i = 0; i < LIMIT + 1; i++) {
		struct testpki *pki = testpki_leaf(NULL, "alice@x.example");

		f.certs[i] = testpki_cert(pki);
		testpki_free(pki);
	}
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	cert_memory_free(f->memory);
	for (size_t i = 0; i < LIMIT + 1; i++)
		cert_free(f->certs[i]);
	return 0;
}

/* Compared with others that are held, so that no address is used twice. */
static struct cert *get(struct fixture *f, size_t i)
{
	struct cert *cert = cert_memory_get(f->memory, cert_info(f->certs[i])->der, NULL);

	assert_non_null(cert);
	assert_true(cert_equal(cert, f->certs[i]));
	return cert;
}

static void known_ones_are_not_decoded_again(void **state)
{
	struct fixture *f = *state;
	struct cert *first = get(f, 0), *second = get(f, 0), *other = get(f, 1);
	struct cert *alone = cert_memory_get(NULL, cert_info(f->certs[0])->der, NULL);

	assert_ptr_equal(first, second);
	assert_ptr_not_equal(first, other);
	assert_ptr_not_equal(first, alone);
	cert_free(first);
	cert_free(second);
	cert_free(other);
	cert_free(alone);
}

static void the_one_not_used_for_longest_goes(void **state)
{
	struct fixture *f = *state;
	struct cert *first[LIMIT + 1], *again[LIMIT + 1];

	for (size_t i = 0; i < LIMIT; i++)
		first[i] = get(f, i);
	again[0] = get(f, 0);
	first[LIMIT] = get(f, LIMIT);	/* in the place of 1 */
	again[2] = get(f, 2);
	again[LIMIT] = get(f, LIMIT);
	again[1] = get(f, 1);
	for (size_t i = 0; i < LIMIT + 1; i++) {
		assert_int_equal(first[i] == again[i], i != 1);
		cert_free(first[i]);
		cert_free(again[i]);
	}
}

static void what_is_no_certificate_is_none(void **state)
{
	struct fixture *f = *state;
	const struct slice der = cert_info(f->certs[0])->der;
	struct err err = { .class = ERR_NONE };

	for (int i = 0; i < 2; i++) {
		assert_null(cert_memory_get(f->memory, slice_first(der, der.n - 1), &err));
		assert_int_equal(err.class, ERR_MESSAGE);
		assert_null(cert_memory_get(f->memory, slice_of(""), NULL));
	}
}

static void *get_often(void *arg)
{
	struct fixture *f = arg;

	for (size_t i = 0; i < 200; i++)
		cert_free(cert_memory_get(f->memory, cert_info(f->certs[i % (LIMIT + 1)])->der, NULL));
	return NULL;
}

static void threads_share_it(void **state)
{
	pthread_t threads[4];

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, get_often, *state), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(known_ones_are_not_decoded_again, setup, teardown),
		cmocka_unit_test_setup_teardown(the_one_not_used_for_longest_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_certificate_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(threads_share_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
