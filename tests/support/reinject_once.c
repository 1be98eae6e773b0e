/* reinject_once.c - one mail to an SMTP listener as the gateway hands it back, for whole-process tests. What XFORWARD
 * tells is made up.
 *
 *	reinject_once TO CA|- SENDER ARGS FILE RECIPIENT ARGS [RECIPIENT ARGS …]
 *
 * CA: a file, then STARTTLS is asked for. FILE: a message, byte for byte. Prints "sent QUEUE-ID", "refused" or
 * "not now: WHY", and a line for each recipient. Exit 0, 1, 2 likewise. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "milter/reinject.h"

#define RECIPIENTS 100

struct world {
	struct arena *arena;
	struct envelope envelope;
	struct recipient recipients[RECIPIENTS];
	size_t members[RECIPIENTS];
	struct outgoing outgoing;
	struct err err;
};

static int fail(const struct world *w)
{
	printf("not now: %s\n", w->err.text);
	return 2;
}

static int read_envelope(struct world *w, char **argv)
{
	struct envelope *envelope = &w->envelope;

	*envelope = (struct envelope){ .queue_id = "", .sender_args = argv[1], .recipients = w->recipients,
		.daemon_name = "" };
	if (argv[0][0] != '\0' && address_parse(w->arena, slice_of(argv[0]), &envelope->sender, &w->err) != 0)
		return -1;
	for (argv += 3; argv[0] != NULL && argv[1] != NULL && envelope->recipient_count < RECIPIENTS; argv += 2) {
		struct recipient *one = &w->recipients[envelope->recipient_count];

		w->members[envelope->recipient_count] = envelope->recipient_count;
		envelope->recipient_count++;
		one->args = argv[1];
		if (address_parse(w->arena, slice_of(argv[0]), &one->address, &w->err) != 0)
			return -1;
	}
	return 0;
}

static int read_message(struct world *w, const char *path)
{
	const struct outgoing_room room = { .directory = "/tmp", .memory_bytes = 1 << 20 };
	struct buf *bytes = arena_buf(w->arena, 0);
	struct message message;

	if (file_read(path, 0, bytes, &w->err) != 0 ||
	    message_parse(w->arena, buf_slice(bytes), &(struct header_limits){ 0 }, &message, &w->err) != 0)
		return -1;
	return outgoing_make(w->arena, &room, &message, &w->outgoing, &w->err);
}

static int send_mail(struct world *w, const char *to, const char *ca)
{
	const struct smtp_client client = { { [SMTP_NAME] = "client.example.net", [SMTP_ADDR] = "192.0.2.7",
		[SMTP_PORT] = "4711", [SMTP_PROTO] = "ESMTP", [SMTP_HELO] = "helo.example.net", [SMTP_IDENT] = "4Xk2Q3",
		[SMTP_SOURCE] = "REMOTE" } };
	const struct reinject_settings settings = { .to = to, .starttls = strcmp(ca, "-") != 0, .tls_ca_file = ca,
		.name = "gw.example.com" };
	const struct reinject_mail mail = { .envelope = &w->envelope, .members = w->members,
		.n = w->envelope.recipient_count, .message = &w->outgoing, .client = &client,
		.deadline_ms = clock_monotonic_ms(&clock_system) + 20000 };
	struct reinject_target *target = reinject_target_new(&settings, &w->err);
	struct reinject_result result;
	int rc;

	if (target == NULL)
		return fail(w);
	rc = reinject_send(target, &mail, w->arena, &result, &w->err);
	reinject_target_free(target);
	if (rc < 0)
		return fail(w);
	printf(rc == 1 ? "sent %s\n" : "refused%s\n", result.queue_id);
	for (size_t i = 0; i < mail.n; i++)
		printf("%s\n", result.recipients[i].text);
	return rc == 1 ? 0 : 1;
}

int main(int argc, char **argv)
{
	static struct world w;
	int rc;

	if (argc < 8) {
		fputs("usage: reinject_once TO CA|- SENDER ARGS FILE RECIPIENT ARGS [RECIPIENT ARGS …]\n", stderr);
		return 64;
	}
	w.arena = arena_new(0);
	if (read_envelope(&w, argv + 3) == 0 && read_message(&w, argv[5]) == 0)
		rc = send_mail(&w, argv[1], argv[2]);
	else
		rc = fail(&w);
	arena_free(w.arena);
	return rc;
}
