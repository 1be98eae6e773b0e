/* fuzz_gate.c - the door itself, with real keys, certificates and a collection.
 *
 * An input is: one byte that chooses the envelope; one whose upper two bits say what is done to the message first (0
 * nothing, 1 signed clear, 2 signed opaque, 3 encrypted) and whose lower six how many changes are made to it then; for
 * each change three bytes, where (two) and by what (exclusive or); then the message. So the parsers behind a valid
 * signature are reached, and a changed one must never pass. Keys are made anew in each process.
 */
#include "fuzz.h"

#include <string.h>

#include "milter/reply.h"
#include "support/expect.h"
#include "support/recipe.h"
#include "support/words.h"

static struct people *people;
static struct site *site;
static struct passage_clock passage_clock;

static const struct scenario {
	const char *from, *rcpt, *client, *login;
	bool must_encrypt;
} scenarios[] = {
	{ "carol@partner.example", "alice@example.com", "192.0.2.7", NULL, false },
	{ "carol@partner.example", "bob@example.com", "192.0.2.7", NULL, false },
	{ "alice@example.com", "carol@partner.example", NULL, "alice", true },
	{ "bob@example.com", "dave@partner.example", NULL, "bob", true },
	{ "bob@example.com", "frank@partner.example", NULL, "bob", false },
	{ "alice@example.com", "frank@partner.example", "127.0.0.1", NULL, false },
	{ "", "dave@partner.example", "127.0.0.1", NULL, true },
	{ "bob@example.com", "alice@example.com", "::1", "bob", false },
};

static void end(void)
{
	site_free(site);
	people_free(people);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *top = getenv("TOP_SRCDIR");
	struct arena *arena = arena_new(0);
	struct slice text;
	struct buf bytes;
	struct err err;
	char path[128], folder[512];

	(void)argc;
	(void)argv;
	people = people_new(true);
	atexit(end);
	snprintf(folder, sizeof(folder), "%s/tests/fuzz", top != NULL ? top : ".");
	text = words_replace(arena, words_file(arena, folder, "gate.conf"), "@DIR@", slice_of(people->dir));
	buf_init(&bytes, 0);
	PROMISE(text.n > 0 && buf_append_slice(&bytes, text) == 0);
	snprintf(path, sizeof(path), "%s/gate.conf", people->dir);
	testpki_write(path, &bytes, 0644);
	buf_clear(&bytes);
	arena_free(arena);
	passage_clock_init(&passage_clock);
	site = passage_site(path, &passage_clock, &err);
	PROMISE(site != NULL);
	return 0;
}

/* What the crafted clear signature covers; n == 0 where that cannot be said. */
static struct slice signed_bytes(struct slice message)
{
	static const char begin[] = "\r\n--=-cut\r\n";
	static const char end_mark[] = "\r\n--=-cut\r\nContent-Type: application/pkcs7-signature";
	const char *first = words_find(message, begin), *last = words_find(message, end_mark);
	struct slice entity = slice_make(NULL, 0);

	if (first == NULL || last == NULL || last <= first)
		return entity;
	first += sizeof(begin) - 1;
	entity = slice_make(first, last > first ? (size_t)(last - first) : 0);
	return words_find(entity, "=-cut") == NULL ? entity : slice_make(NULL, 0);
}

struct input {
	const struct scenario *scenario;
	unsigned wrap;
	struct slice changes, message;
	bool broken;			/* a byte that is signed was changed */
};

static bool read_input(const uint8_t *data, size_t size, struct input *input)
{
	size_t changes;

	if (size < 2 || size > 65536)
		return false;
	*input = (struct input){ .scenario = &scenarios[data[0] % 8], .wrap = data[1] >> 6 };
	changes = (size_t)(data[1] & 63) * 3;
	if (size < 2 + changes)
		return false;
	input->changes = slice_make(data + 2, changes);
	input->message = slice_make(data + 2 + changes, size - 2 - changes);
	return true;
}

