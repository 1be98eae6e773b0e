/* generate.c - one message: from the grammar or from the stock, then perhaps with damaged bytes. What stands in the
 * fields is generate_header.c's, what in the body generate_body.c's. Called by tests/fuzz/differential.c.
 */
#include <stdlib.h>
#include <string.h>

#include "dice.h"
#include "fuzz/fuzz.h"

/* splitmix64: every number begins a sequence of its own. */
uint64_t dice_number(struct dice *dice)
{
	uint64_t z = dice->state += 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return z ^ z >> 31;
}

size_t dice_pick(struct dice *dice, size_t n)
{
	return (size_t)(dice_number(dice) % n);
}

bool dice_chance(struct dice *dice, unsigned percent)
{
	return dice_pick(dice, 100) < percent;
}

bool dice_odd(struct dice *dice)
{
	return dice_chance(dice, dice->oddity);
}

void dice_put(struct dice *dice, const char *text)
{
	PROMISE(buf_append_text(dice->out, text) == 0);
}

void dice_byte(struct dice *dice, char c)
{
	PROMISE(buf_append_char(dice->out, c) == 0);
}

void dice_token(struct dice *dice, const char *text)
{
	static const char *const specials[] = {
		"<", ">", "@", ",", ";", ":", "(", ")", "\"", "\\", "[", "]", ".", "=", "/", "?", " ", "\t",
		"\r\n ", "*", "'", "%41", "=?", "\xc3\xa9", "\xff", "\x01", "\r", "\n", "\x7f"
	};

	if (dice_pick(dice, 1000) >= dice->damage) {
		dice_put(dice, text);
		return;
	}
	switch (dice_pick(dice, 5)) {
	case 0: break;
	case 1:
		dice_put(dice, text);
		dice_put(dice, text);
		break;
	case 2:
		dice_put(dice, text);
		dice_put(dice, DICE_ONE_OF(dice, specials));
		break;
	case 3:
		dice_put(dice, DICE_ONE_OF(dice, specials));
		dice_put(dice, text);
		break;
	default: dice_put(dice, DICE_ONE_OF(dice, specials));
	}
}

void dice_line_end(struct dice *dice)
{
	static const char *const odd[] = { "\n", "\r", "", "\r\r\n", "\n\r", "\r\n\r\n", " \r\n" };

	if (dice_pick(dice, 1000) < dice->damage / 4)
		dice_put(dice, DICE_ONE_OF(dice, odd));
	else
		dice_put(dice, dice->lone_lf ? "\n" : "\r\n");
}

/* Replaces n bytes at `at` by those of what. */
static void splice(struct buf *out, size_t at, size_t n, struct slice what)
{
	struct slice old = buf_slice(out), tail = slice_from(old, at + n);
	struct buf made;

	buf_init(&made, 0);
	PROMISE(buf_append_slice(&made, slice_first(old, at)) == 0);
	PROMISE(buf_append_slice(&made, what) == 0 && buf_append_slice(&made, tail) == 0);
	buf_clear(out);
	*out = made;
}

static void damage_one(struct dice *dice)
{
	static const char *const pieces[] = {
		"\r\n", "\n", "\r", " ", "\t", "\"", "(", ")", "<", ">", "@", ",", ";", ":", "\\", "=", "-", "--",
		"\r\n\r\n", "\r\n--", "\r\n ", "=?", "?=", "\x80", "*0*=", "From: eve@evil.example\r\n",
		"Content-Type: text/html\r\n"
	};
	struct buf *out = dice->out;
	size_t at = dice_pick(dice, out->n + 1), left = out->n - at, n = dice_pick(dice, 24) + 1;
	char byte = (char)dice_pick(dice, 256);

	n = n < left ? n : left;
	switch (dice_pick(dice, 5)) {
	case 0: splice(out, at, left > 0 ? 1 : 0, slice_make(&byte, 1)); break;
	case 1: splice(out, at, n, slice_make(NULL, 0)); break;
	case 2: splice(out, at, 0, slice_make(&byte, 1)); break;
	default: splice(out, at, 0, slice_of(DICE_ONE_OF(dice, pieces)));
	}
}

static void from_grammar(struct dice *dice)
{
	static const unsigned damages[] = { 0, 0, 0, 4, 15, 60 }, oddities[] = { 0, 2, 8, 20, 40 };

	dice->damage = DICE_ONE_OF(dice, damages);
	dice->oddity = DICE_ONE_OF(dice, oddities);
	dice->lone_lf = dice_chance(dice, 4);
	generate_fields(dice);
	generate_entity(dice);
}

void generate_message(const struct generate_stock *stock, uint64_t number, struct buf *out)
{
	struct dice dice = { .state = number, .out = out, .stock = stock };
	size_t start = out->n;

	PROMISE(start == 0);
	if (stock->n > 0 && dice_chance(&dice, 8))
		PROMISE(buf_append_slice(out, stock->messages[dice_pick(&dice, stock->n)]) == 0);
	else
		from_grammar(&dice);
	if (!dice_chance(&dice, 30))
		return;
	for (size_t n = dice_pick(&dice, 4) + 1; n > 0; n--)
		damage_one(&dice);
}
