/* ctl_io.c - what smimectl's commands read and write: the site, the time, a message on stdin, a message to a file.
 * No command and no report lives here.
 */
#include "milter/ctl.h"

#include <errno.h>
#include <string.h>

#include "milter/drivers.h"

#define MEBIBYTE ((size_t)1024 * 1024)
/* limits.message_mb counts the body, and the gate does the counting: this is only where reading stops. */
#define HEADER_BYTES MEBIBYTE

static void print_finding(void *self, const char *line)
{
	struct ctl *ctl = self;

	ctl->findings++;
	fprintf(stderr, "%s\n", line);
}

static void print_warning(void *self, const char *line)
{
	const struct ctl *ctl = self;

	if (ctl->verbose)
		fprintf(stderr, "warning: %s\n", line);
}

int ctl_site(struct ctl *ctl, struct err *err)
{
	const struct conf_report findings = { print_finding, ctl }, warnings = { print_warning, ctl };
	const struct site_env env = { &drivers_all, &clock_system, &ctl->sink, &findings, &warnings, NULL };

	if (site_load(ctl->args.config, &env, &ctl->site, err) != 0)
		return -1;
	ctl->settings = &ctl->site->settings;
	return 0;
}

int ctl_settings(struct ctl *ctl, struct err *err)
{
	const struct conf_report findings = { print_finding, ctl };
	const struct conf_table *table = settings_table(ctl->arena, &drivers_all);

	if (table == NULL)
		return err_memory(err);
	if (conf_load(ctl->args.config, table, &ctl->read, &findings, &ctl->conf, err) != 0)
		return -1;
	ctl->settings = &ctl->read;
	return 0;
}

const struct collection_settings *ctl_collection_named(const struct ctl *ctl, const char *name)
{
	const struct conf_groups *groups = &ctl->settings->collections;
	const struct collection_settings *settings = NULL;
	size_t i;

	for (i = 0; i < groups->n; i++) {
		settings = groups->items[i];
		if (strcmp(settings->name, name) == 0)
			return settings;
	}
	return NULL;
}

static void release_collection(void *collection)
{
	collection_free(collection);
}

static int open_collection(struct ctl *ctl, const struct collection_settings *settings,
			   const struct collection **collection, struct err *err)
{
	const struct conf_report warnings = { print_warning, ctl };
	struct collection_env env = { .report = &warnings };
	struct collection *loaded = NULL;
	struct err why;

	if (settings->fetch_hosts.n > 0) {
		env.fetched_dir = arena_printf(ctl->arena, "%s/revocation", ctl->settings->state_dir);
		if (env.fetched_dir == NULL)
			return err_memory(err);
	}
	loaded = collection_load(settings, &env, &why);
	if (loaded == NULL)
		return conf_finding(ctl->conf, settings, err, "%s", why.text);
	*collection = loaded;
	return arena_defer(ctl->arena, release_collection, loaded) == 0 ? 0 : err_memory(err);
}

/* The settings of the index-th collection that is wanted. */
static const struct collection_settings *wanted(const struct ctl *ctl, size_t index, struct err *err)
{
	const struct ctl_words *names = &ctl->args.collection;
	const struct collection_settings *settings = NULL;

	if (names->n == 0)
		return ctl->settings->collections.items[index];
	settings = ctl_collection_named(ctl, names->items[index]);
	if (settings == NULL)
		err_set(err, ERR_CONFIG, "%s: no collection is named \"%s\"", ctl->args.config, names->items[index]);
	return settings;
}

int ctl_collections(struct ctl *ctl, const struct collection *const **list, size_t *n, struct err *err)
{
	const size_t count = ctl->args.collection.n > 0 ? ctl->args.collection.n : ctl->settings->collections.n;
	const struct collection **opened = arena_array(ctl->arena, count, sizeof(*opened));
	const struct collection_settings *settings = NULL;
	size_t i;

	if (opened == NULL)
		return err_memory(err);
	for (i = 0; i < count; i++) {
		settings = wanted(ctl, i, err);
		if (settings == NULL || open_collection(ctl, settings, &opened[i], err) != 0)
			return -1;
	}
	*list = opened;
	*n = count;
	return 0;
}

int ctl_time(const struct ctl *ctl, time_t *at)
{
	*at = clock_now(&clock_system);
	if (ctl->args.at == NULL || clock_parse(ctl->args.at, at) == 0)
		return 0;
	return ctl_usage(ctl, "--at %s: not a time like 2026-11-21T20:55:17Z", ctl->args.at);
}

