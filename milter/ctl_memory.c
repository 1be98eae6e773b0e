/* ctl_memory.c - what the daemon remembers of encrypted mail, for process and explain: they ask its journal, and tell
 * it nothing. */
#include "milter/ctl_passage.h"

#include <errno.h>
#include <unistd.h>

#include "milter/memory.h"
#include "policy/policy.h"

struct reader {
	struct gate_memory memory;
	struct journal journal;
	struct err why;			/* the journal could not be opened */
};

static void close_reader(void *self)
{
	struct reader *reader = self;

	journal_close(&reader->journal);
}

static int could_not_open(void *self, const struct slice *message_ids, size_t n, struct err *err)
{
	const struct reader *reader = self;

	(void)message_ids;
	(void)n;
	return err_set(err, ERR_TEMP, "%s", reader->why.text);
}

/* Its memory: whether the journal could be opened is told when somebody asks. */
static void open_reader(const struct ctl *ctl, struct reader *reader)
{
	const struct settings *settings = ctl->settings;
	const struct journal_env env = { .state_dir = settings->state_dir, .lease_s = 1, .clock = &ctl->site->clock };
	bool made = false;
	int rc = -1;

	if (settings->journal != NULL && settings->journal[0] != '\0')
		err_set(&reader->why, ERR_TEMP, "smimectl does not ask a journal on a server");
	else
		rc = journal_sqlite_open(&env, &reader->journal, &made, &reader->why);
	reader->memory = rc == 0 ? memory_of(&reader->journal) : (struct gate_memory){ could_not_open, reader };
}

/* A journal that is not there is not made: nothing was remembered. */
static bool is_missing(const struct ctl *ctl)
{
	const char *path = arena_printf(ctl->arena, "%s/journal.sqlite", ctl->settings->state_dir);
	const bool here = ctl->settings->journal == NULL || ctl->settings->journal[0] == '\0';

	return here && path != NULL && access(path, F_OK) != 0 && errno == ENOENT;
}

int ctl_memory(struct ctl *ctl, const struct gate_memory **memory, struct err *err)
{
	struct reader *reader = NULL;

	*memory = NULL;
	if (!policy_asks_what_is_answered(ctl->site->rules, ctl->site->rule_count) || is_missing(ctl))
		return 0;
	reader = arena_array(ctl->arena, 1, sizeof(*reader));
	if (reader == NULL)
		return err_memory(err);
	open_reader(ctl, reader);
	*memory = &reader->memory;
	return arena_defer(ctl->arena, close_reader, reader) == 0 ? 0 : err_memory(err);
}
