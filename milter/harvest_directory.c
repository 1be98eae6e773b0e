/* harvest_directory.c - see harvest_directory.h. Looks into the file at each question: nothing is kept open over a fork,
 * and what the recorder or smimectl has written counts at once, without a reload. Called through pki/directory.h;
 * thread-safe, since it has no state.
 */
#include "milter/harvest_directory.h"

#include <stdlib.h>
#include <string.h>

#include "milter/harvest_store.h"
#include "pki/directory_driver.h"

#define LOCK_MS 2000		/* how long a lock is waited for, if the deadline leaves so much */

struct driver {
	char *state_dir;
	const struct clock *clock;
};

static int add_chain(struct arena *arena, struct slice der, struct directory_answer *answer, struct err *err)
{
	struct cert_list chain = { NULL, 0, 0 };
	int rc = harvest_chain_read(der, &chain, err);

	for (size_t i = 0; i < chain.n && rc == 0; i++)
		if (directory_answer_chain(arena, answer, chain.items[i]) != 0)
			rc = err_memory(err);
	cert_list_clear(&chain);
	return rc;
}

static int add_row(struct arena *arena, const struct harvested *row, struct directory_answer *answer, struct err *err)
{
	struct directory_entry entry = { .capabilities = row->capabilities, .attribute = row->how };
	int rc;

	entry.cert = cert_from_der(row->der, err);
	if (entry.cert == NULL)
		return -1;
	rc = directory_answer_add(arena, answer, &entry) == 0 ? add_chain(arena, row->chain, answer, err) : err_memory(err);
	cert_free(entry.cert);
	return rc;
}

/* What the file has for one address. 0, or -1: it cannot be told. */
static int look(struct harvest_store *store, struct arena *arena, const struct address *address,
		struct directory_answer *answer, struct err *err)
{
	struct slice key = directory_key(arena, address);
	struct harvested *rows = NULL;
	size_t n = 0;

	*answer = (struct directory_answer){ .status = DIRECTORY_NONE };
	if (key.p == NULL)
		return err_memory(err);
	if (key.n == 0)
		return 0;
	if (harvest_store_rows(store, arena, key, &rows, &n, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (rows[i].state == HARVEST_STATE_ACTIVE && add_row(arena, &rows[i], answer, err) != 0)
			return -1;
	return 0;
}

static int lock_ms(const struct driver *driver, int64_t deadline_ms)
{
	int64_t left_ms = deadline_ms - clock_monotonic_ms(driver->clock);

	return left_ms < 0 ? 0 : left_ms < LOCK_MS ? (int)left_ms : LOCK_MS;
}

static int driver_find(void *self, struct arena *arena, const struct address *addresses, size_t n, int64_t deadline_ms,
		       struct directory_answer *answers, struct err *err)
{
	const struct driver *driver = self;
	struct harvest_store *store = NULL;
	struct err why = { .class = ERR_NONE };
	int opened = harvest_store_open_read(driver->state_dir, lock_ms(driver, deadline_ms), &store, &why);
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		answers[i] = (struct directory_answer){ .status = DIRECTORY_NONE };
		if (opened < 0 || (opened == 1 && look(store, arena, &addresses[i], &answers[i], &why) != 0))
			rc = directory_answer_fail(arena, &answers[i], why.text);
	}
	harvest_store_close(store);
	return rc == 0 ? 0 : err_memory(err);
}

/* One that is not there yet will be. */
static int driver_probe(void *self, struct err *err)
{
	const struct driver *driver = self;
	struct harvest_store *store = NULL;
	int rc = harvest_store_open_read(driver->state_dir, LOCK_MS, &store, err);

	harvest_store_close(store);
	return rc < 0 ? -1 : 0;
}

static void driver_free(void *self)
{
	struct driver *driver = self;

	free(driver->state_dir);
	free(driver);
}

static const struct directory_class class = { .find = driver_find, .probe = driver_probe, .free = driver_free };

/* A damaged file is no reason not to start: who asks is told to try later. */
static int driver_open(const void *settings, struct conf *conf, const struct conf_report *report,
		       const struct directory_env *env, struct directory *directory, struct err *err)
{
	const struct directory_settings *given = settings;
	struct driver *driver = NULL;

	(void)report;
	if (given->trusted)
		return conf_finding(conf, &given->trusted, err, "trusted: what mail has taught needs a collection");
	driver = calloc(1, sizeof(*driver));
	if (driver == NULL || (driver->state_dir = strdup(env->state_dir)) == NULL) {
		free(driver);
		return err_memory(err);
	}
	driver->clock = env->clock;
	directory->class = &class;
	directory->self = driver;
	directory->name = "harvested";
	return 0;
}

struct settings {
	struct directory_settings common;
};

static const struct conf_row rows[] = {
	DIRECTORY_ROWS(struct settings, "0", "0", "0"),
	{ .name = NULL }
};
static const struct conf_table table = { .rows = rows, .size = sizeof(struct settings) };

const struct directory_driver harvest_directory_driver = { .type = "harvested", .table = &table, .open = driver_open };
