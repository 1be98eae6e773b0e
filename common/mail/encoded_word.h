/* encoded_word.h - encoded words in header fields (RFC 2047): not decoded here, but looked into. */
#ifndef MAIL_ENCODED_WORD_H
#define MAIL_ENCODED_WORD_H

#include <stdbool.h>

#include "base/slice.h"

/* True if an encoded word in text decodes to a NUL, CR or LF, at which readers cut what they show. The charset is not
 * minded: those that use these bytes for letters (UTF-16) are not allowed there. */
bool encoded_word_hides(struct slice text);

#endif
