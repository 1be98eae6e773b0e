/* encoded_word.h - encoded words in header fields (RFC 2047), as far as somebody could be misled by them. */
#ifndef MAIL_ENCODED_WORD_H
#define MAIL_ENCODED_WORD_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/slice.h"

/* True if an encoded word in text decodes to a NUL, CR or LF, at which readers cut what they show. The charset is not
 * minded: those that use these bytes for letters (UTF-16) are not allowed there. */
bool encoded_word_hides(struct slice text);

/* text with each encoded word in it replaced by the bytes that it stands for, also where RFC 2047 has none (in quotes):
 * readers are not that strict. Charsets are not converted. p == NULL: the arena is exhausted. */
struct slice encoded_word_decode(struct arena *arena, struct slice text);

#endif