int ctl_address(const struct ctl *ctl, const char *text, struct address *address)
{
	struct err why;

	if (address_parse(ctl->arena, slice_of(text), address, &why) != 0)
		return ctl_usage(ctl, "%s", why.text);
	return 0;
}

int64_t ctl_deadline_ms(const struct ctl *ctl)
{
	return clock_monotonic_ms(&ctl->site->clock) + ctl->site->settings.limits.deadline_s * 1000;
}

static int read_all(FILE *from, struct buf *buf, struct err *err)
{
	char chunk[65536];
	size_t got;

	while ((got = fread(chunk, 1, sizeof(chunk), from)) > 0)
		if (buf_append(buf, chunk, got) != 0)
			return err_set(err, ERR_LIMIT, "message larger than limits.message_mb");
	if (ferror(from))
		return err_set(err, ERR_TEMP, "reading the message: %s", strerror(errno));
	return 0;
}

int ctl_read_message(struct ctl *ctl, struct message *message, struct err *err)
{
	const size_t limit_bytes = (size_t)ctl->settings->limits.message_mb * MEBIBYTE + HEADER_BYTES;
	const struct header_limits no_limits = { 0, 0 };
	struct buf *raw = arena_buf(ctl->arena, limit_bytes);
	struct buf *wire = arena_buf(ctl->arena, limit_bytes);

	if (raw == NULL || wire == NULL)
		return err_memory(err);
	if (read_all(stdin, raw, err) != 0)
		return -1;
	if (raw->n == 0)
		return err_set(err, ERR_MESSAGE, "no message on standard input");
	if (message_from_file_bytes(buf_slice(raw), wire, err) != 0)
		return -1;
	buf_clear(raw);
	if (message_parse(ctl->arena, buf_slice(wire), &no_limits, message, err) != 0)
		return -1;
	if (message->header.n == 0)
		return err_set(err, ERR_MESSAGE, "RFC 5322 3.6: the message has no header fields");
	return 0;
}

static int write_sink(void *arg, const void *p, size_t n, struct err *err)
{
	if (fwrite(p, 1, n, arg) != n)
		return err_set(err, ERR_TEMP, "writing the message: %s", strerror(errno));
	return 0;
}

static int buf_sink(void *arg, const void *p, size_t n, struct err *err)
{
	return buf_append(arg, p, n) == 0 ? 0 : err_memory(err);
}

static int null_sink(void *arg, const void *p, size_t n, struct err *err)
{
	(void)arg;
	(void)p;
	(void)n;
	(void)err;
	return 0;
}

static int drain(struct ctl *ctl, const struct message *message, stream_sink *sink, void *arg, struct err *err)
{
	struct stream *stream = message_open(ctl->arena, message, err);
	int rc = stream != NULL ? stream_drain(stream, sink, arg, err) : -1;

	stream_close(stream);
	return rc;
}

static int flush(FILE *to, struct err *err)
{
	if (fflush(to) != 0 || ferror(to))
		return err_set(err, ERR_TEMP, "writing the message: %s", strerror(errno));
	return 0;
}

int ctl_write_message(struct ctl *ctl, const struct message *message, FILE *to, struct err *err)
{
	return drain(ctl, message, write_sink, to, err) == 0 ? flush(to, err) : -1;
}

int ctl_print_message(struct ctl *ctl, const struct message *message, struct err *err)
{
	struct buf *buf = arena_buf(ctl->arena, 0);

	if (buf == NULL)
		return err_memory(err);
	if (drain(ctl, message, buf_sink, buf, err) != 0 || write_sink(stdout, buf->p, buf->n, err) != 0)
		return -1;
	return flush(stdout, err);
}

int ctl_drain_message(struct ctl *ctl, const struct message *message, struct err *err)
{
	return drain(ctl, message, null_sink, NULL, err);
}

int ctl_candidates(struct ctl *ctl, const struct address *addresses, size_t n, struct candidate_list *lists,
		   struct err *err)
{
	const struct site *site = ctl->site;
	const struct candidate_query query = {
		.addresses = addresses,
		.n = n,
		.delimiter = site->settings.recipient_delimiter, .local_domains = &site->local_domains,
		.directories = site->directories,
		.directory_count = site->directory_count,
		.collections = site->collections,
		.collection_count = site->collection_count,
		.at = clock_now(&site->clock),
		.deadline_ms = ctl_deadline_ms(ctl),
	};

	return candidate_find(ctl->arena, &query, lists, err);
}
