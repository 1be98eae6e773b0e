/* test_candidate_rank.c - which of several usable certificates goes first: the newest, and within a value the one that
 * its owner prefers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "pki/candidate_rank.h"
#include "support/testpki.h"

#define CERTS 4
#define PLACES 8

/* Four of one person, a day older each: D0 is the newest; E is as old as D0. */
struct world {
	struct arena *arena;
	struct cert *certs[CERTS], *equal;
	struct candidate items[CERTS];
	struct sighting sightings[PLACES];
	size_t n, places;
};

static struct cert *issued(const struct testpki *ca, const char *cn, int days_ago)
{
	time_t from = 1750000000 - days_ago * 86400;
	struct testpki *pki = testpki_make(ca, &(struct testpki_spec){ .cn = cn, .not_before = from });
	struct cert *cert = testpki_cert(pki);

	testpki_free(pki);
	return cert;
}

static int setup(void **state)
{
	static const char *const names[CERTS] = { "D0", "D1", "D2", "D3" };
	static struct world world;
	struct testpki *ca = testpki_root("Root");

	memset(&world, 0, sizeof(world));
	world.arena = arena_new(0);
	for (int i = 0; i < CERTS; i++)
		world.certs[i] = issued(ca, names[i], i);
	world.equal = issued(ca, "E", 0);
	testpki_free(ca);
	*state = &world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < CERTS; i++)
		cert_free(world->certs[i]);
	cert_free(world->equal);
	arena_free(world->arena);
	return 0;
}

static void begin(struct world *world)
{
	world->n = world->places = 0;
}

static void see_in(struct world *world, size_t directory, size_t value, struct cert *cert, bool preferred)
{
	size_t at = 0;

	while (at < world->n && world->items[at].cert != cert)
		at++;
	if (at == world->n)
		world->items[world->n++] = (struct candidate){ .cert = cert, .usable = true };
	world->sightings[world->places++] = (struct sighting){ .candidate = at, .directory = directory, .value = value,
							       .preferred = preferred };
}

static void see(struct world *world, size_t value, struct cert *cert, bool preferred)
{
	see_in(world, 0, value, cert, preferred);
}

/* wanted: "D2 D0 D1". */
static void assert_order(struct world *world, const char *wanted)
{
	assert_int_equal(candidate_rank(world->arena, world->items, world->n, world->sightings, world->places), 0);
	for (size_t i = 0; i < world->n; i++) {
		const char *subject = cert_info(world->items[i].cert)->subject;
		size_t n = strcspn(wanted, " ");

		if (strncmp(subject + 3, wanted, n) != 0 || subject[3 + n] != ',')
			fail_msg("%zu is %s, not %s", i, subject, wanted);
		assert_int_equal(world->items[i].rank, world->items[i].usable ? i + 1 : 0);
		wanted += wanted[n] == '\0' ? n : n + 1;
	}
	assert_string_equal(wanted, "");
}

static void newest_first(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < CERTS; i++)
		see(w, i, w->certs[(i * 3 + 1) % CERTS], false);
	assert_order(w, "D0 D1 D2 D3");
}

static void equal_ones_stand_as_they_were_seen(void **state)
{
	struct world *w = *state;

	see_in(w, 0, 0, w->equal, false);
	see_in(w, 1, 0, w->certs[0], false);
	assert_order(w, "E D0");
	begin(w);
	see_in(w, 0, 0, w->certs[0], false);
	see_in(w, 0, 1, w->equal, false);
	assert_order(w, "D0 E");
}

static void the_preferred_one_goes_before_its_value(void **state)
{
	struct world *w = *state;

	see(w, 0, w->certs[0], false);
	see(w, 0, w->certs[2], true);
	see(w, 0, w->certs[1], false);
	see(w, 0, w->certs[3], false);
	assert_order(w, "D2 D0 D1 D3");
}

static void and_never_before_a_newer_one_elsewhere(void **state)
{
	struct world *w = *state;

	see(w, 0, w->certs[0], false);
	see(w, 0, w->certs[2], true);
	see(w, 1, w->certs[1], false);
	assert_order(w, "D1 D2 D0");
	begin(w);
	/* The same number in another directory is another value. */
	see_in(w, 0, 0, w->certs[1], true);
	see_in(w, 1, 0, w->certs[0], false);
	assert_order(w, "D0 D1");
}

/* What stands elsewhere too is ranked as it is there: a renewed one in userCertificate. */
static void the_best_place_counts(void **state)
{
	struct world *w = *state;

	see(w, 0, w->certs[0], false);
	see(w, 0, w->certs[2], true);
	see(w, 1, w->certs[0], false);
	see(w, 2, w->certs[2], false);
	assert_order(w, "D0 D2");
}

static void what_is_unusable_is_not_preferred(void **state)
{
	struct world *w = *state;

	see(w, 0, w->certs[0], true);
	see(w, 0, w->certs[1], false);
	see(w, 0, w->certs[2], true);
	see(w, 0, w->certs[3], true);
	w->items[0].usable = false;
	assert_order(w, "D2 D3 D1 D0");
}

/* What a directory says of somebody's other addresses puts nobody before the one who has the address himself. */
static void the_address_itself_goes_first(void **state)
{
	struct world *w = *state;

	see(w, 0, w->certs[0], true);
	see(w, 1, w->certs[2], false);
	see(w, 1, w->certs[1], false);
	w->items[0].secondary = w->items[2].secondary = true;
	assert_order(w, "D2 D0 D1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(newest_first), TEST(equal_ones_stand_as_they_were_seen),
		TEST(the_preferred_one_goes_before_its_value), TEST(and_never_before_a_newer_one_elsewhere),
		TEST(the_best_place_counts), TEST(what_is_unusable_is_not_preferred),
		TEST(the_address_itself_goes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
