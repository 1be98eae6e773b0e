/* conf_text.h - the text of a configuration, before libconfig sees it; for conf.c only.
 *
 * Include directives are replaced by the files they name, so that one text is checked, hashed and parsed, and each of
 * its lines knows the file and line that it came from. The scan also keeps how each number and string was written:
 * libconfig wraps large integers, and tells the line after for the last string of a list.
 */
#ifndef BASE_CONF_TEXT_H
#define BASE_CONF_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum conf_token_kind { CONF_TOKEN_NAME, CONF_TOKEN_NUMBER, CONF_TOKEN_TEXT };

struct conf_token {
	enum conf_token_kind kind;
	size_t offset, n;	/* where it stands in the text; strings that follow one another are one token */
	size_t line;		/* of the expanded text, from 0 */
	bool nul;		/* a string with \x00 in it, which libconfig cuts there */
};

struct conf_text {
	struct arena *arena;	/* for the places */
	struct buf text;	/* includes expanded, no NUL inside */
	struct buf places;	/* const char * "FILE:LINE", one a line */
	struct buf tokens;	/* struct conf_token, in the order written */
	bool in_text;		/* a string ended and nothing but blanks came since */
};

void conf_text_init(struct conf_text *text, struct arena *arena);
void conf_text_clear(struct conf_text *text);
/* Reads path and what it includes (relative to path's directory, at most 10 deep, 16 MiB in all, none writable by
 * others). Refuses NUL bytes and strings or comments without an end. 0 or -1, err->text beginning with the place. */
int conf_text_read(struct conf_text *text, const char *path, struct err *err);

size_t conf_text_token_count(const struct conf_text *text);
const struct conf_token *conf_text_token(const struct conf_text *text, size_t index);
struct slice conf_text_of(const struct conf_text *text, const struct conf_token *token);
/* "FILE:LINE" of a line of the expanded text, from 0; of the nearest one if there is no such line. */
const char *conf_text_place(const struct conf_text *text, size_t line);
/* The one key written on a line, n == 0 if there are several or none. */
struct slice conf_text_key(const struct conf_text *text, size_t line);

#endif
