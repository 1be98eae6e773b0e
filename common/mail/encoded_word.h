/* encoded_word.h - encoded words in header fields (RFC 2047), as far as somebody could be misled by them, or looks for
 * something in them. Charsets are never converted.
 */
#ifndef MAIL_ENCODED_WORD_H
#define MAIL_ENCODED_WORD_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"

/* "=?utf-8?q?Z=C3=BCrich?=" */
struct encoded_word {
	struct slice opening;		/* "=?utf-8?q?" */
	struct slice content;		/* as it stands */
	bool base64;			/* else quoted */
};

/* Takes the encoded word at the beginning of rest off it; false: there is none. The charset is not looked at, nor is the
 * length, nor whether RFC 2047 has encoded words at this place. */
bool encoded_word_take(struct slice *rest, struct encoded_word *word);
/* The bytes that it stands for, at most content.n; returns how many. */
size_t encoded_word_bytes(const struct encoded_word *word, char *out);
/* An encoded word of the same charset and encoding that stands for text. -1: memory. */
int encoded_word_write(struct buf *out, const struct encoded_word *word, struct slice text);

/* True if an encoded word in text decodes to a NUL, CR or LF, at which readers cut what they show. The charset is not
 * minded: those that use these bytes for letters (UTF-16) are not allowed there. Words that do not end count too. */
bool encoded_word_hides(struct slice text);

/* text with each encoded word in it replaced by the bytes that it stands for, also where RFC 2047 has none (in quotes):
 * readers are not that strict. p == NULL: the arena is exhausted. */
struct slice encoded_word_decode(struct arena *arena, struct slice text);

#endif
