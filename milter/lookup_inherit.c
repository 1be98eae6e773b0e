/* lookup_inherit.c - see lookup_inherit.h. */
#include "milter/lookup_inherit.h"

#include <string.h>

#include "milter/drivers.h"
#include "milter/lookup_client.h"

static const struct conf_table *table_of(const char *type)
{
	const struct directory_driver *const *driver = drivers_all.directories;

	while (*driver != NULL && strcmp((*driver)->type, type) != 0)
		driver++;
	return *driver != NULL ? (*driver)->table : NULL;
}

int lookup_identify(const struct site *site, size_t directory, struct lookup_identity *identity, struct err *err)
{
	const struct directory_settings *settings = site->settings.directories.items[directory];
	const struct conf_table *table = table_of(settings->type);
	struct buf text;
	int rc = -1;

	buf_init(&text, 0);
	if (table == NULL || conf_write(table, settings, &text) != 0)
		err_set(err, ERR_BUG, "a directory of type %s cannot be told from another", settings->type);
	else
		rc = crypt_sha256(text.p, text.n, identity->bytes, err);
	buf_clear(&text);
	return rc;
}

static ssize_t take_over(struct slice bytes, const struct directory *directory, struct arena *arena, struct err *err)
{
	struct directory_remembered *items = NULL;
	size_t n = 0;

	if (lookup_is_outcome(bytes))
		return lookup_read_outcome(bytes, err);
	if (lookup_read_remembered(bytes, arena, &items, &n, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (directory_cache_insert(directory, &items[i], err) != 0)
			return -1;
	return (ssize_t)n;
}

ssize_t lookup_inherit(int predecessor, const struct lookup_identity *identity, const struct directory *directory,
		       int64_t end_ms, struct err *err)
{
	const struct lookup_question question = { .operation = LOOKUP_INHERIT, .deadline_ms = end_ms,
		.identity = *identity };
	struct channel *channel = channel_new(predecessor, "former lookup process", 0, err);
	struct arena *arena = arena_new(0);
	struct buf answer;
	ssize_t n = -1;

	buf_init(&answer, 0);
	if (arena == NULL)
		err_memory(err);
	else if (channel != NULL && lookup_ask(channel, &question, end_ms, &answer, err) == 0)
		n = take_over(buf_slice(&answer), directory, arena, err);
	buf_clear(&answer);
	arena_free(arena);
	channel_free(channel);
	return n;
}
