/* dice.h - the choices of the differential test's grammar: a generator of numbers, and words put down with or without
 * damage. Called by generate.c, generate_header.c and generate_body.c alone.
 */
#ifndef DICE_H
#define DICE_H

#include <stdbool.h>
#include <stdint.h>

#include "generate.h"

#define DICE_BOUNDARIES 8

struct dice {
	uint64_t state;
	struct buf *out;
	const struct generate_stock *stock;
	unsigned damage;		      /* of a thousand tokens, so many are damaged */
	unsigned oddity;		      /* of a hundred choices, so many are of the odd kind */
	bool lone_lf;			      /* lines end with LF alone */
	char boundaries[DICE_BOUNDARIES][48]; /* of the open multiparts, outermost first */
	unsigned depth;
};

uint64_t dice_number(struct dice *dice);
size_t dice_pick(struct dice *dice, size_t n); /* 0 … n-1 */
bool dice_chance(struct dice *dice, unsigned percent);
bool dice_odd(struct dice *dice); /* as often as this case is odd */

void dice_put(struct dice *dice, const char *text); /* as it stands */
void dice_byte(struct dice *dice, char c);
/* One token of the grammar: dropped, doubled or replaced by something special in damaged cases. */
void dice_token(struct dice *dice, const char *text);
void dice_line_end(struct dice *dice); /* CRLF, rarely something else */

#define DICE_ONE_OF(dice, list) ((list)[dice_pick(dice, sizeof(list) / sizeof((list)[0]))])

/* generate_header.c: fields of a message but Content-*, and a Content-Type field with its line end. */
void generate_fields(struct dice *dice);
/* protocol: may be NULL. boundary: NULL for a leaf. */
void generate_type(struct dice *dice, const char *type, const char *boundary, const char *protocol);
void generate_encoding(struct dice *dice, const char *encoding);

/* generate_body.c: Content-* fields, empty line and body of an entity. */
void generate_entity(struct dice *dice);

#endif
