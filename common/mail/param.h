/* param.h - structured values "word; name=value; …" of Content-Type and Content-Disposition (RFC 2045 5.1, RFC 2231),
 * and the tokens, comments and quoted strings they are made of (RFC 5322 3.2).
 */
#ifndef MAIL_PARAM_H
#define MAIL_PARAM_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

struct param {
	struct slice name;	/* lower case, without RFC 2231 section numbers */
	struct slice value;	/* unquoted, continuations joined, percent-decoded if extended (charset dropped) */
};

struct param_list {
	struct slice value;	/* what stands before the first ';', lower case: "multipart/signed", "attachment" */
	struct param *params;
	size_t n;
	bool malformed;		/* something is not as RFC 2045 has it, skipped or not */
	bool skipped;		/* text was passed over to get here: other readers may stop where it stands */
	bool duplicate;		/* a parameter stands twice: the first counts */
};

/* Lenient: garbage sets malformed and parsing goes on at the next ';'. -1 only when the arena is exhausted. */
int param_parse(struct arena *arena, struct slice value, struct param_list *list, struct err *err);
/* The value, or p == NULL when there is none. name in lower case. */
struct slice param_get(const struct param_list *list, const char *name);

/* Skips blanks, folds and (nested) comments from *p on; false: comment not closed. */
bool cfws_skip(struct slice *rest);
/* Takes a token (RFC 2045) or quoted-string (unescaped into the arena) off rest; false: neither stands there. */
bool word_take(struct arena *arena, struct slice *rest, struct slice *word);
/* text as a token if it is one, else as quoted-string with \ and " escaped and control characters made '?'. NULL: arena
 * exhausted. */
char *word_quote(struct arena *arena, struct slice text);

#endif
