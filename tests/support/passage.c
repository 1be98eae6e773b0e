/* passage.c - see passage.h. Does by hand what transaction.c and apply.c do, without their milter. */
#include "support/passage.h"

#include <stdio.h>
#include <string.h>

#include "base/spool.h"
#include "milter/drivers.h"

static time_t passage_now(void *self)
{
	const struct passage_clock *at = self;

	return clock_now(&clock_system) + (time_t)(at->ahead_ms / 1000);
}

static int64_t passage_monotonic_ms(void *self)
{
	const struct passage_clock *at = self;

	return clock_monotonic_ms(&clock_system) + at->ahead_ms;
}

void passage_clock_init(struct passage_clock *at)
{
	at->clock = (struct clock){ .now = passage_now, .monotonic_ms = passage_monotonic_ms, .self = at };
	at->ahead_ms = 0;
}

static void print_finding(void *self, const char *line)
{
	(void)self;
	fprintf(stderr, "%s\n", line);
}

struct site *passage_site(const char *path, const struct passage_clock *at, struct err *err)
{
	const struct conf_report findings = { .finding = print_finding };
	const struct site_env env = { .drivers = &drivers_all, .clock = &at->clock, .findings = &findings };
	struct site *site = NULL;

	return site_load(path, &env, &site, err) == 0 ? site : NULL;
}

int passage_address(struct arena *arena, const char *text, struct address *address)
{
	memset(address, 0, sizeof(*address));
	if (text[0] == '\0' || strcmp(text, "<>") == 0)
		return 0;
	return address_parse(arena, slice_of(text), address, NULL);
}

/* Without the CR of each line break, as an MTA hands values over. */
static struct slice milter_value(struct arena *arena, struct slice value)
{
	char *out = arena_alloc(arena, value.n + 1);
	size_t n = 0;

	for (size_t i = 0; out != NULL && i < value.n; i++)
		if (value.p[i] != '\r' || i + 1 == value.n || value.p[i + 1] != '\n')
			out[n++] = value.p[i];
	return out != NULL ? slice_make(out, n) : slice_make(NULL, 0);
}

static int make_header(struct arena *arena, const struct header *parsed, struct header *header, struct err *err)
{
	*header = (struct header){ NULL, 0 };
	for (size_t i = 0; i < parsed->n; i++) {
		struct slice value = milter_value(arena, parsed->fields[i].value);

		if (value.p == NULL ||
		    header_append(arena, header, field_make(arena, parsed->fields[i].name, value)) != 0)
			return err_memory(err);
	}
	return 0;
}

static const struct body *make_body(struct passage *passage, struct slice bytes, const struct passage_options *options)
{
	struct spool *spool = NULL;
	const struct body *body = NULL;

	if (options->memory_bytes == 0) {
		body = body_from_slice(passage->arena, bytes);
		if (body == NULL)
			err_memory(&passage->err);
		return body;
	}
	spool = spool_new(passage->arena, options->directory, options->memory_bytes, 0, &passage->err);
	for (size_t at = 0; spool != NULL && at < bytes.n; at += 997)
		if (spool_write(spool, bytes.p + at, bytes.n - at < 997 ? bytes.n - at : 997, &passage->err) != 0)
			return NULL;
	return spool != NULL ? spool_finish(spool, &passage->err) : NULL;
}

static int make_message(struct passage *passage, struct slice wire, const struct passage_options *options)
{
	struct header parsed = { NULL, 0 };
	size_t consumed = 0;

	if (header_parse(passage->arena, wire, &(struct header_limits){ 0 }, &parsed, &consumed, &passage->err) != 0 ||
	    make_header(passage->arena, &parsed, &passage->message.header, &passage->err) != 0)
		return -1;
	passage->message.body = make_body(passage, slice_from(wire, consumed), options);
	return passage->message.body != NULL ? 0 : -1;
}

struct drain {
	struct passage *passage;
	struct buf *to;			/* NULL: not kept */
};

static int take(void *arg, const void *p, size_t n, struct err *err)
{
	struct drain *drain = arg;

	drain->passage->body_bytes += n;
	if (drain->to != NULL && buf_append(drain->to, p, n) != 0)
		return err_memory(err);
	return 0;
}

static int drain_body(struct passage *passage, const struct body *body, struct buf *to)
{
	struct drain drain = { passage, to };
	struct stream *stream = body_open(body, &passage->err);
	int rc = stream != NULL ? stream_drain(stream, take, &drain, &passage->err) : -1;

	stream_close(stream);
	return rc;
}

/* Copies first, as the daemon does it. */
static int drain_all(struct passage *passage, bool keep)
{
	const struct outcome *outcome = &passage->outcome;

	passage->copies = arena_array(passage->arena, outcome->copy_count + 1, sizeof(*passage->copies));
	if (passage->copies == NULL)
		return err_memory(&passage->err);
	for (size_t i = 0; i < outcome->copy_count; i++) {
		buf_init(&passage->copies[passage->copy_count++], 0);
		if (drain_body(passage, outcome->copies[i].body, keep ? &passage->copies[i] : NULL) != 0)
			return -1;
	}
	return drain_body(passage, outcome->message.body, keep ? &passage->body : NULL);
}

void passage_run(const struct site *site, struct slice wire, const struct passage_options *options,
		 struct passage *passage)
{
	struct gate_env env = { .site = site, .deadline_ms = clock_monotonic_ms(&site->clock) + 60000 };

	buf_init(&passage->body, 0);
	passage->body_bytes = 0;
	passage->copy_count = 0;
	memset(&passage->outcome, 0, sizeof(passage->outcome));
	passage->err = (struct err){ .class = ERR_NONE };
	if (make_message(passage, wire, options) != 0) {
		gate_failed(site, &passage->err, &passage->outcome);
		return;
	}
	gate_process(&env, &passage->envelope, &passage->message, passage->arena, &passage->outcome, &passage->err);
	if (passage->outcome.action == ACTION_ACCEPT && drain_all(passage, !options->no_output) != 0)
		gate_failed(site, &passage->err, &passage->outcome);
}

void passage_clear(struct passage *passage)
{
	buf_clear(&passage->body);
	for (size_t i = 0; i < passage->copy_count; i++)
		buf_clear(&passage->copies[i]);
	arena_free(passage->arena);
	passage->arena = NULL;
}