static void make_message(struct input *input, struct recipe *recipe)
{
	static const char *const orders[] = { "", "sign carol clear", "sign carol opaque", "encrypt alice gcm" };
	const unsigned char *change = (const unsigned char *)input->changes.p;
	struct slice entity;

	buf_init(&recipe->message, 0);
	PROMISE(buf_append_slice(&recipe->message, input->message) == 0);
	PROMISE(recipe_make(recipe, slice_of(orders[input->wrap])) == 0);
	entity = input->wrap == 1 ? signed_bytes(buf_slice(&recipe->message)) : slice_make(NULL, 0);
	for (size_t i = 0; i + 2 < input->changes.n && recipe->message.n > 0; i += 3, change += 3) {
		unsigned char *at = &recipe->message.p[((size_t)change[0] << 8 | change[1]) % recipe->message.n];

		*at ^= change[2];
		if (change[2] != 0 && entity.n > 0 && (char *)at >= entity.p && (char *)at < entity.p + entity.n)
			input->broken = true;
	}
	/* Two changes of one byte may undo each other: then nothing can be said. */
	if (input->changes.n > 3)
		input->broken = false;
}

static void make_envelope(const struct scenario *scenario, struct passage *passage)
{
	struct envelope *envelope = &passage->envelope;

	*envelope = (struct envelope){ .queue_id = "FUZZ", .sender_args = "", .daemon_name = "",
				       .client_ip = scenario->client, .login = scenario->login };
	envelope->recipients = arena_alloc(passage->arena, sizeof(*envelope->recipients));
	PROMISE(envelope->recipients != NULL);
	envelope->recipient_count = 1;
	envelope->recipients[0].args = "";
	PROMISE(passage_address(passage->arena, scenario->from, &envelope->sender) == 0);
	PROMISE(passage_address(passage->arena, scenario->rcpt, &envelope->recipients[0].address) == 0);
}

static bool is_envelope(struct arena *arena, const struct message *message)
{
	struct slice header = message_header_bytes(arena, &message->header);
	char *type = oracle_field(header, "Content-Type", 0);
	/* with triple_wrap what shows is the outer signature */
	bool is = type != NULL && (strstr(type, "application/pkcs7-mime") != NULL ||
				   strstr(type, "multipart/signed") != NULL);

	free(type);
	return is;
}

static void check(const struct input *input, struct passage *passage, struct slice wire)
{
	const struct outcome *outcome = &passage->outcome;
	struct expect expect = { .people = people, .site = site, .passage = passage, .wire = wire,
				 .arena = passage->arena };
	struct reply_line line;

	reply_format(outcome, NULL, &line);
	PROMISE((outcome->action == ACTION_ACCEPT) == (line.code[0] == '\0'));
	PROMISE(!input->broken || !outcome->verified || outcome->verdict.result != RESULT_PASS);
	if (outcome->action != ACTION_ACCEPT)
		return;
	PROMISE(expect_edits(&expect) == NULL);
	if (input->scenario->must_encrypt && outcome->kind != KIND_ENCRYPTED && outcome->kind != KIND_REPORT)
		PROMISE(outcome->recipients[0].encrypted_count == 1 && is_envelope(passage->arena, &outcome->message));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct passage_options options = { .memory_bytes = 4096, .directory = people->dir };
	struct recipe recipe = { .people = people };
	struct passage passage;
	struct input input;

	if (!read_input(data, size, &input))
		return 0;
	passage = (struct passage){ .arena = arena_new(FUZZ_ARENA_BYTES) };
	recipe.arena = passage.arena;
	make_message(&input, &recipe);
	make_envelope(input.scenario, &passage);
	passage_run(site, buf_slice(&recipe.message), &options, &passage);
	check(&input, &passage, buf_slice(&recipe.message));
	passage_clear(&passage);
	buf_clear(&recipe.message);
	return 0;
}
