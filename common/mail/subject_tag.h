/* subject_tag.h - a word such as "[encrypt]" that a writer put into the Subject, found whether it stands there in plain or
 * inside encoded words (RFC 2047), and cut out again without a change to the rest.
 */
#ifndef MAIL_SUBJECT_TAG_H
#define MAIL_SUBJECT_TAG_H

#include "mail/header.h"

/* Looks for tag (ASCII, case folded) in the field's text. 1: found, and *without is the field without each instance of it
 * and one blank beside each; 0: not there, *without is the field as it is; -1: arena exhausted. What another field has to
 * do with it is not asked. */
int subject_tag_cut(struct arena *arena, const struct field *field, const char *tag, struct field *without);

#endif
