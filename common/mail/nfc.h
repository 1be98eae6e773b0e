/* nfc.h - Unicode Normalization Form C (UAX 15) of text that two people may have typed differently. The only door to
 * libunistring.
 */
#ifndef MAIL_NFC_H
#define MAIL_NFC_H

#include "base/arena.h"
#include "base/slice.h"

/* text (UTF-8) in NFC. p == NULL: not UTF-8, or the arena is exhausted. */
struct slice nfc_of(struct arena *arena, struct slice text);

#endif
