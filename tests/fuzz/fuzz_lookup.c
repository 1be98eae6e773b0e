/* fuzz_lookup.c - what workers and the lookup process read of each other (milter/lookup_wire.h). The first byte says
 * which: a question, answers, what is remembered, an outcome. What was read can be written, and reads the same. */
#include "fuzz.h"

#include <string.h>

#include "milter/lookup_wire.h"

static void check_answer(const struct directory_answer *answer, bool of_member)
{
	PROMISE(answer->status != DIRECTORY_FAILED || (answer->failure != NULL && answer->failure[0] != '\0'));
	PROMISE(answer->status == DIRECTORY_FOUND || (answer->n == 0 && !answer->stale));
	PROMISE(!answer->group || !of_member);
	PROMISE(answer->age_ms >= 0);
	for (size_t i = 0; i < answer->n; i++) {
		PROMISE(cert_info(answer->entries[i].cert)->der.n > 0);
		PROMISE(strlen(answer->entries[i].attribute) <= LOOKUP_TEXT_BYTES);
	}
	for (size_t i = 0; i < answer->chain.n; i++)
		PROMISE(cert_info(answer->chain.items[i])->der.n > 0);
	for (size_t i = 0; i < answer->problem_count; i++)
		PROMISE(strlen(answer->problems[i]) <= LOOKUP_TEXT_BYTES);
	for (size_t i = 0; i < answer->member_count; i++)
		check_answer(&answer->members[i].answer, true);
}

static void fuzz_answers(struct slice bytes, struct arena *arena)
{
	const struct lookup_place place = { arena, NULL };
	struct directory_answer answers[8], again[8];
	struct err err = { .class = ERR_NONE };
	size_t count = 0, second = 0;
	struct buf out;

	if (lookup_read_answers(bytes, &place, answers, 8, &count, &err) != 0) {
		PROMISE(err.class == ERR_BUG || err.class == ERR_TEMP);
		return;
	}
	PROMISE(count >= 1 && count <= 8);
	for (size_t i = 0; i < count; i++)
		check_answer(&answers[i], false);
	buf_init(&out, 0);
	PROMISE(lookup_write_answers(answers, count, LOOKUP_ANSWER_BYTES, &out) == 0);
	PROMISE(lookup_read_answers(buf_slice(&out), &place, again, 8, &second, NULL) == 0 && second == count);
	for (size_t i = 0; i < count; i++)
		PROMISE(again[i].status == answers[i].status && again[i].n == answers[i].n);
	buf_clear(&out);
}

static void fuzz_remembered(struct slice bytes, struct arena *arena)
{
	struct directory_remembered *items = NULL;
	size_t n = 0;

	if (lookup_read_remembered(bytes, arena, &items, &n, NULL) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		PROMISE(items[i].answer.status != DIRECTORY_FAILED);
		check_answer(&items[i].answer, false);
	}
}

static void fuzz_question(struct slice bytes, struct arena *arena)
{
	struct lookup_question question;

	if (lookup_read_question(bytes, arena, &question, NULL) != 0)
		return;
	PROMISE((question.operation == LOOKUP_FIND) == (question.n > 0));
	for (size_t i = 0; i < question.n; i++) {
		const struct slice text = question.addresses[i].text;

		PROMISE(text.p >= bytes.p && text.p + text.n <= bytes.p + bytes.n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_make(data + 1, size > 0 ? size - 1 : 0);
	struct arena *arena = size > 0 ? arena_new(FUZZ_ARENA_BYTES) : NULL;
	struct err err;

	if (arena == NULL)
		return 0;
	if (data[0] == 'q')
		fuzz_question(bytes, arena);
	if (data[0] == 'a')
		fuzz_answers(bytes, arena);
	if (data[0] == 'r')
		fuzz_remembered(bytes, arena);
	if (data[0] == 'o')
		(void)lookup_read_outcome(bytes, &err);
	arena_free(arena);
	return 0;
}
